// SPDX-License-Identifier: Apache-2.0
//
// CellTransaction's way to SQLite: clocks and log rows. Small transactions leave their clocks in
// the log row, where they wait (cell_pending.h); larger ones write blocks of clocks.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "merrow/check.h"
#include "store/cell_transaction.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

/// A transaction of more rows writes blocks.
constexpr size_t kPendingRowsMax = 32;
/// So many log rows with clocks wait at most: what a new connection must read, and what the
/// transaction that folds must do.
constexpr size_t kPendingLogRowsMax = 8000;

/// A range of keys must be worth being looked through, by so many keys and one in so many.
constexpr size_t kRangeKeysMin = 64;
constexpr uint64_t kRangeSparsenessMax = 4;

/// Calls `each` with the part of `order` that is of one table, for each table.
template <typename Orders, typename Each>
Status ForEachTable(const Orders& order, Each each) {
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    for (end = begin; end < order.size() && order[end].table_id == order[begin].table_id;) {
      ++end;
    }
    MERROW_TRY(each(std::span(order).subspan(begin, end - begin)));
  }
  return {};
}

}  // namespace

Status CellTransaction::Flush() {
  const KeepLastInsertRowId keep(db_);
  if (is_explicit_) {
    MERROW_TRY(tables_.Refresh());
  }
  MERROW_TRY(Process());
  MERROW_TRY(SettleDoubts());
  if (dirty_.empty() && touched_flushed_ == touched_.size()) {
    return {};
  }
  MERROW_TRY(tables_.pending().Ensure());
  if (CanPend()) {
    ++flushes_;
    MERROW_TRY(WritePending());
  } else {
    MERROW_TRY(Fold());
    ++flushes_;
    MERROW_TRY(WriteClocks());
    MERROW_TRY(WriteTxRows());
  }
  if (savepoints_.empty()) {
    // Nothing can be undone any more but everything.
    events_.clear();
    processed_ = 0;
    changed_.clear();
    touched_.clear();
    touched_flushed_ = 0;
    ForgetRows();
    arena_.Clear();
  }
  return {};
}

void CellTransaction::FinalizeStatements() { insert_tx_.Finalize(); }

bool CellTransaction::CanPend() const {
  const auto can_pend = [this](uint32_t index) {
    const Row& row = rows_[index];
    return row.fresh.columns > 0 || !row.clock.empty();
  };
  // Log rows with clocks come in the order in which they are written.
  const auto is_new = [this](const Touched& touched) {
    return touched.version > committed_ && touched.version >= written_version_;
  };
  return dirty_.size() <= kPendingRowsMax &&
         tables_.pending().log_rows().size() < kPendingLogRowsMax &&
         std::all_of(dirty_.begin(), dirty_.end(), can_pend) &&
         std::all_of(touched_.begin() + static_cast<std::ptrdiff_t>(touched_flushed_),
                     touched_.end(), is_new);
}

std::vector<CellTransaction::Touched> CellTransaction::UnflushedByVersion() const {
  std::vector<Touched> touched(touched_.begin() + static_cast<std::ptrdiff_t>(touched_flushed_),
                               touched_.end());
  const auto older = [](const Touched& a, const Touched& b) { return a.version < b.version; };
  if (!std::is_sorted(touched.begin(), touched.end(), older)) {
    std::stable_sort(touched.begin(), touched.end(), older);
  }
  return touched;
}

/// Brings the clocks of the rows in order_ into pending_, but those of tables that are gone.
void CellTransaction::CollectPending() {
  pending_.clear();
  clocks_.clear();
  pending_ends_.clear();
  const CellTable* table = nullptr;
  for (const Order& one : order_) {
    const Row& row = rows_[one.index];
    if (table == nullptr || table->id != row.key.table_id) {
      table = tables_.FindId(row.key.table_id);
    }
    if (table == nullptr) {
      continue;
    }
    pending_.push_back({table->id, row.key.key,
                        row.fresh.columns > 0 ? row.fresh : row.clock.AsFresh(), BytesView()});
    if (pending_.back().fresh.columns == 0) {
      row.clock.AppendTo(clocks_);
    }
    pending_ends_.push_back(clocks_.size());
  }
  for (size_t i = 0, begin = 0; i < pending_.size(); begin = pending_ends_[i++]) {
    pending_[i].clock = BytesView(clocks_).substr(begin, pending_ends_[i] - begin);
  }
}

