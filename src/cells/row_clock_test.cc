// SPDX-License-Identifier: Apache-2.0
//
// Golden bytes of the packed form, round trips of random clocks, and damage.
#include "cells/row_clock.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/clock.h"

namespace merrow::cells {
namespace {

RowClock Fresh(uint32_t columns, DbVersion version, Seq seq) {
  RowClock clock;
  for (uint32_t i = 0; i < columns; ++i) {
    clock.SetCell({i, 1, {version, seq + i, 0}});
  }
  return clock;
}

TEST(RowClock, GoldenBytes) {
  EXPECT_EQ(ToHex(Fresh(4, 7, 300).Encode()),
            "06"
            "07"
            "0400ac02");
  EXPECT_EQ(ToHex(Fresh(1, 7, 3).Encode()),
            "00"
            "07"
            "000103");

  RowClock updated = Fresh(4, 7, 0);
  updated.SetCell({2, 2, {9, 5, 0}});
  EXPECT_EQ(ToHex(updated.Encode()),
            "06"
            "09"
            "040200"
            "080205");
  updated.SetCell({3, 4, {8, 1, 2}});
  EXPECT_EQ(ToHex(updated.Encode()),
            "06"
            "09"
            "040200"
            "080205"
            "0304010102");

  RowClock deleted;
  deleted.SetSentinel({2, {11, 3, 1}});
  EXPECT_EQ(ToHex(deleted.Encode()),
            "01"
            "0b"
            "02000301");
}

TEST(RowClock, OnlyUntouchedRowsAreFresh) {
  RowClock clock = Fresh(3, 12, 34);
  EXPECT_EQ(clock.AsFresh(), (FreshClock{3, 0, 12, 34}));
  for (const CellClock& other : {CellClock{1, 2, {12, 35, 0}}, CellClock{1, 1, {13, 35, 0}},
                                 CellClock{1, 1, {12, 36, 0}}, CellClock{1, 1, {12, 35, 1}}}) {
    RowClock changed = clock;
    changed.SetCell(other);
    EXPECT_EQ(changed.AsFresh().columns, 0U);
    EXPECT_EQ(RowClock::ParseFresh(changed.Encode()).columns, 0U);
  }
  RowClock hole = clock;
  hole.DropCell(1);
  EXPECT_EQ(hole.AsFresh().columns, 0U);
  clock.SetSentinel({3, {12, 40, 0}});
  EXPECT_EQ(clock.AsFresh().columns, 0U);
  EXPECT_EQ(RowClock().AsFresh().columns, 0U);
}

TEST(RowClock, FreshIsWhatAnInsertPacksTo) {
  for (const uint32_t columns : {1U, 2U, 7U, 300U}) {
    for (const SiteOrdinal site : {0U, 3U}) {
      const FreshClock fresh{columns, site, 12, 34};
      Bytes packed;
      RowClock::AppendFresh(fresh, packed);
      RowClock clock;
      clock.SetFresh(fresh);
      EXPECT_EQ(packed, clock.Encode());
      EXPECT_EQ(clock.AsFresh(), fresh);
      const FreshClock parsed = RowClock::ParseFresh(packed);
      EXPECT_TRUE(parsed == fresh || parsed.columns == 0);
      EXPECT_EQ(parsed.columns > 0, columns > 1 && site == 0);
    }
  }
}

TEST(RowClock, CausalLength) {
  RowClock clock;
  EXPECT_EQ(clock.cl(), 0);
  clock.SetCell({0, 1, {1, 0, 0}});
  EXPECT_EQ(clock.cl(), 1);
  clock.SetSentinel({3, {2, 0, 0}});
  EXPECT_EQ(clock.cl(), 3);
}

RowClock RandomClock(SeededRandom& random) {
  RowClock clock;
  const uint64_t columns = random.Below(8);
  const bool dense = random.Below(2) == 0;
  for (uint32_t column = 0; column < columns; ++column) {
    if (dense || random.Below(3) != 0) {
      const uint64_t range = random.Below(4) == 0 ? uint64_t{1} << 40 : 3;
      clock.SetCell(
          {column * (random.Below(5) == 0 ? 3 : 1),
           static_cast<ColVersion>(random.Below(range)),
           {static_cast<DbVersion>(random.Below(range)), static_cast<Seq>(random.Below(range)),
            static_cast<SiteOrdinal>(random.Below(3))}});
    }
  }
  if (random.Below(3) == 0) {
    const auto cl = static_cast<CausalLength>(1 + random.Below(5));
    if (!IsAlive(cl)) {
      clock.Clear();
    }
    clock.SetSentinel({cl, {static_cast<DbVersion>(random.Below(100)), 1, 2}});
  }
  return clock;
}

TEST(RowClock, RoundTrips) {
  SeededRandom random(1);
  RowClock reused;
  for (int i = 0; i < 20000; ++i) {
    const RowClock clock = RandomClock(random);
    clock.CheckInvariants();
    const Bytes packed = clock.Encode();
    ASSERT_TRUE(reused.DecodeFrom(packed).ok()) << ToHex(packed);
    ASSERT_EQ(reused, clock) << ToHex(packed);
  }
}

TEST(RowClock, DamageIsRefusedOrReadAsAValidClock) {
  SeededRandom random(2);
  for (int i = 0; i < 20000; ++i) {
    Bytes packed = RandomClock(random).Encode();
    packed.resize(random.Below(packed.size() + 1));
    if (!packed.empty()) {
      packed[random.Below(packed.size())] = static_cast<char>(random.Below(256));
    }
    const auto clock = RowClock::Decode(packed);
    if (clock.ok()) {
      clock.value().CheckInvariants();
      EXPECT_EQ(RowClock::Decode(clock.value().Encode()).value(), clock.value());
    }
  }
}

TEST(RowClock, HugeGroupIsRefused) {
  EXPECT_FALSE(RowClock::Decode(FromHex("0607ffffffff0f0000").value()).ok());
}

TEST(RowClock, VersionsAreForgottenWhenZeroed) {
  RowClock clock = Fresh(3, 4, 0);
  EXPECT_TRUE(clock.HasVersion(4));
  clock.ZeroVersions(9);
  EXPECT_FALSE(clock.HasVersion(4));
  EXPECT_TRUE(clock.HasVersion(9));
  EXPECT_EQ(clock.Find(1)->col_version, 0);
  clock.DropCell(1);
  EXPECT_EQ(clock.Find(1), nullptr);
  EXPECT_NE(clock.Find(2), nullptr);
}

}  // namespace
}  // namespace merrow::cells
