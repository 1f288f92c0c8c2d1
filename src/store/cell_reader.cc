// SPDX-License-Identifier: Apache-2.0
#include "store/cell_reader.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cells/packed_key.h"
#include "merrow/check.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

constexpr uint32_t kUnknownTable = UINT32_MAX;

/// After so many rows that were not the next one by rowid, each is searched for.
constexpr int kStraysMax = 100;

std::string Columns(const std::vector<CellColumn>& columns) {
  std::string list;
  for (const CellColumn& column : columns) {
    list += (list.empty() ? "" : ", ") + SqlName(column.name);
  }
  return list.empty() ? "1" : list;
}

}  // namespace

Status CellReader::Start(ChangeFilter filter) {
  filter_ = std::move(filter);
  done_ = true;
  events_.clear();
  at_ = 0;
  if (store_.transaction().active()) {
    MERROW_TRY(store_.transaction().Flush());
  }
  MERROW_TRY(store_.tables().Refresh());
  if (!store_.tables().initialized()) {
    return {};
  }
  if (!store_.transaction().active()) {
    MERROW_TRY(store_.tables().pending().Refresh());
  }
  // The rest is kept: one reader reads many short ranges.
  std::erase_if(sources_, [this](const auto& source) { return !IsOfNow(*source); });
  next_version_ = std::clamp<cells::DbVersion>(filter_.after, -1, cells::kDbVersionMax) + 1;
  return LoadTransaction();
}

Status CellReader::Next() { return NextAtHand() ? Status() : LoadTransaction(); }

Status CellReader::LoadTransaction() {
  done_ = false;
  while (true) {
    keys_.clear();
    rows_.clear();
    events_.clear();
    at_ = 0;
    key_row_ = UINT32_MAX;
    for (const auto& source : sources_) {
      source->clocks.Forget();
      source->loaded_row = UINT32_MAX;
      source->walk.Forget();
      source->next.Reset();
      source->is_next_at_hand = false;
      source->last_rowid.reset();
    }
    MERROW_TRY(read_tx_.Prepare(
        store_.db(), "SELECT id FROM main._merrow_tx WHERE id >= ?1 ORDER BY id LIMIT 1"));
    const ResetAtEnd reset(read_tx_);
    if (next_version_ > filter_.until || next_version_ > cells::kDbVersionMax) {
      done_ = true;
      return {};
    }
    read_tx_.BindInt(1, next_version_ << kTxPartBits);
    MERROW_ASSIGN(const bool any, read_tx_.Step());
    const cells::DbVersion version = any ? read_tx_.Int(0) >> kTxPartBits : 0;
    if (!any || version > filter_.until) {
      done_ = true;
      return {};
    }
    next_version_ = version + 1;
    MERROW_TRY(ReadTransaction(version));
    SortEvents();
    if (!events_.empty()) {
      ShowEvent();
      return {};
    }
  }
}

void CellReader::SortEvents() {
  const auto in_order = [this](const Event& a, const Event& b) {
    return filter_.by_row && a.row != b.row ? a.row < b.row : a.seq < b.seq;
  };
  if (std::is_sorted(events_.begin(), events_.end(), in_order)) {
    return;
  }
  if (filter_.by_row || !SortRowsOfEvents()) {
    std::stable_sort(events_.begin(), events_.end(), in_order);
  }
}

/// By seq, if rows follow each other whole, as inserted ones do: there are fewer of them. False if
/// they do not.
bool CellReader::SortRowsOfEvents() {
  struct Run {
    cells::Seq first;
    size_t begin, end;
  };
  std::vector<Run> runs;
  for (size_t i = 0; i < events_.size(); ++i) {
    const bool goes_on = i > 0 && events_[i].row == events_[i - 1].row;
    if (goes_on && events_[i].seq <= events_[i - 1].seq) {
      return false;
    }
    if (!goes_on) {
      runs.push_back({events_[i].seq, i, i});
    }
    runs.back().end = i + 1;
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return a.first != b.first ? a.first < b.first : a.begin < b.begin;
  });
  std::vector<Event> sorted;
  sorted.reserve(events_.size());
  for (const Run& run : runs) {
    if (!sorted.empty() && sorted.back().seq >= run.first) {
      return false;
    }
    sorted.insert(sorted.end(), events_.begin() + static_cast<std::ptrdiff_t>(run.begin),
                  events_.begin() + static_cast<std::ptrdiff_t>(run.end));
  }
  events_ = std::move(sorted);
  return true;
}

