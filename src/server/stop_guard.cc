// SPDX-License-Identifier: Apache-2.0
//
// All that runs in a handler is async-signal-safe (man 7 signal-safety).
#include "server/stop_guard.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <system_error>

#include "merrow/check.h"

namespace merrow::server {
namespace {

using Line = std::array<char, 160>;

// A handler gets nothing handed in. Written before the handlers are in place.
struct Guard {
  std::array<void (*)(int), NSIG> passed_on = {};
  unsigned timeout_s = 0;
  Line again = {};
  Line timed_out = {};
  std::atomic<int64_t> first_ms = 0;  // 0: none came
};
Guard guard;
static_assert(std::atomic<int64_t>::is_always_lock_free);

// Never 0.
int64_t NowMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000 + 1;
}

// Whoever reads standard error may hang as well; then nobody is told.
void Say(const Line& line) {
  pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&output, 1, 0) != 1) return;
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, line.data(), strlen(line.data()));
}

[[noreturn]] void End(int signal, const Line& line) {
  // If saying so hangs, one more signal ends the process.
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  sigaction(signal, &by_default, nullptr);
  Say(line);
  _exit(kExitNotStopped);
}

void OnSignal(int signal) {
  const int saved_errno = errno;
  if (signal == SIGALRM) End(signal, guard.timed_out);
  const int64_t now_ms = NowMs();
  int64_t first_ms = 0;
  if (guard.first_ms.compare_exchange_strong(first_ms, now_ms)) {
    alarm(guard.timeout_s);
    guard.passed_on[static_cast<size_t>(signal)](signal);
  } else if (now_ms - first_ms > kSameSignal.count()) {
    End(signal, guard.again);
  }
  errno = saved_errno;
}

Status Handle(int signal) {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  if (sigaction(signal, &action, nullptr) == 0) return {};
  return IoError("cannot handle signal " + std::to_string(signal) + ": " +
                 std::generic_category().message(errno));
}

}  // namespace

Status GuardStop(const std::vector<int>& signals, std::chrono::seconds timeout) {
  MERROW_CHECK(guard.timeout_s == 0 && timeout.count() >= 1);
  guard.timeout_s = static_cast<unsigned>(timeout.count());
  std::snprintf(guard.again.data(), guard.again.size(),
                "merrow: told to end again: ended at once, without draining\n");
  std::snprintf(guard.timed_out.data(), guard.timed_out.size(),
                "merrow: not drained within %u s (stop-timeout): ended at once\n", guard.timeout_s);
  MERROW_TRY(Handle(SIGALRM));
  for (const int signal : signals) {
    struct sigaction before = {};
    // Known before the handler that passes on to it is in place.
    MERROW_CHECK(sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_DFL &&
                 before.sa_handler != SIG_IGN);
    guard.passed_on.at(static_cast<size_t>(signal)) = before.sa_handler;
    MERROW_TRY(Handle(signal));
  }
  return {};
}

}  // namespace merrow::server
