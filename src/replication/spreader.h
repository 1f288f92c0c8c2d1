// SPDX-License-Identifier: Apache-2.0
//
// Spreader: what was committed here goes on to those that are not known to have it.
//
// Fresh changesets (own ones, and those that were pushed to this site) are pushed over the eager
// links at once; everything else is announced by Have. The links that are eager for one publishing
// site make up a tree over all sites, found as in Plumtree (Leitao, Pereira, Rodrigues 2007): who
// gets a fresh changeset that it knew says Prune, and from then on gets only Have of that site over
// that link; if something that was announced does not come, it says Graft and asks for it. A site
// never prunes the last link that is eager, so it has at least one source.
//
// Have also is the receipt: it is sent after the commit, to those who sent the changeset too.
//
// Inside of this layer only.

#pragma once

#include "replication/core.h"

namespace merrow::replication {

/// Something that was committed here.
struct Committed {
  cells::SiteId site;
  VersionRange range;
  SharedChangeset changeset;  // null: it is only announced
  bool is_fresh = false;
};

class Spreader {
 public:
  explicit Spreader(Core* core) : core_(*core) {}

  void OnCommitted(const Committed& committed);
  /// A fresh changeset that was known came over `link`.
  void OnDuplicate(Link& link, const cells::SiteId& site);
  /// One that was not.
  void OnFresh(Link& link, const cells::SiteId& site);
  /// What a pruned link announced did not come in time.
  void Graft(Link& link, const cells::SiteId& site);
  void OnPrune(Link& link, const PruneMessage& prune);
  void OnGraft(Link& link, const GraftMessage& graft);
  /// `ranges` are new in link.has.
  void OnPeerHas(Link& link, const cells::SiteId& site, const VersionRanges& ranges);
  void OnOpen(Link& link);
  void OnLinkGone(Link& link);
  /// Sends the fresh changesets of this event.
  void Flush();
  void OnTick();
  int64_t NextDue() const;

  int64_t LagOf(const Link& link) const;

 private:
  void Announce(Link& link, const Committed& committed);
  void SendHave(Link& link);
  void FlushLink(Link& link);
  bool SendFresh(Link& link, std::span<const SharedChangeset> changesets);
  bool IsLastEager(const Link& link, const cells::SiteId& site) const;
  void Sample(Link& link);

  Core& core_;
};

}  // namespace merrow::replication
