// SPDX-License-Identifier: Apache-2.0
//
// Tombstones: who holds them back, also over restarts and new identities, and how a site is
// forgotten.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/bytes.h"
#include "store/replica_store_test_util.h"
#include "store/sqlite.h"

namespace merrow::store {
namespace {

using testing::HasSubstr;

/// Past every pause of upkeep.
void Upkeep(StoreReplica& store) {
  store.clock.AdvanceMs(1'000'000);
  Must(store->RunUpkeep());
}

std::string Id(StoreReplica& store) { return ToHex(store->own_site().view()); }

/// A store with one deleted row.
void WriteAndDelete(StoreReplica& store) {
  store.Run("INSERT INTO item VALUES (1, 'x', 5)");
  store.Run("DELETE FROM item WHERE id = 1");
}

TEST(Tombstones, ASiteThatNeverWroteHoldsThemBackAfterARestartToo) {
  StoreReplica a, reader, writer;
  writer.Run("INSERT INTO item VALUES (2, 'y', 5)");
  a.PullFrom(writer);
  WriteAndDelete(a);
  Must(a->ConfirmPeer(reader->own_site(), {}));
  a.Reopen();
  writer.PullFrom(a);
  Must(a->ConfirmPeer(writer->own_site(), writer->seen()));
  Upkeep(a);
  StoreStats stats = a->stats();
  EXPECT_EQ(stats.tombstones, 1U);
  ASSERT_EQ(stats.tombstone_holders.size(), 1U);
  EXPECT_EQ(stats.tombstone_holders[0].site, reader->own_site());
  EXPECT_EQ(stats.tombstone_holders[0].tombstones, 1);
  EXPECT_EQ(stats.tombstone_holders[0].publisher, a->own_site());
  EXPECT_EQ(stats.tombstone_holders[0].version, a->own_version());
  reader.PullFrom(a);
  Must(a->ConfirmPeer(reader->own_site(), reader->seen()));
  Upkeep(a);
  stats = a->stats();
  EXPECT_EQ(stats.tombstones, 0U);
  EXPECT_EQ(stats.tombstones_collected, 1U);
  EXPECT_TRUE(stats.tombstone_holders.empty());
}

TEST(Tombstones, ASiteCanTakeBackWhatItHas) {
  StoreReplica a, b;
  WriteAndDelete(a);
  Must(a->ConfirmPeer(b->own_site(), a->seen()));
  Must(a->ConfirmPeer(b->own_site(), {}));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 1U);
}

TEST(Tombstones, AreLookedAtSomeAtATime) {
  constexpr char kSchema[] =
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);"
      "CREATE TABLE tag (id TEXT PRIMARY KEY NOT NULL, name TEXT, size INTEGER);";
  StoreReplica a(kSchema), b(kSchema);
  a.options.replica_limits.tombstone_step = 3;
  a.Reopen();
  for (int i = 1; i <= 20; ++i) {
    const std::string id = std::to_string(i);
    a.Run("INSERT INTO item VALUES (" + id + ", 'x', 5)");
    a.Run("INSERT INTO tag VALUES ('" + id + "', 'x', 5)");
    if (i % 2 == 0) a.Run("DELETE FROM item WHERE id = " + id);
    if (i % 5 == 0) a.Run("DELETE FROM tag");
  }
  b.PullFrom(a);
  const std::string rows = a.Sql("SELECT count(*), sum(id) FROM item");
  Must(a->ConfirmPeer(b->own_site(), {}));
  const auto look = [&] {
    a.clock.AdvanceMs(1'000'000);
    int steps = 1;
    while (Must(a->RunUpkeep()).more) ++steps;
    return steps;
  };
  EXPECT_GT(look(), 5);
  EXPECT_EQ(a->stats().tombstones, 30U);
  ASSERT_EQ(a->stats().tombstone_holders.size(), 1U);
  EXPECT_EQ(a->stats().tombstone_holders[0].tombstones, 30);
  EXPECT_EQ(a->stats().tombstone_holders[0].version, a->own_version());
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  EXPECT_GT(look(), 5);
  EXPECT_EQ(a->stats().tombstones, 0U);
  EXPECT_EQ(a->stats().tombstones_collected, 30U);
  EXPECT_EQ(a.Sql("SELECT count(*), sum(id) FROM item"), rows);
  a->CheckInvariants();
}

constexpr int64_t kDayMs = 24 * 3600 * 1000;

/// A store that keeps tombstones for a day, with one deleted row.
struct WithKeptTombstone : StoreReplica {
  WithKeptTombstone() {
    options.replica_limits.tombstone_keep_ms = kDayMs;
    Reopen();
    WriteAndDelete(*this);
  }
};

TEST(Tombstones, TheyStayForAWhileForBackupsToBeRestored) {
  WithKeptTombstone a;
  StoreReplica b;
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), {}));
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 1U);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  EXPECT_TRUE(a->stats().tombstone_holders.empty());
  // Also if nothing else happens until then.
  a.clock.AdvanceMs(kDayMs);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
  EXPECT_EQ(a->stats().tombstones_young, 0U);
}

