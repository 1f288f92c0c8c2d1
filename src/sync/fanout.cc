// SPDX-License-Identifier: Apache-2.0
#include "sync/fanout.h"

#include <algorithm>
#include <utility>

#include "sync/loro_protocol.h"
#include "sync/row_frame.h"
#include "sync/session.h"

namespace merrow::sync {
namespace {

using State = Subscription::State;

// How often in a row an answer is refused because it repeats ops of the client's own.
constexpr uint8_t kOwnOpsRetriesMax = 3;

bool SameVersion(const SharedVersion& a, const SharedVersion& b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && *a == *b;
}

// True if `version` has ops that `known` has and `from` has not: sending the difference between
// `from` and `version` would send the client ops that it sent itself while the read was under way.
bool RepeatsKnownOps(const loro::VersionVector& from, const loro::VersionVector& known,
                     const loro::VersionVector& version) {
  const auto& entries = known.entries();
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
    return std::min(entry.end, version.End(entry.peer)) > from.End(entry.peer);
  });
}

bool IsBehind(State state) { return state == State::kBehind || state == State::kHealing; }

}  // namespace

const std::vector<SharedBytes>& EncodedUpdate::For(Dialect dialect) {
  std::vector<SharedBytes>& messages = messages_[static_cast<size_t>(dialect)];
  if (!messages.empty()) return messages;
  ++core_.metrics.deltas_encoded;
  if (dialect == Dialect::kLoroProtocol) {
    messages = EncodeUpdate(RoomKind::kLoro, row_.table + "/" + row_.key, bytes_,
                            core_.next_batch_id++, core_.limits);
  } else {
    messages.push_back(std::make_shared<const Bytes>(
        EncodeRowFrame({.type = is_snapshot_ ? RowFrameType::kSnapshot : RowFrameType::kUpdate,
                        .table = row_.table,
                        .key = row_.key,
                        .payload = bytes_})));
  }
  return messages;
}

// --- Subscriptions ---

Subscription* Fanout::Find(const Session& session, const RowKey& row) {
  const auto watched = rows_.find(row);
  if (watched == rows_.end()) return nullptr;
  const auto found = session.subscriptions.find(watched->second.get());
  return found == session.subscriptions.end() ? nullptr : found->second.get();
}

Subscription& Fanout::Open(Session& session, const RowKey& key, SharedVersion claimed) {
  WatchedRow& row = RowFor(key);
  std::unique_ptr<Subscription>& slot = session.subscriptions[&row];
  if (slot == nullptr) {
    slot = std::make_unique<Subscription>();
    slot->session = &session;
    slot->row = &row;
    slot->row_index = static_cast<uint32_t>(row.subscriptions.size());
    row.subscriptions.push_back(slot.get());
    ++core_.metrics.subscriptions;
  } else {
    Abandon(*slot);
  }
  Subscription& subscription = *slot;
  subscription.wants_snapshot = claimed == nullptr;
  subscription.known = claimed != nullptr ? std::move(claimed) : empty_version_;
  subscription.opening_id = next_opening_id_++;
  subscription.retries = 0;
  SetState(subscription, State::kOpening);
  if (session.is_congested()) {
    Enqueue(subscription);
  } else {
    StartRead(subscription);
  }
  return subscription;
}

void Fanout::Close(Subscription& subscription) {
  WatchedRow& row = *subscription.row;
  Abandon(subscription);
  SetState(subscription, State::kLive);
  Subscription* const last = row.subscriptions.back();
  last->row_index = subscription.row_index;
  row.subscriptions[subscription.row_index] = last;
  row.subscriptions.pop_back();
  --core_.metrics.subscriptions;
  subscription.session->subscriptions.erase(&row);
  DropRowIfUnused(row);
}

void Fanout::CloseAll(Session& session) {
  while (!session.subscriptions.empty()) Close(*session.subscriptions.begin()->second);
}

