// SPDX-License-Identifier: Apache-2.0
#include "store/cell_table.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "cells/stored_key.h"
#include "changeset/changeset_format.h"

namespace merrow::store {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS _merrow_site (ordinal INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS _merrow_cell_config (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _merrow_cell_table (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, key TEXT, life_floor INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS _merrow_cell_peer (
  id BLOB PRIMARY KEY, confirmed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _merrow_cell_column (
  table_id INTEGER, id INTEGER, name TEXT, PRIMARY KEY (table_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _merrow_tx (id INTEGER PRIMARY KEY, rows BLOB NOT NULL);
)sql";

/// How the signature of a key begins that is the rowid. DO NOT CHANGE: it is on disk.
constexpr std::string_view kRowIdKey = "rowid";

/// SQLite compares names without regard to ASCII case.
bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return out;
}

/// A column's default as an expression. As it was declared, it may be a name that means a text
/// there, and a column anywhere else.
std::string DefaultExpression(const std::string& declared) {
  if (declared.empty()) {
    return declared;
  }
  const char open = declared[0];
  const char close = open == '[' ? ']' : open;
  if ((open == '"' || open == '`' || open == '[') && declared.size() > 1) {
    std::string text;
    for (size_t i = 1; i + 1 < declared.size(); ++i) {
      text += declared[i];
      i += declared[i] == close && declared[i + 1] == close ? 1 : 0;
    }
    return SqlText(text);
  }
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  const bool is_word = std::isdigit(static_cast<unsigned char>(open)) == 0 &&
                       std::all_of(declared.begin(), declared.end(), is_name);
  for (const char* keyword :
       {"null", "true", "false", "current_time", "current_date", "current_timestamp"}) {
    if (SameName(declared, keyword)) {
      return declared;
    }
  }
  return is_word ? SqlText(declared) : declared;
}

struct PragmaColumn {
  std::string name;
  std::string type;
  bool not_null = false;
  std::string default_sql;
  int64_t key_position = 0;  // from 1; 0: not in the key
};

Result<std::vector<PragmaColumn>> ReadColumns(sqlite3* db, std::string_view table) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1, 'main')"));
  statement.Bind(1, cells::ValueView::Text(table));
  std::vector<PragmaColumn> columns;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return columns;
    }
    columns.push_back({statement.Text(0), statement.Text(1), statement.Int(2) != 0,
                       DefaultExpression(statement.Text(3)), statement.Int(4)});
  }
}

struct TableTraits {
  bool strict = false;
  bool without_rowid = false;
  bool key_has_index = false;  // an INTEGER PRIMARY KEY that is the rowid has none
};

Result<TableTraits> ReadTraits(sqlite3* db, std::string_view table) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db,
      "SELECT strict, wr, EXISTS (SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk') "
      "FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE"));
  statement.Bind(1, cells::ValueView::Text(table));
  MERROW_ASSIGN(const bool row, statement.Step());
  TableTraits traits;
  if (row) {
    traits = {statement.Int(0) != 0, statement.Int(1) != 0, statement.Int(2) != 0};
  }
  return traits;
}

cells::Affinity AffinityOfColumn(const PragmaColumn& column, const TableTraits& traits) {
  if (traits.strict && SameName(column.type, "ANY")) {
    return cells::Affinity::kBlob;
  }
  return cells::AffinityOf(column.type);
}

std::string KeyList(const CellTable& table, std::string_view prefix) {
  std::string list;
  for (const CellColumn& column : table.key) {
    list += ", " + std::string(prefix) + SqlName(column.name);
  }
  return list;
}

std::string TriggerName(const CellTable& table, std::string_view event) {
  return SqlName("_merrow_" + std::to_string(table.id) + "_" + std::string(event));
}

}  // namespace

size_t CellTable::FindColumn(std::string_view column, size_t guess) const {
  if (guess < columns.size() && columns[guess].name == column) {
    return guess;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (SameName(columns[i].name, column)) {
      return i;
    }
  }
  return npos;
}

size_t CellTable::IndexOf(cells::ColumnId column) const {
  if (column < columns.size() && columns[column].id == column) {
    return column;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].id == column) {
      return i;
    }
  }
  return npos;
}

bool CellTable::IsKey(std::string_view column) const {
  return std::any_of(key.begin(), key.end(),
                     [column](const CellColumn& one) { return SameName(one.name, column); });
}

std::string CellTable::KeySignature() const {
  std::string signature(int_key ? kRowIdKey : "packed");
  for (const CellColumn& column : key) {
    signature += " " + SqlName(Lower(column.name));
  }
  return signature;
}

