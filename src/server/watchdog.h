// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: a thread that looks once a second whether the server's other threads still turn, and
// says so in the log and the metrics when one does not: a disk that hangs, a merge that takes very
// long. It changes nothing.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace merrow::server {

/// What a thread shows of itself. It writes, any thread reads.
class Heartbeat {
 public:
  /// A piece of work begins, or the thread has come round once more.
  void Begin() { since_ms_.store(NowMs(), std::memory_order_relaxed); }
  /// It waits for work.
  void Rest() { since_ms_.store(kResting, std::memory_order_relaxed); }
  /// How long it has been at one piece of work; 0 if it rests.
  int64_t busy_ms() const;

 private:
  static constexpr int64_t kResting = -1;
  static int64_t NowMs();

  std::atomic<int64_t> since_ms_{kResting};
};

class Watchdog {
 public:
  struct Options {
    std::chrono::milliseconds interval{1'000};
    /// At one piece of work for longer than this: stalled.
    std::chrono::milliseconds stall{10'000};
  };
  struct Watched {
    std::string name;
    const Heartbeat* heartbeat;  // must outlive the watchdog
  };

  Watchdog(const Options& options, std::vector<Watched> watched);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  struct Report {
    std::string name;
    int64_t busy_ms = 0;
    uint64_t stalls = 0;  // since the start
  };
  /// Any thread.
  std::vector<Report> report() const;

 private:
  void Loop();
  void Look();

  const Options options_;
  const std::vector<Watched> watched_;
  std::vector<bool> is_stalled_;  // watchdog thread only
  std::vector<std::atomic<uint64_t>> stalls_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_

  std::thread thread_;
};

}  // namespace merrow::server
