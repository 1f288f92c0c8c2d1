// SPDX-License-Identifier: Apache-2.0
//
// Replica log: the transactions of one database, by the site that made them, over the column rows
// of a CellStore and the documents beside them. It knows what this database has seen of every site,
// takes in changesets of others, and makes changesets of anything that it has, its own or not.
//
// Every transaction here, its own or merged, has a step of the local db_version counter to itself,
// and one entry in _merrow_source that says whose it is:
//
//     entry       local version L <- versions (previous, version] of a site, when, document ops
//     cells       of the entry are those whose clock says L: no table of changes is kept. What was
//                 overwritten since belongs to the entry that overwrote it.
//
// So what a changeset of any entry holds is read out of the clocks when somebody asks, and
// neighbours can be made one at any time without touching rows.
//
// Tables (docs/format.md):
//
//   _merrow_source  (local INTEGER PRIMARY KEY, first, site, version, previous, ms, count,
//                   documents)
//       Versions (previous, version] of site ordinal `site` have the local versions `first` to
//       `local`. Of site 0, this database, local == version. `documents` are the ops that came with
//       them (document_ops.h).
//   _merrow_waiting (id INTEGER PRIMARY KEY, local, bytes)
//       What of the entry `local` cannot be applied yet, as parts of a changeset (frame.h): rows
//       whose table or column is not known here; or all of it, if document ops in it follow ops
//       that are not here (replica_parked.h).
//   _merrow_part    (id INTEGER PRIMARY KEY, site, version, previous, whole, part, parts, bytes)
//       Parts of changesets that have not all arrived: frames.
//
// Invariants:
//   (1) seen() is the union of the entries' (previous, version], and what the disk says, whenever
//       no transaction is open.
//   (2) A version that is seen was applied, or overwritten by what was, or waits in
//       _merrow_waiting; all of it in the transaction that made it seen.
//   (3) Every row of _merrow_tx belongs to exactly one entry.
//   (4) Two entries of one site cover the same versions or none in common. Entries that cover the
//       same are served together.
//
// Thread-compatible, as its connection. Compiles into merrow.so too (replica.cmake).

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "changeset/hybrid_clock.h"
#include "changeset/version_set.h"
#include "store/cell_store.h"
#include "store/document_ops.h"
#include "store/replica_documents.h"
#include "store/replica_parked.h"
#include "store/replica_tombstone_marks.h"
#include "store/replica_types.h"

namespace merrow::store {

struct ReplicaOptions {
  /// For timestamps. Must outlive the log.
  const Clock* clock = nullptr;
  /// Null: this database has no documents. Must outlive the log.
  ReplicaDocuments* documents = nullptr;
  ReplicaLimits limits;
};

/// A walk over all tombstones, some at a time.
struct TombstoneSweep {
  bool has_begun = false;
  ClockPlace place;
  TombstoneReport report;  // so far
};

class ReplicaLog {
 public:
  /// In the caller's transaction. Creates the tables if they are not there, takes what was written
  /// while nobody kept a log as transactions of this site, and applies what waited for tables and
  /// columns that are there now. Call Committed() after the commit.
  static Result<std::unique_ptr<ReplicaLog>> Open(CellStore& cells, const ReplicaOptions& options);
  /// In the caller's read transaction, and for what only reads: seen(), Read(). Null if Open()
  /// would have to write first, because there are no tables or transactions that nobody kept a log
  /// of. What waits for tables that are there now goes on waiting, and is read like anything else.
  static Result<std::unique_ptr<ReplicaLog>> OpenToRead(CellStore& cells,
                                                        const ReplicaOptions& options);
  ~ReplicaLog();
  ReplicaLog(const ReplicaLog&) = delete;
  ReplicaLog& operator=(const ReplicaLog&) = delete;

  const cells::SiteId& own_site() const { return memory_.own_site; }
  /// The last version of this site.
  cells::DbVersion own_version() const { return memory_.own_version; }
  /// The largest number of a transaction here, whoever made it.
  cells::DbVersion last_local() const { return memory_.last_local; }
  /// What of which site is here, the own one included.
  const changeset::SiteVersions& seen() const { return seen_; }

  // --- Local transactions.

  /// Document ops that the open transaction brings.
  void NoteDocument(const DocumentOps& ops);
  /// The last thing before the commit of a transaction that wrote: if it changed a tracked table or
  /// a document, it becomes a transaction of this site. Its version, or nothing.
  Result<std::optional<cells::DbVersion>> NoteLocal();
  // One of them after each transaction in which something here was called.
  void Committed();
  void RolledBack();

