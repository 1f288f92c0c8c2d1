// SPDX-License-Identifier: Apache-2.0
//
// Siblings of a tree and the positions they are ordered by, against what they stand for: a sorted
// vector and byte strings.

#include "loro/tree_siblings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "loro/tree_position.h"

namespace merrow::loro {
namespace {

TEST(TreeSiblingsProp, AreASortedVector) {
  // The order of nodes is not that of their numbers.
  const auto precedes = [](uint32_t a, uint32_t b) {
    return std::pair(a % 97, a) < std::pair(b % 97, b);
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    TreeSiblings siblings;
    std::vector<uint32_t> model;
    size_t largest = 0;
    for (int step = 0; step < 6000; ++step) {
      // Grows to some hundreds and shrinks to nothing, several times.
      const bool grows = step / 1500 % 2 == 0;
      const auto node = static_cast<uint32_t>(random() % 5000);
      const auto at = std::lower_bound(model.begin(), model.end(), node, precedes);
      const bool is_there = at != model.end() && *at == node;
      EXPECT_EQ(siblings.RankOf(node, precedes), static_cast<uint32_t>(at - model.begin()));
      if (!is_there && (grows || random() % 4 == 0)) {
        siblings.Insert(node, precedes);
        model.insert(at, node);
      } else if (!model.empty() && (!grows || random() % 3 == 0)) {
        const size_t gone = random() % model.size();
        siblings.Remove(model[gone], precedes);
        model.erase(model.begin() + static_cast<std::ptrdiff_t>(gone));
      }
      siblings.CheckInvariants();
      largest = std::max(largest, model.size());
      ASSERT_EQ(siblings.count(), model.size());
      ASSERT_EQ(siblings.empty(), model.empty());
      if (step % 50 != 0 && model.size() > 8) continue;
      for (uint32_t i = 0; i < model.size(); ++i) ASSERT_EQ(siblings.At(i), model[i]);
    }
    EXPECT_GT(largest, 300u);
    TreeSiblings moved = std::move(siblings);
    EXPECT_EQ(moved.count(), model.size());
  }
}

TEST(TreePositionProp, ComparesAsItsBytes) {
  std::mt19937_64 random(1);
  const auto any = [&random] {
    // Few different bytes, so that there are common prefixes; sizes around where the heap begins.
    std::string bytes(random() % 20, '\0');
    const char last = "\x00\x01\x7f\x80\xff"[random() % 5];
    const size_t cut = random() % (bytes.size() + 1);
    for (size_t i = 0; i < cut; ++i) bytes[i] = '\x80';
    if (cut > 0) bytes[cut - 1] = last;
    return bytes;
  };
  for (int i = 0; i < 20000; ++i) {
    const std::string a = any();
    const std::string b = any();
    TreePosition left(a);
    const TreePosition right(b);
    ASSERT_EQ(left < right, a < b);
    ASSERT_EQ(left == right, a == b);
    ASSERT_EQ(left.view(), a);
    const TreePosition copy = left;
    ASSERT_EQ(copy.view(), a);
    left = right;
    ASSERT_EQ(left.view(), b);
    left = TreePosition(a);
    ASSERT_EQ(left.view(), a);
    ASSERT_EQ(copy.HeapBytes(), a.size() > 15 ? a.size() : 0);
  }
}

}  // namespace
}  // namespace merrow::loro
