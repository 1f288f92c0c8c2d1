// SPDX-License-Identifier: Apache-2.0
//
// What the replica log costs when it is large: no statement of its daily work walks through one of
// its tables, and what a transaction costs does not grow with what waits.
#include <gtest/gtest.h>

#include <set>

#include "store/replica_test_util.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::VersionRanges;

/// Collects the SQL that runs on a connection.
class SqlTrace {
 public:
  explicit SqlTrace(sqlite3* db) : db_(db) { sqlite3_trace_v2(db_, SQLITE_TRACE_STMT, Note, this); }
  ~SqlTrace() { sqlite3_trace_v2(db_, 0, nullptr, nullptr); }
  SqlTrace(const SqlTrace&) = delete;
  SqlTrace& operator=(const SqlTrace&) = delete;

  std::set<std::string> Take() { return std::exchange(sql_, {}); }

 private:
  static int Note(unsigned /*event*/, void* self, void* statement, void* /*text*/) {
    const char* const sql = sqlite3_sql(static_cast<sqlite3_stmt*>(statement));
    static_cast<SqlTrace*>(self)->sql_.insert(sql);
    return 0;
  }

  sqlite3* db_;
  std::set<std::string> sql_;
};

/// Steps of the plans of `statements` that go through all rows of a table that grows with the log.
std::string Walks(ReplicaSite& site, const std::set<std::string>& statements) {
  std::string walks;
  for (const std::string& sql : statements) {
    if (sql.find("_merrow_") == std::string::npos || sql.find("EXPLAIN") == 0) {
      continue;
    }
    CellStatement plan;
    if (!plan.Prepare(site.db(), "EXPLAIN QUERY PLAN " + sql).ok()) {
      continue;  // of more than one statement, or not one that has a plan
    }
    while (*plan.Step()) {
      const std::string step = plan.Text(3);
      for (const char* table :
           {"_merrow_source", "_merrow_waiting", "_merrow_part", "_merrow_tx"}) {
        if (step.find("SCAN") == 0 && step.find(table) != std::string::npos) {
          walks += step + ": " + sql + "\n";
        }
      }
    }
  }
  return walks;
}

TEST(ReplicaCost, NoStatementOfDailyWorkWalksThroughTheLog) {
  ReplicaSite a(
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER, color TEXT)");
  ReplicaSite b, c;
  SqlTrace trace(b.db());
  std::set<std::string> statements;
  for (int i = 0; i < 12; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 2, 'red')");
    b.Write("INSERT INTO edge VALUES ('a', '" + std::to_string(i) + "', 0.5)");
    if (i % 3 == 2) {
      b.PullFrom(a);  // what of it is in a column that b lacks waits
    }
  }
  b.ApplyOne(*a.Read(a.id(), {0, 12}).changesets.at(0));
  a.Write("INSERT INTO item SELECT id + 100, name, size, color FROM item");
  const auto parts = changeset::SplitChangeset(
      *a.Read(a.id(), {a.log().own_version() - 1, a.log().own_version()}).changesets.at(0), 100);
  ASSERT_GT(parts.size(), 2U);
  for (const Changeset& part : parts) {
    b.ApplyOne(part, 7);
  }
  c.PullFrom(b, 100);
  EXPECT_EQ(c.log().seen(), b.log().seen());
  b.Transact([&]() -> Status {
    MERROW_TRY(b.log().ApplyWaiting());
    MERROW_TRY(b.log().Prune());
    return {};
  });
  EXPECT_TRUE(b.log().Proofs(a.id()).ok());
  EXPECT_EQ(Walks(b, trace.Take()), "");
}

TEST(ReplicaCost, TheLogIsAsLargeAsWhatItHoldsNotAsOldAsItIs) {
  ReplicaSite a;
  constexpr int kRows = 100;
  a.Write("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
          std::to_string(kRows) + ") INSERT INTO item SELECT i, 'name', i FROM n");
  uint64_t random = 1;
  int64_t most = 0;
  for (int i = 0; i < 60 * kRows; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    a.Write("UPDATE item SET size = size + 1 WHERE id = 1 + " +
            std::to_string((random >> 33) % kRows));
    while (a.log().HasToPrune()) {
      bool more = true;
      a.Transact([&]() -> Status {
        MERROW_ASSIGN(more, a.log().Prune());
        return {};
      });
      if (!more) {
        break;
      }
    }
    if (i % kRows == 0) {
      most = std::max<int64_t>(most, std::stoll(a.Sql("SELECT count(*) FROM _merrow_tx")));
    }
  }
  // Of each row its last change is needed, and the first transaction.
  EXPECT_LT(most, 6 * kRows);
  a.log().CheckInvariants();
}

}  // namespace
}  // namespace merrow::store
