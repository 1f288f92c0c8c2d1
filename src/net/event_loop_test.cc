// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace merrow::net {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

TEST(EventLoopTest, RunsPostedTasksInOrderAndNotInside) {
  EventLoop loop;
  std::vector<int> order;
  loop.Post([&] {
    loop.Post([&] {
      order.push_back(3);
      loop.Stop();
    });
    order.push_back(1);
  });
  loop.Post([&] { order.push_back(2); });
  EXPECT_FALSE(loop.InLoopThread());
  loop.Run();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(EventLoopTest, TakesTasksFromManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 1000;
  EventLoop loop;
  int count = 0;  // touched by the loop's thread only
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTasks; ++i) {
        loop.Post([&] {
          EXPECT_TRUE(loop.InLoopThread());
          if (++count == kThreads * kTasks) {
            loop.Stop();
          }
        });
      }
    });
  }
  loop.Run();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, kThreads * kTasks);
}

TEST(EventLoopTest, TimersFireInOrderOfTheirDelay) {
  EventLoop loop;
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  auto late = loop.RunAfter(milliseconds(20), [&] {
    order.push_back(2);
    loop.Stop();
  });
  auto early = loop.RunAfter(milliseconds(1), [&] { order.push_back(1); });
  EXPECT_TRUE(late.armed());
  loop.Run();
  EXPECT_THAT(order, ElementsAre(1, 2));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(20));
  EXPECT_FALSE(late.armed());
}

TEST(EventLoopTest, CancelledDestroyedAndReplacedTimersDoNotFire) {
  EventLoop loop;
  std::vector<int> fired;
  auto cancelled = loop.RunAfter(milliseconds(0), [&] { fired.push_back(1); });
  auto replaced = loop.RunAfter(milliseconds(0), [&] { fired.push_back(2); });
  {
    auto destroyed = loop.RunAfter(milliseconds(0), [&] { fired.push_back(3); });
  }
  cancelled.Cancel();
  EXPECT_FALSE(cancelled.armed());
  replaced = loop.RunAfter(milliseconds(0), [&] { fired.push_back(4); });
  auto moved_to = std::move(replaced);
  auto last = loop.RunAfter(milliseconds(5), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_THAT(fired, ElementsAre(4));
}

TEST(EventLoopTest, ATimerThatExpiredCanStillBeCancelledByAnEarlierTask) {
  EventLoop loop;
  bool fired = false;
  EventLoop::Timer second;
  auto first = loop.RunAfter(milliseconds(0), [&] { second.Cancel(); });
  second = loop.RunAfter(milliseconds(0), [&] { fired = true; });
  auto last = loop.RunAfter(milliseconds(5), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_FALSE(fired);
}

TEST(EventLoopTest, ATimerMayReplaceItselfFromItsTask) {
  EventLoop loop;
  int count = 0;
  EventLoop::Timer timer;
  std::function<void()> tick = [&] {
    if (++count == 3) {
      loop.Stop();
    } else {
      timer = loop.RunAfter(milliseconds(0), tick);
    }
  };
  timer = loop.RunAfter(milliseconds(0), tick);
  loop.Run();
  EXPECT_EQ(count, 3);
}

TEST(EventLoopTest, HandlesEverySignal) {
  EventLoop loop;
  std::vector<int> seen;
  ASSERT_TRUE(loop.OnSignals({SIGUSR1, SIGTERM},
                             [&](int signal) {
                               seen.push_back(signal);
                               if (seen.size() == 1) {
                                 raise(SIGTERM);
                               } else {
                                 loop.Stop();
                               }
                             })
                  .ok());
  loop.Post([] { raise(SIGUSR1); });
  loop.Run();
  EXPECT_THAT(seen, ElementsAre(SIGUSR1, SIGTERM));
  EXPECT_FALSE(loop.OnSignals({SIGKILL}, [](int) {}).ok());
}

TEST(EventLoopTest, RunsAgainAfterStop) {
  EventLoop loop;
  int runs = 0;
  for (int i = 0; i < 2; ++i) {
    loop.Post([&] {
      ++runs;
      loop.Stop();
    });
    loop.Run();
  }
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace merrow::net
