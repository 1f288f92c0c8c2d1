// SPDX-License-Identifier: Apache-2.0
#include "store/row_edit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "loro/json_value.h"
#include "store/projection.h"
#include "store/row_edit_container.h"
#include "store/sqlite_api.h"

namespace merrow::store {
namespace {

using cells::Affinity;
using cells::ValueType;
using cells::ValueView;
using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;

bool IsNumber(const ValueView& value) {
  return value.type == ValueType::kInteger || value.type == ValueType::kReal;
}

double NumberOf(const ValueView& value) {
  return value.type == ValueType::kInteger ? static_cast<double>(value.integer) : value.real;
}

/// Whatever the host's locale: as SQLite makes a text of a number.
std::string TextOf(const ValueView& number) {
  if (number.type == ValueType::kInteger) {
    return std::to_string(number.integer);
  }
  std::array<char, 40> text{};
  sqlite3_snprintf(static_cast<int>(text.size()), text.data(), "%!.15g", number.real);
  return text.data();
}

/// The number that a whole text says, if it does.
template <typename Number>
std::optional<Number> NumberIn(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpaces) + 1);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

/// Does a column with a numeric affinity store `text` as `number`?
bool Says(std::string_view text, const ValueView& number) {
  if (const auto whole = NumberIn<int64_t>(text); whole && number.type == ValueType::kInteger) {
    return *whole == number.integer;
  }
  // SQLite's own conversion may be a little off.
  constexpr double kTolerance = 1e-15;
  const std::optional<double> said = NumberIn<double>(text);
  const double real = NumberOf(number);
  return said.has_value() && std::abs(*said - real) <= std::abs(real) * kTolerance;
}

/// Would `shown`, written into a column of that affinity, read as `stored`?
bool StoresAs(const ValueView& shown, Affinity affinity, const ValueView& stored) {
  if (cells::SameValue(cells::ApplyNumericAffinity(shown, affinity), stored)) {
    return true;
  }
  if (affinity == Affinity::kText && IsNumber(shown) && stored.type == ValueType::kText) {
    return TextOf(shown) == stored.bytes;
  }
  const bool numeric = affinity != Affinity::kText && affinity != Affinity::kBlob;
  if (numeric && shown.type == ValueType::kText && IsNumber(stored)) {
    return Says(shown.bytes, stored);
  }
  // What SQLite makes of it.
  return shown.type == ValueType::kReal && std::isnan(shown.real) &&
         stored.type == ValueType::kNull;
}

Error Unfit(std::string_view what, const ValueView& value) {
  return InvalidArgument("it holds " + std::string(what) + ", not " + cells::Describe(value));
}

/// A value as a container of `kind` takes it.
Result<Value> ContainerValue(ContainerKind kind, const ValueView& value) {
  switch (kind) {
    case ContainerKind::kText:
      if (value.type == ValueType::kNull) {
        return Value("");
      }
      if (value.type != ValueType::kText || !IsUtf8(value.bytes)) {
        return Unfit("text in UTF-8", value);
      }
      return Value(std::string(value.bytes));
    case ContainerKind::kCounter:
      if (value.type == ValueType::kNull) {
        return Value(0.0);
      }
      if (!IsNumber(value) || !std::isfinite(NumberOf(value))) {
        return Unfit("a finite number", value);
      }
      return Value(NumberOf(value));
    default:
      break;
  }
  const bool is_map = kind == ContainerKind::kMap;
  if (value.type == ValueType::kNull) {
    return is_map ? Value(Value::Map()) : Value(Value::List());
  }
  const std::string_view what = is_map ? "a JSON object" : "a JSON array";
  if (value.type != ValueType::kText || !IsUtf8(value.bytes)) {
    return Unfit(what, value);
  }
  Result<Value> parsed = loro::ParseJsonValue(value.bytes);
  if (!parsed.ok()) {
    return parsed.error().Within("it holds " + std::string(what));
  }
  if (is_map ? parsed->If<Value::Map>() == nullptr : parsed->If<Value::List>() == nullptr) {
    return Unfit(what, value);
  }
  return parsed;
}

/// A value as a slot takes it.
Result<Value> SlotValue(const ValueView& value) {
  switch (value.type) {
    case ValueType::kNull:
      return Value();
    case ValueType::kInteger:
      return Value(value.integer);
    case ValueType::kReal:
      return Value(value.real);
    case ValueType::kText:
      if (!IsUtf8(value.bytes)) {
        return Unfit("text in UTF-8", value);
      }
      return Value(std::string(value.bytes));
    case ValueType::kBlob:
      break;
  }
  return Value(Value::Binary{Bytes(value.bytes)});
}

Result<bool> SetSlot(const std::string& key, const Value& value, Document& document) {
  MERROW_TRY(document.MapSet(RowMap(), key, value));
  return true;
}

Result<bool> EditSlot(const Column& column, const ValueView& value, Document& document) {
  const std::optional<Value> slot = document.MapGet(RowMap(), column.name);
  MERROW_ASSIGN(Value wanted, SlotValue(value));
  if (!slot.has_value()) {
    return SetSlot(column.name, wanted, document);
  }
  if (const auto* child = slot->If<ContainerId>()) {
    const Result<Value> content = ContainerValue(child->kind(), value);
    return content.ok() && value.type != ValueType::kNull
               ? EditContainer(*child, *content, document)
               : SetSlot(column.name, wanted, document);
  }
  const int64_t* const integer = wanted.If<int64_t>();
  if (slot->If<bool>() != nullptr && integer != nullptr && (*integer == 0 || *integer == 1)) {
    return SetSlot(column.name, Value(*integer == 1), document);
  }
  const bool is_json = slot->If<Value::List>() != nullptr || slot->If<Value::Map>() != nullptr;
  if (is_json && value.type == ValueType::kText) {
    Result<Value> parsed = loro::ParseJsonValue(value.bytes);
    const bool fits = parsed.ok() && parsed->kind() == slot->kind();
    if (fits && SameJson(*slot, *parsed)) {
      return false;
    }
    return SetSlot(column.name, fits ? *std::move(parsed) : wanted, document);
  }
  return SetSlot(column.name, wanted, document);
}

}  // namespace

