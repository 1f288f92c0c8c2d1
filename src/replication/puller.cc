// SPDX-License-Identifier: Apache-2.0
#include "replication/puller.h"

#include <algorithm>

#include "merrow/check.h"
#include "replication/applier.h"
#include "replication/handshake.h"
#include "replication/spreader.h"

namespace merrow::replication {
namespace {

constexpr int64_t kSliceMin = 16;
constexpr int64_t kSliceFirst = 1024;
constexpr int64_t kSliceMax = int64_t{1} << 20;

// The newest, or the oldest, `count` versions of `from`, at most `ranges_max` ranges of them.
VersionRanges TakeSome(const VersionRanges& from, int64_t count, size_t ranges_max, bool newest) {
  VersionRanges taken;
  const auto& ranges = from.ranges();
  for (size_t i = 0; i < std::min(ranges.size(), ranges_max) && count > 0; ++i) {
    const VersionRange& range = newest ? ranges[ranges.size() - 1 - i] : ranges[i];
    const int64_t length = std::min(count, range.until - range.after);
    taken.Add(newest ? VersionRange{range.until - length, range.until}
                     : VersionRange{range.after, range.after + length});
    count -= length;
  }
  return taken;
}

}  // namespace

const SiteVersions& Puller::RefusedOf(const cells::SiteId& peer) const {
  static const SiteVersions kNone;
  const auto at = refused_.find(peer);
  return at == refused_.end() ? kNone : at->second;
}

void Puller::OnPeerHas(Link& link, const cells::SiteId& site, const VersionRanges& ranges,
                       bool by_push) {
  VersionRanges news = ranges;
  news.Remove(RangesOf(link.has, site));
  if (news.empty()) return;
  VersionRanges& has = link.has[site];
  link.has_ranges -= has.ranges().size();
  has.Add(news);
  link.has_ranges += has.ranges().size();
  if (link.has_ranges > core_.options.peer_ranges_max ||
      link.has.size() > core_.options.peer_sites_max) {
    core_.Close(link, CloseReason::kLimit, "the peer says that it has too much");
    return;
  }
  link.confirm.has_news = true;
  core_.spreader->OnPeerHas(link, site, news);
  if (site == core_.site) {
    // While the link opens the proofs are about to tell.
    if (link.is_open() && has.last() > RangesOf(core_.seen, site).last()) {
      core_.handshake->Doubt(link, "the peer has later versions of this site than the site itself");
    }
    return;
  }
  news.Remove(RangesOf(core_.seen, site));
  if (news.empty()) return;
  const VersionRanges& refused = RangesOf(RefusedOf(link.peer.value()), site);
  if (!refused.empty()) news.Remove(refused);
  if (news.empty()) return;
  needs_[site].Add(news);
  if (by_push || !link.spread.pruned_here.contains(site)) return;
  for (const VersionRange& range : news.ranges()) {
    link.pull.held[site].Add(range);
    link.pull.holds.push_back({core_.now.steady_ms + core_.options.lazy_timeout_ms, site, range});
  }
}

void Puller::OnSeen(const cells::SiteId& site, VersionRange range) {
  RemoveFrom(needs_, site, range);
  RemoveFrom(suspects_, site, range);
}

VersionRanges Puller::AskableOf(const Link& link, const cells::SiteId& site) const {
  VersionRanges askable = RangesOf(needs_, site).Intersection(RangesOf(link.has, site));
  if (askable.empty()) return askable;
  askable.Remove(RangesOf(requested_, site));
  askable.Remove(RangesOf(cooling_, site));
  askable.Remove(RangesOf(core_.applier->pending(), site));
  askable.Remove(RangesOf(link.pull.held, site));
  askable.Remove(RangesOf(RefusedOf(*link.peer), site));
  return askable;
}

bool Puller::MayAsk(const Link& link) const {
  return link.is_open() && link.pull.requests < core_.options.requests_per_link_max &&
         link.pull.ask_after_ms <= core_.now.steady_ms &&
         requests_.size() < core_.options.requests_max;
}

void Puller::Schedule() {
  if (needs_.empty() || core_.is_closing) return;
  // What was asked for may all come at once and has to fit.
  const auto has_room = [this] {
    return core_.applier->bytes() + (requests_.size() + 1) * core_.options.request_bytes <=
           core_.options.apply_queue_bytes_max;
  };
  // One request for each link in turn, so that they share the work.
  for (bool asked = true; asked;) {
    asked = false;
    std::vector<LinkId> order;
    for (const auto& [id, link] : core_.links) order.push_back(id);
    const auto first = std::lower_bound(order.begin(), order.end(), next_link_);
    std::rotate(order.begin(), first, order.end());
    for (const LinkId id : order) {
      Link* const link = core_.Find(id);
      if (link == nullptr || !MayAsk(*link) || !has_room()) continue;
      if (AskNarrow(*link) || Ask(*link)) {
        asked = true;
        next_link_ = id + 1;
      }
    }
  }
}

bool Puller::AskNarrow(Link& link) {
  for (const auto& [site, suspects] : suspects_) {
    VersionRanges wanted = AskableOf(link, site).Intersection(suspects);
    if (wanted.empty()) continue;
    wanted = VersionRanges(wanted.ranges().back());
    Send(link, {{site, std::move(wanted)}}, /*is_narrow=*/true);
    return true;
  }
  return false;
}

bool Puller::Ask(Link& link) {
  SiteVersions wanted;
  int64_t left = link.pull.slice_versions == 0 ? kSliceFirst : link.pull.slice_versions;
  size_t ranges = core_.options.request_ranges_max;
  // Behind the last one: a site of which much is lacking does not keep others waiting.
  auto at = needs_.upper_bound(last_site_);
  for (size_t i = 0; i < needs_.size() && left > 0 && ranges > 0; ++i, ++at) {
    if (at == needs_.end()) at = needs_.begin();
    const cells::SiteId& site = at->first;
    VersionRanges askable = AskableOf(link, site);
    askable.Remove(RangesOf(suspects_, site));
    if (askable.empty()) continue;
    VersionRanges some = TakeSome(askable, left, ranges, !core_.applier->HasWaiting(site));
    left -= some.count();
    ranges -= some.ranges().size();
    wanted.emplace(site, std::move(some));
    last_site_ = site;
    if (wanted.size() == core_.options.request_sites_max) break;
  }
  if (wanted.empty()) return false;
  Send(link, std::move(wanted), /*is_narrow=*/false);
  return true;
}

void Puller::Send(Link& link, SiteVersions wanted, bool is_narrow) {
  const uint64_t id = next_request_++;
  Request& request = requests_[id];
  request.link = link.id;
  request.is_narrow = is_narrow;
  request.progress_ms = core_.now.steady_ms;
  for (const auto& [site, ranges] : wanted) requested_[site].Add(ranges);
  request.open = wanted;
  ++link.pull.requests;
  ++core_.counters.requests;
  std::vector<PartsThere> there = core_.applier->PartsOf(wanted);
  core_.Send(link, NeedMessage{id, is_narrow ? 1 : core_.options.request_bytes, std::move(wanted),
                               std::move(there)});
}

bool Puller::IsProgress(Request& request, const Changeset& changeset, bool is_expected) {
  if (!is_expected) return false;
  const auto before = std::exchange(request.part, std::nullopt);
  if (changeset.part + 1 == changeset.parts) return true;
  request.part.emplace(changeset.cells.version, changeset.part);
  // All parts of one come in a row.
  return !before.has_value() ||
         (before->first == changeset.cells.version && before->second < changeset.part);
}

Puller::Arrival Puller::OnArrival(Link& link, uint64_t request, const Changeset& changeset,
                                  size_t bytes) {
  const auto at = requests_.find(request);
  if (at == requests_.end() || at->second.link != link.id) return {};
  const cells::SiteId& site = changeset.cells.site;
  const VersionRange range{changeset.cells.previous, changeset.cells.version};
  at->second.bytes += bytes;
  const VersionRanges covered = RangesOf(at->second.open, site).Intersection(VersionRanges(range));
  const bool is_expected = !covered.empty();
  if (IsProgress(at->second, changeset, is_expected)) {
    at->second.progress_ms = core_.now.steady_ms;
    link.pull.timeouts = 0;
  }
  if (is_expected && changeset.part + 1 == changeset.parts) {
    at->second.has_come = true;
    RemoveFrom(at->second.open, site, covered);
    RemoveFrom(requested_, site, covered);
  }
  return {is_expected, at->second.is_narrow};
}

void Puller::OnAnswered(Link& link, const ChangesMessage& message) {
  const auto at = requests_.find(message.request);
  if (at == requests_.end() || at->second.link != link.id) return;
  if ((message.flags & kChangesLast) == 0) return;
  link.pull.timeouts = 0;
  Finish(at, message.flags);
}

void Puller::Release(const Request& request) {
  for (const auto& [site, ranges] : request.open) RemoveFrom(requested_, site, ranges);
  if (Link* const link = core_.Find(request.link); link != nullptr) --link->pull.requests;
}

void Puller::Finish(std::map<uint64_t, Request>::iterator at, uint8_t flags) {
  const Request request = std::move(at->second);
  requests_.erase(at);
  Release(request);
  Link* const link = core_.Find(request.link);
  if (link == nullptr) return;
  const bool has_more = (flags & kChangesMore) != 0;
  if ((flags & kChangesFailed) != 0) {
    link->pull.ask_after_ms = core_.now.steady_ms + core_.RetryDelay(link->pull.failures++);
    return;
  }
  int64_t& slice = link->pull.slice_versions;
  if (slice == 0) slice = kSliceFirst;
  if (!request.is_narrow && has_more) slice = std::max(kSliceMin, slice / 2);
  if (!request.is_narrow && !has_more && request.bytes < core_.options.request_bytes / 2) {
    slice = std::min(kSliceMax, slice * 2);
  }
  if (request.open.empty() || (has_more && request.has_come)) {
    link->pull.failures = 0;
    return;
  }
  // It does not have them after all, or gives none: somebody else may.
  ++core_.counters.requests_empty;
  link->pull.ask_after_ms = core_.now.steady_ms + core_.RetryDelay(link->pull.failures++);
  if (has_more) return;
  for (const auto& [site, ranges] : request.open) {
    RemoveFrom(link->has, site, ranges);
    RecomputeNeeds(site);
  }
  link->confirm.has_news = true;
  link->has_ranges = CountRanges(link->has);
}

void Puller::RecomputeNeeds(const cells::SiteId& site) {
  VersionRanges needs;
  for (const auto& [id, link] : core_.links) {
    if (link->is_closed || !link->peer.has_value() || site == core_.site) continue;
    VersionRanges has = RangesOf(link->has, site);
    has.Remove(RangesOf(RefusedOf(*link->peer), site));
    needs.Add(has);
  }
  needs.Remove(RangesOf(core_.seen, site));
  if (needs.empty()) {
    needs_.erase(site);
  } else {
    needs_[site] = std::move(needs);
  }
}

void Puller::Cool(const cells::SiteId& site, VersionRange range) {
  if (range.after >= range.until) return;
  const int64_t due = core_.now.steady_ms + core_.RetryDelay(attempts_[site]++);
  cooling_[site].Add(range);
  coolings_.emplace(due, Cooling{site, range});
}

void Puller::Refuse(const cells::SiteId& peer, const cells::SiteId& site, VersionRange range) {
  refused_[peer][site].Add(range);
  RemoveFrom(suspects_, site, range);
  BoundRefused(peer);
  RecomputeNeeds(site);
}

void Puller::BoundRefused(const cells::SiteId& peer) {
  size_t ranges = 0;
  for (const auto& [other, versions] : refused_) ranges += CountRanges(versions);
  if (ranges <= core_.options.refused_ranges_max) return;
  Link* from = nullptr;
  std::set<cells::SiteId> linked;
  for (const auto& [id, link] : core_.links) {
    if (link->is_closed || !link->peer.has_value()) continue;
    linked.insert(*link->peer);
    if (link->peer == peer) from = link.get();
  }
  std::erase_if(refused_, [&](const auto& entry) {
    const bool is_gone = !linked.contains(entry.first);
    if (is_gone) ranges -= CountRanges(entry.second);
    return is_gone;
  });
  if (ranges <= core_.options.refused_ranges_max || from == nullptr) return;
  core_.Close(*from, CloseReason::kLimit, "too many of its changesets are refused");
}

void Puller::Suspect(const cells::SiteId& site, VersionRange range) {
  suspects_[site].Add(range);
  suspects_[site].Remove(RangesOf(core_.seen, site));
}

void Puller::OnLinkGone(Link& link) {
  for (auto at = requests_.begin(); at != requests_.end();) {
    if (at->second.link != link.id) {
      ++at;
      continue;
    }
    Release(at->second);
    at = requests_.erase(at);
  }
  link.pull.requests = 0;
  std::vector<cells::SiteId> sites;
  for (const auto& [site, ranges] : needs_) sites.push_back(site);
  for (const cells::SiteId& site : sites) RecomputeNeeds(site);
}

void Puller::OnSchemaChanged() {
  refused_.clear();
  for (const auto& [id, link] : core_.links) {
    for (const auto& [site, ranges] : link->has) RecomputeNeeds(site);
  }
}

void Puller::OnTick() {
  const int64_t now_ms = core_.now.steady_ms;
  std::map<cells::SiteId, bool> cooled;
  while (!coolings_.empty() && coolings_.begin()->first <= now_ms) {
    cooled.emplace(coolings_.begin()->second.site, true);
    coolings_.erase(coolings_.begin());
  }
  if (!cooled.empty()) {
    cooling_.clear();
    for (const auto& [due, cooling] : coolings_) cooling_[cooling.site].Add(cooling.range);
  }
  core_.ForEachOpen([&](Link& link) {
    auto& holds = link.pull.holds;
    while (!holds.empty() && holds.front().due_ms <= now_ms) {
      const PullState::Hold hold = holds.front();
      holds.pop_front();
      RemoveFrom(link.pull.held, hold.site, hold.range);
      const VersionRanges lacking =
          RangesOf(needs_, hold.site).Intersection(VersionRanges(hold.range));
      VersionRanges open = lacking;
      open.Remove(RangesOf(core_.applier->pending(), hold.site));
      // The tree has a hole here.
      if (!open.empty()) core_.spreader->Graft(link, hold.site);
      if (link.is_closed) return;
    }
  });
  for (auto at = requests_.begin(); at != requests_.end();) {
    if (now_ms - at->second.progress_ms < core_.options.request_timeout_ms) {
      ++at;
      continue;
    }
    const Request request = std::move(at->second);
    at = requests_.erase(at);
    Release(request);
    ++core_.counters.request_timeouts;
    Link* const link = core_.Find(request.link);
    if (link == nullptr) continue;
    link->pull.ask_after_ms = now_ms + core_.RetryDelay(link->pull.failures++);
    if (++link->pull.timeouts >= core_.options.request_timeouts_max) {
      core_.Close(*link, CloseReason::kTimeout, "requests are not answered");
      at = requests_.begin();  // the link took others along
    }
  }
}

int64_t Puller::NextDue() const {
  int64_t due = coolings_.empty() ? kNever : coolings_.begin()->first;
  for (const auto& [id, request] : requests_) {
    due = std::min(due, request.progress_ms + core_.options.request_timeout_ms);
  }
  for (const auto& [id, link] : core_.links) {
    if (!link->is_open()) continue;
    if (!link->pull.holds.empty()) due = std::min(due, link->pull.holds.front().due_ms);
    if (!needs_.empty() && link->pull.ask_after_ms > core_.now.steady_ms) {
      due = std::min(due, link->pull.ask_after_ms);
    }
  }
  return due;
}

void Puller::CheckInvariants() const {
  SiteVersions sum;
  for (const auto& [id, request] : requests_) {
    for (const auto& [site, ranges] : request.open) {
      MERROW_CHECK(RangesOf(sum, site).Intersection(ranges).empty());
      sum[site].Add(ranges);
    }
  }
  MERROW_CHECK(sum == requested_);
  SiteVersions needs;
  for (const auto& [id, link] : core_.links) {
    if (link->is_closed || !link->peer.has_value()) continue;
    for (const auto& [site, ranges] : link->has) {
      VersionRanges open = ranges;
      open.Remove(RangesOf(RefusedOf(*link->peer), site));
      open.Remove(RangesOf(core_.seen, site));
      if (site != core_.site && !open.empty()) needs[site].Add(open);
    }
  }
  MERROW_CHECK(needs == needs_);
}

}  // namespace merrow::replication
