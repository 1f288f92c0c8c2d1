// SPDX-License-Identifier: Apache-2.0
#include "replication/replicator.h"

#include <algorithm>

#include "merrow/check.h"
#include "replication/answerer.h"
#include "replication/applier.h"
#include "replication/confirmer.h"
#include "replication/core.h"
#include "replication/digests.h"
#include "replication/handshake.h"
#include "replication/parts.h"
#include "replication/puller.h"
#include "replication/spreader.h"

namespace merrow::replication {

struct Replicator::Impl {
  Impl(const Options& options, const cells::SiteId& site, SiteVersions seen, Replica& replica,
       const TimeSource& time, Random& random, Logger logger)
      : core(options, site, std::move(seen), replica, time, random, std::move(logger)) {
    core.handshake = &handshake;
    core.spreader = &spreader;
    core.puller = &puller;
    core.answerer = &answerer;
    core.applier = &applier;
    core.confirmer = &confirmer;
    core.digests = &digests;
  }

  void Dispatch(Link& link, Message message);
  void OnBye(Link& link, const ByeMessage& bye);
  void OnHave(Link& link, const HaveMessage& have);
  void OnChanges(Link& link, const ChangesMessage& message);
  void OnChangeset(Link& link, const ChangesMessage& message, Changeset changeset, size_t bytes);
  LinkReport ReportOf(const Link& link) const;
  std::vector<SiteReport> ReportSites() const;

