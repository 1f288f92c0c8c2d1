// SPDX-License-Identifier: Apache-2.0
//
// Replica builder: puts a changeset together from events of clocks, in any order, with each table,
// column and author listed once and the events of a row in one RowChange.

#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

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
  };

  Table& TableOf(const std::string& name);
  uint32_t ColumnOf(Table& table, const std::string& name);
  uint32_t AuthorOf(const cells::SiteId& site);
  cells::RowChange& RowOf(const Table& table, BytesView key, cells::CausalLength cl);

  changeset::Changeset changeset_;
  std::unordered_map<std::string, Table> tables_;
  std::unordered_map<std::string, uint32_t> authors_;
  std::unordered_map<std::string, uint32_t> rows_;  // by table index and key
  size_t last_own_row_ = SIZE_MAX;                  // of rows_, the last that was asked for
  size_t bytes_ = 0;
};

}  // namespace merrow::store
