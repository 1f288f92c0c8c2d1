// SPDX-License-Identifier: Apache-2.0
#include "cli/doc_worker_command.h"

#include <algorithm>
#include <charconv>

namespace merrow::cli {
namespace {

using Json = nlohmann::json;
using loro::Value;

Result<Value> ToValueAt(const Json& json, int depth) {
  if (depth > loro::kValueDepthMax) return LimitReached("a value is nested too deeply");
  switch (json.type()) {
    case Json::value_t::null:
      return Value();
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_unsigned:
    case Json::value_t::number_integer: {
      MERROW_ASSIGN(const int64_t number, ToInteger(json));
      return Value(number);
    }
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      Value::List list;
      for (const Json& item : json) {
        MERROW_ASSIGN(Value value, ToValueAt(item, depth + 1));
        list.push_back(std::move(value));
      }
      return Value(std::move(list));
    }
    case Json::value_t::object: {
      // nlohmann's objects are sorted by key, as Value::Map has to be.
      Value::Map map;
      for (const auto& [key, item] : json.items()) {
        MERROW_ASSIGN(Value value, ToValueAt(item, depth + 1));
        map.emplace_back(key, std::move(value));
      }
      return Value(std::move(map));
    }
    default:
      return InvalidArgument("a value of an unknown JSON type");
  }
}

Result<loro::Counter> ToCounter(const Json& json) {
  MERROW_ASSIGN(const size_t number, ToIndex(json));
  if (number > static_cast<size_t>(INT32_MAX)) {
    return InvalidArgument(json.dump() + " is not a counter");
  }
  return static_cast<loro::Counter>(number);
}

}  // namespace

Result<const Json*> WorkerCall::Field(const char* name) const {
  const auto found = request.find(name);
  if (found == request.end()) {
    return InvalidArgument("the request has no field \"" + std::string(name) + "\"");
  }
  return &*found;
}

Result<std::string> WorkerCall::Text(const char* name) const {
  MERROW_ASSIGN(const Json* field, Field(name));
  if (!field->is_string()) {
    return InvalidArgument("field \"" + std::string(name) + "\" is not a string");
  }
  return field->get<std::string>();
}

Result<loro::ContainerId> WorkerCall::Container() const {
  MERROW_ASSIGN(const std::string text, Text("container"));
  return loro::ContainerId::Parse(text);
}

Result<loro::Frontiers> WorkerCall::Frontiers(const char* name) const {
  MERROW_ASSIGN(const Json* field, Field(name));
  if (!field->is_array()) {
    return InvalidArgument("field \"" + std::string(name) + "\" is not an array");
  }
  loro::Frontiers frontiers;
  for (const Json& item : *field) {
    MERROW_ASSIGN(const loro::Id id, ToId(item));
    frontiers.push_back(id);
  }
  std::sort(frontiers.begin(), frontiers.end());
  return frontiers;
}

Result<std::optional<loro::VersionVector>> WorkerCall::Version(const char* name) const {
  const auto field = request.find(name);
  if (field == request.end() || field->is_null()) return std::optional<loro::VersionVector>();
  if (!field->is_object()) {
    return InvalidArgument("field \"" + std::string(name) + "\" is not an object");
  }
  loro::VersionVector version;
  for (const auto& [peer_text, end] : field->items()) {
    MERROW_ASSIGN(const loro::PeerId peer, ParsePeer(peer_text));
    MERROW_ASSIGN(const loro::Counter counter, ToCounter(end));
    version.Set(peer, counter);
  }
  return std::optional(std::move(version));
}

Result<loro::PeerId> ParsePeer(const std::string& text) {
  loro::PeerId peer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), peer);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("\"" + text + "\" is not a peer id");
  }
  return peer;
}

Result<size_t> ToIndex(const Json& json) {
  if (!json.is_number_integer() || json < 0) {
    return InvalidArgument(json.dump() + " is not an index");
  }
  return json.get<size_t>();
}

Result<int64_t> ToInteger(const Json& json) {
  if (!json.is_number_integer()) return InvalidArgument(json.dump() + " is not an integer");
  if (json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return InvalidArgument(json.dump() + " does not fit 64 bits with sign");
  }
  return json.get<int64_t>();
}

Result<std::string> ToText(const Json& json) {
  if (!json.is_string()) return InvalidArgument(json.dump() + " is not a string");
  return json.get<std::string>();
}

Result<loro::ContainerKind> ToKind(const Json& json) {
  MERROW_ASSIGN(const std::string name, ToText(json));
  return loro::ParseContainerKind(name);
}

Result<Value> ToValue(const Json& json) { return ToValueAt(json, 0); }

Result<loro::Id> ToId(const Json& json) {
  const auto peer = json.find("peer");
  const auto counter = json.find("counter");
  if (!json.is_object() || peer == json.end() || counter == json.end()) {
    return InvalidArgument(json.dump() + " is not like {\"peer\":\"1\",\"counter\":2}");
  }
  loro::Id id;
  MERROW_ASSIGN(const std::string peer_text, ToText(*peer));
  MERROW_ASSIGN(id.peer, ParsePeer(peer_text));
  MERROW_ASSIGN(id.counter, ToCounter(*counter));
  return id;
}

Json JsonOf(const loro::Id& id) {
  return {{"peer", std::to_string(id.peer)}, {"counter", id.counter}};
}

Json JsonOf(const loro::Frontiers& frontiers) {
  Json list = Json::array();
  for (const loro::Id& id : frontiers) list.push_back(JsonOf(id));
  return list;
}

Json JsonOf(const loro::VersionVector& version) {
  Json object = Json::object();
  for (const auto& entry : version.entries()) object[std::to_string(entry.peer)] = entry.end;
  return object;
}

Json JsonOf(const std::vector<loro::IdSpan>& spans) {
  Json ranges = Json::object();
  for (const loro::IdSpan& span : spans) {
    Json& range = ranges[std::to_string(span.peer)];
    const auto start = range.is_null() ? span.start : std::min(span.start, range[0].get<int>());
    const auto end = range.is_null() ? span.end : std::max(span.end, range[1].get<int>());
    range = Json::array({start, end});
  }
  return ranges;
}

}  // namespace merrow::cli
