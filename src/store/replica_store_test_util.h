// SPDX-License-Identifier: Apache-2.0
//
// What the tests of replicating stores share.

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "store/store_test_util.h"

namespace merrow::store {

inline constexpr char kReplicaStoreSchema[] = R"sql(
CREATE TABLE note (
  id    TEXT PRIMARY KEY NOT NULL,
  title TEXT,
  body  CRDT_TEXT
);
CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER CHECK (size < 100));
CREATE TABLE scratch (a, b);
)sql";

/// A store that replicates, in a file of its own.
class StoreReplica : public StoreFixture {
 public:
  explicit StoreReplica(const char* schema = kReplicaStoreSchema, bool replicate = true)
      : StoreFixture(DirKind::kMemory) {
    options.schema_sql = schema;
    options.replicate = replicate;
    options.replica_limits.tombstone_keep_ms = 0;
    Open();
  }

  Executed Run(std::string sql, std::vector<cells::Value> values = {}) {
    const SqlWrite write{std::move(sql), std::move(values)};
    return Must((**this).Execute({&write, 1}));
  }
  Error RunError(std::string sql) {
    const SqlWrite write{std::move(sql), {}};
    const auto result = (**this).Execute({&write, 1});
    EXPECT_FALSE(result.ok());
    return result.error();
  }

  ChangesetsApplied Apply(const std::vector<SharedChangeset>& changesets) {
    std::vector<IncomingChangeset> incoming;
    for (const SharedChangeset& changeset : changesets) {
      incoming.push_back({changeset, 0});
    }
    return Must((*this)->ApplyChangesets(incoming));
  }
  using StoreFixture::Apply;

  std::vector<DocumentNotice> PullFrom(StoreReplica& from, size_t bytes_target = 1 << 20) {
    std::vector<DocumentNotice> notices;
    for (const auto& [site, lacking] : changeset::Difference(from->seen(), (*this)->seen())) {
      changeset::VersionRanges wanted = lacking;
      while (true) {
        ReplicaPage page = Must(from->ReadChangesets(site, wanted, bytes_target));
        ChangesetsApplied applied = Apply(page.changesets);
        for (const ReplicaOutcome& outcome : applied.outcomes) {
          EXPECT_EQ(outcome.fate, ReplicaFate::kApplied)
              << (outcome.error.has_value() ? outcome.error->ToString() : "");
        }
        std::move(applied.notices.begin(), applied.notices.end(), std::back_inserter(notices));
        wanted.Remove(page.settled);
        if (!page.more) {
          break;
        }
      }
    }
    return notices;
  }

  /// The next Open() makes a new database. REQUIRES: closed
  void UseNewFile() { std::filesystem::remove(path()); }

  std::string Dump() {
    Must((*this)->FlushProjections());
    return Sql("SELECT * FROM note ORDER BY id") + "\n" + Sql("SELECT * FROM item ORDER BY id");
  }
};

}  // namespace merrow::store
