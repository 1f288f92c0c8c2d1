// SPDX-License-Identifier: Apache-2.0
//
// ReplicaApplier's other half: what waits for the schema or for document ops, and rows that repair
// what digests found.
#include <iterator>
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
  log_.SetWaiting(local, nullptr);
  return {};
}

Result<ReplicaLog::Entry> ReplicaApplier::ReadEntry(cells::DbVersion local) {
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
  return ReplicaLog::ReadEntry(find);
}

Result<Changeset> ReplicaApplier::ReadWaiting(cells::DbVersion local) {
  std::vector<Changeset> parts;
  CellStatement read;
  MERROW_TRY(read.Prepare(cells_.db(),
                          "SELECT bytes FROM main._merrow_waiting WHERE local = ?1 ORDER BY id"));
  read.BindInt(1, local);
  while (true) {
    MERROW_ASSIGN(const bool more, read.Step());
    if (!more) {
      return changeset::JoinParts(std::move(parts));
    }
    MERROW_ASSIGN(auto decoded, changeset::Decoder().Decode(read.Column(0).bytes));
    std::move(decoded.begin(), decoded.end(), std::back_inserter(parts));
  }
}

// --- For document ops.

Result<ParkedChangeset> ReplicaApplier::Summarize(const DocumentBlocksByKey& documents,
                                                  bool fully) {
  ParkedChangeset parked;
  for (const auto& [document, blocks] : documents) {
    MERROW_ASSIGN(parked[document], SummarizeBlocks(blocks, fully));
  }
  return parked;
}

Result<std::optional<DocumentOp>> ReplicaApplier::FindMissing(const ParkedChangeset& changeset) {
  return store::FindMissing(changeset, [this](const DocumentKey& document) {
    return log_.options_.documents->VersionOf(document.first, document.second);
  });
}

/// It counts as seen, is served, and becomes visible as a whole later. In a savepoint, because it
/// may turn out that it cannot be kept.
Result<ReplicaOutcome> ReplicaApplier::Park(const Changeset& changeset, ReplicaLog::Entry entry) {
  ReplicaOutcome outcome;
  outcome.site = changeset.cells.site;
  outcome.range = {changeset.cells.previous, changeset.cells.version};
  MERROW_ASSIGN(const Split split, SplitBySchema(changeset));
  Result<ParkedChangeset> summary = Summarize(split.documents, /*fully=*/true);
  if (!summary.ok()) {
    outcome.fate = ReplicaFate::kRefused;
    outcome.error = summary.error();
    return outcome;
  }
  log_.Save();
  const ReplicaLog::Memory before = log_.memory_;
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(cells_.db()));
  MERROW_ASSIGN(entry.local, NextLocal());
  entry.first = entry.local;
  MERROW_TRY(Widen(entry));
  MERROW_TRY(log_.Insert(entry));
  const Status kept = KeepWaiting(entry.local, changeset);
  if (!kept.ok()) {
    if (kept.error().code() != ErrorCode::kLimit) {
      return kept.error();
    }
    log_.ClearWaiting(entry.local);
    log_.memory_ = before;
    outcome.fate = ReplicaFate::kRefused;
    outcome.error = kept.error();
    return outcome;
  }
  MERROW_TRY(savepoint.Release());
  log_.SetWaiting(entry.local, std::make_shared<const ParkedChangeset>(*std::move(summary)));
  return outcome;
}

Result<bool> ReplicaApplier::Unpark() {
  bool got_on = false;
  while (true) {
    MERROW_ASSIGN(const std::vector<cells::DbVersion> next,
                  log_.parked_.Next([this](const DocumentKey& document) {
                    return log_.options_.documents->VersionOf(document.first, document.second);
                  }));
    if (next.empty()) {
      return got_on;
    }
    MERROW_ASSIGN(const Blame blame, ApplyWaitingEntries(next));
    if (blame.locals.empty()) {
      got_on = true;
      continue;
    }
    for (const cells::DbVersion local : next) {
      log_.parked_.LookAt(local);
    }
    // They wait for better times, and do not hold up the others.
    for (const cells::DbVersion local : blame.locals) {
      log_.parked_.SetAside(local);
    }
    MERROW_TRY(NoteRefused(blame));
  }
}

