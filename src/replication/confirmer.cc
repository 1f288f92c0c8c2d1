// SPDX-License-Identifier: Apache-2.0
#include "replication/confirmer.h"

#include <algorithm>

#include "merrow/check.h"
#include "replication/handshake.h"

namespace merrow::replication {
namespace {

// A statement of this site's name that it did not make, so often, shows that somebody else does.
// Not always as often, because both hear of each other, and one of them may keep the name.
constexpr uint64_t kOvertakenMin = 8;
// How often the database is told what is new, at most.
constexpr int64_t kTellMs = 5'000;
// Of one message, unless a single statement has more.
constexpr size_t kMessageRangesMax = 8192;

// One is for the statement itself.
size_t RangesIn(const SiteVersions& versions) { return 1 + CountRanges(versions); }

bool Covers(const SiteVersions& all, const SiteVersions& some) {
  return changeset::Difference(some, all).empty();
}

std::shared_ptr<const SiteVersions> SharedCommon(const SiteVersions& a, const SiteVersions& b) {
  return std::make_shared<const SiteVersions>(changeset::Common(a, b));
}

}  // namespace

Confirmer::Confirmer(Core* core)
    : core_(*core), overtaken_max_(kOvertakenMin + core->random.Next() % kOvertakenMin) {}

// --- Stating and passing on.

void Confirmer::StateOwn() {
  if (!restates_ && own_.has != nullptr && *own_.has == core_.seen) return;
  restates_ = false;
  own_.site = core_.site;
  own_.has = std::make_shared<const SiteVersions>(core_.seen);
  const auto wall = static_cast<uint64_t>(std::max<int64_t>(core_.now.wall_ms, 1));
  own_.stamp = std::min(std::max(own_.stamp + 1, wall), kStampMax);
  Spread(core_.site, nullptr);
}

void Confirmer::Spread(const cells::SiteId& site, const Link* except) {
  core_.ForEachOpen([&](Link& link) {
    if (&link != except) link.confirm.unsent.insert(site);
  });
}

const Statement* Confirmer::Find(const cells::SiteId& site) const {
  if (site == core_.site) return own_.has == nullptr ? nullptr : &own_;
  const auto at = known_.find(site);
  return at == known_.end() || at->second.statement.has == nullptr ? nullptr
                                                                   : &at->second.statement;
}

void Confirmer::Send(Link& link) {
  // If the link takes no more, the others go with the next interval.
  while (!link.confirm.unsent.empty() && core_.CanSend(link)) {
    StatementsMessage message;
    size_t ranges = 0;
    auto& unsent = link.confirm.unsent;
    while (!unsent.empty()) {
      const Statement* const statement = Find(*unsent.begin());
      if (statement != nullptr) {
        const size_t more = RangesIn(*statement->has);
        if (!message.statements.empty() && ranges + more > kMessageRangesMax) break;
        ranges += more;
        if (more <= core_.options.statement_ranges_max) message.statements.push_back(*statement);
      }
      unsent.erase(unsent.begin());
    }
    if (!message.statements.empty()) core_.Send(link, message);
  }
}

Confirmer::Known* Confirmer::Meet(const cells::SiteId& site) {
  const auto at = known_.find(site);
  if (at != known_.end()) return &at->second;
  if (forgotten_.contains(site)) return nullptr;
  if (known_.size() >= core_.options.statement_sites_max) return nullptr;
  // From now on nothing goes that it has not confirmed. Said once: after that it means that the
  // site has lost all it had. (Room for others than known_ has, because links come and go.)
  if (met_.size() >= core_.options.statement_sites_max) met_.clear();
  if (met_.insert(site).second) core_.replica.Confirm(site, {});
  return &known_[site];
}

void Confirmer::OnOpen(Link& link) {
  link.confirm.has_news = true;
  Meet(*link.peer);
  StateOwn();
  link.confirm.unsent.insert(core_.site);
  for (const auto& [site, known] : known_) link.confirm.unsent.insert(site);
  Send(link);
}

size_t Confirmer::RoomFor(const Known& known) const {
  const size_t own_share = known.statement.has == nullptr ? 0 : RangesIn(*known.statement.has);
  const size_t others = ranges_ - own_share;
  return core_.options.statement_ranges_max - std::min(others, core_.options.statement_ranges_max);
}

void Confirmer::OnStatements(Link& link, const StatementsMessage& message) {
  for (const Statement& statement : message.statements) {
    if (statement.site == core_.site) {
      // Of an earlier life of this site, or of a copy of its database.
      const bool is_own =
          own_.has != nullptr && statement.stamp == own_.stamp && *statement.has == *own_.has;
      if (is_own || statement.stamp < own_.stamp) continue;
      // At most once for each that this site made: of an earlier life many may come together.
      if (own_.has != nullptr && statement.stamp > own_.stamp && !restates_) ++overtaken_;
      own_.stamp = statement.stamp;
      restates_ = true;
      if (overtaken_ <= overtaken_max_) continue;
      // An earlier life does not go on stating: it is a copy, behind somebody else.
      core_.handshake->OnNamesake(link);
      if (link.is_closed) return;
      continue;
    }
    if (forgotten_.contains(statement.site)) continue;
    Known* const met = Meet(statement.site);
    if (met == nullptr) {
      ++core_.counters.statements_dropped;
      continue;
    }
    Known& known = *met;
    const bool has_one = known.statement.has != nullptr;
    if (has_one && statement.stamp <= known.statement.stamp) {
      if (statement.stamp == known.statement.stamp) {
        link.confirm.unsent.erase(statement.site);
      } else {
        // If the site itself does not know of the later one, it has to hear of it.
        link.confirm.unsent.insert(statement.site);
      }
      continue;
    }
    const size_t more = RangesIn(*statement.has);
    if (more > RoomFor(known)) {
      ++core_.counters.statements_dropped;
      continue;
    }
    ++core_.counters.statements;
    ranges_ += more - (has_one ? RangesIn(*known.statement.has) : 0);
    known.statement = statement;
    link.confirm.unsent.erase(statement.site);
    Spread(statement.site, &link);
  }
}

void Confirmer::OnNewIdentity() {
  // What was stated under the old name, others may still say of it. It means nothing for the new.
  own_ = {};
  restates_ = true;
  overtaken_ = 0;
}

void Confirmer::OnForgotten(const cells::SiteId& site, bool is_forgotten) {
  met_.erase(site);
  if (!is_forgotten) {
    forgotten_.erase(site);
    return;
  }
  forgotten_.insert(site);
  for (const auto& [id, link] : core_.links) {
    // It came while it was being forgotten.
    if (link->peer == site) core_.Close(*link, CloseReason::kLimit, "was forgotten here");
  }
  const auto at = known_.find(site);
  if (at == known_.end()) return;
  if (at->second.statement.has != nullptr) ranges_ -= RangesIn(*at->second.statement.has);
  known_.erase(at);
}

void Confirmer::OnLinkGone(const Link& link) {
  if (!link.peer.has_value()) return;
  const auto at = known_.find(*link.peer);
  if (at == known_.end()) return;
  // It may be large, and a statement will come if the peer makes any.
  at->second.pending = nullptr;
  if (at->second.statement.has == nullptr && at->second.confirmed == nullptr) known_.erase(at);
}

// --- Telling the database.

bool Confirmer::Offer(const cells::SiteId& site, Known& known, const SharedVersions& has) {
  if (known.confirmed != nullptr && !Covers(*has, *known.confirmed)) {
    core_.Log(LogLevel::kInfo, "site " + ShortName(site) + " has less than it said before");
    known.confirmed = SharedCommon(*known.confirmed, *has);
    core_.replica.Confirm(site, *known.confirmed);
  }
  // What is waited for stays the same, or a site that always writes would never be confirmed.
  known.pending = known.pending == nullptr ? has : SharedCommon(*known.pending, *has);
  TryPending(site, known);
  if (known.pending == nullptr && *known.confirmed != *has) {
    known.pending = has;
    TryPending(site, known);
  }
  return known.pending == nullptr;
}

void Confirmer::TryPending(const cells::SiteId& site, Known& known) {
  if (!Covers(core_.seen, *known.pending)) return;
  const bool is_new = known.confirmed == nullptr || *known.confirmed != *known.pending;
  known.confirmed = std::exchange(known.pending, nullptr);
  if (is_new) core_.replica.Confirm(site, *known.confirmed);
}

void Confirmer::ConfirmAll() {
  std::map<cells::SiteId, Link*> direct;
  core_.ForEachOpen([&](Link& link) { direct.emplace(*link.peer, &link); });
  for (const auto& [site, link] : direct) {
    Known* const known = Meet(site);
    if (known == nullptr) continue;
    known->old_stamp = known->statement.stamp;
    if (!link->confirm.has_news) continue;
    link->confirm.has_news = !Offer(site, *known, std::make_shared<const SiteVersions>(link->has));
  }
  for (auto& [site, known] : known_) {
    if (direct.contains(site) || known.statement.stamp <= known.old_stamp) continue;
    if (Offer(site, known, known.statement.has)) known.old_stamp = known.statement.stamp;
  }
}

void Confirmer::OnTick() {
  const int64_t now_ms = core_.now.steady_ms;
  if (now_ms >= tell_ms_) {
    tell_ms_ = now_ms + std::min(kTellMs, core_.options.confirm_interval_ms);
    ConfirmAll();
  }
  if (now_ms < send_ms_) return;
  send_ms_ = now_ms + core_.options.confirm_interval_ms;
  bool has_link = false;
  core_.ForEachOpen([&](Link&) { has_link = true; });
  if (!has_link) return;
  StateOwn();
  core_.ForEachOpen([this](Link& link) { Send(link); });
}

int64_t Confirmer::NextDue() const { return std::min(tell_ms_, send_ms_); }

void Confirmer::CheckInvariants() const {
  size_t ranges = 0;
  for (const auto& [site, known] : known_) {
    if (known.statement.has != nullptr) ranges += RangesIn(*known.statement.has);
    MERROW_CHECK(site != core_.site || known.statement.has == nullptr);
    MERROW_CHECK(!forgotten_.contains(site));
  }
  MERROW_CHECK(ranges == ranges_);
  MERROW_CHECK(known_.size() <= core_.options.statement_sites_max);
}

}  // namespace merrow::replication
