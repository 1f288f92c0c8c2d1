// SPDX-License-Identifier: Apache-2.0
#include "loro/columns.h"

#include <bit>
#include <iterator>

namespace merrow::loro {
namespace {

/// One width of the delta-of-delta code: `prefix_bits` of prefix, then `bits` that hold the value
/// plus `bias`.
struct Width {
  unsigned prefix_bits;
  uint64_t prefix;
  unsigned bits;
  int64_t bias;
};

// DO NOT CHANGE: on the wire and on disk.
constexpr Width kWidths[] = {
    {2, 0b10, 7, 63},
    {3, 0b110, 9, 255},
    {4, 0b1110, 12, 2047},
    {5, 0b11110, 21, (1 << 20) - 1},
};
constexpr unsigned kWidestPrefixBits = 5;
constexpr uint64_t kWidestPrefix = 0b11111;

}  // namespace

bool Cursor::Uleb64Slow(uint64_t* value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = 0;
    if (!Byte(&byte) || (shift == 63 && byte > 1)) return false;
    result |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

bool Cursor::Sleb(int64_t* value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    uint8_t byte = 0;
    if (!Byte(&byte) || (shift == 63 && byte != 0 && byte != 0x7F)) return false;
    result |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      const bool negative = (byte & 0x40) != 0;
      if (negative && shift + 7 < 64) result |= ~uint64_t{0} << (shift + 7);
      *value = static_cast<int64_t>(result);
      return true;
    }
  }
  return false;
}

bool Cursor::Zigzag128Slow(Int128* value) {
  Uint128 raw = 0;
  for (unsigned shift = 0; shift < 128; shift += 7) {
    uint8_t byte = 0;
    if (!Byte(&byte) || (shift == 126 && byte > 3)) return false;
    raw |= static_cast<Uint128>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = static_cast<Int128>((raw >> 1) ^ (~(raw & 1) + 1));
      return true;
    }
  }
  return false;
}

void columns_internal::WriteZigzag128(ByteWriter& writer, Int128 value) {
  Uint128 raw = static_cast<Uint128>(value) << 1;
  if (value < 0) raw = ~raw;
  while (raw >= 0x80) {
    writer.U8(static_cast<uint8_t>(raw | 0x80));
    raw >>= 7;
  }
  writer.U8(static_cast<uint8_t>(raw));
}

bool DeltaOfDeltaDecoder::Start(Cursor cursor, uint64_t count) {
  *this = DeltaOfDeltaDecoder();
  count_ = count;
  uint8_t has_first = 0;
  if (!cursor.Byte(&has_first) || has_first > 1 || (has_first == 1) != (count > 0)) return false;
  if (has_first == 1 && !cursor.Zigzag(&previous_)) return false;
  if (!cursor.Byte(&last_byte_bits_)) return false;
  stream_ = cursor.rest();
  // Every further row takes at least one bit.
  return count <= 1 || count - 1 <= stream_.size() * 8;
}

bool DeltaOfDeltaDecoder::Bits(unsigned count, uint64_t* bits) {
  if (count > stream_.size() * 8 - bit_) return false;
  uint64_t result = 0;
  while (count > 0) {
    const unsigned available = 8 - static_cast<unsigned>(bit_ % 8);
    const unsigned taken = count < available ? count : available;
    const unsigned byte = static_cast<uint8_t>(stream_[bit_ / 8]);
    const unsigned chunk = (byte >> (available - taken)) & ((1U << taken) - 1);
    result = (result << taken) | chunk;
    bit_ += taken;
    count -= taken;
  }
  *bits = result;
  return true;
}

bool DeltaOfDeltaDecoder::DeltaOfDelta(int64_t* value) {
  // All widths but the last lie in eight bytes.
  const size_t byte = bit_ / 8;
  if (byte + sizeof(uint64_t) > stream_.size()) return DeltaOfDeltaSlow(value);
  uint64_t word = 0;
  for (size_t i = 0; i < sizeof(word); ++i) {
    word = word << 8 | static_cast<uint8_t>(stream_[byte + i]);
  }
  word <<= bit_ % 8;
  const auto ones = static_cast<unsigned>(std::countl_one(word));
  if (ones == 0) {
    ++bit_;
    *value = 0;
    return true;
  }
  if (ones > std::size(kWidths)) return DeltaOfDeltaSlow(value);
  const Width& width = kWidths[ones - 1];
  *value = static_cast<int64_t>(word << width.prefix_bits >> (64 - width.bits)) - width.bias;
  bit_ += width.prefix_bits + width.bits;
  return true;
}

