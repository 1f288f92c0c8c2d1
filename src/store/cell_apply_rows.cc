// SPDX-License-Identifier: Apache-2.0
//
// CellStore's merging of whole transactions (cell_apply.cc merges one row). Many rows are merged in
// the order of their keys, so that neighbours share one look at a block of clocks and the table's
// b-trees are walked through once.
//
// They are written without triggers, if the tables have only Merrow's own, which would do
// nothing. Triggers cost twice what the write does: SQLite sets a savepoint for each statement that
// has some, and keeps a copy of each page that it changes. What leaves them out is a setting of the
// connection that holds when a statement is prepared, and switching it makes SQLite prepare every
// statement again. One that runs meanwhile would fail if it opened another table after that, so it
// is left alone unless no running statement does.
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/prefetch.h"
#include "cells/packed_key.h"
#include "cells/stored_key.h"
#include "store/cell_arena.h"
#include "store/cell_key_walk.h"
#include "store/cell_store.h"

namespace merrow::store {
namespace {

/// Fewer rows are merged as they come: they are not worth preparing all statements again, nor that
/// a table without INTEGER PRIMARY KEY gets them in another order than it has where they come from.
constexpr size_t kManyRows = 500;

/// So many changes ahead of the one that is merged, or twice or three times as many, what one needs
/// is fetched into the processor's cache; not all of a very large one.
constexpr size_t kPrefetch = 4;
constexpr size_t kPrefetchBytesMax = 512;
constexpr size_t kPrefetchCellsMax = 8;

void PrefetchBytes(const void* from, size_t bytes) {
  constexpr size_t kCacheLineBytes = 64;
  for (size_t i = 0; i < std::min(bytes, kPrefetchBytesMax); i += kCacheLineBytes) {
    Prefetch(static_cast<const char*>(from) + i);
  }
}

/// True if the statement, which is running, may yet open a table.
Result<bool> MayOpenTables(sqlite3* db, sqlite3_stmt* running) {
  const char* const sql = sqlite3_sql(running);
  if (sql == nullptr) {
    return true;
  }
  CellStatement explain;
  MERROW_TRY(explain.Prepare(db, std::string("EXPLAIN ") + sql));
  while (true) {
    MERROW_ASSIGN(const bool more, explain.Step());
    if (!more) {
      return false;
    }
    const std::string opcode = explain.Text(1);
    if (opcode.find("Open") != std::string::npos && opcode != "OpenEphemeral" &&
        opcode != "OpenPseudo") {
      return true;
    }
  }
}

/// Has any of these tables a trigger that is not Merrow's; or any table at all, if rows that refer
/// to theirs may be deleted with them?
Result<bool> HasForeignTriggers(sqlite3* db, const std::vector<CellTable*>& tables, bool cascades) {
  CellStatement find;
  MERROW_TRY(find.Prepare(
      db,
      "SELECT 1 FROM (SELECT name, tbl_name FROM main.sqlite_master WHERE type = 'trigger' UNION "
      "ALL SELECT name, tbl_name FROM temp.sqlite_master WHERE type = 'trigger') WHERE CASE WHEN "
      "?5 THEN name NOT GLOB '_merrow_[0-9]*' ELSE tbl_name = ?1 COLLATE NOCASE AND name NOT IN "
      "(?2, ?3, ?4) END"));
  for (const CellTable* table : tables) {
    const std::string prefix = "_merrow_" + std::to_string(table->id) + "_";
    const std::string names[] = {prefix + "insert", prefix + "update", prefix + "delete"};
    const ResetAtEnd reset(find);
    find.Bind(1, cells::ValueView::Text(table->name));
    for (int i = 0; i < 3; ++i) {
      find.Bind(2 + i, cells::ValueView::Text(names[i]));
    }
    find.BindInt(5, cascades ? 1 : 0);
    MERROW_ASSIGN(const bool found, find.Step());
    if (found) {
      return true;
    }
  }
  return false;
}

/// Keeps triggers out of statements that are prepared in its lifetime.
class WithoutTriggers {
 public:
  explicit WithoutTriggers(sqlite3* db) : db_(db) {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &before_);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  }
  ~WithoutTriggers() { sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, before_, nullptr); }
  WithoutTriggers(const WithoutTriggers&) = delete;
  WithoutTriggers& operator=(const WithoutTriggers&) = delete;

 private:
  sqlite3* const db_;
  int before_ = 1;
};

}  // namespace

/// One call of MergeRows().
class RowsMerge {
 public:
  RowsMerge(CellStore& store, const cells::Transaction& transaction)
      : store_(store), transaction_(transaction) {}

