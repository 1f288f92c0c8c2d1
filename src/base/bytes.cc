// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <array>
#include <bit>

namespace merrow {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename T>
T LoadLe(BytesView bytes) {
  T value = 0;
  for (size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>((value << 8) | static_cast<uint8_t>(bytes[i]));
  }
  return value;
}

template <typename T>
T LoadBe(BytesView bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>((value << 8) | static_cast<uint8_t>(bytes[i]));
  }
  return value;
}

}  // namespace

std::string ToHex(BytesView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

Result<Bytes> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return InvalidArgument("hex text has odd length " + std::to_string(text.size()));
  }
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) {
      return InvalidArgument("not a hex digit at offset " + std::to_string(high < 0 ? i : i + 1));
    }
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

std::string ToBase64(BytesView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = (group << 8) | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text.push_back(j <= count ? kBase64Digits[(group >> (18 - 6 * j)) & 63] : '=');
    }
  }
  return text;
}

Result<Bytes> FromBase64(std::string_view text) {
  static constexpr auto kValues = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (size_t i = 0; i < kBase64Digits.size(); ++i) {
      values[static_cast<uint8_t>(kBase64Digits[i])] = static_cast<int8_t>(i);
    }
    return values;
  }();
  if (text.size() % 4 != 0) {
    return InvalidArgument("base64 text has length " + std::to_string(text.size()) +
                           ", not a multiple of 4");
  }
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool pad = i >= text.size() - padding;
    const int value = pad ? 0 : kValues[static_cast<uint8_t>(text[i])];
    if (value < 0) {
      return InvalidArgument("not a base64 digit at offset " + std::to_string(i));
    }
    group = (group << 6) | static_cast<uint32_t>(value);
    if (i % 4 == 3) {
      bytes.push_back(static_cast<char>(group >> 16));
      bytes.push_back(static_cast<char>(group >> 8));
      bytes.push_back(static_cast<char>(group));
      group = 0;
    }
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::string Clip(std::string_view text) {
  constexpr size_t kHeadBytes = 80;
  constexpr size_t kTailBytes = 32;
  constexpr std::string_view kGap = " ... ";
  if (text.size() <= kHeadBytes + kGap.size() + kTailBytes) return std::string(text);
  const auto is_inside = [text](size_t at) {
    return (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80;
  };
  size_t head = kHeadBytes;
  while (head > 0 && is_inside(head)) --head;
  size_t tail = text.size() - kTailBytes;
  while (tail < text.size() && is_inside(tail)) ++tail;
  return std::string(text.substr(0, head)).append(kGap).append(text.substr(tail));
}

bool IsUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    // Eight ASCII bytes at a time, the common case.
    if (i + 8 <= text.size()) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080U) == 0) {
        i += 8;
        continue;
      }
    }
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + length > text.size()) return false;
    uint32_t scalar = lead & (0x7FU >> length);
    for (size_t j = 1; j < length; ++j) {
      const auto byte = static_cast<uint8_t>(text[i + j]);
      if ((byte & 0xC0) != 0x80) return false;
      scalar = (scalar << 6) | (byte & 0x3FU);
    }
    const bool overlong = (length == 3 && scalar < 0x800) || (length == 4 && scalar < 0x10000);
    if (overlong || scalar > 0x10FFFF || (scalar >= 0xD800 && scalar <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

Error ByteReader::Fail(std::string_view what) const {
  return Corruption(std::string(what) + " at offset " + std::to_string(offset()));
}

Result<BytesView> ByteReader::Take(uint64_t count) {
  if (count > remaining()) {
    return Fail("need " + std::to_string(count) + " bytes, have " + std::to_string(remaining()));
  }
  const BytesView bytes(at_, static_cast<size_t>(count));
  at_ += count;
  return bytes;
}

Result<uint8_t> ByteReader::U8() {
  if (at_ == end_) return Fail("need 1 byte, have 0");
  return static_cast<uint8_t>(*at_++);
}

Result<uint16_t> ByteReader::U16Le() {
  MERROW_ASSIGN(const BytesView bytes, Take(2));
  return LoadLe<uint16_t>(bytes);
}

Result<uint16_t> ByteReader::U16Be() {
  MERROW_ASSIGN(const BytesView bytes, Take(2));
  return LoadBe<uint16_t>(bytes);
}

Result<uint32_t> ByteReader::U32Le() {
  MERROW_ASSIGN(const BytesView bytes, Take(4));
  return LoadLe<uint32_t>(bytes);
}

Result<uint64_t> ByteReader::U64Le() {
  MERROW_ASSIGN(const BytesView bytes, Take(8));
  return LoadLe<uint64_t>(bytes);
}

Result<uint64_t> ByteReader::U64Be() {
  MERROW_ASSIGN(const BytesView bytes, Take(8));
  return LoadBe<uint64_t>(bytes);
}

Result<int32_t> ByteReader::I32Le() {
  MERROW_ASSIGN(const uint32_t value, U32Le());
  return static_cast<int32_t>(value);
}

Result<int32_t> ByteReader::I32Be() {
  MERROW_ASSIGN(const BytesView bytes, Take(4));
  return static_cast<int32_t>(LoadBe<uint32_t>(bytes));
}

Result<double> ByteReader::F64Le() {
  MERROW_ASSIGN(const uint64_t bits, U64Le());
  return std::bit_cast<double>(bits);
}

Result<double> ByteReader::F64Be() {
  MERROW_ASSIGN(const uint64_t bits, U64Be());
  return std::bit_cast<double>(bits);
}

Result<uint64_t> ByteReader::Uleb64() {
  uint64_t value = 0;
  const char* at = at_;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at == end_) return Fail("truncated varint");
    const auto byte = static_cast<uint8_t>(*at++);
    if (shift == 63 && byte > 1) return Fail("varint does not fit 64 bits");
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      at_ = at;
      return value;
    }
  }
  return Fail("varint does not fit 64 bits");
}

