// SPDX-License-Identifier: Apache-2.0
#include "cells/row_clock.h"

#include <algorithm>

#include "base/bytes.h"
#include "cells/uleb.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

constexpr uint8_t kHasSentinel = 1;
constexpr uint8_t kHasGroup = 2;
constexpr uint8_t kPlainGroup = 4;
constexpr uint8_t kKnownFlags = kHasSentinel | kHasGroup | kPlainGroup;
constexpr uint64_t kOld = 1;
constexpr uint64_t kForeign = 2;

/// A fresh row of a table has as many columns as the table; more cannot come out of a few bytes.
constexpr uint64_t kGroupColumnsMax = 32768;

void AppendNumber(int64_t value, Bytes& out) {
  MERROW_CHECK(value >= 0);
  AppendUleb(static_cast<uint64_t>(value), out);
}

Result<int64_t> ReadNumber(ByteReader& reader, int64_t max) {
  MERROW_ASSIGN(const uint64_t value, reader.Uleb64());
  if (value > static_cast<uint64_t>(max)) {
    return reader.Fail("clock: number " + std::to_string(value) + " is out of range");
  }
  return static_cast<int64_t>(value);
}

Result<DbVersion> ReadAgo(ByteReader& reader, DbVersion base) {
  MERROW_ASSIGN(const int64_t ago, ReadNumber(reader, base));
  return base - ago;
}

Result<SiteOrdinal> ReadSite(ByteReader& reader) { return reader.Uleb32(); }

/// Cell `i` as the group that begins with `first` would have it.
CellClock GroupCell(const CellClock& first, ColumnId column) {
  CellClock cell = first;
  cell.column = column;
  cell.stamp.seq += column;
  return cell;
}

/// How many of `cells` need not be listed if the group begins with `first`.
size_t CountGrouped(const std::vector<CellClock>& cells, const CellClock& first) {
  return static_cast<size_t>(std::count_if(
      cells.begin(), cells.end(),
      [&first](const CellClock& cell) { return cell == GroupCell(first, cell.column); }));
}

/// The group that leaves the fewest cells to list: column 0 as it would have it. Only for rows
/// without holes, since a group cannot leave a column out.
std::optional<CellClock> ChooseGroup(const std::vector<CellClock>& cells) {
  if (cells.size() < 2 || cells.size() > kGroupColumnsMax ||
      cells.back().column != cells.size() - 1) {
    return std::nullopt;
  }
  // The oldest event tends to be the insert; updates come one column at a time.
  constexpr size_t kTries = 3;
  std::optional<CellClock> best;
  size_t best_count = 1;
  for (size_t i = 0; i < std::min(cells.size(), kTries); ++i) {
    CellClock first = cells[i];
    first.stamp.seq -= first.column;
    first.column = 0;
    if (first.stamp.seq < 0 ||
        first.stamp.seq > kCounterMax - static_cast<int64_t>(cells.size() - 1)) {
      continue;
    }
    const size_t count = CountGrouped(cells, first);
    if (count > best_count) {
      best = first;
      best_count = count;
    }
    if (best_count * 2 >= cells.size()) {
      break;  // no cell is of two groups, so no other can be larger
    }
  }
  return best;
}

void AppendCell(const CellClock& cell, uint64_t skipped, DbVersion base, Bytes& out) {
  const bool old = cell.stamp.db_version != base;
  const bool foreign = cell.stamp.site != 0;
  AppendUleb(skipped << 2 | (foreign ? kForeign : 0) | (old ? kOld : 0), out);
  AppendNumber(cell.col_version, out);
  AppendNumber(cell.stamp.seq, out);
  if (old) {
    AppendNumber(base - cell.stamp.db_version, out);
  }
  if (foreign) {
    AppendUleb(cell.stamp.site, out);
  }
}

Result<CellClock> ReadCell(ByteReader& reader, ColumnId next_column, DbVersion base) {
  MERROW_ASSIGN(const uint64_t head, reader.Uleb64());
  if (next_column > kColumnIdMax || head >> 2 > kColumnIdMax - next_column) {
    return reader.Fail("clock: column is out of range");
  }
  CellClock cell;
  cell.column = next_column + static_cast<ColumnId>(head >> 2);
  MERROW_ASSIGN(cell.col_version, ReadNumber(reader, kCounterMax));
  MERROW_ASSIGN(cell.stamp.seq, ReadNumber(reader, kCounterMax));
  cell.stamp.db_version = base;
  if ((head & kOld) != 0) {
    MERROW_ASSIGN(cell.stamp.db_version, ReadAgo(reader, base));
  }
  if ((head & kForeign) != 0) {
    MERROW_ASSIGN(cell.stamp.site, ReadSite(reader));
  }
  return cell;
}

