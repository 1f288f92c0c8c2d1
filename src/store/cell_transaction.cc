// SPDX-License-Identifier: Apache-2.0
#include "store/cell_transaction.h"

#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "merrow/check.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

constexpr size_t kIndexSizeMin = 64;
/// A larger index costs more to clear than to build again.
constexpr size_t kIndexSizeKept = 1024;

/// Rows of _merrow_tx are id = db_version << kPartBits | part. DO NOT CHANGE: it is on disk.
constexpr int kPartBits = 20;
constexpr int64_t kPartsMax = int64_t{1} << kPartBits;

/// A transaction of more rows writes blocks.
constexpr size_t kPendingRowsMax = 32;
/// So many log rows with clocks wait at most: what a new connection must read, and what the
/// transaction that folds must do.
constexpr size_t kPendingLogRowsMax = 8000;
/// So many events at once make it worth to fold first, and look at blocks alone.
constexpr size_t kFoldBeforeEvents = 1000;

/// A range of keys must be worth being looked through, by so many keys and one in so many.
constexpr size_t kRangeKeysMin = 64;
constexpr uint64_t kRangeSparsenessMax = 4;

/// So many events before it is worked off, what one needs is fetched into the processor's cache.
constexpr size_t kPrefetch = 16;

uint64_t HashOf(const StoredRowKey& key) {
  uint64_t hash =
      static_cast<uint64_t>(key.key.number) ^ (static_cast<uint64_t>(key.table_id) << 48);
  if (!key.key.stored.empty()) {
    hash ^= std::hash<std::string_view>()(key.key.stored);
  }
  hash *= 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 29);
}

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

void Materialize(CellTransaction::Row& row) {
  if (row.fresh.columns > 0) {
    row.clock.SetFresh(row.fresh);
    row.fresh = {};
  }
}

}  // namespace

void CellTransaction::Begin(cells::DbVersion committed) {
  Clear();
  active_ = true;
  is_explicit_ = sqlite3_get_autocommit(db_) == 0;
  committed_ = committed;
  version_ = committed + 1;
  written_version_ = 0;
  flushes_ = 0;
  next_seq_ = 0;
  next_part_ = 0;
  rows_impacted = 0;
  rows_merged = 0;
}

void CellTransaction::End() {
  Clear();
  active_ = false;
  rows_impacted = 0;
  rows_merged = 0;
}

void CellTransaction::Clear() {
  // Large lists are given back; small ones are kept for the next transaction.
  if (touched_.capacity() > kEventsMax / 16) {
    touched_ = {};
    dirty_ = {};
  }
  events_.clear();
  processed_ = 0;
  changed_.clear();
  touched_.clear();
  touched_flushed_ = 0;
  journal_.clear();
  savepoints_.clear();
  ForgetRows();
  arena_.Clear();
}

void CellTransaction::ForgetBlocks() {
  for (const std::shared_ptr<CellTable>& table : tables_.tables()) {
    table->clocks.Forget();
  }
}

void CellTransaction::ForgetRows() {
  rows_.clear();
  rows_rise_ = true;
  if (indexed_ > 0) {
    if (index_.size() > kIndexSizeKept) {
      index_ = {};
    }
    std::fill(index_.begin(), index_.end(), uint64_t{0});
    indexed_ = 0;
  }
  dirty_.clear();
  doubtful_.clear();
}

void CellTransaction::Savepoint(int number) {
  Release(number);
  savepoints_.push_back({number, events_.size(), processed_, touched_.size(), touched_flushed_,
                         journal_.size(), flushes_, next_seq_, version_, written_version_,
                         rows_impacted, rows_merged});
}

void CellTransaction::Release(int number) {
  while (!savepoints_.empty() && savepoints_.back().number >= number) {
    savepoints_.pop_back();
  }
  if (savepoints_.empty()) {
    journal_.clear();
  }
}

