// SPDX-License-Identifier: Apache-2.0
//
// The replica log over column rows: what is seen, what is served, what is applied.
#include "store/replica_log.h"

#include <gtest/gtest.h>

#include "store/replica_test_util.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::VersionRange;
using changeset::VersionRanges;

TEST(ReplicaLog, LocalTransactionsAreSeen) {
  ReplicaSite a;
  EXPECT_EQ(a.Write("INSERT INTO item VALUES (1, 'x', 2)"), 1);
  EXPECT_EQ(a.Write("UPDATE item SET size = 2"), 0) << "nothing changed";
  EXPECT_EQ(a.Write("CREATE TABLE other (x)"), 0);
  EXPECT_EQ(a.Write("UPDATE item SET size = 3"), 2);
  EXPECT_EQ(a.log().seen().at(a.id()), VersionRanges({0, 2}));
  a.log().CheckInvariants();
}

TEST(ReplicaLog, ARolledBackTransactionIsNotSeen) {
  ReplicaSite a;
  ASSERT_TRUE(RunSql(a.db(), "BEGIN; INSERT INTO item VALUES (1, 'x', 2)").ok());
  ASSERT_EQ(a.log().NoteLocal()->value_or(0), 1);
  ASSERT_TRUE(RunSql(a.db(), "ROLLBACK").ok());
  a.log().RolledBack();
  EXPECT_TRUE(a.log().seen().empty());
  a.log().CheckInvariants();
  EXPECT_EQ(a.Write("INSERT INTO item VALUES (1, 'x', 2)"), 1);
  a.log().CheckInvariants();
}

TEST(ReplicaLog, ChangesetsCarryRowsAndRelayKeepsTheirAuthors) {
  ReplicaSite a, b, c;
  a.Write("INSERT INTO item VALUES (1, 'x', 2); INSERT INTO edge VALUES ('p', 'q', 0.5)");
  b.Write("INSERT INTO item VALUES (2, 'y', 3)");
  b.PullFrom(a);
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), b.Dump());
  EXPECT_EQ(c.DumpClocks(), b.DumpClocks());
  EXPECT_EQ(c.log().seen(), b.log().seen());
  const ReplicaPage page = c.Read(a.id(), {0, 1});
  ASSERT_EQ(page.changesets.size(), 1U);
  EXPECT_EQ(page.changesets[0]->cells.site, a.id());
  EXPECT_EQ(page.changesets[0]->cells.rows.size(), 2U);
  EXPECT_EQ(page.settled, VersionRanges({0, 1}));
  EXPECT_FALSE(page.more);
  c.log().CheckInvariants();
}

TEST(ReplicaLog, ApplyingTwiceChangesNothing) {
  ReplicaSite a, b;
  a.Write("INSERT INTO item VALUES (1, 'x', 2)");
  const ReplicaPage page = a.Read(a.id(), {0, 1});
  EXPECT_EQ(b.Apply(page.changesets)[0].fate, ReplicaFate::kApplied);
  const std::string before = b.Sql("SELECT * FROM _merrow_source");
  EXPECT_EQ(b.Apply(page.changesets)[0].fate, ReplicaFate::kKnown);
  EXPECT_EQ(b.Sql("SELECT * FROM _merrow_source"), before);
}

TEST(ReplicaLog, EachChangesetGetsALocalVersion) {
  ReplicaSite a, b, c;
  for (int i = 0; i < 3; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 2)");
  }
  std::vector<SharedChangeset> three;
  for (int i = 0; i < 3; ++i) {
    three.push_back(a.Read(a.id(), {i, i + 1}).changesets.at(0));
  }
  b.Apply(three);
  EXPECT_EQ(b.Sql("SELECT local, version, previous FROM _merrow_source"), "1|1|0\n2|2|1\n3|3|2\n");
  EXPECT_EQ(b.Write("DELETE FROM item WHERE id = 1"), 4);
  // What was overwritten is not served any more.
  EXPECT_EQ(b.Read(a.id(), {1, 2}).changesets.at(0)->cells.rows.size(), 0U);
  EXPECT_EQ(b.Read(a.id(), {0, 3}).changesets.at(0)->cells.rows.size(), 2U);
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), b.Dump());
  EXPECT_EQ(c.DumpClocks(), b.DumpClocks());
}

