// SPDX-License-Identifier: Apache-2.0
//
// CellStore's merging: foreign changes into rows and clocks. Keys and values take the affinity of
// their columns first, so that what arrives equals what is stored exactly if it says the same.
#include <algorithm>
#include <utility>

#include "cells/packed_key.h"
#include "cells/stored_key.h"
#include "store/cell_store.h"

namespace merrow::store {
namespace {

/// Statements for sets of columns that are kept for each table; a sender can make any number of
/// sets.
constexpr size_t kRowStatementsMax = 64;

/// A row with longer values is read again for each of its changes.
constexpr size_t kKeptBytesMax = 1 << 16;

/// Above this a foreign db_version is refused, so that as many are left for this site.
constexpr cells::DbVersion kForeignVersionMax = cells::kDbVersionMax / 2;

std::string KeyColumns(const CellTable& table) {
  std::string list;
  for (const CellColumn& column : table.key) {
    list += (list.empty() ? "" : ", ") + SqlName(column.name);
  }
  return list;
}

std::string Parameters(size_t count) {
  std::string list;
  for (size_t i = 1; i <= count; ++i) {
    list += (i == 1 ? "?" : ", ?") + std::to_string(i);
  }
  return list;
}

void BindKey(CellStatement& statement, std::span<const cells::ValueView> key) {
  for (size_t i = 0; i < key.size(); ++i) {
    statement.Bind(static_cast<int>(i) + 1, key[i]);
  }
}

void BindWins(CellStatement& statement, int first, const cells::IncomingRow& row,
              const std::vector<uint32_t>& wins) {
  for (const uint32_t win : wins) {
    statement.Bind(first++, row.cells[win].value);
  }
}

Status OutOfRange(std::string_view what, int64_t value) {
  return InvalidArgument(std::string(what) + " " + std::to_string(value) + " is out of range");
}

std::string Where(const FlatChange& change) { return "table " + std::string(change.table); }

Status CheckRanges(const FlatChange& change) {
  if (change.cl < 1 || change.cl > cells::kCounterMax) {
    return OutOfRange("cl", change.cl);
  }
  if (change.col_version < 0 || change.col_version > cells::kCounterMax) {
    return OutOfRange("col_version", change.col_version);
  }
  if (change.db_version < 0 || change.db_version > kForeignVersionMax) {
    return OutOfRange("db_version", change.db_version);
  }
  if (change.seq < 0 || change.seq > cells::kCounterMax) {
    return OutOfRange("seq", change.seq);
  }
  const bool is_sentinel = change.column == kSentinelColumn || !cells::IsAlive(change.cl);
  if (is_sentinel && change.col_version != change.cl) {
    return InvalidArgument("the sentinel's col_version " + std::to_string(change.col_version) +
                           " is not its cl " + std::to_string(change.cl));
  }
  return {};
}

class Applying {
 public:
  explicit Applying(bool& flag) : flag_(flag), before_(std::exchange(flag, true)) {}
  ~Applying() { flag_ = before_; }
  Applying(const Applying&) = delete;
  Applying& operator=(const Applying&) = delete;

 private:
  bool& flag_;
  bool before_;
};

}  // namespace

/// What is stored of the row now, read at most once, and not at all if `last` has it.
class CellStore::LocalRow final : public cells::MergeContext {
 public:
  LocalRow(CellStore& store, CellTable& table, std::span<const cells::ValueView> key, LastRow* last)
      : store_(store), table_(table), key_(key), last_(last) {}
  ~LocalRow() override {
    if (read_) {
      table_.read_row.Reset();
    }
  }

  Result<std::optional<cells::ValueView>> LocalValue(cells::ColumnId column) override {
    const bool is_kept = last_ != nullptr && last_->has_values;
    if (!is_kept && !read_) {
      MERROW_TRY(Read());
      Keep();
    }
    if (!(is_kept ? last_->is_there : found_)) {
      return std::optional<cells::ValueView>();
    }
    const size_t at = table_.IndexOf(column);
    return std::optional<cells::ValueView>(is_kept ? last_->values[at].view()
                                                   : table_.read_row.Column(static_cast<int>(at)));
  }