Status ReplicaApplier::NoteRefused(const Blame& blame) {
  for (const cells::DbVersion local : blame.locals) {
    MERROW_ASSIGN(const ReplicaLog::Entry entry, ReadEntry(local));
    MERROW_ASSIGN(const cells::SiteId site, cells_.SiteOf(entry.site));
    log_.refused_[local] = {site, {entry.previous, entry.version}, blame.reason};
  }
  return {};
}

Status ReplicaApplier::LoadParked() {
  const ReplicaDocuments* const documents = log_.options_.documents;
  if (documents == nullptr) {
    return {};
  }
  for (const cells::DbVersion local : log_.waiting_) {
    MERROW_ASSIGN(const Changeset changeset, ReadWaiting(local));
    DocumentBlocksByKey blocks;
    for (const changeset::DocumentChange& document : changeset.documents) {
      const std::string& table = changeset.cells.tables[document.table].name;
      if (documents->HasTable(table)) {
        blocks[{table, document.key}] += document.blocks;
      }
    }
    if (!blocks.empty()) {
      MERROW_ASSIGN(ParkedChangeset summary, Summarize(blocks, /*fully=*/false));
      log_.parked_.Add(local, std::make_shared<const ParkedChangeset>(std::move(summary)));
    }
  }
  return {};
}

// --- For the schema.

Result<bool> ReplicaApplier::ApplyWaiting() {
  bool got_on = false;
  const std::set<cells::DbVersion> locals = log_.waiting_;
  for (const cells::DbVersion local : locals) {
    if (!log_.parked_.Contains(local)) {
      MERROW_ASSIGN(const bool applied, ApplyForSchema(local));
      got_on = got_on || applied;
    }
  }
  log_.parked_.LookAtAll();
  MERROW_ASSIGN(const bool unparked, Unpark());
  return got_on || unparked;
}

Result<bool> ReplicaApplier::ApplyForSchema(cells::DbVersion local) {
  MERROW_ASSIGN(const Blame blame, ApplyWaitingEntries({local}));
  if (blame.locals.empty()) {
    return true;
  }
  if (!blame.reason.empty()) {
    MERROW_TRY(NoteRefused(blame));
  }
  return false;
}

Result<bool> ReplicaApplier::RetryRefused() {
  bool got_on = false;
  const std::map<cells::DbVersion, RefusedTransaction> refused = log_.refused_;
  for (const auto& [local, why] : refused) {
    if (log_.parked_.Contains(local)) {
      log_.parked_.Retry(local);
    } else {
      MERROW_ASSIGN(const bool applied, ApplyForSchema(local));
      got_on = got_on || applied;
    }
  }
  MERROW_ASSIGN(const bool unparked, Unpark());
  return got_on || unparked;
}

/// What of them can be applied gets an entry for the same versions, under which the rest goes on
/// waiting.
Result<ReplicaApplier::Blame> ReplicaApplier::ApplyWaitingEntries(
    const std::vector<cells::DbVersion>& locals) {
  std::vector<Changeset> changesets;
  for (const cells::DbVersion local : locals) {
    MERROW_ASSIGN(Changeset changeset, ReadWaiting(local));
    changesets.push_back(std::move(changeset));
  }
  std::vector<Split> splits;
  for (const Changeset& changeset : changesets) {
    MERROW_ASSIGN(Split split, SplitBySchema(changeset));
    splits.push_back(std::move(split));
    if (!splits.back().has_known()) {
      return Blame{{locals[splits.size() - 1]}, ""};
    }
  }
  std::vector<Member> members(locals.size());
  for (size_t i = 0; i < locals.size(); ++i) {
    MERROW_ASSIGN(members[i].entry, ReadEntry(locals[i]));
    members[i].split = &splits[i];
  }
  MERROW_ASSIGN(const Status merged, MergeAndRecord(members));
  if (!merged.ok()) {
    for (size_t i = 0; i < locals.size(); ++i) {
      if (members[i].is_refused) {
        return Blame{{locals[i]}, merged.error().message()};
      }
    }
    return Blame{locals, merged.error().message()};
  }
  for (const cells::DbVersion local : locals) {
    MERROW_TRY(RunSql(cells_.db(),
                      "DELETE FROM main._merrow_waiting WHERE local = " + std::to_string(local)));
    log_.ClearWaiting(local);
  }
  return Blame();
}

