// SPDX-License-Identifier: Apache-2.0
#include "cells/packed_key.h"

#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

constexpr int kTypeBits = 3;
constexpr unsigned kTypeMask = 7;
constexpr unsigned kInteger = 1;
constexpr unsigned kReal = 2;
constexpr unsigned kText = 3;
constexpr unsigned kBlob = 4;
constexpr unsigned kNull = 5;
constexpr unsigned kIntegerBytesMax = 8;

void AppendTagged(unsigned type, uint64_t number, Bytes& out) {
  const auto count = static_cast<unsigned>((std::bit_width(number) + 7) / 8);
  out.push_back(static_cast<char>(count << kTypeBits | type));
  for (unsigned i = count; i-- > 0;) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(number >> (8 * i))));
  }
}

Result<uint64_t> ReadNumber(ByteReader& reader, unsigned count) {
  if (count > kIntegerBytesMax) {
    return reader.Fail("packed column: an integer of " + std::to_string(count) + " bytes");
  }
  MERROW_ASSIGN(const BytesView bytes, reader.Take(count));
  uint64_t number = 0;
  for (const char c : bytes) {
    number = number << 8 | static_cast<unsigned char>(c);
  }
  return number;
}

Result<ValueView> ReadColumn(ByteReader& reader) {
  MERROW_ASSIGN(const uint8_t tag, reader.U8());
  const unsigned type = tag & kTypeMask;
  const unsigned count = static_cast<unsigned>(tag) >> kTypeBits;
  if (type == kInteger) {
    MERROW_ASSIGN(const uint64_t number, ReadNumber(reader, count));
    return ValueView::Integer(static_cast<int64_t>(number));
  }
  if (type == kText || type == kBlob) {
    MERROW_ASSIGN(const uint64_t length, ReadNumber(reader, count));
    MERROW_ASSIGN(const BytesView bytes, reader.Take(length));
    return type == kText ? ValueView::Text(bytes) : ValueView::Blob(bytes);
  }
  if (count == 0 && type == kReal) {
    MERROW_ASSIGN(const double real, reader.F64Be());
    if (real != real) {
      return reader.Fail("packed column: not a number");
    }
    return ValueView::Real(real);
  }
  if (count == 0 && type == kNull) {
    return ValueView::Null();
  }
  return reader.Fail("packed column: unknown tag " + std::to_string(tag));
}

}  // namespace

void AppendPackedColumn(const ValueView& value, Bytes& out) {
  switch (value.type) {
    case ValueType::kNull:
      out.push_back(static_cast<char>(kNull));
      return;
    case ValueType::kInteger:
      AppendTagged(kInteger, static_cast<uint64_t>(value.integer), out);
      return;
    case ValueType::kReal: {
      out.push_back(static_cast<char>(kReal));
      uint64_t bits = 0;
      std::memcpy(&bits, &value.real, sizeof(bits));
      for (int i = 7; i >= 0; --i) {
        out.push_back(static_cast<char>(static_cast<unsigned char>(bits >> (8 * i))));
      }
      return;
    }
    case ValueType::kText:
      AppendTagged(kText, value.bytes.size(), out);
      out.append(value.bytes);
      return;
    case ValueType::kBlob:
      AppendTagged(kBlob, value.bytes.size(), out);
      out.append(value.bytes);
      return;
  }
}

Bytes PackColumns(std::span<const ValueView> values) {
  MERROW_CHECK(values.size() <= kPackedColumnsMax);
  Bytes out(1, static_cast<char>(static_cast<unsigned char>(values.size())));
  for (const ValueView& value : values) {
    AppendPackedColumn(value, out);
  }
  return out;
}

Result<std::vector<ValueView>> UnpackColumns(BytesView packed) {
  ByteReader reader(packed);
  MERROW_ASSIGN(const uint8_t count, reader.U8());
  // Each column takes at least one byte, so the count cannot make this large.
  std::vector<ValueView> values;
  values.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    MERROW_ASSIGN(const ValueView value, ReadColumn(reader));
    values.push_back(value);
  }
  MERROW_TRY(reader.ExpectEnd());
  return values;
}

}  // namespace merrow::cells