void CellTransaction::RollbackTo(int number) {
  while (!savepoints_.empty() && savepoints_.back().number > number) {
    savepoints_.pop_back();
  }
  if (savepoints_.empty() || savepoints_.back().number != number) {
    // It was opened before this transaction touched anything.
    tables_.pending().Invalidate();
    ForgetBlocks();
    Begin(committed_);
    return;
  }
  const Mark mark = savepoints_.back();
  while (journal_.size() > mark.journal) {
    Row& row = rows_[journal_.back().index];
    const bool dirty = row.dirty;
    row = std::move(journal_.back());
    row.dirty = dirty;
    journal_.pop_back();
    // It may have been settled since, which is undone.
    if (std::exchange(row.doubtful, false)) {
      Doubt(row);
    }
  }
  events_.resize(mark.events);
  processed_ = mark.processed;
  touched_.resize(mark.touched);
  touched_flushed_ = mark.touched_flushed;
  next_seq_ = mark.next_seq;
  version_ = mark.version;
  written_version_ = mark.written_version;
  rows_impacted = mark.rows_impacted;
  rows_merged = mark.rows_merged;
  ForgetBlocks();
  if (flushes_ == mark.flushes) {
    return;
  }
  // What was flushed since is gone from SQLite, so every row is unsaved again.
  tables_.pending().Invalidate();
  dirty_.clear();
  for (Row& row : rows_) {
    row.dirty = true;
    dirty_.push_back(row.index);
  }
}

/// The key in a form and place in which it lasts as long as the transaction.
cells::ClockKey CellTransaction::Keep(const RowKey& key) {
  if (key.packed.empty()) {
    return {key.number, {}};
  }
  stored_.clear();
  cells::AppendStoredKey(key.packed, stored_);
  return KeepStored({0, stored_});
}

cells::ClockKey CellTransaction::KeepStored(const cells::ClockKey& key) {
  if (key.stored.empty()) {
    return key;
  }
  return {0, arena_.Add(key.stored)};
}

void CellTransaction::AddEvent(Kind kind, const RowKey& key) {
  events_.push_back({{key.table_id, Keep(key)}, version_, 0, 0, kNoRow, kind});
}

void CellTransaction::AddUpdate(const RowKey& key, std::span<const cells::ColumnId> changed) {
  events_.push_back({{key.table_id, Keep(key)},
                     version_,
                     changed_.size(),
                     static_cast<uint32_t>(changed.size()),
                     kNoRow,
                     Kind::kUpdate});
  changed_.insert(changed_.end(), changed.begin(), changed.end());
}

void CellTransaction::AddMove(const RowKey& from, const RowKey& to) {
  AddEvent(Kind::kMoveFrom, from);
  AddEvent(Kind::kMoveTo, to);
}

// --- The rows of this transaction.

uint64_t* CellTransaction::Slot(const StoredRowKey& key, uint64_t hash) {
  const size_t mask = index_.size() - 1;
  for (size_t slot = static_cast<size_t>(hash) & mask;; slot = (slot + 1) & mask) {
    const uint64_t entry = index_[slot];
    if (entry == 0) {
      return &index_[slot];
    }
    // The upper half tells nearly all other rows apart, so their keys need not be looked at.
    if ((entry ^ hash) >> 32 == 0) {
      const StoredRowKey& other = rows_[static_cast<uint32_t>(entry) - 1].key;
      if (other.table_id == key.table_id && other.key == key.key) {
        return &index_[slot];
      }
    }
  }
}

/// Brings all rows into the index, with room for one more.
void CellTransaction::IndexRows() {
  size_t size = std::max(kIndexSizeMin, index_.size());
  while (size < (rows_.size() + 1) * 2) {
    size *= 2;
  }
  if (size > index_.size()) {
    index_.assign(size, uint64_t{0});
    indexed_ = 0;
  }
  for (; indexed_ < rows_.size(); ++indexed_) {
    const Row& row = rows_[indexed_];
    const uint64_t hash = HashOf(row.key);
    *Slot(row.key, hash) = (hash >> 32 << 32) | (row.index + 1);
  }
}

/// REQUIRES: there is no such row
Result<CellTransaction::Row*> CellTransaction::AddRow(CellTable& table, const StoredRowKey& key) {
  MERROW_ASSIGN(const cells::ClockRun* const known, table.clocks.Find(key.key));
  cells::RowClock clock;
  if (known != nullptr && !known->is_fresh()) {
    Status status = clock.DecodeFrom(known->clock);
    if (!status.ok()) {
      return status.error().Within("clock of a row of table " + table.name);
    }
  }
  if (!rows_.empty()) {
    const StoredRowKey& last = rows_.back().key;
    rows_rise_ = rows_rise_ && (last.table_id != key.table_id ? last.table_id < key.table_id
                                                              : last.key < key.key);
  }
  Row& row = rows_.emplace_back();
  row.index = static_cast<uint32_t>(rows_.size() - 1);
  row.key = key;
  row.clock = std::move(clock);
  if (known != nullptr) {
    row.fresh = known->fresh;
  }
  return &row;
}

