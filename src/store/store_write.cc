// SPDX-License-Identifier: Apache-2.0
//
// Writing documents: imports, their logs and rows, one transaction for a batch.
#include "store/store_impl.h"

namespace merrow::store {
namespace {

// After a transaction that failed, and between tries.
constexpr int64_t kProbePauseMs = 10'000;

// Whether a blob is a shallow snapshot. A row has its whole history: it is stored as updates, and
// clients may ask for any part of it. What does not decode is for the import to refuse.
bool StartsTrimmed(BytesView blob) {
  const Result<loro::BlobMeta> meta = loro::ReadBlobMeta(blob);
  return meta.ok() && meta->is_shallow;
}

}  // namespace

std::vector<WriteResult> Store::Impl::ApplyBatch(std::span<const Write> writes) {
  std::vector<WriteResult> results;
  results.reserve(writes.size());
  touched_.clear();
  const Status status = ApplyAll(writes, &results);
  NoteWritten(status);
  if (!status.ok()) {
    ForgetTransaction();
    results.assign(writes.size(), WriteResult(status.error().Within("nothing was stored")));
  } else {
    ++stats_.transactions;
  }
  for (const WriteResult& result : results) {
    const Applied* const applied = std::get_if<Applied>(&result);
    if (applied == nullptr) {
      ++stats_.updates_refused;
    } else if (applied->delta != nullptr) {
      ++stats_.updates_applied;
      stats_.log_bytes_appended += applied->delta->size();
    }
  }
  cache_.EvictToBudget();
  return results;
}

Status Store::Impl::ApplyAll(std::span<const Write> writes, std::vector<WriteResult>* results) {
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  for (const Write& write : writes) {
    MERROW_ASSIGN(WriteResult result, ApplyOne(write));
    results->push_back(std::move(result));
    cache_.EvictToBudget();
  }
  return Commit(transaction);
}

/// Whether the file takes writes, for the status page: what is refused says nothing about that.
void Store::Impl::NoteWritten(const Status& status) {
  const int changes = sqlite3_total_changes(database_->handle());
  if (status.ok()) {
    // A transaction that wrote nothing did not need the disk.
    if (changes != changes_at_failure_) {
      stats_.write_error.clear();
    }
    return;
  }
  changes_at_failure_ = changes;
  const ErrorCode code = status.error().code();
  if (code != ErrorCode::kIo && code != ErrorCode::kBusy && code != ErrorCode::kCorruption) {
    return;
  }
  ++stats_.write_failures;
  if (stats_.write_error.empty()) {
    write_failing_since_ms_ = options_.clock->MonotonicMicros() / 1000;
  }
  stats_.write_error = status.error().ToString();
  // As long as others try they find out; and what is damaged in one place is not well because
  // another one can be written.
  probe_due_ms_ = code == ErrorCode::kCorruption ? INT64_MAX : NowMs() + kProbePauseMs;
}

void Store::Impl::ProbeDisk() {
  if (stats_.write_error.empty() || NowMs() < probe_due_ms_) {
    return;
  }
  probe_due_ms_ = NowMs() + kProbePauseMs;
  const Status written =
      database_->Execute("PRAGMA main.user_version = " + std::to_string(kFormatVersion));
  stats_.write_error = written.ok() ? "" : written.error().ToString();
}

/// After a rollback: memory must not know more than the disk.
void Store::Impl::ForgetTransaction() {
  for (const DocumentName& name : touched_) {
    cache_.Erase(name);
  }
  touched_.clear();
  if (replica_ != nullptr) {
    replica_->RolledBack();
  }
  // If the disk cannot even be read, the rows that wait stay noted there for the next open.
  [[maybe_unused]] const Status reloaded = ReloadStale();
}

Status Store::Impl::CheckKey(std::string_view key) const {
  return CheckDocumentKey(key, options_.limits.key_bytes_max);
}

Result<WriteResult> Store::Impl::ApplyOne(const Write& write) {
  const StoreLimits& limits = options_.limits;
  const Result<DocumentName> name = Resolve(write.table, write.key);
  if (!name.ok()) {
    return WriteResult(name.error());
  }
  if (const Status valid = CheckKey(write.key); !valid.ok()) {
    return WriteResult(valid.error());
  }
  if (write.update.size() > limits.update_bytes_max) {
    return WriteResult(LimitReached("an update of " + std::to_string(write.update.size()) +
                                    " bytes; update_bytes_max is " +
                                    std::to_string(limits.update_bytes_max)));
  }
  // Reading cannot harm the transaction, so a document that cannot be read fails alone.
  const Result<CachedDocument*> entry = Load(*name, IfAbsent::kCreate);
  if (!entry.ok()) {
    return WriteResult(entry.error());
  }
  DocumentOps ops;
  MERROW_ASSIGN(WriteResult result, ImportAndSave(*entry, write.update, &ops));
  NoteOps(*name, ops);
  return result;
}

/// Drops a document that may have more in memory than on disk.
void Store::Impl::Discard(CachedDocument* entry) {
  const DocumentName name = entry->name;
  cache_.Erase(name);
}

Result<WriteResult> Store::Impl::ImportAndSave(CachedDocument* entry, BytesView update,
                                               DocumentOps* ops) {
  VersionVector before = entry->document.version();
  if (before.empty() && StartsTrimmed(update)) {
    Discard(entry);
    return WriteResult(
        Unsupported("a shallow snapshot cannot start a row: its history is trimmed"));
  }
  entry->unsaved = true;
  const Result<ImportStatus> status = entry->document.Import(update);
  if (!status.ok() || !status->pending.empty()) {
    // A failed import leaves the document as it was, or broken. One that parked ops may have
    // applied others.
    const bool intact = status.ok() ? status->success.empty() : !entry->document.is_broken();
    if (!intact || entry->id == 0) {
      Discard(entry);
    } else {
      entry->document.DropPending();
      entry->unsaved = false;
    }
    if (!status.ok()) {
      return WriteResult(status.error());
    }
    return WriteResult(MissingDependencies{std::move(before)});
  }
  if (status->success.empty()) {
    entry->unsaved = false;
    WriteResult nothing_new = Applied{before, before, nullptr, false};
    if (entry->id == 0) {
      Discard(entry);
    }
    return nothing_new;
  }
  touched_.push_back(entry->name);
  return Save(entry, std::move(before), *status, ops);
}

Status Store::Impl::CheckSize(const CachedDocument& entry, size_t new_bytes) const {
  const size_t bytes = entry.base_bytes + entry.log_bytes + new_bytes;
  if (bytes > options_.limits.document_bytes_max) {
    return LimitReached(Describe(entry.name) + " would have " + std::to_string(bytes) +
                        " bytes; document_bytes_max is " +
                        std::to_string(options_.limits.document_bytes_max));
  }
  if (entry.next_seq > kSeqMax) {
    return Busy(Describe(entry.name) + " has a full log, which waits to be folded");
  }
  return {};
}

Result<WriteResult> Store::Impl::Save(CachedDocument* entry, VersionVector before,
                                      const ImportStatus& status, DocumentOps* ops) {
  auto delta = std::make_shared<const Bytes>(entry->document.ExportUpdates(before));
  const bool created = entry->id == 0;
  if (const Status size = CheckSize(*entry, delta->size()); !size.ok()) {
    Discard(entry);
    return WriteResult(size.error());
  }
  const Projection& projection = tables_[entry->name.table].projection;
  const auto effect =
      created ? Projection::Effect::kImmediate : projection.EffectOf(status.changed);
  MERROW_ASSIGN(Savepoint savepoint, Savepoint::Begin(database_.get()));
  // The row first: it is what may be refused.
  const Status row = SaveRow(entry, effect);
  if (!row.ok()) {
    if (!IsRefusal(row.error())) {
      return row.error();
    }
    MERROW_TRY(savepoint.Rollback());
    Discard(entry);
    const bool too_long = row.error().code() == ErrorCode::kLimit;
    return WriteResult(too_long ? row.error() : Conflict(row.error().message()));
  }
  MERROW_TRY(SaveOps(entry, *delta));
  MERROW_TRY(savepoint.Release());
  entry->unsaved = false;
  ops->document_id = entry->id;
  ops->spans = status.success;
  cache_.Grew(*entry, delta->size());
  if (OutgrewBase(*entry)) {
    QueueFold(*entry);
  }
  return WriteResult(
      Applied{std::move(before), entry->document.version(), std::move(delta), created});
}

Status Store::Impl::SaveOps(CachedDocument* entry, const Bytes& delta) {
  if (entry->id == 0) {
    MERROW_ASSIGN(entry->id, log_->Create(tables_[entry->name.table].id, entry->name.key));
  }
  MERROW_TRY(log_->Append(entry->id, entry->next_seq, delta));
  ++entry->next_seq;
  entry->log_bytes += delta.size();
  ++entry->log_entries;
  return {};
}

}  // namespace merrow::store
