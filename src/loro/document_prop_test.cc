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
#include "merrow/document.h"

namespace merrow::loro {
namespace {

constexpr ContainerKind kKinds[] = {ContainerKind::kMap,     ContainerKind::kList,
                                    ContainerKind::kText,    ContainerKind::kTree,
                                    ContainerKind::kCounter, ContainerKind::kMovableList};

class Peer {
 public:
  explicit Peer(PeerId id) : doc_(id) {
    for (const ContainerKind kind : kKinds) {
      containers_.push_back(ContainerId::Root("root " + ContainerKindName(kind), kind));
    }
  }

  Document& doc() { return doc_; }

  void TouchRoots() {
    Check(doc_.MapSet(containers_[0], "a", Value(true)));
    Check(doc_.ListInsert(containers_[1], 0, Value("first")));
    Check(doc_.TextInsert(containers_[2], 0, "text"));
    const Result<Id> node = doc_.TreeCreate(containers_[3], std::nullopt, std::nullopt);
    ASSERT_TRUE(node.ok());
    nodes_.emplace_back(containers_[3], *node);
    Check(doc_.CounterIncrement(containers_[4], 1));
    Check(doc_.ListInsert(containers_[5], 0, Value("element")));
  }

  void EditAtRandom(SeededRandom* random) {
    const ContainerId id = containers_[random->Below(containers_.size())];
    switch (id.kind()) {
      case ContainerKind::kMap:
        return EditMap(id, random);
      case ContainerKind::kText:
        return EditText(id, random);
      case ContainerKind::kTree:
        return EditTree(id, random);
      case ContainerKind::kCounter:
        return Check(doc_.CounterIncrement(id, static_cast<double>(random->Below(9)) - 4));
      default:
        return EditList(id, random);
    }
  }

  // Containers that others made can be edited, too.
  void LearnFrom(const Peer& other) {
    for (const ContainerId& id : other.containers_) {
      const bool is_known =
          std::find(containers_.begin(), containers_.end(), id) != containers_.end();
      if (!is_known && doc_.HasContainer(id)) containers_.push_back(id);
    }
    for (const auto& [tree, node] : other.nodes_) {
      const bool is_known =
          std::find(nodes_.begin(), nodes_.end(), std::pair(tree, node)) != nodes_.end();
      if (!is_known) nodes_.emplace_back(tree, node);
    }
  }

  const std::vector<ContainerId>& containers() const { return containers_; }

 private:
  static void Check(const Status& status) { EXPECT_TRUE(status.ok()) << status.error().ToString(); }
  ContainerKind KindAtRandom(SeededRandom* random) { return kKinds[random->Below(6)]; }
  void Made(Result<ContainerId> child) {
    ASSERT_TRUE(child.ok()) << child.error().ToString();
    containers_.push_back(*child);
  }

  void EditMap(const ContainerId& id, SeededRandom* random) {
    const std::string key(1, static_cast<char>('a' + random->Below(4)));
    switch (random->Below(4)) {
      case 0:
        return Check(doc_.MapDelete(id, key));
      case 1:
        return Made(doc_.MapSetContainer(id, key, KindAtRandom(random)));
      default:
        return Check(doc_.MapSet(id, key, Value(static_cast<int64_t>(random->Below(100)))));
    }
  }

  void EditText(const ContainerId& id, SeededRandom* random) {
    const size_t length = doc_.Length(id);
    const size_t at = random->Below(length + 1);
    switch (random->Below(4)) {
      case 0:
        return Check(doc_.TextDelete(id, at, random->Below(std::min<size_t>(length - at, 4) + 1)));
      case 1: {
        if (at == length) return;
        const size_t end = at + 1 + random->Below(length - at);
        const char* key = random->Below(2) == 0 ? "bold" : "link";
        const StyleExpand expand = *key == 'b' ? StyleExpand::kAfter : StyleExpand::kNone;
        if (random->Below(3) == 0) return Check(doc_.TextUnmark(id, at, end, key, expand));
        return Check(
            doc_.TextMark(id, at, end, key, Value(static_cast<int64_t>(random->Below(3))), expand));
      }
      default: {
        constexpr const char* kPieces[] = {"x", "hello", "\xC3\xA4", "\xF0\x9F\x98\x80!"};
        return Check(doc_.TextInsert(id, at, kPieces[random->Below(4)]));
      }
    }
  }

