// SPDX-License-Identifier: Apache-2.0
//
// The merge rule of column rows, which is cr-sqlite's. A foreign row is merged into what this site
// knows of it:
//
//   1. The larger causal length wins the row whole. Even: the row is deleted here. Odd: the row
//      lives again; the cells of its earlier life, if it was never deleted here, stay as values but
//      count as never written (col_version 0).
//   2. At equal causal length each cell by itself: the larger col_version wins,
//   3. then the larger value (value.h),
//   4. then the larger site id.
//
// Step 4 cannot change a value; it makes the clocks equal too, where cr-sqlite leaves whatever came
// first. For the same reason two sentinels of equal causal length leave the one of the larger site.
// So the state of a row is a join of what was heard: the order, grouping and repetition of whole
// rows do not matter. (docs/data-model.md has the argument.)
//
// A cell of an alive row without a sentinel at hand, in a causal length above 1, implies one.
// Nobody (kNobody) stands in it, whose id is below all others, so the real one wins whenever it
// comes and cells may come before it.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "cells/row_clock.h"
#include "cells/value.h"

namespace merrow::cells {

/// A CellChange in terms of this database: its column numbers, its site ordinals, its db_version.
/// The value has the column's affinity.
struct IncomingCell {
  ColumnId column = 0;
  ColVersion col_version = 0;
  ValueView value;
  Stamp stamp;
};

struct IncomingRow {
  CausalLength cl = 1;
  std::optional<Stamp> sentinel;
  std::span<const IncomingCell> cells;
};

/// What the rule needs to know of this database, asked for only when versions tie.
class MergeContext {
 public:
  virtual ~MergeContext() = default;
  /// The value of the row's column now; nothing if the row is gone. The view holds until the next
  /// call.
  virtual Result<std::optional<ValueView>> LocalValue(ColumnId column) = 0;
  /// Below, equal to or above 0, as the id of site `a` is to that of `b`.
  virtual int CompareSites(SiteOrdinal a, SiteOrdinal b) const = 0;
};

enum class RowAction : uint8_t {
  kNone,    // the row stays as it is, but for its clock
  kDelete,  // remove the row
  kWrite,   // make the row if it is not there, and write the cells that won
};

struct MergeOutcome {
  RowAction action = RowAction::kNone;
  /// The clock differs from before and must be stored.
  bool clock_changed = false;
  /// Indexes into IncomingRow::cells of the values to write, rising.
  std::vector<uint32_t> wins;
  /// Changes of data, as crsql_rows_impacted counts: a delete, a return to life, each value that
  /// won.
  int64_t impacted = 0;
  /// Cells that lost or tied for values but took over the clock; counted with merge-equal-values.
  int64_t clock_only = 0;
};

/// Merges `row` into `clock`. `outcome` is overwritten; its memory is used again.
/// REQUIRES: `row` is well-formed (row_change.h).
Status MergeRow(const IncomingRow& row, MergeContext& context, RowClock& clock,
                MergeOutcome& outcome);

}  // namespace merrow::cells