TEST(Tombstones, TheTimeBeginsWhenTheLastSiteGotThem) {
  WithKeptTombstone a;
  StoreReplica b, late;
  b.PullFrom(a);
  const auto confirm = [&a](StoreReplica& site) {
    Must(a->ConfirmPeer(site->own_site(), {}));
    Must(a->ConfirmPeer(site->own_site(), site->seen()));
  };
  confirm(b);
  confirm(late);
  // It makes backups while it is away, and in none of them the row is deleted.
  a.clock.AdvanceMs(10 * kDayMs);
  Upkeep(a);
  late.PullFrom(a);
  confirm(late);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  a.clock.AdvanceMs(kDayMs / 2);
  a.Reopen();
  confirm(b);
  confirm(late);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  a.clock.AdvanceMs(kDayMs / 2);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

/// `b` is told of a's tombstone, and a of that; half of the tombstone's time goes by.
void HalfTheTimeGoesBy(WithKeptTombstone& a, StoreReplica& b) {
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), {}));
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  a.clock.AdvanceMs(kDayMs / 2);
}

/// `b` has all again; from now on the tombstone stays for its whole time.
void ExpectTheTimeBegins(WithKeptTombstone& a, StoreReplica& b) {
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  a.clock.AdvanceMs(kDayMs * 3 / 4);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  a.clock.AdvanceMs(kDayMs / 4);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

TEST(Tombstones, TheTimeBeginsAgainIfASiteWasRestored) {
  for (const bool is_in_another_process : {false, true}) {
    SCOPED_TRACE(is_in_another_process);
    WithKeptTombstone a;
    StoreReplica b;
    const changeset::SiteVersions before = b->seen();
    HalfTheTimeGoesBy(a, b);
    if (is_in_another_process) {
      a.Reopen();
      Must(a->ConfirmPeer(b->own_site(), {}));
    }
    Must(a->ConfirmPeer(b->own_site(), before));
    ExpectTheTimeBegins(a, b);
  }
}

TEST(Tombstones, TheTimeBeginsAgainIfThatCouldNotBeWrittenRightAway) {
  WithKeptTombstone a;
  a.options.busy_timeout_ms = 1;
  a.Reopen();
  StoreReplica b;
  const changeset::SiteVersions before = b->seen();
  HalfTheTimeGoesBy(a, b);
  {
    const auto other = Must(Database::Open(a.path(), SQLITE_OPEN_READWRITE));
    Must(other->Execute("BEGIN IMMEDIATE"));
    const Status status = a->ConfirmPeer(b->own_site(), before);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::kBusy) << status.error().ToString();
  }
  ExpectTheTimeBegins(a, b);
}

TEST(Tombstones, WhatIsRepeatedOfASiteThatIsGoneDoesNotBeginTheTimeAgain) {
  WithKeptTombstone a;
  StoreReplica b, lost;
  b.PullFrom(a);
  Must(a->ConfirmPeer(lost->own_site(), {}));
  Must(a->ForgetSite(Id(lost)));
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  a.clock.AdvanceMs(kDayMs / 2);
  Must(a->ConfirmPeer(lost->own_site(), {}));
  Upkeep(a);
  a.clock.AdvanceMs(kDayMs / 2);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

TEST(Tombstones, WhatOthersHaveOfAFormerNameBeginsAnew) {
  WithKeptTombstone a;
  StoreReplica b;
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  EXPECT_EQ(a.Sql("SELECT count(*) FROM _merrow_tombstone_mark"), "1");
  // The versions after the first are other ones than those that others may have by the same number.
  Must(a->TakeNewIdentity(1));
  EXPECT_EQ(a.Sql("SELECT length(versions) FROM _merrow_tombstone_mark"), "20") << "one range";
  Must(a->TakeNewIdentity(0));
  EXPECT_EQ(a.Sql("SELECT length(versions) FROM _merrow_tombstone_mark"), "20") << "of the first";
  EXPECT_EQ(a.Sql("SELECT hex(versions) LIKE '01%010001' FROM _merrow_tombstone_mark"), "1");
}

TEST(Tombstones, AClockThatWasAheadDoesNotKeepThem) {
  WithKeptTombstone a;
  StoreReplica b;
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  a.clock.AdvanceMs(100 * kDayMs);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  a.clock.AdvanceMs(-100 * kDayMs);
  a.Reopen();
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones_young, 1U);
  a.clock.AdvanceMs(kDayMs);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

TEST(Tombstones, TheyCanBeKeptForEver) {
  StoreReplica a, b;
  a.options.replica_limits.tombstone_keep_ms = INT64_MAX;
  a.Reopen();
  WriteAndDelete(a);
  b.PullFrom(a);
  Must(a->ConfirmPeer(b->own_site(), b->seen()));
  for (int i = 0; i < 3; ++i) {
    a.clock.AdvanceMs(1000 * kDayMs);
    Upkeep(a);
  }
  EXPECT_EQ(a->stats().tombstones_young, 1U);
}

TEST(Tombstones, TheTimesTakeLittleSpace) {
  WithKeptTombstone a;
  StoreReplica b;
  Must(a->ConfirmPeer(b->own_site(), {}));
  for (int hour = 0; hour < 24 * 14; ++hour) {
    a.clock.AdvanceMs(kDayMs / 24);
    WriteAndDelete(a);
    b.PullFrom(a);
    Must(a->ConfirmPeer(b->own_site(), b->seen()));
    while (Must(a->RunUpkeep()).more) {
    }
  }
  EXPECT_EQ(a.Sql("SELECT count(*) BETWEEN 8 AND 10, max(length(versions)) < 100 FROM "
                  "_merrow_tombstone_mark"),
            "1|1");
  EXPECT_EQ(a->stats().tombstones, 1U);
}

TEST(Tombstones, NothingGoesAsLongAsNobodyElseIsThere) {
  StoreReplica a;
  WriteAndDelete(a);
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 1U);
}

