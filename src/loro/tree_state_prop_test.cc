// SPDX-License-Identifier: Apache-2.0
//
// The tree against its definition: peers edit and exchange ops in random order, and after each step
// the state is what applying all ops that the peer has, sorted, to a plain map gives.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "loro/state_codec.h"
#include "loro/tree_model.h"
#include "loro/tree_state.h"

namespace merrow::loro {
namespace {

void ExpectSame(const TreeState& tree, const TreeModel& model) {
  tree.CheckInvariants();
  ASSERT_EQ(tree.node_count(), model.nodes().size());
  for (const auto& [id, node] : model.nodes()) {
    ASSERT_TRUE(tree.Contains(id));
    ASSERT_EQ(tree.Parent(id), node.parent);
    ASSERT_EQ(tree.Position(id), node.position);
    ASSERT_EQ(tree.LastMove(id), node.move_id);
    ASSERT_EQ(tree.IsAlive(id), model.IsAlive(id));
    const std::vector<Id> children = model.Children(TreePlace::Below(id));
    ASSERT_EQ(tree.Children(TreePlace::Below(id)), children);
    for (uint32_t i = 0; i < children.size(); ++i) ASSERT_EQ(tree.IndexOf(children[i]), i);
  }
  ASSERT_EQ(tree.Children(TreePlace::Root()), model.Children(TreePlace::Root()));
  std::string json;
  TreeJson writer(tree);
  while (const auto node = writer.Next(&json)) {
    ASSERT_TRUE(model.IsAlive(*node));
    json += "{}";
  }
  const auto append_empty = [](Id, std::string* out) { *out += "{}"; };
  ASSERT_EQ(json, model.Json(TreePlace::Root(), append_empty));
}

class Peer {
 public:
  Peer(PeerId peer, uint64_t seed) : peer_(peer), random_(seed) {}

  const TreeState& tree() const { return tree_; }
  const std::vector<TreeMove>& moves() const { return moves_; }
  /// How often it had to start from all ops.
  size_t replays() const { return replays_; }

  void Edit() {
    const TreeImage image = tree_.ToImage();
    std::vector<Id> nodes;
    for (const TreeImage::Node& node : image.nodes) nodes.push_back(node.id);
    const auto pick = [&] { return nodes[random_() % nodes.size()]; };
    TreePlace parent;
    if (!nodes.empty() && random_() % 6 != 0) parent = TreePlace::Below(pick());
    std::optional<uint32_t> index;
    if (random_() % 3 != 0) {
      index = static_cast<uint32_t>(random_() % (tree_.ChildCount(parent) + 1));
    }
    // Few nodes, so that moves get in each other's way.
    const uint64_t kind = nodes.empty() ? 0 : (nodes.size() > 4 ? 2 : 0) + random_() % 8;
    const auto edits = kind < 3   ? tree_.EditsForCreate({peer_, next_}, parent, index)
                       : kind < 9 ? tree_.EditsForMove(pick(), parent, index)
                                  : tree_.EditsForDelete(pick());
    if (!edits.ok()) return;  // a cycle, a deleted node or one past the last index
    const Id first{peer_, next_};
    for (const TreeState::Edit& edit : *edits) {
      const TreeMove move{.id = {peer_, next_++},
                          .lamport = lamport_++,
                          .node = edit.node,
                          .parent = edit.parent,
                          .position = edit.position};
      tree_.ApplyLatest(move);
      moves_.push_back(move);
    }
    // It stands where it was to stand.
    if (kind < 9 && !edits->empty() && index.has_value()) {
      const Id node = kind < 3 ? first : edits->front().node;
      ASSERT_EQ(tree_.Parent(node), parent);
      ASSERT_EQ(tree_.IndexOf(node), index);
    }
  }

  /// Takes over some of the ops that another peer has, by whatever way is open.
  void Receive(const Peer& other) {
    std::vector<TreeMove> fresh(
        other.moves_.begin(),
        other.moves_.begin() + static_cast<std::ptrdiff_t>(random_() % (other.moves_.size() + 1)));
    std::erase_if(fresh, [this](const TreeMove& move) {
      return std::any_of(moves_.begin(), moves_.end(),
                         [&move](const TreeMove& mine) { return mine.id == move.id; });
    });
    while (!fresh.empty()) {
      const size_t count = 1 + random_() % fresh.size();
      const std::vector<TreeMove> batch(fresh.begin(),
                                        fresh.begin() + static_cast<std::ptrdiff_t>(count));
      fresh.erase(fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(count));
      Take(batch);
    }
  }

  /// As if the document had been evicted and loaded again.
  void Reload() {
    IdLp latest;
    for (const TreeMove& move : moves_) latest = std::max(latest, move.key());
    auto loaded =
        TreeState::FromImage(tree_.ToImage(), random_() % 2 == 0 ? latest.lamport : UINT32_MAX);
    ASSERT_TRUE(loaded.ok());
    tree_ = std::move(loaded).value();
  }

 private:
  static bool KeyLess(const TreeMove& a, const TreeMove& b) { return a.key() < b.key(); }

