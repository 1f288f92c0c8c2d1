// SPDX-License-Identifier: Apache-2.0
//
// The list state against a plain model: a vector of values with ids, edited at random.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "loro/list_state.h"

namespace merrow::loro {
namespace {

struct Item {
  Id id;
  Lamport lamport = 0;
  Value value;
};

class ListModel {
 public:
  ListModel(uint64_t seed, uint32_t insert_max) : random_(seed), insert_max_(insert_max) {}

  void Step() {
    if (!items_.empty() && Below(5) < 2) {
      Delete();
    } else {
      Insert();
    }
  }

  void CheckAll() {
    ASSERT_EQ(list_.length(), Size());
    size_t at = 0;
    list_.ForEach([&](const IdRun& id, const Value& value) {
      ASSERT_EQ(id, (IdRun{items_[at].id, items_[at].lamport, 1}));
      ASSERT_EQ(value, items_[at].value);
      ++at;
    });
    ASSERT_EQ(at, items_.size());
    ASSERT_EQ(list_.Get(Size()), nullptr);
    ASSERT_FALSE(list_.IdAt(Size()).ok());
    if (!items_.empty()) {
      const uint32_t i = Below(Size());
      ASSERT_EQ(*list_.Get(i), items_[i].value);
      ASSERT_EQ(*list_.IdAt(i), (IdRun{items_[i].id, items_[i].lamport, 1}));
    }
    CheckRuns();
    CheckReload();
  }

  const ListState& list() const { return list_; }

 private:
  uint32_t Below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }
  uint32_t Size() const { return static_cast<uint32_t>(items_.size()); }

  void Insert() {
    const uint32_t count = 1 + Below(Below(10) == 0 ? insert_max_ : 3);
    const uint32_t at = Below(2) == 0 ? std::min(cursor_, Size()) : Below(Size() + uint64_t{1});
    lamport_ += Below(5) == 0 ? 1 : 0;
    std::vector<Value> values;
    const Id id{1, counter_};
    for (uint32_t i = 0; i < count; ++i) {
      const std::string text = "value " + std::to_string(counter_);
      values.push_back(Below(2) == 0 ? Value(text) : Value(int64_t{counter_}));
      items_.insert(items_.begin() + at + i, {{1, counter_}, lamport_ + i, values.back()});
      ++counter_;
    }
    ASSERT_FALSE(list_.Insert(Size() + 1, id, lamport_, values).ok());
    ASSERT_TRUE(list_.Insert(at, id, lamport_, std::move(values)).ok());
    lamport_ += count;
    cursor_ = at + count;
  }

  void Delete() {
    const uint32_t start = Below(Size());
    const uint32_t count = 1 + Below(std::min<uint32_t>(Size() - start, Below(20) == 0 ? 200 : 4));
    ASSERT_FALSE(list_.Delete(start, Size() - start + 1).ok());
    ASSERT_TRUE(list_.Delete(start, count).ok());
    items_.erase(items_.begin() + start, items_.begin() + start + count);
    cursor_ = start;
  }

  void CheckRuns() {
    const uint32_t from = Below(Size() + uint64_t{1});
    const uint32_t count = Below(Size() - from + uint64_t{1});
    ASSERT_FALSE(list_.RunsForDelete(from, Size() - from + 1).ok());
    const auto runs = list_.RunsForDelete(from, count);
    ASSERT_TRUE(runs.ok());
    std::vector<Item> left = items_;
    uint32_t deleted = 0;
    for (const DeleteRun& run : *runs) {
      for (uint32_t i = 0; i < run.count; ++i, ++deleted) {
        ASSERT_EQ(left[run.index + i].id, run.first.Plus(static_cast<Counter>(i)));
      }
      left.erase(left.begin() + run.index, left.begin() + run.index + run.count);
    }
    ASSERT_EQ(deleted, count);
    ASSERT_EQ(left.size(), items_.size() - count);
    ASSERT_TRUE(from == Size() - count || left[from].id == items_[from + count].id);
  }

  void CheckReload() {
    ListState loaded;
    for (const Item& item : items_) {
      ASSERT_TRUE(loaded.Append(item.id, item.lamport, item.value).ok());
    }
    loaded.CheckInvariants();
    ASSERT_EQ(loaded.length(), Size());
    if (Below(10) == 0) {
      list_ = std::move(loaded);
    }
  }

  std::mt19937_64 random_;
  uint32_t insert_max_;
  std::vector<Item> items_;
  ListState list_;
  Counter counter_ = 0;
  Lamport lamport_ = 0;
  uint32_t cursor_ = 0;
};

TEST(ListStateProp, MatchesTheModel) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    ListModel model(seed, seed % 3 == 0 ? 300 : 20);
    for (int i = 0; i < 150; ++i) {
      model.Step();
      model.list().CheckInvariants();
      if (i % 8 == 0) {
        model.CheckAll();
      }
      ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << " step " << i;
    }
  }
}

TEST(ListState, StaysSmall) {
  ListState list;
  ASSERT_TRUE(list.Insert(0, {1, 0}, 0, {Value(true), Value("tag"), Value(int64_t{3})}).ok());
  EXPECT_LT(list.MemoryBytes(), 500u);
}

}  // namespace
}  // namespace merrow::loro