/// Is it what SourceOf() would make?
bool CellReader::IsOfNow(const Source& source) const {
  const auto& tables = store_.tables().tables();
  return !filter_.table.has_value() &&
         std::find(tables.begin(), tables.end(), source.table) != tables.end();
}

Status CellReader::ReadTransaction(cells::DbVersion version) {
  MERROW_TRY(read_parts_.Prepare(
      store_.db(), "SELECT rows FROM main._merrow_tx WHERE id BETWEEN ?1 AND ?2 ORDER BY id"));
  const ResetAtEnd reset(read_parts_);
  read_parts_.BindInt(1, version << kTxPartBits);
  read_parts_.BindInt(2, version << kTxPartBits | (kTxPartsMax - 1));
  int64_t parts_count = 0;
  int64_t last_table = -1;
  uint32_t source = kUnknownTable;
  const auto read_range = [&](const TxRange& range) -> Status {
    if (range.table_id != last_table) {
      MERROW_ASSIGN(source, SourceOf(range.table_id));
      last_table = range.table_id;
    }
    // The other kind of key is from before the table's key was changed.
    if (source == kUnknownTable || range.stored_keys == sources_[source]->table->int_key) {
      return {};
    }
    CellClocks& clocks = sources_[source]->clocks;
    if (!range.is_one_key()) {
      return clocks.ForEach(&range.first, &range.last,
                            [&](const cells::ClockRun& run) -> Result<bool> {
                              MERROW_TRY(AddRun(source, run, version));
                              return true;
                            });
    }
    MERROW_ASSIGN(const cells::ClockRun* const run, clocks.Find(range.first));
    if (run == nullptr) {
      return {};
    }
    cells::ClockRun one = *run;
    one.count = 1;
    return AddRun(source, one, version);
  };
  while (true) {
    MERROW_ASSIGN(const bool more, read_parts_.Step());
    if (!more) {
      break;
    }
    ++parts_count;
    MERROW_TRY(ForEachTxRange(read_parts_.Column(0).bytes, read_range));
  }
  if (parts_count > 1) {
    // A row that was touched before and after a flush is in two parts.
    DropRepeatedRows();
  }
  return {};
}

Result<uint32_t> CellReader::SourceOf(int64_t table_id) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i]->table->id == table_id) {
      return static_cast<uint32_t>(i);
    }
  }
  for (const std::shared_ptr<CellTable>& table : store_.tables().tables()) {
    if (table->id != table_id) {
      continue;
    }
    if (filter_.table.has_value() && store_.tables().Find(*filter_.table) != table.get()) {
      return kUnknownTable;
    }
    auto source = std::make_unique<Source>();
    source->table = table;
    source->clocks =
        CellClocks(store_.db(), table->id, !table->int_key, &store_.tables().pending());
    sources_.push_back(std::move(source));
    return static_cast<uint32_t>(sources_.size() - 1);
  }
  return kUnknownTable;  // untracked since
}

bool CellReader::IsWanted(cells::SiteOrdinal site) const {
  return !(filter_.only_site.has_value() && site != *filter_.only_site) &&
         !(filter_.except_site.has_value() && site == *filter_.except_site);
}

