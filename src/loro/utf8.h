// SPDX-License-Identifier: Apache-2.0
//
// Counting and cutting well-formed UTF-8 by Unicode scalars.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace merrow::loro {

/// True for the first byte of a scalar.
inline bool IsScalarStart(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) != 0x80; }

/// Scalars in `text`. REQUIRES: well-formed UTF-8, here and below.
inline uint32_t CountScalars(std::string_view text) {
  uint32_t count = 0;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= text.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof(word));
    // A one for each byte that is not 10xxxxxx, and these added up in the highest byte.
    constexpr uint64_t kOnes = 0x0101010101010101;
    count += static_cast<uint32_t>(((~word >> 7 | word >> 6) & kOnes) * kOnes >> 56);
  }
  for (; at < text.size(); ++at) count += IsScalarStart(text[at]) ? 1 : 0;
  return count;
}

/// Bytes that the first `scalars` scalars take; all bytes if there are fewer.
inline size_t BytesOfScalars(std::string_view text, uint32_t scalars) {
  size_t at = 0;
  while (at < text.size()) {
    if (IsScalarStart(text[at])) {
      if (scalars == 0) return at;
      --scalars;
    }
    ++at;
  }
  return at;
}

/// `length` scalars of `text` from scalar `from` on.
inline std::string_view SliceScalars(std::string_view text, uint32_t from, uint32_t length) {
  const size_t start = BytesOfScalars(text, from);
  text.remove_prefix(start);
  return text.substr(0, BytesOfScalars(text, length));
}

}  // namespace merrow::loro