  int CompareSites(cells::SiteOrdinal a, cells::SiteOrdinal b) const override {
    if (a == b) {
      return 0;
    }
    const auto first = store_.SiteOf(a);
    const auto second = store_.SiteOf(b);
    if (!first.ok() || !second.ok()) {
      // A clock names a site that _merrow_site does not have; reading it will say so.
      return a < b ? -1 : 1;
    }
    return *first < *second ? -1 : 1;
  }

 private:
  Status Read() {
    if (!table_.read_row.prepared()) {
      std::string columns;
      for (const CellColumn& column : table_.columns) {
        columns += (columns.empty() ? "" : ", ") + SqlName(column.name);
      }
      MERROW_TRY(table_.read_row.Prepare(
          store_.db_, "SELECT " + (columns.empty() ? std::string("1") : columns) + " FROM main." +
                          SqlName(table_.name) + table_.WhereKey()));
    }
    BindKey(table_.read_row, key_);
    MERROW_ASSIGN(found_, table_.read_row.Step());
    read_ = true;
    return {};
  }

  /// For the changes of the row that may follow.
  void Keep() {
    if (last_ == nullptr) {
      return;
    }
    last_->is_there = found_;
    last_->values.resize(table_.columns.size());
    size_t bytes = 0;
    for (size_t i = 0; found_ && i < table_.columns.size(); ++i) {
      const cells::ValueView value = table_.read_row.Column(static_cast<int>(i));
      bytes += value.bytes.size();
      if (bytes > kKeptBytesMax) {
        last_->values.clear();
        return;
      }
      cells::Value& kept = last_->values[i];
      kept.type = value.type;
      kept.integer = value.integer;
      kept.real = value.real;
      kept.bytes.assign(value.bytes);
    }
    last_->has_values = true;
  }

