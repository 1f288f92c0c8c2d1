// SPDX-License-Identifier: Apache-2.0
#include "replication/spreader.h"

#include <algorithm>

#include "replication/parts.h"
#include "replication/puller.h"

namespace merrow::replication {
namespace {

// Samples of own versions per link: with the oldest thinned out they reach back for days.
constexpr size_t kSamplesMax = 128;
constexpr int64_t kSampleMs = 100;

}  // namespace

void Spreader::OnCommitted(const Committed& committed) {
  const size_t bytes = committed.changeset == nullptr ? 0 : EstimatedBytes(*committed.changeset);
  const bool may_push =
      committed.is_fresh && committed.changeset != nullptr && committed.changeset->parts == 1;
  for (const auto& [id, link] : core_.links) {
    if (link->is_closed || !link->handshake.state_is_sent) continue;
    SpreadState& spread = link->spread;
    const bool is_known = link->PeerHas(committed.site, committed.range) ||
                          RangesOf(spread.sent, committed.site).Includes(committed.range);
    const bool is_wanted = !is_known && may_push && link->is_open() &&
                           link->peer != committed.site &&
                           !spread.pruned_there.contains(committed.site);
    if (is_wanted && bytes <= core_.options.push_bytes_max && core_.CanSend(*link)) {
      spread.fresh.push_back(committed.changeset);
      spread.sent[committed.site].Add(committed.range);
      continue;
    }
    if (is_wanted) ++core_.counters.push_skipped;
    Announce(*link, committed);
  }
}

void Spreader::Announce(Link& link, const Committed& committed) {
  link.spread.unannounced[committed.site].Add(committed.range);
  const int64_t delay = link.PeerHas(committed.site, committed.range)
                            ? core_.options.acknowledge_delay_ms
                            : core_.options.have_delay_ms;
  link.spread.announce_ms = std::min(link.spread.announce_ms, core_.now.steady_ms + delay);
}

void Spreader::Flush() {
  for (const auto& [id, link] : core_.links) {
    if (!link->spread.fresh.empty() && !link->is_closed) FlushLink(*link);
  }
}

void Spreader::FlushLink(Link& link) {
  const std::vector<SharedChangeset> fresh = std::exchange(link.spread.fresh, {});
  const std::span<const SharedChangeset> all = fresh;
  for (size_t at = 0; at < all.size();) {
    size_t bytes = 0;
    size_t end = at;
    while (end < all.size() && (end == at || bytes < core_.options.chunk_bytes)) {
      bytes += EstimatedBytes(*all[end++]);
    }
    if (!SendFresh(link, all.subspan(at, end - at))) {
      // One of them does not fit into a frame, or is broken: the others go alone.
      for (; at < end; ++at) {
        if (!SendFresh(link, all.subspan(at, 1))) ++core_.counters.unsendable;
      }
    }
    at = end;
    if (link.is_closed) return;
  }
}

bool Spreader::SendFresh(Link& link, std::span<const SharedChangeset> changesets) {
  std::vector<const Changeset*> pointers;
  for (const SharedChangeset& changeset : changesets) pointers.push_back(changeset.get());
  const Result<Bytes> frame = link.encoder.Encode(pointers);
  if (!frame.ok()) {
    core_.Log(LogLevel::kWarning, link, "a fresh changeset: " + frame.error().ToString());
    return false;
  }
  ChangesMessage message;
  message.frame = *frame;
  core_.Send(link, message);
  link.changesets_out += changesets.size();
  core_.counters.pushed += changesets.size();
  return true;
}

bool Spreader::IsLastEager(const Link& link, const cells::SiteId& site) const {
  for (const auto& [id, other] : core_.links) {
    if (other.get() == &link || !other->is_open()) continue;
    if (!other->spread.pruned_here.contains(site)) return false;
  }
  return true;
}

void Spreader::OnDuplicate(Link& link, const cells::SiteId& site) {
  ++core_.counters.duplicates;
  ++link.duplicates_in;
  if (++link.spread.duplicates[site] < core_.options.duplicates_until_prune) return;
  if (link.spread.pruned_here.contains(site) || IsLastEager(link, site)) return;
  link.spread.duplicates.erase(site);
  link.spread.pruned_here.insert(site);
  ++core_.counters.prunes;
  core_.Send(link, PruneMessage{{site}});
}

void Spreader::OnFresh(Link& link, const cells::SiteId& site) {
  link.spread.duplicates.erase(site);
}

void Spreader::Graft(Link& link, const cells::SiteId& site) {
  if (link.spread.pruned_here.erase(site) == 0) return;
  ++core_.counters.grafts;
  core_.Send(link, GraftMessage{{site}});
}

void Spreader::OnPrune(Link& link, const PruneMessage& prune) {
  for (const cells::SiteId& site : prune.sites) link.spread.pruned_there.insert(site);
}

void Spreader::OnGraft(Link& link, const GraftMessage& graft) {
  for (const cells::SiteId& site : graft.sites) link.spread.pruned_there.erase(site);
}

void Spreader::OnPeerHas(Link& link, const cells::SiteId& site, const VersionRanges& ranges) {
  RemoveFrom(link.spread.sent, site, ranges);
}

void Spreader::OnOpen(Link& link) {
  link.spread.refresh_ms = core_.now.steady_ms + core_.options.refresh_ms;
}

void Spreader::OnLinkGone(Link& link) {
  // Its share of the trees: somebody else has to be eager now.
  std::map<Link*, GraftMessage> grafts;
  core_.ForEachOpen([&](Link& other) {
    std::vector<cells::SiteId> sites;
    for (const cells::SiteId& site : other.spread.pruned_here) {
      if (!link.spread.pruned_here.contains(site)) sites.push_back(site);
    }
    for (const cells::SiteId& site : sites) {
      other.spread.pruned_here.erase(site);
      grafts[&other].sites.push_back(site);
    }
  });
  core_.ForEachOpen([&](Link& other) {
    const auto at = grafts.find(&other);
    if (at == grafts.end()) return;
    core_.counters.grafts += at->second.sites.size();
    core_.Send(other, at->second);
  });
}

void Spreader::SendHave(Link& link) {
  link.spread.announce_ms = kNever;
  if (link.spread.unannounced.empty()) return;
  core_.Send(link, HaveMessage{std::exchange(link.spread.unannounced, {})});
}

void Spreader::Sample(Link& link) {
  auto& samples = link.spread.samples;
  const cells::DbVersion last = RangesOf(core_.seen, core_.site).last();
  if (samples.empty() ? last == 0 : samples.back().version == last) return;
  if (!samples.empty() && core_.now.steady_ms - samples.back().steady_ms < kSampleMs) return;
  samples.push_back({core_.now.steady_ms, last});
  if (samples.size() <= kSamplesMax) return;
  // Every second one of the older half goes.
  std::deque<SpreadState::Sample> kept;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i == 0 || i % 2 == 0 || i > samples.size() / 2) kept.push_back(samples[i]);
  }
  samples = std::move(kept);
}

