// SPDX-License-Identifier: Apache-2.0
//
// Column rows on one SQLite connection: tracked tables whose local writes are recorded and whose
// foreign changes merge. The server attaches one to its writer connection; merrow.so attaches one
// to each connection that loads it.
//
// How a local write is recorded:
//
//     INSERT INTO t ...
//       trigger _merrow_1_insert -> merrow_cell_insert(1, key)     appends to CellTransaction
//     COMMIT
//       xSync of the virtual table merrow_cell_txn                 CellTransaction::Flush
//         _merrow_clock_1, _merrow_tx                              ordinary SQL, same transaction
//
// The first event of a transaction inserts into the virtual table merrow_cell_txn, which stores
// nothing: that makes SQLite tell it about the commit, the rollback and every savepoint, so that
// the memory of the transaction follows the database exactly. No hook of the connection is taken.
//
// A site is a random id, kept in _merrow_site under an ordinal; the database itself is 0. Its
// db_version counts transactions that changed a tracked table, by writing or by merging.
//
// Thread-compatible, as its connection.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cells/merge.h"
#include "cells/row_change.h"
#include "store/cell_table.h"
#include "store/cell_transaction.h"

namespace merrow::store {

/// One row of crsql_changes.
struct FlatChange {
  std::string_view table;
  BytesView key;            // packed
  std::string_view column;  // kSentinelColumn for the row's own events
  cells::ValueView value;
  cells::ColVersion col_version = 0;
  cells::DbVersion db_version = 0;
  std::optional<cells::SiteId> site;  // none: this site
  cells::CausalLength cl = 1;
  cells::Seq seq = 0;
};

inline constexpr std::string_view kSentinelColumn = "-1";

/// Whoever writes in the same transactions beside the column rows, such as document rows.
class TransactionListener {
 public:
  virtual ~TransactionListener() = default;
  /// Just before the commit, and before clocks are flushed: it may still write. An error undoes the
  /// transaction.
  virtual Status BeforeCommit() = 0;
  virtual void Committed() = 0;
  /// The transaction was undone, or what it did since a savepoint.
  virtual void RolledBack() = 0;
  /// Lets go of every prepared statement, so that the connection can be closed.
  virtual void FinalizeStatements() = 0;
};

/// A place in a walk over the clocks of all tables.
struct ClockPlace {
  int64_t table_id = 0;
  std::optional<int64_t> number;  // of the next key in that table; nothing: its first
  Bytes stored;
  bool at_end = false;
};

class CellStore final : private CellTablesListener {
 public:
  /// Registers the functions and the virtual table that triggers need. The connection owns the
  /// store and deletes it when it is closed.
  static Result<CellStore*> Attach(sqlite3* db);
  ~CellStore() override;
  CellStore(const CellStore&) = delete;
  CellStore& operator=(const CellStore&) = delete;

  sqlite3* db() const { return db_; }
  CellTables& tables() { return tables_; }
  CellTransaction& transaction() { return transaction_; }
  /// Null if there is none. It hears of transactions that Join() was called in.
  TransactionListener* listener() const { return listener_.get(); }
  void SetListener(std::unique_ptr<TransactionListener> listener) {
    listener_ = std::move(listener);
  }

  // --- Schema. Each in a savepoint of its own: all or nothing.

  /// Records writes to `name` from now on; rows that it has already count as inserted now. For a
  /// tracked table: takes note of columns that were added since. Costs nothing per row then.
  Status Track(std::string_view name);
  Status Untrack(std::string_view name);

  /// Opens a savepoint in which the table may be altered or rebuilt: its triggers are gone, so
  /// writes are not recorded.
  Status BeginAlter(std::string_view name);
  /// Brings clocks in line with what became of the table, and ends the savepoint. New rows and
  /// values that are not the default of their new column count as written in the current
  /// db_version, since other sites are expected to alter theirs alike; clocks of rows that are gone
  /// go too. Reads no rows if columns were only added.
  Status CommitAlter(std::string_view name);

  /// Takes over a database that cr-sqlite 0.15 or 0.16 made: its site id, clocks and tables become
  /// Merrow's, versions and all, and cr-sqlite's own tables and triggers go. The number of tables.
  Result<int64_t> TakeOver();
  /// Does cr-sqlite's trigger sit on that table?
  Result<bool> IsCrSqliteTable(std::string_view name);

  // --- Tombstones (cell_collect.cc).

