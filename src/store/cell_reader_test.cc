// SPDX-License-Identifier: Apache-2.0
//
// The reader finds each row's values by walking where it can and by searching where it cannot: rows
// in the order of their keys, of their insertion, of neither; rows that are gone; keys of several
// columns; tables without rowids. What it says is compared with the table.
#include "store/cell_reader.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/clock.h"
#include "store/cell_test_util.h"

namespace merrow::store {
namespace {

constexpr int kRows = 700;

class Site : public CellConnection {
 public:
  explicit Site(const std::string& schema) {
    Run(schema);
    EXPECT_TRUE(store_->Track("t").ok());
  }

  void Run(const std::string& sql) {
    const Status status = RunSql(db_, sql);
    EXPECT_TRUE(status.ok()) << sql << ": " << status.error().message();
  }

  /// The values of column v that the reader shows, in its order; each names its row.
  std::vector<std::string> Values(bool by_row) {
    std::vector<std::string> values;
    CellReader reader(*store_);
    ChangeFilter filter;
    filter.by_row = by_row;
    Status status = reader.Start(filter);
    while (status.ok() && !reader.done()) {
      if (!reader.is_sentinel() && reader.column().name == "v") {
        const auto value = reader.value();
        EXPECT_TRUE(value.ok());
        values.push_back(cells::Describe(*value));
      }
      status = reader.Next();
    }
    EXPECT_TRUE(status.ok()) << status.error().message();
    return values;
  }

  std::vector<std::string> TextsOf(const std::string& sql) {
    std::vector<std::string> values;
    CellStatement statement;
    EXPECT_TRUE(statement.Prepare(db_, sql).ok());
    while (*statement.Step()) {
      values.push_back(cells::Describe(statement.Column(0)));
    }
    return values;
  }
};

/// Numbers from 0 to kRows - 1 in a random order.
std::vector<int> Shuffled(SeededRandom& random) {
  std::vector<int> numbers;
  for (int i = 0; i < kRows; ++i) {
    numbers.push_back(i);
  }
  for (size_t i = numbers.size(); i > 1; --i) {
    std::swap(numbers[i - 1], numbers[random.Below(i)]);
  }
  return numbers;
}

TEST(CellReader, FindsTheValuesOfRowsInAnyOrder) {
  for (const char* schema :
       {"CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v, w)",
        "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, v, w) WITHOUT ROWID",
        "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v, w)",
        "CREATE TABLE t (id NOT NULL PRIMARY KEY, rowid, oid, v, w)",
        "CREATE TABLE t (w, rowid AS (1), id TEXT NOT NULL, v, x NOT NULL DEFAULT 2.0, "
        "PRIMARY KEY (x, id))"}) {
    SCOPED_TRACE(schema);
    SeededRandom random(7);
    Site site(schema);
    const std::vector<int> order = Shuffled(random);
    site.Run("BEGIN");
    for (const int number : order) {
      const std::string text = std::to_string(number);
      site.Run("INSERT INTO t (id, v) VALUES (" + text + ", 'v" + text + "')");
    }
    site.Run("COMMIT");
    // The reader's order is that of writing: exactly the values as they were inserted.
    std::vector<std::string> expected;
    for (const int number : order) {
      expected.push_back("'v" + std::to_string(number) + "'");
    }
    EXPECT_EQ(site.Values(false), expected);

    // Updated in another order, some alone and some together; some are gone.
    site.Run("DELETE FROM t WHERE id % 9 = 4; BEGIN");
    for (const int number : Shuffled(random)) {
      if (number % 3 != 0) {
        site.Run("UPDATE t SET v = v || 'x' WHERE id = CAST(" + std::to_string(number) +
                 " AS TEXT) OR id = " + std::to_string(number));
      }
    }
    site.Run("COMMIT");
    const std::vector<std::string> stored = site.TextsOf("SELECT v FROM t");
    const std::multiset<std::string> all(stored.begin(), stored.end());
    for (const bool by_row : {false, true}) {
      const std::vector<std::string> values = site.Values(by_row);
      EXPECT_EQ(std::multiset<std::string>(values.begin(), values.end()), all);
    }
  }
}

}  // namespace
}  // namespace merrow::store
