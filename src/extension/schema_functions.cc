// SPDX-License-Identifier: Apache-2.0
//
// Functions that change what is tracked, or bring it in line with a changed schema:
//
//     crsql_begin_alter([schema,] t)    from here t may be altered or rebuilt, unrecorded
//     crsql_commit_alter([schema,] t)   until here; clocks agree with the table again
//     crsql_automigrate(schema [, cleanup])   makes the database's tables those of `schema`
//     merrow_take_over()                makes a cr-sqlite database Merrow's; the number of tables
//     merrow_confirm(site, version)     that site has merged everything of ours up to version
//     merrow_forget_site(site)          that site will never come back
//     merrow_collect()                  drops tombstones that every site confirmed; how many
//
// After ALTER TABLE ADD COLUMN alone, merrow_track(t) once more is enough, and reads no rows.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "extension/extension.h"
#include "store/cell_guard.h"

namespace merrow::extension {
namespace {

using store::ArgumentValue;
using store::CellStatement;
using store::GuardFunction;
using store::RunSql;
using store::SqlName;

void BeginAlter(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const std::string table, TableArgument(count, values));
    MERROW_TRY(StoreOf(context).BeginAlter(table));
    SetResult(context, cells::ValueView::Text("OK"));
    return {};
  });
}

void CommitAlter(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    // A third argument was cr-sqlite's hint that rows need not be read; that is noticed here.
    MERROW_ASSIGN(const std::string table, TableArgument(std::min(count, 2), values));
    MERROW_TRY(StoreOf(context).CommitAlter(table));
    SetResult(context, cells::ValueView::Text("OK"));
    return {};
  });
}

void TakeOver(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const int64_t tables, StoreOf(context).TakeOver());
    sqlite3_result_int64(context, tables);
    return {};
  });
}

Result<cells::SiteId> SiteArgument(sqlite3_value* value) {
  return cells::SiteId::FromBytes(ArgumentValue(value).bytes);
}

void Confirm(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const cells::SiteId site, SiteArgument(values[0]));
    return StoreOf(context).ConfirmPeer(site, sqlite3_value_int64(values[1]));
  });
}

void ForgetSite(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const cells::SiteId site, SiteArgument(values[0]));
    return StoreOf(context).ForgetPeer(site);
  });
}

void Collect(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const int64_t count, StoreOf(context).CollectTombstones());
    sqlite3_result_int64(context, count);
    return {};
  });
}

// --- crsql_automigrate.

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};

/// A schema may track its tables itself, with functions that the scratch database need not have.
void DoNothing(sqlite3_context*, int, sqlite3_value**) {}

Result<std::unique_ptr<sqlite3, CloseDatabase>> OpenSchema(const std::string& schema) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<sqlite3, CloseDatabase> db(handle);
  if (code != SQLITE_OK) {
    return IoError("cannot open a database in memory");
  }
  for (const char* name : {"merrow_track", "crsql_as_crr", "crsql_fract_as_ordered"}) {
    sqlite3_create_function_v2(handle, name, -1, SQLITE_UTF8, nullptr, DoNothing, nullptr, nullptr,
                               nullptr);
  }
  MERROW_TRY(RunSql(handle, schema));
  return db;
}

Result<std::vector<std::string>> ReadTexts(sqlite3* db, const std::string& sql,
                                           std::string_view argument = {}) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(db, sql));
  statement.Bind(1, cells::ValueView::Text(argument));
  std::vector<std::string> texts;
  while (true) {
    MERROW_ASSIGN(const bool more, statement.Step());
    if (!more) {
      return texts;
    }
    texts.push_back(statement.Text(0));
  }
}

/// The user's own tables, neither SQLite's nor ours nor cr-sqlite's.
Result<std::vector<std::string>> UserTables(sqlite3* db) {
  return ReadTexts(
      db,
      "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
      "ESCAPE '\\' AND name NOT LIKE '\\_merrow\\_%' ESCAPE '\\' AND name NOT LIKE 'crsql\\_%' "
      "ESCAPE '\\' AND name NOT LIKE '%\\_\\_crsql\\_%' ESCAPE '\\' AND ?1 IS NOT NULL");
}

