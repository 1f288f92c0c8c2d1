// SPDX-License-Identifier: Apache-2.0
//
// What a host may do to a connection that records: close it while statements are open, stop it in
// the middle, lock it out. Nothing may be committed that is not recorded.
#include "store/document_capture.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "changeset/version_set.h"

namespace merrow::store {
namespace {

class Host : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "document_capture_" +
            testing::UnitTest::GetInstance()->current_test_info()->name() + ".db";
    std::remove(path_.c_str());
    db_ = Open();
    Must("CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body)");
    Must("CREATE TABLE page (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT)");
    auto* const capture = Attach(db_);
    Must("BEGIN");
    ASSERT_TRUE(capture->Track("note").ok());
    ASSERT_TRUE(capture->Track("page").ok());
    Must("COMMIT");
  }
  void TearDown() override {
    sqlite3_close_v2(db_);
    std::remove(path_.c_str());
  }

  sqlite3* Open() {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    return db;
  }
  DocumentCapture* Attach(sqlite3* db) {
    CellStore* const store = CellStore::Attach(db).value();
    DocumentCaptureOptions options;
    options.clock = &clock_;
    options.random = &random_;
    return DocumentCapture::Attach(*store, options).value();
  }
  int Run(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  void Must(const std::string& sql) { ASSERT_EQ(Run(sql), SQLITE_OK) << sqlite3_errmsg(db_); }
  sqlite3_stmt* Prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
    return statement;
  }
  /// As somebody else sees it.
  int64_t Count(const std::string& table) {
    sqlite3* const other = Open();
    int64_t count = -1;
    const std::string sql = "SELECT count(*) FROM " + table;
    sqlite3_exec(
        other, sql.c_str(),
        [](void* out, int, char** values, char**) {
          *static_cast<int64_t*>(out) = std::stoll(values[0]);
          return 0;
        },
        &count, nullptr);
    sqlite3_close(other);
    return count;
  }

  SystemClock clock_;
  SystemRandom random_;
  std::string path_;
  sqlite3* db_ = nullptr;
};

TEST_F(Host, ACloseThatIsRefusedCanBeRepeated) {
  sqlite3_stmt* const open = Prepare("SELECT 1 FROM note");
  ASSERT_EQ(sqlite3_close(db_), SQLITE_BUSY);
  Must("INSERT INTO note VALUES ('a', 1); INSERT INTO page VALUES ('a', 'x')");
  EXPECT_EQ(Count("_merrow_tx"), 1);
  EXPECT_EQ(Count("_merrow_log"), 1);
  ASSERT_EQ(sqlite3_close(db_), SQLITE_BUSY);
  sqlite3_finalize(open);
  EXPECT_EQ(sqlite3_close(db_), SQLITE_OK);
  db_ = nullptr;
}

TEST_F(Host, ACloseThatIsRefusedUndoesTheTransaction) {
  Must("BEGIN; INSERT INTO note VALUES ('a', 1); INSERT INTO page VALUES ('a', 'x')");
  sqlite3_stmt* const open = Prepare("SELECT 1 FROM note");
  ASSERT_EQ(sqlite3_close(db_), SQLITE_BUSY);
  EXPECT_NE(Run("COMMIT"), SQLITE_OK) << "rows without clocks and ops";
  EXPECT_EQ(Count("note"), 0);
  EXPECT_EQ(Count("page"), 0);
  sqlite3_finalize(open);
}

TEST_F(Host, AStatementThatIsInFlightWhenItsConnectionIsClosedFails) {
  for (const char* table : {"note", "page"}) {
    sqlite3* const keep = db_;
    sqlite3_stmt* const insert =
        Prepare(std::string("INSERT INTO ") + table + " VALUES ('a', 'x') RETURNING id");
    ASSERT_EQ(sqlite3_step(insert), SQLITE_ROW);
    ASSERT_EQ(sqlite3_close_v2(keep), SQLITE_OK);
    EXPECT_NE(sqlite3_step(insert), SQLITE_DONE) << table;
    sqlite3_finalize(insert);
    EXPECT_EQ(Count(table), 0);
    db_ = Open();
    Attach(db_);
  }
}