TEST(ReplicaLog, PagesGoFromNewToOldAndSettleExactly) {
  ReplicaSite a;
  for (int i = 0; i < 100; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'some name', 2)");
  }
  VersionRanges wanted({0, 200});
  VersionRanges settled;
  size_t pages = 0;
  size_t rows = 0;
  while (true) {
    const auto page = a.log().Read(a.id(), wanted, 200);
    ASSERT_TRUE(page.ok());
    ASSERT_EQ(page->changesets.size(), 1U) << "neighbours are one changeset";
    EXPECT_EQ(page->settled, VersionRanges({page->changesets[0]->cells.previous,
                                            page->changesets[0]->cells.version}));
    EXPECT_FALSE(settled.Intersects(page->settled.ranges()[0]));
    if (!settled.empty()) {
      EXPECT_EQ(settled.ranges()[0].after, page->settled.last());
    }
    rows += page->changesets[0]->cells.rows.size();
    settled.Add(page->settled);
    wanted.Remove(page->settled);
    ++pages;
    if (!page->more) {
      break;
    }
  }
  EXPECT_EQ(settled, VersionRanges({0, 100}));
  EXPECT_EQ(rows, 100U);
  EXPECT_GT(pages, 5U);
}

TEST(ReplicaLog, ABigTransactionComesWhole) {
  ReplicaSite a;
  a.Write(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
      "INSERT INTO item SELECT i, 'name ' || i, i FROM n");
  const ReplicaPage page = a.Read(a.id(), {0, 1}, 100);
  EXPECT_EQ(page.changesets.at(0)->cells.rows.size(), 1000U);
}

TEST(ReplicaLog, GapsAreSeenAsGaps) {
  ReplicaSite a, b;
  for (int i = 0; i < 5; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 2)");
  }
  b.Apply(a.Read(a.id(), {3, 5}).changesets);
  b.Apply(a.Read(a.id(), {0, 1}).changesets);
  VersionRanges expected({0, 1});
  expected.Add({3, 5});
  EXPECT_EQ(b.log().seen().at(a.id()), expected);
  b.log().CheckInvariants();
  // It serves what it has, and says so.
  const ReplicaPage page = b.Read(a.id(), {0, 5});
  EXPECT_EQ(page.changesets.size(), 2U);
  EXPECT_EQ(page.changesets.at(0)->cells.version, 5);
  EXPECT_EQ(page.settled, expected);
  EXPECT_FALSE(page.more);
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), a.Dump());
}

TEST(ReplicaLog, ARangeAroundWhatIsSeenIsServedAsOne) {
  ReplicaSite a, b, c;
  for (int i = 0; i < 6; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 2)");
  }
  b.Apply(a.Read(a.id(), {2, 3}).changesets);
  b.Apply(a.Read(a.id(), {0, 5}).changesets);
  b.Apply(a.Read(a.id(), {4, 6}).changesets);
  EXPECT_EQ(b.Sql("SELECT version, previous FROM _merrow_source ORDER BY local"),
            "5|0\n5|0\n6|5\n");
  c.Apply(b.Read(a.id(), {2, 3}).changesets);
  EXPECT_EQ(c.log().seen().at(a.id()), VersionRanges({0, 5}));
  EXPECT_EQ(c.Sql("SELECT count(*) FROM item"), "5\n");
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), a.Dump());
}

TEST(ReplicaLog, VersionsOfThisSiteAreRefusedFromOthers) {
  ReplicaSite a, b;
  a.Write("INSERT INTO item VALUES (1, 'x', 2)");
  Changeset forged = *a.Read(a.id(), {0, 1}).changesets.at(0);
  EXPECT_EQ(a.ApplyOne(forged).fate, ReplicaFate::kKnown);
  forged.cells.version = 7;
  const ReplicaOutcome outcome = a.ApplyOne(forged);
  EXPECT_EQ(outcome.fate, ReplicaFate::kRefused);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kConflict);
  a.log().CheckInvariants();
}

TEST(ReplicaLog, ABadChangesetDoesNotDisturbTheOthers) {
  const std::string schema =
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER "
      "CHECK (size < 100))";
  ReplicaSite a("CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER)");
  ReplicaSite b(schema);
  a.Write("INSERT INTO item VALUES (1, 'x', 2)");
  a.Write("INSERT INTO item VALUES (2, 'x', 2), (3, 'y', 100)");
  a.Write("INSERT INTO item VALUES (4, 'x', 2)");
  std::vector<SharedChangeset> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(a.Read(a.id(), {i, i + 1}).changesets.at(0));
  }
  Changeset broken = *all[0];
  broken.cells.rows[0].cl = -3;
  all.push_back(std::make_shared<const Changeset>(broken));
  const auto outcomes = b.Apply(all);
  EXPECT_EQ(outcomes[0].fate, ReplicaFate::kApplied);
  EXPECT_EQ(outcomes[1].fate, ReplicaFate::kRefused);
  EXPECT_EQ(outcomes[1].error->code(), ErrorCode::kConflict);
  EXPECT_EQ(outcomes[2].fate, ReplicaFate::kApplied);
  EXPECT_EQ(outcomes[3].fate, ReplicaFate::kRefused);
  EXPECT_EQ(b.Sql("SELECT id FROM item"), "1\n4\n");
  EXPECT_EQ(b.log().seen().at(a.id()).count(), 2);
  b.log().CheckInvariants();
}

