// SPDX-License-Identifier: Apache-2.0
#include "loro/envelope.h"

#include <gtest/gtest.h>

namespace merrow::loro {
namespace {

// What loro-crdt writes for an empty document.
constexpr std::string_view kEmptyUpdates = "6c6f726f000000000000000000000000";

TEST(EnvelopeTest, GoldenBytes) {
  const Bytes blob = EncodeEnvelope(EncodeMode::kFastUpdates, FromHex("0102ff").value());
  EXPECT_EQ(ToHex(blob.substr(0, 16)), kEmptyUpdates);
  EXPECT_EQ(ToHex(blob.substr(20)), "00040102ff");
  ByteReader checksum(BytesView(blob).substr(16));
  EXPECT_EQ(checksum.U32Le().value(), Checksum(BytesView(blob).substr(20)));
}

TEST(EnvelopeTest, RoundTrip) {
  for (const EncodeMode mode : {EncodeMode::kFastSnapshot, EncodeMode::kFastUpdates}) {
    for (const Bytes& body : {Bytes(), Bytes("x"), Bytes(1000, '\0')}) {
      const Bytes blob = EncodeEnvelope(mode, body);
      const Result<Envelope> envelope = DecodeEnvelope(blob);
      ASSERT_TRUE(envelope.ok());
      EXPECT_EQ(envelope->mode, mode);
      EXPECT_EQ(envelope->body, body);
    }
  }
}

TEST(EnvelopeTest, ReaderIgnoresTheBytesBeforeTheChecksum) {
  Bytes blob = EncodeEnvelope(EncodeMode::kFastUpdates, "x");
  for (size_t i = 4; i < 16; ++i) blob[i] = 'j';
  EXPECT_TRUE(DecodeEnvelope(blob).ok());
}

TEST(EnvelopeTest, EveryDamagedBitAndTruncationIsRefused) {
  const Bytes blob = EncodeEnvelope(EncodeMode::kFastUpdates, "body");
  for (size_t i = 0; i < blob.size(); ++i) {
    EXPECT_FALSE(DecodeEnvelope(BytesView(blob).substr(0, i)).ok()) << i;
    if (i >= 4 && i < 16) continue;
    for (int bit = 0; bit < 8; ++bit) {
      Bytes damaged = blob;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_FALSE(DecodeEnvelope(damaged).ok()) << i;
    }
  }
}

TEST(EnvelopeTest, OtherModesAreUnsupported) {
  for (const int mode : {0, 1, 2, 5, 0x0300}) {
    const Bytes blob = EncodeEnvelope(static_cast<EncodeMode>(mode), "");
    ASSERT_FALSE(DecodeEnvelope(blob).ok());
    EXPECT_EQ(DecodeEnvelope(blob).error().code(), ErrorCode::kUnsupported);
  }
}

TEST(EnvelopeTest, BlocksOfABody) {
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  const std::vector<Bytes> blocks = {"a", Bytes(200, 'b'), "c"};
  for (const Bytes& block : blocks) writer.AppendBlock(block);
  const Bytes blob = writer.Finish();
  const BytesView body = DecodeEnvelope(blob).value().body;
  std::vector<Bytes> found;
  const auto collect = [&found](BytesView block) {
    found.emplace_back(block);
    return Status();
  };
  EXPECT_TRUE(ForEachBlock(body, collect).ok());
  EXPECT_EQ(found, blocks);

  EXPECT_TRUE(ForEachBlock("", collect).ok());
  EXPECT_FALSE(ForEachBlock(body.substr(0, body.size() - 1), collect).ok());
  EXPECT_FALSE(ForEachBlock(BytesView("\0", 1), collect).ok());
  EXPECT_FALSE(ForEachBlock("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", collect).ok());
  const auto fail = [](BytesView) -> Status { return Conflict("stop"); };
  EXPECT_EQ(ForEachBlock(body, fail).error().code(), ErrorCode::kConflict);
}

}  // namespace
}  // namespace merrow::loro
