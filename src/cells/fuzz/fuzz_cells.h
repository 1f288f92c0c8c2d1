// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of this layer (base/fuzz/fuzz_target.h), and their valid inputs.

#pragma once

#include <vector>

#include "base/bytes.h"

namespace merrow::cells {

/// A packed RowClock.
void FuzzRowClock(BytesView input);
std::vector<Bytes> RowClockSeeds();

/// u8 (1: stored keys) | u64le first number, or piece (base/fuzz/fuzz_input.h) first stored key
/// | u64le number or piece, a key to skip to | clock block
void FuzzClockBlock(BytesView input);
std::vector<Bytes> ClockBlockSeeds();

/// Packed columns.
void FuzzPackedKey(BytesView input);
std::vector<Bytes> PackedKeySeeds();

}  // namespace merrow::cells