Result<CellTransaction::Row*> CellTransaction::Load(CellTable& table, const StoredRowKey& key) {
  IndexRows();
  const uint64_t hash = HashOf(key);
  uint64_t* const slot = Slot(key, hash);
  if (*slot != 0) {
    return &rows_[static_cast<uint32_t>(*slot) - 1];
  }
  MERROW_ASSIGN(Row* const row, AddRow(table, {key.table_id, KeepStored(key.key)}));
  *slot = (hash >> 32 << 32) | (row->index + 1);
  ++indexed_;
  return row;
}

Result<CellTransaction::Row*> CellTransaction::Find(CellTable& table, const RowKey& key) {
  if (key.packed.empty()) {
    return FindStored(table, {key.number, {}});
  }
  stored_.clear();
  cells::AppendStoredKey(key.packed, stored_);
  return FindStored(table, {0, stored_});
}

Result<CellTransaction::Row*> CellTransaction::FindStored(CellTable& table,
                                                          const cells::ClockKey& key) {
  MERROW_TRY(Process());
  MERROW_TRY(SettleDoubts());
  MERROW_ASSIGN(Row* const row, Load(table, {table.id, key}));
  Materialize(*row);
  return row;
}

bool CellTransaction::HasRows(int64_t table_id) const {
  return std::any_of(rows_.begin(), rows_.end(),
                     [table_id](const Row& row) { return row.key.table_id == table_id; });
}

std::vector<cells::ClockKey> CellTransaction::KeysOf(int64_t table_id) const {
  std::vector<cells::ClockKey> keys;
  for (const Row& row : rows_) {
    if (row.key.table_id == table_id) {
      keys.push_back(row.key.key);
    }
  }
  return keys;
}

void CellTransaction::WillChange(Row& row, cells::DbVersion version) {
  if (!savepoints_.empty()) {
    journal_.push_back(row);
  }
  if (!row.dirty) {
    row.dirty = true;
    dirty_.push_back(row.index);
  }
  if (row.touched != version) {
    row.touched = version;
    touched_.push_back({row.index, version});
  }
}

// --- Working off events.

CellTransaction::Order CellTransaction::OrderOf(const StoredRowKey& key, uint32_t index) {
  if (key.key.stored.empty()) {
    return {key.table_id, static_cast<uint64_t>(key.key.number) ^ (uint64_t{1} << 63), index};
  }
  uint64_t head = 0;
  for (size_t i = 0; i < sizeof(head); ++i) {
    head =
        head << 8 | (i < key.key.stored.size() ? static_cast<unsigned char>(key.key.stored[i]) : 0);
  }
  return {key.table_id, head, index};
}

template <typename KeyAt>
void CellTransaction::SortByKey(std::vector<Order>& order, KeyAt key_at) {
  const auto less = [&key_at](const Order& a, const Order& b) {
    if (a.table_id != b.table_id) {
      return a.table_id < b.table_id;
    }
    return a.head != b.head ? a.head < b.head : key_at(a.index) < key_at(b.index);
  };
  if (!std::is_sorted(order.begin(), order.end(), less)) {
    std::sort(order.begin(), order.end(), less);
  }
}

Status CellTransaction::LoadEventRows() {
  if (events_.size() - processed_ >= kFoldBeforeEvents) {
    MERROW_TRY(Fold());
  }
  order_.clear();
  order_.reserve(events_.size() - processed_);
  for (size_t at = processed_; at < events_.size(); ++at) {
    if (events_[at].row == kNoRow) {
      order_.push_back(OrderOf(events_[at].key, static_cast<uint32_t>(at)));
    }
  }
  SortByKey(order_, [this](uint32_t at) { return events_[at].key.key; });
  // Rows that are new all, one after the other, need not be looked up.
  const bool all_new = rows_.empty();
  CellTable* table = nullptr;
  Row* row = nullptr;
  for (size_t i = 0; i < order_.size(); ++i) {
    const Order& one = order_[i];
    if (i + kPrefetch < order_.size()) {
      __builtin_prefetch(&events_[order_[i + kPrefetch].index], 1);
    }
    Event& event = events_[one.index];
    if (table == nullptr || table->id != event.key.table_id) {
      table = tables_.FindId(event.key.table_id);
      row = nullptr;
    }
    if (table == nullptr) {
      continue;
    }
    if (row == nullptr || !(row->key.key == event.key.key)) {
      MERROW_ASSIGN(row, all_new ? AddRow(*table, event.key) : Load(*table, event.key));
    }
    event.row = row->index;
  }
  return {};
}

