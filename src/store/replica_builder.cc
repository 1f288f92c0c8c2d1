// SPDX-License-Identifier: Apache-2.0
#include "store/replica_builder.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace merrow::store {
namespace {

/// What a row and a cell take besides their bytes, about.
constexpr size_t kRowBytes = 3;
constexpr size_t kCellBytes = 4;

std::string NameOf(uint32_t table, BytesView key) {
  std::string name = std::to_string(table) + ":";
  name += key;
  return name;
}

}  // namespace

ReplicaBuilder::ReplicaBuilder(const cells::SiteId& site) {
  changeset_.cells.site = site;
  AuthorOf(site);
}

ReplicaBuilder::Table& ReplicaBuilder::TableOf(const std::string& name) {
  const auto [found, is_new] = tables_.try_emplace(name);
  if (is_new) {
    found->second.index = static_cast<uint32_t>(changeset_.cells.tables.size());
    changeset_.cells.tables.push_back({name, {}});
  }
  return found->second;
}

uint32_t ReplicaBuilder::ColumnOf(Table& table, const std::string& name) {
  std::vector<std::string>& columns = changeset_.cells.tables[table.index].columns;
  const auto [found, is_new] =
      table.columns.try_emplace(name, static_cast<uint32_t>(columns.size()));
  if (is_new) {
    columns.push_back(name);
  }
  return found->second;
}

uint32_t ReplicaBuilder::AuthorOf(const cells::SiteId& site) {
  std::vector<cells::SiteId>& authors = changeset_.cells.authors;
  const auto [found, is_new] =
      authors_.try_emplace(std::string(site.view()), static_cast<uint32_t>(authors.size()));
  if (is_new) {
    authors.push_back(site);
  }
  return found->second;
}

ReplicaBuilder::Table& ReplicaBuilder::TableOf(const CellReader& reader) {
  if (last_table_ != &reader.table()) {
    last_of_ = &TableOf(reader.table().name);
    last_of_->columns_by_id.clear();
    last_table_ = &reader.table();
  }
  return *last_of_;
}

uint32_t ReplicaBuilder::ColumnOf(Table& table, const CellColumn& column) {
  if (column.id >= table.columns_by_id.size()) {
    table.columns_by_id.resize(column.id + 1);
  }
  uint32_t& known = table.columns_by_id[column.id];
  if (known == 0) {
    known = ColumnOf(table, column.name) + 1;
  }
  return known - 1;
}

Result<uint32_t> ReplicaBuilder::AuthorOf(cells::SiteOrdinal site, CellStore& cells) {
  if (last_site_ != site) {
    MERROW_ASSIGN(const cells::SiteId author, cells.SiteOf(site));
    last_author_ = AuthorOf(author);
    last_site_ = site;
  }
  return last_author_;
}

/// Puts the rows that the transaction brought in the order in which they were written.
void ReplicaBuilder::EndTransaction() {
  if (transaction_ == 0) {
    return;  // no rows of a reader
  }
  std::vector<cells::RowChange>& rows = changeset_.cells.rows;
  std::vector<std::pair<cells::Seq, uint32_t>> order;
  order.reserve(rows.size() - begin_);
  for (size_t i = begin_; i < rows.size(); ++i) {
    const cells::RowChange& row = rows[i];
    cells::Seq first = row.sentinel.has_value() ? row.sentinel->seq : cells::kCounterMax;
    first = row.cells.empty() ? first : std::min(first, row.cells[0].clock.seq);
    order.emplace_back(first, static_cast<uint32_t>(i));
  }
  if (!std::is_sorted(order.begin(), order.end())) {
    std::sort(order.begin(), order.end());
    std::vector<cells::RowChange> sorted;
    sorted.reserve(order.size());
    for (const auto& [seq, index] : order) {
      sorted.push_back(std::move(rows[index]));
    }
    std::move(sorted.begin(), sorted.end(), rows.begin() + static_cast<std::ptrdiff_t>(begin_));
  }
  last_own_row_ = SIZE_MAX;
}

void ReplicaBuilder::IndexTransaction() {
  const std::vector<cells::RowChange>& rows = changeset_.cells.rows;
  for (; begin_ < rows.size(); ++begin_) {
    rows_.try_emplace(NameOf(rows[begin_].table, rows[begin_].key), static_cast<uint32_t>(begin_));
  }
}

cells::RowChange& ReplicaBuilder::RowOf(const Table& table, CellReader& reader) {
  std::vector<cells::RowChange>& rows = changeset_.cells.rows;
  if (reader.stamp().db_version != transaction_) {
    EndTransaction();
    IndexTransaction();
    transaction_ = reader.stamp().db_version;
  }
  const BytesView key = reader.key();
  // Mostly the row of the event before.
  if (last_own_row_ < rows.size() && rows[last_own_row_].table == table.index &&
      rows[last_own_row_].key == key) {
    return rows[last_own_row_];
  }
  if (!rows_.empty()) {
    const auto found = rows_.find(NameOf(table.index, key));
    if (found != rows_.end()) {
      last_own_row_ = found->second;
      return rows[last_own_row_];
    }
  }
  last_own_row_ = rows.size();
  cells::RowChange& row = rows.emplace_back();
  row.table = table.index;
  row.key.assign(key);
  row.cl = reader.cl();
  bytes_ += key.size() + kRowBytes;
  return row;
}