  Core core;
  Handshake handshake{&core};
  Spreader spreader{&core};
  Puller puller{&core};
  Answerer answerer{&core};
  Applier applier{&core};
  Confirmer confirmer{&core};
  Digests digests{&core};
  LinkId next_link = 1;
};

Replicator::Replicator(const Options& options, const cells::SiteId& site, SiteVersions seen,
                       Replica& replica, const TimeSource& time, Random& random, Logger logger)
    : impl_(std::make_unique<Impl>(options, site, std::move(seen), replica, time, random,
                                   std::move(logger))) {}

Replicator::~Replicator() = default;

LinkId Replicator::OnLinkUp(LinkSink& sink, bool dialed) {
  Core& core = impl_->core;
  core.Enter();
  const LinkId id = impl_->next_link++;
  auto link = std::make_unique<Link>(core.options, id, sink, dialed);
  link->up_ms = link->heard_ms = link->spoke_ms = core.now.steady_ms;
  Link& added = *core.links.emplace(id, std::move(link)).first->second;
  ++core.counters.links_opened;
  if (core.is_closing) {
    core.Close(added, CloseReason::kShutdown, "this site stops");
  } else {
    impl_->handshake.OnLinkUp(added);
  }
  core.Settle();
  return id;
}

void Replicator::OnMessage(LinkId id, BytesView message) {
  Core& core = impl_->core;
  Link* const link = core.Find(id);
  if (link == nullptr) return;
  core.Enter();
  link->heard_ms = core.now.steady_ms;
  ++link->messages_in;
  link->bytes_in += message.size();
  Result<Message> decoded = link->message_decoder.Decode(message);
  if (decoded.ok()) {
    impl_->Dispatch(*link, std::move(*decoded));
  } else {
    const bool is_limit = decoded.error().code() == ErrorCode::kLimit;
    core.Close(*link, is_limit ? CloseReason::kLimit : CloseReason::kProtocol,
               decoded.error().message());
  }
  core.Settle();
}

void Replicator::Impl::Dispatch(Link& link, Message message) {
  if (std::holds_alternative<std::monostate>(message)) {
    ++core.counters.messages_unknown;
    return;
  }
  if (const auto* const bye = std::get_if<ByeMessage>(&message)) {
    OnBye(link, *bye);
    return;
  }
  if (const auto* const hello = std::get_if<HelloMessage>(&message)) {
    handshake.OnHello(link, *hello);
    return;
  }
  if (link.state == LinkState::kHello) {
    core.Close(link, CloseReason::kProtocol, "a message before Hello");
    return;
  }
  if (auto* const state = std::get_if<StateMessage>(&message)) {
    handshake.OnState(link, std::move(*state));
    return;
  }
  if (!link.handshake.state_is_received) {
    core.Close(link, CloseReason::kProtocol, "a message before State");
    return;
  }
  if (const auto* const have = std::get_if<HaveMessage>(&message)) {
    OnHave(link, *have);
  } else if (const auto* const need = std::get_if<NeedMessage>(&message)) {
    answerer.OnNeed(link, *need);
  } else if (const auto* const changes = std::get_if<ChangesMessage>(&message)) {
    OnChanges(link, *changes);
  } else if (const auto* const prune = std::get_if<PruneMessage>(&message)) {
    spreader.OnPrune(link, *prune);
  } else if (const auto* const graft = std::get_if<GraftMessage>(&message)) {
    spreader.OnGraft(link, *graft);
  } else if (auto* const digest = std::get_if<DigestMessage>(&message)) {
    digests.OnDigest(link, std::move(*digest));
  } else if (const auto* const diff = std::get_if<DigestDiffMessage>(&message)) {
    digests.OnDigestDiff(link, *diff);
  } else if (auto* const row_digests = std::get_if<RowDigestsMessage>(&message)) {
    digests.OnRowDigests(link, std::move(*row_digests));
  } else if (auto* const wanted = std::get_if<RowsWantedMessage>(&message)) {
    digests.OnRowsWanted(link, std::move(*wanted));
  } else if (const auto* const rows = std::get_if<RowsMessage>(&message)) {
    digests.OnRows(link, *rows);
  } else if (const auto* const statements = std::get_if<StatementsMessage>(&message)) {
    confirmer.OnStatements(link, *statements);
  }
}

void Replicator::Impl::OnBye(Link& link, const ByeMessage& bye) {
  core.Log(LevelOf(bye.reason), link,
           "the peer says bye (" + std::string(CloseReasonName(bye.reason)) + "): " + bye.text);
  core.Drop(link);
  link.sink.Close(bye.reason, bye.text);
}

void Replicator::Impl::OnHave(Link& link, const HaveMessage& have) {
  for (const auto& [site, ranges] : have.versions) {
    puller.OnPeerHas(link, site, ranges, /*by_push=*/false);
    if (link.is_closed) return;
  }
}

void Replicator::Impl::OnChanges(Link& link, const ChangesMessage& message) {
  if (!message.frame.empty()) {
    Result<std::vector<Changeset>> changesets = link.decoder.Decode(message.frame);
    if (!changesets.ok()) {
      core.Close(link, CloseReason::kProtocol, changesets.error().message());
      return;
    }
    const bool is_part = (message.flags & kChangesPart) != 0;
    const size_t count = changesets->size();
    for (Changeset& changeset : *changesets) {
      if (is_part ? count != 1 : changeset.parts != 1) {
        core.Close(link, CloseReason::kProtocol, "a part that does not say of what");
        return;
      }
      // The share of the frame: what a changeset is worth against the budget.
      OnChangeset(link, message, std::move(changeset), message.frame.size() / count);
      if (link.is_closed) return;
    }
  }
  if ((message.flags & kChangesAnswer) != 0) puller.OnAnswered(link, message);
}

void Replicator::Impl::OnChangeset(Link& link, const ChangesMessage& message, Changeset changeset,
                                   size_t bytes) {
  ++link.changesets_in;
  const cells::SiteId site = changeset.cells.site;
  const VersionRange range{changeset.cells.previous, changeset.cells.version};
  const bool is_answer = (message.flags & kChangesAnswer) != 0;
  const int64_t ahead_ms = changeset.timestamp.ms - core.options.skew_ms_max;
  if (changeset.timestamp.ms > 0 && ahead_ms > core.now.wall_ms) ++core.counters.skewed;

  Puller::Arrival arrival;
  if (is_answer) {
    arrival = puller.OnArrival(link, message.request, changeset, bytes);
  }
  const bool is_seen = RangesOf(core.seen, site).Includes(range);
  const bool is_known =
      is_seen || (!is_answer && RangesOf(applier.pending(), site).Includes(range));
  // It has committed what it sends.
  puller.OnPeerHas(link, site, VersionRanges(range), /*by_push=*/true);
  if (link.is_closed) return;
  if (is_known) {
    if (is_seen && applier.Contradicts(changeset)) {
      // Two databases publish under one name. Proofs tell the peer if it is one of them.
      handshake.Doubt(link, "version " + std::to_string(range.until) + " of " + ShortName(site) +
                                " is there twice, with different content");
      return;
    }
    if (!is_answer) spreader.OnDuplicate(link, site);
    return;
  }
  if (site == core.site) {
    handshake.Doubt(link, "the peer sends versions of this site that it does not know");
    return;
  }
  if (!is_answer) spreader.OnFresh(link, site);
  Applier::Entry entry;
  entry.peer = *link.peer;
  entry.is_fresh = !is_answer;
  entry.is_single = !is_answer || arrival.is_narrow;
  entry.bytes = EstimatedBytes(changeset);
  // What was asked for has room, but for parts, of which one request may bring any number: the
  // first that did not fit is where the next request begins.
  const bool needs_room = !arrival.is_expected || changeset.parts > 1;
  if (needs_room && !applier.HasRoom(changeset)) {
    ++core.counters.fresh_dropped;
    return;
  }
  entry.incoming.whole = message.whole;
  entry.incoming.changeset = std::make_shared<const Changeset>(std::move(changeset));
  applier.Enqueue(std::move(entry));
}

void Replicator::OnDrained(LinkId id) {
  Link* const link = impl_->core.Find(id);
  if (link == nullptr) return;
  impl_->core.Enter();
  impl_->answerer.Pump(*link);
  impl_->digests.Pump(*link);
  impl_->core.Settle();
}

void Replicator::OnLinkDown(LinkId id) {
  Link* const link = impl_->core.Find(id);
  if (link == nullptr) return;
  impl_->core.Enter();
  impl_->core.Log(LogLevel::kInfo, *link, "down");
  impl_->core.Drop(*link);
  impl_->core.Settle();
}

void Replicator::OnLocalCommits(std::vector<SharedChangeset> changesets) {
  Core& core = impl_->core;
  core.Enter();
  for (SharedChangeset& changeset : changesets) {
    const cells::Transaction& cells = changeset->cells;
    if (cells.site != core.site) {
      core.Log(LogLevel::kWarning, "a local commit of another site: " + ShortName(cells.site));
      continue;
    }
    const VersionRange range{cells.previous, cells.version};
    core.seen[cells.site].Add(range);
    ++core.counters.published;
    impl_->spreader.OnCommitted({cells.site, range, std::move(changeset), /*is_fresh=*/true});
  }
  core.Settle();
}

void Replicator::OnUnreadCommits(const VersionRanges& versions) {
  Core& core = impl_->core;
  core.Enter();
  for (const VersionRange& range : versions.ranges()) {
    core.seen[core.site].Add(range);
    ++core.counters.published;
    core.Log(LogLevel::kWarning, "versions " + std::to_string(range.after + 1) + " to " +
                                     std::to_string(range.until) +
                                     " of this site were committed but could not be read");
    impl_->spreader.OnCommitted({core.site, range, nullptr, /*is_fresh=*/true});
  }
  core.Settle();
}

void Replicator::OnTick() {
  Core& core = impl_->core;
  core.Enter();
  impl_->handshake.OnTick();
  impl_->applier.OnTick();
  impl_->puller.OnTick();
  impl_->answerer.OnTick();
  impl_->digests.OnTick();
  impl_->spreader.OnTick();
  impl_->confirmer.OnTick();
  core.Settle();
}

int64_t Replicator::next_tick_ms() const {
  return std::min({impl_->handshake.NextDue(), impl_->applier.NextDue(), impl_->puller.NextDue(),
                   impl_->answerer.NextDue(), impl_->digests.NextDue(), impl_->spreader.NextDue(),
                   impl_->confirmer.NextDue()});
}

void Replicator::OnForgotten(const cells::SiteId& site, bool is_forgotten) {
  impl_->core.Enter();
  impl_->confirmer.OnForgotten(site, is_forgotten);
  impl_->core.Settle();
}

void Replicator::OnSchemaChanged(uint64_t schema_hash) {
  impl_->core.Enter();
  impl_->core.options.schema_hash = schema_hash;
  impl_->puller.OnSchemaChanged();
  impl_->core.Settle();
}

void Replicator::CompareDigests() {
  impl_->core.Enter();
  impl_->digests.CompareNow();
  impl_->digests.OnTick();
  impl_->core.Settle();
}

void Replicator::CloseAll() {
  Core& core = impl_->core;
  core.Enter();
  core.is_closing = true;
  for (const auto& [id, link] : core.links) {
    core.Close(*link, CloseReason::kShutdown, "this site stops");
  }
  core.Settle();
}

const cells::SiteId& Replicator::site() const { return impl_->core.site; }
const SiteVersions& Replicator::seen() const { return impl_->core.seen; }

LinkReport Replicator::Impl::ReportOf(const Link& link) const {
  const int64_t now_ms = core.now.steady_ms;
  LinkReport report;
  report.id = link.id;
  report.dialed = link.dialed;
  report.state = link.state;
  report.peer = link.peer;
  report.schema_hash = link.schema_hash;
  report.protocol = link.protocol;
  report.open_ms = now_ms - link.up_ms;
  report.silent_ms = now_ms - link.heard_ms;
  report.clock_ahead_ms = link.clock_ahead_ms;
  report.messages_in = link.messages_in;
  report.messages_out = link.messages_out;
  report.bytes_in = link.bytes_in;
  report.bytes_out = link.bytes_out;
  report.unsent_bytes = link.sink.buffered_bytes();
  report.changesets_in = link.changesets_in;
  report.changesets_out = link.changesets_out;
  report.duplicates_in = link.duplicates_in;
  for (const auto& [site, ranges] : changeset::Difference(link.has, core.seen)) {
    report.lacking_here += ranges.count();
  }
  for (const auto& [site, ranges] : changeset::Difference(core.seen, link.has)) {
    report.lacking_there += ranges.count();
  }
  report.lag_ms = spreader.LagOf(link);
  const auto& confirmed = RangesOf(link.has, core.site).ranges();
  if (!confirmed.empty() && confirmed.front().after == 0) {
    report.confirmed = confirmed.front().until;
  }
  report.requests_in_flight = link.pull.requests;
  report.answers_in_flight = link.answers.size();
  report.pruned_here = link.spread.pruned_here.size();
  report.pruned_there = link.spread.pruned_there.size();
  report.digest = link.digest.result;
  report.digest_age_ms =
      link.digest.result == DigestResult::kNone ? 0 : now_ms - link.digest.result_ms;
  report.digest_buckets_differing = link.digest.differing;
  report.rows_repaired = link.digest.rows_repaired;
  report.digest_error = link.digest.error;
  return report;
}

std::vector<SiteReport> Replicator::Impl::ReportSites() const {
  std::map<cells::SiteId, SiteReport> sites;
  for (const auto& [site, ranges] : core.seen) sites[site].last = ranges.last();
  for (const auto& [site, ranges] : puller.needs()) sites[site].needs = ranges.count();
  for (const auto& [site, origin] : applier.origins()) {
    sites[site].timestamp = origin.timestamp;
    sites[site].delay_ms = origin.delay_ms;
  }
  std::vector<SiteReport> list;
  for (auto& [site, report] : sites) {
    report.site = site;
    list.push_back(report);
  }
  return list;
}

Report Replicator::report() const {
  impl_->core.now = impl_->core.time.Read();
  Report report;
  report.site = impl_->core.site;
  report.schema_hash = impl_->core.options.schema_hash;
  report.seen = impl_->core.seen;
  report.needs = impl_->puller.needs();
  report.sites = impl_->ReportSites();
  for (const auto& [id, link] : impl_->core.links) report.links.push_back(impl_->ReportOf(*link));
  report.refused.assign(impl_->applier.refused().begin(), impl_->applier.refused().end());
  report.identity_changes = impl_->handshake.changes();
  report.apply_queue_bytes = impl_->applier.bytes();
  report.waiting_bytes = impl_->applier.waiting_bytes();
  report.applying_ms = impl_->applier.ApplyingMs();
  report.counters = impl_->core.counters;
  return report;
}

void Replicator::CheckInvariants() const {
  impl_->puller.CheckInvariants();
  impl_->confirmer.CheckInvariants();
}

}  // namespace merrow::replication
