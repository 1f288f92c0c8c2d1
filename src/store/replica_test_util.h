// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the replica log share: a site, which is a database in memory (or in a file)
// with column rows and a log, and ways to exchange changesets between two.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/cell_store.h"
#include "store/replica_log.h"

namespace merrow::store {

inline constexpr char kReplicaSchema[] =
    "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);"
    "CREATE TABLE edge (a TEXT NOT NULL, b TEXT NOT NULL, weight REAL, PRIMARY KEY (a, b));";

class WallClock final : public Clock {
 public:
  int64_t MonotonicMicros() const override { return ms * 1000; }
  int64_t UnixSeconds() const override { return ms / 1000; }
  int64_t UnixMillis() const override { return ms; }
  int64_t ms = 1'700'000'000'000;
};

class ReplicaSite {
 public:
  /// Tracks all tables of `schema`.
  explicit ReplicaSite(const std::string& schema = kReplicaSchema,
                       const std::string& path = ":memory:", ReplicaLimits limits = SmallLimits());
  ~ReplicaSite();
  ReplicaSite(const ReplicaSite&) = delete;
  ReplicaSite& operator=(const ReplicaSite&) = delete;

  ReplicaLog& log() { return *log_; }
  CellStore& cells() { return *cells_; }
  sqlite3* db() { return db_; }
  const cells::SiteId& id() const { return log_->own_site(); }

  /// One transaction of this site; its version, 0 if nothing changed.
  cells::DbVersion Write(const std::string& sql);
  /// In one write transaction that is committed. Fails the test on error.
  void Transact(const std::function<Status()>& work);
  std::vector<ReplicaOutcome> Apply(const std::vector<SharedChangeset>& changesets);
  ReplicaOutcome ApplyOne(changeset::Changeset changeset, uint64_t whole = 0);
  ReplicaPage Read(const cells::SiteId& site, changeset::VersionRange range,
                   size_t bytes_target = 1 << 20);
  /// Pulls everything that `from` has and this lacks.
  void PullFrom(ReplicaSite& from, size_t bytes_target = 1 << 20);

  /// All rows of all tracked tables.
  std::string Dump();
  /// All clocks, with names of sites instead of numbers and without local versions.
  std::string DumpClocks();
  std::string Sql(const std::string& sql);

  /// Tracks `table` (or takes note of its new columns) and applies what waited.
  void Track(const std::string& table);
  /// Opens the log anew.
  void Reopen();

  WallClock clock;

 private:
  static ReplicaLimits SmallLimits() {
    ReplicaLimits limits;
    limits.entries_kept = 4;
    limits.tombstone_keep_ms = 0;
    return limits;
  }

  void OpenLog();

  const ReplicaLimits limits_;
  sqlite3* db_ = nullptr;
  CellStore* cells_ = nullptr;
  std::unique_ptr<ReplicaLog> log_;
};

}  // namespace merrow::store
