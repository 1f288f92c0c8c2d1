// SPDX-License-Identifier: Apache-2.0
#include "store/cell_transaction.h"

#include <array>
#include <functional>
#include <string_view>

#include "merrow/check.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

constexpr size_t kArenaBlockBytes = 1 << 10;
constexpr size_t kArenaDoublingsMax = 8;
constexpr size_t kIndexSizeMin = 64;
/// A larger index costs more to clear than to build again.
constexpr size_t kIndexSizeKept = 1024;

/// Rows of _merrow_tx are id = db_version << kPartBits | part. DO NOT CHANGE: it is on disk.
constexpr int kPartBits = 20;
constexpr int64_t kPartsMax = int64_t{1} << kPartBits;

uint64_t HashOf(const RowKey& key) {
  uint64_t hash = static_cast<uint64_t>(key.number) ^ (static_cast<uint64_t>(key.table_id) << 48);
  if (!key.packed.empty()) {
    hash ^= std::hash<std::string_view>()(key.packed);
  }
  hash *= 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 29);
}

bool SameKey(const RowKey& a, const RowKey& b) {
  return a.number == b.number && a.table_id == b.table_id && a.packed == b.packed;
}

bool KeyLess(const RowKey& a, const RowKey& b) {
  if (a.table_id != b.table_id) {
    return a.table_id < b.table_id;
  }
  return a.number != b.number ? a.number < b.number : a.packed < b.packed;
}

cells::ValueView KeyValue(const CellTable& table, const RowKey& key) {
  return table.int_key ? cells::ValueView::Integer(key.number) : cells::ValueView::Blob(key.packed);
}

void Materialize(CellTransaction::Row& row) {
  for (uint32_t column = 0; column < row.fresh_columns; ++column) {
    row.clock.SetCell({column, 1, {row.fresh_version, row.fresh_seq + column, 0}});
  }
  row.fresh_columns = 0;
}

}  // namespace

void CellTransaction::Begin(cells::DbVersion committed) {
  Clear();
  active_ = true;
  committed_ = committed;
  version_ = committed + 1;
  next_seq_ = 0;
  next_part_ = 0;
  rows_impacted = 0;
}

void CellTransaction::End() {
  Clear();
  active_ = false;
  rows_impacted = 0;
}

void CellTransaction::Clear() {
  // Large lists are given back; small ones are kept for the next transaction.
  if (events_.capacity() > kEventsMax / 16) {
    events_ = {};
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
  arena_.clear();
}

void CellTransaction::ForgetRows() {
  if (!rows_.empty()) {
    rows_.clear();
    if (index_.size() > kIndexSizeKept) {
      index_ = {};
    }
    std::fill(index_.begin(), index_.end(), uint64_t{0});
  }
  dirty_.clear();
  last_keys_.clear();
}

void CellTransaction::Savepoint(int number) {
  Release(number);
  savepoints_.push_back({number, events_.size(), processed_, touched_.size(), touched_flushed_,
                         journal_.size(), flushes_, next_seq_, version_, rows_impacted});
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
  }
  events_.resize(mark.events);
  processed_ = mark.processed;
  touched_.resize(mark.touched);
  touched_flushed_ = mark.touched_flushed;
  next_seq_ = mark.next_seq;
  version_ = mark.version;
  rows_impacted = mark.rows_impacted;
  last_keys_.clear();
  if (flushes_ == mark.flushes) {
    return;
  }
  // What was flushed since is gone from SQLite, so every row is unsaved again.
  dirty_.clear();
  for (Row& row : rows_) {
    row.dirty = true;
    dirty_.push_back(row.index);
  }
}

RowKey CellTransaction::Keep(const RowKey& key) {
  if (key.packed.empty()) {
    return key;
  }
  if (arena_.empty() || arena_.back().capacity() - arena_.back().size() < key.packed.size()) {
    const size_t block_bytes = kArenaBlockBytes << std::min(arena_.size(), kArenaDoublingsMax);
    arena_.emplace_back().reserve(std::max(block_bytes, key.packed.size()));
  }
  Bytes& block = arena_.back();
  const size_t at = block.size();
  block.append(key.packed);
  return {key.table_id, key.number, BytesView(block).substr(at)};
}

