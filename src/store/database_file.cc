// SPDX-License-Identifier: Apache-2.0
#include "store/database_file.h"

#include <algorithm>
#include <optional>

#include "store/create_table.h"

namespace merrow::store {
namespace {

constexpr const char* kCreateTables = R"sql(
CREATE TABLE _merrow_table (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE _merrow_document (
  table_id INTEGER NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, quarantine TEXT,
  PRIMARY KEY (table_id, key)) WITHOUT ROWID;
CREATE TABLE _merrow_log (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE _merrow_stale (
  document_id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, key TEXT NOT NULL);
)sql";

/// True if the file is new; an error if it is somebody else's or a newer Merrow's.
Result<bool> CheckOwner(Database& database, const std::string& path) {
  MERROW_ASSIGN(const int64_t application, database.QueryInt("PRAGMA application_id"));
  MERROW_ASSIGN(const int64_t version, database.QueryInt("PRAGMA user_version"));
  if (application == kApplicationId) {
    if (version > kFormatVersion) {
      return Unsupported(path + " has format " + std::to_string(version) +
                         ", from a newer Merrow; this one reads up to " +
                         std::to_string(kFormatVersion));
    }
    if (version < 1) {
      return Corruption(path + " has the impossible format " + std::to_string(version));
    }
    return false;
  }
  // merrow.so marks a file only once it has documents.
  MERROW_ASSIGN(const int64_t has_sites,
                database.QueryInt("SELECT count(*) FROM sqlite_schema WHERE name = "
                                  "'_merrow_site'"));
  if (application == 0 && version == 0 && has_sites != 0) {
    return false;
  }
  MERROW_ASSIGN(const int64_t objects, database.QueryInt("SELECT count(*) FROM sqlite_schema"));
  if (application != 0 || version != 0 || objects != 0) {
    return InvalidArgument(path +
                           " is a SQLite database, but not a Merrow database (application_id " +
                           std::to_string(application) + ")");
  }
  return true;
}

/// SQLite reads the file at the first statement, not when it is opened.
Error Explain(const Error& error, const std::string& path) {
  if (error.code() == ErrorCode::kCorruption) {
    return InvalidArgument(path + " is not a Merrow database: " + error.message());
  }
  if (error.code() == ErrorCode::kBusy) {
    return Busy(path + " is locked by another process that writes it: " + error.message());
  }
  return error;
}

Status UseWriteAheadLog(Database& database) {
  MERROW_ASSIGN(Statement statement, database.Prepare("PRAGMA journal_mode = WAL"));
  MERROW_TRY(statement.Step());
  if (statement.Text(0) != "wal") {
    return IoError("the file system cannot hold a database in WAL mode; SQLite stays in mode " +
                   std::string(statement.Text(0)));
  }
  return {};
}

Status Configure(Database& database, bool is_new) {
  if (is_new) {
    MERROW_TRY(database.Execute("PRAGMA page_size = " + std::to_string(kPageBytes)));
    MERROW_TRY(database.Execute("PRAGMA auto_vacuum = NONE"));
  }
  MERROW_TRY(UseWriteAheadLog(database));
  // FULL syncs the write-ahead log at every commit. NORMAL would sync it only at checkpoints, and a
  // power cut would take back commits that clients were told about.
  MERROW_TRY(database.Execute("PRAGMA synchronous = FULL"));
  MERROW_TRY(database.Execute("PRAGMA foreign_keys = ON"));
  // Not MEMORY: what a savepoint may have to undo would be a list in memory, which every statement
  // with triggers walks through, so that a large changeset took time by the square of its size.
  MERROW_TRY(database.Execute("PRAGMA temp_store = FILE"));
  // Debian's SQLite writes zeros over what is deleted; FAST does so where it costs no extra write.
  MERROW_TRY(database.Execute("PRAGMA secure_delete = FAST"));
  MERROW_TRY(database.Execute("PRAGMA cache_size = -8192"));             // KiB
  MERROW_TRY(database.Execute("PRAGMA wal_autocheckpoint = 2000"));      // pages
  MERROW_TRY(database.Execute("PRAGMA journal_size_limit = 16777216"));  // bytes
  return {};
}

std::string DescribeChange(const std::string& table, const std::string& column,
                           const std::string& in_file, const std::string& in_schema) {
  return "schema: table " + table + ", column " + column +
         " was changed, which this release cannot do to an existing table: the database has \"" +
         in_file + "\", the schema \"" + in_schema + "\"";
}

const CreateTable::ColumnDefinition* Find(const CreateTable& table, const std::string& name) {
  const auto found = std::find_if(
      table.columns.begin(), table.columns.end(),
      [&](const auto& column) { return sqlite3_stricmp(column.name.c_str(), name.c_str()) == 0; });
  return found == table.columns.end() ? nullptr : &*found;
}

/// Adds the columns that `wanted` has and the table has not. True if there were any.
Result<bool> EvolveTable(Database& database, const SchemaObject& wanted,
                         std::string_view sql_in_file) {
  MERROW_ASSIGN(const CreateTable old_table, CreateTable::Parse(sql_in_file));
  MERROW_ASSIGN(const CreateTable new_table, CreateTable::Parse(wanted.sql));
  for (const auto& column : old_table.columns) {
    const auto* const still = Find(new_table, column.name);
    if (still == nullptr) {
      return InvalidArgument("schema: table " + wanted.name + ", column " + column.name +
                             " is in the database but not in the schema; dropping columns is not "
                             "possible in this release");
    }
    if (still->normalized != column.normalized) {
      return InvalidArgument(DescribeChange(wanted.name, column.name, column.text, still->text));
    }
  }
  if (old_table.constraints != new_table.constraints || old_table.options != new_table.options) {
    return InvalidArgument("schema: table " + wanted.name +
                           ": constraints or options were changed, which this release cannot do to "
                           "an existing table");
  }
  bool added = false;
  for (const auto& column : new_table.columns) {
    if (Find(old_table, column.name) != nullptr) {
      continue;
    }
    const Status status = database.Execute("ALTER TABLE " + QuoteIdentifier(wanted.name) +
                                           " ADD COLUMN " + column.text);
    if (!status.ok()) {
      return InvalidArgument("schema: table " + wanted.name + ", new column " + column.name + ": " +
                             status.error().message());
    }
    added = true;
  }
  return added;
}

struct ObjectInFile {
  std::string type;
  std::string sql;
};

Result<std::optional<ObjectInFile>> FindObject(Database& database, const std::string& name) {
  MERROW_ASSIGN(Statement statement, database.Prepare("SELECT type, sql FROM sqlite_schema "
                                                      "WHERE name = ?1 COLLATE NOCASE"));
  statement.BindText(1, name);
  MERROW_ASSIGN(const bool row, statement.Step());
  if (!row) {
    return std::optional<ObjectInFile>();
  }
  return std::optional(
      ObjectInFile{std::string(statement.Text(0)), std::string(statement.Text(1))});
}

Status CheckNoTableDropped(Database& database, const Schema& schema) {
  MERROW_ASSIGN(Statement statement,
                database.Prepare("SELECT name FROM _merrow_table ORDER BY id"));
  while (true) {
    MERROW_ASSIGN(const bool row, statement.Step());
    if (!row) {
      return {};
    }
    if (schema.Find(statement.Text(0)) == nullptr) {
      return InvalidArgument("schema: the database has documents in table " +
                             std::string(statement.Text(0)) +
                             ", which is not a document table of the schema");
    }
  }
}

}  // namespace

Result<std::unique_ptr<Database>> OpenDatabaseFile(const std::string& path, int busy_timeout_ms) {
  MERROW_ASSIGN(auto database, Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                                        SQLITE_OPEN_NOMUTEX));
  sqlite3_busy_timeout(database->handle(), busy_timeout_ms);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  const Result<bool> is_new = CheckOwner(*database, path);
  if (!is_new.ok()) {
    return Explain(is_new.error(), path);
  }
  const Status configured = Configure(*database, *is_new);
  if (!configured.ok()) {
    return Explain(configured.error(), path);
  }
  return database;
}

Result<std::unique_ptr<Database>> OpenExistingDatabase(const std::string& path,
                                                       int busy_timeout_ms) {
  MERROW_ASSIGN(auto database, Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  sqlite3_busy_timeout(database->handle(), busy_timeout_ms);
  MERROW_TRY(CheckExistingDatabase(*database, path));
  MERROW_ASSIGN(const int64_t application, database->QueryInt("PRAGMA application_id"));
  if (application == kApplicationId) {
    MERROW_TRY(database->Execute("PRAGMA foreign_keys = ON"));  // as the server has it
  }
  return database;
}

Status CheckExistingDatabase(Database& database, const std::string& path) {
  const Result<int64_t> application = database.QueryInt("PRAGMA application_id");
  if (!application.ok()) {
    return Explain(application.error(), path);
  }
  if (*application != kApplicationId) {
    return {};
  }
  const Result<bool> is_new = CheckOwner(database, path);
  return is_new.ok() ? Status() : Explain(is_new.error(), path);
}

Status InitializeFormat(Database& database) {
  MERROW_ASSIGN(const int64_t application, database.QueryInt("PRAGMA application_id"));
  if (application == kApplicationId) {
    return {};
  }
  MERROW_TRY(database.Execute("PRAGMA application_id = " + std::to_string(kApplicationId)));
  MERROW_TRY(database.Execute("PRAGMA user_version = " + std::to_string(kFormatVersion)));
  return database.Execute(kCreateTables);
}

Status CreateDocumentTables(Database& database) {
  MERROW_ASSIGN(const int64_t application, database.QueryInt("PRAGMA main.application_id"));
  MERROW_ASSIGN(const int64_t version, database.QueryInt("PRAGMA main.user_version"));
  if (application == 0 && version == 0) {
    return InitializeFormat(database);
  }
  if (application == kApplicationId && version > kFormatVersion) {
    return Unsupported("the database has format " + std::to_string(version) +
                       ", from a newer Merrow; this one reads up to " +
                       std::to_string(kFormatVersion));
  }
  return database.Execute(kCreateTables);
}

Result<std::vector<std::string>> ApplySchema(Database& database, const Schema& schema) {
  MERROW_TRY(CheckNoTableDropped(database, schema));
  std::vector<std::string> extended;
  for (const SchemaObject& object : schema.objects()) {
    MERROW_ASSIGN(const auto in_file, FindObject(database, object.name));
    if (!in_file.has_value()) {
      MERROW_TRY(database.Execute(object.sql));
      continue;
    }
    if (in_file->type != object.type) {
      return InvalidArgument("schema: " + object.name + " is a " + object.type +
                             ", but in the database it is a " + in_file->type);
    }
    if (object.type == "table") {
      MERROW_ASSIGN(const bool added, EvolveTable(database, object, in_file->sql));
      if (added && schema.Find(object.name) != nullptr) {
        extended.push_back(object.name);
      }
    } else if (NormalizeSql(in_file->sql) != NormalizeSql(object.sql)) {
      return InvalidArgument("schema: " + object.type + " " + object.name +
                             " was changed, which this release cannot do to an existing one");
    }
  }
  return extended;
}

Result<int64_t> TableId(Database& database, const std::string& name) {
  MERROW_ASSIGN(Statement find, database.Prepare("SELECT id FROM _merrow_table WHERE name = ?1"));
  find.BindText(1, name);
  MERROW_ASSIGN(const bool row, find.Step());
  if (row) {
    return find.Int(0);
  }
  // A table that was local until now may have rows, which no document describes.
  MERROW_ASSIGN(const int64_t rows,
                database.QueryInt("SELECT EXISTS (SELECT 1 FROM " + QuoteIdentifier(name) + ")"));
  if (rows != 0) {
    return InvalidArgument("schema: table " + name +
                           " has rows from before it had CRDT_ columns; rows cannot be turned into "
                           "documents in this release");
  }
  MERROW_ASSIGN(Statement insert, database.Prepare("INSERT INTO _merrow_table (name) VALUES (?1)"));
  insert.BindText(1, name);
  MERROW_TRY(insert.Run());
  return sqlite3_last_insert_rowid(database.handle());
}

}  // namespace merrow::store