void Fanout::NoteSent(Subscription& subscription, const loro::VersionVector& end) {
  const SharedVersion& version = subscription.row->version;
  const size_t entries_max = (version == nullptr ? 0 : version->entries().size()) +
                             end.entries().size() + core_.limits.foreign_peers_max;
  std::shared_ptr<loro::VersionVector> known;
  for (const auto& entry : end.entries()) {
    const loro::VersionVector& so_far = known != nullptr ? *known : *subscription.known;
    const loro::Counter known_end = so_far.End(entry.peer);
    // Of too many peers nothing is remembered: their ops may never be in the row.
    const bool fits = known_end > 0 || so_far.entries().size() < entries_max;
    if (entry.end <= known_end || !fits) continue;
    if (known == nullptr) known = std::make_shared<loro::VersionVector>(*subscription.known);
    known->Set(entry.peer, entry.end);
  }
  if (known != nullptr) subscription.known = std::move(known);
}

WatchedRow& Fanout::RowFor(const RowKey& key) {
  const auto [at, is_new] = rows_.try_emplace(key);
  if (is_new) at->second = std::make_unique<WatchedRow>(at->first);
  return *at->second;
}

void Fanout::DropRowIfUnused(WatchedRow& row) {
  if (row.is_pinned || !row.subscriptions.empty() || !row.reads.empty()) return;
  const RowKey key = row.key;
  rows_.erase(key);
}

// Takes the subscription out of whatever it waits for.
void Fanout::Detach(Subscription& subscription) {
  if (subscription.read != nullptr) {
    auto& waiters = subscription.read->waiters;
    std::replace(waiters.begin(), waiters.end(), &subscription,
                 static_cast<Subscription*>(nullptr));
    subscription.read = nullptr;
  }
  if (subscription.is_queued) {
    auto& queue = subscription.session->heal_queue;
    queue.erase(std::find(queue.begin(), queue.end(), &subscription));
    subscription.is_queued = false;
  }
}

// The same, before it was answered. The source cannot be told: a client that asks and turns away
// again and again is slowed down by the questions that are still open.
void Fanout::Abandon(Subscription& subscription) {
  if (subscription.read != nullptr) {
    subscription.read->abandoned_by.push_back(subscription.session->id());
    subscription.session->AddInFlight(0);
  }
  Detach(subscription);
}

// Keeps the counts that follow from states.
void Fanout::SetState(Subscription& subscription, State state) {
  const State old = subscription.state;
  if (old == state) return;
  subscription.state = state;
  Session& session = *subscription.session;
  if (IsBehind(state) && !IsBehind(old)) ++core_.metrics.behind;
  if (IsBehind(old) && !IsBehind(state)) --core_.metrics.behind;
  if (old == State::kHealing) --session.heals_in_flight;
  if (state == State::kHealing) ++session.heals_in_flight;
  if (old == State::kOpening) session.RemoveInFlight(0);
  if (state == State::kOpening) session.AddInFlight(0);
}

void Fanout::Enqueue(Subscription& subscription) {
  MERROW_DCHECK(!subscription.is_queued && subscription.read == nullptr);
  subscription.is_queued = true;
  subscription.session->heal_queue.push_back(&subscription);
}

void Fanout::FallBehind(Subscription& subscription) {
  SetState(subscription, State::kBehind);
  Enqueue(subscription);
  Pump(*subscription.session);
}

void Fanout::Pump(Session& session) {
  auto& queue = session.heal_queue;
  while (!queue.empty() && !session.is_closed() && !session.is_congested() &&
         session.heals_in_flight < core_.limits.heals_in_flight_max) {
    Subscription& subscription = *queue.front();
    queue.pop_front();
    subscription.is_queued = false;
    if (subscription.state == State::kBehind) SetState(subscription, State::kHealing);
    StartRead(subscription);
  }
}

// --- Commits ---

