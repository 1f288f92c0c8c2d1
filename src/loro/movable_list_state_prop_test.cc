// SPDX-License-Identifier: Apache-2.0
//
// The movable list against its definition: peers edit and exchange ops in random order, and after
// each step the items are those of the replayed sequence and the elements what comparing all their
// ops gives.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "loro/movable_list_state.h"
#include "loro/sequence_model.h"
#include "loro/sequence_tracker.h"
#include "loro/state_codec.h"

namespace merrow::loro {
namespace {

struct ListOp {
  enum class Kind { kInsert, kDelete, kMove, kSet };
  Kind kind = Kind::kInsert;
  Id id;
  Lamport lamport = 0;
  uint32_t length = 1;    // atoms
  uint32_t position = 0;  // op index; kMove: to
  uint32_t from = 0;      // kMove
  IdLp element;           // kMove, kSet
  ModelVersion version;   // made at

  IdLp idlp() const { return {lamport, id.peer}; }
  /// What the op writes as its i-th value: different for every atom.
  Value ValueAt(uint32_t i) const {
    return Value(static_cast<int64_t>(id.peer % 1000) * 1'000'000 + id.counter + i);
  }
};

/// Elements as their definition says, by looking at all ops.
std::map<IdLp, ElementHistory> ElementsOf(const std::vector<const ListOp*>& ops) {
  std::map<IdLp, ElementHistory> elements;
  for (const ListOp* op : ops) {
    if (op->kind != ListOp::Kind::kInsert) continue;
    for (uint32_t i = 0; i < op->length; ++i) {
      const IdLp name{op->lamport + i, op->id.peer};
      elements[name] = {.value = op->ValueAt(i), .last_set = name, .position = name};
    }
  }
  for (const ListOp* op : ops) {
    if (op->kind == ListOp::Kind::kMove) {
      ElementHistory& element = elements.at(op->element);
      element.position = std::max(element.position, op->idlp());
    } else if (op->kind == ListOp::Kind::kSet) {
      ElementHistory& element = elements.at(op->element);
      if (element.last_set < op->idlp()) {
        element.last_set = op->idlp();
        element.value = op->ValueAt(0);
      }
    }
  }
  return elements;
}

struct Options {
  uint32_t peers = 2;
  uint32_t steps = 40;
  uint32_t insert_max = 4;
  double exchange_chance = 0.25;
};

class Peer {
 public:
  Peer(PeerId peer, uint64_t seed) : peer_(peer), random_(seed), tracker_(0) {}

  const std::vector<const ListOp*>& ops() const { return ops_; }

  void Edit(std::deque<ListOp>* pool, const Options& options) {
    ListOp op;
    op.id = {peer_, next_};
    op.lamport = lamport_;
    op.version = known_;
    const uint32_t length = list_.length();
    const uint64_t kind = length == 0 ? 0 : random_() % 10;
    if (kind < 3) {
      op.length = 1 + static_cast<uint32_t>(random_() % options.insert_max);
      op.position = list_.OpIndexOf(Below(length + 1)).value();
      Make(pool, op);
    } else if (kind < 6) {
      const auto move = list_.OpForMove(Below(length), Below(length));
      ASSERT_TRUE(move.ok());
      if (!move->has_value()) return;
      op.kind = ListOp::Kind::kMove;
      op.from = (*move)->from;
      op.position = (*move)->to;
      op.element = (*move)->element;
      Make(pool, op);
    } else if (kind < 8) {
      op.kind = ListOp::Kind::kSet;
      op.element = list_.Item(Below(length))->element();
      Make(pool, op);
    } else {
      const uint32_t index = Below(length);
      const uint32_t count = 1 + Below(std::min(options.insert_max + 1, length - index));
      const auto runs = list_.RunsForDelete(index, count);
      ASSERT_TRUE(runs.ok());
      uint32_t deleted = 0;
      for (const DeleteRun& run : *runs) {
        op.kind = ListOp::Kind::kDelete;
        op.id = {peer_, next_};
        op.lamport = lamport_;
        op.length = run.count;
        op.position = run.index;
        op.version = known_;
        deleted += run.count;
        Make(pool, op);
      }
      ASSERT_EQ(deleted, count);
      ASSERT_EQ(list_.length(), length - count);
    }
  }

