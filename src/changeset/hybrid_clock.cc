// SPDX-License-Identifier: Apache-2.0
#include "changeset/hybrid_clock.h"

#include <limits>

namespace merrow::changeset {

Timestamp HybridClock::Next(int64_t now_ms) {
  if (now_ms > last_.ms) {
    last_ = {now_ms, 0};
  } else if (last_.count == std::numeric_limits<uint16_t>::max()) {
    last_ = {last_.ms + 1, 0};
  } else {
    ++last_.count;
  }
  return last_;
}

bool HybridClock::Observe(const Timestamp& timestamp, int64_t now_ms) {
  if (timestamp.ms > now_ms && timestamp.ms - now_ms > skew_ms_max_) return false;
  if (timestamp > last_) last_ = timestamp;
  return true;
}

}  // namespace merrow::changeset
