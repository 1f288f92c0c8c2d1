// SPDX-License-Identifier: Apache-2.0
//
// The op log: what is admitted, parked and refused, and that a refusal leaves no trace. Blocks that
// no Loro writes are put together with the builder.

#include "loro/op_log.h"

#include <gmock/gmock.h>

namespace merrow::loro {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const ContainerId kText = ContainerId::Root("t", ContainerKind::kText);
const ContainerId kMap = ContainerId::Root("m", ContainerKind::kMap);
const ContainerId kGone = ContainerId::Normal({99, 0}, ContainerKind::kText);

std::shared_ptr<const OpLog::Incoming> FromBytes(Bytes bytes) {
  auto incoming = std::make_shared<OpLog::Incoming>();
  incoming->owner = std::make_shared<const Bytes>(std::move(bytes));
  incoming->bytes = *incoming->owner;
  Result<ChangeBlock> block = DecodeChangeBlock(incoming->bytes);
  EXPECT_TRUE(block.ok()) << block.error().ToString();
  incoming->block = std::move(block).value();
  return incoming;
}

// A change of one map write.
std::shared_ptr<const OpLog::Incoming> Write(Id id, Lamport lamport, std::vector<Id> deps) {
  ChangeBlockBuilder builder(id.peer);
  builder.BeginChange(id.counter, lamport, std::move(deps), 0, "");
  builder.AddMapSet(kMap, "k", Value(int64_t{id.counter}));
  return FromBytes(builder.Encode());
}

// A change that deletes many atoms, which takes a few bytes.
std::shared_ptr<const OpLog::Incoming> DeleteMany(Id id, Lamport lamport, uint32_t count) {
  ChangeBlockBuilder builder(id.peer);
  builder.BeginChange(id.counter, lamport, {id.Plus(-1)}, 0, "");
  builder.AddDelete(kGone, 0, {99, 0}, count);
  return FromBytes(builder.Encode());
}

// The start of a mark at counter 0, without its end.
ChangeBlockBuilder MarkStart(PeerId peer) {
  ChangeBlockBuilder whole(peer);
  whole.BeginChange(0, 0, {}, 0, "");
  whole.AddMark(kText, 0, 1, "bold", Value(true), 0x84);
  const Bytes bytes = whole.Encode();
  const Result<ChangeBlock> block = DecodeChangeBlock(bytes);
  ChangeBlockBuilder start(peer);
  EXPECT_TRUE(start.AppendSlice(*block, 0, 0, 1).ok());
  return start;
}

TEST(OpLog, WhatComesInAnyOrderIsAdmittedInCausalOrder) {
  OpLog log(9);
  const Result<OpLog::Admission> admission =
      log.Admit({Write({2, 0}, 5, {{1, 1}}), Write({1, 1}, 6, {{1, 0}}), Write({1, 0}, 7, {})});
  ASSERT_TRUE(admission.ok());
  ASSERT_EQ(admission->admitted.size(), 3U);
  EXPECT_THAT(admission->pending, IsEmpty());
  EXPECT_EQ(log.graph().IdOf(0), (Id{1, 0}));
  EXPECT_EQ(log.graph().IdOf(1), (Id{1, 1}));
  EXPECT_EQ(log.graph().IdOf(2), (Id{2, 0}));
  EXPECT_EQ(log.graph().LamportOf(2), 9U);  // above its dependencies'
  log.CheckInvariants();
}

TEST(OpLog, ParkedSpansAreJoinedAndReportedOnce) {
  OpLog log(9);
  const auto admission = log.Admit({Write({2, 3}, 9, {{2, 2}}), Write({1, 1}, 6, {{1, 0}}),
                                    Write({2, 2}, 8, {{2, 1}}), Write({2, 2}, 8, {{2, 1}})});
  ASSERT_TRUE(admission.ok());
  EXPECT_THAT(admission->admitted, IsEmpty());
  EXPECT_THAT(admission->pending, ElementsAre(IdSpan{1, 1, 2}, IdSpan{2, 2, 4}));
  // What was parked before is not pending of the next blob, but is admitted with it.
  const auto next = log.Admit({Write({1, 0}, 0, {})});
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->admitted.size(), 2U);
  EXPECT_THAT(next->pending, IsEmpty());
  EXPECT_TRUE(log.has_pending());
  log.DropPending();
  EXPECT_FALSE(log.has_pending());
}

