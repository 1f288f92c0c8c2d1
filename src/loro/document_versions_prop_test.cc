// SPDX-License-Identifier: Apache-2.0
//
// Random histories of several peers, looked at from every side: any version shows what a document
// shows that only ever had that version's ops, and a document whose history is trimmed goes on like
// one that has all of it. A failure names its seed: MERROW_SEED=<n> runs only that.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "loro/random_peer_test_util.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

std::vector<uint64_t> Seeds(uint64_t count) {
  if (const char* seed = std::getenv("MERROW_SEED")) return {std::strtoull(seed, nullptr, 10)};
  std::vector<uint64_t> seeds(count);
  for (uint64_t i = 0; i < count; ++i) seeds[i] = i;
  return seeds;
}

template <typename T>
T Must(Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.error().ToString();
  return std::move(result).value();
}
void Must(const Status& status) { EXPECT_TRUE(status.ok()) << status.error().ToString(); }

// All that can be seen of a document.
std::string Shown(const Document& document) {
  std::string shown = document.ToJson();
  for (const ContainerId& root : document.Roots()) {
    if (root.kind() == ContainerKind::kText) document.AppendDelta(root, &shown);
  }
  return shown;
}

// Containers of trimmed history that show nothing may be missing.
std::string ShownOf(const Document& document, const Document& of) {
  std::string shown;
  for (const ContainerId& root : of.Roots()) {
    shown += root.ToString();
    document.AppendJson(root, &shown);
    if (root.kind() == ContainerKind::kText) document.AppendDelta(root, &shown);
  }
  return shown;
}

void Exchange(RandomPeer* a, RandomPeer* b) {
  Must(a->doc().Import(b->doc().ExportUpdates(a->doc().version())));
  Must(b->doc().Import(a->doc().ExportUpdates(b->doc().version())));
  a->LearnFrom(*b);
  b->LearnFrom(*a);
}

class Peers {
 public:
  Peers(uint64_t seed, size_t count) : random_(seed) {
    for (size_t i = 0; i < count; ++i) {
      peers_.emplace_back(random_.Below(2) == 0 ? i + 1 : ~uint64_t{0} - 1 - i);
    }
    peers_[0].TouchRoots();
    for (size_t i = 1; i < count; ++i) Exchange(&peers_[0], &peers_[i]);
  }

  void Run(size_t steps) {
    for (size_t step = 0; step < steps; ++step) {
      RandomPeer& peer = peers_[random_.Below(peers_.size())];
      for (uint64_t edits = 1 + random_.Below(5); edits > 0; --edits) peer.EditAtRandom(&random_);
      peer.doc().Commit();
      if (random_.Below(3) > 0) continue;
      RandomPeer& other = peers_[random_.Below(peers_.size())];
      if (&other != &peer) Exchange(&peer, &other);
    }
  }

  void Settle() {
    for (int round = 0; round < 2; ++round) {
      for (size_t i = 1; i < peers_.size(); ++i) Exchange(&peers_[0], &peers_[i]);
    }
  }

  // Some version of the first peer's document.
  Frontiers PickVersion() {
    std::vector<Id> ids;
    const Document& document = peers_[0].doc();
    for (const VersionVector::Entry& entry : document.version().entries()) {
      const Counter first = document.shallow_start().End(entry.peer);
      if (random_.Below(2) == 0 || first == entry.end) continue;
      const auto span = static_cast<uint64_t>(entry.end - first);
      ids.push_back({entry.peer, first + static_cast<Counter>(random_.Below(span))});
    }
    const std::optional<VersionVector> version = document.VersionOf(ids);
    return document.FrontiersOf(version.has_value() ? *version : VersionVector());
  }

  RandomPeer& operator[](size_t i) { return peers_[i]; }
  Document& doc() { return peers_[0].doc(); }
  std::vector<RandomPeer>& all() { return peers_; }
  SeededRandom& random() { return random_; }

 private:
  SeededRandom random_;
  std::vector<RandomPeer> peers_;
};

TEST(DocumentVersionsProp, EveryVersionShowsItsOps) {
  for (const uint64_t seed : Seeds(60)) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Peers peers(seed, 3);
    peers.Run(30);
    peers.Settle();
    Document& document = peers.doc();
    const std::string latest = Shown(document);
    for (int i = 0; i < 8; ++i) {
      const Frontiers version = peers.PickVersion();
      const VersionVector end = *document.VersionOf(version);
      ASSERT_EQ(document.FrontiersOf(end), version);
      Document apart(99);
      const ImportStatus imported =
          Must(apart.Import(document.ExportUpdatesInRange(end.SpansNotIn({}))));
      ASSERT_TRUE(imported.pending.empty());
      ASSERT_EQ(apart.version(), end);
      ASSERT_EQ(apart.frontiers(), version);

      Must(document.Checkout(version));
      ASSERT_EQ(document.shown_frontiers(), version);
      ASSERT_EQ(Shown(document), Shown(apart));
      const Document fork = Must(document.ForkAt(version, 98));
      ASSERT_EQ(fork.version(), end);
      ASSERT_EQ(Shown(fork), Shown(apart));
      document.CheckoutToLatest();
      ASSERT_EQ(Shown(document), latest);
    }
    document.CheckInvariants();
    if (HasFailure()) return;
  }
}

