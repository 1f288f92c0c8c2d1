// SPDX-License-Identifier: Apache-2.0
//
// Merging in the real store converges, in rows and in clocks. Three sites write at random and merge
// some of what the others wrote; everything that was ever written is collected, one transaction of
// one site at a time. Then all of it is merged everywhere, at each site in an order, in groups and
// with repetitions of its own, in both ways (changes one by one, and whole transactions); also by
// two sites that never wrote. All must end with the same rows, and with the same clocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "cells/packed_key.h"
#include "store/cell_reader.h"
#include "store/cell_store.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE number (id INTEGER PRIMARY KEY NOT NULL, a INTEGER, b TEXT, c);
CREATE TABLE text (id TEXT PRIMARY KEY NOT NULL, a REAL, b COLLATE NOCASE DEFAULT 'b');
CREATE TABLE only (x NOT NULL, y NOT NULL, PRIMARY KEY (y, x));
CREATE TABLE pair (k CHAR NOT NULL, l TEXT NOT NULL, v NUMERIC, PRIMARY KEY (k, l)) WITHOUT ROWID;
CREATE TABLE any (k NOT NULL PRIMARY KEY, v);
CREATE TABLE real (k REAL NOT NULL PRIMARY KEY, v BLOB);
CREATE TABLE strict (k ANY NOT NULL PRIMARY KEY, v ANY, w INT) STRICT;
)sql";
constexpr const char* kTables[] = {"number", "text", "only", "pair", "any", "real", "strict"};

struct OwnChange {
  std::string table;
  Bytes key;
  std::string column;
  cells::Value value;
  cells::ColVersion col_version;
  cells::CausalLength cl;
  cells::Seq seq;
};

/// One transaction of one site.
struct Written {
  cells::SiteId site;
  cells::DbVersion version = 0;
  std::vector<OwnChange> changes;
};

class Site : public CellConnection {
 public:
  explicit Site(unsigned char name) {
    Run(kSchema);
    for (const char* table : kTables) {
      const Status tracked = store_->Track(table);
      EXPECT_TRUE(tracked.ok()) << tracked.error().message();
    }
    site_.bytes.fill(name);
    Run("UPDATE _merrow_site SET id = x'" + ToHex(site_.view()) + "' WHERE ordinal = 0");
    store_->Forget();
  }

  void Run(const std::string& sql) {
    const Status status = RunSql(db_, sql);
    EXPECT_TRUE(status.ok()) << sql << ": " << status.error().message();
  }

  /// What this site has written since `after`.
  Written WrittenSince(cells::DbVersion after) {
    Written written;
    written.site = site_;
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.after = after;
    filter.only_site = 0;
    Status status = reader.Start(filter);
    while (status.ok() && !reader.done()) {
      const auto value = reader.value();
      EXPECT_TRUE(value.ok());
      written.version = reader.stamp().db_version;
      written.changes.push_back(
          {reader.table().name, Bytes(reader.key()),
           reader.is_sentinel() ? std::string(kSentinelColumn) : reader.column().name,
           cells::Value(*value), reader.col_version(), reader.cl(), reader.stamp().seq});
      status = reader.Next();
    }
    EXPECT_TRUE(status.ok()) << status.error().message();
    return written;
  }

  void MergeOne(const Written& written, const OwnChange& change) {
    FlatChange flat;
    flat.table = change.table;
    flat.key = change.key;
    flat.column = change.column;
    flat.value = change.value.view();
    flat.col_version = change.col_version;
    flat.db_version = written.version;
    flat.site = written.site;
    flat.cl = change.cl;
    flat.seq = change.seq;
    const Status applied = store_->Apply(flat);
    EXPECT_TRUE(applied.ok()) << applied.error().message();
  }

  void MergeWhole(const Written& written) {
    cells::Transaction transaction;
    transaction.site = written.site;
    transaction.version = written.version;
    transaction.authors = {written.site};
    std::map<std::pair<std::string, Bytes>, size_t> rows;
    for (const OwnChange& change : written.changes) {
      const uint32_t table = IndexOf(transaction.tables, change.table);
      const auto [at, is_new] =
          rows.try_emplace({change.table, change.key}, transaction.rows.size());
      if (is_new) {
        cells::RowChange& row = transaction.rows.emplace_back();
        row.table = table;
        row.key = change.key;
        row.cl = change.cl;
      }
      cells::RowChange& row = transaction.rows[at->second];
      const cells::ChangeClock clock{written.version, change.seq, 0};
      if (change.column == kSentinelColumn) {
        row.sentinel = clock;
        continue;
      }
      std::vector<std::string>& columns = transaction.tables[table].columns;
      const auto column = std::find(columns.begin(), columns.end(), change.column);
      const auto index = static_cast<uint32_t>(column - columns.begin());
      if (column == columns.end()) {
        columns.push_back(change.column);
      }
      row.cells.push_back({index, change.col_version, change.value, clock});
    }
    const Status applied = store_->ApplyTransaction(transaction);
    EXPECT_TRUE(applied.ok()) << applied.error().message();
  }

