// SPDX-License-Identifier: Apache-2.0
//
// Time and randomness as interfaces, so that every layer that decides something can be driven by a
// simulator. Pure layers take these as arguments; only src/server and src/cli create the real ones.

#pragma once

#include <cstdint>

namespace merrow {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Microseconds since an arbitrary start; never goes back.
  virtual int64_t MonotonicMicros() const = 0;
  /// Seconds since the Unix epoch; may jump.
  virtual int64_t UnixSeconds() const = 0;
  /// Milliseconds since the Unix epoch; may jump. For clocks that count only seconds: those.
  virtual int64_t UnixMillis() const { return UnixSeconds() * 1000; }
};

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
};

/// The clocks of the operating system.
class SystemClock final : public Clock {
 public:
  int64_t MonotonicMicros() const override;
  int64_t UnixSeconds() const override;
  int64_t UnixMillis() const override;
};

/// Unpredictable numbers from the operating system.
class SystemRandom final : public Random {
 public:
  uint64_t Next() override;
};

/// A small, fast, seeded generator (SplitMix64) for tests, workloads and jitter; not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() override {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound). REQUIRES: bound > 0
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

}  // namespace merrow