bool DeltaOfDeltaDecoder::DeltaOfDeltaSlow(int64_t* value) {
  uint64_t bits = 0;
  if (!Bits(1, &bits)) return false;
  if (bits == 0) {
    *value = 0;
    return true;
  }
  for (const Width& width : kWidths) {
    if (!Bits(1, &bits)) return false;
    if (bits == 0) {
      if (!Bits(width.bits, &bits)) return false;
      *value = static_cast<int64_t>(bits) - width.bias;
      return true;
    }
  }
  if (!Bits(64, &bits)) return false;
  *value = static_cast<int64_t>(bits);
  return true;
}

bool DeltaOfDeltaDecoder::Next(int64_t* value) {
  if (first_) {
    first_ = false;
    *value = previous_;
    return count_ > 0;
  }
  int64_t change = 0;
  if (!DeltaOfDelta(&change) || __builtin_add_overflow(delta_, change, &delta_) ||
      __builtin_add_overflow(previous_, delta_, &previous_)) {
    return false;
  }
  *value = previous_;
  return true;
}

bool DeltaOfDeltaDecoder::Finish(Cursor* rest) const {
  const size_t used = bit_ == 0 ? 0 : (bit_ - 1) % 8 + 1;
  if (last_byte_bits_ != used) return false;
  *rest = Cursor(stream_.substr((bit_ + 7) / 8));
  return true;
}

void DeltaOfDeltaEncoder::Bits(uint64_t bits, unsigned count) {
  while (count > 0) {
    if (last_byte_bits_ == 8) {
      stream_.push_back('\0');
      last_byte_bits_ = 0;
    }
    const unsigned available = 8 - last_byte_bits_;
    const unsigned taken = count < available ? count : available;
    const auto chunk = static_cast<unsigned>((bits >> (count - taken)) & ((1U << taken) - 1));
    const unsigned byte = static_cast<uint8_t>(stream_.back());
    stream_.back() = static_cast<char>(byte | (chunk << (available - taken)));
    last_byte_bits_ += taken;
    count -= taken;
  }
}

void DeltaOfDeltaEncoder::Append(int64_t value) {
  if (count_++ == 0) {
    first_ = previous_ = value;
    return;
  }
  const int64_t delta = value - previous_;
  const int64_t change = delta - delta_;
  previous_ = value;
  delta_ = delta;
  if (change == 0) return Bits(0, 1);
  for (const Width& width : kWidths) {
    if (change >= -width.bias && change <= width.bias + 1) {
      Bits(width.prefix, width.prefix_bits);
      return Bits(static_cast<uint64_t>(change + width.bias), width.bits);
    }
  }
  Bits(kWidestPrefix, kWidestPrefixBits);
  Bits(static_cast<uint64_t>(change), 64);
}

Bytes DeltaOfDeltaEncoder::Finish() {
  ByteWriter writer;
  writer.U8(count_ > 0 ? 1 : 0);
  if (count_ > 0) writer.Zigzag(first_);
  writer.U8(static_cast<uint8_t>(stream_.empty() ? 0 : last_byte_bits_));
  writer.Append(stream_);
  return writer.Release();
}

Status ReadColumns(Cursor& cursor, std::span<BytesView> columns) {
  uint64_t count = 0;
  if (!cursor.Uleb(&count) || count != columns.size()) {
    return Corruption("expected " + std::to_string(columns.size()) + " columns, found " +
                      std::to_string(count));
  }
  for (BytesView& column : columns) {
    if (!cursor.LengthPrefixed(&column)) return Corruption("truncated column");
  }
  return {};
}

void WriteColumns(ByteWriter& writer, std::span<const Bytes> columns) {
  writer.Uleb(columns.size());
  for (const Bytes& column : columns) writer.LengthPrefixed(column);
}

}  // namespace merrow::loro
