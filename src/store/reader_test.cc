// SPDX-License-Identifier: Apache-2.0
//
// Read-only SQL: what goes in and out, what is refused, and every limit.

#include "store/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "store/sqlite.h"
#include "store/store_test_util.h"

namespace merrow::store {
namespace {

using ::testing::HasSubstr;

class ReaderTest : public ::testing::Test {
 protected:
  ReaderTest() {
    store.Open();
    Editor editor(1);
    editor.Set("title", "hello");
    store.MustApply("note", "n", editor.Take());
    reader = Must(Reader::Open(store.path(), &clock));
  }

  Result<QuerySummary> Run(std::string_view sql, std::span<const SqlValue> params = {},
                           const QueryLimits& limits = {}) {
    columns.clear();
    rows.clear();
    return reader->Query(sql, params, limits, sink);
  }
  Error MustFail(std::string_view sql, std::span<const SqlValue> params = {},
                 const QueryLimits& limits = {}) {
    const auto result = Run(sql, params, limits);
    EXPECT_FALSE(result.ok()) << sql;
    return result.error();
  }

  StoreFixture store;
  SystemClock clock;
  std::unique_ptr<Reader> reader;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // kind and value of each
  QuerySink sink{[this](std::span<const std::string_view> names) {
                   columns.assign(names.begin(), names.end());
                   return true;
                 },
                 [this](std::span<const SqlValue> values) {
                   auto& row = rows.emplace_back();
                   for (const SqlValue& value : values) {
                     row.push_back(Describe(value));
                   }
                   return true;
                 }};

  static std::string Describe(const SqlValue& value) {
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      return "int " + std::to_string(*integer);
    }
    if (const auto* number = std::get_if<double>(&value)) {
      return "real " + std::to_string(*number);
    }
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      return "text " + std::string(*text);
    }
    if (const auto* blob = std::get_if<SqlBlob>(&value)) {
      return "blob " + ToHex(blob->bytes);
    }
    return std::holds_alternative<SqlNull>(value) ? "null" : "bool";
  }
};

TEST_F(ReaderTest, ValuesGoInAndOut) {
  const SqlValue params[] = {
      SqlNull(),         true, int64_t{-5}, 2.5, std::string_view("a\0b", 3), SqlBlob{"\x01"},
      std::string_view()};
  const auto summary = Run("SELECT ?1 AS a, ?2 b, ?3, ?4, ?5, ?6, ?7;  -- the end", params);
  ASSERT_TRUE(summary.ok()) << summary.error().ToString();
  EXPECT_EQ(summary->rows, 1U);
  EXPECT_EQ(columns[0], "a");
  EXPECT_EQ(columns[1], "b");
  const std::vector<std::string> expected = {
      "null", "int 1", "int -5", "real 2.500000", std::string("text a\0b", 8), "blob 01", "text "};
  EXPECT_EQ(rows.at(0), expected);
}

TEST_F(ReaderTest, SeesWhatIsCommitted) {
  ASSERT_TRUE(Run("SELECT title FROM note").ok());
  EXPECT_EQ(rows.at(0).at(0), "text hello");
  Editor editor(2);
  editor.Set("title", "again");
  store.MustApply("note", "m", editor.Take());
  ASSERT_TRUE(Run("SELECT title FROM note WHERE id = 'm'").ok());
  EXPECT_EQ(rows.at(0).at(0), "text again");
  ASSERT_TRUE(Run("PRAGMA table_info(note)").ok());
  EXPECT_EQ(rows.size(), 8U);
  ASSERT_TRUE(Run("EXPLAIN QUERY PLAN SELECT * FROM note").ok());
}

