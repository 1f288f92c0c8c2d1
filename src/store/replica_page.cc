// SPDX-License-Identifier: Apache-2.0
//
// ReplicaLog's reading: entries of a site into changesets, newest first or oldest first.
#include <algorithm>
#include <iterator>
#include <utility>

#include "changeset/decoder.h"
#include "store/cell_reader.h"
#include "store/replica_builder.h"
#include "store/replica_log.h"

namespace merrow::store {
namespace {

/// What the ops of a document take, about, before they are exported.
size_t EstimatedBytes(const DocumentOps& ops) {
  constexpr size_t kDocumentBytes = 64;
  constexpr size_t kWholeDocumentBytes = 1024;
  size_t bytes = ops.all ? kWholeDocumentBytes : kDocumentBytes;
  for (const loro::IdSpan& span : ops.spans) {
    bytes += 16 + static_cast<size_t>(span.length());
  }
  return bytes;
}

}  // namespace

/// One call of Read().
class ReplicaPageReader {
 public:
  ReplicaPageReader(ReplicaLog& log, const cells::SiteId& site, size_t bytes_target,
                    ReadOrder order)
      : log_(log),
        site_(site),
        bytes_target_(bytes_target),
        oldest_first_(order == ReadOrder::kOldestFirst),
        reader_(log.cells_) {}

  Result<ReplicaPage> Read(const changeset::VersionRanges& here, cells::SiteOrdinal ordinal) {
    ordinal_ = ordinal;
    std::vector<changeset::VersionRange> ranges = here.ranges();
    if (!oldest_first_) {
      std::reverse(ranges.begin(), ranges.end());
    }
    for (const changeset::VersionRange& range : ranges) {
      if (is_full()) {
        break;
      }
      MERROW_TRY(ReadRange(range));
    }
    MERROW_TRY(CloseGroup());
    page_.settled = here.Intersection(covered_);
    changeset::VersionRanges rest = here;
    rest.Remove(covered_);
    rest.Remove(unreadable_);
    page_.more = !rest.empty();
    return std::move(page_);
  }

 private:
  using Entry = ReplicaLog::Entry;

  bool is_full() const { return !covered_.empty() && bytes_ + group_bytes() >= bytes_target_; }
  size_t group_bytes() const {
    return group_.has_value() ? group_->builder.bytes() + group_->document_bytes : 0;
  }

  /// Entries of the same versions go together. They lie one behind the other.
  Status ReadRange(const changeset::VersionRange& range) {
    CellStatement entries;
    MERROW_TRY(PrepareEntries(range, entries));
    std::vector<Entry> unit;
    while (true) {
      MERROW_ASSIGN(const bool more, entries.Step());
      const bool is_next = more && !unit.empty() && entries.Int(3) != unit[0].version;
      if ((!more || is_next) && !unit.empty()) {
        MERROW_TRY(AddUnit(unit));
        unit.clear();
      }
      if (!more || is_full()) {
        return {};
      }
      unit.push_back(ReplicaLog::ReadEntry(entries));
    }
  }

  /// Entries that cover some of `range`, in the order of reading.
  Status PrepareEntries(const changeset::VersionRange& range, CellStatement& entries) {
    constexpr char kColumns[] =
        "SELECT local, first, site, version, previous, ms, count, documents ";
    // The entry that covers the end of the range may reach beyond it. The own entries lie by local
    // version, which is their version; the others have an index.
    const std::string own =
        "FROM main._merrow_source WHERE site = 0 AND local > ?2 AND local <= coalesce((SELECT "
        "local FROM main._merrow_source WHERE site = ?1 AND local >= ?3 ORDER BY local LIMIT 1), "
        "?3) ORDER BY local";
    const std::string other =
        "FROM main._merrow_source WHERE site = ?1 AND site <> 0 AND version > ?2 AND version <= "
        "coalesce((SELECT version FROM main._merrow_source WHERE site = ?1 AND site <> 0 AND "
        "version >= ?3 ORDER BY version LIMIT 1), ?3) ORDER BY version";
    const std::string order = oldest_first_ ? "" : " DESC";
    MERROW_TRY(entries.Prepare(
        log_.cells_.db(),
        kColumns + (ordinal_ == 0 ? own + order : other + order + ", local" + order)));
    entries.BindInt(1, ordinal_);
    entries.BindInt(2, range.after);
    entries.BindInt(3, range.until);
    return {};
  }

