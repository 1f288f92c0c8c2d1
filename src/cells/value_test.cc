// SPDX-License-Identifier: Apache-2.0
//
// The order of values is checked as a whole matrix, since the rule is about pairs.
#include "cells/value.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace merrow::cells {
namespace {

TEST(Value, MergeOrderIsTheReverseOfSqliteTypeCodes) {
  const std::vector<ValueView> ascending = {
      ValueView::Null(),
      ValueView::Blob(""),
      ValueView::Blob("a"),
      ValueView::Blob("ab"),
      ValueView::Blob("\xff"),
      ValueView::Text(""),
      ValueView::Text("B"),
      ValueView::Text("a"),
      ValueView::Text({"a\0b", 3}),
      ValueView::Text("aa"),
      ValueView::Text("\xc3\xa9"),
      ValueView::Real(-std::numeric_limits<double>::infinity()),
      ValueView::Real(-2.5),
      ValueView::Real(0.0),
      ValueView::Real(2.5),
      ValueView::Real(1e300),
      ValueView::Integer(INT64_MIN),
      ValueView::Integer(-5),
      ValueView::Integer(0),
      ValueView::Integer(INT64_MAX),
  };
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      const int order = CompareForMerge(ascending[i], ascending[j]);
      EXPECT_EQ(order < 0, i < j) << Describe(ascending[i]) << " " << Describe(ascending[j]);
      EXPECT_EQ(order == 0, i == j) << Describe(ascending[i]) << " " << Describe(ascending[j]);
    }
  }
}

TEST(Value, ZerosAreEqualButNotIdentical) {
  EXPECT_TRUE(SameValue(ValueView::Real(0.0), ValueView::Real(-0.0)));
  EXPECT_FALSE(IdenticalValue(ValueView::Real(0.0), ValueView::Real(-0.0)));
  EXPECT_FALSE(SameValue(ValueView::Real(5), ValueView::Integer(5)));
}

TEST(Value, AffinityFollowsTheDeclaredType) {
  EXPECT_EQ(AffinityOf("INTEGER"), Affinity::kInteger);
  EXPECT_EQ(AffinityOf("unsigned big int"), Affinity::kInteger);
  EXPECT_EQ(AffinityOf("CHARINT"), Affinity::kInteger);
  EXPECT_EQ(AffinityOf("varchar(10)"), Affinity::kText);
  EXPECT_EQ(AffinityOf("CLOB"), Affinity::kText);
  EXPECT_EQ(AffinityOf(""), Affinity::kBlob);
  EXPECT_EQ(AffinityOf("BLOB"), Affinity::kBlob);
  EXPECT_EQ(AffinityOf("DOUBLE PRECISION"), Affinity::kReal);
  EXPECT_EQ(AffinityOf("FLOAT"), Affinity::kReal);
  EXPECT_EQ(AffinityOf("ANY"), Affinity::kNumeric);
  EXPECT_EQ(AffinityOf("DECIMAL(10,5)"), Affinity::kNumeric);
}

TEST(Value, NumbersTakeTheColumnsClass) {
  const auto integer = ApplyNumericAffinity(ValueView::Real(5.0), Affinity::kInteger);
  EXPECT_TRUE(SameValue(integer, ValueView::Integer(5)));
  const auto real = ApplyNumericAffinity(ValueView::Integer(5), Affinity::kReal);
  EXPECT_TRUE(SameValue(real, ValueView::Real(5)));
  const auto fraction = ApplyNumericAffinity(ValueView::Real(5.5), Affinity::kNumeric);
  EXPECT_TRUE(SameValue(fraction, ValueView::Real(5.5)));
  const auto large = ApplyNumericAffinity(ValueView::Real(1e300), Affinity::kNumeric);
  EXPECT_TRUE(SameValue(large, ValueView::Real(1e300)));
  const auto kept = ApplyNumericAffinity(ValueView::Real(5.0), Affinity::kBlob);
  EXPECT_TRUE(SameValue(kept, ValueView::Real(5.0)));
}

TEST(Value, KeysThatSqliteTakesForEqualAreOne) {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  const auto same = [](double real, Affinity affinity, const ValueView& expected) {
    return IdenticalValue(KeyValue(ValueView::Real(real), affinity), expected);
  };
  for (const Affinity affinity : {Affinity::kBlob, Affinity::kText, Affinity::kNumeric}) {
    EXPECT_TRUE(same(5.0, affinity, ValueView::Integer(5)));
    EXPECT_TRUE(same(-0.0, affinity, ValueView::Integer(0)));
    EXPECT_TRUE(same(5.5, affinity, ValueView::Real(5.5)));
    EXPECT_TRUE(same(-kEnd, affinity, ValueView::Integer(INT64_MIN)));
    EXPECT_TRUE(same(kEnd, affinity, ValueView::Real(kEnd)));
  }
  EXPECT_TRUE(same(5.0, Affinity::kReal, ValueView::Real(5.0)));
  EXPECT_TRUE(same(-0.0, Affinity::kReal, ValueView::Real(0.0)));
  // As the value of a cell the lower end stays a real.
  EXPECT_EQ(ApplyNumericAffinity(ValueView::Real(-kEnd), Affinity::kInteger).type,
            ValueType::kReal);
}

TEST(Value, TextAndNumbersNeedSqlite) {
  EXPECT_TRUE(NeedsTextConversion(ValueView::Integer(5), Affinity::kText));
  EXPECT_TRUE(NeedsTextConversion(ValueView::Text(" 5"), Affinity::kInteger));
  EXPECT_TRUE(NeedsTextConversion(ValueView::Text(".5e1"), Affinity::kReal));
  EXPECT_FALSE(NeedsTextConversion(ValueView::Text("five"), Affinity::kInteger));
  EXPECT_FALSE(NeedsTextConversion(ValueView::Text(""), Affinity::kInteger));
  EXPECT_FALSE(NeedsTextConversion(ValueView::Blob("5"), Affinity::kInteger));
  EXPECT_FALSE(NeedsTextConversion(ValueView::Text("5"), Affinity::kBlob));
}

TEST(Value, DescriptionsAreShort) {
  EXPECT_EQ(Describe(ValueView::Null()), "NULL");
  EXPECT_EQ(Describe(ValueView::Integer(-3)), "-3");
  EXPECT_EQ(Describe(ValueView::Real(1.5)), "1.5");
  EXPECT_EQ(Describe(ValueView::Text("it")), "'it'");
  EXPECT_EQ(Describe(ValueView::Blob("\xbe\xef")), "x'beef'");
  EXPECT_LT(Describe(ValueView::Text(std::string(1000, 'a'))).size(), 60U);
}

TEST(Value, MessagesAreText) {
  EXPECT_EQ(Describe(ValueView::Text("h\xC3\xA9")), "'h\xC3\xA9'");
  EXPECT_EQ(Describe(ValueView::Text("a\xFF")), "text x'61ff'");
  // 40 bytes would end within a character.
  const std::string text = std::string(39, 'a') + "\xF0\x9F\x98\x80";
  EXPECT_EQ(Describe(ValueView::Text(text)), "'" + std::string(39, 'a') + "...'");
}

}  // namespace
}  // namespace merrow::cells
