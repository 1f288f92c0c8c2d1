// SPDX-License-Identifier: Apache-2.0
//
// What capture must survive: triggers of the user's that fire before Merrow's, names that are in
// the way, schema changes that are undone, tables that are built anew, and what the host sees of
// the connection meanwhile. Method: SQL on one or two connections to one file, then rows and
// changes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

class Connection : public CellConnection {
 public:
  explicit Connection(const std::string& path = ":memory:") : CellConnection(path) {}

  /// "" or the message.
  std::string Try(const std::string& sql) {
    const Status status = RunSql(db_, sql);
    return status.ok() ? "" : status.error().message();
  }
  void Run(const std::string& sql) { EXPECT_EQ(Try(sql), "") << sql; }
  void Track(const std::string& table) {
    const Status status = store_->Track(table);
    EXPECT_TRUE(status.ok()) << status.error().message();
  }

  /// As "column@number=value#col_version/cl;" for tables with an INTEGER PRIMARY KEY of one byte.
  std::string Changes(cells::DbVersion after = 0) {
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.after = after;
    std::string text;
    Status status = reader.Start(filter);
    while (status.ok() && !reader.done()) {
      const auto value = reader.value();
      EXPECT_TRUE(value.ok());
      text += (reader.is_sentinel() ? "-1" : reader.column().name) + "@" +
              std::to_string(reader.key().back()) + "=" + cells::Describe(*value) + "#" +
              std::to_string(reader.col_version()) + "/" + std::to_string(reader.cl()) + ";";
      status = reader.Next();
    }
    EXPECT_TRUE(status.ok()) << status.error().message();
    return text;
  }
};

/// A trigger hands all columns, old and new, to functions that take 127 arguments.
TEST(CellCapture, WideTablesAreRecorded) {
  for (const size_t columns : {61U, 62U, 63U, 124U, 125U, 187U, 1990U}) {
    SCOPED_TRACE(std::to_string(columns) + " columns");
    Connection connection;
    std::string list;
    for (size_t i = 0; i < columns; ++i) {
      list += ", c" + std::to_string(i);
    }
    connection.Run("CREATE TABLE wide (id INTEGER PRIMARY KEY NOT NULL" + list + ")");
    connection.Run("CREATE TABLE pair (k NOT NULL, l NOT NULL" + list + ", PRIMARY KEY (k, l))");
    connection.Track("wide");
    connection.Track("pair");
    connection.Run("INSERT INTO wide (id) VALUES (1)");
    connection.Run("INSERT INTO pair (k, l) VALUES (1, 1)");
    cells::DbVersion version = 2;
    for (const size_t column : {size_t{0}, columns / 2, columns - 3, columns - 2, columns - 1}) {
      const std::string name = "c" + std::to_string(column);
      for (const std::string table : {"wide", "pair"}) {
        connection.Run("UPDATE " + table + " SET " + name + " = 5");
        EXPECT_EQ(connection.Changes(version), name + "@1=5#2/1;") << table;
        ++version;
      }
    }
    const std::string last = "c" + std::to_string(columns - 1);
    connection.Run("UPDATE wide SET c0 = 6, " + last + " = 6");
    EXPECT_EQ(connection.Changes(version), "c0@1=6#3/1;" + last + "@1=6#3/1;");
    connection.Run("UPDATE wide SET c0 = 6");
    EXPECT_EQ(connection.Changes(version + 1), "");
    connection.Run("ALTER TABLE wide ADD COLUMN later");
    EXPECT_NE(connection.Try("UPDATE wide SET c0 = 7").find("merrow_track"), std::string::npos);
    connection.Track("wide");
    connection.Run("UPDATE wide SET later = 8");
    EXPECT_EQ(connection.Changes(version + 1), "later@1=8#1/1;");
  }
}

constexpr char kFoo[] = "CREATE TABLE foo (a INTEGER PRIMARY KEY NOT NULL, x, y)";

class CellCaptureTest : public ::testing::Test {
 protected:
  CellCaptureTest() {
    connection_.Run(kFoo);
    connection_.Track("foo");
  }

  Connection connection_;
};

