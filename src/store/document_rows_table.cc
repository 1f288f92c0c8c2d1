// SPDX-License-Identifier: Apache-2.0
//
// The tables of document_rows.h: reading what they are, tracking and untracking them.
#include "store/document_rows_table.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "store/cell_statement.h"
#include "store/database_file.h"
#include "store/document_capture_triggers.h"

namespace merrow::store {
namespace {

/// To be raised when row_edit.h makes other ops of a new row than it did. DO NOT CHANGE otherwise:
/// equal peers must mean equal ops.
constexpr std::string_view kContentVersion = "merrow row 1";

}  // namespace

loro::PeerId ContentPeer(const Table& table, std::span<const cells::ValueView> row) {
  Bytes content(kContentVersion);
  cells::AppendPackedColumn(cells::ValueView::Text(table.name), content);
  for (size_t i = 0; i < row.size(); ++i) {
    cells::AppendPackedColumn(cells::ValueView::Text(table.columns[i].name), content);
    cells::AppendPackedColumn(row[i], content);
  }
  const uint64_t hash = XXH3_64bits(content.data(), content.size());
  return hash == loro::kNoPeer ? 0 : hash;
}

// --- Reading.

Status DocumentRows::LoadTables() {
  tables_.clear();
  MERROW_ASSIGN(const int64_t exists,
                database_.QueryInt("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' "
                                   "AND name IN ('_merrow_table', '_merrow_document')"));
  if (exists != 2) {
    return {};
  }
  std::vector<std::string> definitions;
  {
    // A table that was renamed has taken its triggers along.
    MERROW_ASSIGN(Statement statement,
                  database_.Prepare(
                      "SELECT t.id, coalesce(g.tbl_name, t.name), s.sql, t.name <> g.tbl_name "
                      "COLLATE NOCASE FROM main._merrow_table t LEFT JOIN main.sqlite_schema g ON "
                      "g.type = 'trigger' AND g.name = '_merrow_document_' || t.id || '_insert' "
                      "LEFT JOIN main.sqlite_schema s ON s.type = 'table' AND s.name = "
                      "coalesce(g.tbl_name, t.name) COLLATE NOCASE ORDER BY t.id"));
    while (true) {
      MERROW_ASSIGN(const bool row, statement.Step());
      if (!row) break;
      auto table = std::make_unique<TableState>();
      table->id = statement.Int(0);
      table->name = statement.Text(1);
      table->is_renamed = statement.Int(3) != 0;
      definitions.emplace_back(statement.Text(2));
      tables_.push_back(std::move(table));
    }
  }
  for (size_t i = 0; i < tables_.size(); ++i) {
    TableState& table = *tables_[i];
    table.is_there = !definitions[i].empty();
    table.usable = table.is_there
                       ? LoadTable(definitions[i], &table)
                       : Status(NotFound("document table " + table.name + " is not there"));
  }
  return {};
}

Status DocumentRows::LoadTable(const std::string& sql, TableState* table) {
  MERROW_ASSIGN(const Schema schema, Schema::Parse(sql));
  if (schema.tables().size() != 1) {
    return InvalidArgument("table " + table->name + " has no CRDT_ column any more");
  }
  table->table = std::make_unique<const Table>(schema.tables()[0]);
  table->name = table->table->name;
  const std::string key = QuoteIdentifier(table->table->key().name);
  table->page_sql = "SELECT " + key + " FROM main." + QuoteIdentifier(table->name) + " WHERE " +
                    key + " > ?1 ORDER BY 1 LIMIT " + std::to_string(kDocumentKeysPerPage);
  MERROW_ASSIGN(table->projection, Projection::Make(database_, *table->table));
  MERROW_ASSIGN(RowCapture capture, RowCapture::Make(database_, *table->table));
  table->capture.emplace(std::move(capture));
  return {};
}

Result<bool> DocumentRows::HasCrdtColumns(const std::string& table) {
  MERROW_ASSIGN(Statement statement,
                database_.Prepare("SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1, 'main') "
                                  "WHERE type LIKE 'CRDT\\_%' ESCAPE '\\')"));
  statement.BindText(1, table);
  MERROW_ASSIGN(const bool row, statement.Step());
  return row && statement.Int(0) != 0;
}

// --- Tracking.

Status DocumentRows::CreateTables() {
  MERROW_ASSIGN(const int64_t exists,
                database_.QueryInt("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' "
                                   "AND name = '_merrow_document'"));
  if (exists != 0) {
    return {};
  }
  return CreateDocumentTables(database_);
}

Status DocumentRows::NoteNames() {
  for (const auto& table : tables_) {
    if (!table->is_renamed) continue;
    MERROW_ASSIGN(Statement update,
                  database_.Prepare("UPDATE main._merrow_table SET name = ?2 WHERE id = ?1"));
    update.BindInt(1, table->id);
    update.BindText(2, table->name);
    MERROW_TRY(update.Run());
    table->is_renamed = false;
  }
  return {};
}

Status DocumentRows::Track(const std::string& name) {
  MERROW_TRY(CreateTables());
  MERROW_TRY(Refresh());
  MERROW_TRY(NoteNames());
  const bool was_tracked = FindTable(name).has_value();
  if (!was_tracked) {
    MERROW_ASSIGN(Statement insert,
                  database_.Prepare("INSERT INTO main._merrow_table (name) SELECT name FROM "
                                    "main.sqlite_schema WHERE type = 'table' AND name = ?1 "
                                    "COLLATE NOCASE"));
    insert.BindText(1, name);
    MERROW_TRY(insert.Run());
    schema_version_ = -1;
    MERROW_TRY(Refresh());
  }
  const std::optional<size_t> found = FindTable(name);
  if (!found.has_value()) {
    return NotFound("there is no table " + name);
  }
  const TableState& table = *tables_[*found];
  MERROW_TRY(table.usable);
  MERROW_ASSIGN(const bool was_heard, HasDocumentTriggers(database_, table.id));
  MERROW_TRY(CreateDocumentTriggers(database_, table.id, *table.table));
  MERROW_TRY(Refresh());
  if (was_tracked) {
    MERROW_TRY(ProjectAll(*found));
    if (was_heard) {
      return {};
    }
  }
  MERROW_ASSIGN(
      const int64_t bad_keys,
      database_.QueryInt("SELECT EXISTS (SELECT 1 FROM main." + QuoteIdentifier(name) +
                         " WHERE typeof(" + QuoteIdentifier(tables_[*found]->table->key().name) +
                         ") <> 'text')"));
  if (bad_keys != 0) {
    return InvalidArgument("table " + name + ": the key of every row must be text");
  }
  return CaptureAll(*found);
}

Status DocumentRows::Untrack(const std::string& name) {
  const std::optional<size_t> found = FindTable(name);
  if (!found.has_value()) {
    return NotFound("table " + name + " is not tracked");
  }
  const int64_t table_id = tables_[*found]->id;
  const std::string id = std::to_string(table_id);
  MERROW_TRY(DropDocumentTriggers(database_, table_id));
  const std::string documents =
      "(SELECT id FROM main._merrow_document WHERE table_id = " + id + ")";
  const std::string sql = "DELETE FROM main._merrow_log WHERE id >> 24 IN " + documents +
                          "; DELETE FROM main._merrow_stale WHERE table_id = " + id +
                          "; DELETE FROM main._merrow_document WHERE table_id = " + id +
                          "; DELETE FROM main._merrow_table WHERE id = " + id;
  MERROW_TRY(database_.Execute(sql));
  ResetMemory();
  MERROW_TRY(Refresh());
  return {};
}

}  // namespace merrow::store