  Status Run() {
    MERROW_TRY(FindAuthors());
    MERROW_TRY(FindTables());
    MERROW_TRY(ReadKeys());
    MERROW_ASSIGN(const bool without_triggers, MayLeaveOutTriggers());
    if (!without_triggers) {
      return MergeAll(/*own_writers=*/false);
    }
    const WithoutTriggers setting(store_.db_);
    const Status merged = MergeAll(/*own_writers=*/true);
    tables_.clear();  // and with them the statements that have no triggers
    return merged;
  }

 private:
  struct Table {
    CellTable* table = nullptr;
    std::vector<size_t> columns;  // where they are in `table`, or npos
    CellStore::RowWriters writers;
    KeyWalk walk;
  };
  struct Row {
    uint32_t table;
    uint32_t change;
    uint64_t head;  // of the key, for sorting
    cells::ClockKey key;
    size_t values;  // in key_values_

    friend bool operator<(const Row& a, const Row& b) {
      return std::tie(a.table, a.head, a.key, a.change) <
             std::tie(b.table, b.head, b.key, b.change);
    }
  };

  Error Within(const cells::RowChange& change, const Error& error) const {
    return error.Within("table " + transaction_.tables[change.table].name);
  }

  Status FindAuthors() {
    for (const cells::SiteId& author : transaction_.authors) {
      MERROW_ASSIGN(const cells::SiteOrdinal ordinal, store_.OrdinalOf(author));
      authors_.push_back(ordinal);
    }
    return {};
  }

  Status FindTables() {
    tables_.resize(transaction_.tables.size());
    for (const cells::RowChange& change : transaction_.rows) {
      Table& table = tables_[change.table];
      if (table.table != nullptr) {
        continue;
      }
      const cells::ChangedTable& names = transaction_.tables[change.table];
      table.table = store_.tables_.Find(names.name);
      if (table.table == nullptr) {
        return Within(change, NotFound("it is not tracked here"));
      }
      for (const std::string& column : names.columns) {
        table.columns.push_back(table.table->FindColumn(column));
      }
    }
    return {};
  }

  Status ReadKeys() {
    store_.converted_.clear();
    rows_.reserve(transaction_.rows.size());
    Bytes packed, stored;
    for (uint32_t i = 0; i < transaction_.rows.size(); ++i) {
      const cells::RowChange& change = transaction_.rows[i];
      CellTable& table = *tables_[change.table].table;
      auto key = store_.NormalizeKey(table, change.key, packed, values_);
      if (!key.ok()) {
        return Within(change, key.error());
      }
      Row row{change.table, i, 0, {key->number, {}}, key_values_.size()};
      key_values_.insert(key_values_.end(), values_.begin(), values_.end());
      if (!table.int_key) {
        stored.clear();
        cells::AppendStoredKey(key->packed, stored);
        row.key.stored = stored_.Add(stored);
      }
      row.head = cells::HeadOf(row.key);
      rows_.push_back(row);
    }
    if (rows_.size() >= kManyRows && !std::is_sorted(rows_.begin(), rows_.end())) {
      std::sort(rows_.begin(), rows_.end());
      sorted_ = true;
    }
    return {};
  }

  Result<bool> MayLeaveOutTriggers() {
    if (rows_.size() < kManyRows) {
      return false;
    }
    std::vector<CellTable*> tables;
    for (const Table& table : tables_) {
      if (table.table != nullptr) {
        tables.push_back(table.table);
      }
    }
    int foreign_keys = 0;
    sqlite3_db_config(store_.db_, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &foreign_keys);
    const bool deletes =
        std::any_of(transaction_.rows.begin(), transaction_.rows.end(),
                    [](const cells::RowChange& change) { return !cells::IsAlive(change.cl); });
    MERROW_ASSIGN(const bool has_foreign,
                  HasForeignTriggers(store_.db_, tables, deletes && foreign_keys != 0));
    if (has_foreign) {
      return false;
    }
    for (sqlite3_stmt* statement = sqlite3_next_stmt(store_.db_, nullptr); statement != nullptr;
         statement = sqlite3_next_stmt(store_.db_, statement)) {
      if (sqlite3_stmt_busy(statement) == 0) {
        continue;
      }
      MERROW_ASSIGN(const bool may_open, MayOpenTables(store_.db_, statement));
      if (may_open) {
        return false;
      }
    }
    return true;
  }

