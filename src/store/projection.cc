// SPDX-License-Identifier: Apache-2.0
#include "store/projection.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "loro/json_writer.h"
#include "store/create_table.h"

namespace merrow::store {
namespace {

using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;
using Cell = cells::Value;

/// REQUIRES: the column is a CRDT_ column.
ContainerKind ContainerKindOf(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kText:
      return ContainerKind::kText;
    case ColumnKind::kList:
      return ContainerKind::kList;
    case ColumnKind::kMap:
      return ContainerKind::kMap;
    case ColumnKind::kCounter:
      return ContainerKind::kCounter;
    case ColumnKind::kMovableList:
      return ContainerKind::kMovableList;
    case ColumnKind::kTree:
      return ContainerKind::kTree;
    case ColumnKind::kKey:
    case ColumnKind::kScalar:
      break;
  }
  MERROW_CHECK(false);
}

// --- JSON ---

void AppendContainerJson(const Document& document, const ContainerId& id, std::string* out) {
  if (id.kind() == ContainerKind::kText) {
    loro::AppendJsonString(document.Text(id), out);
  } else if (id.kind() == ContainerKind::kCounter) {
    loro::AppendJsonNumber(document.CounterValue(id), out);
  } else if (document.HasContainer(id)) {
    document.AppendJson(id, out);
  } else {
    *out += id.kind() == ContainerKind::kMap ? "{}" : "[]";
  }
}

/// Recursion is bounded by kValueDepthMax, which the decoder enforces.
void AppendJson(const Document& document, const Value& value, std::string* out) {
  if (const auto* flag = value.If<bool>()) {
    *out += *flag ? "true" : "false";
  } else if (const auto* integer = value.If<int64_t>()) {
    *out += std::to_string(*integer);
  } else if (const auto* number = value.If<double>()) {
    loro::AppendJsonNumber(*number, out);
  } else if (const auto* text = value.If<std::string>()) {
    loro::AppendJsonString(*text, out);
  } else if (const auto* binary = value.If<Value::Binary>()) {
    const char* separator = "[";
    for (const char byte : binary->bytes) {
      *out += separator;
      *out += std::to_string(static_cast<unsigned char>(byte));
      separator = ",";
    }
    *out += binary->bytes.empty() ? "[]" : "]";
  } else if (const auto* list = value.If<Value::List>()) {
    const char* separator = "";
    out->push_back('[');
    for (const Value& item : *list) {
      *out += separator;
      AppendJson(document, item, out);
      separator = ",";
    }
    out->push_back(']');
  } else if (const auto* map = value.If<Value::Map>()) {
    const char* separator = "";
    out->push_back('{');
    for (const auto& [key, item] : *map) {
      *out += separator;
      loro::AppendJsonString(key, out);
      out->push_back(':');
      AppendJson(document, item, out);
      separator = ",";
    }
    out->push_back('}');
  } else if (const auto* child = value.If<ContainerId>()) {
    AppendContainerJson(document, *child, out);
  } else {
    *out += "null";
  }
}

// --- SQL values ---

Cell NumberCell(double number) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (number == std::trunc(number) && number >= -kTwoTo63 && number < kTwoTo63) {
    return Cell::Integer(static_cast<int64_t>(number));
  }
  return Cell::Real(number);
}

Cell ContainerCell(const Document& document, const ContainerId& id) {
  if (id.kind() == ContainerKind::kText) {
    return Cell::Text(document.Text(id));
  }
  if (id.kind() == ContainerKind::kCounter) {
    return NumberCell(document.CounterValue(id));
  }
  Cell cell = Cell::Text("");
  AppendContainerJson(document, id, &cell.bytes);
  return cell;
}

Cell ScalarCell(const Document& document, const Value& value) {
  if (value.is_null()) {
    return Cell();
  }
  if (const auto* flag = value.If<bool>()) {
    return Cell::Integer(*flag ? 1 : 0);
  }
  if (const auto* integer = value.If<int64_t>()) {
    return Cell::Integer(*integer);
  }
  if (const auto* number = value.If<double>()) {
    return Cell::Real(*number);
  }
  if (const auto* text = value.If<std::string>()) {
    return Cell::Text(*text);
  }
  if (const auto* binary = value.If<Value::Binary>()) {
    return Cell::Blob(binary->bytes);
  }
  if (const auto* child = value.If<ContainerId>()) {
    return ContainerCell(document, *child);
  }
  Cell cell = Cell::Text("");
  AppendJson(document, value, &cell.bytes);
  return cell;
}

