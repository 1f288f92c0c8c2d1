// SPDX-License-Identifier: Apache-2.0
//
// Store thread: order, group commit, the limit of what waits, and that stopping drops nothing.

#include "server/store_thread.h"

#include <gmock/gmock.h>

#include <future>
#include <memory>

#include "server/server_test_util.h"

namespace merrow::server {
namespace {

using net::testing::LoopThread;

class StoreThreadTest : public ::testing::Test {
 protected:
  void Start(const StoreThreadLimits& limits = {}) {
    thread_ = std::make_unique<StoreThread>(OpenStore(dir_, clock_), loop_.loop(), limits);
  }

  // Keeps the store thread busy until Release().
  void Hold() {
    std::promise<void> is_held;
    thread_->Run(
        [&is_held, go = release_.get_future().share()](store::Store&) -> std::function<void()> {
          is_held.set_value();
          go.wait();
          return {};
        });
    is_held.get_future().wait();
  }
  void Release() { release_.set_value(); }

  void WriteVote(loro::PeerId peer, std::string key = "n") {
    thread_->Write("note", std::move(key), Vote(peer), [this, peer](store::WriteResult result) {
      EXPECT_TRUE(loop_.loop().InLoopThread());
      answers_.emplace_back(peer, std::move(result));
    });
  }

  // Waits for everything handed over so far; returns the store's counters.
  store::StoreStats Settle() {
    std::promise<store::StoreStats> stats;
    thread_->Run([&stats](store::Store& store) -> std::function<void()> {
      return [&stats, now = store.stats()] { stats.set_value(now); };
    });
    return stats.get_future().get();
  }

  size_t AppliedCount() {
    return loop_.Call([this] {
      size_t count = 0;
      for (const auto& [peer, result] : answers_) {
        count += std::holds_alternative<store::Applied>(result) ? 1 : 0;
      }
      return count;
    });
  }

