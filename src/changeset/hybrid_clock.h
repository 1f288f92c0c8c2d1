// SPDX-License-Identifier: Apache-2.0
//
// Hybrid clock: timestamps that rise with every transaction of a site and are above those of all
// transactions that it has seen, yet stay close to the wall clock. No merge depends on them; they
// order history for people, and say how far behind a site is.
//
// A timestamp from further ahead than `skew_ms_max` does not move the clock: one site with a wrong
// clock must not drag the others along.

#pragma once

#include "changeset/changeset.h"

namespace merrow::changeset {

inline constexpr int64_t kSkewMsMax = 60'000;

class HybridClock {
 public:
  /// `last`: the largest timestamp that this site gave or took over before.
  explicit HybridClock(Timestamp last = {}, int64_t skew_ms_max = kSkewMsMax)
      : last_(last), skew_ms_max_(skew_ms_max) {}

  /// A timestamp for a transaction at wall time `now_ms`; larger than all before.
  Timestamp Next(int64_t now_ms);
  /// Takes note of somebody else's. False if it is from too far ahead and was passed over.
  bool Observe(const Timestamp& timestamp, int64_t now_ms);

  const Timestamp& last() const { return last_; }

 private:
  Timestamp last_;
  int64_t skew_ms_max_;
};

}  // namespace merrow::changeset
