// SPDX-License-Identifier: Apache-2.0
//
// Which rows a transaction touched, as one blob of _merrow_tx (docs/format.md). DO NOT CHANGE: it
// is on disk. A sequence of groups, all numbers unsigned LEB128:
//
//     group      [table id << 3 | kind] and
//     0 numbers  [number of keys] [first key, zigzag], then for the others, rising, tokens
//                [skipped << 1 | run] and, if run, [n]
//     1 keys     [number of keys], then per stored key, rising, [shared] [length] [suffix]
//     2 range    [length] [first stored key] [length] [last stored key]
//     4 clocks   [first key, zigzag] [length] [clock block]
//     5 clocks   [length] [first stored key] [length] [clock block]
//
// A token means the key `skipped` + 1 above the one before it; a run, that the n keys after that
// follow without gap. So a bulk load of consecutive keys takes a handful of bytes in all. `shared`
// bytes are those of the key before. A range means that all clocks between its ends must be looked
// at; it is written when at least every fourth of them is of the transaction.
//
// A key here only says where to look: what of the row is still of that transaction is in its clock.
//
// Kinds 4 and 5 are keys with the clocks that the rows got, packed as clocks on disk always are
// (cells/clock_block.h): pending clocks (cell_pending.h). A blob has such groups only, or none.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cells/clock_block.h"
#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::store {

/// The rows of _merrow_tx have id = db_version << kTxPartBits | part: a transaction that is flushed
/// several times has several.
inline constexpr int kTxPartBits = 20;
inline constexpr int64_t kTxPartsMax = int64_t{1} << kTxPartBits;

/// Appends a group. REQUIRES: `keys` rises strictly and is not empty.
void AppendTxIntKeys(int64_t table_id, const std::vector<int64_t>& keys, Bytes& out);
void AppendTxStoredKeys(int64_t table_id, const std::vector<BytesView>& keys, Bytes& out);
/// REQUIRES: first <= last
void AppendTxRange(int64_t table_id, BytesView first, BytesView last, Bytes& out);

/// REQUIRES: `rows` rises strictly and is not empty
void AppendTxClocks(int64_t table_id, bool stored_keys, const std::vector<cells::ClockRun>& rows,
                    Bytes& out);

/// Rows to look at: all with a clock from `first` to `last`, both included.
struct TxRange {
  int64_t table_id = 0;
  bool stored_keys = false;  // else numbers
  cells::ClockKey first;
  cells::ClockKey last;

  bool is_one_key() const { return first == last; }
};

/// Calls `each` for every range or key, whose bytes are valid during the call. Corruption stops it,
/// and so does an error of `each`.
Status ForEachTxRange(BytesView rows, const std::function<Status(const TxRange&)>& each);

struct TxClock {
  int64_t table_id = 0;
  bool stored_keys = false;
  cells::ClockRun run;
};

/// Does `rows` bring clocks?
bool HasTxClocks(BytesView rows);
/// Calls `each` for all clocks in `rows`, as above.
Status ForEachTxClock(BytesView rows, const std::function<Status(const TxClock&)>& each);
/// `rows` without its clocks, the keys only.
Result<Bytes> WithoutTxClocks(BytesView rows);

}  // namespace merrow::store
