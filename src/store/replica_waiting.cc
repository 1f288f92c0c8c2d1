// SPDX-License-Identifier: Apache-2.0
//
// ReplicaApplier's other half: rows that wait until the schema has their table or column, and rows
// that repair what digests found.
#include <utility>

#include "changeset/decoder.h"
#include "changeset/encoder.h"
#include "store/replica_applier.h"

namespace merrow::store {
namespace {

using changeset::Changeset;

/// Frames of _merrow_waiting hold about this much.
constexpr size_t kWaitingFrameBytes = size_t{1} << 20;

}  // namespace

Status ReplicaApplier::KeepWaiting(cells::DbVersion local, Changeset remainder) {
  for (const Changeset& part :
       changeset::SplitChangeset(std::move(remainder), kWaitingFrameBytes)) {
    MERROW_ASSIGN(const Bytes frame, changeset::Encoder().Encode({&part, 1}));
    CellStatement insert;
    MERROW_TRY(insert.Prepare(cells_.db(),
                              "INSERT INTO main._merrow_waiting (local, bytes) VALUES (?1, ?2)"));
    insert.BindInt(1, local);
    insert.Bind(2, cells::ValueView::Blob(frame));
    MERROW_TRY(insert.Run());
  }
  log_.Save();
  log_.memory_.waiting.insert(local);
  return {};
}

Result<bool> ReplicaApplier::ApplyWaiting() {
  const std::set<cells::DbVersion> locals = log_.memory_.waiting;
  bool got_on = false;
  for (const cells::DbVersion local : locals) {
    CellStatement find;
    MERROW_TRY(find.Prepare(cells_.db(),
                            "SELECT local, first, site, version, previous, ms, count, NULL FROM "
                            "main._merrow_source WHERE local = ?1"));
    find.BindInt(1, local);
    MERROW_ASSIGN(const bool found, find.Step());
    if (!found) {
      return Corruption("_merrow_waiting names entry " + std::to_string(local) +
                        ", which does not exist");
    }
    const ReplicaLog::Entry entry = ReplicaLog::ReadEntry(find);
    find.Finalize();
    std::vector<Waiting> frames;
    CellStatement read;
    MERROW_TRY(read.Prepare(
        cells_.db(), "SELECT id, bytes FROM main._merrow_waiting WHERE local = ?1 ORDER BY id"));
    read.BindInt(1, local);
    while (true) {
      MERROW_ASSIGN(const bool more, read.Step());
      if (!more) {
        break;
      }
      frames.push_back({read.Int(0), Bytes(read.Column(1).bytes)});
    }
    read.Finalize();
    for (const Waiting& frame : frames) {
      MERROW_ASSIGN(const bool applied, ApplyWaitingFrame(entry, frame));
      got_on = got_on || applied;
    }
    MERROW_TRY(read.Prepare(cells_.db(),
                            "SELECT EXISTS (SELECT 1 FROM main._merrow_waiting WHERE local = ?1)"));
    read.BindInt(1, local);
    MERROW_ASSIGN([[maybe_unused]] const bool row, read.Step());
    if (read.Int(0) == 0) {
      log_.Save();
      log_.memory_.waiting.erase(local);
    }
  }
  return got_on;
}

/// What of it can be applied gets an entry for the same versions; the rest goes on waiting. What
/// cannot be merged (a constraint refuses it, ops are missing) waits as it is.
Result<bool> ReplicaApplier::ApplyWaitingFrame(const ReplicaLog::Entry& entry,
                                               const Waiting& waiting) {
  MERROW_ASSIGN(const std::vector<Changeset> changesets,
                changeset::Decoder().Decode(waiting.frame));
  if (changesets.size() != 1) {
    return Corruption("_merrow_waiting: frame " + std::to_string(waiting.id) + " holds " +
                      std::to_string(changesets.size()) + " changesets");
  }
  MERROW_ASSIGN(const Split split, SplitBySchema(changesets[0]));
  if (!split.has_known()) {
    return false;
  }
  ReplicaLog::Entry applied = entry;
  applied.documents.clear();
  MERROW_ASSIGN(const Result<Merged> merged, MergeAndRecord(split, std::move(applied)));
  if (!merged.ok() || *merged == Merged::kWaits) {
    return false;
  }
  CellStatement drop;
  MERROW_TRY(drop.Prepare(cells_.db(), "DELETE FROM main._merrow_waiting WHERE id = ?1"));
  drop.BindInt(1, waiting.id);
  MERROW_TRY(drop.Run());
  return true;
}

Status ReplicaApplier::Repair(const Changeset& rows) {
  MERROW_TRY(changeset::CheckChangeset(rows));
  MERROW_ASSIGN(const Split split, SplitBySchema(rows));
  MERROW_ASSIGN([[maybe_unused]] const cells::DbVersion local, NextLocal());
  DocumentOpsById ops;
  MERROW_ASSIGN(const Result<Merged> merged, MergeSplit(split, &ops));
  if (!merged.ok()) {
    return merged.error();
  }
  if (*merged == Merged::kWaits) {
    return Conflict("a document to repair follows ops that are not here");
  }
  for (const auto& [id, of_document] : ops) {
    log_.NoteDocument(of_document);
  }
  return {};
}

// --- ReplicaLog's side.

Result<std::vector<ReplicaOutcome>> ReplicaLog::Apply(
    std::span<const IncomingChangeset> changesets) {
  return ReplicaApplier(*this).Apply(changesets);
}

Result<bool> ReplicaLog::ApplyWaiting() {
  if (memory_.waiting.empty()) {
    return false;
  }
  return ReplicaApplier(*this).ApplyWaiting();
}

Status ReplicaLog::Repair(std::span<const SharedChangeset> rows) {
  MERROW_TRY(cells_.Join());
  MERROW_ASSIGN([[maybe_unused]] const auto before, NoteLocal());
  for (const SharedChangeset& changeset : rows) {
    MERROW_TRY(ReplicaApplier(*this).Repair(*changeset));
  }
  MERROW_ASSIGN([[maybe_unused]] const auto version, NoteLocal());
  return {};
}

}  // namespace merrow::store
