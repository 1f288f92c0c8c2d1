// SPDX-License-Identifier: Apache-2.0
//
// Takes the input of a fuzz target apart. Unlike ByteReader it never fails: what is missing reads
// as zero or as nothing, so that every input says something.

#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace merrow::fuzz {

class FuzzInput {
 public:
  explicit FuzzInput(BytesView bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  BytesView rest() const { return rest_; }

  uint8_t U8() {
    const BytesView byte = Take(1);
    return byte.empty() ? uint8_t{0} : static_cast<uint8_t>(byte[0]);
  }
  uint64_t U64() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= uint64_t{U8()} << (8 * i);
    return value;
  }
  /// Bytes behind a length of two bytes.
  BytesView Piece() {
    const size_t low = U8();
    return Take(low | size_t{U8()} << 8);
  }

 private:
  BytesView Take(size_t count) {
    const BytesView bytes = rest_.substr(0, count);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

  BytesView rest_;
};

/// What FuzzInput::Piece reads. REQUIRES: bytes.size() < 65536
inline void AppendPiece(BytesView bytes, ByteWriter* writer) {
  writer->U16Le(static_cast<uint16_t>(bytes.size()));
  writer->Append(bytes);
}

}  // namespace merrow::fuzz
