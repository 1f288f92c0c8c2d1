// SPDX-License-Identifier: Apache-2.0
//
// Merging what should not have been sent, into tables that resist: constraints and triggers that
// refuse or ignore, merges inside merges, counters at their ends, very wide and very long rows.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "cells/packed_key.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

class Site : public CellConnection {
 public:
  explicit Site(const std::string& schema, std::string table = "t") : table_(std::move(table)) {
    EXPECT_TRUE(Run(schema).ok());
    const Status tracked = store_->Track(table_);
    EXPECT_TRUE(tracked.ok()) << tracked.error().message();
  }

  CellTable& table() { return *store_->tables().Find(table_); }
  Status Run(const std::string& sql) { return RunSql(db_, sql); }

  /// In the open transaction, or one of its own.
  Status Apply(const FlatChange& change) {
    if (sqlite3_get_autocommit(db_) == 0) {
      return store_->Apply(change);
    }
    MERROW_TRY(Run("BEGIN"));
    const Status applied = store_->Apply(change);
    if (sqlite3_get_autocommit(db_) == 0) {
      MERROW_TRY(Run(applied.ok() ? "COMMIT" : "ROLLBACK"));
    }
    return applied;
  }

  /// The change of column `column` of row `key`, by some site.
  FlatChange Change(int64_t key, std::string_view column, const cells::ValueView& value) {
    const cells::ValueView number = cells::ValueView::Integer(key);
    FlatChange change;
    change.table = table_;
    change.key = keys_.emplace_back(cells::PackColumns({&number, 1}));
    change.column = column;
    change.value = value;
    change.col_version = 1;
    change.db_version = 1;
    change.site.emplace().bytes.fill(7);
    return change;
  }

  std::string Clocks() {
    std::string text;
    const Status status = store_->ForEachClock(
        table(), [&](const cells::ClockKey& key, const cells::RowClock& clock) {
          text += std::to_string(key.number) + (key.stored.empty() ? "" : ToHex(key.stored)) +
                  " cl " + std::to_string(clock.cl());
          for (const cells::CellClock& cell : clock.cells()) {
            text += " " + std::to_string(cell.column) + ":" + std::to_string(cell.col_version);
          }
          text += ";";
        });
    EXPECT_TRUE(status.ok()) << status.error().message();
    return text;
  }

 private:
  std::string table_;
  std::deque<Bytes> keys_;
};

const cells::ValueView kOne = cells::ValueView::Integer(1);

/// A row that is refused silently would have clocks without being there.
TEST(CellApply, AConflictClauseOfTheTableDoesNotHideARefusal) {
  Site site(
      "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT IGNORE NOT NULL, v NOT NULL ON CONFLICT "
      "IGNORE DEFAULT 0, w)");
  const Status refused = site.Apply(site.Change(1, "v", cells::ValueView::Null()));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(site.Apply(site.Change(2, "v", kOne)).ok());
  ASSERT_TRUE(site.Apply(site.Change(2, "w", kOne)).ok());
  EXPECT_EQ(site.Query("SELECT * FROM t"), "2 1 1;");
  EXPECT_EQ(site.Clocks(), "2 cl 1 0:1 1:1;");
}

/// A merge in a trigger of a merge would use the statements that are running.
TEST(CellApply, AMergeWithinAMergeIsRefused) {
  Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v TEXT, w)");
  const auto merge = [](sqlite3_context* context, int, sqlite3_value**) {
    Site& inner = *static_cast<Site*>(sqlite3_user_data(context));
    const Status merged = inner.store().Apply(inner.Change(2, "v", kOne));
    sqlite3_result_text(context, merged.ok() ? "merged" : merged.error().message().c_str(), -1,
                        SQLITE_TRANSIENT);
  };
  ASSERT_EQ(
      sqlite3_create_function(site.db(), "merge", 0, SQLITE_UTF8, &site, merge, nullptr, nullptr),
      SQLITE_OK);
  ASSERT_TRUE(site.Run("CREATE TABLE log (said); CREATE TRIGGER again AFTER INSERT ON t BEGIN "
                       "INSERT INTO log SELECT merge(); END")
                  .ok());
  ASSERT_TRUE(site.Apply(site.Change(1, "v", cells::ValueView::Integer(12345))).ok());
  EXPECT_EQ(site.Query("SELECT * FROM t"), "1 '12345' NULL;");
  EXPECT_EQ(site.Query("SELECT * FROM log"), "'a merge cannot be part of another one';");
  // In a trigger of an ordinary write it can.
  ASSERT_TRUE(site.Run("INSERT INTO t VALUES (5, 'x', 'y')").ok());
  EXPECT_EQ(site.Query("SELECT id, v FROM t"), "1 '12345';2 '1';5 'x';");
}