std::string CellTable::WhereKey() const {
  std::string condition;
  for (size_t i = 0; i < key.size(); ++i) {
    condition +=
        (i == 0 ? " WHERE " : " AND ") + SqlName(key[i].name) + " = ?" + std::to_string(i + 1);
  }
  return condition;
}

Status CellTable::BindKey(CellStatement& statement, const cells::ClockKey& stored,
                          Bytes& packed) const {
  statement.Reset();
  if (int_key) {
    statement.BindInt(1, stored.number);
    return {};
  }
  packed.clear();
  MERROW_TRY(cells::AppendPackedKey(stored.stored, packed));
  MERROW_ASSIGN(const std::vector<cells::ValueView> values, cells::UnpackColumns(packed));
  for (size_t i = 0; i < values.size(); ++i) {
    statement.Bind(static_cast<int>(i) + 1, values[i]);
  }
  return {};
}

Result<bool> CellTable::HasRow(sqlite3* db, const cells::ClockKey& stored) {
  if (!probe_row.prepared()) {
    MERROW_TRY(probe_row.Prepare(db, "SELECT 1 FROM main." + SqlName(name) + WhereKey()));
  }
  Bytes packed;
  MERROW_TRY(BindKey(probe_row, stored, packed));
  const ResetAtEnd reset(probe_row);
  return probe_row.Step();
}

void CellTable::FinalizeStatements() {
  clocks.FinalizeStatements();
  for (CellStatement* statement : {&read_row, &delete_row, &probe_row}) {
    statement->Finalize();
  }
  for (CellColumn& column : columns) {
    column.update.Finalize();
    column.write.Finalize();
  }
  update_cells.Clear();
  write_cells.Clear();
}

CellTable* CellTables::Find(std::string_view name) {
  for (const auto& table : tables_) {
    if (SameName(table->name, name)) {
      return table.get();
    }
  }
  return nullptr;
}

CellTable* CellTables::FindId(int64_t id) {
  for (const auto& table : tables_) {
    if (table->id == id) {
      return table.get();
    }
  }
  return nullptr;
}

void CellTables::FinalizeStatements() {
  read_schema_version_.Finalize();
  pending_.FinalizeStatements();
  for (const auto& table : tables_) {
    table->FinalizeStatements();
  }
}

Result<int64_t> CellTables::SchemaVersion() {
  if (!read_schema_version_.prepared()) {
    listener_.WillPrepare();
  }
  MERROW_TRY(read_schema_version_.Prepare(db_, "PRAGMA main.schema_version"));
  const ResetAtEnd reset(read_schema_version_);
  MERROW_ASSIGN(const bool row, read_schema_version_.Step());
  return row ? read_schema_version_.Int(0) : 0;
}

Status CellTables::Refresh() {
  MERROW_ASSIGN(const int64_t version, SchemaVersion());
  listener_.AfterLook();
  if (version == schema_version_) {
    return {};
  }
  MERROW_TRY(listener_.BeforeReload());
  FinalizeStatements();
  // Whatever goes wrong: the next one must find what BeforeReload() is about.
  struct Before {
    CellTables& of;
    bool initialized, has_replica_log;
    std::vector<std::shared_ptr<CellTable>> tables;
    std::map<int64_t, bool> absent;
    bool is_over = false;
    ~Before() {
      if (!is_over) {
        of.schema_version_ = -1;
        of.initialized_ = initialized;
        of.has_replica_log_ = has_replica_log;
        of.tables_ = std::move(tables);
        of.absent_ = std::move(absent);
      }
    }
  } before{*this, initialized_, has_replica_log_, std::move(tables_), std::move(absent_)};
  schema_version_ = -1;
  MERROW_TRY(Load());
  schema_version_ = version;
  MERROW_TRY(listener_.AfterReload());
  before.is_over = true;
  return {};
}