  /// All rows, and what of their clocks must be the same everywhere.
  std::string State() {
    std::string text;
    for (const char* name : kTables) {
      text += std::string(name) + ":\n" + Rows(name) + Clocks(*store_->tables().Find(name));
    }
    return text;
  }

 private:
  static uint32_t IndexOf(std::vector<cells::ChangedTable>& tables, const std::string& name) {
    for (uint32_t i = 0; i < tables.size(); ++i) {
      if (tables[i].name == name) {
        return i;
      }
    }
    tables.push_back({name, {}});
    return static_cast<uint32_t>(tables.size() - 1);
  }

  std::string Rows(const std::string& name) {
    CellStatement statement;
    std::vector<std::string> rows;
    EXPECT_TRUE(statement.Prepare(db_, "SELECT * FROM \"" + name + "\"").ok());
    const CellTable& table = *store_->tables().Find(name);
    while (*statement.Step()) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
        cells::ValueView value = statement.Column(i);
        if (table.IsKey(sqlite3_column_name(statement.handle(), i))) {
          // Who wrote 5.0 keeps that; elsewhere it is 5.
          value = cells::KeyValue(value, cells::Affinity::kBlob);
        }
        row += std::string(cells::ValueTypeName(value.type)) + " " + cells::Describe(value) + " | ";
      }
      rows.push_back(row + "\n");
    }
    std::sort(rows.begin(), rows.end());
    std::string text;
    for (const std::string& row : rows) {
      text += row;
    }
    return text;
  }

  std::string NameOf(cells::SiteOrdinal site) {
    return ToHex(store_->SiteOf(site)->view().substr(0, 1));
  }

  std::string Clocks(const CellTable& table) {
    std::string text;
    const Status status =
        store_->ForEachClock(table, [&](const cells::ClockKey& key, const cells::RowClock& clock) {
          clock.CheckInvariants();
          text +=
              std::to_string(key.number) + ToHex(key.stored) + " cl " + std::to_string(clock.cl());
          if (clock.sentinel().has_value()) {
            text += " by " + NameOf(clock.sentinel()->stamp.site);
          }
          for (const cells::CellClock& cell : clock.cells()) {
            text += ", " + std::to_string(cell.column) + ": " + std::to_string(cell.col_version) +
                    " by " + NameOf(cell.stamp.site) + " seq " + std::to_string(cell.stamp.seq);
          }
          text += "\n";
        });
    EXPECT_TRUE(status.ok()) << status.error().message();
    return text;
  }

  cells::SiteId site_;
};

std::string FirstDifference(const std::string& a, const std::string& b) {
  const auto common = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  const auto at = static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + common, b.begin()).first - a.begin());
  const size_t line = a.rfind('\n', at) + 1;
  return a.substr(line, 200) + "\n--- but\n" + b.substr(line, 200);
}

class Case {
 public:
  Case(uint64_t seed, bool is_flat) : random_(seed), is_flat_(is_flat) {
    for (unsigned char name = 1; name <= 5; ++name) {
      sites_.push_back(std::make_unique<Site>(static_cast<unsigned char>(name * 32 + 1)));
    }
  }

  void Run() {
    for (int i = 0; i < 30; ++i) {
      Write(*sites_[random_.Below(3)]);
      for (uint64_t n = random_.Below(3); n > 0 && !all_.empty(); --n) {
        MergeSome(*sites_[random_.Below(3)]);
      }
    }
    for (const auto& site : sites_) {
      MergeAll(*site);
    }
    const std::string expected = sites_[0]->State();
    for (const auto& site : sites_) {
      const std::string state = site->State();
      if (state != expected) {
        FAIL() << FirstDifference(expected, state);
      }
    }
  }

 private:
  template <size_t n>
  std::string OneOf(const char* const (&from)[n]) {
    return from[random_.Below(n)];
  }

  std::string AnyValue() {
    return OneOf({"NULL",
                  "0",
                  "1",
                  "1.0",
                  "1.5",
                  "-0.0",
                  "0.0",
                  "'1'",
                  "'1.0'",
                  "' 2 '",
                  "'a'",
                  "'A'",
                  "''",
                  "x''",
                  "x'31'",
                  "9223372036854775807",
                  "-9223372036854775808",
                  "9007199254740993",
                  "9007199254740992.0",
                  "1e300",
                  "-1e300",
                  "9e999",
                  "'1e2'",
                  "CAST(x'610062' AS TEXT)",
                  "CAST(x'ff61' AS TEXT)",
                  "'9223372036854775808'"});
  }

