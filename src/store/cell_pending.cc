// SPDX-License-Identifier: Apache-2.0
#include "store/cell_pending.h"

#include <algorithm>
#include <utility>

#include "store/cell_tx_rows.h"

namespace merrow::store {

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

const PendingClocks::Table* PendingClocks::Find(int64_t table_id) const {
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
    Table& table = tables_[one.table_id];
    while (true) {
      Clock clock;
      clock.fresh = run.fresh;
      if (!run.is_fresh()) {
        clock.clock = Bytes(run.clock);
      }
      const auto [at, is_new] =
          table.try_emplace(Key{run.key.number, Bytes(run.key.stored)}, clock);
      if (!is_new && replace) {
        at->second = std::move(clock);
      }
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
    MERROW_TRY(Add(read_new_.Int(0), rows));
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

Status PendingClocks::Add(int64_t id, BytesView rows) {
  const bool loaded = std::exchange(loaded_, false);  // not if it fails in the middle
  last_id_ = std::max(last_id_, id);
  log_rows_.push_back(id);
  MERROW_TRY(AddClocks(rows, true));
  loaded_ = loaded;
  return {};
}

}  // namespace merrow::store
