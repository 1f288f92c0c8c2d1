// SPDX-License-Identifier: Apache-2.0
#include "store/row_edit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "loro/json_value.h"
#include "store/projection.h"

namespace merrow::store {
namespace {

using cells::ValueView;
using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;

constexpr char kSchema[] = R"sql(
CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT DEFAULT 'new', size REAL, n, flag INTEGER,
  body CRDT_TEXT, votes CRDT_COUNTER, tags CRDT_LIST, cards CRDT_MOVABLE_LIST, props CRDT_MAP,
  outline CRDT_TREE);
)sql";
enum : size_t {
  kTitle = 1,
  kSize,
  kN,
  kFlag,
  kBody,
  kVotes,
  kTags,
  kCards,
  kProps,
  kOutline,
  kEnd
};

class RowEdit : public testing::Test {
 protected:
  RowEdit() : schema_(Schema::Parse(kSchema).value()), editor_(table(), Defaults()) {
    row_.assign(kEnd, ValueView());
    row_[0] = ValueView::Text("key");
    row_[kTitle] = ValueView::Text("new");
    row_[kVotes] = ValueView::Integer(0);
    row_[kBody] = ValueView::Text("");
    for (const size_t list : {kTags, kCards, kOutline}) row_[list] = ValueView::Text("[]");
    row_[kProps] = ValueView::Text("{}");
  }

  const Table& table() const { return schema_.tables()[0]; }
  static std::vector<cells::Value> Defaults() {
    std::vector<cells::Value> defaults(kEnd);
    defaults[kTitle] = cells::Value::Text("new");
    return defaults;
  }

  /// How many ops it took to write `value` into the column.
  uint64_t Write(size_t column, const ValueView& value) {
    row_[column] = value;
    const uint64_t before = document_.op_count();
    const Result<bool> edited = editor_.Apply(row_, document_);
    EXPECT_TRUE(edited.ok()) << (edited.ok() ? "" : edited.error().message());
    document_.Commit();
    const uint64_t ops = document_.op_count() - before;
    EXPECT_EQ(edited.ok() && *edited, ops > 0);
    // A container shows NULL as what is empty, and JSON without spaces.
    const bool is_written_otherwise =
        column >= kTags || (column == kBody && value.type == cells::ValueType::kNull);
    EXPECT_TRUE(editor_.Shows(row_, document_) || is_written_otherwise) << document_.ToJson();
    const Result<bool> again = editor_.Apply(row_, document_);
    EXPECT_TRUE(again.ok() && !*again) << document_.ToJson();
    return ops;
  }
  std::string Refusal(size_t column, const ValueView& value) {
    std::vector<ValueView> row = row_;
    row[column] = value;
    Document copy = document_.Fork(9).value();
    const Result<bool> edited = editor_.Apply(row, copy);
    return edited.ok() ? "none" : edited.error().message();
  }
  std::string Shown(size_t column) {
    return std::string(
        ColumnValue(document_, table().columns[column]).value_or(cells::Value()).bytes);
  }

  Schema schema_;
  RowEditor editor_;
  Document document_{1};
  std::vector<ValueView> row_;
};

ContainerId Root(const char* name, ContainerKind kind) { return ContainerId::Root(name, kind); }

TEST_F(RowEdit, ARowOfDefaultsMakesNoOps) {
  EXPECT_EQ(Write(kTitle, ValueView::Text("new")), 0U);
  EXPECT_EQ(document_.ToJson(), "{}");
  ASSERT_TRUE(editor_.MakeExist("key", document_).ok());
  EXPECT_EQ(document_.ToJson(), R"({"row":{"id":"key"}})");
  EXPECT_TRUE(editor_.Shows(row_, document_));
}

TEST_F(RowEdit, ScalarsAreSetsOfTheirSlots) {
  EXPECT_EQ(Write(kTitle, ValueView::Text("hällo")), 1U);
  EXPECT_EQ(Write(kTitle, ValueView::Null()), 1U);
  EXPECT_EQ(Write(kSize, ValueView::Real(2.5)), 1U);
  EXPECT_EQ(Write(kN, ValueView::Blob(BytesView("\x00\xff", 2))), 1U);
  EXPECT_EQ(Write(kN, ValueView::Integer(INT64_MIN)), 1U);
  EXPECT_EQ(document_.ToJson(), R"({"row":{"n":-9223372036854775808,"size":2.5,"title":null}})");
}

