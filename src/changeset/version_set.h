// SPDX-License-Identifier: Apache-2.0
//
// Which versions of which sites somebody has: the version vector of replication, with gaps.
//
// A changeset covers the versions (previous, version] of its site, so what is had and what is
// lacking are sets of such ranges. Versions that a site never used for a transaction of its own
// (its counter also advances when it merges) belong to the range of the next one it did use.
//
// Text form, for flags and messages: `<32 hex digits>:1-7,9-9` for each site, joined by `;`, both
// ends inclusive. An empty set is an empty string.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cells/row_change.h"
#include "merrow/result.h"

namespace merrow::changeset {

/// The versions `after` + 1 to `until`. Empty if after == until.
struct VersionRange {
  cells::DbVersion after = 0;
  cells::DbVersion until = 0;

  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

/// A set of versions of one site, as few ranges as possible.
///
/// Invariant: rising, not empty, and neither overlapping nor touching.
class VersionRanges {
 public:
  VersionRanges() = default;
  explicit VersionRanges(VersionRange range) { Add(range); }

  const std::vector<VersionRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  /// The largest version; 0 if empty.
  cells::DbVersion last() const { return ranges_.empty() ? 0 : ranges_.back().until; }
  /// How many versions are in it.
  int64_t count() const;
  bool Contains(cells::DbVersion version) const;
  /// True for an empty range.
  bool Includes(VersionRange range) const;
  bool Intersects(VersionRange range) const;

  void Add(VersionRange range);
  void Add(const VersionRanges& other);
  void Remove(VersionRange range);
  void Remove(const VersionRanges& other);
  VersionRanges Intersection(const VersionRanges& other) const;
  /// What of (0, last()] is missing.
  VersionRanges Gaps() const;

  friend bool operator==(const VersionRanges&, const VersionRanges&) = default;

 private:
  std::vector<VersionRange> ranges_;
};

/// Sites without versions are not in it.
using SiteVersions = std::map<cells::SiteId, VersionRanges>;

/// What `have` has and `lacking` lacks.
SiteVersions Difference(const SiteVersions& have, const SiteVersions& lacking);
/// What both have.
SiteVersions Common(const SiteVersions& a, const SiteVersions& b);

std::string ToText(const SiteVersions& versions);
/// Invalid argument names what is wrong and where. Limits: kVersionTextBytesMax.
Result<SiteVersions> ParseSiteVersions(std::string_view text);

inline constexpr size_t kVersionTextBytesMax = size_t{1} << 20;

}  // namespace merrow::changeset