void CellTransaction::AddEvent(Kind kind, const RowKey& key) {
  events_.push_back({Keep(key), version_, 0, 0, kind});
}

void CellTransaction::AddUpdate(const RowKey& key, std::span<const cells::ColumnId> changed) {
  events_.push_back(
      {Keep(key), version_, changed_.size(), static_cast<uint32_t>(changed.size()), Kind::kUpdate});
  changed_.insert(changed_.end(), changed.begin(), changed.end());
}

void CellTransaction::AddMove(const RowKey& from, const RowKey& to) {
  AddEvent(Kind::kMoveFrom, from);
  AddEvent(Kind::kMoveTo, to);
}

// --- The rows of this transaction.

uint64_t* CellTransaction::Slot(const RowKey& key, uint64_t hash) {
  const size_t mask = index_.size() - 1;
  for (size_t slot = static_cast<size_t>(hash) & mask;; slot = (slot + 1) & mask) {
    const uint64_t entry = index_[slot];
    // The upper half tells nearly all other rows apart, so their keys need not be looked at.
    const bool may_be = (entry ^ hash) >> 32 == 0;
    if (entry == 0 || (may_be && SameKey(rows_[static_cast<uint32_t>(entry) - 1].key, key))) {
      return &index_[slot];
    }
  }
}

void CellTransaction::GrowIndex(size_t rows) {
  size_t size = kIndexSizeMin;
  while (size < rows * 2) {
    size *= 2;
  }
  if (size <= index_.size()) {
    return;
  }
  index_.assign(size, uint64_t{0});
  for (const Row& row : rows_) {
    const uint64_t hash = HashOf(row.key);
    *Slot(row.key, hash) = (hash >> 32 << 32) | (row.index + 1);
  }
}

Result<bool> CellTransaction::IsBeyondLast(CellTable& table, const RowKey& key) {
  const auto found = std::find_if(last_keys_.begin(), last_keys_.end(),
                                  [&](const LastKey& last) { return last.table_id == table.id; });
  if (found != last_keys_.end()) {
    return !found->any || (table.int_key ? key.number > found->number : key.packed > found->packed);
  }
  if (!table.max_key.prepared()) {
    MERROW_TRY(table.max_key.Prepare(
        db_, "SELECT key FROM main." + table.ClockTable() + " ORDER BY key DESC LIMIT 1"));
  }
  const ResetAtEnd reset(table.max_key);
  MERROW_ASSIGN(const bool any, table.max_key.Step());
  LastKey last{table.id, any, 0, {}};
  if (any) {
    const cells::ValueView value = table.max_key.Column(0);
    last.number = value.integer;
    last.packed = Bytes(value.bytes);
  }
  last_keys_.push_back(std::move(last));
  return IsBeyondLast(table, key);
}

Status CellTransaction::ReadClock(CellTable& table, Row& row) {
  MERROW_ASSIGN(const bool is_new, IsBeyondLast(table, row.key));
  if (is_new) {
    return {};
  }
  if (!table.read_clock.prepared()) {
    MERROW_TRY(table.read_clock.Prepare(
        db_, "SELECT clock FROM main." + table.ClockTable() + " WHERE key = ?1"));
  }
  const ResetAtEnd reset(table.read_clock);
  table.read_clock.Bind(1, KeyValue(table, row.key));
  MERROW_ASSIGN(const bool known, table.read_clock.Step());
  if (!known) {
    return {};
  }
  Status status = row.clock.DecodeFrom(table.read_clock.Column(0).bytes);
  if (!status.ok()) {
    return status.error().Within("clock of a row of table " + table.name);
  }
  return {};
}

