// SPDX-License-Identifier: Apache-2.0
#include "loro/mergeable.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

ContainerId Root(std::string_view name, ContainerKind kind = ContainerKind::kMap) {
  return ContainerId::Root(name, kind);
}

// Names and markers as loro-crdt 1.17.1 writes them.
TEST(MergeableTest, NamesAreLoros) {
  const ContainerId map = Root("m");
  EXPECT_EQ(MergeableChild(map, "mm", ContainerKind::kMap)->ToString(), "cid:root-🤝:$m>mm:Map");
  const ContainerId nested = *MergeableChild(map, "mm", ContainerKind::kMap);
  EXPECT_EQ(MergeableChild(nested, "t>x/\\y", ContainerKind::kText)->ToString(),
            "cid:root-🤝:$m>mm>t\\>x\\s\\\\y:Text");
  const ContainerId data = ContainerId::Normal({5, 49}, ContainerKind::kMap);
  EXPECT_EQ(MergeableChild(data, "L", ContainerKind::kList)->ToString(),
            "cid:root-🤝:@5:1d>L:List");
  EXPECT_EQ(MergeableChild(map, "", ContainerKind::kText)->ToString(), "cid:root-🤝:$m>:Text");
  const ContainerId largest = ContainerId::Normal({kNoPeer - 1, INT32_MAX}, ContainerKind::kMap);
  EXPECT_EQ(MergeableChild(largest, std::string_view("\0", 1), ContainerKind::kText)->name(),
            "🤝:@3w5e11264sgse:zik0zj>\\0");
}

TEST(MergeableTest, MarkersAreLoros) {
  const auto marker = [](const ContainerId& map, std::string_view key, ContainerKind kind) {
    return ToHex(MergeableMarker(map, key, kind));
  };
  const ContainerId nested = *MergeableChild(Root("m"), "mm", ContainerKind::kMap);
  EXPECT_EQ(marker(Root("m"), "mm", ContainerKind::kMap), "004c4d0100a13f81");
  EXPECT_EQ(marker(nested, "t>x/\\y", ContainerKind::kText), "004c4d0102a112aa");
  EXPECT_EQ(marker(ContainerId::Normal({5, 49}, ContainerKind::kMap), "L", ContainerKind::kList),
            "004c4d0101603208");
  EXPECT_EQ(marker(Root("m"), "mc", ContainerKind::kCounter), "004c4d010548e680");
}

TEST(MergeableTest, PlacesAreReadBack) {
  std::string odd_key = "a\\b>c/d";
  odd_key.push_back('\0');
  for (const ContainerId& map :
       {Root("m"), Root("with > and \\ 𝄞"), ContainerId::Normal({7, 0}, ContainerKind::kMap),
        *MergeableChild(Root("m"), "mm", ContainerKind::kMap),
        *MergeableChild(*MergeableChild(Root("m"), "", ContainerKind::kMap), ">",
                        ContainerKind::kMap)}) {
    for (const std::string& key : {std::string("k"), std::string(), std::string("ключ"), odd_key}) {
      const std::optional<ContainerId> child = MergeableChild(map, key, ContainerKind::kText);
      ASSERT_TRUE(child.has_value());
      EXPECT_TRUE(IsMergeable(*child));
      const std::optional<MergeablePlace> place = PlaceOfMergeable(*child);
      ASSERT_TRUE(place.has_value()) << child->ToString();
      EXPECT_EQ(place->map, map);
      EXPECT_EQ(place->key, key);
      const Value marker(Value::Binary{MergeableMarker(map, key, ContainerKind::kText)});
      EXPECT_EQ(MergeableShownBy(map, key, marker), child);
      EXPECT_EQ(MergeableShownBy(map, key + "x", marker), std::nullopt);
    }
  }
}

TEST(MergeableTest, NamesThatNobodyWritesAreOrdinaryRoots) {
  for (const std::string_view name :
       {"🤝:", "🤝:$m", "🤝:m>k", "🤝:$>k", "🤝:$m>k\\", "🤝:$m>\\x", "🤝:$m>a/b",
        "🤝:$a\\sb>k", "🤝:$🤝:x>k", "🤝:@5>k", "🤝:@05:1>k", "🤝:@A:1>k",
        "🤝:@5:-1>k", "🤝:@5:>k", "🤝:@3w5e11264sgsg:0>k", "🤝$m>k"}) {
    EXPECT_FALSE(IsMergeable(Root(name))) << name;
  }
  EXPECT_FALSE(IsMergeable(ContainerId::Normal({1, 2}, ContainerKind::kMap)));
}