  CellStore& store_;
  CellTable& table_;
  const std::span<const cells::ValueView> key_;
  LastRow* const last_;
  bool read_ = false;
  bool found_ = false;
};

Result<cells::ValueView> CellStore::Convert(const cells::ValueView& value,
                                            cells::Affinity affinity) {
  if (!cells::NeedsTextConversion(value, affinity)) {
    return cells::ApplyNumericAffinity(value, affinity);
  }
  CellStatement& statement = affinity == cells::Affinity::kText ? to_text_ : to_number_;
  MERROW_TRY(statement.Prepare(db_, affinity == cells::Affinity::kText
                                        ? "SELECT CAST(?1 AS TEXT)"
                                        : "SELECT merrow_cell_number(?1)"));
  const ResetAtEnd reset(statement);
  statement.Bind(1, value);
  MERROW_ASSIGN(const bool row, statement.Step());
  if (!row) {
    return value;
  }
  cells::ValueView converted = statement.Column(0);
  if (converted.type == cells::ValueType::kText) {
    converted.bytes = converted_.emplace_back(converted.bytes);
  }
  return cells::ApplyNumericAffinity(converted, affinity);
}

/// `buffer` owns what the key is packed into; `values` may point into `packed`.
Result<RowKey> CellStore::NormalizeKey(CellTable& table, BytesView packed, Bytes& buffer,
                                       std::vector<cells::ValueView>& values) {
  MERROW_ASSIGN(values, cells::UnpackColumns(packed));
  if (values.size() != table.key.size()) {
    return InvalidArgument("the key has " + std::to_string(values.size()) + " columns, not " +
                           std::to_string(table.key.size()));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    MERROW_ASSIGN(values[i], Convert(values[i], table.key[i].affinity));
    if (values[i].type == cells::ValueType::kNull) {
      return InvalidArgument("key column " + table.key[i].name + " is NULL");
    }
    values[i] = cells::KeyValue(values[i], table.key[i].affinity);
  }
  if (!table.int_key) {
    buffer.assign(1, static_cast<char>(static_cast<unsigned char>(values.size())));
    for (const cells::ValueView& value : values) {
      cells::AppendPackedColumn(value, buffer);
    }
    return RowKey{table.id, 0, buffer};
  }
  if (values[0].type != cells::ValueType::kInteger) {
    return InvalidArgument("key column " + table.key[0].name + " holds integers, not " +
                           cells::Describe(values[0]));
  }
  return RowKey{table.id, values[0].integer, {}};
}

/// The statement that writes these cells of a row, which is nearly always the same as for the row
/// before.
CellStatement& CellStore::StatementFor(RowStatements& statements, const cells::IncomingRow& row,
                                       const std::vector<uint32_t>& wins) {
  const bool is_last =
      statements.last != nullptr &&
      std::equal(wins.begin(), wins.end(), statements.last_columns.begin(),
                 statements.last_columns.end(),
                 [&](uint32_t win, cells::ColumnId id) { return row.cells[win].column == id; });
  if (is_last) {
    return *statements.last;
  }
  std::string signature;
  statements.last_columns.clear();
  for (const uint32_t win : wins) {
    statements.last_columns.push_back(row.cells[win].column);
    signature += std::to_string(row.cells[win].column) + ",";
  }
  auto& known = statements.by_columns;
  if (known.size() >= kRowStatementsMax && !known.contains(signature)) {
    statements.Clear();
  }
  statements.last = &known[signature];
  return *statements.last;
}

/// Of a row that `where` finds by the first `keys` parameters.
std::string CellStore::UpdateSql(const CellTable& table, const cells::IncomingRow& row,
                                 const std::vector<uint32_t>& wins, size_t keys,
                                 const std::string& where) {
  std::string updates;
  for (const uint32_t win : wins) {
    updates += (updates.empty() ? "" : ", ") +
               SqlName(table.columns[table.IndexOf(row.cells[win].column)].name) + " = ?" +
               std::to_string(++keys);
  }
  return "UPDATE OR ABORT main." + SqlName(table.name) + " SET " + updates + where;
}

/// Writes the cells that won into the row that `writers` knows of.
Status CellStore::UpdateKnownRow(CellTable& table, const cells::IncomingRow& row,
                                 const std::vector<uint32_t>& wins, RowWriters& writers) {
  if (wins.empty()) {
    return {};
  }
  CellStatement& statement = StatementFor(writers.updates, row, wins);
  if (!statement.prepared()) {
    MERROW_TRY(statement.Prepare(
        db_, UpdateSql(table, row, wins, 1, " WHERE " + writers.rowid_name + " = ?1")));
  }
  statement.BindInt(1, *writers.rowid);
  BindWins(statement, 2, row, wins);
  return statement.Run();
}

/// The same, but false if there is no such row. Other than a statement that would make it, this one
/// cannot fail halfway unless the columns have constraints; so SQLite need not be able to undo it,
/// which costs as much as the write.
Result<bool> CellStore::UpdateRow(CellTable& table, std::span<const cells::ValueView> key_values,
                                  const cells::IncomingRow& row,
                                  const std::vector<uint32_t>& wins) {
  CellStatement& statement = wins.size() == 1
                                 ? table.columns[table.IndexOf(row.cells[wins[0]].column)].update
                                 : StatementFor(table.update_cells, row, wins);
  if (!statement.prepared()) {
    MERROW_TRY(
        statement.Prepare(db_, UpdateSql(table, row, wins, key_values.size(), table.WhereKey())));
  }
  BindKey(statement, key_values);
  BindWins(statement, static_cast<int>(key_values.size()) + 1, row, wins);
  MERROW_TRY(statement.Run());
  return sqlite3_changes(db_) > 0;
}

Status CellStore::WriteRow(CellTable& table, std::span<const cells::ValueView> key_values,
                           const cells::IncomingRow& row, const std::vector<uint32_t>& wins,
                           bool is_there, RowWriters* writers) {
  if (writers != nullptr && writers->rowid.has_value()) {
    return UpdateKnownRow(table, row, wins, *writers);
  }
  if (writers == nullptr && is_there && !wins.empty()) {
    MERROW_ASSIGN(const bool was_there, UpdateRow(table, key_values, row, wins));
    if (was_there) {
      return {};
    }
  }
  const bool is_one_cell = writers == nullptr && wins.size() == 1;
  CellStatement& statement =
      is_one_cell
          ? table.columns[table.IndexOf(row.cells[wins[0]].column)].write
          : StatementFor(writers == nullptr ? table.write_cells : writers->upserts, row, wins);
  if (!statement.prepared()) {
    std::string columns = KeyColumns(table);
    std::string updates;
    for (const uint32_t win : wins) {
      const std::string name = SqlName(table.columns[table.IndexOf(row.cells[win].column)].name);
      columns += ", " + name;
      updates += (updates.empty() ? "" : ", ") + name + " = excluded." + name;
    }
    // A conflict clause of the table's own must not keep the row away silently.
    MERROW_TRY(statement.Prepare(
        db_, "INSERT OR ABORT INTO main." + SqlName(table.name) + " (" + columns + ") VALUES (" +
                 Parameters(table.key.size() + wins.size()) + ") ON CONFLICT (" +
                 KeyColumns(table) + ") DO " +
                 (updates.empty() ? std::string("NOTHING") : "UPDATE SET " + updates)));
  }
  BindKey(statement, key_values);
  BindWins(statement, static_cast<int>(key_values.size()) + 1, row, wins);
  return statement.Run();
}

/// `writers`: to be used instead of the table's own.
Status CellStore::Merge(CellTable& table, const cells::ClockKey& key,
                        std::span<const cells::ValueView> key_values,
                        const cells::IncomingRow& incoming, RowWriters* writers, LastRow* last) {
  CellTransaction::Row* row = last == nullptr ? nullptr : last->row;
  if (row == nullptr) {
    MERROW_ASSIGN(row, transaction_.FindStored(table, key));
  }
  const uint64_t epoch = transaction_.epoch();
  if (last != nullptr) {
    last->row = row;
    last->epoch = epoch;
  }
  const bool is_there = cells::IsAlive(row->clock.cl());
  merged_ = row->clock;
  {
    LocalRow local(*this, table, key_values, last);
    MERROW_TRY(cells::MergeRow(incoming, local, merged_, outcome_));
  }
  if (outcome_.action != cells::RowAction::kNone && last != nullptr) {
    last->has_values = false;
  }
  const Applying applying(applying_);
  if (outcome_.action == cells::RowAction::kDelete) {
    if (!table.delete_row.prepared()) {
      MERROW_TRY(table.delete_row.Prepare(
          db_, "DELETE FROM main." + SqlName(table.name) + table.WhereKey()));
    }
    BindKey(table.delete_row, key_values);
    MERROW_TRY(table.delete_row.Run());
  } else if (outcome_.action == cells::RowAction::kWrite) {
    MERROW_TRY(WriteRow(table, key_values, incoming, outcome_.wins, is_there, writers));
  }
  if (outcome_.clock_changed) {
    // A trigger of the user's may have caused a flush, which lets go of the row.
    if (transaction_.epoch() != epoch) {
      MERROW_ASSIGN(row, transaction_.FindStored(table, key));
    }
    transaction_.WillChange(*row, transaction_.version());
    std::swap(row->clock, merged_);
  }
  transaction_.rows_merged += outcome_.action == cells::RowAction::kNone ? 0 : 1;
  transaction_.rows_impacted +=
      outcome_.impacted + (*merge_equal_values_ != 0 ? outcome_.clock_only : 0);
  return {};
}

/// A trigger of the user's that fires while a row is merged cannot merge another one: the
/// statements and the lists of the first are in use.
Status CellStore::CheckNotApplying() const {
  return applying_ ? InvalidArgument("a merge cannot be part of another one") : Status();
}

/// Makes last_row_ that of the change.
Status CellStore::FindLastRow(const FlatChange& change) {
  LastRow& last = last_row_;
  const int changes_before = std::exchange(last.changes, sqlite3_total_changes(db_));
  if (last.table != nullptr && change.table == last.table->name && change.key == last.given) {
    if (last.epoch != transaction_.epoch()) {
      last.row = nullptr;
      last.has_values = false;
    }
    // The change before this one counts itself, once it is over.
    const auto changes =
        static_cast<unsigned>(last.changes) - static_cast<unsigned>(changes_before);
    last.has_values = last.has_values && changes <= 1;
    return {};
  }
  last.table = nullptr;
  last.row = nullptr;
  last.has_values = false;
  CellTable* const table = tables_.Find(change.table);
  if (table == nullptr) {
    return NotFound(Where(change) + " is not tracked here");
  }
  last.given.assign(change.key);
  const auto key = NormalizeKey(*table, last.given, last.packed, last.key_values);
  if (!key.ok()) {
    return key.error().Within(Where(change) + ", key");
  }
  last.number = key->number;
  last.stored.clear();
  if (!table->int_key) {
    cells::AppendStoredKey(key->packed, last.stored);
  }
  last.table = table;
  return {};
}

Status CellStore::Apply(const FlatChange& change) {
  MERROW_TRY(CheckNotApplying());
  const Status checked = CheckRanges(change);
  if (!checked.ok()) {
    return checked.error().Within(Where(change));
  }
  MERROW_TRY(Join());
  if (!merge_equal_values_.has_value()) {
    MERROW_ASSIGN(merge_equal_values_, ConfigInt("merge-equal-values", 0));
  }
  if (!converted_.empty()) {
    converted_.clear();
    last_row_.table = nullptr;  // its key may be one of them
  }
  MERROW_TRY(FindLastRow(change));
  LastRow& last = last_row_;
  CellTable& table = *last.table;
  transaction_.RaiseVersion(change.db_version);
  cells::Stamp stamp{transaction_.version(), change.seq, 0};
  if (change.site.has_value()) {
    MERROW_ASSIGN(stamp.site, OrdinalOf(*change.site));
  } else {
    MERROW_TRY(LoadSites());
  }
  cells::IncomingRow row;
  row.cl = change.cl;
  cells::IncomingCell cell;
  if (change.column == kSentinelColumn || !cells::IsAlive(change.cl)) {
    row.sentinel = stamp;
  } else {
    // Columns tend to come in their order.
    const size_t guess = last.column + 1 < table.columns.size() ? last.column + 1 : 0;
    const size_t column = table.FindColumn(change.column, guess);
    if (column == CellTable::npos) {
      return InvalidArgument(
          Where(change) +
          (table.IsKey(change.column)
               ? ": column " + std::string(change.column) + " is part of the key and has no cells"
               : " has no column " + std::string(change.column)));
    }
    last.column = column;
    cell.column = table.columns[column].id;
    cell.col_version = change.col_version;
    MERROW_ASSIGN(cell.value, Convert(change.value, table.columns[column].affinity));
    cell.stamp = stamp;
    row.cells = {&cell, 1};
  }
  const Status merged =
      Merge(table, {last.number, last.stored}, last.key_values, row, nullptr, &last);
  if (!merged.ok()) {
    last.table = nullptr;
    return merged.error().Within(Where(change) + ", column " + std::string(change.column));
  }
  if (last.given.size() > kKeptBytesMax) {
    last = {};
  }
  return {};
}

Status CellStore::ApplyTransaction(const cells::Transaction& transaction) {
  MERROW_TRY(cells::CheckTransaction(transaction));
  if (transaction.version < 0 || transaction.version > kForeignVersionMax) {
    return OutOfRange("db_version", transaction.version);
  }
  MERROW_TRY(Join());
  transaction_.RaiseVersion(transaction.version);
  return MergeRows(transaction);
}

}  // namespace merrow::store