  void Take(const std::vector<TreeMove>& batch) {
    const auto latest = std::max_element(moves_.begin(), moves_.end(), KeyLess);
    const auto first = std::min_element(batch.begin(), batch.end(), KeyLess);
    const bool follows = latest == moves_.end() || latest->key() < first->key();
    moves_.insert(moves_.end(), batch.begin(), batch.end());
    for (const TreeMove& move : batch) {
      lamport_ = std::max(lamport_, move.lamport + 1);
    }
    const IdLp key = std::min_element(batch.begin(), batch.end(), KeyLess)->key();
    if (follows && std::is_sorted(batch.begin(), batch.end(), KeyLess) && random_() % 2 == 0) {
      for (const TreeMove& move : batch) tree_.ApplyLatest(move);
    } else if (tree_.HasLogSince(key)) {
      tree_.Merge(batch);
    } else {
      tree_ = TreeState::Replay(moves_);
      ++replays_;
    }
  }

  const PeerId peer_;
  std::mt19937_64 random_;
  TreeState tree_;
  std::vector<TreeMove> moves_;  // in order of arrival
  Counter next_ = 0;
  Lamport lamport_ = 0;
  size_t replays_ = 0;
};

struct Options {
  uint32_t peers = 2;
  uint32_t steps = 40;
  double exchange_chance = 0.25;
  double reload_chance = 0.05;
  uint32_t check_every = 1;
};

struct Counts {
  size_t cycles = 0;  // ops that would have made one, at each check
  size_t replays = 0;
};

Counts RunCase(uint64_t seed, const Options& options) {
  std::mt19937_64 random(seed);
  std::vector<Peer> peers;
  for (uint32_t i = 0; i < options.peers; ++i) {
    peers.emplace_back(i == 1 ? UINT64_MAX - 7 : PeerId{i + 1}, seed * 100 + i);
  }
  const auto chance = [&random](double p) {
    return std::uniform_real_distribution<double>(0, 1)(random) < p;
  };
  Counts counts;
  for (uint32_t step = 0; step < options.steps; ++step) {
    Peer& peer = peers[random() % peers.size()];
    if (chance(options.exchange_chance)) {
      const Peer& other = peers[random() % peers.size()];
      if (&other != &peer) peer.Receive(other);
    } else {
      peer.Edit();
    }
    if (chance(options.reload_chance)) peer.Reload();
    if (testing::Test::HasFatalFailure()) return counts;
    if (step % options.check_every != 0) {
      peer.tree().CheckInvariants();
      continue;
    }
    const TreeModel model(peer.moves());
    counts.cycles += model.cycles();
    ExpectSame(peer.tree(), model);
    if (testing::Test::HasFatalFailure()) return counts;
  }
  for (const Peer& peer : peers) counts.replays += peer.replays();
  return counts;
}

TEST(TreeStateProp, AgreesWithItsDefinition) {
  size_t cycles = 0;
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    Options options;
    options.peers = 2 + static_cast<uint32_t>(seed % 3);
    options.steps = 20 + static_cast<uint32_t>(seed / 3 % 4) * 15;
    options.exchange_chance = seed % 5 == 0 ? 0.1 : seed % 5 == 1 ? 0.5 : 0.25;
    cycles += RunCase(seed, options).cycles;
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
  EXPECT_GT(cycles, 200U);
}

TEST(TreeStateProp, HistoriesLongerThanTheLog) {
  size_t replays = 0;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    Options options;
    options.steps = 2500;
    options.exchange_chance = seed % 2 == 0 ? 0.003 : 0.02;
    options.reload_chance = 0;
    options.check_every = 50;
    replays += RunCase(seed, options).replays;
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
  EXPECT_GT(replays, 10U);
}

// Many siblings and many moves of them: the leaves of a large family.
TEST(TreeStateProp, ManySiblings) {
  std::mt19937_64 random(3);
  TreeState tree;
  std::vector<Id> order;
  Lamport lamport = 0;
  for (int step = 0; step < 3000; ++step) {
    const Id id{1, static_cast<Counter>(lamport)};
    const bool is_create = order.size() < 2 || random() % 10 < 5;
    const size_t from = order.empty() ? 0 : random() % order.size();
    const size_t others = order.size() - (is_create ? 0 : 1);
    const size_t to = random() % 4 == 0 ? others : random() % (others + 1);
    const auto edits =
        is_create ? tree.EditsForCreate(id, TreePlace::Root(), static_cast<uint32_t>(to))
                  : tree.EditsForMove(order[from], TreePlace::Root(), static_cast<uint32_t>(to));
    ASSERT_TRUE(edits.ok());
    if (edits->empty()) continue;
    ASSERT_EQ(edits->size(), 1U);
    tree.ApplyLatest({.id = id,
                      .lamport = lamport++,
                      .node = edits->front().node,
                      .parent = edits->front().parent,
                      .position = edits->front().position});
    const Id moved = edits->front().node;
    std::erase(order, moved);
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(to), moved);
    if (step % 100 == 0) {
      tree.CheckInvariants();
      ASSERT_EQ(tree.Children(TreePlace::Root()), order);
    }
  }
  ASSERT_EQ(tree.Children(TreePlace::Root()), order);
}

}  // namespace
}  // namespace merrow::loro
