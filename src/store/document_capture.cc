// SPDX-License-Identifier: Apache-2.0
#include "store/document_capture.h"

#include "cells/value.h"
#include "store/cell_guard.h"

namespace merrow::store {
namespace {

DocumentEvents& EventsOf(sqlite3_context* context) {
  return *static_cast<DocumentEvents*>(sqlite3_user_data(context));
}

Status RecordWrite(DocumentEvents& events, int count, sqlite3_value** values) {
  if (events.is_writing()) {
    return {};
  }
  const cells::ValueView key = ArgumentValue(values[1]);
  if (key.type != cells::ValueType::kText) {
    return InvalidArgument("the key of a document is text, not " + cells::Describe(key));
  }
  if (count > 2 && !cells::SameValue(key, ArgumentValue(values[2]))) {
    return InvalidArgument(
        "the key of a document cannot change: " + cells::Describe(ArgumentValue(values[2])) +
        " is what other sites know it by");
  }
  return events.RowWritten(sqlite3_value_int64(values[0]), key.bytes);
}

void Write(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&] { return RecordWrite(EventsOf(context), count, values); });
}

void Delete(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    if (EventsOf(context).is_writing()) {
      return {};
    }
    return InvalidArgument(
        "row " + cells::Describe(ArgumentValue(values[1])) +
        " is a document, which cannot be deleted: sites that are editing it would bring a part of "
        "it back; mark it in a column instead, or empty its columns");
  });
}

}  // namespace

Status RegisterDocumentFunctions(sqlite3* db, DocumentEvents* events) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
  const struct {
    const char* name;
    int arguments;
    void (*function)(sqlite3_context*, int, sqlite3_value**);
  } functions[] = {{"merrow_document_insert", 2, Write},
                   {"merrow_document_update", 3, Write},
                   {"merrow_document_delete", 2, Delete}};
  for (const auto& function : functions) {
    const int code =
        sqlite3_create_function_v2(db, function.name, function.arguments, kFlags, events,
                                   function.function, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
      return SqlError(db, code, std::string("registering ") + function.name);
    }
  }
  return {};
}

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
  MERROW_TRY(CapturePending());
  return rows_.Untrack(table);
}

// --- A transaction.

Status DocumentCapture::Refresh() {
  MERROW_ASSIGN(const bool is_other_data, rows_.Refresh());
  if (is_other_data) {
    log_.reset();
  }
  return {};
}

Status DocumentCapture::RowWritten(int64_t table_id, std::string_view key) {
  MERROW_TRY(store_.Join());
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
  return log_.get();
}

Status DocumentCapture::CheckNoServer() {
  const char* const path = sqlite3_db_filename(store_.db(), "main");
  if (!options_.heed_server || path == nullptr || *path == '\0') {
    return {};
  }
  return FileLock::CheckFree(path);
}

Status DocumentCapture::BeforeCommit() {
  // The database's write lock is held here. A server that takes its own from now on reads what this
  // transaction wrote.
  MERROW_TRY(CheckNoServer());
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
  }
  return {};
}

void DocumentCapture::Committed() {
  pending_.clear();
  captured_.clear();
  if (log_ != nullptr) {
    log_->Committed();
  }
}

void DocumentCapture::RolledBack() {
  rows_.Forget();
  drop_log_later_ = log_in_use_ && !store_.transaction().active();
  if (!log_in_use_) {
    log_.reset();
  }
  pending_.merge(captured_);
  captured_.clear();
  if (!store_.transaction().active()) {
    pending_.clear();
  }
}

void DocumentCapture::FinalizeStatements() {
  log_.reset();
  database_->FinalizeStatements();
}

}  // namespace merrow::store
