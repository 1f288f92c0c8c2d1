// SPDX-License-Identifier: Apache-2.0
//
// The exchange of document_capture.h: everything that a database has as a changeset file, and the
// contents of such files into a database.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "changeset/changeset_file.h"
#include "store/document_capture.h"
#include "store/replica_export.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::SiteVersions;

/// Versions (after, until] of a site, for messages.
std::string Describe(const Changeset& changeset) {
  return "changeset " + std::to_string(changeset.cells.previous + 1) + "-" +
         std::to_string(changeset.cells.version) + " of site " + ToHex(changeset.cells.site.view());
}

/// The changesets of a file, with those that are in parts put together.
class WholeChangesets {
 public:
  explicit WholeChangesets(const DocumentCapture::ChangesFile& file)
      : name_(file.name), reader_(file.source) {}

  /// Those of the next frame; nothing at the end.
  Result<std::optional<std::vector<IncomingChangeset>>> Next() {
    auto whole = ReadFrame();
    if (!whole.ok() && !name_.empty()) return whole.error().Within(name_);
    return whole;
  }

 private:
  Result<std::optional<std::vector<IncomingChangeset>>> ReadFrame() {
    MERROW_ASSIGN(auto some, reader_.Next());
    if (!some.has_value()) {
      MERROW_TRY(CheckComplete());
      return std::optional<std::vector<IncomingChangeset>>();
    }
    std::vector<IncomingChangeset> whole;
    for (Changeset& changeset : *some) {
      if (!parts_.empty() && !IsNextPart(changeset)) MERROW_TRY(CheckComplete());
      if (changeset.parts > 1) {
        parts_.push_back(std::move(changeset));
        if (parts_.size() < parts_[0].parts) continue;
        MERROW_ASSIGN(changeset, changeset::JoinParts(std::exchange(parts_, {})));
      }
      whole.push_back({std::make_shared<const Changeset>(std::move(changeset)), 0});
    }
    return std::optional(std::move(whole));
  }

  bool IsNextPart(const Changeset& part) const {
    return part.parts == parts_[0].parts && part.part == parts_.size() &&
           part.cells.site == parts_[0].cells.site &&
           part.cells.version == parts_[0].cells.version &&
           part.cells.previous == parts_[0].cells.previous;
  }

  Status CheckComplete() const {
    if (parts_.empty()) return {};
    return Corruption(Describe(parts_[0]) + ": of " + std::to_string(parts_[0].parts) +
                      " parts only " + std::to_string(parts_.size()) + " follow each other");
  }

  const std::string& name_;
  changeset::FileReader reader_;
  std::vector<Changeset> parts_;  // of one
};

Status CheckOutcome(const Changeset& changeset, const ReplicaOutcome& outcome) {
  switch (outcome.fate) {
    case ReplicaFate::kApplied:
    case ReplicaFate::kKnown:
      return {};
    case ReplicaFate::kBuffered:
      return Corruption(Describe(changeset) + " is not complete");
    case ReplicaFate::kWaiting:
      return Conflict(Describe(changeset) + " follows changes that are not here");
    case ReplicaFate::kRefused:
      break;
  }
  const Error why = outcome.error.value_or(InvalidArgument("it was refused"));
  return why.Within(Describe(changeset));
}

}  // namespace

Result<ReplicaLog*> DocumentCapture::LogOfCommitted() {
  if (store_.transaction().active() && changes_when_asked_ != sqlite3_total_changes(store_.db())) {
    return InvalidArgument(
        "this transaction has written, and others must not rely on what may be undone; commit "
        "first");
  }
  MERROW_TRY(store_.tables().Initialize());
  MERROW_TRY(store_.Join());
  MERROW_ASSIGN(ReplicaLog* const log, Log());
  changes_when_asked_ = sqlite3_total_changes(store_.db());
  return log;
}

Result<SiteVersions> DocumentCapture::Versions() {
  MERROW_ASSIGN(const ReplicaLog* const log, LogOfCommitted());
  return log->seen();
}

Result<cells::SiteId> DocumentCapture::NewSite() {
  MERROW_ASSIGN(ReplicaLog* const log, LogOfCommitted());
  return WithLog([log] { return log->TakeNewIdentity(log->own_version()); });
}

Status DocumentCapture::ExportChanges(const SiteVersions& since, int zstd_level,
                                      changeset::FileWriter::Sink sink) {
  MERROW_ASSIGN(ReplicaLog* const log, LogOfCommitted());
  MERROW_TRY(store::ExportChanges(*log, since, zstd_level, std::move(sink)));
  return {};
}

Result<DocumentCapture::AppliedChanges> DocumentCapture::ApplyChanges(
    std::span<const ChangesFile> files) {
  MERROW_TRY(store_.tables().Initialize());
  MERROW_TRY(store_.Join());
  MERROW_ASSIGN(ReplicaLog* const log, Log());
  MERROW_TRY(NoteOps(*log));
  const int64_t rows_before = store_.transaction().rows_merged + rows_.imported();
  AppliedChanges applied;
  for (const ChangesFile& file : files) {
    MERROW_TRY(ApplyFile(*log, file, applied));
  }
  // What came in an earlier file may have waited for a later one.
  if (log->has_parked()) {
    MERROW_TRY(WithLog([log] { return log->ApplyWaiting(); }));
  }
  applied.waiting = log->waiting();
  applied.rows = store_.transaction().rows_merged + rows_.imported() - rows_before;
  return applied;
}

Status DocumentCapture::ApplyFile(ReplicaLog& log, const ChangesFile& file,
                                  AppliedChanges& applied) {
  WholeChangesets changesets(file);
  while (true) {
    MERROW_ASSIGN(const auto incoming, changesets.Next());
    if (!incoming.has_value()) return {};
    MERROW_ASSIGN(const std::vector<ReplicaOutcome> outcomes,
                  WithLog([&] { return log.Apply(*incoming); }));
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const Status outcome = CheckOutcome(*(*incoming)[i].changeset, outcomes[i]);
      if (!outcome.ok()) {
        return file.name.empty() ? outcome.error() : outcome.error().Within(file.name);
      }
      applied.changesets += outcomes[i].fate == ReplicaFate::kApplied ? 1 : 0;
      applied.known += outcomes[i].fate == ReplicaFate::kKnown ? 1 : 0;
    }
  }
}

}  // namespace merrow::store
