// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: a thread that hangs is noticed once, and noticed again when it hangs again.

#include "server/watchdog.h"

#include <gmock/gmock.h>

#include <chrono>

#include "server/running_server_test_util.h"

namespace merrow::server {
namespace {

constexpr Watchdog::Options kQuick{.interval = std::chrono::milliseconds(1),
                                   .stall = std::chrono::milliseconds(20)};

TEST(Watchdog, AStallIsCountedOnceUntilItEnds) {
  Heartbeat busy;
  Heartbeat idle;
  Watchdog watchdog(kQuick, {{"busy", &busy}, {"idle", &idle}});
  const auto stalls = [&] { return watchdog.report()[0].stalls; };
  busy.Begin();
  EXPECT_TRUE(Eventually([&] { return stalls() == 1; }));
  EXPECT_TRUE(Eventually([&] { return watchdog.report()[0].busy_ms > 60; }));
  EXPECT_EQ(stalls(), 1U);
  busy.Rest();
  EXPECT_EQ(watchdog.report()[0].busy_ms, 0);
  // Once it was seen at rest, the next stall is another one. Begin anew until that is so.
  EXPECT_TRUE(Eventually([&] {
    if (busy.busy_ms() > 100) busy.Rest();
    if (busy.busy_ms() == 0) busy.Begin();
    return stalls() >= 2;
  }));
  EXPECT_EQ(watchdog.report()[1].stalls, 0U);
  EXPECT_EQ(watchdog.report()[1].name, "idle");
}

}  // namespace
}  // namespace merrow::server
