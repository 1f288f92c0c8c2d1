// SPDX-License-Identifier: Apache-2.0
//
// JSON of strings, numbers, values and containers, character by character.

#include "loro/json_writer.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace merrow::loro {
namespace {

std::string JsonOf(std::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

std::string JsonOf(double number) {
  std::string out;
  AppendJsonNumber(number, &out);
  return out;
}

std::string JsonOf(const Value& value) {
  std::string out;
  AppendValueJson(State(), value, &out);
  return out;
}

std::string JsonOf(const State& state) {
  std::string out;
  AppendDocumentJson(state, &out);
  return out;
}

ContainerId Root(std::string_view name, ContainerKind kind) {
  return ContainerId::Root(name, kind);
}

TEST(JsonWriter, StringsAreEscaped) {
  EXPECT_EQ(JsonOf(std::string_view()), R"("")");
  EXPECT_EQ(JsonOf(std::string_view("a\"b\\c/d")), R"("a\"b\\c/d")");
  EXPECT_EQ(JsonOf(std::string_view("\n\r\t\b\x1F")), R"("\n\r\t\u0008\u001f")");
  EXPECT_EQ(JsonOf(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(JsonOf(std::string_view("h\xC3\xA4 \xF0\x9F\x98\x80\x7F")),
            "\"h\xC3\xA4 \xF0\x9F\x98\x80\x7F\"");
}

TEST(JsonWriter, NumbersAreTheShortestThatReadBack) {
  EXPECT_EQ(JsonOf(0.1), "0.1");
  EXPECT_EQ(JsonOf(-2.5), "-2.5");
  EXPECT_EQ(JsonOf(3.0), "3");
  EXPECT_EQ(JsonOf(-0.0), "0");
  EXPECT_EQ(JsonOf(9007199254740992.0), "9007199254740992");
  EXPECT_EQ(JsonOf(1e300), "1e+300");
  EXPECT_EQ(JsonOf(std::numeric_limits<double>::denorm_min()), "5e-324");
  EXPECT_EQ(JsonOf(std::nan("")), "null");
  EXPECT_EQ(JsonOf(-std::numeric_limits<double>::infinity()), "null");
}

TEST(JsonWriter, Values) {
  EXPECT_EQ(JsonOf(Value()), "null");
  EXPECT_EQ(JsonOf(Value(true)), "true");
  EXPECT_EQ(JsonOf(Value(std::numeric_limits<int64_t>::min())), "-9223372036854775808");
  EXPECT_EQ(JsonOf(Value(Value::Binary{Bytes("\x00\xFF", 2)})), "[0,255]");
  EXPECT_EQ(JsonOf(Value(Value::List{})), "[]");
  EXPECT_EQ(JsonOf(Value(Value::Map{})), "{}");
  EXPECT_EQ(JsonOf(Value(Value::Map{{"a", Value(Value::List{Value(int64_t{1}), Value("x")})},
                                    {"b", Value(Value::Map{{"c", Value(false)}})}})),
            R"({"a":[1,"x"],"b":{"c":false}})");
  EXPECT_EQ(JsonOf(Value(ContainerId::Normal({1, 2}, ContainerKind::kMap))), "null");
}

TEST(JsonWriter, RootsAreSortedAndOfOneNameTheSmallestKindIsShown) {
  State state;
  state.OpenAs<CounterState>(Root("b", ContainerKind::kCounter))->sum = 2;
  state.OpenAs<CounterState>(Root("a", ContainerKind::kCounter))->sum = 1.5;
  state.Open(Root("b", ContainerKind::kText));
  state.Open(Root("b", ContainerKind::kList));
  state.Open(Root("c", static_cast<ContainerKind>(77)));
  EXPECT_EQ(JsonOf(state), R"({"a":1.5,"b":[],"c":null})");
  EXPECT_EQ(JsonOf(State()), "{}");
}

TEST(JsonWriter, ChildrenAreWrittenInPlaceAndKeysSorted) {
  State state;
  const ContainerId root = Root("m", ContainerKind::kMap);
  const ContainerId child = ContainerId::Normal({1, 0}, ContainerKind::kMap);
  state.Open(root);
  state.AdoptChildren(Value(child), root);
  state.OpenAs<MapState>(child)->Write("x", Value("inner"), {0, 1});
  auto* map = state.OpenAs<MapState>(root);
  map->Write("z", Value(int64_t{1}), {0, 1});
  map->Write("child", Value(child), {1, 1});
  map->Write("gone", std::nullopt, {2, 1});
  map->Write("again", Value(child), {3, 1});
  // A container has one place: the first.
  EXPECT_EQ(JsonOf(state), R"({"m":{"again":{"x":"inner"},"child":null,"z":1}})");
  std::string one;
  AppendContainerJson(state, child, &one);
  EXPECT_EQ(one, R"({"x":"inner"})");
  one.clear();
  AppendContainerJson(state, Root("none", ContainerKind::kMap), &one);
  EXPECT_EQ(one, "null");
}

TEST(JsonWriter, NestingTakesNoStack) {
  State state;
  ContainerId at = Root("m", ContainerKind::kMap);
  state.Open(at);
  constexpr Counter kDepth = 200'000;
  for (Counter i = 0; i < kDepth; ++i) {
    const ContainerId child = ContainerId::Normal({1, i}, ContainerKind::kMap);
    state.AdoptChildren(Value(child), at);
    state.OpenAs<MapState>(at)->Write("c", Value(child), {static_cast<Lamport>(i), 1});
    at = child;
  }
  const std::string json = JsonOf(state);
  EXPECT_EQ(json.size(), size_t{7} + size_t{6} * kDepth + 1);
  EXPECT_TRUE(json.starts_with(R"({"m":{"c":{"c":{)"));
}

}  // namespace
}  // namespace merrow::loro
