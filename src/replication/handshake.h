// SPDX-License-Identifier: Apache-2.0
//
// Handshake: how a link opens, and who this site is.
//
// Both sides say Hello at once, agree on a protocol version, and send State: what they have of all
// sites, and proofs (version and timestamp) of what they have of the other. A link opens when both
// States are there and the peer's proofs fit to what this site remembers of itself.
//
// If they do not fit, or the peer has later versions of this site than the site itself, then this
// database came from a backup, and others go by its name with other content: it takes a new
// identity, and every link starts anew. A copy of the file that runs elsewhere is found out the
// same way; of the two the one that has less takes the new identity.
//
// Of two links to one process one stays: if both sides dialed, the one that the smaller site
// dialed; else the newer, because the one before is most likely dead.
//
// Inside of this layer only.

#pragma once

#include "replication/core.h"

namespace merrow::replication {

class Handshake {
 public:
  explicit Handshake(Core* core) : core_(*core) {}

  void OnLinkUp(Link& link);
  void OnHello(Link& link, const HelloMessage& hello);
  void OnState(Link& link, StateMessage state);
  /// Somebody else goes by the name of this site, as `link` told.
  void OnNamesake(Link& link);
  /// Somebody seems to have versions of this site that it does not know.
  void Doubt(Link& link, std::string_view why);
  void OnTick();
  int64_t NextDue() const;

  const std::vector<IdentityChange>& changes() const { return changes_; }

 private:
  bool YieldsToOther(const Link& link, const Link& other) const;
  void ReadProofs(LinkId id);
  void CheckProofs(LinkId id);
  void OnChecked(Link& link, std::optional<cells::DbVersion> agreed);
  void TakeNewIdentity(Link& link, cells::DbVersion agreed);
  void SendState(Link& link, std::vector<VersionProof> proofs);
  void OpenIfReady(Link& link);
  void TryAgain(Link& link, std::function<void()> step, const Error& error);

  Core& core_;
  bool is_changing_ = false;
  std::vector<IdentityChange> changes_;
};

}  // namespace merrow::replication
