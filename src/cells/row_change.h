// SPDX-License-Identifier: Apache-2.0
//
// What one transaction of one site changed in column rows, grouped by row. This is what the store
// reads out of its clocks and applies to them, and what the changeset format (src/changeset) puts
// into bytes. No database is needed to handle it.
//
// Names and sites are written once and meant by index below:
//
//     Transaction  site, version, previous
//       tables[]     name, columns[]
//       authors[]    site ids
//       rows[]       RowChange: table, key, cl, sentinel?, cells[]
//
// A version is a step of the publishing site's db_version counter. The counter also advances when
// the site merges, so a site's own versions are increasing but not dense; `previous` is the site's
// own version before this one (0: none), and a receiver of (previous, version] lacks nothing of
// that range.
//
// The author of a cell decides ties and never changes. It is nearly always the publisher (index 0
// of `authors`); it is another site when the publisher itself got the cell by a way that carries no
// transactions, such as INSERT INTO crsql_changes.
//
// Invariants of a well-formed RowChange (checked by CheckRowChange):
//   (1) cl >= 1.
//   (2) Even cl: the row is deleted; there is a sentinel and there are no cells.
//   (3) Odd cl: a sentinel or at least one cell.
//   (4) Each column occurs at most once; versions and seqs are not negative.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "cells/value.h"
#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::cells {

inline constexpr size_t kSiteIdBytes = 16;

/// The random name of a site. Compared as unsigned bytes; the larger one wins a tie.
struct SiteId {
  std::array<unsigned char, kSiteIdBytes> bytes = {};

  /// Invalid argument unless `view` has kSiteIdBytes bytes.
  static Result<SiteId> FromBytes(BytesView view);
  BytesView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  friend auto operator<=>(const SiteId&, const SiteId&) = default;
};

using DbVersion = int64_t;
using ColVersion = int64_t;
/// Odd: the row is alive; even: it is deleted; 0: never heard of.
using CausalLength = int64_t;
/// Place of an event in its transaction, from 0.
using Seq = int64_t;

/// Versions above this are refused: they share 63 bits with a part number on disk.
inline constexpr DbVersion kDbVersionMax = (int64_t{1} << 43) - 1;
/// Bounds what a foreign clock can hold; far above what counting reaches.
inline constexpr int64_t kCounterMax = int64_t{1} << 53;

inline bool IsAlive(CausalLength cl) { return (cl & 1) != 0; }

/// When a cell or sentinel was written. `author` is an index into Transaction::authors.
struct ChangeClock {
  DbVersion db_version = 0;  // the publisher's; in a Transaction always its version
  Seq seq = 0;
  uint32_t author = 0;

  friend bool operator==(const ChangeClock&, const ChangeClock&) = default;
};

struct CellChange {
  uint32_t column = 0;  // index into ChangedTable::columns
  ColVersion col_version = 0;
  Value value;
  ChangeClock clock;
};

struct RowChange {
  uint32_t table = 0;  // index into Transaction::tables
  Bytes key;           // packed primary key (packed_key.h)
  CausalLength cl = 1;
  /// The row's own event: a delete, or that it was made again or has no other columns. Its version
  /// is `cl` itself.
  std::optional<ChangeClock> sentinel;
  std::vector<CellChange> cells;
};

struct ChangedTable {
  std::string name;
  std::vector<std::string> columns;  // only those that occur; no key columns
};

struct Transaction {
  SiteId site;
  DbVersion version = 0;
  DbVersion previous = 0;
  std::vector<ChangedTable> tables;
  std::vector<SiteId> authors;  // [0] is `site`
  std::vector<RowChange> rows;
};

/// Corruption if `change` breaks an invariant above, or an index is outside `transaction`.
Status CheckRowChange(const Transaction& transaction, const RowChange& change);
/// CheckRowChange of every row, and authors[0] == site.
Status CheckTransaction(const Transaction& transaction);

}  // namespace merrow::cells
