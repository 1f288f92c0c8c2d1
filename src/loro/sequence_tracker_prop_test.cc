// SPDX-License-Identifier: Apache-2.0
//
// The sequence tracker against the plain model: whatever the history, and in whatever legal order
// it is fed, the reported edits build the document that a full replay has.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "loro/sequence_model.h"
#include "loro/sequence_tracker.h"

namespace merrow::loro {
namespace {

/// A new tracker, or one that has been used for something else.
SequenceTracker TrackerFor(uint64_t seed, uint32_t base_length) {
  if (seed % 2 == 0) return SequenceTracker(base_length);
  std::mt19937_64 random(seed);
  SequenceTracker tracker(3);
  std::vector<SequenceTracker::Deleted> deleted;
  const Counter ops = seed % 4 == 1 ? 5 : 200;  // one leaf, or many
  const PeerId last = seed % 8 < 4 ? 4 : 20;
  for (Counter i = 0; i < ops; ++i) {
    for (PeerId peer = 3; peer <= last; ++peer) {
      const uint32_t position = static_cast<uint32_t>(random() % tracker.current_length());
      if (random() % 3 == 0) {
        EXPECT_TRUE(tracker.Delete({peer, 3 * i}, position, 1, &deleted).ok());
        EXPECT_TRUE(tracker.Insert({peer, 3 * i + 1}, 2, position).ok());
      } else {
        EXPECT_TRUE(tracker.Insert({peer, 3 * i}, 3, position).ok());
      }
    }
  }
  tracker.Retreat({3, ops, 3 * ops});
  tracker.Restart(base_length);
  tracker.CheckInvariants();
  return tracker;
}

/// Feeds ops to a tracker as a document does, and applies the reports to a plain document.
class Replica {
 public:
  Replica(uint64_t seed, std::vector<Id> base, ModelVersion base_version)
      : random_(seed),
        tracker_(TrackerFor(seed, static_cast<uint32_t>(base.size()))),
        document_(std::move(base)),
        current_(base_version),
        fed_(std::move(base_version)) {}

  void Feed(const ModelOp& op) {
    MoveTo(op.version);
    // Whole or in two slices, as a change that is partly known is fed.
    if (op.kind != ModelOp::Kind::kMove && op.atoms() > 1 && random_() % 4 == 0) {
      const Counter cut =
          1 + static_cast<Counter>(random_() % static_cast<uint64_t>(op.atoms() - 1));
      FeedSlice(op, 0, cut);
      FeedSlice(op, cut, op.atoms());
    } else {
      FeedSlice(op, 0, op.atoms());
    }
  }

  const std::vector<Id>& document() const { return document_; }
  const ModelVersion& fed() const { return fed_; }
  SequenceTracker& tracker() { return tracker_; }
  const ModelVersion& current() const { return current_; }

  /// Moves to any version whose ops were fed.
  void MoveTo(const ModelVersion& version) {
    std::vector<IdSpan> retreats;
    std::vector<IdSpan> advances;
    ModelVersion peers = current_;
    Merge(&peers, version);
    for (const auto& [peer, end] : peers) {
      const Counter from = CounterOf(current_, peer);
      const Counter to = CounterOf(version, peer);
      if (to < from) {
        AddPieces({peer, to, from}, &retreats);
      } else if (to > from) {
        AddPieces({peer, from, to}, &advances);
      }
    }
    std::shuffle(retreats.begin(), retreats.end(), random_);
    std::shuffle(advances.begin(), advances.end(), random_);
    for (const IdSpan& span : retreats) {
      tracker_.Retreat(span);
    }
    for (const IdSpan& span : advances) {
      tracker_.Advance(span);
    }
    current_ = version;
  }

 private:
  static Counter CounterOf(const ModelVersion& version, PeerId peer) {
    const auto found = version.find(peer);
    return found == version.end() ? 0 : found->second;
  }

  void AddPieces(IdSpan span, std::vector<IdSpan>* pieces) {
    if (span.length() > 1 && random_() % 3 == 0) {
      const Counter cut =
          span.start + 1 +
          static_cast<Counter>(random_() % static_cast<uint64_t>(span.length() - 1));
      pieces->push_back({span.peer, span.start, cut});
      span.start = cut;
    }
    pieces->push_back(span);
  }

