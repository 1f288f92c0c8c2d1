// SPDX-License-Identifier: Apache-2.0
#include "store/cell_reader.h"

#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

/// Of ids of _merrow_tx. DO NOT CHANGE: it is on disk.
constexpr int kPartBits = 20;

constexpr uint32_t kUnknownTable = UINT32_MAX;

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
  sources_.clear();
  read_tx_.Finalize();
  events_.clear();
  at_ = 0;
  if (store_.transaction().active()) {
    MERROW_TRY(store_.transaction().Flush());
  }
  MERROW_TRY(store_.tables().Refresh());
  if (!store_.tables().initialized()) {
    return {};
  }
  next_version_ = std::max<cells::DbVersion>(filter_.after, -1) + 1;
  return LoadTransaction();
}

Status CellReader::Next() {
  if (++at_ < events_.size()) {
    return {};
  }
  return LoadTransaction();
}

Status CellReader::LoadTransaction() {
  done_ = false;
  while (true) {
    keys_.clear();
    rows_.clear();
    events_.clear();
    at_ = 0;
    key_row_ = UINT32_MAX;
    for (const auto& source : sources_) {
      source->loaded_row = UINT32_MAX;
    }
    MERROW_TRY(read_tx_.Prepare(
        store_.db(), "SELECT id FROM main._merrow_tx WHERE id >= ?1 ORDER BY id LIMIT 1"));
    const ResetAtEnd reset(read_tx_);
    if (next_version_ > filter_.until || next_version_ > cells::kDbVersionMax) {
      done_ = true;
      return {};
    }
    read_tx_.BindInt(1, next_version_ << kPartBits);
    MERROW_ASSIGN(const bool any, read_tx_.Step());
    const cells::DbVersion version = any ? read_tx_.Int(0) >> kPartBits : 0;
    if (!any || version > filter_.until) {
      done_ = true;
      return {};
    }
    next_version_ = version + 1;
    std::vector<Row> rows;
    MERROW_TRY(ReadKeys(version, rows));
    for (const Row& row : rows) {
      MERROW_TRY(AddEvents(row, version));
    }
    const auto by_seq = [](const Event& a, const Event& b) { return a.stamp.seq < b.stamp.seq; };
    if (!std::is_sorted(events_.begin(), events_.end(), by_seq)) {
      std::stable_sort(events_.begin(), events_.end(), by_seq);
    }
    if (!events_.empty()) {
      return {};
    }
  }
}

Status CellReader::ReadKeys(cells::DbVersion version, std::vector<Row>& rows) {
  CellStatement parts;
  MERROW_TRY(parts.Prepare(
      store_.db(), "SELECT rows FROM main._merrow_tx WHERE id BETWEEN ?1 AND ?2 ORDER BY id"));
  parts.BindInt(1, version << kPartBits);
  parts.BindInt(2, ((version + 1) << kPartBits) - 1);
  int64_t parts_count = 0;
  int64_t last_table = -1;
  uint32_t last_source = kUnknownTable;
  while (true) {
    MERROW_ASSIGN(const bool more, parts.Step());
    if (!more) {
      break;
    }
    ++parts_count;
    MERROW_TRY(ForEachTxKey(parts.Column(0).bytes, [&](const TxKey& key) -> Status {
      if (key.table_id != last_table) {
        MERROW_ASSIGN(last_source, SourceOf(key.table_id));
        last_table = key.table_id;
      }
      if (last_source != kUnknownTable) {
        rows.push_back({sources_[last_source]->table.get(), last_source, key.number, keys_.size(),
                        key.packed.size(), 0});
        keys_.append(key.packed);
      }
      return {};
    }));
  }
  if (parts_count < 2) {
    return {};
  }
  // A row that was touched before and after a flush is in two parts.
  std::sort(rows.begin(), rows.end(), [this](const Row& a, const Row& b) {
    if (a.source != b.source || a.number != b.number) {
      return a.source != b.source ? a.source < b.source : a.number < b.number;
    }
    return packed(a) < packed(b);
  });
  rows.erase(std::unique(rows.begin(), rows.end(),
                         [this](const Row& a, const Row& b) {
                           return a.source == b.source && a.number == b.number &&
                                  packed(a) == packed(b);
                         }),
             rows.end());
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
    MERROW_TRY(source->read_clock.Prepare(
        store_.db(), "SELECT clock FROM main." + table->ClockTable() + " WHERE key = ?1"));
    sources_.push_back(std::move(source));
    return static_cast<uint32_t>(sources_.size() - 1);
  }
  return kUnknownTable;  // untracked since
}

