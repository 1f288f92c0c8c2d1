// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gmock/gmock.h>

#include <limits>

namespace merrow {
namespace {

TEST(Varint, RoundTripsAtTheEdges) {
  const int64_t values[] = {0,
                            1,
                            -1,
                            63,
                            64,
                            -64,
                            -65,
                            127,
                            128,
                            8191,
                            8192,
                            1LL << 31,
                            -(1LL << 31),
                            std::numeric_limits<int64_t>::max(),
                            std::numeric_limits<int64_t>::min()};
  for (const int64_t value : values) {
    ByteWriter writer;
    writer.Sleb(value);
    writer.Zigzag(value);
    writer.Uleb(static_cast<uint64_t>(value));
    ByteReader reader(writer.bytes());
    EXPECT_EQ(reader.Sleb64().value(), value);
    EXPECT_EQ(reader.Zigzag64().value(), value);
    EXPECT_EQ(reader.Uleb64().value(), static_cast<uint64_t>(value));
    EXPECT_TRUE(reader.empty());
  }
}

TEST(Varint, SlebAndZigzagOfMinusOneDiffer) {
  ByteWriter writer;
  writer.Sleb(-1);
  writer.Zigzag(-1);
  EXPECT_EQ(ToHex(writer.bytes()), "7f01");
}

TEST(Varint, RefusesOverlongAndTruncated) {
  EXPECT_FALSE(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").Uleb64().ok());
  EXPECT_FALSE(ByteReader("\x80").Uleb64().ok());
  EXPECT_FALSE(ByteReader("\xff\xff\xff\xff\x1f").Uleb32().ok());
  EXPECT_FALSE(ByteReader("\xff").Sleb64().ok());
}

TEST(ByteReader, AFailedReadConsumesNothing) {
  ByteReader reader(
      "\x05"
      "abc");
  EXPECT_FALSE(reader.LengthPrefixed().ok());
  EXPECT_EQ(reader.offset(), 0U);
  EXPECT_FALSE(reader.U64Le().ok());
  EXPECT_EQ(reader.offset(), 0U);
}

TEST(Hex, RoundTripsAndRefuses) {
  EXPECT_EQ(FromHex("00fFa0").value(), Bytes("\x00\xff\xa0", 3));
  EXPECT_EQ(ToHex(FromHex("00ffa0").value()), "00ffa0");
  EXPECT_FALSE(FromHex("abc").ok());
  EXPECT_FALSE(FromHex("zz").ok());
}

TEST(Base64, RoundTripsAndRefuses) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(ToBase64(plain), encoded);
    EXPECT_EQ(FromBase64(encoded).value(), plain);
  }
  EXPECT_FALSE(FromBase64("Zg=").ok());
  EXPECT_FALSE(FromBase64("Z===").ok());
  EXPECT_FALSE(FromBase64("Zm9*").ok());
}

TEST(Clip, LeavesOutTheMiddleOfWhatIsLong) {
  EXPECT_EQ(Clip(""), "");
  EXPECT_EQ(Clip("short"), "short");
  const std::string long_text = "head" + std::string(100000, 'x') + "tail";
  const std::string clipped = Clip(long_text);
  EXPECT_LT(clipped.size(), 130U);
  EXPECT_TRUE(clipped.starts_with("headxx") && clipped.ends_with("xxtail"));
  EXPECT_NE(clipped.find(" ... "), std::string::npos);
  for (size_t ascii = 0; ascii < 4; ++ascii) {
    std::string text(ascii, 'a');
    for (int i = 0; i < 100; ++i) text += "\xF0\x9D\x84\x9E";
    text += std::string(3 - ascii, 'z');
    EXPECT_TRUE(IsUtf8(Clip(text)));
  }
  // What is not UTF-8 ends, too.
  EXPECT_LT(Clip(std::string(100000, '\x80')).size(), 130U);
}

TEST(Utf8, KnowsWhatIsWellFormed) {
  EXPECT_TRUE(IsUtf8("plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80"));
  EXPECT_FALSE(IsUtf8("\xc0\x80"));          // overlong
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(IsUtf8("\xf4\x90\x80\x80"));  // past U+10FFFF
  EXPECT_FALSE(IsUtf8("abcdefgh\xe2\x82"));  // truncated
}

}  // namespace
}  // namespace merrow