void Fanout::Publish(const RowKey& key, const SharedVersion& before, const SharedVersion& after,
                     const SharedBytes& delta) {
  if (rows_.count(key) == 0) return;  // nobody watches; who comes reads a later version
  const Commit commit{before, after, delta};
  const auto found = waiting_.find(key);
  if (found != waiting_.end()) {
    std::vector<Commit>& chain = found->second;
    if (delta != nullptr && SameVersion(chain.back().after, before)) {
      chain.push_back(commit);
      ++core_.metrics.commits_joined;
      return;
    }
    // It does not continue what waits, so that goes first.
    const std::vector<Commit> earlier = std::move(chain);
    waiting_.erase(found);
    PublishChain(key, earlier);
  }
  if (!defer_ || delta == nullptr) return PublishChain(key, {&commit, 1});
  const bool has_turn = !waiting_.empty();
  waiting_[key].push_back(commit);
  if (has_turn) return;
  defer_([handle = std::weak_ptr<Handle>(handle_)] {
    const std::shared_ptr<Handle> alive = handle.lock();
    if (alive == nullptr) return;
    for (const auto& [row, chain] : std::exchange(alive->fanout->waiting_, {})) {
      alive->fanout->PublishChain(row, chain);
    }
    alive->after();
  });
}

void Fanout::PublishChain(const RowKey& key, std::span<const Commit> chain) {
  const auto found = rows_.find(key);
  const SharedVersion after = chain.back().after;
  if (found == rows_.end() || *chain.front().before == *after) return;
  WatchedRow& row = *found->second;
  if (row.version != nullptr && row.version->Includes(*after)) return;  // heard of already
  // Subscriptions at the old version share its object, which makes the common case a comparison of
  // pointers.
  const SharedVersion before =
      SameVersion(row.version, chain.front().before) ? row.version : chain.front().before;
  row.version = after;
  core_.metrics.commits += chain.size();

  std::vector<SharedBytes> deltas;
  for (const Commit& commit : chain) deltas.push_back(commit.delta);
  const SharedBytes joined = deltas.size() == 1 ? deltas[0] : core_.source.JoinUpdates(deltas);
  std::optional<EncodedUpdate> whole;
  if (joined != nullptr) whole.emplace(core_, row.key, *joined, false);
  std::vector<EncodedUpdate> steps;
  for (Subscription* subscription : row.subscriptions) {
    const bool is_at_before = subscription->known == before;
    if (chain.size() == 1 || is_at_before ||
        !RepeatsKnownOps(*before, *subscription->known, *after)) {
      PublishTo(*subscription, before, after, whole ? &*whole : nullptr);
      continue;
    }
    // It made some of these commits itself: only the others are sent to it.
    if (steps.empty()) {
      for (const Commit& commit : chain) steps.emplace_back(core_, row.key, *commit.delta, false);
    }
    for (size_t i = 0; i < chain.size(); ++i) {
      PublishTo(*subscription, chain[i].before, chain[i].after, &steps[i]);
    }
  }
}

void Fanout::PublishTo(Subscription& subscription, const SharedVersion& before,
                       const SharedVersion& after, EncodedUpdate* update) {
  Session& session = *subscription.session;
  if (subscription.state != State::kLive) {
    // What is under way or in the queue will see it: FinishRead compares with the row's version.
    if (subscription.state == State::kBehind) ++core_.metrics.conflations;
    return;
  }
  const bool is_at_before = subscription.known == before;
  if (!is_at_before && subscription.known->Includes(*after)) {
    SettleAt(subscription, after);  // its own ops, or a read knew of them
    return;
  }
  const bool is_contiguous = is_at_before || subscription.known->Includes(*before);
  if (update == nullptr || !is_contiguous || session.is_congested()) {
    ++core_.metrics.conflations;
    FallBehind(subscription);
    return;
  }
  ++core_.metrics.deltas_sent;
  session.SendUpdate(update->For(session.dialect()));
  SettleAt(subscription, after);
}

// The client has everything up to `version` now. Ops that it has and the row has not are remembered
// up to a limit; what is forgotten costs only that it may be sent to it again.
void Fanout::SettleAt(Subscription& subscription, const SharedVersion& version) {
  if (subscription.known == version) return;
  if (version->Includes(*subscription.known)) {
    subscription.known = version;
    return;
  }
  const size_t entries_max = version->entries().size() + core_.limits.foreign_peers_max;
  if (subscription.known->Includes(*version) &&
      subscription.known->entries().size() <= entries_max) {
    return;
  }
  auto known = std::make_shared<loro::VersionVector>(*version);
  size_t foreign = 0;
  for (const auto& entry : subscription.known->entries()) {
    if (entry.end <= version->End(entry.peer)) continue;
    if (++foreign > core_.limits.foreign_peers_max) break;
    known->Set(entry.peer, entry.end);
  }
  subscription.known = std::move(known);
}

