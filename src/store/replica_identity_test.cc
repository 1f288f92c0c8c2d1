// SPDX-License-Identifier: Apache-2.0
//
// Sites that were restored from an old copy: how they notice, and what becomes of their
// transactions.
#include <gtest/gtest.h>

#include <filesystem>

#include "store/replica_test_util.h"

namespace merrow::store {
namespace {

using changeset::VersionRanges;

std::string InsertItem(int id) {
  return "INSERT INTO item VALUES (" + std::to_string(id) + ", 'name', 1)";
}

TEST(ReplicaIdentity, ProofsGetSparser) {
  ReplicaSite a, b;
  for (int i = 0; i < 100; ++i) {
    a.Write(InsertItem(i));
  }
  b.PullFrom(a, 100);
  const auto own = *a.log().Proofs(a.id());
  std::vector<cells::DbVersion> versions;
  for (const VersionProof& proof : own) {
    versions.push_back(proof.version);
  }
  EXPECT_EQ(versions, (std::vector<cells::DbVersion>{100, 99, 98, 96, 92, 84, 68, 36}));
  EXPECT_EQ(*a.log().CheckProofs(own), std::nullopt);
  const auto theirs = *b.log().Proofs(a.id());
  EXPECT_GE(theirs.size(), 3U);
  EXPECT_EQ(*a.log().CheckProofs(theirs), std::nullopt);
  EXPECT_TRUE(b.log().Proofs(b.id())->empty());
}

TEST(ReplicaIdentity, ProofsOfRangesThatWereCutAreNotWrong) {
  ReplicaSite a, b;
  for (int i = 0; i < 6; ++i) {
    a.clock.ms += 5;
    a.Write(InsertItem(i));
  }
  b.Apply(a.Read(a.id(), {4, 6}).changesets);
  b.Apply(a.Read(a.id(), {1, 2}).changesets);
  // Covers (0, 5], of which 5 is known: what is stored ends at 4.
  b.Apply(a.Read(a.id(), {0, 5}).changesets);
  EXPECT_EQ(*a.log().CheckProofs(*b.log().Proofs(a.id())), std::nullopt);
}

TEST(ReplicaIdentity, ARestoredSiteIsNoticedAndGoesOnAsAnother) {
  const std::string schema = kReplicaSchema;
  const auto dir =
      std::filesystem::temp_directory_path() / ("merrow-identity-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const std::string path = (dir / "a.db").string();
  ReplicaSite b, c;
  cells::SiteId old_id;
  {
    ReplicaSite a(schema, path);
    old_id = a.id();
    for (int i = 0; i < 5; ++i) {
      a.clock.ms += 10;
      a.Write(InsertItem(i));
    }
    b.Write(InsertItem(100));
    a.PullFrom(b);
    b.PullFrom(a);
  }
  std::filesystem::copy_file(path, path + ".backup");
  {
    ReplicaSite a("", path);
    a.clock.ms += 1000;
    a.Write("UPDATE item SET name = 'seen by b' WHERE id = 1");
    a.Write(InsertItem(6));
    b.PullFrom(a);
  }
  std::filesystem::copy_file(path + ".backup", path,
                             std::filesystem::copy_options::overwrite_existing);
  {
    ReplicaSite a("", path);
    // The tables are there.
    ASSERT_EQ(a.id(), old_id);
    EXPECT_EQ(*a.log().CheckProofs(*b.log().Proofs(old_id)), std::optional<cells::DbVersion>(5));
    a.clock.ms += 2000;
    // It went on before it met b: 7 is another 7.
    a.Write("UPDATE item SET name = 'after the backup' WHERE id = 2");
    a.Write(InsertItem(7));
    const auto agreed = *a.log().CheckProofs(*b.log().Proofs(old_id));
    ASSERT_EQ(agreed, std::optional<cells::DbVersion>(5));
    std::string clocks = a.Dump();
    a.Transact([&]() -> Status {
      MERROW_TRY(a.log().TakeNewIdentity(*agreed));
      return {};
    });
    EXPECT_EQ(a.Dump(), clocks) << "no data changes";
    EXPECT_NE(a.id(), old_id);
    a.log().CheckInvariants();
    EXPECT_EQ(a.log().seen().at(old_id), VersionRanges({0, 5}));
    EXPECT_TRUE(a.log().seen().contains(a.id()));
    for (int round = 0; round < 2; ++round) {
      a.PullFrom(b);
      b.PullFrom(a);
      c.PullFrom(a);
    }
    for (ReplicaSite* site : {&b, &c}) {
      EXPECT_EQ(site->Dump(), a.Dump());
      EXPECT_EQ(site->DumpClocks(), a.DumpClocks());
      EXPECT_EQ(site->log().seen(), a.log().seen());
    }
    EXPECT_EQ(a.Sql("SELECT name FROM item WHERE id IN (1, 2) ORDER BY id"),
              "'seen by b'\n'after the backup'\n");
    EXPECT_EQ(a.Sql("SELECT count(*) FROM item"), "8\n");
    // It goes on.
    a.Write("UPDATE item SET size = 77 WHERE id = 3");
    b.PullFrom(a);
    EXPECT_EQ(b.DumpClocks(), a.DumpClocks());
    a.Reopen();
    a.log().CheckInvariants();
  }
  std::filesystem::remove_all(dir);
}

TEST(ReplicaIdentity, ARolledBackIdentityIsAsBefore) {
  ReplicaSite a;
  a.Write(InsertItem(1));
  a.Write(InsertItem(2));
  const cells::SiteId id = a.id();
  const std::string clocks = a.DumpClocks();
  const auto seen = a.log().seen();
  ASSERT_TRUE(RunSql(a.db(), "BEGIN").ok());
  ASSERT_TRUE(a.log().TakeNewIdentity(1).ok());
  ASSERT_TRUE(RunSql(a.db(), "ROLLBACK").ok());
  a.log().RolledBack();
  EXPECT_EQ(a.id(), id);
  EXPECT_EQ(a.log().seen(), seen);
  EXPECT_EQ(a.DumpClocks(), clocks);
  a.log().CheckInvariants();
  EXPECT_EQ(a.Write(InsertItem(3)), 3);
}

}  // namespace
}  // namespace merrow::store