Result<uint32_t> ByteReader::Uleb32() {
  const char* start = at_;
  MERROW_ASSIGN(const uint64_t value, Uleb64());
  if (value > UINT32_MAX) {
    at_ = start;
    return Fail("varint does not fit 32 bits");
  }
  return static_cast<uint32_t>(value);
}

Result<int64_t> ByteReader::Sleb64() {
  uint64_t value = 0;
  const char* at = at_;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at == end_) return Fail("truncated signed varint");
    const auto byte = static_cast<uint8_t>(*at++);
    if (shift == 63 && byte != 0 && byte != 0x7F) return Fail("signed varint does not fit 64 bits");
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      if (shift + 7 < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << (shift + 7);
      at_ = at;
      return static_cast<int64_t>(value);
    }
  }
  return Fail("signed varint does not fit 64 bits");
}

Result<int64_t> ByteReader::Zigzag64() {
  MERROW_ASSIGN(const uint64_t value, Uleb64());
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

Result<int32_t> ByteReader::Zigzag32() {
  const char* start = at_;
  MERROW_ASSIGN(const int64_t value, Zigzag64());
  if (value < INT32_MIN || value > INT32_MAX) {
    at_ = start;
    return Fail("signed varint does not fit 32 bits");
  }
  return static_cast<int32_t>(value);
}

Result<BytesView> ByteReader::LengthPrefixed() {
  const char* start = at_;
  MERROW_ASSIGN(const uint64_t length, Uleb64());
  if (length > remaining()) {
    const Error error = Fail("length " + std::to_string(length) + " is past the end");
    at_ = start;
    return error;
  }
  return Take(length);
}

Result<std::string_view> ByteReader::Utf8() {
  MERROW_ASSIGN(const BytesView text, LengthPrefixed());
  if (!IsUtf8(text)) return Fail("text before here is not UTF-8");
  return text;
}

Status ByteReader::ExpectEnd() const {
  if (!empty()) return Fail(std::to_string(remaining()) + " bytes too many");
  return {};
}

void ByteWriter::F64Le(double value) { U64Le(std::bit_cast<uint64_t>(value)); }
void ByteWriter::F64Be(double value) { U64Be(std::bit_cast<uint64_t>(value)); }

void ByteWriter::Uleb(uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<char>(static_cast<uint8_t>(value | 0x80)));
    value >>= 7;
  }
  bytes_.push_back(static_cast<char>(static_cast<uint8_t>(value)));
}

void ByteWriter::Sleb(int64_t value) {
  while (true) {
    const auto byte = static_cast<uint8_t>(value & 0x7F);
    value >>= 7;
    const bool done = (value == 0 && (byte & 0x40) == 0) || (value == -1 && (byte & 0x40) != 0);
    bytes_.push_back(static_cast<char>(done ? byte : byte | 0x80));
    if (done) return;
  }
}

void ByteWriter::Zigzag(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  Uleb((bits << 1) ^ static_cast<uint64_t>(value >> 63));
}

}  // namespace merrow
