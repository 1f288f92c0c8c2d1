// SPDX-License-Identifier: Apache-2.0
//
// The tree against loro-crdt: documents replayed from their updates in several orders, what the
// snapshots say, and the ops that local edits make.

#include "loro/tree_state.h"

#include <gmock/gmock.h>

#include "loro/fractional_index.h"
#include "loro/movable_vectors.h"

namespace merrow::loro {
namespace {

using ::testing::ElementsAre;

nlohmann::json JsonOf(const TreeState& tree) {
  std::string json;
  TreeJson writer(tree);
  while (writer.Next(&json).has_value()) json += "{}";
  return nlohmann::json::parse(json);
}

// What is in the metadata of nodes is not this state's business.
nlohmann::json WithoutMeta(nlohmann::json nodes) {
  for (auto& node : nodes) {
    node["meta"] = nlohmann::json::object();
    node["children"] = WithoutMeta(node["children"]);
  }
  return nodes;
}

TreeImage Sorted(TreeImage image) {
  std::sort(image.nodes.begin(), image.nodes.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return image;
}

std::vector<TreeMove> MovesOf(const MovableHistory& history) {
  std::vector<TreeMove> moves;
  history.ForEach([&moves](Lv, const OpSlice& slice) { moves.push_back(TreeMoveOf(slice)); });
  return moves;
}

TreeImage ImageOf(const MovableVector& vector) {
  const SnapshotParts parts =
      DecodeSnapshot(BytesView(vector.snapshot).substr(kEnvelopeBytes)).value();
  return DecodeTreeState(MovableVector::StateOf(parts)).value();
}

TEST(TreeState, ReplaysWhatLoroMade) {
  for (const MovableVector& vector : LoadMovableVectors("tree")) {
    const TreeImage image = Sorted(ImageOf(vector));
    for (uint64_t seed = 0; seed < 6; ++seed) {
      SCOPED_TRACE(vector.name + ", order " + std::to_string(seed));
      const std::vector<TreeMove> moves = MovesOf(MovableHistory(vector, seed));
      TreeState tree;
      IdLp latest;
      for (const TreeMove& move : moves) {
        if (move.key() > latest) {
          tree.ApplyLatest(move);
          latest = move.key();
        } else {
          tree.Merge({move});
        }
        tree.CheckInvariants();
      }
      EXPECT_EQ(JsonOf(tree), WithoutMeta(vector.value));
      EXPECT_TRUE(Sorted(tree.ToImage()) == image);
      EXPECT_TRUE(Sorted(TreeState::Replay(moves).ToImage()) == image);
    }
  }
}

nlohmann::json OpJson(const TreeState::Edit& edit, bool is_create) {
  nlohmann::json json = {{"type", is_create ? "create" : "move"}, {"target", ToString(edit.node)}};
  if (edit.parent.kind == TreeParent::kDeleted) {
    json["type"] = "delete";
    return json;
  }
  json["parent"] = nullptr;
  if (edit.parent.kind == TreeParent::kNode) json["parent"] = ToString(edit.parent.node);
  std::string hex;
  AppendFractionalIndexHex(edit.position, &hex);
  json["fractional_index"] = hex;
  return json;
}

TEST(TreeState, LocalEditsAreThoseOfLoro) {
  for (const MovableVector& vector : LoadMovableVectors("tree")) {
    SCOPED_TRACE(vector.name);
    Lamport lamport = MovableHistory(vector, 0).NextLamport();
    Id id{77, 0};
    auto loaded = TreeState::FromImage(ImageOf(vector), lamport - 1);
    ASSERT_TRUE(loaded.ok());
    TreeState tree = std::move(loaded).value();
    tree.CheckInvariants();
    EXPECT_EQ(JsonOf(tree), WithoutMeta(vector.value));
    const auto parse = [](const nlohmann::json& text) {
      return ParseId(text.get<std::string>()).value();
    };
    for (const auto& edit : vector.edits) {
      SCOPED_TRACE(edit.dump());
      const bool is_create = edit["kind"] == "create";
      const auto& args = edit["args"];
      const size_t parent_arg = is_create ? 0 : 1;
      TreePlace parent;
      std::optional<uint32_t> index;
      if (edit["kind"] != "delete") {
        if (!args[parent_arg].is_null()) parent = TreePlace::Below(parse(args[parent_arg]));
        if (!args[parent_arg + 1].is_null()) index = args[parent_arg + 1].get<uint32_t>();
      }
      const auto edits = is_create                ? tree.EditsForCreate(id, parent, index)
                         : edit["kind"] == "move" ? tree.EditsForMove(parse(args[0]), parent, index)
                                                  : tree.EditsForDelete(parse(args[0]));
      ASSERT_EQ(!edits.ok(), edit["failed"].get<bool>());
      if (!edits.ok()) continue;
      nlohmann::json ops = nlohmann::json::array();
      for (const TreeState::Edit& each : *edits) {
        ops.push_back(OpJson(each, is_create && ops.empty()));
        tree.ApplyLatest({.id = id,
                          .lamport = lamport,
                          .node = each.node,
                          .parent = each.parent,
                          .position = each.position});
        tree.CheckInvariants();
        id = id.Plus(1);
        ++lamport;
      }
      ASSERT_EQ(ops, edit["ops"]);
    }
    EXPECT_EQ(JsonOf(tree), WithoutMeta(vector.edited));
  }
}

/// Makes edits with one op id after the other.
class SmallTree : public ::testing::Test {
 protected:
  Id Apply(Result<std::vector<TreeState::Edit>> edits) {
    EXPECT_TRUE(edits.ok());
    const Id first = next_;
    if (!edits.ok()) return first;
    for (const TreeState::Edit& edit : *edits) {
      tree_.ApplyLatest({.id = next_,
                         .lamport = lamport_++,
                         .node = edit.node,
                         .parent = edit.parent,
                         .position = edit.position});
      next_ = next_.Plus(1);
    }
    tree_.CheckInvariants();
    return first;
  }
  Id Create(const TreePlace& parent, std::optional<uint32_t> index = std::nullopt) {
    return Apply(tree_.EditsForCreate(next_, parent, index));
  }
  void Move(Id node, const TreePlace& parent, std::optional<uint32_t> index = std::nullopt) {
    Apply(tree_.EditsForMove(node, parent, index));
  }

  TreeState tree_;
  Id next_{1, 0};
  Lamport lamport_ = 0;
};

TEST_F(SmallTree, DeletedNodesKeepWhatIsBelowThem) {
  const Id a = Create(TreePlace::Root());
  const Id b = Create(TreePlace::Below(a));
  const Id c = Create(TreePlace::Below(b));
  Apply(tree_.EditsForDelete(a));
  EXPECT_TRUE(tree_.Contains(c));
  EXPECT_FALSE(tree_.IsAlive(c));
  EXPECT_EQ(JsonOf(tree_), nlohmann::json::array());
  EXPECT_EQ(tree_.IndexOf(a), std::nullopt);
  EXPECT_EQ(tree_.IndexOf(b), 0U);
  EXPECT_EQ(tree_.EditsForDelete(a).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(tree_.EditsForMove(a, TreePlace::Root(), {}).error().code(), ErrorCode::kNotFound);
  // As with Loro, what is below a deleted node can still be edited.
  const Id d = Create(TreePlace::Below(a));
  EXPECT_FALSE(tree_.IsAlive(d));
  Move(b, TreePlace::Root());
  EXPECT_TRUE(tree_.IsAlive(c));
  EXPECT_THAT(tree_.Children(TreePlace::Root()), ElementsAre(b));
  EXPECT_EQ(tree_.Parent(c), TreePlace::Below(b));
  EXPECT_EQ(tree_.node_count(), 4U);
}

TEST_F(SmallTree, EditsThatDoNotFitAreRefused) {
  const Id a = Create(TreePlace::Root());
  const Id b = Create(TreePlace::Below(a));
  const Id nobody{9, 9};
  const auto code = [](const auto& result) { return result.error().code(); };
  EXPECT_EQ(code(tree_.EditsForMove(a, TreePlace::Below(b), {})), ErrorCode::kConflict);
  EXPECT_EQ(code(tree_.EditsForMove(a, TreePlace::Below(a), {})), ErrorCode::kConflict);
  EXPECT_EQ(code(tree_.EditsForMove(nobody, TreePlace::Root(), {})), ErrorCode::kNotFound);
  EXPECT_EQ(code(tree_.EditsForMove(a, TreePlace::Below(nobody), {})), ErrorCode::kNotFound);
  EXPECT_EQ(code(tree_.EditsForMove(a, TreePlace::Root(), 1)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(tree_.EditsForMove(b, TreePlace::Root(), 2)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(tree_.EditsForMove(b, TreePlace::Deleted(), {})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(tree_.EditsForCreate(next_, TreePlace::Root(), 2)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(tree_.EditsForCreate(next_, TreePlace::Below(nobody), {})), ErrorCode::kNotFound);
  EXPECT_EQ(code(tree_.EditsForDelete(nobody)), ErrorCode::kNotFound);
  EXPECT_TRUE(tree_.EditsForMove(b, TreePlace::Below(a), 0)->empty());
}

TEST_F(SmallTree, PositionsWithNothingBetweenThemAreRenewed) {
  // No Loro wrote these.
  for (const char* position : {"\x80\x80", "\x80", "a", ""}) {
    tree_.ApplyLatest({.id = next_,
                       .lamport = lamport_++,
                       .node = next_,
                       .parent = TreePlace::Root(),
                       .position = position});
    next_ = next_.Plus(1);
  }
  std::vector<Id> expected = tree_.Children(TreePlace::Root());
  for (uint32_t i = 0; i < 20; ++i) {
    const uint32_t at = i * 7 % (static_cast<uint32_t>(expected.size()) + 1);
    const Id node = Create(TreePlace::Root(), at);
    expected.insert(expected.begin() + at, node);
    ASSERT_EQ(tree_.Children(TreePlace::Root()), expected);
  }
}

TEST_F(SmallTree, HistoriesWithoutCausalOrderDoNoHarm) {
  const auto apply = [this](Id node, const TreePlace& parent) {
    tree_.ApplyLatest({.id = {2, static_cast<Counter>(lamport_)},
                       .lamport = lamport_,
                       .node = node,
                       .parent = parent,
                       .position = Bytes(kFirstFractionalIndex)});
    ++lamport_;
    tree_.CheckInvariants();
  };
  const Id a = Create(TreePlace::Root());
  apply(a, TreePlace::Below({9, 9}));
  apply({9, 8}, TreePlace::Below({9, 8}));
  EXPECT_EQ(tree_.node_count(), 1U);
  EXPECT_TRUE(tree_.IsAlive(a));
  // As Loro has it, a node is there that was never created.
  apply({9, 9}, TreePlace::Below(a));
  EXPECT_TRUE(tree_.IsAlive({9, 9}));
}

TEST_F(SmallTree, ImagesThatAreNoTreeAreRefused) {
  const Id a = Create(TreePlace::Root());
  const Id b = Create(TreePlace::Below(a));
  Create(TreePlace::Below(b));
  const TreeImage good = tree_.ToImage();
  ASSERT_TRUE(TreeState::FromImage(good, 9).ok());
  TreeImage cycle = good;
  cycle.nodes[0].parent_kind = TreeParent::kNode;
  cycle.nodes[0].parent = cycle.nodes[2].id;
  EXPECT_EQ(TreeState::FromImage(cycle, 9).error().code(), ErrorCode::kCorruption);
  TreeImage orphan = good;
  orphan.nodes[1].parent = {9, 9};
  EXPECT_EQ(TreeState::FromImage(orphan, 9).error().code(), ErrorCode::kCorruption);
  TreeImage twice = good;
  twice.nodes[1].id = twice.nodes[2].id;
  EXPECT_EQ(TreeState::FromImage(twice, 9).error().code(), ErrorCode::kCorruption);
}

TEST_F(SmallTree, ALoadedTreeMergesOnlyWhatIsNewerThanItsImage) {
  Create(TreePlace::Root());
  auto loaded = TreeState::FromImage(tree_.ToImage(), 5);
  ASSERT_TRUE(loaded.ok());
  EXPECT_FALSE(loaded->HasLogSince({5, kNoPeer}));
  EXPECT_TRUE(loaded->HasLogSince({6, 0}));
  loaded = TreeState::FromImage(tree_.ToImage(), UINT32_MAX);
  EXPECT_FALSE(loaded->HasLogSince({UINT32_MAX, 1}));
  loaded->ApplyLatest({.id = {1, 3}, .lamport = 8, .node = {1, 3}, .parent = {}, .position = "a"});
  EXPECT_TRUE(loaded->HasLogSince({8, 1}));
  EXPECT_FALSE(loaded->HasLogSince({8, 0}));
  EXPECT_TRUE(tree_.HasLogSince({0, 0}));
}

TEST(TreeLog, IsAsLongAsOpsAreLate) {
  TreeState tree;
  Counter next = 0;
  const auto create = [&tree, &next](uint32_t count) {
    for (; count > 0; --count, ++next) {
      tree.ApplyLatest({.id = {1, next},
                        .lamport = static_cast<Lamport>(2 * next),
                        .node = {1, next},
                        .parent = {},
                        .position = "a"});
    }
  };
  const auto key_before = [&next](Counter ops) {
    return IdLp{static_cast<Lamport>(2 * (next - ops)), 1};
  };
  create(5000);
  EXPECT_EQ(tree.log_max(), kTreeLogMax);
  EXPECT_TRUE(tree.HasLogSince(key_before(kTreeLogMax / 2)));
  EXPECT_FALSE(tree.HasLogSince(key_before(kTreeLogMax + 1)));

  tree.KeepLog(2000);
  create(5000);
  EXPECT_EQ(tree.log_max(), 2000u);
  EXPECT_TRUE(tree.HasLogSince(key_before(1500)));
  EXPECT_FALSE(tree.HasLogSince(key_before(2001)));
  // As long as some ops are late, it stays so long.
  for (int i = 0; i < 50; ++i) {
    create(500);
    const IdLp late = key_before(1000);
    tree.Merge({{.id = {2, i},
                 .lamport = late.lamport + 1,
                 .node = {2, i},
                 .parent = {},
                 .position = "b"}});
    tree.CheckInvariants();
    EXPECT_EQ(tree.log_max(), 2000u);
  }
  EXPECT_EQ(tree.node_count(), static_cast<size_t>(next) + 50);
  create(100'000);
  EXPECT_EQ(tree.log_max(), kTreeLogMax);
  EXPECT_FALSE(tree.HasLogSince(key_before(kTreeLogMax + 1)));
  tree.CheckInvariants();
}

TEST_F(SmallTree, DeepTreesNeedNoStack) {
  Id node = Create(TreePlace::Root());
  for (int i = 0; i < 20'000; ++i) {
    // Creating below is cheap at any depth.
    tree_.ApplyLatest({.id = next_,
                       .lamport = lamport_++,
                       .node = next_,
                       .parent = TreePlace::Below(node),
                       .position = Bytes(kFirstFractionalIndex)});
    node = next_;
    next_ = next_.Plus(1);
  }
  tree_.CheckInvariants();
  std::string json;
  TreeJson writer(tree_);
  size_t nodes = 0;
  while (writer.Next(&json).has_value()) {
    json += "{}";
    ++nodes;
  }
  EXPECT_EQ(nodes, 20'001U);
  EXPECT_TRUE(tree_.IsAlive(node));
  EXPECT_EQ(tree_.EditsForMove({1, 0}, TreePlace::Below(node), {}).error().code(),
            ErrorCode::kConflict);
}

}  // namespace
}  // namespace merrow::loro
