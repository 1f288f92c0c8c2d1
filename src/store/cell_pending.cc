// SPDX-License-Identifier: Apache-2.0
#include "store/cell_pending.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "store/cell_tx_rows.h"

namespace merrow::store {

const PendingTable::Entry* PendingTable::Find(const cells::ClockKey& key) const {
  const uint32_t found =
      index_.Find(HashOf(0, key), [&](uint32_t at) { return entries_[at].key == key; });
  return found == CellIndex::kNone ? nullptr : &entries_[found];
}

void PendingTable::Put(const cells::ClockKey& key, const cells::FreshClock& fresh, BytesView clock,
                       bool replace) {
  const uint64_t hash = HashOf(0, key);
  const uint32_t found = index_.Find(hash, [&](uint32_t at) { return entries_[at].key == key; });
  if (found == CellIndex::kNone) {
    const cells::ClockKey kept = {key.number,
                                  key.stored.empty() ? key.stored : keys_.Add(key.stored)};
    entries_.push_back({kept, fresh, Bytes(clock)});
    index_.Add(hash, static_cast<uint32_t>(entries_.size() - 1));
  } else if (replace) {
    entries_[found].fresh = fresh;
    entries_[found].clock.assign(clock);
  }
}

const PendingTable::InOrder& PendingTable::in_order() const {
  std::vector<const Entry*> added;
  added.reserve(entries_.size() - ordered_);
  for (size_t at = ordered_; at < entries_.size(); ++at) {
    added.push_back(&entries_[at]);
  }
  std::sort(added.begin(), added.end(),
            [](const Entry* a, const Entry* b) { return a->key < b->key; });
  auto behind = in_order_.begin();
  for (const Entry* const entry : added) {
    // Where the one before went, which is right as long as they are the only ones.
    behind = std::next(in_order_.emplace_hint(behind, entry->key, entry));
  }
  ordered_ = entries_.size();
  return in_order_;
}

void PendingClocks::FinalizeStatements() {
  for (CellStatement* statement : {&read_all_, &read_new_, &read_one_, &fold_}) {
    statement->Finalize();
  }
}

void PendingClocks::Clear() {
  log_rows_.clear();
  tables_.clear();
  rows_ = 0;
}

const PendingTable* PendingClocks::Find(int64_t table_id) const {
  const auto table = tables_.find(table_id);
  return table == tables_.end() ? nullptr : &table->second;
}

Status PendingClocks::AddClocks(BytesView rows, bool replace) {
  return ForEachTxClock(rows, [&](const TxClock& one) -> Status {
    cells::ClockRun run = one.run;
    rows_ += run.count;
    if (rows_ > kRowsMax) {
      return Corruption("_merrow_tx: more than " + std::to_string(kRowsMax) + " pending clocks");
    }
    PendingTable& table = tables_[one.table_id];
    while (true) {
      table.Put(run.key, run.fresh, run.is_fresh() ? BytesView() : run.clock, replace);
      if (run.count == 1) {
        return {};
      }
      run.Drop(1);
    }
  });
}

Status PendingClocks::Load() {
  Clear();
  last_id_ = 0;
  MERROW_TRY(read_all_.Prepare(db_, "SELECT id, rows FROM main._merrow_tx ORDER BY id DESC"));
  const ResetAtEnd reset(read_all_);
  while (true) {
    MERROW_ASSIGN(const bool more, read_all_.Step());
    if (!more) {
      break;
    }
    last_id_ = std::max(last_id_, read_all_.Int(0));
    const BytesView rows = read_all_.Column(1).bytes;
    if (!HasTxClocks(rows)) {
      break;
    }
    log_rows_.push_back(read_all_.Int(0));
    MERROW_TRY(AddClocks(rows, false));
  }
  std::reverse(log_rows_.begin(), log_rows_.end());
  loaded_ = true;
  return {};
}

Status PendingClocks::Refresh() {
  if (!loaded_) {
    return Load();
  }
  if (!log_rows_.empty()) {
    // Who folds, folds all.
    MERROW_TRY(read_one_.Prepare(db_, "SELECT rows FROM main._merrow_tx WHERE id = ?1"));
    const ResetAtEnd reset(read_one_);
    read_one_.BindInt(1, log_rows_.front());
    MERROW_ASSIGN(const bool found, read_one_.Step());
    if (!found || !HasTxClocks(read_one_.Column(0).bytes)) {
      return Load();
    }
  }
  MERROW_TRY(
      read_new_.Prepare(db_, "SELECT id, rows FROM main._merrow_tx WHERE id > ?1 ORDER BY id"));
  const ResetAtEnd reset(read_new_);
  read_new_.BindInt(1, last_id_);
  loaded_ = false;  // not if it fails in the middle
  while (true) {
    MERROW_ASSIGN(const bool more, read_new_.Step());
    if (!more) {
      loaded_ = true;
      return {};
    }
    const BytesView rows = read_new_.Column(1).bytes;
    if (!HasTxClocks(rows)) {
      return Load();
    }
    AddLogRow(read_new_.Int(0));
    MERROW_TRY(AddClocks(rows, true));
  }
}

Status PendingClocks::FoldLogRows() {
  if (!log_rows_.empty()) {
    MERROW_TRY(fold_.Prepare(
        db_,
        "UPDATE main._merrow_tx SET rows = merrow_cell_keys(rows) WHERE id BETWEEN ?1 AND ?2"));
    fold_.BindInt(1, log_rows_.front());
    fold_.BindInt(2, log_rows_.back());
    MERROW_TRY(fold_.Run());
  }
  Clear();
  return {};
}

void PendingClocks::AddLogRow(int64_t id) {
  last_id_ = std::max(last_id_, id);
  log_rows_.push_back(id);
}

void PendingClocks::Add(int64_t id, std::span<const Added> clocks) {
  const bool loaded = std::exchange(loaded_, false);  // not if memory ends in the middle
  AddLogRow(id);
  rows_ += clocks.size();
  for (const Added& one : clocks) {
    tables_[one.table_id].Put(one.key, one.fresh, one.clock, true);
  }
  loaded_ = loaded;
}

}  // namespace merrow::store
