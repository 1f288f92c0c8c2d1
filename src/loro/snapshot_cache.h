// SPDX-License-Identifier: Apache-2.0
//
// Snapshot cache: what the last snapshot of a document was made of, so that the next one encodes
// and compresses only what has changed since. It holds no encoded states, only the compressed
// blocks of both stores, which together are about as large as the snapshot, and the name of what is
// in them.
//
// Invariants:
//   (1) entries_[i] is of containers()[i] as it was encoded last; order_ sorts them by key.
//   (2) Equal tokens of a store mean equal keys and values.

#pragma once

#include <vector>

#include "loro/op_log.h"
#include "loro/sstable.h"
#include "loro/state.h"

namespace merrow::loro {

class SnapshotCache {
 public:
  /// The snapshot blob. `log` and `state` must be those of every call. REQUIRES: nothing is
  /// uncommitted or trimmed; no block is open.
  Bytes Export(const OpLog& log, State* state);

  size_t MemoryBytes() const;

 private:
  struct Entry {
    Bytes key;
    size_t value_bytes = 0;  // 0: snapshots say nothing of the container
    uint64_t token = 0;
  };

  Bytes ExportChanges(const OpLog& log);
  Bytes ExportStates(State* state);
  void Sort(size_t sorted);

  std::vector<Entry> entries_;
  std::vector<uint32_t> order_;
  uint64_t next_token_ = 1;
  /// Some container's parent was not there, on which its depth depends.
  bool misses_parent_ = false;
  SstableCache changes_;
  SstableCache states_;
};

}  // namespace merrow::loro