TEST(CellApply, ATriggerThatRaisesRefusesTheRow) {
  for (const char* raise : {"ABORT", "ROLLBACK"}) {
    SCOPED_TRACE(raise);
    Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v, w)");
    ASSERT_TRUE(site.Run(std::string("CREATE TRIGGER no AFTER INSERT ON t WHEN NEW.id = 2 BEGIN "
                                     "SELECT RAISE(") +
                         raise + ", 'no twos'); END")
                    .ok());
    ASSERT_TRUE(site.Run("INSERT INTO t VALUES (9, 9, 9); BEGIN").ok());
    ASSERT_TRUE(site.Apply(site.Change(1, "v", kOne)).ok());
    const Status refused = site.Apply(site.Change(2, "v", kOne));
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message().find("no twos"), std::string::npos);
    const bool goes_on = sqlite3_get_autocommit(site.db()) == 0;
    ASSERT_TRUE(site.Apply(site.Change(3, "v", kOne)).ok());
    ASSERT_TRUE(site.Run(goes_on ? "COMMIT" : "SELECT 1").ok());
    EXPECT_EQ(site.Query("SELECT id FROM t"), goes_on ? "1;3;9;" : "3;9;");
    EXPECT_EQ(site.Clocks(),
              goes_on ? "1 cl 1 0:1;3 cl 1 0:1;9 cl 1 0:1 1:1;" : "3 cl 1 0:1;9 cl 1 0:1 1:1;");
  }
}

/// Who sends the largest version has the last word on that cell, but on nothing else.
TEST(CellApply, CountersAtTheirEndsStaySmall) {
  Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v, w)");
  FlatChange last = site.Change(1, "v", kOne);
  last.col_version = cells::kCounterMax;
  last.seq = cells::kCounterMax;
  ASSERT_TRUE(site.Apply(last).ok());
  FlatChange buried = site.Change(2, kSentinelColumn, cells::ValueView::Null());
  buried.cl = cells::kCounterMax;
  buried.col_version = cells::kCounterMax;
  ASSERT_TRUE(site.Apply(buried).ok());
  for (const char* write :
       {"UPDATE t SET v = 2", "INSERT INTO t VALUES (2, 2, 2)", "UPDATE t SET id = 2"}) {
    SCOPED_TRACE(write);
    const Status written = site.Run(write);
    ASSERT_FALSE(written.ok());
    EXPECT_NE(written.error().message().find("table t"), std::string::npos)
        << written.error().message();
  }
  ASSERT_TRUE(site.Run("UPDATE t SET w = 3; INSERT INTO t VALUES (3, 3, 3)").ok());
  EXPECT_EQ(site.Query("SELECT * FROM t"), "1 1 3;3 3 3;");
  EXPECT_EQ(site.Clocks(), "1 cl 1 0:9007199254740992 1:1;2 cl 9007199254740992;3 cl 1 0:1 1:1;");
}

/// No db_version that others send leaves this site without versions of its own.
TEST(CellApply, AVeryLateVersionLeavesRoomForMore) {
  Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v, w)");
  FlatChange late = site.Change(1, "v", kOne);
  late.db_version = cells::kDbVersionMax - 1;
  EXPECT_FALSE(site.Apply(late).ok());
  late.db_version = cells::kDbVersionMax / 2;
  ASSERT_TRUE(site.Apply(late).ok());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(site.Run("UPDATE t SET v = v + 1").ok());
  }
  EXPECT_EQ(*site.store().DbVersion(), cells::kDbVersionMax / 2 + 5);
  CellReader reader(site.store());
  ChangeFilter filter;
  filter.after = std::numeric_limits<cells::DbVersion>::max();
  ASSERT_TRUE(reader.Start(filter).ok());
  EXPECT_TRUE(reader.done());
}

/// Each set of columns that wins needs a statement; there are more sets than memory.
TEST(CellApply, StatementsAreKeptWithinBounds) {
  std::string schema = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL";
  cells::Transaction transaction;
  transaction.site.bytes.fill(7);
  transaction.version = 1;
  transaction.authors = {transaction.site};
  cells::ChangedTable& table = transaction.tables.emplace_back();
  table.name = "t";
  constexpr uint32_t kColumns = 10;
  for (uint32_t i = 0; i < kColumns; ++i) {
    table.columns.push_back("c" + std::to_string(i));
    schema += ", " + table.columns.back();
  }
  Site site(schema + ")");
  for (uint32_t set = 1; set < 1U << kColumns; ++set) {
    const cells::ValueView number = cells::ValueView::Integer(set);
    cells::RowChange& row = transaction.rows.emplace_back();
    row.key = cells::PackColumns({&number, 1});
    for (uint32_t i = 0; i < kColumns; ++i) {
      if ((set >> i & 1) != 0) {
        row.cells.push_back(
            {i, 1, cells::Value::Integer(set + i), {1, static_cast<cells::Seq>(i), 0}});
      }
    }
  }
  ASSERT_TRUE(site.Run("BEGIN").ok());
  ASSERT_TRUE(site.store().ApplyTransaction(transaction).ok());
  ASSERT_TRUE(site.Run("COMMIT").ok());
  EXPECT_EQ(site.Query("SELECT count(*), sum(c0), sum(c9) FROM t"), "1023 262144 397568;");
  EXPECT_LE(site.table().write_cells.by_columns.size(), 100U);
}

