// SPDX-License-Identifier: Apache-2.0
//
// Replica applier: one call of ReplicaLog::Apply, Repair or ApplyWaiting. Each changeset is merged
// in a savepoint of its own:
//
//     what is known of its versions is cut off    an entry covers what was not seen before
//     rows and columns that the schema lacks      to _merrow_waiting
//     the other rows                              CellStore::MergeRows, stamped with a new local
//                                                 version
//     documents                                   ReplicaDocuments::Import
//     _merrow_source                              the entry
//
// Several changesets are taken by rising timestamp, so that nearly all document ops find what they
// follow; those that do not are tried again while others get on, and then together
// (replica_together.cc).

#pragma once

#include <functional>
#include <span>
#include <vector>

#include "store/replica_log.h"

namespace merrow::store {

class ReplicaApplier {
 public:
  explicit ReplicaApplier(ReplicaLog& log) : log_(log), cells_(log.cells_) {}

  // Errors of all of these are of the database; what cannot be merged is an outcome.

  Result<std::vector<ReplicaOutcome>> Apply(std::span<const IncomingChangeset> changesets);
  /// What waits for document ops, into memory.
  Status LoadParked();
  /// Why a row cannot be merged, if one cannot.
  Result<std::optional<Error>> Repair(const changeset::Changeset& rows);
  Result<bool> ApplyWaiting();
  Result<bool> RetryRefused();
  /// Applies what is parked and need not be any more.
  Result<bool> Unpark();

 private:
  /// What of a changeset fits the schema, and what does not. The changeset must outlive it.
  struct Split {
    const cells::Transaction* all = nullptr;
    std::optional<cells::Transaction> known;  // if that is not all
    DocumentBlocksByKey documents;
    changeset::Changeset remainder;

    const cells::Transaction& rows() const { return known.has_value() ? *known : *all; }
    bool has_remainder() const {
      return !remainder.cells.rows.empty() || !remainder.documents.empty();
    }
    bool has_known() const { return !rows().rows.empty() || !documents.empty(); }
  };
  /// What becomes an entry.
  struct Member {
    ReplicaLog::Entry entry;
    const Split* split = nullptr;
    DocumentOpsById ops;
    DocumentOpsById fresh;    // of the first member: what of all was new
    bool is_refused = false;  // its rows cannot be merged
  };
  using ImportedIds = std::map<DocumentKey, int64_t>;

  Result<ReplicaOutcome> ApplyOne(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> ApplyPart(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> CompleteParts(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> ApplyWhole(const changeset::Changeset& changeset);
  Result<ReplicaOutcome> Park(const changeset::Changeset& changeset, ReplicaLog::Entry entry);
  /// What entries could not be applied, and why. The reason is empty if there is nothing to apply
  /// as long as the schema is what it is.
  struct Blame {
    std::vector<cells::DbVersion> locals;
    std::string reason;
  };
  /// Applies what these entries wait with, together or not at all. Gives those that are to blame if
  /// nothing was applied: one that does not fit, or all.
  Result<Blame> ApplyWaitingEntries(const std::vector<cells::DbVersion>& locals);
  /// What an entry waits with for the schema. True if something of it was applied.
  Result<bool> ApplyForSchema(cells::DbVersion local);
  Status NoteRefused(const Blame& blame);
  Result<ReplicaLog::Entry> ReadEntry(cells::DbVersion local);
  Result<changeset::Changeset> ReadWaiting(cells::DbVersion local);

  /// A local version of its own for what is merged next.
  Result<cells::DbVersion> NextLocal();
  Result<Split> SplitBySchema(const changeset::Changeset& changeset);
  void SplitRows(const changeset::Changeset& changeset, Split& split);
  Result<ParkedChangeset> Summarize(const DocumentBlocksByKey& documents, bool fully);
  Result<std::optional<DocumentOp>> FindMissing(const ParkedChangeset& changeset);
  // The inner errors of all of these are of rows or documents that cannot be merged.
  /// Merges the documents of all, and then the rows of each under a version and with an entry of
  /// its own. In a savepoint that is undone if something cannot be merged.
  Result<Status> MergeAndRecord(std::vector<Member>& members);
  Result<Status> MergeDocuments(std::vector<Member>& members);
  Result<Status> RepairTogether(const changeset::Changeset& rows);
  /// Undoes `work` in the database and in documents if it cannot be done.
  Result<Status> InSavepoint(const std::function<Result<Status>()>& work);
  /// Sorts an error into the inner or the outer one.
  static Result<Status> Refusal(const Status& status);
  Result<Status> MergeMember(Member& member);
  Status Widen(const ReplicaLog::Entry& entry);
  Status KeepWaiting(cells::DbVersion local, changeset::Changeset remainder);
  Status DropParts(const changeset::Changeset& of_whole, uint64_t whole);
  /// REQUIRES: `range` has just become seen
  Status DropSeenParts(const cells::SiteId& site, const changeset::VersionRange& range);
  Result<bool> MakeRoomForParts(const changeset::Changeset& current, uint64_t whole, int64_t bytes);
  /// How many parts of a whole are here.
  Result<int64_t> CountParts(const changeset::Changeset& part, uint64_t whole);

  ReplicaLog& log_;
  CellStore& cells_;
};

}  // namespace merrow::store
