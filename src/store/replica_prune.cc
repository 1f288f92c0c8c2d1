// SPDX-License-Identifier: Apache-2.0
//
// ReplicaLog's upkeep. An entry for each transaction is worth its bytes while peers lack single
// transactions; later, several in one do as well: what is served of them is one changeset anyway.
// When entries get old they are looked at once, from old to new, and again from the start when
// what was left of them is twice as much as after the last such round:
//
//     nothing of it is left in clocks     its rows of _merrow_tx go, and it joins the next entry of
//                                         its site, wherever that lies
//     the next entry is of the same site  both become one, which stands for both local versions
//
// No clock is touched, and what is seen stays as it is. A combined entry stays small, because
// entries are served whole.
#include <algorithm>
#include <map>
#include <utility>

#include "store/cell_reader.h"
#include "store/cell_tx_rows.h"
#include "store/replica_log.h"

namespace merrow::store {
namespace {

/// Entries that one step looks at, and events after which it takes no further one: others wait.
constexpr size_t kEntriesPerStep = 256;
constexpr size_t kEventsPerStep = 20'000;

// What a combined entry may hold.
constexpr cells::DbVersion kCombinedVersionsMax = 1000;
constexpr size_t kCombinedDocumentBytes = 4096;
constexpr int64_t kCombinedRowsBytes = 1 << 14;
// Of keys and values, about. The rows of _merrow_tx say little of it: a thousand rows in a row are
// some bytes there.
constexpr size_t kCombinedEventBytes = 1 << 16;
constexpr size_t kEventBytes = 8;  // besides

constexpr char kEntryColumns[] =
    "SELECT local, first, site, version, previous, ms, count, documents FROM main._merrow_source ";

}  // namespace

/// One step.
class ReplicaPruner {
 public:
  explicit ReplicaPruner(ReplicaLog& log) : log_(log), db_(log.cells_.db()) {}

  Result<bool> Run() {
    bound_ =
        log_.memory_.last_local - static_cast<cells::DbVersion>(log_.options_.limits.entries_kept);
    if (log_.pruned_ >= bound_) {
      return false;
    }
    BeginRoundIfDue();
    CellStatement next;
    MERROW_TRY(next.Prepare(db_, std::string(kEntryColumns) +
                                     "WHERE local > ?1 AND local <= ?2 ORDER BY local LIMIT ?3"));
    next.BindInt(1, log_.pruned_);
    next.BindInt(2, bound_);
    next.BindInt(3, kEntriesPerStep);
    std::vector<Entry> entries;
    while (true) {
      MERROW_ASSIGN(const bool more, next.Step());
      if (!more) {
        break;
      }
      entries.push_back(ReplicaLog::ReadEntry(next));
    }
    next.Finalize();
    // Rows of _merrow_tx may hold the only copy of clocks.
    MERROW_TRY(log_.cells_.Fold());
    size_t looked_at = 0;
    for (size_t events = 0; looked_at < entries.size() && events < kEventsPerStep; ++looked_at) {
      MERROW_ASSIGN(const size_t more, DropDeadRows(entries[looked_at]));
      events += more;
    }
    for (size_t i = 0; i < looked_at; ++i) {
      MERROW_TRY(Prune(entries[i].local));
      log_.pruned_ = entries[i].local;
    }
    return looked_at < entries.size() || entries.size() == kEntriesPerStep;
  }

 private:
  using Entry = ReplicaLog::Entry;

  /// Versions do not count: they pass by while nothing stays of most of them.
  void BeginRoundIfDue() {
    ReplicaLog::PruneRounds& rounds = log_.prune_rounds_;
    const bool is_first = rounds.until == 0;
    const bool has_grown = log_.pruned_ >= rounds.until &&
                           rounds.left_behind > rounds.left + log_.options_.limits.entries_kept;
    if (is_first || has_grown) {
      rounds = {bound_, 0, 0};
      log_.pruned_ = 0;
    }
  }

  void CountLeft(const Entry& entry, size_t count) {
    ReplicaLog::PruneRounds& rounds = log_.prune_rounds_;
    (entry.local <= rounds.until ? rounds.left : rounds.left_behind) += count;
  }

