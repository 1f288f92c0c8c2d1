// SPDX-License-Identifier: Apache-2.0
//
// Pending clocks, blocks and rollback: two connections to one file write, roll back, read in the
// middle and fold at random; a third database executes only what lasted, and folds after every
// transaction. All must have the same clocks and the same changes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

class Site : public CellConnection {
 public:
  explicit Site(const std::string& path) : CellConnection(path) {
    Run("PRAGMA synchronous = OFF");
    Run("CREATE TABLE IF NOT EXISTS n (id INTEGER PRIMARY KEY NOT NULL, a, b); CREATE TABLE IF NOT "
        "EXISTS t (id TEXT PRIMARY KEY NOT NULL, a, b)");
    EXPECT_TRUE(store_->Track("n").ok());
    EXPECT_TRUE(store_->Track("t").ok());
  }

  void Run(const std::string& sql) {
    const Status status = RunSql(db_, sql);
    EXPECT_TRUE(status.ok()) << sql << ": " << status.error().message();
  }

  std::string Clocks() {
    std::string text;
    EXPECT_TRUE(store_->tables().Refresh().ok());
    for (const auto& table : store_->tables().tables()) {
      const Status status = store_->ForEachClock(
          *table, [&](const cells::ClockKey& key, const cells::RowClock& clock) {
            text += table->name + std::to_string(key.number) + ToHex(key.stored) + "=" +
                    ToHex(clock.Encode()) + "\n";
          });
      EXPECT_TRUE(status.ok()) << status.error().message();
    }
    return text;
  }

  std::string Changes(cells::DbVersion after) {
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.after = after;
    std::string text;
    Status status = reader.Start(filter);
    while (status.ok() && !reader.done()) {
      const auto value = reader.value();
      EXPECT_TRUE(value.ok());
      text += reader.table().name + ToHex(reader.key()) + " " +
              (reader.is_sentinel() ? "-1" : reader.column().name) + " " + cells::Describe(*value) +
              " " + std::to_string(reader.col_version()) + " " +
              std::to_string(reader.stamp().db_version) + " " + std::to_string(reader.stamp().seq) +
              " " + std::to_string(reader.cl()) + "\n";
      status = reader.Next();
    }
    EXPECT_TRUE(status.ok()) << status.error().message();
    return text;
  }
};

std::string Uuid(uint64_t number) {
  char text[40];
  std::snprintf(text, sizeof(text), "%08llx-0000-4000-a000-%012llx",
                static_cast<unsigned long long>(number * 2654435761U & 0xFFFFFFFFU),
                static_cast<unsigned long long>(number));
  return text;
}

