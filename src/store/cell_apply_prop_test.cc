// SPDX-License-Identifier: Apache-2.0
//
// What a merge keeps of a row for the changes of it that follow must not be seen. Two sites do the
// same at random: changes of few rows, many of them ties, with writes, savepoints, reads and
// commits between them. One is disturbed before each change by one of another row, which is known
// already, so that it has nothing of the row at hand. Rows and clocks must be the same.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "cells/packed_key.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

constexpr int kRows = 3;
constexpr std::array<const char*, 3> kColumns = {"v", "w", "x"};

class Site : public CellConnection {
 public:
  Site() {
    for (const char* table : {"number", "text"}) {
      const std::string type = table == std::string("number") ? "INTEGER" : "TEXT";
      Run(std::string("CREATE TABLE ") + table + " (id " + type +
          " PRIMARY KEY NOT NULL, v TEXT, w NOT NULL DEFAULT 0, x)");
      EXPECT_TRUE(store_->Track(table).ok());
    }
    Run("UPDATE _merrow_site SET id = zeroblob(15) || x'05'");
    store_->Forget();
  }

  void Run(const std::string& sql) {
    const Status status = RunSql(db_, sql);
    EXPECT_TRUE(status.ok()) << sql << ": " << status.error().message();
  }

  std::string Clocks(const char* table) {
    EXPECT_TRUE(store_->tables().Refresh().ok());  // a rollback makes it look again
    std::string text;
    const Status status =
        store_->ForEachClock(*store_->tables().Find(table),
                             [&](const cells::ClockKey& key, const cells::RowClock& clock) {
                               text += std::to_string(key.number) + ToHex(key.stored) + " " +
                                       ToHex(clock.Encode()) + ";";
                             });
    EXPECT_TRUE(status.ok()) << status.error().message();
    return text;
  }

  std::string State() {
    return Query("SELECT * FROM number ORDER BY id") + Query("SELECT * FROM text ORDER BY id") +
           Clocks("number") + Clocks("text");
  }
};

Bytes KeyOf(const std::string& table, uint64_t row) {
  const std::string text = "row " + std::to_string(row);
  const cells::ValueView key = table == "number"
                                   ? cells::ValueView::Integer(static_cast<int64_t>(row))
                                   : cells::ValueView::Text(text);
  return cells::PackColumns({&key, 1});
}

class Case {
 public:
  explicit Case(uint64_t seed) : random_(seed) {
    for (Site* site : {&plain_, &disturbed_}) {
      site->Run("BEGIN");
      Disturb(*site);  // from now on it is known
    }
  }

  void Run() {
    for (int step = 0; step < 200 && !::testing::Test::HasFailure(); ++step) {
      switch (random_.Below(16)) {
        case 0:
          Both("COMMIT; BEGIN");
          savepoints_ = 0;
          break;
        case 1:
          Both("SAVEPOINT s");
          ++savepoints_;
          break;
        case 2:
          if (savepoints_ > 0) {
            Both("ROLLBACK TO s");
          }
          break;
        case 3:
          if (savepoints_ > 0) {
            --savepoints_;
            Both("RELEASE s");
          }
          break;
        case 4:
          EXPECT_EQ(plain_.State(), disturbed_.State());  // flushes
          break;
        case 5:
          Write();
          break;
        default:
          Apply();
      }
    }
    EXPECT_EQ(plain_.State(), disturbed_.State());
    Both("COMMIT");
    EXPECT_EQ(plain_.State(), disturbed_.State());
  }

 private:
  void Both(const std::string& sql) {
    plain_.Run(sql);
    disturbed_.Run(sql);
  }

  static void Disturb(Site& site) {
    const Bytes key = KeyOf("number", 1000);
    FlatChange change;
    change.table = "number";
    change.key = key;
    change.column = "v";
    change.col_version = 1;
    change.site.emplace().bytes.fill(1);
    const Status applied = site.store().Apply(change);
    EXPECT_TRUE(applied.ok()) << applied.error().message();
  }

  std::string Table() { return random_.Below(3) == 0 ? "text" : "number"; }

  std::string Literal() {
    const uint64_t kind = random_.Below(4);
    return kind == 0 ? "'b'" : kind == 1 ? "'aa'" : std::to_string(kind);
  }

  void Write() {
    const std::string table = Table();
    const uint64_t row = random_.Below(kRows);
    const std::string key =
        table == "number" ? std::to_string(row) : "'row " + std::to_string(row) + "'";
    const std::string column = kColumns[random_.Below(kColumns.size())];
    switch (random_.Below(4)) {
      case 0:
        Both("DELETE FROM " + table + " WHERE id = " + key);
        break;
      case 1:
        Both("REPLACE INTO " + table + " (id, " + column + ") VALUES (" + key + ", " + Literal() +
             ")");
        break;
      default:
        Both("UPDATE " + table + " SET " + column + " = " + Literal() + " WHERE id = " + key);
    }
  }

  void Apply() {
    if (random_.Below(4) == 0) {
      table_ = Table();
      key_ = KeyOf(table_, random_.Below(kRows));
    }
    FlatChange change;
    change.table = table_;
    change.key = key_;
    change.cl = random_.Below(12) == 0 ? 2 + static_cast<int64_t>(random_.Below(2)) : 1;
    const bool is_sentinel = !cells::IsAlive(change.cl) || random_.Below(16) == 0;
    change.column = is_sentinel ? kSentinelColumn : std::string_view(kColumns[random_.Below(3)]);
    change.col_version = is_sentinel ? change.cl : 1 + static_cast<int64_t>(random_.Below(3) / 2);
    const std::string text(1 + random_.Below(2), 'a');
    change.value = random_.Below(2) == 0
                       ? cells::ValueView::Text(text)
                       : cells::ValueView::Integer(static_cast<int64_t>(random_.Below(3)));
    change.db_version = 1;
    change.seq = static_cast<int64_t>(random_.Below(5));
    change.site.emplace().bytes.fill(static_cast<unsigned char>(random_.Below(9)));
    const Status applied = plain_.store().Apply(change);
    EXPECT_TRUE(applied.ok()) << applied.error().message();
    Disturb(disturbed_);
    EXPECT_TRUE(disturbed_.store().Apply(change).ok());
    EXPECT_EQ(plain_.store().transaction().rows_impacted,
              disturbed_.store().transaction().rows_impacted);
  }

  SeededRandom random_;
  Site plain_, disturbed_;
  std::string table_ = "number";
  Bytes key_ = KeyOf("number", 0);
  int savepoints_ = 0;
};

TEST(CellApplyProp, WhatIsKeptOfARowIsNotSeen) {
  for (uint64_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Case(seed).Run();
  }
}

}  // namespace
}  // namespace merrow::store