Status CellTransaction::Process() {
  if (processed_ == events_.size()) {
    return {};
  }
  MERROW_TRY(LoadEventRows());
  while (processed_ < events_.size()) {
    PrefetchRows(processed_);
    MERROW_TRY(ProcessEvent(processed_));
    ++processed_;
  }
  return {};
}

/// Rows lie in key order and are taken in the order of events, so the processor is told early.
void CellTransaction::PrefetchRows(size_t at) const {
  const auto row_of = [this](size_t event) -> const Row* {
    const bool has_row = event < events_.size() && events_[event].row != kNoRow;
    return has_row ? &rows_[events_[event].row] : nullptr;
  };
  const Row* const later = row_of(at + kPrefetch);
  if (later != nullptr) {
    __builtin_prefetch(later, 1);
    __builtin_prefetch(&later->clock, 1);
  }
  const Row* const soon = row_of(at + kPrefetch / 2);
  if (soon != nullptr) {
    __builtin_prefetch(soon->clock.cells().data(), 1);
  }
}

void CellTransaction::Report(Row& row, bool is_there) {
  (is_there ? row.was_there : row.was_gone) = true;
  if (row.was_there && row.was_gone) {
    Doubt(row);
  }
}

void CellTransaction::Doubt(Row& row) {
  if (!row.doubtful) {
    row.doubtful = true;
    doubtful_.push_back(row.index);
  }
}

Status CellTransaction::SettleDoubts() {
  for (const uint32_t index : doubtful_) {
    Row& row = rows_[index];
    CellTable* const table = tables_.FindId(row.key.table_id);
    if (table == nullptr) {
      continue;
    }
    Materialize(row);
    MERROW_ASSIGN(const bool exists, table->HasRow(db_, row.key.key));
    if (exists == cells::IsAlive(row.clock.cl())) {
      continue;
    }
    WillChange(row, version_);
    cells::LocalEvents events{version_, next_seq_};
    if (exists) {
      cells::RecordInsert(table->column_ids, events, row.clock);
    } else {
      cells::RecordDelete(events, row.clock);
    }
    next_seq_ = events.next_seq;
  }
  for (const uint32_t index : doubtful_) {
    rows_[index].doubtful = false;
  }
  doubtful_.clear();
  return {};
}

namespace {

Status CheckCounted(const CellTable& table, const cells::LocalEvents& events) {
  return events.exhausted ? LimitReached("table " + table.name +
                                         ": a row was written as often as can be counted")
                          : Status();
}

}  // namespace

Status CellTransaction::ProcessInsert(CellTable& table, Row& row, cells::DbVersion version) {
  WillChange(row, version);
  Report(row, true);
  const bool is_unknown = row.clock.empty() && row.fresh.columns == 0;
  if (is_unknown && table.life_floor > 0) {
    // Another site may still have a tombstone that was dropped here.
    row.clock.SetSentinel({table.life_floor, {version, next_seq_, 0}});
  } else if (is_unknown && table.dense && !table.columns.empty()) {
    row.fresh = {static_cast<uint32_t>(table.columns.size()), 0, version, next_seq_};
    next_seq_ += row.fresh.columns;
    return {};
  }
  Materialize(row);
  cells::LocalEvents events{version, next_seq_};
  cells::RecordInsert(table.column_ids, events, row.clock);
  next_seq_ = events.next_seq;
  return CheckCounted(table, events);
}

