// SPDX-License-Identifier: Apache-2.0
#include "loro/causal_graph.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "merrow/check.h"

namespace merrow::loro {
namespace {

// What a walk back through the graph is still to visit, latest first. Mostly that is little.
template <typename Entry>
class WalkQueue {
 public:
  bool empty() const { return count_ == 0 && many_.empty(); }
  const Entry& top() const { return many_.empty() ? few_[count_ - 1] : many_.top(); }
  void pop() {
    if (many_.empty()) {
      --count_;
    } else {
      many_.pop();
    }
  }
  void push(const Entry& entry) {
    if (!many_.empty() || count_ == kFew) return PushToMany(entry);
    size_t at = count_++;
    for (; at > 0 && entry < few_[at - 1]; --at) few_[at] = few_[at - 1];
    few_[at] = entry;
  }

 private:
  static constexpr size_t kFew = 16;

  void PushToMany(const Entry& entry) {
    for (; count_ > 0; --count_) many_.push(few_[count_ - 1]);
    many_.push(entry);
  }

  Entry few_[kFew];  // ascending; none if there are many
  size_t count_ = 0;
  std::priority_queue<Entry> many_;
};

}  // namespace

uint32_t CausalGraph::InternPeer(PeerId peer) {
  const auto it =
      std::lower_bound(peer_order_.begin(), peer_order_.end(), peer,
                       [this](uint32_t index, PeerId key) { return peers_[index] < key; });
  if (it != peer_order_.end() && peers_[*it] == peer) return *it;
  const auto index = static_cast<uint32_t>(peers_.size());
  peer_order_.insert(it, index);
  peers_.push_back(peer);
  peer_runs_.emplace_back();
  return index;
}

const std::vector<CausalGraph::PeerRun>* CausalGraph::RunsOfPeer(PeerId peer) const {
  const auto it =
      std::lower_bound(peer_order_.begin(), peer_order_.end(), peer,
                       [this](uint32_t index, PeerId key) { return peers_[index] < key; });
  if (it == peer_order_.end() || peers_[*it] != peer) return nullptr;
  return &peer_runs_[*it];
}

void CausalGraph::StartAt(Start start) {
  MERROW_CHECK(size() == 0 && start_ == nullptr && !start.frontiers.empty());
  for (const Id& id : start.frontiers) MERROW_CHECK(start.trimmed.End(id.peer) == id.counter);
  version_ = start.trimmed;
  start_ = std::make_shared<const Start>(std::move(start));
}

bool CausalGraph::IsStart(Id id) const {
  return start_ != nullptr && std::find(start_->frontiers.begin(), start_->frontiers.end(), id) !=
                                  start_->frontiers.end();
}

bool CausalGraph::FollowsStart(std::span<const Id> ids) const {
  // By (6) everything later follows all starting atoms; these only follow themselves.
  std::vector<Lv> starting;
  for (const Id& id : ids) {
    const Lv lv = *LvOf(id);
    if (lv >= start_size()) return true;
    starting.push_back(lv);
  }
  std::sort(starting.begin(), starting.end());
  starting.erase(std::unique(starting.begin(), starting.end()), starting.end());
  return starting.size() == start_size();
}

Frontiers CausalGraph::frontiers() const {
  Frontiers frontiers;
  frontiers.reserve(heads_.size());
  for (const Lv head : heads_) frontiers.push_back(IdOf(head));
  std::sort(frontiers.begin(), frontiers.end());
  return frontiers;
}

size_t CausalGraph::RunIndexOf(Lv lv) const {
  MERROW_DCHECK(lv < size());
  // Mostly it is among the last.
  constexpr size_t kLast = 4;
  size_t end = runs_.size();
  for (size_t i = 0; i < kLast && end > 0; ++i) {
    if (lv >= runs_[--end].start) return end;
  }
  const auto it = std::upper_bound(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(end), lv,
                                   [](Lv key, const Run& run) { return key < run.start; });
  return static_cast<size_t>(it - runs_.begin()) - 1;
}

size_t CausalGraph::RunIndexNear(Lv lv, size_t near) const {
  MERROW_DCHECK(lv < size());
  // Steps away from there, each twice the one before, until it is in [low, high).
  size_t low = near;
  size_t high = near;
  if (lv >= runs_[near].start) {
    for (size_t step = 1; high < runs_.size() && lv >= runs_[high].start; step *= 2) {
      low = high;
      high = std::min(high + step, runs_.size());
    }
  } else {
    for (size_t step = 1; lv < runs_[low].start; step *= 2) {
      high = low;
      low -= std::min(step, low);
    }
  }
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (lv >= runs_[middle].start ? low : high) = middle;
  }
  return low;
}