// --- Reads ---

void Fanout::StartRead(Subscription& subscription) {
  WatchedRow& row = *subscription.row;
  const bool whole = subscription.state == State::kOpening && subscription.wants_snapshot;
  const SharedVersion from = whole ? nullptr : subscription.known;
  for (const std::unique_ptr<Read>& read : row.reads) {
    if ((read->from == nullptr) != whole || !SameVersion(read->from, from)) continue;
    ++core_.metrics.reads_shared;
    read->waiters.push_back(&subscription);
    subscription.read = read.get();
    return;
  }
  auto read = std::make_unique<Read>();
  read->id = next_read_id_++;
  read->from = from;
  read->waiters.push_back(&subscription);
  subscription.read = read.get();
  const uint64_t id = read->id;
  row.reads.push_back(std::move(read));
  ++core_.metrics.reads;
  core_.source.ReadSince(
      row.key, from,
      [handle = std::weak_ptr<Handle>(handle_), key = row.key, id](Result<RowData> result) {
        const std::shared_ptr<Handle> alive = handle.lock();
        if (alive == nullptr) return;
        alive->fanout->OnReadDone(key, id, std::move(result));
        alive->after();
      });
}

void Fanout::OnReadDone(const RowKey& key, uint64_t read_id, Result<RowData> result) {
  const auto found = rows_.find(key);
  MERROW_CHECK(found != rows_.end());
  WatchedRow& row = *found->second;
  const auto at = std::find_if(row.reads.begin(), row.reads.end(),
                               [read_id](const auto& read) { return read->id == read_id; });
  MERROW_CHECK(at != row.reads.end());
  // Out of the list, so that nobody else joins it; `read` stays in scope for Detach.
  const std::unique_ptr<Read> read = std::move(*at);
  row.reads.erase(at);
  row.is_pinned = true;  // while its waiters are answered
  if (result.ok()) {
    RowData data = std::move(result).value();
    // A read may know of commits before their notice comes; the row's version waits for the notice,
    // because it says what all live subscriptions have.
    if (row.version == nullptr) row.version = data.version;
    if (SameVersion(row.version, data.version)) data.version = row.version;
    EncodedUpdate update(core_, row.key,
                         data.bytes != nullptr ? BytesView(*data.bytes) : BytesView(),
                         data.is_snapshot);
    for (size_t i = 0; i < read->waiters.size(); ++i) {
      if (read->waiters[i] != nullptr) FinishRead(*read->waiters[i], *read, data, update);
    }
  } else {
    for (size_t i = 0; i < read->waiters.size(); ++i) {
      Subscription* const subscription = read->waiters[i];
      if (subscription == nullptr) continue;
      Detach(*subscription);
      subscription->session->OnReadFailed(*subscription, result.error());
    }
  }
  row.is_pinned = false;
  DropRowIfUnused(row);
  for (const SessionId id : read->abandoned_by) {
    if (Session* const session = handle_->find(id)) session->RemoveInFlight(0);
  }
}