  TempDir dir_;
  SystemClock clock_;
  LoopThread loop_;
  std::promise<void> release_;
  std::vector<std::pair<loro::PeerId, store::WriteResult>> answers_;  // loop only
  std::unique_ptr<StoreThread> thread_;
};

TEST_F(StoreThreadTest, AnswersComeOnTheLoopInOrder) {
  Start();
  std::vector<int> order;  // loop only
  for (int i = 0; i < 20; ++i) {
    thread_->Write("note", "n", Vote(static_cast<loro::PeerId>(i + 1)),
                   [&order, i](const store::WriteResult&) { order.push_back(2 * i); });
    thread_->Run([&order, i](store::Store& store) -> std::function<void()> {
      // The write before it is done.
      EXPECT_EQ(store.Version("note", "n")->entries().size(), static_cast<size_t>(i + 1));
      return [&order, i] { order.push_back(2 * i + 1); };
    });
  }
  Settle();
  std::vector<int> expected(40);
  for (int i = 0; i < 40; ++i) expected[static_cast<size_t>(i)] = i;
  EXPECT_EQ(loop_.Call([&] { return order; }), expected);
}

TEST_F(StoreThreadTest, WhatArrivesMeanwhileIsOneTransaction) {
  Start();
  const uint64_t before = Settle().transactions;
  Hold();
  for (loro::PeerId peer = 1; peer <= 30; ++peer) WriteVote(peer);
  Release();
  EXPECT_EQ(Settle().transactions, before + 1);
  EXPECT_EQ(AppliedCount(), 30U);
}

TEST_F(StoreThreadTest, ABatchIsLimitedInUpdatesAndBytes) {
  StoreThreadLimits limits;
  limits.batch_updates_max = 4;
  Start(limits);
  uint64_t before = Settle().transactions;
  Hold();
  for (loro::PeerId peer = 1; peer <= 10; ++peer) WriteVote(peer);
  Release();
  EXPECT_EQ(Settle().transactions, before + 3);

  limits.batch_updates_max = 1000;
  limits.batch_bytes_max = 1;  // but a single one is taken all the same
  thread_.reset();
  Start(limits);
  release_ = {};
  before = Settle().transactions;
  Hold();
  for (loro::PeerId peer = 11; peer <= 15; ++peer) WriteVote(peer);
  Release();
  EXPECT_EQ(Settle().transactions, before + 5);
  EXPECT_EQ(AppliedCount(), 15U);
}

TEST_F(StoreThreadTest, TooMuchThatWaitsIsRefusedUntilItIsApplied) {
  StoreThreadLimits limits;
  limits.queue_bytes_max = 3000;
  Start(limits);
  Hold();
  for (loro::PeerId peer = 1; peer <= 20; ++peer) WriteVote(peer);
  const auto refused = [this] {
    size_t count = 0;
    for (const auto& [peer, result] : answers_) {
      const auto* error = std::get_if<Error>(&result);
      count += error != nullptr && error->code() == ErrorCode::kBusy ? 1 : 0;
    }
    return count;
  };
  EXPECT_TRUE(loop_.WaitUntil([&] { return refused() > 10; }));
  Release();
  Settle();
  const size_t applied = AppliedCount();
  EXPECT_GT(applied, 0U);
  EXPECT_EQ(applied + loop_.Call(refused), 20U);
  // There is room again, to the last byte.
  for (loro::PeerId peer = 21; peer <= 40; ++peer) {
    WriteVote(peer);
    Settle();
  }
  EXPECT_EQ(AppliedCount(), applied + 20);
}

TEST_F(StoreThreadTest, TasksThatHoldDataAreUnderTheSameLimit) {
  StoreThreadLimits limits;
  limits.queue_bytes_max = 3000;
  Start(limits);
  Hold();
  int ran = 0;  // store thread
  const auto task = [&ran](store::Store&) -> std::function<void()> {
    ++ran;
    return {};
  };
  EXPECT_FALSE(thread_->TryRun(3000, task));
  EXPECT_TRUE(thread_->TryRun(2000, task));
  EXPECT_FALSE(thread_->TryRun(2000, task));
  Release();
  Settle();
  EXPECT_TRUE(thread_->TryRun(2000, task));
  Settle();
  EXPECT_EQ(ran, 2);
}

TEST_F(StoreThreadTest, TheObserverComesAfterEachCommitAndBeforeItsOutcome) {
  Start();
  // Loop only. The observer may outlive this test's body.
  const auto order = std::make_shared<std::vector<std::string>>();
  thread_->ObserveCommits([order](store::Store& store) -> std::function<void()> {
    return [order, count = store.stats().updates_applied] {
      // It comes after upkeep, too, which may run at any time.
      const std::string seen = "seen " + std::to_string(count);
      if (order->empty() || order->back() != seen) order->push_back(seen);
    };
  });
  Settle();
  loop_.Call([&] { order->clear(); });
  Hold();
  for (loro::PeerId peer = 1; peer <= 2; ++peer) {
    thread_->Write("note", "n", Vote(peer), [order, peer](const store::WriteResult&) {
      order->push_back("done " + std::to_string(peer));
    });
  }
  thread_->Run([order](store::Store&) -> std::function<void()> {
    return [order] { order->push_back("task"); };
  });
  Release();
  Settle();
  EXPECT_THAT(
      loop_.Call([&] { return *order; }),
      testing::ElementsAre("seen 0", "seen 2", "done 1", "done 2", "seen 2", "task", "seen 2"));
}

TEST_F(StoreThreadTest, ARefusedUpdateDoesNotDisturbTheOthers) {
  Start();
  Hold();
  WriteVote(1);
  thread_->Write(
      "note", "n", std::make_shared<const Bytes>("not an update"),
      [this](store::WriteResult result) { answers_.emplace_back(0, std::move(result)); });
  WriteVote(2);
  Release();
  Settle();
  EXPECT_EQ(AppliedCount(), 2U);
  EXPECT_TRUE(loop_.Call([this] { return std::holds_alternative<Error>(answers_[1].second); }));
}

TEST_F(StoreThreadTest, StopWorksOffWhatIsQueued) {
  Start();
  Hold();
  for (loro::PeerId peer = 1; peer <= 50; ++peer) WriteVote(peer, std::to_string(peer % 7));
  Release();
  thread_->Stop();
  EXPECT_EQ(AppliedCount(), 50U);
  thread_.reset();
  const std::unique_ptr<store::Store> store = OpenStore(dir_, clock_);
  size_t atoms = 0;
  for (int key = 0; key < 7; ++key) {
    atoms += store->Version("note", std::to_string(key))->entries().size();
  }
  EXPECT_EQ(atoms, 50U);
}

TEST_F(StoreThreadTest, OutcomesThatNobodyWaitsForAreDropped) {
  Start();
  loop_.Join();
  WriteVote(1);
  thread_->Run([](store::Store&) -> std::function<void()> {
    return [] { ADD_FAILURE() << "ran on a stopped loop"; };
  });
  thread_.reset();
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(OpenStore(dir_, clock_)->Version("note", "n").ok());
}

}  // namespace
}  // namespace merrow::server
