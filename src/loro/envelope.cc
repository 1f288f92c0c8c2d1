// SPDX-License-Identifier: Apache-2.0
#include "loro/envelope.h"

#include <xxhash.h>

namespace merrow::loro {
namespace {

constexpr BytesView kMagic = "loro";
constexpr size_t kChecksumAt = 16;
constexpr size_t kChecksumCoversFrom = 20;
// The modes from before 1.0 have an MD5 in the place of zeros and checksum.
constexpr uint16_t kOldModeLast = 2;

}  // namespace

uint32_t Checksum(BytesView bytes) { return XXH32(bytes.data(), bytes.size(), kChecksumSeed); }

Result<Envelope> DecodeEnvelope(BytesView blob) {
  if (blob.size() < kEnvelopeBytes) {
    return Corruption("blob of " + std::to_string(blob.size()) + " bytes has no envelope");
  }
  if (!blob.starts_with(kMagic)) return Corruption("blob does not start with 'loro'");
  ByteReader reader(blob.substr(kChecksumAt));
  MERROW_ASSIGN(const uint32_t expected, reader.U32Le());
  MERROW_ASSIGN(const uint16_t mode, reader.U16Be());
  const uint32_t actual = Checksum(blob.substr(kChecksumCoversFrom));
  if (actual != expected && (mode == 0 || mode > kOldModeLast)) {
    return Corruption("blob checksum is " + std::to_string(actual) + ", its envelope says " +
                      std::to_string(expected));
  }
  switch (static_cast<EncodeMode>(mode)) {
    case EncodeMode::kFastSnapshot:
    case EncodeMode::kFastUpdates:
      return Envelope{.mode = static_cast<EncodeMode>(mode), .body = reader.rest()};
  }
  return Unsupported("blob has encode mode " + std::to_string(mode) +
                     ", only 3 (snapshot) and 4 (updates) are known");
}

EnvelopeWriter::EnvelopeWriter(EncodeMode mode, size_t body_bytes_hint) {
  blob_.reserve(kEnvelopeBytes + body_bytes_hint);
  blob_.append(kMagic);
  blob_.append(kChecksumCoversFrom - kMagic.size(), '\0');
  blob_.push_back(static_cast<char>(static_cast<uint16_t>(mode) >> 8));
  blob_.push_back(static_cast<char>(static_cast<uint16_t>(mode)));
}

void EnvelopeWriter::AppendBlock(BytesView block) {
  ByteWriter length;
  length.Uleb(block.size());
  blob_.append(length.bytes());
  blob_.append(block);
}

Bytes EnvelopeWriter::Finish() {
  const uint32_t checksum = Checksum(BytesView(blob_).substr(kChecksumCoversFrom));
  for (size_t i = 0; i < sizeof(checksum); ++i) {
    blob_[kChecksumAt + i] = static_cast<char>(static_cast<uint8_t>(checksum >> (8 * i)));
  }
  return std::move(blob_);
}

Bytes EncodeEnvelope(EncodeMode mode, BytesView body) {
  EnvelopeWriter writer(mode, body.size());
  writer.Append(body);
  return writer.Finish();
}

Result<Bytes> JoinUpdates(std::span<const BytesView> updates) {
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  for (const BytesView update : updates) {
    MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(update));
    if (envelope.mode != EncodeMode::kFastUpdates) return Corruption("not an updates blob");
    writer.Append(envelope.body);
  }
  return writer.Finish();
}

Result<BytesView> ReadBlock(ByteReader& reader) {
  MERROW_ASSIGN(const BytesView block, reader.LengthPrefixed());
  if (block.empty()) return reader.Fail("empty change block");
  return block;
}

}  // namespace merrow::loro