  void FeedSlice(const ModelOp& op, Counter from, Counter to) {
    const Id id = op.id.Plus(from);
    const auto at = [&](uint32_t i) { return document_.begin() + static_cast<ptrdiff_t>(i); };
    const auto erase = [&](uint32_t i, uint32_t count) { document_.erase(at(i), at(i + count)); };
    switch (op.kind) {
      case ModelOp::Kind::kInsert: {
        const uint32_t length = static_cast<uint32_t>(to - from);
        const auto effect = tracker_.Insert(id, length, op.position + static_cast<uint32_t>(from));
        ASSERT_TRUE(effect.ok()) << effect.error().message();
        for (uint32_t k = 0; k < length; ++k) {
          document_.insert(at(*effect + k), id.Plus(static_cast<Counter>(k)));
        }
        break;
      }
      case ModelOp::Kind::kDelete: {
        const bool backwards = op.signed_length < 0;
        std::vector<SequenceTracker::Deleted> deleted;
        const Status status =
            tracker_.Delete(id, op.position - (backwards ? static_cast<uint32_t>(from) : 0),
                            backwards ? from - to : to - from, &deleted);
        ASSERT_TRUE(status.ok()) << status.error().message();
        for (const SequenceTracker::Deleted& range : deleted) {
          ASSERT_LE(range.position + range.length, document_.size());
          erase(range.position, range.length);
        }
        break;
      }
      case ModelOp::Kind::kMove: {
        const auto moved = tracker_.Move(id, op.position, op.to);
        ASSERT_TRUE(moved.ok()) << moved.error().message();
        if (moved->was_visible) {
          erase(moved->from, 1);
        }
        document_.insert(at(moved->to), id);
        break;
      }
    }
    const ModelVersion slice = {{op.id.peer, op.id.counter + to}};
    current_[op.id.peer] = op.id.counter + to;
    Merge(&fed_, slice);
  }

  std::mt19937_64 random_;
  SequenceTracker tracker_;
  std::vector<Id> document_;
  ModelVersion current_;
  ModelVersion fed_;
};

/// A random order of the ops of `ops` in which each follows what it knows.
std::vector<ModelOp> Shuffled(const std::vector<ModelOp>& ops, std::mt19937_64* random) {
  std::vector<ModelOp> left = ops;
  std::vector<ModelOp> order;
  while (!left.empty()) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < left.size(); ++i) {
      const bool blocked = std::any_of(left.begin(), left.end(), [&](const ModelOp& other) {
        return Has(left[i].version, other.id);
      });
      if (!blocked) {
        ready.push_back(i);
      }
    }
    const size_t pick = ready[(*random)() % ready.size()];
    order.push_back(left[pick]);
    left.erase(left.begin() + static_cast<ptrdiff_t>(pick));
  }
  return order;
}

void CheckReplay(uint64_t seed, const ModelHistory& history, const std::vector<ModelOp>& ops,
                 std::vector<Id> base, const ModelVersion& base_version) {
  std::mt19937_64 random(seed);
  Replica replica(seed, std::move(base), base_version);
  for (const ModelOp& op : Shuffled(ops, &random)) {
    replica.Feed(op);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
    replica.tracker().CheckInvariants();
    ASSERT_EQ(replica.document(), history.model().VisibleIds(replica.fed()));
    ASSERT_EQ(replica.tracker().effect_length(), replica.document().size());
    ASSERT_EQ(replica.tracker().current_length(),
              history.model().VisibleIds(replica.current()).size());
  }
  // Everything can be taken back and redone.
  const ModelVersion all = replica.current();
  replica.MoveTo(base_version);
  replica.tracker().CheckInvariants();
  ASSERT_EQ(replica.tracker().current_length(), history.model().VisibleIds(base_version).size());
  replica.MoveTo(history.Everything());
  replica.tracker().CheckInvariants();
  ASSERT_EQ(replica.tracker().current_length(), replica.document().size());
}

