// SPDX-License-Identifier: Apache-2.0
#include "loro/op_log.h"

#include <algorithm>
#include <deque>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "loro/history_base.h"
#include "loro/op_log_blocks.h"
#include "loro/op_overlap.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

const Change& ChangeOf(const auto& item) { return item.source->block.changes[item.change]; }
PeerId PeerOf(const auto& item) { return item.source->block.peer; }

// Sorts spans and joins neighbours of one peer.
void JoinSpans(std::vector<IdSpan>* spans) {
  std::sort(spans->begin(), spans->end());
  size_t kept = 0;
  for (const IdSpan& span : *spans) {
    if (kept > 0 && (*spans)[kept - 1].peer == span.peer && (*spans)[kept - 1].end == span.start) {
      (*spans)[kept - 1].end = span.end;
    } else {
      (*spans)[kept++] = span;
    }
  }
  spans->resize(kept);
}

}  // namespace

size_t TableBytes(const ChangeBlock& block) {
  size_t bytes = block.containers.size() * sizeof(ContainerId) +
                 block.keys.size() * sizeof(std::string_view) +
                 block.peers.size() * sizeof(PeerId) + block.positions.size() * sizeof(Bytes);
  for (const Change& change : block.changes) bytes += change.deps.size() * sizeof(Id);
  for (const ContainerId& container : block.containers) {
    if (container.is_root()) bytes += container.name().size();
  }
  for (const Bytes& position : block.positions) bytes += position.size();
  for (const Op& op : block.ops) {
    const bool has_position =
        op.kind == OpKind::kTreeMove && op.parent_kind != TreeParent::kDeleted;
    if (has_position) bytes += block.positions[op.position].size();
  }
  return bytes;
}

OpLog::Plan OpLog::PlanAdmission(std::vector<Pending> candidates) const {
  Plan plan;
  // Mostly a change arrives by itself, and after those that it depends on.
  if (candidates.size() == 1) {
    const Change& change = ChangeOf(candidates[0]);
    const Counter known = version().End(PeerOf(candidates[0]));
    if (change.end() <= known) return plan;
    const bool is_ready = change.counter < known ||
                          (change.counter == known &&
                           std::all_of(change.deps.begin(), change.deps.end(),
                                       [this](const Id& dep) { return version().Includes(dep); }));
    if (is_ready) {
      plan.admitted.push_back({std::move(candidates[0]), known});
    } else {
      plan.waiting = std::move(candidates);
    }
    return plan;
  }
  VersionVector version = graph_.version();
  struct Candidate {
    Pending change;
    size_t deps_met = 0;  // this many from the front are there; versions only grow
  };
  std::map<PeerId, std::multimap<Counter, Candidate>> waiting;  // by the id that is missing
  std::deque<Candidate> queue;
  // Lamport order is causal for honest writers; what is out of order waits for its dependency.
  struct Key {
    Lamport lamport;
    Counter counter;
    PeerId peer;
    size_t at;
  };
  std::vector<Key> order;
  order.reserve(candidates.size());
  for (const Pending& candidate : candidates) {
    const Change& change = ChangeOf(candidate);
    order.push_back({change.lamport, change.counter, PeerOf(candidate), order.size()});
  }
  std::sort(order.begin(), order.end(), [](const Key& a, const Key& b) {
    if (a.lamport != b.lamport) return a.lamport < b.lamport;
    return std::tuple(a.peer, a.counter, a.at) < std::tuple(b.peer, b.counter, b.at);
  });
  plan.admitted.reserve(candidates.size());
  for (const Key& key : order) queue.push_back({std::move(candidates[key.at])});
  while (!queue.empty()) {
    Candidate item = std::move(queue.front());
    queue.pop_front();
    const Change& change = ChangeOf(item.change);
    const PeerId peer = PeerOf(item.change);
    const Counter known = version.End(peer);
    if (change.end() <= known) {
      if (change.end() > graph_.version().End(peer)) {
        plan.repeated.push_back(std::move(item.change));
      }
      continue;
    }
    std::optional<Id> missing;
    if (change.counter > known) {
      missing = Id{peer, change.counter - 1};
    } else if (change.counter == known) {
      while (item.deps_met < change.deps.size() && version.Includes(change.deps[item.deps_met])) {
        ++item.deps_met;
      }
      if (item.deps_met < change.deps.size()) missing = change.deps[item.deps_met];
    }
    if (missing.has_value()) {
      waiting[missing->peer].emplace(missing->counter, std::move(item));
      continue;
    }
    plan.admitted.push_back({std::move(item.change), known});
    version.Set(peer, change.end());
    const auto waiters = waiting.find(peer);
    if (waiters == waiting.end()) continue;
    const auto released = waiters->second.lower_bound(change.end());
    for (auto it = waiters->second.begin(); it != released; ++it) queue.push_back(it->second);
    waiters->second.erase(waiters->second.begin(), released);
  }
  for (const auto& [peer, items] : waiting) {
    for (const auto& [counter, item] : items) plan.waiting.push_back(item.change);
  }
  return plan;
}

