// SPDX-License-Identifier: Apache-2.0
//
// CellStore's part in ALTER TABLE: between BeginAlter() and CommitAlter() a table may be changed in
// any way, and afterwards its clocks agree with it again.
#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "store/cell_store.h"

namespace merrow::store {
namespace {

/// Each row's key, and of each other column whether it has its default.
std::string SelectDefaults(const CellTable& table) {
  std::string columns;
  for (const CellColumn& column : table.key) {
    columns += (columns.empty() ? "" : ", ") + SqlName(column.name);
  }
  for (const CellColumn& column : table.columns) {
    columns += ", " + SqlName(column.name) + " IS (" +
               (column.default_sql.empty() ? "NULL" : column.default_sql) + ")";
  }
  return "SELECT " + columns + " FROM main." + SqlName(table.name);
}

}  // namespace

Result<int64_t> CellStore::RootPage(std::string_view name) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db_,
                               "SELECT rootpage FROM main.sqlite_master WHERE type = 'table' AND "
                               "name = ?1 COLLATE NOCASE"));
  statement.Bind(1, cells::ValueView::Text(name));
  MERROW_ASSIGN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

Status CellStore::BeginAlter(std::string_view name) {
  MERROW_TRY(tables_.Refresh());
  if (tables_.Find(name) == nullptr) {
    return NotFound("table " + std::string(name) + " is not tracked");
  }
  if (sqlite3_get_autocommit(db_) == 0) {
    MERROW_TRY(Join());  // so that savepoints are reported
  }
  MERROW_TRY(RunSql(db_, "SAVEPOINT merrow_alter"));
  Status begun = DropForAlter(name);
  if (!begun.ok() && sqlite3_get_autocommit(db_) == 0) {
    sqlite3_exec(db_, "ROLLBACK TO merrow_alter; RELEASE merrow_alter", nullptr, nullptr, nullptr);
    Forget();
  }
  return begun;
}

Status CellStore::DropForAlter(std::string_view name) {
  MERROW_TRY(Fold());
  CellTable* const table = tables_.Find(name);
  table->FinalizeStatements();
  CellStatement rename;
  MERROW_TRY(rename.Prepare(db_, "UPDATE main._merrow_cell_table SET name = ?2 WHERE id = ?1"));
  rename.BindInt(1, table->id);
  rename.Bind(2, cells::ValueView::Text(table->name));
  MERROW_TRY(rename.Run());
  MERROW_TRY(tables_.DropTriggers(*table));
  MERROW_ASSIGN(const int64_t root_page, RootPage(name));
  tables_.Invalidate();
  alters_.push_back(
      {std::string(name), sqlite3_total_changes(db_), root_page, transaction_.last_savepoint()});
  return {};
}

Status CellStore::CommitAlter(std::string_view name) {
  const auto alter = std::find_if(alters_.rbegin(), alters_.rend(), [name](const Alter& one) {
    return one.table.size() == name.size() &&
           sqlite3_strnicmp(one.table.data(), name.data(), static_cast<int>(name.size())) == 0;
  });
  const std::optional<Alter> begun =
      alter == alters_.rend() ? std::nullopt : std::optional<Alter>(*alter);
  MERROW_ASSIGN(const int64_t root_page, RootPage(name));
  const bool same_rows = begun.has_value() && begun->changes == sqlite3_total_changes(db_) &&
                         begun->root_page == root_page;
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  tables_.Invalidate();
  MERROW_TRY(tables_.Refresh());
  CellTable* const before = tables_.Find(name);
  if (before == nullptr) {
    return NotFound("table " + std::string(name) + " is not tracked, or is gone");
  }
  const bool same_key = before->stored_key == before->KeySignature();
  const bool lost_column = before->lost_column;
  MERROW_ASSIGN(CellTable* const table, tables_.Track(name));
  if (!same_key) {
    MERROW_TRY(Backfill(*table));
  } else if (!same_rows || lost_column) {
    MERROW_TRY(Reconcile(*table));
  }
  MERROW_TRY(savepoint.Release());
  if (!begun.has_value()) {
    return {};
  }
  const auto is_it = [&begun](const Alter& one) { return one.table == begun->table; };
  std::erase_if(alters_, is_it);  // which may be the end of the transaction
  Status released = RunSql(db_, "RELEASE merrow_alter");
  if (!released.ok() && sqlite3_get_autocommit(db_) == 0) {
    alters_.push_back(*begun);  // somebody else reads the database; to be called again
  }
  return released;
}