/// The reader's transactions must come one after the other, each with the events of a row together.
Status ReplicaBuilder::Add(CellReader& reader, CellStore& cells, cells::DbVersion version) {
  Table& table = TableOf(reader);
  MERROW_ASSIGN(const uint32_t author, AuthorOf(reader.stamp().site, cells));
  const cells::ChangeClock clock{version, reader.stamp().seq, author};
  cells::RowChange& row = RowOf(table, reader);
  if (reader.is_sentinel()) {
    row.sentinel = clock;
    return {};
  }
  MERROW_ASSIGN(const cells::ValueView value, reader.value());
  cells::CellChange& cell = row.cells.emplace_back();
  cell.column = ColumnOf(table, reader.column());
  cell.col_version = reader.col_version();
  cell.value = cells::Value(value);
  cell.clock = clock;
  bytes_ += value.bytes.size() + kCellBytes;
  return {};
}

void ReplicaBuilder::Add(const changeset::Changeset& other, cells::DbVersion version) {
  EndTransaction();
  IndexTransaction();
  const auto clock_of = [&](const cells::ChangeClock& clock) -> cells::ChangeClock {
    return {version, clock.seq, AuthorOf(other.cells.authors[clock.author])};
  };
  for (const cells::RowChange& from : other.cells.rows) {
    const cells::ChangedTable& names = other.cells.tables[from.table];
    Table& table = TableOf(names.name);
    // A row of its own: what is known of it may have another causal length by now.
    cells::RowChange row;
    row.table = table.index;
    row.key = from.key;
    row.cl = from.cl;
    if (from.sentinel.has_value()) {
      row.sentinel = clock_of(*from.sentinel);
    }
    for (const cells::CellChange& cell : from.cells) {
      row.cells.push_back({ColumnOf(table, names.columns[cell.column]), cell.col_version,
                           cell.value, clock_of(cell.clock)});
      bytes_ += cell.value.bytes.size() + kCellBytes;
    }
    bytes_ += row.key.size() + kRowBytes;
    changeset_.cells.rows.push_back(std::move(row));
  }
  begin_ = changeset_.cells.rows.size();
  for (const changeset::DocumentChange& document : other.documents) {
    AddDocument(other.cells.tables[document.table].name, document.key, document.blocks);
  }
}

Status ReplicaBuilder::AddRow(const CellTable& table, BytesView key, const cells::RowClock& clock,
                              const CellStatement* values, CellStore& cells) {
  if (clock.empty()) {
    return {};
  }
  const auto clock_of = [&](const cells::Stamp& stamp) -> Result<cells::ChangeClock> {
    MERROW_ASSIGN(const cells::SiteId author, cells.SiteOf(stamp.site));
    return cells::ChangeClock{1, stamp.seq, AuthorOf(author)};
  };
  Table& names = TableOf(table.name);
  cells::RowChange row;
  row.table = names.index;
  row.key = Bytes(key);
  row.cl = clock.cl();
  bytes_ += key.size() + kRowBytes;
  if (clock.sentinel().has_value()) {
    MERROW_ASSIGN(row.sentinel, clock_of(clock.sentinel()->stamp));
  }
  for (const cells::CellClock& cell : clock.cells()) {
    const size_t index = table.IndexOf(cell.column);
    if (index == CellTable::npos) {
      continue;  // dropped
    }
    cells::CellChange change;
    change.column = ColumnOf(names, table.columns[index].name);
    change.col_version = cell.col_version;
    if (values != nullptr) {
      change.value = cells::Value(values->Column(static_cast<int>(index)));
    }
    MERROW_ASSIGN(change.clock, clock_of(cell.stamp));
    bytes_ += change.value.bytes.size() + kCellBytes;
    row.cells.push_back(std::move(change));
  }
  if (row.sentinel.has_value() || !row.cells.empty()) {
    changeset_.cells.rows.push_back(std::move(row));
  }
  return {};
}

void ReplicaBuilder::AddDocument(const std::string& table, Bytes key, Bytes blocks) {
  bytes_ += key.size() + blocks.size() + kRowBytes;
  changeset_.documents.push_back({TableOf(table).index, std::move(key), std::move(blocks)});
}

changeset::Changeset ReplicaBuilder::Finish(const changeset::VersionRange& range,
                                            const changeset::Timestamp& timestamp) {
  EndTransaction();
  changeset_.cells.version = range.until;
  changeset_.cells.previous = range.after;
  changeset_.timestamp = timestamp;
  return std::move(changeset_);
}

}  // namespace merrow::store
