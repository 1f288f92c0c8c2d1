// SPDX-License-Identifier: Apache-2.0
//
// Reads changes out of the clocks: all events with a db_version in a range, in the order of
// (db_version, seq), as crsql_changes shows them. One transaction at a time: where to look comes
// from _merrow_tx, the clock of each row says which of its cells are still of that transaction, and
// the row itself is read once for all its cells.
//
// What SQLite's caller pushes down (a range of versions, a site, a table) is decided from the
// clocks alone; a row that was not asked for is never read.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cells/row_clock.h"
#include "store/cell_key_walk.h"
#include "store/cell_store.h"

namespace merrow::store {

struct ChangeFilter {
  cells::DbVersion after = 0;                     // exclusive
  cells::DbVersion until = cells::kDbVersionMax;  // inclusive
  std::optional<cells::SiteOrdinal> only_site;
  std::optional<cells::SiteOrdinal> except_site;
  std::optional<std::string> table;
  /// The events of a row together, and rows of a transaction by key, instead of all by seq: rows
  /// are then read faster, one behind the other.
  bool by_row = false;
};

class CellReader {
 public:
  explicit CellReader(CellStore& store) : store_(store) {}
  ~CellReader() = default;
  CellReader(const CellReader&) = delete;
  CellReader& operator=(const CellReader&) = delete;

  /// Writes of the open transaction are included; they are flushed for that.
  Status Start(ChangeFilter filter);
  /// False at the end. REQUIRES: Start() was called
  bool done() const { return done_; }
  Status Next();
  /// The same, if the next change is at hand already; else does nothing and gives false.
  bool NextAtHand() {
    if (at_ + 1 >= events_.size()) {
      return false;
    }
    ++at_;
    ShowEvent();
    return true;
  }

  // The change at hand. REQUIRES: !done()
  const CellTable& table() const { return *source_->table; }
  cells::Stamp stamp() const { return {next_version_ - 1, event_->seq, event_->site}; }
  bool is_sentinel() const { return event_->column == kSentinel; }
  /// REQUIRES: !is_sentinel()
  const CellColumn& column() const { return table().columns[event_->column]; }
  cells::ColVersion col_version() const { return event_->col_version; }
  cells::CausalLength cl() const { return row_->cl; }
  /// Packed. Valid until Next().
  BytesView key();
  /// Null for sentinels, and for rows that are gone unrecorded. Valid until Next().
  Result<cells::ValueView> value();

 private:
  static constexpr uint32_t kSentinel = UINT32_MAX;

  struct Source {
    std::shared_ptr<CellTable> table;
    CellClocks clocks;
    KeyWalk walk;
    CellStatement search;  // where the walk does not get
    /// By seq, rows come in the order in which they were inserted, which is that of their rowids:
    /// `next` walks on from the one that was found last, until too many were elsewhere.
    std::optional<std::string> rowid_name;  // none: not asked yet
    CellStatement next;
    bool is_next_at_hand = false;  // `next` stands at the row that was found last
    std::optional<int64_t> last_rowid;
    int strays = 0;
    uint32_t loaded_row = UINT32_MAX;  // whose values were read
    /// Where they are; null if there is no such row.
    const CellStatement* row = nullptr;
  };
  struct Row {
    uint32_t source;
    size_t stored_at, stored_bytes;  // in keys_
    int64_t number;
    cells::CausalLength cl;
  };
  struct Event {
    cells::ColVersion col_version;
    cells::Seq seq;
    cells::SiteOrdinal site;
    uint32_t column;  // where it is in the table
    uint32_t row;
  };

  void ShowEvent() {
    event_ = &events_[at_];
    row_ = &rows_[event_->row];
    source_ = sources_[row_->source].get();
  }
  /// Reads transactions until one has an event, or the end.
  Status LoadTransaction();
  Status ReadTransaction(cells::DbVersion version);
  Status AddRun(uint32_t source, const cells::ClockRun& run, cells::DbVersion version);
  void AddClock(const cells::RowClock& clock, const Row& row, cells::DbVersion version);
  void AddFresh(const cells::FreshClock& fresh, const Row& row);
  bool IsWanted(cells::SiteOrdinal site) const;
  void DropRepeatedRows();
  BytesView stored(const Row& row) const {
    return BytesView(keys_).substr(row.stored_at, row.stored_bytes);
  }
  Result<uint32_t> SourceOf(int64_t table_id);
  Status LoadRow(uint32_t row_index);
  Status SearchRow(Source& source);
  Result<bool> IsNextRow(Source& source);
  bool IsOfNow(const Source& source) const;
  void SortEvents();
  bool SortRowsOfEvents();

  CellStore& store_;
  ChangeFilter filter_;
  bool done_ = true;
  cells::DbVersion next_version_ = 0;  // versions below it were read
  CellStatement read_tx_, read_parts_;
  std::vector<std::unique_ptr<Source>> sources_;
  cells::RowClock clock_;

  // Of the transaction at hand.
  Bytes keys_;
  std::vector<Row> rows_;
  std::vector<Event> events_;
  size_t at_ = 0;
  // The change at hand.
  const Event* event_ = nullptr;
  const Row* row_ = nullptr;
  Source* source_ = nullptr;
  std::vector<cells::ValueView> key_values_;
  Bytes key_buffer_;
  uint32_t key_row_ = UINT32_MAX;
};

}  // namespace merrow::store
