// SPDX-License-Identifier: Apache-2.0
//
// `merrow changes export` from a database that is in use, or that cannot be written: what it writes
// is what was committed at one moment, whoever wrote it and in whatever form it lies there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/clock.h"
#include "cli/changes.h"
#include "cli/changes_test_util.h"
#include "merrow/document.h"
#include "store/replica_digest.h"
#include "store/replica_snapshot.h"
#include "store/store.h"

namespace merrow::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kLaterTable[] = "CREATE TABLE later (id INTEGER PRIMARY KEY, x TEXT);";

class ChangesExportTest : public ChangesCommandTest {
 protected:
  std::map<std::string, std::string> ReadAll() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      // Readers say in the index of the log how far they read.
      if (entry.path().string().ends_with("-shm")) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files[entry.path().filename()] =
          std::string(std::istreambuf_iterator<char>(in), {}) +
          std::to_string(entry.last_write_time().time_since_epoch().count());
    }
    return files;
  }

  /// A server's.
  std::unique_ptr<store::Store> OpenStore(const std::string& name, bool replicate = true,
                                          const std::string& more_schema = "") const {
    store::StoreOptions options;
    options.path = Path(name);
    options.schema_sql = kBothKindsSchema + more_schema;
    options.clock = &clock_;
    options.replicate = replicate;
    return store::Store::Open(options).value();
  }
  static void Execute(store::Store& store, const std::string& sql) {
    const store::SqlWrite write{sql, {}};
    const auto executed = store.Execute({&write, 1});
    ASSERT_TRUE(executed.ok()) << executed.error().message();
  }
  static void Type(store::Store& store, const std::string& key, loro::Document& document,
                   const std::string& text) {
    const auto before = document.version();
    const auto body = loro::ContainerId::Root("body", loro::ContainerKind::kText);
    ASSERT_TRUE(document.TextInsert(body, 0, text).ok());
    const Bytes update = document.ExportUpdates(before);
    const store::Write write{"note", key, update};
    ASSERT_TRUE(std::holds_alternative<store::Applied>(store.ApplyBatch({&write, 1})[0]));
  }
  /// Small and large transactions, overwritten and deleted rows, a long row, folded logs.
  static void Work(store::Store& store, uint64_t peer) {
    loro::Document document(peer);
    const std::string name = std::to_string(peer);
    Execute(store,
            "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 500) "
            "INSERT INTO service SELECT '" +
                name + "-' || a, a FROM n");
    for (int i = 0; i < 30; ++i) {
      Type(store, name, document, std::string(200, 'x') + std::to_string(i));
      Execute(store, "UPDATE service SET port = port + 1 WHERE name = '" + name + "-" +
                         std::to_string(i) + "'");
    }
    Execute(store, "DELETE FROM service WHERE name LIKE '" + name + "-1%'");
    Execute(store, "INSERT INTO note (id, title) VALUES ('sql" + name + "', 'by SQL')");
    Type(store, name, document, "the end");
  }

  /// To standard output, which out_ is.
  int Export(const std::string& name) { return Run({"export", "--db", Path(name), "-o", "-"}); }
  int Apply(const std::string& name, const std::string& changes) {
    Write("file.changes", changes);
    return Run({"apply", "--db", Path(name), Path("file.changes")});
  }
  /// An empty database with the tables, and the changes in it.
  void MakeFrom(const std::string& changes, const std::string& name,
                const std::string& more_schema = "") {
    OpenStore(name, true, more_schema).reset();
    ASSERT_EQ(Apply(name, changes), 0) << err_;
  }
  /// Of all rows, their clocks and authors, and of the versions of documents.
  std::vector<uint64_t> Digest(const std::string& name) const {
    return store::ReplicaDigest::Open(Path(name), 1000).value()->ReadBuckets().value();
  }

  SystemClock clock_;
};

TEST_F(ChangesExportTest, WhileAServerHasTheDatabase) {
  const auto store = OpenStore("a.db");
  Work(*store, 1);
  const auto before = ReadAll();
  ASSERT_EQ(Export("a.db"), 0) << err_;
  EXPECT_TRUE(ReadAll() == before);
  const std::string changes = out_;
  const auto digest = Digest("a.db");
  MakeFrom(changes, "b.db");
  EXPECT_EQ(Digest("b.db"), digest);
  // It goes on as if nothing had been.
  Work(*store, 2);
  EXPECT_NE(Digest("a.db"), digest);
  ASSERT_EQ(Run({"export", "--db", Path("a.db"), "--since", "@" + Path("file.changes"), "-o", "-"}),
            0)
      << err_;
  ASSERT_EQ(Apply("b.db", out_), 0) << err_;
  EXPECT_EQ(Digest("b.db"), Digest("a.db"));
  EXPECT_EQ(OpenStore("b.db")->ReadRow("note", "1").value(), store->ReadRow("note", "1").value());
}

TEST_F(ChangesExportTest, IsOfTheMomentWhenItBegan) {
  const auto store = OpenStore("a.db");
  Work(*store, 1);
  const auto digest = Digest("a.db");
  const auto snapshot = store::ReplicaSnapshot::Open(Path("a.db"), clock_, 1000).value();
  Work(*store, 2);
  Execute(*store, "DELETE FROM service");
  while (store->RunUpkeep().value().more) {
  }
  std::string changes;
  ASSERT_TRUE(snapshot
                  ->ExportChanges({}, 3,
                                  [&changes](BytesView bytes) -> Status {
                                    changes += bytes;
                                    return {};
                                  })
                  .ok());
  MakeFrom(changes, "b.db");
  EXPECT_EQ(Digest("b.db"), digest);
}

