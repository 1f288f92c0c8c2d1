// SPDX-License-Identifier: Apache-2.0
//
// Sets of versions against a plain set of numbers, and their text form.
#include "changeset/version_set.h"

#include <gtest/gtest.h>

#include <set>

#include "base/clock.h"
#include "changeset/changeset_test_util.h"

namespace merrow::changeset {
namespace {

using Numbers = std::set<cells::DbVersion>;

// Small, so that ranges meet, touch and swallow each other all the time.
constexpr cells::DbVersion kVersions = 24;

VersionRanges RangesOf(std::initializer_list<VersionRange> list) {
  VersionRanges ranges;
  for (const VersionRange& range : list) ranges.Add(range);
  return ranges;
}

VersionRange AnyRange(SeededRandom& random) {
  const auto after = static_cast<cells::DbVersion>(random.Below(kVersions));
  const auto longest = static_cast<uint64_t>(kVersions - after) + 1;
  // Half of them short, so that sets of many ranges come about.
  const uint64_t end = random.Below(2) == 0 ? 7 : 2;
  return {after, after + static_cast<cells::DbVersion>(random.Below(std::min(longest, end)))};
}

Numbers NumbersOf(const VersionRanges& ranges) {
  Numbers numbers;
  for (const VersionRange& range : ranges.ranges()) {
    for (cells::DbVersion version = range.after + 1; version <= range.until; ++version) {
      numbers.insert(version);
    }
  }
  return numbers;
}

// A set of versions and the same as numbers.
struct Pair {
  VersionRanges ranges;
  Numbers numbers;

  void Add(VersionRange range) {
    ranges.Add(range);
    for (auto v = range.after + 1; v <= range.until; ++v) numbers.insert(v);
  }
  void Remove(VersionRange range) {
    ranges.Remove(range);
    for (auto v = range.after + 1; v <= range.until; ++v) numbers.erase(v);
  }

  void Check() const {
    cells::DbVersion end = -1;
    for (const VersionRange& range : ranges.ranges()) {
      ASSERT_GT(range.after, end) << "ranges overlap or touch";
      ASSERT_GT(range.until, range.after) << "an empty range";
      end = range.until;
    }
    ASSERT_EQ(NumbersOf(ranges), numbers);
    ASSERT_EQ(ranges.empty(), numbers.empty());
    ASSERT_EQ(ranges.last(), numbers.empty() ? 0 : *numbers.rbegin());
    ASSERT_EQ(ranges.count(), static_cast<int64_t>(numbers.size()));
    for (cells::DbVersion v = 1; v <= kVersions + 1; ++v) {
      ASSERT_EQ(ranges.Contains(v), numbers.contains(v)) << v;
    }
  }

  void CheckAgainst(VersionRange range) const {
    bool all = true;
    bool any = false;
    for (auto v = range.after + 1; v <= range.until; ++v) {
      all = all && numbers.contains(v);
      any = any || numbers.contains(v);
    }
    ASSERT_EQ(ranges.Includes(range), all) << range.after << " to " << range.until;
    ASSERT_EQ(ranges.Intersects(range), any) << range.after << " to " << range.until;
  }
};

TEST(VersionRangesProp, DoesWhatASetOfNumbersDoes) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    Pair a;
    Pair b;
    for (int step = 0; step < 60; ++step) {
      Pair& one = random.Below(2) == 0 ? a : b;
      const VersionRange range = AnyRange(random);
      if (random.Below(3) == 0) {
        one.Remove(range);
      } else {
        one.Add(range);
      }
      one.Check();
      one.CheckAgainst(AnyRange(random));

      Numbers both;
      Numbers either = a.numbers;
      Numbers only_a;
      for (const auto v : b.numbers) either.insert(v);
      for (const auto v : a.numbers) (b.numbers.contains(v) ? both : only_a).insert(v);
      ASSERT_EQ(NumbersOf(a.ranges.Intersection(b.ranges)), both);
      ASSERT_EQ(a.ranges.Intersection(b.ranges), b.ranges.Intersection(a.ranges));
      Pair sum{a.ranges, either};
      sum.ranges.Add(b.ranges);
      sum.Check();
      Pair rest{a.ranges, only_a};
      rest.ranges.Remove(b.ranges);
      rest.Check();

      Numbers missing;
      for (cells::DbVersion v = 1; v < a.ranges.last(); ++v) {
        if (!a.numbers.contains(v)) missing.insert(v);
      }
      ASSERT_EQ(NumbersOf(a.ranges.Gaps()), missing);
    }
  }
}

TEST(VersionRangesTest, SetsOfVeryManyRangesAreAddedAndRemovedAtOnce) {
  VersionRanges even;
  VersionRanges odd;
  constexpr cells::DbVersion kRanges = 500'000;
  for (cells::DbVersion i = 0; i < kRanges; ++i) {
    even.Add({2 * i, 2 * i + 1});
    odd.Add({2 * i + 1, 2 * i + 2});
  }
  VersionRanges all = even;
  all.Add(odd);
  EXPECT_EQ(all, VersionRanges(VersionRange{0, 2 * kRanges}));
  all.Remove(even);
  EXPECT_EQ(all, odd);
  all.Remove(odd);
  EXPECT_TRUE(all.empty());
}

TEST(VersionRangesTest, WhatTouchesBecomesOne) {
  VersionRanges ranges = RangesOf({{0, 3}, {5, 7}});
  EXPECT_EQ(ranges.ranges().size(), 2U);
  ranges.Add({3, 5});
  EXPECT_EQ(ranges, VersionRanges(VersionRange{0, 7}));
}

