// SPDX-License-Identifier: Apache-2.0
//
// Replication of a whole store: documents and column rows of one transaction, SQL writes, notices
// for live clients, files that are switched over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/replica_store_test_util.h"

namespace merrow::store {
namespace {

using changeset::VersionRange;
using changeset::VersionRanges;

TEST(ReplicaStore, SqlWritesAreTransactions) {
  StoreReplica a;
  const std::vector<SqlWrite> writes = {
      {"INSERT INTO item VALUES (?1, ?2, ?3), (?4, 'y', 7)",
       {cells::Value::Integer(1), cells::Value::Text("x"), cells::Value::Integer(5),
        cells::Value::Integer(2)}},
      {"UPDATE item SET size = size + 1", {}},
      {"SELECT * FROM item", {}},
      {"INSERT INTO scratch VALUES (1, 2)", {}},
  };
  const Executed executed = Must(a->Execute(writes));
  EXPECT_THAT(executed.rows_changed, testing::ElementsAre(2, 2, 0, 1));
  EXPECT_EQ(executed.version, 1);
  EXPECT_EQ(a->own_version(), 1);
  EXPECT_EQ(a.Run("INSERT INTO scratch VALUES (3, 4)").version, 0) << "it does not replicate";
  EXPECT_EQ(a.Sql("SELECT * FROM item"), "1|x|6\n2|y|8");
}

TEST(ReplicaStore, SqlWritesAreAllOrNothing) {
  StoreReplica a;
  const std::vector<SqlWrite> writes = {{"INSERT INTO item VALUES (1, 'x', 5)", {}},
                                        {"INSERT INTO item VALUES (2, 'x', 500)", {}}};
  const auto result = a->Execute(writes);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(result.error().message(), testing::HasSubstr("statement 2"));
  EXPECT_EQ(a.Sql("SELECT count(*) FROM item"), "0");
  EXPECT_TRUE(a->seen().empty());
  EXPECT_EQ(a.Run("INSERT INTO item VALUES (1, 'x', 5)").version, 1);
}

TEST(ReplicaStore, SqlWritesMayNotDoWhatOthersDo) {
  StoreReplica a;
  for (const char* sql :
       {"DELETE FROM _merrow_source", "UPDATE _merrow_site SET id = x'00'",
        "INSERT INTO merrow_cell_txn VALUES (1)", "COMMIT", "SAVEPOINT s", "CREATE TABLE t (x)",
        "DROP TABLE item", "PRAGMA user_version = 3", "ATTACH 'x' AS y",
        "SELECT merrow_cell_insert(1, 5)", "SELECT load_extension('x')", "VACUUM",
        "INSERT INTO item VALUES (1, 'a', 1); DELETE FROM item", "", "-- nothing", "SELEC 1",
        "INSERT INTO item VALUES (?1, 'x', 1)"}) {
    const Error error = a.RunError(sql);
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << sql << ": " << error.message();
  }
  EXPECT_EQ(a->own_version(), 0);
}

/// A millisecond passes whenever somebody looks.
class PassingClock final : public Clock {
 public:
  int64_t MonotonicMicros() const override { return micros_ += 1000; }
  int64_t UnixSeconds() const override { return 1'700'000'000; }

 private:
  mutable int64_t micros_ = 0;
};

TEST(ReplicaStore, ASlowSqlWriteIsGivenUp) {
  StoreReplica a;
  a.Close();
  const PassingClock clock;
  a.options.clock = &clock;
  a.options.limits.sql_transaction_ms_max = 50;
  a.Open();
  const Error error = a.RunError(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
      "INSERT INTO scratch SELECT i, i FROM n WHERE i < 0");
  EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.message();
  EXPECT_THAT(error.message(), testing::HasSubstr("sql_transaction_ms_max"));
  // Many short ones, none of which SQLite would look at the clock for.
  const std::vector<SqlWrite> many(200, {"INSERT INTO scratch VALUES (1, 2)", {}});
  const Error late = a->Execute(many).error();
  EXPECT_EQ(late.code(), ErrorCode::kCancelled) << late.message();
  EXPECT_THAT(late.message(), testing::HasSubstr("sql_transaction_ms_max"));
  EXPECT_EQ(a.Sql("SELECT count(*) FROM scratch"), "0");
  EXPECT_EQ(a.Run("INSERT INTO item VALUES (1, 'x', 5)").version, 1);
}

TEST(ReplicaStore, WhatNoOtherSiteCouldTakeIsRefused) {
  StoreReplica a, b;
  a.Run("INSERT INTO item VALUES (1, 'before', 1)");
  const std::string large(20 << 20, 'x');
  const SqlWrite bound{"INSERT INTO item VALUES (2, ?1, 1)", {cells::Value::Text(large)}};
  const Error error = a->Execute({&bound, 1}).error();
  EXPECT_EQ(error.code(), ErrorCode::kLimit);
  EXPECT_THAT(error.message(), testing::HasSubstr("statement 1: value 1 has 20971520 bytes"));
  for (const char* sql : {"INSERT INTO item VALUES (2, hex(zeroblob(10 << 20)), 1)",
                          "UPDATE item SET name = hex(zeroblob(10 << 20))",
                          "SELECT length(hex(randomblob(400 << 20)))"}) {
    const Error made = a.RunError(sql);
    EXPECT_EQ(made.code(), ErrorCode::kLimit) << made.message();
    EXPECT_THAT(made.message(), testing::HasSubstr("sql_value_bytes_max")) << sql;
  }
  // The largest one goes where it should.
  a.Run("INSERT INTO item VALUES (2, hex(zeroblob((12 << 19) - 100)), 1)");
  b.PullFrom(a);
  EXPECT_EQ(b.Sql("SELECT id, length(name) FROM item"), "1|6\n2|12582712");

  a.Close();
  a.options.limits.sql_transaction_rows_max = 10;
  a.Open();
  const std::string ten = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT ";
  const SqlWrite six{ten + "6) INSERT INTO scratch SELECT i, i FROM n", {}};
  const Error rows = a->Execute(std::vector<SqlWrite>{six, six}).error();
  EXPECT_EQ(rows.code(), ErrorCode::kLimit);
  EXPECT_THAT(rows.message(), testing::HasSubstr("statement 2: the transaction changes 12 rows"));
  EXPECT_EQ(a.Sql("SELECT count(*) FROM scratch"), "0");
  a.Run(six.sql);
}

TEST(ReplicaStore, DocumentsAndRowsArriveTogether) {
  StoreReplica a, b, c;
  Editor editor(1);
  editor.Type("body", 0, "hello");
  editor.Set("title", loro::Value("first"));
  a.MustApply("note", "k", editor.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 5)");
  editor.Type("body", 5, " world");
  a.MustApply("note", "k", editor.Take());
  EXPECT_EQ(a->own_version(), 3);

  const auto notices = b.PullFrom(a);
  EXPECT_EQ(b.Dump(), "k|first|hello world\n1|x|5");
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].table, "note");
  EXPECT_EQ(notices[0].key, "k");
  EXPECT_TRUE(notices[0].applied.created);
  EXPECT_NE(notices[0].applied.delta, nullptr);
  EXPECT_EQ(notices[0].applied.after, editor.document().version());
  EXPECT_EQ(b->seen(), a->seen());

