// SPDX-License-Identifier: Apache-2.0
#include "replication/handshake.h"

#include <algorithm>

#include "replication/answerer.h"
#include "replication/confirmer.h"
#include "replication/digests.h"
#include "replication/puller.h"
#include "replication/spreader.h"

namespace merrow::replication {
namespace {

// Of one State message; more versions go into further ones.
constexpr size_t kStateSitesMax = 4096;
constexpr size_t kStateRangesMax = 65'536;

}  // namespace

void Handshake::OnLinkUp(Link& link) {
  HelloMessage hello;
  hello.site = core_.site;
  hello.nonce = core_.nonce;
  hello.schema_hash = core_.options.schema_hash;
  hello.wall_ms = core_.now.wall_ms;
  if (core_.options.dictionary != nullptr) hello.dictionary = core_.options.dictionary->id();
  core_.Send(link, hello);
}

void Handshake::OnHello(Link& link, const HelloMessage& hello) {
  if (link.state != LinkState::kHello) {
    core_.Close(link, CloseReason::kProtocol, "a second Hello");
    return;
  }
  const uint32_t version = std::min(hello.version_max, kProtocolVersion);
  if (version < std::max(hello.version_min, kProtocolVersionMin)) {
    core_.Close(link, CloseReason::kVersion,
                "the peer speaks versions " + std::to_string(hello.version_min) + " to " +
                    std::to_string(hello.version_max) + ", this site " +
                    std::to_string(kProtocolVersionMin) + " to " +
                    std::to_string(kProtocolVersion));
    return;
  }
  if (hello.nonce == core_.nonce) {
    core_.Close(link, CloseReason::kSelf, "this site dialed itself");
    return;
  }
  link.peer = hello.site;
  link.protocol = version;
  link.schema_hash = hello.schema_hash;
  link.handshake.nonce = hello.nonce;
  if (core_.options.dictionary != nullptr && hello.dictionary == core_.options.dictionary->id()) {
    link.UseDictionary(core_.options);
  }
  // Unsigned, because the peer may have said anything.
  link.clock_ahead_ms = static_cast<int64_t>(static_cast<uint64_t>(hello.wall_ms) -
                                             static_cast<uint64_t>(core_.now.wall_ms));
  for (const auto& [id, other] : core_.links) {
    // Another nonce is another process: either the one before, whose link goes down by itself, or
    // a copy of the database, which is found out when it writes.
    const bool is_same = other->peer == link.peer && other->handshake.nonce == hello.nonce;
    if (id == link.id || other->is_closed || !is_same) continue;
    // Which of two is the newer depends on the end: if both ends chose, none might be left. The end
    // that accepted both chooses, because the older may be one that the peer has lost already.
    if (link.dialed && other->dialed) continue;
    Link& loser = YieldsToOther(link, *other) ? link : *other;
    core_.Close(loser, CloseReason::kDuplicate, "another link to the same site stays");
    if (link.is_closed) return;
  }
  link.state = LinkState::kState;
  ReadProofs(link.id);
}

bool Handshake::YieldsToOther(const Link& link, const Link& other) const {
  if (link.dialed == other.dialed) return false;
  const bool own_dial_stays = core_.site < *link.peer;
  return link.dialed != own_dial_stays;
}

void Handshake::TryAgain(Link& link, std::function<void()> step, const Error& error) {
  core_.Log(LogLevel::kWarning, link, "proofs: " + error.ToString());
  link.handshake.retry_ms = core_.now.steady_ms + core_.RetryDelay(link.handshake.tries++);
  link.handshake.retry = std::move(step);
}

void Handshake::ReadProofs(LinkId id) {
  Link* const asking = core_.Find(id);
  if (asking == nullptr) return;
  core_.replica.ReadProofs(*asking->peer,
                           core_.Later([this, id](const Result<std::vector<VersionProof>>& proofs) {
                             Link* const link = core_.Find(id);
                             if (link == nullptr) return;
                             if (!proofs.ok() && proofs.error().code() == ErrorCode::kConflict) {
                               // It is not wanted here; why, its own operator should read too.
                               core_.Close(*link, CloseReason::kLimit, proofs.error().message());
                               return;
                             }
                             if (!proofs.ok()) {
                               TryAgain(
                                   *link, [this, id] { ReadProofs(id); }, proofs.error());
                               return;
                             }
                             SendState(*link, *proofs);
                             OpenIfReady(*link);
                           }));
}

void Handshake::SendState(Link& link, std::vector<VersionProof> proofs) {
  if (proofs.size() > kProofsMax) proofs.resize(kProofsMax);
  StateMessage state;
  state.proofs = std::move(proofs);
  size_t ranges = 0;
  for (const auto& [site, versions] : core_.seen) {
    const size_t more = versions.ranges().size();
    if (state.versions.size() == kStateSitesMax ||
        (ranges > 0 && ranges + more > kStateRangesMax)) {
      state.is_last = false;
      core_.Send(link, state);
      state = {};
      ranges = 0;
    }
    state.versions.emplace(site, versions);
    ranges += more;
  }
  core_.Send(link, state);
  link.handshake.state_is_sent = true;
}

void Handshake::OnState(Link& link, StateMessage state) {
  if (link.state != LinkState::kState || link.handshake.state_is_received) {
    core_.Close(link, CloseReason::kProtocol, "a State that is not expected");
    return;
  }
  auto& proofs = link.handshake.proofs;
  if (proofs.size() + state.proofs.size() > kProofsMax) {
    core_.Close(link, CloseReason::kLimit, "too many proofs");
    return;
  }
  proofs.insert(proofs.end(), state.proofs.begin(), state.proofs.end());
  for (const auto& [site, ranges] : state.versions) {
    core_.puller->OnPeerHas(link, site, ranges, /*by_push=*/false);
    if (link.is_closed) return;
  }
  if (!state.is_last) return;
  link.handshake.state_is_received = true;
  CheckProofs(link.id);
}

void Handshake::CheckProofs(LinkId id) {
  Link* const asking = core_.Find(id);
  if (asking == nullptr) return;
  core_.replica.CheckProofs(
      asking->handshake.proofs,
      core_.Later([this, id](const Result<std::optional<cells::DbVersion>>& agreed) {
        Link* const link = core_.Find(id);
        if (link == nullptr) return;
        if (!agreed.ok()) {
          TryAgain(
              *link, [this, id] { CheckProofs(id); }, agreed.error());
          return;
        }
        OnChecked(*link, *agreed);
      }));
}

void Handshake::OnChecked(Link& link, std::optional<cells::DbVersion> agreed) {
  const cells::DbVersion own_last = RangesOf(core_.seen, core_.site).last();
  const cells::DbVersion peers_last = RangesOf(link.has, core_.site).last();
  if (link.peer == core_.site) {
    // A copy of this file that runs elsewhere: the one that has less has less to rename.
    const auto own = std::pair(own_last, core_.nonce);
    const auto other = std::pair(peers_last, link.handshake.nonce);
    if (own < other) {
      TakeNewIdentity(link, agreed.value_or(own_last));
    } else {
      core_.Log(LogLevel::kWarning, link, "the peer has the same site id; it takes a new one");
    }
    return;
  }
  if (!agreed.has_value() && peers_last > own_last) agreed = own_last;
  if (agreed.has_value()) {
    TakeNewIdentity(link, *agreed);
    return;
  }
  link.handshake.is_checked = true;
  OpenIfReady(link);
}

void Handshake::TakeNewIdentity(Link& link, cells::DbVersion agreed) {
  if (is_changing_) return;
  if (changes_.size() >= static_cast<size_t>(core_.options.identity_changes_max)) {
    core_.Log(LogLevel::kWarning, link, "asks for too many new identities: it is not believed");
    core_.Close(link, CloseReason::kLimit, "too many new identities");
    return;
  }
  is_changing_ = true;
  IdentityChange change;
  change.before = core_.site;
  change.agreed = agreed;
  change.peer = *link.peer;
  change.wall_ms = core_.now.wall_ms;
  const LinkId id = link.id;
  core_.replica.TakeNewIdentity(
      agreed, core_.Later([this, id, change](const Result<Replica::NewIdentity>& identity) {
        is_changing_ = false;
        if (!identity.ok()) {
          core_.Log(LogLevel::kWarning, "new identity: " + identity.error().ToString());
          Link* const doubted = core_.Find(id);
          // On an open link the next statement is a reason to try again.
          if (doubted == nullptr || doubted->is_open()) return;
          TryAgain(
              *doubted, [this, id] { CheckProofs(id); }, identity.error());
          return;
        }
        core_.site = identity->site;
        core_.seen = identity->seen;
        core_.confirmer->OnNewIdentity();
        changes_.push_back(change);
        changes_.back().after = identity->site;
        core_.Log(LogLevel::kWarning, "this database was restored from a backup, or copied: site " +
                                          ShortName(change.before) + " is now " +
                                          ShortName(identity->site));
        for (const auto& [other, each] : core_.links) {
          core_.Close(*each, CloseReason::kNewIdentity, "a new identity");
        }
      }));
}

void Handshake::OnNamesake(Link& link) {
  TakeNewIdentity(link, RangesOf(core_.seen, core_.site).last());
}

void Handshake::Doubt(Link& link, std::string_view why) {
  core_.Close(link, CloseReason::kRecheck, why);
}

void Handshake::OpenIfReady(Link& link) {
  const HandshakeState& handshake = link.handshake;
  if (link.is_closed || !handshake.state_is_sent || !handshake.is_checked) return;
  link.state = LinkState::kOpen;
  link.handshake.proofs.clear();
  core_.Log(LogLevel::kInfo, link, "open");
  core_.spreader->OnOpen(link);
  core_.confirmer->OnOpen(link);
  core_.digests->OnOpen(link);
  // The peer may have opened before and asked already.
  core_.answerer->Pump(link);
}

void Handshake::OnTick() {
  for (const auto& [id, link] : core_.links) {
    if (link->is_closed) continue;
    if (link->state != LinkState::kOpen &&
        core_.now.steady_ms - link->up_ms >= core_.options.handshake_timeout_ms) {
      core_.Close(*link, CloseReason::kTimeout, "the handshake takes too long");
      continue;
    }
    if (link->handshake.retry_ms > core_.now.steady_ms) continue;
    link->handshake.retry_ms = kNever;
    const std::function<void()> step = std::exchange(link->handshake.retry, nullptr);
    step();
  }
}

int64_t Handshake::NextDue() const {
  int64_t due = kNever;
  for (const auto& [id, link] : core_.links) {
    if (link->state == LinkState::kOpen) continue;
    due =
        std::min({due, link->handshake.retry_ms, link->up_ms + core_.options.handshake_timeout_ms});
  }
  return due;
}

}  // namespace merrow::replication