TEST(ReplicaLog, WhatWasWrittenWithoutALogIsAdopted) {
  ReplicaSite a, b;
  a.Write("INSERT INTO item VALUES (1, 'x', 2)");
  // As merrow.so does it, which keeps no log.
  ASSERT_TRUE(RunSql(a.db(), "INSERT INTO item VALUES (2, 'y', 3)").ok());
  ASSERT_TRUE(RunSql(a.db(), "INSERT INTO item VALUES (3, 'z', 4)").ok());
  a.Reopen();
  EXPECT_EQ(a.log().own_version(), 3);
  a.log().CheckInvariants();
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), a.Dump());
}

/// A bulk load is some bytes in the log, and still must not become one changeset of everything.
TEST(ReplicaLog, WhatIsAdoptedAreTransactionsOfSomeSize) {
  ReplicaSite a, b;
  a.Write("INSERT INTO item VALUES (-1, 'x', 2)");
  for (int i = 0; i < 8; ++i) {
    const std::string rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT "
        "INTO "
        "item SELECT i + 3000 * " +
        std::to_string(i) + ", 'x', 1 FROM n";
    ASSERT_TRUE(RunSql(a.db(), rows).ok());
  }
  ASSERT_TRUE(RunSql(a.db(), "INSERT INTO item VALUES (-2, 'y', 3)").ok());
  ASSERT_TRUE(RunSql(a.db(), "INSERT INTO item VALUES (-3, 'z', 4)").ok());
  a.Reopen();
  // The first, eight large ones, and the small ones with the last of them.
  EXPECT_EQ(a.Sql("SELECT count(*), max(local - first) FROM _merrow_source"), "9|2\n");
  a.log().CheckInvariants();
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), a.Dump());
}

TEST(ReplicaLog, UnknownTablesAndColumnsWait) {
  ReplicaSite a(
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER, color TEXT);"
      "CREATE TABLE extra (id TEXT PRIMARY KEY NOT NULL, v)");
  ReplicaSite b("CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER)");
  ReplicaSite c(
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER, color TEXT);"
      "CREATE TABLE extra (id TEXT PRIMARY KEY NOT NULL, v)");
  a.Write("INSERT INTO item VALUES (1, 'x', 2, 'red'); INSERT INTO extra VALUES ('k', 5)");
  a.Write("UPDATE item SET color = 'blue'");
  b.PullFrom(a);
  EXPECT_EQ(b.Dump(), "item\n1|'x'|2\n");
  EXPECT_EQ(b.log().seen(), a.log().seen());
  // What waits is served on.
  c.PullFrom(b);
  EXPECT_EQ(c.Dump(), a.Dump());
  EXPECT_EQ(c.DumpClocks(), a.DumpClocks());

  b.Reopen();
  ASSERT_TRUE(RunSql(b.db(), "ALTER TABLE item ADD COLUMN color TEXT").ok());
  b.Track("item");
  EXPECT_EQ(b.Sql("SELECT * FROM item"), "1|'x'|2|'blue'\n");
  b.log().CheckInvariants();
  ASSERT_TRUE(RunSql(b.db(), "CREATE TABLE extra (id TEXT PRIMARY KEY NOT NULL, v)").ok());
  b.Track("extra");
  EXPECT_EQ(b.DumpClocks(), a.DumpClocks());
  EXPECT_EQ(b.Sql("SELECT count(*) FROM _merrow_waiting"), "0\n");
  b.log().CheckInvariants();
  ReplicaSite d(
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER, color TEXT);"
      "CREATE TABLE extra (id TEXT PRIMARY KEY NOT NULL, v)");
  d.PullFrom(b);
  EXPECT_EQ(d.DumpClocks(), a.DumpClocks());
}