void Bind(Statement& statement, int index, const Cell& cell) {
  switch (cell.type) {
    case cells::ValueType::kInteger:
      statement.BindInt(index, cell.integer);
      return;
    case cells::ValueType::kReal:
      statement.BindDouble(index, cell.real);
      return;
    case cells::ValueType::kText:
      statement.BindText(index, cell.bytes);
      return;
    case cells::ValueType::kBlob:
      statement.BindBlob(index, cell.bytes);
      return;
    case cells::ValueType::kNull:
      statement.BindNull(index);
      return;
  }
}

size_t SizeOf(const Cell& cell) {
  const bool has_bytes =
      cell.type == cells::ValueType::kText || cell.type == cells::ValueType::kBlob;
  return has_bytes ? cell.bytes.size() : sizeof(int64_t);
}

/// Names of columns of `table` that an index, or the child side of a foreign key, contains. Nothing
/// if an index has an expression or a condition, which may mean any column.
Result<std::optional<std::vector<std::string>>> ColumnsInUse(Database& database,
                                                             const std::string& table) {
  MERROW_ASSIGN(
      Statement statement,
      database.Prepare("SELECT c.name, c.cid = -2 OR i.partial FROM pragma_index_list(?1, 'main') "
                       "i, pragma_index_xinfo(i.name, 'main') c WHERE c.key OR c.cid = -2 OR "
                       "i.partial UNION ALL SELECT \"from\", 0 FROM pragma_foreign_key_list(?1, "
                       "'main')"));
  statement.BindText(1, table);
  std::vector<std::string> names;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return std::optional(std::move(names));
    }
    if (statement.Int(1) != 0) {
      return std::optional<std::vector<std::string>>();
    }
    names.emplace_back(statement.Text(0));
  }
}

/// True if a CHECK, a generated column or a trigger of the table may read any of its columns.
Result<bool> HasWatchers(Database& database, const std::string& table) {
  MERROW_ASSIGN(
      Statement statement,
      database.Prepare("SELECT type, sql FROM main.sqlite_schema "
                       "WHERE tbl_name = ?1 COLLATE NOCASE AND (type = 'table' OR (type = "
                       "'trigger' AND name NOT LIKE '\\_merrow\\_%' ESCAPE '\\'))"));
  statement.BindText(1, table);
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return false;
    }
    if (statement.Text(0) == "trigger") {
      return true;
    }
    MERROW_ASSIGN(const CreateTable created, CreateTable::Parse(statement.Text(1)));
    if (created.HasWord("check") || created.HasWord("as")) {
      return true;
    }
  }
}

}  // namespace

const ContainerId& RowMap() {
  static const ContainerId id = ContainerId::Root("row", ContainerKind::kMap);
  return id;
}

bool IsCrdt(const Column& column) {
  return column.kind != ColumnKind::kKey && column.kind != ColumnKind::kScalar;
}

ContainerId ColumnSource(const Document& document, const Column& column) {
  const ContainerKind kind = ContainerKindOf(column.kind);
  ContainerId root = ContainerId::Root(column.name, kind);
  const bool has_length = kind != ContainerKind::kCounter && kind != ContainerKind::kTree;
  const bool in_use = has_length ? document.Length(root) > 0 : document.HasContainer(root);
  if (in_use) {
    return root;
  }
  const std::optional<Value> slot = document.MapGet(RowMap(), column.name);
  if (slot.has_value()) {
    const ContainerId* const child = slot->If<ContainerId>();
    if (child != nullptr && child->kind() == kind) {
      return *child;
    }
  }
  return root;
}

std::optional<cells::Value> ColumnValue(const Document& document, const Column& column) {
  if (IsCrdt(column)) {
    return ContainerCell(document, ColumnSource(document, column));
  }
  const std::optional<Value> slot = document.MapGet(RowMap(), column.name);
  if (!slot.has_value()) {
    return std::nullopt;
  }
  return ScalarCell(document, *slot);
}

void AppendRowJson(const Table& table, std::string_view key, const Document& document,
                   std::string* out) {
  char separator = '{';
  for (const Column& column : table.columns) {
    out->push_back(separator);
    separator = ',';
    loro::AppendJsonString(column.name, out);
    out->push_back(':');
    if (column.kind == ColumnKind::kKey) {
      loro::AppendJsonString(key, out);
    } else if (IsCrdt(column)) {
      AppendContainerJson(document, ColumnSource(document, column), out);
    } else {
      AppendJson(document, document.MapGet(RowMap(), column.name).value_or(Value()), out);
    }
  }
  out->push_back('}');
}

