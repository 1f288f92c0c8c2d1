// SPDX-License-Identifier: Apache-2.0
#include "store/cell_store.h"

#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "store/cell_tx_rows.h"

namespace merrow::store {
namespace {

/// More sites than this in one database is a mistake or an attack.
constexpr int64_t kSitesMax = 1 << 24;

}  // namespace

CellStore::~CellStore() = default;

void CellStore::FinalizeStatements() {
  if (listener_ != nullptr) {
    listener_->FinalizeStatements();
  }
  tables_.FinalizeStatements();
  transaction_.FinalizeStatements();
  for (CellStatement* statement : {&join_, &read_version_, &to_text_, &to_number_}) {
    statement->Finalize();
  }
}

void CellStore::Forget() {
  sites_loaded_ = false;
  merge_equal_values_.reset();
  committed_data_.reset();
  tables_.Invalidate();
}

Status CellStore::Join() {
  if (transaction_.active()) {
    return tables_.valid() ? Status() : tables_.Refresh();
  }
  if (!tables_.initialized()) {
    MERROW_TRY(tables_.Refresh());
    if (!tables_.initialized()) {
      return NotFound("no table of this database is tracked");
    }
  }
  WatchClose();
  const KeepLastInsertRowId keep(db_);
  MERROW_TRY(join_.Prepare(db_, "INSERT INTO merrow_cell_txn (joined) VALUES (1)"));
  joining_ = true;
  Status status = join_.Run();
  joining_ = false;
  if (status.ok() && !transaction_.active()) {
    join_.Finalize();
    if (sqlite3_txn_state(db_, "main") != SQLITE_TXN_WRITE) {
      return InvalidArgument("called outside a statement that writes");
    }
    return InvalidArgument(
        "this database has a table named merrow_cell_txn, which keeps Merrow from its own virtual "
        "table of that name; rename it");
  }
  return status;
}

/// Called by SQLite within Join(), when it holds the write lock: nobody else writes from now on.
Status CellStore::BeginTransaction() {
  begun_data_ = DataVersion();
  const bool same_data = committed_data_ == begun_data_ && tables_.valid();
  // Within an explicit transaction the schema may have been changed already.
  if (!same_data || sqlite3_get_autocommit(db_) == 0) {
    MERROW_TRY(tables_.Refresh());
    if (!tables_.initialized()) {
      return NotFound("no table of this database is tracked");
    }
  }
  if (!same_data || tables_.has_replica_log()) {
    MERROW_TRY(tables_.pending().Refresh());
    transaction_.ForgetBlocks();
    MERROW_ASSIGN(committed_version_, ReadDbVersion());
    merge_equal_values_.reset();  // another connection may have set it
  }
  transaction_.Begin(committed_version_);
  return {};
}

void CellStore::Committed() {
  committed_version_ = std::max(committed_version_, transaction_.written_version());
  committed_data_ = DataVersion();
  if (sites_data_ == begun_data_) {
    sites_data_ = *committed_data_;
  }
  alters_.clear();
  transaction_.End();
}

void CellStore::SavepointEnded(int number) {
  std::erase_if(alters_, [number](const Alter& alter) { return number < alter.savepoint; });
}

void CellStore::WatchClose() {
  if (!watches_close_) {
    // Connects that table, so that it is disconnected when the connection is closed. A database
    // that cannot be read now gives no statement to let go of either.
    watches_close_ = sqlite3_exec(db_, "SELECT 1 FROM merrow_cell_close", nullptr, nullptr,
                                  nullptr) == SQLITE_OK;
  }
}

/// SQLite also tells virtual tables that their transaction was undone, but when a statement of the
/// user's is open it does not undo it: what would be committed after that had no clocks.
void CellStore::Closing() {
  watches_close_ = false;
  if (transaction_.active()) {
    if (sqlite3_get_autocommit(db_) == 0) {
      sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    } else {
      sqlite3_interrupt(db_);  // the statement, with which the transaction ends
    }
  }
  FinalizeStatements();
}

/// Changes whenever anybody commits, as far as this connection has noticed: it does when it begins
/// to read.
uint32_t CellStore::DataVersion() {
  uint32_t version = 0;
  sqlite3_file_control(db_, "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

Status CellStore::Fold() {
  if (transaction_.active()) {
    // Before the schema that the events are of is forgotten.
    MERROW_TRY(transaction_.Process());
  }
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    return {};
  }
  MERROW_TRY(Join());
  MERROW_TRY(transaction_.Flush());
  return transaction_.Fold();
}

Result<cells::DbVersion> CellStore::ReadDbVersion() {
  // Transactions that left no clocks (document ops, merges without effect) are only in the replica
  // log.
  if (read_version_has_log_ != tables_.has_replica_log()) {
    read_version_has_log_ = tables_.has_replica_log();
    read_version_.Finalize();
  }
  MERROW_TRY(read_version_.Prepare(
      db_, read_version_has_log_
               ? "SELECT (SELECT max(id) FROM main._merrow_tx), (SELECT max(local) FROM "
                 "main._merrow_source)"
               : "SELECT max(id), 0 FROM main._merrow_tx"));
  const ResetAtEnd reset(read_version_);
  MERROW_ASSIGN(const bool row, read_version_.Step());
  return row ? std::max(read_version_.Int(0) >> kTxPartBits, read_version_.Int(1)) : 0;
}

Result<cells::DbVersion> CellStore::DbVersion() {
  if (transaction_.active()) {
    return transaction_.committed();
  }
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    return 0;
  }
  return ReadDbVersion();
}

Result<cells::DbVersion> CellStore::NextDbVersion() {
  if (transaction_.active()) {
    return transaction_.version();
  }
  MERROW_ASSIGN(const cells::DbVersion version, DbVersion());
  return version + 1;
}

Status CellStore::ForEachClock(
    const CellTable& table,
    const std::function<void(const cells::ClockKey&, const cells::RowClock&)>& each) {
  if (transaction_.active()) {
    MERROW_TRY(transaction_.Flush());
  } else {
    MERROW_TRY(tables_.pending().Refresh());
  }
  CellClocks clocks(db_, table.id, !table.int_key, &tables_.pending());
  cells::RowClock clock;
  return clocks.ForEach(nullptr, nullptr, [&](const cells::ClockRun& run) -> Result<bool> {
    if (!run.is_fresh()) {
      MERROW_TRY(clock.DecodeFrom(run.clock));
      each(run.key, clock);
      return true;
    }
    cells::ClockRun rows = run;
    while (true) {
      clock.SetFresh(rows.fresh);
      each(rows.key, clock);
      if (rows.count == 1) {
        return true;
      }
      rows.Drop(1);
    }
  });
}

// --- Sites.

Status CellStore::LoadSites() {
  if (sites_loaded_) {
    return {};
  }
  sites_.clear();
  ordinals_.clear();
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db_, "SELECT ordinal, id FROM main._merrow_site"));
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      break;
    }
    const int64_t ordinal = statement.Int(0);
    if (ordinal < 0 || ordinal > kSitesMax) {
      return Corruption("_merrow_site: ordinal " + std::to_string(ordinal) + " is out of range");
    }
    MERROW_ASSIGN(const cells::SiteId site, cells::SiteId::FromBytes(statement.Column(1).bytes));
    sites_.resize(std::max(sites_.size(), static_cast<size_t>(ordinal) + 1));
    sites_[static_cast<size_t>(ordinal)] = site;
    ordinals_[std::string(site.view())] = static_cast<cells::SiteOrdinal>(ordinal);
  }
  if (sites_.empty() || !sites_[0].has_value()) {
    return Corruption("_merrow_site: this database has no site id");
  }
  sites_data_ = DataVersion();
  sites_loaded_ = true;
  return {};
}

