// SPDX-License-Identifier: Apache-2.0
#include "store/replica_applier.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "changeset/encoder.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::VersionRange;
using changeset::VersionRanges;

/// The changeset cannot be merged here; trying again does not help. Anything else is of the
/// database.
bool IsRefusal(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kBusy:
    case ErrorCode::kIo:
    case ErrorCode::kCancelled:
      return false;
    default:
      return true;
  }
}

ReplicaOutcome OutcomeOf(const Changeset& changeset, ReplicaFate fate) {
  ReplicaOutcome outcome;
  outcome.fate = fate;
  outcome.site = changeset.cells.site;
  outcome.range = {changeset.cells.previous, changeset.cells.version};
  return outcome;
}

ReplicaOutcome Refused(const Changeset& changeset, Error error) {
  ReplicaOutcome outcome = OutcomeOf(changeset, ReplicaFate::kRefused);
  outcome.error = std::move(error);
  return outcome;
}

/// `range` without what is seen at its ends.
VersionRange CutKnownEnds(const VersionRange& range, const VersionRanges& seen) {
  VersionRanges rest(range);
  rest.Remove(seen);
  return {rest.ranges().front().after, rest.ranges().back().until};
}

}  // namespace

Result<std::vector<ReplicaOutcome>> ReplicaApplier::Apply(
    std::span<const IncomingChangeset> changesets) {
  MERROW_TRY(cells_.Join());
  // What the transaction has written so far is of this site.
  MERROW_ASSIGN([[maybe_unused]] const auto local, log_.NoteLocal());
  std::vector<size_t> order(changesets.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  const auto place = [&](size_t i) {
    const Changeset& changeset = *changesets[i].changeset;
    return std::tuple(changeset.timestamp, changeset.cells.site, changeset.cells.version,
                      changeset.part);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return place(a) < place(b); });
  std::vector<ReplicaOutcome> outcomes(changesets.size());
  for (const size_t i : order) {
    MERROW_ASSIGN(outcomes[i], ApplyOne(changesets[i]));
  }
  return outcomes;
}

Result<ReplicaOutcome> ReplicaApplier::ApplyOne(const IncomingChangeset& incoming) {
  const Changeset& changeset = *incoming.changeset;
  if (const Status checked = changeset::CheckChangeset(changeset); !checked.ok()) {
    return Refused(changeset, checked.error());
  }
  const VersionRange range{changeset.cells.previous, changeset.cells.version};
  const auto seen = log_.seen_.find(changeset.cells.site);
  if (seen != log_.seen_.end() && seen->second.Includes(range)) {
    return OutcomeOf(changeset, ReplicaFate::kKnown);
  }
  if (changeset.cells.site == log_.own_site()) {
    return Refused(changeset, Conflict("version " + std::to_string(range.until) +
                                       " of this site, whose last one is " +
                                       std::to_string(log_.own_version())));
  }
  return changeset.parts > 1 ? ApplyPart(incoming) : ApplyWhole(changeset);
}

Result<ReplicaOutcome> ReplicaApplier::ApplyWhole(const Changeset& changeset) {
  const cells::SiteId& site = changeset.cells.site;
  const VersionRange all{changeset.cells.previous, changeset.cells.version};
  const auto seen = log_.seen_.find(site);
  ReplicaLog::Entry entry;
  const VersionRange range = seen == log_.seen_.end() ? all : CutKnownEnds(all, seen->second);
  entry.version = range.until;
  entry.previous = range.after;
  // The timestamp is that of the last version.
  entry.timestamp = range.until == all.until ? changeset.timestamp : changeset::Timestamp();
  MERROW_TRY(cells_.Join());
  MERROW_ASSIGN(entry.site, cells_.OrdinalOf(site));
  MERROW_ASSIGN(const Split split, SplitBySchema(changeset));
  const Result<ParkedChangeset> summary = Summarize(split.documents, /*fully=*/false);
  if (!summary.ok()) {
    return Refused(changeset, summary.error());
  }
  const Result<std::optional<DocumentOp>> missing = FindMissing(*summary);
  if (!missing.ok()) {
    if (!IsRefusal(missing.error())) {
      return missing.error();
    }
    return Refused(changeset, missing.error());
  }
  ReplicaOutcome outcome = OutcomeOf(changeset, ReplicaFate::kApplied);
  if (!missing->has_value()) {
    std::vector<Member> members(1);
    members[0].entry = std::move(entry);
    members[0].split = &split;
    MERROW_ASSIGN(const Status merged, MergeAndRecord(members));
    if (!merged.ok()) {
      return Refused(changeset, merged.error());
    }
  } else {
    MERROW_ASSIGN(outcome, Park(changeset, std::move(entry)));
    if (outcome.fate != ReplicaFate::kApplied) {
      return outcome;
    }
  }
  log_.MarkSeen(site, range);
  log_.memory_.clock.Observe(changeset.timestamp, log_.NowMs());
  MERROW_TRY(DropSeenParts(site, range));
  if (log_.has_arrived()) {
    MERROW_TRY(Unpark());
  }
  return outcome;
}

