// SPDX-License-Identifier: Apache-2.0
#include "store/replica_tombstone_marks.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"

namespace merrow::store {
namespace {

using changeset::SiteVersions;
using changeset::VersionRange;
using changeset::VersionRanges;

constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS main._merrow_tombstone_mark (ms INTEGER PRIMARY KEY, versions BLOB "
    "NOT NULL)";

Bytes Encode(const SiteVersions& versions) {
  ByteWriter writer;
  writer.Uleb(versions.size());
  for (const auto& [site, of_site] : versions) {
    writer.Append(site.view());
    writer.Uleb(of_site.ranges().size());
    cells::DbVersion last = 0;
    for (const VersionRange& range : of_site.ranges()) {
      writer.Uleb(static_cast<uint64_t>(range.after - last));
      writer.Uleb(static_cast<uint64_t>(range.until - range.after));
      last = range.until;
    }
  }
  return writer.Release();
}

Result<cells::DbVersion> ReadStep(ByteReader& reader, cells::DbVersion from) {
  MERROW_ASSIGN(const uint64_t step, reader.Uleb64());
  if (step > static_cast<uint64_t>(cells::kDbVersionMax - from)) {
    return Corruption("a tombstone mark has versions that cannot be");
  }
  return from + static_cast<cells::DbVersion>(step);
}

Result<SiteVersions> Decode(BytesView bytes) {
  ByteReader reader(bytes);
  SiteVersions versions;
  MERROW_ASSIGN(const uint64_t sites, reader.Uleb64());
  for (uint64_t i = 0; i < sites; ++i) {
    MERROW_ASSIGN(const BytesView id, reader.Take(sizeof(cells::SiteId::bytes)));
    MERROW_ASSIGN(const cells::SiteId site, cells::SiteId::FromBytes(id));
    MERROW_ASSIGN(const uint64_t ranges, reader.Uleb64());
    VersionRanges& of_site = versions[site];
    cells::DbVersion last = 0;
    for (uint64_t n = 0; n < ranges; ++n) {
      MERROW_ASSIGN(const cells::DbVersion after, ReadStep(reader, last));
      MERROW_ASSIGN(last, ReadStep(reader, after));
      of_site.Add(VersionRange{after, last});
    }
  }
  MERROW_TRY(reader.ExpectEnd());
  return versions;
}

}  // namespace

Status TombstoneMarks::Load(sqlite3* db) {
  if (loaded_.has_value()) {
    return {};
  }
  std::vector<Mark> marks;
  CellStatement find;
  MERROW_TRY(
      find.Prepare(db, "SELECT 1 FROM main.sqlite_master WHERE name = '_merrow_tombstone_mark'"));
  MERROW_ASSIGN(const bool any, find.Step());
  if (any) {
    CellStatement read;
    MERROW_TRY(
        read.Prepare(db, "SELECT ms, versions FROM main._merrow_tombstone_mark ORDER BY ms"));
    while (true) {
      MERROW_ASSIGN(const bool more, read.Step());
      if (!more) {
        break;
      }
      Result<SiteVersions> versions = Decode(read.Column(1).bytes);
      // Without a mark, tombstones only stay for longer.
      if (versions.ok()) {
        marks.push_back({read.Int(0), std::move(*versions)});
      }
    }
  }
  loaded_ = std::move(marks);
  return {};
}

Status TombstoneMarks::Save(sqlite3* db) {
  MERROW_TRY(RunSql(db, kTable));
  MERROW_TRY(RunSql(db, "DELETE FROM main._merrow_tombstone_mark"));
  CellStatement insert;
  for (const Mark& mark : *loaded_) {
    MERROW_TRY(insert.Prepare(
        db, "INSERT INTO main._merrow_tombstone_mark (ms, versions) VALUES (?1, ?2)"));
    const Bytes bytes = Encode(mark.versions);
    insert.BindInt(1, mark.ms);
    insert.Bind(2, cells::ValueView::Blob(bytes));
    MERROW_TRY(insert.Run());
  }
  return {};
}

Status TombstoneMarks::Note(sqlite3* db, const SiteVersions& all_have, int64_t now_ms,
                            int64_t keep_ms) {
  MERROW_TRY(Load(db));
  std::vector<Mark>& marks = *loaded_;
  bool is_changed = false;
  // The clock was ahead, and would keep tombstones until it is there again.
  std::optional<Mark> future;
  while (!marks.empty() && marks.back().ms > now_ms) {
    if (!future.has_value()) {
      future = std::move(marks.back());
    }
    marks.pop_back();
  }
  if (future.has_value()) {
    if (!marks.empty() && marks.back().ms == now_ms) {
      marks.pop_back();
    }
    marks.push_back({now_ms, std::move(future->versions)});
    is_changed = true;
  }
  if (marks.empty() || now_ms - marks.back().ms >= std::max<int64_t>(keep_ms / kMarksPerKeep, 1)) {
    SiteVersions all = marks.empty() ? SiteVersions() : marks.back().versions;
    const SiteVersions news = changeset::Difference(all_have, all);
    for (const auto& [site, ranges] : news) {
      all[site].Add(ranges);
    }
    if (!news.empty()) {
      marks.push_back({now_ms, std::move(all)});
      is_changed = true;
    }
  }
  while (marks.size() > 1 && now_ms - marks[1].ms >= keep_ms) {
    marks.erase(marks.begin());
    is_changed = true;
  }
  return is_changed ? Save(db) : Status();
}

Result<bool> TombstoneMarks::WouldLower(sqlite3* db, const SiteVersions& has) {
  MERROW_TRY(Load(db));
  return !loaded_->empty() && !changeset::Difference(loaded_->back().versions, has).empty();
}

Status TombstoneMarks::Lower(sqlite3* db, const SiteVersions& has) {
  MERROW_TRY(Load(db));
  std::vector<Mark> marks;
  for (const Mark& mark : *loaded_) {
    SiteVersions left = changeset::Common(mark.versions, has);
    if (!left.empty() && (marks.empty() || marks.back().versions != left)) {
      marks.push_back({mark.ms, std::move(left)});
    }
  }
  loaded_ = std::move(marks);
  return Save(db);
}

Result<std::optional<int64_t>> TombstoneMarks::SinceMs(sqlite3* db, const cells::SiteId& site,
                                                       cells::DbVersion version) {
  MERROW_TRY(Load(db));
  for (const Mark& mark : *loaded_) {
    const auto at = mark.versions.find(site);
    if (at != mark.versions.end() && at->second.Contains(version)) {
      return std::optional(mark.ms);
    }
  }
  return std::optional<int64_t>();
}

Result<int64_t> TombstoneMarks::NextMs(sqlite3* db, int64_t keep_ms) {
  MERROW_TRY(Load(db));
  return loaded_->empty() ? 0 : loaded_->back().ms + std::max<int64_t>(keep_ms / kMarksPerKeep, 1);
}

}  // namespace merrow::store
