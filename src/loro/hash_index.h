// SPDX-License-Identifier: Apache-2.0
//
// Hash index over a vector: maps a hash to positions in a vector that its owner keeps. It costs
// nothing until there are more than kScanMax elements; up to then the owner's vector is scanned.
// Elements are never removed.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/prefetch.h"

namespace merrow::loro {

class HashIndex {
 public:
  /// Up to this many elements are found by scanning.
  static constexpr size_t kScanMax = 12;

  /// The position of the element for which `equals(position)` holds, among `count` elements.
  /// REQUIRES: Added() was called for each of them.
  template <typename Equals>
  std::optional<uint32_t> Find(size_t count, size_t hash, Equals&& equals) const {
    if (slots_.empty()) {
      for (uint32_t i = 0; i < count; ++i) {
        if (equals(i)) return i;
      }
      return std::nullopt;
    }
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.position == kFree) return std::nullopt;
      if (slot.tag == TagOf(hash) && equals(slot.position)) return slot.position;
    }
  }

  /// Brings the place of an element into the processor's cache.
  void Prefetch(size_t hash) const {
    if (!slots_.empty()) merrow::Prefetch(&slots_[hash & (slots_.size() - 1)]);
  }
  /// The position of an element that may be the one with this hash.
  std::optional<uint32_t> Guess(size_t hash) const {
    if (slots_.empty()) return std::nullopt;
    const Slot& slot = slots_[hash & (slots_.size() - 1)];
    return slot.position == kFree ? std::nullopt : std::optional(slot.position);
  }

  /// Call after the owner's vector has grown to `count` elements; `hash_of(position)` is their
  /// hash.
  template <typename HashOf>
  void Added(size_t count, HashOf&& hash_of) {
    if (count <= kScanMax) return;
    if (count * 4 <= slots_.size() * 3) {
      Insert(static_cast<uint32_t>(count - 1), hash_of(static_cast<uint32_t>(count - 1)));
      return;
    }
    size_t capacity = 32;
    while (capacity * 3 < count * 4) capacity *= 2;
    slots_.assign(capacity, Slot());
    for (uint32_t i = 0; i < count; ++i) Insert(i, hash_of(i));
  }

  size_t MemoryBytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  // The tag keeps most elements that are not the wanted one from being looked at, each of which is
  // likely not in the processor's cache.
  struct Slot {
    uint32_t position = kFree;
    uint32_t tag = 0;
  };
  static uint32_t TagOf(size_t hash) { return static_cast<uint32_t>(hash ^ (hash >> 32)); }

  void Insert(uint32_t position, size_t hash) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].position != kFree) at = (at + 1) & mask;
    slots_[at] = {position, TagOf(hash)};
  }

  std::vector<Slot> slots_;  // a power of two, at most 3/4 full; empty while scanning is enough
};

}  // namespace merrow::loro