TEST_F(CellCaptureTest, LastInsertRowIdIsTheHosts) {
  connection_.Run("INSERT INTO foo VALUES (7, 1, 1)");
  EXPECT_EQ(sqlite3_last_insert_rowid(connection_.db()), 7);
  EXPECT_EQ(sqlite3_changes(connection_.db()), 1);
  connection_.Run("BEGIN; INSERT INTO foo VALUES (8, 1, 1)");
  EXPECT_EQ(sqlite3_last_insert_rowid(connection_.db()), 8);
  connection_.Changes();
  EXPECT_EQ(sqlite3_last_insert_rowid(connection_.db()), 8);
  connection_.Run("COMMIT");
  EXPECT_EQ(sqlite3_last_insert_rowid(connection_.db()), 8);
  // A transaction that folds, and writes blocks.
  connection_.Run(
      "WITH RECURSIVE c (n) AS (SELECT 20 UNION ALL SELECT n + 1 FROM c WHERE n < 99) INSERT INTO "
      "foo SELECT n, 1, 1 FROM c");
  EXPECT_EQ(sqlite3_last_insert_rowid(connection_.db()), 99);
  EXPECT_EQ(sqlite3_changes(connection_.db()), 80);
}

// A trigger that was made after the table was tracked fires before Merrow's, so what it does to the
// row is reported before what made it fire.
TEST_F(CellCaptureTest, ATriggerTakesTheNewRowAway) {
  connection_.Run(
      "CREATE TRIGGER t AFTER INSERT ON foo WHEN NEW.x = 0 BEGIN DELETE FROM foo WHERE a = NEW.a; "
      "END");
  connection_.Run("INSERT INTO foo VALUES (1, 0, 0)");
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "");
  EXPECT_EQ(connection_.Changes(), "-1@1=NULL#4/4;");
  connection_.Run("INSERT INTO foo VALUES (1, 5, 5)");
  EXPECT_EQ(connection_.Changes(), "-1@1=NULL#5/5;x@1=5#1/5;y@1=5#1/5;");
}

TEST_F(CellCaptureTest, ATriggerBringsTheDeletedRowBack) {
  connection_.Run(
      "CREATE TRIGGER t AFTER DELETE ON foo BEGIN INSERT INTO foo VALUES (OLD.a, 'kept', OLD.y); "
      "END; INSERT INTO foo VALUES (1, 1, 1)");
  connection_.Run("DELETE FROM foo");
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "1 'kept' 1;");
  EXPECT_EQ(connection_.Changes(1), "-1@1=NULL#3/3;x@1='kept'#1/3;y@1=1#1/3;");
}

TEST_F(CellCaptureTest, ATriggerDeletesTheUpdatedRow) {
  connection_.Run(
      "CREATE TRIGGER t AFTER UPDATE ON foo BEGIN DELETE FROM foo WHERE a = NEW.a; END; INSERT "
      "INTO foo VALUES (1, 1, 1)");
  connection_.Run("UPDATE foo SET x = 2");
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "");
  EXPECT_EQ(connection_.Changes(1), "-1@1=NULL#2/2;");
}

TEST_F(CellCaptureTest, ATriggerMovesTheNewRow) {
  connection_.Run(
      "CREATE TRIGGER t AFTER INSERT ON foo BEGIN UPDATE foo SET a = NEW.a + 10 WHERE a = NEW.a; "
      "END");
  connection_.Run("BEGIN; SAVEPOINT s; INSERT INTO foo VALUES (1, 1, 1); ROLLBACK TO s; COMMIT");
  EXPECT_EQ(connection_.Changes(), "");
  connection_.Run("BEGIN; INSERT INTO foo VALUES (1, 1, 1)");
  EXPECT_EQ(connection_.Changes(), "-1@11=NULL#1/1;x@11=1#1/1;y@11=1#1/1;-1@1=NULL#4/4;");
  connection_.Run("COMMIT");
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "11 1 1;");
  EXPECT_EQ(connection_.Changes(), "-1@11=NULL#1/1;x@11=1#1/1;y@11=1#1/1;-1@1=NULL#4/4;");
}

TEST_F(CellCaptureTest, ARenamedTableIsNotAskedUnderItsOldName) {
  connection_.Run(
      "INSERT INTO foo VALUES (1, 1, 1); BEGIN; DELETE FROM foo; INSERT INTO foo VALUES (1, 2, 2); "
      "ALTER TABLE foo RENAME TO bar; COMMIT");
  EXPECT_EQ(connection_.Changes(1), "-1@1=NULL#3/3;x@1=2#1/3;y@1=2#1/3;");
}

TEST_F(CellCaptureTest, ATableOfTheSameNameIsInTheWay) {
  connection_.Run("CREATE TABLE merrow_cell_txn (joined)");
  EXPECT_NE(connection_.Try("INSERT INTO foo VALUES (1, 1, 1)").find("merrow_cell_txn"),
            std::string::npos);
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "");
  connection_.Run("DROP TABLE merrow_cell_txn; INSERT INTO foo VALUES (1, 1, 1)");
  EXPECT_EQ(connection_.Changes(), "x@1=1#1/1;y@1=1#1/1;");
}