std::optional<Lv> CausalGraph::LvOf(Id id) const {
  if (id.counter < 0 || !version_.Includes(id)) return std::nullopt;
  if (IsTrimmed(id)) return std::nullopt;
  const std::vector<PeerRun>& runs = *RunsOfPeer(id.peer);
  if (id.counter >= runs.back().counter) {
    return runs.back().lv + static_cast<Lv>(id.counter - runs.back().counter);
  }
  const auto it =
      std::upper_bound(runs.begin(), runs.end(), id.counter,
                       [](Counter key, const PeerRun& run) { return key < run.counter; });
  if (it == runs.begin()) return std::nullopt;
  const PeerRun& run = *(it - 1);
  return run.lv + static_cast<Lv>(id.counter - run.counter);
}

std::optional<Lv> CausalGraph::LvOf(const IdLp& id) const {
  const std::vector<PeerRun>* const runs = RunsOfPeer(id.peer);
  if (runs == nullptr) return std::nullopt;
  // A peer's lamports ascend, also within one of its runs here, where they may skip some.
  const auto after =
      std::upper_bound(runs->begin(), runs->end(), id.lamport,
                       [this](Lamport key, const PeerRun& run) { return key < LamportOf(run.lv); });
  if (after == runs->begin()) return std::nullopt;
  const PeerRun& run = *(after - 1);
  const Counter end = after == runs->end() ? version_.End(id.peer) : after->counter;
  Lv first = run.lv;
  for (Lv count = static_cast<Lv>(end - run.counter); count > 1;) {
    const Lv half = count / 2;
    if (LamportOf(first + half) <= id.lamport) {
      first += half;
      count -= half;
    } else {
      count = half;
    }
  }
  if (LamportOf(first) != id.lamport) return std::nullopt;
  return first;
}

Id CausalGraph::IdOf(Lv lv) const { return RunOf(lv).IdAt(lv, *this); }

Lamport CausalGraph::LamportAfterHeads() const {
  Lamport lamport = 0;
  for (const Lv head : heads_) lamport = std::max(lamport, LamportOf(head) + 1);
  return lamport;
}

Lamport CausalGraph::LamportAfter(std::span<const Id> deps) const {
  Lamport lamport = 0;
  for (const Id& dep : deps) {
    const std::optional<Lv> lv = LvOf(dep);
    MERROW_CHECK(lv.has_value());
    lamport = std::max(lamport, LamportOf(*lv) + 1);
  }
  return lamport;
}