TEST_F(Host, AnAlterThatCannotBeginLeavesNoTransactionOpen) {
  sqlite3* const other = Open();
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db_);
  db_ = Open();
  DocumentCapture* const capture = Attach(db_);
  EXPECT_EQ(capture->store().BeginAlter("note").error().code(), ErrorCode::kBusy);
  EXPECT_NE(sqlite3_get_autocommit(db_), 0);
  sqlite3_close(other);
  Must("INSERT INTO note VALUES ('a', 1)");
  EXPECT_EQ(Count("note"), 1);
}

TEST_F(Host, ASchemaThatCannotBeReadNowLosesNoWrite) {
  Must("BEGIN; INSERT INTO note VALUES ('a', 1); SAVEPOINT s; CREATE TABLE t (x); ROLLBACK TO s");
  const auto deny = [](void*, int what, const char* table, const char*, const char*,
                       const char*) -> int {
    const bool ours = what == SQLITE_READ && std::string_view(table) == "_merrow_cell_table";
    return ours ? SQLITE_DENY : SQLITE_OK;
  };
  sqlite3_set_authorizer(db_, deny, nullptr);
  EXPECT_NE(Run("INSERT INTO note VALUES ('b', 1)"), SQLITE_OK);
  sqlite3_set_authorizer(db_, nullptr, nullptr);
  Must("COMMIT");
  EXPECT_EQ(Count("note"), 1);
  EXPECT_EQ(Count("_merrow_tx"), 1);
}

TEST_F(Host, ADatabaseThatIsRestoredIntoTheConnectionIsAnother) {
  const std::string backup_path = path_ + "_backup";
  sqlite3* backup = nullptr;
  ASSERT_EQ(sqlite3_open(backup_path.c_str(), &backup), SQLITE_OK);
  sqlite3_exec(backup, "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body)", nullptr, nullptr,
               nullptr);
  // Another site, with more versions.
  DocumentCapture* const other = Attach(backup);
  sqlite3_exec(backup, "BEGIN", nullptr, nullptr, nullptr);
  ASSERT_TRUE(other->Track("note").ok());
  sqlite3_exec(backup, "COMMIT; BEGIN", nullptr, nullptr, nullptr);
  ASSERT_TRUE(other->Versions().ok());
  sqlite3_exec(backup,
               "COMMIT; INSERT INTO note VALUES ('a', 1); INSERT INTO note VALUES ('b', 1); "
               "INSERT INTO note VALUES ('c', 1)",
               nullptr, nullptr, nullptr);
  const cells::SiteId site = other->store().OwnSite().value();

  sqlite3_close(db_);
  db_ = Open();
  DocumentCapture* const capture = Attach(db_);
  Must("BEGIN");
  ASSERT_TRUE(capture->Versions().ok());
  Must("COMMIT; INSERT INTO note VALUES ('x', 1)");
  sqlite3_backup* const copy = sqlite3_backup_init(db_, "main", backup, "main");
  ASSERT_EQ(sqlite3_backup_step(copy, -1), SQLITE_DONE);
  sqlite3_backup_finish(copy);
  sqlite3_close(backup);
  std::remove(backup_path.c_str());

  Must("INSERT INTO note VALUES ('d', 1); BEGIN");
  const Result<changeset::SiteVersions> versions = capture->Versions();
  ASSERT_TRUE(versions.ok()) << versions.error().message();
  EXPECT_EQ(changeset::ToText(*versions), ToHex(site.view()) + ":1-4");
  EXPECT_EQ(Count("_merrow_source WHERE previous <> version - 1"), 0);
}

}  // namespace
}  // namespace merrow::store
