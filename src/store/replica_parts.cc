// SPDX-License-Identifier: Apache-2.0
//
// ReplicaApplier's parts: a changeset that is too large for one message comes in several. They are
// kept as they came until all of one split are there; then the whole is applied in the transaction
// of the last one.
#include <algorithm>
#include <string>
#include <utility>

#include "changeset/decoder.h"
#include "changeset/encoder.h"
#include "store/replica_applier.h"

namespace merrow::store {
namespace {

using changeset::Changeset;

/// Wholes whose parts are counted in memory.
constexpr size_t kPartCountsMax = 64;

/// All parts of one whole.
constexpr char kOfWhole[] =
    " FROM main._merrow_part WHERE site = ?1 AND version = ?2 AND previous = ?3 AND whole = ?4 AND "
    "parts = ?5";

void BindWhole(const Changeset& part, uint64_t whole, CellStatement& statement) {
  statement.Bind(1, cells::ValueView::Blob(part.cells.site.view()));
  statement.BindInt(2, part.cells.version);
  statement.BindInt(3, part.cells.previous);
  statement.BindInt(4, static_cast<int64_t>(whole));
  statement.BindInt(5, part.parts);
}

ReplicaOutcome OutcomeOf(const Changeset& part, ReplicaFate fate) {
  ReplicaOutcome outcome;
  outcome.fate = fate;
  outcome.site = part.cells.site;
  outcome.range = {part.cells.previous, part.cells.version};
  return outcome;
}

auto NameOf(const Changeset& part, uint64_t whole) {
  return std::tuple(part.cells.site, part.cells.version, part.cells.previous, whole, part.parts);
}

}  // namespace

Result<ReplicaOutcome> ReplicaApplier::ApplyPart(const IncomingChangeset& incoming) {
  const Changeset& part = *incoming.changeset;
  Result<Bytes> frame = changeset::Encoder().Encode({&part, 1});
  if (!frame.ok()) {
    ReplicaOutcome outcome = OutcomeOf(part, ReplicaFate::kRefused);
    outcome.error = frame.error();
    return outcome;
  }
  CellStatement find;
  MERROW_TRY(find.Prepare(cells_.db(), std::string("SELECT 1") + kOfWhole + " AND part = ?6"));
  BindWhole(part, incoming.whole, find);
  find.BindInt(6, part.part);
  MERROW_ASSIGN(const bool is_here, find.Step());
  find.Finalize();
  if (!is_here) {
    MERROW_ASSIGN(const int64_t parts_here, CountParts(part, incoming.whole));
    if (parts_here + 1 == part.parts) {
      return CompleteParts(incoming);
    }
    const auto bytes = static_cast<int64_t>(frame->size()) + ReplicaLog::kPartRowBytes;
    MERROW_ASSIGN(const bool has_room, MakeRoomForParts(part, incoming.whole, bytes));
    if (!has_room) {
      MERROW_TRY(DropParts(part, incoming.whole));
      ReplicaOutcome outcome = OutcomeOf(part, ReplicaFate::kRefused);
      outcome.error = LimitReached("its parts take more than part_bytes_max, " +
                                   std::to_string(log_.options_.limits.part_bytes_max) + " bytes");
      return outcome;
    }
    log_.Save();
    CellStatement insert;
    MERROW_TRY(insert.Prepare(cells_.db(),
                              "INSERT INTO main._merrow_part (site, version, previous, whole, "
                              "parts, part, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
    BindWhole(part, incoming.whole, insert);
    insert.BindInt(6, part.part);
    insert.Bind(7, cells::ValueView::Blob(*frame));
    MERROW_TRY(insert.Run());
    log_.memory_.part_bytes += bytes;
    log_.part_counts_[NameOf(part, incoming.whole)] = parts_here + 1;
  }
  return OutcomeOf(part, ReplicaFate::kBuffered);
}

/// Counting them for each one that comes would take the square of their number.
Result<int64_t> ReplicaApplier::CountParts(const Changeset& part, uint64_t whole) {
  const auto name = NameOf(part, whole);
  if (const auto known = log_.part_counts_.find(name); known != log_.part_counts_.end()) {
    return known->second;
  }
  CellStatement count;
  MERROW_TRY(count.Prepare(cells_.db(), std::string("SELECT count(*)") + kOfWhole));
  BindWhole(part, whole, count);
  MERROW_ASSIGN([[maybe_unused]] const bool any, count.Step());
  if (log_.part_counts_.size() >= kPartCountsMax) {
    log_.part_counts_.clear();
  }
  return log_.part_counts_[name] = count.Int(0);
}

/// The last one is here.
Result<ReplicaOutcome> ReplicaApplier::CompleteParts(const IncomingChangeset& incoming) {
  std::vector<Changeset> parts;
  parts.push_back(*incoming.changeset);
  CellStatement frames;
  MERROW_TRY(frames.Prepare(cells_.db(), std::string("SELECT bytes") + kOfWhole));
  BindWhole(*incoming.changeset, incoming.whole, frames);
  while (true) {
    MERROW_ASSIGN(const bool more, frames.Step());
    if (!more) {
      break;
    }
    MERROW_ASSIGN(auto decoded, changeset::Decoder().Decode(frames.Column(0).bytes));
    for (Changeset& part : decoded) {
      parts.push_back(std::move(part));
    }
  }
  frames.Finalize();
  ReplicaOutcome outcome = OutcomeOf(*incoming.changeset, ReplicaFate::kRefused);
  Result<Changeset> joined = changeset::JoinParts(std::move(parts));
  if (!joined.ok()) {
    outcome.error = joined.error();
  } else {
    const auto whole = std::make_shared<const Changeset>(*std::move(joined));
    MERROW_ASSIGN(outcome, ApplyWhole(*whole));
    // Apply() looks at it too if it waits.
    if (outcome.fate == ReplicaFate::kApplied || outcome.fate == ReplicaFate::kWaiting) {
      outcome.whole = whole;
    }
  }
  if (outcome.fate == ReplicaFate::kRefused) {
    MERROW_TRY(DropParts(*incoming.changeset, incoming.whole));
  }
  return outcome;
}

Status ReplicaApplier::DropParts(const Changeset& of_whole, uint64_t whole) {
  CellStatement size;
  log_.part_counts_.clear();
  MERROW_TRY(size.Prepare(cells_.db(), "SELECT " + ReplicaLog::kPartBytes + kOfWhole));
  BindWhole(of_whole, whole, size);
  MERROW_ASSIGN([[maybe_unused]] const bool any, size.Step());
  log_.Save();
  log_.memory_.part_bytes -= size.Int(0);
  size.Finalize();
  CellStatement drop;
  MERROW_TRY(drop.Prepare(cells_.db(), std::string("DELETE") + kOfWhole));
  BindWhole(of_whole, whole, drop);
  return drop.Run();
}

/// Parts of what is seen by now, as a whole or otherwise.
Status ReplicaApplier::DropSeenParts(const cells::SiteId& site,
                                     const changeset::VersionRange& range) {
  if (log_.memory_.part_bytes == 0) {
    return {};
  }
  const auto& ranges = log_.seen_[site].ranges();
  const auto around = std::partition_point(
      ranges.begin(), ranges.end(), [&](const auto& before) { return before.until < range.until; });
  std::vector<std::pair<Changeset, uint64_t>> seen;
  CellStatement wholes;
  MERROW_TRY(wholes.Prepare(
      cells_.db(),
      "SELECT DISTINCT version, previous, whole, parts FROM main._merrow_part WHERE site = ?1 AND "
      "version > ?2 AND version <= ?3"));
  wholes.Bind(1, cells::ValueView::Blob(site.view()));
  // Those that end elsewhere were seen before, or are not yet.
  wholes.BindInt(2, range.after);
  wholes.BindInt(3, around->until);
  while (true) {
    MERROW_ASSIGN(const bool more, wholes.Step());
    if (!more) {
      break;
    }
    Changeset name;
    name.cells.site = site;
    name.cells.version = wholes.Int(0);
    name.cells.previous = wholes.Int(1);
    name.parts = static_cast<uint32_t>(wholes.Int(3));
    if (around->after <= name.cells.previous) {
      seen.emplace_back(std::move(name), static_cast<uint64_t>(wholes.Int(2)));
    }
  }
  wholes.Finalize();
  for (const auto& [name, whole] : seen) {
    MERROW_TRY(DropParts(name, whole));
  }
  return {};
}

/// Drops whole sets of parts, the oldest first, but not the one that grows now. False if that one
/// is too large.
Result<bool> ReplicaApplier::MakeRoomForParts(const Changeset& current, uint64_t whole,
                                              int64_t bytes) {
  const auto bytes_max = static_cast<int64_t>(log_.options_.limits.part_bytes_max);
  while (log_.memory_.part_bytes + bytes > bytes_max) {
    CellStatement oldest;
    MERROW_TRY(oldest.Prepare(
        cells_.db(),
        "SELECT site, version, previous, whole, parts FROM main._merrow_part WHERE NOT (site = ?1 "
        "AND version = ?2 AND previous = ?3 AND whole = ?4 AND parts = ?5) ORDER BY id LIMIT 1"));
    BindWhole(current, whole, oldest);
    MERROW_ASSIGN(const bool any, oldest.Step());
    if (!any) {
      return false;
    }
    Changeset name;
    MERROW_ASSIGN(name.cells.site, cells::SiteId::FromBytes(oldest.Column(0).bytes));
    name.cells.version = oldest.Int(1);
    name.cells.previous = oldest.Int(2);
    name.parts = static_cast<uint32_t>(oldest.Int(4));
    const auto of = static_cast<uint64_t>(oldest.Int(3));
    oldest.Finalize();
    MERROW_TRY(DropParts(name, of));
  }
  return true;
}

}  // namespace merrow::store
