// SPDX-License-Identifier: Apache-2.0
//
// Faults in the middle of recording: the same statements run again and again, interrupted at their
// first, second, third ... step, or out of memory at the first, second, third ... allocation, in
// SQLite's or in ours; and commits that are busy. The host goes on as hosts do: it commits what is
// left of the transaction, or rolls it back.
//
// After every run the rows must have clocks and no others; a new connection must see the same
// clocks and changes as this one; and a peer that merges the changes must have the same rows.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"

namespace {

/// Allocations until one fails; off if negative.
long g_new_left = -1;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (g_new_left >= 0 && g_new_left-- == 0) {
    throw std::bad_alloc();
  }
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return g_new_left >= 0 && g_new_left-- == 0 ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace merrow::store {
namespace {

enum class Fault { kInterrupt, kNew, kHeap };

class Site : public CellConnection {
 public:
  explicit Site(const std::string& path) : CellConnection(path) { Run("PRAGMA synchronous = OFF"); }

  bool Try(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  void Run(const std::string& sql) { EXPECT_TRUE(Try(sql)) << sql << ": " << sqlite3_errmsg(db_); }
  void CreateTables() {
    for (const char* table : {"n (id INTEGER", "t (id TEXT"}) {
      Run(std::string("CREATE TABLE ") + table + " PRIMARY KEY NOT NULL, a, b)");
      EXPECT_TRUE(store_->Track(std::string(table, 1)).ok());
    }
  }

  std::string Rows() {
    std::string text;
    for (const char* sql : {"SELECT * FROM n ORDER BY id", "SELECT * FROM t ORDER BY id"}) {
      CellStatement statement;
      EXPECT_TRUE(statement.Prepare(db_, sql).ok());
      while (*statement.Step()) {
        for (int i = 0; i < 3; ++i) {
          text += cells::Describe(statement.Column(i)) + " ";
        }
        text += ";";
      }
    }
    return text;
  }

  std::string Clocks() {
    std::string text;
    const Status refreshed = store_->tables().Refresh();
    EXPECT_TRUE(refreshed.ok()) << refreshed.error().message();
    for (const auto& table : store_->tables().tables()) {
      const Status status = store_->ForEachClock(
          *table, [&](const cells::ClockKey& key, const cells::RowClock& clock) {
            const auto exists = table->HasRow(db_, key);
            EXPECT_TRUE(exists.ok() && *exists == cells::IsAlive(clock.cl()));
            text += table->name + std::to_string(key.number) + ToHex(key.stored) + "=" +
                    ToHex(clock.Encode()) + "\n";
          });
      EXPECT_TRUE(status.ok()) << status.error().message();
    }
    return text;
  }

  /// Merges what is new here into `peer`, a change at a time.
  void SendTo(Site& peer) {
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.after = sent_;
    filter.only_site = 0;
    peer.Run("BEGIN");
    Status status = reader.Start(filter);
    const auto own = store_->OwnSite();
    while (status.ok() && !reader.done()) {
      FlatChange change;
      change.table = reader.table().name;
      change.key = reader.key();
      change.column = reader.is_sentinel() ? kSentinelColumn : reader.column().name;
      const auto value = reader.value();
      ASSERT_TRUE(value.ok());
      change.value = *value;
      change.col_version = reader.col_version();
      change.db_version = reader.stamp().db_version;
      change.site = *own;
      change.cl = reader.cl();
      change.seq = reader.stamp().seq;
      const Status applied = peer.store().Apply(change);
      ASSERT_TRUE(applied.ok()) << applied.error().message();
      sent_ = std::max(sent_, change.db_version);
      status = reader.Next();
    }
    EXPECT_TRUE(status.ok()) << status.error().message();
    peer.Run("COMMIT");
  }

  /// Reads all changes; false if that failed.
  bool Read() {
    CellReader reader(*store_);
    Status status = Guarded([&] { return reader.Start({}); });
    while (status.ok() && !reader.done()) {
      status = Guarded([&]() -> Status {
        MERROW_ASSIGN([[maybe_unused]] const auto value, reader.value());
        return reader.Next();
      });
    }
    return status.ok();
  }

 private:
  template <typename Work>
  static Status Guarded(Work work) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      return IoError("out of memory");
    }
  }

  cells::DbVersion sent_ = 0;
};

/// "READ" and "FOLD" stand for functions of the extension.
const std::vector<std::vector<std::string>> kTransactions = {
    {"INSERT INTO n VALUES (1, 1, 1)"},
    {"UPDATE n SET a = a + 1 WHERE id = 1"},
    {"INSERT INTO t VALUES ('k', 1, 1), ('l', 2, 2)"},
    {"BEGIN", "UPDATE t SET b = b + 1", "SAVEPOINT s", "DELETE FROM n WHERE id = 1", "READ",
     "INSERT OR REPLACE INTO t VALUES ('k', 7, 7)", "ROLLBACK TO s", "UPDATE n SET b = 5",
     "RELEASE s", "COMMIT"},
    {"BEGIN", "FOLD", "UPDATE n SET id = id + 1", "COMMIT"},
    {"WITH RECURSIVE c (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM c WHERE i < 60) INSERT OR "
     "IGNORE INTO n SELECT i, 0, 0 FROM c"},
    {"BEGIN", "DELETE FROM t WHERE id = 'k'", "INSERT INTO t VALUES ('k', 3, 3)", "READ",
     "UPDATE n SET a = 4 WHERE id < 20", "COMMIT"},
    {"DELETE FROM t"},
};

class CellFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Remove();
    Site site(path_);
    site.CreateTables();
  }
  void TearDown() override { Remove(); }
  void Remove() {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      std::filesystem::remove(path_ + suffix);
    }
  }

  static bool Step(Site& site, const std::string& step) {
    if (step == "READ") {
      return site.Read();
    }
    if (step == "FOLD") {
      try {
        return site.store().Fold().ok();
      } catch (const std::bad_alloc&) {
        return false;
      }
    }
    return site.Try(step);
  }

  static void SetFault(sqlite3* db, Fault fault, long at) {
    switch (fault) {
      case Fault::kInterrupt: {
        static long left;
        left = at;
        sqlite3_progress_handler(
            db, 1, [](void*) { return left-- == 0 ? 1 : 0; }, nullptr);
        return;
      }
      case Fault::kNew:
        g_new_left = at;
        return;
      case Fault::kHeap:
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + at * 64);
        return;
    }
  }
  static void ClearFault(sqlite3* db) {
    sqlite3_progress_handler(db, 0, nullptr, nullptr);
    g_new_left = -1;
    sqlite3_hard_heap_limit64(0);
  }

  /// All transactions with one fault each, at the given place. True if any failed.
  bool RunAll(Site& site, Site& peer, Fault fault, long at, bool gives_up) {
    bool any_failed = false;
    for (const std::vector<std::string>& transaction : kTransactions) {
      SetFault(site.db(), fault, at);
      bool failed = false;
      for (const std::string& step : transaction) {
        failed = !Step(site, step) || failed;
      }
      ClearFault(site.db());
      if (sqlite3_get_autocommit(site.db()) == 0) {
        if (gives_up || !site.Try("COMMIT")) {
          site.Try("ROLLBACK");
        }
      }
      any_failed = any_failed || failed;
      Check(site, peer);
    }
    return any_failed;
  }

  void Check(Site& site, Site& peer) {
    const std::string clocks = site.Clocks();
    EXPECT_EQ(Site(path_).Clocks(), clocks);
    site.SendTo(peer);
    EXPECT_EQ(peer.Rows(), site.Rows());
  }

  void RunWith(Fault fault, long places) {
    Site site(path_);
    Site peer(":memory:");
    peer.CreateTables();
    long failures = 0;
    for (long at = 0; at < places && !HasFailure(); ++at) {
      SCOPED_TRACE("fault at " + std::to_string(at));
      failures += RunAll(site, peer, fault, at, at % 3 == 2) ? 1 : 0;
    }
    EXPECT_GT(failures, places / 3);
  }

  const std::string path_ =
      ::testing::TempDir() + "cell_fault_test" + std::to_string(::getpid()) + ".db";
};