  /// Notes that `site` has merged everything of this site up to `version`.
  Status ConfirmPeer(const cells::SiteId& site, cells::DbVersion version);
  /// Notes that `site` will never come back.
  Status ForgetPeer(const cells::SiteId& site);
  /// Drops the tombstones that every known site has confirmed; how many.
  Result<int64_t> CollectTombstones();
  /// The same with another rule: those whose sentinel `may_go` lets go. Looks at some
  /// `clocks_max` clocks (runs of rows) from `place` on, and moves `place` behind them.
  using MayGo = std::function<Result<bool>(const cells::Stamp& sentinel)>;
  Result<int64_t> CollectTombstones(const MayGo& may_go, size_t clocks_max, ClockPlace* place);

  /// Calls `each` with the key and clock of every row that has one, tombstones included, in key
  /// order. Writes of the open transaction are flushed first. `each` may change clocks through
  /// transaction().
  Status ForEachClock(
      const CellTable& table,
      const std::function<void(const cells::ClockKey&, const cells::RowClock&)>& each);

  // --- Sites and versions.

  Result<cells::SiteId> OwnSite();
  /// Gives the site a number if it has none. REQUIRES: in a transaction
  Result<cells::SiteOrdinal> OrdinalOf(const cells::SiteId& site);
  /// Nothing if the site is not known here.
  Result<std::optional<cells::SiteOrdinal>> FindOrdinal(const cells::SiteId& site);
  Result<cells::SiteId> SiteOf(cells::SiteOrdinal ordinal);
  /// As of the last commit.
  Result<cells::DbVersion> DbVersion();
  /// What a write now would be stamped with.
  Result<cells::DbVersion> NextDbVersion();

  /// "merge-equal-values": whether ties that only move a clock count as impact.
  Result<int64_t> ConfigInt(std::string_view key, int64_t otherwise);
  Status SetConfigInt(std::string_view key, int64_t value);

  // --- Merging. REQUIRES: inside a write statement or an open transaction

  /// Invalid argument names the table, the column and the reason; nothing is changed then.
  Status Apply(const FlatChange& change);
  /// All rows, cells of a row together. Not found if a table or column is not known here. On error
  /// some rows may be merged; the caller rolls back.
  Status ApplyTransaction(const cells::Transaction& transaction);
  /// The same, stamped with transaction().version() as it is, whatever version it has where it
  /// comes from. REQUIRES: CheckTransaction said that it is well-formed
  Status MergeRows(const cells::Transaction& transaction);

  // --- Called by capture.

  /// Makes the running SQLite transaction ours too.
  Status Join();
  /// Brings pending clocks (cell_pending.h) into their blocks, so that blocks can be written to.
  Status Fold();
  /// What is known of sites and tables may have been rolled back.
  void Forget();
  bool applying() const { return applying_; }
  /// A table is between BeginAlter() and CommitAlter(): nothing says what is written to it.
  bool is_altering() const { return !alters_.empty(); }
  /// Lets go of every prepared statement, so that the connection can be closed.
  void FinalizeStatements();
  /// Before statements are prepared: has SQLite say when the connection is to be closed, if it does
  /// not yet. It may have been, but refused because of a statement of the user's.
  void WatchClose();

 private:
  friend class CellCapture;
  friend class RowsMerge;
  class LocalRow;

  explicit CellStore(sqlite3* db) : db_(db), tables_(db, *this), transaction_(db, tables_) {}

  Status BeginTransaction();
  void Committed();
  /// Of the host's savepoints, those from `number` on are released or undone.
  void SavepointEnded(int number);
  void Closing();
  uint32_t DataVersion();
  Status LoadSites();
  Result<cells::DbVersion> ReadDbVersion();
  Status Backfill(CellTable& table);
  Result<int64_t> RootPage(std::string_view name);
  Status DropForAlter(std::string_view name);
  Status Reconcile(CellTable& table);
  void WillPrepare() override { WatchClose(); }
  Status BeforeReload() override;
  Status AfterReload() override;
  void AfterLook() override;
  Status ReconcileTouched(CellTable& table);
  Status ReconcileRow(CellTable& table, CellStatement& scan, cells::DbVersion version);
  Status DropVanished(CellTable& table);
  Status TakeOverSites();
  Status TakeOverTable(const std::string& name);
  Result<RowKey> KeyOfColumns(CellTable& table, CellStatement& statement, Bytes& buffer);