  // --- Exchange.

  /// Merges changesets, each in a savepoint of its own; one outcome each. In the caller's write
  /// transaction, whose commit makes them seen. Error: of the database; the caller rolls back.
  Result<std::vector<ReplicaOutcome>> Apply(std::span<const IncomingChangeset> changesets);
  /// Changesets that cover what is here of `wanted`, until about `bytes_target` bytes (at least
  /// one). In one read snapshot.
  Result<ReplicaPage> Read(const cells::SiteId& site, const changeset::VersionRanges& wanted,
                           size_t bytes_target, ReadOrder order = ReadOrder::kNewestFirst);
  /// In the caller's write transaction: applies what waits for the schema or for document ops, if
  /// it can now. True if there was something. To be called after a table was tracked or got
  /// columns. Cost: reads all that waits.
  Result<bool> ApplyWaiting();
  /// Something waits for document ops. Changesets that bring them apply it by themselves.
  bool has_parked() const { return !parked_.empty(); }
  /// These ops of a document came in another way, such as from a client.
  void NoteArrived(const DocumentKey& document, const std::vector<loro::IdSpan>& spans) {
    parked_.OnOps(document, spans);
  }
  /// ApplyArrived() would find something, probably. Cheap.
  bool has_arrived() const { return parked_.has_work(); }
  /// In the caller's write transaction: applies what waited for ops that arrived. True if there was
  /// something.
  Result<bool> ApplyArrived();
  /// The same with what a constraint or a limit refused.
  Result<bool> RetryRefused();
  /// Transactions that are seen but not applied, or not all of them, ...
  size_t waiting() const { return waiting_.size(); }
  /// ... of which so many wait for document ops, ...
  size_t parked() const { return parked_.size(); }
  /// ... and these were refused by what is in the database. By local version.
  const std::map<cells::DbVersion, RefusedTransaction>& refused() const { return refused_; }

  // --- Identity.

  /// Of the last version of `site` that is here, and about the 1st, 2nd, 4th, 8th, ... before it.
  /// To be asked when that site connects: conflict if it was forgotten.
  Result<std::vector<VersionProof>> Proofs(const cells::SiteId& site);
  /// Nothing if what a peer has of this site fits. Else the last version that both agree on.
  Result<std::optional<cells::DbVersion>> CheckProofs(std::span<const VersionProof> proofs);
  /// In the caller's write transaction. Transactions of this site up to `agreed` stay those of the
  /// old one, the later ones become the new one's. Cost: reads every clock once.
  Result<cells::SiteId> TakeNewIdentity(cells::DbVersion agreed);

  // --- Digests (replica_digest.h computes them). Repair is in the caller's write transaction.

  /// Merges whole rows of another site as a transaction of this one, authors kept. Rows that cannot
  /// be merged are passed over; why the first of them cannot.
  Result<std::optional<Error>> Repair(std::span<const SharedChangeset> rows);

  // --- Upkeep.

  /// Prune() would find something, probably. Cheap.
  bool HasToPrune() const;
  /// In the caller's write transaction: one bounded step of combining old entries and dropping what
  /// is left of none. True if there is more to do.
  Result<bool> Prune();
  /// In the caller's write transaction: drops the tombstones that every site which was ever heard
  /// of has, as `peers` said, but for those that are gone (KnownSite), and has had for
  /// ReplicaLimits::tombstone_keep_ms. Nothing if no other site was ever heard of. One bounded step
  /// of a walk over every clock, which is over when sweep->place is at its end.
  Status CollectTombstones(const std::map<cells::SiteId, changeset::SiteVersions>& peers,
                           TombstoneSweep* sweep);
  /// True if `site` has said before, to this process or an earlier one, that it has more. Cheap.
  Result<bool> TakesBack(const cells::SiteId& site, const changeset::SiteVersions& has);
  /// In the caller's write transaction: tombstones that the site lacks stay for the full time after
  /// it got them again.
  Status TakeBack(const changeset::SiteVersions& has);

  // --- Other sites. Those that write are in the caller's transaction.

  Result<std::vector<KnownSite>> KnownSites();
  /// The one whose id begins so; of all its digits, whether it was ever heard of or not. Not found,
  /// or invalid argument if there are several, or it is this one.
  Result<cells::SiteId> FindSite(std::string_view hex);
  /// From now on it is known, and holds tombstones back, even if it never writes anything.
  Status Meet(const cells::SiteId& site);
  /// It is lost: it holds no tombstones back any more. Should it come back, Proofs() refuses it.
  Status ForgetSite(const cells::SiteId& site);
  Status RememberSite(const cells::SiteId& site);