TEST_F(RowEdit, WhatAffinityMadeOfAValueIsNoChange) {
  ASSERT_TRUE(document_.MapSet(RowMap(), "title", Value(int64_t{5})).ok());
  ASSERT_TRUE(document_.MapSet(RowMap(), "size", Value(int64_t{5})).ok());
  ASSERT_TRUE(document_.MapSet(RowMap(), "flag", Value(" 12 ")).ok());
  document_.Commit();
  row_[kTitle] = ValueView::Text("5");
  row_[kFlag] = ValueView::Text(" 12 ");
  EXPECT_EQ(Write(kSize, ValueView::Real(5.0)), 0U);
  ASSERT_TRUE(document_.MapSet(RowMap(), "title", Value(1.0 / 3)).ok());
  document_.Commit();
  EXPECT_EQ(Write(kTitle, ValueView::Text("0.333333333333333")), 0U);
  EXPECT_EQ(Write(kTitle, ValueView::Text("0.3334")), 1U);
}

TEST_F(RowEdit, ATruthValueStaysOne) {
  ASSERT_TRUE(document_.MapSet(RowMap(), "flag", Value(true)).ok());
  document_.Commit();
  row_[kFlag] = ValueView::Integer(1);
  EXPECT_EQ(Write(kFlag, ValueView::Integer(0)), 1U);
  EXPECT_EQ(document_.MapGet(RowMap(), "flag"), Value(false));
  EXPECT_EQ(Write(kFlag, ValueView::Integer(2)), 1U);
  EXPECT_EQ(document_.MapGet(RowMap(), "flag"), Value(int64_t{2}));
}

TEST_F(RowEdit, TextIsTheShortestDifference) {
  EXPECT_EQ(Write(kBody, ValueView::Text("teh quick brown fox 😀")), 21U);
  EXPECT_EQ(Write(kBody, ValueView::Text("the quick brown fox 😀")), 2U);
  EXPECT_EQ(Write(kBody, ValueView::Text("the quick brown fox")), 2U);
  EXPECT_EQ(Write(kBody, ValueView::Null()), 19U);
}

TEST_F(RowEdit, AChangedTextMergesWithWhatOthersType) {
  Write(kBody, ValueView::Text("teh cat sat"));
  Document other = document_.Fork(2).value();
  ASSERT_TRUE(other.TextInsert(Root("body", ContainerKind::kText), 7, "erpillar").ok());
  Write(kBody, ValueView::Text("the cat sat"));
  ASSERT_TRUE(document_.Import(other.ExportUpdates({})).ok());
  EXPECT_EQ(Shown(kBody), "the caterpillar sat");
}

TEST_F(RowEdit, ACounterIsItsDifference) {
  EXPECT_EQ(Write(kVotes, ValueView::Integer(3)), 1U);
  Document other = document_.Fork(2).value();
  ASSERT_TRUE(other.CounterIncrement(Root("votes", ContainerKind::kCounter), 10).ok());
  EXPECT_EQ(Write(kVotes, ValueView::Real(2.5)), 1U);
  ASSERT_TRUE(document_.Import(other.ExportUpdates({})).ok());
  EXPECT_EQ(document_.CounterValue(Root("votes", ContainerKind::kCounter)), 12.5);
}

TEST_F(RowEdit, ACounterShowsWhatWasWritten) {
  const ContainerId votes = Root("votes", ContainerKind::kCounter);
  for (const double value : {1e300, 1.1, 1e308, 5.5, -1e308, 1.7e308, 0.3, 0.1, 5e-324}) {
    Write(kVotes, ValueView::Real(value));
    EXPECT_EQ(document_.CounterValue(votes), value);
    EXPECT_EQ(Write(kVotes, ValueView::Real(value)), 0U) << value;
  }
  Document other = Document(3);
  ASSERT_TRUE(other.Import(document_.ExportUpdates({})).ok());
  EXPECT_EQ(other.CounterValue(votes), 5e-324);
}

TEST_F(RowEdit, AMapIsEditedSlotBySlot) {
  EXPECT_EQ(Write(kProps, ValueView::Text(R"({"a":1,"b":{"c":[1,2]},"d":"x"})")), 3U);
  EXPECT_EQ(Write(kProps, ValueView::Text(R"({ "d": "x", "b": {"c": [1, 2.0]}, "a": 1 })")), 0U);
  EXPECT_EQ(Write(kProps, ValueView::Text(R"({"a":2,"b":{"c":[1,2]}})")), 2U);
  EXPECT_EQ(Shown(kProps), R"({"a":2,"b":{"c":[1,2]}})");
}

