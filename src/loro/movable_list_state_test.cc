// SPDX-License-Identifier: Apache-2.0
//
// The movable list against loro-crdt: documents replayed from their updates in several orders, what
// the snapshots say, and the ops that local edits make.

#include "loro/movable_list_state.h"

#include <gmock/gmock.h>

#include "loro/movable_list_history.h"
#include "loro/movable_vectors.h"
#include "loro/sequence_tracker.h"

namespace merrow::loro {
namespace {

using ::testing::ElementsAre;

nlohmann::json JsonOf(const Value& value) {
  if (const auto* boolean = value.If<bool>()) return *boolean;
  if (const auto* integer = value.If<int64_t>()) return *integer;
  if (const auto* number = value.If<double>()) return *number;
  if (const auto* text = value.If<std::string>()) return *text;
  if (const auto* list = value.If<Value::List>()) {
    nlohmann::json json = nlohmann::json::array();
    for (const Value& item : *list) json.push_back(JsonOf(item));
    return json;
  }
  if (const auto* map = value.If<Value::Map>()) {
    nlohmann::json json = nlohmann::json::object();
    for (const auto& [key, item] : *map) json[key] = JsonOf(item);
    return json;
  }
  if (value.If<ContainerId>() != nullptr) return "container";
  return nullptr;
}

nlohmann::json JsonOf(const MovableListState& list) {
  nlohmann::json json = nlohmann::json::array();
  list.ForEach([&json](const MovableListItem& item) { json.push_back(JsonOf(item.value)); });
  return json;
}

// What is in a child container is not this state's business.
nlohmann::json WithoutContainers(nlohmann::json value, const MovableListState& list) {
  uint32_t i = 0;
  list.ForEach([&](const MovableListItem& item) {
    if (item.value.If<ContainerId>() != nullptr && i < value.size()) value[i] = "container";
    ++i;
  });
  return value;
}

// Replays a document the way a merge does: positions by way of a tracker, values of elements that
// are not seen from the history.
class Replayer {
 public:
  explicit Replayer(const MovableHistory& history) : history_(history), tracker_(0) {}

  MovableListState Run() {
    history_.ForEach([this](Lv lv, const OpSlice& slice) {
      Feed(lv, slice);
      list_.CheckInvariants();
    });
    return std::move(list_);
  }

 private:
  void MoveTo(Lv lv, uint32_t length) {
    const auto difference = history_.graph().Diff(version_, history_.ParentsOf(lv));
    for (const LvSpan& span : difference.only_a) {
      for (Lv at = span.start; at < span.end; ++at) tracker_.Retreat(OneId(at));
    }
    for (const LvSpan& span : difference.only_b) {
      for (Lv at = span.start; at < span.end; ++at) tracker_.Advance(OneId(at));
    }
    version_ = {lv + length - 1};
  }

  IdSpan OneId(Lv lv) const {
    const Id id = history_.graph().IdOf(lv);
    return {id.peer, id.counter, id.counter + 1};
  }

  Result<ElementHistory> Resolve(IdLp element) {
    MovableListHistory elements;
    history_.ForEach([&elements](Lv, const OpSlice& slice) { elements.Add(slice); });
    return elements.Find(element);
  }

  void Feed(Lv lv, const OpSlice& slice) {
    MoveTo(lv, slice.length);
    const Op& op = *slice.op;
    const auto position = static_cast<uint32_t>(slice.position());
    switch (op.kind) {
      case OpKind::kListInsert: {
        const auto at = tracker_.Insert(slice.id(), slice.length, position);
        ASSERT_TRUE(at.ok());
        ASSERT_TRUE(
            list_.InsertAt(*at, slice.id(), slice.lamport, OpValues(*slice.block, op).value())
                .ok());
        return;
      }
      case OpKind::kDelete: {
        std::vector<SequenceTracker::Deleted> deleted;
        const auto length = static_cast<int32_t>(slice.length);
        ASSERT_TRUE(
            tracker_.Delete(slice.id(), position, op.signed_length < 0 ? -length : length, &deleted)
                .ok());
        for (const auto& range : deleted) {
          ASSERT_TRUE(list_.DeleteAt(range.position, range.length).ok());
        }
        return;
      }
      case OpKind::kMove: {
        const auto moved = tracker_.Move(slice.id(), op.from, position);
        ASSERT_TRUE(moved.ok());
        MovableListState::Move move{.from = {},
                                    .to = moved->to,
                                    .id = slice.id(),
                                    .lamport = slice.lamport,
                                    .element = op.element};
        if (moved->was_visible) move.from = moved->from;
        ASSERT_TRUE(list_.MoveAt(move, [this](IdLp element) { return Resolve(element); }).ok());
        return;
      }
      case OpKind::kSet:
        list_.Set(op.element, OpValue(*slice.block, op).value(),
                  {slice.lamport, slice.block->peer});
        return;
      default:
        FAIL() << "op of another kind";
    }
  }