Lv CausalGraph::Append(Id id, uint32_t length, Lamport lamport, std::span<const Id> deps) {
  MERROW_CHECK(length > 0 && id.counter == version_.End(id.peer));
  // Mostly a peer goes on where it was, with what was appended last.
  if (deps.size() == 1 && id.counter > 0 && deps[0] == id.Plus(-1) && heads_.size() == 1 &&
      peers_[runs_.back().peer] == id.peer && runs_.back().LamportAt(size()) >= lamport) {
    const Lv start = size();
    runs_.back().end += length;
    heads_[0] = start + length - 1;
    version_.Set(id.peer, id.counter + static_cast<Counter>(length));
    return start;
  }
  std::vector<Lv> parents;
  parents.reserve(deps.size());
  for (const Id& dep : deps) {
    const std::optional<Lv> lv = LvOf(dep);
    MERROW_CHECK(lv.has_value());
    parents.push_back(*lv);
  }
  std::sort(parents.begin(), parents.end());
  parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
  for (const Lv parent : parents) lamport = std::max(lamport, LamportOf(parent) + 1);

  const Lv start = size();
  const Lv end = start + length;
  const uint32_t peer = InternPeer(id.peer);

  for (const Lv parent : parents) {
    const auto head = std::lower_bound(heads_.begin(), heads_.end(), parent);
    if (head != heads_.end() && *head == parent) heads_.erase(head);
  }
  heads_.push_back(end - 1);

  const bool continues = !runs_.empty() && parents.size() == 1 && parents[0] + 1 == start &&
                         runs_.back().peer == peer && runs_.back().LamportAt(start) == lamport;
  if (continues) {
    runs_.back().end = end;
  } else {
    runs_.push_back({start, end, peer, id.counter, lamport, std::move(parents)});
  }

  std::vector<PeerRun>& peer_runs = peer_runs_[peer];
  const bool peer_continues =
      !peer_runs.empty() &&
      peer_runs.back().lv + static_cast<Lv>(id.counter - peer_runs.back().counter) == start;
  if (!peer_continues) peer_runs.push_back({id.counter, start});
  version_.Set(id.peer, id.counter + static_cast<Counter>(length));
  return start;
}

void CausalGraph::RollBack(Lv size) {
  while (!runs_.empty() && runs_.back().end > size) {
    Run& run = runs_.back();
    const Lv kept = run.start < size ? size - run.start : 0;
    version_.Set(peers_[run.peer], run.counter + static_cast<Counter>(kept));
    run.end = run.start + kept;
    if (kept > 0) break;
    runs_.pop_back();
  }
  for (std::vector<PeerRun>& runs : peer_runs_) {
    while (!runs.empty() && runs.back().lv >= size) runs.pop_back();
  }
  // Peers are entered with their first atom, so those without one came last.
  while (!peers_.empty() && peer_runs_.back().empty()) {
    peers_.pop_back();
    peer_runs_.pop_back();
  }
  std::erase_if(peer_order_, [this](uint32_t index) { return index >= peers_.size(); });
  std::unordered_set<Lv> parents;
  for (const Run& run : runs_) parents.insert(run.parents.begin(), run.parents.end());
  heads_.clear();
  for (const Run& run : runs_) {
    if (!parents.contains(run.end - 1)) heads_.push_back(run.end - 1);
  }
}

bool CausalGraph::Precedes(Id id, std::span<const Id> deps) const {
  for (const Id& dep : deps) {
    if (dep.peer == id.peer && dep.counter >= id.counter) return true;  // by (5)
  }
  if (IsTrimmed(id)) return true;
  const std::optional<Lv> lv = LvOf(id);
  MERROW_CHECK(lv.has_value());
  std::vector<Lv> heads;
  for (const Id& dep : deps) {
    const std::optional<Lv> head = LvOf(dep);
    MERROW_CHECK(head.has_value());
    heads.push_back(*head);
  }
  std::sort(heads.begin(), heads.end());
  return Diff({&*lv, 1}, heads).only_a.empty();
}