TEST(MergeableTest, MapsWithoutAGoodNameHaveNoMergeableChildren) {
  EXPECT_FALSE(MergeableChild(Root(""), "k", ContainerKind::kMap).has_value());
  EXPECT_FALSE(MergeableChild(Root("a/b"), "k", ContainerKind::kMap).has_value());
  EXPECT_FALSE(MergeableChild(Root("🤝:x"), "k", ContainerKind::kMap).has_value());
  EXPECT_FALSE(
      MergeableChild(Root("t", ContainerKind::kText), "k", ContainerKind::kMap).has_value());
}

TEST(MergeableTest, ConcurrentlyCreatedChildrenAreOne) {
  Document a(1);
  Document b(2);
  const ContainerId map = Root("m");
  const ContainerId of_a = *a.MapEnsureMergeable(map, "body", ContainerKind::kText);
  const ContainerId of_b = *b.MapEnsureMergeable(map, "body", ContainerKind::kText);
  EXPECT_EQ(of_a, of_b);
  ASSERT_TRUE(a.TextInsert(of_a, 0, "left ").ok());
  ASSERT_TRUE(b.TextInsert(of_b, 0, "right").ok());
  ASSERT_TRUE(a.Import(b.ExportUpdates({})).ok());
  ASSERT_TRUE(b.Import(a.ExportSnapshot()).ok());
  EXPECT_EQ(a.ToJson(), R"({"m":{"body":"left right"}})");
  EXPECT_EQ(b.ToJson(), a.ToJson());
  EXPECT_EQ(a.Roots(), std::vector<ContainerId>{map});
  EXPECT_EQ(a.MapGet(map, "body"), Value(of_a));

  Document loaded(3);
  ASSERT_TRUE(loaded.Load(a.ExportSnapshot()).ok());
  EXPECT_EQ(loaded.ToJson(), a.ToJson());
  ASSERT_TRUE(loaded.TextInsert(of_a, 0, "> ").ok());
  EXPECT_EQ(loaded.ToJson(), R"({"m":{"body":"> left right"}})");
}

TEST(MergeableTest, TheSlotDecidesWhatIsShown) {
  Document doc(1);
  const ContainerId map = Root("m");
  const ContainerId text = *doc.MapEnsureMergeable(map, "x", ContainerKind::kText);
  EXPECT_EQ(doc.ToJson(), R"({"m":{"x":""}})");
  EXPECT_TRUE(doc.HasContainer(text));
  ASSERT_TRUE(doc.TextInsert(text, 0, "hi").ok());
  const ContainerId child = *doc.MapEnsureMergeable(map, "x", ContainerKind::kMap);
  EXPECT_EQ(doc.ToJson(), R"({"m":{"x":{}}})");
  EXPECT_FALSE(doc.HasContainer(text));
  EXPECT_EQ(doc.TextInsert(text, 0, "no").error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(doc.MapSet(child, "k", Value(int64_t{1})).ok());
  ASSERT_TRUE(doc.MapDelete(map, "x").ok());
  EXPECT_EQ(doc.ToJson(), R"({"m":{}})");
  ASSERT_TRUE(doc.MapEnsureMergeable(map, "x", ContainerKind::kText).ok());
  EXPECT_EQ(doc.ToJson(), R"({"m":{"x":"hi"}})");
  doc.Commit();
  const uint64_t ops = doc.op_count();
  ASSERT_TRUE(doc.MapEnsureMergeable(map, "x", ContainerKind::kText).ok());
  doc.Commit();
  EXPECT_EQ(doc.op_count(), ops) << "a child that is there is not made again";
}

TEST(MergeableTest, OtherValuesAreNotOverwritten) {
  Document doc(1);
  const ContainerId map = Root("m");
  ASSERT_TRUE(doc.MapSet(map, "scalar", Value(int64_t{1})).ok());
  ASSERT_TRUE(doc.MapSet(map, "null", Value()).ok());
  ASSERT_TRUE(doc.MapSetContainer(map, "child", ContainerKind::kText).ok());
  EXPECT_FALSE(doc.MapEnsureMergeable(map, "scalar", ContainerKind::kText).ok());
  EXPECT_FALSE(doc.MapEnsureMergeable(map, "child", ContainerKind::kText).ok());
  EXPECT_TRUE(doc.MapEnsureMergeable(map, "null", ContainerKind::kText).ok());
  EXPECT_FALSE(doc.MapEnsureMergeable(Root("a/b"), "k", ContainerKind::kText).ok());
  EXPECT_FALSE(doc.TextInsert(Root("🤝:x", ContainerKind::kText), 0, "x").ok());
}

}  // namespace
}  // namespace merrow::loro
