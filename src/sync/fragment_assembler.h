// SPDX-License-Identifier: Apache-2.0
//
// FragmentAssembler: puts the fragmented updates of one session back together. Fragments may come
// in any order; what is declared is never allocated before it has arrived, and everything is
// bounded.

#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sync/loro_protocol.h"

namespace merrow::sync {

class FragmentAssembler {
 public:
  explicit FragmentAssembler(const Limits& limits) : limits_(limits) {}

  /// Which batch of which room.
  struct Key {
    RoomKind kind;
    std::string room;
    BatchId batch;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  /// Starts a batch, or starts it afresh. A status other than ok: it is refused for that reason,
  /// and its fragments will be swallowed. `total_bytes_max` bounds the update.
  UpdateStatus Begin(const Key& key, const FragmentHeader& header, size_t total_bytes_max,
                     int64_t now_ms);

  struct Incomplete {};
  struct UnknownBatch {};
  /// What Add did: nothing to answer, the whole update, no such batch, or why the batch was
  /// dropped.
  using Added = std::variant<Incomplete, Bytes, UnknownBatch, UpdateStatus>;
  Added Add(const Key& key, const Fragment& fragment, int64_t now_ms);

  /// Drops the batches that waited too long since their last fragment; returns those that were not
  /// refused.
  std::vector<Key> Expire(int64_t now_ms);
  void DropRoom(RoomKind kind, std::string_view room);

  bool empty() const { return batches_.empty(); }
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct Batch {
    uint32_t fragment_count = 0;
    uint32_t total_bytes = 0;
    uint32_t received = 0;
    size_t bytes = 0;
    int64_t last_ms = 0;
    bool is_refused = false;
    std::map<uint32_t, Bytes> fragments;
  };
  using Batches = std::map<Key, Batch>;

  Batches::iterator Drop(Batches::iterator batch);
  Bytes Join(const Batch& batch) const;

  const Limits& limits_;
  Batches batches_;
  size_t held_bytes_ = 0;
};

}  // namespace merrow::sync
