// SPDX-License-Identifier: Apache-2.0
#include "loro/lz4_frame.h"

#include <gmock/gmock.h>
#include <lz4frame.h>

#include "base/clock.h"

namespace merrow::loro {
namespace {

constexpr size_t kNoLimit = size_t{1} << 30;

Bytes RandomBytes(size_t size, uint64_t seed) {
  SeededRandom random(seed);
  Bytes bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// A compressible text without a short period.
Bytes SomeText(size_t size) {
  Bytes text;
  for (size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + "\n";
  text.resize(size);
  return text;
}

TEST(Lz4Frame, RoundTripsWhateverTheSize) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{12}, size_t{13}, size_t{8191}, size_t{8192}, size_t{8193},
        size_t{65536}, size_t{65537}, size_t{300'000}, size_t{5'000'000}}) {
    for (const Bytes& content : {SomeText(size), RandomBytes(size, size), Bytes(size, 'x')}) {
      const Bytes frame = EncodeLz4Frame(content);
      const auto decoded = DecodeLz4Frame(frame, size);
      ASSERT_TRUE(decoded.ok()) << size << ": " << decoded.error().ToString();
      EXPECT_TRUE(*decoded == content) << size;
    }
  }
}

TEST(Lz4Frame, HasTheProfileThatLoroWrites) {
  EXPECT_EQ(ToHex(EncodeLz4Frame("ab")),
            "04224d18604082"
            "02000080"
            "6162"
            "00000000");
  EXPECT_EQ(EncodeLz4Frame(SomeText(65537))[5], '\x50');
}

TEST(Lz4Frame, DecodesWhatOtherEncodersWrite) {
  const Bytes content = SomeText(500'000);
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockMode = LZ4F_blockLinked;
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  preferences.frameInfo.contentSize = content.size();
  Bytes frame(LZ4F_compressFrameBound(content.size(), &preferences), '\0');
  frame.resize(
      LZ4F_compressFrame(frame.data(), frame.size(), content.data(), content.size(), &preferences));
  const auto decoded = DecodeLz4Frame(frame, kNoLimit);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_TRUE(*decoded == content);
}

TEST(Lz4Frame, RefusesABombWithoutExpandingIt) {
  const Bytes bomb = EncodeLz4Frame(Bytes(100'000'000, '\0'));
  EXPECT_LT(bomb.size(), 500'000U);
  for (const size_t limit : {size_t{0}, size_t{100}, size_t{99'999'999}}) {
    const auto decoded = DecodeLz4Frame(bomb, limit);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.error().code(), ErrorCode::kLimit);
  }
  EXPECT_TRUE(DecodeLz4Frame(bomb, 100'000'000).ok());
}

TEST(Lz4Frame, RefusesTruncationAndMore) {
  const Bytes frame = EncodeLz4Frame(SomeText(1000));
  for (size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(DecodeLz4Frame(BytesView(frame).substr(0, size), kNoLimit).ok()) << size;
  }
  EXPECT_FALSE(DecodeLz4Frame(frame + "x", kNoLimit).ok());
  EXPECT_FALSE(DecodeLz4Frame(frame + frame, kNoLimit).ok());
  // A skippable frame is a frame for the library, but holds nothing.
  EXPECT_FALSE(DecodeLz4Frame(BytesView("\x50\x2a\x4d\x18\0\0\0\0", 8), kNoLimit).ok());
}

TEST(Lz4Frame, SurvivesBitFlips) {
  const Bytes frame = EncodeLz4Frame(SomeText(600));
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes broken = frame;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
    const auto decoded = DecodeLz4Frame(broken, 100'000);
    EXPECT_TRUE(!decoded.ok() || decoded->size() <= 100'000);
  }
}

}  // namespace
}  // namespace merrow::loro
