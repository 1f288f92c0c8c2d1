// SPDX-License-Identifier: Apache-2.0
//
// ReplicaLog's new identity: what a database does that went on from an old copy of itself. Its
// transactions up to what its peers know too stay those of the old site, which becomes one foreign
// site among others; the later ones become the new site's, so that nobody who has seen other
// contents under their numbers passes them over.
//
//     _merrow_site     ordinal 0 gets a new random id; the old id gets an ordinal of its own
//     _merrow_source   entries of ordinal 0 up to `agreed` go to that ordinal
//     clocks           so do stamps of ordinal 0, unless their entry is the new site's
#include <utility>

#include "store/cell_clocks.h"
#include "store/replica_log.h"

namespace merrow::store {
namespace {

/// Clocks that are written at once.
constexpr size_t kClocksPerWrite = 4096;

/// Gives stamps of ordinal 0 to another, but for those of some versions.
class Restamp {
 public:
  Restamp(cells::SiteOrdinal to, const changeset::VersionRanges& kept) : to_(to), kept_(kept) {}

  Status Table(sqlite3* db, const CellTable& table) {
    CellClocks reading(db, table.id, !table.int_key);
    CellClocks writing(db, table.id, !table.int_key);
    const auto restamp = [&](const cells::ClockRun& run) -> Result<bool> {
      MERROW_TRY(Add(run));
      if (changes_.size() >= kClocksPerWrite) {
        MERROW_TRY(Write(writing));
      }
      return true;
    };
    Status status = reading.ForEach(nullptr, nullptr, restamp);
    if (status.ok()) {
      status = Write(writing);
    }
    reading.FinalizeStatements();
    writing.FinalizeStatements();
    return status;
  }

 private:
  struct Changed {
    int64_t number = 0;
    Bytes stored;
    cells::FreshClock fresh;
    Bytes clock;
  };

  bool Moves(const cells::Stamp& stamp) const {
    return stamp.site == 0 && !kept_.Contains(stamp.db_version);
  }

  Status Add(const cells::ClockRun& run) {
    if (!run.is_fresh()) {
      return AddClock(run);
    }
    if (run.fresh.site != 0) {
      return {};
    }
    for (uint64_t i = 0; i < run.count; ++i) {
      const auto step = static_cast<int64_t>(i);
      cells::FreshClock fresh = run.fresh;
      fresh.version += step * run.version_step;
      fresh.seq += step * run.seq_step;
      if (!kept_.Contains(fresh.version)) {
        fresh.site = to_;
        changes_.push_back({run.key.number + step, Bytes(run.key.stored), fresh, {}});
      }
    }
    return {};
  }

  Status AddClock(const cells::ClockRun& run) {
    MERROW_TRY(clock_.DecodeFrom(run.clock));
    bool changed = false;
    if (clock_.sentinel().has_value() && Moves(clock_.sentinel()->stamp)) {
      cells::Sentinel sentinel = *clock_.sentinel();
      sentinel.stamp.site = to_;
      clock_.SetSentinel(sentinel);
      changed = true;
    }
    const std::vector<cells::CellClock> cells = clock_.cells();
    for (cells::CellClock cell : cells) {
      if (Moves(cell.stamp)) {
        cell.stamp.site = to_;
        clock_.SetCell(cell);
        changed = true;
      }
    }
    if (changed) {
      const cells::FreshClock fresh = clock_.AsFresh();
      changes_.push_back({run.key.number, Bytes(run.key.stored), fresh,
                          fresh.columns > 0 ? Bytes() : clock_.Encode()});
    }
    return {};
  }

  Status Write(CellClocks& clocks) {
    std::vector<ClockChange> changes;
    changes.reserve(changes_.size());
    for (const Changed& changed : changes_) {
      changes.push_back({{changed.number, changed.stored}, changed.fresh, changed.clock});
    }
    const Status status = clocks.Write(changes, nullptr);
    changes_.clear();
    return status;
  }

