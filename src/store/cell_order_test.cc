// SPDX-License-Identifier: Apache-2.0
//
// Both ways of sorting against the plain one: few rows and many, of one table and of several, with
// keys that begin alike and rows that are there twice.
#include "store/cell_order.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "cells/clock_block.h"

namespace merrow::store {
namespace {

TEST(CellOrder, IsThatOfTablesAndKeys) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random(seed);
    const size_t rows = seed % 3 == 0 ? random.Below(100) : kSortDigitsMin + random.Below(3000);
    const uint64_t tables = seed % 5 == 0 ? 3 : 1;
    const bool stored = seed % 2 == 0;
    const unsigned bits = 1 + static_cast<unsigned>(random.Below(63));
    std::vector<std::string> bytes(rows);
    std::vector<cells::ClockKey> keys(rows);
    std::vector<KeyOrder> order;
    for (uint32_t i = 0; i < rows; ++i) {
      const auto number = static_cast<int64_t>(random.Below(uint64_t{1} << bits));
      if (stored) {
        bytes[i] = "key " + std::to_string(number);  // many heads are equal
        keys[i].stored = bytes[i];
      } else {
        keys[i].number = random.Below(2) == 0 ? number : -number;
      }
      order.push_back({static_cast<int64_t>(random.Below(tables)), cells::HeadOf(keys[i]), i});
    }
    const auto key_of = [&](const KeyOrder& one) {
      return std::tuple(one.table_id, keys[one.index].number, keys[one.index].stored);
    };
    std::vector<KeyOrder> expected = order;
    std::sort(expected.begin(), expected.end(),
              [&](const KeyOrder& a, const KeyOrder& b) { return key_of(a) < key_of(b); });
    SortByKey(order, [&](uint32_t index) { return keys[index]; });
    std::vector<bool> seen(rows, false);
    for (size_t i = 0; i < rows; ++i) {
      ASSERT_EQ(key_of(order[i]), key_of(expected[i])) << "seed " << seed << " row " << i;
      ASSERT_FALSE(seen[order[i].index]) << "seed " << seed;
      seen[order[i].index] = true;
    }
  }
}

}  // namespace
}  // namespace merrow::store
