// SPDX-License-Identifier: Apache-2.0
//
// Link: everything that is known of one connection. The parts of the Replicator each keep their
// share of it. Inside of this layer only.

#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "changeset/decoder.h"
#include "changeset/encoder.h"
#include "replication/message.h"
#include "replication/replicator.h"

namespace merrow::replication {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

/// Of Handshake.
struct HandshakeState {
  uint64_t nonce = 0;
  bool state_is_sent = false;
  bool state_is_received = false;
  bool is_checked = false;  // the peer's proofs fit to what this site remembers
  std::vector<VersionProof> proofs;
  int tries = 0;
  int64_t retry_ms = kNever;
  std::function<void()> retry;
};

/// Of Spreader.
struct SpreadState {
  SiteVersions sent;         // fresh ones that the peer has not said to have yet
  SiteVersions unannounced;  // committed here, and the peer was not told
  int64_t announce_ms = kNever;
  int64_t refresh_ms = kNever;
  std::vector<SharedChangeset> fresh;  // to send when the current call is done
  std::set<cells::SiteId> pruned_here;
  std::set<cells::SiteId> pruned_there;
  std::map<cells::SiteId, int> duplicates;  // in a row
  /// What own versions were there when, rarely enough that it stays short.
  struct Sample {
    int64_t steady_ms = 0;
    cells::DbVersion version = 0;
  };
  std::deque<Sample> samples;
};

/// Of Confirmer.
struct ConfirmState {
  bool has_news = false;           // Link::has has changed since it was looked at
  std::set<cells::SiteId> unsent;  // whose statements the peer was not sent
};

/// Of Puller.
struct PullState {
  /// Announced over a pruned link: not asked for before it is due.
  struct Hold {
    int64_t due_ms = 0;
    cells::SiteId site;
    VersionRange range;
  };
  SiteVersions held;
  std::deque<Hold> holds;      // by rising due_ms
  int64_t slice_versions = 0;  // how much one request asks for
  size_t requests = 0;         // in flight
  int timeouts = 0;            // in a row
  int failures = 0;            // in a row
  int64_t ask_after_ms = 0;
};

/// Of Answerer: one request of the peer.
struct Answer {
  uint64_t request = 0;
  SiteVersions wanted;  // and not read yet
  std::vector<PartsThere> there;
  size_t budget = 0;
  bool is_reading = false;
  bool has_more = false;
  bool has_failed = false;
  int tries = 0;
  int64_t retry_ms = kNever;
  int64_t progress_ms = 0;
  std::deque<SharedChangeset> changesets;  // read and not sent yet
  std::deque<Changeset> parts;             // of the changeset before those
  uint64_t whole = 0;
};

struct Link;

/// Of Digests.
struct DigestState {
  int64_t due_ms = kNever;
  int postponed = 0;
  uint64_t round = 0;
  int64_t asked_ms = kNever;  // a Digest was sent and not answered
  Buckets differed;           // in the round before
  int repairs = 0;            // rounds of them since all were equal
  uint32_t next_bucket = 0;   // to be looked into first; those that stay different take turns
  std::deque<std::function<void(Link&)>> jobs;
  size_t repair_bytes = 0;       // in memory, of rows in jobs
  std::vector<Changeset> parts;  // of a large row of the peer, those that have come
  size_t part_bytes = 0;         // in memory
  bool is_working = false;
  int64_t working_ms = 0;
  uint64_t job = 0;                  // counts, so that a late completion is told from the current
  std::deque<SharedBytes> outgoing;  // waits for the link to drain
  DigestResult result = DigestResult::kNone;
  int64_t result_ms = 0;
  size_t differing = 0;
  uint64_t rows_repaired = 0;
  std::string error;
};

struct Link {
  Link(const Options& options, LinkId link_id, LinkSink& link_sink, bool was_dialed);

  const LinkId id;
  LinkSink& sink;
  const bool dialed;
  LinkState state = LinkState::kHello;
  bool is_closed = false;

  std::optional<cells::SiteId> peer;
  uint32_t protocol = 0;
  uint64_t schema_hash = 0;
  int64_t clock_ahead_ms = 0;
  int64_t up_ms = 0;
  int64_t heard_ms = 0;
  int64_t spoke_ms = 0;

  MessageEncoder message_encoder;
  MessageDecoder message_decoder;
  changeset::Encoder encoder;
  changeset::Decoder decoder;

  /// What the peer has committed, as far as it said.
  SiteVersions has;
  size_t has_ranges = 0;

  HandshakeState handshake;
  SpreadState spread;
  ConfirmState confirm;
  PullState pull;
  std::deque<Answer> answers;
  DigestState digest;

  uint64_t messages_in = 0;
  uint64_t messages_out = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t changesets_in = 0;
  uint64_t changesets_out = 0;
  uint64_t duplicates_in = 0;

  bool is_open() const { return !is_closed && state == LinkState::kOpen; }
  /// The peer has the same dictionary. REQUIRES: no frame was sent or received yet
  void UseDictionary(const Options& options);
  bool PeerHas(const cells::SiteId& site, VersionRange range) const;
};

/// The versions of `site`, or none.
const VersionRanges& RangesOf(const SiteVersions& versions, const cells::SiteId& site);
/// How many ranges of all sites together.
size_t CountRanges(const SiteVersions& versions);
/// Removes, and the site too if nothing is left.
void RemoveFrom(SiteVersions& versions, const cells::SiteId& site, VersionRange range);
void RemoveFrom(SiteVersions& versions, const cells::SiteId& site, const VersionRanges& ranges);

}  // namespace merrow::replication