/// `rows`: of one table, by key.
void CellTransaction::AppendPendingGroup(std::span<const PendingClocks::Added> rows, Bytes& out) {
  const bool int_key = tables_.FindId(rows[0].table_id)->int_key;
  runs_.clear();
  for (const PendingClocks::Added& one : rows) {
    cells::ClockRun run;
    run.key = one.key;
    run.fresh = one.fresh;
    run.clock = one.clock;
    if (!int_key || runs_.empty() || !cells::Extend(runs_.back(), run)) {
      runs_.push_back(run);
    }
  }
  AppendTxClocks(rows[0].table_id, !int_key, runs_, out);
}

Status CellTransaction::WritePending() {
  std::vector<Touched> touched = UnflushedByVersion();
  // Rows that are in a log row of this transaction already, but with another clock, come again.
  for (const uint32_t index : dirty_) {
    const bool is_touched = std::any_of(touched.begin(), touched.end(),
                                        [index](const Touched& one) { return one.row == index; });
    if (!is_touched) {
      touched.push_back({index, touched.empty() ? version_ : touched.back().version});
    }
  }
  Bytes bytes;
  for (size_t i = 0; i < touched.size();) {
    const cells::DbVersion version = touched[i].version;
    order_.clear();
    for (; i < touched.size() && touched[i].version == version; ++i) {
      order_.push_back(OrderOf(rows_[touched[i].row].key, touched[i].row));
    }
    SortByKey(order_, [this](uint32_t index) { return rows_[index].key.key; });
    const auto same = [](const Order& a, const Order& b) { return a.index == b.index; };
    order_.erase(std::unique(order_.begin(), order_.end(), same), order_.end());
    CollectPending();
    if (pending_.empty()) {
      continue;  // of tables that are gone
    }
    bytes.clear();
    MERROW_TRY(ForEachTable(pending_, [&](std::span<const PendingClocks::Added> rows) -> Status {
      AppendPendingGroup(rows, bytes);
      return {};
    }));
    MERROW_TRY(WriteTxRow(version, bytes));
    tables_.pending().Add(version << kTxPartBits | (next_part_ - 1), pending_);
  }
  for (const uint32_t index : dirty_) {
    rows_[index].dirty = false;
  }
  dirty_.clear();
  touched_flushed_ = touched_.size();
  return {};
}

Status CellTransaction::Fold() {
  PendingClocks& pending = tables_.pending();
  MERROW_TRY(pending.Ensure());
  if (pending.log_rows().empty()) {
    return {};
  }
  ++flushes_;
  const KeepLastInsertRowId keep(db_);
  std::vector<ClockChange> changes;
  for (const auto& [table_id, clocks] : pending.tables()) {
    changes.clear();
    for (const auto& [key, entry] : clocks.in_order()) {
      changes.push_back({key, entry->fresh, entry->clock});
    }
    CellTable* const table = tables_.FindId(table_id);
    const auto absent = tables_.absent().find(table_id);
    if (table != nullptr) {
      MERROW_TRY(table->clocks.Write(changes, nullptr));
    } else if (absent != tables_.absent().end()) {
      // It may come back.
      CellClocks blocks(db_, table_id, absent->second);
      MERROW_TRY(blocks.Write(changes, nullptr));
    }
  }
  return pending.FoldLogRows();
}

void CellTransaction::OrderRows(const std::vector<uint32_t>& rows) {
  order_.clear();
  order_.reserve(rows.size());
  if (rows_rise_ && rows.size() == rows_.size()) {
    // All of them, and they are in order.
    for (const Row& row : rows_) {
      order_.push_back(OrderOf(row.key, row.index));
    }
    return;
  }
  for (const uint32_t index : rows) {
    order_.push_back(OrderOf(rows_[index].key, index));
  }
  SortByKey(order_, [this](uint32_t index) { return rows_[index].key.key; });
}

Status CellTransaction::WriteClocks() {
  ranges_.clear();
  OrderRows(dirty_);
  MERROW_TRY(ForEachTable(order_, [this](std::span<const Order> rows) -> Status {
    CellTable* const table = tables_.FindId(rows[0].table_id);
    return table == nullptr ? Status() : WriteTableClocks(*table, rows);
  }));
  for (const uint32_t index : dirty_) {
    rows_[index].dirty = false;
  }
  dirty_.clear();
  return {};
}

Status CellTransaction::WriteTableClocks(CellTable& table, std::span<const Order> rows) {
  changes_.clear();
  changes_.reserve(rows.size());
  clocks_.clear();
  std::vector<size_t> ends;
  ends.reserve(rows.size());
  for (const Order& one : rows) {
    const Row& row = rows_[one.index];
    changes_.push_back({row.key.key, row.fresh, {}});
    if (row.fresh.columns == 0 && !row.clock.empty()) {
      changes_.back().fresh = row.clock.AsFresh();
      if (changes_.back().fresh.columns == 0) {
        row.clock.AppendTo(clocks_);
      }
    }
    ends.push_back(clocks_.size());
  }
  for (size_t i = 0, begin = 0; i < ends.size(); begin = ends[i++]) {
    changes_[i].clock = BytesView(clocks_).substr(begin, ends[i] - begin);
  }
  std::vector<ClockSpan> spans;
  MERROW_TRY(table.clocks.Write(changes_, table.int_key ? nullptr : &spans));
  for (const ClockSpan& span : spans) {
    ranges_.push_back(
        {table.id, changes_[span.begin].key.stored, changes_[span.end - 1].key.stored, span.rows});
  }
  return {};
}