  // On through b, and back.
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), a.Dump());
  Editor other(2);
  other.Receive(Must(c->ReadSnapshot("note", "k")).bytes);
  other.Type("body", 0, "oh, ");
  c.MustApply("note", "k", other.Take());
  b.PullFrom(c);
  a.PullFrom(b);
  EXPECT_EQ(a.Dump(), "k|first|oh, hello world\n1|x|5");
  EXPECT_EQ(a->seen(), c->seen());
}

TEST(ReplicaStore, KeystrokesAreOneChangesetWhenTheyArePulled) {
  StoreReplica a;
  Editor editor(1);
  for (int i = 0; i < 50; ++i) {
    editor.Type("body", static_cast<size_t>(i), "x");
    a.MustApply("note", "k", editor.Take());
  }
  const ReplicaPage page = Must(a->ReadChangesets(a->own_site(), VersionRanges({0, 50}), 1 << 20));
  ASSERT_EQ(page.changesets.size(), 1U);
  ASSERT_EQ(page.changesets[0]->documents.size(), 1U);
  EXPECT_LT(page.changesets[0]->documents[0].blocks.size(), 400U);
}

TEST(ReplicaStore, OpsWithoutWhatTheyFollowWait) {
  StoreReplica a, b, c;
  Editor editor(1);
  for (int i = 0; i < 3; ++i) {
    editor.Type("body", 0, "x");
    a.MustApply("note", "k", editor.Take());
    a.Run("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 5)");
  }
  const auto read = [&](VersionRange range) {
    return Must(a->ReadChangesets(a->own_site(), VersionRanges(range), 1 << 20)).changesets.at(0);
  };
  // Document and row become visible together.
  const ChangesetsApplied late = b.Apply({read({4, 6})});
  EXPECT_EQ(late.outcomes[0].fate, ReplicaFate::kApplied);
  EXPECT_TRUE(late.notices.empty());
  EXPECT_EQ(b.Sql("SELECT count(*) FROM item"), "0");
  EXPECT_EQ(b->seen().at(a->own_site()), VersionRanges({4, 6}));
  EXPECT_EQ(b->stats().transactions_waiting, 1U);
  b.Reopen();
  b->CheckInvariants();
  b.Apply({read({2, 4})});
  EXPECT_EQ(b.Sql("SELECT count(*) FROM item"), "0");
  EXPECT_EQ(b->stats().transactions_waiting, 2U);
  // What waits is served on, and waits there.
  c.PullFrom(b);
  EXPECT_EQ(c.Sql("SELECT count(*) FROM item"), "0");
  EXPECT_EQ(c->seen(), b->seen());
  const ChangesetsApplied all = b.Apply({read({0, 2})});
  EXPECT_EQ(all.notices.size(), 3U);
  EXPECT_EQ(b.Dump(), a.Dump());
  EXPECT_EQ(b->stats().transactions_waiting, 0U);
  EXPECT_EQ(b.Sql("SELECT count(*) FROM _merrow_waiting"), "0");
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), a.Dump());
  b.Reopen();
  StoreReplica d;
  d.PullFrom(b);
  EXPECT_EQ(d.Dump(), a.Dump());
}