  /// Stops the process if memory and disk disagree. Cost: reads all entries.
  void CheckInvariants();

 private:
  friend class ReplicaApplier;
  friend class ReplicaPageReader;
  friend class ReplicaPruner;

  /// What a row of _merrow_part takes besides its frame, about, ...
  static constexpr int64_t kPartRowBytes = 128;
  /// ... and rows with their frames, as SQL.
  static const std::string kPartBytes;
  /// Site, version, previous, whole, parts.
  using WholeName =
      std::tuple<cells::SiteId, cells::DbVersion, cells::DbVersion, uint64_t, uint32_t>;

  /// A row of _merrow_source.
  struct Entry {
    cells::DbVersion local = 0;
    cells::DbVersion first = 0;
    cells::SiteOrdinal site = 0;
    cells::DbVersion version = 0;
    cells::DbVersion previous = 0;
    changeset::Timestamp timestamp;  // {0, 0}: not known
    Bytes documents;
  };
  /// What of the disk is in memory too, but for what can be large. Copied for each transaction.
  struct Memory {
    cells::SiteId own_site;
    cells::DbVersion own_version = 0;
    /// The largest local version of an entry.
    cells::DbVersion last_local = 0;
    changeset::HybridClock clock;
    /// In _merrow_part, with what a row takes.
    int64_t part_bytes = 0;
  };

  /// When Prune() begins from the start.
  struct PruneRounds {
    /// The round at hand, or the last one, is of entries up to this local version.
    cells::DbVersion until = 0;
    /// Entries and rows of _merrow_tx that it left, ...
    size_t left = 0;
    /// ... and that were left of the entries behind it.
    size_t left_behind = 0;
  };

  ReplicaLog(CellStore& cells, const ReplicaOptions& options) : cells_(cells), options_(options) {}

  int64_t NowMs() const { return options_.clock->UnixMillis(); }

  Result<bool> Initialize();
  Result<bool> HasForgottenTable();
  Result<std::optional<int64_t>> ForgottenAt(const cells::SiteId& site);
  Status Load();
  Status AdoptDocuments();
  /// Rows of _merrow_tx that belong to no entry become transactions of this site. False if there
  /// are none. `documents` came with the last of them.
  Result<bool> Adopt(const Bytes& documents);
  Status AddOwn(cells::DbVersion first, cells::DbVersion local, const Bytes& documents);
  Status Insert(const Entry& entry);
  /// Reads entries in the columns kEntryColumns.
  static Entry ReadEntry(const CellStatement& statement);
  void MarkSeen(const cells::SiteId& site, const changeset::VersionRange& range);
  /// Before memory changes for the first time in a transaction.
  void Save();
  /// Notes that the entry has something in _merrow_waiting. `parked`: null if it is not for
  /// document ops.
  void SetWaiting(cells::DbVersion local, std::shared_ptr<const ParkedChangeset> parked);
  /// ... and that it has nothing there any more.
  void ClearWaiting(cells::DbVersion local);
  void SaveWaiting(cells::DbVersion local);

  CellStore& cells_;
  const ReplicaOptions options_;
  Memory memory_;
  changeset::SiteVersions seen_;
  /// Local versions of entries that have something in _merrow_waiting, ...
  std::set<cells::DbVersion> waiting_;
  /// ... which of them wait for document ops, ...
  Parked parked_;
  /// ... and which were refused when they were tried last.
  std::map<cells::DbVersion, RefusedTransaction> refused_;
  /// How many parts there are of some wholes.
  std::map<WholeName, int64_t> part_counts_;
  DocumentOpsById noted_;
  TombstoneMarks marks_;
  /// Entries up to this local version were looked at by Prune().
  cells::DbVersion pruned_ = 0;
  PruneRounds prune_rounds_;

  // As they were before the open transaction: what it changed.
  std::optional<Memory> memory_before_;
  std::map<cells::SiteId, changeset::VersionRanges> seen_before_;
  struct WaitingBefore {
    bool waited = false;
    std::shared_ptr<const ParkedChangeset> parked;
    std::optional<RefusedTransaction> refused;
  };
  std::map<cells::DbVersion, WaitingBefore> waiting_before_;

  CellStatement insert_, read_unowned_;
};

}  // namespace merrow::store