  Result<std::optional<Entry>> Find(const std::string& condition, int64_t a, int64_t b) {
    CellStatement find;
    MERROW_TRY(find.Prepare(db_, kEntryColumns + condition + " LIMIT 1"));
    find.BindInt(1, a);
    find.BindInt(2, b);
    MERROW_ASSIGN(const bool found, find.Step());
    return found ? std::optional(ReplicaLog::ReadEntry(find)) : std::nullopt;
  }

  /// Rows of _merrow_tx whose versions are in no clock any more. Gives how many events were
  /// looked at.
  Result<size_t> DropDeadRows(const Entry& entry) {
    CellReader reader(log_.cells_);
    ChangeFilter filter;
    filter.after = entry.first - 1;
    filter.until = entry.local;
    MERROW_TRY(reader.Start(filter));
    cells::DbVersion dead_from = entry.first;
    size_t left = 1;  // the entry
    size_t events = 0;
    size_t bytes = 0;
    const auto goes_on = [&] {
      return !reader.done() && (dead_from <= entry.local || bytes <= kCombinedEventBytes);
    };
    for (; goes_on(); ++events) {
      if (bytes <= kCombinedEventBytes) {
        MERROW_ASSIGN(const size_t more, BytesOfEvent(reader));
        bytes += more;
      }
      const cells::DbVersion alive = reader.stamp().db_version;
      if (alive >= dead_from) {
        MERROW_TRY(DropRows(dead_from, alive - 1));
        dead_from = alive + 1;
        ++left;
      }
      MERROW_TRY(reader.Next());
    }
    CountLeft(entry, left);
    event_bytes_[entry.local] = bytes;
    MERROW_TRY(DropRows(dead_from, entry.local));
    return events;
  }

  static Result<size_t> BytesOfEvent(CellReader& reader) {
    size_t bytes = kEventBytes + reader.key().size();
    if (!reader.is_sentinel()) {
      MERROW_ASSIGN(const cells::ValueView value, reader.value());
      bytes += value.bytes.size();
    }
    return bytes;
  }

  /// What is left of an entry, about; more than kCombinedEventBytes is not told apart.
  Result<size_t> EventBytes(const Entry& entry) {
    const auto known = event_bytes_.find(entry.local);
    if (known != event_bytes_.end()) {
      return known->second;
    }
    CellReader reader(log_.cells_);
    ChangeFilter filter;
    filter.after = entry.first - 1;
    filter.until = entry.local;
    MERROW_TRY(reader.Start(filter));
    size_t bytes = 0;
    while (!reader.done() && bytes <= kCombinedEventBytes) {
      MERROW_ASSIGN(const size_t more, BytesOfEvent(reader));
      bytes += more;
      MERROW_TRY(reader.Next());
    }
    event_bytes_[entry.local] = bytes;
    return bytes;
  }

  Status DropRows(cells::DbVersion first, cells::DbVersion last) {
    if (first > last) {
      return {};
    }
    return RunSql(db_, "DELETE FROM main._merrow_tx WHERE id BETWEEN " +
                           std::to_string(first << kTxPartBits) + " AND " +
                           std::to_string(((last + 1) << kTxPartBits) - 1));
  }

  /// Joins it with the next one, if that is good. It may have taken in the one before just now.
  Status Prune(cells::DbVersion local) {
    MERROW_ASSIGN(const auto entry, Find("WHERE local = ?1 AND ?2", local, 1));
    if (!entry.has_value() || log_.waiting_.contains(local)) {
      return {};
    }
    MERROW_ASSIGN(const int64_t rows_bytes, RowsBytes(entry->first, local));
    const bool is_used = rows_bytes > 0;
    MERROW_ASSIGN(const auto next, NextOf(*entry));
    if (!next.has_value() || next->local > bound_ || log_.waiting_.contains(next->local)) {
      return {};
    }
    MERROW_ASSIGN(const auto behind, Find("WHERE local > ?1 AND ?2 ORDER BY local", local, 1));
    const bool are_neighbours = behind.has_value() && behind->local == next->local;
    if (is_used && !are_neighbours) {
      return {};
    }
    return Combine(*entry, *next, is_used);
  }