TEST(ReplicaStore, ChangesetsThatFollowEachOtherAreAppliedTogether) {
  StoreReplica a, b, c, d;
  Editor one(1), two(2);
  // People at a and b write in turn, each after what the other wrote.
  for (int i = 0; i < 4; ++i) {
    one.Type("body", 0, "x");
    a.MustApply("note", "k", one.Take());
    b.PullFrom(a);
    two.Receive(Must(b->ReadSnapshot("note", "k")).bytes);
    two.Take();
    two.Type("body", 0, "y");
    b.MustApply("note", "k", two.Take());
    b.Run("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 5)");
    a.PullFrom(b);
    one.Receive(Must(a->ReadSnapshot("note", "k")).bytes);
    one.Take();
  }
  // Each comes as one changeset, of which neither can be applied without the other.
  const auto all_of = [&](const cells::SiteId& site) {
    return Must(a->ReadChangesets(site, a->seen().at(site), 1 << 20)).changesets;
  };
  ASSERT_EQ(all_of(a->own_site()).size(), 1U);
  c.Apply(all_of(b->own_site()));
  EXPECT_EQ(c->stats().transactions_waiting, 1U);
  EXPECT_EQ(c.Sql("SELECT count(*) FROM item"), "0");
  c.Reopen();
  const ChangesetsApplied applied = c.Apply(all_of(a->own_site()));
  EXPECT_EQ(applied.notices.size(), 1U);
  EXPECT_EQ(c.Dump(), a.Dump());
  EXPECT_EQ(c->seen(), a->seen());
  EXPECT_EQ(c->stats().transactions_waiting, 0U);
  c->CheckInvariants();
  // On from there.
  d.PullFrom(c);
  EXPECT_EQ(d.Dump(), a.Dump());
}

