// SPDX-License-Identifier: Apache-2.0
//
// What a write of this site does to the clocks of the rows that it touches. One call per row and
// event, in the order in which they happened.
//
//   insert  each column gets a cell one above what it had (1 if none). If the row had a sentinel,
//           the row begins its next life: the sentinel's causal length becomes the next odd number.
//           A row without columns beside its key gets a sentinel at once.
//   update  the cells of the changed columns, one above what they had
//   delete  the sentinel's causal length becomes the next even number; all cells go
//   move    a changed key is a delete of the old row, then a new life of the row under the new key:
//           it gets a sentinel, and every cell of the old row, one above what either row had, so
//           that a peer that has seen the old row or an earlier one under the new key takes them.
//           (cr-sqlite 0.16 keeps the versions and loses such changes on the way; 0.17 does this.)
//
// Seqs are handed out one per event in this order, sentinel first, columns by rising number.

#pragma once

#include <cstdint>
#include <span>

#include "cells/row_clock.h"

namespace merrow::cells {

/// Numbers the events of one local transaction.
struct LocalEvents {
  DbVersion version = 0;
  Seq next_seq = 0;

  /// A counter of the row passed kCounterMax: others would refuse what was recorded, so it must not
  /// be kept.
  bool exhausted = false;

  Stamp Next() { return {version, next_seq++, 0}; }
  int64_t Counted(int64_t counter) {
    exhausted = exhausted || counter > kCounterMax;
    return counter;
  }
};

/// `columns`: all columns of the table beside its key, rising. Here and below.
void RecordInsert(std::span<const ColumnId> columns, LocalEvents& events, RowClock& clock);

/// `changed`: the columns whose value changed, rising.
void RecordUpdate(std::span<const ColumnId> changed, LocalEvents& events, RowClock& clock);

void RecordDelete(LocalEvents& events, RowClock& clock);

void RecordMove(std::span<const ColumnId> columns, LocalEvents& events, RowClock& old_clock,
                RowClock& new_clock);

}  // namespace merrow::cells