Status CellTables::Load() {
  tables_.clear();
  absent_.clear();
  CellStatement statement;
  MERROW_TRY(
      statement.Prepare(db_,
                        "SELECT count(*), count(*) FILTER (WHERE name = '_merrow_source') FROM "
                        "main.sqlite_master WHERE type = 'table' AND name IN "
                        "('_merrow_cell_table', '_merrow_tx', '_merrow_source')"));
  MERROW_ASSIGN(const bool counted, statement.Step());
  has_replica_log_ = counted && statement.Int(1) == 1;
  initialized_ = counted && statement.Int(0) - statement.Int(1) == 2;
  if (!initialized_) {
    return {};
  }
  statement.Finalize();
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT t.id, coalesce(m.tbl_name, t.name), m.name IS NOT NULL, t.key, t.life_floor FROM "
      "main._merrow_cell_table "
      "t "
      "LEFT JOIN main.sqlite_master m ON m.type = 'trigger' AND m.name = '_merrow_' || t.id || "
      "'_insert' ORDER BY t.id"));
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      break;
    }
    auto table = std::make_shared<CellTable>();
    table->id = statement.Int(0);
    table->name = statement.Text(1);
    table->has_triggers = statement.Int(2) != 0;
    table->stored_key = statement.Text(3);
    table->life_floor = statement.Int(4);
    tables_.push_back(std::move(table));
  }
  for (const auto& table : tables_) {
    MERROW_TRY(LoadTable(*table));
  }
  // A table that was dropped or is being rebuilt has no columns now; nothing can be said of it.
  for (const auto& table : tables_) {
    if (table->key.empty() && !table->stored_key.empty()) {
      absent_[table->id] = !table->stored_key.starts_with(kRowIdKey);
    }
  }
  std::erase_if(tables_, [](const auto& table) { return table->key.empty(); });
  return {};
}

Status CellTables::LoadTable(CellTable& table) {
  MERROW_ASSIGN(const std::vector<PragmaColumn> columns, ReadColumns(db_, table.name));
  MERROW_ASSIGN(const TableTraits traits, ReadTraits(db_, table.name));
  CellStatement known;
  MERROW_TRY(known.Prepare(
      db_, "SELECT id, name FROM main._merrow_cell_column WHERE table_id = ?1 ORDER BY id"));
  known.BindInt(1, table.id);
  std::map<std::string, cells::ColumnId> ids;
  while (true) {
    MERROW_ASSIGN(const bool row, known.Step());
    if (!row) {
      break;
    }
    table.next_column_id = static_cast<cells::ColumnId>(known.Int(0)) + 1;
    if (!known.IsNull(1)) {
      ids[Lower(known.Text(1))] = static_cast<cells::ColumnId>(known.Int(0));
    }
  }
  std::vector<CellColumn> added;
  size_t found = 0;
  for (const PragmaColumn& column : columns) {
    CellColumn cell;
    cell.name = column.name;
    cell.affinity = AffinityOfColumn(column, traits);
    cell.default_sql = column.default_sql;
    const auto id = ids.find(Lower(column.name));
    if (column.key_position > 0) {
      table.key.resize(std::max(table.key.size(), static_cast<size_t>(column.key_position)));
      table.key[static_cast<size_t>(column.key_position) - 1] = std::move(cell);
      table.int_key = SameName(column.type, "INTEGER") && !traits.key_has_index;
    } else if (id != ids.end()) {
      cell.id = id->second;
      ++found;
      table.columns.push_back(std::move(cell));
    } else {
      added.push_back(std::move(cell));
    }
  }
  table.lost_column = found < ids.size();
  table.int_key = table.int_key && table.key.size() == 1;
  std::sort(table.columns.begin(), table.columns.end(),
            [](const CellColumn& a, const CellColumn& b) { return a.id < b.id; });
  table.triggered_columns = table.columns.size();
  for (CellColumn& cell : added) {
    cell.id = table.next_column_id++;
    table.columns.push_back(std::move(cell));
  }
  for (const CellColumn& cell : table.columns) {
    table.column_ids.push_back(cell.id);
  }
  table.clocks = CellClocks(db_, table.id, !table.int_key, &pending_);
  table.dense = table.columns.empty() || table.columns.back().id == table.columns.size() - 1;
  return {};
}

Status CellTables::Initialize() {
  MERROW_TRY(Refresh());
  if (initialized_) {
    return {};
  }
  MERROW_TRY(RunSql(db_, kSchema));
  unsigned char id[cells::kSiteIdBytes];
  sqlite3_randomness(sizeof(id), id);
  id[6] = static_cast<unsigned char>((id[6] & 0x0F) | 0x40);  // a version 4 UUID
  id[8] = static_cast<unsigned char>((id[8] & 0x3F) | 0x80);
  CellStatement insert;
  MERROW_TRY(insert.Prepare(db_, "INSERT OR IGNORE INTO main._merrow_site VALUES (0, ?1)"));
  insert.Bind(1, cells::ValueView::Blob({reinterpret_cast<const char*>(id), sizeof(id)}));
  MERROW_TRY(insert.Run());
  Invalidate();
  return Refresh();
}