TEST(OpLog, AChangeThatDoesNotFollowItsPeersLastOneIsRefused) {
  OpLog log(9);
  ASSERT_TRUE(log.Admit({Write({1, 0}, 0, {})}).ok());
  const auto refused = log.Admit({Write({2, 0}, 0, {}), Write({1, 1}, 0, {{2, 0}})});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorruption);
  // Nothing of it is there, and both peers may go on.
  EXPECT_EQ(log.graph().size(), 1U);
  EXPECT_EQ(log.version().End(2), 0);
  log.CheckInvariants();
  // Through another peer's op it does follow.
  ASSERT_TRUE(log.Admit({Write({2, 0}, 1, {{1, 0}}), Write({1, 1}, 2, {{2, 0}})}).ok());
  EXPECT_EQ(log.graph().heads().size(), 1U);
  log.CheckInvariants();
}

TEST(OpLog, ParkedAtomsCountAgainstTheDocumentsLimit) {
  OpLog log(9);
  constexpr uint32_t kMany = 0x70000000;
  ASSERT_TRUE(log.Admit({DeleteMany({1, 1}, 1, kMany), DeleteMany({2, 1}, 1, kMany)}).ok());
  const auto refused = log.Admit({Write({1, 0}, 0, {}), Write({2, 0}, 0, {})});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kLimit);
  EXPECT_EQ(log.graph().size(), 0U);
  const auto one = log.Admit({Write({1, 0}, 0, {})});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(log.graph().size(), 1U + kMany);
}

TEST(OpLog, TheEndOfAMarkFollowsItsStart) {
  ChangeBlockBuilder whole(1);
  whole.BeginChange(0, 0, {}, 0, "");
  whole.AddMark(kText, 0, 1, "bold", Value(true), 0x84);
  const Bytes mark = whole.Encode();
  const Bytes end = [&] {
    ChangeBlockBuilder builder(1);
    MERROW_CHECK(builder.AppendSlice(DecodeChangeBlock(mark).value(), 0, 1, 2).ok());
    return builder.Encode();
  }();
  const Bytes start = MarkStart(1).Encode();

  // In two pieces.
  OpLog cut(9);
  ASSERT_TRUE(cut.Admit({FromBytes(start)}).ok());
  ASSERT_TRUE(cut.Admit({FromBytes(end)}).ok());
  EXPECT_EQ(cut.graph().size(), 2U);
  EXPECT_TRUE(cut.Admit({Write({1, 2}, 2, {{1, 1}})}).ok());
  cut.CheckInvariants();

  // After another op, whether that came by itself or with it. Then the start is left without end.
  for (const bool is_together : {false, true}) {
    OpLog log(9);
    ASSERT_TRUE(log.Admit({Write({1, 0}, 0, {})}).ok());
    const auto refused = log.Admit({FromBytes(end)});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kCorruption);
    OpLog other(9);
    if (!is_together) {
      ASSERT_TRUE(other.Admit({FromBytes(start)}).ok());
    }
    ChangeBlockBuilder builder = MarkStart(1);
    builder.BeginChange(1, 1, {{1, 0}}, 0, "");
    builder.AddTextInsert(kText, 0, "x", 1);
    ASSERT_TRUE(other.Admit({FromBytes(builder.Encode())}).ok());
    EXPECT_EQ(other.graph().size(), 2U);
    EXPECT_FALSE(other.Admit({FromBytes(mark)}).ok() && other.graph().size() > 2U);
    other.CheckInvariants();
  }
}

TEST(OpLog, OfAnOpIdThatComesTwiceBothAreTheSame) {
  const auto text = [](Counter counter, std::string_view typed) {
    ChangeBlockBuilder builder(1);
    builder.BeginChange(counter, static_cast<Lamport>(counter),
                        counter == 0 ? std::vector<Id>() : std::vector<Id>{{1, counter - 1}}, 0,
                        "");
    builder.AddTextInsert(kText, static_cast<uint32_t>(counter), typed,
                          static_cast<uint32_t>(typed.size()));
    return FromBytes(builder.Encode());
  };
  const auto expect_conflict = [](const Result<OpLog::Admission>& admission) {
    ASSERT_FALSE(admission.ok());
    EXPECT_EQ(admission.error().code(), ErrorCode::kConflict);
  };
  OpLog log(9);
  // As long as the other, longer, and in the middle.
  expect_conflict(log.Admit({text(0, "abcd"), text(0, "abxd")}));
  expect_conflict(log.Admit({text(0, "abcd"), text(0, "xbcdef")}));
  expect_conflict(log.Admit({text(0, "abcd"), text(2, "xy")}));
  expect_conflict(log.Admit({text(0, "ab"), text(2, "cd"), text(4, "ef"), text(1, "bcdx")}));
  EXPECT_EQ(log.graph().size(), 0U);
  // However it is cut, the same is the same.
  ASSERT_TRUE(log.Admit({text(0, "ab"), text(2, "cd"), text(0, "abcde"), text(1, "bcdefg"),
                         text(1, "bc"), text(0, "abcd")})
                  .ok());
  EXPECT_EQ(log.graph().size(), 7U);
  log.CheckInvariants();
  // Also of what goes on from what is known.
  expect_conflict(log.Admit({text(5, "fghi"), text(5, "fGhijk")}));
  expect_conflict(log.Admit({text(7, "hi"), text(5, "fGhijk")}));
  ASSERT_TRUE(log.Admit({text(5, "fghi"), text(6, "ghijk")}).ok());
  EXPECT_EQ(log.graph().size(), 11U);
}

