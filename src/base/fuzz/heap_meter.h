// SPDX-License-Identifier: Apache-2.0
//
// HeapMeter: how much memory a piece of code takes from operator new at most, which this file's .cc
// replaces in the programs that link it. What C libraries take from malloc is not in it.
//
// One thread only.

#pragma once

#include <cstddef>

namespace merrow::fuzz {

class HeapMeter {
 public:
  /// Starts to measure.
  HeapMeter();
  /// The most bytes that were there at once since the start, without those that were there before.
  size_t peak() const;

 private:
  size_t before_ = 0;
};

/// Stops the process if `meter` has seen more than `bytes`; says both.
void CheckHeap(const HeapMeter& meter, size_t bytes);

}  // namespace merrow::fuzz
