// SPDX-License-Identifier: Apache-2.0
//
// Store: the rows of one SQLite file as Loro documents. This is the only door to a document: every
// write goes through ApplyBatch, which puts its new ops into the document's log and its columns
// into the row, in one SQLite transaction for the whole batch (group commit).
//
// Invariants:
//   (1) What ApplyBatch answered as Applied is on disk (synced) when it returns.
//   (2) A document in the cache is exactly base + log on disk. Whatever breaks that (a refused
//       update that left ops behind, a transaction that did not commit) drops it from the cache.
//   (3) A row of a document table shows its document; the columns of long rows may follow it after
//   a
//       bounded delay (projection.h), and FlushProjections() brings all of them up to date.
//   (4) One process per file: a second one is refused with busy while the first lives.
//
// With `replicate`, every commit is also a transaction of this site in the replica log
// (replica_log.h), the column tables of the schema are tracked (cell_store.h), and changesets of
// other sites can be applied. Without it none of that costs anything.
//
// Not thread-safe: one thread owns it (the server's writer). Readers of SQL use a Reader
// (reader.h).

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "cells/value.h"
#include "merrow/result.h"
#include "merrow/version_vector.h"
#include "store/replica_types.h"
#include "store/schema.h"

namespace merrow::store {

struct StoreLimits {
  size_t update_bytes_max = size_t{16} << 20;    // one update as it arrives
  size_t document_bytes_max = size_t{64} << 20;  // base and log of one document on disk
  size_t key_bytes_max = 512;
  int64_t sql_transaction_ms_max = 5000;  // Execute() gives up then
  // Rows that its statements change; other sites apply them in one transaction, too.
  int64_t sql_transaction_rows_max = 500'000;
  // A value or row of its statements. On its way it is in memory several times at every site, and
  // releases that cannot split a row take none above a frame (changeset::kFramePayloadMax).
  int sql_value_bytes_max = 12 << 20;
};

struct StoreOptions {
  std::string path;        // the database file; created if it does not exist
  std::string schema_sql;  // the text of the schema file
  /// For delays only. Must outlive the store.
  const Clock* clock = nullptr;
  StoreLimits limits;
  /// Documents in memory are dropped, least recently used first, to stay below this. A single
  /// larger document is loaded for as long as it is used.
  size_t document_memory_bytes_max = size_t{256} << 20;
  /// Rows up to this size are always projected in the transaction of the edit; the CRDT_ columns of
  /// longer ones may follow later (projection.h says why and when). SIZE_MAX: all, always.
  size_t immediate_projection_bytes_max = 3072;
  /// How long after its last edit such a row is written at the latest.
  int64_t projection_pause_ms = 5000;
  /// A log is folded into its base when it is larger than the base and than this, ...
  size_t fold_log_bytes_min = size_t{16} << 10;
  /// ... or has more entries than this.
  uint32_t fold_log_entries_max = 4096;
  /// How long to wait for another process that has the file's write lock.
  int busy_timeout_ms = 5000;
  /// Keep a replica log: tables with a PRIMARY KEY and without CRDT_ columns become column tables,
  /// and what the file has already counts as written by this site. Stays on for a file.
  bool replicate = false;
  ReplicaLimits replica_limits;
};

/// One update that somebody made to the document of a row. The views live until ApplyBatch returns.
struct Write {
  std::string_view table;
  std::string_view key;
  BytesView update;  // FastUpdates or FastSnapshot blob
};

/// The update is in the document and on disk.
struct Applied {
  loro::VersionVector before;
  loro::VersionVector after;
  /// Exactly the ops that were new, as a FastUpdates blob from `before`; null if there were none.
  std::shared_ptr<const Bytes> delta;
  bool created = false;  // the row did not exist before
};

/// The update was refused whole, because it follows ops that are not here. The sender should send
/// everything that `version` lacks.
struct MissingDependencies {
  loro::VersionVector version;  // empty if the row does not exist
};

/// Error codes: not found (no such document table), invalid argument (the key, or an op that does
/// not fit the version it was made at), limit (sizes), corruption (the update does not decode, or
/// the document is quarantined), conflict (the row would break a constraint of the table, named in
/// the message), io (nothing of the batch is on disk).
using WriteResult = std::variant<Applied, MissingDependencies, Error>;

/// A document that changesets of other sites changed, or SQL.
struct DocumentNotice {
  std::string table;
  std::string key;
  Applied applied;
};

/// Outcomes in the order of what was handed in.
struct ChangesetsApplied {
  std::vector<ReplicaOutcome> outcomes;
  /// For clients that have the documents open.
  std::vector<DocumentNotice> notices;
};

/// One SQL statement that writes, with the values of its parameters ?1, ?2, ... in order.
struct SqlWrite {
  std::string sql;
  std::vector<cells::Value> values;
};

struct Executed {
  /// Per statement.
  std::vector<int64_t> rows_changed;
  /// The transaction's version in the replica log; 0 without one, or if nothing that replicates
  /// changed.
  cells::DbVersion version = 0;
  /// For clients that have the documents open.
  std::vector<DocumentNotice> notices;
};

/// What of a document somebody lacks.
struct RowUpdates {
  Bytes bytes;                  // empty if nothing is lacking
  loro::VersionVector version;  // the document's
};

inline constexpr size_t kRefusedListedMax = 16;
inline constexpr size_t kHoldersListedMax = 16;

struct StoreStats {
  uint64_t cache_bytes = 0;
  uint64_t cache_bytes_max = 0;  // the budget
  uint64_t cache_documents = 0;
  uint64_t cache_hits = 0;
  uint64_t cache_misses = 0;
  uint64_t cache_evictions = 0;
  uint64_t transactions = 0;
  uint64_t updates_applied = 0;  // that had something new
  uint64_t updates_refused = 0;
  uint64_t log_bytes_appended = 0;
  uint64_t folds = 0;
  uint64_t projections = 0;            // rows written
  uint64_t projections_deferred = 0;   // edits whose row was left for later
  uint64_t rows_stale = 0;             // now waiting for their projection
  uint64_t documents_quarantined = 0;  // found so by this process
  uint64_t sql_transactions = 0;       // by Execute()
  uint64_t changesets_applied = 0;
  uint64_t changesets_refused = 0;
  uint64_t transactions_waiting = 0;  // seen, and waiting for the schema or for document ops
  uint64_t transactions_parked = 0;   // of these: for document ops
  uint64_t transactions_refused = 0;  // of these: because a constraint or a limit refuses them
  /// The oldest of those that are refused, kRefusedListedMax at most.
  std::vector<RefusedTransaction> refused;
  // As of the last time that somebody looked, which upkeep does now and then:
  uint64_t tombstones = 0;
  uint64_t tombstones_young = 0;  // of these: every site has them (ReplicaLimits)
  uint64_t tombstones_collected = 0;  // by this process
  /// Sites that hold tombstones back, those with the most first, kHoldersListedMax at most.
  std::vector<TombstoneHolder> tombstone_holders;
  uint64_t write_failures = 0;   // transactions that the disk or a lock did not let through
  std::string write_error;       // of the last transaction, if it was one of those,
  int64_t write_failing_ms = 0;  // and for how long none has gone through
};

struct Upkeep {
  uint32_t folded = 0;
  uint32_t projected = 0;
  bool more = false;  // call again when idle
};

class Store {
 public:
  /// Opens or creates the database and brings its tables to the schema. New tables and columns are
  /// added, and columns of existing rows filled in, in one transaction. Errors: invalid argument
  /// (not a Merrow database, a bad schema, a column that was dropped or changed), unsupported (a
  /// newer format), busy (another process has it), io, corruption.
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options);
  /// Brings the projections up to date if it can; what it cannot is done at the next open.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const Schema& schema() const;

