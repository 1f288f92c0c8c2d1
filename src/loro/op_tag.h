// SPDX-License-Identifier: Apache-2.0
//
// Payload tags of ops in change blocks, shared by the decoder (change_block.cc) and the builder
// (change_block_builder.cc). Bytes per tag: docs/format.md, "op payloads".

#pragma once

#include <cmath>
#include <cstdint>

#include "merrow/ids.h"

namespace merrow::loro {

// DO NOT CHANGE: on the wire and on disk.
enum class OpTag : uint8_t {
  kNull = 0,
  kTrue = 1,
  kFalse = 2,
  kI64 = 3,
  kF64 = 4,
  kString = 5,
  kBinary = 6,
  kContainerIndex = 7,
  kDeleteOnce = 8,
  kDeleteSpan = 9,
  kDeltaInt = 10,
  kValue = 11,
  kMarkStart = 12,
  kOldTreeMove = 13,
  kListMove = 14,
  kListSet = 15,
  kTreeMove = 16,
  // Up to 127: of a later release, a length and that many bytes.
};

/// Set on the tags of later releases; without meaning otherwise.
inline constexpr uint8_t kOpTagFutureFlag = 0x80;
inline constexpr uint8_t kOpTagKnownMax = 16;

/// The value tag of a list, which is what the payload of a list insert is, and that of a map.
inline constexpr uint8_t kListValueTag = 7;
inline constexpr uint8_t kMapValueTag = 8;

/// Whether a counter's delta is written as kI64: whole, and below 2^27. DO NOT CHANGE: Loro's rule.
inline bool IsIntegerDelta(double delta) {
  return std::isfinite(delta) && std::trunc(delta) == delta && std::abs(delta) < 2 << 26;
}

/// The parent of a deleted tree node. DO NOT CHANGE: on the wire and on disk.
inline constexpr Id kDeletedTreeRoot = {kNoPeer, INT32_MAX};

}  // namespace merrow::loro
