// SPDX-License-Identifier: Apache-2.0
#include "server/sql_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "loro/json_writer.h"

namespace merrow::server {
namespace {

using Json = nlohmann::json;

constexpr char kNotAParameter[] =
    R"(a parameter is null, true, false, a number, a string or {"blob":"<base64>"})";
constexpr char kNotAQuery[] = R"(the body is not like ["SELECT ...", [1, "a"]])";
constexpr char kNotAStatement[] = R"(a statement is "INSERT ...", ["INSERT ...", [1, "a"]] or )"
                                  R"({"sql":"INSERT ...","params":[1, "a"]})";

// JSON nested at most `depth_max` deep, of few enough values. Deeper or more is not built, because
// a few bytes of it take much memory.
Result<Json> ParseJson(BytesView body, int depth_max, size_t values_max,
                       std::string_view too_deep) {
  bool is_deep = false;
  size_t values = 0;
  const auto keep = [&](int depth, Json::parse_event_t event, const Json&) {
    const bool opens =
        event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
    is_deep = is_deep || (opens && depth >= depth_max);
    if (opens || event == Json::parse_event_t::value) ++values;
    return !is_deep && values <= values_max;
  };
  Json json = Json::parse(body, keep, false);
  if (is_deep) return InvalidArgument(std::string(too_deep));
  if (values > values_max) {
    return LimitReached("a request of more than " + std::to_string(values_max) + " values");
  }
  return json;
}

Result<OwnedSqlValue> ToBlob(const Json& json) {
  if (json.size() != 1 || !json.contains("blob") || !json["blob"].is_string()) {
    return InvalidArgument(kNotAParameter);
  }
  MERROW_ASSIGN(Bytes bytes, FromBase64(json["blob"].get_ref<const std::string&>()));
  return OwnedSqlValue(OwnedSqlBlob{std::move(bytes)});
}

Result<OwnedSqlValue> ToSqlValue(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return OwnedSqlValue(store::SqlNull());
    case Json::value_t::boolean:
      return OwnedSqlValue(json.get<bool>());
    case Json::value_t::number_integer:
      return OwnedSqlValue(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        return InvalidArgument("parameter " + json.dump() + " does not fit 64 bits");
      }
      return OwnedSqlValue(json.get<int64_t>());
    case Json::value_t::number_float:
      return OwnedSqlValue(json.get<double>());
    case Json::value_t::string:
      return OwnedSqlValue(json.get<std::string>());
    case Json::value_t::object:
      return ToBlob(json);
    default:
      return InvalidArgument(kNotAParameter);
  }
}

Status AddParams(const Json& list, SqlStatement* statement) {
  statement->params.reserve(list.size());
  for (const Json& item : list) {
    MERROW_ASSIGN(OwnedSqlValue value, ToSqlValue(item));
    statement->params.push_back(std::move(value));
  }
  return {};
}

// "sql" or ["sql", [params]].
Result<SqlStatement> ToStatement(const Json& json, const char* not_one) {
  SqlStatement statement;
  if (json.is_string()) {
    statement.sql = json.get<std::string>();
    return statement;
  }
  const bool fits = json.is_array() && !json.empty() && json.size() <= 2 && json[0].is_string() &&
                    (json.size() == 1 || json[1].is_array());
  if (!fits) return InvalidArgument(not_one);
  statement.sql = json[0].get<std::string>();
  if (json.size() == 2) MERROW_TRY(AddParams(json[1], &statement));
  return statement;
}

Result<SqlStatement> ToTransactionStatement(const Json& json) {
  if (!json.is_object()) return ToStatement(json, kNotAStatement);
  const bool has_params = json.contains("params");
  const bool fits = json.contains("sql") && json["sql"].is_string() &&
                    json.size() == (has_params ? 2 : 1) &&
                    (!has_params || json["params"].is_array());
  if (!fits) return InvalidArgument(kNotAStatement);
  SqlStatement statement;
  statement.sql = json["sql"].get<std::string>();
  if (has_params) MERROW_TRY(AddParams(json["params"], &statement));
  return statement;
}

}  // namespace

Result<SqlStatement> ParseQueryRequest(BytesView body) {
  if (body.size() > kQueryBytesMax) {
    return LimitReached("a query of " + std::to_string(body.size()) + " bytes; the limit is " +
                        std::to_string(kQueryBytesMax));
  }
  MERROW_ASSIGN(const Json json, ParseJson(body, 3, kQueryValuesMax, kNotAParameter));
  return ToStatement(json, kNotAQuery);
}

Result<std::vector<SqlStatement>> ParseTransactionRequest(BytesView body) {
  if (body.size() > kTransactionBytesMax) {
    return LimitReached("a transaction of " + std::to_string(body.size()) +
                        " bytes; the limit is " + std::to_string(kTransactionBytesMax));
  }
  MERROW_ASSIGN(const Json json, ParseJson(body, 4, kSqlRequestValuesMax, kNotAStatement));
  if (!json.is_array() || json.empty()) {
    return InvalidArgument(R"(the body is not like [["INSERT ...", [1, "a"]], "DELETE ..."])");
  }
  if (json.size() > kTransactionStatementsMax) {
    return LimitReached("a transaction of " + std::to_string(json.size()) +
                        " statements; the limit is " + std::to_string(kTransactionStatementsMax));
  }
  std::vector<SqlStatement> statements;
  statements.reserve(json.size());
  for (const Json& item : json) {
    Result<SqlStatement> statement = ToTransactionStatement(item);
    if (!statement.ok()) {
      return statement.error().Within("statement " + std::to_string(statements.size() + 1));
    }
    statements.push_back(std::move(statement).value());
  }
  return statements;
}

std::vector<store::SqlValue> SqlViews(std::span<const OwnedSqlValue> values) {
  std::vector<store::SqlValue> views;
  views.reserve(values.size());
  for (const OwnedSqlValue& value : values) {
    views.push_back(std::visit(
        [](const auto& plain) -> store::SqlValue {
          using Plain = std::decay_t<decltype(plain)>;
          if constexpr (std::is_same_v<Plain, std::string>) {
            return std::string_view(plain);
          } else if constexpr (std::is_same_v<Plain, OwnedSqlBlob>) {
            return store::SqlBlob{plain.bytes};
          } else {
            return plain;
          }
        },
        value));
  }
  return views;
}

void AppendJsonText(std::string_view text, std::string* out) {
  if (IsUtf8(text)) {
    loro::AppendJsonString(text, out);
    return;
  }
  std::string repaired;
  for (const char byte : text) {
    if (static_cast<uint8_t>(byte) < 0x80) {
      repaired.push_back(byte);
    } else {
      repaired += "\xEF\xBF\xBD";
    }
  }
  loro::AppendJsonString(repaired, out);
}

void AppendSqlValue(const store::SqlValue& value, std::string* out) {
  if (std::holds_alternative<store::SqlNull>(value)) {
    *out += "null";
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    *out += *boolean ? "1" : "0";
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    *out += std::to_string(*integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    loro::AppendJsonNumber(*number, out);
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    AppendJsonText(*text, out);
  } else {
    *out += "{\"blob\":\"" + ToBase64(std::get<store::SqlBlob>(value).bytes) + "\"}";
  }
}

}  // namespace merrow::server