TEST(ReplicaLog, OldEntriesAreCombinedAndDeadOnesGo) {
  ReplicaSite a, b, c;
  b.Write("INSERT INTO edge VALUES ('p', 'q', 0)");
  for (int i = 0; i < 60; ++i) {
    a.Write("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 2)");
    a.Write("UPDATE item SET size = size + 1 WHERE id = 0");
    b.Write("UPDATE edge SET weight = weight + 1");
    a.PullFrom(b);
  }
  c.PullFrom(a, 100);
  const std::string seen = changeset::ToText(a.log().seen());
  while (a.log().HasToPrune()) {
    a.Transact([&]() -> Status {
      MERROW_TRY(a.log().Prune());
      return {};
    });
    a.log().CheckInvariants();
    EXPECT_EQ(changeset::ToText(a.log().seen()), seen);
  }
  // The rows of a remain; each update of an edge but the last few is dead.
  EXPECT_EQ(a.Sql("SELECT count(*) < 70, min(previous) FROM _merrow_source"), "1|0\n");
  EXPECT_EQ(a.Sql("SELECT count(*) < 70 FROM _merrow_tx"), "1\n");
  ReplicaSite d;
  d.PullFrom(a, 100);
  EXPECT_EQ(d.Dump(), a.Dump());
  EXPECT_EQ(d.DumpClocks(), a.DumpClocks());
  EXPECT_EQ(*a.log().CheckProofs(*c.log().Proofs(a.id())), std::nullopt);
  a.Write("INSERT INTO item VALUES (100, 'x', 2)");
  c.PullFrom(a);
  EXPECT_EQ(c.DumpClocks(), a.DumpClocks());
}

TEST(ReplicaLog, TombstonesGoWhenEverybodyHasThem) {
  ReplicaSite a, b, c;
  a.Write("INSERT INTO item VALUES (1, 'x', 2), (2, 'y', 3)");
  b.PullFrom(a);
  c.PullFrom(b);
  c.Write("INSERT INTO edge VALUES ('p', 'q', 0)");
  a.PullFrom(c);
  b.PullFrom(c);
  b.Write("DELETE FROM item WHERE id = 1");
  a.PullFrom(b);
  const auto collect = [&](const std::map<cells::SiteId, changeset::SiteVersions>& peers) {
    int64_t collected = 0;
    a.Transact([&]() -> Status {
      TombstoneSweep sweep;
      MERROW_TRY(a.log().CollectTombstones(peers, &sweep));
      EXPECT_TRUE(sweep.place.at_end);
      collected = sweep.report.collected;
      MERROW_ASSIGN([[maybe_unused]] const auto version, a.log().NoteLocal());
      return {};
    });
    return collected;
  };
  // c wrote something, so it exists; it has not said that it knows of the deletion.
  EXPECT_EQ(collect({{b.id(), b.log().seen()}}), 0);
  EXPECT_EQ(collect({{b.id(), b.log().seen()}, {c.id(), c.log().seen()}}), 0);
  c.PullFrom(b);
  EXPECT_EQ(collect({{b.id(), b.log().seen()}, {c.id(), c.log().seen()}}), 1);
  EXPECT_EQ(a.Dump(), b.Dump());
  a.log().CheckInvariants();
  // A new row under the key wins everywhere.
  a.Write("INSERT INTO item VALUES (1, 'again', 5)");
  b.PullFrom(a);
  c.PullFrom(b);
  EXPECT_EQ(b.Sql("SELECT name FROM item WHERE id = 1"), "'again'\n");
  EXPECT_EQ(c.Dump(), a.Dump());
}

TEST(ReplicaLog, PartsBecomeVisibleTogether) {
  ReplicaSite a, b;
  a.Write(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65000) "
      "INSERT INTO item SELECT i, 'name ' || i, i FROM n");
  auto parts = changeset::SplitChangeset(*a.Read(a.id(), {0, 1}).changesets.at(0), 1 << 17);
  ASSERT_GT(parts.size(), 5U);
  // Backwards, one of them twice, and some of another split.
  const auto other = changeset::SplitChangeset(*a.Read(a.id(), {0, 1}).changesets.at(0), 1 << 16);
  for (size_t i = parts.size(); i-- > 1;) {
    EXPECT_EQ(b.ApplyOne(parts[i], 77).fate, ReplicaFate::kBuffered);
    EXPECT_EQ(b.ApplyOne(other[i], 78).fate, ReplicaFate::kBuffered);
  }
  EXPECT_EQ(b.ApplyOne(parts[1], 77).fate, ReplicaFate::kBuffered);
  EXPECT_TRUE(b.log().seen().empty());
  EXPECT_EQ(b.Sql("SELECT count(*) FROM item"), "0\n");
  b.Reopen();
  b.log().CheckInvariants();
  const ReplicaOutcome last = b.ApplyOne(parts[0], 77);
  EXPECT_EQ(last.fate, ReplicaFate::kApplied);
  ASSERT_NE(last.whole, nullptr);
  EXPECT_EQ(last.whole->cells.rows.size(), 65000U);
  EXPECT_EQ(b.Dump(), a.Dump());
  EXPECT_EQ(b.Sql("SELECT count(*) FROM _merrow_part"), "0\n");
  EXPECT_EQ(b.ApplyOne(parts[3], 77).fate, ReplicaFate::kKnown);
  b.log().CheckInvariants();
}

}  // namespace
}  // namespace merrow::store
