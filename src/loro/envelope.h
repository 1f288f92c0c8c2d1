// SPDX-License-Identifier: Apache-2.0
//
// Envelope: the 22 bytes in front of every Loro blob, and the body of a FastUpdates blob.
//
//   0   4   "loro"
//   4   12  zero when written, not interpreted when read
//   16  4   u32le xxh32 of everything from offset 20, seed kChecksumSeed
//   20  2   u16be mode
//   22  ..  body: a snapshot (snapshot.h), or change blocks, each behind its uleb length
//
// The checksum finds accidents, not attackers; whatever it covers is still untrusted.

#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::loro {

/// What a blob holds. DO NOT CHANGE: the numbers are on the wire and on disk.
enum class EncodeMode : uint16_t { kFastSnapshot = 3, kFastUpdates = 4 };

inline constexpr size_t kEnvelopeBytes = 22;
/// "LORO" read as a little-endian number. DO NOT CHANGE: on the wire and on disk.
inline constexpr uint32_t kChecksumSeed = 0x4F524F4C;

/// xxh32 with Loro's seed, which SSTables use too.
uint32_t Checksum(BytesView bytes);

struct Envelope {
  EncodeMode mode;
  BytesView body;  // a view into the blob
};

/// Checks magic, checksum and mode. Unsupported if the mode is one of older or later releases.
Result<Envelope> DecodeEnvelope(BytesView blob);

/// Writes a blob front to back, so that the body is not copied once more to be put in one.
class EnvelopeWriter {
 public:
  explicit EnvelopeWriter(EncodeMode mode, size_t body_bytes_hint = 0);

  void Append(BytesView bytes) { blob_.append(bytes); }
  /// Appends a change block of a FastUpdates body, behind its length.
  void AppendBlock(BytesView block);

  /// Fills in the checksum. The writer is empty afterwards.
  Bytes Finish();

 private:
  Bytes blob_;
};

/// A blob around `body`.
Bytes EncodeEnvelope(EncodeMode mode, BytesView body);

/// The FastUpdates blob that holds what all of `updates`, FastUpdates blobs, hold. Corruption if
/// one is not.
Result<Bytes> JoinUpdates(std::span<const BytesView> updates);

/// Takes the next change block off a FastUpdates body. REQUIRES: !reader.empty()
Result<BytesView> ReadBlock(ByteReader& reader);

/// Calls `visit(BytesView block) -> Status` for each block of a FastUpdates body, in order, until
/// one fails.
template <typename Visit>
Status ForEachBlock(BytesView body, Visit&& visit) {
  ByteReader reader(body);
  while (!reader.empty()) {
    MERROW_ASSIGN(const BytesView block, ReadBlock(reader));
    MERROW_TRY(visit(block));
  }
  return {};
}

}  // namespace merrow::loro
