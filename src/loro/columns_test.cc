// SPDX-License-Identifier: Apache-2.0
#include "loro/columns.h"

#include <gtest/gtest.h>

#include <random>

namespace merrow::loro {
namespace {

template <typename Encoder, typename T>
Bytes Encode(const std::vector<T>& values) {
  Encoder encoder;
  for (const T value : values) encoder.Append(value);
  return encoder.Finish();
}

/// All rows, or nothing if the column is malformed or has other than `count` rows.
template <typename Decoder, typename T>
std::optional<std::vector<T>> Decode(BytesView bytes, size_t count) {
  Decoder decoder(bytes);
  std::vector<T> values;
  for (size_t i = 0; i < count; ++i) {
    T value{};
    if (!decoder.Next(&value)) return std::nullopt;
    values.push_back(value);
  }
  if (!decoder.AtEnd()) return std::nullopt;
  return values;
}

std::optional<std::vector<int64_t>> DecodeDeltaOfDelta(BytesView bytes, size_t count) {
  DeltaOfDeltaDecoder decoder;
  if (!decoder.Start(Cursor(bytes), count)) return std::nullopt;
  std::vector<int64_t> values(count);
  for (int64_t& value : values) {
    if (!decoder.Next(&value)) return std::nullopt;
  }
  Cursor rest;
  if (!decoder.Finish(&rest) || !rest.empty()) return std::nullopt;
  return values;
}

TEST(ColumnsTest, GoldenAnyRle) {
  using Encoder = AnyRleEncoder<uint32_t>;
  const auto hex = [](const std::vector<uint32_t>& values) {
    return ToHex(Encode<Encoder>(values));
  };
  EXPECT_EQ(hex({}), "");
  EXPECT_EQ(hex({7}), "0107");            // a literal run of one
  EXPECT_EQ(hex({7, 7}), "0407");         // a run of two
  EXPECT_EQ(hex({1, 2, 3}), "05010203");  // literals
  EXPECT_EQ(hex({1, 2, 2, 2, 3, 300}), "010106020303ac02");
  EXPECT_EQ(ToHex(Encode<AnyRleEncoder<uint8_t>>(std::vector<uint8_t>{200, 200})), "04c8");
}

TEST(ColumnsTest, GoldenDeltaRle) {
  using Encoder = DeltaRleEncoder<int32_t>;
  EXPECT_EQ(ToHex(Encode<Encoder>(std::vector<int32_t>{1, 2, 3, 4})), "0802");
  EXPECT_EQ(ToHex(Encode<Encoder>(std::vector<int32_t>{5, 3})), "030a03");
  // A difference that needs more than 64 bits.
  EXPECT_EQ(ToHex(Encode<DeltaRleEncoder<uint64_t>>(std::vector<uint64_t>{UINT64_MAX, 0})),
            "03feffffffffffffffff03fdffffffffffffffff03");
}

TEST(ColumnsTest, GoldenBoolRle) {
  using Encoder = BoolRleEncoder;
  EXPECT_EQ(ToHex(Encode<Encoder>(std::vector<bool>{})), "");
  EXPECT_EQ(ToHex(Encode<Encoder>(std::vector<bool>{false})), "01");
  EXPECT_EQ(ToHex(Encode<Encoder>(std::vector<bool>{true, true, false})), "000201");
}

TEST(ColumnsTest, GoldenDeltaOfDelta) {
  const auto hex = [](const std::vector<int64_t>& values) {
    return ToHex(Encode<DeltaOfDeltaEncoder>(values));
  };
  EXPECT_EQ(hex({}), "0000");
  EXPECT_EQ(hex({0}), "010000");
  EXPECT_EQ(hex({-1}), "010100");
  EXPECT_EQ(hex({5, 5}), "010a0100");    // one bit, 0
  EXPECT_EQ(hex({0, 1}), "010001a000");  // 10 1000000: nine bits
  EXPECT_EQ(hex({0, 0, 0, 0, 0, 0, 0, 0, 0}), "01000800");
  EXPECT_EQ(hex({0, 1000}), "010008ebe7");  // 1110 101111100111
}

TEST(ColumnsTest, SeveralColumnsInOneBuffer) {
  const Bytes bytes = Encode<BoolRleEncoder>(std::vector<bool>{true, true}) +
                      Encode<AnyRleEncoder<uint32_t>>(std::vector<uint32_t>{4, 4}) +
                      Encode<DeltaOfDeltaEncoder>(std::vector<int64_t>{1, 5, 7}) + "rest";
  BoolRleDecoder bools{BytesView(bytes)};
  bool flag = false;
  ASSERT_TRUE(bools.Next(&flag) && !bools.AtBoundary() && bools.Next(&flag) && bools.AtBoundary());
  AnyRleDecoder<uint32_t> numbers(bools.cursor());
  uint32_t number = 0;
  ASSERT_TRUE(numbers.Next(&number) && !numbers.AtBoundary());
  ASSERT_TRUE(numbers.Next(&number) && numbers.AtBoundary() && !numbers.AtEnd());
  DeltaOfDeltaDecoder deltas;
  ASSERT_TRUE(deltas.Start(numbers.cursor(), 3));
  int64_t value = 0;
  ASSERT_TRUE(deltas.Next(&value) && deltas.Next(&value) && deltas.Next(&value));
  EXPECT_EQ(value, 7);
  Cursor rest;
  ASSERT_TRUE(deltas.Finish(&rest));
  EXPECT_EQ(rest.rest(), "rest");
}

TEST(ColumnsTest, RunsOfAnyLengthCostNothing) {
  // 2^62 rows of 9 in a few bytes.
  ByteWriter writer;
  writer.Zigzag(int64_t{1} << 62);
  writer.Uleb(9);
  AnyRleDecoder<uint32_t> decoder{BytesView(writer.bytes())};
  uint32_t value = 0;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(decoder.Next(&value));
  EXPECT_FALSE(decoder.AtEnd());
}

TEST(ColumnsTest, MalformedColumnsAreRefused) {
  const auto any = [](std::string_view hex, size_t count) {
    return Decode<AnyRleDecoder<uint32_t>, uint32_t>(FromHex(hex).value(), count).has_value();
  };
  EXPECT_TRUE(any("0407", 2));
  EXPECT_FALSE(any("0407", 1));                       // a run goes on
  EXPECT_FALSE(any("0407", 3));                       // ends too early
  EXPECT_FALSE(any("00", 0));                         // an empty segment
  EXPECT_FALSE(any("0007", 1));                       //
  EXPECT_FALSE(any("04", 2));                         // no value
  EXPECT_FALSE(any("0501", 3));                       // literals missing
  EXPECT_FALSE(any("02ffffffff10", 1));               // 2^32 + ... does not fit
  EXPECT_FALSE(any("ffffffffffffffffff0107", 1000));  // -2^63 literals, one there

  const auto delta = [](std::string_view hex, size_t count) {
    return Decode<DeltaRleDecoder<int32_t>, int32_t>(FromHex(hex).value(), count).has_value();
  };
  EXPECT_TRUE(delta("01feffffff0f", 1));  // 2^31 - 1
  EXPECT_FALSE(delta("018080808010",
                     1));                  // 2^31
  EXPECT_FALSE(delta("04feffffff0f", 2));  // 2^31 - 1 twice
  // 2^126 again and again overflows 128 bits at some time; far above any type before that.
  EXPECT_FALSE(delta("1080808080808080808080808080808080808002", 8));

  const auto dod = [](std::string_view hex, size_t count) {
    return DecodeDeltaOfDelta(FromHex(hex).value(), count).has_value();
  };
  EXPECT_TRUE(dod("0000", 0));
  EXPECT_TRUE(dod("010000", 1));
  EXPECT_FALSE(dod("", 0));
  EXPECT_FALSE(dod("0000", 1));
  EXPECT_FALSE(dod("010000", 0));
  EXPECT_FALSE(dod("020000", 1));
  EXPECT_FALSE(dod("010008", 1));                        // bits said to be used that are not there
  EXPECT_FALSE(dod("010a0200", 2));                      // two bits used, one needed
  EXPECT_FALSE(dod("010a0100", 100));                    // more rows than bits
  EXPECT_FALSE(dod("010a01ff", 2));                      // ends within a value
  EXPECT_FALSE(dod("01feffffffffffffffff0101a000", 2));  // INT64_MAX + 1
}

TEST(ColumnsTest, NumbersThatDoNotFitAreRefused) {
  const auto uleb = [](std::string_view hex) {
    const Bytes bytes = FromHex(hex).value();
    Cursor cursor(bytes);
    uint64_t value = 0;
    return cursor.Uleb(&value);
  };
  EXPECT_TRUE(uleb("ffffffffffffffffff01"));
  EXPECT_FALSE(uleb("ffffffffffffffffff02"));
  EXPECT_FALSE(uleb("ffffffffffffffffffff01"));
  EXPECT_FALSE(uleb("ff"));
  const auto sleb = [](std::string_view hex) -> std::optional<int64_t> {
    const Bytes bytes = FromHex(hex).value();
    Cursor cursor(bytes);
    int64_t value = 0;
    if (!cursor.Sleb(&value)) return std::nullopt;
    return value;
  };
  EXPECT_EQ(sleb("7f"), -1);
  EXPECT_EQ(sleb("ffffffffffffffffff00"), INT64_MAX);
  EXPECT_EQ(sleb("8080808080808080807f"), INT64_MIN);
  EXPECT_EQ(sleb("80808080808080808002"), std::nullopt);
  EXPECT_EQ(sleb("80"), std::nullopt);
}

/// Values that repeat, ascend or jump, up to `bits` wide.
template <typename T>
std::vector<T> RandomValues(std::mt19937_64& random) {
  std::vector<T> values;
  const unsigned bits = 1 + static_cast<unsigned>(random() % (8 * sizeof(T)));
  T value = 0;
  while (values.size() < random() % 80) {
    const auto kind = random() % 3;
    const auto next = static_cast<T>(random() >> (64 - bits));
    for (auto n = random() % 5; n > 0; --n) {
      if (kind == 0) value = next;
      if (kind == 1) value = static_cast<T>(random() >> (64 - bits));
      if (kind == 2 && value < std::numeric_limits<T>::max()) ++value;
      values.push_back(value);
    }
  }
  return values;
}

template <typename T>
void CheckRoundTrips(std::mt19937_64& random) {
  for (int i = 0; i < 300; ++i) {
    const std::vector<T> values = RandomValues<T>(random);
    const auto any = Decode<AnyRleDecoder<T>, T>(Encode<AnyRleEncoder<T>>(values), values.size());
    EXPECT_EQ(any, values);
    if constexpr (sizeof(T) > 1) {
      const auto delta =
          Decode<DeltaRleDecoder<T>, T>(Encode<DeltaRleEncoder<T>>(values), values.size());
      EXPECT_EQ(delta, values);
    }
  }
}

TEST(ColumnsProp, RoundTrips) {
  std::mt19937_64 random(1);
  CheckRoundTrips<uint8_t>(random);
  CheckRoundTrips<uint32_t>(random);
  CheckRoundTrips<int32_t>(random);
  CheckRoundTrips<uint64_t>(random);
  CheckRoundTrips<int64_t>(random);
  for (int i = 0; i < 500; ++i) {
    std::vector<int64_t> values = RandomValues<int64_t>(random);
    for (int64_t& value : values) value >>= 2;  // so that differences of differences fit
    EXPECT_EQ(DecodeDeltaOfDelta(Encode<DeltaOfDeltaEncoder>(values), values.size()), values);
    std::vector<bool> flags;
    for (const int64_t value : values) flags.push_back((value & 3) == 0);
    const auto decoded = Decode<BoolRleDecoder, bool>(Encode<BoolRleEncoder>(flags), flags.size());
    EXPECT_EQ(decoded, flags);
  }
}

TEST(ColumnsProp, DeltaOfDeltaAtTheEdgesOfItsWidths) {
  for (const int64_t edge : {63LL, 64LL, 255LL, 256LL, 2047LL, 2048LL, 1048575LL, 1048576LL}) {
    for (int64_t change = edge - 1; change <= edge + 1; ++change) {
      for (const int64_t sign : {1, -1}) {
        const std::vector<int64_t> values = {3, 3 + sign * change, 3 + sign * change};
        EXPECT_EQ(DecodeDeltaOfDelta(Encode<DeltaOfDeltaEncoder>(values), 3), values);
      }
    }
  }
}

TEST(ColumnsFuzz, RandomBytesDecodeOrAreRefused) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random() % 24, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % (random() % 2 == 0 ? 6 : 256));
    const size_t count = random() % 50;
    Decode<AnyRleDecoder<uint32_t>, uint32_t>(bytes, count);
    Decode<DeltaRleDecoder<int64_t>, int64_t>(bytes, count);
    Decode<BoolRleDecoder, bool>(bytes, count);
    DecodeDeltaOfDelta(bytes, count);
  }
}

}  // namespace
}  // namespace merrow::loro