void CellReader::AddEvent(const Event& event) {
  if (filter_.only_site.has_value() && event.stamp.site != *filter_.only_site) {
    return;
  }
  if (filter_.except_site.has_value() && event.stamp.site == *filter_.except_site) {
    return;
  }
  events_.push_back(event);
}

Status CellReader::AddEvents(const Row& row, cells::DbVersion version) {
  Source& source = *sources_[row.source];
  const ResetAtEnd reset(source.read_clock);
  if (row.table->int_key) {
    source.read_clock.BindInt(1, row.number);
  } else {
    source.read_clock.Bind(1, cells::ValueView::Blob(packed(row)));
  }
  MERROW_ASSIGN(const bool known, source.read_clock.Step());
  if (!known) {
    return {};
  }
  Status decoded = clock_.DecodeFrom(source.read_clock.Column(0).bytes);
  if (!decoded.ok()) {
    return decoded.error().Within("clock of a row of table " + row.table->name);
  }
  const auto index = static_cast<uint32_t>(rows_.size());
  const size_t events = events_.size();
  if (clock_.sentinel() && clock_.sentinel()->stamp.db_version == version) {
    AddEvent({clock_.sentinel()->stamp, clock_.sentinel()->cl, kSentinel, index});
  }
  for (const cells::CellClock& cell : clock_.cells()) {
    // A dropped column has no value to show any more.
    if (cell.stamp.db_version == version &&
        (row.table->dense || row.table->IndexOf(cell.column) != CellTable::npos)) {
      AddEvent({cell.stamp, cell.col_version, cell.column, index});
    }
  }
  if (events_.size() > events) {
    rows_.push_back(row);
    rows_.back().cl = clock_.cl();
  }
  return {};
}

const CellColumn& CellReader::column() const {
  return table().columns[table().IndexOf(events_[at_].column)];
}

BytesView CellReader::key() {
  const Row& row = current_row();
  if (!row.table->int_key) {
    return packed(row);
  }
  if (key_row_ != events_[at_].row) {
    const cells::ValueView number = cells::ValueView::Integer(row.number);
    key_buffer_ = cells::PackColumns({&number, 1});
    key_row_ = events_[at_].row;
  }
  return key_buffer_;
}

Status CellReader::LoadRow(uint32_t row_index) {
  const Row& row = rows_[row_index];
  Source& source = *sources_[row.source];
  const CellTable& table = *source.table;
  std::string condition;
  if (!source.read_row.prepared()) {
    for (size_t i = 0; i < table.key.size(); ++i) {
      condition +=
          (i == 0 ? "" : " AND ") + SqlName(table.key[i].name) + " = ?" + std::to_string(i + 1);
    }
    MERROW_TRY(source.read_row.Prepare(store_.db(), "SELECT " + Columns(table.columns) +
                                                        " FROM main." + SqlName(table.name) +
                                                        " WHERE " + condition));
  }
  source.read_row.Reset();
  std::vector<cells::ValueView> values;
  if (table.int_key) {
    source.read_row.BindInt(1, row.number);
  } else {
    MERROW_ASSIGN(values, cells::UnpackColumns(packed(row)));
    for (size_t i = 0; i < values.size(); ++i) {
      source.read_row.Bind(static_cast<int>(i) + 1, values[i]);
    }
  }
  MERROW_ASSIGN(source.found, source.read_row.Step());
  source.loaded_row = row_index;
  return {};
}

Result<cells::ValueView> CellReader::value() {
  if (is_sentinel()) {
    return cells::ValueView::Null();
  }
  Source& source = *sources_[current_row().source];
  if (source.loaded_row != events_[at_].row) {
    MERROW_TRY(LoadRow(events_[at_].row));
  }
  if (!source.found) {
    return cells::ValueView::Null();
  }
  return source.read_row.Column(static_cast<int>(source.table->IndexOf(events_[at_].column)));
}

}  // namespace merrow::store