void OpLog::StartFrom(std::shared_ptr<const HistoryBase> base) {
  MERROW_CHECK(blocks_.empty() && open_ == nullptr && pending_.empty());
  graph_.StartAt(base->start());
  base_ = std::move(base);
}

// What comes again, of what is known or of what is admitted with it, has to be the same.
Status OpLog::CheckOverlaps(const Plan& plan) const {
  struct Repeat {
    PeerId peer;
    Counter from;
    Counter to;
    const ChangeBlock* block;
  };
  std::vector<Repeat> repeats;
  std::unordered_set<const ChangeBlock*> seen;
  const auto add_new_part = [&](const Pending& change, Counter to) {
    const PeerId peer = PeerOf(change);
    const Counter from = std::max(version().End(peer), ChangeOf(change).counter);
    if (from < to) repeats.push_back({peer, from, to, &change.source->block});
  };
  for (const Plan::Item& item : plan.admitted) {
    const ChangeBlock& block = item.change.source->block;
    const Counter known = version().End(block.peer);
    if (block.counter() < known && seen.insert(&block).second) {
      const Counter first = graph_.start() == nullptr ? 0 : graph_.start()->trimmed.End(block.peer);
      repeats.push_back({block.peer, std::max(first, block.counter()), known, &block});
    }
    add_new_part(item.change, item.from);
  }
  for (const Pending& change : plan.repeated) add_new_part(change, ChangeOf(change).end());
  if (repeats.empty()) return {};

  // The atoms of each peer that are admitted, in order and without gaps.
  std::map<PeerId, std::vector<const Plan::Item*>> admitted;
  for (const Plan::Item& item : plan.admitted) admitted[PeerOf(item.change)].push_back(&item);
  Reader reader(*this);
  const auto block_at = [&](Id id) -> const ChangeBlock* {
    if (version().Includes(id)) return &reader.BlockAt(id);
    const std::vector<const Plan::Item*>& items = admitted[id.peer];
    const auto item = std::upper_bound(
        items.begin(), items.end(), id.counter,
        [](Counter at, const Plan::Item* other) { return at < ChangeOf(other->change).end(); });
    MERROW_CHECK(item != items.end());
    return &(*item)->change.source->block;
  };
  // In this order, steps back in a text are no longer than the repeats are.
  std::sort(repeats.begin(), repeats.end(), [](const Repeat& a, const Repeat& b) {
    return std::tuple(a.peer, a.from, a.to) < std::tuple(b.peer, b.from, b.to);
  });
  std::unordered_map<const ChangeBlock*, OverlapCursor> cursors;
  for (const Repeat& repeat : repeats) {
    for (Counter at = repeat.from; at < repeat.to;) {
      const ChangeBlock* const block = block_at({repeat.peer, at});
      const Counter end = std::min(repeat.to, block->end());
      OverlapCursor* const there = &cursors.try_emplace(block, *block).first->second;
      OverlapCursor* const here = &cursors.try_emplace(repeat.block, *repeat.block).first->second;
      const std::optional<Counter> differs = FirstDifference(there, here, at, end);
      if (differs.has_value()) {
        return Conflict(
            "op id " + ToString(Id{repeat.peer, *differs}) +
            " has been used for another op; each editing session needs a peer id of its own");
      }
      at = end;
    }
  }
  return {};
}