  /// Takes over some of the ops that another peer has.
  void Receive(const Peer& other) {
    std::vector<const ListOp*> fresh(other.ops_.begin(),
                                     other.ops_.begin() + Below(Size(other.ops_) + 1));
    std::erase_if(fresh, [this](const ListOp* op) { return Has(known_, op->id); });
    // The history that is looked up holds all that arrive, or only those up to the op.
    std::vector<const ListOp*> history = ops_;
    const bool all_at_once = random_() % 2 == 0;
    if (all_at_once) history.insert(history.end(), fresh.begin(), fresh.end());
    for (const ListOp* op : fresh) {
      if (!all_at_once) history.push_back(op);
      Merge(*op, history);
    }
  }

  void Reload() {
    auto loaded = MovableListState::FromImage(list_.ToImage());
    ASSERT_TRUE(loaded.ok());
    list_ = std::move(loaded).value();
  }

  void Check() const {
    list_.CheckInvariants();
    const std::vector<MovableListItem> expected = ExpectedItems();
    std::vector<MovableListItem> items;
    list_.ForEachItem([&items](const MovableListItem& item) { items.push_back(item); });
    ASSERT_TRUE(items == expected);
    uint32_t visible = 0;
    for (uint32_t i = 0; i < items.size(); ++i) {
      ASSERT_EQ(list_.UserIndexOf(i).value(), visible);
      if (!items[i].visible) continue;
      ASSERT_EQ(list_.OpIndexOf(visible).value(), i);
      ASSERT_EQ(*list_.Item(visible), items[i]);
      ASSERT_EQ(*list_.Find(items[i].element()), items[i]);
      ++visible;
    }
    ASSERT_EQ(list_.length(), visible);
    ASSERT_EQ(list_.item_count(), items.size());
    ASSERT_EQ(list_.Item(visible), nullptr);
  }

 private:
  static uint32_t Size(const std::vector<const ListOp*>& ops) {
    return static_cast<uint32_t>(ops.size());
  }
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

  std::vector<MovableListItem> ExpectedItems() const {
    std::map<IdLp, IdLp> element_at;  // by position
    const std::map<IdLp, ElementHistory> elements = ElementsOf(ops_);
    for (const auto& [name, element] : elements) element_at[element.position] = name;
    std::map<Id, Lamport> lamports;
    for (const ListOp* op : ops_) {
      for (uint32_t i = 0; i < op->length; ++i) {
        lamports[op->id.Plus(static_cast<Counter>(i))] = op->lamport + i;
      }
    }
    std::vector<MovableListItem> items;
    for (const SequenceTracker::EffectRun& run : tracker_.EffectRuns()) {
      for (uint32_t i = 0; i < run.length; ++i) {
        const Id id = run.id.Plus(static_cast<Counter>(i));
        MovableListItem item = MovableListItem::Invisible(id, lamports.at(id));
        const auto at = element_at.find(item.idlp());
        if (at != element_at.end()) {
          const ElementHistory& element = elements.at(at->second);
          item.Show(at->second, element.last_set, element.value);
        }
        items.push_back(item);
      }
    }
    return items;
  }

  /// A local op: its positions are those of the current state.
  void Make(std::deque<ListOp>* pool, const ListOp& op) {
    pool->push_back(op);
    next_ += static_cast<Counter>(op.length);
    Apply(pool->back(), nullptr, /*local=*/true);
  }

  void Merge(const ListOp& op, const std::vector<const ListOp*>& history) {
    Apply(
        op,
        [&history](IdLp element) -> Result<ElementHistory> {
          return ElementsOf(history).at(element);
        },
        /*local=*/false);
  }

