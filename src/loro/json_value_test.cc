// SPDX-License-Identifier: Apache-2.0
#include "loro/json_value.h"

#include <gtest/gtest.h>

#include "loro/delta_json.h"

namespace merrow::loro {
namespace {

std::string RoundTrip(std::string_view json) {
  const auto value = ParseJsonValue(json);
  if (!value.ok()) return value.error().ToString();
  std::string out;
  AppendPlainJson(*value, &out);
  return out;
}

TEST(JsonValue, ReadsEveryKindOfValue) {
  EXPECT_EQ(RoundTrip(R"( {"b":[1,-2,1.5,true,null,"a\u00e9\"\n"],"a":{}} )"),
            "{\"a\":{},\"b\":[1,-2,1.5,true,null,\"a\xC3\xA9\\\"\\n\"]}");
  EXPECT_EQ(RoundTrip("9223372036854775807"), "9223372036854775807");
  EXPECT_TRUE(ParseJsonValue("5")->If<int64_t>() != nullptr);
  EXPECT_TRUE(ParseJsonValue("5.0")->If<double>() != nullptr);
  EXPECT_EQ(RoundTrip(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
}

TEST(JsonValue, SaysWhereItIsNotJson) {
  EXPECT_EQ(RoundTrip("{\"a\":}"), "invalid_argument: not JSON at byte 6");
  EXPECT_EQ(RoundTrip(""), "invalid_argument: not JSON at byte 1");
  EXPECT_EQ(ParseJsonValue("9223372036854775808").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseJsonValue("[1] 2").error().code(), ErrorCode::kInvalidArgument);
}

TEST(JsonValue, DepthIsBounded) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(ParseJsonValue(nested(kValueDepthMax)).ok());
  EXPECT_EQ(ParseJsonValue(nested(kValueDepthMax + 1)).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(ParseJsonValue(nested(1000000)).error().code(), ErrorCode::kLimit);
}

TEST(DeltaJson, EveryKindOfDelta) {
  const auto id = [](std::string_view name, ContainerKind kind) {
    return ContainerId::Root(name, kind);
  };
  const DocumentDelta delta = {
      {id("t", ContainerKind::kText), TextDelta{{EditKind::kRetain, 2, "", {{"bold", Value(true)}}},
                                                {EditKind::kInsert, 1, "x", {}},
                                                {EditKind::kDelete, 3, "", {}}}},
      {id("l", ContainerKind::kList),
       ListDelta{{EditKind::kInsert, 2, {Value(int64_t{1}), Value(id("m", ContainerKind::kMap))}}}},
      {id("m", ContainerKind::kMap),
       MapDelta{{"gone", std::nullopt}, {"k", Value(Value::Binary{"\x01\xff"})}}},
      {id("tree", ContainerKind::kTree),
       TreeDelta{{TreeEdit::Kind::kCreate, {1, 0}, std::nullopt, 0, "\x80"},
                 {TreeEdit::Kind::kMove, {1, 0}, Id{2, 3}, 1, "\x80"},
                 {TreeEdit::Kind::kDelete, {1, 0}, std::nullopt, 0, ""}}},
      {id("c", ContainerKind::kCounter), CounterDelta{1.5}}};
  EXPECT_EQ(ToJson(delta),
            "[{\"container\":\"cid:root-t:Text\",\"type\":\"text\",\"delta\":[{\"retain\":2,"
            "\"attributes\":{\"bold\":true}},{\"insert\":\"x\"},{\"delete\":3}]},"
            "{\"container\":\"cid:root-l:List\",\"type\":\"list\",\"delta\":[{\"insert\":[1,"
            "\"\xF0\x9F\xA6\x9C:cid:root-m:Map\"]}]},"
            "{\"container\":\"cid:root-m:Map\",\"type\":\"map\",\"updated\":{\"k\":[1,255]},"
            "\"deleted\":[\"gone\"]},"
            "{\"container\":\"cid:root-tree:Tree\",\"type\":\"tree\",\"delta\":["
            "{\"action\":\"create\",\"target\":\"0@1\",\"parent\":null,\"index\":0,"
            "\"fractional_index\":\"80\"},"
            "{\"action\":\"move\",\"target\":\"0@1\",\"parent\":\"3@2\",\"index\":1,"
            "\"fractional_index\":\"80\"},{\"action\":\"delete\",\"target\":\"0@1\"}]},"
            "{\"container\":\"cid:root-c:Counter\",\"type\":\"counter\",\"increment\":1.5}]");
}

}  // namespace
}  // namespace merrow::loro