  Status AddUnit(const std::vector<Entry>& unit) {
    const changeset::VersionRange range{unit[0].previous, unit[0].version};
    if (covered_.Includes(range) || unreadable_.Includes(range)) {
      return {};
    }
    DocumentOpsById ops;
    for (const Entry& entry : unit) {
      MERROW_TRY(DecodeDocumentOps(entry.documents, &ops));
    }
    MERROW_ASSIGN(const bool is_readable, AreReadable(ops));
    if (!is_readable) {
      unreadable_.Add(range);
      return {};
    }
    const bool is_neighbour =
        group_.has_value() &&
        (oldest_first_ ? group_->range.until == range.after : group_->range.after == range.until);
    if (!is_neighbour) {
      MERROW_TRY(CloseGroup());
      group_.emplace(ReplicaBuilder(site_), range, unit[0].timestamp);
    }
    if (oldest_first_) {
      group_->range.until = range.until;
      group_->timestamp = unit[0].timestamp;
    } else {
      group_->range.after = range.after;
    }
    for (const Entry& entry : unit) {
      MERROW_TRY(AddRows(entry));
    }
    for (const auto& [id, of_document] : ops) {
      AddOps(of_document, &group_->documents);
      group_->document_bytes += EstimatedBytes(of_document);
    }
    covered_.Add(range);
    return {};
  }

  Result<bool> AreReadable(const DocumentOpsById& ops) {
    for (const auto& [id, of_document] : ops) {
      if (log_.options_.documents == nullptr) {
        return Unsupported("there are documents in the log, which cannot be read here");
      }
      MERROW_ASSIGN(const bool is_readable, log_.options_.documents->IsReadable(id));
      if (!is_readable) {
        return false;
      }
    }
    return true;
  }

  Status AddRows(const Entry& entry) {
    ChangeFilter filter;
    filter.after = entry.first - 1;
    filter.until = entry.local;
    filter.by_row = true;
    MERROW_TRY(reader_.Start(filter));
    while (!reader_.done()) {
      const cells::DbVersion version =
          entry.site == 0 ? std::max(reader_.stamp().db_version, entry.previous + 1)
                          : entry.version;
      MERROW_TRY(group_->builder.Add(reader_, log_.cells_, version));
      MERROW_TRY(reader_.Next());
    }
    return log_.waiting_.contains(entry.local) ? AddWaiting(entry) : Status();
  }

  Status AddWaiting(const Entry& entry) {
    CellStatement frames;
    MERROW_TRY(frames.Prepare(
        log_.cells_.db(), "SELECT bytes FROM main._merrow_waiting WHERE local = ?1 ORDER BY id"));
    frames.BindInt(1, entry.local);
    std::vector<changeset::Changeset> parts;
    while (true) {
      MERROW_ASSIGN(const bool more, frames.Step());
      if (!more) {
        break;
      }
      MERROW_ASSIGN(auto decoded, changeset::Decoder().Decode(frames.Column(0).bytes));
      std::move(decoded.begin(), decoded.end(), std::back_inserter(parts));
    }
    MERROW_ASSIGN(const changeset::Changeset whole, changeset::JoinParts(std::move(parts)));
    group_->builder.Add(whole, entry.version);
    return {};
  }

  Status CloseGroup() {
    if (!group_.has_value()) {
      return {};
    }
    for (const auto& [id, ops] : group_->documents) {
      MERROW_ASSIGN(DocumentBlocks blocks, log_.options_.documents->Export(ops));
      if (!blocks.blocks.empty()) {
        group_->builder.AddDocument(blocks.table, std::move(blocks.key), std::move(blocks.blocks));
      }
    }
    bytes_ += group_->builder.bytes();
    page_.changesets.push_back(std::make_shared<const changeset::Changeset>(
        group_->builder.Finish(group_->range, group_->timestamp)));
    group_.reset();
    return {};
  }

  /// Neighbouring entries that become one changeset.
  struct Group {
    Group(ReplicaBuilder empty, const changeset::VersionRange& first,
          const changeset::Timestamp& at)
        : builder(std::move(empty)), range(first), timestamp(at) {}

    ReplicaBuilder builder;
    changeset::VersionRange range;
    changeset::Timestamp timestamp;
    DocumentOpsById documents;
    size_t document_bytes = 0;
  };

  ReplicaLog& log_;
  const cells::SiteId site_;
  const size_t bytes_target_;
  const bool oldest_first_;
  cells::SiteOrdinal ordinal_ = 0;
  CellReader reader_;
  ReplicaPage page_;
  std::optional<Group> group_;
  size_t bytes_ = 0;  // of closed groups
  changeset::VersionRanges covered_;
  changeset::VersionRanges unreadable_;
};

Result<ReplicaPage> ReplicaLog::Read(const cells::SiteId& site,
                                     const changeset::VersionRanges& wanted, size_t bytes_target,
                                     ReadOrder order) {
  const auto seen = seen_.find(site);
  if (seen == seen_.end()) {
    return ReplicaPage();
  }
  const changeset::VersionRanges here = wanted.Intersection(seen->second);
  MERROW_ASSIGN(const auto ordinal, cells_.FindOrdinal(site));
  if (here.empty() || !ordinal.has_value()) {
    return ReplicaPage();
  }
  MERROW_ASSIGN(CellSavepoint snapshot, CellSavepoint::Begin(cells_.db()));
  ReplicaPage page;
  {
    ReplicaPageReader reader(*this, site, bytes_target, order);
    MERROW_ASSIGN(page, reader.Read(here, *ordinal));
  }
  MERROW_TRY(snapshot.Release());
  return page;
}

}  // namespace merrow::store
