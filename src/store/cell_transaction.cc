// SPDX-License-Identifier: Apache-2.0
#include "store/cell_transaction.h"

#include <utility>

#include "base/prefetch.h"
#include "merrow/check.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

/// So many events at once make it worth to fold first, and look at blocks alone.
constexpr size_t kFoldBeforeEvents = 1000;

/// So many events before it is worked off, what one needs is fetched into the processor's cache.
constexpr size_t kPrefetch = 16;

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
  ++epoch_;
  rows_.clear();
  rows_rise_ = true;
  index_.Clear();
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
  ++epoch_;
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
  ++epoch_;
  events_.push_back({{key.table_id, Keep(key)}, version_, 0, 0, kNoRow, kind});
}

void CellTransaction::AddUpdate(const RowKey& key, std::span<const cells::ColumnId> changed) {
  ++epoch_;
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
  while (index_.size() < rows_.size()) {
    const Row& row = rows_[index_.size()];
    index_.Add(HashOf(row.key.table_id, row.key.key), row.index);
  }
  const uint64_t hash = HashOf(key.table_id, key.key);
  const uint32_t found = index_.Find(hash, [&](uint32_t at) {
    const StoredRowKey& other = rows_[at].key;
    return other.table_id == key.table_id && other.key == key.key;
  });
  if (found != CellIndex::kNone) {
    return &rows_[found];
  }
  MERROW_ASSIGN(Row* const row, AddRow(table, {key.table_id, KeepStored(key.key)}));
  index_.Add(hash, row->index);
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
  return {key.table_id, cells::HeadOf(key.key), index};
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
      Prefetch(&events_[order_[i + kPrefetch].index]);
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
    Prefetch(later);
    Prefetch(&later->clock);
  }
  const Row* const soon = row_of(at + kPrefetch / 2);
  if (soon != nullptr) {
    Prefetch(soon->clock.cells().data());
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

}  // namespace merrow::store