TEST_F(CellCaptureTest, ARolledBackAlterIsOver) {
  for (const char* undo : {"ROLLBACK", "ROLLBACK TO s; COMMIT"}) {
    connection_.Run("BEGIN; SAVEPOINT s");
    ASSERT_TRUE(connection_.store().BeginAlter("foo").ok());
    connection_.Run(undo);
  }
  // Committed as it is, too: its triggers are gone, until the table is tracked again.
  connection_.Run("BEGIN");
  ASSERT_TRUE(connection_.store().BeginAlter("foo").ok());
  connection_.Run("COMMIT");
  connection_.Track("foo");
  connection_.Run(
      "BEGIN; INSERT INTO foo VALUES (1, 1, 1); ALTER TABLE foo ADD COLUMN z; UPDATE foo SET z = "
      "5; COMMIT");
  EXPECT_EQ(connection_.Changes(), "x@1=1#1/1;y@1=1#1/1;z@1=5#1/1;");
  connection_.Track("foo");
  // A savepoint that is undone within an alter does not end it.
  ASSERT_TRUE(connection_.store().BeginAlter("foo").ok());
  connection_.Run("SAVEPOINT inner; UPDATE foo SET x = 9; ROLLBACK TO inner; RELEASE inner");
  connection_.Run("ALTER TABLE foo ADD COLUMN w DEFAULT 1");
  ASSERT_TRUE(connection_.store().CommitAlter("foo").ok());
  EXPECT_NE(sqlite3_get_autocommit(connection_.db()), 0);
}

TEST_F(CellCaptureTest, DefaultsInAllSpellings) {
  connection_.Run(
      "CREATE TABLE bar (a INTEGER PRIMARY KEY NOT NULL, x DEFAULT bare, bare DEFAULT \"say "
      "\"\"x\"\"\", t DEFAULT TRUE, n DEFAULT null, e DEFAULT (1 + 1), m DEFAULT -3)");
  connection_.Track("bar");
  ASSERT_TRUE(connection_.store().BeginAlter("bar").ok());
  connection_.Run("INSERT INTO bar (a) VALUES (1); UPDATE bar SET e = 7");
  const Status altered = connection_.store().CommitAlter("bar");
  ASSERT_TRUE(altered.ok()) << altered.error().message();
  ASSERT_TRUE(connection_.store().BeginAlter("bar").ok());
  connection_.Run(
      "ALTER TABLE bar ADD COLUMN p DEFAULT x; ALTER TABLE bar ADD COLUMN q DEFAULT "
      "\"x\"; UPDATE bar SET a = a");
  ASSERT_TRUE(connection_.store().CommitAlter("bar").ok());
  // Neither p nor q was written.
  EXPECT_EQ(connection_.Changes(),
            "x@1='bare'#1/1;bare@1='say \"x\"'#1/1;t@1=1#1/1;n@1=NULL#1/1;e@1=7#1/1;m@1=-3#1/1;");
}

TEST_F(CellCaptureTest, AnUndoneSchemaIsNotRemembered) {
  connection_.Run("INSERT INTO foo VALUES (1, 1, 1); BEGIN; ALTER TABLE foo ADD COLUMN z");
  connection_.Changes();
  connection_.Run("ROLLBACK; ALTER TABLE foo ADD COLUMN w");
  FlatChange change;
  change.table = "foo";
  const Bytes key("\x01\x09\x02", 3);
  change.key = key;
  change.column = "w";
  change.value = cells::ValueView::Integer(4);
  change.col_version = 1;
  connection_.Run("BEGIN");
  const Status applied = connection_.store().Apply(change);
  EXPECT_TRUE(applied.ok()) << applied.error().message();
  connection_.Run("COMMIT");
  EXPECT_EQ(connection_.Query("SELECT a, w FROM foo"), "1 NULL;2 4;");
}

