// SPDX-License-Identifier: Apache-2.0
//
// Map state: the largest writer of a key wins, in whatever order the writes come.

#include "loro/map_state.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "base/clock.h"

namespace merrow::loro {
namespace {

TEST(MapState, TheLargerWriterWinsAndADeleteIsAWrite) {
  MapState map;
  EXPECT_TRUE(map.Write("k", Value("old"), {1, 5}));
  EXPECT_TRUE(map.Write("k", Value("new"), {1, 6}));
  EXPECT_FALSE(map.Write("k", Value("late"), {1, 5}));
  ASSERT_NE(map.Get("k"), nullptr);
  EXPECT_EQ(*map.Get("k"), Value("new"));
  EXPECT_TRUE(map.Write("k", std::nullopt, {2, 1}));
  EXPECT_EQ(map.Get("k"), nullptr);
  EXPECT_EQ(map.size(), 0U);
  EXPECT_EQ(map.entries().size(), 1U);  // the tombstone stays
  EXPECT_FALSE(map.Write("k", Value("back?"), {1, 9}));
  EXPECT_EQ(map.Get("k"), nullptr);
  map.CheckInvariants();
}

TEST(MapState, NullIsAValue) {
  MapState map;
  EXPECT_TRUE(map.Write("", Value(), {0, 1}));
  ASSERT_NE(map.Get(""), nullptr);
  EXPECT_TRUE(map.Get("")->is_null());
  EXPECT_EQ(map.size(), 1U);
}

TEST(MapState, AnyOrderOfWritesGivesTheSame) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SeededRandom random(seed);
    struct Write {
      std::string key;
      std::optional<Value> value;
      IdLp writer;
    };
    std::vector<Write> writes;
    std::map<std::string, Write> winners;
    const size_t keys = 1 + random.Below(200);  // from scanning to the hash index
    for (uint32_t i = 0; i < 400; ++i) {
      Write write{"key " + std::to_string(random.Below(keys)),
                  std::nullopt,
                  {static_cast<Lamport>(random.Below(50)), i}};
      if (random.Below(4) > 0) write.value = Value(static_cast<int64_t>(i));
      const auto [winner, is_new] = winners.try_emplace(write.key, write);
      if (!is_new && winner->second.writer < write.writer) winner->second = write;
      writes.push_back(std::move(write));
    }
    for (size_t i = writes.size(); i > 1; --i) std::swap(writes[i - 1], writes[random.Below(i)]);
    MapState map;
    for (const Write& write : writes) {
      map.Write(write.key, write.value, write.writer);
      if (random.Below(40) == 0) map.CheckInvariants();
    }
    size_t live = 0;
    for (const auto& [key, winner] : winners) {
      const Value* value = map.Get(key);
      ASSERT_EQ(value != nullptr, winner.value.has_value()) << "seed " << seed << " " << key;
      if (value != nullptr) {
        EXPECT_EQ(*value, *winner.value) << "seed " << seed << " " << key;
      }
      live += winner.value.has_value() ? 1 : 0;
    }
    EXPECT_EQ(map.size(), live) << "seed " << seed;
    EXPECT_GT(map.MemoryBytes(), 0U);
  }
}

}  // namespace
}  // namespace merrow::loro
