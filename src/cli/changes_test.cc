// SPDX-License-Identifier: Apache-2.0
//
// The `merrow changes` commands, through their command line, on databases that were written as
// merrow.so writes them and as a server does.
#include "cli/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "base/clock.h"
#include "cli/changes_test_util.h"
#include "merrow/document.h"
#include "store/store.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Changes : public ChangesCommandTest {
 protected:
  void MakeSite(const std::string& name) const {
    Site site(Path(name));
    site.Run(kBothKindsSchema);
    site.Track("note");
    site.Track("service");
  }
  void RunSql(const std::string& name, const std::string& sql) const { Site(Path(name)).Run(sql); }
  std::string AllRows(const std::string& name) const {
    Site site(Path(name));
    return site.Rows("SELECT * FROM note ORDER BY id") +
           site.Rows("SELECT * FROM service ORDER BY name");
  }

  int Export(const std::string& database, const std::string& file, const std::string& since = "") {
    std::vector<std::string> arguments = {"export", "--db", Path(database), "-o", Path(file)};
    if (!since.empty()) {
      arguments.insert(arguments.end(), {"--since", since});
    }
    return Run(arguments);
  }
  int Apply(const std::string& database, const std::string& file) {
    return Run({"apply", "--db", Path(database), Path(file)});
  }
};