TEST(Tombstones, OnlyWhoIsNewIsWrittenDown) {
  StoreReplica a, b;
  WriteAndDelete(a);
  Must(a->ConfirmPeer(b->own_site(), {}));
  // Another connection sees each commit.
  auto other = Must(Database::Open(a.path(), SQLITE_OPEN_READONLY));
  const int64_t before = Must(other->QueryInt("PRAGMA data_version"));
  for (int i = 0; i < 100; ++i) {
    Must(a->ConfirmPeer(b->own_site(), i % 2 == 0 ? a->seen() : changeset::SiteVersions()));
  }
  EXPECT_EQ(Must(other->QueryInt("PRAGMA data_version")), before);
}

TEST(Tombstones, AForgottenSiteHoldsNothingBackAndIsKeptOut) {
  StoreReplica a, lost;
  WriteAndDelete(a);
  Must(a->ConfirmPeer(lost->own_site(), {}));
  EXPECT_EQ(a->ForgetSite("1234567").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(a->ForgetSite("").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(a->ForgetSite("ffff").error().code(), ErrorCode::kInvalidArgument) << "too short";
  EXPECT_EQ(a->ForgetSite(Id(a)).error().code(), ErrorCode::kInvalidArgument) << "itself";
  EXPECT_EQ(a->RememberSite(Id(lost)).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Must(a->ForgetSite(Id(lost).substr(0, 8))), lost->own_site());
  a.Reopen();
  // What others repeat of it does not bring it back.
  Must(a->ConfirmPeer(lost->own_site(), {}));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
  const auto proofs = a->ReadProofs(lost->own_site());
  ASSERT_FALSE(proofs.ok());
  EXPECT_EQ(proofs.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(proofs.error().message(), HasSubstr("forgotten"));
  Must(a->RememberSite(Id(lost)));
  EXPECT_TRUE(a->ReadProofs(lost->own_site()).ok());
  a.Run("INSERT INTO item VALUES (3, 'x', 5)");
  a.Run("DELETE FROM item");
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 1U);
}

TEST(Tombstones, ASiteMayBeForgottenBeforeItIsHeardOf) {
  StoreReplica a, reader, lost;
  EXPECT_EQ(a->ForgetSite(Id(lost).substr(0, 8)).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Must(a->ForgetSite(Id(lost))), lost->own_site());
  WriteAndDelete(a);
  Must(a->ConfirmPeer(reader->own_site(), a->seen()));
  Must(a->ConfirmPeer(lost->own_site(), {}));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

TEST(Tombstones, ANewIdentityKeepsWhatIsKnownOfOthers) {
  StoreReplica a, lost, reader;
  WriteAndDelete(a);
  Must(a->ConfirmPeer(lost->own_site(), {}));
  Must(a->ConfirmPeer(reader->own_site(), {}));
  Must(a->ForgetSite(Id(lost)));
  const cells::SiteId former = a->own_site();
  Must(a->TakeNewIdentity(0));
  a.Reopen();
  std::map<cells::SiteId, KnownSite> known;
  for (const KnownSite& site : Must(a->KnownSites())) {
    known[site.site] = site;
  }
  ASSERT_EQ(known.size(), 3U);
  EXPECT_GT(known.at(lost->own_site()).forgotten_ms, 0);
  EXPECT_FALSE(known.at(reader->own_site()).is_gone);
  EXPECT_FALSE(known.at(former).is_gone) << "a copy may go on under that name";
  EXPECT_TRUE(a->ReadProofs(former).ok());
  Upkeep(a);
  std::set<cells::SiteId> holders;
  for (const TombstoneHolder& holder : a->stats().tombstone_holders) {
    holders.insert(holder.site);
  }
  EXPECT_EQ(holders, (std::set<cells::SiteId>{former, reader->own_site()}));
  Must(a->ForgetSite(ToHex(former.view())));
  Must(a->ConfirmPeer(reader->own_site(), a->seen()));
  Upkeep(a);
  EXPECT_EQ(a->stats().tombstones, 0U);
}

}  // namespace
}  // namespace merrow::store
