// SPDX-License-Identifier: Apache-2.0
//
// What a schema file says, and every way in which it can be wrong, as a table of SQL and messages.

#include "store/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/create_table.h"

namespace merrow::store {
namespace {

using ::testing::HasSubstr;

TEST(SchemaTest, PicksKindsByDeclaredType) {
  const Result<Schema> schema = Schema::Parse(R"sql(
    CREATE TABLE note (
      id TEXT PRIMARY KEY NOT NULL, -- the key
      "the title" TEXT DEFAULT 'untitled', body crdt_text, votes CRDT_COUNTER,
      tags CRDT_LIST, props CRDT_MAP, cards CRDT_MOVABLE_LIST, outline CRDT_TREE, shout TEXT AS (upper("the title")));
    CREATE INDEX note_title ON note ("the title");
    CREATE TABLE local (a, b);
  )sql");
  ASSERT_TRUE(schema.ok()) << schema.error().ToString();
  ASSERT_EQ(schema->tables().size(), 1U);
  EXPECT_EQ(schema->objects().size(), 3U);
  const Table* const note = schema->Find("note");
  ASSERT_NE(note, nullptr);
  EXPECT_EQ(schema->Find("local"), nullptr);
  EXPECT_EQ(note->key().name, "id");
  ASSERT_EQ(note->columns.size(), 8U);  // not the generated one
  EXPECT_EQ(note->columns[1].name, "the title");
  EXPECT_EQ(note->columns[1].kind, ColumnKind::kScalar);
  EXPECT_EQ(note->columns[1].default_sql, "'untitled'");
  EXPECT_EQ(note->columns[2].kind, ColumnKind::kText);
  EXPECT_EQ(note->columns[2].declared_type, "crdt_text");
  EXPECT_EQ(note->columns[3].kind, ColumnKind::kCounter);
  EXPECT_EQ(note->columns[4].kind, ColumnKind::kList);
  EXPECT_EQ(note->columns[5].kind, ColumnKind::kMap);
  EXPECT_EQ(note->columns[6].kind, ColumnKind::kMovableList);
  EXPECT_EQ(note->columns[7].kind, ColumnKind::kTree);
}

struct BadSchema {
  const char* sql;
  ErrorCode code;
  const char* message;
};

TEST(SchemaTest, RefusesWhatItCannotKeep) {
  constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
  const BadSchema cases[] = {
      {"CREATE TABLE (", kInvalid, "syntax error"},
      {"CREATE TABLE t (body CRDT_TEXT)", kInvalid, "table t has CRDT_ columns"},
      {"CREATE TABLE t (id TEXT PRIMARY KEY, body CRDT_TEXT)", kInvalid,
       "TEXT PRIMARY KEY NOT NULL"},
      {"CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, body CRDT_TEXT)", kInvalid,
       "TEXT PRIMARY KEY NOT NULL"},
      {"CREATE TABLE t (a TEXT NOT NULL, b TEXT NOT NULL, body CRDT_TEXT, PRIMARY KEY (a, b))",
       kInvalid, "it has 2"},
      {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, body CRDT_TEXT)", kInvalid,
       "BINARY"},
      {"CREATE TABLE t (id CRDT_TEXT PRIMARY KEY NOT NULL)", kInvalid, "cannot be the primary key"},
      {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, row CRDT_MAP)", kInvalid, "named row"},
      {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a CRDT_SET)", kInvalid, "no type CRDT_SET"},
      {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, b CRDT_TEXT, c TEXT DEFAULT "
       "CURRENT_TIMESTAMP)",
       kUnsupported, "must be a literal"},
      {"CREATE TABLE u (id INTEGER PRIMARY KEY); CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, "
       "b CRDT_TEXT, u REFERENCES u DEFERRABLE INITIALLY DEFERRED)",
       kUnsupported, "deferred foreign key"},
      {"CREATE TABLE t (a); INSERT INTO t VALUES (1)", kInvalid, "may only CREATE"},
      {"PRAGMA user_version = 7", kInvalid, "may only CREATE"},
      {"ATTACH '/tmp/x' AS x", kInvalid, "may only CREATE"},
      {"CREATE TEMP TABLE t (a)", kInvalid, "may only CREATE"},
      {"CREATE TABLE t (a); DROP TABLE t", kInvalid, "may only CREATE"},
      {"CREATE TABLE _merrow_log (a)", kInvalid, "Merrow's own"},
      {"CREATE TABLE crsql_x (a)", kInvalid, "Merrow's own"},
  };
  for (const BadSchema& bad : cases) {
    const Result<Schema> schema = Schema::Parse(bad.sql);
    ASSERT_FALSE(schema.ok()) << bad.sql;
    EXPECT_EQ(schema.error().code(), bad.code) << schema.error().ToString();
    EXPECT_THAT(schema.error().message(), HasSubstr(bad.message)) << bad.sql;
  }
}

TEST(CreateTableTest, SplitsDefinitionsAndConstraints) {
  const Result<CreateTable> table = CreateTable::Parse(R"sql(
    CREATE TABLE "a, (b" ( -- a comment with ) and ,
      id TEXT PRIMARY KEY NOT NULL,
      [odd name] NUMERIC(10, 2) DEFAULT (1 + 2) CHECK ("odd name" <> ',)'), /* ) */
      "q""q"  crdt_Text,
      UNIQUE (id, "q""q"), CONSTRAINT c CHECK (id <> '')
    ) WITHOUT ROWID;)sql");
  ASSERT_TRUE(table.ok()) << table.error().ToString();
  ASSERT_EQ(table->columns.size(), 3U);
  EXPECT_EQ(table->columns[0].name, "id");
  EXPECT_EQ(table->columns[1].name, "odd name");
  EXPECT_EQ(table->columns[1].text,
            "[odd name] NUMERIC(10, 2) DEFAULT (1 + 2) CHECK (\"odd name\" <> ',)')");
  EXPECT_EQ(table->columns[2].name, "q\"q");
  EXPECT_EQ(table->columns[2].normalized, "\"q\"\"q\" crdt_text");
  EXPECT_EQ(table->constraints.size(), 2U);
  EXPECT_EQ(table->options, "without rowid");
  EXPECT_TRUE(table->HasWord("check"));
  EXPECT_FALSE(table->HasWord("odd"));
}

}  // namespace
}  // namespace merrow::store
