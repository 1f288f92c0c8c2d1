// SPDX-License-Identifier: Apache-2.0
//
// SQL writes to document tables: the triggers say which rows were written, and before the commit
// each of them becomes ops of its document (row_edit.h), which go on like those of a client.
#include "store/store_sql_documents.h"
#include "store/row_capture.h"
#include "store/store_impl.h"

namespace merrow::store {

Status Store::Impl::OpenSqlDocuments() {
  uint64_t peer = 0;
  sqlite3_randomness(sizeof(peer), &peer);
  sql_documents_ = std::make_unique<SqlDocuments>();
  sql_documents_->peer = peer == loro::kNoPeer ? 0 : peer;
  return RegisterDocumentFunctions(database_->handle(), sql_documents_.get());
}

Status Store::Impl::OpenSqlTable(const TableState& state) {
  MERROW_ASSIGN(RowCapture capture, RowCapture::Make(*database_, *state.table));
  sql_documents_->tables.push_back(std::move(capture));
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
  const auto peer = [this](std::span<const cells::ValueView>) { return sql_documents_->peer; };
  MERROW_ASSIGN(const RowCapture::Outcome outcome,
                sql_documents_->tables[name.table].Edit(name.key, created, peer, entry->document));
  if (outcome.edited) {
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
  return outcome.shows ? Status() : ProjectRow(entry);
}

}  // namespace merrow::store
