// SPDX-License-Identifier: Apache-2.0
//
// The text form of versions. What is read has one text, which is read as the same; and its sets
// obey the rules of sets.

#include "base/fuzz/heap_meter.h"
#include "changeset/fuzz/fuzz_changeset.h"
#include "changeset/version_set.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

constexpr size_t kHeapBase = size_t{4} << 10;
constexpr size_t kHeapFactor = 64;

void CheckRanges(const VersionRanges& ranges) {
  MERROW_CHECK(!ranges.empty());
  cells::DbVersion end = -1;
  for (const VersionRange& range : ranges.ranges()) {
    MERROW_CHECK(range.after > end && range.after < range.until);
    end = range.until;
  }
  VersionRanges gaps = ranges.Gaps();
  for (const VersionRange& range : gaps.ranges()) MERROW_CHECK(!ranges.Intersects(range));
  MERROW_CHECK(gaps.Intersection(ranges).empty());
  gaps.Add(ranges);
  MERROW_CHECK(gaps == VersionRanges({0, ranges.last()}));
  gaps.Remove(ranges);
  MERROW_CHECK(gaps == ranges.Gaps());
}

// The sites by turns into two sets.
void CheckDifference(const SiteVersions& all) {
  SiteVersions half;
  for (const auto& [site, ranges] : all) {
    VersionRanges& some = half[site];
    for (size_t i = 0; i < ranges.ranges().size(); i += 2) some.Add(ranges.ranges()[i]);
  }
  const SiteVersions rest = Difference(all, half);
  SiteVersions whole = half;
  for (const auto& [site, ranges] : rest) {
    MERROW_CHECK(ranges.Intersection(half[site]).empty());
    whole[site].Add(ranges);
  }
  MERROW_CHECK(whole == all);
  MERROW_CHECK(Difference(half, all).empty());
}

}  // namespace

void FuzzVersionText(BytesView input) {
  const fuzz::HeapMeter meter;
  const Result<SiteVersions> versions = ParseSiteVersions(input);
  fuzz::CheckHeap(meter, kHeapBase + kHeapFactor * input.size());
  if (!versions.ok()) return;
  for (const auto& [site, ranges] : *versions) CheckRanges(ranges);
  const std::string text = ToText(*versions);
  const Result<SiteVersions> again = ParseSiteVersions(text);
  MERROW_CHECK(again.ok());
  MERROW_CHECK(*again == *versions);
  MERROW_CHECK(ToText(*again) == text);
  CheckDifference(*versions);
}

std::vector<Bytes> VersionTextSeeds() {
  const std::string a = "000102030405060708090a0b0c0d0e0f";
  const std::string b = "FF0102030405060708090A0B0C0D0E0F";
  return {"", a + ":1-7,9-9", a + ":5;" + b + ":1,3,5,7-100,8796093022207",
          b + ":9-9,1-8,20-30,10-19;" + a + ":2;" + b + ":40"};
}

}  // namespace merrow::changeset
