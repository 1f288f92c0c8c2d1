// SPDX-License-Identifier: Apache-2.0
//
// Hunks of random texts against the table of the textbook algorithm: they lead to the new text,
// they are as few edits as can be, and where limits forbid that they still lead there.
#include "store/row_edit_diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace merrow::store {
namespace {

using Items = std::vector<uint32_t>;

Items Apply(const Items& old_items, const Items& new_items, const std::vector<Hunk>& hunks) {
  Items result;
  size_t at = 0;
  for (const Hunk& hunk : hunks) {
    EXPECT_GE(hunk.old_at, at);
    result.insert(result.end(), old_items.begin() + static_cast<ptrdiff_t>(at),
                  old_items.begin() + static_cast<ptrdiff_t>(hunk.old_at));
    EXPECT_EQ(result.size(), hunk.new_at);
    result.insert(result.end(), new_items.begin() + static_cast<ptrdiff_t>(hunk.new_at),
                  new_items.begin() + static_cast<ptrdiff_t>(hunk.new_at + hunk.new_count));
    at = hunk.old_at + hunk.old_count;
  }
  result.insert(result.end(), old_items.begin() + static_cast<ptrdiff_t>(at), old_items.end());
  return result;
}

size_t Edits(const std::vector<Hunk>& hunks) {
  size_t edits = 0;
  for (const Hunk& hunk : hunks) edits += hunk.old_count + hunk.new_count;
  return edits;
}

/// Inserts and deletes that are needed, by the table of all prefixes.
size_t FewestEdits(const Items& a, const Items& b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
      } else if (a[i - 1] == b[j - 1]) {
        cost[i][j] = cost[i - 1][j - 1];
      } else {
        cost[i][j] = 1 + std::min(cost[i - 1][j], cost[i][j - 1]);
      }
    }
  }
  return cost[a.size()][b.size()];
}

Items Random(std::mt19937_64& random, size_t length_max, uint32_t alphabet) {
  Items items(random() % (length_max + 1));
  for (uint32_t& item : items) item = static_cast<uint32_t>(random() % alphabet);
  return items;
}

Items Mutate(std::mt19937_64& random, Items items, uint32_t alphabet) {
  for (size_t edits = random() % 8; edits > 0; --edits) {
    const size_t at = random() % (items.size() + 1);
    if (random() % 2 == 0 && at < items.size()) {
      items.erase(items.begin() + static_cast<ptrdiff_t>(at));
    } else {
      items.insert(items.begin() + static_cast<ptrdiff_t>(at),
                   static_cast<uint32_t>(random() % alphabet));
    }
  }
  return items;
}

TEST(RowEditDiff, IsMinimalAndLeadsThere) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const auto alphabet = static_cast<uint32_t>(1 + random() % 5);
    const Items old_items = Random(random, 40, alphabet);
    const Items new_items =
        round % 2 == 0 ? Random(random, 40, alphabet) : Mutate(random, old_items, alphabet);
    const std::vector<Hunk> hunks = DiffItems(old_items, new_items);
    ASSERT_EQ(Apply(old_items, new_items, hunks), new_items) << "round " << round;
    ASSERT_EQ(Edits(hunks), FewestEdits(old_items, new_items)) << "round " << round;
  }
}

TEST(RowEditDiff, LimitsCostMinimalityOnly) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 5'000; ++round) {
    const Items old_items = Random(random, 60, 4);
    const Items new_items = Random(random, 60, 4);
    const DiffLimits limits{random() % 12, random() % 200};
    const std::vector<Hunk> hunks = DiffItems(old_items, new_items, limits);
    ASSERT_EQ(Apply(old_items, new_items, hunks), new_items) << "round " << round;
  }
}

Items Bytes8(std::string_view text) { return {text.begin(), text.end()}; }

TEST(RowEditDiff, LongTextsWithLittleInCommonAreComparedByWords) {
  std::mt19937_64 random(3);
  std::string old_text;
  std::string new_text;
  for (int word = 0; word < 20'000; ++word) {
    const std::string text =
        "word" + std::to_string(random() % 1000) + (word % 9 == 0 ? ".\n" : " ");
    old_text += text;
    // Far more edits than the limit, in small stretches.
    new_text += word % 100 == 0 ? "completely different " : text;
  }
  const std::vector<Hunk> hunks = DiffText(old_text, new_text);
  EXPECT_EQ(Apply(Bytes8(old_text), Bytes8(new_text), hunks), Bytes8(new_text));
  EXPECT_GT(hunks.size(), 150U);
  EXPECT_LT(Edits(hunks), 200U * 40);
}

TEST(RowEditDiff, NothingInCommonIsReplacedWhole) {
  const std::string old_text(300'000, 'a');
  const std::string new_text(300'000, 'b');
  const std::vector<Hunk> hunks = DiffText(old_text, new_text);
  ASSERT_EQ(hunks.size(), 1U);
  EXPECT_EQ(hunks[0], (Hunk{0, 300'000, 0, 300'000}));
}

TEST(RowEditDiff, TextCountsInScalars) {
  const std::vector<Hunk> hunks = DiffText("a😀bé", "a😀x😀bé");
  ASSERT_EQ(hunks.size(), 1U);
  EXPECT_EQ(hunks[0].old_count, 0U);
  EXPECT_EQ(hunks[0].new_count, 2U);
  EXPECT_TRUE(DiffText("", "").empty());
}

}  // namespace
}  // namespace merrow::store
