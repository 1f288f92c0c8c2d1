// SPDX-License-Identifier: Apache-2.0
#include "merrow/document.h"

#include <gmock/gmock.h>

#include "loro/envelope.h"

namespace merrow::loro {
namespace {

const ContainerId kMap = ContainerId::Root("row", ContainerKind::kMap);
const ContainerId kText = ContainerId::Root("body", ContainerKind::kText);
const ContainerId kList = ContainerId::Root("tags", ContainerKind::kList);
const ContainerId kCounter = ContainerId::Root("votes", ContainerKind::kCounter);

Bytes Since(Document& doc, const VersionVector& from = {}) { return doc.ExportUpdates(from); }

TEST(Document, TheSmallestUpdateIsLorosBytes) {
  Document doc(1);
  ASSERT_TRUE(doc.MapSet(ContainerId::Root("m", ContainerKind::kMap), "k", Value("v")).ok());
  EXPECT_EQ(ToHex(Since(doc)),
            "6c6f726f0000000000000000000000000507b0f60004"
            "3d00010001011001010000000000000001010000000000"
            "050100000100"
            "0601040100000204016b016d"
            "000e010402010002010002010b02010100"
            "03050176");
}

TEST(Document, AnEmptyUpdateIsTheEnvelope) {
  Document doc(1);
  EXPECT_EQ(Since(doc).size(), 22U);
  EXPECT_TRUE(doc.Import(Since(doc)).ok());
  EXPECT_EQ(doc.ToJson(), "{}");
}

TEST(Document, EditsOfEveryKindTravel) {
  Document a(1);
  Document b(2);
  ASSERT_TRUE(a.MapSet(kMap, "title", Value("hello")).ok());
  ASSERT_TRUE(a.TextInsert(kText, 0, "hällo 😀").ok());
  ASSERT_TRUE(a.TextDelete(kText, 1, 1).ok());
  ASSERT_TRUE(a.ListInsert(kList, 0, Value("x")).ok());
  ASSERT_TRUE(a.ListInsert(kList, 1, Value(int64_t{7})).ok());
  ASSERT_TRUE(a.CounterIncrement(kCounter, 2.5).ok());
  const Result<ContainerId> child = a.MapSetContainer(kMap, "deep", ContainerKind::kList);
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(a.ListInsert(*child, 0, Value(true)).ok());
  ASSERT_TRUE(b.Import(Since(a)).ok());
  EXPECT_EQ(
      b.ToJson(),
      R"({"body":"hllo 😀","row":{"deep":[true],"title":"hello"},"tags":["x",7],"votes":2.5})");
  EXPECT_EQ(b.version(), a.version());
  EXPECT_EQ(b.frontiers(), a.frontiers());
  a.CheckInvariants();
  b.CheckInvariants();
}

TEST(Document, ContainersAreReadItemByItem) {
  Document doc(1);
  const ContainerId movable = ContainerId::Root("cards", ContainerKind::kMovableList);
  ASSERT_TRUE(doc.MapSet(kMap, "b", Value("x")).ok());
  ASSERT_TRUE(doc.MapSet(kMap, "a", Value(int64_t{1})).ok());
  ASSERT_TRUE(doc.MapSet(kMap, "gone", Value(true)).ok());
  ASSERT_TRUE(doc.MapDelete(kMap, "gone").ok());
  ASSERT_TRUE(doc.ListInsert(kList, 0, Value("first")).ok());
  ASSERT_TRUE(doc.ListInsert(movable, 0, Value("second")).ok());
  EXPECT_EQ(doc.MapKeys(kMap), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(doc.ListGet(kList, 0), Value("first"));
  EXPECT_EQ(doc.ListGet(movable, 0), Value("second"));
  EXPECT_EQ(doc.ListGet(kList, 1), std::nullopt);
  EXPECT_EQ(doc.ListGet(kMap, 0), std::nullopt);
  EXPECT_TRUE(doc.MapKeys(kList).empty());
}

TEST(Document, ConcurrentInsertsAtOnePlaceStandInPeerOrder) {
  Document a(1);
  Document b(2);
  ASSERT_TRUE(a.TextInsert(kText, 0, "AAA").ok());
  ASSERT_TRUE(b.TextInsert(kText, 0, "BBB").ok());
  ASSERT_TRUE(a.Import(Since(b)).ok());
  ASSERT_TRUE(b.Import(Since(a)).ok());
  EXPECT_EQ(a.Text(kText), "AAABBB");
  EXPECT_EQ(b.Text(kText), "AAABBB");
}

TEST(Document, TheLargerPeerWinsAMapSlot) {
  constexpr PeerId kLarge = 0xF000000000000000U;
  Document a(1);
  Document b(kLarge);
  ASSERT_TRUE(a.MapSet(kMap, "k", Value("a")).ok());
  ASSERT_TRUE(b.MapSet(kMap, "k", Value("b")).ok());
  ASSERT_TRUE(a.Import(Since(b)).ok());
  ASSERT_TRUE(b.Import(Since(a)).ok());
  EXPECT_EQ(a.ToJson(), R"({"row":{"k":"b"}})");
  EXPECT_EQ(b.ToJson(), a.ToJson());
}

TEST(Document, ChangesWithMissingDependenciesWaitForThem) {
  Document a(1);
  ASSERT_TRUE(a.TextInsert(kText, 0, "one").ok());
  const Bytes first = Since(a);
  const VersionVector middle = a.version();
  ASSERT_TRUE(a.TextInsert(kText, 3, " two").ok());
  const Bytes second = Since(a, middle);

  Document b(2);
  const Result<ImportStatus> early = b.Import(second);
  ASSERT_TRUE(early.ok());
  EXPECT_TRUE(early->success.empty());
  EXPECT_THAT(early->pending, testing::ElementsAre(IdSpan{1, 3, 7}));
  EXPECT_TRUE(b.has_pending());
  EXPECT_EQ(b.ToJson(), "{}");
  // Of what is sent again, only that is reported.
  const IdSpan part{1, 3, 5};
  const Result<ImportStatus> again = b.Import(a.ExportUpdatesInRange({&part, 1}));
  ASSERT_TRUE(again.ok());
  EXPECT_THAT(again->pending, testing::ElementsAre(part));
  // Parked ops are not part of what is exported.
  EXPECT_EQ(Since(b).size(), 22U);

  const Result<ImportStatus> late = b.Import(first);
  ASSERT_TRUE(late.ok());
  EXPECT_THAT(late->success, testing::ElementsAre(IdSpan{1, 0, 7}));
  EXPECT_FALSE(b.has_pending());
  EXPECT_EQ(b.Text(kText), "one two");
}

TEST(Document, AnUpdateThatOverlapsIsCut) {
  Document a(1);
  ASSERT_TRUE(a.TextInsert(kText, 0, "one").ok());
  Document b(2);
  ASSERT_TRUE(b.Import(Since(a)).ok());
  ASSERT_TRUE(a.TextInsert(kText, 3, "two").ok());
  ASSERT_TRUE(b.Import(Since(a)).ok());
  ASSERT_TRUE(b.Import(Since(a)).ok());
  EXPECT_EQ(b.Text(kText), "onetwo");
  b.CheckInvariants();
  // What b exports from the middle of a's run is cut as well.
  VersionVector middle;
  middle.Set(1, 4);
  Document c(3);
  ASSERT_TRUE(c.Import(Since(b, middle)).ok());
  EXPECT_TRUE(c.has_pending());
}

TEST(Document, SnapshotsCarryHistoryAndState) {
  Document a(1);
  ASSERT_TRUE(a.TextInsert(kText, 0, "hello").ok());
  ASSERT_TRUE(a.MapSet(kMap, "k", Value("v")).ok());
  ASSERT_TRUE(a.MapDelete(kMap, "k").ok());
  ASSERT_TRUE(a.CounterIncrement(kCounter, 3).ok());
  const Result<ContainerId> child = a.ListInsertContainer(kList, 0, ContainerKind::kMap);
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(a.MapSet(*child, "x", Value(int64_t{1})).ok());

  Document b(2);
  ASSERT_TRUE(b.Import(a.ExportSnapshot()).ok());
  EXPECT_EQ(b.ToJson(), a.ToJson());
  EXPECT_EQ(b.version(), a.version());
  b.CheckInvariants();
  // Both go on, concurrently.
  ASSERT_TRUE(a.TextInsert(kText, 5, "!").ok());
  ASSERT_TRUE(b.TextDelete(kText, 0, 4).ok());
  ASSERT_TRUE(b.MapSet(*child, "x", Value(int64_t{2})).ok());
  ASSERT_TRUE(a.Import(Since(b, a.version())).ok());
  ASSERT_TRUE(b.Import(Since(a, b.version())).ok());
  EXPECT_EQ(a.ToJson(), b.ToJson());
  EXPECT_EQ(a.Text(kText), "o!");
  // Into a document that has something, a snapshot merges as updates do.
  Document c(3);
  ASSERT_TRUE(c.TextInsert(kText, 0, "c").ok());
  ASSERT_TRUE(c.Import(a.ExportSnapshot()).ok());
  ASSERT_TRUE(a.Import(Since(c)).ok());
  EXPECT_EQ(c.ToJson(), a.ToJson());
}

TEST(Document, BadInputChangesNothing) {
  Document a(1);
  ASSERT_TRUE(a.TextInsert(kText, 0, "hello").ok());
  const Bytes good = Since(a);
  Document b(2);
  ASSERT_TRUE(b.MapSet(kMap, "k", Value("v")).ok());
  b.Commit();
  const std::string before = b.ToJson();
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(b.Import(BytesView(good).substr(0, i)).ok());
    Bytes flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    const bool covered = i < 4 || i >= 16;  // the zero prefix is not interpreted
    if (covered) {
      EXPECT_FALSE(b.Import(flipped).ok()) << i;
    }
    if (covered) {
      EXPECT_EQ(b.ToJson(), before);
    }
  }
}

TEST(Document, AnOpThatDoesNotFitItsVersionIsRefusedAndUndone) {
  // A delete past the end, well-formed otherwise: made on a text that peer 1 never had.
  Document liar(1);
  ASSERT_TRUE(liar.TextInsert(kText, 0, "0123456789").ok());
  liar.Commit();
  VersionVector start;
  start.Set(1, 10);
  ASSERT_TRUE(liar.MapSet(kMap, "k", Value("half")).ok());
  ASSERT_TRUE(liar.TextDelete(kText, 5, 5).ok());
  const Bytes tail = Since(liar, start);

  Document honest(1);
  ASSERT_TRUE(honest.TextInsert(kText, 0, "0").ok());
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(honest.CounterIncrement(kCounter, 1).ok());
  Document victim(2);
  ASSERT_TRUE(victim.Import(Since(honest)).ok());
  const std::string before = victim.ToJson();
  const VersionVector version = victim.version();
  EXPECT_FALSE(victim.Import(tail).ok());
  EXPECT_EQ(victim.ToJson(), before);
  EXPECT_EQ(victim.version(), version);
  victim.CheckInvariants();
  ASSERT_TRUE(honest.CounterIncrement(kCounter, 1).ok());
  EXPECT_TRUE(victim.Import(Since(honest, version)).ok());
}

TEST(Document, EditsOutOfRangeAreRefused) {
  Document doc(1);
  EXPECT_FALSE(doc.TextInsert(kText, 1, "x").ok());
  EXPECT_FALSE(doc.TextDelete(kText, 0, 1).ok());
  EXPECT_FALSE(doc.ListInsert(kList, 1, Value(true)).ok());
  EXPECT_FALSE(doc.ListDelete(kList, 0, 1).ok());
  EXPECT_FALSE(doc.MapSet(kText, "k", Value(true)).ok());
  EXPECT_FALSE(doc.TextInsert(kText, 0, "\xff").ok());
  const ContainerId absent = ContainerId::Normal({9, 9}, ContainerKind::kMap);
  EXPECT_FALSE(doc.MapSet(absent, "k", Value(true)).ok());
  EXPECT_TRUE(doc.MapDelete(kMap, "k").ok());  // nothing to delete
  EXPECT_EQ(doc.op_count(), 0U);
  EXPECT_EQ(doc.ToJson(), "{}");
  EXPECT_FALSE(doc.SetPeer(kNoPeer).ok());
}

TEST(Document, PositionsInUtf16) {
  Document doc(1);
  ASSERT_TRUE(doc.TextInsert(kText, 0, "a😀b").ok());
  ASSERT_TRUE(doc.TextInsert(kText, 3, "X", TextUnit::kUtf16).ok());
  EXPECT_EQ(doc.Text(kText), "a😀Xb");
  EXPECT_FALSE(doc.TextInsert(kText, 2, "Y", TextUnit::kUtf16).ok());  // inside the pair
  EXPECT_EQ(doc.Length(kText), 4U);
  EXPECT_EQ(doc.Length(kText, TextUnit::kUtf16), 5U);
}

TEST(Document, AMarkWithNullIsAnUnmark) {
  std::vector<Bytes> updates;
  for (const bool by_null : {false, true}) {
    Document doc(1);
    ASSERT_TRUE(doc.TextInsert(kText, 0, "hello").ok());
    ASSERT_TRUE(doc.TextMark(kText, 0, 4, "link", Value("x"), StyleExpand::kNone).ok());
    ASSERT_TRUE((by_null ? doc.TextMark(kText, 1, 3, "link", Value(), StyleExpand::kNone)
                         : doc.TextUnmark(kText, 1, 3, "link", StyleExpand::kNone))
                    .ok());
    updates.push_back(Since(doc));
  }
  EXPECT_EQ(updates[0], updates[1]);
}

TEST(Document, JoinedUpdatesAreOneUpdate) {
  Document a(1);
  std::vector<Bytes> deltas;
  for (size_t i = 0; i < 3; ++i) {
    const VersionVector before = a.version();
    ASSERT_TRUE(a.TextInsert(kText, i, "x").ok());
    deltas.push_back(a.ExportUpdates(before));
  }
  const std::vector<BytesView> views(deltas.begin(), deltas.end());
  const Result<Bytes> joined = JoinUpdates(views);
  ASSERT_TRUE(joined.ok());
  Document b(2);
  ASSERT_TRUE(b.Import(*joined).ok());
  EXPECT_EQ(b.Text(kText), "xxx");
  const Bytes snapshot = a.ExportSnapshot();
  const BytesView not_updates = snapshot;
  EXPECT_FALSE(JoinUpdates({&not_updates, 1}).ok());
}

TEST(Document, TypingIsOneRun) {
  Document doc(1);
  for (size_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(doc.TextInsert(kText, i, "x").ok());
    doc.Commit();
  }
  EXPECT_LT(Since(doc).size(), 1200U);
  VersionVector last;
  last.Set(1, 999);
  EXPECT_LT(Since(doc, last).size(), 100U);
}

}  // namespace
}  // namespace merrow::loro