int64_t Spreader::LagOf(const Link& link) const {
  if (!link.is_open()) return 0;
  for (const SpreadState::Sample& sample : link.spread.samples) {
    if (!link.PeerHas(core_.site, {0, sample.version})) {
      return core_.now.steady_ms - sample.steady_ms;
    }
  }
  return 0;
}

void Spreader::OnTick() {
  core_.ForEachOpen([&](Link& link) {
    SpreadState& spread = link.spread;
    Sample(link);
    while (!spread.samples.empty() &&
           link.PeerHas(core_.site, {0, spread.samples.front().version})) {
      spread.samples.pop_front();
    }
    if (core_.now.steady_ms >= spread.refresh_ms) {
      spread.refresh_ms = core_.now.steady_ms + core_.options.refresh_ms;
      for (const auto& [site, ranges] : core_.seen) spread.unannounced[site].Add(ranges);
      spread.announce_ms = core_.now.steady_ms;
    }
    if (core_.now.steady_ms >= spread.announce_ms) SendHave(link);
    if (core_.now.steady_ms - link.spoke_ms >= core_.options.keepalive_ms) {
      core_.Send(link, HaveMessage{});
    }
    if (core_.now.steady_ms - link.heard_ms >= core_.options.silence_ms_max) {
      core_.Close(link, CloseReason::kTimeout, "nothing was heard for too long");
    }
  });
}

int64_t Spreader::NextDue() const {
  int64_t due = kNever;
  for (const auto& [id, link] : core_.links) {
    if (!link->is_open()) continue;
    due = std::min({due, link->spread.announce_ms, link->spread.refresh_ms,
                    link->spoke_ms + core_.options.keepalive_ms,
                    link->heard_ms + core_.options.silence_ms_max});
  }
  return due;
}

}  // namespace merrow::replication
