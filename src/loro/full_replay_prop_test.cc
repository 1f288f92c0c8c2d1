// SPDX-License-Identifier: Apache-2.0
//
// Documents against the full replay model: very many small random histories of 2 to 4 peers that
// edit and exchange in part. Whatever a peer has must look as the replay of its ops says; so must
// all ops together, and every peer that gets the rest.
//
// Each history keeps to a few kinds of containers, so that edits meet. MERROW_CASES and MERROW_SEED
// choose how many histories there are and the first one's seed; a failure names its seed.

#include <gmock/gmock.h>

#include <array>
#include <cstdlib>
#include <deque>

#include "base/clock.h"
#include "loro/full_replay_model.h"
#include "loro/random_peer_test_util.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

constexpr uint64_t kCases = 400'000;

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* const text = std::getenv(name);
  return text == nullptr || *text == 0 ? fallback : std::strtoull(text, nullptr, 10);
}

/// What one history is about. Sequences have the most rules, so they come most often.
std::span<const ContainerKind> ThemeOf(uint64_t seed) {
  using enum ContainerKind;
  static constexpr std::array<ContainerKind, 1> kTexts = {kText};
  static constexpr std::array<ContainerKind, 2> kRows = {kMap, kCounter};
  static constexpr std::array<ContainerKind, 2> kLists = {kList, kText};
  static constexpr std::array<ContainerKind, 1> kMovables = {kMovableList};
  static constexpr std::array<ContainerKind, 1> kTrees = {kTree};
  static constexpr std::array<ContainerKind, 2> kNested = {kMovableList, kMap};
  switch (seed % 8) {
    case 0:
    case 1:
      return kTexts;
    case 2:
      return kRows;
    case 3:
      return kLists;
    case 4:
      return kMovables;
    case 5:
      return kTrees;
    case 6:
      return kNested;
    default:
      return kEveryKind;
  }
}

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), kinds_(ThemeOf(seed)) {
    static constexpr PeerId kPeers[] = {3, 0xfffffffffffffffe, 0x8000000000000001,
                                        7, 0x7fffffffffffffff, 0xfffffffffffffff0};
    const size_t count = 2 + random_.Below(5) / 2;
    const uint64_t shift = random_.Below(std::size(kPeers));
    for (size_t i = 0; i < count; ++i) {
      peers_.emplace_back(kPeers[(i * 5 + shift) % std::size(kPeers)], kinds_);
    }
  }

  void Run() {
    for (uint64_t steps = 5 + random_.Below(9); steps > 0; --steps) {
      RandomPeer& peer = Any();
      if (random_.Below(3) == 0) {
        Send(Any(), &peer);
      } else {
        for (uint64_t edits = 1 + random_.Below(3); edits > 0; --edits) {
          peer.EditAtRandom(&random_);
        }
        peer.doc().Commit();
      }
      if (testing::Test::HasFailure()) return;
    }
  }

  void Check() {
    for (RandomPeer& peer : peers_) ExpectReplay(&peer);
    // Each gets the rest, in another order.
    for (RandomPeer& to : peers_) {
      for (RandomPeer& from : peers_) Send(from, &to);
    }
    ExpectReplay(&peers_[0]);
    ExpectReplayOfEarlierVersions(&peers_[0]);
    const std::vector<ContainerId>& containers = peers_[0].containers();
    for (RandomPeer& peer : peers_) {
      peer.doc().CheckInvariants();
      ASSERT_EQ(peer.doc().version(), peers_[0].doc().version());
      ASSERT_EQ(Shown(peer.doc(), containers), Shown(peers_[0].doc(), containers));
    }
  }

 private:
  RandomPeer& Any() { return peers_[random_.Below(peers_.size())]; }

  void Send(RandomPeer& from, RandomPeer* to) {
    if (&from == to) return;
    const Result<ImportStatus> status =
        to->doc().Import(from.doc().ExportUpdates(to->doc().version()));
    ASSERT_TRUE(status.ok()) << status.error().ToString();
    to->LearnFrom(from);
  }

  /// All that can be read of a document, with the marks of the texts among `containers`.
  static std::string Shown(const Document& doc, const std::vector<ContainerId>& containers) {
    std::string shown = doc.ToJson();
    for (const ContainerId& id : containers) {
      if (id.kind() != ContainerKind::kText) continue;
      shown += "\n" + id.ToString();
      doc.AppendDelta(id, &shown);
    }
    return shown;
  }

  static std::string Replayed(const FullReplayModel& model, const ModelVersion& version,
                              const std::vector<ContainerId>& containers) {
    std::string shown = model.Json(version);
    for (const ContainerId& id : containers) {
      if (id.kind() != ContainerKind::kText) continue;
      shown += "\n" + id.ToString() + model.Delta(id, version);
    }
    return shown;
  }

  static void ExpectReplay(RandomPeer* peer) {
    const Result<FullReplayModel> model = FullReplayModel::Of(peer->doc().ExportUpdates({}));
    ASSERT_TRUE(model.ok()) << model.error().ToString();
    peer->doc().CheckInvariants();
    ASSERT_EQ(Shown(peer->doc(), peer->containers()),
              Replayed(*model, model->Everything(), peer->containers()));
  }

  /// Looks at earlier versions and comes back.
  void ExpectReplayOfEarlierVersions(RandomPeer* peer) {
    Document& doc = peer->doc();
    const Result<FullReplayModel> model = FullReplayModel::Of(doc.ExportUpdates({}));
    ASSERT_TRUE(model.ok()) << model.error().ToString();
    for (uint64_t times = random_.Below(4); times > 0; --times) {
      const ModelVersion version = model->SomeVersion(&random_);
      const Status status = doc.Checkout(model->FrontiersOf(version));
      ASSERT_TRUE(status.ok()) << status.error().ToString();
      ASSERT_EQ(Shown(doc, peer->containers()), Replayed(*model, version, peer->containers()));
    }
    doc.CheckoutToLatest();
  }

  SeededRandom random_;
  std::span<const ContainerKind> kinds_;
  std::deque<RandomPeer> peers_;
};

TEST(FullReplayProperty, DocumentsAreWhatReplayingTheirOpsGives) {
  const uint64_t first = FromEnvironment("MERROW_SEED", 0);
  const uint64_t end = first + FromEnvironment("MERROW_CASES", kCases);
  for (uint64_t seed = first; seed < end; ++seed) {
    History history(seed);
    history.Run();
    if (!HasFailure()) history.Check();
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ": MERROW_SEED=" << seed << " MERROW_CASES=1";
  }
}

}  // namespace
}  // namespace merrow::loro