RowEditor::RowEditor(const Table& table, std::vector<cells::Value> defaults)
    : table_(table), defaults_(std::move(defaults)) {
  MERROW_CHECK(defaults_.size() == table_.columns.size());
}

cells::Value RowEditor::Shown(size_t column, const Document& document) const {
  return ColumnValue(document, table_.columns[column]).value_or(defaults_[column]);
}

Result<bool> RowEditor::Apply(std::span<const ValueView> row, Document& document) const {
  MERROW_CHECK(row.size() == table_.columns.size());
  bool any = false;
  for (size_t i = 0; i < row.size(); ++i) {
    const Column& column = table_.columns[i];
    if (column.kind == ColumnKind::kKey ||
        StoresAs(Shown(i, document).view(), cells::AffinityOf(column.declared_type), row[i])) {
      continue;
    }
    const auto edit = [&]() -> Result<bool> {
      if (!IsCrdt(column)) {
        return EditSlot(column, row[i], document);
      }
      const ContainerId source = ColumnSource(document, column);
      MERROW_ASSIGN(const Value wanted, ContainerValue(source.kind(), row[i]));
      return EditContainer(source, wanted, document);
    };
    const Result<bool> edited = edit();
    if (!edited.ok()) {
      return edited.error().Within("column " + column.name);
    }
    any = any || *edited;
  }
  return any;
}

bool RowEditor::Shows(std::span<const ValueView> row, const Document& document) const {
  MERROW_CHECK(row.size() == table_.columns.size());
  for (size_t i = 0; i < row.size(); ++i) {
    const Column& column = table_.columns[i];
    if (column.kind != ColumnKind::kKey &&
        !StoresAs(Shown(i, document).view(), cells::AffinityOf(column.declared_type), row[i])) {
      return false;
    }
  }
  return true;
}

Status RowEditor::MakeExist(std::string_view key, Document& document) const {
  return document.MapSet(RowMap(), table_.key().name, Value(std::string(key)));
}

}  // namespace merrow::store
