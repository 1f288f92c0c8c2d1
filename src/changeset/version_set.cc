// SPDX-License-Identifier: Apache-2.0
#include "changeset/version_set.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/bytes.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

bool EndsBefore(const VersionRange& range, cells::DbVersion version) {
  return range.until < version;
}

bool StartsBefore(const VersionRange& a, const VersionRange& b) { return a.after < b.after; }

/// Sets of so many ranges are added and removed range by range. Larger ones come from peers, which
/// may have very many, so the time must not grow with the product of both.
constexpr size_t kOneByOneMax = 4;

/// Ranges that are in order of their starts, those that overlap or touch as one.
std::vector<VersionRange> Joined(std::vector<VersionRange> ranges) {
  size_t count = 0;
  for (const VersionRange& range : ranges) {
    if (count > 0 && range.after <= ranges[count - 1].until) {
      ranges[count - 1].until = std::max(ranges[count - 1].until, range.until);
    } else {
      ranges[count++] = range;
    }
  }
  ranges.resize(count);
  return ranges;
}

Error BadText(std::string_view what, size_t at) {
  return InvalidArgument("version vector: " + std::string(what) + " at byte " + std::to_string(at));
}

/// Reads a decimal number at `at` and moves behind it.
Result<cells::DbVersion> ReadVersion(std::string_view text, size_t& at) {
  cells::DbVersion version = 0;
  const char* const begin = text.data() + at;
  const auto [end, failed] = std::from_chars(begin, text.data() + text.size(), version);
  if (failed != std::errc() || version < 1 || version > cells::kDbVersionMax) {
    return BadText("not a version", at);
  }
  at += static_cast<size_t>(end - begin);
  return version;
}

}  // namespace

int64_t VersionRanges::count() const {
  int64_t count = 0;
  for (const VersionRange& range : ranges_) count += range.until - range.after;
  return count;
}

bool VersionRanges::Contains(cells::DbVersion version) const {
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), version, EndsBefore);
  return at != ranges_.end() && at->after < version;
}

bool VersionRanges::Includes(VersionRange range) const {
  if (range.after >= range.until) return true;
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), range.until, EndsBefore);
  return at != ranges_.end() && at->after <= range.after;
}

bool VersionRanges::Intersects(VersionRange range) const {
  if (range.after >= range.until) return false;
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), range.after + 1, EndsBefore);
  return at != ranges_.end() && at->after < range.until;
}

void VersionRanges::Add(VersionRange range) {
  MERROW_CHECK(range.after >= 0 && range.after <= range.until);
  if (range.after == range.until) return;
  // Everything that overlaps or touches becomes one.
  const auto first = std::lower_bound(ranges_.begin(), ranges_.end(), range.after, EndsBefore);
  auto last = first;
  for (; last != ranges_.end() && last->after <= range.until; ++last) {
    range.after = std::min(range.after, last->after);
    range.until = std::max(range.until, last->until);
  }
  if (first == last) {
    ranges_.insert(first, range);
    return;
  }
  *first = range;
  ranges_.erase(first + 1, last);
}

void VersionRanges::Add(const VersionRanges& other) {
  if (other.ranges_.size() <= kOneByOneMax) {
    for (const VersionRange& range : other.ranges_) Add(range);
    return;
  }
  std::vector<VersionRange> all;
  all.reserve(ranges_.size() + other.ranges_.size());
  std::merge(ranges_.begin(), ranges_.end(), other.ranges_.begin(), other.ranges_.end(),
             std::back_inserter(all), StartsBefore);
  ranges_ = Joined(std::move(all));
}

void VersionRanges::Remove(VersionRange range) {
  if (range.after >= range.until) return;
  auto at = std::lower_bound(ranges_.begin(), ranges_.end(), range.after + 1, EndsBefore);
  while (at != ranges_.end() && at->after < range.until) {
    const VersionRange before{at->after, std::min(at->until, range.after)};
    const VersionRange behind{std::max(at->after, range.until), at->until};
    const bool keeps_before = before.after < before.until;
    const bool keeps_behind = behind.after < behind.until;
    if (keeps_before && keeps_behind) {
      *at = before;
      ranges_.insert(at + 1, behind);
      return;
    }
    if (keeps_before || keeps_behind) {
      *at = keeps_before ? before : behind;
      ++at;
    } else {
      at = ranges_.erase(at);
    }
  }
}

