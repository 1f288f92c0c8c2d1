// SPDX-License-Identifier: Apache-2.0
//
// Replica builder: puts a changeset together from events of clocks, in any order, with each table,
// column and author listed once and the events of a row in one RowChange.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "changeset/changeset.h"
#include "changeset/version_set.h"
#include "store/cell_reader.h"

namespace merrow::store {

class ReplicaBuilder {
 public:
  explicit ReplicaBuilder(const cells::SiteId& site);

  /// Adds the event that the reader stands at, as of `version`.
  Status Add(CellReader& reader, CellStore& cells, cells::DbVersion version);
  /// Adds rows and documents of another changeset as they are, as of `version`.
  void Add(const changeset::Changeset& other, cells::DbVersion version);
  /// Adds all that is known of a row. `values`: its columns in the order of the table's; null if it
  /// is gone.
  Status AddRow(const CellTable& table, BytesView key, const cells::RowClock& clock,
                const CellStatement* values, CellStore& cells);
  void AddDocument(const std::string& table, Bytes key, Bytes blocks);

  /// About how long the changeset is, encoded.
  size_t bytes() const { return bytes_; }
  bool empty() const { return changeset_.cells.rows.empty() && changeset_.documents.empty(); }
  changeset::Changeset Finish(const changeset::VersionRange& range,
                              const changeset::Timestamp& timestamp);

 private:
  struct Table {
    uint32_t index = 0;
    std::unordered_map<std::string, uint32_t> columns;
    std::vector<uint32_t> columns_by_id;  // 1 more; 0: not known
  };

  Table& TableOf(const std::string& name);
  uint32_t ColumnOf(Table& table, const std::string& name);
  uint32_t AuthorOf(const cells::SiteId& site);
  Table& TableOf(const CellReader& reader);
  uint32_t ColumnOf(Table& table, const CellColumn& column);
  Result<uint32_t> AuthorOf(cells::SiteOrdinal site, CellStore& cells);
  /// The row of the event that the reader stands at.
  cells::RowChange& RowOf(const Table& table, CellReader& reader);
  void EndTransaction();
  void IndexTransaction();

  changeset::Changeset changeset_;
  std::unordered_map<std::string, Table> tables_;
  std::unordered_map<std::string, uint32_t> authors_;
  /// By table index and key. Rows from begin_ on are not in it yet: they are those of the reader's
  /// transaction at hand, in which each row comes once.
  std::unordered_map<std::string, uint32_t> rows_;
  size_t begin_ = 0;
  cells::DbVersion transaction_ = 0;
  size_t last_own_row_ = SIZE_MAX;  // the last that was asked for
  // Of the event before.
  const CellTable* last_table_ = nullptr;
  Table* last_of_ = nullptr;
  std::optional<cells::SiteOrdinal> last_site_;
  uint32_t last_author_ = 0;
  size_t bytes_ = 0;
};

}  // namespace merrow::store
