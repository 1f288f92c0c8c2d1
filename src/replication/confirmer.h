// SPDX-License-Identifier: Apache-2.0
//
// Confirmer: which site has what on disk, as each site itself said it, all over the network. A
// tombstone may go only when every site has it, and most sites have no link to each other.
//
// Each site states now and then what it has. A statement is passed on as it is, over every link but
// the one it came by, at most once per interval and only when it is new; so each site knows the
// last statement of each other. What a relay believes of a site is never passed on.
//
// Order: statements of a site carry a stamp that rises. It begins at the wall clock; a site that
// hears a statement of its own with a larger one, made before it was started again, goes on above
// that. A later statement may say less: the site was restored from a backup. So the later one
// replaces the earlier one, and the two are never joined. Two databases of one name would go on
// above each other for ever; so one of them takes a new one.
//
// The database is told of a statement when this site has seen all that it names (Replica::Confirm):
// what the site wrote before it knew of a tombstone is then here already. If a later statement says
// less, the database is told at once. Of a peer with an open link, what it says on the link counts
// instead; that is newer, and peers of the first release make no statements.
//
// Inside of this layer only.

#pragma once

#include <map>
#include <set>

#include "replication/core.h"

namespace merrow::replication {

class Confirmer {
 public:
  explicit Confirmer(Core* core);

  void OnOpen(Link& link);
  void OnStatements(Link& link, const StatementsMessage& message);
  void OnNewIdentity();
  /// Of a forgotten site nothing is heard and nothing passed on: who never knew of it need not
  /// learn of it now, and wait for it.
  void OnForgotten(const cells::SiteId& site, bool is_forgotten);
  void OnLinkGone(const Link& link);
  void OnTick();
  int64_t NextDue() const;

  void CheckInvariants() const;

 private:
  using SharedVersions = std::shared_ptr<const SiteVersions>;
  struct Known {
    Statement statement;       // the last; null versions: it made none
    uint64_t old_stamp = 0;    // up to it the database was told, or of what the site said directly
    SharedVersions confirmed;  // what the database was told; null: it was not
    SharedVersions pending;    // what it is to be told when all of it is seen here; null: nothing
  };

  /// What is known of the site; null if there is no room.
  Known* Meet(const cells::SiteId& site);
  void StateOwn();
  void Spread(const cells::SiteId& site, const Link* except);
  void Send(Link& link);
  void ConfirmAll();
  /// The site says now that it has these. True if the database knows.
  bool Offer(const cells::SiteId& site, Known& known, const SharedVersions& has);
  void TryPending(const cells::SiteId& site, Known& known);
  const Statement* Find(const cells::SiteId& site) const;
  size_t RoomFor(const Known& known) const;

  Core& core_;
  Statement own_;
  bool restates_ = true;  // although nothing is new
  /// How many of this site's statements were followed by a later one of its name that it did not
  /// make; beyond the maximum it takes another.
  uint64_t overtaken_ = 0;
  const uint64_t overtaken_max_;
  std::map<cells::SiteId, Known> known_;
  std::set<cells::SiteId> met_;  // the database knows that they exist
  std::set<cells::SiteId> forgotten_;
  size_t ranges_ = 0;    // of all statements in known_, and 1 for each
  int64_t tell_ms_ = 0;  // when the database may be told again
  int64_t send_ms_ = 0;  // when peers may
};

}  // namespace merrow::replication