Status CellTransaction::ProcessEvent(size_t at) {
  const Event& event = events_[at];
  CellTable* const table = tables_.FindId(event.key.table_id);
  // A table that was dropped or untracked since takes its events with it. The old row of a move is
  // handled together with its new one.
  if (table == nullptr || event.row == kNoRow || event.kind == Kind::kMoveFrom) {
    return {};
  }
  if (event.kind == Kind::kUpdate && event.changed_count == 0) {
    return {};
  }
  Row* const row = &rows_[event.row];
  if (event.kind == Kind::kInsert) {
    return ProcessInsert(*table, *row, event.version);
  }
  WillChange(*row, event.version);
  Materialize(*row);
  Report(*row, event.kind != Kind::kDelete);
  cells::LocalEvents events{event.version, next_seq_};
  switch (event.kind) {
    case Kind::kUpdate:
      if (row->clock.cl() != 0 && !cells::IsAlive(row->clock.cl())) {
        Doubt(*row);  // then all its cells are new, or it is gone
        break;
      }
      cells::RecordUpdate({changed_.data() + event.changed_at, event.changed_count}, events,
                          row->clock);
      break;
    case Kind::kDelete:
      cells::RecordDelete(events, row->clock);
      break;
    case Kind::kMoveTo: {
      Row* const from = &rows_[events_[at - 1].row];
      WillChange(*from, event.version);
      Materialize(*from);
      Report(*from, false);
      cells::RecordMove(table->column_ids, events, from->clock, row->clock);
      break;
    }
    case Kind::kInsert:
    case Kind::kMoveFrom:
      break;
  }
  next_seq_ = events.next_seq;
  return CheckCounted(*table, events);
}

// --- Writing to SQLite.

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

/// `rows`: of one table, by key.
void CellTransaction::AppendPendingGroup(std::span<const Order> rows, Bytes& out) {
  const CellTable* const table = tables_.FindId(rows[0].table_id);
  if (table == nullptr) {
    return;
  }
  std::vector<cells::ClockRun> runs;
  std::deque<Bytes> clocks;
  for (const Order& one : rows) {
    const Row& row = rows_[one.index];
    cells::ClockRun run;
    run.key = row.key.key;
    run.fresh = row.fresh.columns > 0 ? row.fresh : row.clock.AsFresh();
    if (!run.is_fresh()) {
      row.clock.AppendTo(clocks.emplace_back());
      run.clock = clocks.back();
    }
    if (!table->int_key || runs.empty() || !cells::Extend(runs.back(), run)) {
      runs.push_back(run);
    }
  }
  AppendTxClocks(table->id, !table->int_key, runs, out);
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
    bytes.clear();
    MERROW_TRY(ForEachTable(order_, [&](std::span<const Order> rows_of_table) -> Status {
      AppendPendingGroup(rows_of_table, bytes);
      return {};
    }));
    if (bytes.empty()) {
      continue;  // of tables that are gone
    }
    MERROW_TRY(WriteTxRow(version, bytes));
    MERROW_TRY(tables_.pending().Add(version << kPartBits | (next_part_ - 1), bytes));
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
    for (const auto& [key, clock] : clocks) {
      changes.push_back({key.view(), clock.fresh, clock.clock});
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
  if (version > cells::kDbVersionMax || next_part_ >= kPartsMax) {
    return LimitReached("db_version " + std::to_string(version) + " part " +
                        std::to_string(next_part_) + " is beyond what can be stored");
  }
  if (version <= committed_) {
    // Of a transaction that is over: what an altered table brings along.
    CellStatement append;
    MERROW_TRY(append.Prepare(db_,
                              "INSERT INTO main._merrow_tx (id, rows) SELECT coalesce(max(id) + 1, "
                              "?1), ?2 FROM main._merrow_tx WHERE id BETWEEN ?1 AND ?3"));
    append.BindInt(1, version << kPartBits);
    append.Bind(2, cells::ValueView::Blob(rows));
    append.BindInt(3, (version << kPartBits) + kPartsMax - 1);
    return append.Run();
  }
  written_version_ = std::max(written_version_, version);
  MERROW_TRY(insert_tx_.Prepare(db_, "INSERT INTO main._merrow_tx (id, rows) VALUES (?1, ?2)"));
  insert_tx_.BindInt(1, version << kPartBits | next_part_++);
  insert_tx_.Bind(2, cells::ValueView::Blob(rows));
  return insert_tx_.Run();
}

}  // namespace merrow::store
