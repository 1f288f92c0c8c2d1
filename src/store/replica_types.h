// SPDX-License-Identifier: Apache-2.0
//
// What a database hands to replication and takes from it. The words are those of
// src/replication/replica.h, which this layer does not know; src/server turns one into the other.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "changeset/changeset.h"
#include "changeset/version_set.h"
#include "merrow/result.h"

namespace merrow::store {

using SharedChangeset = std::shared_ptr<const changeset::Changeset>;

/// A changeset as it arrived. Parts are of one whole if site, versions, `parts` and `whole` agree.
struct IncomingChangeset {
  SharedChangeset changeset;
  /// Of a part: names the exact split that it is of; 0 if parts == 1.
  uint64_t whole = 0;
};

enum class ReplicaFate : uint8_t {
  kApplied,   // in this transaction; `range` is seen once that is committed
  kKnown,     // all of it was seen before; nothing was stored
  kBuffered,  // a part: kept until the others are there
  kWaiting,   // not used: what follows document ops that are not here is kept and counts as applied
  kRefused,   // nothing was stored; `error` says why. Conflict: it claims to be of this site, but
              // of a version that this site does not remember (restored from a backup?)
};

struct ReplicaOutcome {
  ReplicaFate fate = ReplicaFate::kApplied;
  cells::SiteId site;
  changeset::VersionRange range;  // kApplied: what counts as seen because of it
  /// kApplied by the last part of several: the whole. Else null: what was handed in.
  SharedChangeset whole;
  std::optional<Error> error;
};

/// Who catches up wants the newest first; who merges into nothing, what others depend on.
enum class ReadOrder : uint8_t { kNewestFirst, kOldestFirst };

/// A transaction that is seen and served, but not applied here, because a constraint of a table or
/// a limit refuses it.
struct RefusedTransaction {
  cells::SiteId site;
  changeset::VersionRange range;
  std::string reason;  // names the table
};

/// What is there of the versions of a site that somebody asked for.
struct ReplicaPage {
  /// In the order that was asked for.
  std::vector<SharedChangeset> changesets;
  /// What of the wanted versions these settle. The rest is on later pages, or not here.
  changeset::VersionRanges settled;
  /// There is more of the wanted versions here: ask again without what is settled.
  bool more = false;
};

/// What a site has of one version of another: shows that one whether it was restored from a backup.
struct VersionProof {
  cells::DbVersion version = 0;
  changeset::Timestamp timestamp;

  friend bool operator==(const VersionProof&, const VersionProof&) = default;
};
inline constexpr size_t kVersionProofsMax = 64;

/// Hashes of rows go into buckets by key.
inline constexpr size_t kDigestBuckets = 256;
struct RowDigest {
  uint64_t key = 0;  // hash of table and key
  uint64_t row = 0;  // hash of causal length, clocks, authors and values; or of the document's ops

  friend bool operator==(const RowDigest&, const RowDigest&) = default;
};

/// A site that keeps tombstones from being dropped.
struct TombstoneHolder {
  cells::SiteId site;
  int64_t tombstones = 0;
  /// The latest of them came with this version, which the site has not said to have.
  cells::SiteId publisher;
  cells::DbVersion version = 0;
  cells::DbVersion local = 0;  // what that is here
};
struct TombstoneReport {
  int64_t collected = 0;
  int64_t left = 0;
  int64_t young = 0;  // of these: every site has them, but ReplicaLimits::tombstone_keep_ms
  int64_t young_until_ms = INT64_MAX;  // when the first of the young may go, since the Unix epoch
  std::map<cells::SiteId, TombstoneHolder> holders;
};

/// So many digits of a site's id are asked for at least, where somebody names it.
inline constexpr size_t kSiteDigitsMin = 6;

/// A site that was ever heard of, but for this one.
struct KnownSite {
  cells::SiteId site;
  /// It holds no tombstones back: it was forgotten.
  bool is_gone = false;
  int64_t forgotten_ms = 0;  // when somebody forgot it, since the Unix epoch; 0: nobody did
};

struct ReplicaLimits {
  /// Parts of changesets that are not complete yet; the oldest go first, and are pulled again. A
  /// single changeset whose parts are larger is refused.
  size_t part_bytes_max = size_t{1} << 30;
  /// The last so many local versions are kept apart from each other, so that a peer who lacks one
  /// gets one. Older ones are combined.
  size_t entries_kept = 1024;
  /// A tombstone stays for so long after the last site got it, so that a backup which is not older,
  /// when it is restored, hears of the delete rather than brings the row back.
  int64_t tombstone_keep_ms = int64_t{7} * 24 * 3600 * 1000;
  /// Between looks for tombstones that may go, at least.
  int64_t tombstone_pause_ms = 5'000;
  /// Clocks that one step of looking for tombstones reads: some milliseconds.
  size_t tombstone_step = 20'000;
};

}  // namespace merrow::store