TEST(ReplicaStore, WhatARowRefusesDoesNotHoldUpTheOthers) {
  StoreReplica a(
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);");
  StoreReplica b, c;
  Editor one(1), two(2);
  for (int i = 0; i < 2; ++i) {
    one.Type("body", 0, "x");
    a.MustApply("note", "k", one.Take());
    b.PullFrom(a);
    two.Receive(Must(b->ReadSnapshot("note", "k")).bytes);
    two.Take();
    two.Type("body", 0, "y");
    b.MustApply("note", "k", two.Take());
    a.PullFrom(b);
    one.Receive(Must(a->ReadSnapshot("note", "k")).bytes);
    one.Take();
  }
  // Beside those that follow each other: ops of another document, with a row that c refuses.
  Editor other(3);
  other.Type("body", 0, "x");
  a.MustApply("note", "l", other.Take());
  const cells::DbVersion before = a->own_version();
  other.Type("body", 0, "y");
  a.MustApply("note", "l", other.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 500)");
  const auto read = [&](const cells::SiteId& site, VersionRange range) {
    return Must(a->ReadChangesets(site, VersionRanges(range), 1 << 20)).changesets;
  };
  c.Apply(read(a->own_site(), {before, a->own_version()}));
  c.Apply(read(b->own_site(), {0, b->own_version()}));
  EXPECT_EQ(c->stats().transactions_waiting, 2U);
  c.Apply(read(a->own_site(), {0, before}));
  EXPECT_EQ(c->stats().transactions_waiting, 1U);
  EXPECT_EQ(c.Sql("SELECT id, body FROM note ORDER BY id"), "k|yxyx\nl|x");
  const auto check_refused = [&] {
    const StoreStats stats = c->stats();
    EXPECT_EQ(stats.transactions_waiting, 1U);
    EXPECT_EQ(stats.transactions_refused, 1U);
    ASSERT_EQ(stats.refused.size(), 1U);
    EXPECT_EQ(stats.refused[0].site, a->own_site());
    EXPECT_EQ(stats.refused[0].range, (VersionRange{before, a->own_version()}));
    EXPECT_THAT(stats.refused[0].reason,
                testing::AllOf(testing::HasSubstr("table item"), testing::HasSubstr("size < 100")));
  };
  check_refused();
  c.Reopen();
  check_refused();
  c->CheckInvariants();
}

TEST(ReplicaStore, AClientMayBringWhatOthersWaitFor) {
  StoreReplica a, b;
  Editor editor(1);
  editor.Type("body", 0, "x");
  const Bytes first = editor.Take();
  a.MustApply("note", "k", first);
  editor.Type("body", 0, "y");
  a.MustApply("note", "k", editor.Take());
  b.Apply(Must(a->ReadChangesets(a->own_site(), VersionRanges({1, 2}), 1)).changesets);
  EXPECT_EQ(b->stats().transactions_waiting, 1U);
  b.MustApply("note", "k", first);
  Must(b->RunUpkeep());
  EXPECT_EQ(b->stats().transactions_waiting, 0U);
  EXPECT_EQ(b.Sql("SELECT body FROM note"), "yx");
  EXPECT_EQ(b->TakeNotices().size(), 1U);
}

