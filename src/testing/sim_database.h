// SPDX-License-Identifier: Apache-2.0
//
// SimDatabase: the database of a simulated site, as it lies on its disk. Every call is one
// transaction: it happened or it did not, and what happened survives a crash of the site.
// ModelDatabase keeps it in plain maps, StoreDatabase in a real Store.
//
// All sites have the same schema, in two releases, of which a site may have only the first:
//
//     log  (id, text [, extra])  rows that are written once: none may ever be lost; `extra` is of
//                                the second release
//     kv   (id, a, b)            rows that are written, deleted and written again
//     late (id, text)            of the second release
//     note (id, items)           document rows, a list of markers

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "replication/replica.h"

namespace merrow::testing {

using replication::ApplyOutcome;
using replication::Changeset;
using replication::Incoming;
using replication::ReadPage;
using replication::RowDigest;
using replication::SharedChangeset;
using replication::SiteVersions;
using replication::VersionProof;
using replication::VersionRange;
using replication::VersionRanges;

/// A text that a site refuses while it is told to (SetStrict), as if the row broke one of its
/// rules.
inline constexpr std::string_view kPoison = "poison";

inline bool IsPoisoned(const Changeset& changeset) {
  for (const cells::RowChange& row : changeset.cells.rows) {
    for (const cells::CellChange& cell : row.cells) {
      if (cell.value.bytes == kPoison) return true;
    }
  }
  return false;
}

struct RowWrite {
  std::string table;
  int64_t id = 0;
  bool is_delete = false;
  /// Of the columns to write; the others stay, or are NULL in a new row.
  std::map<std::string, std::string> texts;
};
struct DocumentWrite {
  int64_t id = 0;
  std::string marker;
};
/// What a new database needs. Time and randomness outlive it and all its backups.
struct SimDatabaseSetup {
  std::function<int64_t()> wall_ms;
  SeededRandom& random;
  bool has_second_schema = false;
  int64_t tombstone_keep_ms = 0;
};

/// One transaction.
struct Write {
  std::vector<RowWrite> rows;
  std::vector<DocumentWrite> documents;
};

class SimDatabase {
 public:
  virtual ~SimDatabase() = default;

  virtual cells::SiteId site() const = 0;
  virtual SiteVersions seen() const = 0;
  virtual bool has_second_schema() const = 0;

  virtual Status Commit(const Write& write) = 0;
  /// The transactions of this site since the last call, also those that a repair made.
  virtual std::vector<SharedChangeset> TakePublished() = 0;

  // As in replication::Replica.
  virtual Result<std::vector<ApplyOutcome>> Apply(const std::vector<Incoming>& changesets) = 0;
  virtual Result<ReadPage> Read(const cells::SiteId& site, const VersionRanges& wanted,
                                size_t bytes_target) = 0;
  virtual Result<std::vector<VersionProof>> ReadProofs(const cells::SiteId& site) = 0;
  virtual Result<std::optional<cells::DbVersion>> CheckProofs(
      const std::vector<VersionProof>& proofs) = 0;
  virtual Result<cells::SiteId> TakeNewIdentity(cells::DbVersion agreed) = 0;
  virtual Result<std::vector<uint64_t>> ReadDigest() = 0;
  virtual Result<std::vector<RowDigest>> ReadRowDigests(uint32_t bucket) = 0;
  virtual Result<std::vector<SharedChangeset>> ReadRows(uint32_t bucket,
                                                        const std::vector<uint64_t>& keys) = 0;
  virtual Status Repair(const std::vector<SharedChangeset>& rows) = 0;

  virtual void Confirm(const cells::SiteId& site, const SiteVersions& has) = 0;

  /// What the server does when it is idle: tombstones that every site has confirmed long enough ago
  /// go.
  virtual Status RunUpkeep() = 0;
  virtual size_t CountTombstones() = 0;
  /// All sites that were ever heard of and are not forgotten.
  virtual std::vector<cells::SiteId> KnownSites() = 0;
  /// What the operator says of one of them that will not come back.
  virtual void ForgetSite(const cells::SiteId& site) = 0;
  /// Something that must never happen and did; empty if nothing.
  virtual std::string Broken() const { return {}; }

  /// The process died: what is not on disk is gone.
  virtual void Crash() = 0;
  virtual std::unique_ptr<SimDatabase> Backup() = 0;
  virtual void TakeSecondSchema() = 0;
  virtual void SetStrict(bool strict) = 0;
  /// May each transaction be had alone for ever? Else old neighbours become one, and a bad one of
  /// them keeps out the others as long as it is refused.
  virtual bool KeepsTransactionsApart() const { return true; }
  /// Loses a row of `kv` behind everybody's back. False if there is none.
  virtual bool LoseRow() = 0;

  virtual bool HasRow(const std::string& table, int64_t id) = 0;
  /// Column b of a row of kv; empty if it has none, or is not there.
  virtual std::string TextOf(int64_t id) = 0;
  virtual bool HasMarker(int64_t document, const std::string& marker) = 0;
  /// All data, not how it came about: equal texts, equal data.
  virtual std::string Dump() = 0;
  /// What the digests are about, for the one who looks for a difference.
  virtual std::string DumpClocks() = 0;
};

}  // namespace merrow::testing
