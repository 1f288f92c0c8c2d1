// SPDX-License-Identifier: Apache-2.0
#include "changeset/hybrid_clock.h"

#include <cstdint>
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
  // Unsigned: the difference of two times can be larger than either type's largest time.
  const uint64_t ahead_ms = static_cast<uint64_t>(timestamp.ms) - static_cast<uint64_t>(now_ms);
  if (timestamp.ms > now_ms && ahead_ms > static_cast<uint64_t>(skew_ms_max_)) return false;
  if (timestamp > last_) last_ = timestamp;
  return true;
}

}  // namespace merrow::changeset
