// SPDX-License-Identifier: Apache-2.0
//
// The part of a transaction that is not in SQLite yet: what the triggers reported and what merges
// did to clocks. A trigger only appends an event to memory; just before the commit, or before
// somebody reads clocks, Flush() works the events off, writes each touched row's clock once, in key
// order, and adds one row to _merrow_tx.
//
//     events     what triggers reported, in order; [0, processed_) are in `rows` already
//     rows       the clocks of the rows touched in this transaction, by key
//     touched    which rows, under which db_version; [0, touched_flushed_) are in _merrow_tx
//     already journal    clocks as they were before each change, while a savepoint is open
//
// Events are worked off in the order in which they happened, but clocks are read, and written, in
// key order, so that neighbours cost one lookup together (cell_clocks.h).
//
// Triggers of one table fire in an order that nobody can rely on. If one of the user's deletes the
// row that was just inserted, the delete may be reported before the insert. So rows that were
// reported as there and as gone are looked up in the table before their clocks are used
// (SettleDoubts).
//
// Rolling back to a savepoint is exact: SQLite undoes what was flushed since; here the four lists
// are cut to their lengths at that time, clocks are put back from the journal, events that were
// only worked off since count as new again, and if a flush was undone every row counts as unsaved.
//
// Memory grows with the rows that a transaction touches, about 300 bytes each. Without an open
// savepoint the lists are emptied at kEventsMax.

#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "cells/local_write.h"
#include "cells/row_clock.h"
#include "cells/stored_key.h"
#include "store/cell_arena.h"
#include "store/cell_index.h"
#include "store/cell_order.h"
#include "store/cell_table.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {

/// A row of a tracked table: the number for a table with an INTEGER PRIMARY KEY, else packed.
struct RowKey {
  int64_t table_id = 0;
  int64_t number = 0;
  BytesView packed;
};

/// The same as clocks keep it.
struct StoredRowKey {
  int64_t table_id = 0;
  cells::ClockKey key;
};

class CellTransaction {
 public:
  CellTransaction(sqlite3* db, CellTables& tables) : db_(db), tables_(tables) {}

  /// Between Begin() and End() of one SQLite transaction.
  bool active() const { return active_; }
  /// `committed`: the db_version before this transaction.
  void Begin(cells::DbVersion committed);
  /// After commit or rollback.
  void End();
  /// Blocks may have been written by others, or undone.
  void ForgetBlocks();

  void Savepoint(int number);
  void Release(int number);
  void RollbackTo(int number);
  /// The innermost one that is open, or -1.
  int last_savepoint() const { return savepoints_.empty() ? -1 : savepoints_.back().number; }

  /// What this transaction's events are stamped with.
  cells::DbVersion version() const { return version_; }
  /// The db_version before this transaction.
  cells::DbVersion committed() const { return committed_; }
  /// A foreign row came with a larger version: this site's clock must not fall behind it.
  void RaiseVersion(cells::DbVersion version) { version_ = std::max(version_, version); }

  void AddInsert(const RowKey& key) { AddEvent(Kind::kInsert, key); }
  void AddDelete(const RowKey& key) { AddEvent(Kind::kDelete, key); }
  /// `changed`: rising. May be empty in an explicit transaction: the row might have been changed in
  /// columns that its trigger does not know.
  void AddUpdate(const RowKey& key, std::span<const cells::ColumnId> changed);
  void AddMove(const RowKey& from, const RowKey& to);

  struct Row {
    uint32_t index = 0;
    bool dirty = false;
    // What triggers reported in this transaction.
    bool was_there = false;
    bool was_gone = false;
    bool doubtful = false;  // in doubtful_
    /// What it was last noted in `touched` for.
    cells::DbVersion touched = -1;
    StoredRowKey key;
    cells::FreshClock fresh;  // unless columns is 0, this is the clock and `clock` is empty
    cells::RowClock clock;
  };

  /// The row with its clock in `clock`, all events so far worked in. Valid until Flush() or End().
  Result<Row*> Find(CellTable& table, const RowKey& key);
  Result<Row*> FindStored(CellTable& table, const cells::ClockKey& key);
  /// Steps whenever a row that was found may have become another, or have been written to by others
  /// than merges: as long as it stays, so do the row and its clock.
  uint64_t epoch() const { return epoch_; }
  /// Works off what triggers reported.
  Status Process();
  /// Rows of the table that the transaction touched since the last flush.
  bool HasRows(int64_t table_id) const;
  std::vector<cells::ClockKey> KeysOf(int64_t table_id) const;
  /// REQUIRES: called before `row.clock` is changed, at each change.
  void WillChange(Row& row, cells::DbVersion version);

  cells::Seq next_seq() const { return next_seq_; }
  cells::Seq TakeSeq() { return next_seq_++; }

