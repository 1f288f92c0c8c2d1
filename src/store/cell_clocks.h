// SPDX-License-Identifier: Apache-2.0
//
// The clocks of one tracked table on disk: the table _merrow_clock_<id> (first, block), whose rows
// are clock blocks (cells/clock_block.h) of up to about kBlockBytesMax bytes. A block holds the
// clocks of the keys from its `first` to that of the block behind it. A row of the table that is in
// no block has no clock.
//
// The last block that was read stays in memory, so that looking up keys in rising order reads each
// block once. It is good until somebody else writes: Forget() must be called at the beginning of
// each transaction and after each rollback.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cells/clock_block.h"
#include "store/cell_arena.h"
#include "store/cell_pending.h"
#include "store/cell_statement.h"

namespace merrow::store {

/// What becomes of the clock of one row.
struct ClockChange {
  cells::ClockKey key;
  cells::FreshClock fresh;  // columns is 0 if there is `clock` instead
  BytesView clock;          // packed; the row loses its clock if this is empty too
};

/// Changes [begin, end) were neighbours among `rows` rows with clocks, counting themselves.
struct ClockSpan {
  size_t begin = 0;
  size_t end = 0;
  uint64_t rows = 0;
};

class CellClocks {
 public:
  CellClocks() = default;
  /// With `pending`, Find() and ForEach() see those clocks too. Without, and for Write(), nothing
  /// may be pending: CellStore::Fold().
  CellClocks(sqlite3* db, int64_t table_id, bool stored_keys, PendingClocks* pending = nullptr)
      : db_(db), table_id_(table_id), stored_keys_(stored_keys), pending_(pending) {}

  /// Null if the row has no clock. Valid until the next call. Corruption if the block is damaged.
  Result<const cells::ClockRun*> Find(const cells::ClockKey& key);

  /// REQUIRES: keys rise strictly. Appends to `spans`, unless null, where the changes went.
  Status Write(const std::vector<ClockChange>& changes, std::vector<ClockSpan>* spans);

  /// Calls `each` with the rows from `from` (null: the first) to `until` (null: the last), both
  /// included, in order; rows of a run at once; as long as it gives true. `each` may write to this
  /// table's clocks through another object.
  using Each = std::function<Result<bool>(const cells::ClockRun&)>;
  Status ForEach(const cells::ClockKey* from, const cells::ClockKey* until, const Each& each);

  void Forget() { loaded_ = false; }
  void FinalizeStatements();

  static std::string TableName(int64_t table_id) {
    return "_merrow_clock_" + std::to_string(table_id);
  }
  static std::string CreateSql(int64_t table_id, bool stored_keys);

 private:
  static constexpr size_t kBlockBytesMax = 900;
  /// A block whose clocks grew is cut when it is larger than that.
  static constexpr size_t kSplicedBytesMax = 1000;

  /// A key with the bytes that it needs.
  struct OwnKey {
    int64_t number = 0;
    Bytes stored;
    cells::ClockKey view() const { return {number, stored}; }
    void operator=(const cells::ClockKey& key) {
      number = key.number;
      stored.assign(key.stored);
    }
  };

  Result<const cells::ClockRun*> FindInBlocks(const cells::ClockKey& key);
  /// True if `each` never gave false.
  Result<bool> ForEachInBlocks(const cells::ClockKey* from, const cells::ClockKey* until,
                               const Each& each);
  cells::ValueView ValueOf(const cells::ClockKey& key) const;
  cells::ClockKey KeyOf(const CellStatement& statement) const;
  bool IsLoaded(const cells::ClockKey& key);
  /// The block in which `key` is or would be. There is none if the table is empty.
  Status Load(const cells::ClockKey& key);
  /// Reads the first key of the block behind.
  Status LoadBound();
  Error Within(const Error& error) const;

  /// Prepares `statement` with the table's name between the two, unless that was done.
  Status Prepare(CellStatement& statement, const char* before, const char* after);
  /// If all that changes [at, ...) do to rows of the block at hand is to replace their clocks, does
  /// so and leaves all other bytes as they are. `count`: how many, or 0 if they do more or the
  /// block would become too large. `rows`, unless null: of the block.
  Status Splice(const std::vector<ClockChange>& changes, size_t at, size_t& count, uint64_t* rows);
  /// Makes the block at hand anew with the changes from `at` on that are in it, and moves `at`
  /// behind them. `rows`: in the block now.
  Status Rewrite(const std::vector<ClockChange>& changes, size_t& at, uint64_t& rows);
  Status WriteRuns(const std::vector<cells::ClockRun>& runs, bool is_append);
  Status WriteBlock(const cells::ClockKey& first, BytesView block);
  Status DropBlock();

  sqlite3* db_ = nullptr;
  int64_t table_id_ = 0;
  bool stored_keys_ = false;
  PendingClocks* pending_ = nullptr;
  cells::ClockRun found_;  // what Find() gave, if it was pending

  // The block at hand.
  bool loaded_ = false;
  bool exists_ = false;  // false: the table is empty
  OwnKey first_;
  Bytes block_;
  bool bound_known_ = false;
  bool bounded_ = false;
  OwnKey bound_;
  cells::ClockBlockReader reader_;

  Bytes spliced_;
  std::vector<cells::ClockRun> runs_;
  CellArena keys_;  // of runs_
  CellStatement read_, read_first_, read_bound_, write_, drop_;
};

}  // namespace merrow::store