TEST(ReplicaStore, WhatWasRefusedLeavesDocumentsAsTheyWere) {
  StoreReplica a(
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);");
  StoreReplica b;
  Editor editor(1);
  editor.Type("body", 0, "x");
  a.MustApply("note", "k", editor.Take());
  b.PullFrom(a);
  editor.Type("body", 0, "y");
  a.MustApply("note", "k", editor.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 500)");
  // Both in one changeset, and the row breaks a rule of b.
  const ReplicaPage page = Must(a->ReadChangesets(a->own_site(), VersionRanges({1, 3}), 1 << 20));
  ASSERT_EQ(page.changesets.size(), 1U);
  const ChangesetsApplied applied = b.Apply(page.changesets);
  EXPECT_EQ(applied.outcomes[0].fate, ReplicaFate::kRefused);
  EXPECT_TRUE(applied.notices.empty());
  EXPECT_EQ(b.Dump(), "k|NULL|x\n");
  // The document alone is fine.
  b.Apply(Must(a->ReadChangesets(a->own_site(), VersionRanges({1, 2}), 1 << 20)).changesets);
  EXPECT_EQ(b.Dump(), "k|NULL|yx\n");
  b->CheckInvariants();
}

TEST(ReplicaStore, PublishedTransactionsAreThoseThatWereCommitted) {
  StoreReplica a, b;
  a.Run("INSERT INTO item VALUES (1, 'x', 5)");
  a->KeepPublished(true);
  Editor editor(1);
  editor.Type("body", 0, "x");
  a.MustApply("note", "k", editor.Take());
  EXPECT_EQ(a.RunError("INSERT INTO item VALUES (1, 'x', 5)").code(), ErrorCode::kConflict);
  a.Run("DELETE FROM item");
  const std::vector<SharedChangeset> published = a->TakePublished();
  ASSERT_EQ(published.size(), 2U);
  EXPECT_EQ(published[0]->cells.version, 2);
  EXPECT_EQ(published[0]->cells.previous, 1);
  EXPECT_EQ(published[0]->documents.size(), 1U);
  EXPECT_EQ(published[1]->cells.rows.size(), 1U);
  EXPECT_TRUE(a->TakePublished().empty());
  b.PullFrom(a);
  EXPECT_TRUE(a->TakePublished().empty()) << "what is merged is not published again";
}

TEST(ReplicaStore, AnExistingFileCountsAsPublished) {
  StoreReplica a(kReplicaStoreSchema, /*replicate=*/false);
  Editor editor(1);
  editor.Type("body", 0, "old");
  a.MustApply("note", "k", editor.Take());
  Editor second(2);
  second.Type("body", 0, "older");
  a.MustApply("note", "l", second.Take());
  EXPECT_EQ(a.Sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE '_merrow_s%'"), "1");
  a.options.replicate = true;
  a.Reopen();
  StoreReplica b;
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), a.Dump());
  // It stays on.
  a.options.replicate = false;
  a.Reopen();
  editor.Type("body", 0, "not so ");
  a.MustApply("note", "k", editor.Take());
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), "k|NULL|not so old\nl|NULL|older\n");
}

TEST(ReplicaStore, OpsThatCameWithOtherVersionsAreServedWithTheirOwnToo) {
  StoreReplica a(kReplicaStoreSchema, /*replicate=*/false);
  Editor editor(1);
  editor.Type("body", 0, "old");
  a.MustApply("note", "k", editor.Take());
  a.options.replicate = true;
  a.Reopen();
  StoreReplica early, late, last;
  const auto move = [&](StoreReplica& from, StoreReplica& to, VersionRange range) {
    to.Apply(Must(from->ReadChangesets(a->own_site(), VersionRanges(range), 1 << 20)).changesets);
  };
  move(a, early, {0, 1});
  editor.Type("body", 0, "not so ");
  a.MustApply("note", "k", editor.Take());
  // The first version is all that the document has, which is more by now.
  move(a, late, {0, 1});
  move(a, late, {1, 2});
  move(late, early, {1, 2});
  EXPECT_EQ(early->seen(), late->seen());
  EXPECT_EQ(early.Dump(), a.Dump());
  last.PullFrom(early);
  EXPECT_EQ(last.Dump(), a.Dump());
}

