// SPDX-License-Identifier: Apache-2.0
#include "changeset/hybrid_clock.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/clock.h"

namespace merrow::changeset {
namespace {

constexpr uint16_t kCountMax = std::numeric_limits<uint16_t>::max();

TEST(HybridClockTest, FollowsTheWall) {
  HybridClock clock;
  EXPECT_EQ(clock.Next(1000), (Timestamp{1000, 0}));
  EXPECT_EQ(clock.Next(1007), (Timestamp{1007, 0}));
}

TEST(HybridClockTest, CountsWithinAMillisecondAndWhileTheWallIsBehind) {
  HybridClock clock;
  clock.Next(1000);
  EXPECT_EQ(clock.Next(1000), (Timestamp{1000, 1}));
  EXPECT_EQ(clock.Next(400), (Timestamp{1000, 2}));
  EXPECT_EQ(clock.Next(1001), (Timestamp{1001, 0}));
}

TEST(HybridClockTest, AFullCountGoesOnWithTheNextMillisecond) {
  HybridClock clock(Timestamp{1000, kCountMax});
  EXPECT_EQ(clock.Next(1000), (Timestamp{1001, 0}));
  EXPECT_EQ(clock.Next(1000), (Timestamp{1001, 1}));
}

TEST(HybridClockTest, IsAboveWhatWasSeen) {
  HybridClock clock;
  clock.Next(1000);
  EXPECT_TRUE(clock.Observe({1500, 3}, 1000));
  EXPECT_EQ(clock.Next(1001), (Timestamp{1500, 4}));
}

TEST(HybridClockTest, WhatIsBehindChangesNothing) {
  HybridClock clock(Timestamp{1000, 5});
  EXPECT_TRUE(clock.Observe({1000, 4}, 1000));
  EXPECT_TRUE(clock.Observe({-7, 0}, 1000));
  EXPECT_EQ(clock.last(), (Timestamp{1000, 5}));
}

TEST(HybridClockTest, AClockThatIsTooFarAheadDragsNobodyAlong) {
  HybridClock clock(Timestamp{1000, 0}, 100);
  EXPECT_TRUE(clock.Observe({1100, 0}, 1000));
  EXPECT_FALSE(clock.Observe({1101, 0}, 1000));
  EXPECT_FALSE(clock.Observe({std::numeric_limits<int64_t>::max(), 0}, 1000));
  EXPECT_EQ(clock.last(), (Timestamp{1100, 0}));
  EXPECT_EQ(clock.Next(1000), (Timestamp{1100, 1}));
}

TEST(HybridClockTest, TheWallMayBeBeforeTheEpoch) {
  HybridClock clock(Timestamp{-5000, 0}, 100);
  EXPECT_TRUE(clock.Observe({-4000, 1}, -4050));
  EXPECT_EQ(clock.Next(-4500), (Timestamp{-4000, 2}));
  EXPECT_FALSE(clock.Observe({std::numeric_limits<int64_t>::max(), 0}, -4500));
}

// Sites with wrong clocks that hear of each other: every timestamp is above what its site gave or
// took over before, and no good clock is dragged further than the bound.
TEST(HybridClockProp, RisesWhateverTheWallDoes) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SeededRandom random(seed);
    constexpr int64_t kSkewMs = 500;
    struct Site {
      HybridClock clock{Timestamp{}, kSkewMs};
      int64_t off_ms = 0;
    } sites[3];
    int64_t now_ms = 100'000;
    for (int step = 0; step < 400; ++step) {
      now_ms += static_cast<int64_t>(random.Below(3));
      if (random.Below(20) == 0) {
        sites[random.Below(2)].off_ms = static_cast<int64_t>(random.Below(4000)) - 2000;
      }
      Site& from = sites[random.Below(3)];
      Site& to = sites[random.Below(3)];
      const Timestamp before = from.clock.last();
      const Timestamp given = from.clock.Next(now_ms + from.off_ms);
      ASSERT_GT(given, before);
      const Timestamp had = to.clock.last();
      const bool taken = to.clock.Observe(given, now_ms + to.off_ms);
      ASSERT_EQ(taken, given.ms <= now_ms + to.off_ms + kSkewMs);
      ASSERT_EQ(to.clock.last(), taken ? std::max(had, given) : had);
      // The last site's wall is right.
      ASSERT_LE(sites[2].clock.last().ms, now_ms + kSkewMs);
    }
  }
}

}  // namespace
}  // namespace merrow::changeset