  /// Applies all writes in order in one transaction; one result per write. A write that is refused
  /// changes nothing, in memory or on disk, and does not disturb the others.
  std::vector<WriteResult> ApplyBatch(std::span<const Write> writes);

  // Not found if there is no such document table or row; corruption if the document is quarantined.

  Result<loro::VersionVector> Version(std::string_view table, std::string_view key);
  /// The whole document as a FastSnapshot blob.
  Result<RowUpdates> ReadSnapshot(std::string_view table, std::string_view key);
  /// What `from` lacks, as a FastUpdates blob.
  Result<RowUpdates> ReadUpdates(std::string_view table, std::string_view key,
                                 const loro::VersionVector& from);
  /// The row as a JSON object, columns as declared, values as the document's own JSON has them.
  Result<std::string> ReadRow(std::string_view table, std::string_view key);

  /// Runs SQL that writes, as one transaction: all statements or none. What it changes in rows of
  /// document tables becomes ops of their documents (row_edit.h). Reading along is possible, rows
  /// that statements give are dropped. Invalid argument names the statement and what is wrong with
  /// it: it does not compile, writes to Merrow's own tables or what a document cannot hold, deletes
  /// a document, or is neither SELECT nor INSERT, UPDATE, DELETE or REPLACE. Conflict for a
  /// constraint, cancelled if it takes longer than sql_transaction_ms_max, limit for too much.
  Result<Executed> Execute(std::span<const SqlWrite> statements);

