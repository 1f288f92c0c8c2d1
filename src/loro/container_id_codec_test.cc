// SPDX-License-Identifier: Apache-2.0
#include "loro/container_id_codec.h"

#include <gtest/gtest.h>

namespace merrow::loro {
namespace {

Bytes Key(const ContainerId& id) {
  ByteWriter writer;
  WriteContainerKey(writer, id);
  return writer.Release();
}

Bytes Postcard(const ContainerId& id) {
  ByteWriter writer;
  WritePostcardContainerId(writer, id);
  return writer.Release();
}

TEST(ContainerIdCodecTest, GoldenBytes) {
  const ContainerId root = ContainerId::Root("ab", ContainerKind::kText);
  const ContainerId child =
      ContainerId::Normal({0x8000000000000001U, 258}, ContainerKind::kMovableList);
  EXPECT_EQ(ToHex(Key(root)), "82026162");
  EXPECT_EQ(ToHex(Key(child)), "04010000000000008002010000");
  EXPECT_EQ(ToHex(Postcard(root)), "0002616200");
  EXPECT_EQ(ToHex(Postcard(child)), "0181808080808080808001840403");
}

TEST(ContainerIdCodecTest, HistoricalKinds) {
  const std::pair<ContainerKind, int> kinds[] = {
      {ContainerKind::kText, 0},           {ContainerKind::kMap, 1},  {ContainerKind::kList, 2},
      {ContainerKind::kMovableList, 3},    {ContainerKind::kTree, 4}, {ContainerKind::kCounter, 5},
      {static_cast<ContainerKind>(77), 77}};
  for (const auto& [kind, number] : kinds) {
    EXPECT_EQ(Postcard(ContainerId::Root("", kind)).back(), number);
  }
}

TEST(ContainerIdCodecTest, RoundTrip) {
  for (int kind = 0; kind <= 127; ++kind) {
    for (const ContainerId& id :
         {ContainerId::Root("", static_cast<ContainerKind>(kind)),
          ContainerId::Root("\u6F22\U0001F600", static_cast<ContainerKind>(kind)),
          ContainerId::Normal({kNoPeer - 1, INT32_MAX}, static_cast<ContainerKind>(kind)),
          ContainerId::Normal({0, 0}, static_cast<ContainerKind>(kind))}) {
      EXPECT_EQ(ParseContainerKey(Key(id)).value(), id);
      const Bytes postcard = Postcard(id) + "rest";
      ByteReader reader(postcard);
      EXPECT_EQ(ReadPostcardContainerId(reader).value(), id);
      EXPECT_EQ(reader.rest(), "rest");
    }
  }
}

TEST(ContainerIdCodecTest, MalformedIdsAreRefused) {
  for (const std::string_view hex :
       {"", "82", "8202", "820261", "8202616200", "8202c328", "00", "00010000000000008002010000ff",
        "000100000000000080000000ff"}) {
    EXPECT_FALSE(ParseContainerKey(FromHex(hex).value()).ok()) << hex;
  }
  for (const std::string_view hex : {"", "00", "0001", "000161", "0001ff00", "01", "0101", "010102",
                                     "01010100", "02016100", "00016180"}) {
    const Bytes bytes = FromHex(hex).value();
    ByteReader reader(bytes);
    EXPECT_FALSE(ReadPostcardContainerId(reader).ok()) << hex;
  }
}

}  // namespace
}  // namespace merrow::loro
