// SPDX-License-Identifier: Apache-2.0
//
// SimLoop: simulated time. What is to happen later stands in a queue by its time; nothing else
// happens, and time leaps from one to the next.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace merrow::testing {

class SimLoop {
 public:
  int64_t now_ms() const { return now_ms_; }

  void After(int64_t delay_ms, std::function<void()> what) {
    queue_.emplace(std::pair(now_ms_ + (delay_ms < 0 ? 0 : delay_ms), next_++), std::move(what));
  }
  /// Lets everything happen that is due until `until_ms`.
  void RunUntil(int64_t until_ms) {
    while (!queue_.empty() && queue_.begin()->first.first <= until_ms) {
      const auto first = queue_.begin();
      now_ms_ = first->first.first;
      const std::function<void()> what = std::move(first->second);
      queue_.erase(first);
      ++events_;
      what();
    }
    now_ms_ = until_ms;
  }
  uint64_t events() const { return events_; }

 private:
  int64_t now_ms_ = 0;
  uint64_t next_ = 0;
  uint64_t events_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> queue_;
};

}  // namespace merrow::testing
