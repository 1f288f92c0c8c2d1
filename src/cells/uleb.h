// SPDX-License-Identifier: Apache-2.0
//
// Unsigned LEB128 over bare pointers, for the loops that read one clock after the other and would
// only throw away an error's text. Everything else uses base/bytes.h, which reads the same numbers.

#pragma once

#include <cstdint>

#include "merrow/bytes.h"

namespace merrow::cells {

/// False, and `at` anywhere up to `end`, if there is no number that fits 64 bits.
inline bool ReadUleb(const char*& at, const char* end, uint64_t& value) {
  if (at != end && static_cast<unsigned char>(*at) < 0x80) {
    value = static_cast<unsigned char>(*at++);
    return true;
  }
  value = 0;
  for (unsigned shift = 0; at != end && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      return shift < 63 || byte <= 1;
    }
  }
  return false;
}

inline void AppendUleb(uint64_t value, Bytes& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(value | 0x80)));
    value >>= 7;
  }
  out.push_back(static_cast<char>(static_cast<uint8_t>(value)));
}

}  // namespace merrow::cells
