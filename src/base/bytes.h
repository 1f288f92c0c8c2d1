// SPDX-License-Identifier: Apache-2.0
//
// Byte strings, and readers and writers of the integer encodings that Merrow's formats share:
// fixed width little- and big-endian, LEB128 (unsigned, signed) and zigzag.
//
// A reader never reads past its end: a failed read returns an Error that names the offset, and
// nothing is consumed. Varints longer than their type, and bits beyond it, are corruption.

#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow {

/// Lower-case hexadecimal of `bytes`.
std::string ToHex(BytesView bytes);
/// Bytes of a hexadecimal text of even length, either case.
Result<Bytes> FromHex(std::string_view text);

/// Standard base64 (RFC 4648 section 4) with padding.
std::string ToBase64(BytesView bytes);
Result<Bytes> FromBase64(std::string_view text);

/// Text from elsewhere as an error message may quote it: what is longer than 120 bytes or so
/// without its middle. Characters stay whole.
std::string Clip(std::string_view text);

/// True if `text` is well-formed UTF-8 (no surrogates, nothing overlong, at most U+10FFFF).
bool IsUtf8(std::string_view text);

class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(BytesView bytes)
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  BytesView rest() const { return {at_, remaining()}; }

  Result<uint8_t> U8();
  Result<uint16_t> U16Le();
  Result<uint16_t> U16Be();
  Result<uint32_t> U32Le();
  Result<uint64_t> U64Le();
  Result<uint64_t> U64Be();
  Result<int32_t> I32Le();
  Result<int32_t> I32Be();
  Result<double> F64Le();
  Result<double> F64Be();

  /// Unsigned LEB128.
  Result<uint64_t> Uleb64();
  Result<uint32_t> Uleb32();
  /// Signed LEB128 with sign extension.
  Result<int64_t> Sleb64();
  /// Zigzag, then unsigned LEB128 (postcard's signed integers).
  Result<int64_t> Zigzag64();
  Result<int32_t> Zigzag32();

  /// The next `count` bytes, as a view into the input.
  Result<BytesView> Take(uint64_t count);
  /// An unsigned LEB128 length, then that many bytes.
  Result<BytesView> LengthPrefixed();
  /// The same, checked to be UTF-8.
  Result<std::string_view> Utf8();

  /// An Error unless everything was consumed.
  Status ExpectEnd() const;

  /// A corruption error at the current offset.
  Error Fail(std::string_view what) const;

 private:
  const char* begin_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
};

class ByteWriter {
 public:
  size_t size() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }
  Bytes Release() { return std::move(bytes_); }

  void U8(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void U16Le(uint16_t value) { FixedLe(value); }
  void U16Be(uint16_t value) { FixedBe(value); }
  void U32Le(uint32_t value) { FixedLe(value); }
  void U64Le(uint64_t value) { FixedLe(value); }
  void U64Be(uint64_t value) { FixedBe(value); }
  void I32Le(int32_t value) { FixedLe(static_cast<uint32_t>(value)); }
  void I32Be(int32_t value) { FixedBe(static_cast<uint32_t>(value)); }
  void F64Le(double value);
  void F64Be(double value);

  void Uleb(uint64_t value);
  void Sleb(int64_t value);
  void Zigzag(int64_t value);

  void Append(BytesView bytes) { bytes_.append(bytes); }
  void LengthPrefixed(BytesView bytes) {
    Uleb(bytes.size());
    Append(bytes);
  }

 private:
  template <typename T>
  void FixedLe(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
    }
  }
  template <typename T>
  void FixedBe(T value) {
    for (size_t i = sizeof(T); i-- > 0;) {
      bytes_.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
    }
  }

  Bytes bytes_;
};

}  // namespace merrow