Status CellReader::AddRun(uint32_t source, const cells::ClockRun& run, cells::DbVersion version) {
  Row row{source, keys_.size(), run.key.stored.size(), run.key.number, 1};
  if (!cells::IsStoredKey(run.key.stored)) {
    return Corruption("a stored key of a row of table " + sources_[source]->table->name);
  }
  if (!run.is_fresh()) {
    Status decoded = clock_.DecodeFrom(run.clock);
    if (!decoded.ok()) {
      return decoded.error().Within("clock of a row of table " + sources_[source]->table->name);
    }
    row.cl = clock_.cl();
    const size_t events = events_.size();
    AddClock(clock_, row, version);
    if (events_.size() > events) {
      rows_.push_back(row);
      keys_.append(run.key.stored);
    }
    return {};
  }
  if (!IsWanted(run.fresh.site)) {
    return {};
  }
  uint64_t begin = 0;
  uint64_t end = run.count;
  if (run.version_step == 0) {
    end = run.fresh.version == version ? end : 0;
  } else {
    // Each row is of a transaction of its own.
    const int64_t steps = (version - run.fresh.version) / run.version_step;
    const bool is_in = steps >= 0 && static_cast<uint64_t>(steps) < run.count &&
                       run.fresh.version + steps * run.version_step == version;
    begin = is_in ? static_cast<uint64_t>(steps) : 0;
    end = is_in ? begin + 1 : 0;
  }
  for (uint64_t i = begin; i < end; ++i) {
    cells::FreshClock fresh = run.fresh;
    fresh.version = version;
    fresh.seq += static_cast<int64_t>(i) * run.seq_step;
    row.number = run.key.number + static_cast<int64_t>(i);
    AddFresh(fresh, row);
    rows_.push_back(row);
  }
  if (end > begin) {
    keys_.append(run.key.stored);
  }
  return {};
}

void CellReader::AddFresh(const cells::FreshClock& fresh, const Row& row) {
  const CellTable& table = *sources_[row.source]->table;
  const auto index = static_cast<uint32_t>(rows_.size());
  for (cells::ColumnId column = 0; column < fresh.columns; ++column) {
    const size_t at = table.IndexOf(column);
    // A dropped column has no value to show any more.
    if (at != CellTable::npos) {
      events_.push_back({1, fresh.seq + column, fresh.site, static_cast<uint32_t>(at), index});
    }
  }
}

void CellReader::AddClock(const cells::RowClock& clock, const Row& row, cells::DbVersion version) {
  const CellTable& table = *sources_[row.source]->table;
  const auto index = static_cast<uint32_t>(rows_.size());
  const auto is_wanted = [&](const cells::Stamp& stamp) {
    return stamp.db_version == version && IsWanted(stamp.site);
  };
  const std::optional<cells::Sentinel>& sentinel = clock.sentinel();
  if (sentinel.has_value() && is_wanted(sentinel->stamp)) {
    events_.push_back({sentinel->cl, sentinel->stamp.seq, sentinel->stamp.site, kSentinel, index});
  }
  for (const cells::CellClock& cell : clock.cells()) {
    if (!is_wanted(cell.stamp)) {
      continue;
    }
    const size_t at = table.IndexOf(cell.column);
    if (at != CellTable::npos) {
      events_.push_back(
          {cell.col_version, cell.stamp.seq, cell.stamp.site, static_cast<uint32_t>(at), index});
    }
  }
}

void CellReader::DropRepeatedRows() {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    order.push_back(i);
  }
  const auto key = [this](uint32_t i) {
    return std::tuple(rows_[i].source, rows_[i].number, stored(rows_[i]));
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return key(a) < key(b); });
  std::vector<bool> repeated(rows_.size());
  for (size_t i = 1; i < order.size(); ++i) {
    repeated[order[i]] = key(order[i - 1]) == key(order[i]);
  }
  std::erase_if(events_, [&](const Event& event) { return repeated[event.row]; });
}

BytesView CellReader::key() {
  if (key_row_ != event_->row) {
    // One column, unless it is packed already.
    key_buffer_.assign(table().int_key ? 1 : 0, 1);
    if (table().int_key) {
      cells::AppendPackedColumn(cells::ValueView::Integer(row_->number), key_buffer_);
    } else {
      // AddRun made sure that this works.
      MERROW_CHECK(cells::AppendPackedKey(stored(*row_), key_buffer_).ok());
    }
    key_row_ = event_->row;
  }
  return key_buffer_;
}