  /// The entry of the versions behind, if both cover theirs alone.
  Result<std::optional<Entry>> NextOf(const Entry& entry) {
    if (entry.site == 0) {
      return Find("WHERE site = ?1 AND local > ?2 ORDER BY local", 0, entry.local);
    }
    CellStatement around;
    MERROW_TRY(around.Prepare(
        db_, std::string(kEntryColumns) +
                 "WHERE site = ?1 AND site <> 0 AND version >= ?2 ORDER BY version LIMIT 3"));
    around.BindInt(1, entry.site);
    around.BindInt(2, entry.version);
    std::vector<Entry> entries;
    while (true) {
      MERROW_ASSIGN(const bool more, around.Step());
      if (!more) {
        break;
      }
      entries.push_back(ReplicaLog::ReadEntry(around));
    }
    const bool fits = entries.size() >= 2 && entries[0].version < entries[1].version &&
                      entries[1].previous == entry.version &&
                      (entries.size() < 3 || entries[1].version < entries[2].version);
    return fits ? std::optional(std::move(entries[1])) : std::nullopt;
  }

  Status Combine(const Entry& entry, const Entry& next, bool is_used) {
    DocumentOpsById ops;
    MERROW_TRY(DecodeDocumentOps(entry.documents, &ops));
    MERROW_TRY(DecodeDocumentOps(next.documents, &ops));
    const Bytes documents = EncodeDocumentOps(ops);
    const cells::DbVersion first = is_used ? entry.first : next.first;
    if (documents.size() > kCombinedDocumentBytes) {
      return {};
    }
    size_t event_bytes = 0;
    if (is_used) {
      MERROW_ASSIGN(const int64_t rows_bytes, RowsBytes(first, next.local));
      if (next.local - first > kCombinedVersionsMax || rows_bytes > kCombinedRowsBytes) {
        return {};
      }
      MERROW_ASSIGN(event_bytes, EventBytes(entry));
      if (event_bytes <= kCombinedEventBytes) {
        MERROW_ASSIGN(const size_t more, EventBytes(next));
        event_bytes += more;
      }
      if (event_bytes > kCombinedEventBytes) {
        return {};
      }
      event_bytes_[next.local] = event_bytes;
    }
    MERROW_TRY(RunSql(
        db_, "DELETE FROM main._merrow_source WHERE local = " + std::to_string(entry.local)));
    CellStatement update;
    MERROW_TRY(update.Prepare(db_,
                              "UPDATE main._merrow_source SET first = ?2, previous = ?3, documents "
                              "= ?4 WHERE local = ?1"));
    update.BindInt(1, next.local);
    update.BindInt(2, first);
    update.BindInt(3, entry.previous);
    update.Bind(4,
                documents.empty() ? cells::ValueView::Null() : cells::ValueView::Blob(documents));
    return update.Run();
  }

  Result<int64_t> RowsBytes(cells::DbVersion first, cells::DbVersion last) {
    CellStatement sum;
    MERROW_TRY(sum.Prepare(db_,
                           "SELECT coalesce(sum(length(rows)), 0) FROM main._merrow_tx WHERE id "
                           "BETWEEN ?1 AND ?2"));
    sum.BindInt(1, first << kTxPartBits);
    sum.BindInt(2, ((last + 1) << kTxPartBits) - 1);
    MERROW_ASSIGN([[maybe_unused]] const bool row, sum.Step());
    return sum.Int(0);
  }

  ReplicaLog& log_;
  sqlite3* db_;
  cells::DbVersion bound_ = 0;                      // of what may be combined
  std::map<cells::DbVersion, size_t> event_bytes_;  // by the entry's local version
};

bool ReplicaLog::HasToPrune() const {
  const auto kept = static_cast<cells::DbVersion>(options_.limits.entries_kept);
  return memory_.last_local - pruned_ > kept + kept / 4;
}

Result<bool> ReplicaLog::Prune() { return ReplicaPruner(*this).Run(); }

}  // namespace merrow::store