  void EditList(const ContainerId& id, SeededRandom* random) {
    const size_t length = doc_.Length(id);
    const size_t at = random->Below(length + 1);
    const Value value(static_cast<int64_t>(random->Below(100)));
    const bool is_movable = id.kind() == ContainerKind::kMovableList;
    const uint64_t choice = random->Below(is_movable ? 8 : 4);
    if (choice == 0) {
      return Check(doc_.ListDelete(id, at, random->Below(std::min<size_t>(length - at, 3) + 1)));
    }
    if (choice == 1) return Made(doc_.ListInsertContainer(id, at, KindAtRandom(random)));
    if (choice < 4 || length == 0) return Check(doc_.ListInsert(id, at, value));
    const size_t item = random->Below(length);
    if (choice < 6) return Check(doc_.MovableListMove(id, item, random->Below(length)));
    Check(doc_.MovableListSet(id, item, value));
  }

  void EditTree(const ContainerId& id, SeededRandom* random) {
    std::vector<Id> nodes;
    for (const auto& [tree, node] : nodes_) {
      if (tree == id) nodes.push_back(node);
    }
    std::optional<Id> parent;
    if (!nodes.empty() && random->Below(2) == 0) parent = nodes[random->Below(nodes.size())];
    std::optional<uint32_t> index;
    if (random->Below(3) == 0) index = 0;
    if (nodes.empty() || random->Below(2) == 0) {
      const Result<Id> node = doc_.TreeCreate(id, parent, index);
      if (node.ok()) {
        nodes_.emplace_back(id, *node);
        containers_.push_back(ContainerId::Normal(*node, ContainerKind::kMap));
      }
      return;
    }
    // Moves below itself and of nodes that are not here or deleted are refused; that is fine.
    const Id node = nodes[random->Below(nodes.size())];
    const Status ignored = random->Below(4) == 0 ? doc_.TreeDelete(id, node)
                                                 : doc_.TreeMoveNode(id, node, parent, index);
    EXPECT_TRUE(ignored.ok() || ignored.error().code() != ErrorCode::kCorruption);
  }

  Document doc_;
  std::vector<ContainerId> containers_;
  std::vector<std::pair<ContainerId, Id>> nodes_;
};

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
      Peer& peer = peers_[random_.Below(peers_.size())];
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
      for (Peer& to : peers_) {
        for (Peer& from : peers_) {
          if (&to == &from) continue;
          const bool whole = random_.Below(3) == 0;
          Deliver(
              whole ? from.doc().ExportSnapshot() : from.doc().ExportUpdates(to.doc().version()),
              &to);
        }
      }
    }
    for (Peer& peer : peers_) {
      for (const Peer& other : peers_) peer.LearnFrom(other);
    }
    Peer at_once(77);
    Deliver(peers_[0].doc().ExportUpdates({}), &at_once);
    Peer loaded(78);
    ASSERT_TRUE(loaded.doc().Load(peers_[1].doc().ExportSnapshot()).ok());
    loaded.doc().CheckInvariants();
    for (Peer* peer : {&at_once, &loaded}) peer->LearnFrom(peers_[0]);
    const std::string expected = at_once.doc().ToJson();
    EXPECT_EQ(loaded.doc().ToJson(), expected);
    for (Peer& peer : peers_) {
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
  Bytes Letter(Peer& from) {
    if (random_.Below(4) == 0) return from.doc().ExportSnapshot();
    from.doc().Commit();
    VersionVector since;
    for (const auto& entry : from.doc().version().entries()) {
      since.Set(entry.peer,
                static_cast<Counter>(random_.Below(static_cast<uint64_t>(entry.end) + 1)));
    }
    return from.doc().ExportUpdates(random_.Below(3) == 0 ? VersionVector() : since);
  }

  void Deliver(const Bytes& blob, Peer* to) {
    const Result<ImportStatus> status = to->doc().Import(blob);
    ASSERT_TRUE(status.ok()) << status.error().ToString();
    to->doc().CheckInvariants();
    for (const Peer& other : peers_) {
      if (&other != to) to->LearnFrom(other);
    }
  }

  SeededRandom random_;
  std::deque<Peer> peers_;
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