Result<CellTransaction::Row*> CellTransaction::Load(CellTable& table, const RowKey& key) {
  GrowIndex(rows_.size() + 1);
  const uint64_t hash = HashOf(key);
  uint64_t* const slot = Slot(key, hash);
  if (*slot != 0) {
    return &rows_[static_cast<uint32_t>(*slot) - 1];
  }
  Row& row = rows_.emplace_back();
  row.index = static_cast<uint32_t>(rows_.size() - 1);
  row.key = key;
  Status status = ReadClock(table, row);
  if (!status.ok()) {
    rows_.pop_back();
    return status.error();
  }
  *slot = (hash >> 32 << 32) | (row.index + 1);
  return &row;
}

Result<CellTransaction::Row*> CellTransaction::Find(CellTable& table, const RowKey& key) {
  MERROW_TRY(Process());
  MERROW_ASSIGN(Row* const row, Load(table, Keep(key)));
  Materialize(*row);
  return row;
}

void CellTransaction::WillChange(Row& row, cells::DbVersion version) {
  if (!savepoints_.empty()) {
    journal_.push_back(row);
  }
  if (!row.dirty) {
    row.dirty = true;
    dirty_.push_back(row.index);
  }
  touched_.push_back({row.index, version});
}

// --- Working off events.

Status CellTransaction::Process() {
  GrowIndex(rows_.size() + events_.size() - processed_);
  while (processed_ < events_.size()) {
    MERROW_TRY(ProcessEvent(processed_));
    ++processed_;
  }
  return {};
}

Status CellTransaction::ProcessInsert(CellTable& table, Row& row, cells::DbVersion version) {
  WillChange(row, version);
  const bool is_unknown = row.clock.empty() && row.fresh_columns == 0;
  if (is_unknown && table.life_floor > 0) {
    // Another site may still have a tombstone that was dropped here.
    row.clock.SetSentinel({table.life_floor, {version, next_seq_, 0}});
  } else if (is_unknown && table.dense && !table.columns.empty()) {
    row.fresh_columns = static_cast<uint32_t>(table.columns.size());
    row.fresh_version = version;
    row.fresh_seq = next_seq_;
    next_seq_ += row.fresh_columns;
    return {};
  }
  Materialize(row);
  cells::LocalEvents events{version, next_seq_};
  cells::RecordInsert(table.column_ids, events, row.clock);
  next_seq_ = events.next_seq;
  return {};
}

Status CellTransaction::ProcessEvent(size_t at) {
  const Event event = events_[at];
  CellTable* const table = tables_.FindId(event.key.table_id);
  // A table that was dropped or untracked since takes its events with it. The old row of a move is
  // handled together with its new one.
  if (table == nullptr || event.kind == Kind::kMoveFrom) {
    return {};
  }
  MERROW_ASSIGN(Row* const row, Load(*table, event.key));
  if (event.kind == Kind::kInsert) {
    return ProcessInsert(*table, *row, event.version);
  }
  WillChange(*row, event.version);
  Materialize(*row);
  cells::LocalEvents events{event.version, next_seq_};
  switch (event.kind) {
    case Kind::kUpdate:
      cells::RecordUpdate({changed_.data() + event.changed_at, event.changed_count}, events,
                          row->clock);
      break;
    case Kind::kDelete:
      cells::RecordDelete(events, row->clock);
      break;
    case Kind::kMoveTo: {
      MERROW_ASSIGN(Row* const from, Load(*table, events_[at - 1].key));
      WillChange(*from, event.version);
      Materialize(*from);
      cells::RecordMove(table->column_ids, events, from->clock, row->clock);
      break;
    }
    case Kind::kInsert:
    case Kind::kMoveFrom:
      break;
  }
  next_seq_ = events.next_seq;
  return {};
}

// --- Writing to SQLite.

Status CellTransaction::Flush() {
  MERROW_TRY(Process());
  if (dirty_.empty() && touched_flushed_ == touched_.size()) {
    return {};
  }
  ++flushes_;
  MERROW_TRY(WriteTxRows());
  MERROW_TRY(WriteClocks());
  if (savepoints_.empty()) {
    // Nothing can be undone any more but everything.
    events_.clear();
    processed_ = 0;
    changed_.clear();
    touched_.clear();
    touched_flushed_ = 0;
    ForgetRows();
    arena_.clear();
  }
  return {};
}

