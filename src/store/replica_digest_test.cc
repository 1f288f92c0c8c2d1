// SPDX-License-Identifier: Apache-2.0
//
// Digests: equal data, equal digests, whatever the history; what differs is found and repaired.
#include "store/replica_digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "store/replica_store_test_util.h"

namespace merrow::store {
namespace {

std::unique_ptr<ReplicaDigest> DigestOf(const StoreReplica& replica) {
  return Must(ReplicaDigest::Open(replica.path(), 1000));
}

std::vector<uint64_t> Buckets(const StoreReplica& replica) {
  return Must(DigestOf(replica)->ReadBuckets());
}

/// As replication does it: compares bucket by bucket, row by row, and sends both ways what differs.
size_t RepairBoth(StoreReplica& a, StoreReplica& b) {
  const auto buckets_a = Buckets(a);
  const auto buckets_b = Buckets(b);
  size_t rows = 0;
  for (uint32_t bucket = 0; bucket < kDigestBuckets; ++bucket) {
    if (buckets_a[bucket] == buckets_b[bucket]) {
      continue;
    }
    const auto digests_a = Must(DigestOf(a)->ReadRowDigests(bucket));
    const auto digests_b = Must(DigestOf(b)->ReadRowDigests(bucket));
    std::set<uint64_t> differing;
    for (const auto* side : {&digests_a, &digests_b}) {
      const auto& other = side == &digests_a ? digests_b : digests_a;
      for (const RowDigest& row : *side) {
        if (std::find(other.begin(), other.end(), row) == other.end()) {
          differing.insert(row.key);
        }
      }
    }
    const std::vector<uint64_t> keys(differing.begin(), differing.end());
    rows += keys.size();
    const auto from_a = Must(DigestOf(a)->ReadRows(bucket, keys, 1 << 20));
    const auto from_b = Must(DigestOf(b)->ReadRows(bucket, keys, 1 << 20));
    Must(b->Repair(from_a));
    Must(a->Repair(from_b));
  }
  return rows;
}

TEST(ReplicaDigestTest, EqualDataHasEqualDigests) {
  StoreReplica a, b, c;
  // The same tables, declared and numbered otherwise.
  c.Close();
  c.options.schema_sql =
      "CREATE TABLE item (ID INTEGER PRIMARY KEY NOT NULL, size INTEGER, NAME TEXT);"
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_TEXT, title TEXT);";
  c.UseNewFile();
  c.Open();
  Editor editor(1);
  for (int i = 0; i < 20; ++i) {
    a.Run("INSERT INTO item VALUES (" + std::to_string(i) + ", 'x', 5)");
    b.Run("INSERT INTO item VALUES (" + std::to_string(i + 10) + ", 'y', 5)");
    editor.Type("body", 0, "x");
    a.MustApply("note", "k" + std::to_string(i), editor.document().ExportUpdates({}));
  }
  b.Run("DELETE FROM item WHERE id = 12");
  EXPECT_NE(Buckets(a), Buckets(b));
  b.PullFrom(a);
  a.PullFrom(b);
  c.PullFrom(b);
  EXPECT_EQ(Buckets(a), Buckets(b));
  EXPECT_EQ(Buckets(a), Buckets(c));
  a.Run("UPDATE item SET size = size + 1 WHERE id = 3");
  const auto before = Buckets(b);
  const auto after = Buckets(a);
  size_t differing = 0;
  for (size_t i = 0; i < kDigestBuckets; ++i) {
    differing += before[i] == after[i] ? 0 : 1;
  }
  EXPECT_EQ(differing, 1U);
}

TEST(ReplicaDigestTest, DivergenceIsRepairedAndRelayed) {
  StoreReplica a, b, c;
  Editor editor(1);
  editor.Type("body", 0, "hello");
  a.MustApply("note", "k", editor.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)");
  b.PullFrom(a);
  // What b claims to have seen and has not.
  const auto swallow = [&](StoreReplica& from, StoreReplica& to) {
    const cells::DbVersion last = from->own_version();
    auto changeset =
        *Must(from->ReadChangesets(from->own_site(), changeset::VersionRanges({last - 1, last}), 1))
             .changesets.at(0);
    changeset.cells.rows.clear();
    changeset.documents.clear();
    to.Apply({std::make_shared<const changeset::Changeset>(changeset)});
  };
  a.Run("UPDATE item SET size = 50 WHERE id = 1");
  swallow(a, b);
  a.Run("DELETE FROM item WHERE id = 2");
  swallow(a, b);
  editor.Type("body", 5, " world");
  a.MustApply("note", "k", editor.Take());
  swallow(a, b);
  b.Run("INSERT INTO item VALUES (9, 'only b', 3)");
  swallow(b, a);
  EXPECT_EQ(a->seen(), b->seen());
  EXPECT_NE(a.Dump(), b.Dump());

  EXPECT_EQ(RepairBoth(a, b), 4U);
  EXPECT_EQ(a.Dump(), b.Dump());
  EXPECT_EQ(a.Dump(), "k|NULL|hello world\n1|x|50\n3|z|3\n9|only b|3");
  EXPECT_EQ(Buckets(a), Buckets(b));
  EXPECT_EQ(RepairBoth(a, b), 0U);
  // What was repaired reaches those who pulled the wrong thing.
  c.PullFrom(b);
  a.PullFrom(b);
  b.PullFrom(a);
  c.PullFrom(a);
  EXPECT_EQ(c.Dump(), a.Dump());
  EXPECT_EQ(Buckets(c), Buckets(a));
}

TEST(ReplicaDigestTest, ARowThatCannotBeRepairedDoesNotKeepTheOthersFromIt) {
  StoreReplica a(
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
      "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);");
  StoreReplica b;
  Editor editor(1);
  editor.Type("body", 0, "hello");
  a.MustApply("note", "k", editor.Take());
  a.Run("INSERT INTO item VALUES (1, 'x', 1), (2, 'y', 500), (3, 'z', 3)");
  std::vector<SharedChangeset> rows;
  for (uint32_t bucket = 0; bucket < kDigestBuckets; ++bucket) {
    std::vector<uint64_t> keys;
    for (const RowDigest& row : Must(DigestOf(a)->ReadRowDigests(bucket))) {
      keys.push_back(row.key);
    }
    const auto of_bucket = Must(DigestOf(a)->ReadRows(bucket, keys, 1 << 20));
    rows.insert(rows.end(), of_bucket.begin(), of_bucket.end());
  }
  // Rows of different buckets, and all in one.
  rows.push_back(Must(a->ReadChangesets(a->own_site(), changeset::VersionRanges({0, 2}), 1 << 20))
                     .changesets.at(0));
  for (const bool is_one : {false, true}) {
    StoreReplica c;
    const std::vector<SharedChangeset> some = is_one ? std::vector<SharedChangeset>{rows.back()}
                                                     : std::vector(rows.begin(), rows.end() - 1);
    const auto repaired = c->Repair(some);
    ASSERT_FALSE(repaired.ok());
    EXPECT_EQ(repaired.error().code(), ErrorCode::kConflict);
    EXPECT_THAT(repaired.error().message(), testing::HasSubstr("size < 100"));
    EXPECT_EQ(c.Dump(), "k|NULL|hello\n1|x|1\n3|z|3");
    EXPECT_EQ(c->TakeNotices().size(), 1U);
    c->CheckInvariants();
    b.PullFrom(c);
    EXPECT_EQ(b.Dump(), c.Dump());
  }
}

TEST(ReplicaDigestTest, AFileWithoutALogHasNone) {
  StoreReplica a(kReplicaStoreSchema, /*replicate=*/false);
  const auto opened = ReplicaDigest::Open(a.path(), 1000);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace merrow::store
