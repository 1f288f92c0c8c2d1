// SPDX-License-Identifier: Apache-2.0
//
// Context: what both ends of a stream of changesets remember, so that names and counters that
// repeat cost next to nothing (changeset_format.h). Encoder and decoder keep it alike, step by
// step.
//
// Tables that both sides are known to have (their schema hashes are equal) can be there from the
// start, so that their names are never sent.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cells/row_change.h"
#include "changeset/changeset.h"

namespace merrow::changeset {

/// A table as far as changesets name it.
struct TableNames {
  std::string name;
  uint32_t key_columns = 1;
  std::vector<std::string> columns;  // without those of the key
};

class Context {
 public:
  Context() = default;
  /// With tables that both sides know, in the same order; up to the first that a context cannot
  /// hold.
  explicit Context(const std::vector<TableNames>& shared);

  struct Site {
    cells::SiteId id;
    cells::DbVersion last = 0;
  };
  struct Table {
    TableNames names;
    std::unordered_map<std::string, uint32_t> column_index;
  };

  const std::vector<Site>& sites() const { return sites_; }
  const std::vector<Table>& tables() const { return tables_; }
  const Timestamp& last_timestamp() const { return last_timestamp_; }

  std::optional<uint32_t> FindSite(const cells::SiteId& id) const;
  /// A table that was made anew with a longer or shorter key is another one.
  std::optional<uint32_t> FindTable(std::string_view name, uint32_t key_columns) const;

  // Each is limit if the context would exceed what changeset_format.h allows, and corruption if the
  // name is there already.
  Result<uint32_t> AddSite(const cells::SiteId& id);
  Result<uint32_t> AddTable(std::string_view name, uint32_t key_columns);
  Result<uint32_t> AddColumn(uint32_t table, std::string_view name);

  void NoteChangeset(uint32_t site, cells::DbVersion version, const Timestamp& timestamp);

  /// RollBack undoes everything since the last Begin.
  void Begin();
  void RollBack();

 private:
  Status TakeName(std::string_view name);
  void ReturnName(std::string_view name);

  struct Journal {
    size_t sites = 0;
    size_t tables = 0;
    std::vector<uint32_t> columns;                            // tables that got one
    std::vector<std::pair<uint32_t, cells::DbVersion>> last;  // sites, and what stood there
    Timestamp last_timestamp;
  };

  std::vector<Site> sites_;
  std::map<cells::SiteId, uint32_t> site_index_;
  std::vector<Table> tables_;
  std::map<std::pair<std::string, uint32_t>, uint32_t> table_index_;  // by name and key columns
  size_t name_bytes_ = 0;
  Timestamp last_timestamp_;
  Journal journal_;
};

}  // namespace merrow::changeset
