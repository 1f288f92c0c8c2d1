// SPDX-License-Identifier: Apache-2.0
#include "sync/ephemeral_codec.h"

namespace merrow::sync {
namespace {

// Tags of postcard's enum of Loro values. DO NOT CHANGE: they are on the wire.
enum ValueTag : uint32_t {
  kNull = 0,
  kBool = 1,
  kDouble = 2,
  kInteger = 3,
  kString = 4,
  kList = 5,
  kMap = 6,
  kBinary = 8,
};

Status SkipFlag(ByteReader& reader) {
  MERROW_ASSIGN(const uint8_t flag, reader.U8());
  if (flag > 1) return reader.Fail("flag is neither 0 nor 1");
  return {};
}

Status SkipValue(ByteReader& reader, int depth);

Status SkipMany(ByteReader& reader, int depth, bool with_keys) {
  if (depth == kEphemeralDepthMax) return reader.Fail("value nests too deep");
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  for (uint64_t i = 0; i < count; ++i) {
    if (with_keys) MERROW_TRY(reader.Utf8());
    MERROW_TRY(SkipValue(reader, depth + 1));
  }
  return {};
}

// Containers (tag 7) name parts of documents and have no place in presence; they are refused.
Status SkipValue(ByteReader& reader, int depth) {
  MERROW_ASSIGN(const uint32_t tag, reader.Uleb32());
  switch (tag) {
    case kNull:
      return {};
    case kBool:
      return SkipFlag(reader);
    case kDouble:
      MERROW_TRY(reader.Take(8));
      return {};
    case kInteger:
      MERROW_TRY(reader.Zigzag64());
      return {};
    case kString:
      MERROW_TRY(reader.Utf8());
      return {};
    case kList:
      return SkipMany(reader, depth, false);
    case kMap:
      return SkipMany(reader, depth, true);
    case kBinary:
      MERROW_TRY(reader.LengthPrefixed());
      return {};
    default:
      return reader.Fail("unknown value tag");
  }
}

Result<EphemeralEntry> ReadEntry(ByteReader& reader) {
  EphemeralEntry entry;
  const BytesView start = reader.rest();
  MERROW_ASSIGN(entry.key, reader.Utf8());
  MERROW_ASSIGN(const uint8_t has_value, reader.U8());
  if (has_value > 1) return reader.Fail("option is neither 0 nor 1");
  entry.is_deleted = has_value == 0;
  if (has_value == 1) MERROW_TRY(SkipValue(reader, 0));
  MERROW_ASSIGN(entry.timestamp_ms, reader.Zigzag64());
  entry.bytes = start.substr(0, start.size() - reader.remaining());
  return entry;
}

}  // namespace

Result<std::vector<EphemeralEntry>> DecodeEphemeral(BytesView bytes) {
  ByteReader reader(bytes);
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  // An entry takes at least three bytes, which bounds the allocation by the input.
  if (count > reader.remaining() / 3) return reader.Fail("entry count is past the end");
  std::vector<EphemeralEntry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(const EphemeralEntry entry, ReadEntry(reader));
    entries.push_back(entry);
  }
  MERROW_TRY(reader.ExpectEnd());
  return entries;
}

Bytes EncodeEphemeral(const std::vector<BytesView>& entries) {
  ByteWriter out;
  out.Uleb(entries.size());
  for (const BytesView entry : entries) out.Append(entry);
  return out.Release();
}

}  // namespace merrow::sync