// Sends one waiter what the read found, and decides what comes next for it.
void Fanout::FinishRead(Subscription& subscription, const Read& read, const RowData& data,
                        EncodedUpdate& update) {
  Session& session = *subscription.session;
  Detach(subscription);
  const bool is_opening = subscription.state == State::kOpening;
  if (session.is_closed() || session.is_congested()) {
    // Read again when the sink has drained; what was read is not kept.
    if (!is_opening) SetState(subscription, State::kBehind);
    Enqueue(subscription);
    return;
  }
  const SharedVersion claimed = subscription.known;
  const bool lacks = !claimed->Includes(*data.version);
  if (lacks && data.bytes == nullptr) {
    session.OnReadFailed(subscription, Corruption("nothing was read of a row that has more"));
    return;
  }
  const bool repeats =
      lacks && read.from != nullptr && RepeatsKnownOps(*read.from, *claimed, *data.version);
  const bool wants_empty =
      is_opening && read.from == nullptr && session.dialect() == Dialect::kRowFrames;
  const bool sends = data.bytes != nullptr && (lacks || wants_empty) &&
                     (!repeats || subscription.retries >= kOwnOpsRetriesMax);
  if (sends) {
    ++core_.metrics.deltas_sent;
    if (!is_opening) ++core_.metrics.resyncs;
    if (repeats) ++core_.metrics.own_ops_resent;
    subscription.retries = 0;
  } else if (repeats) {
    ++subscription.retries;
  }
  const std::vector<SharedBytes>& messages = sends ? update.For(session.dialect()) : no_messages_;
  if (sends || !lacks) SettleAt(subscription, data.version);
  if (!is_opening) session.SendUpdate(messages);
  if (subscription.known->Includes(*subscription.row->version)) {
    SetState(subscription, State::kLive);
  } else {
    FallBehind(subscription);
  }
  Pump(session);
  // Last, because the session may close the subscription.
  if (is_opening) {
    session.OnOpened(subscription,
                     {.version = data.version, .claimed = claimed, .messages = messages});
  }
}

// --- Upkeep ---

size_t Fanout::MemoryBytes() const {
  // A node of a hash map: a pointer to the next, the pair, the allocator's header.
  constexpr size_t kNodeBytes = 32;
  size_t bytes = rows_.size() * (kNodeBytes + sizeof(RowKey));
  std::unordered_map<const loro::VersionVector*, bool> versions;
  const auto add_version = [&](const SharedVersion& version) {
    if (version == nullptr || !versions.emplace(version.get(), true).second) return;
    bytes += sizeof(loro::VersionVector) + 32 +
             version->entries().capacity() * sizeof(loro::VersionVector::Entry);
  };
  for (const auto& [key, row] : rows_) {
    bytes += sizeof(WatchedRow) + key.table.capacity() + key.key.capacity() +
             row->subscriptions.capacity() * sizeof(Subscription*);
    add_version(row->version);
    for (const Subscription* subscription : row->subscriptions) {
      bytes += sizeof(Subscription) + kNodeBytes + 16;
      add_version(subscription->known);
    }
  }
  return bytes;
}

void Fanout::CheckInvariants() const {
  size_t subscriptions = 0;
  size_t behind = 0;
  for (const auto& [key, row] : rows_) {
    MERROW_CHECK(!row->subscriptions.empty() || !row->reads.empty());
    for (size_t i = 0; i < row->subscriptions.size(); ++i) {
      const Subscription& subscription = *row->subscriptions[i];
      MERROW_CHECK(subscription.row == row.get() && subscription.row_index == i);
      MERROW_CHECK(subscription.known != nullptr);
      ++subscriptions;
      behind += IsBehind(subscription.state);
      const auto& queue = subscription.session->heal_queue;
      MERROW_CHECK(std::count(queue.begin(), queue.end(), &subscription) ==
                   (subscription.is_queued ? 1 : 0));
      if (subscription.state == State::kLive) {
        MERROW_CHECK(!subscription.is_queued && subscription.read == nullptr);
        MERROW_CHECK(subscription.known->Includes(*row->version));
      } else {
        MERROW_CHECK(subscription.is_queued != (subscription.read != nullptr));
      }
      if (subscription.state == State::kHealing) MERROW_CHECK(subscription.read != nullptr);
      if (subscription.read != nullptr) {
        const auto& waiters = subscription.read->waiters;
        MERROW_CHECK(std::count(waiters.begin(), waiters.end(), &subscription) == 1);
      }
    }
  }
  MERROW_CHECK(subscriptions == core_.metrics.subscriptions);
  MERROW_CHECK(behind == core_.metrics.behind);
}

}  // namespace merrow::sync
