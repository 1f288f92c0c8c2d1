// SPDX-License-Identifier: Apache-2.0
//
// The clocks of one row: when and by whom each of its cells was last written, and the row's own
// sentinel. This is the one metadata row that the store keeps per data row, packed in a blob.
//
// The sentinel carries the causal length. A row that was inserted once and never deleted has none:
// its causal length is 1, and costs nothing.
//
// Packed form (docs/format.md has worked bytes; DO NOT CHANGE, it is on disk). All numbers are
// unsigned LEB128. `ago` is base minus the event's db_version.
//
//     [u8 flags]  1: has a sentinel, 2: has a group, 4: the group is plain
//     [base]      the largest db_version in the row
//     sentinel:   [cl] [ago] [seq] [site]
//     group:      [count] [ago] [first seq] and, unless plain, [col_version] [site]
//     cells:      until the end, by rising column:
//                 [skipped << 2 | foreign << 1 | old] [col_version] [seq]
//                 and, if old, [ago]; if foreign, [site]
//
// The group stands for columns 0 to count - 1, as one INSERT leaves them: the same col_version,
// db_version and site, and consecutive seqs. Plain: col_version 1, site 0. A cell that is listed
// replaces what the group says. `skipped` is how many columns lie between it and the cell before.
// So a fresh row takes about five bytes, whatever its number of columns, and each later update of
// a column about three.
//
// Invariants (CheckInvariants):
//   (1) cells() is sorted by column, without duplicates.
//   (2) If the sentinel says that the row is deleted, there are no cells.
//   (3) A sentinel's causal length is at least 1.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cells/row_change.h"
#include "merrow/result.h"

namespace merrow::cells {

/// A column's number within its table: given once, never reused, local to one database.
using ColumnId = uint32_t;
inline constexpr ColumnId kColumnIdMax = 1U << 20;

/// A site's number within one database. 0 is the database itself.
using SiteOrdinal = uint32_t;
/// Stands in a sentinel that was never seen itself but follows from a cell of a later life
/// (merge.h). Its id is 16 zero bytes, below all others.
inline constexpr SiteOrdinal kNobody = UINT32_MAX;

/// When and where an event happened, as this database counts.
struct Stamp {
  DbVersion db_version = 0;  // of the transaction here that wrote it or merged it
  Seq seq = 0;
  SiteOrdinal site = 0;

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

struct CellClock {
  ColumnId column = 0;
  ColVersion col_version = 0;
  Stamp stamp;

  friend bool operator==(const CellClock&, const CellClock&) = default;
};

struct Sentinel {
  CausalLength cl = 1;
  Stamp stamp;

  friend bool operator==(const Sentinel&, const Sentinel&) = default;
};

/// The clock of a row that one INSERT made and nothing touched since: columns 0 to `columns` - 1 at
/// col_version 1, by one site in one transaction, with consecutive seqs. Most rows are like that,
/// so it is kept shorter, in memory and on disk.
struct FreshClock {
  uint32_t columns = 0;  // 0: this is none
  SiteOrdinal site = 0;
  DbVersion version = 0;
  Seq seq = 0;  // of column 0

  friend bool operator==(const FreshClock&, const FreshClock&) = default;
};

class RowClock {
 public:
  static Result<RowClock> Decode(BytesView packed);
  /// The same into an existing object, whose memory is used again. On error it is left empty.
  Status DecodeFrom(BytesView packed);
  void AppendTo(Bytes& out) const;
  Bytes Encode() const;
  /// What AppendTo gives for such a row. REQUIRES: fresh.columns > 0
  static void AppendFresh(const FreshClock& fresh, Bytes& out);
  /// `packed` as such a row, if it looks like one; columns is 0 otherwise. No more is checked.
  static FreshClock ParseFresh(BytesView packed);
  /// This clock as such a row; columns is 0 if it is another.
  FreshClock AsFresh() const;
  void SetFresh(const FreshClock& fresh);

  /// Nothing is known of the row.
  bool empty() const { return !sentinel_.has_value() && cells_.empty(); }
  CausalLength cl() const { return sentinel_ ? sentinel_->cl : (cells_.empty() ? 0 : 1); }
  const std::optional<Sentinel>& sentinel() const { return sentinel_; }
  const std::vector<CellClock>& cells() const { return cells_; }
  /// Null if the column was never written.
  const CellClock* Find(ColumnId column) const;
  /// Does any event of db_version `version` remain?
  bool HasVersion(DbVersion version) const;

  void Clear();
  void SetSentinel(const Sentinel& sentinel) { sentinel_ = sentinel; }
  void SetCell(const CellClock& cell);
  void DropCells() { cells_.clear(); }
  void DropCell(ColumnId column);
  /// Every cell as if never written, but older than anything: what merging a later life does to the
  /// cells of an earlier one.
  void ZeroVersions(DbVersion version);

  void CheckInvariants() const;
  friend bool operator==(const RowClock&, const RowClock&) = default;

 private:
  std::optional<Sentinel> sentinel_;
  std::vector<CellClock> cells_;
};

}  // namespace merrow::cells
