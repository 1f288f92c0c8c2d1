// SPDX-License-Identifier: Apache-2.0
#include "store/document_capture.h"

namespace merrow::store {
DocumentCapture::DocumentCapture(CellStore& store, const DocumentCaptureOptions& options)
    : store_(store),
      options_(options),
      database_(Database::Borrow(store.db())),
      rows_(
          *database_, [random = options.random] { return random->Next(); }, options.limits) {}

DocumentCapture::~DocumentCapture() = default;

Result<DocumentCapture*> DocumentCapture::Attach(CellStore& store,
                                                 const DocumentCaptureOptions& options) {
  MERROW_CHECK(options.clock != nullptr && options.random != nullptr);
  std::unique_ptr<DocumentCapture> made(new DocumentCapture(store, options));
  DocumentCapture* const capture = made.get();
  store.SetListener(std::move(made));
  MERROW_TRY(RegisterDocumentFunctions(store.db(), capture));
  return capture;
}

// --- Tables.

Status DocumentCapture::Track(const std::string& table) {
  for (const std::string_view prefix : {"_merrow_", "sqlite_"}) {
    if (SameSqlName(std::string_view(table).substr(0, prefix.size()), prefix)) {
      return InvalidArgument("table " + table + ": tables whose names begin with " +
                             std::string(prefix) + " are not the user's");
    }
  }
  MERROW_ASSIGN(const bool has_documents, rows_.HasCrdtColumns(table));
  if (!has_documents) {
    MERROW_TRY(store_.Track(table));
  } else {
    MERROW_TRY(store_.tables().Initialize());
    MERROW_TRY(store_.Join());
    MERROW_TRY(CapturePending());
    MERROW_TRY(rows_.Track(table));
  }
  MERROW_ASSIGN(const bool has_log, HasLog());
  if (!has_log) {
    return {};
  }
  // What waited for the table, or for its new columns.
  MERROW_TRY(store_.Join());
  MERROW_ASSIGN(ReplicaLog* const log, Log());
  MERROW_TRY(NoteOps(*log));
  MERROW_TRY(WithLog([log] { return log->ApplyWaiting(); }));
  return {};
}

Status DocumentCapture::Untrack(const std::string& table) {
  MERROW_TRY(Refresh());
  if (!rows_.HasTable(table)) {
    return store_.Untrack(table);
  }
  MERROW_TRY(store_.tables().Initialize());
  MERROW_TRY(store_.Join());
  MERROW_TRY(CapturePending());
  return rows_.Untrack(table);
}

// --- A transaction.

Status DocumentCapture::Refresh() {
  store_.WatchClose();
  MERROW_ASSIGN(const DocumentRows::Refreshed refreshed, rows_.Refresh());
  // Another schema may be another database, which a backup was restored into.
  if (refreshed.data_changed || (refreshed.tables_read && !log_was_used_)) {
    log_.reset();
  }
  const bool is_written = sqlite3_txn_state(store_.db(), "main") == SQLITE_TXN_WRITE;
  if (!refreshed.tables_read || !is_written || store_.transaction().active()) {
    return {};
  }
  // These tables may be undone, and only who has joined is told.
  MERROW_TRY(store_.tables().Refresh());
  if (!store_.tables().initialized()) {
    rows_.ForgetTables();
    return {};
  }
  return store_.Join();
}

Status DocumentCapture::RowWritten(int64_t table_id, std::string_view key) {
  const Status joined = store_.Join();
  if (!joined.ok() && !store_.tables().initialized()) {
    // In the middle of a statement no tables can be made.
    return InvalidArgument(
        "the database is one of a server, or an attached one; of a server's, run SELECT "
        "merrow_track() with the table first, and write an attached one over a connection of its "
        "own");
  }
  MERROW_TRY(joined);
  if (pending_.empty()) {
    MERROW_TRY(Refresh());
    MERROW_ASSIGN(const bool has_stale, rows_.HasStaleRows());
    if (has_stale) {
      return InvalidArgument(
          "rows wait for their columns, which a server left for later; run SELECT merrow_track() "
          "with the table first");
    }
  }
  pending_.emplace(table_id, key);
  return {};
}

Status DocumentCapture::CapturePending() {
  MERROW_TRY(Refresh());
  while (!pending_.empty()) {
    // A trigger of the user's may write more rows, so this is not a loop over the set.
    const Row row = *pending_.begin();
    MERROW_TRY(rows_.Capture(row.first, row.second));
    captured_.insert(pending_.extract(row));
  }
  return {};
}

Status DocumentCapture::Settle() { return pending_.empty() ? Refresh() : CapturePending(); }

Result<bool> DocumentCapture::HasLog() {
  if (log_ != nullptr) {
    return true;
  }
  MERROW_ASSIGN(const int64_t count,
                database_->QueryInt("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' "
                                    "AND name = '_merrow_source'"));
  return count != 0;
}

Result<ReplicaLog*> DocumentCapture::Log() {
  MERROW_TRY(Settle());
  if (log_ == nullptr) {
    ReplicaOptions options;
    options.clock = options_.clock;
    options.documents = &rows_;
    MERROW_ASSIGN(log_, ReplicaLog::Open(store_, options));
  }
  log_was_used_ = true;
  return log_.get();
}

Status DocumentCapture::CheckNoServer() {
  const char* const path = sqlite3_db_filename(store_.db(), "main");
  if (!options_.heed_server || path == nullptr || *path == '\0') {
    return {};
  }
  return FileLock::CheckFree(path);
}

/// Triggers do not say which database they are in. Those of another one would be heard as if rows
/// of this one had been written, and nothing would be recorded there.
Status DocumentCapture::CheckAttached() {
  constexpr int kDbNameVersion = 3039000;  // asks for more than sqlite_api.h promises
  constexpr int kFirstAttached = 2;
  if (sqlite3_libversion_number() >= kDbNameVersion &&
      sqlite3_db_name(store_.db(), kFirstAttached) == nullptr) {
    return {};
  }
  MERROW_ASSIGN(Statement attached,
                database_->Prepare("SELECT name FROM pragma_database_list WHERE "
                                   "seq > 1"));
  while (true) {
    MERROW_ASSIGN(const bool row, attached.Step());
    if (!row) {
      return {};
    }
    const std::string name(attached.Text(0));
    if (sqlite3_txn_state(store_.db(), name.c_str()) != SQLITE_TXN_WRITE) {
      continue;
    }
    MERROW_ASSIGN(const int64_t is_ours,
                  database_->QueryInt("SELECT EXISTS (SELECT 1 FROM " + QuoteIdentifier(name) +
                                      ".sqlite_schema WHERE type = 'trigger' AND name LIKE "
                                      "'\\_merrow\\_%' ESCAPE '\\')"));
    if (is_ours != 0) {
      return InvalidArgument("attached database " + name +
                             " has tracked tables, and this connection records what it writes to "
                             "its main database; write there over a connection of its own");
    }
  }
}

Status DocumentCapture::BeforeCommit() {
  // The database's write lock is held here. A server that takes its own from now on reads what this
  // transaction wrote.
  MERROW_TRY(CheckNoServer());
  MERROW_TRY(CheckAttached());
  if (store_.is_altering()) {
    return InvalidArgument(
        "a table is being altered, and nothing would be recorded of it any more; "
        "crsql_commit_alter comes before the commit");
  }
  if (!pending_.empty()) {
    MERROW_TRY(CapturePending());
  }
  if (log_ == nullptr && !rows_.has_ops()) {
    return {};
  }
  MERROW_ASSIGN(const bool has_log, HasLog());
  if (!has_log) {
    // All documents count as new once there is one.
    MERROW_TRY(rows_.TakeOps());
    return {};
  }
  MERROW_ASSIGN(ReplicaLog* const log, Log());
  MERROW_TRY(NoteOps(*log));
  MERROW_TRY(WithLog([log] { return log->NoteLocal(); }));
  return {};
}

Status DocumentCapture::NoteOps(ReplicaLog& log) {
  MERROW_ASSIGN(const DocumentOpsById ops, rows_.TakeOps());
  for (const auto& [id, document_ops] : ops) {
    log.NoteDocument(document_ops);
    AddOps(document_ops, &noted_);
  }
  return {};
}

void DocumentCapture::Committed() {
  pending_.clear();
  captured_.clear();
  noted_.clear();
  changes_when_asked_.reset();
  log_was_used_ = false;
  if (log_ != nullptr) {
    log_->Committed();
  }
}

void DocumentCapture::RolledBack() {
  rows_.Forget();
  const bool is_over = !store_.transaction().active();
  drop_log_later_ = log_in_use_ && is_over;
  changes_when_asked_.reset();
  if (is_over) {
    noted_.clear();
    log_was_used_ = false;
  }
  if (!log_in_use_) {
    log_.reset();
    // Those that were undone are left out when they are taken again.
    for (const auto& [id, ops] : std::exchange(noted_, {})) {
      rows_.NoteOps(ops);
    }
  }
  pending_.merge(captured_);
  captured_.clear();
  if (is_over) {
    pending_.clear();
  }
}

void DocumentCapture::FinalizeStatements() {
  log_.reset();
  database_->FinalizeStatements();
}

}  // namespace merrow::store
