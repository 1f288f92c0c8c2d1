// SPDX-License-Identifier: Apache-2.0
//
// Which rows a transaction touched, as one blob of _merrow_tx (docs/format.md). DO NOT CHANGE: it
// is on disk. A sequence of groups, all numbers unsigned LEB128:
//
//     group      [table id << 1 | packed] [number of keys] keys
//     packed     per key [length] [bytes], rising
//     not        [first key, zigzag], then for the others, rising, tokens
//                [skipped << 1 | run] and, if run, [n]
//
// A token means the key `skipped` + 1 above the one before it; a run, that the n keys after that
// follow without gap. So a bulk load of consecutive keys takes a handful of bytes in all.
//
// A key here only says where to look: what of the row is still of that transaction is in its clock.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::store {

/// Appends a group. REQUIRES: `keys` rises strictly and is not empty.
void AppendTxIntKeys(int64_t table_id, const std::vector<int64_t>& keys, Bytes& out);
void AppendTxPackedKeys(int64_t table_id, const std::vector<BytesView>& keys, Bytes& out);

struct TxKey {
  int64_t table_id = 0;
  bool is_packed = false;
  int64_t number = 0;
  BytesView packed;  // into the blob
};

/// Calls `each` for every key. Corruption stops it, and so does an error of `each`.
Status ForEachTxKey(BytesView rows, const std::function<Status(const TxKey&)>& each);

}  // namespace merrow::store