  void Apply(const ListOp& op, const ElementResolver& resolve, bool local) {
    MoveTo(op.version);
    switch (op.kind) {
      case ListOp::Kind::kInsert: {
        const auto at = tracker_.Insert(op.id, op.length, op.position);
        ASSERT_TRUE(at.ok());
        ASSERT_TRUE(!local || *at == op.position);
        std::vector<Value> values;
        for (uint32_t i = 0; i < op.length; ++i) values.push_back(op.ValueAt(i));
        ASSERT_TRUE(list_.InsertAt(*at, op.id, op.lamport, std::move(values)).ok());
        break;
      }
      case ListOp::Kind::kDelete: {
        std::vector<SequenceTracker::Deleted> deleted;
        ASSERT_TRUE(
            tracker_.Delete(op.id, op.position, static_cast<int32_t>(op.length), &deleted).ok());
        for (const auto& range : deleted) {
          ASSERT_TRUE(list_.DeleteAt(range.position, range.length).ok());
        }
        break;
      }
      case ListOp::Kind::kMove: {
        const auto moved = tracker_.Move(op.id, op.from, op.position);
        ASSERT_TRUE(moved.ok());
        ASSERT_TRUE(!local || (moved->was_visible && moved->to == op.position));
        MovableListState::Move move{
            .from = {}, .to = moved->to, .id = op.id, .lamport = op.lamport, .element = op.element};
        if (moved->was_visible) move.from = moved->from;
        ASSERT_TRUE(list_.MoveAt(move, resolve).ok());
        break;
      }
      case ListOp::Kind::kSet:
        list_.Set(op.element, op.ValueAt(0), op.idlp());
        break;
    }
    const ModelVersion made = {{op.id.peer, op.id.counter + static_cast<Counter>(op.length)}};
    merrow::loro::Merge(&current_, made);
    merrow::loro::Merge(&known_, made);
    ops_.push_back(&op);
    lamport_ = std::max(lamport_, op.lamport + op.length);
  }

  void MoveTo(const ModelVersion& version) {
    ModelVersion peers = current_;
    merrow::loro::Merge(&peers, version);
    for (const auto& [peer, end] : peers) {
      const auto counter_of = [p = peer](const ModelVersion& of) {
        const auto found = of.find(p);
        return found == of.end() ? 0 : found->second;
      };
      const Counter from = counter_of(current_);
      const Counter to = counter_of(version);
      if (to < from) tracker_.Retreat({peer, to, from});
      if (to > from) tracker_.Advance({peer, from, to});
    }
    current_ = version;
  }

  const PeerId peer_;
  std::mt19937_64 random_;
  SequenceTracker tracker_;
  MovableListState list_;
  std::vector<const ListOp*> ops_;  // in order of arrival
  ModelVersion known_;
  ModelVersion current_;  // of the tracker
  Counter next_ = 0;
  Lamport lamport_ = 0;
};

void RunCase(uint64_t seed, const Options& options) {
  std::mt19937_64 random(seed);
  std::deque<ListOp> pool;
  std::vector<Peer> peers;
  for (uint32_t i = 0; i < options.peers; ++i) {
    peers.emplace_back(i == 1 ? UINT64_MAX - 7 : PeerId{i + 1}, seed * 100 + i);
  }
  const auto chance = [&random](double p) {
    return std::uniform_real_distribution<double>(0, 1)(random) < p;
  };
  for (uint32_t step = 0; step < options.steps; ++step) {
    Peer& peer = peers[random() % peers.size()];
    if (chance(options.exchange_chance)) {
      const Peer& other = peers[random() % peers.size()];
      if (&other != &peer) peer.Receive(other);
    } else {
      peer.Edit(&pool, options);
    }
    if (chance(0.1)) peer.Reload();
    if (testing::Test::HasFatalFailure()) return;
    peer.Check();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(MovableListStateProp, AgreesWithItsDefinition) {
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Options options;
    options.peers = 2 + static_cast<uint32_t>(seed % 3);
    options.steps = 20 + static_cast<uint32_t>(seed / 3 % 4) * 15;
    options.exchange_chance = seed % 5 == 0 ? 0.1 : seed % 5 == 1 ? 0.5 : 0.25;
    RunCase(seed, options);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST(MovableListStateProp, LongListsWithManyLeaves) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    Options options;
    options.peers = 2 + static_cast<uint32_t>(seed % 2);
    options.steps = 150;
    options.insert_max = 60;
    options.exchange_chance = 0.15;
    RunCase(seed, options);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace merrow::loro
