// SPDX-License-Identifier: Apache-2.0
//
// Clocks that are not in their blocks yet. A small transaction puts the clocks of its rows into its
// row of _merrow_tx, which it writes anyway, instead of into blocks (cell_clocks.h): a page less to
// write at each commit. When many have come together, or somebody needs the blocks, they are
// folded: the clocks go into the blocks in key order, and the log rows keep only the keys.
//
//     _merrow_tx    ... keys | keys | keys + clocks | keys + clocks      <- the newest
//                                     \________ pending ___________/
//
// Invariants:
//   (1) Log rows with clocks are the newest ones, without another between them.
//   (2) The clock of a row is that of the newest pending log row that has one, else that in the
//       row's block. So nobody writes to blocks before everything pending is folded.
//
// This class is those log rows in memory. It looks at the database again when another connection
// may have written (Refresh), and reads everything anew after Invalidate().

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "cells/clock_block.h"
#include "store/cell_arena.h"
#include "store/cell_index.h"
#include "store/cell_statement.h"

namespace merrow::store {

/// The pending clocks of one table. Every local write asks for the clock of its row, so they are
/// found by hash; who walks through them has them put in order first.
class PendingTable {
 public:
  struct Entry {
    cells::ClockKey key;
    cells::FreshClock fresh;  // columns is 0 if there is `clock` instead
    Bytes clock;
  };
  using InOrder = std::map<cells::ClockKey, const Entry*>;

  /// Null if there is none. Valid as long as the table.
  const Entry* Find(const cells::ClockKey& key) const;
  /// Adds the clock, or puts it in place of another if `replace`. `clock` is as in Entry.
  void Put(const cells::ClockKey& key, const cells::FreshClock& fresh, BytesView clock,
           bool replace);
  /// Those that are put later are not in it until the next call. Iterators stay valid.
  const InOrder& in_order() const;

 private:
  std::deque<Entry> entries_;
  CellArena keys_;
  CellIndex index_;
  mutable InOrder in_order_;
  mutable size_t ordered_ = 0;  // so many entries are in in_order_
};

class PendingClocks {
 public:
  explicit PendingClocks(sqlite3* db) : db_(db) {}

  /// As the database is now.
  Status Refresh();
  /// The same, but what was read once is trusted.
  Status Ensure() { return loaded_ ? Status() : Load(); }
  void Invalidate() { loaded_ = false; }

  /// Null if there are none. REQUIRES: Ensure() or Refresh() succeeded. Here and below.
  const PendingTable* Find(int64_t table_id) const;
  const std::map<int64_t, PendingTable>& tables() const { return tables_; }
  /// Of the log rows with clocks, rising.
  const std::vector<int64_t>& log_rows() const { return log_rows_; }

  /// A log row with clocks that was just written: these.
  struct Added {
    int64_t table_id;
    cells::ClockKey key;
    cells::FreshClock fresh;
    BytesView clock;  // as in PendingTable::Entry
  };
  void Add(int64_t id, std::span<const Added> clocks);
  /// The clocks are in their blocks now: leaves the keys alone in the log rows. Uses the function
  /// merrow_cell_keys(), by which that is one statement.
  Status FoldLogRows();

  void FinalizeStatements();

 private:
  void Clear();
  Status Load();
  void AddLogRow(int64_t id);
  Status AddClocks(BytesView rows, bool replace);

  /// Far more than transactions leave; a damaged file must not take all memory, and rows of a run
  /// take no bytes there.
  static constexpr uint64_t kRowsMax = 1 << 20;

  sqlite3* db_;
  bool loaded_ = false;
  uint64_t rows_ = 0;    // of all log rows with clocks
  int64_t last_id_ = 0;  // newer log rows were not seen
  std::vector<int64_t> log_rows_;
  std::map<int64_t, PendingTable> tables_;
  CellStatement read_all_, read_new_, read_one_, fold_;
};

}  // namespace merrow::store