  const MovableHistory& history_;
  SequenceTracker tracker_;
  std::vector<Lv> version_;
  MovableListState list_;
};

TEST(MovableListState, ReplaysWhatLoroMade) {
  for (const MovableVector& vector : LoadMovableVectors("movable_list")) {
    const SnapshotParts parts =
        DecodeSnapshot(BytesView(vector.snapshot).substr(kEnvelopeBytes)).value();
    const auto image = DecodeMovableListState(MovableVector::StateOf(parts));
    ASSERT_TRUE(image.ok());
    for (uint64_t seed = 0; seed < 6; ++seed) {
      SCOPED_TRACE(vector.name + ", order " + std::to_string(seed));
      const MovableListState list = Replayer(MovableHistory(vector, seed)).Run();
      EXPECT_EQ(JsonOf(list), WithoutContainers(vector.value, list));
      EXPECT_TRUE(list.ToImage() == *image);
    }
  }
}

TEST(MovableListState, LocalEditsAreThoseOfLoro) {
  for (const MovableVector& vector : LoadMovableVectors("movable_list")) {
    SCOPED_TRACE(vector.name);
    const SnapshotParts parts =
        DecodeSnapshot(BytesView(vector.snapshot).substr(kEnvelopeBytes)).value();
    auto list =
        MovableListState::FromImage(DecodeMovableListState(MovableVector::StateOf(parts)).value());
    ASSERT_TRUE(list.ok());
    list->CheckInvariants();
    EXPECT_EQ(JsonOf(*list), WithoutContainers(vector.value, *list));

    Id id{77, 0};
    Lamport lamport = MovableHistory(vector, 0).NextLamport();
    const auto count_op = [&](uint32_t atoms) {
      id = id.Plus(static_cast<Counter>(atoms));
      lamport += atoms;
    };
    for (const auto& edit : vector.edits) {
      const auto& ops = edit["ops"];
      const auto& args = edit["args"];
      const uint32_t index = args[0];
      if (edit["kind"] == "insert") {
        ASSERT_EQ(list->OpIndexOf(index).value(), ops[0]["pos"]);
        ASSERT_TRUE(
            list->InsertAt(ops[0]["pos"], id, lamport, {Value(args[1].get<std::string>())}).ok());
        count_op(1);
      } else if (edit["kind"] == "set") {
        const IdLp element = list->Item(index)->element();
        ASSERT_EQ("L" + std::to_string(element.lamport) + "@" + std::to_string(element.peer),
                  ops[0]["elem_id"]);
        list->Set(element, Value(args[1].get<std::string>()), {lamport, id.peer});
        count_op(1);
      } else if (edit["kind"] == "move") {
        const auto move = list->OpForMove(index, args[1]);
        ASSERT_TRUE(move.ok());
        ASSERT_EQ(move->has_value(), !ops.empty());
        if (ops.empty()) continue;
        const MovableListState::MoveOp& op = **move;
        EXPECT_EQ(op.from, ops[0]["from"]);
        EXPECT_EQ(op.to, ops[0]["to"]);
        EXPECT_EQ("L" + std::to_string(op.element.lamport) + "@" + std::to_string(op.element.peer),
                  ops[0]["elem_id"]);
        ASSERT_TRUE(list->MoveAt({.from = op.from,
                                  .to = op.to,
                                  .id = id,
                                  .lamport = lamport,
                                  .element = op.element},
                                 nullptr)
                        .ok());
        count_op(1);
      } else {
        const auto runs = list->RunsForDelete(index, args[1]);
        ASSERT_TRUE(runs.ok());
        // Loro deletes the first run first.
        ASSERT_EQ(runs->size(), ops.size());
        for (size_t i = 0; i < ops.size(); ++i) {
          const DeleteRun& run = (*runs)[ops.size() - 1 - i];
          EXPECT_EQ(ToString(run.first), ops[i]["start_id"]);
          EXPECT_EQ(run.count, ops[i]["len"]);
        }
        for (const DeleteRun& run : *runs) {
          ASSERT_TRUE(list->DeleteAt(run.index, run.count).ok());
          count_op(run.count);
        }
      }
      list->CheckInvariants();
    }
    EXPECT_EQ(JsonOf(*list), WithoutContainers(vector.edited, *list));
  }
}

class SmallList : public ::testing::Test {
 protected:
  SmallList() {
    EXPECT_TRUE(list_.InsertAt(0, {1, 0}, 0, {Value("a"), Value("b"), Value("c")}).ok());
  }

  std::vector<std::string> Values() const {
    std::vector<std::string> values;
    list_.ForEach([&values](const MovableListItem& item) {
      values.push_back(*item.value.If<std::string>());
    });
    list_.CheckInvariants();
    return values;
  }

  static Result<ElementHistory> Unknown(IdLp) { return Corruption("no such element"); }

