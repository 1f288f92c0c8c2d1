// SPDX-License-Identifier: Apache-2.0
//
// Values and container ids: what they own is copied, moved and compared right.

#include "merrow/value.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

namespace merrow::loro {
namespace {

std::vector<Value> OneOfEach() {
  return {Value(),
          Value(false),
          Value(int64_t{-7}),
          Value(0.5),
          Value("a text that is too long to stand inside a string"),
          Value(Value::Binary{"bytes"}),
          Value(Value::List{Value("item"), Value()}),
          Value(Value::Map{{"key", Value(Value::List{Value(true)})}}),
          Value(ContainerId::Normal({1, 2}, ContainerKind::kText)),
          Value(ContainerId::Root("root", ContainerKind::kMap))};
}

TEST(ValueTest, IsEqualToItselfAndNothingElse) {
  const std::vector<Value> values = OneOfEach();
  const std::vector<Value> same = OneOfEach();
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; j < same.size(); ++j)
      EXPECT_EQ(values[i] == same[j], i == j) << i << " " << j;
  }
  EXPECT_FALSE(Value(int64_t{1}) == Value(true));
  EXPECT_FALSE(Value(int64_t{1}) == Value(1.0));
  EXPECT_FALSE(Value("x") == Value(Value::Binary{"x"}));
}

TEST(ValueTest, CopiesAreApart) {
  for (const Value& value : OneOfEach()) {
    Value copy = value;
    EXPECT_EQ(copy, value);
    const Value& itself = copy;
    copy = itself;
    EXPECT_EQ(copy, value);
    Value moved = std::move(copy);
    EXPECT_EQ(moved, value);
    copy = Value("other");
    EXPECT_EQ(moved, value);
    moved = copy;
    EXPECT_EQ(moved, Value("other"));
  }
  Value list = Value::List{Value(true)};
  const Value before = list;
  list.If<Value::List>()->push_back(Value(false));
  EXPECT_EQ(before.If<Value::List>()->size(), 1U);
}

TEST(ValueTest, IsOneTypeAtATime) {
  for (const Value& value : OneOfEach()) {
    const int held = (value.If<bool>() != nullptr) + (value.If<int64_t>() != nullptr) +
                     (value.If<double>() != nullptr) + (value.If<std::string>() != nullptr) +
                     (value.If<Value::Binary>() != nullptr) + (value.If<Value::List>() != nullptr) +
                     (value.If<Value::Map>() != nullptr) + (value.If<ContainerId>() != nullptr);
    EXPECT_EQ(held, value.is_null() ? 0 : 1);
    value.Visit([&value](const auto& visited) {
      using T = std::decay_t<decltype(visited)>;
      if constexpr (std::is_same_v<T, Value::Null>) {
        EXPECT_TRUE(value.is_null());
      } else {
        EXPECT_EQ(&visited, value.If<T>());
      }
    });
  }
}

TEST(ContainerIdTest, RootsWithOneNameAreOne) {
  const ContainerId a = ContainerId::Root("name", ContainerKind::kMap);
  const ContainerId b = ContainerId::Root(std::string("na") + "me", ContainerKind::kMap);
  EXPECT_EQ(a, b);
  EXPECT_EQ(ContainerIdHash()(a), ContainerIdHash()(b));
  EXPECT_NE(a, ContainerId::Root("name", ContainerKind::kText));
  EXPECT_NE(a, ContainerId::Root("", ContainerKind::kMap));
  EXPECT_EQ(ContainerId(), ContainerId::Root("", ContainerKind::kMap));
  EXPECT_EQ(ContainerId().name(), "");
  ContainerId c = a;
  ContainerId moved = std::move(c);
  c = moved;
  const ContainerId& itself = c;
  c = itself;
  EXPECT_EQ(c, b);
  EXPECT_EQ(c.name(), "name");
}

TEST(ContainerIdTest, AreOrderedByKindThenByOpOrName) {
  const std::vector<ContainerId> sorted = {
      ContainerId::Normal({9, 1}, ContainerKind::kMap),
      ContainerId::Normal({9, 2}, ContainerKind::kMap),
      ContainerId::Normal({~uint64_t{0} - 1, 0}, ContainerKind::kMap),
      ContainerId::Normal({1, 0}, ContainerKind::kText),
      ContainerId::Root("", ContainerKind::kMap),
      ContainerId::Root("a", ContainerKind::kMap),
      ContainerId::Root("b", ContainerKind::kMap),
      ContainerId::Root("\xC3\xA4", ContainerKind::kMap),
      ContainerId::Root("a", ContainerKind::kCounter)};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(sorted[i] < sorted[j], i < j)
          << sorted[i].ToString() << " " << sorted[j].ToString();
      EXPECT_EQ(sorted[i] == sorted[j], i == j);
    }
  }
  EXPECT_EQ(std::set<ContainerId>(sorted.begin(), sorted.end()).size(), sorted.size());
}

TEST(ContainerIdTest, ThreadsMayShareAName) {
  const ContainerId root = ContainerId::Root("a name of several threads", ContainerKind::kList);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([root] {
      for (int round = 0; round < 10'000; ++round) {
        const ContainerId copy = root;
        EXPECT_EQ(copy.name().size(), 25U);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(root.name(), "a name of several threads");
}

}  // namespace
}  // namespace merrow::loro