TEST(DocumentVersionsProp, ATrimmedDocumentGoesOnLikeAWholeOne) {
  int shallow_count = 0;
  for (const uint64_t seed : Seeds(150)) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Peers peers(seed, 3);
    peers.Run(4 + seed % 20);
    peers.Settle();
    const size_t steps = 1 + peers.random().Below(20);
    if (peers.random().Below(2) == 0) peers.Run(steps);
    const Frontiers at = peers.PickVersion();
    const Bytes snapshot = Must(peers.doc().ExportShallowSnapshot(at));
    RandomPeer shallow(500);
    const ImportStatus status = Must(shallow.doc().Import(snapshot));
    ASSERT_EQ(status.success, peers.doc().version().SpansNotIn({}));
    ASSERT_TRUE(status.pending.empty());
    shallow.LearnFrom(peers[0]);
    shallow.doc().CheckInvariants();
    ASSERT_EQ(ShownOf(shallow.doc(), peers.doc()), ShownOf(peers.doc(), peers.doc()));
    ASSERT_EQ(shallow.doc().version(), peers.doc().version());
    ASSERT_EQ(shallow.doc().frontiers(), peers.doc().frontiers());
    shallow_count += shallow.doc().is_shallow();

    // Everybody goes on. What the others made before they saw the start is refused.
    bool refused = false;
    for (size_t i = 1; i < 3; ++i) {
      const Result<ImportStatus> imported =
          shallow.doc().Import(peers[i].doc().ExportUpdates(shallow.doc().version()));
      if (!imported.ok()) {
        ASSERT_EQ(imported.error().code(), ErrorCode::kConflict) << imported.error().ToString();
        refused = true;
      }
    }
    shallow.doc().CheckInvariants();
    if (refused) continue;
    peers.Settle();
    Exchange(&shallow, &peers[0]);
    peers.Settle();
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 6; ++i) shallow.EditAtRandom(&peers.random());
      peers.Run(5);
      Exchange(&shallow, &peers[peers.random().Below(3)]);
    }
    peers.Settle();
    Exchange(&shallow, &peers[0]);
    peers.Settle();
    shallow.doc().CheckInvariants();
    ASSERT_EQ(shallow.doc().version(), peers.doc().version());
    ASSERT_EQ(ShownOf(shallow.doc(), peers.doc()), ShownOf(peers.doc(), peers.doc()));

    // Versions since the start.
    for (int i = 0; i < 4; ++i) {
      const Frontiers version = peers.PickVersion();
      const bool is_here = shallow.doc().VersionOf(version).has_value();
      const Status shown = shallow.doc().Checkout(version);
      ASSERT_EQ(shown.ok(), is_here);
      if (!is_here) continue;
      ASSERT_EQ(shallow.doc().VersionOf(version), peers.doc().VersionOf(version));
      Must(peers.doc().Checkout(version));
      ASSERT_EQ(ShownOf(shallow.doc(), peers.doc()), ShownOf(peers.doc(), peers.doc()));
      const Document fork = Must(shallow.doc().ForkAt(version, 98));
      ASSERT_EQ(ShownOf(fork, peers.doc()), ShownOf(peers.doc(), peers.doc()));
      peers.doc().CheckoutToLatest();
      shallow.doc().CheckoutToLatest();
    }

    // Its snapshots start where it does, or later.
    const Bytes again = shallow.doc().ExportSnapshot();
    Document loaded(501);
    Must(loaded.Load(again));
    loaded.CheckInvariants();
    Document imported(502);
    Must(imported.Import(again));
    imported.CheckInvariants();
    Document later(503);
    Must(later.Import(Must(shallow.doc().ExportShallowSnapshot(shallow.doc().frontiers()))));
    later.CheckInvariants();
    ASSERT_EQ(loaded.shallow_frontiers(), shallow.doc().shallow_frontiers());
    ASSERT_EQ(loaded.shallow_start(), shallow.doc().shallow_start());
    const Bytes more = [&] {
      for (int i = 0; i < 6; ++i) peers[0].EditAtRandom(&peers.random());
      return peers.doc().ExportUpdates(shallow.doc().version());
    }();
    for (Document* other : {&loaded, &imported, &later}) {
      ASSERT_EQ(other->version(), shallow.doc().version());
      ASSERT_EQ(ShownOf(*other, shallow.doc()), ShownOf(shallow.doc(), shallow.doc()));
      Must(other->Import(more));
      ASSERT_EQ(ShownOf(*other, peers.doc()), ShownOf(peers.doc(), peers.doc()));
    }
    if (HasFailure()) return;
  }
  EXPECT_TRUE(shallow_count > 50 || std::getenv("MERROW_SEED") != nullptr) << shallow_count;
}

TEST(DocumentVersionsProp, ChangesComeAfterTheirDependencies) {
  for (const uint64_t seed : Seeds(20)) {
    Peers peers(seed, 3);
    peers.Run(30);
    peers.Settle();
    VersionVector seen;
    uint64_t atoms = 0;
    std::pair<Lamport, PeerId> last{0, 0};
    peers.doc().ForEachChange([&](const ChangeInfo& change) {
      EXPECT_EQ(seen.End(change.id.peer), change.id.counter);
      for (const Id& dep : change.deps) EXPECT_TRUE(seen.Includes(dep));
      EXPECT_LE(last, std::pair(change.lamport, change.id.peer));
      last = {change.lamport, change.id.peer};
      seen.Extend(change.id.peer, change.id.counter + static_cast<Counter>(change.length));
      atoms += change.length;
    });
    EXPECT_EQ(seen, peers.doc().version());
    EXPECT_EQ(atoms, peers.doc().op_count());
  }
}

}  // namespace
}  // namespace merrow::loro