void CausalGraph::Diff(std::span<const Lv> a, std::span<const Lv> b, size_t near,
                       Difference* difference) const {
  difference->only_a.clear();
  difference->only_b.clear();
  if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return;
  // The common steps between neighbours on one run need no queue.
  if (a.size() == 1 && b.size() == 1) {
    near = RunIndexNear(std::max(a[0], b[0]), near);
    if (std::min(a[0], b[0]) >= runs_[near].start) {
      if (a[0] > b[0]) difference->only_a.push_back({b[0] + 1, a[0] + 1});
      if (b[0] > a[0]) difference->only_b.push_back({a[0] + 1, b[0] + 1});
      return;
    }
  }

  enum : uint8_t { kA = 1, kB = 2, kBoth = 3 };
  struct Entry {
    Lv lv;
    uint8_t sides;
    bool operator<(const Entry& other) const { return lv < other.lv; }
  };
  WalkQueue<Entry> queue;
  for (const Lv lv : a) queue.push({lv, kA});
  for (const Lv lv : b) queue.push({lv, kB});
  // Entries in the queue that only one side reached; when none is left the rest is common.
  size_t one_sided = a.size() + b.size();

  const auto emit = [difference](uint8_t sides, Lv start, Lv end) {
    if (start == end || sides == kBoth) return;
    std::vector<LvSpan>& spans = sides == kA ? difference->only_a : difference->only_b;
    if (!spans.empty() && spans.back().start == end) {
      spans.back().start = start;
    } else {
      spans.push_back({start, end});
    }
  };
  while (one_sided > 0) {
    Entry entry = queue.top();
    queue.pop();
    if (entry.sides != kBoth) --one_sided;
    near = RunIndexNear(entry.lv, near);
    const Run& run = runs_[near];
    // Everything in the queue that lies on this run is an ancestor of `entry`.
    Lv end = entry.lv + 1;
    while (!queue.empty() && queue.top().lv >= run.start) {
      const Entry next = queue.top();
      queue.pop();
      if (next.sides != kBoth) --one_sided;
      if ((next.sides | entry.sides) != entry.sides) {
        emit(entry.sides, next.lv + 1, end);
        end = next.lv + 1;
        entry.sides |= next.sides;
      }
    }
    emit(entry.sides, run.start, end);
    for (const Lv parent : run.parents) {
      queue.push({parent, entry.sides});
      if (entry.sides != kBoth) ++one_sided;
    }
  }
}

std::optional<std::vector<Lv>> CausalGraph::HeadsOf(std::span<const Id> ids) const {
  struct Entry {
    Lv lv;
    bool is_given;  // not reached from another
    bool operator<(const Entry& other) const {
      return std::pair(lv, !is_given) < std::pair(other.lv, !other.is_given);
    }
  };
  std::vector<Lv> given;
  for (const Id& id : ids) {
    const std::optional<Lv> lv = LvOf(id);
    if (!lv.has_value()) return std::nullopt;
    given.push_back(*lv);
  }
  if (!FollowsStart(ids)) return std::nullopt;
  std::sort(given.begin(), given.end());
  given.erase(std::unique(given.begin(), given.end()), given.end());
  if (given.size() < 2) return given;

  std::vector<Lv> heads;
  std::priority_queue<Entry> queue;
  for (const Lv lv : given) queue.push({lv, true});
  for (size_t given_left = given.size(); given_left > 0;) {
    const Entry entry = queue.top();
    queue.pop();
    const Run& run = RunOf(entry.lv);
    if (entry.is_given) {
      heads.push_back(entry.lv);
      --given_left;
    }
    // What else lies on this run precedes the entry, or was reached already if it is the same.
    while (!queue.empty() && queue.top().lv >= run.start) {
      if (queue.top().is_given) --given_left;
      queue.pop();
    }
    for (const Lv parent : run.parents) queue.push({parent, false});
  }
  std::reverse(heads.begin(), heads.end());
  return heads;
}

std::vector<LvSpan> CausalGraph::AtomsOf(std::span<const Lv> heads) const {
  std::vector<LvSpan> atoms = Diff(heads, {}).only_a;
  std::reverse(atoms.begin(), atoms.end());
  return atoms;
}

std::vector<LvSpan> CausalGraph::CriticalAtoms(std::span<const Lv> heads, Lv from) const {
  // Walk back from all heads. When a single atom is left to visit, every atom visited so far
  // follows it and every other one precedes it; and so it is with those before it on its run.
  std::vector<LvSpan> critical;
  std::priority_queue<Lv> queue(heads.begin(), heads.end());
  while (!queue.empty()) {
    const Lv lv = queue.top();
    while (!queue.empty() && queue.top() == lv) queue.pop();
    const Run& run = RunOf(lv);
    if (queue.empty()) {
      const Lv enough = std::min(lv, from == 0 ? 0 : from - 1);
      const Lv first = std::max(run.start, enough);
      if (!critical.empty() && critical.back().start == lv + 1) {
        critical.back().start = first;
      } else {
        critical.push_back({first, lv + 1});
      }
      if (first < from) break;
    } else if (queue.top() >= run.start) {
      continue;
    }
    // An atom without parents follows nothing, so nothing before it can be critical.
    if (run.parents.empty()) break;
    for (const Lv parent : run.parents) queue.push(parent);
  }
  std::reverse(critical.begin(), critical.end());
  return critical;
}

