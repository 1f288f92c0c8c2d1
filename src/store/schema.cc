// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "store/create_table.h"
#include "store/sqlite.h"

namespace merrow::store {
namespace {

constexpr std::string_view kAllowed =
    "a schema may only CREATE tables, indexes, triggers and views (not temporary or virtual ones)";

bool StartsWithIgnoringCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && SameSqlName(text.substr(0, prefix.size()), prefix);
}

/// What a schema file may do. CREATE reads and writes sqlite_master by itself.
int AuthorizeSchema(void* /*context*/, int action, const char* first, const char* /*second*/,
                    const char* database, const char* /*trigger*/) {
  switch (action) {
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
    case SQLITE_REINDEX:
    case SQLITE_FUNCTION:
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
      return std::strcmp(first, "sqlite_master") == 0 && std::strcmp(database, "main") == 0
                 ? SQLITE_OK
                 : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

Result<std::unique_ptr<Database>> RunInMemory(const std::string& sql) {
  MERROW_ASSIGN(
      auto database,
      Database::Open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX));
  // Otherwise a misspelt column in double quotes would pass as a string.
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_set_authorizer(database->handle(), AuthorizeSchema, nullptr);
  const Status status = database->Execute(sql);
  sqlite3_set_authorizer(database->handle(), nullptr, nullptr);
  if (!status.ok()) {
    std::string message = "schema: " + status.error().message();
    if (sqlite3_extended_errcode(database->handle()) == SQLITE_AUTH) {
      message = "schema: " + std::string(kAllowed) + ": " + status.error().message();
    }
    return InvalidArgument(std::move(message));
  }
  return database;
}

Result<std::vector<SchemaObject>> ReadObjects(Database& database) {
  MERROW_ASSIGN(Statement statement,
                database.Prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema "
                                 "WHERE sql IS NOT NULL ORDER BY rowid"));
  std::vector<SchemaObject> objects;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return objects;
    }
    objects.push_back({std::string(statement.Text(0)), std::string(statement.Text(1)),
                       std::string(statement.Text(2)), std::string(statement.Text(3))});
  }
}

Status CheckName(const SchemaObject& object) {
  for (const std::string_view prefix : {"_merrow_", "merrow_", "crsql_"}) {
    if (StartsWithIgnoringCase(object.name, prefix)) {
      return InvalidArgument("schema: " + object.type + " " + object.name +
                             ": names that begin with " + std::string(prefix) +
                             " are Merrow's own");
    }
  }
  return {};
}

struct ColumnInfo {
  std::string name;
  std::string type;
  bool not_null = false;
  std::optional<std::string> default_sql;
  bool in_key = false;
  bool generated = false;
};

Result<std::vector<ColumnInfo>> ReadColumns(Database& database, const std::string& table) {
  MERROW_ASSIGN(Statement statement,
                database.Prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden "
                                 "FROM pragma_table_xinfo(?1)"));
  statement.BindText(1, table);
  std::vector<ColumnInfo> columns;
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return columns;
    }
    ColumnInfo& column = columns.emplace_back();
    column.name = statement.Text(0);
    column.type = statement.Text(1);
    column.not_null = statement.Int(2) != 0;
    if (!statement.IsNull(3)) {
      column.default_sql = std::string(statement.Text(3));
    }
    column.in_key = statement.Int(4) != 0;
    column.generated = statement.Int(5) != 0;
  }
}

bool IsCrdtType(std::string_view type) { return StartsWithIgnoringCase(type, "CRDT_"); }

Result<ColumnKind> KindOfCrdtType(const std::string& where, std::string_view type) {
  if (SameSqlName(type, "CRDT_TEXT")) {
    return ColumnKind::kText;
  }
  if (SameSqlName(type, "CRDT_LIST")) {
    return ColumnKind::kList;
  }
  if (SameSqlName(type, "CRDT_MAP")) {
    return ColumnKind::kMap;
  }
  if (SameSqlName(type, "CRDT_COUNTER")) {
    return ColumnKind::kCounter;
  }
  if (SameSqlName(type, "CRDT_MOVABLE_LIST")) {
    return ColumnKind::kMovableList;
  }
  if (SameSqlName(type, "CRDT_TREE")) {
    return ColumnKind::kTree;
  }
  return InvalidArgument(
      where + ": there is no type " + std::string(type) +
      "; there are CRDT_TEXT, CRDT_LIST, CRDT_MOVABLE_LIST, CRDT_MAP, CRDT_TREE and "
      "CRDT_COUNTER");
}

/// The projection writes a default again and again, so it must be the same value each time.
bool IsLiteral(std::string_view sql) {
  if (sql.empty() || sql.front() == '(') {
    return false;
  }
  const bool quoted = sql.front() == '\'' || sql.front() == '"';
  const bool blob = sql.size() > 1 && (sql[0] == 'x' || sql[0] == 'X') && sql[1] == '\'';
  const bool number =
      sql.find_first_not_of("+-. 0123456789abcdefxABCDEFX") == std::string_view::npos;
  return quoted || blob || number || SameSqlName(sql, "null") || SameSqlName(sql, "true") ||
         SameSqlName(sql, "false");
}

