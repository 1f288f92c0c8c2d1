// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>
#include <random>

namespace merrow {

int64_t SystemClock::MonotonicMicros() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

int64_t SystemClock::UnixSeconds() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

int64_t SystemClock::UnixMillis() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

uint64_t SystemRandom::Next() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace merrow
