// SPDX-License-Identifier: Apache-2.0
//
// Database files that a release wrote, in test/vectors/databases, with everything that a file can
// hold: rows of all kinds of keys, written here and elsewhere, updated and deleted; documents with
// base and log; clocks that are pending; what waits for a schema or for other ops; parts. Beside
// each stands its export. Later releases must read both alike, and go on writing.
//
// `MERROW_WRITE_VECTORS=1 cli_changes_vectors_test` makes them anew. To do so is to say that the
// format of the database changed, which then needs another user_version; and the files of the older
// one stay, to be opened by a test of their own.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "changeset/changeset_file.h"
#include "changeset/changeset_test_util.h"
#include "cli/changes.h"
#include "cli/changes_test_util.h"
#include "store/store.h"

namespace merrow::cli {
namespace {

constexpr char kFolder[] = MERROW_VECTORS "/databases";

constexpr char kSchema[] =
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, votes "
    "CRDT_COUNTER);"
    "CREATE TABLE service (node TEXT NOT NULL, name TEXT NOT NULL, port INTEGER, weight REAL,"
    " PRIMARY KEY (node, name));"
    "CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT, data BLOB);"
    "CREATE TABLE person (id TEXT PRIMARY KEY NOT NULL, name TEXT);";

constexpr char kRows[] =
    "SELECT 'note', id, title, body, votes FROM note UNION ALL "
    "SELECT 'service', node || '/' || name, port, weight, typeof(weight) FROM service UNION ALL "
    "SELECT 'event', id, what, hex(data), typeof(data) FROM event UNION ALL "
    "SELECT 'person', id, name, NULL, NULL FROM person ORDER BY 1, 2";

bool is_writing() { return std::getenv("MERROW_WRITE_VECTORS") != nullptr; }

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class DatabaseVectors : public FolderTest {
 protected:
  static std::string Kept(const std::string& name) { return std::string(kFolder) + "/" + name; }

  /// A database made by merrow.so.
  void Make(const std::string& name) const {
    Site site(Path(name));
    site.Run("PRAGMA journal_mode = WAL; PRAGMA page_size = 1024; VACUUM");
    site.Run(kSchema);
    for (const char* table : {"note", "service", "event", "person"}) site.Track(table);
  }
  void Run(const std::string& name, const std::string& sql) const { Site(Path(name)).Run(sql); }
  void Export(const std::string& name, const std::string& file, const std::string& since = "") {
    DocIo io{in_, out_, err_};
    const Status status = ChangesExport(Path(name), {since}, 3, Path(file), io);
    ASSERT_TRUE(status.ok()) << status.error().ToString();
  }
  void Apply(const std::string& name, const std::string& file) {
    DocIo io{in_, out_, err_};
    const Status status = ChangesApply(Path(name), {file}, io);
    ASSERT_TRUE(status.ok()) << status.error().ToString();
  }
  /// Copies a file without what may be beside it, as it was closed.
  void Keep(const std::string& name) const {
    Site(Path(name)).Run("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
    std::filesystem::create_directories(kFolder);
    std::filesystem::copy_file(Path(name), Kept(name),
                               std::filesystem::copy_options::overwrite_existing);
  }
  void KeepText(const std::string& name, const std::string& text) const {
    std::ofstream(Kept(name), std::ios::binary) << text;
  }
  void Take(const std::string& name) const { std::filesystem::copy_file(Kept(name), Path(name)); }

  /// What a changeset file means, whatever it is cut into and compressed like. Of documents only
  /// which: how ops lie in blocks is free, and their rows show them.
  static std::string Means(const std::string& path) {
    const Bytes file = ReadAll(path);
    auto changesets = changeset::DecodeFile(file);
    if (!changesets.ok()) return changesets.error().ToString();
    std::vector<std::string> means;
    for (changeset::Changeset& one : *changesets) {
      // What nobody kept a log for gets its time now.
      one.timestamp = {};
      for (changeset::DocumentChange& document : one.documents) document.blocks = "x";
      means.push_back(Describe(one));
    }
    std::sort(means.begin(), means.end());
    std::string text;
    for (const std::string& one : means) text += one;
    return text;
  }

  void MakeExtensionDatabase() {
    Make("other.db");
    Run("other.db",
        "INSERT INTO note VALUES ('shared', 'theirs', 'from elsewhere', 3);"
        "INSERT INTO service VALUES ('n1', 'web', 80, 1.5), ('n1', 'db', 5432, NULL);"
        "INSERT INTO person VALUES ('0123abcd-4567-89ab-cdef-fedcba987654', 'Ada');"
        "CREATE TABLE later (id INTEGER PRIMARY KEY, x TEXT);");
    Site(Path("other.db")).Track("later");
    Run("other.db", "INSERT INTO later VALUES (1, 'waits for its table'), (2, 'too')");
    Export("other.db", "other1.changes");
    Run("other.db",
        "UPDATE note SET body = body || ', later'; DELETE FROM service WHERE name = 'db'");
    Export("other.db", "other2.changes", "@" + Path("other1.changes"));
    Make("third.db");
    Run("third.db", "INSERT INTO note VALUES ('third', 't', 'one', 1)");
    Export("third.db", "third1.changes");
    Run("third.db", "UPDATE note SET body = 'one and two'");
    Export("third.db", "third2.changes", "@" + Path("third1.changes"));

    Make("extension.db");
    Run("extension.db",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO "
        "event SELECT i, 'event ' || i, NULL FROM n");
    Run("extension.db",
        "UPDATE event SET data = x'00ff' WHERE id % 50 = 0; DELETE FROM event WHERE id = 7; INSERT "
        "INTO event VALUES (-3, 'negative', x''), (9223372036854775807, 'last', x'01')");
    Run("extension.db",
        "DELETE FROM event WHERE id = 8; INSERT INTO event VALUES (8, 'again', NULL)");
    Run("extension.db",
        "INSERT INTO note VALUES ('shared', 'ours', 'from here', 2), ('mine', NULL, 'h\u00e9llo', "
        "0)");
    for (int i = 0; i < 30; ++i) {
      Run("extension.db", "UPDATE note SET body = body || ' and more', votes = votes + 1");
    }
    Apply("extension.db", Path("other1.changes"));
    Run("extension.db",
        "UPDATE service SET port = 8080, weight = -0.0; UPDATE person SET id = 'moved'; INSERT "
        "INTO "
        "service VALUES ('n2', '', 9223372036854775807, 1e300)");
    Apply("extension.db", Path("other2.changes"));
    Apply("extension.db", Path("third2.changes"));  // follows what is not there
    Run("extension.db", "INSERT INTO event VALUES (1000, 'pending', NULL)");
    Keep("extension.db");
  }

  void MakeServerDatabase() {
    SystemClock clock;
    {
      auto store = store::Store::Open(ServerOptions(clock, "server.db")).value();
      const std::vector<store::SqlWrite> writes = {
          {"INSERT INTO note VALUES ('n', 'by SQL', 'hello', 4)", {}},
          {"INSERT INTO service VALUES ('n1', 'web', 80, 0.5)", {}}};
      ASSERT_TRUE(store->Execute(writes).ok());
      const std::vector<store::SqlWrite> more = {{"UPDATE note SET body = 'hello world'", {}}};
      ASSERT_TRUE(store->Execute(more).ok());
      // One of two parts.
      std::mt19937 random(1);
      std::vector<changeset::Changeset> parts;
      while (parts.size() < 2) {
        parts = changeset::SplitChangeset(
            changeset::RandomChangeset(random, changeset::SiteNamed(0x77), 0), 60);
      }
      const store::IncomingChangeset part{std::make_shared<const changeset::Changeset>(parts[0]),
                                          99};
      ASSERT_TRUE(store->ApplyChangesets({&part, 1}).ok());
    }
    std::filesystem::create_directories(kFolder);
    Keep("server.db");
  }

  store::StoreOptions ServerOptions(const Clock& clock, const std::string& name) const {
    store::StoreOptions options;
    options.path = Path(name);
    options.schema_sql = kSchema;
    options.clock = &clock;
    options.replicate = true;
    return options;
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(DatabaseVectors, OneOfTheExtension) {
  if (is_writing()) {
    MakeExtensionDatabase();
    Export("extension.db", "extension.changes");
    std::filesystem::copy_file(Path("extension.changes"), Kept("extension.changes"),
                               std::filesystem::copy_options::overwrite_existing);
    KeepText("extension.txt", Site(Path("extension.db")).Rows(kRows));
    std::filesystem::copy_file(Path("third1.changes"), Kept("third1.changes"),
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove(Path("extension.db"));
  }
  const std::string rows = ReadAll(Kept("extension.txt"));
  ASSERT_FALSE(rows.empty());
  Take("extension.db");
  EXPECT_EQ(Site(Path("extension.db")).Rows(kRows), rows);
  Export("extension.db", "now.changes");
  EXPECT_TRUE(Means(Path("now.changes")) == Means(Kept("extension.changes")));
  // It is a backup: a database that gets it is equal, in what it would tell others too.
  Make("restored.db");
  Apply("restored.db", Kept("extension.changes"));
  EXPECT_EQ(Site(Path("restored.db")).Rows(kRows), rows);
  Export("restored.db", "restored.changes");
  Make("again.db");
  Apply("again.db", Path("restored.changes"));
  EXPECT_EQ(Site(Path("again.db")).Rows(kRows), rows);
  // And it goes on: what waited comes with what it follows, and with its table.
  Apply("extension.db", Kept("third1.changes"));
  Run("extension.db", "CREATE TABLE later (id INTEGER PRIMARY KEY, x TEXT)");
  Site(Path("extension.db")).Track("later");
  EXPECT_EQ(Site(Path("extension.db")).Rows("SELECT * FROM later ORDER BY id"),
            "1|waits for its table|\n2|too|\n");
  EXPECT_EQ(Site(Path("extension.db")).Rows("SELECT body FROM note WHERE id = 'third'"),
            "one and two|\n");
  Run("extension.db", "UPDATE event SET what = 'new' WHERE id <= 10");
}

TEST_F(DatabaseVectors, OneOfAServer) {
  if (is_writing()) {
    MakeServerDatabase();
    Export("server.db", "server.changes");
    std::filesystem::copy_file(Path("server.changes"), Kept("server.changes"),
                               std::filesystem::copy_options::overwrite_existing);
    KeepText("server.txt", Site(Path("server.db")).Rows(kRows));
    std::filesystem::remove(Path("server.db"));
  }
  const std::string rows = ReadAll(Kept("server.txt"));
  ASSERT_FALSE(rows.empty());
  Take("server.db");
  EXPECT_EQ(Site(Path("server.db")).Rows(kRows), rows);
  EXPECT_EQ(Site(Path("server.db")).Rows("SELECT count(*), sum(whole) FROM _merrow_part"),
            "1|99|\n");
  Export("server.db", "now.changes");
  EXPECT_EQ(Means(Path("now.changes")), Means(Kept("server.changes")));
  SystemClock clock;
  auto store = store::Store::Open(ServerOptions(clock, "server.db")).value();
  EXPECT_EQ(store->ReadRow("note", "n").value(),
            R"({"id":"n","title":"by SQL","body":"hello world","votes":4})");
  const std::vector<store::SqlWrite> writes = {{"UPDATE service SET port = 81", {}}};
  EXPECT_TRUE(store->Execute(writes).ok());
}

}  // namespace
}  // namespace merrow::cli
