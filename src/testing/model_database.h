// SPDX-License-Identifier: Apache-2.0
//
// ModelDatabase: a SimDatabase in plain maps, made to be obviously right: every changeset is kept,
// rows are merged by the rule of cells/merge.h written down once more, documents are real ones.

#pragma once

#include <functional>
#include <set>
#include <tuple>

#include "changeset/hybrid_clock.h"
#include "merrow/document.h"
#include "testing/sim_database.h"

namespace merrow::testing {

class ModelDatabase final : public SimDatabase {
 public:
  explicit ModelDatabase(const SimDatabaseSetup& setup);

  cells::SiteId site() const override { return site_; }
  SiteVersions seen() const override { return seen_; }
  bool has_second_schema() const override { return has_second_schema_; }
  Status Commit(const Write& write) override;
  std::vector<SharedChangeset> TakePublished() override { return std::exchange(published_, {}); }
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
  std::string Broken() const override { return broken_; }
  void Crash() override;
  std::unique_ptr<SimDatabase> Backup() override;
  void TakeSecondSchema() override;
  void SetStrict(bool strict) override { is_strict_ = strict; }
  bool LoseRow() override;
  bool HasRow(const std::string& table, int64_t id) override;
  std::string TextOf(int64_t id) override;
  bool HasMarker(int64_t document, const std::string& marker) override;
  std::string Dump() override;
  std::string DumpClocks() override;

 private:
  struct Cell {
    cells::ColVersion col_version = 0;
    cells::Value value;
    cells::SiteId author;
    cells::SiteId publisher;
    cells::DbVersion version = 0;  // the publisher's
    cells::Seq seq = 0;
  };
  struct Row {
    cells::CausalLength cl = 0;
    std::optional<Cell> sentinel;
    std::map<std::string, Cell> cells;
  };
  using RowKey = std::pair<std::string, Bytes>;  // table, packed key
  using PartsKey = std::tuple<cells::SiteId, cells::DbVersion, cells::DbVersion, uint64_t>;

  bool KnowsTable(const std::string& table) const;
  bool KnowsColumn(const std::string& table, const std::string& column) const;
  loro::Document& DocumentAt(const Bytes& key);
  void WriteRow(const RowWrite& write, Changeset* into, cells::Seq* seq);
  Changeset AsOwn(Changeset rows) const;
  void MergeRows(const Changeset& changeset);
  void MergeRow(const Changeset& changeset, const cells::RowChange& change);
  ApplyOutcome ApplyOne(const Incoming& incoming);
  ApplyOutcome ApplyWhole(const SharedChangeset& changeset, const Incoming& incoming);
  bool ImportDocuments(const Changeset& changeset);
  static bool Has(const SiteVersions& versions, const Cell& cell);
  void AddRowState(const RowKey& key, const Row& row, Changeset* into) const;
  /// key -> bucket, row. Tombstones go at different times and are in lists of rows only.
  std::map<uint64_t, std::pair<uint32_t, uint64_t>> HashRows(bool with_tombstones);
  SharedChangeset WithoutOldLives(const SharedChangeset& changeset) const;
  uint64_t HashOf(const Row& row) const;

  SimDatabaseSetup setup_;
  std::function<int64_t()> wall_ms_;
  SeededRandom& random_;
  bool has_second_schema_;
  bool is_strict_ = false;

  cells::SiteId site_;
  cells::DbVersion counter_ = 0;
  changeset::HybridClock clock_;
  SiteVersions seen_;
  // By site and last version; newest last.
  std::map<cells::SiteId, std::map<cells::DbVersion, SharedChangeset>> log_;
  std::vector<SharedChangeset> published_;
  std::map<PartsKey, std::map<uint32_t, Changeset>> parts_;
  std::map<RowKey, Row> rows_;
  std::map<Bytes, loro::Document> documents_;
  loro::PeerId peer_ = 0;  // of this process

  std::map<cells::SiteId, SiteVersions> confirmed_;  // of this process
  std::set<cells::SiteId> known_;                    // sites that ever confirmed something
  std::set<cells::SiteId> forgotten_;
  // Since when every other site has had a tombstone, and none has said that it lacks it.
  struct Since {
    cells::CausalLength cl = 0;
    int64_t ms = 0;
  };
  std::map<RowKey, Since> all_have_since_;
  std::map<RowKey, cells::CausalLength> collected_;
  std::map<std::string, cells::CausalLength> floors_;  // by table: of what was collected
  std::string broken_;
};

/// The packed key of a row.
Bytes KeyOf(int64_t id);

}  // namespace merrow::testing