TEST_F(RowEdit, ChildContainersAreEditedInPlace) {
  const ContainerId props = Root("props", ContainerKind::kMap);
  const ContainerId text = document_.MapSetContainer(props, "text", ContainerKind::kText).value();
  ASSERT_TRUE(document_.TextInsert(text, 0, "hello").ok());
  const ContainerId tags = Root("tags", ContainerKind::kList);
  const ContainerId item = document_.ListInsertContainer(tags, 0, ContainerKind::kMap).value();
  ASSERT_TRUE(document_.MapSet(item, "k", Value(int64_t{1})).ok());
  document_.Commit();
  row_[kTags] = ValueView::Text(R"([{"k":1}])");
  row_[kProps] = ValueView::Text(R"({"text":"hello"})");
  EXPECT_EQ(Write(kProps, ValueView::Text(R"({"text":"help"})")), 3U);
  EXPECT_EQ(document_.Text(text), "help");
  EXPECT_EQ(Write(kTags, ValueView::Text(R"(["new",{"k":2}])")), 2U);
  EXPECT_EQ(document_.MapGet(item, "k"), Value(int64_t{2}));
}

TEST_F(RowEdit, AListIsDeletesAndInserts) {
  EXPECT_EQ(Write(kTags, ValueView::Text(R"(["a","b","c","d"])")), 4U);
  EXPECT_EQ(Write(kTags, ValueView::Text(R"(["a","x","c","d","e"])")), 3U);
  EXPECT_EQ(Shown(kTags), R"(["a","x","c","d","e"])");
  EXPECT_EQ(Write(kTags, ValueView::Null()), 5U);
  EXPECT_EQ(Shown(kTags), "[]");
}

TEST_F(RowEdit, AMovableListMovesAndSets) {
  EXPECT_EQ(Write(kCards, ValueView::Text(R"(["a","b","c","d","e"])")), 5U);
  EXPECT_EQ(Write(kCards, ValueView::Text(R"(["b","c","d","e","a"])")), 1U);
  EXPECT_EQ(Write(kCards, ValueView::Text(R"(["b","C","d","e","a"])")), 1U);
  EXPECT_EQ(Write(kCards, ValueView::Text(R"(["a","b","d","f","e","C"])")), 3U);
  EXPECT_EQ(Shown(kCards), R"(["a","b","d","f","e","C"])");
}