TEST_F(ReaderTest, RefusesEverythingThatDoesNotOnlyRead) {
  for (const char* sql : {"INSERT INTO plain VALUES (1, 'x')",
                          "UPDATE note SET title = 'x'",
                          "DELETE FROM note",
                          "DELETE FROM _merrow_log",
                          "DROP TABLE note",
                          "CREATE TABLE x (a)",
                          "CREATE TEMP TABLE x (a)",
                          "CREATE TEMP VIEW x AS SELECT 1",
                          "ATTACH ':memory:' AS x",
                          "DETACH main",
                          "PRAGMA query_only = OFF",
                          "PRAGMA writable_schema = ON",
                          "PRAGMA wal_checkpoint(TRUNCATE)",
                          "PRAGMA journal_mode = DELETE",
                          "BEGIN IMMEDIATE",
                          "SAVEPOINT x",
                          "VACUUM",
                          "VACUUM INTO '/tmp/merrow-must-not-exist'",
                          "REINDEX",
                          "ANALYZE",
                          "UPDATE sqlite_master SET sql = ''",
                          "SELECT load_extension('x')",
                          "WITH x AS (SELECT 1) INSERT INTO plain SELECT 1, 2",
                          "SELECT 1; SELECT 2",
                          "SELECT 1; DELETE FROM note",
                          "",
                          "  -- nothing",
                          "nonsense",
                          "SELECT * FROM nowhere"}) {
    EXPECT_EQ(MustFail(sql).code(), ErrorCode::kInvalidArgument) << sql;
  }
  EXPECT_EQ(store.Sql("SELECT title FROM note"), "hello");
}

TEST_F(ReaderTest, ParametersMustFit) {
  const SqlValue two[] = {int64_t{1}, int64_t{2}};
  EXPECT_THAT(MustFail("SELECT ?1", two).message(), HasSubstr("has 1 parameters, but 2"));
  EXPECT_THAT(MustFail("SELECT ?1").message(), HasSubstr("0 were given"));
}

TEST_F(ReaderTest, LimitsStopAQuery) {
  constexpr std::string_view kForever =
      "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM x) SELECT a FROM x";
  QueryLimits limits;
  limits.rows_max = 10;
  EXPECT_EQ(MustFail(kForever, {}, limits).code(), ErrorCode::kLimit);
  EXPECT_EQ(rows.size(), 10U);
  limits = {};
  limits.bytes_max = 80;
  EXPECT_EQ(MustFail(kForever, {}, limits).code(), ErrorCode::kLimit);
  EXPECT_EQ(rows.size(), 10U);
  limits = {};
  limits.rows_max = UINT64_MAX;
  limits.time_ms_max = 20;
  const Error late = MustFail(
      "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM x) "
      "SELECT max(a) FROM x",
      {}, limits);
  EXPECT_EQ(late.code(), ErrorCode::kLimit);
  EXPECT_THAT(late.message(), HasSubstr("time_ms_max"));
  EXPECT_EQ(MustFail("SELECT zeroblob(1000000000)").code(), ErrorCode::kLimit);
  // It works again afterwards.
  EXPECT_TRUE(Run("SELECT 1").ok());
}

TEST(DatabaseTest, ANameThatLooksLikeAUriIsAName) {
  const TempDir directory;
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(directory.File(""));
  {
    const auto database =
        Must(Database::Open("file:a.db?mode=memory", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    Must(database->Execute("CREATE TABLE t (a)"));
  }
  EXPECT_TRUE(std::filesystem::exists("file:a.db?mode=memory"));
  EXPECT_FALSE(std::filesystem::exists("a.db"));
  std::filesystem::current_path(before);
}

TEST_F(ReaderTest, TheReceiverCanStopAndInterrupt) {
  constexpr std::string_view kForever =
      "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM x) SELECT a FROM x";
  int seen = 0;
  sink.row = [&](std::span<const SqlValue>) { return ++seen < 3; };
  EXPECT_EQ(MustFail(kForever).code(), ErrorCode::kCancelled);
  EXPECT_EQ(seen, 3);
  sink.row = [&](std::span<const SqlValue>) {
    reader->Interrupt();
    return true;
  };
  EXPECT_EQ(MustFail(kForever).code(), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace merrow::store
