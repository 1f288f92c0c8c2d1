// SPDX-License-Identifier: Apache-2.0
//
// What may happen later than its edit: rows of long documents, and folding logs into bases.
#include "store/store_impl.h"

namespace merrow::store {

Status Store::Impl::SaveRow(CachedDocument* entry, Projection::Effect effect) {
  if (effect == Projection::Effect::kNone) {
    return {};
  }
  if (MayDefer(*entry, effect)) {
    return DeferRow(*entry);
  }
  return ProjectRow(entry);
}

bool Store::Impl::MayDefer(const CachedDocument& entry, Projection::Effect effect) const {
  if (effect != Projection::Effect::kMayWait) {
    return false;
  }
  const size_t bytes = std::max(
      entry.row_bytes, tables_[entry.name.table].projection.LongColumnBytes(entry.document));
  if (bytes <= options_.immediate_projection_bytes_max) {
    return false;
  }
  const auto stale = stale_.find(entry.name);
  const size_t edits = stale == stale_.end() ? 1 : stale->second.edits + 1;
  return edits < bytes / kDeferredBytesPerEdit + 1;
}

Status Store::Impl::DeferRow(const CachedDocument& entry) {
  ++stats_.projections_deferred;
  const auto [stale, is_new] = stale_.try_emplace(entry.name, StaleRow{entry.id, 0, 0});
  ++stale->second.edits;
  stale->second.last_edit_ms = NowMs();
  if (!is_new) {
    return {};
  }
  return log_->MarkStale({entry.id, tables_[entry.name.table].id, entry.name.key});
}

Status Store::Impl::ProjectRow(CachedDocument* entry) {
  MERROW_TRY(tables_[entry->name.table].projection.WriteRow(*database_, entry->name.key,
                                                            entry->document, &entry->row_bytes));
  ++stats_.projections;
  if (stale_.contains(entry->name)) {
    MERROW_TRY(log_->ClearStale(entry->id));
    stale_.erase(entry->name);
  }
  return {};
}

std::vector<DocumentName> Store::Impl::DueRows(int64_t pause_ms) const {
  const int64_t now = NowMs();
  std::vector<DocumentName> due;
  for (const auto& [name, stale] : stale_) {
    if (now - stale.last_edit_ms >= pause_ms) {
      due.push_back(name);
    }
  }
  return due;
}

Result<Status> Store::Impl::ProjectStale(std::span<const DocumentName> names) {
  Status refused;
  for (const DocumentName& name : names) {
    MERROW_ASSIGN(Status status, ProjectStaleRow(name));
    if (!status.ok()) {
      refused = std::move(status);
    }
    cache_.EvictToBudget();
  }
  return refused;
}

Result<Status> Store::Impl::ProjectStaleRow(const DocumentName& name) {
  const Result<CachedDocument*> entry = Load(name, IfAbsent::kFail);
  if (!entry.ok()) {
    const ErrorCode code = entry.error().code();
    if (code != ErrorCode::kCorruption && code != ErrorCode::kNotFound) {
      return entry.error();
    }
    // Quarantined, or removed by a tool: the row keeps what it has.
    MERROW_TRY(log_->ClearStale(stale_.at(name).document_id));
    stale_.erase(name);
    return Status();
  }
  MERROW_ASSIGN(Savepoint savepoint, Savepoint::Begin(database_.get()));
  Status status = ProjectRow(*entry);
  if (status.ok()) {
    MERROW_TRY(savepoint.Release());
    return status;
  }
  if (!IsRefusal(status.error())) {
    return status.error();
  }
  MERROW_TRY(savepoint.Rollback());
  stale_.at(name).last_edit_ms = NowMs();  // not again at once
  return status;
}

Status Store::Impl::ProjectStaleAndCommit(std::span<const DocumentName> names) {
  const auto in_transaction = [&]() -> Result<Status> {
    MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
    MERROW_ASSIGN(Status refused, ProjectStale(names));
    MERROW_TRY(Commit(transaction));
    return refused;
  };
  Result<Status> refused = in_transaction();
  if (!refused.ok()) {
    if (replica_ != nullptr) {
      replica_->RolledBack();
    }
    MERROW_TRY(ReloadStale());
    return refused.error();
  }
  return *refused;
}

Status Store::Impl::ReloadStale() {
  stale_.clear();
  MERROW_ASSIGN(const auto records, log_->ReadStale());
  for (const StaleRecord& record : records) {
    const auto table = std::find_if(tables_.begin(), tables_.end(), [&](const TableState& state) {
      return state.id == record.table_id;
    });
    if (table == tables_.end()) {
      return Corruption("_merrow_stale names table " + std::to_string(record.table_id) +
                        ", which does not exist");
    }
    stale_.emplace(DocumentName{static_cast<size_t>(table - tables_.begin()), record.key},
                   StaleRow{record.document_id, 0, NowMs()});
  }
  return {};
}

/// The snapshot of a document, read back and compared: the log it replaces is the only other copy.
Result<Bytes> Store::Impl::VerifiedSnapshot(CachedDocument* entry) {
  Bytes snapshot = entry->document.ExportSnapshot();
  Document copy(kStorePeer);
  MERROW_ASSIGN(const ImportStatus status, copy.Load(snapshot));
  MERROW_TRY(copy.Wake());
  if (!status.pending.empty() || !(copy.version() == entry->document.version()) ||
      copy.ToJson() != entry->document.ToJson()) {
    return Corruption("the snapshot does not read back as the document");
  }
  return snapshot;
}

Status Store::Impl::Fold(const DocumentName& name) {
  MERROW_ASSIGN(CachedDocument* const entry, Load(name, IfAbsent::kFail));
  if (entry->log_entries == 0) {
    return {};
  }
  const Result<Bytes> snapshot = VerifiedSnapshot(entry);
  if (!snapshot.ok()) {
    fold_refused_.insert(entry->id);
    return snapshot.error().Within("folding the log of " + Describe(name));
  }
  MERROW_ASSIGN(Transaction transaction, Transaction::Begin(database_.get()));
  MERROW_TRY(log_->ReplaceAll(entry->id, *snapshot));
  MERROW_TRY(transaction.Commit());
  entry->base_bytes = snapshot->size();
  entry->log_bytes = 0;
  entry->log_entries = 0;
  entry->next_seq = 1;
  ++stats_.folds;
  return {};
}

Result<Upkeep> Store::Impl::RunUpkeep() {
  ProbeDisk();
  Upkeep upkeep;
  std::vector<DocumentName> due = DueRows(options_.projection_pause_ms);
  upkeep.more = due.size() > kProjectionsPerUpkeep;
  due.resize(std::min(due.size(), kProjectionsPerUpkeep));
  if (!due.empty()) {
    MERROW_TRY(ProjectStaleAndCommit(due));
    upkeep.projected = static_cast<uint32_t>(due.size());
  }
  if (replica_ != nullptr) {
    MERROW_ASSIGN(const bool more, UpkeepReplica());
    upkeep.more = upkeep.more || more;
  }
  if (!fold_queue_.empty()) {
    const DocumentName name = std::move(fold_queue_.front());
    fold_queue_.pop_front();
    fold_queued_.erase(name);
    const Status folded = Fold(name);
    // Not found: its transaction failed, so it did not come to be.
    if (!folded.ok() && folded.error().code() != ErrorCode::kNotFound) {
      return folded.error();
    }
    upkeep.folded = 1;
    upkeep.more = upkeep.more || !fold_queue_.empty();
    cache_.EvictToBudget();
  }
  return upkeep;
}

Status Store::Impl::FlushProjections() {
  if (stale_.empty()) {
    return {};
  }
  return ProjectStaleAndCommit(DueRows(0));
}

StoreStats Store::Impl::stats() const {
  StoreStats stats = stats_;
  stats.cache_bytes = cache_.bytes();
  stats.cache_bytes_max = cache_.budget();
  stats.cache_documents = cache_.documents();
  stats.cache_hits = cache_.hits();
  stats.cache_misses = cache_.misses();
  stats.cache_evictions = cache_.evictions();
  stats.rows_stale = stale_.size();
  if (replica_ != nullptr) {
    stats.transactions_waiting = replica_->waiting();
    stats.transactions_parked = replica_->parked();
    stats.transactions_refused = replica_->refused().size();
    for (const auto& [local, refused] : replica_->refused()) {
      if (stats.refused.size() == kRefusedListedMax) {
        break;
      }
      stats.refused.push_back(refused);
    }
  }
  if (!stats.write_error.empty()) {
    stats.write_failing_ms = options_.clock->MonotonicMicros() / 1000 - write_failing_since_ms_;
  }
  return stats;
}

void Store::Impl::CheckInvariants() const {
  MERROW_CHECK(database_->autocommit());
  cache_.CheckInvariants();
  if (replica_ != nullptr) {
    replica_->CheckInvariants();
  }
}

}  // namespace merrow::store
