// SPDX-License-Identifier: Apache-2.0
#include "cells/local_write.h"

#include <algorithm>
#include <utility>

namespace merrow::cells {
namespace {

CausalLength NextLife(CausalLength cl) { return IsAlive(cl) ? cl + 2 : cl + 1; }

ColVersion VersionOf(const RowClock& clock, ColumnId column) {
  const CellClock* const cell = clock.Find(column);
  return cell == nullptr ? 0 : cell->col_version;
}

void Touch(ColumnId column, LocalEvents& events, RowClock& clock) {
  clock.SetCell({column, events.Counted(VersionOf(clock, column) + 1), events.Next()});
}

}  // namespace

void RecordInsert(std::span<const ColumnId> columns, LocalEvents& events, RowClock& clock) {
  if (clock.sentinel().has_value()) {
    clock.SetSentinel({events.Counted(NextLife(clock.sentinel()->cl)), events.Next()});
  } else if (columns.empty()) {
    clock.SetSentinel({1, events.Next()});
  }
  RecordUpdate(columns, events, clock);
}

void RecordUpdate(std::span<const ColumnId> changed, LocalEvents& events, RowClock& clock) {
  for (const ColumnId column : changed) {
    Touch(column, events, clock);
  }
}

void RecordDelete(LocalEvents& events, RowClock& clock) {
  // A row that has no sentinel is in its first life. One that is known as deleted and yet was there
  // came back without being recorded.
  const CausalLength cl = clock.sentinel().has_value() ? clock.sentinel()->cl : 1;
  clock.Clear();
  clock.SetSentinel({events.Counted(IsAlive(cl) ? cl + 1 : cl + 2), events.Next()});
}

void RecordMove(std::span<const ColumnId> columns, LocalEvents& events, RowClock& old_clock,
                RowClock& new_clock) {
  const RowClock before = old_clock;
  RecordDelete(events, old_clock);
  const CausalLength cl = new_clock.sentinel().has_value() ? NextLife(new_clock.sentinel()->cl) : 1;
  new_clock.SetSentinel({events.Counted(cl), events.Next()});
  for (const ColumnId column : columns) {
    const ColVersion version = std::max(VersionOf(before, column), VersionOf(new_clock, column));
    new_clock.SetCell({column, events.Counted(version + 1), events.Next()});
  }
}

}  // namespace merrow::cells
