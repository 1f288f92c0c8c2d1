// SPDX-License-Identifier: Apache-2.0
#include "loro/fractional_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <random>

namespace merrow::loro {
namespace {

using ::testing::ElementsAre;

std::string Hex(const std::optional<Bytes>& index) {
  std::string hex;
  if (!index.has_value()) return "none";
  AppendFractionalIndexHex(*index, &hex);
  return hex;
}

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string Between(const char* left, const char* right) {
  std::optional<Bytes> lower;
  std::optional<Bytes> upper;
  if (left != nullptr) lower = FromHex(left);
  if (right != nullptr) upper = FromHex(right);
  return Hex(FractionalIndexBetween(lower, upper));
}

TEST(FractionalIndex, BytesAreThoseOfLoro) {
  EXPECT_EQ(Between(nullptr, nullptr), "80");
  EXPECT_EQ(Between("80", nullptr), "8180");
  EXPECT_EQ(Between("FE80", nullptr), "FF80");
  EXPECT_EQ(Between("FF80", nullptr), "FF8180");
  EXPECT_EQ(Between("7F80", nullptr), "80");
  EXPECT_EQ(Between(nullptr, "80"), "7F80");
  EXPECT_EQ(Between(nullptr, "0180"), "0080");
  EXPECT_EQ(Between(nullptr, "0080"), "007F80");
  EXPECT_EQ(Between(nullptr, "8180"), "80");
  EXPECT_EQ(Between("80", "8180"), "817F80");
  EXPECT_EQ(Between("7F80", "80"), "7F8180");
  EXPECT_EQ(Between("7F80", "8180"), "8080");
  EXPECT_EQ(Between("7F80", "8080"), "7F8180");
  EXPECT_EQ(Between("8080", "8180"), "808180");
  EXPECT_EQ(Between("7F8180", "7F818180"), "7F81817F80");
  EXPECT_EQ(Between("8180", "8280"), "818180");
  EXPECT_EQ(Between("8180", "8580"), "8380");
  EXPECT_EQ(Between("0080", "008180"), "00817F80");
}

TEST(FractionalIndex, NothingBetweenEqualOrMalformedOnes) {
  EXPECT_EQ(Between("80", "80"), "none");
  EXPECT_EQ(Between("8180", "80"), "none");
  EXPECT_EQ(Between("", "80"), "none");
  EXPECT_EQ(Between("80", ""), "none");
  EXPECT_EQ(Between("", nullptr), "none");
  EXPECT_EQ(Between(nullptr, "00"), "none");
  EXPECT_EQ(Between("FFFF", nullptr), "none");
}

TEST(FractionalIndex, HalvesEvenly) {
  const auto evenly = [](std::optional<BytesView> left, std::optional<BytesView> right, size_t n) {
    const auto indexes = FractionalIndexesBetween(left, right, n);
    std::vector<std::string> hex;
    if (!indexes.has_value()) return hex;
    for (const Bytes& index : *indexes) hex.push_back(Hex(index));
    return hex;
  };
  EXPECT_THAT(evenly("\x80", std::nullopt, 4), ElementsAre("817E80", "817F80", "8180", "8280"));
  EXPECT_THAT(evenly(std::nullopt, std::nullopt, 5),
              ElementsAre("7E80", "7F80", "80", "817F80", "8180"));
  EXPECT_THAT(evenly("\x80", "\x80", 1), ElementsAre());
  EXPECT_EQ(FractionalIndexesBetween("\x80", "\x80", 1), std::nullopt);
}

TEST(FractionalIndex, ThereIsAlwaysOneBetween) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<Bytes> indexes;
    for (int i = 0; i < 400; ++i) {
      // Crowding at one place makes long ones.
      const size_t at = random() % 3 == 0 ? indexes.size() / 2 : random() % (indexes.size() + 1);
      std::optional<BytesView> left;
      std::optional<BytesView> right;
      if (at > 0) left = indexes[at - 1];
      if (at < indexes.size()) right = indexes[at];
      const auto index = FractionalIndexBetween(left, right);
      ASSERT_TRUE(index.has_value());
      indexes.insert(indexes.begin() + static_cast<std::ptrdiff_t>(at), *index);
    }
    ASSERT_TRUE(std::is_sorted(indexes.begin(), indexes.end()));
    ASSERT_EQ(std::adjacent_find(indexes.begin(), indexes.end()), indexes.end());
  }
}

TEST(FractionalIndex, AnyBytesGiveOneBetweenOrNone) {
  std::mt19937_64 random(2);
  const auto any = [&random] {
    Bytes bytes(random() % 4, '\0');
    for (char& c : bytes) c = static_cast<char>(std::array{0, 1, 127, 128, 129, 255}[random() % 6]);
    return bytes;
  };
  size_t found = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Bytes left = any();
    const Bytes right = any();
    const auto index = FractionalIndexBetween(left, right);
    if (!index.has_value()) continue;
    ++found;
    ASSERT_LT(left, *index);
    ASSERT_LT(*index, right);
  }
  EXPECT_GT(found, 10'000U);
}

}  // namespace
}  // namespace merrow::loro