Result<std::map<std::string, std::string>> ColumnDefinitions(sqlite3* db,
                                                             const std::string& table) {
  CellStatement statement;
  MERROW_TRY(statement.Prepare(
      db, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)"));
  statement.Bind(1, cells::ValueView::Text(table));
  std::map<std::string, std::string> columns;
  while (true) {
    MERROW_ASSIGN(const bool more, statement.Step());
    if (!more) {
      return columns;
    }
    std::string definition = SqlName(statement.Text(0)) + " " + statement.Text(1);
    definition += statement.Int(2) != 0 ? " NOT NULL" : "";
    definition += statement.IsNull(3) ? "" : " DEFAULT (" + statement.Text(3) + ")";
    // A key column cannot be added, and this makes SQLite say so.
    definition += statement.Int(4) != 0 ? " PRIMARY KEY" : "";
    columns[statement.Text(0)] = definition;
  }
}

Status DropChangedIndexes(sqlite3* db, sqlite3* wanted, const std::string& table) {
  constexpr char kIndexes[] =
      "SELECT name FROM main.sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = "
      "?1 COLLATE NOCASE";
  // What an index is, however it was spelled.
  constexpr char kShape[] =
      "SELECT (SELECT group_concat(l.\"unique\" || l.partial) FROM pragma_index_list(m.tbl_name) l "
      "WHERE l.name = m.name) || coalesce((SELECT group_concat(coalesce(x.name, '') || x.\"desc\" "
      "|| x.coll) FROM pragma_index_xinfo(m.name) x WHERE x.key), '') || CASE WHEN m.sql LIKE '% "
      "WHERE %' THEN m.sql ELSE '' END FROM main.sqlite_master m WHERE m.type = 'index' AND "
      "m.name = ?1";
  MERROW_ASSIGN(const std::vector<std::string> indexes, ReadTexts(db, kIndexes, table));
  for (const std::string& index : indexes) {
    MERROW_ASSIGN(const std::vector<std::string> is, ReadTexts(db, kShape, index));
    MERROW_ASSIGN(const std::vector<std::string> should_be, ReadTexts(wanted, kShape, index));
    if (is != should_be) {
      MERROW_TRY(RunSql(db, "DROP INDEX main." + SqlName(index)));
    }
  }
  return {};
}

Status MigrateTable(store::CellStore& store, sqlite3* wanted, const std::string& table) {
  sqlite3* const db = store.db();
  MERROW_ASSIGN(const auto is, ColumnDefinitions(db, table));
  MERROW_ASSIGN(const auto should_be, ColumnDefinitions(wanted, table));
  std::string changes;
  for (const auto& [name, definition] : is) {
    if (should_be.count(name) == 0) {
      changes += "ALTER TABLE main." + SqlName(table) + " DROP COLUMN " + SqlName(name) + ";";
    }
  }
  for (const auto& [name, definition] : should_be) {
    if (is.count(name) == 0) {
      changes += "ALTER TABLE main." + SqlName(table) + " ADD COLUMN " + definition + ";";
    }
  }
  MERROW_TRY(store.tables().Refresh());
  const bool is_tracked = store.tables().Find(table) != nullptr;
  if (!changes.empty() && is_tracked) {
    MERROW_TRY(store.BeginAlter(table));
  }
  MERROW_TRY(DropChangedIndexes(db, wanted, table));
  MERROW_TRY(RunSql(db, changes));
  return !changes.empty() && is_tracked ? store.CommitAlter(table) : Status();
}

Status DropTable(store::CellStore& store, const std::string& table) {
  MERROW_TRY(store.tables().Refresh());
  if (store.tables().Find(table) != nullptr) {
    MERROW_TRY(store.Untrack(table));
  }
  return RunSql(store.db(), "DROP TABLE main." + SqlName(table));
}

Status MigrateTo(store::CellStore& store, const std::string& schema) {
  MERROW_ASSIGN(const auto wanted, OpenSchema(schema));
  MERROW_ASSIGN(const std::vector<std::string> is, UserTables(store.db()));
  MERROW_ASSIGN(const std::vector<std::string> should_be, UserTables(wanted.get()));
  for (const std::string& table : is) {
    const bool stays = std::find(should_be.begin(), should_be.end(), table) != should_be.end();
    Status done = stays ? MigrateTable(store, wanted.get(), table) : DropTable(store, table);
    if (!done.ok()) {
      return done.error().Within("migrating table " + table);
    }
  }
  return RunSql(store.db(), schema);
}

void AutoMigrate(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    if (count < 1 || count > 2) {
      return InvalidArgument("the arguments are schema [, cleanup]");
    }
    store::CellStore& store = StoreOf(context);
    if (sqlite3_value_type(values[0]) != SQLITE_TEXT) {
      return InvalidArgument("a schema is text, not " + cells::Describe(ArgumentValue(values[0])));
    }
    const std::string schema(ArgumentValue(values[0]).bytes);
    // The second argument is what cr-sqlite needs to let go of its statements, unneeded here.
    MERROW_TRY(RunSql(store.db(), "SAVEPOINT merrow_migrate"));
    Status done = MigrateTo(store, schema);
    if (!done.ok()) {
      sqlite3_exec(store.db(), "ROLLBACK TO merrow_migrate; RELEASE merrow_migrate", nullptr,
                   nullptr, nullptr);
      store.Forget();
      return done;
    }
    MERROW_TRY(RunSql(store.db(), "RELEASE merrow_migrate"));
    SetResult(context, cells::ValueView::Text("migration complete"));
    return {};
  });
}

}  // namespace

Status RegisterSchemaFunctions(store::CellStore& store) {
  struct Entry {
    const char* name;
    int arguments;
    Function function;
  };
  constexpr int kAny = -1;
  const std::array<Entry, 7> functions = {{{"crsql_begin_alter", kAny, BeginAlter},
                                           {"crsql_commit_alter", kAny, CommitAlter},
                                           {"crsql_automigrate", kAny, AutoMigrate},
                                           {"merrow_take_over", 0, TakeOver},
                                           {"merrow_confirm", 2, Confirm},
                                           {"merrow_forget_site", 1, ForgetSite},
                                           {"merrow_collect", 0, Collect}}};
  for (const Entry& entry : functions) {
    MERROW_TRY(AddFunction(store, entry.name, entry.arguments, 0, entry.function));
  }
  return {};
}

}  // namespace merrow::extension