class Case {
 public:
  explicit Case(uint64_t seed) : random_(seed) {
    path_ = ::testing::TempDir() + "cell_pending_prop_test" + std::to_string(::getpid()) + ".db";
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      std::filesystem::remove(path_ + suffix);
    }
    Open(0);
    if (random_.Below(2) == 0) {
      sites_[0]->Run("PRAGMA journal_mode = WAL");
    }
    Open(1);
    model_ = std::make_unique<Site>(":memory:");
  }
  ~Case() {
    sites_[0].reset();
    sites_[1].reset();
    std::filesystem::remove(path_);
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  void Run() {
    for (int i = 0; i < 25; ++i) {
      const size_t at = random_.Below(2);
      if (random_.Below(12) == 0) {
        Open(at);
      }
      Transaction(*sites_[at]);
      if (random_.Below(3) == 0) {
        Check();
      }
    }
    Check();
    Fold(*sites_[0]);
    Check();
  }

 private:
  void Open(size_t at) {
    sites_[at].reset();
    sites_[at] = std::make_unique<Site>(path_);
  }

  void Fold(Site& site) {
    site.Run("BEGIN");
    const Status folded = site.store().Fold();
    EXPECT_TRUE(folded.ok());
    site.Run(random_.Below(4) == 0 ? "ROLLBACK" : "COMMIT");
  }

  void Check() {
    const std::string clocks = model_->Clocks();
    const cells::DbVersion after = static_cast<cells::DbVersion>(random_.Below(20));
    const std::string changes = model_->Changes(after);
    for (const auto& site : sites_) {
      ASSERT_EQ(site->Clocks(), clocks);
      ASSERT_EQ(site->Changes(after), changes);
    }
    Site fresh(path_);
    ASSERT_EQ(fresh.Clocks(), clocks);
  }

  std::string Statement() {
    const bool number = random_.Below(2) == 0;
    const std::string table = number ? "n" : "t";
    const auto key = [&](uint64_t of) {
      return number ? std::to_string(of) : "'" + Uuid(of) + "'";
    };
    const std::string id = key(random_.Below(60));
    const std::string value = std::to_string(random_.Below(1000));
    switch (random_.Below(9)) {
      case 0:
      case 1:
        return "INSERT OR IGNORE INTO " + table + " VALUES (" + id + ", " + value + ", NULL)";
      case 2:
      case 3:
        return "UPDATE " + table + " SET a = " + value + " WHERE id = " + id;
      case 4:
        return "UPDATE " + table + " SET a = " + value + ", b = a WHERE id > " + id;
      case 5:
        return "DELETE FROM " + table + " WHERE id = " + id;
      case 6:
        return "UPDATE OR IGNORE " + table + " SET id = " + key(random_.Below(60)) +
               " WHERE id = " + id;
      case 7:
        return "INSERT OR REPLACE INTO " + table + " VALUES (" + id + ", 1, " + value + ")";
      default: {
        std::string rows;
        const uint64_t first = random_.Below(40);
        for (uint64_t i = 0; i < 45; ++i) {
          rows += (i == 0 ? "(" : ", (") + key(first + i) + ", 0, " + value + ")";
        }
        return "INSERT OR IGNORE INTO " + table + " VALUES " + rows;
      }
    }
  }

  void Transaction(Site& site) {
    if (random_.Below(10) == 0) {
      Fold(site);
      return;
    }
    std::vector<std::string> lasting;
    struct Savepoint {
      std::string name;
      size_t lasting;
    };
    std::vector<Savepoint> savepoints;
    const bool is_explicit = random_.Below(3) != 0;
    if (is_explicit) {
      site.Run("BEGIN IMMEDIATE");
    }
    for (uint64_t steps = is_explicit ? 1 + random_.Below(8) : 1; steps > 0; --steps) {
      const uint64_t kind = is_explicit ? random_.Below(10) : 9;
      if (kind == 0) {
        savepoints.push_back({"s" + std::to_string(savepoints.size()), lasting.size()});
        site.Run("SAVEPOINT " + savepoints.back().name);
      } else if (kind == 1 && !savepoints.empty()) {
        const size_t at = random_.Below(savepoints.size());
        site.Run("ROLLBACK TO " + savepoints[at].name);
        lasting.resize(savepoints[at].lasting);
        savepoints.resize(at + 1);
      } else if (kind == 2 && !savepoints.empty()) {
        const size_t at = random_.Below(savepoints.size());
        site.Run("RELEASE " + savepoints[at].name);
        savepoints.resize(at);
      } else if (kind == 3) {
        site.Changes(0);
      } else {
        lasting.push_back(Statement());
        site.Run(lasting.back());
      }
    }
    const bool commits = !is_explicit || random_.Below(4) != 0;
    if (is_explicit) {
      site.Run(commits ? "COMMIT" : "ROLLBACK");
    }
    if (!commits) {
      return;
    }
    model_->Run("BEGIN");
    for (const std::string& statement : lasting) {
      model_->Run(statement);
    }
    model_->Run("COMMIT; BEGIN");
    EXPECT_TRUE(model_->store().Fold().ok());
    model_->Run("COMMIT");
  }

  SeededRandom random_;
  std::string path_;
  std::unique_ptr<Site> sites_[2];
  std::unique_ptr<Site> model_;
};

TEST(PendingClocksProp, SurviveRollbackFoldingAndOtherConnections) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Case one(seed);
    one.Run();
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace merrow::store