// --- Repair.

Result<std::optional<Error>> ReplicaApplier::Repair(const Changeset& rows) {
  MERROW_ASSIGN(const Status whole, RepairTogether(rows));
  if (whole.ok()) {
    return std::optional<Error>();
  }
  // What one row cannot take must not keep the others apart for ever: each by itself.
  Changeset one = rows;
  one.cells.rows.clear();
  one.documents.clear();
  std::optional<Error> refused;
  const auto repair_one = [&]() -> Status {
    MERROW_ASSIGN(const Status status, RepairTogether(one));
    if (!status.ok() && !refused.has_value()) {
      refused = status.error();
    }
    one.cells.rows.clear();
    one.documents.clear();
    return {};
  };
  for (const cells::RowChange& row : rows.cells.rows) {
    one.cells.rows.push_back(row);
    MERROW_TRY(repair_one());
  }
  for (const changeset::DocumentChange& document : rows.documents) {
    one.documents.push_back(document);
    MERROW_TRY(repair_one());
  }
  return refused;
}

Result<Status> ReplicaApplier::RepairTogether(const Changeset& rows) {
  if (const Status checked = changeset::CheckChangeset(rows); !checked.ok()) {
    return checked;
  }
  MERROW_ASSIGN(const Split split, SplitBySchema(rows));
  std::vector<Member> members(1);
  members[0].split = &split;
  MERROW_ASSIGN(const Status merged, InSavepoint([&]() -> Result<Status> {
                  MERROW_ASSIGN(const Status documents, MergeDocuments(members));
                  if (!documents.ok() || split.rows().rows.empty()) {
                    return documents;
                  }
                  MERROW_TRY(NextLocal());
                  return Refusal(cells_.MergeRows(split.rows()));
                }));
  for (const auto& [id, ops] : members[0].fresh) {
    if (merged.ok()) {
      log_.NoteDocument(ops);
    }
  }
  return merged;
}

// --- ReplicaLog's side.

Result<std::vector<ReplicaOutcome>> ReplicaLog::Apply(
    std::span<const IncomingChangeset> changesets) {
  return ReplicaApplier(*this).Apply(changesets);
}

Result<bool> ReplicaLog::ApplyWaiting() {
  if (waiting_.empty()) {
    return false;
  }
  return ReplicaApplier(*this).ApplyWaiting();
}

Result<bool> ReplicaLog::ApplyArrived() { return ReplicaApplier(*this).Unpark(); }
Result<bool> ReplicaLog::RetryRefused() { return ReplicaApplier(*this).RetryRefused(); }

Result<std::optional<Error>> ReplicaLog::Repair(std::span<const SharedChangeset> rows) {
  MERROW_TRY(cells_.Join());
  MERROW_ASSIGN([[maybe_unused]] const auto before, NoteLocal());
  std::optional<Error> refused;
  for (const SharedChangeset& changeset : rows) {
    MERROW_ASSIGN(std::optional<Error> of_changeset, ReplicaApplier(*this).Repair(*changeset));
    if (!refused.has_value()) {
      refused = std::move(of_changeset);
    }
  }
  MERROW_ASSIGN([[maybe_unused]] const auto version, NoteLocal());
  return refused;
}

}  // namespace merrow::store