Result<cells::SiteId> CellStore::OwnSite() {
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
    MERROW_TRY(tables_.Initialize());
    MERROW_TRY(savepoint.Release());
  }
  return SiteOf(0);
}

Result<cells::SiteId> CellStore::SiteOf(cells::SiteOrdinal ordinal) {
  if (ordinal == cells::kNobody) {
    return cells::SiteId();
  }
  MERROW_TRY(LoadSites());
  if (ordinal >= sites_.size() || !sites_[ordinal].has_value()) {
    // Another connection may have added it.
    sites_loaded_ = false;
    MERROW_TRY(LoadSites());
    if (ordinal >= sites_.size() || !sites_[ordinal].has_value()) {
      return Corruption("site " + std::to_string(ordinal) + " is not in _merrow_site");
    }
  }
  return *sites_[ordinal];
}

Result<std::optional<cells::SiteOrdinal>> CellStore::FindOrdinal(const cells::SiteId& site) {
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    return std::optional<cells::SiteOrdinal>();
  }
  if (site == cells::SiteId()) {
    return std::optional<cells::SiteOrdinal>(cells::kNobody);
  }
  // Another connection may have added it.
  for (int attempt = 0; attempt < 2; ++attempt) {
    MERROW_TRY(LoadSites());
    const auto found = ordinals_.find(std::string(site.view()));
    if (found != ordinals_.end()) {
      return std::optional<cells::SiteOrdinal>(found->second);
    }
    sites_loaded_ = false;
  }
  return std::optional<cells::SiteOrdinal>();
}

Result<cells::SiteOrdinal> CellStore::OrdinalOf(const cells::SiteId& site) {
  if (site == cells::SiteId()) {
    return cells::kNobody;
  }
  MERROW_TRY(LoadSites());
  if (last_ordinal_ < sites_.size() && sites_[last_ordinal_] == site) {
    return last_ordinal_;
  }
  const std::string id(site.view());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto found = ordinals_.find(id);
    if (found != ordinals_.end()) {
      last_ordinal_ = found->second;
      return found->second;
    }
    CellStatement insert;
    MERROW_TRY(insert.Prepare(db_, "INSERT OR IGNORE INTO main._merrow_site (id) VALUES (?1)"));
    insert.Bind(1, cells::ValueView::Blob(id));
    MERROW_TRY(insert.Run());
    sites_loaded_ = false;
    MERROW_TRY(LoadSites());
  }
  return Corruption("_merrow_site does not keep what is put in");
}

