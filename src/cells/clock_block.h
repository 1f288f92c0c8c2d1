// SPDX-License-Identifier: Apache-2.0
//
// Clock block: the clocks of neighbouring rows of one table, in key order, as one blob. A table's
// blocks partition its keys; store/cell_clocks.h keeps them in SQLite. Rows that were inserted one
// after the other and not touched since are one run, whatever their number, so a bulk load costs a
// few bytes in all.
//
// Format (docs/format.md has worked bytes; DO NOT CHANGE, it is on disk). Numbers are unsigned
// LEB128 unless they are zigzag. A block has a first key outside its bytes; all its keys are at or
// above it. Entries follow each other to the end.
//
//     integer keys   [skipped << 1 | run], then
//                    a clock: [length] [packed RowClock]
//                    a run:   [rows - 1] [columns] [site] [version] [seq], and if rows > 1
//                             [version step, zigzag] [seq step, zigzag]
//     stored keys    [shared] [length] [suffix] [length] [packed RowClock]
//
// `skipped` is how many keys lie between the key before and this one; for the first entry, between
// the block's first key and this one. `shared` bytes are those of the key before, or of the block's
// first key.
//
// Row i of a run, counted from 0, is fresh (row_clock.h): `columns` columns at version + i *
// version step, seq + i * seq step. So a transaction that inserts many rows is a run, and so are
// transactions that insert one row each.
//
// Invariants: keys rise strictly; every row of a run is valid; no run passes the largest key.

#pragma once

#include <cstddef>
#include <cstdint>

#include "cells/row_clock.h"
#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::cells {

/// A number for tables with an INTEGER PRIMARY KEY, else a stored key (stored_key.h).
struct ClockKey {
  int64_t number = 0;
  BytesView stored;

  friend bool operator==(const ClockKey&, const ClockKey&) = default;
  friend bool operator<(const ClockKey& a, const ClockKey& b) {
    return a.number != b.number ? a.number < b.number : a.stored < b.stored;
  }
};

/// Rises with the key, for comparing most keys quickly.
inline uint64_t HeadOf(const ClockKey& key) {
  if (key.stored.empty()) {
    return static_cast<uint64_t>(key.number) ^ (uint64_t{1} << 63);
  }
  uint64_t head = 0;
  for (size_t i = 0; i < sizeof(head); ++i) {
    head = head << 8 | (i < key.stored.size() ? static_cast<unsigned char>(key.stored[i]) : 0);
  }
  return head;
}

/// One row with its clock, or several rows with consecutive numbers that are all fresh.
struct ClockRun {
  ClockKey key;  // of the first row
  uint64_t count = 1;
  FreshClock fresh;  // of the first row; columns is 0 if there is a clock instead
  int64_t version_step = 0;
  int64_t seq_step = 0;
  BytesView clock;  // packed

  bool is_fresh() const { return fresh.columns > 0; }
  int64_t last_number() const { return key.number + static_cast<int64_t>(count - 1); }
  /// Takes the first `rows` rows away. REQUIRES: rows < count
  void Drop(uint64_t rows);
};

/// Adds the rows of `next` to `run` if both together are a run. REQUIRES: keys are numbers
bool Extend(ClockRun& run, const ClockRun& next);

class ClockBlockReader {
 public:
  /// `first` and `block` must outlive the reader. Moves to the first row.
  Status Reset(const ClockKey& first, bool stored_keys, BytesView block);
  bool done() const { return done_; }
  /// What is left of the rows at hand. REQUIRES: !done(). Valid until the reader moves.
  const ClockRun& run() const { return run_; }
  /// The last key of the block. REQUIRES: done(), and the block is not empty
  ClockKey last_key() const { return stored_keys_ ? ClockKey{0, key_} : ClockKey{previous_, {}}; }
  /// Where in the block the length of run()'s clock is, and where the next entry begins. So a clock
  /// can be replaced without a look at the others. REQUIRES: the entry is a clock, not a run
  size_t clock_offset() const { return static_cast<size_t>(clock_at_ - begin_); }
  size_t end_offset() const { return static_cast<size_t>(at_ - begin_); }
  /// Rows of the entries read so far.
  uint64_t rows() const { return rows_; }
  /// Moves behind run().
  Status Next();
  /// Moves to the first row at or above `key`; stays if it is there.
  Status SkipTo(const ClockKey& key);

 private:
  Status ReadNumberEntry();
  Status ReadStoredEntry();
  /// Reads an entry, whose key begins with `shared` bytes of the key before, into key_ and
  /// run_.clock. What is damaged, or null. FinishStoredEntry() makes run_ of it.
  const char* ReadStoredKey(size_t& shared);
  void FinishStoredEntry();
  Status SkipToStored(BytesView key);

  bool stored_keys_ = false;
  bool done_ = true;
  bool any_ = false;
  const char* begin_ = nullptr;
  const char* clock_at_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  uint64_t rows_ = 0;
  int64_t previous_ = 0;
  Bytes key_;
  ClockRun run_;
};

class ClockBlockWriter {
 public:
  /// Starts a block whose first key is that of the first run added, or `first`.
  void Begin(const ClockKey& first, bool stored_keys);
  /// REQUIRES: above all before, and CanAdd().
  void Add(const ClockRun& run);
  /// False if the gap to `run` is too wide for one block.
  bool CanAdd(const ClockRun& run) const;
  const Bytes& bytes() const { return bytes_; }

 private:
  bool stored_keys_ = false;
  bool any_ = false;
  int64_t previous_ = 0;
  Bytes key_;
  Bytes bytes_;
};

/// Appends a clock with its length, as it stands in an entry.
void AppendBlockClock(BytesView clock, Bytes& out);

/// About how many bytes a run takes in a block; at most a few too many.
size_t BlockBytes(const ClockRun& run);

}  // namespace merrow::cells
