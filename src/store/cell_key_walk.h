// SPDX-License-Identifier: Apache-2.0
//
// Finds the rows of a table whose keys are asked for one after the other. When they come in the
// order of the key, which is one number or one text, the next row is a step or two away from the
// last one, and no search is needed. A row is always read when it is asked for, never ahead.

#pragma once

#include <cstdint>
#include <string>

#include "cells/value.h"
#include "store/cell_statement.h"
#include "store/cell_table.h"

namespace merrow::store {

/// By which name the table's rowid can be asked for; empty if it has none, or needs none because it
/// is the key.
Result<std::string> RowIdName(sqlite3* db, const CellTable& table);

class KeyWalk {
 public:
  /// Has the table a key that can be walked through?
  static bool CanWalk(const CellTable& table) { return table.key.size() == 1; }

  /// Each row has the columns of `select`, in SQL. REQUIRES: CanWalk(table)
  Status Prepare(sqlite3* db, const CellTable& table, const std::string& select, int columns);
  bool prepared() const { return walk_.prepared(); }
  void Finalize() { walk_.Finalize(); }
  /// The next Find() searches, since the table may have been changed.
  void Forget() {
    begun_ = false;
    walk_.Reset();
  }

  /// Too many keys were out of order, or of another class: a search for each is cheaper.
  bool gave_up() const { return misses_ > kMissesMax; }
  /// False if there is no such row, or it gave up.
  /// `end_stays`: who asks knows that nobody else adds rows behind the last one.
  Result<bool> Find(const cells::ValueView& key, bool end_stays = false);
  /// The row that was found. Valid until the next call.
  const CellStatement& row() const { return walk_; }

 private:
  static constexpr int kStepsMax = 3;
  static constexpr int kMissesMax = 100;

  bool IsAfterLast(const cells::ValueView& key) const;
  bool IsBelow(const cells::ValueView& key) const;
  Status Step();
  Status Search(const cells::ValueView& key);

  CellStatement walk_;
  int key_at_ = 0;
  cells::ValueType type_ = cells::ValueType::kText;  // of the keys that can be walked to
  bool begun_ = false;
  bool at_end_ = false;
  int64_t at_number_ = 0;  // the key of the row at hand, if it is a number
  Bytes searched_;         // what is bound
  int misses_ = 0;
  // The last key that was asked for.
  int64_t last_number_ = 0;
  Bytes last_text_;
};

}  // namespace merrow::store
