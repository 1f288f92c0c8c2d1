// SPDX-License-Identifier: Apache-2.0
//
// Reading a database of which nothing may be written: whatever lies beside the file, and as a user
// who could not write if he wanted to. After each reading all files are what they were, to the
// byte.
#include "store/database_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "store/database_file.h"

namespace merrow::store {
namespace {

using ::testing::HasSubstr;

constexpr int kBusyTimeoutMs = 1000;

/// Everything in the test is done by a user to whom permissions apply, while it exists.
class AsNobody {
 public:
  AsNobody() : was_root_(::geteuid() == 0) {
    if (was_root_) {
      EXPECT_EQ(::seteuid(65534), 0);
    }
  }
  ~AsNobody() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  const bool was_root_;
};

class DatabaseSnapshotTest : public testing::Test {
 protected:
  using Files = std::map<std::string, std::string>;

  DatabaseSnapshotTest() : folder_(testing::TempDir() + "/merrow-snapshot-XXXXXX") {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    AllowWriting(true);
  }
  ~DatabaseSnapshotTest() override {
    AllowWriting(true);
    std::filesystem::remove_all(folder_);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  /// Of the folder and of all files in it.
  void AllowWriting(bool allow) const {
    using std::filesystem::perms;
    const auto read = perms::owner_read | perms::group_read | perms::others_read;
    const auto enter = perms::owner_exec | perms::group_exec | perms::others_exec;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::filesystem::permissions(entry.path(), allow ? read | perms::owner_write : read);
    }
    std::filesystem::permissions(folder_, allow ? read | enter | perms::owner_write : read | enter);
  }

  Files ReadAll() const {
    Files files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::ifstream in(entry.path(), std::ios::binary);
      files[entry.path().filename()] =
          std::string(std::istreambuf_iterator<char>(in), {}) +
          std::to_string(entry.last_write_time().time_since_epoch().count());
    }
    return files;
  }