// --- Configuration.

Result<int64_t> CellStore::ConfigInt(std::string_view key, int64_t otherwise) {
  MERROW_TRY(tables_.Refresh());
  if (!tables_.initialized()) {
    return otherwise;
  }
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db_, "SELECT value FROM main._merrow_cell_config WHERE key = ?1"));
  statement.Bind(1, cells::ValueView::Text(key));
  MERROW_ASSIGN(const bool row, statement.Step());
  return row ? statement.Int(0) : otherwise;
}

Status CellStore::SetConfigInt(std::string_view key, int64_t value) {
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  MERROW_TRY(tables_.Initialize());
  CellStatement statement;
  MERROW_TRY(
      statement.Prepare(db_, "INSERT OR REPLACE INTO main._merrow_cell_config VALUES (?1, ?2)"));
  statement.Bind(1, cells::ValueView::Text(key));
  statement.BindInt(2, value);
  MERROW_TRY(statement.Run());
  merge_equal_values_.reset();
  return savepoint.Release();
}

// --- Schema.

Status CellStore::Track(std::string_view name) {
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  MERROW_TRY(Fold());
  MERROW_ASSIGN(const bool is_cr_sqlite, IsCrSqliteTable(name));
  if (is_cr_sqlite) {
    return InvalidArgument("table " + std::string(name) +
                           " belongs to cr-sqlite; SELECT merrow_take_over() makes it Merrow's");
  }
  CellTable* const before = tables_.Find(name);
  const bool was_tracked = before != nullptr && before->has_triggers;
  const bool was_dropped = before != nullptr && !before->has_triggers;
  MERROW_ASSIGN(CellTable* const table, tables_.Track(name));
  if (!was_tracked) {
    MERROW_TRY(Backfill(*table));
  }
  if (was_dropped) {
    MERROW_TRY(DropVanished(*table));
  }
  return savepoint.Release();
}

Status CellStore::Untrack(std::string_view name) {
  MERROW_ASSIGN(CellSavepoint savepoint, CellSavepoint::Begin(db_));
  MERROW_TRY(Fold());
  MERROW_TRY(tables_.Untrack(name));
  return savepoint.Release();
}

/// The key in the first columns of the statement's row; packed into `buffer` unless a number.
Result<RowKey> CellStore::KeyOfColumns(CellTable& table, CellStatement& statement, Bytes& buffer) {
  if (table.int_key) {
    return RowKey{table.id, statement.Int(0), {}};
  }
  buffer.assign(1, static_cast<char>(static_cast<unsigned char>(table.key.size())));
  for (size_t i = 0; i < table.key.size(); ++i) {
    const cells::ValueView value = statement.Column(static_cast<int>(i));
    if (value.type == cells::ValueType::kNull) {
      return InvalidArgument("table " + table.name + ": a row has NULL in key column " +
                             table.key[i].name);
    }
    cells::AppendPackedColumn(cells::KeyValue(value, table.key[i].affinity), buffer);
  }
  return RowKey{table.id, 0, buffer};
}

Status CellStore::Backfill(CellTable& table) {
  std::string keys;
  for (const CellColumn& column : table.key) {
    keys += (keys.empty() ? "" : ", ") + SqlName(column.name);
  }
  CellStatement scan;
  MERROW_TRY(scan.Prepare(db_, "SELECT " + keys + " FROM main." + SqlName(table.name)));
  bool joined = false;
  while (true) {
    MERROW_ASSIGN(const bool row, scan.Step());
    if (!row) {
      return {};
    }
    if (!joined) {
      MERROW_TRY(Join());
      joined = true;
    }
    Bytes packed;
    MERROW_ASSIGN(const RowKey key, KeyOfColumns(table, scan, packed));
    MERROW_ASSIGN(CellTransaction::Row* const known, transaction_.Find(table, key));
    if (known->clock.empty()) {
      transaction_.AddInsert(key);
    }
  }
}

// --- Savepoints.

Result<CellSavepoint> CellSavepoint::Begin(sqlite3* db) {
  MERROW_TRY(RunSql(db, "SAVEPOINT merrow_cells"));
  return CellSavepoint(db);
}

CellSavepoint::~CellSavepoint() {
  if (db_ != nullptr && sqlite3_get_autocommit(db_) == 0) {
    sqlite3_exec(db_, "ROLLBACK TO merrow_cells; RELEASE merrow_cells", nullptr, nullptr, nullptr);
  }
}

Status CellSavepoint::Release() {
  MERROW_TRY(RunSql(db_, "RELEASE merrow_cells"));
  db_ = nullptr;
  return {};
}

}  // namespace merrow::store
