// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/fuzz_target.h"
#include "cells/fuzz/fuzz_cells.h"

namespace merrow::fuzz {

std::vector<FuzzTarget> FuzzTargets() {
  return {{"row_clock", cells::FuzzRowClock, cells::RowClockSeeds},
          {"clock_block", cells::FuzzClockBlock, cells::ClockBlockSeeds},
          {"packed_key", cells::FuzzPackedKey, cells::PackedKeySeeds}};
}

}  // namespace merrow::fuzz
