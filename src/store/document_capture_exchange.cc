// SPDX-License-Identifier: Apache-2.0
//
// The exchange of document_capture.h: everything that a database has as a changeset file, and the
// contents of such files into a database.
#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "changeset/changeset_file.h"
#include "store/document_capture.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::SiteVersions;
using changeset::VersionRanges;

/// One call of ReplicaLog::Read.
constexpr size_t kPageBytes = size_t{4} << 20;
/// Larger changesets are cut into parts.
constexpr size_t kPartBytes = size_t{1} << 20;

/// Versions (after, until] of a site, for messages.
std::string Describe(const Changeset& changeset) {
  return "changeset " + std::to_string(changeset.cells.previous + 1) + "-" +
         std::to_string(changeset.cells.version) + " of site " + ToHex(changeset.cells.site.view());
}

Result<std::vector<SharedChangeset>> ReadAll(ReplicaLog& log, const SiteVersions& since) {
  std::vector<SharedChangeset> all;
  for (auto [site, wanted] : changeset::Difference(log.seen(), since)) {
    while (!wanted.empty()) {
      MERROW_ASSIGN(ReplicaPage page, log.Read(site, wanted, kPageBytes));
      all.insert(all.end(), page.changesets.begin(), page.changesets.end());
      wanted.Remove(page.settled);
      if (!page.more) break;
    }
  }
  // A transaction that has seen another has a later timestamp, so whoever applies them in this
  // order has what each of them depends on.
  const auto place = [](const SharedChangeset& changeset) {
    return std::tuple(changeset->timestamp, changeset->cells.site, changeset->cells.version);
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return all;
}

/// The changesets of a file, with those that are in parts put together.
Result<std::vector<Changeset>> ReadFile(BytesView file) {
  MERROW_ASSIGN(std::vector<Changeset> changesets, changeset::DecodeFile(file));
  using Whole = std::tuple<cells::SiteId, cells::DbVersion, cells::DbVersion>;
  std::map<Whole, std::vector<Changeset>> parts;
  std::vector<Changeset> whole;
  for (Changeset& changeset : changesets) {
    if (changeset.parts == 1) {
      whole.push_back(std::move(changeset));
      continue;
    }
    const Whole name(changeset.cells.site, changeset.cells.previous, changeset.cells.version);
    parts[name].push_back(std::move(changeset));
  }
  for (auto& [name, of_one] : parts) {
    MERROW_ASSIGN(Changeset joined, changeset::JoinParts(std::move(of_one)));
    whole.push_back(std::move(joined));
  }
  return whole;
}

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
  if (store_.transaction().active()) {
    return InvalidArgument(
        "this transaction has written, and others must not rely on what may be undone; commit "
        "first");
  }
  MERROW_TRY(store_.tables().Initialize());
  MERROW_TRY(store_.Join());
  return Log();
}

Result<SiteVersions> DocumentCapture::Versions() {
  MERROW_ASSIGN(const ReplicaLog* const log, LogOfCommitted());
  return log->seen();
}

Result<cells::SiteId> DocumentCapture::NewSite() {
  MERROW_ASSIGN(ReplicaLog* const log, LogOfCommitted());
  return WithLog([log] { return log->TakeNewIdentity(log->own_version()); });
}

Result<DocumentCapture::Exported> DocumentCapture::ExportChanges(const SiteVersions& since,
                                                                 int zstd_level) {
  MERROW_ASSIGN(ReplicaLog* const log, LogOfCommitted());
  MERROW_ASSIGN(const std::vector<SharedChangeset> changesets, ReadAll(*log, since));
  std::vector<Changeset> parts;
  for (const SharedChangeset& changeset : changesets) {
    std::vector<Changeset> of_one = changeset::SplitChangeset(*changeset, kPartBytes);
    std::move(of_one.begin(), of_one.end(), std::back_inserter(parts));
  }
  changeset::FrameOptions options;
  options.zstd_level = zstd_level;
  Exported exported;
  exported.changesets = changesets.size();
  MERROW_ASSIGN(exported.file, changeset::EncodeFile(parts, options));
  return exported;
}

Result<DocumentCapture::AppliedChanges> DocumentCapture::ApplyChanges(
    std::span<const BytesView> files) {
  std::vector<IncomingChangeset> incoming;
  for (const BytesView file : files) {
    MERROW_ASSIGN(std::vector<Changeset> changesets, ReadFile(file));
    for (Changeset& changeset : changesets) {
      incoming.push_back({std::make_shared<const Changeset>(std::move(changeset)), 0});
    }
  }
  MERROW_TRY(store_.tables().Initialize());
  MERROW_TRY(store_.Join());
  MERROW_ASSIGN(ReplicaLog* const log, Log());
  MERROW_TRY(NoteOps(*log));
  const int64_t rows_before = store_.transaction().rows_merged + rows_.imported();
  MERROW_ASSIGN(const std::vector<ReplicaOutcome> outcomes,
                WithLog([&] { return log->Apply(incoming); }));
  // What came in an earlier file may have waited for this one.
  if (log->has_parked()) {
    MERROW_TRY(WithLog([log] { return log->ApplyWaiting(); }));
  }
  AppliedChanges applied;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    MERROW_TRY(CheckOutcome(*incoming[i].changeset, outcomes[i]));
    applied.changesets += outcomes[i].fate == ReplicaFate::kApplied ? 1 : 0;
    applied.known += outcomes[i].fate == ReplicaFate::kKnown ? 1 : 0;
  }
  applied.waiting = log->waiting();
  applied.rows = store_.transaction().rows_merged + rows_.imported() - rows_before;
  return applied;
}

}  // namespace merrow::store
