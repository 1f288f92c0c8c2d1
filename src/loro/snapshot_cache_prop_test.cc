// SPDX-License-Identifier: Apache-2.0
//
// The snapshot cache: what it writes is what a document without one would, after any edits, imports
// and failures. A failure names its seed; MERROW_SEED=<n> runs only that.

#include "loro/snapshot_cache.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/clock.h"
#include "loro/random_peer_test_util.h"
#include "loro/snapshot.h"

namespace merrow::loro {
namespace {

using Stores = std::pair<std::vector<std::pair<ContainerId, Bytes>>, VersionVector>;

// The states in a snapshot, and its version. Blocks are cut in any way.
Stores StatesIn(BytesView snapshot) {
  const Result<SnapshotParts> parts = DecodeSnapshot(snapshot.substr(kEnvelopeBytes));
  EXPECT_TRUE(parts.ok());
  Stores stores;
  stores.second = parts->version;
  for (const SnapshotParts::State& entry : parts->states) {
    stores.first.emplace_back(entry.container, Bytes(entry.wrapper));
  }
  return stores;
}

// Enough in many containers that snapshots are kept.
void Fill(Document* doc, SeededRandom* random) {
  for (int i = 0; i < 60; ++i) {
    const ContainerId map = ContainerId::Root("filler " + std::to_string(i), ContainerKind::kMap);
    for (int key = 0; key < 12; ++key) {
      ASSERT_TRUE(doc->MapSet(map, std::to_string(key),
                              Value(std::to_string(random->Next()) + std::to_string(key)))
                      .ok());
    }
  }
  ASSERT_TRUE(doc->TextInsert(ContainerId::Root("long", ContainerKind::kText), 0,
                              std::string(9000, 'x') + std::to_string(random->Next()))
                  .ok());
  doc->Commit();
}

void CheckSeed(uint64_t seed) {
  SCOPED_TRACE("MERROW_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<RandomPeer> peers;
  for (PeerId id = 1; id <= 2; ++id) peers.emplace_back(id * 11);
  Document& doc = peers[0].doc();
  Fill(&doc, &random);
  for (int step = 0; step < 25; ++step) {
    RandomPeer& peer = peers[random.Below(peers.size())];
    for (uint64_t edits = random.Below(6); edits > 0; --edits) peer.EditAtRandom(&random);
    if (random.Below(3) == 0) {
      ASSERT_TRUE(doc.Import(peers[1].doc().ExportUpdates(doc.version())).ok());
      peers[0].LearnFrom(peers[1]);
    }
    if (random.Below(3) == 0) {
      ASSERT_TRUE(peers[1].doc().Import(doc.ExportUpdates(peers[1].doc().version())).ok());
      peers[1].LearnFrom(peers[0]);
    }
    if (random.Below(4) == 0) {
      // An edit that is refused opens a root for a moment.
      EXPECT_FALSE(doc.TextInsert(ContainerId::Root("refused", ContainerKind::kText), 9, "x").ok());
    }
    if (random.Below(10) == 0) doc.Rest();
    const Bytes snapshot = doc.ExportSnapshot();
    Document fresh(9);
    ASSERT_TRUE(fresh.Import(doc.ExportUpdates({})).ok());
    EXPECT_EQ(StatesIn(snapshot), StatesIn(fresh.ExportSnapshot()));
    Document loaded(9);
    ASSERT_TRUE(loaded.Load(snapshot).ok());
    ASSERT_TRUE(loaded.Wake().ok());
    EXPECT_EQ(loaded.ToJson(), fresh.ToJson());
    EXPECT_EQ(loaded.ExportJson(), doc.ExportJson());
    // Exported again, nothing has changed.
    EXPECT_EQ(doc.ExportSnapshot(), doc.ExportSnapshot());
    if (testing::Test::HasFailure()) return;
  }
}

TEST(SnapshotCachePropTest, WritesWhatADocumentWithoutOneWould) {
  if (const char* seed = std::getenv("MERROW_SEED")) return CheckSeed(std::stoull(seed));
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CheckSeed(seed);
    if (testing::Test::HasFailure()) return;
  }
}

// Of a failed import, too: the state is another one then.
TEST(SnapshotCacheTest, AFailedImportIsForgotten) {
  SeededRandom random(7);
  Document doc(1);
  Fill(&doc, &random);
  doc.ExportSnapshot();
  const Stores before = StatesIn(doc.ExportSnapshot());
  ChangeBlockBuilder builder(2);
  builder.BeginChange(0, 0, {}, 0, "");
  builder.AddMapSet(ContainerId::Root("filler 1", ContainerKind::kMap), "k", Value(true));
  builder.AddTextInsert(ContainerId::Root("long", ContainerKind::kText), 99999999, "x", 1);
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  writer.AppendBlock(builder.Encode());
  ASSERT_FALSE(doc.Import(writer.Finish()).ok());
  EXPECT_EQ(StatesIn(doc.ExportSnapshot()), before);
  EXPECT_EQ(StatesIn(doc.ExportSnapshot()), before);
}

// It counts as memory of the document, and goes when that rests.
TEST(SnapshotCacheTest, GoesWhenTheDocumentRests) {
  SeededRandom random(7);
  Document doc(1);
  Fill(&doc, &random);
  doc.ExportSnapshot();
  const size_t bytes = doc.MemoryBytes();  // what comes is for the next snapshot
  const size_t size = doc.ExportSnapshot().size();
  EXPECT_GT(doc.MemoryBytes(), bytes + size / 2);
  doc.Rest();
  EXPECT_LT(doc.MemoryBytes(), 2 * size);
}

}  // namespace
}  // namespace merrow::loro