namespace {

/// Changesets have to be able to name it.
Status CheckName(std::string_view what, std::string_view name) {
  if (!name.empty() && name.size() <= changeset::kNameBytesMax && IsUtf8(name)) {
    return {};
  }
  return InvalidArgument(std::string(what) + " " + Clip(name) +
                         ": a name that is tracked has 1 to " +
                         std::to_string(changeset::kNameBytesMax) + " bytes of UTF-8, not " +
                         std::to_string(name.size()));
}

}  // namespace

Status CellTables::CheckTrackable(std::string_view name) {
  const std::string where = "table " + std::string(name) + ": ";
  MERROW_ASSIGN(const std::vector<PragmaColumn> columns, ReadColumns(db_, name));
  if (columns.empty()) {
    return NotFound(where + "there is no such table");
  }
  MERROW_TRY(CheckName("table", name));
  for (const PragmaColumn& column : columns) {
    MERROW_TRY(CheckName("column", column.name));
  }
  MERROW_ASSIGN(const TableTraits traits, ReadTraits(db_, name));
  size_t keys = 0;
  for (const PragmaColumn& column : columns) {
    if (column.name == "-1") {
      return InvalidArgument(where + "a column named -1 would be taken for the row itself in " +
                             "crsql_changes");
    }
    if (column.key_position > 0) {
      ++keys;
    } else if (column.not_null && column.default_sql.empty()) {
      return InvalidArgument(where + "column " + column.name +
                             " is NOT NULL without a DEFAULT, so a row cannot arrive in parts");
    }
  }
  if (keys == 0) {
    return InvalidArgument(where + "it has no PRIMARY KEY");
  }
  if (keys > cells::kPackedColumnsMax) {
    return LimitReached(where + "its key has more than 255 columns");
  }
  for (const PragmaColumn& column : columns) {
    const bool rowid = keys == 1 && SameName(column.type, "INTEGER") && !traits.key_has_index;
    if (column.key_position > 0 && !column.not_null && !rowid && !traits.without_rowid) {
      return InvalidArgument(where + "key column " + column.name +
                             " may be NULL; declare it NOT NULL");
    }
  }
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT l.name, l.origin FROM pragma_index_list(?1, 'main') l WHERE l.\"unique\" AND "
      "l.origin <> 'pk'"));
  statement.Bind(1, cells::ValueView::Text(name));
  MERROW_ASSIGN(const bool has_unique, statement.Step());
  if (has_unique) {
    return InvalidArgument(where + "unique index " + statement.Text(0) +
                           " besides the key: two sites could not both keep their rows");
  }
  statement.Finalize();
  MERROW_TRY(statement.Prepare(db_, "SELECT \"from\" FROM pragma_foreign_key_list(?1, 'main')"));
  statement.Bind(1, cells::ValueView::Text(name));
  MERROW_ASSIGN(const bool has_foreign, statement.Step());
  if (has_foreign) {
    return InvalidArgument(where + "column " + statement.Text(0) +
                           " has a foreign key, which rows that arrive in any order would break");
  }
  statement.Finalize();
  MERROW_TRY(statement.Prepare(
      db_,
      "SELECT x.name FROM pragma_index_list(?1, 'main') l, pragma_index_xinfo(l.name, 'main') x "
      "WHERE l.origin = 'pk' AND x.key AND upper(x.coll) <> 'BINARY'"));
  statement.Bind(1, cells::ValueView::Text(name));
  MERROW_ASSIGN(const bool has_collation, statement.Step());
  if (has_collation) {
    return InvalidArgument(where + "key column " + statement.Text(0) +
                           " has a collation, under which two keys could be one");
  }
  return {};
}

Status CellTables::NumberColumns(CellTable& table) {
  CellStatement insert;
  MERROW_TRY(insert.Prepare(
      db_,
      "INSERT OR IGNORE INTO main._merrow_cell_column (table_id, id, name) VALUES (?1, ?2, ?3)"));
  for (const CellColumn& column : table.columns) {
    insert.Reset();
    insert.BindInt(1, table.id);
    insert.BindInt(2, column.id);
    insert.Bind(3, cells::ValueView::Text(column.name));
    MERROW_TRY(insert.Run());
  }
  // A dropped column keeps its number, so that it is never given again, but not its name.
  std::string present;
  for (const CellColumn& column : table.columns) {
    present += (present.empty() ? "" : ", ") + std::to_string(column.id);
  }
  CellStatement rename;
  MERROW_TRY(
      rename.Prepare(db_, "UPDATE main._merrow_cell_table SET name = ?2, key = ?3 WHERE id = ?1"));
  const std::string signature = table.KeySignature();
  rename.BindInt(1, table.id);
  rename.Bind(2, cells::ValueView::Text(table.name));
  rename.Bind(3, cells::ValueView::Text(signature));
  MERROW_TRY(rename.Run());
  return RunSql(db_, "UPDATE main._merrow_cell_column SET name = NULL WHERE table_id = " +
                         std::to_string(table.id) + " AND id NOT IN (" + present + ")");
}