TEST_F(ChangesExportTest, OfACopyThatWasTakenInFullFlight) {
  const auto store = OpenStore("a.db");
  Work(*store, 1);
  const auto digest = Digest("a.db");
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(Path(std::string("a.db") + suffix),
                               Path(std::string("copy.db") + suffix));
  }
  const auto before = ReadAll();
  ASSERT_EQ(Export("copy.db"), 0) << err_;
  EXPECT_TRUE(ReadAll() == before);
  MakeFrom(out_, "b.db");
  EXPECT_EQ(Digest("b.db"), digest);
}

/// Who is alone takes no lock. If somebody comes nevertheless, what was written has no end.
TEST_F(ChangesExportTest, OfAFileThatIsWrittenMeanwhileFails) {
  Work(*OpenStore("a.db"), 1);
  const auto snapshot = store::ReplicaSnapshot::Open(Path("a.db"), clock_, 1000).value();
  Execute(*OpenStore("a.db"), "UPDATE service SET port = 1");
  std::string changes;
  const auto exported = snapshot->ExportChanges({}, 3, [&changes](BytesView bytes) -> Status {
    changes += bytes;
    return {};
  });
  ASSERT_FALSE(exported.ok());
  EXPECT_EQ(exported.error().code(), ErrorCode::kBusy);
  OpenStore("b.db").reset();
  EXPECT_EQ(Apply("b.db", changes), 1);
}

/// What this server has no table for is passed on.
TEST_F(ChangesExportTest, WhatWaitsForTheSchemaIsInIt) {
  {
    const auto origin = OpenStore("origin.db", true, kLaterTable);
    Work(*origin, 1);
    Execute(*origin, "INSERT INTO later VALUES (1, 'kept')");
  }
  ASSERT_EQ(Export("origin.db"), 0) << err_;
  MakeFrom(out_, "a.db");
  const auto store = OpenStore("a.db");
  const auto before = ReadAll();
  ASSERT_EQ(Export("a.db"), 0) << err_;
  EXPECT_TRUE(ReadAll() == before);
  MakeFrom(out_, "b.db", kLaterTable);
  EXPECT_EQ(Digest("b.db"), Digest("origin.db"));
}

/// Versions are made once, by who writes the database: two exports must not give them two meanings.
TEST_F(ChangesExportTest, WithoutAReplicaLogItHasToBeMade) {
  {
    const auto store = OpenStore("a.db", /*replicate=*/false);
    loro::Document document(7);
    Type(*store, "n", document, "hello");
    const auto before = ReadAll();
    EXPECT_EQ(Export("a.db"), 1);
    EXPECT_THAT(err_, HasSubstr("a.db: "));
    EXPECT_THAT(err_, HasSubstr("--replicate"));
    EXPECT_THAT(err_, HasSubstr("another merrow process"));
    EXPECT_TRUE(ReadAll() == before);
  }
  ASSERT_EQ(Export("a.db"), 0) << err_;
  // From now on the server keeps it.
  const auto store = OpenStore("a.db", /*replicate=*/false);
  const auto before = ReadAll();
  ASSERT_EQ(Export("a.db"), 0) << err_;
  EXPECT_TRUE(ReadAll() == before);
  MakeFrom(out_, "b.db");
  EXPECT_EQ(Digest("b.db"), Digest("a.db"));
}

/// The program's own functions are needed to write rows, not to read documents.
TEST_F(ChangesExportTest, TriggersMayUseFunctionsThatAreNotHere) {
  {
    Site site(Path("a.db"));
    site.Run(kBothKindsSchema);
    site.Track("note");
    site.Track("service");
    site.Run("INSERT INTO note VALUES ('n', 't', 'hello')");
    site.Run("CREATE TRIGGER theirs AFTER UPDATE ON note BEGIN SELECT their_function(new.id); END");
  }
  for (int i = 0; i < 2; ++i) {  // the first makes the log
    ASSERT_EQ(Export("a.db"), 0) << err_;
    const std::string name = std::to_string(i) + ".db";
    MakeFrom(out_, name);
    EXPECT_EQ(Digest(name), Digest("a.db"));
  }
}

TEST_F(ChangesExportTest, WhileAProgramWithTheExtensionHasIt) {
  for (const char* mode : {"WAL", "DELETE"}) {
    const std::string name = std::string(mode) + ".db";
    Site site(Path(name));
    site.Run(std::string("PRAGMA journal_mode = ") + mode + ";" + kBothKindsSchema);
    site.Track("note");
    site.Track("service");
    site.Run("INSERT INTO note VALUES ('n', 't', 'hello'); INSERT INTO service VALUES ('web', 80)");
    ASSERT_EQ(Export(name), 0) << err_;
    site.Run("UPDATE note SET body = 'hello world'; UPDATE service SET port = 81");
    const auto before = ReadAll();
    ASSERT_EQ(Export(name), 0) << err_;
    EXPECT_TRUE(ReadAll() == before) << mode;
    MakeFrom(out_, name + ".copy");
    EXPECT_EQ(Digest(name + ".copy"), Digest(name));
  }
}

}  // namespace
}  // namespace merrow::cli
