// SPDX-License-Identifier: Apache-2.0
//
// Puts rows in the order of their tables and keys. Nearly always the table and the head of the key
// tell, so these are what is sorted, beside the row's number. Many rows of one table are sorted by
// the digits of their heads, last digit first; rows of equal heads are then compared by whole keys.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace merrow::store {

struct KeyOrder {
  int64_t table_id;
  uint64_t head;  // cells::HeadOf the key
  uint32_t index;
};

/// Fewer are sorted sooner by comparing them.
inline constexpr size_t kSortDigitsMin = 4096;

/// Sorts by head alone; rows of equal heads stay as they were.
inline void SortByHead(std::vector<KeyOrder>& order) {
  constexpr unsigned kDigitBits = 11;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  uint64_t differing = 0;
  for (const KeyOrder& one : order) {
    differing |= one.head ^ order[0].head;
  }
  std::vector<KeyOrder> sorted(order.size());
  for (unsigned shift = 0; shift < 64; shift += kDigitBits) {
    if ((differing >> shift & (kDigits - 1)) == 0) {
      continue;
    }
    const auto digit = [shift](const KeyOrder& one) {
      return static_cast<size_t>(one.head >> shift) & (kDigits - 1);
    };
    std::array<size_t, kDigits> at = {};  // where the next one with that digit goes
    for (const KeyOrder& one : order) {
      ++at[digit(one)];
    }
    size_t before = 0;
    for (size_t& begin : at) {
      before += std::exchange(begin, before);
    }
    for (const KeyOrder& one : order) {
      sorted[at[digit(one)]++] = one;
    }
    order.swap(sorted);
  }
}

/// `key_at`: the key of a row, by its number.
template <typename KeyAt>
void SortByKey(std::vector<KeyOrder>& order, KeyAt key_at) {
  const auto less = [&key_at](const KeyOrder& a, const KeyOrder& b) {
    if (a.table_id != b.table_id) {
      return a.table_id < b.table_id;
    }
    return a.head != b.head ? a.head < b.head : key_at(a.index) < key_at(b.index);
  };
  if (std::is_sorted(order.begin(), order.end(), less)) {
    return;
  }
  const bool is_one_table = std::all_of(order.begin(), order.end(), [&order](const KeyOrder& one) {
    return one.table_id == order[0].table_id;
  });
  if (!is_one_table || order.size() < kSortDigitsMin) {
    std::sort(order.begin(), order.end(), less);
    return;
  }
  SortByHead(order);
  for (auto begin = order.begin(), end = begin; begin != order.end(); begin = end) {
    while (end != order.end() && end->head == begin->head) {
      ++end;
    }
    if (end - begin > 1) {
      std::sort(begin, end, less);
    }
  }
}

}  // namespace merrow::store