void Projection::BuildSql() {
  const std::string key = QuoteIdentifier(table_->key().name);
  std::string names;
  std::string values;
  std::string updates;
  int flag = static_cast<int>(table_->columns.size());
  for (size_t i = 0; i < table_->columns.size(); ++i) {
    const Column& column = table_->columns[i];
    const std::string name = QuoteIdentifier(column.name);
    const std::string parameter = "?" + std::to_string(i + 1);
    names += (i == 0 ? "" : ", ") + name;
    values += i == 0 ? "" : ", ";
    if (column.default_sql.empty()) {
      default_flags_.push_back(0);
      values += parameter;
    } else {
      default_flags_.push_back(++flag);
      values += "CASE WHEN ?" + std::to_string(flag) + " THEN " + column.default_sql + " ELSE " +
                parameter + " END";
    }
    if (column.kind != ColumnKind::kKey) {
      updates += (updates.empty() ? "" : ", ") + name + " = excluded." + name;
    }
  }
  // OR ABORT: a conflict clause in the table's own definition must not delete another row.
  sql_ = "INSERT OR ABORT INTO main." + QuoteIdentifier(table_->name) + " (" + names +
         ") VALUES (" + values + ") ON CONFLICT (" + key + ") DO UPDATE SET " + updates;
}

Result<Projection> Projection::Make(Database& database, const Table& table) {
  Projection projection(table);
  projection.BuildSql();
  MERROW_ASSIGN(const bool watched, HasWatchers(database, table.name));
  MERROW_ASSIGN(const auto in_use, ColumnsInUse(database, table.name));
  projection.nested_may_wait_ = true;
  for (const Column& column : table.columns) {
    const bool may_wait = IsCrdt(column) && !watched && in_use.has_value() &&
                          std::find(in_use->begin(), in_use->end(), column.name) == in_use->end();
    projection.may_wait_.push_back(may_wait);
    projection.nested_may_wait_ = projection.nested_may_wait_ && (may_wait || !IsCrdt(column));
  }
  // Compiled now, so that what cannot work is refused when the store opens.
  MERROW_TRY(database.Prepare(projection.sql_));
  return projection;
}

Projection::Effect Projection::EffectOf(std::span<const ContainerId> changed) const {
  Effect effect = Effect::kNone;
  for (const ContainerId& id : changed) {
    bool may_wait = nested_may_wait_;
    if (id == RowMap()) {
      return Effect::kImmediate;
    }
    if (id.is_root()) {
      const Column* const column = table_->FindColumn(id.name());
      if (column == nullptr || !IsCrdt(*column) || ContainerKindOf(column->kind) != id.kind()) {
        continue;  // no column shows it
      }
      may_wait = may_wait_[static_cast<size_t>(column - table_->columns.data())];
    }
    if (!may_wait) {
      return Effect::kImmediate;
    }
    effect = Effect::kMayWait;
  }
  return effect;
}

Status Projection::WriteRow(Database& database, std::string_view key, const Document& document,
                            size_t* row_bytes) const {
  std::vector<Cell> cells(table_->columns.size());  // must outlive the statement
  MERROW_ASSIGN(Statement statement, database.Prepare(sql_));
  *row_bytes = key.size();
  for (size_t i = 0; i < cells.size(); ++i) {
    const Column& column = table_->columns[i];
    const int index = static_cast<int>(i) + 1;
    if (column.kind == ColumnKind::kKey) {
      statement.BindText(index, key);
      continue;
    }
    std::optional<Cell> value = ColumnValue(document, column);
    const bool absent = !value.has_value();
    cells[i] = absent ? Cell() : *std::move(value);
    Bind(statement, index, cells[i]);
    if (default_flags_[i] != 0) {
      statement.BindInt(default_flags_[i], absent ? 1 : 0);
    }
    *row_bytes += SizeOf(cells[i]);
  }
  const Status status = statement.Run();
  if (!status.ok()) {
    return status.error().Within("row " + table_->name + "/" + std::string(key));
  }
  return {};
}

size_t Projection::LongColumnBytes(const Document& document) const {
  size_t bytes = 0;
  for (size_t i = 0; i < may_wait_.size(); ++i) {
    const Column& column = table_->columns[i];
    if (may_wait_[i] && column.kind == ColumnKind::kText) {
      bytes += document.Length(ColumnSource(document, column));
    }
  }
  return bytes;
}

}  // namespace merrow::store