// Makes parked changes own their bytes, and drops those that are there twice.
Result<std::vector<OpLog::Pending>> OpLog::Park(const std::vector<Pending>& waiting) const {
  std::vector<Pending> parked;
  std::set<std::tuple<PeerId, Counter, Counter>> seen;
  std::map<const Incoming*, std::shared_ptr<const Incoming>> owned;
  size_t bytes = 0;
  for (const Pending& item : waiting) {
    const Change& change = ChangeOf(item);
    if (!seen.emplace(PeerOf(item), change.counter, change.end()).second) continue;
    std::shared_ptr<const Incoming>& source = owned[item.source.get()];
    if (source == nullptr) {
      const ChangeBlock& block = item.source->block;
      bytes += item.source->bytes.size() + TableBytes(block) + block.ops.size() * sizeof(Op) +
               block.changes.size() * sizeof(Change);
      if (bytes > kPendingBytesMax) {
        return LimitReached("changes with missing dependencies exceed " +
                            std::to_string(kPendingBytesMax) + " bytes");
      }
      if (item.source->owner != nullptr) {
        source = item.source;
      } else {
        auto copy = std::make_shared<Incoming>();
        copy->owner = std::make_shared<const Bytes>(item.source->bytes);
        copy->bytes = *copy->owner;
        copy->block = DecodeStored(copy->bytes);
        source = std::move(copy);
      }
    }
    parked.push_back({source, item.change});
  }
  return parked;
}

Result<OpLog::Admission> OpLog::Admit(std::vector<std::shared_ptr<const Incoming>> blocks) {
  MERROW_CHECK(uncommitted_ == 0);
  std::vector<Pending> fresh;
  for (const auto& incoming : blocks) {
    for (const Change& change : incoming->block.changes) {
      if (change.lamport > kLamportMax || change.length > kLamportMax - change.lamport) {
        return Corruption("a change of peer " + std::to_string(incoming->block.peer) +
                          " has lamport " + std::to_string(change.lamport));
      }
    }
    for (uint32_t i = 0; i < incoming->block.changes.size(); ++i) {
      fresh.push_back({incoming, i});
    }
  }
  Plan plan;
  if (!pending_.empty()) {
    std::vector<Pending> candidates = pending_;
    candidates.insert(candidates.end(), fresh.begin(), fresh.end());
    plan = PlanAdmission(std::move(candidates));
  }
  if (pending_.empty() || !CheckOverlaps(plan).ok()) {
    plan = PlanAdmission(std::move(fresh));
    MERROW_TRY(CheckOverlaps(plan));
  }
  size_t atoms = graph_.size();
  for (const Plan::Item& item : plan.admitted) {
    atoms += static_cast<size_t>(ChangeOf(item.change).end() - item.from);
    if (atoms > kAtomsMax) {
      return LimitReached("a document has at most " + std::to_string(kAtomsMax) + " atoms");
    }
  }
  MERROW_ASSIGN(std::vector<Pending> parked, Park(plan.waiting));

  Admission admission;
  admission.admitted.reserve(plan.admitted.size());
  const Lv size = graph_.size();
  for (const Plan::Item& item : plan.admitted) {
    const Result<Lv> lv = AppendToGraph(item.change, item.from);
    if (!lv.ok()) {
      // A change is appended or changes nothing.
      if (!admission.admitted.empty()) RollBackGraph(size);
      return lv.error();
    }
    admission.admitted.push_back(
        {item.change.source, item.change.change, item.from, ChangeOf(item.change).end(), *lv});
  }
  StoreAdmitted(admission.admitted);
  for (const Admitted& item : admission.admitted) {
    admission.success.push_back({PeerOf(item), item.from, item.to});
  }
  JoinSpans(&admission.success);

  if (!parked.empty()) {
    std::set<std::tuple<PeerId, Counter, Counter>> incoming;
    for (const auto& source : blocks) {
      for (const Change& change : source->block.changes) {
        incoming.emplace(source->block.peer, change.counter, change.end());
      }
    }
    for (const Pending& item : parked) {
      const Change& change = ChangeOf(item);
      if (!incoming.contains({PeerOf(item), change.counter, change.end()})) continue;
      admission.pending.push_back({PeerOf(item), change.counter, change.end()});
    }
    JoinSpans(&admission.pending);
  }
  pending_ = std::move(parked);
  return admission;
}

