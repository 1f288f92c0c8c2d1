// SPDX-License-Identifier: Apache-2.0
//
// Map state: the registers of one Map container. Each key holds what the op with the largest
// (lamport, peer) wrote, a delete being an ordinary write of nothing; so the order of arrival does
// not matter, and deleted keys stay as tombstones.
//
// Entries are kept in order of arrival, found by scanning while they are few and by a hash index
// when they are many.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loro/hash_index.h"
#include "merrow/ids.h"
#include "merrow/value.h"

namespace merrow::loro {

class MapState {
 public:
  struct Entry {
    std::string key;
    std::optional<Value> value;  // nothing: deleted
    IdLp writer;
  };

  /// REQUIRES: no key is there twice
  static MapState FromEntries(std::vector<Entry> entries);

  /// Applies one write. False if a later write is there already.
  bool Write(std::string_view key, std::optional<Value> value, IdLp writer);

  /// Brings what a write to `key` will need into the processor's cache: first where the entry is
  /// found, and when that is there, the entry. Of a large map that takes longer than all else.
  void PrefetchSlot(std::string_view key) const;
  void PrefetchEntry(std::string_view key) const;

  /// Null if the key is absent or deleted. Valid until the next write.
  const Value* Get(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  /// Entries that are not deleted.
  size_t size() const { return live_count_; }

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  std::optional<uint32_t> Find(std::string_view key) const;

  std::vector<Entry> entries_;
  HashIndex index_;
  uint32_t live_count_ = 0;
};

}  // namespace merrow::loro