VersionVector CausalGraph::VersionOf(std::span<const Lv> heads) const {
  VersionVector version;
  if (start_ != nullptr) version = start_->trimmed;
  for (const LvSpan& span : Diff(heads, {}).only_a) {
    for (Lv lv = span.start; lv < span.end;) {
      const Run& run = RunOf(lv);
      const Lv end = std::min(span.end, run.end);
      const Id last = run.IdAt(end - 1, *this);
      version.Extend(last.peer, last.counter + 1);
      lv = end;
    }
  }
  return version;
}

std::optional<VersionVector> CausalGraph::VersionOf(std::span<const Id> frontiers) const {
  const std::optional<std::vector<Lv>> heads = HeadsOf(frontiers);
  if (!heads.has_value()) return std::nullopt;
  return VersionOf(*heads);
}

Frontiers CausalGraph::FrontiersOf(const VersionVector& version) const {
  std::vector<Id> last;
  if (start_ != nullptr) last = start_->frontiers;
  for (const VersionVector::Entry& entry : version.entries()) {
    const Id id{entry.peer, std::min(entry.end, version_.End(entry.peer)) - 1};
    if (LvOf(id).has_value()) last.push_back(id);
  }
  const std::optional<std::vector<Lv>> heads = HeadsOf(last);
  MERROW_CHECK(heads.has_value());
  Frontiers frontiers;
  for (const Lv head : *heads) frontiers.push_back(IdOf(head));
  std::sort(frontiers.begin(), frontiers.end());
  return frontiers;
}

size_t CausalGraph::MemoryBytes() const {
  size_t bytes = runs_.capacity() * sizeof(Run) + peers_.capacity() * sizeof(PeerId) +
                 peer_order_.capacity() * sizeof(uint32_t) +
                 peer_runs_.capacity() * sizeof(std::vector<PeerRun>) +
                 heads_.capacity() * sizeof(Lv) +
                 version_.entries().capacity() * sizeof(VersionVector::Entry);
  for (const Run& run : runs_) bytes += run.parents.capacity() * sizeof(Lv);
  for (const auto& runs : peer_runs_) bytes += runs.capacity() * sizeof(PeerRun);
  return bytes;
}

void CausalGraph::CheckInvariants() const {
  Lv at = 0;
  std::unordered_set<Lv> with_children;
  for (const Run& run : runs_) {
    MERROW_CHECK(run.start == at && run.end > run.start);
    at = run.end;
    for (const Lv parent : run.parents) {
      MERROW_CHECK(parent < run.start);
      MERROW_CHECK(LamportOf(parent) < run.lamport);
      with_children.insert(parent);
    }
    for (Lv lv = run.start; lv + 1 < run.end; ++lv) with_children.insert(lv);
    MERROW_CHECK(LvOf(run.IdAt(run.start, *this)) == run.start);
    MERROW_CHECK(LvOf(run.IdAt(run.end - 1, *this)) == run.end - 1);
  }
  for (const Run& run : runs_) {
    if (run.start < start_size()) {
      MERROW_CHECK(IsStart(run.IdAt(run.start, *this)) && run.parents.empty());
    } else if (start_ != nullptr) {
      std::vector<Id> parents;
      for (const Lv parent : run.parents) parents.push_back(IdOf(parent));
      MERROW_CHECK(FollowsStart(parents));
    }
    const Id before{peers_[run.peer], run.counter - 1};
    if (before.counter < 0 || IsTrimmed(before)) continue;
    const std::optional<Lv> previous = LvOf(before);
    MERROW_CHECK(previous.has_value() && Diff({&*previous, 1}, run.parents).only_a.empty());
  }
  MERROW_CHECK(std::is_sorted(heads_.begin(), heads_.end()));
  for (const Lv head : heads_) MERROW_CHECK(with_children.count(head) == 0);
  MERROW_CHECK(with_children.size() + heads_.size() == size());
}

}  // namespace merrow::loro