Result<Column> MakeColumn(const std::string& where, const ColumnInfo& info) {
  Column column{info.name, info.type, ColumnKind::kScalar, ""};
  if (IsCrdtType(info.type)) {
    if (SameSqlName(info.name, "row")) {
      return InvalidArgument(where +
                             ": a CRDT_ column cannot be named row, which is the name of "
                             "the container of the scalar columns");
    }
    MERROW_ASSIGN(column.kind, KindOfCrdtType(where, info.type));
    return column;
  }
  if (info.default_sql.has_value() && !SameSqlName(*info.default_sql, "null")) {
    if (!IsLiteral(*info.default_sql)) {
      return Unsupported(where +
                         ": the default of a document table's column must be a literal, not " +
                         *info.default_sql);
    }
    column.default_sql = *info.default_sql;
  }
  return column;
}

Status CheckKeyColumn(Database& database, const std::string& where, const SchemaObject& object,
                      const ColumnInfo& key) {
  if (IsCrdtType(key.type)) {
    return InvalidArgument(where + ": a CRDT_ column cannot be the primary key");
  }
  if (!SameSqlName(key.type, "TEXT") || !key.not_null) {
    return InvalidArgument(where +
                           ": the key of a document table must be TEXT PRIMARY KEY NOT NULL");
  }
  const char* collation = nullptr;
  const int code = sqlite3_table_column_metadata(database.handle(), "main", object.name.c_str(),
                                                 key.name.c_str(), nullptr, &collation, nullptr,
                                                 nullptr, nullptr);
  if (code != SQLITE_OK) {
    return database.LastError(code, object.sql);
  }
  if (!SameSqlName(collation, "BINARY")) {
    return InvalidArgument(where +
                           ": the key of a document table must have the collation BINARY, "
                           "not " +
                           collation);
  }
  return {};
}

Result<Table> MakeTable(Database& database, const SchemaObject& object,
                        const std::vector<ColumnInfo>& infos) {
  const std::string table_where = "schema: table " + object.name;
  MERROW_ASSIGN(const CreateTable created, CreateTable::Parse(object.sql));
  if (created.HasWord("deferred")) {
    return Unsupported(table_where +
                       ": a deferred foreign key of a document table would fail other "
                       "clients' edits at commit; leave DEFERRED out");
  }
  Table table{object.name, {}, 0};
  size_t key_columns = 0;
  for (const ColumnInfo& info : infos) {
    const std::string where = table_where + ", column " + info.name;
    if (info.generated) {
      if (IsCrdtType(info.type)) {
        return InvalidArgument(where + ": a CRDT_ column cannot be generated");
      }
      continue;
    }
    if (info.in_key) {
      MERROW_TRY(CheckKeyColumn(database, where, object, info));
      ++key_columns;
      table.key_index = table.columns.size();
      table.columns.push_back({info.name, info.type, ColumnKind::kKey, ""});
      continue;
    }
    MERROW_ASSIGN(Column column, MakeColumn(where, info));
    table.columns.push_back(std::move(column));
  }
  if (key_columns != 1) {
    return InvalidArgument(table_where +
                           " has CRDT_ columns, so it needs exactly one key column, "
                           "TEXT PRIMARY KEY NOT NULL; it has " +
                           std::to_string(key_columns));
  }
  return table;
}

}  // namespace

const Column* Table::FindColumn(std::string_view column_name) const {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const Column& column) { return column.name == column_name; });
  return found == columns.end() ? nullptr : &*found;
}

Result<Schema> Schema::Parse(const std::string& sql) {
  if (sql.find('\0') != std::string::npos) {
    return InvalidArgument("schema: it has a zero byte, so it is not SQL text");
  }
  MERROW_ASSIGN(auto database, RunInMemory(sql));
  Schema schema;
  MERROW_ASSIGN(schema.objects_, ReadObjects(*database));
  for (const SchemaObject& object : schema.objects_) {
    MERROW_TRY(CheckName(object));
    if (object.type != "table") {
      continue;
    }
    MERROW_ASSIGN(const auto columns, ReadColumns(*database, object.name));
    if (std::any_of(columns.begin(), columns.end(),
                    [](const ColumnInfo& column) { return IsCrdtType(column.type); })) {
      MERROW_ASSIGN(Table table, MakeTable(*database, object, columns));
      schema.tables_.push_back(std::move(table));
    }
  }
  return schema;
}

const Table* Schema::Find(std::string_view name) const {
  const auto found = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const Table& table) { return table.name == name; });
  return found == tables_.end() ? nullptr : &*found;
}

bool SameSqlName(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         sqlite3_strnicmp(a.data(), b.data(), static_cast<int>(a.size())) == 0;
}

Status CheckDocumentKey(std::string_view key, size_t bytes_max) {
  if (key.empty() || key.size() > bytes_max || !IsUtf8(key) ||
      key.find('\0') != std::string_view::npos) {
    return InvalidArgument("a key must be UTF-8 without zero bytes, from 1 to " +
                           std::to_string(bytes_max) + " bytes long (" +
                           std::to_string(key.size()) + ")");
  }
  return {};
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted.push_back(c);
    if (c == '"') {
      quoted.push_back('"');
    }
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace merrow::store
