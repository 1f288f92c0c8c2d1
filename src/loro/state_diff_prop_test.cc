// SPDX-License-Identifier: Apache-2.0
//
// Deltas between versions of random documents with every kind of container, nested, that several
// peers edit concurrently: what a version looks like plus the delta to another one is what that
// looks like, whichever two versions they are; the same delta made as edits gives the same look. A
// failure names its seed; MERROW_SEED=<n> runs only that.

#include "loro/state_diff.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>

#include "base/clock.h"
#include "loro/delta_mirror_test_util.h"
#include "loro/random_peer_test_util.h"

namespace merrow::loro {
namespace {

// A version of a document, and a document that is at it.
struct Moment {
  Frontiers version;
  Document document;
};

Moment MomentOf(Document* document) {
  Moment moment{document->frontiers(), Document(document->peer())};
  EXPECT_TRUE(moment.document.Import(document->ExportUpdates({})).ok());
  return moment;
}

// Peers edit and exchange at random. Returns moments of the first one's document.
std::deque<Moment> RandomHistory(std::vector<RandomPeer>* peers, SeededRandom* random) {
  std::deque<Moment> moments;
  moments.push_back(MomentOf(&(*peers)[0].doc()));
  const size_t steps = 20 + random->Below(60);
  for (size_t step = 0; step < steps; ++step) {
    RandomPeer& peer = (*peers)[random->Below(peers->size())];
    for (uint64_t edits = random->Below(4); edits > 0; --edits) peer.EditAtRandom(random);
    peer.doc().Commit();
    if (random->Below(3) == 0) {
      RandomPeer& other = (*peers)[random->Below(peers->size())];
      EXPECT_TRUE(peer.doc().Import(other.doc().ExportUpdates(peer.doc().version())).ok());
      peer.LearnFrom(other);
    }
    if (random->Below(10) == 0) moments.push_back(MomentOf(&(*peers)[0].doc()));
  }
  moments.push_back(MomentOf(&(*peers)[0].doc()));
  return moments;
}

std::vector<RandomPeer> RandomPeers(SeededRandom* random) {
  std::vector<RandomPeer> peers;
  for (PeerId id = 1; id <= 2 + random->Below(2); ++id) peers.emplace_back(id * 7);
  return peers;
}

void ForEachSeed(uint64_t count, void (*check)(SeededRandom*)) {
  const char* const only = std::getenv("MERROW_SEED");
  for (uint64_t seed = 1; seed <= count; ++seed) {
    SeededRandom random(only == nullptr ? seed : std::stoull(only));
    SCOPED_TRACE("MERROW_SEED=" + (only == nullptr ? std::to_string(seed) : only));
    check(&random);
    if (testing::Test::HasFailure() || only != nullptr) return;
  }
}

TEST(StateDiffPropTest, ADeltaTurnsOneVersionIntoAnother) {
  ForEachSeed(60, [](SeededRandom* random) {
    std::vector<RandomPeer> peers = RandomPeers(random);
    const std::deque<Moment> moments = RandomHistory(&peers, random);
    const Document& doc = peers[0].doc();
    for (int pair = 0; pair < 6; ++pair) {
      const Moment& a = moments[random->Below(moments.size())];
      const Moment& b = moments[random->Below(moments.size())];
      DeltaMirror mirror;
      const Result<DocumentDelta> to_a = doc.Diff({}, a.version);
      ASSERT_TRUE(to_a.ok()) << to_a.error().ToString();
      mirror.Apply(*to_a);
      mirror.ExpectShows(a.document);
      const Result<DocumentDelta> to_b = doc.Diff(a.version, b.version);
      ASSERT_TRUE(to_b.ok());
      mirror.Apply(*to_b);
      mirror.ExpectShows(b.document);
      EXPECT_TRUE(a.version != b.version || to_b->empty());
    }
  });
}

TEST(StateDiffPropTest, ADeltaMadeAsEditsGivesTheSameLook) {
  ForEachSeed(60, [](SeededRandom* random) {
    std::vector<RandomPeer> peers = RandomPeers(random);
    std::deque<Moment> moments = RandomHistory(&peers, random);
    Moment& from = moments[random->Below(moments.size())];
    const Moment& to = moments[random->Below(moments.size())];
    const Result<DocumentDelta> delta = peers[0].doc().Diff(from.version, to.version);
    ASSERT_TRUE(delta.ok());
    const Status applied = from.document.ApplyDelta(*delta);
    ASSERT_TRUE(applied.ok()) << applied.error().ToString();
    from.document.CheckInvariants();
    EXPECT_EQ(DeltaMirror::LookOf(from.document), DeltaMirror::LookOf(to.document));
  });
}

TEST(StateDiffPropTest, RevertGivesTheLookOfAnEarlierVersion) {
  ForEachSeed(40, [](SeededRandom* random) {
    std::vector<RandomPeer> peers = RandomPeers(random);
    const std::deque<Moment> moments = RandomHistory(&peers, random);
    const Moment& earlier = moments[random->Below(moments.size())];
    Document& doc = peers[0].doc();
    ASSERT_TRUE(doc.RevertTo(earlier.version).ok());
    EXPECT_EQ(DeltaMirror::LookOf(doc), DeltaMirror::LookOf(earlier.document));
    const Result<DocumentDelta> rest = doc.Diff(earlier.version, earlier.version);
    ASSERT_TRUE(rest.ok());
    EXPECT_TRUE(rest->empty());
  });
}

TEST(StateDiffTest, AnUnknownVersionIsRefused) {
  Document doc(1);
  ASSERT_TRUE(doc.MapSet(ContainerId::Root("m", ContainerKind::kMap), "k", Value(true)).ok());
  doc.Commit();
  EXPECT_EQ(doc.Diff({}, {Id{1, 1}}).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(doc.RevertTo({Id{2, 0}}).error().code(), ErrorCode::kNotFound);
}

TEST(DeltaEditorTest, AMergeableChildComesBackWithWhatItHeld) {
  Document doc(1);
  const ContainerId map = ContainerId::Root("m", ContainerKind::kMap);
  const Result<ContainerId> child = doc.MapEnsureMergeable(map, "k", ContainerKind::kText);
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(doc.TextInsert(*child, 0, "abc").ok());
  doc.Commit();
  const Frontiers before = doc.frontiers();
  ASSERT_TRUE(doc.TextInsert(*child, 3, "def").ok());
  ASSERT_TRUE(doc.MapSet(map, "k", Value(true)).ok());
  doc.Commit();
  ASSERT_TRUE(doc.RevertTo(before).ok());
  EXPECT_EQ(doc.ToJson(), R"({"m":{"k":"abc"}})");
}

TEST(DeltaEditorTest, WhatDoesNotFitChangesNothing) {
  Document doc(1);
  const ContainerId text = ContainerId::Root("t", ContainerKind::kText);
  const ContainerId list = ContainerId::Root("l", ContainerKind::kList);
  const ContainerId tree = ContainerId::Root("o", ContainerKind::kTree);
  ASSERT_TRUE(doc.TextInsert(text, 0, "abc").ok());
  const Result<Id> node = doc.TreeCreate(tree, std::nullopt, std::nullopt);
  ASSERT_TRUE(node.ok());
  doc.Commit();
  const ContainerDelta good{
      text, TextDelta{{.kind = EditKind::kInsert, .length = 1, .text = "x", .attributes = {}}}};
  const ContainerId unknown = ContainerId::Normal({9, 9}, ContainerKind::kList);
  const Value inside(Value::List{Value(unknown)});
  const auto place = [&](TreeEdit::Kind kind, Id target, std::optional<Id> parent, uint32_t index) {
    return ContainerDelta{tree, TreeDelta{{kind, target, parent, index, {}}}};
  };
  const std::vector<ContainerDelta> bad = {
      good,  // twice
      {list, TextDelta{}},
      {text, TextDelta{{.kind = EditKind::kDelete, .length = 4, .text = {}, .attributes = {}}}},
      {text, TextDelta{{.kind = EditKind::kInsert, .length = 2, .text = "x", .attributes = {}}}},
      {list, ListDelta{{.kind = EditKind::kRetain, .length = 1, .values = {}}}},
      {list, ListDelta{{.kind = EditKind::kInsert, .length = 1, .values = {}}}},
      {list, ListDelta{{.kind = EditKind::kInsert, .length = 1, .values = {inside}}}},
      {unknown, ListDelta{}},
      place(TreeEdit::Kind::kMove, *node, *node, 0),
      place(TreeEdit::Kind::kMove, *node, std::nullopt, 1),
      place(TreeEdit::Kind::kCreate, *node, std::nullopt, 0),
      place(TreeEdit::Kind::kDelete, {9, 9}, std::nullopt, 0),
  };
  const std::string look = doc.ToJson();
  for (const ContainerDelta& item : bad) {
    EXPECT_FALSE(doc.ApplyDelta({good, item}).ok()) << item.container.ToString();
    EXPECT_EQ(doc.ToJson(), look);
  }
  EXPECT_TRUE(doc.ApplyDelta({good}).ok());
  EXPECT_EQ(doc.Text(text), "xabc");
}

}  // namespace
}  // namespace merrow::loro