Status CellTransaction::WriteClocks() {
  const auto less = [this](uint32_t a, uint32_t b) { return KeyLess(rows_[a].key, rows_[b].key); };
  if (!std::is_sorted(dirty_.begin(), dirty_.end(), less)) {
    std::sort(dirty_.begin(), dirty_.end(), less);
  }
  CellTable* table = nullptr;
  Bytes buffer;
  for (const uint32_t index : dirty_) {
    Row& row = rows_[index];
    if (table == nullptr || table->id != row.key.table_id) {
      table = tables_.FindId(row.key.table_id);
    }
    if (table != nullptr) {
      MERROW_TRY(WriteClock(*table, row, buffer));
    }
    row.dirty = false;
  }
  dirty_.clear();
  last_keys_.clear();
  return {};
}

Status CellTransaction::WriteClock(CellTable& table, const Row& row, Bytes& buffer) {
  if (row.clock.empty() && row.fresh_columns == 0) {
    if (!table.drop_clock.prepared()) {
      MERROW_TRY(table.drop_clock.Prepare(
          db_, "DELETE FROM main." + table.ClockTable() + " WHERE key = ?1"));
    }
    table.drop_clock.Bind(1, KeyValue(table, row.key));
    return table.drop_clock.Run();
  }
  buffer.clear();
  if (row.fresh_columns > 0) {
    cells::RowClock::AppendFresh({row.fresh_columns, 0, row.fresh_version, row.fresh_seq}, buffer);
  } else {
    row.clock.AppendTo(buffer);
  }
  if (!table.write_clock.prepared()) {
    MERROW_TRY(table.write_clock.Prepare(db_, "INSERT OR REPLACE INTO main." + table.ClockTable() +
                                                  " (key, clock) VALUES (?1, ?2)"));
  }
  table.write_clock.Bind(1, KeyValue(table, row.key));
  table.write_clock.Bind(2, cells::ValueView::Blob(buffer));
  return table.write_clock.Run();
}

Status CellTransaction::WriteTxRows() {
  std::vector<Touched> touched(touched_.begin() + static_cast<std::ptrdiff_t>(touched_flushed_),
                               touched_.end());
  const auto less = [this](const Touched& a, const Touched& b) {
    return a.version != b.version ? a.version < b.version
                                  : KeyLess(rows_[a.row].key, rows_[b.row].key);
  };
  if (!std::is_sorted(touched.begin(), touched.end(), less)) {
    std::sort(touched.begin(), touched.end(), less);
  }
  Bytes bytes;
  std::vector<int64_t> numbers;
  std::vector<BytesView> packed;
  for (size_t i = 0; i < touched.size();) {
    const cells::DbVersion version = touched[i].version;
    bytes.clear();
    while (i < touched.size() && touched[i].version == version) {
      const int64_t table_id = rows_[touched[i].row].key.table_id;
      const CellTable* const table = tables_.FindId(table_id);
      numbers.clear();
      packed.clear();
      for (uint32_t last = UINT32_MAX; i < touched.size() && touched[i].version == version &&
                                       rows_[touched[i].row].key.table_id == table_id;
           ++i) {
        const RowKey& key = rows_[touched[i].row].key;
        if (touched[i].row == last || table == nullptr) {
          continue;
        }
        last = touched[i].row;
        if (table->int_key) {
          numbers.push_back(key.number);
        } else {
          packed.push_back(key.packed);
        }
      }
      if (!numbers.empty()) {
        AppendTxIntKeys(table_id, numbers, bytes);
      } else if (!packed.empty()) {
        AppendTxPackedKeys(table_id, packed, bytes);
      }
    }
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
  MERROW_TRY(insert_tx_.Prepare(db_, "INSERT INTO main._merrow_tx (id, rows) VALUES (?1, ?2)"));
  insert_tx_.BindInt(1, version << kPartBits | next_part_++);
  insert_tx_.Bind(2, cells::ValueView::Blob(rows));
  return insert_tx_.Run();
}

}  // namespace merrow::store