  Result<RowKey> NormalizeKey(CellTable& table, BytesView packed, Bytes& buffer,
                              std::vector<cells::ValueView>& values);
  Result<cells::ValueView> Convert(const cells::ValueView& value, cells::Affinity affinity);
  Status CheckNotApplying() const;
  /// Statements of one merge that write rows of one table.
  struct RowWriters {
    RowStatements upserts, updates;
    /// Of the row at hand, if it is known that there is one; by this name.
    std::optional<int64_t> rowid;
    std::string rowid_name;
  };
  /// The row that Apply() merged into last: changes of one row come one behind the other.
  struct LastRow {
    CellTable* table = nullptr;  // null: none
    Bytes given;                 // its key, as it came
    Bytes packed, stored;
    int64_t number = 0;
    std::vector<cells::ValueView> key_values;  // may point into `given`
    size_t column = 0;                         // of the change that came last
    // Good for one epoch of the transaction.
    uint64_t epoch = 0;
    CellTransaction::Row* row = nullptr;
    // What is stored of it, unless that is long, as long as nobody may have written.
    bool has_values = false;
    bool is_there = false;
    int changes = 0;  // what SQLite counted
    std::vector<cells::Value> values;
  };
  Status FindLastRow(const FlatChange& change);
  Status Merge(CellTable& table, const cells::ClockKey& key,
               std::span<const cells::ValueView> key_values, const cells::IncomingRow& row,
               RowWriters* writers, LastRow* last = nullptr);
  static CellStatement& StatementFor(RowStatements& statements, const cells::IncomingRow& row,
                                     const std::vector<uint32_t>& wins);
  static std::string UpdateSql(const CellTable& table, const cells::IncomingRow& row,
                               const std::vector<uint32_t>& wins, size_t keys,
                               const std::string& where);
  Status UpdateKnownRow(CellTable& table, const cells::IncomingRow& row,
                        const std::vector<uint32_t>& wins, RowWriters& writers);
  Result<bool> UpdateRow(CellTable& table, std::span<const cells::ValueView> key_values,
                         const cells::IncomingRow& row, const std::vector<uint32_t>& wins);
  /// `is_there`: the clock says that the row is.
  Status WriteRow(CellTable& table, std::span<const cells::ValueView> key_values,
                  const cells::IncomingRow& row, const std::vector<uint32_t>& wins, bool is_there,
                  RowWriters* writers);

  sqlite3* db_;
  CellTables tables_;
  CellTransaction transaction_;
  std::unique_ptr<TransactionListener> listener_;
  bool joining_ = false;
  bool applying_ = false;
  bool watches_close_ = false;
  /// What SQLite counted when this connection committed last, and the db_version then. As long as
  /// it counts the same, nobody has written since.
  std::optional<uint32_t> committed_data_;
  cells::DbVersion committed_version_ = 0;
  /// The same when the open transaction began.
  uint32_t begun_data_ = 0;

  bool sites_loaded_ = false;
  uint32_t sites_data_ = 0;                          // what SQLite counted then
  std::vector<std::optional<cells::SiteId>> sites_;  // by ordinal
  std::unordered_map<std::string, cells::SiteOrdinal> ordinals_;
  cells::SiteOrdinal last_ordinal_ = 0;  // of the site that was asked for last
  /// What BeginAlter saw.
  struct Alter {
    std::string table;
    int64_t changes = 0;
    int64_t root_page = 0;
    int savepoint = 0;  // its number
  };
  std::vector<Alter> alters_;  // in the order in which they were begun
  /// The columns of the tables that the open transaction touched, before they are read anew.
  std::map<int64_t, std::vector<cells::ColumnId>> columns_before_;

  std::optional<int64_t> merge_equal_values_;
  std::deque<std::string> converted_;  // values that SQLite converted, until the merge is over
  cells::MergeOutcome outcome_;
  cells::RowClock merged_;
  LastRow last_row_;
  std::vector<cells::ColumnId> changed_;

  CellStatement join_, read_version_, to_text_, to_number_;
  bool read_version_has_log_ = false;
};

/// A savepoint of a function that must do all or nothing; rolled back unless released.
class CellSavepoint {
 public:
  static Result<CellSavepoint> Begin(sqlite3* db);
  CellSavepoint(CellSavepoint&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  CellSavepoint& operator=(CellSavepoint&&) = delete;
  ~CellSavepoint();
  Status Release();

 private:
  explicit CellSavepoint(sqlite3* db) : db_(db) {}
  sqlite3* db_;
};

}  // namespace merrow::store