TEST(CellApply, WideAndLongRows) {
  std::string schema = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL";
  constexpr int kColumns = 60;
  for (int i = 0; i < kColumns; ++i) {
    schema += ", c" + std::to_string(i);
  }
  schema += ")";
  Site site(schema);
  const Bytes long_blob(1 << 20, '\x05');
  cells::Transaction transaction;
  transaction.site.bytes.fill(7);
  transaction.version = 3;
  transaction.authors = {transaction.site};
  cells::ChangedTable& table = transaction.tables.emplace_back();
  table.name = "t";
  const cells::ValueView key = cells::ValueView::Integer(std::numeric_limits<int64_t>::min());
  cells::RowChange& row = transaction.rows.emplace_back();
  row.key = cells::PackColumns({&key, 1});
  for (uint32_t i = 0; i < kColumns; ++i) {
    table.columns.push_back("c" + std::to_string(i));
    row.cells.push_back(
        {i, 1, i == 7 ? cells::Value::Blob(long_blob) : cells::Value::Integer(i), {3, i, 0}});
  }
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(site.Run("BEGIN").ok());
    const Status applied = site.store().ApplyTransaction(transaction);
    ASSERT_TRUE(applied.ok()) << applied.error().message();
    ASSERT_TRUE(site.Run("COMMIT").ok());
  }
  EXPECT_EQ(site.Query("SELECT id, c0, c59, length(c7) FROM t"),
            "-9223372036854775808 0 59 1048576;");
  CellReader reader(site.store());
  ASSERT_TRUE(reader.Start({}).ok());
  int count = 0;
  for (; !reader.done(); ++count) {
    ASSERT_TRUE(reader.Next().ok());
  }
  EXPECT_EQ(count, kColumns);
}

/// Enough rows that they are written without triggers, if those are Merrow's alone.
cells::Transaction ManyRows() {
  cells::Transaction transaction;
  transaction.site.bytes.fill(7);
  transaction.version = 1;
  transaction.authors = {transaction.site};
  transaction.tables = {{"t", {"v"}}};
  for (int64_t i = 0; i < 1000; ++i) {
    const cells::ValueView number = cells::ValueView::Integer(i * 7919 % 1000);
    cells::RowChange& row = transaction.rows.emplace_back();
    row.key = cells::PackColumns({&number, 1});
    row.cells.push_back({0, 1, cells::Value::Integer(i), {1, i, 0}});
  }
  return transaction;
}

TEST(CellApply, TriggersAreLeftOutOnlyIfNobodyMissesThem) {
  for (const char* kind : {"", "CREATE TRIGGER", "CREATE TEMP TRIGGER"}) {
    SCOPED_TRACE(kind);
    Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v); CREATE TABLE log (id)");
    const bool has_trigger = kind[0] != '\0';
    if (has_trigger) {
      ASSERT_TRUE(site.Run(std::string(kind) +
                           " log_it AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.id); END")
                      .ok());
    }
    CellStatement insert;
    ASSERT_TRUE(insert.Prepare(site.db(), "INSERT INTO t VALUES (?1, 'here')").ok());
    insert.BindInt(1, -1);
    ASSERT_TRUE(insert.Run().ok());
    ASSERT_TRUE(site.Run("BEGIN").ok());
    ASSERT_TRUE(site.store().ApplyTransaction(ManyRows()).ok());
    ASSERT_TRUE(site.Run("COMMIT").ok());
    // What was prepared before the merge, and what is after it, is recorded.
    insert.Reset();
    insert.BindInt(1, -2);
    ASSERT_TRUE(insert.Run().ok());
    ASSERT_TRUE(site.Run("INSERT INTO t VALUES (-3, 'here')").ok());
    EXPECT_EQ(site.Query("SELECT count(*) FROM log"), has_trigger ? "1003;" : "0;");
    EXPECT_EQ(site.Clocks().substr(0, 42), "-3 cl 1 0:1;-2 cl 1 0:1;-1 cl 1 0:1;0 cl 1");
    EXPECT_EQ(site.Query("SELECT count(*), sum(v) FROM t WHERE id >= 0"), "1000 499500;");
  }
}