  std::unique_ptr<Database> OpenToWrite(const std::string& name, const std::string& mode) const {
    auto database = Database::Open(Path(name), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE).value();
    Run(*database, "PRAGMA journal_mode = " + mode);
    return database;
  }
  static void Run(Database& database, const std::string& sql) {
    const Status status = database.Execute(sql);
    ASSERT_TRUE(status.ok()) << status.error().message();
  }
  /// Rows in the file itself and rows in the log.
  static void Fill(Database& database) {
    Run(database, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
    Run(database, "PRAGMA wal_checkpoint; INSERT INTO t VALUES (3)");
  }
  void Copy(const std::string& from, const std::string& to,
            const std::vector<std::string>& suffixes) const {
    for (const std::string& suffix : suffixes) {
      std::filesystem::copy_file(Path(from + suffix), Path(to + suffix));
    }
  }

  /// The sum of the rows, read while nothing can be written and while everything can.
  void ExpectSum(const std::string& name, int64_t sum) const {
    for (const bool can_write : {false, true}) {
      AllowWriting(can_write);
      const Files before = ReadAll();
      {
        std::optional<AsNobody> nobody;
        if (!can_write) {
          nobody.emplace();
        }
        const auto snapshot = DatabaseSnapshot::Open(Path(name), kBusyTimeoutMs);
        ASSERT_TRUE(snapshot.ok()) << snapshot.error().message();
        EXPECT_EQ((*snapshot)->database().QueryInt("SELECT sum(a) FROM t").value(), sum);
        EXPECT_TRUE((*snapshot)->CheckUndisturbed().ok());
        EXPECT_FALSE((*snapshot)->database().Execute("INSERT INTO t VALUES (9)").ok());
      }
      EXPECT_TRUE(ReadAll() == before) << "can write: " << can_write;
    }
    AllowWriting(true);
  }

  std::string folder_;
};

TEST_F(DatabaseSnapshotTest, OfACopyThatHasTheLogButNotItsIndex) {
  const auto database = OpenToWrite("a.db", "WAL");
  Fill(*database);
  Copy("a.db", "copy.db", {"", "-wal"});
  ExpectSum("copy.db", 6);
}

TEST_F(DatabaseSnapshotTest, OfACopyOfEverything) {
  const auto database = OpenToWrite("a.db", "WAL");
  Fill(*database);
  Copy("a.db", "copy.db", {"", "-wal", "-shm"});
  AllowWriting(false);
  const AsNobody nobody;
  const auto snapshot = DatabaseSnapshot::Open(Path("copy.db"), kBusyTimeoutMs).value();
  EXPECT_EQ(snapshot->database().QueryInt("SELECT sum(a) FROM t").value(), 6);
}

/// What a server leaves that was stopped: the file alone.
TEST_F(DatabaseSnapshotTest, OfAFileThatNobodyHasOpen) {
  Fill(*OpenToWrite("a.db", "WAL"));
  ASSERT_FALSE(std::filesystem::exists(Path("a.db-wal")));
  ExpectSum("a.db", 6);
}

TEST_F(DatabaseSnapshotTest, OfAFileThatIsNotInWalMode) {
  Fill(*OpenToWrite("a.db", "DELETE"));
  ExpectSum("a.db", 6);
}

/// SQLite finds the log by the name of the file itself.
TEST_F(DatabaseSnapshotTest, NamesMeanNothingElseAndLinksAreFollowed) {
  const std::string name = "a%41 b?mode=rw&c#d\xC3\xA9.db";
  const auto database = OpenToWrite("a.db", "WAL");
  Fill(*database);
  Copy("a.db", name, {"", "-wal"});
  ExpectSum(name, 6);
  std::filesystem::create_symlink(name, Path("link.db"));
  const auto snapshot = DatabaseSnapshot::Open(Path("link.db"), kBusyTimeoutMs).value();
  EXPECT_EQ(snapshot->database().QueryInt("SELECT sum(a) FROM t").value(), 6);
  EXPECT_FALSE(std::filesystem::exists(Path("link.db-wal")));
}

TEST_F(DatabaseSnapshotTest, IsOneStateWhileSomebodyWrites) {
  const auto database = OpenToWrite("a.db", "WAL");
  Fill(*database);
  for (const char* more : {"SELECT 1", "PRAGMA wal_checkpoint(TRUNCATE)"}) {
    Run(*database, more);
    const int64_t sum = database->QueryInt("SELECT sum(a) FROM t").value();
    const Files before = ReadAll();
    const auto snapshot = DatabaseSnapshot::Open(Path("a.db"), kBusyTimeoutMs).value();
    EXPECT_TRUE(ReadAll()["a.db"] == Files(before)["a.db"]);
    EXPECT_TRUE(ReadAll()["a.db-wal"] == Files(before)["a.db-wal"]);
    Run(*database, "INSERT INTO t VALUES (10); PRAGMA wal_checkpoint; INSERT INTO t VALUES (20)");
    EXPECT_EQ(snapshot->database().QueryInt("SELECT sum(a) FROM t").value(), sum);
    EXPECT_EQ(database->QueryInt("SELECT sum(a) FROM t").value(), sum + 30);
    EXPECT_TRUE(snapshot->CheckUndisturbed().ok());
  }
}

/// Who is alone takes no lock.
TEST_F(DatabaseSnapshotTest, SaysIfSomebodyCameMeanwhile) {
  const auto original = OpenToWrite("a.db", "WAL");
  Fill(*original);
  Copy("a.db", "copy.db", {"", "-wal"});
  Fill(*OpenToWrite("closed.db", "WAL"));
  for (const char* name : {"copy.db", "closed.db"}) {
    const auto snapshot = DatabaseSnapshot::Open(Path(name), kBusyTimeoutMs).value();
    EXPECT_TRUE(snapshot->CheckUndisturbed().ok());
    Run(*OpenToWrite(name, "WAL"), "INSERT INTO t VALUES (10)");
    const Status disturbed = snapshot->CheckUndisturbed();
    ASSERT_FALSE(disturbed.ok()) << name;
    EXPECT_EQ(disturbed.error().code(), ErrorCode::kBusy);
  }
}

TEST_F(DatabaseSnapshotTest, SaysWhatItCannotRead) {
  const auto error_of = [this](const std::string& name) {
    const auto snapshot = DatabaseSnapshot::Open(Path(name), kBusyTimeoutMs);
    return snapshot.ok() ? Error(ErrorCode::kIo, "no error") : snapshot.error();
  };
  EXPECT_EQ(error_of("nothing.db").code(), ErrorCode::kNotFound);
  std::ofstream(Path("text.db")) << std::string(200, 'x');
  EXPECT_EQ(error_of("text.db").code(), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(DatabaseSnapshot::Open(folder_, kBusyTimeoutMs).ok());
  for (const char* mode : {"WAL", "DELETE"}) {
    Run(*OpenToWrite("newer.db", mode),
        "PRAGMA application_id = " + std::to_string(kApplicationId) +
            "; PRAGMA user_version = " + std::to_string(kFormatVersion + 1));
    EXPECT_EQ(error_of("newer.db").code(), ErrorCode::kUnsupported);
  }
}

/// A journal that has to be played back, which only who may write can do.
TEST_F(DatabaseSnapshotTest, SaysThatATransactionWasCutOff) {
  const auto database = OpenToWrite("a.db", "DELETE");
  Fill(*database);
  Run(*database, "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE t SET a = 7");
  Run(*database,
      "CREATE TABLE u AS WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM "
      "n LIMIT 1000) SELECT a, randomblob(100) FROM n");
  Copy("a.db", "copy.db", {"", "-journal"});
  const Files before = ReadAll();
  const auto snapshot = DatabaseSnapshot::Open(Path("copy.db"), kBusyTimeoutMs);
  ASSERT_FALSE(snapshot.ok());
  EXPECT_EQ(snapshot.error().code(), ErrorCode::kBusy);
  EXPECT_THAT(snapshot.error().message(), HasSubstr("rolled back"));
  EXPECT_TRUE(ReadAll() == before);
}

}  // namespace
}  // namespace merrow::store