  // --- Replication. REQUIRES: options.replicate, for all of these

  const cells::SiteId& own_site() const;
  /// The last version of this site, and everything that is here of any site.
  cells::DbVersion own_version() const;
  const changeset::SiteVersions& seen() const;
  /// While on, TakePublished() gives the transactions of this site that were committed since the
  /// last call, oldest first. Off at first.
  void KeepPublished(bool on);
  std::vector<SharedChangeset> TakePublished();
  /// Versions of this site that were committed since the last call and are not among these, because
  /// reading them failed. Others have to hear of them all the same, so that they ask.
  changeset::VersionRanges TakeUnread();
  /// Documents that upkeep changed with what waited until then, for clients that have them open.
  std::vector<DocumentNotice> TakeNotices();
  /// Merges changesets of other sites in one transaction, each in a savepoint of its own. Error
  /// (busy, io): nothing was stored; try again later.
  Result<ChangesetsApplied> ApplyChangesets(std::span<const IncomingChangeset> changesets);
  /// ReplicaLog has the contracts of these.
  Result<ReplicaPage> ReadChangesets(const cells::SiteId& site,
                                     const changeset::VersionRanges& wanted, size_t bytes_target);
  Result<std::vector<VersionProof>> ReadProofs(const cells::SiteId& site);
  Result<std::optional<cells::DbVersion>> CheckProofs(std::span<const VersionProof> proofs);
  Result<cells::SiteId> TakeNewIdentity(cells::DbVersion agreed);
  /// Merges what ReplicaDigest::ReadRows of another site gave. An error that is not of the database
  /// (busy, io) names the first row that cannot be merged; the others were.
  Result<std::vector<DocumentNotice>> Repair(std::span<const SharedChangeset> rows);
  /// `peer`, any other site, has these versions (of all sites) on disk, and this store has seen all
  /// of them too: every tombstone whose changeset is among them is known to it. It replaces what
  /// was confirmed before. A site that this was ever called for holds tombstones back from then on,
  /// in later processes too. Cost: a commit for a site that is new to this process or has
  /// less than it said before, else nothing.
  Status ConfirmPeer(const cells::SiteId& peer, const changeset::SiteVersions& has);
  /// All sites that were ever heard of, but for this one.
  Result<std::vector<KnownSite>> KnownSites();
  /// A site that is lost holds tombstones back no longer; if it comes back nevertheless, ReadProofs
  /// refuses it (conflict). Named by the first digits of its id, or by all of them if it was never
  /// heard of here: not found, or invalid argument.
  Result<cells::SiteId> ForgetSite(std::string_view site_hex);
  /// Takes that back. Not found if it was not forgotten.
  Result<cells::SiteId> RememberSite(std::string_view site_hex);

  /// One bounded step of background work: late projections that are due, then logs that outgrew
  /// their base. Call when idle, or at least every second.
  Result<Upkeep> RunUpkeep();
  /// Writes every late projection, so that the next statement of a Reader sees all rows as they
  /// are. Nothing (not even a transaction) if none is late.
  Status FlushProjections();

  StoreStats stats() const;

  /// Stops the process if the cache disagrees with itself. Cost: the whole cache.
  void CheckInvariants() const;

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::store