  MovableListState list_;
};

TEST_F(SmallList, AnEarlierMoveLeavesAnInvisibleItem) {
  ASSERT_TRUE(
      list_.MoveAt({.from = 0, .to = 2, .id = {2, 0}, .lamport = 7, .element = {0, 1}}, Unknown)
          .ok());
  EXPECT_THAT(Values(), ElementsAre("b", "c", "a"));
  ASSERT_TRUE(
      list_.MoveAt({.from = {}, .to = 1, .id = {3, 0}, .lamport = 6, .element = {0, 1}}, Unknown)
          .ok());
  EXPECT_THAT(Values(), ElementsAre("b", "c", "a"));
  EXPECT_EQ(list_.item_count(), 4U);
  EXPECT_EQ(list_.OpIndexOf(1).value(), 2U);
  EXPECT_EQ(list_.OpIndexOf(3).value(), 4U);
  EXPECT_EQ(list_.UserIndexOf(1).value(), 1U);
  EXPECT_EQ(list_.UserIndexOf(2).value(), 1U);
  EXPECT_EQ(list_.UserIndexOf(4).value(), 3U);
  // Equal lamports: the larger peer wins.
  ASSERT_TRUE(
      list_.MoveAt({.from = {}, .to = 0, .id = {9, 0}, .lamport = 7, .element = {0, 1}}, Unknown)
          .ok());
  EXPECT_THAT(Values(), ElementsAre("a", "b", "c"));
}

TEST_F(SmallList, AMoveBringsADeletedElementBackWithItsLatestValue) {
  ASSERT_TRUE(list_.DeleteAt(1, 1).ok());
  const auto resolve = [](IdLp element) -> Result<ElementHistory> {
    EXPECT_EQ(element, (IdLp{1, 1}));
    return ElementHistory{.value = Value("B"), .last_set = {5, 2}, .position = {1, 1}};
  };
  ASSERT_TRUE(
      list_.MoveAt({.from = {}, .to = 0, .id = {3, 0}, .lamport = 4, .element = {1, 1}}, resolve)
          .ok());
  EXPECT_THAT(Values(), ElementsAre("B", "a", "c"));
  EXPECT_EQ(list_.Item(0)->last_set(), (IdLp{5, 2}));
  list_.Set({1, 1}, Value("early"), {5, 1});
  EXPECT_THAT(Values(), ElementsAre("B", "a", "c"));
  list_.Set({1, 1}, Value("late"), {5, 3});
  EXPECT_THAT(Values(), ElementsAre("late", "a", "c"));
}

TEST_F(SmallList, AMoveWhoseSourceIsAnotherElementRemovesThatOne) {
  // As Loro has it: the source is what stands at the position, the rest follows the element.
  ASSERT_TRUE(
      list_.MoveAt({.from = 0, .to = 2, .id = {2, 0}, .lamport = 7, .element = {1, 1}}, Unknown)
          .ok());
  EXPECT_THAT(Values(), ElementsAre("c", "b"));
  EXPECT_EQ(list_.item_count(), 3U);
  EXPECT_EQ(list_.Find({0, 1}), nullptr);
}

TEST_F(SmallList, WhatDoesNotFitChangesNothing) {
  const MovableListImage before = list_.ToImage();
  EXPECT_FALSE(list_.InsertAt(4, {1, 9}, 9, {Value("x")}).ok());
  EXPECT_FALSE(list_.DeleteAt(2, 2).ok());
  EXPECT_FALSE(list_.DeleteAt(4, UINT32_MAX).ok());
  const auto move = [this](std::optional<uint32_t> from, uint32_t to, IdLp element) {
    return list_.MoveAt({.from = from, .to = to, .id = {1, 9}, .lamport = 9, .element = element},
                        Unknown);
  };
  EXPECT_FALSE(move(3, 0, {0, 1}).ok());
  EXPECT_FALSE(move(0, 3, {0, 1}).ok());
  EXPECT_FALSE(move({}, 4, {0, 1}).ok());
  EXPECT_EQ(move(0, 0, {7, 7}).error().code(), ErrorCode::kCorruption);
  EXPECT_FALSE(list_.OpForMove(0, 3).ok());
  EXPECT_FALSE(list_.RunsForDelete(1, 3).ok());
  EXPECT_EQ(list_.Get(3), nullptr);
  EXPECT_TRUE(list_.ToImage() == before);
  EXPECT_EQ(
      list_.MoveAt({.from = 0, .to = 0, .id = {1, 9}, .lamport = 9, .element = {7, 7}}, nullptr)
          .error()
          .code(),
      ErrorCode::kCorruption);
  EXPECT_TRUE(list_.ToImage() == before);
  MovableListState empty;
  EXPECT_FALSE(
      empty.MoveAt({.from = 0, .to = 0, .id = {1, 9}, .lamport = 9, .element = {0, 1}}, Unknown)
          .ok());
}

TEST_F(SmallList, ImagesThatNameSomethingTwiceAreRefused) {
  MovableListImage image = list_.ToImage();
  image.items[1].element = image.items[0].element;
  EXPECT_EQ(MovableListState::FromImage(image).error().code(), ErrorCode::kCorruption);
  image = list_.ToImage();
  image.items[1].id = image.items[0].id;
  EXPECT_EQ(MovableListState::FromImage(image).error().code(), ErrorCode::kCorruption);
}

}  // namespace
}  // namespace merrow::loro
