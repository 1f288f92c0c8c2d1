// SPDX-License-Identifier: Apache-2.0
//
// SQL that writes to document tables, through Store::Execute.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/store.h"
#include "store/store_test_util.h"

namespace merrow::store {
namespace {

using ::testing::HasSubstr;

class SqlDocumentsTest : public ::testing::Test {
 protected:
  void SetUp() override { store.Open(); }

  Executed Run(const std::string& sql) {
    const SqlWrite write{sql, {}};
    return Must(store->Execute({&write, 1}));
  }
  std::string Refusal(const std::string& sql) {
    const SqlWrite write{sql, {}};
    const auto executed = store->Execute({&write, 1});
    return executed.ok() ? "none" : executed.error().message();
  }

  StoreFixture store;
};

TEST_F(SqlDocumentsTest, AnUpdateMergesWithThoseWhoAreTyping) {
  Editor editor(7);
  editor.Type("body", 0, "teh cat sat");
  store.MustApply("note", "n1", editor.Take());
  const Executed executed =
      Run("UPDATE note SET body = replace(body, 'teh', 'the'), title = 'T', votes = votes + 2");
  ASSERT_EQ(executed.notices.size(), 1U);
  EXPECT_EQ(executed.notices[0].key, "n1");
  EXPECT_FALSE(executed.notices[0].applied.created);
  // The client typed on, and gets the delta.
  editor.Type("body", 7, "erpillar");
  store.MustApply("note", "n1", editor.Take());
  editor.Receive(*executed.notices[0].applied.delta);
  EXPECT_EQ(editor.document().Text(RootText("body")), "the caterpillar sat");
  EXPECT_EQ(store.Sql("SELECT title, body, votes FROM note"), "T|the caterpillar sat|2");
  store.Reopen();
  EXPECT_EQ(Must(store->Version("note", "n1")), editor.document().version());
  store->CheckInvariants();
}

TEST_F(SqlDocumentsTest, AnInsertMakesADocument) {
  const Executed executed = Run("INSERT INTO note (id) VALUES ('a'), ('b')");
  ASSERT_EQ(executed.notices.size(), 2U);
  EXPECT_TRUE(executed.notices[0].applied.created);
  // What is empty is shown as it is for rows that clients made.
  EXPECT_EQ(store.Sql("SELECT id, title, body, votes, tags, props FROM note ORDER BY id"),
            "a|NULL||0|[]|{}\nb|NULL||0|[]|{}");
  store.Reopen();
  EXPECT_FALSE(Must(store->Version("note", "b")).empty());
}

TEST_F(SqlDocumentsTest, WhatIsRefusedLeavesNothing) {
  Run("INSERT INTO note (id, body) VALUES ('a', 'text')");
  EXPECT_THAT(Refusal("DELETE FROM note"), HasSubstr("cannot be deleted"));
  EXPECT_THAT(Refusal("UPDATE note SET id = 'b'"), HasSubstr("cannot change"));
  EXPECT_THAT(Refusal("UPDATE note SET title = 'x', tags = 'no list'"),
              HasSubstr("note/a: column tags: it holds a JSON array"));
  EXPECT_THAT(Refusal("SELECT merrow_document_insert(1, 'x')"), HasSubstr("own triggers"));
  EXPECT_THAT(Refusal("INSERT INTO note (id) VALUES ('')"), HasSubstr("a key must be"));
  EXPECT_EQ(store.Sql("SELECT id, title, body, tags FROM note"), "a|NULL|text|[]");
  EXPECT_EQ(Must(store->ReadRow("note", "a")).find("\"x\""), std::string::npos);
  store->CheckInvariants();
}

TEST_F(SqlDocumentsTest, ARowThatIsBehindIsNotTakenForAnEdit) {
  Editor editor(7);
  editor.Type("body", 0, std::string(20'000, 'x'));
  store.MustApply("note", "n1", editor.Take());
  editor.Type("body", 0, "typed while the row waits");
  store.MustApply("note", "n1", editor.Take());
  EXPECT_EQ(store->stats().rows_stale, 1U);
  Run("UPDATE note SET title = 'T'");
  EXPECT_EQ(store->stats().rows_stale, 0U);
  EXPECT_EQ(store.Sql("SELECT title, substr(body, 1, 5) FROM note"), "T|typed");
  EXPECT_THAT(Must(store->ReadRow("note", "n1")), HasSubstr("typed while"));
}

}  // namespace
}  // namespace merrow::store