// Appends what a change has from `from` on.
Result<Lv> OpLog::AppendToGraph(const Pending& item, Counter from) {
  const Change& change = ChangeOf(item);
  const Id id{PeerOf(item), from};
  const auto length = static_cast<uint32_t>(change.end() - from);
  const Lamport lamport = change.lamport + static_cast<Lamport>(from - change.counter);
  const Id previous = id.Plus(-1);
  const std::span<const Id> deps =
      from > change.counter ? std::span(&previous, 1) : std::span(change.deps);
  if (graph_.IsStart(id)) {
    for (const Id& dep : deps) {
      if (!graph_.IsTrimmed(dep)) {
        return Corruption("op " + ToString(id) + " at the start of the history follows " +
                          ToString(dep));
      }
    }
    if (length > 1 && graph_.start()->frontiers.size() > 1) {
      return Unsupported("op " + ToString(id.Plus(1)) + " does not follow all that is trimmed");
    }
    MERROW_TRY(CheckMarks(item, from));
    return graph_.Append(id, length, lamport, {});
  }
  MERROW_TRY(CheckFollowsStart(id, deps));
  if (from > 0 && !graph_.Precedes(previous, deps)) {
    return Corruption("change " + ToString(id) + " does not follow its peer's op before it");
  }
  MERROW_TRY(CheckMarks(item, from));
  return graph_.Append(id, length, lamport, deps);
}

Status OpLog::CheckFollowsStart(Id id, std::span<const Id> deps) const {
  if (graph_.start() == nullptr) return {};
  for (const Id& dep : deps) {
    if (graph_.LvOf(dep).has_value()) continue;
    return Conflict("op " + ToString(id) + " depends on " + ToString(dep) +
                    ", which is in trimmed history");
  }
  if (graph_.size() >= graph_.start_size() && graph_.FollowsStart(deps)) return {};
  return Conflict("op " + ToString(id) + " does not follow the start of the history " +
                  ToString(graph_.start()->frontiers.front()) + ", before which it is trimmed");
}

// Invariant (4), for what a change has from `from` on.
Status OpLog::CheckMarks(const Pending& item, Counter from) {
  const ChangeBlock& block = item.source->block;
  const Change& change = ChangeOf(item);
  const auto open = open_marks_.find(block.peer);
  if (!block.may_have_marks && open == open_marks_.end()) return {};
  const ContainerId* mark = open == open_marks_.end() ? nullptr : &open->second;
  const auto ops = std::span(block.ops).subspan(change.first_op, change.op_count);
  for (const Op& op : ops) {
    if (op.end() <= from) continue;
    const ContainerId& container = block.containers[op.container];
    const Id id{block.peer, op.counter};
    // What a trimmed history starts with is shown by its base.
    if (op.kind == OpKind::kTextMarkEnd && (mark == nullptr || container != *mark) &&
        !graph_.IsStart(id)) {
      return Corruption("op " + ToString(id) + " ends a mark that does not start right before");
    }
    mark = op.kind == OpKind::kTextMarkStart ? &container : nullptr;
  }
  if (mark != nullptr) {
    open_marks_.insert_or_assign(block.peer, *mark);
  } else if (open != open_marks_.end()) {
    open_marks_.erase(open);
  }
  return {};
}

