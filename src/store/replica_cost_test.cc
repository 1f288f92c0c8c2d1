// SPDX-License-Identifier: Apache-2.0
//
// What the replica log costs when it is large: no statement of its daily work walks through one of
// its tables, and what a transaction costs does not grow with what waits.
#include <gtest/gtest.h>

#include <functional>
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

/// What a connection does, in steps of SQLite's machine, about.
int64_t StepsOf(sqlite3* db, const std::function<void()>& work) {
  constexpr int kOps = 1;
  int64_t calls = 0;
  const auto count = [](void* calls_of) {
    ++*static_cast<int64_t*>(calls_of);
    return 0;
  };
  sqlite3_progress_handler(db, kOps, count, &calls);
  work();
  sqlite3_progress_handler(db, 0, nullptr, nullptr);
  return calls * kOps;
}

TEST(ReplicaCost, APartCostsTheSameHoweverManyThereAre) {
  ReplicaSite a, b;
  Changeset part;
  part.cells.site = a.id();
  part.cells.authors = {a.id()};
  part.cells.version = 1;
  part.parts = 4000;
  const auto apply = [&](uint32_t from, uint32_t until) {
    std::vector<IncomingChangeset> parts;
    for (part.part = from; part.part < until; ++part.part) {
      parts.push_back({std::make_shared<const Changeset>(part), 7});
    }
    return StepsOf(b.db(), [&] {
      b.Transact([&]() -> Status {
        MERROW_ASSIGN(const auto outcomes, b.log().Apply(parts));
        EXPECT_EQ(outcomes.back().fate, ReplicaFate::kBuffered);
        return {};
      });
    });
  };
  const int64_t at_first = apply(0, 500);
  apply(500, 3000);
  EXPECT_LT(apply(3000, 3500), 2 * at_first);
  // Nor does what else is published by the same site.
  a.Write("INSERT INTO item VALUES (1, 'x', 2)");
  a.Write("INSERT INTO item VALUES (2, 'x', 2)");
  const ReplicaPage page = a.Read(a.id(), {1, 2});
  EXPECT_LT(StepsOf(b.db(), [&] { b.Apply(page.changesets); }), 2000);
  b.log().CheckInvariants();
}

TEST(ReplicaCost, ALiarsPartsAreBounded) {
  ReplicaLimits limits;
  limits.part_bytes_max = 10'000;
  ReplicaSite a;
  ReplicaSite b(kReplicaSchema, ":memory:", limits);
  Changeset part;
  part.cells.site = a.id();
  part.cells.authors = {a.id()};
  part.cells.version = 1;
  part.parts = 1000;
  // Of one whole, without end.
  ReplicaOutcome outcome;
  for (part.part = 0; part.part < 200; ++part.part) {
    outcome = b.ApplyOne(part, 7);
    if (outcome.fate != ReplicaFate::kBuffered) {
      break;
    }
  }
  EXPECT_EQ(outcome.fate, ReplicaFate::kRefused);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.error->code(), ErrorCode::kLimit);
  EXPECT_EQ(b.Sql("SELECT count(*) FROM _merrow_part"), "0\n");
  b.log().CheckInvariants();
  // Of ever more wholes.
  part.part = 0;
  for (uint64_t whole = 0; whole < 200; ++whole) {
    EXPECT_EQ(b.ApplyOne(part, whole).fate, ReplicaFate::kBuffered);
  }
  EXPECT_EQ(b.Sql("SELECT count(*) < 80, max(whole) FROM _merrow_part"), "1|199\n");
  b.log().CheckInvariants();
}

}  // namespace
}  // namespace merrow::store
