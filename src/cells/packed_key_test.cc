// SPDX-License-Identifier: Apache-2.0
//
// Golden bytes are those of crsql_pack_columns; then round trips, and every way to be malformed.
#include "cells/packed_key.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/bytes.h"

namespace merrow::cells {
namespace {

std::string Packed(std::initializer_list<ValueView> values) {
  return ToHex(PackColumns(std::vector<ValueView>(values)));
}

TEST(PackedKey, GoldenBytes) {
  EXPECT_EQ(Packed({}), "00");
  EXPECT_EQ(Packed({ValueView::Integer(0)}), "0101");
  EXPECT_EQ(Packed({ValueView::Integer(1)}), "010901");
  EXPECT_EQ(Packed({ValueView::Integer(127)}), "01097f");
  EXPECT_EQ(Packed({ValueView::Integer(128)}), "010980");
  EXPECT_EQ(Packed({ValueView::Integer(256)}), "01110100");
  EXPECT_EQ(Packed({ValueView::Integer(1 << 24)}), "012101000000");
  EXPECT_EQ(Packed({ValueView::Integer(int64_t{1} << 32)}), "01290100000000");
  EXPECT_EQ(Packed({ValueView::Integer(-1)}), "0141ffffffffffffffff");
  EXPECT_EQ(Packed({ValueView::Real(1.5)}), "01023ff8000000000000");
  EXPECT_EQ(Packed({ValueView::Text("")}), "0103");
  EXPECT_EQ(Packed({ValueView::Blob("")}), "0104");
  EXPECT_EQ(Packed({ValueView::Text(std::string(128, 'x'))}).substr(0, 6), "010b80");
  EXPECT_EQ(Packed({ValueView::Text(std::string(65536, 'x'))}).substr(0, 10), "011b010000");
  EXPECT_EQ(Packed({ValueView::Integer(1), ValueView::Text("a"), ValueView::Null(),
                    ValueView::Real(2.5), ValueView::Blob("zz")}),
            "0509010b01610502"
            "4004000000000000"
            "0c027a7a");
}

TEST(PackedKey, IntegersAreZeroExtended) {
  const auto values = UnpackColumns(FromHex("010980").value());
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values.value()[0].integer, 128);
}

TEST(PackedKey, LongerThanNeededIsReadAndPacksShort) {
  const Bytes bytes = FromHex("02190000051b00000161").value();
  const auto values = UnpackColumns(bytes);
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(ToHex(PackColumns(values.value())), "0209050b0161");
}

TEST(PackedKey, MalformedIsRefused) {
  for (const char* hex : {
           "",                      // no count
           "01",                    // announced, not there
           "0100", "0106", "0107",  // types that do not exist
           "0149"
           "000000000000000001",  // an integer of 9 bytes
           "0109",                // an integer cut short
           "014b"
           "000000000000000001"
           "61",  // a length of 9 bytes
           "0143"
           "ffffffffffffffff",  // a length beyond the end
           "010b05"
           "6161",  // a text cut short
           "0102"
           "3ff80000000000",  // a real cut short
           "010a"
           "3ff8000000000000",  // a real with a size
           "010d"
           "00",  // a null with a size
           "0102"
           "7ff8000000000001",  // not a number
           "00"
           "00",
           "010901"
           "00",  // bytes left over
           "02"
           "0901",  // fewer columns than announced
       }) {
    const Bytes bytes = FromHex(hex).value();
    const auto values = UnpackColumns(bytes);
    ASSERT_FALSE(values.ok()) << hex;
    EXPECT_EQ(values.error().code(), ErrorCode::kCorruption) << hex;
  }
}

RC_GTEST_PROP(PackedKeyProp, RoundTrips, ()) {
  const auto integers = *rc::gen::arbitrary<std::vector<int64_t>>();
  const auto texts = *rc::gen::arbitrary<std::vector<std::string>>();
  std::vector<ValueView> values;
  for (size_t i = 0; i < integers.size() && values.size() < 100; ++i) {
    values.push_back(ValueView::Integer(integers[i] >> (i % 64)));
    values.push_back(ValueView::Real(static_cast<double>(integers[i]) / 8));
  }
  for (size_t i = 0; i < texts.size() && values.size() < 200; ++i) {
    values.push_back(ValueView::Text(texts[i]));
    values.push_back(ValueView::Blob(texts[i]));
    values.push_back(ValueView::Null());
  }
  const Bytes packed = PackColumns(values);
  const auto unpacked = UnpackColumns(packed);
  RC_ASSERT(unpacked.ok());
  RC_ASSERT(unpacked.value().size() == values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    RC_ASSERT(IdenticalValue(unpacked.value()[i], values[i]));
  }
}

RC_GTEST_PROP(PackedKeyProp, AnyBytesAreReadOrRefused, ()) {
  const auto bytes = *rc::gen::arbitrary<std::string>();
  const auto values = UnpackColumns(bytes);
  if (values.ok()) {
    RC_ASSERT(UnpackColumns(PackColumns(values.value())).ok());
  }
}

}  // namespace
}  // namespace merrow::cells