  /// Writes everything to SQLite.
  Status Flush();
  /// Brings pending clocks into their blocks.
  Status Fold();
  /// The largest db_version that was written, or 0.
  cells::DbVersion written_version() const { return written_version_; }
  /// Many events wait and nothing forbids to let go of them.
  bool is_full() const { return events_.size() >= kEventsMax && savepoints_.empty(); }
  void FinalizeStatements();

  /// crsql_rows_impacted() of this transaction.
  int64_t rows_impacted = 0;
  /// Merges that wrote or deleted a row.
  int64_t rows_merged = 0;

 private:
  static constexpr size_t kEventsMax = 1 << 20;

  static constexpr uint32_t kNoRow = UINT32_MAX;

  enum class Kind : uint8_t { kInsert, kUpdate, kDelete, kMoveFrom, kMoveTo };
  struct Event {
    StoredRowKey key;
    cells::DbVersion version;
    size_t changed_at;  // in changed_
    uint32_t changed_count;
    uint32_t row;  // kNoRow until its clock was read
    Kind kind;
  };
  struct Touched {
    uint32_t row;
    cells::DbVersion version;
  };
  struct Mark {
    int number;
    size_t events, processed, touched, touched_flushed, journal;
    uint64_t flushes;
    cells::Seq next_seq;
    cells::DbVersion version, written_version;
    int64_t rows_impacted, rows_merged;
  };
  using Order = KeyOrder;

  void AddEvent(Kind kind, const RowKey& key);
  cells::ClockKey Keep(const RowKey& key);
  cells::ClockKey KeepStored(const cells::ClockKey& key);
  static Order OrderOf(const StoredRowKey& key, uint32_t index);

  /// Gives each new event its row.
  Status LoadEventRows();
  void PrefetchRows(size_t at) const;
  Status ProcessEvent(size_t at);
  Status ProcessInsert(CellTable& table, Row& row, cells::DbVersion version);
  void Report(Row& row, bool is_there);
  void Doubt(Row& row);
  /// Asks the table about doubtful rows.
  Status SettleDoubts();
  Result<Row*> Load(CellTable& table, const StoredRowKey& key);
  Result<Row*> AddRow(CellTable& table, const StoredRowKey& key);

  /// Brings `rows` into order_, by key. If one is there twice, others may come with them.
  void OrderRows(const std::vector<uint32_t>& rows);
  Status WriteClocks();
  Status WriteTableClocks(CellTable& table, std::span<const Order> rows);
  Status WriteTxRows();
  void AppendTxGroup(std::span<const Order> rows, Bytes& out);
  void AppendStoredGroups(int64_t table_id, const std::vector<BytesView>& keys, Bytes& out);
  Status WriteTxRow(cells::DbVersion version, BytesView rows);
  bool CanPend() const;
  /// Instead of WriteClocks() and WriteTxRows(): log rows with clocks.
  Status WritePending();
  void CollectPending();
  void AppendPendingGroup(std::span<const PendingClocks::Added> rows, Bytes& out);
  std::vector<Touched> UnflushedByVersion() const;
  void Clear();
  void ForgetRows();

  sqlite3* db_;
  CellTables& tables_;
  CellStatement insert_tx_;

  bool active_ = false;
  bool is_explicit_ = false;  // the schema may change in the middle of it
  cells::DbVersion committed_ = 0;
  cells::DbVersion version_ = 0;
  cells::DbVersion written_version_ = 0;
  cells::Seq next_seq_ = 0;

  std::deque<Event> events_;
  size_t processed_ = 0;
  std::vector<cells::ColumnId> changed_;
  CellArena arena_;  // stored keys
  Bytes stored_;
  std::deque<Row> rows_;
  uint64_t epoch_ = 0;
  bool rows_rise_ = true;  // rows_ is in key order
  /// Of rows_. Made when a row is first looked up, and then of the first index_.size() rows.
  CellIndex index_;
  std::vector<uint32_t> dirty_;  // rows to write
  /// Rows that were reported as there and as gone: if a trigger of the user's fires before Merrow's
  /// and writes to the row, events come in the wrong order, so the row itself has to say which.
  std::vector<uint32_t> doubtful_;
  std::vector<Touched> touched_;
  size_t touched_flushed_ = 0;
  std::vector<Row> journal_;  // rows as they were
  std::vector<Mark> savepoints_;
  uint64_t flushes_ = 0;
  int64_t next_part_ = 0;

  // Of one flush.
  std::vector<Order> order_;
  std::vector<ClockChange> changes_;
  Bytes clocks_;
  std::vector<PendingClocks::Added> pending_;
  std::vector<size_t> pending_ends_;  // of their clocks, in clocks_
  std::vector<cells::ClockRun> runs_;
  /// Neighbouring clocks of a table with stored keys that were written together.
  struct Range {
    int64_t table_id;
    BytesView first, last;
    uint64_t rows;  // with a clock between them, at most
  };
  std::vector<Range> ranges_;
};

}  // namespace merrow::store
