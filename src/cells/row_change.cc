// SPDX-License-Identifier: Apache-2.0
#include "cells/row_change.h"

#include <algorithm>

namespace merrow::cells {
namespace {

Status CheckClock(const Transaction& transaction, const ChangeClock& clock) {
  if (clock.author >= transaction.authors.size()) {
    return Corruption("author " + std::to_string(clock.author) + " is not listed");
  }
  if (clock.db_version < 0 || clock.db_version > kDbVersionMax) {
    return Corruption("db_version " + std::to_string(clock.db_version) + " is out of range");
  }
  if (clock.seq < 0 || clock.seq > kCounterMax) {
    return Corruption("seq " + std::to_string(clock.seq) + " is out of range");
  }
  return {};
}

Status CheckCells(const Transaction& transaction, const RowChange& change) {
  const std::vector<std::string>& columns = transaction.tables[change.table].columns;
  bool rises = true;
  for (const CellChange& cell : change.cells) {
    if (cell.column >= columns.size()) {
      return Corruption("column " + std::to_string(cell.column) + " is not listed");
    }
    if (cell.col_version < 0 || cell.col_version > kCounterMax) {
      return Corruption("column " + columns[cell.column] + ": col_version " +
                        std::to_string(cell.col_version) + " is out of range");
    }
    MERROW_TRY(CheckClock(transaction, cell.clock));
    rises = rises && (&cell == change.cells.data() || (&cell - 1)->column < cell.column);
  }
  if (rises) {
    return {};
  }
  std::vector<uint32_t> seen;
  seen.reserve(change.cells.size());
  for (const CellChange& cell : change.cells) {
    seen.push_back(cell.column);
  }
  std::sort(seen.begin(), seen.end());
  const auto twice = std::adjacent_find(seen.begin(), seen.end());
  if (twice != seen.end()) {
    return Corruption("column " + columns[*twice] + " occurs twice in one row");
  }
  return {};
}

}  // namespace

Result<SiteId> SiteId::FromBytes(BytesView view) {
  if (view.size() != kSiteIdBytes) {
    return InvalidArgument("a site id has 16 bytes, not " + std::to_string(view.size()));
  }
  SiteId site;
  std::memcpy(site.bytes.data(), view.data(), kSiteIdBytes);
  return site;
}

Status CheckRowChange(const Transaction& transaction, const RowChange& change) {
  if (change.table >= transaction.tables.size()) {
    return Corruption("table " + std::to_string(change.table) + " is not listed");
  }
  if (change.cl < 1 || change.cl > kCounterMax) {
    return Corruption("causal length " + std::to_string(change.cl) + " is out of range");
  }
  if (!IsAlive(change.cl) && !change.cells.empty()) {
    return Corruption("a deleted row has cells");
  }
  if (!change.sentinel.has_value() && change.cells.empty()) {
    return Corruption("a changed row has neither sentinel nor cells");
  }
  if (change.sentinel.has_value()) {
    MERROW_TRY(CheckClock(transaction, *change.sentinel));
  }
  return CheckCells(transaction, change);
}

Status CheckTransaction(const Transaction& transaction) {
  if (transaction.authors.empty() || transaction.authors[0] != transaction.site) {
    return Corruption("the first author of a transaction is not its site");
  }
  for (const RowChange& change : transaction.rows) {
    MERROW_TRY(CheckRowChange(transaction, change));
  }
  return {};
}

}  // namespace merrow::cells
