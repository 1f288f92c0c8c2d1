// SPDX-License-Identifier: Apache-2.0
#include "server/watchdog.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace merrow::server {

int64_t Heartbeat::NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

int64_t Heartbeat::busy_ms() const {
  const int64_t since = since_ms_.load(std::memory_order_relaxed);
  return since == kResting ? 0 : NowMs() - since;
}

Watchdog::Watchdog(const Options& options, std::vector<Watched> watched)
    : options_(options),
      watched_(std::move(watched)),
      is_stalled_(watched_.size()),
      stalls_(watched_.size()) {
  thread_ = std::thread([this] { Loop(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::vector<Watchdog::Report> Watchdog::report() const {
  std::vector<Report> reports;
  for (size_t i = 0; i < watched_.size(); ++i) {
    reports.push_back({watched_[i].name, watched_[i].heartbeat->busy_ms(), stalls_[i].load()});
  }
  return reports;
}

void Watchdog::Loop() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, options_.interval, [this] { return stopping_; })) Look();
}

void Watchdog::Look() {
  for (size_t i = 0; i < watched_.size(); ++i) {
    const int64_t busy_ms = watched_[i].heartbeat->busy_ms();
    const bool is_stalled = busy_ms >= options_.stall.count();
    if (is_stalled == is_stalled_[i]) continue;
    is_stalled_[i] = is_stalled;
    if (is_stalled) {
      ++stalls_[i];
      spdlog::error("{} has been at one piece of work for {} ms", watched_[i].name, busy_ms);
    } else {
      spdlog::info("{} goes on", watched_[i].name);
    }
  }
}

}  // namespace merrow::server
