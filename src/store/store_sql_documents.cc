// SPDX-License-Identifier: Apache-2.0
//
// SQL writes to document tables: the triggers say which rows were written, and before the commit
// each of them becomes ops of its document (row_edit.h), which go on like those of a client.
#include "store/store_sql_documents.h"
#include "store/cell_statement.h"
#include "store/row_edit.h"
#include "store/store_impl.h"

namespace merrow::store {
namespace {

/// What the columns of a table show if a document says nothing of them.
Result<std::vector<cells::Value>> ReadDefaults(Database& database, const Table& table) {
  std::vector<cells::Value> defaults;
  for (const Column& column : table.columns) {
    const std::string& sql = column.default_sql;
    MERROW_ASSIGN(Statement value, database.Prepare("SELECT " + (sql.empty() ? "NULL" : sql)));
    MERROW_TRY(value.Step());
    defaults.emplace_back(ColumnValue(value.handle(), 0));
  }
  return defaults;
}

std::string ReadSql(const Table& table) {
  std::string columns;
  for (const Column& column : table.columns) {
    columns += (columns.empty() ? "" : ", ") + QuoteIdentifier(column.name);
  }
  return "SELECT " + columns + " FROM " + QuoteIdentifier(table.name) + " WHERE " +
         QuoteIdentifier(table.key().name) + " = ?1";
}

}  // namespace

Status Store::Impl::OpenSqlDocuments() {
  uint64_t peer = 0;
  sqlite3_randomness(sizeof(peer), &peer);
  sql_documents_ = std::make_unique<SqlDocuments>();
  sql_documents_->peer = peer == loro::kNoPeer ? 0 : peer;
  return RegisterDocumentFunctions(database_->handle(), sql_documents_.get());
}

Status Store::Impl::OpenSqlTable(const TableState& state) {
  MERROW_ASSIGN(std::vector<cells::Value> defaults, ReadDefaults(*database_, *state.table));
  sql_documents_->tables.push_back(
      {RowEditor(*state.table, std::move(defaults)), ReadSql(*state.table)});
  return CreateDocumentTriggers(*database_, state.id, *state.table);
}

Status Store::Impl::CaptureRows() {
  // A trigger of the schema cannot write documents, so nothing is added on the way.
  for (const auto& [table_id, key] : sql_documents_->TakeRows()) {
    for (size_t i = 0; i < tables_.size(); ++i) {
      if (tables_[i].id != table_id) continue;
      const Status captured = CaptureRow({i, key});
      if (!captured.ok()) {
        return captured.error().Within(Describe({i, key}));
      }
      cache_.EvictToBudget();
    }
  }
  return {};
}

Status Store::Impl::CaptureRow(const DocumentName& name) {
  MERROW_TRY(CheckKey(name.key));
  if (stale_.contains(name)) {
    return Conflict("the row does not show its document, because the table refuses that");
  }
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, IfAbsent::kCreate));
  // Forgotten with the transaction, whatever goes wrong.
  touched_.push_back(name);
  entry->unsaved = true;
  VersionVector before = entry->document.version();
  const bool created = entry->id == 0;
  bool shows = true;
  MERROW_ASSIGN(const bool edited, EditDocument(entry, &shows));
  if (edited) {
    auto delta = std::make_shared<const Bytes>(entry->document.ExportUpdates(before));
    MERROW_TRY(CheckSize(*entry, delta->size()));
    MERROW_TRY(SaveOps(entry, *delta));
    cache_.Grew(*entry, delta->size());
    if (OutgrewBase(*entry)) {
      QueueFold(*entry);
    }
    VersionVector after = entry->document.version();
    NoteOps(name, {entry->id, false, after.SpansNotIn(before)});
    notices_.push_back({tables_[name.table].table->name, name.key,
                        Applied{std::move(before), std::move(after), std::move(delta), created}});
  }
  entry->unsaved = false;
  if (entry->id == 0) {
    Discard(entry);  // the row is not there any more
    return {};
  }
  return shows ? Status() : ProjectRow(entry);
}

Result<bool> Store::Impl::EditDocument(CachedDocument* entry, bool* shows) {
  const SqlDocuments::TableOfRows& table = sql_documents_->tables[entry->name.table];
  MERROW_ASSIGN(Statement statement, database_->Prepare(table.read_sql));
  statement.BindText(1, entry->name.key);
  MERROW_ASSIGN(const bool is_there, statement.Step());
  if (!is_there && entry->id != 0) {
    return InvalidArgument(
        "another row replaced it, but it is a document, which cannot be deleted");
  }
  if (!is_there) {
    return false;
  }
  std::vector<cells::ValueView> row;
  for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
    row.push_back(ColumnValue(statement.handle(), i));
  }
  MERROW_TRY(entry->document.SetPeer(sql_documents_->peer));
  MERROW_ASSIGN(bool edited, table.editor.Apply(row, entry->document));
  if (!edited && entry->id == 0) {
    MERROW_TRY(table.editor.MakeExist(entry->name.key, entry->document));
    edited = true;
  }
  entry->document.Commit();
  *shows = table.editor.Shows(row, entry->document);
  return edited;
}

}  // namespace merrow::store