/// Rows of `keys`, every second with one column only, some deleted; `round` makes them newer.
cells::Transaction TextRows(int round, const std::function<std::string(int)>& key_of) {
  cells::Transaction transaction;
  transaction.site.bytes.fill(7);
  transaction.version = round;
  transaction.authors = {transaction.site};
  transaction.tables = {{"t", {"w", "v"}}};
  for (int i = 0; i < 1500; ++i) {
    const std::string key = key_of((i * 7919 + round * 300) % 2000);
    const cells::ValueView text = cells::ValueView::Text(key);
    cells::RowChange& row = transaction.rows.emplace_back();
    row.key = cells::PackColumns({&text, 1});
    const cells::ChangeClock clock{round, i, 0};
    if ((i + round) % 11 == 0) {
      row.cl = 2;
      row.sentinel = clock;
      continue;
    }
    row.cells.push_back({1, round, cells::Value::Integer(i), clock});
    if (i % 2 == 0) {
      row.cells.push_back({0, round, cells::Value::Text(key), clock});
    }
  }
  return transaction;
}

/// With and without triggers, by walking through the key's index or not, the same comes out.
TEST(CellApply, LargeMergesAreWrittenLikeSmallOnes) {
  const auto any_length = [](int i) { return std::to_string(i * i) + (i % 3 == 0 ? "k" : ""); };
  const auto one_length = [](int i) { return std::to_string(100000 + i); };
  const auto uuid = [](int i) {
    char text[40];
    std::snprintf(text, sizeof(text), "%08x-0000-4000-a000-000000000000",
                  static_cast<unsigned>(i) * 2654435761U);
    return std::string(text);
  };
  const std::function<std::string(int)> keys[] = {any_length, one_length, uuid};
  for (const char* schema :
       {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v, w)",
        "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v, w) WITHOUT ROWID",
        "CREATE TABLE t (id PRIMARY KEY NOT NULL, rowid INTEGER AS (5), _rowid_, v, w)",
        "CREATE TABLE t (id INT PRIMARY KEY NOT NULL, oid, rowid, _rowid_, v, w)"}) {
    for (const auto& key_of : keys) {
      SCOPED_TRACE(schema + std::string(" ") + key_of(77));
      Site fast(schema);
      Site slow(schema);
      ASSERT_TRUE(slow.Run("CREATE TRIGGER slow AFTER INSERT ON t BEGIN SELECT 1; END").ok());
      for (Site* site : {&fast, &slow}) {
        ASSERT_TRUE(site->Run("INSERT INTO t (id, v) VALUES (5, 'five'), ('100700', 'here'), "
                              "(x'31', 'blob'), ('zz', 'last'), (-1.5, 'number')")
                        .ok());
        for (int round = 1; round <= 3; ++round) {
          ASSERT_TRUE(site->Run("BEGIN").ok());
          const Status applied = site->store().ApplyTransaction(TextRows(round, key_of));
          ASSERT_TRUE(applied.ok()) << applied.error().message();
          ASSERT_TRUE(site->Run("COMMIT; UPDATE t SET w = 0 WHERE id > '8'").ok());
        }
      }
      const std::string rows = "SELECT * FROM t ORDER BY id";
      EXPECT_EQ(fast.Query(rows), slow.Query(rows));
      EXPECT_EQ(fast.Clocks(), slow.Clocks());
      EXPECT_EQ(fast.Query("PRAGMA integrity_check"), "'ok';");
    }
  }
}

/// Leaving out triggers has SQLite prepare its statements again, which one that runs cannot survive
/// if it goes on to open a table.
TEST(CellApply, StatementsThatRunDuringAMergeGoOn) {
  Site site("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v)");
  const auto merge = [](sqlite3_context* context, int, sqlite3_value**) {
    Site& inner = *static_cast<Site*>(sqlite3_user_data(context));
    const Status merged = inner.store().ApplyTransaction(ManyRows());
    sqlite3_result_text(context, merged.ok() ? "merged" : merged.error().message().c_str(), -1,
                        SQLITE_TRANSIENT);
  };
  ASSERT_EQ(
      sqlite3_create_function(site.db(), "merge", 0, SQLITE_UTF8, &site, merge, nullptr, nullptr),
      SQLITE_OK);
  ASSERT_TRUE(site.Run("BEGIN").ok());
  EXPECT_EQ(site.Query("SELECT merge() UNION ALL SELECT count(*) FROM t"), "'merged';1000;");
  EXPECT_EQ(site.Query("SELECT merge()"), "'merged';");
  ASSERT_TRUE(site.Run("COMMIT").ok());
}

}  // namespace
}  // namespace merrow::store