TEST_F(CellCaptureTest, ATableThatIsBuiltAnewKeepsItsClocks) {
  connection_.Run("CREATE TABLE bar (a INTEGER PRIMARY KEY NOT NULL, x)");
  connection_.Track("bar");
  connection_.Run("INSERT INTO foo VALUES (1, 1, 1), (2, 1, 1)");
  connection_.Run("UPDATE foo SET x = 2");
  connection_.Run("UPDATE foo SET x = 3");
  const std::string before = connection_.Changes();
  connection_.Run(
      "CREATE TABLE made (a INTEGER PRIMARY KEY NOT NULL, x, y); INSERT INTO made SELECT * FROM "
      "foo; DROP TABLE foo");
  // Folds while there is no such table.
  connection_.Run(
      "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100) INSERT INTO "
      "bar SELECT n, 1 FROM c");
  connection_.Run("DELETE FROM bar; ALTER TABLE made RENAME TO foo");
  connection_.Track("foo");
  EXPECT_EQ(connection_.Changes().substr(0, before.size()), before);
}

TEST_F(CellCaptureTest, ARefusedStatementLeavesNothing) {
  connection_.Run("INSERT INTO foo VALUES (1, 1, 1), (2, 1, 1)");
  const std::string before = connection_.Query("SELECT a, x, y FROM foo");
  connection_.Run("BEGIN; ALTER TABLE foo ADD COLUMN z");
  EXPECT_NE(connection_.Try("UPDATE foo SET x = 2"), "");
  EXPECT_NE(connection_.Try("UPDATE foo SET x = 2 WHERE a = 2"), "");
  EXPECT_NE(connection_.Try("UPDATE OR FAIL foo SET x = 2"), "");
  connection_.Run("COMMIT");
  EXPECT_EQ(connection_.Query("SELECT a, x, y FROM foo"), before);
}

TEST_F(CellCaptureTest, RowsThatADroppedTableHadAreForgotten) {
  connection_.Run("INSERT INTO foo VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)");
  connection_.Run("DELETE FROM foo WHERE a = 3; DROP TABLE foo");
  connection_.Run(kFoo);
  connection_.Run("INSERT INTO foo VALUES (2, 2, 2), (4, 4, 4)");
  connection_.Track("foo");
  EXPECT_EQ(connection_.Changes(), "x@2=2#1/1;y@2=2#1/1;-1@3=NULL#2/2;x@4=4#1/1;y@4=4#1/1;");
}

TEST_F(CellCaptureTest, AnUndoneMergeDoesNotRaiseTheVersion) {
  connection_.Run("BEGIN; INSERT INTO foo VALUES (1, 1, 1); SAVEPOINT s");
  FlatChange change;
  change.table = "foo";
  const Bytes key("\x01\x09\x02", 3);
  change.key = key;
  change.column = "x";
  change.value = cells::ValueView::Integer(4);
  change.col_version = 1;
  change.db_version = 1000;
  ASSERT_TRUE(connection_.store().Apply(change).ok());
  connection_.Changes();
  connection_.Run("ROLLBACK TO s; COMMIT; INSERT INTO foo VALUES (3, 1, 1)");
  EXPECT_EQ(*connection_.store().DbVersion(), 2);
}

TEST_F(CellCaptureTest, ADamagedLogDoesNotTakeAllMemory) {
  cells::ClockRun run;
  run.count = 1 << 16;
  run.fresh = {2, 0, 1, 0};
  Bytes rows;
  AppendTxClocks(1, false, {run}, rows);
  EXPECT_LT(rows.size(), 20U);
  for (int i = 1; i <= 17; ++i) {
    run.key.number += 1 << 16;
    rows.clear();
    AppendTxClocks(1, false, {run}, rows);
    connection_.Run("INSERT INTO _merrow_tx VALUES (" + std::to_string(i << 20) + ", x'" +
                    ToHex(rows) + "')");
  }
  EXPECT_NE(connection_.Try("INSERT INTO foo VALUES (1, 1, 1)").find("pending"), std::string::npos);
  EXPECT_EQ(connection_.Query("SELECT * FROM foo"), "");
}

TEST(CellCapture, AnotherConnectionsNewSiteIdIsSeen) {
  const std::string path =
      ::testing::TempDir() + "cell_capture_test" + std::to_string(::getpid()) + ".db";
  std::filesystem::remove(path);
  {
    Connection first(path);
    Connection second(path);
    first.Run(kFoo);
    first.Track("foo");
    const auto before = second.store().OwnSite();
    ASSERT_TRUE(before.ok());
    first.Run("UPDATE _merrow_site SET id = randomblob(16) WHERE ordinal = 0");
    const auto after = second.store().OwnSite();
    ASSERT_TRUE(after.ok());
    EXPECT_NE(after->view(), before->view());
    EXPECT_EQ(after->view(), first.store().OwnSite()->view());
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace merrow::store
