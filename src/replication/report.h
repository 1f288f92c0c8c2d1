// SPDX-License-Identifier: Apache-2.0
//
// Report: what replication knows about itself, for `merrow status` and the metrics.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "changeset/changeset.h"
#include "changeset/version_set.h"

namespace merrow::replication {

using LinkId = uint64_t;

enum class LinkState : uint8_t {
  kHello,  // waits for the peer's first message
  kState,  // versions and proofs are being exchanged
  kOpen,
};
std::string_view LinkStateName(LinkState state);

enum class DigestResult : uint8_t {
  kNone,       // not compared yet
  kEqual,      // all buckets were equal
  kDiffering,  // some differ; that is normal while changes are under way
  kRepairing,  // some differed twice, and their rows are being exchanged
  kFailed,     // a digest or a repair failed (LinkReport::digest_error)
};
std::string_view DigestResultName(DigestResult result);

struct LinkReport {
  LinkId id = 0;
  bool dialed = false;  // by this site
  LinkState state = LinkState::kHello;
  std::optional<cells::SiteId> peer;
  uint64_t schema_hash = 0;  // the peer's
  uint32_t protocol = 0;     // the version in use; 0 before the peer's first message
  int64_t open_ms = 0;       // how long the link has been there
  int64_t silent_ms = 0;     // since the peer's last message
  /// How far the peer's wall clock was ahead of this one's, delay included.
  int64_t clock_ahead_ms = 0;

  uint64_t messages_in = 0;
  uint64_t messages_out = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  size_t unsent_bytes = 0;
  uint64_t changesets_in = 0;  // parts count
  uint64_t changesets_out = 0;
  uint64_t duplicates_in = 0;  // fresh ones that were known

  /// Versions that the peer has and this site lacks, and the other way round, over all sites.
  int64_t lacking_here = 0;
  int64_t lacking_there = 0;
  /// For how long the peer has lacked something that this site committed; 0 if nothing.
  int64_t lag_ms = 0;
  /// The last own version up to which the peer has said to have everything on disk.
  cells::DbVersion confirmed = 0;
  size_t requests_in_flight = 0;
  size_t answers_in_flight = 0;
  size_t pruned_here = 0;   // sites whose fresh changesets this site does not want over the link
  size_t pruned_there = 0;  // ... the peer does not want

  DigestResult digest = DigestResult::kNone;
  int64_t digest_age_ms = 0;
  size_t digest_buckets_differing = 0;
  uint64_t rows_repaired = 0;  // sent and received
  std::string digest_error;
};

/// What is known of one site that publishes.
struct SiteReport {
  cells::SiteId site;
  cells::DbVersion last = 0;  // seen
  int64_t needs = 0;          // versions that some peer has and this site lacks
  /// Of the newest changeset that was applied, and how old it was then by this site's clock.
  changeset::Timestamp timestamp;
  int64_t delay_ms = 0;
};

/// A changeset that can never be applied. It is not asked for again from that peer until the
/// process starts again or the schema changes.
struct RefusedReport {
  cells::SiteId site;
  changeset::VersionRange range;
  cells::SiteId from;  // the peer that sent it
  std::string reason;
};

struct IdentityChange {
  cells::SiteId before;
  cells::SiteId after;
  cells::DbVersion agreed = 0;
  cells::SiteId peer;  // whose proofs showed it
  int64_t wall_ms = 0;
};

struct Counters {
  uint64_t published = 0;  // local commits
  uint64_t applied = 0;    // changesets of others
  uint64_t known = 0;      // handed to the store, which had them
  uint64_t buffered_parts = 0;
  uint64_t parts_skipped = 0;  // not sent, because the peer has them on disk
  uint64_t waited = 0;         // outcomes that said: wait
  uint64_t waiting_dropped = 0;
  uint64_t refused = 0;
  uint64_t duplicates = 0;     // fresh ones that were known
  uint64_t pushed = 0;         // fresh ones sent, own and relayed
  uint64_t push_skipped = 0;   // because the link was slow or the changeset large
  uint64_t fresh_dropped = 0;  // because too much waited for the store
  uint64_t requests = 0;
  uint64_t request_timeouts = 0;
  uint64_t requests_empty = 0;  // answered without what was asked for
  uint64_t reads_failed = 0;
  uint64_t applies_failed = 0;
  uint64_t applies_stalled = 0;
  uint64_t prunes = 0;  // sent
  uint64_t grafts = 0;  // sent
  uint64_t links_opened = 0;
  uint64_t links_refused = 0;  // closed by this site, for whatever reason
  uint64_t skewed = 0;         // timestamps from too far ahead
  uint64_t unsendable = 0;     // changesets that no frame can hold
  uint64_t digests_compared = 0;
  uint64_t digests_differed = 0;
  uint64_t buckets_repaired = 0;
  uint64_t repairs_dropped = 0;     // messages of rows, because too many waited for the store
  uint64_t messages_unknown = 0;    // of a later release, skipped
  uint64_t statements = 0;          // of other sites, taken
  uint64_t statements_dropped = 0;  // because there was no room
};

struct Report {
  cells::SiteId site;
  uint64_t schema_hash = 0;
  changeset::SiteVersions seen;
  /// What some peer has and this site lacks, without what was refused.
  changeset::SiteVersions needs;
  std::vector<SiteReport> sites;
  std::vector<LinkReport> links;
  std::vector<RefusedReport> refused;  // the latest
  std::vector<IdentityChange> identity_changes;
  size_t apply_queue_bytes = 0;
  size_t waiting_bytes = 0;
  /// How long the store has worked on the current batch; 0 if on none.
  int64_t applying_ms = 0;
  Counters counters;
};

}  // namespace merrow::replication
