// SPDX-License-Identifier: Apache-2.0
//
// What a SimWorld checks (sim_world.h).
#include <algorithm>

#include "base/bytes.h"
#include "merrow/check.h"
#include "testing/sim_world_site.h"

namespace merrow::testing {
namespace {

using replication::Report;

// Per site of the longest chain there are a few intervals and delays; a store looks for tombstones
// once a minute, and clocks that jumped may keep it from it for longer.
constexpr int64_t kCollectLimitMs = 900'000;
constexpr int64_t kCollectStepMsMax = 64'000;
// A quiet hour costs as much as all the rest.
constexpr uint64_t kQuietOneOf = 32;
constexpr int64_t kQuietMs = 3'600'000;
constexpr int64_t kQuietBeginMs = 60'000;
constexpr int64_t kQuietTickMs = 2'000;
constexpr int kChangesForTrees = 10;
constexpr int kChanges = 20;
constexpr int64_t kChangePauseMs = 2'000;
// Of a row, with everything else that goes over the links meanwhile.
constexpr uint64_t kCopyBytesMax = 3000;

}  // namespace

std::optional<std::string> SimWorld::CheckGoodOnesArrive() {
  if (!faults_.poison || !sites_[0]->database->KeepsTransactionsApart()) return std::nullopt;
  const int64_t start_ms = loop_.now_ms();
  std::optional<std::string> lost;
  do {
    if (loop_.now_ms() - start_ms > kHealLimitMs) return "while others are refused: " + *lost;
    loop_.RunUntil(loop_.now_ms() + kHealStepMs);
    lost = CheckLost(/*with_poison=*/false);
  } while (lost.has_value());
  return std::nullopt;
}

std::optional<std::string> SimWorld::CheckSeen() {
  for (const auto& site : sites_) {
    if (!site->is_up() || site->replicator->site() != site->database->site()) continue;
    const SiteVersions too_much =
        changeset::Difference(site->replicator->seen(), site->database->seen());
    if (!too_much.empty()) {
      return "site " + std::to_string(site->index) +
             " counts as seen what is not committed: " + changeset::ToText(too_much);
    }
    if (std::string broken = site->database->Broken(); !broken.empty()) {
      return "site " + std::to_string(site->index) + ": " + broken;
    }
    site->replicator->CheckInvariants();
  }
  return std::nullopt;
}

std::optional<std::string> SimWorld::WhyNotEqual() {
  const SiteVersions& first = sites_[0]->replicator->seen();
  for (const auto& site : sites_) {
    const std::string name = "site " + std::to_string(site->index);
    if (site->replicator->seen() != first) {
      return name + " has seen other versions: " + changeset::ToText(site->replicator->seen()) +
             " instead of " + changeset::ToText(first);
    }
    const Report report = site->replicator->report();
    if (!report.needs.empty()) return name + " needs " + changeset::ToText(report.needs);
    if (report.apply_queue_bytes + report.waiting_bytes > 0) return name + " is still applying";
    size_t open = 0;
    for (const auto& link : report.links) {
      if (link.state == replication::LinkState::kOpen) ++open;
      if (link.lacking_there > 0) return name + ": a peer was not told of everything";
    }
    if (open == 0) return name + " has no open link";
  }
  const std::string dump = sites_[0]->database->Dump();
  const auto digest = sites_[0]->database->ReadDigest();
  MERROW_CHECK(digest.ok());
  for (const auto& site : sites_) {
    const std::string name = "site " + std::to_string(site->index);
    if (site->database->Dump() != dump) {
      return name + " has other data:\n" + site->database->Dump() + "instead of\n" + dump;
    }
    const auto other = site->database->ReadDigest();
    MERROW_CHECK(other.ok());
    if (*other != *digest) {
      return name + " has another digest:\n" + site->database->DumpClocks() + "instead of\n" +
             sites_[0]->database->DumpClocks();
    }
    if (site->replicator->seen() != site->database->seen()) {
      return name + ": its database says that it has seen " +
             changeset::ToText(site->database->seen()) + " instead of " +
             changeset::ToText(site->replicator->seen());
    }
  }
  return std::nullopt;
}

std::optional<std::string> SimWorld::CheckLost(bool with_poison) {
  for (const Acknowledged& commit : acknowledged_) {
    if (commit.is_poison && !with_poison) continue;
    for (const auto& site : sites_) {
      if (Has(*site->database, commit)) continue;
      return "site " + std::to_string(site->index) + " lacks " + commit.marker + " " +
             std::to_string(commit.id) + ", written by " + ToHex(commit.site.view());
    }
  }
  return std::nullopt;
}

// Does the site know nothing of others that is not so? A site that was restored holds nothing back
// until it is heard of; that is in time as long as its data is younger than tombstones are kept.
bool SimWorld::MayCollect(Site& site) {
  for (const auto& [id, has] : site.replica->confirmed()) site.met.insert(id);
  for (const auto& other : sites_) {
    if (other.get() == &site) continue;
    const cells::SiteId id = other->database->site();
    const auto at = site.replica->confirmed().find(id);
    const bool is_so = site.met.contains(id) &&
                       (at == site.replica->confirmed().end() ||
                        changeset::Difference(at->second, other->database->seen()).empty());
    if (other->data_ms != kNow &&
        changeset::Difference(other->catches_up_with, other->database->seen()).empty()) {
      other->data_ms = kNow;
    }
    if (is_so) continue;
    if (other->data_ms == kNow || loop_.now_ms() >= other->data_ms + tombstone_keep_ms_) {
      return false;
    }
  }
  return true;
}

void SimWorld::RunUpkeep(Site& site) {
  if (site.is_up() && collects_ && MayCollect(site)) site.replica->RunUpkeep();
}

std::optional<std::string> SimWorld::BecomeEqual() {
  const int64_t start_ms = loop_.now_ms();
  std::optional<std::string> why = "nothing was checked";
  while (why.has_value()) {
    if (loop_.now_ms() - start_ms > kHealLimitMs) return "not equal in the end: " + *why;
    loop_.RunUntil(loop_.now_ms() + kHealStepMs);
    if (auto wrong = CheckSeen()) return wrong;
    why = WhyNotEqual();
  }
  totals_.heal_ms_max = std::max(totals_.heal_ms_max, loop_.now_ms() - start_ms);
  if (auto wrong = CheckDeleted()) return wrong;
  return CheckLost(/*with_poison=*/true);
}

std::optional<std::string> SimWorld::CheckDeleted() {
  if (!collects_ || faults_.lost_rows) return std::nullopt;
  for (const auto& site : sites_) {
    for (int64_t id = 0; id < kKeys; ++id) {
      const std::string text = site->database->TextOf(id);
      if (deleted_.contains(text)) {
        return "site " + std::to_string(site->index) +
               " has a deleted row of kv again: " + std::to_string(id) + " " + text;
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> SimWorld::WhyNotAllConfirmed() {
  for (const auto& site : sites_) {
    for (const auto& other : sites_) {
      if (other == site) continue;
      const auto& confirmed = site->replica->confirmed();
      const auto at = confirmed.find(other->database->site());
      if (at != confirmed.end() && at->second == other->database->seen()) continue;
      return "site " + std::to_string(site->index) + " was not told what site " +
             std::to_string(other->index) + " has";
    }
  }
  return std::nullopt;
}

// Names that nobody goes by any more are forgotten everywhere, as the operator would do it.
void SimWorld::ForgetFormerSites() {
  std::set<cells::SiteId> names;
  for (const auto& site : sites_) names.insert(site->database->site());
  for (const auto& site : sites_) {
    if (!site->is_up()) continue;
    for (const cells::SiteId& known : site->database->KnownSites()) {
      if (!names.contains(known)) site->replica->ForgetSite(known);
    }
  }
}

std::optional<std::string> SimWorld::CheckTombstones() {
  for (const auto& site : sites_) totals_.tombstones += site->database->CountTombstones();
  const bool all_go = collects_ && !faults_.lost_rows;
  const int64_t start_ms = loop_.now_ms();
  const auto why = [&]() -> std::optional<std::string> {
    if (auto lacking = WhyNotAllConfirmed()) return lacking;
    if (!all_go) return std::nullopt;
    for (const auto& site : sites_) {
      const size_t left = site->database->CountTombstones();
      if (left == 0) continue;
      return "site " + std::to_string(site->index) + " keeps " + std::to_string(left) +
             " tombstones; of " + std::to_string(sites_.size()) + " sites it was told of " +
             std::to_string(site->replica->confirmed().size());
    }
    return WhyNotEqual();
  };
  int64_t step_ms = kHealStepMs;
  while (std::optional<std::string> left = why()) {
    if (loop_.now_ms() - start_ms > kCollectLimitMs) return left;
    if (faults_.restores && all_go) ForgetFormerSites();
    for (const auto& site : sites_) RunUpkeep(*site);
    // Rarer and rarer: a store looks at most once a minute, and counting reads all rows.
    loop_.RunUntil(loop_.now_ms() + step_ms);
    step_ms = std::min(2 * step_ms, kCollectStepMsMax);
  }
  totals_.collect_ms_max = loop_.now_ms() - start_ms;
  if (auto wrong = CheckDeleted()) return wrong;
  return CheckSeen();
}

replication::Counters SimWorld::SumCounters() const {
  replication::Counters sum;
  for (const auto& site : sites_) {
    const replication::Counters more = site->replicator->report().counters;
    sum.pushed += more.pushed;
    sum.duplicates += more.duplicates;
    sum.requests += more.requests;
    sum.statements += more.statements;
    sum.links_opened += more.links_opened;
    sum.digests_differed += more.digests_differed;
  }
  return sum;
}

// When nothing is written and all is well, links say that they are there, and compare digests.
std::optional<std::string> SimWorld::CheckQuiet() {
  if (random_.Below(kQuietOneOf) != 0) return std::nullopt;
  Trace("--- quiet");
  is_quiet_ = true;
  tick_ms_max_ = kQuietTickMs;
  loop_.RunUntil(loop_.now_ms() + kQuietBeginMs);
  const uint64_t messages_before = totals_.traffic.messages;
  const replication::Counters before = SumCounters();
  uint64_t links = 0;
  for (const auto& site : sites_) links += site->replicator->report().links.size();
  links /= 2;
  loop_.RunUntil(loop_.now_ms() + kQuietMs);
  ++totals_.quiet_worlds;
  const auto times = [](int64_t interval_ms) {
    return interval_ms == 0 ? 0 : static_cast<uint64_t>(kQuietMs / interval_ms) + 1;
  };
  // Each side says that it is there, and sometimes what it has. Of digests there is one and what
  // came out of it, from both sides at worst.
  const uint64_t per_link = 2 * times(options_.keepalive_ms) + 2 * times(options_.refresh_ms) +
                            2 * times(options_.digest_interval_ms);
  const uint64_t messages = totals_.traffic.messages - messages_before;
  if (messages > links * per_link) {
    return "it does not become quiet: " + std::to_string(messages) + " messages over " +
           std::to_string(links) + " links in an hour, not " + std::to_string(per_link) + " each";
  }
  const replication::Counters after = SumCounters();
  if (after.pushed != before.pushed || after.requests != before.requests ||
      after.statements != before.statements || after.links_opened != before.links_opened ||
      after.digests_differed != before.digests_differed) {
    return "something goes on in a quiet hour";
  }
  if (auto wrong = WhyNotEqual()) return wrong;
  return CheckCost();
}

// When the trees are there, a change goes to each site once, and hardly anybody has to ask.
std::optional<std::string> SimWorld::CheckCost() {
  tick_ms_max_ = kTickMsMax;
  Site& site = AnySite();
  const auto write = [&](int changes) {
    for (int i = 0; i < changes; ++i) {
      const int64_t id = next_id_++;
      Write one;
      one.rows.push_back({"log", id, /*is_delete=*/false, {{"text", "one of many"}}});
      Commit(site, one);
      loop_.RunUntil(loop_.now_ms() + kChangePauseMs);
    }
  };
  write(kChangesForTrees);
  const replication::Counters before = SumCounters();
  const uint64_t bytes_before = totals_.traffic.bytes;
  write(kChanges);
  const replication::Counters after = SumCounters();
  const uint64_t copies = kChanges * (sites_.size() - 1);
  // Where paths are of much different length, or slow, a branch may change now and then.
  const uint64_t others = copies / 10 + 4;
  const uint64_t bytes = totals_.traffic.bytes - bytes_before;
  if (after.pushed - before.pushed > copies + others ||
      after.duplicates - before.duplicates > others || after.requests - before.requests > others ||
      bytes > copies * kCopyBytesMax) {
    return std::to_string(kChanges) + " changes for " + std::to_string(sites_.size()) +
           " sites cost " + std::to_string(after.pushed - before.pushed) + " copies, " +
           std::to_string(after.duplicates - before.duplicates) + " of them twice, " +
           std::to_string(after.requests - before.requests) + " requests and " +
           std::to_string(bytes) + " bytes";
  }
  return BecomeEqual();
}

}  // namespace merrow::testing
