// SPDX-License-Identifier: Apache-2.0
#include "changeset/changeset_test_util.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "cells/packed_key.h"

namespace merrow::changeset {
namespace {

using cells::Value;

int Below(std::mt19937& random, int end) {
  return std::uniform_int_distribution<int>(0, end - 1)(random);
}

Value RandomValue(std::mt19937& random) {
  switch (Below(random, 8)) {
    case 0:
      return Value::Null();
    case 1:
      return Value::Integer(Below(random, 60) - 5);
    case 2:
      return Value::Integer(
          static_cast<int64_t>((uint64_t{random()} << 32 | random()) >> Below(random, 64)));
    case 3:
      return Value::Integer(-static_cast<int64_t>(random()));
    case 4:
      return Value::Real(Below(random, 1000) / 8.0);
    case 5:
      return Value::Text(std::string(static_cast<size_t>(Below(random, 12)), 't'));
    case 6:
      return Value::Text(std::string(static_cast<size_t>(Below(random, 300)), 'T'));
    default:
      return Value::Blob(Bytes(static_cast<size_t>(Below(random, 100)), '\0'));
  }
}

// One of few, so that rows repeat; tables have keys of 1 to 3 columns.
Bytes RandomKey(std::mt19937& random, size_t key_columns) {
  std::vector<Value> values;
  for (size_t i = 0; i < key_columns; ++i) {
    values.push_back(i % 2 == 0 ? Value::Text("key" + std::to_string(Below(random, 50)))
                                : Value::Integer(Below(random, 1000)));
  }
  std::vector<cells::ValueView> views;
  for (const Value& value : values) views.push_back(value.view());
  return cells::PackColumns(views);
}

// Down to the last bit.
std::string DescribeValue(const Value& value) {
  std::string text(cells::ValueTypeName(value.type));
  if (value.type == cells::ValueType::kInteger) text += ":" + std::to_string(value.integer);
  if (value.type == cells::ValueType::kReal) {
    ByteWriter bits;
    bits.F64Be(value.real);
    text += ":" + ToHex(bits.bytes());
  }
  if (!value.bytes.empty()) text += ":" + ToHex(value.bytes);
  return text;
}

std::string DescribeClock(const Changeset& changeset, const cells::ChangeClock& clock) {
  return "@" + std::to_string(clock.db_version) + "." + std::to_string(clock.seq) + " by " +
         ToHex(changeset.cells.authors[clock.author].view());
}

}  // namespace

cells::SiteId SiteNamed(unsigned char name) {
  cells::SiteId site;
  site.bytes.fill(name);
  return site;
}

Changeset RandomChangeset(std::mt19937& random, const cells::SiteId& site,
                          cells::DbVersion previous) {
  Changeset changeset;
  cells::Transaction& cells = changeset.cells;
  cells.site = site;
  cells.previous = previous;
  const bool is_range = Below(random, 4) == 0;
  cells.version = previous + 1 + (is_range ? Below(random, 5) : 0);
  cells.authors.push_back(site);
  if (Below(random, 4) == 0) cells.authors.push_back(SiteNamed(0xEE));
  changeset.timestamp = {1700000000000 + previous * 10 + Below(random, 100),
                         static_cast<uint16_t>(Below(random, 3) == 0 ? Below(random, 100) : 0)};

  const int table_count = 1 + Below(random, 3);
  for (int i = 0; i < table_count; ++i) {
    cells::ChangedTable table{"table" + std::to_string(i), {}};
    const int columns = i == 2 ? 70 : Below(random, 5);
    for (int column = 0; column < columns; ++column) {
      table.columns.push_back("column" + std::to_string(column));
    }
    std::shuffle(table.columns.begin(), table.columns.end(), random);
    cells.tables.push_back(std::move(table));
  }
  cells::Seq seq = 0;
  const auto next_clock = [&] {
    cells::ChangeClock clock;
    clock.db_version =
        is_range ? cells.version - Below(random, static_cast<int>(cells.version - previous))
                 : cells.version;
    seq += Below(random, 10) == 0 ? 3 : 0;
    clock.seq = seq++;
    clock.author = static_cast<uint32_t>(Below(random, static_cast<int>(cells.authors.size())));
    return clock;
  };
  const int row_count = Below(random, 12);
  for (int i = 0; i < row_count; ++i) {
    const auto table = static_cast<uint32_t>(Below(random, table_count));
    const Bytes key = RandomKey(random, table + 1);
    if (Below(random, 6) == 0) {
      changeset.documents.push_back(
          {table, key, Bytes(1 + static_cast<size_t>(Below(random, 99)), 'b')});
      continue;
    }
    cells::RowChange row;
    row.table = table;
    row.key = key;
    row.cl = 1 + Below(random, 5) * Below(random, 2);
    if (!cells::IsAlive(row.cl) || Below(random, 5) == 0) row.sentinel = next_clock();
    if (cells::IsAlive(row.cl)) {
      for (uint32_t column = 0; column < cells.tables[table].columns.size(); ++column) {
        if (Below(random, 4) == 0) continue;
        const int64_t col_version = Below(random, 3) == 0 ? Below(random, 1000) : 1;
        row.cells.push_back({column, col_version, RandomValue(random), next_clock()});
      }
      if (row.cells.empty() && !row.sentinel.has_value()) row.sentinel = next_clock();
    }
    cells.rows.push_back(std::move(row));
  }
  return changeset;
}

std::string Describe(const Changeset& changeset) {
  const cells::Transaction& cells = changeset.cells;
  std::vector<std::string> lines;
  for (const cells::RowChange& row : cells.rows) {
    std::string line =
        cells.tables[row.table].name + " " + ToHex(row.key) + " cl " + std::to_string(row.cl);
    if (row.sentinel.has_value()) line += " sentinel" + DescribeClock(changeset, *row.sentinel);
    std::vector<std::string> parts;
    for (const cells::CellChange& cell : row.cells) {
      parts.push_back(" " + cells.tables[row.table].columns[cell.column] + "=" +
                      DescribeValue(cell.value) + " v" + std::to_string(cell.col_version) +
                      DescribeClock(changeset, cell.clock));
    }
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) line += part;
    lines.push_back(std::move(line));
  }
  for (const DocumentChange& document : changeset.documents) {
    lines.push_back(cells.tables[document.table].name + " " + ToHex(document.key) + " document " +
                    ToHex(document.blocks));
  }
  std::sort(lines.begin(), lines.end());
  std::string text = ToHex(cells.site.view()) + " (" + std::to_string(cells.previous) + ", " +
                     std::to_string(cells.version) + "] at " +
                     std::to_string(changeset.timestamp.ms) + "." +
                     std::to_string(changeset.timestamp.count) + " part " +
                     std::to_string(changeset.part) + "/" + std::to_string(changeset.parts) + "\n";
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace merrow::changeset