  Status MergeAll(bool own_writers) {
    for (Table& table : tables_) {
      if (own_writers && table.table != nullptr) {
        if (KeyWalk::CanWalk(*table.table)) {
          MERROW_ASSIGN(table.writers.rowid_name, RowIdName(store_.db_, *table.table));
        }
        if (!table.writers.rowid_name.empty()) {
          MERROW_TRY(table.walk.Prepare(store_.db_, *table.table, table.writers.rowid_name, 1));
        }
      }
    }
    for (size_t i = 0; i < rows_.size(); ++i) {
      PrefetchChanges(i);
      const Row& row = rows_[i];
      const cells::RowChange& change = transaction_.rows[row.change];
      Table& table = tables_[row.table];
      Status merged = MergeOne(table, row, change, own_writers ? &table.writers : nullptr);
      if (!merged.ok()) {
        return Within(change, merged.error());
      }
    }
    return {};
  }

  /// Once sorted, changes do not come in the order in which they lie in memory, so the processor is
  /// told early what will be looked at: a change, then its cells, then their bytes.
  void PrefetchChanges(size_t at) const {
    if (!sorted_) {
      return;
    }
    const auto change_at = [this](size_t i) -> const cells::RowChange* {
      return i < rows_.size() ? &transaction_.rows[rows_[i].change] : nullptr;
    };
    const cells::RowChange* const later = change_at(at + 3 * kPrefetch);
    if (later != nullptr) {
      PrefetchBytes(later, sizeof(*later));
      Prefetch(&key_values_[rows_[at + 3 * kPrefetch].values]);
      Prefetch(rows_[at + 3 * kPrefetch].key.stored.data());
    }
    const cells::RowChange* const soon = change_at(at + 2 * kPrefetch);
    if (soon != nullptr) {
      PrefetchBytes(soon->cells.data(), soon->cells.size() * sizeof(cells::CellChange));
      Prefetch(soon->key.data());
    }
    const cells::RowChange* const next = change_at(at + kPrefetch);
    if (next != nullptr) {
      for (size_t i = 0; i < std::min(next->cells.size(), kPrefetchCellsMax); ++i) {
        Prefetch(next->cells[i].value.bytes.data());
      }
    }
  }

  Status MergeOne(Table& table, const Row& row, const cells::RowChange& change,
                  CellStore::RowWriters* writers) {
    const auto stamp = [&](const cells::ChangeClock& clock) -> cells::Stamp {
      return {store_.transaction_.version(), clock.seq, authors_[clock.author]};
    };
    cells_.clear();
    for (const cells::CellChange& cell : change.cells) {
      const size_t at = table.columns[cell.column];
      if (at == CellTable::npos) {
        return NotFound("it has no column " +
                        transaction_.tables[change.table].columns[cell.column]);
      }
      const CellColumn& column = table.table->columns[at];
      MERROW_ASSIGN(const cells::ValueView value,
                    store_.Convert(cell.value.view(), column.affinity));
      cells_.push_back({column.id, cell.col_version, value, stamp(cell.clock)});
    }
    cells::IncomingRow incoming;
    incoming.cl = change.cl;
    incoming.cells = cells_;
    if (change.sentinel.has_value()) {
      incoming.sentinel = stamp(*change.sentinel);
    }
    const std::span<const cells::ValueView> key =
        std::span(key_values_).subspan(row.values, table.table->key.size());
    if (table.walk.prepared()) {
      MERROW_ASSIGN(const bool found, table.walk.Find(key[0], /*end_stays=*/true));
      writers->rowid = found ? std::optional(table.walk.row().Int(0)) : std::nullopt;
    }
    return store_.Merge(*table.table, row.key, key, incoming, writers);
  }

  CellStore& store_;
  const cells::Transaction& transaction_;
  std::vector<cells::SiteOrdinal> authors_;
  std::vector<Table> tables_;
  std::vector<Row> rows_;
  bool sorted_ = false;  // rows_ is in another order than the transaction
  CellArena stored_;     // keys of rows_
  std::vector<cells::ValueView> key_values_;
  // Of the row at hand.
  std::vector<cells::ValueView> values_;
  std::vector<cells::IncomingCell> cells_;
};

Status CellStore::MergeRows(const cells::Transaction& transaction) {
  MERROW_TRY(CheckNotApplying());
  MERROW_TRY(Join());
  if (!merge_equal_values_.has_value()) {
    MERROW_ASSIGN(merge_equal_values_, ConfigInt("merge-equal-values", 0));
  }
  return RowsMerge(*this, transaction).Run();
}

}  // namespace merrow::store
