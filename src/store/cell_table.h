// SPDX-License-Identifier: Apache-2.0
//
// The tables whose rows merge by cell: which they are, what their columns are called and numbered,
// and the triggers that report writes to them.
//
// Kept in the database (docs/format.md):
//
//   _merrow_cell_table  (id INTEGER PRIMARY KEY, name)
//   _merrow_cell_column (table_id, id, name), PRIMARY KEY (table_id, id); name is NULL once dropped
//   _merrow_clock_<id>  the clocks of its rows (cell_clocks.h). Their keys are the rowids for a
//                       table with an INTEGER PRIMARY KEY, else stored keys.
//   triggers _merrow_<id>_insert, _update and _delete on the table
//
// A table renamed by ALTER TABLE keeps its triggers, so the name is looked up by them.

#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cells/row_clock.h"
#include "cells/value.h"
#include "merrow/result.h"
#include "store/cell_clocks.h"
#include "store/cell_statement.h"

namespace merrow::store {

struct CellColumn {
  std::string name;
  cells::Affinity affinity = cells::Affinity::kBlob;
  cells::ColumnId id = 0;   // not for key columns
  std::string default_sql;  // empty: NULL
  // Of this cell alone: into a row that is there, and into one that may have to be made.
  CellStatement update = {}, write = {};
};

/// Statements that write rows of one table, by the columns that they write.
struct RowStatements {
  std::map<std::string, CellStatement> by_columns;
  std::vector<cells::ColumnId> last_columns;
  CellStatement* last = nullptr;

  void Clear() {
    last = nullptr;
    by_columns.clear();
  }
};

/// Arguments that a function of SQLite takes, as it is usually built.
inline constexpr size_t kArgumentsMax = 127;
/// Columns, old and new, that fit one call of merrow_cell_columns.
inline constexpr size_t kColumnsPerCall = (kArgumentsMax - 2) / 2;

/// One tracked table, as the schema has it now, with the statements that touch its rows.
struct CellTable {
  int64_t id = 0;
  std::string name;
  bool int_key = false;             // the key is the rowid
  std::vector<CellColumn> key;      // in the order of PRIMARY KEY
  std::vector<CellColumn> columns;  // the others, by rising id
  std::vector<cells::ColumnId> column_ids;
  /// How many of `columns` the update trigger passes; the others were added since.
  size_t triggered_columns = 0;
  /// How many of them it passes by merrow_cell_columns, because merrow_cell_update, which comes
  /// last, has no room for them.
  size_t ColumnsBeforeLastCall() const {
    const size_t room = (kArgumentsMax - 1) / 2 - std::min(key.size(), (kArgumentsMax - 1) / 2);
    return columns.size() - std::min(columns.size(), room);
  }
  cells::ColumnId next_column_id = 0;
  bool has_triggers = false;
  /// What the clocks' keys are made of; differs from KeySignature() once the key was changed.
  std::string stored_key;
  /// Tombstones up to this causal length were dropped, so a row that is not known may have lived
  /// that long. Even.
  cells::CausalLength life_floor = 0;
  /// A column of an earlier schema is gone.
  bool lost_column = false;
  /// Ids are 0 to columns.size() - 1, so a fresh row packs short.
  bool dense = false;

  // Prepared when first needed; columns of the rows in the order of `columns`.
  CellClocks clocks;
  CellStatement read_row, delete_row, probe_row;
  RowStatements update_cells, write_cells;

  /// Index into `columns`, or npos. `guess` is looked at first.
  size_t FindColumn(std::string_view column, size_t guess = 0) const;
  size_t IndexOf(cells::ColumnId column) const;
  bool HasColumn(cells::ColumnId column) const {
    return dense ? column < columns.size() : IndexOf(column) != npos;
  }
  bool IsKey(std::string_view column) const;
  std::string ClockTable() const { return CellClocks::TableName(id); }
  /// " WHERE key columns = ?1 ...", and the values for it, whose bytes `packed` owns. Resets the
  /// statement.
  std::string WhereKey() const;
  Status BindKey(CellStatement& statement, const cells::ClockKey& stored, Bytes& packed) const;
  Result<bool> HasRow(sqlite3* db, const cells::ClockKey& stored);
  void FinalizeStatements();
  /// Names the key's columns and how they are stored.
  std::string KeySignature() const;

  static constexpr size_t npos = static_cast<size_t>(-1);
};

/// Hears that tables are read anew because the schema may have changed.
class CellTablesListener {
 public:
  virtual ~CellTablesListener() = default;
  /// Statements are prepared again, after all were let go of.
  virtual void WillPrepare() = 0;
  /// tables() are still as they were.
  virtual Status BeforeReload() = 0;
  virtual Status AfterReload() = 0;
  /// Refresh() has looked at the database, so this connection knows whether others have written.
  virtual void AfterLook() = 0;
};

/// All tracked tables of the connection's main database.
class CellTables {
 public:
  CellTables(sqlite3* db, CellTablesListener& listener)
      : db_(db), listener_(listener), pending_(db) {}

  /// Brings everything up to date if the schema changed since the last call. Cheap otherwise.
  Status Refresh();
  /// Makes the next Refresh() read everything again.
  void Invalidate() { schema_version_ = -1; }
  bool valid() const { return schema_version_ >= 0; }
  void FinalizeStatements();

  /// Merrow's own tables exist.
  bool initialized() const { return initialized_; }
  /// A replica log (replica_log.h) says whose the transactions are.
  bool has_replica_log() const { return has_replica_log_; }
  PendingClocks& pending() { return pending_; }
  /// A reader that outlives a Refresh() keeps a copy of this.
  const std::vector<std::shared_ptr<CellTable>>& tables() const { return tables_; }
  /// Null if there is none.
  CellTable* Find(std::string_view name);
  CellTable* FindId(int64_t id);
  /// Tracked tables that are not there now, as while they are built anew: their ids, and whether
  /// their clocks have stored keys.
  const std::map<int64_t, bool>& absent() const { return absent_; }

  /// Creates Merrow's own tables. In the caller's transaction, as all below.
  Status Initialize();
  /// Makes `name` a tracked table, or brings its columns and triggers up to date if it is one.
  /// The rows that it has get no clocks here.
  Result<CellTable*> Track(std::string_view name);
  /// Forgets the table, its clocks and triggers; its rows stay.
  Status Untrack(std::string_view name);
  Status DropTriggers(const CellTable& table);
  Status CreateTriggers(CellTable& table);

  /// What a table must be to be tracked; the error says what it is not.
  Status CheckTrackable(std::string_view name);

 private:
  Status Load();
  Status LoadTable(CellTable& table);
  Status NumberColumns(CellTable& table);
  Result<int64_t> SchemaVersion();

  sqlite3* db_;
  CellTablesListener& listener_;
  int64_t schema_version_ = -1;
  bool initialized_ = false;
  bool has_replica_log_ = false;
  PendingClocks pending_;
  std::vector<std::shared_ptr<CellTable>> tables_;
  std::map<int64_t, bool> absent_;
  CellStatement read_schema_version_;
};

}  // namespace merrow::store
