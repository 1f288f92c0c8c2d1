// SPDX-License-Identifier: Apache-2.0
//
// Tree position: a fractional index (fractional_index.h) as a tree keeps it: 16 bytes, with up to
// 15 bytes of index inside, which nearly all of them are, and longer ones on the heap.
//
// Inside, the bytes are followed by zeros and, last, by their number. So two that are inside
// compare as the indexes do if all 16 bytes are compared.

#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace merrow::loro {

class TreePosition {
 public:
  TreePosition() = default;
  explicit TreePosition(BytesView index) {
    char* to = bytes_;
    if (index.size() <= kInsideMax) {
      bytes_[kInsideMax] = static_cast<char>(index.size());
    } else {
      to = new char[index.size()];
      const size_t size = index.size();
      std::memcpy(bytes_, &to, sizeof(to));
      std::memcpy(bytes_ + sizeof(to), &size, kSizeBytes);
      bytes_[kInsideMax] = kOutside;
    }
    if (!index.empty()) std::memcpy(to, index.data(), index.size());
  }
  TreePosition(const TreePosition& other) : TreePosition(other.view()) {}
  TreePosition(TreePosition&& other) noexcept { Swap(other); }
  TreePosition& operator=(TreePosition other) noexcept {
    Swap(other);
    return *this;
  }
  ~TreePosition() {
    if (!is_inside()) delete[] outside();
  }

  /// Valid as long as this is neither changed nor moved.
  BytesView view() const {
    if (is_inside()) return {bytes_, static_cast<size_t>(bytes_[kInsideMax])};
    size_t size = 0;
    std::memcpy(&size, bytes_ + sizeof(char*), kSizeBytes);
    return {outside(), size};
  }

  size_t HeapBytes() const { return is_inside() ? 0 : view().size(); }

  friend bool operator==(const TreePosition& a, const TreePosition& b) { return (a <=> b) == 0; }
  friend std::strong_ordering operator<=>(const TreePosition& a, const TreePosition& b) {
    if (a.is_inside() && b.is_inside()) {
      const uint64_t front_a = a.Word(0);
      const uint64_t front_b = b.Word(0);
      return front_a != front_b ? front_a <=> front_b : a.Word(1) <=> b.Word(1);
    }
    return a.view().compare(b.view()) <=> 0;
  }

 private:
  static constexpr size_t kInsideMax = 15;
  static constexpr size_t kSizeBytes = kInsideMax - sizeof(char*);
  static constexpr char kOutside = -1;
  static_assert(kSizeBytes < sizeof(size_t));
  static_assert(std::endian::native == std::endian::little);

  bool is_inside() const { return bytes_[kInsideMax] != kOutside; }
  /// Eight of the bytes; words compare as they do.
  uint64_t Word(size_t i) const {
    uint64_t word = 0;
    std::memcpy(&word, bytes_ + i * sizeof(word), sizeof(word));
    return __builtin_bswap64(word);
  }
  char* outside() const {
    char* pointer = nullptr;
    std::memcpy(&pointer, bytes_, sizeof(pointer));
    return pointer;
  }
  void Swap(TreePosition& other) noexcept { std::swap(bytes_, other.bytes_); }

  // If on the heap: pointer, size (little-endian, 7 bytes), kOutside.
  alignas(sizeof(char*)) char bytes_[kInsideMax + 1] = {};
};

}  // namespace merrow::loro