TEST_F(CellFaultTest, InterruptsLoseNothing) { RunWith(Fault::kInterrupt, 120); }
TEST_F(CellFaultTest, OurAllocationsFail) { RunWith(Fault::kNew, 60); }
TEST_F(CellFaultTest, SqlitesAllocationsFail) { RunWith(Fault::kHeap, 60); }

TEST_F(CellFaultTest, InterruptsInWalModeLoseNothing) {
  Site(path_).Run("PRAGMA journal_mode = WAL");
  RunWith(Fault::kInterrupt, 40);
}

// In rollback journal mode a reader keeps a commit from happening, after the clocks were written.
TEST_F(CellFaultTest, ABusyCommitCanBeRetriedOrGivenUp) {
  Site site(path_);
  Site peer(":memory:");
  peer.CreateTables();
  Site reader(path_);
  for (const char* end : {"COMMIT", "ROLLBACK"}) {
    reader.Run("BEGIN; SELECT * FROM n");
    EXPECT_FALSE(site.Try("INSERT INTO n VALUES (1, 1, 1)"));
    site.Run(
        "BEGIN; INSERT INTO n VALUES (2, 2, 2); SAVEPOINT s; INSERT INTO t VALUES ('a', 1, 1)");
    EXPECT_FALSE(site.Try("COMMIT"));
    EXPECT_EQ(sqlite3_get_autocommit(site.db()), 0);
    site.Run("UPDATE n SET a = 3 WHERE id = 2; ROLLBACK TO s; INSERT INTO t VALUES ('b', 1, 1)");
    EXPECT_FALSE(site.Try("COMMIT"));
    reader.Run("COMMIT");
    site.Run(end);
    Check(site, peer);
    site.Run("DELETE FROM n; DELETE FROM t");
    Check(site, peer);
  }
}

TEST_F(CellFaultTest, TheJournalModeMayChange) {
  Site site(path_);
  Site peer(":memory:");
  peer.CreateTables();
  for (const char* mode : {"WAL", "DELETE", "WAL", "TRUNCATE", "MEMORY", "PERSIST"}) {
    site.Run(std::string("PRAGMA journal_mode = ") + mode);
    site.Run("INSERT INTO n (a) VALUES (1)");
    site.Run("BEGIN; UPDATE n SET a = a + 1; SAVEPOINT s; DELETE FROM n; ROLLBACK TO s; COMMIT");
    Check(site, peer);
    site.Run("VACUUM");
    Check(site, peer);
  }
}

}  // namespace
}  // namespace merrow::store
