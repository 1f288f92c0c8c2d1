// SPDX-License-Identifier: Apache-2.0
//
// StoreDatabase: a SimDatabase that is a real Store on files of its own, in memory where the system
// has a place for that. A crash leaves what a killed process leaves: the files, with the WAL as it
// is.

#pragma once

#include <functional>

#include "store/replica_digest.h"
#include "store/store.h"
#include "testing/sim_database.h"

struct sqlite3;

namespace merrow::testing {

class StoreDatabase final : public SimDatabase {
 public:
  explicit StoreDatabase(const SimDatabaseSetup& setup);
  ~StoreDatabase() override;

  cells::SiteId site() const override { return store_->own_site(); }
  SiteVersions seen() const override { return store_->seen(); }
  bool has_second_schema() const override { return has_second_schema_; }
  Status Commit(const Write& write) override;
  std::vector<SharedChangeset> TakePublished() override { return store_->TakePublished(); }
  Result<std::vector<ApplyOutcome>> Apply(const std::vector<Incoming>& changesets) override;
  Result<ReadPage> Read(const cells::SiteId& site, const VersionRanges& wanted,
                        size_t bytes_target) override;
  Result<std::vector<VersionProof>> ReadProofs(const cells::SiteId& site) override;
  Result<std::optional<cells::DbVersion>> CheckProofs(
      const std::vector<VersionProof>& proofs) override;
  Result<cells::SiteId> TakeNewIdentity(cells::DbVersion agreed) override;
  Result<std::vector<uint64_t>> ReadDigest() override;
  Result<std::vector<RowDigest>> ReadRowDigests(uint32_t bucket) override;
  Result<std::vector<SharedChangeset>> ReadRows(uint32_t bucket,
                                                const std::vector<uint64_t>& keys) override;
  Status Repair(const std::vector<SharedChangeset>& rows) override;
  void Confirm(const cells::SiteId& site, const SiteVersions& has) override;
  Status RunUpkeep() override;
  size_t CountTombstones() override;
  std::vector<cells::SiteId> KnownSites() override;
  void ForgetSite(const cells::SiteId& site) override;
  void Crash() override;
  std::unique_ptr<SimDatabase> Backup() override;
  void TakeSecondSchema() override;
  void SetStrict(bool strict) override { is_strict_ = strict; }
  bool KeepsTransactionsApart() const override { return false; }
  bool LoseRow() override { return false; }
  bool HasRow(const std::string& table, int64_t id) override;
  std::string TextOf(int64_t id) override;
  bool HasMarker(int64_t document, const std::string& marker) override;
  std::string Dump() override;
  std::string DumpClocks() override { return Dump(); }

 private:
  class WallClock final : public Clock {
   public:
    explicit WallClock(std::function<int64_t()> wall_ms) : wall_ms_(std::move(wall_ms)) {}
    int64_t MonotonicMicros() const override { return wall_ms_() * 1000; }
    int64_t UnixSeconds() const override { return wall_ms_() / 1000; }
    int64_t UnixMillis() const override { return wall_ms_(); }

   private:
    std::function<int64_t()> wall_ms_;
  };

  StoreDatabase(const StoreDatabase& other, std::string path);
  void Open();
  void Close();
  /// The files as they are now, under another name.
  std::string CopyFiles() const;
  Status Edit(const DocumentWrite& write);
  std::string Query(const std::string& sql);

  std::function<int64_t()> wall_ms_;
  SeededRandom& random_;
  int64_t tombstone_keep_ms_;
  WallClock clock_;
  bool has_second_schema_;
  bool is_strict_ = false;
  std::string path_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::ReplicaDigest> digest_;
  sqlite3* reader_ = nullptr;
};

}  // namespace merrow::testing
