// SPDX-License-Identifier: Apache-2.0
#include "changeset/value_code.h"

#include <string>

#include "changeset/changeset_format.h"

namespace merrow::changeset {
namespace {

using cells::ValueType;
using cells::ValueView;

void WriteInteger(int64_t value, ByteWriter* writer) {
  if (value >= kSmallMin && value < kSmallEnd) {
    writer->U8(static_cast<uint8_t>(kValueSmall + (value - kSmallMin)));
    return;
  }
  int count = 1;
  while (count < 8 && (value >> (8 * count - 1)) != 0 && (value >> (8 * count - 1)) != -1) ++count;
  writer->U8(static_cast<uint8_t>(kValueInteger + count));
  for (int i = 0; i < count; ++i) {
    writer->U8(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

void WriteBytes(BytesView bytes, uint8_t short_tag, size_t short_end, uint8_t long_tag,
                ByteWriter* writer) {
  if (bytes.size() < short_end) {
    writer->U8(static_cast<uint8_t>(short_tag + bytes.size()));
    writer->Append(bytes);
    return;
  }
  writer->U8(long_tag);
  writer->LengthPrefixed(bytes);
}

Result<ValueView> ReadInteger(ByteReader& reader, int count) {
  MERROW_ASSIGN(const BytesView bytes, reader.Take(static_cast<uint64_t>(count)));
  uint64_t bits = 0;
  for (int i = 0; i < count; ++i) {
    bits |= uint64_t{static_cast<unsigned char>(bytes[static_cast<size_t>(i)])} << (8 * i);
  }
  const int unused = 64 - 8 * count;
  return ValueView::Integer(static_cast<int64_t>(bits << unused) >> unused);
}

}  // namespace

void WriteValue(const ValueView& value, ByteWriter* writer) {
  switch (value.type) {
    case ValueType::kNull:
      writer->U8(kValueNull);
      return;
    case ValueType::kInteger:
      WriteInteger(value.integer, writer);
      return;
    case ValueType::kReal:
      writer->U8(kValueReal);
      writer->F64Le(value.real);
      return;
    case ValueType::kText:
      WriteBytes(value.bytes, kValueText, kShortTextEnd, kValueLongText, writer);
      return;
    case ValueType::kBlob:
      WriteBytes(value.bytes, kValueBlob, kShortBlobEnd, kValueLongBlob, writer);
      return;
  }
}

Result<ValueView> ReadValue(ByteReader& reader) {
  MERROW_ASSIGN(const uint8_t tag, reader.U8());
  if (tag >= kValueBlob) {
    MERROW_ASSIGN(const BytesView bytes, reader.Take(tag - kValueBlob));
    return ValueView::Blob(bytes);
  }
  if (tag >= kValueText) {
    MERROW_ASSIGN(const BytesView bytes, reader.Take(tag - kValueText));
    return ValueView::Text(bytes);
  }
  if (tag >= kValueSmall) return ValueView::Integer(tag - kValueSmall + kSmallMin);
  if (tag > kValueInteger) return ReadInteger(reader, tag - kValueInteger);
  switch (tag) {
    case kValueNull:
      return ValueView::Null();
    case kValueReal: {
      MERROW_ASSIGN(const double real, reader.F64Le());
      if (real != real) return reader.Fail("a real that is not a number");
      return ValueView::Real(real);
    }
    case kValueLongText: {
      MERROW_ASSIGN(const BytesView bytes, reader.LengthPrefixed());
      return ValueView::Text(bytes);
    }
    case kValueLongBlob: {
      MERROW_ASSIGN(const BytesView bytes, reader.LengthPrefixed());
      return ValueView::Blob(bytes);
    }
    default:
      return reader.Fail("unknown value tag " + std::to_string(tag));
  }
}

}  // namespace merrow::changeset
