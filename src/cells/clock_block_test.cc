// SPDX-License-Identifier: Apache-2.0
//
// Golden bytes of clock blocks, a model of random blocks, and damage.
#include "cells/clock_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace merrow::cells {
namespace {

ClockRun FreshRow(int64_t key, DbVersion version, Seq seq) {
  ClockRun run;
  run.key.number = key;
  run.fresh = {4, 0, version, seq};
  return run;
}

Bytes Written(const std::vector<ClockRun>& runs, bool stored_keys = false) {
  ClockBlockWriter writer;
  writer.Begin(runs[0].key, stored_keys);
  for (const ClockRun& run : runs) {
    EXPECT_TRUE(writer.CanAdd(run));
    writer.Add(run);
  }
  return writer.bytes();
}

/// All rows one by one, as "key:clock;", with the bytes of each clock.
std::string Rows(const ClockKey& first, bool stored_keys, BytesView block) {
  std::string text;
  ClockBlockReader reader;
  Status status = reader.Reset(first, stored_keys, block);
  while (status.ok() && !reader.done()) {
    ClockRun run = reader.run();
    Bytes clock(run.clock);
    if (run.is_fresh()) {
      clock.clear();
      RowClock::AppendFresh(run.fresh, clock);
    }
    text += (stored_keys ? Bytes(run.key.stored) : std::to_string(run.key.number)) + ":" +
            ToHex(clock) + ";";
    if (run.count > 1 && text.size() < 10000) {
      status = reader.SkipTo({run.key.number + 1, {}});
    } else {
      status = reader.Next();
    }
  }
  return status.ok() ? text : "damaged";
}

TEST(ClockBlock, GoldenBytes) {
  ClockRun run = FreshRow(1, 7, 0);
  for (int64_t key = 2; key <= 100000; ++key) {
    ASSERT_TRUE(Extend(run, FreshRow(key, 7, (key - 1) * 4)));
  }
  EXPECT_EQ(ToHex(Written({run})),
            "01"
            "9f8d06040007000008");
  ClockRun updated;
  updated.key.number = 3;
  updated.clock = "\x06\x09\x04\x02";
  EXPECT_EQ(ToHex(Written({FreshRow(1, 7, 0), updated})),
            "01"
            "0004000700"
            "02"
            "0406090402");
  ClockRun a;
  a.key.stored = "same 1";
  a.clock = "x";
  ClockRun b = a;
  b.key.stored = "same 23";
  EXPECT_EQ(ToHex(Written({a, b}, true)),
            "06000178"
            "05"
            "023233"
            "0178");
  EXPECT_EQ(Rows(a.key, true, Written({a, b}, true)), "same 1:78;same 23:78;");
}

TEST(ClockBlock, RunsOnlyJoinWhatContinuesThem) {
  ClockRun run = FreshRow(10, 7, 8);
  EXPECT_FALSE(Extend(run, FreshRow(12, 7, 12)));
  ASSERT_TRUE(Extend(run, FreshRow(11, 8, 8)));
  EXPECT_FALSE(Extend(run, FreshRow(12, 8, 8)));
  EXPECT_FALSE(Extend(run, FreshRow(12, 9, 9)));
  ClockRun other = FreshRow(12, 9, 8);
  other.fresh.site = 1;
  EXPECT_FALSE(Extend(run, other));
  other.fresh = {3, 0, 9, 8};
  EXPECT_FALSE(Extend(run, other));
  ClockRun last = FreshRow(std::numeric_limits<int64_t>::max(), 1, 0);
  EXPECT_FALSE(Extend(last, FreshRow(std::numeric_limits<int64_t>::min(), 2, 0)));
  ASSERT_TRUE(Extend(run, FreshRow(12, 9, 8)));
  run.Drop(2);
  EXPECT_EQ(run.key.number, 12);
  EXPECT_EQ(run.fresh, (FreshClock{4, 0, 9, 8}));
}

TEST(ClockBlock, WideGapsNeedAnotherBlock) {
  ClockBlockWriter writer;
  writer.Begin({std::numeric_limits<int64_t>::min(), {}}, false);
  writer.Add(FreshRow(std::numeric_limits<int64_t>::min(), 1, 0));
  EXPECT_FALSE(writer.CanAdd(FreshRow(std::numeric_limits<int64_t>::max(), 1, 0)));
  EXPECT_TRUE(writer.CanAdd(FreshRow(-1, 1, 0)));
  writer.Add(FreshRow(-1, 1, 0));
  writer.Add(FreshRow(std::numeric_limits<int64_t>::max(), 1, 0));
  EXPECT_EQ(Rows({std::numeric_limits<int64_t>::min(), {}}, false, writer.bytes()),
            "-9223372036854775808:060104"
            "0000;-1:0601040000;9223372036854775807:0601040000;");
}

TEST(ClockBlock, RandomBlocksReadAsTheyWereWritten) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SeededRandom random(seed);
    const bool stored_keys = random.Below(2) == 0;
    std::map<std::pair<int64_t, Bytes>, Bytes> model;  // to the clock's bytes
    int64_t number = static_cast<int64_t>(random.Below(100)) - 50;
    for (uint64_t rows = 1 + random.Below(40); rows > 0; --rows) {
      number += 1 + static_cast<int64_t>(random.Below(3) == 0 ? random.Below(1000) : 0);
      Bytes key;
      if (stored_keys) {
        key = std::to_string(random.Below(10000));
      }
      Bytes clock;
      if (random.Below(3) == 0) {
        clock = Bytes(1 + random.Below(5), static_cast<char>(random.Below(256)));
        clock[0] = 1;
      } else {
        RowClock::AppendFresh({3, 0, 5, static_cast<Seq>(random.Below(2)) + number * 3 + 200},
                              clock);
      }
      model[{stored_keys ? 0 : number, key}] = clock;
    }
    std::vector<ClockRun> runs;
    std::string expected;
    for (const auto& [key, clock] : model) {
      ClockRun run;
      run.key = {key.first, key.second};
      run.fresh = RowClock::ParseFresh(clock);
      run.clock = clock;
      expected += (stored_keys ? key.second : std::to_string(key.first)) + ":" + ToHex(clock) + ";";
      if (stored_keys || runs.empty() || !Extend(runs.back(), run)) {
        runs.push_back(run);
      }
    }
    const Bytes block = Written(runs, stored_keys);
    EXPECT_EQ(Rows(runs[0].key, stored_keys, block), expected) << "seed " << seed;
    // Each key is found, wherever the search begins.
    for (const auto& [key, clock] : model) {
      ClockBlockReader reader;
      ASSERT_TRUE(reader.Reset(runs[0].key, stored_keys, block).ok());
      ASSERT_TRUE(reader.SkipTo({key.first, key.second}).ok());
      ASSERT_FALSE(reader.done());
      EXPECT_EQ(reader.run().key, (ClockKey{key.first, key.second}));
    }
    // Whatever happens to the bytes, reading ends.
    for (int i = 0; i < 20; ++i) {
      Bytes damaged = block;
      damaged[random.Below(damaged.size())] ^= static_cast<char>(1 << random.Below(8));
      Rows(runs[0].key, stored_keys, damaged);
      Rows(runs[0].key, stored_keys, BytesView(block).substr(0, random.Below(block.size())));
    }
  }
}

