// SPDX-License-Identifier: Apache-2.0
//
// Events of random documents: who knows a document by its events alone sees what it shows, after
// every import and commit, also if some imports fail.

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/clock.h"
#include "loro/delta_mirror_test_util.h"
#include "loro/random_peer_test_util.h"

namespace merrow::loro {
namespace {

void CheckSeed(uint64_t seed) {
  SCOPED_TRACE("MERROW_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<RandomPeer> peers;
  for (PeerId id = 1; id <= 2 + random.Below(2); ++id) peers.emplace_back(id * 7);
  Document& doc = peers[0].doc();
  // Some start in the middle.
  for (uint64_t edits = random.Below(2) * random.Below(30); edits > 0; --edits) {
    peers[0].EditAtRandom(&random);
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
  const size_t steps = 10 + random.Below(80);
  for (size_t step = 0; step < steps; ++step) {
    RandomPeer& peer = peers[random.Below(peers.size())];
    for (uint64_t edits = random.Below(4); edits > 0; --edits) peer.EditAtRandom(&random);
    if (random.Below(2) == 0) peer.doc().Commit();
    if (random.Below(3) == 0) {
      RandomPeer& other = peers[random.Below(peers.size())];
      Bytes update = other.doc().ExportUpdates(peer.doc().version());
      if (random.Below(4) == 0 && update.size() > 30) {
        update.resize(update.size() - 1);
        EXPECT_FALSE(peer.doc().Import(update).ok());
      } else {
        EXPECT_TRUE(peer.doc().Import(update).ok());
        peer.LearnFrom(other);
      }
    }
    doc.Commit();
    mirror.ExpectShows(doc);
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

}  // namespace
}  // namespace merrow::loro
