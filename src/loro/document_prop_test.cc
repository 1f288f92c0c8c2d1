// SPDX-License-Identifier: Apache-2.0
//
// Random documents of several peers with every kind of container, nested. Updates and snapshots go
// between them in part, repeated, late and out of order; whatever arrived, invariants hold, and
// once everything did, all peers, one that imports everything at once and one that loads a snapshot
// show the same. A failure names its seed: --gtest_filter=... with MERROW_SEED=<n> runs only that.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "base/clock.h"
#include "loro/random_peer_test_util.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

class Network {
 public:
  explicit Network(uint64_t seed) : random_(seed) {
    const size_t count = 2 + random_.Below(3);
    for (size_t i = 0; i < count; ++i) {
      // Peers above 2^63 compare as unsigned.
      peers_.emplace_back(random_.Below(2) == 0 ? i + 1 : ~uint64_t{0} - 1 - i);
    }
    // All roots are there from the start: an edit that comes to nothing opens its root.
    peers_[0].TouchRoots();
    const Bytes start = peers_[0].doc().ExportUpdates({});
    for (size_t i = 1; i < count; ++i) Deliver(start, &peers_[i]);
  }

  void Run(size_t steps) {
    for (size_t step = 0; step < steps; ++step) {
      RandomPeer& peer = peers_[random_.Below(peers_.size())];
      switch (random_.Below(6)) {
        case 0:
          mail_.push_back(Letter(peer));
          break;
        case 1:
        case 2:
          if (!mail_.empty()) Deliver(mail_[random_.Below(mail_.size())], &peer);
          break;
        case 3:
          peer.doc().Commit();
          break;
        default:
          for (uint64_t edits = 1 + random_.Below(6); edits > 0; --edits) {
            peer.EditAtRandom(&random_);
          }
      }
      peer.doc().CheckInvariants();
      if (testing::Test::HasFailure()) return;
    }
  }

  // Everybody gets everything, in ways that differ.
  void Settle() {
    for (int round = 0; round < 2; ++round) {
      for (RandomPeer& to : peers_) {
        for (RandomPeer& from : peers_) {
          if (&to == &from) continue;
          const bool whole = random_.Below(3) == 0;
          Deliver(
              whole ? from.doc().ExportSnapshot() : from.doc().ExportUpdates(to.doc().version()),
              &to);
        }
      }
    }
    for (RandomPeer& peer : peers_) {
      for (const RandomPeer& other : peers_) peer.LearnFrom(other);
    }
    RandomPeer at_once(77);
    Deliver(peers_[0].doc().ExportUpdates({}), &at_once);
    RandomPeer loaded(78);
    ASSERT_TRUE(loaded.doc().Load(peers_[1].doc().ExportSnapshot()).ok());
    loaded.doc().CheckInvariants();
    for (RandomPeer* peer : {&at_once, &loaded}) peer->LearnFrom(peers_[0]);
    const std::string expected = at_once.doc().ToJson();
    EXPECT_EQ(loaded.doc().ToJson(), expected);
    for (RandomPeer& peer : peers_) {
      EXPECT_FALSE(peer.doc().has_pending());
      EXPECT_EQ(peer.doc().ToJson(), expected);
      EXPECT_EQ(peer.doc().frontiers(), at_once.doc().frontiers());
      EXPECT_EQ(peer.doc().version(), at_once.doc().version());
      for (const ContainerId& id : at_once.containers()) {
        std::string one;
        std::string other;
        std::string third;
        peer.doc().AppendDelta(id, &one);
        at_once.doc().AppendDelta(id, &other);
        loaded.doc().AppendDelta(id, &third);
        EXPECT_EQ(one, other) << id.ToString();
        EXPECT_EQ(third, other) << id.ToString();
      }
    }
    if (random_.Below(2) == 0) peers_.push_back(std::move(loaded));
  }

 private:
  // All, a part or a snapshot of what a peer has.
  Bytes Letter(RandomPeer& from) {
    if (random_.Below(4) == 0) return from.doc().ExportSnapshot();
    from.doc().Commit();
    VersionVector since;
    for (const auto& entry : from.doc().version().entries()) {
      since.Set(entry.peer,
                static_cast<Counter>(random_.Below(static_cast<uint64_t>(entry.end) + 1)));
    }
    return from.doc().ExportUpdates(random_.Below(3) == 0 ? VersionVector() : since);
  }

  void Deliver(const Bytes& blob, RandomPeer* to) {
    const Result<ImportStatus> status = to->doc().Import(blob);
    ASSERT_TRUE(status.ok()) << status.error().ToString();
    to->doc().CheckInvariants();
    for (const RandomPeer& other : peers_) {
      if (&other != to) to->LearnFrom(other);
    }
  }

  SeededRandom random_;
  std::deque<RandomPeer> peers_;
  std::vector<Bytes> mail_;
};

TEST(DocumentProperty, PeersConvergeWhateverTheOrderOfArrival) {
  const char* const only = std::getenv("MERROW_SEED");
  const uint64_t first = only == nullptr ? 0 : std::strtoull(only, nullptr, 10);
  const uint64_t end = only == nullptr ? 150 : first + 1;
  for (uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Network network(seed);
    // Twice: what was exchanged is edited on.
    for (int round = 0; round < 2 && !testing::Test::HasFailure(); ++round) {
      network.Run(40 + seed % 80);
      if (!testing::Test::HasFailure()) network.Settle();
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace merrow::loro