TEST_F(RowEdit, ATreeMakesMovesAndDeletesNodes) {
  row_[kOutline] = ValueView::Text(R"([{"meta":{"t":"A"},"children":[{"meta":{"t":"B"}}]},{}])");
  ASSERT_TRUE(editor_.Apply(row_, document_).ok());
  document_.Commit();
  const std::string first = Shown(kOutline);
  EXPECT_EQ(Write(kOutline, ValueView::Text(first)), 0U);
  const Value shown = loro::ParseJsonValue(Shown(kOutline)).value();
  const auto id = [](const Value& node) {
    for (const auto& [key, value] : *node.If<Value::Map>()) {
      if (key == "id") return *value.If<std::string>();
    }
    return std::string();
  };
  const Value& a = (*shown.If<Value::List>())[0];
  const std::string a_id = id(a);
  const std::string b_id = id((*(*a.If<Value::Map>())[0].second.If<Value::List>())[0]);
  // B to the front, A below it with new data, the third node gone: a move each, a set, a delete.
  const std::string wanted =
      R"([{"id":")" + b_id + R"(","children":[{"id":")" + a_id + R"(","meta":{"t":"A2"}}]}])";
  row_[kOutline] = ValueView::Text(wanted);
  const uint64_t before = document_.op_count();
  ASSERT_TRUE(editor_.Apply(row_, document_).ok());
  document_.Commit();
  EXPECT_EQ(document_.op_count() - before, 4U);
  const std::string now = Shown(kOutline);
  EXPECT_NE(now.find(R"("parent":")" + b_id), std::string::npos) << now;
  EXPECT_EQ(now.find(R"("parent":")" + a_id), std::string::npos) << now;
  EXPECT_NE(now.find(R"("t":"A2")"), std::string::npos) << now;
  EXPECT_NE(now.find(R"("t":"B")"), std::string::npos) << now;
  EXPECT_NE(Refusal(kOutline, ValueView::Text(R"([{"id":"7@77"}])")).find("there is no node 7@77"),
            std::string::npos);
}

TEST_F(RowEdit, WhatAColumnCannotHoldIsRefusedByName) {
  EXPECT_EQ(Refusal(kBody, ValueView::Blob("x")), "column body: it holds text in UTF-8, not x'78'");
  EXPECT_EQ(Refusal(kBody, ValueView::Text("\xff")).substr(0, 34),
            "column body: it holds text in UTF-");
  EXPECT_EQ(Refusal(kTitle, ValueView::Text("\xc3")).substr(0, 14), "column title: ");
  EXPECT_EQ(Refusal(kVotes, ValueView::Text("many")),
            "column votes: it holds a finite number, not 'many'");
  EXPECT_EQ(Refusal(kTags, ValueView::Text("{}")), "column tags: it holds a JSON array, not '{}'");
  EXPECT_EQ(Refusal(kTags, ValueView::Text("[1,")),
            "column tags: it holds a JSON array: not JSON at byte 4");
  EXPECT_EQ(Refusal(kProps, ValueView::Integer(1)), "column props: it holds a JSON object, not 1");
  EXPECT_EQ(Refusal(kVotes, ValueView::Real(HUGE_VAL)).substr(0, 13), "column votes:");
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  EXPECT_NE(Refusal(kTags, ValueView::Text(deep)), "none");
}

/// Random JSON values into the JSON columns: the document shows what was written, whatever was
/// there.
TEST_F(RowEdit, AnyJsonLeadsToAnyOther) {
  std::mt19937_64 random(7);
  const auto scalar = [&]() -> std::string {
    static const char* const kScalars[] = {"1",    "2",    "\"a\"", "\"b\"",
                                           "null", "true", "[1]",   "{\"k\":1}"};
    return kScalars[random() % std::size(kScalars)];
  };
  const auto list = [&] {
    std::string json = "[";
    for (size_t i = random() % 8; i > 0; --i) json += scalar() + (i > 1 ? "," : "");
    return json + "]";
  };
  const auto map = [&] {
    std::string json = "{";
    for (size_t key = 0; key < 5; ++key) {
      if (random() % 2 == 0)
        json += (json.size() > 1 ? ",\"" : "\"") + std::to_string(key) + "\":" + scalar();
    }
    return json + "}";
  };
  Document other(2);
  for (int round = 0; round < 3'000; ++round) {
    // Now and then there are child containers in between.
    if (round % 10 == 0) {
      const ContainerId cards = Root("cards", ContainerKind::kMovableList);
      const auto child = document_.ListInsertContainer(cards, 0, ContainerKind::kList);
      ASSERT_TRUE(child.ok() && document_.ListInsert(*child, 0, Value(int64_t{1})).ok());
      ASSERT_TRUE(
          document_.MapSetContainer(Root("props", ContainerKind::kMap), "1", ContainerKind::kMap)
              .ok());
    }
    const std::string texts[] = {list(), list(), map()};
    row_[kTags] = ValueView::Text(texts[0]);
    row_[kCards] = ValueView::Text(texts[1]);
    row_[kProps] = ValueView::Text(texts[2]);
    ASSERT_TRUE(editor_.Apply(row_, document_).ok()) << "round " << round;
    document_.Commit();
    ASSERT_EQ(Shown(kTags), texts[0]) << "round " << round;
    ASSERT_EQ(Shown(kCards), texts[1]) << "round " << round;
    ASSERT_EQ(Shown(kProps), texts[2]) << "round " << round;
    ASSERT_TRUE(editor_.Shows(row_, document_));
    ASSERT_TRUE(other.Import(document_.ExportUpdates(other.version())).ok());
    ASSERT_EQ(other.ToJson(), document_.ToJson()) << "round " << round;
  }
}

/// A client wrote a value of another type than the column's.
TEST_F(RowEdit, ANumberInATextColumnIsComparedExactly) {
  ASSERT_TRUE(document_.MapSet(RowMap(), "title", Value(int64_t{100'000'000'000'001})).ok());
  document_.Commit();
  EXPECT_EQ(Write(kTitle, ValueView::Text("100000000000001")), 0U);
  EXPECT_EQ(Write(kTitle, ValueView::Text("100000000000002")), 1U);
  ASSERT_TRUE(document_.MapSet(RowMap(), "title", Value(0.1 + 0.2)).ok());
  document_.Commit();
  EXPECT_EQ(Write(kTitle, ValueView::Text("0.3")), 0U);
  EXPECT_EQ(Write(kTitle, ValueView::Text("0.30000000000000004")), 1U);
}

TEST_F(RowEdit, ATextInANumberColumnIsComparedExactly) {
  ASSERT_TRUE(document_.MapSet(RowMap(), "flag", Value(" +100000000000001")).ok());
  ASSERT_TRUE(document_.MapSet(RowMap(), "size", Value("1e-7\n")).ok());
  document_.Commit();
  row_[kSize] = ValueView::Real(1e-7);
  EXPECT_EQ(Write(kFlag, ValueView::Integer(100'000'000'000'001)), 0U);
  EXPECT_EQ(Write(kFlag, ValueView::Integer(100'000'000'000'002)), 1U);
  EXPECT_EQ(Write(kSize, ValueView::Real(1.0000000001e-7)), 1U);
}

TEST_F(RowEdit, NoNumberIsShownAsNull) {
  ASSERT_TRUE(document_.MapSet(RowMap(), "size", Value(std::nan(""))).ok());
  document_.Commit();
  EXPECT_EQ(Write(kTitle, ValueView::Text("other")), 1U);
}

}  // namespace
}  // namespace merrow::store