// Forgets atoms whose blocks are not stored yet or about to go.
void OpLog::RollBackGraph(Lv size) {
  std::set<PeerId> peers;
  for (Lv lv = size; lv < graph_.size(); lv = graph_.RunOf(lv).end) {
    peers.insert(graph_.IdOf(lv).peer);
  }
  graph_.RollBack(size);
  Reader reader(*this);
  for (const PeerId peer : peers) {
    open_marks_.erase(peer);
    const Id last{peer, version().End(peer) - 1};
    if (!graph_.LvOf(last).has_value()) continue;
    const ChangeBlock& block = reader.BlockAt(last);
    const auto op = std::upper_bound(block.ops.begin(), block.ops.end(), last.counter,
                                     [](Counter at, const Op& other) { return at < other.end(); });
    MERROW_CHECK(op != block.ops.end());
    if (op->kind == OpKind::kTextMarkStart) {
      open_marks_.emplace(peer, block.containers[op->container]);
    }
  }
}

void OpLog::RollBack(Lv size) {
  MERROW_CHECK(uncommitted_ == 0);
  RollBackGraph(size);
  heads_timestamp_.reset();
  pending_.clear();
  for (auto it = blocks_.begin(); it != blocks_.end();) {
    const Counter end = version().End(it->first);
    while (!it->second.empty() && it->second.back().start >= end) it->second.pop_back();
    it = it->second.empty() ? blocks_.erase(it) : std::next(it);
  }
}

void OpLog::StoreAdmitted(const std::vector<Admitted>& admitted) {
  if (admitted.empty()) return;
  heads_timestamp_.reset();
  std::vector<const Admitted*> items;
  items.reserve(admitted.size());
  for (const Admitted& item : admitted) {
    items.push_back(&item);
    timestamp_max_ = std::max(timestamp_max_, item.source->block.changes[item.change].timestamp);
  }
  // Admission was causal, so the items of one peer are in counter order and without gaps.
  if (items.size() > 1) {
    std::sort(items.begin(), items.end(), [](const Admitted* a, const Admitted* b) {
      return std::pair(PeerOf(*a), a->from) < std::pair(PeerOf(*b), b->from);
    });
  }
  for (size_t i = 0; i < items.size();) {
    const Incoming& source = *items[i]->source;
    const PeerId peer = source.block.peer;
    if (peer == local_peer_) SealOpenBlock();
    const Counter from = items[i]->from;
    size_t j = i;
    while (j < items.size() && items[j]->source.get() == &source) ++j;
    const Counter to = items[j - 1]->to;
    const bool whole = from == source.block.counter() && to == source.block.end();
    blocks_[peer].push_back({from, to,
                             whole ? Bytes(source.bytes) : SliceBlock(source.block, from, to),
                             next_token_++});
    i = j;
  }
}

void OpLog::DropPending() { pending_.clear(); }

void OpLog::SetLocalPeer(PeerId peer) {
  MERROW_CHECK(uncommitted_ == 0);
  SealOpenBlock();
  local_peer_ = peer;
}

Id OpLog::NextId() const {
  return {local_peer_, version().End(local_peer_) + static_cast<Counter>(uncommitted_)};
}

Lamport OpLog::NextLamport() const {
  if (uncommitted_ > 0) return uncommitted_lamport_ + uncommitted_;
  return graph_.LamportAfterHeads();
}

ChangeBlockBuilder& OpLog::Builder() {
  if (uncommitted_ > 0 && !open_->full()) return *open_;
  // More ops than one block may hold become several changes.
  Commit();
  const Id next = NextId();
  if (next.counter > 0 && graph_.IsOnlyHead(next.Plus(-1))) {
    uncommitted_deps_.assign(1, next.Plus(-1));
  } else {
    uncommitted_deps_ = graph_.frontiers();
  }
  uncommitted_lamport_ = graph_.LamportAfterHeads();
  if (open_ != nullptr && (open_->full() || open_->EstimatedBytes() >= kBlockBytesTarget)) {
    SealOpenBlock();
  }
  // A change that only follows the peer's own last one continues it: one change, longer runs.
  // Should it turn out to have a message or a later timestamp, Commit cuts it off.
  const bool continues = open_ != nullptr && open_->LastMessage().empty() &&
                         uncommitted_deps_.size() == 1 && uncommitted_deps_[0] == next.Plus(-1);
  if (open_ == nullptr) {
    open_ = std::make_unique<ChangeBlockBuilder>(local_peer_);
    open_start_ = next.counter;
  }
  if (!continues) {
    open_->BeginChange(next.counter, uncommitted_lamport_, uncommitted_deps_, 0, "");
  }
  return *open_;
}