void VersionRanges::Remove(const VersionRanges& other) {
  if (other.ranges_.size() <= kOneByOneMax) {
    for (const VersionRange& range : other.ranges_) Remove(range);
    return;
  }
  std::vector<VersionRange> rest;
  auto removed = other.ranges_.begin();
  for (VersionRange range : ranges_) {
    while (removed != other.ranges_.end() && removed->until <= range.after) ++removed;
    // One that reaches beyond the end of this range may take from the next as well.
    for (auto at = removed; at != other.ranges_.end() && at->after < range.until; ++at) {
      if (at->after > range.after) rest.push_back({range.after, at->after});
      range.after = std::min(at->until, range.until);
      removed = at;
    }
    if (range.after < range.until) rest.push_back(range);
  }
  ranges_ = std::move(rest);
}

VersionRanges VersionRanges::Intersection(const VersionRanges& other) const {
  VersionRanges both;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const VersionRange common{std::max(a->after, b->after), std::min(a->until, b->until)};
    if (common.after < common.until) both.ranges_.push_back(common);
    if (a->until < b->until) {
      ++a;
    } else {
      ++b;
    }
  }
  return both;
}

VersionRanges VersionRanges::Gaps() const {
  VersionRanges gaps;
  cells::DbVersion behind = 0;
  for (const VersionRange& range : ranges_) {
    if (range.after > behind) gaps.ranges_.push_back({behind, range.after});
    behind = range.until;
  }
  return gaps;
}

SiteVersions Difference(const SiteVersions& have, const SiteVersions& lacking) {
  SiteVersions difference;
  for (const auto& [site, ranges] : have) {
    VersionRanges rest = ranges;
    if (const auto other = lacking.find(site); other != lacking.end()) rest.Remove(other->second);
    if (!rest.empty()) difference.emplace(site, std::move(rest));
  }
  return difference;
}

SiteVersions Common(const SiteVersions& a, const SiteVersions& b) {
  SiteVersions common;
  for (const auto& [site, ranges] : a) {
    const auto other = b.find(site);
    if (other == b.end()) continue;
    VersionRanges both = ranges.Intersection(other->second);
    if (!both.empty()) common.emplace(site, std::move(both));
  }
  return common;
}

std::string ToText(const SiteVersions& versions) {
  std::string text;
  for (const auto& [site, ranges] : versions) {
    if (ranges.empty()) continue;
    text += (text.empty() ? "" : ";") + ToHex(site.view());
    char separator = ':';
    for (const VersionRange& range : ranges.ranges()) {
      text += separator + std::to_string(range.after + 1) + "-" + std::to_string(range.until);
      separator = ',';
    }
  }
  return text;
}

Result<SiteVersions> ParseSiteVersions(std::string_view text) {
  if (text.size() > kVersionTextBytesMax) {
    return LimitReached("version vector: " + std::to_string(text.size()) + " bytes, above " +
                        std::to_string(kVersionTextBytesMax));
  }
  SiteVersions versions;
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view hex = text.substr(at, 2 * cells::kSiteIdBytes);
    const Result<Bytes> id = FromHex(hex);
    if (hex.size() != 2 * cells::kSiteIdBytes || !id.ok()) {
      return BadText("not a site id of 32 hexadecimal digits", at);
    }
    MERROW_ASSIGN(const cells::SiteId site, cells::SiteId::FromBytes(*id));
    at += hex.size();
    if (at == text.size() || text[at] != ':') return BadText("no ':'", at);
    std::vector<VersionRange> ranges;
    do {
      ++at;
      const size_t range_at = at;
      MERROW_ASSIGN(const cells::DbVersion from, ReadVersion(text, at));
      cells::DbVersion to = from;
      if (at < text.size() && text[at] == '-') {
        ++at;
        MERROW_ASSIGN(to, ReadVersion(text, at));
      }
      if (to < from) return BadText("a range that ends before it starts", range_at);
      ranges.push_back({from - 1, to});
    } while (at < text.size() && text[at] == ',');
    // In order, so that each is added behind the others.
    std::sort(ranges.begin(), ranges.end(), StartsBefore);
    VersionRanges& of_site = versions[site];
    for (const VersionRange& range : ranges) of_site.Add(range);
    if (at == text.size()) break;
    if (text[at] != ';' || at + 1 == text.size()) return BadText("not ',' or ';' and more", at);
    ++at;
  }
  return versions;
}

}  // namespace merrow::changeset