/// Skipping reads keys only as far as it must. It has to end where a look at each key would, also
/// in blocks that share fewer bytes than they could.
TEST(ClockBlock, SkippingEndsWhereReadingKeyByKeyDoes) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SeededRandom random(seed);
    const auto random_key = [&random] {
      Bytes key;
      for (uint64_t i = random.Below(6); i > 0; --i) {
        key += "\x00\x01\x7F\x80\xFF"[random.Below(5)];
      }
      return key;
    };
    std::map<Bytes, Bytes> model;  // to the clock's bytes
    for (uint64_t rows = 1 + random.Below(12); rows > 0; --rows) {
      Bytes& clock = model[random_key()];
      RowClock::AppendFresh({3, 0, 5, static_cast<Seq>(random.Below(1000))}, clock);
    }
    const Bytes first = model.begin()->first;
    Bytes block;
    Bytes before = first;
    for (const auto& [key, clock] : model) {
      const auto common = static_cast<size_t>(
          std::mismatch(before.begin(), before.end(), key.begin(), key.end()).first -
          before.begin());
      const size_t shared = common - random.Below(std::min<size_t>(common, 2) + 1);
      ByteWriter entry;
      entry.Uleb(shared);
      entry.LengthPrefixed(BytesView(key).substr(shared));
      block += entry.bytes();
      AppendBlockClock(clock, block);
      before = key;
    }
    ClockBlockReader reader;
    ASSERT_TRUE(reader.Reset({0, first}, true, block).ok());
    Bytes at = first;
    for (int i = 0; i < 4; ++i) {
      const Bytes key = random_key();
      ASSERT_TRUE(reader.SkipTo({0, key}).ok()) << "seed " << seed;
      at = std::max(at, key);  // never back
      const auto expected = model.lower_bound(at);
      ASSERT_EQ(reader.done(), expected == model.end()) << "seed " << seed;
      if (reader.done()) {
        EXPECT_EQ(reader.rows(), model.size());
        EXPECT_EQ(reader.last_key().stored, model.rbegin()->first);
        break;
      }
      at = expected->first;
      EXPECT_EQ(reader.run().key.stored, expected->first) << "seed " << seed;
      EXPECT_EQ(reader.run().clock, expected->second);
      EXPECT_EQ(reader.run().fresh, RowClock::ParseFresh(expected->second));
      EXPECT_EQ(reader.rows(), static_cast<uint64_t>(std::distance(model.begin(), expected)) + 1);
    }
  }
}

}  // namespace
}  // namespace merrow::cells
