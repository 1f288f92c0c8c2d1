// SPDX-License-Identifier: Apache-2.0
#include "store/replica_builder.h"

#include <utility>
#include <vector>

namespace merrow::store {
namespace {

/// What a row and a cell take besides their bytes, about.
constexpr size_t kRowBytes = 3;
constexpr size_t kCellBytes = 4;

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

cells::RowChange& ReplicaBuilder::RowOf(const Table& table, BytesView key, cells::CausalLength cl) {
  std::vector<cells::RowChange>& rows = changeset_.cells.rows;
  // Mostly the row of the event before; but not one that another changeset brought.
  const bool is_last_own = !rows.empty() && last_own_row_ == rows.size() - 1;
  if (is_last_own && rows.back().table == table.index && rows.back().key == key) {
    return rows.back();
  }
  std::string name = std::to_string(table.index) + ":";
  name += key;
  const auto [found, is_new] =
      rows_.try_emplace(std::move(name), static_cast<uint32_t>(rows.size()));
  if (is_new) {
    cells::RowChange row;
    row.table = table.index;
    row.key = Bytes(key);
    row.cl = cl;
    rows.push_back(std::move(row));
    bytes_ += key.size() + kRowBytes;
  }
  last_own_row_ = found->second;
  return rows[found->second];
}

Status ReplicaBuilder::Add(CellReader& reader, CellStore& cells, cells::DbVersion version) {
  Table& table = TableOf(reader.table().name);
  MERROW_ASSIGN(const cells::SiteId author, cells.SiteOf(reader.stamp().site));
  const cells::ChangeClock clock{version, reader.stamp().seq, AuthorOf(author)};
  cells::RowChange& row = RowOf(table, reader.key(), reader.cl());
  if (reader.is_sentinel()) {
    row.sentinel = clock;
    return {};
  }
  cells::CellChange cell;
  cell.column = ColumnOf(table, reader.column().name);
  cell.col_version = reader.col_version();
  MERROW_ASSIGN(const cells::ValueView value, reader.value());
  cell.value = cells::Value(value);
  cell.clock = clock;
  bytes_ += value.bytes.size() + kCellBytes;
  row.cells.push_back(std::move(cell));
  return {};
}

void ReplicaBuilder::Add(const changeset::Changeset& other, cells::DbVersion version) {
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
  changeset_.cells.version = range.until;
  changeset_.cells.previous = range.after;
  changeset_.timestamp = timestamp;
  return std::move(changeset_);
}

}  // namespace merrow::store