Status CellTables::DropTriggers(const CellTable& table) {
  for (const char* event : {"insert", "update", "delete"}) {
    MERROW_TRY(RunSql(db_, "DROP TRIGGER IF EXISTS main." + TriggerName(table, event)));
  }
  return {};
}

Status CellTables::CreateTriggers(CellTable& table) {
  const std::string id = std::to_string(table.id);
  const std::string on = " ON " + SqlName(table.name) + " BEGIN SELECT ";
  const auto columns = [&table](size_t first, size_t end) {
    std::string list;
    for (size_t i = first; i < end; ++i) {
      const std::string name = SqlName(table.columns[i].name);
      list += ", NEW." + name + ", OLD." + name;
    }
    return list;
  };
  const size_t before = table.ColumnsBeforeLastCall();
  std::string columns_before;
  for (size_t first = 0; first < before; first += kColumnsPerCall) {
    columns_before += "merrow_cell_columns(" + id + ", " + std::to_string(first) +
                      columns(first, std::min(before, first + kColumnsPerCall)) + "); SELECT ";
  }
  MERROW_TRY(RunSql(db_, "CREATE TRIGGER main." + TriggerName(table, "insert") + " AFTER INSERT" +
                             on + "merrow_cell_insert(" + id + KeyList(table, "NEW.") + "); END"));
  MERROW_TRY(RunSql(db_, "CREATE TRIGGER main." + TriggerName(table, "update") + " AFTER UPDATE" +
                             on + columns_before + "merrow_cell_update(" + id +
                             KeyList(table, "NEW.") + KeyList(table, "OLD.") +
                             columns(before, table.columns.size()) + "); END"));
  return RunSql(db_, "CREATE TRIGGER main." + TriggerName(table, "delete") + " AFTER DELETE" + on +
                         "merrow_cell_delete(" + id + KeyList(table, "OLD.") + "); END");
}

Result<CellTable*> CellTables::Track(std::string_view name) {
  MERROW_TRY(CheckTrackable(name));
  MERROW_TRY(Initialize());
  if (Find(name) == nullptr) {
    CellStatement insert;
    MERROW_TRY(insert.Prepare(
        db_,
        "INSERT INTO main._merrow_cell_table (name) SELECT name FROM main.sqlite_master WHERE "
        "type = 'table' AND name = ?1 COLLATE NOCASE"));
    insert.Bind(1, cells::ValueView::Text(name));
    MERROW_TRY(insert.Run());
    Invalidate();
    MERROW_TRY(Refresh());
  }
  CellTable* const table = Find(name);
  if (table == nullptr) {
    return InvalidArgument("table " + std::string(name) + " cannot be tracked");
  }
  if (table->stored_key != table->KeySignature()) {
    table->FinalizeStatements();
    MERROW_TRY(RunSql(db_, "DROP TABLE IF EXISTS main." + table->ClockTable()));
  }
  MERROW_TRY(RunSql(db_, CellClocks::CreateSql(table->id, !table->int_key)));
  MERROW_TRY(NumberColumns(*table));
  MERROW_TRY(DropTriggers(*table));
  MERROW_TRY(CreateTriggers(*table));
  Invalidate();
  MERROW_TRY(Refresh());
  return Find(name);
}

Status CellTables::Untrack(std::string_view name) {
  MERROW_TRY(Refresh());
  CellTable* const table = Find(name);
  if (table == nullptr) {
    return NotFound("table " + std::string(name) + " is not tracked");
  }
  table->FinalizeStatements();
  const std::string id = std::to_string(table->id);
  MERROW_TRY(DropTriggers(*table));
  MERROW_TRY(RunSql(db_, "DROP TABLE IF EXISTS main." + table->ClockTable() +
                             "; DELETE FROM main._merrow_cell_column WHERE table_id = " + id +
                             "; DELETE FROM main._merrow_cell_table WHERE id = " + id));
  Invalidate();
  return Refresh();
}

}  // namespace merrow::store
