// SPDX-License-Identifier: Apache-2.0
//
// Puller: knows what this site lacks, and asks for it: newest first, over all links that have it,
// no version on two links at once.
//
// Invariants:
//   (1) needs_ is what some open or opening link has and this site has not seen, without what was
//       refused from that peer. Own versions are never in it.
//   (2) requested_ is the sum of what the requests in flight still wait for; their shares do not
//       overlap.
//   (3) A version in needs_ that is not requested, not queued and not waiting is asked for by the
//       next Schedule, or is on hold or cooling until a time that is known.
//
// A version that was asked for without success cools before it is asked for again, longer each time
// in a row. A changeset that was refused and may be a combination of several transactions becomes a
// suspect: its range is asked for again one transaction at a time, so that only the bad one is
// kept out.
//
// Inside of this layer only.

#pragma once

#include "replication/core.h"

namespace merrow::replication {

class Puller {
 public:
  explicit Puller(Core* core) : core_(*core) {}

  /// The peer has these: it said so, or `by_push` it just sent them.
  void OnPeerHas(Link& link, const cells::SiteId& site, const VersionRanges& ranges, bool by_push);
  void OnSeen(const cells::SiteId& site, VersionRange range);

  struct Arrival {
    bool is_expected = false;  // of a request in flight
    bool is_narrow = false;    // of one that asked for single transactions
  };
  /// A changeset or part of an answer has come.
  Arrival OnArrival(Link& link, uint64_t request, const Changeset& changeset, size_t bytes);
  /// A message of changes was read to its end.
  void OnAnswered(Link& link, const ChangesMessage& message);

  /// It came and could not be applied now: ask again after a while.
  void Cool(const cells::SiteId& site, VersionRange range);
  void Refuse(const cells::SiteId& peer, const cells::SiteId& site, VersionRange range);
  void Suspect(const cells::SiteId& site, VersionRange range);
  /// Progress with what comes from this site.
  void OnProgress(const cells::SiteId& site) { attempts_.erase(site); }

  void OnLinkGone(Link& link);
  void OnSchemaChanged();
  void Schedule();
  void OnTick();
  int64_t NextDue() const;

  const SiteVersions& needs() const { return needs_; }
  size_t RequestsOf(const Link& link) const { return link.pull.requests; }
  void CheckInvariants() const;

 private:
  struct Request {
    LinkId link = 0;
    SiteVersions open;  // asked for and not come yet
    bool is_narrow = false;
    bool has_come = false;  // anything
    size_t bytes = 0;
    int64_t progress_ms = 0;
    /// Of the changeset that comes in parts: the end of its range, and the last part that came.
    std::optional<std::pair<cells::DbVersion, uint32_t>> part;
  };
  struct Cooling {
    cells::SiteId site;
    VersionRange range;
  };

  VersionRanges AskableOf(const Link& link, const cells::SiteId& site) const;
  bool Ask(Link& link);
  bool AskNarrow(Link& link);
  bool MayAsk(const Link& link) const;
  void Send(Link& link, SiteVersions wanted, bool is_narrow);
  void Finish(std::map<uint64_t, Request>::iterator at, uint8_t flags);
  void Release(const Request& request);
  /// Something that was asked for, and was not there before.
  static bool IsProgress(Request& request, const Changeset& changeset, bool is_expected);
  void BoundRefused(const cells::SiteId& peer);
  void RecomputeNeeds(const cells::SiteId& site);
  const SiteVersions& RefusedOf(const cells::SiteId& peer) const;

  Core& core_;
  SiteVersions needs_;
  SiteVersions requested_;
  SiteVersions cooling_;
  std::multimap<int64_t, Cooling> coolings_;  // by when they end
  SiteVersions suspects_;
  std::map<cells::SiteId, SiteVersions> refused_;  // by the peer that sent it
  std::map<cells::SiteId, int> attempts_;          // in a row, by publishing site
  std::map<uint64_t, Request> requests_;
  uint64_t next_request_ = 1;
  cells::SiteId last_site_;  // whose turn it was
  LinkId next_link_ = 0;
};

}  // namespace merrow::replication