void CellTransaction::AppendStoredGroups(int64_t table_id, const std::vector<BytesView>& keys,
                                         Bytes& out) {
  std::vector<BytesView> single;
  size_t begin = 0;
  for (const Range& range : ranges_) {
    if (range.table_id != table_id) {
      continue;
    }
    size_t end = begin;
    while (end < keys.size() && keys[end] <= range.last) {
      ++end;
    }
    const size_t count = end - begin;
    if (count >= kRangeKeysMin && count * kRangeSparsenessMax >= range.rows &&
        keys[begin] >= range.first) {
      AppendTxRange(table_id, keys[begin], keys[end - 1], out);
    } else {
      single.insert(single.end(), keys.begin() + static_cast<std::ptrdiff_t>(begin),
                    keys.begin() + static_cast<std::ptrdiff_t>(end));
    }
    begin = end;
  }
  single.insert(single.end(), keys.begin() + static_cast<std::ptrdiff_t>(begin), keys.end());
  if (!single.empty()) {
    AppendTxStoredKeys(table_id, single, out);
  }
}

/// `rows`: of one table, by key.
void CellTransaction::AppendTxGroup(std::span<const Order> rows, Bytes& out) {
  const int64_t table_id = rows[0].table_id;
  const CellTable* const table = tables_.FindId(table_id);
  if (table == nullptr) {
    return;
  }
  if (table->int_key) {
    std::vector<int64_t> numbers;
    numbers.reserve(rows.size());
    for (const Order& one : rows) {
      numbers.push_back(rows_[one.index].key.key.number);
    }
    AppendTxIntKeys(table_id, numbers, out);
    return;
  }
  std::vector<BytesView> keys;
  keys.reserve(rows.size());
  for (const Order& one : rows) {
    keys.push_back(rows_[one.index].key.key.stored);
  }
  AppendStoredGroups(table_id, keys, out);
}

Status CellTransaction::WriteTxRows() {
  const std::vector<Touched> touched = UnflushedByVersion();
  Bytes bytes;
  std::vector<uint32_t> rows;
  for (size_t i = 0; i < touched.size();) {
    const cells::DbVersion version = touched[i].version;
    rows.clear();
    for (; i < touched.size() && touched[i].version == version; ++i) {
      rows.push_back(touched[i].row);
    }
    OrderRows(rows);
    const auto same = [](const Order& a, const Order& b) { return a.index == b.index; };
    order_.erase(std::unique(order_.begin(), order_.end(), same), order_.end());
    bytes.clear();
    MERROW_TRY(ForEachTable(order_, [&](std::span<const Order> rows_of_table) -> Status {
      AppendTxGroup(rows_of_table, bytes);
      return {};
    }));
    MERROW_TRY(WriteTxRow(version, bytes));
  }
  touched_flushed_ = touched_.size();
  return {};
}

Status CellTransaction::WriteTxRow(cells::DbVersion version, BytesView rows) {
  if (version > cells::kDbVersionMax || next_part_ >= kTxPartsMax) {
    return LimitReached("db_version " + std::to_string(version) + " part " +
                        std::to_string(next_part_) + " is beyond what can be stored");
  }
  if (version <= committed_) {
    // Of a transaction that is over: what an altered table brings along.
    CellStatement append;
    MERROW_TRY(append.Prepare(db_,
                              "INSERT INTO main._merrow_tx (id, rows) SELECT coalesce(max(id) + 1, "
                              "?1), ?2 FROM main._merrow_tx WHERE id BETWEEN ?1 AND ?3"));
    append.BindInt(1, version << kTxPartBits);
    append.Bind(2, cells::ValueView::Blob(rows));
    append.BindInt(3, (version << kTxPartBits) + kTxPartsMax - 1);
    return append.Run();
  }
  written_version_ = std::max(written_version_, version);
  MERROW_TRY(insert_tx_.Prepare(db_, "INSERT INTO main._merrow_tx (id, rows) VALUES (?1, ?2)"));
  insert_tx_.BindInt(1, version << kTxPartBits | next_part_++);
  insert_tx_.Bind(2, cells::ValueView::Blob(rows));
  return insert_tx_.Run();
}

}  // namespace merrow::store
