// SPDX-License-Identifier: Apache-2.0
//
// Column rows on the linked SQLite: what the SQL text tests cannot say, because it is C++ (whole
// transactions) or takes several connections.
#include "store/cell_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "cells/packed_key.h"
#include "store/cell_reader.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

constexpr char kSchema[] = "CREATE TABLE IF NOT EXISTS foo (a INTEGER PRIMARY KEY NOT NULL, x, y)";

class Connection : public CellConnection {
 public:
  explicit Connection(const std::string& path = ":memory:") : CellConnection(path) {
    EXPECT_TRUE(RunSql(db_, kSchema).ok());
    EXPECT_TRUE(store_->Track("foo").ok());
  }

  Status Run(const std::string& sql) { return RunSql(db_, sql); }

  /// All rows of foo, as "a x y;".
  std::string Rows() {
    std::string text;
    CellStatement statement;
    EXPECT_TRUE(statement.Prepare(db_, "SELECT * FROM foo ORDER BY a").ok());
    while (*statement.Step()) {
      for (int i = 0; i < 3; ++i) {
        text += (i == 0 ? "" : " ") + cells::Describe(statement.Column(i));
      }
      text += ";";
    }
    return text;
  }

  int CountChanges(cells::DbVersion after) {
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.after = after;
    EXPECT_TRUE(reader.Start(filter).ok());
    int count = 0;
    while (!reader.done()) {
      ++count;
      EXPECT_TRUE(reader.Next().ok());
    }
    return count;
  }

  /// In a transaction of its own.
  Status Apply(const cells::Transaction& transaction) {
    MERROW_TRY(Run("BEGIN"));
    Status applied = store_->ApplyTransaction(transaction);
    MERROW_TRY(Run(applied.ok() ? "COMMIT" : "ROLLBACK"));
    return applied;
  }
};

Bytes KeyOf(int64_t number) {
  const cells::ValueView value = cells::ValueView::Integer(number);
  return cells::PackColumns({&value, 1});
}

/// A transaction of some site that inserts row 1 and deletes row 2.
cells::Transaction Example(cells::DbVersion version) {
  cells::Transaction transaction;
  transaction.site.bytes.fill(7);
  transaction.version = version;
  transaction.authors = {transaction.site};
  transaction.tables = {{"foo", {"y", "x"}}};
  cells::RowChange insert;
  insert.key = KeyOf(1);
  insert.cells = {{1, 1, cells::Value::Text("x"), {version, 0, 0}},
                  {0, 1, cells::Value::Integer(5), {version, 1, 0}}};
  cells::RowChange remove;
  remove.key = KeyOf(2);
  remove.cl = 2;
  remove.sentinel = cells::ChangeClock{version, 2, 0};
  transaction.rows = {insert, remove};
  return transaction;
}

TEST(CellStore, MergesWholeTransactions) {
  Connection connection;
  ASSERT_TRUE(connection.Run("INSERT INTO foo VALUES (2, 'gone', NULL), (3, 'stays', NULL)").ok());
  ASSERT_TRUE(connection.Apply(Example(9)).ok());
  EXPECT_EQ(connection.Rows(), "1 'x' 5;3 'stays' NULL;");
  EXPECT_EQ(*connection.store().DbVersion(), 9);
  EXPECT_EQ(connection.CountChanges(1), 3);
  // Again: nothing.
  ASSERT_TRUE(connection.Apply(Example(9)).ok());
  EXPECT_EQ(*connection.store().DbVersion(), 9);
}

TEST(CellStore, RefusesATransactionWhole) {
  Connection connection;
  cells::Transaction transaction = Example(9);
  transaction.tables[0].columns[0] = "nothing";
  const Status unknown = connection.Apply(transaction);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(unknown.error().message(), "table foo: it has no column nothing");
  transaction = Example(9);
  transaction.rows[1].cells = transaction.rows[0].cells;
  EXPECT_FALSE(connection.Apply(transaction).ok());
  EXPECT_EQ(connection.Rows(), "");
  EXPECT_EQ(connection.CountChanges(0), 0);
  EXPECT_EQ(*connection.store().DbVersion(), 0);
}

TEST(CellStore, ConnectionsToOneFileCountTogether) {
  const std::string path =
      ::testing::TempDir() + "cell_store_test" + std::to_string(::getpid()) + ".db";
  std::filesystem::remove(path);
  {
    Connection first(path);
    Connection second(path);
    ASSERT_TRUE(first.Run("INSERT INTO foo VALUES (1, 1, 1)").ok());
    ASSERT_TRUE(second.Run("INSERT INTO foo VALUES (2, 1, 1)").ok());
    EXPECT_EQ(*first.store().DbVersion(), 2);
    ASSERT_TRUE(first.Apply(Example(5)).ok());
    // The second connection has not seen the site yet, nor the clocks that name it.
    cells::Transaction other = Example(6);
    other.site.bytes.fill(9);
    other.authors = {other.site};
    other.rows.pop_back();
    ASSERT_TRUE(second.Apply(other).ok());
    EXPECT_EQ(first.Rows(), second.Rows());
    EXPECT_EQ(first.CountChanges(0), second.CountChanges(0));
    // A column that one adds is known to the other.
    ASSERT_TRUE(first.Run("ALTER TABLE foo ADD COLUMN z").ok());
    ASSERT_TRUE(first.store().Track("foo").ok());
    ASSERT_TRUE(second.Run("UPDATE foo SET z = 1 WHERE a = 1").ok());
    EXPECT_EQ(first.CountChanges(6), 1);
  }
  std::filesystem::remove(path);
}

TEST(CellStore, ARolledBackCommitLeavesNothing) {
  Connection connection;
  ASSERT_TRUE(connection
                  .Run("CREATE TABLE parent (p INTEGER PRIMARY KEY); CREATE TABLE child (c "
                       "REFERENCES parent (p) DEFERRABLE INITIALLY DEFERRED); PRAGMA "
                       "foreign_keys = ON")
                  .ok());
  ASSERT_TRUE(
      connection.Run("BEGIN; INSERT INTO foo VALUES (1, 1, 1); INSERT INTO child VALUES (5)").ok());
  EXPECT_FALSE(connection.Run("COMMIT").ok());
  EXPECT_EQ(*connection.store().DbVersion(), 0);
  ASSERT_TRUE(connection.Run("DELETE FROM child; INSERT INTO foo VALUES (2, 2, 2); COMMIT").ok());
  EXPECT_EQ(*connection.store().DbVersion(), 1);
  EXPECT_EQ(connection.CountChanges(0), 4);
}

}  // namespace
}  // namespace merrow::store
