// SPDX-License-Identifier: Apache-2.0
//
// Stop guard: in processes of its own, which end or do not.

#include "server/stop_guard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace merrow::server {
namespace {

volatile sig_atomic_t signals_passed_on = 0;

// A process that does nothing about signals but count them.
void Guarded(std::chrono::seconds timeout) {
  signals_passed_on = 0;
  for (const int number : {SIGTERM, SIGINT}) {
    signal(number, [](int) { signals_passed_on = signals_passed_on + 1; });
  }
  if (!GuardStop({SIGTERM, SIGINT}, timeout).ok()) _exit(100);
}

[[noreturn]] void HangForEver() {
  while (true) pause();
}

// Again and again, until it is a second one.
[[noreturn]] void RaiseUntilTheEnd(int number) {
  const auto first = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - first < 2 * kSameSignal) {
    raise(number);
    if (signals_passed_on != 1) _exit(100);
  }
  _exit(101);
}

TEST(StopGuardDeathTest, TheFirstSignalIsPassedOnAndTheSecondEndsTheProcess) {
  for (const int second : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          Guarded(std::chrono::hours(1));
          raise(SIGTERM);
          if (signals_passed_on != 1) _exit(100);
          RaiseUntilTheEnd(second);
        },
        ::testing::ExitedWithCode(kExitNotStopped), "told to end again: ended at once");
  }
}

TEST(StopGuardDeathTest, AProcessThatDoesNotEndIsEnded) {
  EXPECT_EXIT(
      {
        Guarded(std::chrono::seconds(1));
        raise(SIGINT);
        if (signals_passed_on != 1) _exit(100);
        HangForEver();
      },
      ::testing::ExitedWithCode(kExitNotStopped), "not drained within 1 s");
}

TEST(StopGuardDeathTest, StandardErrorThatNobodyReadsHoldsNothingUp) {
  EXPECT_EXIT(
      {
        int ends[2];
        if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) _exit(100);
        // Full: a write would wait for ever.
        const std::string page(4096, 'x');
        for (size_t i = 0; i < (64 << 10) / page.size(); ++i) {
          if (write(STDERR_FILENO, page.data(), page.size()) < 0) _exit(100);
        }
        Guarded(std::chrono::hours(1));
        raise(SIGTERM);
        RaiseUntilTheEnd(SIGTERM);
      },
      ::testing::ExitedWithCode(kExitNotStopped), "");
}

TEST(StopGuardDeathTest, ASignalThatComesTwiceAtOnceIsOne) {
  EXPECT_EXIT(
      {
        Guarded(std::chrono::hours(1));
        for (int i = 0; i < 5; ++i) raise(i % 2 == 0 ? SIGTERM : SIGINT);
        _exit(signals_passed_on == 1 ? 0 : 100);
      },
      ::testing::ExitedWithCode(0), "^$");
}

TEST(StopGuardDeathTest, AProcessThatEndsIsLeftAlone) {
  EXPECT_EXIT(
      {
        Guarded(std::chrono::seconds(1));
        raise(SIGTERM);
        _exit(signals_passed_on == 1 ? 0 : 100);
      },
      ::testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace merrow::server