TEST(VersionRangesTest, AnEmptyRangeIsInEverySetAndMeetsNone) {
  const VersionRanges ranges(VersionRange{2, 4});
  EXPECT_TRUE(ranges.Includes({9, 9}));
  EXPECT_FALSE(ranges.Intersects({3, 3}));
  EXPECT_TRUE(VersionRanges(VersionRange{5, 5}).empty());
}

TEST(VersionRangesTest, ReachesTheLargestVersion) {
  VersionRanges ranges(VersionRange{0, cells::kDbVersionMax});
  ranges.Remove({7, cells::kDbVersionMax - 1});
  EXPECT_EQ(ranges.count(), 8);
  EXPECT_TRUE(ranges.Contains(cells::kDbVersionMax));
}

TEST(SiteVersionsTest, DifferenceIsWhatOneHasAndTheOtherLacks) {
  const auto a = SiteNamed('a');
  const auto b = SiteNamed('b');
  const auto c = SiteNamed('c');
  const SiteVersions have = {{a, RangesOf({{0, 9}})}, {b, RangesOf({{0, 2}})}, {c, {}}};
  const SiteVersions lacking = {{a, RangesOf({{3, 5}})}, {b, RangesOf({{0, 4}})}};
  const SiteVersions expected = {{a, RangesOf({{0, 3}, {5, 9}})}};
  EXPECT_EQ(Difference(have, lacking), expected);
  EXPECT_TRUE(Difference({}, have).empty());
  EXPECT_TRUE(Difference(have, have).empty());
}

TEST(SiteVersionsTest, TextHasBothEndsInclusive) {
  const SiteVersions versions = {{SiteNamed('a'), RangesOf({{0, 7}, {8, 9}})},
                                 {SiteNamed('b'), RangesOf({{3, 12}})}};
  const std::string a = ToText({{SiteNamed('a'), RangesOf({{0, 1}})}}).substr(0, 32);
  const std::string b = ToText({{SiteNamed('b'), RangesOf({{0, 1}})}}).substr(0, 32);
  EXPECT_EQ(ToText(versions), a + ":1-7,9-9;" + b + ":4-12");
  EXPECT_EQ(ToText({}), "");
  EXPECT_EQ(ToText({{SiteNamed('a'), {}}}), "");
}

TEST(SiteVersionsTest, TextIsReadBack) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    SiteVersions versions;
    for (uint64_t i = random.Below(4); i > 0; --i) {
      VersionRanges& ranges = versions[SiteNamed(static_cast<unsigned char>('a' + i))];
      for (uint64_t j = 1 + random.Below(4); j > 0; --j) {
        const VersionRange range = AnyRange(random);
        ranges.Add({range.after, range.until + 1});
      }
    }
    const auto parsed = ParseSiteVersions(ToText(versions));
    ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
    ASSERT_EQ(*parsed, versions) << ToText(versions);
  }
}

TEST(SiteVersionsTest, ShortAndSplitFormsAreRead) {
  const std::string a(32, 'a');
  const auto parsed = ParseSiteVersions(a + ":5,1-3;" + std::string(32, 'B') + ":2;" + a + ":4");
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(ToText(*parsed), a + ":1-5;" + std::string(32, 'b') + ":2-2");
}

TEST(SiteVersionsTest, TextThatMakesNoSenseIsRefusedAndNamesThePlace) {
  const std::string id(32, '0');
  const struct {
    std::string text;
    std::string_view complaint;
  } cases[] = {
      {"x", "not a site id of 32 hexadecimal digits at byte 0"},
      {id.substr(1) + ":1", "not a site id of 32 hexadecimal digits at byte 0"},
      {id.substr(1) + "g:1", "not a site id of 32 hexadecimal digits at byte 0"},
      {id, "no ':' at byte 32"},
      {id + "-1", "no ':' at byte 32"},
      {id + ":", "not a version at byte 33"},
      {id + ":0-4", "not a version at byte 33"},
      {id + ":-4", "not a version at byte 33"},
      {id + ": 4", "not a version at byte 33"},
      {id + ":+4", "not a version at byte 33"},
      {id + ":3-", "not a version at byte 35"},
      {id + ":8796093022208", "not a version at byte 33"},
      {id + ":99999999999999999999", "not a version at byte 33"},
      {id + ":1,7-3", "a range that ends before it starts at byte 35"},
      {id + ":1-3,", "not a version at byte 37"},
      {id + ":1-3;", "not ',' or ';' and more at byte 36"},
      {id + ":1-3 ", "not ',' or ';' and more at byte 36"},
      {id + ":1-3;;", "not a site id of 32 hexadecimal digits at byte 37"},
  };
  for (const auto& bad : cases) {
    const auto parsed = ParseSiteVersions(bad.text);
    ASSERT_FALSE(parsed.ok()) << bad.text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument) << bad.text;
    EXPECT_NE(parsed.error().message().find(bad.complaint), std::string::npos)
        << bad.text << ": " << parsed.error().message();
  }
}

TEST(SiteVersionsTest, TextIsBounded) {
  const std::string id(32, '0');
  std::string text = id + ":1";
  while (text.size() <= kVersionTextBytesMax) text += ",1";
  const auto parsed = ParseSiteVersions(text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code(), ErrorCode::kLimit);
}

}  // namespace
}  // namespace merrow::changeset
