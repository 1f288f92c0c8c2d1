// SPDX-License-Identifier: Apache-2.0
//
// CellStore takes over a database that cr-sqlite made. For each of its tables t there are
// t__crsql_clock (one row per cell, '-1' for the sentinel) and t__crsql_pks (which key is which
// number); crsql_site_id names the sites. Their content becomes packed clocks and log rows under
// the same versions and site id, so peers notice nothing.
#include "cells/packed_key.h"
#include "store/cell_store.h"

namespace merrow::store {
namespace {

/// Databases of earlier releases have clocks that mean something else.
constexpr int64_t kCrSqliteVersionMin = 150000;

constexpr std::string_view kClockSuffix = "__crsql_clock";

}  // namespace

Result<bool> CellStore::IsCrSqliteTable(std::string_view name) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db_,
                               "SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND "
                               "name = ?1 || '__crsql_itrig' COLLATE NOCASE"));
  statement.Bind(1, cells::ValueView::Text(name));
  return statement.Step();
}

Result<int64_t> CellStore::TakeOver() {
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT count(*) FROM main.sqlite_master WHERE name IN ('crsql_site_id', 'crsql_master')"));
  MERROW_ASSIGN(const bool counted, statement.Step());
  if (!counted || statement.Int(0) != 2) {
    return NotFound("this is not a database of cr-sqlite");
  }
  statement.Finalize();
  MERROW_TRY(
      statement.Prepare(db_, "SELECT value FROM main.crsql_master WHERE key = 'crsqlite_version'"));
  MERROW_ASSIGN(const bool has_version, statement.Step());
  if (!has_version || statement.Int(0) < kCrSqliteVersionMin) {
    return Unsupported("a database of cr-sqlite before 0.15; open it with 0.16 first");
  }
  statement.Finalize();
  MERROW_TRY(TakeOverSites());
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT substr(name, 1, length(name) - ?1) FROM main.sqlite_master WHERE type = 'table' "
      "AND substr(name, -?1) = ?2 ORDER BY name"));
  statement.BindInt(1, static_cast<int64_t>(kClockSuffix.size()));
  statement.Bind(2, cells::ValueView::Text(kClockSuffix));
  std::vector<std::string> names;
  while (true) {
    MERROW_ASSIGN(const bool more, statement.Step());
    if (!more) {
      break;
    }
    names.push_back(statement.Text(0));
  }
  statement.Finalize();
  for (const std::string& name : names) {
    Status taken = TakeOverTable(name);
    if (!taken.ok()) {
      return taken.error().Within("taking over table " + name);
    }
  }
  MERROW_ASSIGN(const int64_t merge_equal_values, [&]() -> Result<int64_t> {
    CellStatement config;
    MERROW_TRY(config.Prepare(
        db_, "SELECT value FROM main.crsql_master WHERE key = 'config.merge-equal-values'"));
    MERROW_ASSIGN(const bool set, config.Step());
    return set ? config.Int(0) : 0;
  }());
  MERROW_TRY(SetConfigInt("merge-equal-values", merge_equal_values));
  MERROW_TRY(RunSql(db_, "DROP TABLE main.crsql_master; DROP TABLE main.crsql_site_id"));
  MERROW_TRY(savepoint.Release());
  return static_cast<int64_t>(names.size());
}

Status CellStore::TakeOverSites() {
  MERROW_TRY(tables_.Initialize());
  if (!tables_.tables().empty()) {
    return Conflict("tables of this database are tracked already, under another site id");
  }
  sites_loaded_ = false;
  return RunSql(db_,
                "DELETE FROM main._merrow_site; INSERT INTO main._merrow_site (ordinal, id) "
                "SELECT ordinal, site_id FROM main.crsql_site_id");
}

Status CellStore::TakeOverTable(const std::string& name) {
  for (const char* suffix : {"itrig", "utrig", "dtrig"}) {
    MERROW_TRY(RunSql(db_, "DROP TRIGGER IF EXISTS main." + SqlName(name + "__crsql_" + suffix)));
  }
  MERROW_ASSIGN(CellTable* const table, tables_.Track(name));
  MERROW_TRY(Join());
  std::string keys;
  for (const CellColumn& column : table->key) {
    keys += "p." + SqlName(column.name) + ", ";
  }
  CellStatement scan;
  MERROW_TRY(
      scan.Prepare(db_, "SELECT " + keys +
                            "c.col_name, c.col_version, c.db_version, c.seq, c.site_id FROM main." +
                            SqlName(name + "__crsql_clock") + " c JOIN main." +
                            SqlName(name + "__crsql_pks") + " p ON p.__crsql_key = c.key"));
  const auto first = static_cast<int>(table->key.size());
  cells::DbVersion last_version = 0;
  while (true) {
    MERROW_ASSIGN(const bool more, scan.Step());
    if (!more) {
      break;
    }
    Bytes buffer;
    MERROW_ASSIGN(const RowKey key, KeyOfColumns(*table, scan, buffer));
    const std::string column = scan.Text(first);
    const cells::Stamp stamp{scan.Int(first + 2), scan.Int(first + 3),
                             static_cast<cells::SiteOrdinal>(scan.Int(first + 4))};
    const int64_t col_version = scan.Int(first + 1);
    if (stamp.db_version < 0 || stamp.db_version >= cells::kDbVersionMax || stamp.seq < 0 ||
        col_version < 0) {
      return Corruption("a clock of column " + column + " is out of range");
    }
    last_version = std::max(last_version, stamp.db_version);
    MERROW_ASSIGN(CellTransaction::Row* const row, transaction_.Find(*table, key));
    const size_t index = table->FindColumn(column);
    if (column != kSentinelColumn && index == CellTable::npos) {
      continue;  // of a column that was dropped
    }
    transaction_.WillChange(*row, stamp.db_version);
    if (column == kSentinelColumn) {
      row->clock.SetSentinel({std::max<cells::CausalLength>(col_version, 1), stamp});
    } else {
      row->clock.SetCell({table->columns[index].id, col_version, stamp});
    }
  }
  scan.Finalize();
  transaction_.RaiseVersion(last_version);
  MERROW_TRY(transaction_.Flush());
  return RunSql(db_, "DROP TABLE main." + SqlName(name + "__crsql_clock") + "; DROP TABLE main." +
                         SqlName(name + "__crsql_pks"));
}

}  // namespace merrow::store
