// SPDX-License-Identifier: Apache-2.0
#include "cells/merge.h"

#include "cells/merge_rule.h"

namespace merrow::cells {
namespace {

enum class CellVerdict { kLoses, kTakesClock, kWins };

Result<CellVerdict> Judge(const CellClock* local, const IncomingCell& cell, MergeContext& context) {
  if (local == nullptr || VersionWins(cell.col_version, local->col_version)) {
    return CellVerdict::kWins;
  }
  if (cell.col_version < local->col_version) {
    return CellVerdict::kLoses;
  }
  MERROW_ASSIGN(const std::optional<ValueView> value, context.LocalValue(cell.column));
  if (!value.has_value()) {
    return CellVerdict::kWins;
  }
  const int order = CompareTiedValues(cell.value, *value);
  if (order != 0) {
    return order > 0 ? CellVerdict::kWins : CellVerdict::kLoses;
  }
  const bool larger_site = SiteWins(context.CompareSites(cell.stamp.site, local->stamp.site));
  if (!larger_site) {
    return CellVerdict::kLoses;
  }
  // Equal is not identical for the two zeros of REAL; the winner's is kept.
  return IdenticalValue(cell.value, *value) ? CellVerdict::kTakesClock : CellVerdict::kWins;
}

Status MergeCells(const IncomingRow& row, bool first_wins, MergeContext& context, RowClock& clock,
                  MergeOutcome& outcome) {
  for (size_t i = 0; i < row.cells.size(); ++i) {
    const IncomingCell& cell = row.cells[i];
    const CellClock* local = first_wins && i == 0 ? nullptr : clock.Find(cell.column);
    MERROW_ASSIGN(const CellVerdict verdict, Judge(local, cell, context));
    if (verdict == CellVerdict::kLoses) {
      continue;
    }
    clock.SetCell({cell.column, cell.col_version, cell.stamp});
    outcome.clock_changed = true;
    if (verdict == CellVerdict::kTakesClock) {
      ++outcome.clock_only;
      continue;
    }
    outcome.action = RowAction::kWrite;
    outcome.wins.push_back(static_cast<uint32_t>(i));
    ++outcome.impacted;
  }
  return {};
}

void MergeTiedSentinel(const IncomingRow& row, const MergeContext& context, RowClock& clock,
                       MergeOutcome& outcome) {
  if (!row.sentinel.has_value()) {
    return;
  }
  const std::optional<Sentinel>& local = clock.sentinel();
  if (local.has_value() && !SiteWins(context.CompareSites(row.sentinel->site, local->stamp.site))) {
    return;
  }
  clock.SetSentinel({row.cl, *row.sentinel});
  outcome.clock_changed = true;
  ++outcome.clock_only;
}

void Bury(const IncomingRow& row, RowClock& clock, MergeOutcome& outcome) {
  clock.Clear();
  clock.SetSentinel({row.cl, *row.sentinel});
  outcome.action = RowAction::kDelete;
  outcome.clock_changed = true;
  outcome.impacted = 1;
}

}  // namespace

Status MergeRow(const IncomingRow& row, MergeContext& context, RowClock& clock,
                MergeOutcome& outcome) {
  outcome.action = RowAction::kNone;
  outcome.clock_changed = false;
  outcome.wins.clear();
  outcome.impacted = 0;
  outcome.clock_only = 0;

  const CausalLength local_cl = clock.cl();
  if (row.cl < local_cl) {
    return {};
  }
  if (row.cl == local_cl) {
    MergeTiedSentinel(row, context, clock, outcome);
    return MergeCells(row, false, context, clock, outcome);
  }
  if (!IsAlive(row.cl)) {
    Bury(row, clock, outcome);
    return {};
  }
  outcome.action = RowAction::kWrite;
  outcome.clock_changed = true;
  // A row that was never deleted anywhere needs no sentinel.
  if (local_cl == 0 && row.cl == 1 && !row.sentinel.has_value()) {
    return MergeCells(row, false, context, clock, outcome);
  }
  const Stamp& first = row.sentinel.has_value() ? *row.sentinel : row.cells[0].stamp;
  const Stamp stamp{first.db_version, first.seq, row.sentinel.has_value() ? first.site : kNobody};
  clock.ZeroVersions(stamp.db_version);
  clock.SetSentinel({row.cl, stamp});
  ++outcome.impacted;
  return MergeCells(row, !row.sentinel.has_value(), context, clock, outcome);
}

}  // namespace merrow::cells