/// The row whose key is in key_values_.
Status CellReader::SearchRow(Source& source) {
  const CellTable& table = *source.table;
  if (!source.search.prepared()) {
    MERROW_TRY(source.search.Prepare(
        store_.db(), "SELECT " + Columns(table.columns) +
                         (source.rowid_name->empty() ? "" : ", " + *source.rowid_name) +
                         " FROM main." + SqlName(table.name) + table.WhereKey()));
  }
  source.search.Reset();
  for (size_t i = 0; i < key_values_.size(); ++i) {
    source.search.Bind(static_cast<int>(i) + 1, key_values_[i]);
  }
  MERROW_ASSIGN(const bool found, source.search.Step());
  source.row = found ? &source.search : nullptr;
  source.last_rowid.reset();
  if (found && !source.rowid_name->empty()) {
    source.last_rowid = source.search.Int(std::max(1, static_cast<int>(table.columns.size())));
  }
  return {};
}

/// Is the row whose key is in key_values_ the one behind that which was found last?
Result<bool> CellReader::IsNextRow(Source& source) {
  const CellTable& table = *source.table;
  if (!source.is_next_at_hand) {
    if (!source.last_rowid.has_value()) {
      return false;
    }
    std::string sql = "SELECT " + Columns(table.columns);
    for (const CellColumn& column : table.key) {
      sql += ", " + SqlName(column.name);
    }
    MERROW_TRY(source.next.Prepare(store_.db(), sql + " FROM main." + SqlName(table.name) +
                                                    " WHERE " + *source.rowid_name +
                                                    " > ?1 ORDER BY " + *source.rowid_name));
    source.next.BindInt(1, *source.last_rowid);
  }
  MERROW_ASSIGN(bool is_next, source.next.Step());
  const int key_at = std::max(1, static_cast<int>(table.columns.size()));
  for (size_t i = 0; i < key_values_.size() && is_next; ++i) {
    const cells::ValueView value = source.next.Column(key_at + static_cast<int>(i));
    is_next = cells::SameValue(cells::KeyValue(value, table.key[i].affinity), key_values_[i]);
  }
  source.is_next_at_hand = is_next;
  source.last_rowid.reset();
  source.strays += is_next ? 0 : 1;
  return is_next;
}

Status CellReader::LoadRow(uint32_t row_index) {
  const Row& row = rows_[row_index];
  Source& source = *sources_[row.source];
  const CellTable& table = *source.table;
  source.row = nullptr;
  source.loaded_row = row_index;
  if (table.int_key) {
    key_values_.assign(1, cells::ValueView::Integer(row.number));
  } else {
    MERROW_ASSIGN(key_values_, cells::UnpackColumns(key()));
  }
  // By seq, only numbers tend to come in the order of the key.
  const bool walks = KeyWalk::CanWalk(table) && (table.int_key || filter_.by_row);
  if (walks && !source.walk.prepared()) {
    MERROW_TRY(source.walk.Prepare(store_.db(), table, Columns(table.columns),
                                   std::max(1, static_cast<int>(table.columns.size()))));
  }
  if (!source.rowid_name.has_value()) {
    MERROW_ASSIGN(source.rowid_name, RowIdName(store_.db(), table));
  }
  if (!walks || source.walk.gave_up()) {
    const bool may_be_next = !source.rowid_name->empty() && source.strays < kStraysMax;
    MERROW_ASSIGN(const bool is_next, may_be_next ? IsNextRow(source) : Result<bool>(false));
    if (is_next) {
      source.row = &source.next;
      return {};
    }
    return SearchRow(source);
  }
  MERROW_ASSIGN(const bool found, source.walk.Find(key_values_[0]));
  if (found) {
    source.row = &source.walk.row();
    return {};
  }
  return SearchRow(source);
}

Result<cells::ValueView> CellReader::value() {
  if (is_sentinel()) {
    return cells::ValueView::Null();
  }
  if (source_->loaded_row != event_->row) {
    MERROW_TRY(LoadRow(event_->row));
  }
  if (source_->row == nullptr) {
    return cells::ValueView::Null();
  }
  return source_->row->Column(static_cast<int>(event_->column));
}

}  // namespace merrow::store
