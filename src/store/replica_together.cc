// SPDX-License-Identifier: Apache-2.0
//
// ReplicaApplier's changesets that wait for each other.
//
// A changeset that combines several transactions of one site can follow another site's changeset in
// one document op and be followed by it in the next: neither can be merged alone. So what still
// waits when everything else of a call is merged is tried together: all document ops at once, then
// the rows of each. Every entry of such a group says of all of the group's document ops that they
// are its own, so whoever gets one of them later gets nothing that waits for another.
#include <algorithm>
#include <map>
#include <utility>

#include "store/replica_applier.h"

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::VersionRange;
using changeset::VersionRanges;

/// Of one try, the oldest; and tries of one call.
constexpr size_t kMembersMax = 64;
constexpr int kTriesMax = 16;

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

}  // namespace

Result<std::vector<ReplicaApplier::Member>> ReplicaApplier::MembersOf(
    std::span<const IncomingChangeset> changesets, const std::vector<size_t>& waiting,
    const std::vector<ReplicaOutcome>& outcomes) {
  std::vector<Member> members;
  std::map<cells::SiteId, VersionRanges> taken;
  bool is_any_combined = false;
  for (const size_t i : waiting) {
    const bool is_joined = outcomes[i].whole != nullptr;
    const SharedChangeset& changeset = is_joined ? outcomes[i].whole : changesets[i].changeset;
    const VersionRange all{changeset->cells.previous, changeset->cells.version};
    if ((changeset->parts > 1 && !is_joined) || taken[changeset->cells.site].Intersects(all)) {
      continue;
    }
    taken[changeset->cells.site].Add(all);
    Member member;
    member.index = i;
    member.changeset = changeset;
    MERROW_ASSIGN(member.split, SplitBySchema(*changeset));
    VersionRanges rest(all);
    if (const auto seen = log_.seen_.find(changeset->cells.site); seen != log_.seen_.end()) {
      rest.Remove(seen->second);
    }
    member.range = {rest.ranges().front().after, rest.ranges().back().until};
    is_any_combined = is_any_combined || all.until - all.after > 1;
    members.push_back(std::move(member));
    if (members.size() == kMembersMax) {
      break;
    }
  }
  // Single transactions cannot wait for each other in a circle.
  if (!is_any_combined) {
    members.clear();
  }
  return members;
}

Status ReplicaApplier::ApplyTogether(std::span<const IncomingChangeset> changesets,
                                     std::vector<size_t>& waiting,
                                     std::vector<ReplicaOutcome>& outcomes) {
  if (waiting.size() < 2 || log_.options_.documents == nullptr) {
    return {};
  }
  MERROW_ASSIGN(std::vector<Member> members, MembersOf(changesets, waiting, outcomes));
  for (int tries = 0; members.size() >= 2 && tries < kTriesMax; ++tries) {
    MERROW_ASSIGN(const std::optional<size_t> odd, TryTogether(members));
    if (odd.has_value()) {
      members.erase(members.begin() + static_cast<ptrdiff_t>(*odd));
      continue;
    }
    for (const Member& member : members) {
      const Changeset& changeset = *member.changeset;
      log_.MarkSeen(changeset.cells.site, member.range);
      log_.memory_.clock.Observe(changeset.timestamp, log_.NowMs());
      MERROW_TRY(DropSeenParts(changeset.cells.site));
      outcomes[member.index].fate = ReplicaFate::kApplied;
      std::erase(waiting, member.index);
    }
    return {};
  }
  return {};
}

/// Nothing if all of them are merged now. Else nothing changed, and this one does not fit.
Result<std::optional<size_t>> ReplicaApplier::TryTogether(std::vector<Member>& members) {
  const cells::DbVersion last_local = log_.memory_.last_local;
  std::optional<size_t> odd;
  {
    MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(cells_.db()));
    log_.options_.documents->BeginPart();
    MERROW_ASSIGN(odd, MergeTogether(members));
    if (!odd.has_value()) {
      MERROW_TRY(savepoint.Release());
      return odd;
    }
  }
  log_.memory_.last_local = last_local;
  log_.options_.documents->UndoPart();
  if (sqlite3_get_autocommit(cells_.db()) != 0) {
    return IoError("SQLite ended the transaction by itself");
  }
  return odd;
}

Result<std::optional<size_t>> ReplicaApplier::MergeTogether(std::vector<Member>& members) {
  struct Joint {
    Bytes blocks;
    size_t newest = 0;
  };
  std::map<std::pair<std::string, Bytes>, Joint> documents;
  for (size_t i = 0; i < members.size(); ++i) {
    const Split& split = members[i].split;
    for (const changeset::DocumentChange& document : split.documents) {
      const std::string& table = split.remainder.cells.tables[document.table].name;
      Joint& joint = documents[{table, document.key}];
      joint.blocks += document.blocks;
      joint.newest = i;
    }
  }
  MERROW_ASSIGN([[maybe_unused]] const cells::DbVersion first, NextLocal());
  DocumentOpsById ops;
  for (const auto& [name, joint] : documents) {
    MERROW_ASSIGN(const auto imported,
                  log_.options_.documents->Import(name.first, name.second, joint.blocks));
    if (!imported.ok() || imported->is_waiting) {
      return std::optional(joint.newest);
    }
    AddOps(imported->ops, &ops);
  }
  const Bytes encoded = EncodeDocumentOps(ops);
  for (size_t i = 0; i < members.size(); ++i) {
    MERROW_ASSIGN(const bool fits, MergeMember(members[i], encoded));
    if (!fits) {
      return std::optional(i);
    }
  }
  return std::optional<size_t>();
}

/// The rows of one of them, and its entry.
Result<bool> ReplicaApplier::MergeMember(const Member& member, const Bytes& documents) {
  const Changeset& changeset = *member.changeset;
  ReplicaLog::Entry entry;
  entry.version = member.range.until;
  entry.previous = member.range.after;
  entry.timestamp =
      member.range.until == changeset.cells.version ? changeset.timestamp : changeset::Timestamp();
  entry.documents = documents;
  MERROW_ASSIGN(entry.site, cells_.OrdinalOf(changeset.cells.site));
  MERROW_ASSIGN(entry.local, NextLocal());
  entry.first = entry.local;
  if (!member.split.rows().rows.empty()) {
    const Status merged = cells_.MergeRows(member.split.rows());
    if (!merged.ok()) {
      return IsRefusal(merged.error()) ? Result<bool>(false) : Result<bool>(merged.error());
    }
  }
  MERROW_TRY(Widen(entry));
  MERROW_TRY(log_.Insert(entry));
  if (member.split.has_remainder()) {
    const Status kept = KeepWaiting(entry.local, member.split.remainder);
    if (!kept.ok()) {
      return IsRefusal(kept.error()) ? Result<bool>(false) : Result<bool>(kept.error());
    }
  }
  return true;
}

}  // namespace merrow::store