  std::string AnyKey() {
    return OneOf({"1", "1.0", "'1'", "x'31'", "0.0", "-0.0", "0", "'a'", "'A'", "2.5",
                  "-9223372036854775808", "9007199254740992.0", "9007199254740992",
                  "-9223372036854775808.0", "9223372036854775808.0", "'1.0'"});
  }

  std::string Statement() {
    const std::string table = OneOf(kTables);
    const std::string number = OneOf({"1", "2", "-5", "9223372036854775807"});
    const std::string text = OneOf({"'k'", "'K'", "''", "CAST(x'6b00' AS TEXT)", "1", "2.0"});
    const std::string value = AnyValue();
    struct Sql {
      std::string columns, values, set, where, move;
    } sql;
    if (table == "number") {
      sql = {"id, a, b", number + ", 5, " + value, "c = " + value, "id = " + number,
             "id = " + OneOf({"1", "3"})};
    } else if (table == "text") {
      sql = {"id, a", text + ", " + value, "a = " + value + ", b = " + AnyValue(), "id = " + text,
             "id = 'moved'"};
    } else if (table == "only") {
      const std::string x = AnyKey();
      sql = {"x, y", x + ", " + text, "x = x", "x = " + x + " AND y = " + text, "x = " + AnyKey()};
    } else if (table == "pair") {
      sql = {"k, l, v", number + ", " + text + ", " + value, "v = " + value,
             "k = " + number + " AND l = " + text, "l = 'moved'"};
    } else {
      const std::string key = table == "real" ? OneOf({"1", "1.5", "0.0", "-0.0"}) : AnyKey();
      sql = {"k, v", key + ", " + value, "v = " + value, "k = " + key,
             "k = " + (table == "real" ? "7" : AnyKey())};
    }
    const std::string name = "\"" + table + "\"";
    switch (random_.Below(8)) {
      case 0:
      case 1:
        return "INSERT OR IGNORE INTO " + name + " (" + sql.columns + ") VALUES (" + sql.values +
               ")";
      case 2:
        return "INSERT OR REPLACE INTO " + name + " (" + sql.columns + ") VALUES (" + sql.values +
               ")";
      case 3:
      case 4:
        return "UPDATE " + name + " SET " + sql.set + " WHERE " + sql.where;
      case 5:
        return "UPDATE OR IGNORE " + name + " SET " + sql.move + " WHERE " + sql.where;
      default:
        return "DELETE FROM " + name + " WHERE " + sql.where;
    }
  }

  void Write(Site& site) {
    const cells::DbVersion before = *site.store().DbVersion();
    std::string sql = "BEGIN;";
    for (uint64_t n = 1 + random_.Below(12); n > 0; --n) {
      sql += Statement() + ";";
    }
    site.Run(sql + "COMMIT");
    Written written = site.WrittenSince(before);
    if (!written.changes.empty()) {
      all_.push_back(std::move(written));
    }
  }

  void Merge(Site& site, const Written& written) {
    if (!is_flat_) {
      site.MergeWhole(written);
      return;
    }
    std::vector<size_t> order(written.changes.size());
    for (size_t i = 0; i < order.size(); ++i) {
      order[i] = i;
    }
    if (random_.Below(2) == 0) {
      Shuffle(order);
    }
    for (const size_t i : order) {
      site.MergeOne(written, written.changes[i]);
    }
  }

  void MergeSome(Site& site) {
    site.Run("BEGIN");
    for (uint64_t n = random_.Below(4); n > 0; --n) {
      Merge(site, all_[random_.Below(all_.size())]);
    }
    site.Run(random_.Below(5) == 0 ? "ROLLBACK" : "COMMIT");
  }

  void MergeAll(Site& site) {
    std::vector<size_t> order;
    for (size_t i = 0; i < all_.size(); ++i) {
      order.push_back(i);
      if (random_.Below(4) == 0) {
        order.push_back(i);
      }
    }
    Shuffle(order);
    site.Run("BEGIN");
    for (const size_t i : order) {
      if (random_.Below(3) == 0) {
        site.Run("COMMIT; BEGIN");
      }
      if (random_.Below(8) == 0) {
        // Merged twice, once for nothing.
        site.Run("SAVEPOINT s");
        Merge(site, all_[i]);
        site.Run("ROLLBACK TO s; RELEASE s");
      }
      Merge(site, all_[i]);
    }
    site.Run("COMMIT");
  }

  void Shuffle(std::vector<size_t>& order) {
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random_.Below(i)]);
    }
  }

  SeededRandom random_;
  bool is_flat_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<Written> all_;
};

void RunCases(bool is_flat) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Case one(seed, is_flat);
    one.Run();
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

TEST(CellMergeProp, WholeTransactionsInAnyOrder) { RunCases(false); }
TEST(CellMergeProp, ChangesOneByOneInAnyOrder) { RunCases(true); }

}  // namespace
}  // namespace merrow::store