  const cells::SiteOrdinal to_;
  const changeset::VersionRanges& kept_;
  std::vector<Changed> changes_;
  cells::RowClock clock_;
};

/// A version 4 UUID.
cells::SiteId RandomSiteId() {
  cells::SiteId site;
  sqlite3_randomness(static_cast<int>(site.bytes.size()), site.bytes.data());
  site.bytes[6] = static_cast<unsigned char>((site.bytes[6] & 0x0F) | 0x40);
  site.bytes[8] = static_cast<unsigned char>((site.bytes[8] & 0x3F) | 0x80);
  return site;
}

Result<int64_t> ReadInt(sqlite3* db, const std::string& sql) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db, sql));
  MERROW_ASSIGN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

}  // namespace

Result<cells::SiteId> ReplicaLog::TakeNewIdentity(cells::DbVersion agreed) {
  if (agreed < 0 || agreed > memory_.own_version) {
    return InvalidArgument("version " + std::to_string(agreed) + " of this site does not exist");
  }
  sqlite3* const db = cells_.db();
  MERROW_TRY(cells_.Join());
  MERROW_ASSIGN([[maybe_unused]] const auto local, NoteLocal());
  Save();
  for (const auto& [site, ranges] : seen_) {
    seen_before_.try_emplace(site, ranges);
  }
  // An entry is the old site's or the new one's as a whole.
  MERROW_ASSIGN(agreed, ReadInt(db,
                                "SELECT coalesce(max(local), 0) FROM main._merrow_source WHERE "
                                "site = 0 AND local <= " +
                                    std::to_string(agreed)));
  changeset::VersionRanges kept;
  CellStatement entries;
  MERROW_TRY(entries.Prepare(
      db,
      "SELECT first, local FROM main._merrow_source WHERE site = 0 AND local > ?1 ORDER BY "
      "local"));
  entries.BindInt(1, agreed);
  while (true) {
    MERROW_ASSIGN(const bool more, entries.Step());
    if (!more) {
      break;
    }
    kept.Add({entries.Int(0) - 1, entries.Int(1)});
  }
  entries.Finalize();

  const cells::SiteId old_site = memory_.own_site;
  CellStatement replace;
  MERROW_TRY(replace.Prepare(db, "UPDATE main._merrow_site SET id = ?1 WHERE ordinal = 0"));
  const cells::SiteId new_site = RandomSiteId();
  replace.Bind(1, cells::ValueView::Blob(new_site.view()));
  MERROW_TRY(replace.Run());
  replace.Finalize();
  cells_.Forget();
  MERROW_TRY(cells_.Fold());
  MERROW_ASSIGN(const cells::SiteOrdinal old_ordinal, cells_.OrdinalOf(old_site));
  const std::string to = std::to_string(old_ordinal);
  MERROW_TRY(RunSql(db, "UPDATE main._merrow_source SET site = " + to +
                            " WHERE site = 0 AND local <= " + std::to_string(agreed) +
                            "; UPDATE main._merrow_source SET previous = 0 WHERE local = (SELECT "
                            "min(local) FROM main._merrow_source WHERE site = 0)"
                            "; UPDATE main._merrow_cell_peer SET confirmed = 0 WHERE confirmed < " +
                            std::to_string(cells::kDbVersionMax)));
  // The old name is that of another site now, which may be there: this database may be its copy.
  MERROW_TRY(cells_.tables().Refresh());
  for (const std::shared_ptr<CellTable>& table : cells_.tables().tables()) {
    MERROW_TRY(Restamp(old_ordinal, kept).Table(db, *table));
  }
  cells_.Forget();
  MERROW_TRY(Load());
  // Of the old name others may have versions by the same numbers.
  MERROW_ASSIGN(const bool lowers, marks_.WouldLower(db, seen_));
  if (lowers) {
    MERROW_TRY(marks_.Lower(db, seen_));
  }
  memory_.own_site = new_site;
  seen_before_.try_emplace(new_site);
  return new_site;
}

}  // namespace merrow::store