TEST(OpLog, WhatContradictsParkedChangesMakesTheseForgotten) {
  OpLog log(9);
  ASSERT_TRUE(log.Admit({Write({1, 1}, 5, {{1, 0}, {2, 0}}), Write({3, 1}, 9, {{3, 0}})}).ok());
  ASSERT_TRUE(log.has_pending());
  ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  builder.AddTextInsert(kText, 0, "abc", 3);
  ASSERT_TRUE(log.Admit({FromBytes(builder.Encode())}).ok());
  EXPECT_EQ(log.version().End(1), 3);
  EXPECT_FALSE(log.has_pending());
  log.CheckInvariants();
}

TEST(OpLog, RollBackForgetsWhatCameLater) {
  OpLog log(9);
  ASSERT_TRUE(log.Admit({Write({1, 0}, 0, {}), Write({3, 0}, 0, {})}).ok());
  log.Builder().AddMapSet(kMap, "local", Value(true));
  log.CountUncommitted(1);
  log.Commit();
  const VersionVector version = log.version();
  const Frontiers frontiers = log.graph().frontiers();
  const Lv size = log.graph().size();

  ASSERT_TRUE(log.Admit({Write({1, 1}, 9, {{9, 0}, {1, 0}}), FromBytes(MarkStart(2).Encode()),
                         Write({4, 1}, 1, {{4, 0}})})
                  .ok());
  EXPECT_NE(log.version(), version);
  log.RollBack(size);
  EXPECT_EQ(log.version(), version);
  EXPECT_EQ(log.graph().frontiers(), frontiers);
  EXPECT_FALSE(log.has_pending());
  log.CheckInvariants();
  // The mark is forgotten, too.
  ChangeBlockBuilder whole(2);
  whole.BeginChange(0, 0, {}, 0, "");
  whole.AddMark(kText, 0, 1, "bold", Value(true), 0x84);
  ChangeBlockBuilder end(2);
  MERROW_CHECK(end.AppendSlice(DecodeChangeBlock(whole.Encode()).value(), 0, 1, 2).ok());
  EXPECT_FALSE(log.Admit({Write({2, 0}, 0, {}), FromBytes(end.Encode())}).ok());
  log.CheckInvariants();
}

// A block of tree moves at long positions. They share what they begin with, so a few bytes stand
// for long ones.
Bytes LongPositions(PeerId peer) {
  ChangeBlockBuilder builder(peer);
  builder.BeginChange(1, 1, {{peer, 0}}, 0, "");
  const ContainerId tree = ContainerId::Root("tree", ContainerKind::kTree);
  Bytes position(20000, 'p');
  for (int i = 0; i < 200; ++i) {
    position.back() = static_cast<char>(i);
    builder.AddTreeMove(tree, {peer, 1 + i}, TreeParent::kRoot, {}, position);
  }
  return builder.Encode();
}

TEST(OpLog, ParkedTablesCountAgainstTheLimit) {
  const Bytes bytes = LongPositions(1);
  EXPECT_LT(bytes.size(), 40000U);
  EXPECT_GT(TableBytes(FromBytes(bytes)->block), size_t{2} * 200 * 20000);
  OpLog log(9);
  ASSERT_TRUE(log.Admit({FromBytes(bytes)}).ok());
  const auto refused = log.Admit({FromBytes(LongPositions(2)), FromBytes(LongPositions(3))});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kLimit);
}

}  // namespace
}  // namespace merrow::loro
