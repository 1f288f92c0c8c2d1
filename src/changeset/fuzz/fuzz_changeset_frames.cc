// SPDX-License-Identifier: Apache-2.0
//
// Frames of one stream. A refused frame leaves no trace: what comes after it is read as if it had
// not been there. What is accepted is well-formed, and says the same after it was encoded again.
// And no frame takes more memory than what it holds can justify, compressed or not.

#include <algorithm>
#include <random>

#include "base/fuzz/fuzz_input.h"
#include "base/fuzz/heap_meter.h"
#include "changeset/changeset_format.h"
#include "changeset/changeset_test_util.h"
#include "changeset/decoder.h"
#include "changeset/encoder.h"
#include "changeset/fuzz/fuzz_changeset.h"
#include "changeset/fuzz/fuzz_check.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

constexpr size_t kHeapBase = size_t{256} << 10;
// A byte can be a cell, and a cell the only one of its changeset in a column with a long name.
constexpr size_t kHeapFactor = 2'048;
// Of any frame: rows, cells and names as many as changeset_format.h allows.
constexpr size_t kHeapMax = size_t{320} << 20;
// What the other way to number columns can make too long to be encoded.
constexpr size_t kEncodablePayloadMax = kFramePayloadMax / 4;

// A stream, read and written again.
class Stream {
 public:
  void Add(BytesView frame) {
    const fuzz::HeapMeter meter;
    const Result<std::vector<Changeset>> changesets = decoder_.Decode(frame);
    const size_t payload = PayloadBytes(frame);
    const size_t unpacked = std::min(kFramePayloadMax, frame.size() * kZstdRatioMax);
    fuzz::CheckHeap(
        meter, std::min(kHeapMax, kHeapBase + unpacked + kHeapFactor * (frame.size() + payload)));
    Decoder twin = unspoilt_;
    const Result<std::vector<Changeset>> expected = twin.Decode(frame);
    MERROW_CHECK(changesets.ok() == expected.ok());
    if (!changesets.ok()) {
      MERROW_CHECK(changesets.error().ToString() == expected.error().ToString());
      return;
    }
    unspoilt_ = std::move(twin);
    CheckSame(*changesets, *expected);
    CheckDecoded(*changesets);
    is_first_ = is_first_ && changesets->empty();
    is_encoded_ = is_encoded_ && payload <= kEncodablePayloadMax;
    if (is_encoded_) CheckEncoded(*changesets);
  }

  bool is_first() const { return is_first_; }

 private:
  static size_t PayloadBytes(BytesView frame) {
    const Result<Frame> decoded = DecodeFrame(frame, {});
    return decoded.ok() ? decoded->payload.size() : 0;
  }

  void CheckEncoded(const std::vector<Changeset>& changesets) {
    const Result<Bytes> frame = encoder_.Encode(changesets);
    MERROW_CHECK(frame.ok());
    const Result<std::vector<Changeset>> again = reader_.Decode(*frame);
    MERROW_CHECK(again.ok());
    CheckSame(*again, changesets);
    const Result<Bytes> same_frame = second_encoder_.Encode(*again);
    MERROW_CHECK(same_frame.ok() && same_frame->size() == frame->size());
  }

  Decoder decoder_;
  Decoder unspoilt_;  // got only what was accepted
  bool is_first_ = true;
  bool is_encoded_ = true;
  Encoder encoder_;
  Decoder reader_;
  Encoder second_encoder_;
};

}  // namespace

void FuzzChangesetFrames(BytesView input) {
  fuzz::FuzzInput in(input);
  Stream stream;
  while (!in.empty()) {
    const auto kind = static_cast<FrameKind>(in.U8() % kFrameKinds);
    const BytesView piece = in.Piece();
    if (kind == FrameKind::kFrame) {
      stream.Add(WithChecksum(piece));
      continue;
    }
    FrameOptions options;
    options.zstd_level = kind == FrameKind::kCompressed ? 1 : 0;
    const Result<Bytes> frame = EncodeFrame(piece, stream.is_first(), options);
    MERROW_CHECK(frame.ok());
    stream.Add(*frame);
  }
}

namespace {

Bytes Input(const std::vector<std::pair<FrameKind, Bytes>>& frames) {
  ByteWriter writer;
  for (const auto& [kind, bytes] : frames) {
    writer.U8(static_cast<uint8_t>(kind));
    fuzz::AppendPiece(bytes, &writer);
  }
  return writer.Release();
}

// Random changesets of two sites, one or two in each frame.
Bytes RandomStream(uint32_t seed, int zstd_level) {
  std::mt19937 random(seed);
  FrameOptions options;
  options.zstd_level = zstd_level;
  Encoder encoder({}, options);
  std::vector<std::pair<FrameKind, Bytes>> frames;
  cells::DbVersion last[2] = {0, 0};
  for (int i = 0; i < 3; ++i) {
    std::vector<Changeset> changesets;
    for (int j = 0; j <= i % 2; ++j) {
      const size_t site = random() % 2;
      changesets.push_back(
          RandomChangeset(random, SiteNamed(static_cast<unsigned char>(site)), last[site]));
      last[site] = changesets.back().cells.version;
    }
    const Result<Bytes> frame = encoder.Encode(changesets);
    MERROW_CHECK(frame.ok() && DecodeFrame(*frame, {}).ok());
    if (zstd_level > 0) {
      frames.emplace_back(FrameKind::kFrame, frame->substr(0, frame->size() - 4));
    } else {
      frames.emplace_back(FrameKind::kPayload, DecodeFrame(*frame, {})->payload);
    }
  }
  return Input(frames);
}

}  // namespace

std::vector<Bytes> ChangesetFramesSeeds() {
  std::vector<Bytes> seeds;
  for (uint32_t seed = 0; seed < 24; ++seed) seeds.push_back(RandomStream(seed, seed % 4 == 3));
  return seeds;
}

}  // namespace merrow::changeset