/// Makes the version of `history` critical, goes on from there and replays only that.
void CheckSecondHalf(uint64_t seed, ModelHistory* history) {
  history->Synchronise();
  const ModelVersion base_version = history->Everything();
  const size_t base_ops = history->ops().size();
  history->Run();
  const std::vector<ModelOp> ops(history->ops().begin() + static_cast<ptrdiff_t>(base_ops),
                                 history->ops().end());
  CheckReplay(seed, *history, ops, history->model().VisibleIds(base_version), base_version);
}

HistoryOptions OptionsFor(uint64_t seed) {
  HistoryOptions options;
  options.peers = 2 + seed % 4;
  options.steps = 10 + (seed / 4) % 5 * 12;
  options.insert_length_max = seed % 3 == 0 ? 1 : 6;
  options.merge_chance = seed % 5 == 0 ? 0.05 : seed % 5 == 1 ? 0.6 : 0.25;
  options.moves = seed % 2 == 1;
  return options;
}

TEST(SequenceTrackerProp, FullReplayInAnyOrderMatchesTheModel) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const ModelHistory history(seed, OptionsFor(seed));
    CheckReplay(seed, history, history.ops(), {}, {});
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST(SequenceTrackerProp, ReplayFromACriticalVersionMatchesFullReplay) {
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    ModelHistory history(seed, OptionsFor(seed));
    CheckSecondHalf(seed, &history);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST(SequenceTrackerProp, LongHistoriesWithManyLeaves) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    HistoryOptions options;
    options.peers = 2 + seed % 3;
    options.steps = 700;
    options.delete_chance = 0.2;
    options.moves = seed % 2 == 1;
    options.merge_chance = 0.1;
    ModelHistory history(seed, options);
    CheckReplay(seed, history, history.ops(), {}, {});
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
    CheckSecondHalf(seed, &history);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST(SequenceTracker, RefusesPositionsBeyondTheVersionAndStaysAsItIs) {
  SequenceTracker tracker(3);
  std::vector<SequenceTracker::Deleted> deleted;
  EXPECT_FALSE(tracker.Insert({1, 0}, 1, 4).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, 2, 2, &deleted).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, 2, -4, &deleted).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, 3, -1, &deleted).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, 0, INT32_MIN, &deleted).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, UINT32_MAX, INT32_MIN, &deleted).ok());
  EXPECT_FALSE(tracker.Delete({1, 0}, UINT32_MAX, INT32_MAX, &deleted).ok());
  EXPECT_FALSE(tracker.Move({1, 0}, 3, 0).ok());
  EXPECT_FALSE(tracker.Move({1, 0}, 0, 3).ok());
  EXPECT_FALSE(tracker.Insert({1, 0}, kTrackerElementsMax - 2, 0).ok());
  EXPECT_TRUE(deleted.empty());
  EXPECT_EQ(tracker.current_length(), 3u);
  EXPECT_EQ(tracker.effect_length(), 3u);
  tracker.CheckInvariants();
  EXPECT_TRUE(tracker.Delete({1, 0}, 2, -3, &deleted).ok());
  EXPECT_EQ(deleted, (std::vector<SequenceTracker::Deleted>{{0, 3}}));
}

TEST(SequenceTracker, TypingIsOneRunAndAHugeBaseCostsNothing) {
  SequenceTracker tracker(kTrackerElementsMax / 2);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(tracker.Insert({1, static_cast<Counter>(i)}, 1, kTrackerElementsMax / 3 + i).ok());
  }
  EXPECT_EQ(tracker.run_count(), 3u);
  EXPECT_LT(tracker.MemoryBytes(), 8000u);
  std::vector<SequenceTracker::Deleted> deleted;
  for (uint32_t i = 0; i < 100; ++i) {  // backspace
    ASSERT_TRUE(tracker
                    .Delete({1, static_cast<Counter>(1000 + i)}, kTrackerElementsMax / 3 + 499 - i,
                            -1, &deleted)
                    .ok());
  }
  EXPECT_EQ(tracker.run_count(), 5u);
  tracker.CheckInvariants();
}

}  // namespace
}  // namespace merrow::loro
