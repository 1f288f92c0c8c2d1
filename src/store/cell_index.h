// SPDX-License-Identifier: Apache-2.0
//
// Finds entries of a list by hash: open addressing over their numbers, so that the list itself may
// be anything that keeps its order. An entry cannot be taken out, only all.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "cells/clock_block.h"

namespace merrow::store {

inline uint64_t HashOf(int64_t table_id, const cells::ClockKey& key) {
  uint64_t hash = static_cast<uint64_t>(key.number) ^ (static_cast<uint64_t>(table_id) << 48);
  if (!key.stored.empty()) {
    hash ^= std::hash<std::string_view>()(key.stored);
  }
  hash *= 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 29);
}

class CellIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  size_t size() const { return size_; }

  /// The entry with that hash of which `same` says that it is the one, or kNone.
  template <typename Same>
  uint32_t Find(uint64_t hash, Same same) const {
    if (size_ == 0) {
      return kNone;
    }
    const size_t mask = slots_.size() - 1;
    for (size_t slot = SlotOf(hash, mask);; slot = (slot + 1) & mask) {
      const uint64_t found = slots_[slot];
      if (found == 0) {
        return kNone;
      }
      // The hash tells nearly all others apart, so their keys need not be looked at.
      if ((found ^ hash) >> 32 == 0 && same(EntryOf(found))) {
        return EntryOf(found);
      }
    }
  }

  /// REQUIRES: it is not there, and entry < kNone
  void Add(uint64_t hash, uint32_t entry) {
    if ((size_ + 1) * 2 > slots_.size()) {
      Grow();
    }
    Put((hash >> 32 << 32) | (entry + 1));
    ++size_;
  }

  void Clear() {
    if (size_ == 0) {
      return;
    }
    if (slots_.size() > kSlotsKept) {
      slots_ = {};
    }
    std::fill(slots_.begin(), slots_.end(), uint64_t{0});
    size_ = 0;
  }

 private:
  static constexpr size_t kSlotsMin = 64;
  /// More cost more to clear than to allocate again.
  static constexpr size_t kSlotsKept = 1024;

  static size_t SlotOf(uint64_t hash, size_t mask) {
    return static_cast<size_t>(hash >> 32) & mask;
  }
  static uint32_t EntryOf(uint64_t slot) { return static_cast<uint32_t>(slot) - 1; }

  void Put(uint64_t value) {
    const size_t mask = slots_.size() - 1;
    size_t slot = SlotOf(value, mask);
    while (slots_[slot] != 0) {
      slot = (slot + 1) & mask;
    }
    slots_[slot] = value;
  }

  void Grow() {
    std::vector<uint64_t> old(std::max(kSlotsMin, slots_.size() * 2), uint64_t{0});
    std::swap(old, slots_);
    for (const uint64_t value : old) {
      if (value != 0) {
        Put(value);
      }
    }
  }

  /// 0: free. Else the upper half of the hash, which also says where it belongs, and the entry's
  /// number + 1.
  std::vector<uint64_t> slots_;
  size_t size_ = 0;
};

}  // namespace merrow::store