/// A cell for every value that has none and is not what a new row would have; a row that is not
/// known at all gets all its cells.
Status CellStore::ReconcileRow(CellTable& table, CellStatement& scan, cells::DbVersion version) {
  Bytes buffer;
  MERROW_ASSIGN(const RowKey key, KeyOfColumns(table, scan, buffer));
  MERROW_ASSIGN(CellTransaction::Row* const row, transaction_.Find(table, key));
  const bool is_known = !row->clock.empty();
  bool will_change = false;
  const auto change = [&] {
    if (!will_change) {
      transaction_.WillChange(*row, version);
      will_change = true;
    }
  };
  if (table.columns.empty() && !is_known) {
    change();
    row->clock.SetSentinel({1, {version, transaction_.TakeSeq(), 0}});
  }
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const cells::ColumnId column = table.columns[i].id;
    const bool is_default = scan.Int(static_cast<int>(table.key.size() + i)) != 0;
    if (row->clock.Find(column) == nullptr && (!is_known || !is_default)) {
      change();
      row->clock.SetCell({column, 1, {version, transaction_.TakeSeq(), 0}});
    }
  }
  return {};
}

Status CellStore::Reconcile(CellTable& table) {
  MERROW_TRY(Join());
  CellStatement scan;
  MERROW_TRY(scan.Prepare(db_, SelectDefaults(table)));
  const cells::DbVersion version = std::max<cells::DbVersion>(transaction_.committed(), 1);
  while (true) {
    MERROW_ASSIGN(const bool more, scan.Step());
    if (!more) {
      break;
    }
    MERROW_TRY(ReconcileRow(table, scan, version));
  }
  return DropVanished(table);
}

// --- A table that is altered in the middle of a transaction that wrote to it.

/// What happened so far happened to the table as it was.
Status CellStore::BeforeReload() {
  columns_before_.clear();
  last_row_.table = nullptr;
  if (!transaction_.active()) {
    return {};
  }
  MERROW_TRY(transaction_.Process());
  for (const std::shared_ptr<CellTable>& table : tables_.tables()) {
    if (transaction_.HasRows(table->id)) {
      columns_before_[table->id] = table->column_ids;
    }
  }
  return {};
}

/// Others may have changed which sites there are.
void CellStore::AfterLook() { sites_loaded_ = sites_loaded_ && sites_data_ == DataVersion(); }

/// Triggers do not report columns that were added behind their back, so what was written to them
/// since is found in the rows themselves. BeginAlter and CommitAlter have their own way.
Status CellStore::AfterReload() {
  const bool is_written = sqlite3_txn_state(db_, "main") == SQLITE_TXN_WRITE;
  if (is_written && !joining_ && !transaction_.active()) {
    // This schema may be undone, and only who has joined is told.
    if (!tables_.initialized()) {
      tables_.Invalidate();
      return {};
    }
    MERROW_TRY(Join());
  }
  for (const auto& [table_id, columns] : std::exchange(columns_before_, {})) {
    CellTable* const table = tables_.FindId(table_id);
    if (table == nullptr || !alters_.empty()) {
      continue;
    }
    const bool has_new = !std::includes(columns.begin(), columns.end(), table->column_ids.begin(),
                                        table->column_ids.end());
    if (has_new) {
      MERROW_TRY(ReconcileTouched(*table));
    }
  }
  return {};
}

Status CellStore::ReconcileTouched(CellTable& table) {
  CellStatement read;
  MERROW_TRY(read.Prepare(db_, SelectDefaults(table) + table.WhereKey()));
  Bytes packed;
  for (const cells::ClockKey& key : transaction_.KeysOf(table.id)) {
    MERROW_TRY(table.BindKey(read, key, packed));
    MERROW_ASSIGN(const bool exists, read.Step());
    if (exists) {
      MERROW_TRY(ReconcileRow(table, read, transaction_.version()));
    }
  }
  return {};
}

/// Live clocks of rows that are gone: they were not deleted, they are no longer part of the table.
Status CellStore::DropVanished(CellTable& table) {
  MERROW_TRY(transaction_.Flush());
  const auto drop_if_gone = [&](const cells::ClockKey& key) -> Status {
    MERROW_ASSIGN(const bool exists, table.HasRow(db_, key));
    if (!exists) {
      MERROW_ASSIGN(CellTransaction::Row* const row, transaction_.FindStored(table, key));
      transaction_.WillChange(*row, std::max<cells::DbVersion>(transaction_.committed(), 1));
      row->clock.Clear();
    }
    return {};
  };
  CellClocks clocks(db_, table.id, !table.int_key, &tables_.pending());
  cells::RowClock clock;
  return clocks.ForEach(nullptr, nullptr, [&](const cells::ClockRun& run) -> Result<bool> {
    if (!run.is_fresh()) {
      MERROW_TRY(clock.DecodeFrom(run.clock));
      if (!cells::IsAlive(clock.cl())) {
        return true;
      }
    }
    cells::ClockKey key = run.key;
    for (uint64_t i = 0; i < run.count; ++i) {
      key.number = run.key.number + static_cast<int64_t>(i);
      MERROW_TRY(drop_if_gone(key));
    }
    return true;
  });
}

}  // namespace merrow::store