TEST(ReplicaStore, ASchemaThatArrivesLaterTakesWhatWaited) {
  StoreReplica a;
  StoreReplica b("CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT);");
  Editor editor(1);
  editor.Type("body", 0, "text");
  a.MustApply("note", "k", editor.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 5)");
  b.PullFrom(a);
  EXPECT_EQ(b.Sql("SELECT * FROM item"), "1|x");
  EXPECT_EQ(b->seen(), a->seen());
  b.options.schema_sql =
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);"
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);";
  b.Reopen();
  EXPECT_EQ(b.Dump(), a.Dump());
  StoreReplica c;
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), a.Dump());
}

TEST(ReplicaStore, UpkeepDropsWhatNobodyNeeds) {
  StoreReplica a, b;
  a.Close();
  a.options.replica_limits.entries_kept = 2;
  a.Open();
  Editor editor(1);
  for (int i = 0; i < 20; ++i) {
    editor.Type("body", 0, "x");
    a.MustApply("note", "k", editor.Take());
  }
  a.Run("INSERT INTO item VALUES (1, 'x', 5)");
  a.Run("DELETE FROM item");
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  for (int i = 0; i < 10; ++i) {
    Must(a->RunUpkeep());
  }
  EXPECT_EQ(a.Sql("SELECT count(*) < 6 FROM _merrow_source"), "1");
  EXPECT_EQ(a.Sql("SELECT count(*) FROM _merrow_clock_1"), "0");
  b.PullFrom(a);
  EXPECT_EQ(a->seen(), b->seen());
  StoreReplica c;
  c.PullFrom(a);
  EXPECT_EQ(c.Dump(), a.Dump());
  a.Reopen();
  EXPECT_EQ(a->seen(), b->seen());
}

TEST(ReplicaStore, WhatUpkeepCombinesStaysSmall) {
  StoreReplica a, b;
  a.Close();
  a.options.replica_limits.entries_kept = 2;
  a.Open();
  // Rows in a row: to the log of transactions they are next to nothing.
  constexpr int kTransactions = 200;
  for (int i = 0; i < kTransactions; ++i) {
    a.Run("WITH RECURSIVE n(i) AS (SELECT " + std::to_string(i * 100) +
          " UNION ALL SELECT i + 1 FROM n LIMIT 100) INSERT INTO item SELECT i, "
          "hex(zeroblob(20)), 1 FROM n");
  }
  while (Must(a->RunUpkeep()).more) {
  }
  // They are combined, but not all into one: an entry is served, and merged there, as a whole.
  EXPECT_EQ(a.Sql("SELECT count(*) < 150 FROM _merrow_source"), "1");
  changeset::VersionRanges wanted = a->seen().at(a->own_site());
  size_t pages = 0;
  for (bool more = true; more; ++pages) {
    const ReplicaPage page = Must(a->ReadChangesets(a->own_site(), wanted, 64 << 10));
    for (const SharedChangeset& changeset : page.changesets) {
      EXPECT_LT(changeset->cells.rows.size(), 3'000U);
    }
    wanted.Remove(page.settled);
    more = page.more;
  }
  EXPECT_GT(pages, 5U);
  b.PullFrom(a);
  EXPECT_EQ(b.Sql("SELECT count(*) FROM item"), std::to_string(100 * kTransactions));
}

TEST(ReplicaStore, ATableThatCannotMergeIsRefusedByName) {
  StoreFixture store(DirKind::kMemory);
  store.options.schema_sql = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v TEXT UNIQUE);";
  store.options.replicate = true;
  const Status opened = store.TryOpen();
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("table t"));
  store.options.replicate = false;
  store.Open();
}

}  // namespace
}  // namespace merrow::store
