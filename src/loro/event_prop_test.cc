// SPDX-License-Identifier: Apache-2.0
//
// Events of random documents: who knows a document by its events alone sees what it shows, after
// every import, commit and checkout, also if some imports fail. A failure names its seed;
// MERROW_SEED=<n> runs only that.

#include <gmock/gmock.h>

#include <array>
#include <cstdlib>

#include "base/clock.h"
#include "loro/delta_mirror_test_util.h"
#include "loro/random_peer_test_util.h"
#include "merrow/undo.h"

namespace merrow::loro {
namespace {

const ContainerId kMap = ContainerId::Root("map", ContainerKind::kMap);
const ContainerId kText = ContainerId::Root("text", ContainerKind::kText);

// A mergeable child appears, is edited or goes.
void EditMergeable(Document* doc, SeededRandom* random) {
  const std::string key(1, static_cast<char>('x' + random->Below(2)));
  if (random->Below(3) == 0) {
    ASSERT_TRUE(doc->MapDelete(kMap, key).ok());
    return;
  }
  const std::array kinds = {ContainerKind::kText, ContainerKind::kCounter, ContainerKind::kMap};
  const ContainerKind kind = kinds[random->Below(kinds.size())];
  Result<ContainerId> child = doc->MapEnsureMergeable(kMap, key, kind);
  ASSERT_TRUE(child.ok()) << child.error().ToString();
  switch (kind) {
    case ContainerKind::kText:
      ASSERT_TRUE(doc->TextInsert(*child, random->Below(doc->Length(*child) + 1), "m").ok());
      return;
    case ContainerKind::kCounter:
      ASSERT_TRUE(doc->CounterIncrement(*child, 2).ok());
      return;
    default:
      ASSERT_TRUE(doc->MapSet(*child, "k", Value(static_cast<int64_t>(random->Below(9)))).ok());
      child = doc->MapEnsureMergeable(*child, "deeper", ContainerKind::kText);
      ASSERT_TRUE(child.ok());
      ASSERT_TRUE(doc->TextInsert(*child, 0, "n").ok());
  }
}

void EditAtRandom(RandomPeer* peer, SeededRandom* random) {
  for (uint64_t edits = random->Below(4); edits > 0; --edits) peer->EditAtRandom(random);
  if (random->Below(4) == 0) EditMergeable(&peer->doc(), random);
}

void ImportFrom(RandomPeer* peer, RandomPeer* other, SeededRandom* random) {
  Bytes update = other->doc().ExportUpdates(peer->doc().version());
  if (random->Below(4) == 0 && update.size() > 30) {
    update.pop_back();
    EXPECT_FALSE(peer->doc().Import(update).ok());
    return;
  }
  EXPECT_TRUE(peer->doc().Import(update).ok());
  peer->LearnFrom(*other);
}

void CheckSeed(uint64_t seed) {
  SCOPED_TRACE("MERROW_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<RandomPeer> peers;
  for (PeerId id = 1; id <= 2 + random.Below(2); ++id) peers.emplace_back(id * 7);
  Document& doc = peers[0].doc();
  // Some start in the middle.
  for (uint64_t edits = random.Below(2) * random.Below(30); edits > 0; --edits) {
    EditAtRandom(&peers[0], &random);
  }
  doc.Commit();
  DeltaMirror mirror;
  mirror.Apply(*doc.Diff({}, doc.frontiers()));
  Frontiers told = doc.frontiers();
  const Subscription subscription = doc.Subscribe([&](const DocumentEvent& event) {
    EXPECT_EQ(event.from, told);
    EXPECT_FALSE(event.delta.empty());
    told = event.to;
    mirror.Apply(event.delta);
  });
  std::vector<Frontiers> versions = {doc.frontiers()};
  for (size_t steps = 10 + random.Below(80); steps > 0; --steps) {
    RandomPeer& peer = peers[random.Below(peers.size())];
    EditAtRandom(&peer, &random);
    if (random.Below(2) == 0) peer.doc().Commit();
    if (random.Below(3) == 0) ImportFrom(&peer, &peers[random.Below(peers.size())], &random);
    doc.Commit();
    mirror.ExpectShows(doc);
    versions.push_back(doc.frontiers());
    if (random.Below(8) == 0) {
      for (uint64_t looks = 1 + random.Below(2); looks > 0; --looks) {
        ASSERT_TRUE(doc.Checkout(versions[random.Below(versions.size())]).ok());
        mirror.ExpectShows(doc);
      }
      ImportFrom(&peers[0], &peers[1], &random);
      if (doc.is_checked_out()) mirror.ExpectShows(doc);
      doc.CheckoutToLatest();
      mirror.ExpectShows(doc);
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(EventPropTest, EventsTellAllThatIsShown) {
  if (const char* seed = std::getenv("MERROW_SEED")) return CheckSeed(std::stoull(seed));
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    CheckSeed(seed);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(EventTest, SaysWhatOneEditChanged) {
  Document doc(1);
  std::vector<DocumentDelta> deltas;
  const Subscription subscription = doc.Subscribe([&](const DocumentEvent& event) {
    EXPECT_EQ(event.cause, DocumentEvent::Cause::kLocal);
    deltas.push_back(event.delta);
  });
  ASSERT_TRUE(doc.TextInsert(kText, 0, "hello").ok());
  EXPECT_TRUE(deltas.empty());
  doc.Commit();
  ASSERT_TRUE(doc.TextMark(kText, 1, 3, "bold", Value(true), StyleExpand::kAfter).ok());
  ASSERT_TRUE(doc.TextDelete(kText, 4, 1).ok());
  doc.Commit();
  doc.Commit();
  const TextDelta expected = {
      {.kind = EditKind::kRetain, .length = 1, .text = {}, .attributes = {}},
      {.kind = EditKind::kRetain, .length = 2, .text = {}, .attributes = {{"bold", Value(true)}}},
      {.kind = EditKind::kRetain, .length = 1, .text = {}, .attributes = {}},
      {.kind = EditKind::kDelete, .length = 1, .text = {}, .attributes = {}}};
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[1], (DocumentDelta{{kText, expected}}));
}

TEST(EventTest, SubscriptionsEnd) {
  auto doc = std::make_unique<Document>(1);
  int first = 0;
  int second = 0;
  Subscription one = doc->Subscribe([&first](const DocumentEvent&) { ++first; });
  Subscription two = doc->Subscribe([&](const DocumentEvent&) {
    ++second;
    two = Subscription();  // in the midst of a call
  });
  for (int64_t value = 0; value < 3; ++value) {
    ASSERT_TRUE(doc->MapSet(kMap, "k", Value(value)).ok());
    doc->Commit();
    if (value == 1) one = Subscription();
  }
  EXPECT_EQ(first, 2);
  EXPECT_EQ(second, 1);
  one = doc->Subscribe([&first](const DocumentEvent&) { ++first; });
  doc.reset();  // before its subscription
}

TEST(EventTest, WhatHasEndedIsNotCalledAnyMore) {
  Document doc(1);
  auto second = std::make_unique<int>(0);  // goes with its subscription
  Subscription two;
  const Subscription one = doc.Subscribe([&](const DocumentEvent&) {
    two = Subscription();
    second.reset();
  });
  two = doc.Subscribe([&](const DocumentEvent&) {
    ADD_FAILURE() << "called after its end";
    if (second != nullptr) ++*second;
  });
  ASSERT_TRUE(doc.MapSet(kMap, "k", Value(int64_t{1})).ok());
  doc.Commit();
  EXPECT_EQ(second, nullptr);
}

TEST(EventTest, ACallbackReadsAndChangesNothing) {
  Document doc(1);
  Document other(2);
  ASSERT_TRUE(other.MapSet(kMap, "other", Value(true)).ok());
  const Bytes update = other.ExportUpdates({});
  ASSERT_TRUE(doc.TextInsert(kText, 0, "a").ok());
  doc.Commit();
  const Frontiers early = doc.frontiers();
  UndoManager undo(&doc);
  int calls = 0;
  Subscription late;
  const Subscription subscription = doc.Subscribe([&](const DocumentEvent& event) {
    ++calls;
    const std::string shown = doc.ToJson();
    const auto expect_busy = [](const Status& status) {
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code(), ErrorCode::kBusy);
    };
    const auto status_of = [](const auto& result) {
      return result.ok() ? Status() : Status(result.error());
    };
    expect_busy(doc.TextInsert(kText, 0, "x"));
    expect_busy(doc.MapSet(kMap, "k", Value(true)));
    expect_busy(status_of(doc.ListInsertContainer(ContainerId::Root("l", ContainerKind::kList), 0,
                                                  ContainerKind::kMap)));
    expect_busy(status_of(doc.Import(update)));
    expect_busy(status_of(doc.ImportJson(other.ExportJson())));
    expect_busy(doc.Checkout(early));
    expect_busy(doc.SetPeer(7));
    expect_busy(doc.RevertTo(early));
    expect_busy(status_of(undo.Undo()));
    const bool was_out = doc.is_checked_out();
    doc.CheckoutToLatest();
    EXPECT_EQ(doc.is_checked_out(), was_out);
    doc.Commit();
    doc.Rest();
    EXPECT_EQ(doc.ToJson(), shown);
    Document copy(3);
    ASSERT_TRUE(copy.Import(doc.ExportSnapshot()).ok());
    EXPECT_EQ(copy.frontiers(), doc.frontiers());
    EXPECT_EQ(doc.shown_frontiers(), event.to);
    if (calls == 1) late = doc.Subscribe([&](const DocumentEvent&) { late = Subscription(); });
  });
  ASSERT_TRUE(doc.TextInsert(kText, 1, "b").ok());
  doc.Commit();
  EXPECT_EQ(calls, 1);
  ASSERT_TRUE(doc.Import(update).ok());
  EXPECT_EQ(calls, 2);
  ASSERT_TRUE(doc.Checkout(early).ok());
  doc.CheckoutToLatest();
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(calls, 5);
  ASSERT_TRUE(doc.SetPeer(7).ok());
  EXPECT_EQ(doc.Text(kText), "a");
}

// The last subscriber goes while it is told, and exports, which looks for subscribers to tell.
TEST(EventTest, WhatIsToldStaysUntilItIsTold) {
  Document doc(1);
  Subscription one;
  Frontiers told;
  one = doc.Subscribe([&](const DocumentEvent& event) {
    one = Subscription();
    const Bytes update = doc.ExportUpdates({});
    told = event.to;
  });
  ASSERT_TRUE(doc.MapSet(kMap, "k", Value(int64_t{1})).ok());
  doc.Commit();
  EXPECT_EQ(told, doc.frontiers());
}

}  // namespace
}  // namespace merrow::loro
