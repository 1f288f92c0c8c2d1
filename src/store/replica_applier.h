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

#include <span>
#include <vector>

#include "store/replica_log.h"

namespace merrow::store {

class ReplicaApplier {
 public:
  explicit ReplicaApplier(ReplicaLog& log) : log_(log), cells_(log.cells_) {}

  // Errors of all of these are of the database; what cannot be merged is an outcome.

  Result<std::vector<ReplicaOutcome>> Apply(std::span<const IncomingChangeset> changesets);
  Status Repair(const changeset::Changeset& rows);
  Result<bool> ApplyWaiting();

 private:
  /// What of a changeset fits the schema, and what does not. The changeset must outlive it.
  struct Split {
    const cells::Transaction* all = nullptr;
    std::optional<cells::Transaction> known;  // if that is not all
    std::vector<changeset::DocumentChange> documents;
    changeset::Changeset remainder;

    const cells::Transaction& rows() const { return known.has_value() ? *known : *all; }
    bool has_remainder() const {
      return !remainder.cells.rows.empty() || !remainder.documents.empty();
    }
    bool has_known() const { return !rows().rows.empty() || !documents.empty(); }
  };
  enum class Merged { kYes, kWaits };
  struct Waiting {
    int64_t id = 0;
    Bytes frame;
  };

  /// One of several changesets that may wait for each other.
  struct Member {
    size_t index = 0;           // among those that were handed in
    SharedChangeset changeset;  // whole
    Split split;
    changeset::VersionRange range;
  };

  /// Merges what of `waiting` can be merged together, and takes it out.
  Status ApplyTogether(std::span<const IncomingChangeset> changesets, std::vector<size_t>& waiting,
                       std::vector<ReplicaOutcome>& outcomes);
  Result<std::vector<Member>> MembersOf(std::span<const IncomingChangeset> changesets,
                                        const std::vector<size_t>& waiting,
                                        const std::vector<ReplicaOutcome>& outcomes);
  Result<std::optional<size_t>> TryTogether(std::vector<Member>& members);
  Result<std::optional<size_t>> MergeTogether(std::vector<Member>& members);
  Result<bool> MergeMember(const Member& member, const Bytes& documents);
  Result<ReplicaOutcome> ApplyOne(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> ApplyPart(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> CompleteParts(const IncomingChangeset& incoming);
  Result<ReplicaOutcome> ApplyWhole(const changeset::Changeset& changeset);
  Result<bool> ApplyWaitingFrame(const ReplicaLog::Entry& entry, const Waiting& waiting);

  /// A local version of its own for what is merged next.
  Result<cells::DbVersion> NextLocal();
  Result<Split> SplitBySchema(const changeset::Changeset& changeset);
  void SplitRows(const changeset::Changeset& changeset, Split& split);
  /// The inner error is of rows or documents that cannot be merged. Adds to `ops`.
  Result<Result<Merged>> MergeSplit(const Split& split, DocumentOpsById* ops);
  /// In a savepoint that is gone unless it was merged.
  Result<Result<Merged>> MergeAndRecord(const Split& split, ReplicaLog::Entry entry);
  Status Widen(const ReplicaLog::Entry& entry);
  Status KeepWaiting(cells::DbVersion local, changeset::Changeset remainder);
  Status DropParts(const changeset::Changeset& of_whole, uint64_t whole);
  Status DropSeenParts(const cells::SiteId& site);
  Status MakeRoomForParts(const changeset::Changeset& current, uint64_t whole);

  ReplicaLog& log_;
  CellStore& cells_;
};

}  // namespace merrow::store
