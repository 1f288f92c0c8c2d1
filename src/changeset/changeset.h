// SPDX-License-Identifier: Apache-2.0
//
// A changeset: what one transaction of one site changed, or what several of its transactions
// changed together, in column rows and document rows. It is what sites send each other, what files
// and backups hold, and what is applied as a whole.
//
// A changeset covers the versions (previous, version] of its site. If that is one transaction,
// every clock in it says `version`. If it is several, each clock says its own, and what a later one
// of them overwrote is not in it.
//
// A large one is cut into parts, which are stored as they come and become visible together. A row
// or a document that is larger than a part by itself goes on in the next one.

#pragma once

#include <cstdint>
#include <vector>

#include "cells/row_change.h"
#include "merrow/bytes.h"

namespace merrow::changeset {

/// When a transaction was committed, by its site's hybrid clock: milliseconds since the Unix epoch,
/// and a count that orders what happened within one, or while the clock stood behind. The
/// milliseconds are within kTimestampMsMax of the epoch, so that differences fit 64 bits.
struct Timestamp {
  int64_t ms = 0;
  uint16_t count = 0;

  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

inline constexpr int64_t kTimestampMsMax = int64_t{1} << 53;

/// New ops of a document row.
struct DocumentChange {
  uint32_t table = 0;  // index into Changeset::cells.tables
  Bytes key;           // packed primary key (cells/packed_key.h)
  Bytes blocks;        // change blocks, each behind its length: the body of a FastUpdates blob

  friend bool operator==(const DocumentChange&, const DocumentChange&) = default;
};

struct Changeset {
  /// Site, versions, tables, authors and the column rows.
  cells::Transaction cells;
  std::vector<DocumentChange> documents;
  Timestamp timestamp;
  /// Which of how many parts this is; 0 <= part < parts.
  uint32_t part = 0;
  uint32_t parts = 1;
  /// What is in this part, one row or one document, goes on in the next part: there stand further
  /// cells of the row, or more of the bytes of its only cell, or more of the document's blocks. The
  /// next part has nothing else in it either.
  bool continues = false;
};

/// Corruption if an index is out of range, a row breaks a rule of cells/row_change.h, a clock is
/// outside (previous, version], or the timestamp or the parts make no sense.
Status CheckChangeset(const Changeset& changeset);

/// Cuts a changeset of one part into several of about `bytes_target` each, and of no more rows than
/// a frame takes. Whatever is larger than that goes on from part to part, but for keys.
/// REQUIRES: changeset.parts == 1
std::vector<Changeset> SplitChangeset(Changeset changeset, size_t bytes_target);

/// The same, but rows and documents stay whole, so each part makes sense alone.
std::vector<Changeset> SplitBetweenRows(Changeset changeset, size_t bytes_target);

/// Puts parts together again, in order of `part`. Corruption if one is missing or is there twice,
/// they are not of the same changeset, or one does not go on where the one before ends.
Result<Changeset> JoinParts(std::vector<Changeset> parts);

}  // namespace merrow::changeset