Result<cells::DbVersion> ReplicaApplier::NextLocal() {
  MERROW_TRY(cells_.Join());
  cells_.transaction().RaiseVersion(log_.memory_.last_local + 1);
  return cells_.transaction().version();
}

Result<Status> ReplicaApplier::Refusal(const Status& status) {
  if (status.ok() || IsRefusal(status.error())) {
    return status;
  }
  return status.error();
}

Result<Status> ReplicaApplier::InSavepoint(const std::function<Result<Status>()>& work) {
  ReplicaDocuments* const documents = log_.options_.documents;
  Status done;
  {
    MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(cells_.db()));
    if (documents != nullptr) {
      documents->BeginPart();
    }
    MERROW_ASSIGN(done, work());
    if (done.ok()) {
      MERROW_TRY(savepoint.Release());
      return done;
    }
  }
  if (documents != nullptr) {
    documents->UndoPart();
  }
  if (sqlite3_get_autocommit(cells_.db()) != 0) {
    return IoError("SQLite ended the transaction by itself");
  }
  return done;
}

Result<Status> ReplicaApplier::MergeAndRecord(std::vector<Member>& members) {
  log_.Save();
  const ReplicaLog::Memory before = log_.memory_;
  MERROW_ASSIGN(const Status merged, InSavepoint([&]() -> Result<Status> {
                  MERROW_ASSIGN(Status status, MergeDocuments(members));
                  for (size_t i = 0; i < members.size() && status.ok(); ++i) {
                    MERROW_ASSIGN(status, MergeMember(members[i]));
                    members[i].is_refused = !status.ok();
                  }
                  return status;
                }));
  if (merged.ok()) {
    return merged;
  }
  for (const Member& member : members) {
    if (member.entry.local > before.last_local) {
      log_.ClearWaiting(member.entry.local);
    }
  }
  log_.memory_ = before;
  return merged;
}

Result<Status> ReplicaApplier::MergeDocuments(std::vector<Member>& members) {
  DocumentBlocksByKey blocks;
  for (const Member& member : members) {
    for (const auto& [document, of_member] : member.split->documents) {
      blocks[document] += of_member;
    }
  }
  for (const auto& [document, all] : blocks) {
    MERROW_ASSIGN(const auto imported,
                  log_.options_.documents->Import(document.first, document.second, all));
    if (!imported.ok()) {
      return Status(imported.error().Within("table " + document.first));
    }
    if (imported->is_waiting) {
      return Status(Conflict("table " + document.first + ": ops are missing"));
    }
    log_.NoteArrived(document, imported->ops.spans);
    AddOps(imported->ops, &members[0].fresh);
    // What a changeset brings is what is served of its versions later, also if it was here before:
    // it may have come with other versions, which the next site got when they did not have it yet.
    for (Member& member : members) {
      const auto found = member.split->documents.find(document);
      if (found == member.split->documents.end() || imported->ops.document_id == 0) {
        continue;
      }
      MERROW_ASSIGN(BlockSummary summary, SummarizeBlocks(found->second, /*fully=*/false));
      DocumentOps ops;
      ops.document_id = imported->ops.document_id;
      ops.spans = std::move(summary.spans);
      AddOps(ops, &member.ops);
    }
  }
  return Status();
}

