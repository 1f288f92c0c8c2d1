// SPDX-License-Identifier: Apache-2.0
//
// For tests of column rows: a connection that records, as merrow.so and the server make it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "store/cell_store.h"

namespace merrow::store {

class CellConnection {
 public:
  explicit CellConnection(const std::string& path = ":memory:") {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    auto attached = CellStore::Attach(db_);
    EXPECT_TRUE(attached.ok());
    store_ = *attached;
  }
  /// The store lets go of its statements by itself.
  ~CellConnection() { EXPECT_EQ(sqlite3_close(db_), SQLITE_OK); }
  CellConnection(const CellConnection&) = delete;
  CellConnection& operator=(const CellConnection&) = delete;

  sqlite3* db() { return db_; }
  CellStore& store() { return *store_; }

  /// Rows as "a b c;".
  std::string Query(const std::string& sql) {
    std::string text;
    CellStatement statement;
    EXPECT_TRUE(statement.Prepare(db_, sql).ok()) << sql << ": " << sqlite3_errmsg(db_);
    while (*statement.Step()) {
      for (int i = 0; i < sqlite3_column_count(statement.handle()); ++i) {
        text += (i == 0 ? "" : " ") + cells::Describe(statement.Column(i));
      }
      text += ";";
    }
    return text;
  }

 protected:
  sqlite3* db_ = nullptr;
  CellStore* store_ = nullptr;
};

}  // namespace merrow::store