Result<Sentinel> ReadSentinel(ByteReader& reader, DbVersion base) {
  Sentinel sentinel;
  MERROW_ASSIGN(sentinel.cl, ReadNumber(reader, kCounterMax));
  MERROW_ASSIGN(sentinel.stamp.db_version, ReadAgo(reader, base));
  MERROW_ASSIGN(sentinel.stamp.seq, ReadNumber(reader, kCounterMax));
  MERROW_ASSIGN(sentinel.stamp.site, ReadSite(reader));
  if (sentinel.cl < 1) {
    return reader.Fail("clock: a sentinel of causal length 0");
  }
  return sentinel;
}

Status ReadGroup(ByteReader& reader, DbVersion base, bool plain, std::vector<CellClock>& cells) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > kGroupColumnsMax) {
    return reader.Fail("clock: a group of " + std::to_string(count) + " columns");
  }
  CellClock first;
  first.col_version = 1;
  MERROW_ASSIGN(first.stamp.db_version, ReadAgo(reader, base));
  MERROW_ASSIGN(first.stamp.seq, ReadNumber(reader, kCounterMax));
  if (count > 0 && first.stamp.seq > kCounterMax - static_cast<int64_t>(count - 1)) {
    return reader.Fail("clock: a group that passes the largest seq");
  }
  if (!plain) {
    MERROW_ASSIGN(first.col_version, ReadNumber(reader, kCounterMax));
    MERROW_ASSIGN(first.stamp.site, ReadSite(reader));
  }
  cells.reserve(count);
  for (uint64_t column = 0; column < count; ++column) {
    cells.push_back(GroupCell(first, static_cast<ColumnId>(column)));
  }
  return {};
}

Status ReadCells(ByteReader& reader, DbVersion base, std::vector<CellClock>& cells) {
  const size_t grouped = cells.size();
  ColumnId next_column = 0;
  while (!reader.empty()) {
    MERROW_ASSIGN(const CellClock cell, ReadCell(reader, next_column, base));
    next_column = cell.column + 1;
    if (cell.column < grouped) {
      cells[cell.column] = cell;
    } else {
      cells.push_back(cell);
    }
  }
  return {};
}

Status Read(BytesView packed, std::optional<Sentinel>& sentinel, std::vector<CellClock>& cells) {
  ByteReader reader(packed);
  MERROW_ASSIGN(const uint8_t flags, reader.U8());
  if ((flags & ~kKnownFlags) != 0) {
    return Unsupported("clock: unknown flags " + std::to_string(flags));
  }
  MERROW_ASSIGN(const DbVersion base, ReadNumber(reader, kDbVersionMax));
  if ((flags & kHasSentinel) != 0) {
    MERROW_ASSIGN(sentinel, ReadSentinel(reader, base));
  }
  if ((flags & kHasGroup) != 0) {
    MERROW_TRY(ReadGroup(reader, base, (flags & kPlainGroup) != 0, cells));
  }
  MERROW_TRY(ReadCells(reader, base, cells));
  if (sentinel.has_value() && !IsAlive(sentinel->cl) && !cells.empty()) {
    return reader.Fail("clock: a deleted row has cells");
  }
  return {};
}

}  // namespace

Result<RowClock> RowClock::Decode(BytesView packed) {
  RowClock clock;
  MERROW_TRY(clock.DecodeFrom(packed));
  return clock;
}

Status RowClock::DecodeFrom(BytesView packed) {
  Clear();
  Status status = Read(packed, sentinel_, cells_);
  if (!status.ok()) {
    Clear();
  }
  return status;
}

void RowClock::AppendTo(Bytes& out) const {
  const std::optional<CellClock> group = ChooseGroup(cells_);
  const bool plain = group && group->col_version == 1 && group->stamp.site == 0;
  DbVersion base = sentinel_ ? sentinel_->stamp.db_version : 0;
  for (const CellClock& cell : cells_) {
    base = std::max(base, cell.stamp.db_version);
  }
  out.push_back(static_cast<char>((sentinel_ ? kHasSentinel : 0) | (group ? kHasGroup : 0) |
                                  (plain ? kPlainGroup : 0)));
  AppendNumber(base, out);
  if (sentinel_) {
    AppendNumber(sentinel_->cl, out);
    AppendNumber(base - sentinel_->stamp.db_version, out);
    AppendNumber(sentinel_->stamp.seq, out);
    AppendUleb(sentinel_->stamp.site, out);
  }
  if (group) {
    AppendUleb(cells_.size(), out);
    AppendNumber(base - group->stamp.db_version, out);
    AppendNumber(group->stamp.seq, out);
    if (!plain) {
      AppendNumber(group->col_version, out);
      AppendUleb(group->stamp.site, out);
    }
  }
  ColumnId next_column = 0;
  for (const CellClock& cell : cells_) {
    if (!group || cell != GroupCell(*group, cell.column)) {
      AppendCell(cell, cell.column - next_column, base, out);
      next_column = cell.column + 1;
    }
  }
}

