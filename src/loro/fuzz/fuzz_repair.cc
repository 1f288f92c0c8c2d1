// SPDX-License-Identifier: Apache-2.0
#include "loro/fuzz/fuzz_repair.h"

#include <vector>

#include "loro/envelope.h"

namespace merrow::loro {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr size_t kEnvelopeChecksumAt = 16;
constexpr size_t kModeAt = 20;
constexpr uint8_t kLargeFlag = 0x80;

void WriteU32Le(uint32_t value, size_t at, Bytes* bytes) {
  ByteWriter writer;
  writer.U32Le(value);
  bytes->replace(at, kChecksumBytes, writer.bytes());
}

// Offsets of the blocks and, as the last, of the metadata.
struct Layout {
  std::vector<size_t> offsets;
  size_t entries_start = 0;  // of the metadata's block entries
  size_t entries_end = 0;
};

Result<Layout> ReadLayout(BytesView store) {
  if (store.size() < kChecksumBytes) return Corruption("no footer");
  MERROW_ASSIGN(const uint32_t meta_offset,
                ByteReader(store.substr(store.size() - kChecksumBytes)).U32Le());
  if (meta_offset > store.size()) return Corruption("no metadata");
  ByteReader reader(store.substr(meta_offset));
  Layout layout;
  MERROW_ASSIGN(const uint32_t count, reader.U32Le());
  layout.entries_start = meta_offset + reader.offset();
  for (uint32_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(const uint32_t offset, reader.U32Le());
    layout.offsets.push_back(offset);
    MERROW_ASSIGN(const uint16_t first_key, reader.U16Le());
    MERROW_TRY(reader.Take(first_key));
    MERROW_ASSIGN(const uint8_t flags, reader.U8());
    if ((flags & kLargeFlag) != 0) continue;
    MERROW_ASSIGN(const uint16_t last_key, reader.U16Le());
    MERROW_TRY(reader.Take(last_key));
  }
  layout.entries_end = meta_offset + reader.offset();
  layout.offsets.push_back(meta_offset);
  return layout;
}

}  // namespace

Bytes RepairedSstable(BytesView store) {
  Bytes repaired(store);
  const Result<Layout> layout = ReadLayout(store);
  if (!layout.ok()) return repaired;
  const std::vector<size_t>& offsets = layout->offsets;
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    if (offsets[i + 1] > store.size() || offsets[i] + kChecksumBytes > offsets[i + 1]) continue;
    const size_t end = offsets[i + 1] - kChecksumBytes;
    WriteU32Le(Checksum(BytesView(repaired).substr(offsets[i], end - offsets[i])), end, &repaired);
  }
  if (layout->entries_end + kChecksumBytes <= store.size()) {
    const BytesView entries = BytesView(repaired).substr(
        layout->entries_start, layout->entries_end - layout->entries_start);
    WriteU32Le(Checksum(entries), layout->entries_end, &repaired);
  }
  return repaired;
}

Bytes RepairedSnapshot(BytesView body) {
  Bytes repaired;
  ByteReader reader(body);
  while (!reader.empty()) {
    const BytesView rest = reader.rest();
    const Result<uint32_t> size = reader.U32Le();
    const Result<BytesView> section =
        size.ok() ? reader.Take(*size) : Result<BytesView>(size.error());
    if (!section.ok()) return repaired.append(rest);
    repaired.append(rest.substr(0, sizeof(uint32_t)));
    repaired.append(RepairedSstable(*section));
  }
  return repaired;
}

Bytes RepairedBlob(BytesView blob) {
  if (blob.size() < kEnvelopeBytes) return Bytes(blob);
  Bytes repaired(blob.substr(0, kEnvelopeBytes));
  const BytesView body = blob.substr(kEnvelopeBytes);
  const bool is_snapshot = blob[kModeAt] == 0 && blob[kModeAt + 1] == 3;
  repaired += is_snapshot ? RepairedSnapshot(body) : Bytes(body);
  WriteU32Le(Checksum(BytesView(repaired).substr(kModeAt)), kEnvelopeChecksumAt, &repaired);
  return repaired;
}

}  // namespace merrow::loro