Result<Status> ReplicaApplier::MergeMember(Member& member) {
  MERROW_ASSIGN(member.entry.local, NextLocal());
  member.entry.first = member.entry.local;
  member.entry.documents = EncodeDocumentOps(member.ops);
  if (!member.split->rows().rows.empty()) {
    const Status merged = cells_.MergeRows(member.split->rows());
    if (!merged.ok()) {
      return Refusal(merged);
    }
  }
  MERROW_TRY(Widen(member.entry));
  MERROW_TRY(log_.Insert(member.entry));
  if (member.split->has_remainder()) {
    const Status kept = KeepWaiting(member.entry.local, member.split->remainder);
    if (!kept.ok()) {
      return Refusal(kept);
    }
  }
  return Status();
}

/// Entries inside the new one come to cover the same versions: what is still of them cannot be told
/// from what is of the new one.
Status ReplicaApplier::Widen(const ReplicaLog::Entry& entry) {
  const auto seen = log_.seen_.find(cells_.SiteOf(entry.site).value());
  if (seen == log_.seen_.end() || !seen->second.Intersects({entry.previous, entry.version})) {
    return {};
  }
  CellStatement widen;
  MERROW_TRY(widen.Prepare(cells_.db(),
                           "UPDATE main._merrow_source SET version = ?3, previous = ?2, ms = ?4, "
                           "count = ?5 WHERE site = ?1 AND site <> 0 AND version > ?2 AND version "
                           "<= ?3"));
  widen.BindInt(1, entry.site);
  widen.BindInt(2, entry.previous);
  widen.BindInt(3, entry.version);
  widen.BindInt(4, entry.timestamp.ms);
  widen.BindInt(5, entry.timestamp.count);
  return widen.Run();
}

// --- What the schema lacks.

Result<ReplicaApplier::Split> ReplicaApplier::SplitBySchema(const Changeset& changeset) {
  MERROW_TRY(cells_.Join());
  Split split;
  split.remainder.cells.site = changeset.cells.site;
  split.remainder.cells.version = changeset.cells.version;
  split.remainder.cells.previous = changeset.cells.previous;
  split.remainder.cells.tables = changeset.cells.tables;
  split.remainder.cells.authors = changeset.cells.authors;
  split.remainder.timestamp = changeset.timestamp;
  const ReplicaDocuments* const documents = log_.options_.documents;
  for (const changeset::DocumentChange& document : changeset.documents) {
    const std::string& table = changeset.cells.tables[document.table].name;
    if (documents != nullptr && documents->HasTable(table)) {
      split.documents[{table, document.key}] += document.blocks;
    } else {
      split.remainder.documents.push_back(document);
    }
  }
  SplitRows(changeset, split);
  return split;
}

void ReplicaApplier::SplitRows(const Changeset& changeset, Split& split) {
  bool all_known = true;
  std::vector<bool> is_table_known;
  std::vector<std::vector<bool>> is_column_known;
  for (const cells::ChangedTable& names : changeset.cells.tables) {
    CellTable* const table = cells_.tables().Find(names.name);
    is_table_known.push_back(table != nullptr);
    is_column_known.emplace_back();
    for (const std::string& column : names.columns) {
      is_column_known.back().push_back(table != nullptr &&
                                       table->FindColumn(column) != CellTable::npos);
      all_known = all_known && is_column_known.back().back();
    }
    all_known = all_known && table != nullptr;
  }
  split.all = &changeset.cells;
  if (all_known || changeset.cells.rows.empty()) {
    return;
  }
  cells::Transaction& fitting = split.known.emplace();
  fitting.site = changeset.cells.site;
  fitting.version = changeset.cells.version;
  fitting.previous = changeset.cells.previous;
  fitting.tables = changeset.cells.tables;
  fitting.authors = changeset.cells.authors;
  for (const cells::RowChange& row : changeset.cells.rows) {
    if (!is_table_known[row.table]) {
      split.remainder.cells.rows.push_back(row);
      continue;
    }
    cells::RowChange known{row.table, row.key, row.cl, row.sentinel, {}};
    cells::RowChange unknown{row.table, row.key, row.cl, std::nullopt, {}};
    for (const cells::CellChange& cell : row.cells) {
      (is_column_known[row.table][cell.column] ? known : unknown).cells.push_back(cell);
    }
    if (!unknown.cells.empty()) {
      split.remainder.cells.rows.push_back(std::move(unknown));
    }
    if (!known.cells.empty() || known.sentinel.has_value()) {
      fitting.rows.push_back(std::move(known));
    }
  }
}

}  // namespace merrow::store