Bytes RowClock::Encode() const {
  Bytes out;
  AppendTo(out);
  return out;
}

void RowClock::AppendFresh(const FreshClock& fresh, Bytes& out) {
  if (fresh.columns == 1) {
    out.push_back(0);
    AppendNumber(fresh.version, out);
    AppendCell({0, 1, {fresh.version, fresh.seq, fresh.site}}, 0, fresh.version, out);
    return;
  }
  const bool plain = fresh.site == 0;
  out.push_back(static_cast<char>(kHasGroup | (plain ? kPlainGroup : 0)));
  AppendNumber(fresh.version, out);
  AppendUleb(fresh.columns, out);
  AppendUleb(0, out);
  AppendNumber(fresh.seq, out);
  if (!plain) {
    AppendUleb(1, out);
    AppendUleb(fresh.site, out);
  }
}

FreshClock RowClock::ParseFresh(BytesView packed) {
  if (packed.empty() || packed[0] != static_cast<char>(kHasGroup | kPlainGroup)) {
    return {};
  }
  const char* at = packed.data() + 1;
  const char* const end = packed.data() + packed.size();
  uint64_t version = 0;
  uint64_t columns = 0;
  uint64_t ago = 0;
  uint64_t seq = 0;
  const bool is_fresh = ReadUleb(at, end, version) && ReadUleb(at, end, columns) &&
                        ReadUleb(at, end, ago) && ReadUleb(at, end, seq) && at == end && ago == 0 &&
                        columns <= kGroupColumnsMax &&
                        version <= static_cast<uint64_t>(kDbVersionMax) && columns > 0 &&
                        seq <= static_cast<uint64_t>(kCounterMax) - (columns - 1);
  if (!is_fresh) {
    return {};
  }
  return {static_cast<uint32_t>(columns), 0, static_cast<DbVersion>(version),
          static_cast<Seq>(seq)};
}

FreshClock RowClock::AsFresh() const {
  if (sentinel_.has_value() || cells_.empty() || cells_.size() > kGroupColumnsMax ||
      cells_[0].column != 0 || cells_[0].col_version != 1) {
    return {};
  }
  const bool is_fresh = std::all_of(cells_.begin(), cells_.end(), [this](const CellClock& cell) {
    return cell.column == static_cast<size_t>(&cell - cells_.data()) &&
           cell == GroupCell(cells_[0], cell.column);
  });
  if (!is_fresh) {
    return {};
  }
  const Stamp& stamp = cells_[0].stamp;
  return {static_cast<uint32_t>(cells_.size()), stamp.site, stamp.db_version, stamp.seq};
}

void RowClock::SetFresh(const FreshClock& fresh) {
  Clear();
  cells_.reserve(fresh.columns);
  for (ColumnId column = 0; column < fresh.columns; ++column) {
    cells_.push_back({column, 1, {fresh.version, fresh.seq + column, fresh.site}});
  }
}

const CellClock* RowClock::Find(ColumnId column) const {
  // Columns are dense nearly always.
  if (column < cells_.size() && cells_[column].column == column) {
    return &cells_[column];
  }
  const auto at =
      std::lower_bound(cells_.begin(), cells_.end(), column,
                       [](const CellClock& cell, ColumnId wanted) { return cell.column < wanted; });
  return at != cells_.end() && at->column == column ? &*at : nullptr;
}

bool RowClock::HasVersion(DbVersion version) const {
  return (sentinel_ && sentinel_->stamp.db_version == version) ||
         std::any_of(cells_.begin(), cells_.end(),
                     [version](const CellClock& cell) { return cell.stamp.db_version == version; });
}

void RowClock::Clear() {
  sentinel_.reset();
  cells_.clear();
}

void RowClock::SetCell(const CellClock& cell) {
  if (cells_.empty() || cells_.back().column < cell.column) {
    cells_.push_back(cell);
    return;
  }
  const auto at =
      std::lower_bound(cells_.begin(), cells_.end(), cell.column,
                       [](const CellClock& one, ColumnId wanted) { return one.column < wanted; });
  if (at != cells_.end() && at->column == cell.column) {
    *at = cell;
  } else {
    cells_.insert(at, cell);
  }
}

void RowClock::DropCell(ColumnId column) {
  std::erase_if(cells_, [column](const CellClock& cell) { return cell.column == column; });
}

void RowClock::ZeroVersions(DbVersion version) {
  for (CellClock& cell : cells_) {
    cell.col_version = 0;
    cell.stamp.db_version = version;
  }
}

void RowClock::CheckInvariants() const {
  for (size_t i = 1; i < cells_.size(); ++i) {
    MERROW_CHECK(cells_[i - 1].column < cells_[i].column);
  }
  if (sentinel_) {
    MERROW_CHECK(sentinel_->cl >= 1);
    MERROW_CHECK(IsAlive(sentinel_->cl) || cells_.empty());
  }
}

}  // namespace merrow::cells