TEST_F(Changes, TwoDatabasesMergeByMail) {
  MakeSite("a.db");
  MakeSite("b.db");
  RunSql("a.db",
         "INSERT INTO note VALUES ('n', 'first', 'hello'); INSERT INTO service VALUES ('web', 80), "
         "('db', 5432)");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("a.changes: "));
  ASSERT_EQ(Apply("b.db", "a.changes"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(" merged, 0 known before, 3 rows changed"));
  RunSql("b.db",
         "UPDATE note SET body = body || ' world'; DELETE FROM service WHERE name = 'db'; INSERT "
         "INTO note (id, body) VALUES ('m', 'new')");
  RunSql(
      "a.db",
      "UPDATE note SET body = 'Oh, ' || body; UPDATE service SET port = 8080 WHERE name = 'web'");
  ASSERT_EQ(Export("b.db", "b.changes", "@" + Path("a.changes")), 0) << err_;
  ASSERT_EQ(Apply("a.db", "b.changes"), 0) << err_;
  ASSERT_EQ(Export("a.db", "a2.changes", "@" + Path("a.changes")), 0) << err_;
  ASSERT_EQ(Apply("b.db", "a2.changes"), 0) << err_;
  EXPECT_EQ(AllRows("a.db"), "m||new|\nn|first|Oh, hello world|\nweb|8080|\n");
  EXPECT_EQ(AllRows("b.db"), AllRows("a.db"));
  // What is known already changes nothing.
  ASSERT_EQ(Apply("b.db", "a2.changes"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("0 changesets merged"));
  EXPECT_THAT(out_, HasSubstr(", 0 rows changed"));
}

TEST_F(Changes, ADatabaseOfAServerMergesToo) {
  SystemClock clock;
  store::StoreOptions options;
  options.path = Path("server.db");
  options.schema_sql = kBothKindsSchema;
  options.clock = &clock;
  loro::Document document(7);
  const auto body = loro::ContainerId::Root("body", loro::ContainerKind::kText);
  ASSERT_TRUE(document.TextInsert(body, 0, "from a client").ok());
  const Bytes update = document.ExportUpdates({});
  {
    auto store = store::Store::Open(options).value();
    const store::Write write{"note", "n", update};
    ASSERT_TRUE(std::holds_alternative<store::Applied>(store->ApplyBatch({&write, 1})[0]));
    Write("any.changes", "");
    EXPECT_EQ(Apply("server.db", "any.changes"), 1);
    EXPECT_THAT(err_, HasSubstr("another merrow process"));
  }
  ASSERT_EQ(Export("server.db", "s.changes"), 0) << err_;
  MakeSite("b.db");
  ASSERT_EQ(Apply("b.db", "s.changes"), 0) << err_;
  RunSql("b.db", "UPDATE note SET body = body || '!', title = 't'");
  ASSERT_EQ(Export("b.db", "b.changes", "@" + Path("s.changes")), 0) << err_;
  ASSERT_EQ(Apply("server.db", "b.changes"), 0) << err_;
  auto store = store::Store::Open(options).value();
  EXPECT_EQ(store->ReadRow("note", "n").value(),
            R"({"id":"n","title":"t","body":"from a client!"})");
}

TEST_F(Changes, InspectSaysWhatIsInside) {
  MakeSite("a.db");
  RunSql("a.db",
         "INSERT INTO note VALUES ('n', 'first', 'hello'); INSERT INTO service VALUES ('web', 80), "
         "('db', 5432); DELETE FROM service WHERE name = 'db'");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  ASSERT_EQ(Run({"inspect", "--json", Path("a.changes")}), 0) << err_;
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["bytes"], Read("a.changes").size());
  ASSERT_EQ(json["sites"].size(), 1U);
  EXPECT_EQ(json["versions"].get<std::string>(),
            json["sites"][0]["site"].get<std::string>() + ":" +
                json["sites"][0]["versions"].get<std::string>());
  ASSERT_EQ(json["tables"].size(), 2U);
  EXPECT_EQ(json["tables"][0]["table"], "note");
  EXPECT_EQ(json["tables"][0]["documents"], 1);
  EXPECT_EQ(json["tables"][1]["rows"], 2);
  EXPECT_EQ(json["tables"][1]["deleted"], 1);
  EXPECT_GT(json["uncompressed"]["documents"].get<int>(), 0);
  int64_t sum = 0;
  for (const auto& [name, bytes] : json["uncompressed"].items()) sum += bytes.get<int64_t>();
  EXPECT_EQ(sum - json["saved_by_compression"].get<int64_t>(), json["bytes"].get<int64_t>());
  ASSERT_EQ(Run({"inspect", Path("a.changes")}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(json["sites"][0]["site"].get<std::string>()));
  EXPECT_THAT(out_, HasSubstr("document bytes"));
}

TEST_F(Changes, WhatCannotBeDoneIsSaidWithTheFile) {
  MakeSite("a.db");
  RunSql("a.db", "INSERT INTO note VALUES ('n', 'first', 'hello')");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  const std::string good = Read("a.changes");

  Write("short.changes", good.substr(0, good.size() - 1));
  EXPECT_EQ(Apply("a.db", "short.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("short.changes: "));
  EXPECT_EQ(Run({"inspect", Path("short.changes")}), 1);
  EXPECT_THAT(err_, HasSubstr("short.changes: "));
  EXPECT_EQ(Apply("nothing.db", "a.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("nothing.db: there is no such file"));
  EXPECT_FALSE(std::filesystem::exists(Path("nothing.db-merrow-lock")));
  EXPECT_EQ(Apply("a.db", "nothing.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("nothing.changes"));

  Write("text.db",
        "this is no database, but it is long enough to have a header of one, isn't it? "
        "At least a hundred bytes are needed for that.");
  EXPECT_EQ(Export("text.db", "out.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("text.db"));
  Site(Path("plain.db")).Run("CREATE TABLE t (a)");
  EXPECT_EQ(Export("plain.db", "out.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("plain.db: no table of this database is tracked"));
  EXPECT_EQ(Export("a.db", "out.changes", "nonsense"), 1);
  EXPECT_THAT(err_, HasSubstr("--since"));
  EXPECT_FALSE(std::filesystem::exists(Path("out.changes")));
  EXPECT_EQ(Apply("a.db", "."), 1);
  EXPECT_THAT(err_, HasSubstr(Path(".") + ": cannot be read"));
  EXPECT_THAT(err_, HasSubstr("merging into " + Path("a.db"))) << "a.db is not what is wrong";
  Write("twice.changes", good + good);
  EXPECT_EQ(Apply("a.db", "twice.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("behind the end"));
  EXPECT_EQ(Run({"export", "--db", Path("a.db"), "-o", "/dev/full"}), 1);
  EXPECT_THAT(err_, HasSubstr("/dev/full: cannot be written: No space left"));
  EXPECT_EQ(Export("a.db", "no/such/folder/out.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("out.changes: cannot be written"));
  EXPECT_THROW(Run({"export", "-o", "x"}), CLI::ParseError);
}

/// What comes before that which it follows waits, and is merged with it.
TEST_F(Changes, FilesCanComeInAnyOrder) {
  MakeSite("a.db");
  MakeSite("b.db");
  RunSql("a.db", "INSERT INTO note VALUES ('n', 'first', 'hello')");
  ASSERT_EQ(Export("a.db", "a1.changes"), 0) << err_;
  RunSql("a.db", "UPDATE note SET body = 'hello world'; INSERT INTO service VALUES ('web', 80)");
  ASSERT_EQ(Export("a.db", "a2.changes", "@" + Path("a1.changes")), 0) << err_;
  ASSERT_EQ(Apply("b.db", "a2.changes"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("waiting for"));
  EXPECT_EQ(AllRows("b.db").find("hello"), std::string::npos);
  ASSERT_EQ(Apply("b.db", "a1.changes"), 0) << err_;
  EXPECT_EQ(AllRows("b.db"), AllRows("a.db"));
  // All at once, and twice.
  MakeSite("c.db");
  ASSERT_EQ(Run({"apply", "--db", Path("c.db"), Path("a2.changes"), Path("a1.changes"),
                 Path("a2.changes")}),
            0)
      << err_;
  EXPECT_EQ(AllRows("c.db"), AllRows("a.db"));
}

/// A backup that is a whole one and what came since, again and again.
TEST_F(Changes, AChainOfFilesHasEverythingOnce) {
  MakeSite("a.db");
  std::vector<std::string> arguments = {"export", "--db", Path("a.db")};
  std::vector<std::string> files;
  for (int i = 0; i < 4; ++i) {
    const std::string number = std::to_string(i);
    RunSql("a.db", "INSERT INTO service VALUES ('s" + number +
                       "', 1); INSERT INTO note (id, body) VALUES ('n" + number + "', 'hello')");
    files.push_back(Path(number + ".changes"));
    std::vector<std::string> one = arguments;
    one.insert(one.end(), {"-o", files.back()});
    ASSERT_EQ(Run(one), 0) << err_;
    arguments.insert(arguments.end(), {"--since", "@" + files.back()});
  }
  MakeSite("b.db");
  std::vector<std::string> apply = {"apply", "--db", Path("b.db")};
  apply.insert(apply.end(), files.begin(), files.end());
  ASSERT_EQ(Run(apply), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(" merged, 0 known before, 8 rows changed"));
  EXPECT_EQ(AllRows("b.db"), AllRows("a.db"));
}

TEST_F(Changes, TheDatabaseIsNotReplacedByWhatIsInIt) {
  MakeSite("a.db");
  RunSql("a.db", "INSERT INTO service VALUES ('web', 80)");
  std::filesystem::create_symlink(Path("a.db"), Path("link.db"));
  for (const char* name : {"a.db", "link.db"}) {
    EXPECT_EQ(Export("a.db", name), 1);
    EXPECT_THAT(err_, HasSubstr("is the database itself"));
  }
  EXPECT_EQ(AllRows("a.db"), "web|80|\n");
}

/// A folder that three sites write to, each what is new since its last file, read in any order.
TEST_F(Changes, FilesOfThreeSitesInAnyOrderGiveEqualDatabases) {
  std::mt19937 random(5);
  const std::vector<std::string> names = {"a", "b", "c"};
  std::map<std::string, std::string> last;  // file of each site
  std::vector<std::string> files;
  for (const std::string& name : names) MakeSite(name + ".db");
  RunSql("a.db", "INSERT INTO note VALUES ('n', 'shared', 'start')");
  for (int step = 0; step < 24; ++step) {
    const std::string& name = names[random() % 3];
    const std::string number = std::to_string(random() % 5);
    RunSql(
        name + ".db",
        "INSERT INTO service VALUES ('s" + number + "', " + std::to_string(step) +
            ") ON CONFLICT DO UPDATE SET port = excluded.port; UPDATE note SET body = body || '" +
            name + number + "'; DELETE FROM service WHERE name = 's" +
            std::to_string(random() % 5) + "' AND " + std::to_string(random() % 3) + " = 0");
    if (random() % 3 == 0 && !files.empty()) {
      ASSERT_EQ(Apply(name + ".db", files[random() % files.size()]), 0) << err_;
    }
    const std::string file = std::to_string(step) + ".changes";
    ASSERT_EQ(Export(name + ".db", file, last[name].empty() ? "" : "@" + Path(last[name])), 0)
        << err_;
    // Everything that the site had: what comes next is in the next file.
    ASSERT_EQ(Export(name + ".db", name + ".all"), 0) << err_;
    last[name] = name + ".all";
    files.push_back(file);
  }
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(Path(file));
  std::string expected;
  for (int order = 0; order < 4; ++order) {
    std::shuffle(paths.begin(), paths.end(), random);
    const std::string name = "order" + std::to_string(order) + ".db";
    MakeSite(name);
    if (order % 2 == 0) {
      std::vector<std::string> arguments = {"apply", "--db", Path(name)};
      arguments.insert(arguments.end(), paths.begin(), paths.end());
      ASSERT_EQ(Run(arguments), 0) << err_;
    } else {
      for (const std::string& path : paths) {
        ASSERT_EQ(Run({"apply", "--db", Path(name), path}), 0) << err_;
      }
    }
    EXPECT_THAT(out_, Not(HasSubstr("waiting")));
    if (expected.empty()) expected = AllRows(name);
    EXPECT_EQ(AllRows(name), expected);
  }
  for (const std::string& name : names) {
    for (const std::string& path : paths) {
      ASSERT_EQ(Run({"apply", "--db", Path(name + ".db"), path}), 0) << err_;
    }
    EXPECT_EQ(AllRows(name + ".db"), expected);
  }
  EXPECT_THAT(expected, HasSubstr("n|shared|start"));
}

TEST_F(Changes, ACopyBecomesASiteOfItsOwn) {
  MakeSite("a.db");
  RunSql("a.db",
         "INSERT INTO note VALUES ('n', 'first', 'hello'); INSERT INTO service VALUES ('web', 80)");
  std::filesystem::copy_file(Path("a.db"), Path("b.db"));
  Site(Path("b.db")).NewSite();
  RunSql("a.db", "UPDATE note SET body = 'Oh, hello'; UPDATE service SET port = 81");
  RunSql("b.db", "UPDATE note SET body = 'hello world'; INSERT INTO service VALUES ('db', 5432)");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  ASSERT_EQ(Export("b.db", "b.changes"), 0) << err_;
  ASSERT_EQ(Apply("b.db", "a.changes"), 0) << err_;
  ASSERT_EQ(Apply("a.db", "b.changes"), 0) << err_;
  EXPECT_EQ(AllRows("a.db"), "n|first|Oh, hello world|\ndb|5432|\nweb|81|\n");
  EXPECT_EQ(AllRows("b.db"), AllRows("a.db"));
}

TEST_F(Changes, ADocumentThatCannotBeReadHoldsUpNobody) {
  MakeSite("a.db");
  MakeSite("b.db");
  RunSql("a.db", "INSERT INTO note VALUES ('m', 'x', 'lost'), ('n', 'y', 'kept')");
  RunSql("a.db", "UPDATE _merrow_log SET bytes = x'00' WHERE id >> 24 = 1");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("a.db: left out, because a document in them cannot be read: "));
  ASSERT_EQ(Apply("b.db", "a.changes"), 0) << err_;
  EXPECT_EQ(AllRows("b.db"), "n|y|kept|\n");
  // Of whoever has the rest, nothing is missing.
  ASSERT_EQ(Export("b.db", "b.changes"), 0) << err_;
  EXPECT_EQ(err_, "");
}

/// All files or none.
TEST_F(Changes, NothingIsMergedHalf) {
  MakeSite("a.db");
  RunSql("a.db", "INSERT INTO note VALUES ('m', 'ok', 'fine'), ('n', 'too long', 'hello')");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  {
    Site site(Path("b.db"));
    site.Run(
        "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT CHECK (length(title) < 5),"
        " body CRDT_TEXT); CREATE TABLE service (name TEXT PRIMARY KEY NOT NULL, port INTEGER)");
    site.Track("note");
    site.Track("service");
  }
  EXPECT_EQ(Apply("b.db", "a.changes"), 1);
  EXPECT_THAT(err_, HasSubstr("CHECK constraint failed"));
  EXPECT_THAT(err_, HasSubstr("b.db: " + Path("a.changes") + ": changeset "));
  EXPECT_EQ(AllRows("b.db"), "");
}

/// What could not be written to a file, nor to a link, is not tracked in the first place.
TEST_F(Changes, NamesThatNoFileCanHoldAreRefused) {
  Site site(Path("a.db"));
  for (const size_t size : {size_t{1024}, size_t{1025}}) {
    const std::string name(size, 'n');
    site.Run("CREATE TABLE " + name + " (id INTEGER PRIMARY KEY, x TEXT)");
    site.Run("CREATE TABLE c" + std::to_string(size) + " (id INTEGER PRIMARY KEY, " + name + ")");
    for (const std::string& table : {name, "c" + std::to_string(size)}) {
      EXPECT_EQ(site.Tracks(table), size == 1024) << table;
    }
  }
}

/// Larger than a frame may be, and than what a server takes at once.
TEST_F(Changes, LargeValuesAndDocumentsTravel) {
  MakeSite("a.db");
  MakeSite("b.db");
  RunSql("a.db",
         "CREATE TABLE file (id INTEGER PRIMARY KEY, bytes BLOB, name TEXT, more BLOB);"
         "INSERT INTO note VALUES ('n', 'long', '')");
  Site(Path("a.db")).Track("file");
  RunSql("b.db", "CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT, bytes BLOB, more BLOB)");
  RunSql("a.db",
         "INSERT INTO file VALUES (1, randomblob(20000000), 'large', randomblob(3000000)),"
         "(2, x'01', 'small', NULL)");
  for (int i = 0; i < 3; ++i) {
    RunSql("a.db", "UPDATE note SET body = body || hex(randomblob(4000000))");
  }
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  ASSERT_EQ(Run({"inspect", "--json", Path("a.changes")}), 0) << err_;
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["tables"][0]["rows"], 2);
  EXPECT_EQ(json["tables"][0]["cells"], 6);
  EXPECT_EQ(json["tables"][1]["documents"], 1);
  ASSERT_EQ(Apply("b.db", "a.changes"), 0) << err_;
  EXPECT_EQ(AllRows("b.db"), AllRows("a.db"));
  // One that has no such table yet keeps it, and passes it on.
  ASSERT_EQ(Export("b.db", "b.changes"), 0) << err_;
  MakeSite("c.db");
  RunSql("c.db", "CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT, bytes BLOB, more BLOB)");
  Site(Path("c.db")).Track("file");
  ASSERT_EQ(Apply("c.db", "b.changes"), 0) << err_;
  Site(Path("b.db")).Track("file");
  const std::string all = "SELECT id, name, hex(bytes), hex(more) FROM file ORDER BY id";
  const std::string rows = Site(Path("a.db")).Rows(all);
  EXPECT_TRUE(Site(Path("b.db")).Rows(all) == rows);
  EXPECT_TRUE(Site(Path("c.db")).Rows(all) == rows);
}

/// The row before has a cell of the column that is cut.
TEST_F(Changes, InspectCountsACellThatGoesOnFromPartToPartOnce) {
  MakeSite("a.db");
  RunSql("a.db", "CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT, size INTEGER, bytes BLOB)");
  Site(Path("a.db")).Track("file");
  RunSql("a.db", "INSERT INTO file VALUES (1, 'small', 1, x'01')");
  ASSERT_EQ(Export("a.db", "a1.changes"), 0) << err_;
  RunSql("a.db", "UPDATE file SET bytes = x'02'");
  RunSql("a.db", "INSERT INTO file VALUES (2, 'large', 9, randomblob(9000000))");
  ASSERT_EQ(Export("a.db", "a2.changes", "@" + Path("a1.changes")), 0) << err_;
  ASSERT_EQ(Run({"inspect", "--json", Path("a2.changes")}), 0) << err_;
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["tables"][0]["rows"], 2);
  EXPECT_EQ(json["tables"][0]["cells"], 1 + 3);
}

/// A few bytes for each, in the order in which putting together what they cover takes longest.
TEST_F(Changes, AFileOfVeryManyChangesetsIsRead) {
  constexpr int kChangesets = 200'000;
  std::vector<changeset::Changeset> changesets;
  for (int i = kChangesets; i > 0; --i) {
    changeset::Changeset& one = changesets.emplace_back();
    one.cells.version = 2 * i;
    one.cells.previous = 2 * i - 1;
    one.cells.authors = {one.cells.site};
  }
  changeset::FrameOptions options;
  options.zstd_level = 1;
  Write("many.changes", changeset::EncodeFile(changesets, options).value());
  ASSERT_EQ(Run({"inspect", "--json", Path("many.changes")}), 0) << err_;
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["sites"][0]["changesets"], kChangesets);
  EXPECT_THAT(json["sites"][0]["versions"].get<std::string>(), testing::StartsWith("2-2,4-4,6-6,"));
  MakeSite("a.db");
  ASSERT_EQ(Export("a.db", "a.changes", "@" + Path("many.changes")), 0) << err_;
}

/// No damage of a file ends the process or is merged.
TEST_F(Changes, EveryDamageIsRefused) {
  MakeSite("a.db");
  MakeSite("b.db");
  RunSql("a.db",
         "INSERT INTO note VALUES ('n', 'first', 'hello'); INSERT INTO service VALUES ('web', 80)");
  ASSERT_EQ(Export("a.db", "a.changes"), 0) << err_;
  const std::string good = Read("a.changes");
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    Write("bad.changes", bad);
    EXPECT_EQ(Run({"inspect", Path("bad.changes")}), 1) << "byte " << at;
  }
  EXPECT_EQ(AllRows("b.db"), "");
}

}  // namespace
}  // namespace merrow::cli