void OpLog::Commit(int64_t timestamp, std::string_view message) {
  if (uncommitted_ == 0) return;
  const Id first{local_peer_, version().End(local_peer_)};
  timestamp = std::max(timestamp, TimestampOfHeads());
  if (open_->LastTimestamp() != timestamp || open_->LastMessage() != message) {
    open_->SplitLastChange(first.counter);
    open_->SetLastMeta(timestamp, message);
  }
  timestamp_max_ = std::max(timestamp_max_, timestamp);
  heads_timestamp_ = timestamp;
  graph_.Append(first, uncommitted_, uncommitted_lamport_, uncommitted_deps_);
  uncommitted_ = 0;
  open_marks_.erase(local_peer_);  // local marks are whole
}

int64_t OpLog::TimestampOfHeads() {
  if (!heads_timestamp_.has_value()) {
    heads_timestamp_ = 0;
    Reader reader(*this);
    // Most documents record no timestamps.
    for (const Id& head : timestamp_max_ > 0 ? graph_.frontiers() : Frontiers()) {
      const std::vector<Change>& changes = reader.BlockAt(head).changes;
      const auto after = std::upper_bound(
          changes.begin(), changes.end(), head.counter,
          [](Counter counter, const Change& change) { return counter < change.counter; });
      heads_timestamp_ = std::max(*heads_timestamp_, (after - 1)->timestamp);
    }
  }
  return *heads_timestamp_;
}

void OpLog::SealOpenBlock() {
  if (open_ == nullptr) return;
  MERROW_CHECK(uncommitted_ == 0);
  blocks_[local_peer_].push_back({open_start_, open_->end(), open_->Encode(), next_token_++});
  open_.reset();
}

bool OpLog::InOpenBlock(Id id) const {
  return open_ != nullptr && id.peer == local_peer_ && id.counter >= open_start_;
}

size_t OpLog::MemoryBytes() const {
  size_t bytes = graph_.MemoryBytes() + (base_ == nullptr ? 0 : base_->MemoryBytes());
  for (const auto& [peer, blocks] : blocks_) {
    bytes += sizeof(PeerId) + sizeof(PeerBlocks) + 48;  // with the map's node
    bytes += blocks.capacity() * sizeof(StoredBlock);
    for (const StoredBlock& block : blocks) bytes += block.bytes.capacity();
  }
  if (open_ != nullptr) bytes += 1024 + 2 * open_->EstimatedBytes();
  const Incoming* last = nullptr;
  for (const Pending& item : pending_) {
    if (item.source.get() != last) bytes += 512 + 2 * item.source->bytes.size();
    last = item.source.get();
  }
  return bytes;
}

void OpLog::CheckInvariants() const {
  graph_.CheckInvariants();
  for (const auto& [peer, blocks] : blocks_) {
    Counter at = graph_.start() == nullptr ? 0 : graph_.start()->trimmed.End(peer);
    for (const StoredBlock& block : blocks) {
      MERROW_CHECK(block.start == at && block.end > block.start);
      at = block.end;
      const ChangeBlock decoded = DecodeStored(block.bytes);
      MERROW_CHECK(decoded.peer == peer && decoded.counter() == block.start &&
                   decoded.end() == block.end);
    }
    if (open_ != nullptr && peer == local_peer_) MERROW_CHECK(at == open_start_);
    const bool complete = at == version().End(peer);
    MERROW_CHECK(complete || (open_ != nullptr && peer == local_peer_));
  }
}

}  // namespace merrow::loro
