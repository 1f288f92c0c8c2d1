// SPDX-License-Identifier: Apache-2.0
//
// Functions about the database as a whole, under Merrow's names and cr-sqlite's:
//
//     merrow_track(t)     crsql_as_crr([schema,] t)     from now on t's rows merge
//     merrow_untrack(t)   crsql_as_table([schema,] t)   no longer
//     merrow_site_id()    crsql_site_id()               16 random bytes
//     merrow_db_version() crsql_db_version()            as of the last commit
//                         crsql_next_db_version([n])    what a write now is stamped with
//                         crsql_rows_impacted()         by merging, in this transaction
//                         crsql_config_set(k, v), crsql_config_get(k)
//                         crsql_finalize()              lets go of prepared statements
//     merrow_version()    crsql_sha()                   which code this is
#include <array>
#include <string>

#include "base/release.h"
#include "extension/extension.h"
#include "store/cell_guard.h"

namespace merrow::extension {

/// The table's name, which is the last argument; a schema before it must be main.
Result<std::string> TableArgument(int count, sqlite3_value** values) {
  if (count < 1 || count > 2) {
    return InvalidArgument("the arguments are [schema,] table");
  }
  for (int i = 0; i < count; ++i) {
    if (sqlite3_value_type(values[i]) != SQLITE_TEXT) {
      return InvalidArgument("a table's name must be text, not " +
                             cells::Describe(store::ArgumentValue(values[i])));
    }
  }
  if (count == 2 && store::ArgumentValue(values[0]).bytes != "main") {
    return Unsupported("only tables of the main database can be tracked, not of " +
                       cells::Describe(store::ArgumentValue(values[0])));
  }
  return std::string(store::ArgumentValue(values[count - 1]).bytes);
}

namespace {

using store::ArgumentValue;
using store::GuardFunction;

constexpr std::string_view kMergeEqualValues = "merge-equal-values";

void Track(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const std::string table, TableArgument(count, values));
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(StoreOf(context).db()));
    MERROW_TRY(CaptureOf(context).Track(table));
    MERROW_TRY(savepoint.Release());
    SetResult(context, cells::ValueView::Text("OK"));
    return {};
  });
}

void Untrack(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const std::string table, TableArgument(count, values));
    MERROW_ASSIGN(store::CellSavepoint savepoint,
                  store::CellSavepoint::Begin(StoreOf(context).db()));
    MERROW_TRY(CaptureOf(context).Untrack(table));
    MERROW_TRY(savepoint.Release());
    SetResult(context, cells::ValueView::Text("OK"));
    return {};
  });
}

void SiteId(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const cells::SiteId site, StoreOf(context).OwnSite());
    SetResult(context, cells::ValueView::Blob(site.view()));
    return {};
  });
}

void DbVersion(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    MERROW_ASSIGN(const cells::DbVersion version, StoreOf(context).DbVersion());
    sqlite3_result_int64(context, version);
    return {};
  });
}

void NextDbVersion(sqlite3_context* context, int count, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    store::CellStore& store = StoreOf(context);
    MERROW_ASSIGN(cells::DbVersion version, store.NextDbVersion());
    if (count > 0) {
      const cells::DbVersion wanted = sqlite3_value_int64(values[0]);
      if (wanted >= cells::kDbVersionMax) {
        return LimitReached("db_version " + std::to_string(wanted) + " is too large");
      }
      version = std::max(version, wanted);
      if (store.transaction().active()) {
        store.transaction().RaiseVersion(version);
      }
    }
    sqlite3_result_int64(context, version);
    return {};
  });
}

void RowsImpacted(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int64(context, StoreOf(context).transaction().rows_impacted);
}

Status CheckConfigKey(const cells::ValueView& key) {
  if (key.type != cells::ValueType::kText || key.bytes != kMergeEqualValues) {
    return InvalidArgument("there is no setting " + cells::Describe(key) +
                           "; the only one is 'merge-equal-values'");
  }
  return {};
}

void ConfigSet(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_TRY(CheckConfigKey(ArgumentValue(values[0])));
    sqlite3_value_numeric_type(values[1]);  // a driver may only know texts
    const cells::ValueView value = ArgumentValue(values[1]);
    if (value.type != cells::ValueType::kInteger || (value.integer != 0 && value.integer != 1)) {
      return InvalidArgument("merge-equal-values is 0 or 1, not " + cells::Describe(value));
    }
    MERROW_TRY(StoreOf(context).SetConfigInt(kMergeEqualValues, value.integer));
    sqlite3_result_int64(context, value.integer);
    return {};
  });
}

void ConfigGet(sqlite3_context* context, int, sqlite3_value** values) {
  GuardFunction(context, [&]() -> Status {
    MERROW_TRY(CheckConfigKey(ArgumentValue(values[0])));
    MERROW_ASSIGN(const int64_t value, StoreOf(context).ConfigInt(kMergeEqualValues, 0));
    sqlite3_result_int64(context, value);
    return {};
  });
}

void Finalize(sqlite3_context* context, int, sqlite3_value**) {
  GuardFunction(context, [&]() -> Status {
    StoreOf(context).FinalizeStatements();
    SetResult(context, cells::ValueView::Text("finalized"));
    return {};
  });
}

void Version(sqlite3_context* context, int, sqlite3_value**) {
  const std::string name = std::string("merrow ") + kRelease;
  SetResult(context, cells::ValueView::Text(name));
}

}  // namespace

Status RegisterDatabaseFunctions(store::CellStore& store) {
  struct Entry {
    const char* name;
    int arguments;
    Function function;
  };
  constexpr int kAny = -1;
  const std::array<Entry, 15> functions = {{{"merrow_track", 1, Track},
                                            {"merrow_untrack", 1, Untrack},
                                            {"merrow_site_id", 0, SiteId},
                                            {"merrow_db_version", 0, DbVersion},
                                            {"merrow_version", 0, Version},
                                            {"crsql_as_crr", kAny, Track},
                                            {"crsql_as_table", kAny, Untrack},
                                            {"crsql_site_id", 0, SiteId},
                                            {"crsql_db_version", 0, DbVersion},
                                            {"crsql_next_db_version", kAny, NextDbVersion},
                                            {"crsql_rows_impacted", 0, RowsImpacted},
                                            {"crsql_config_set", 2, ConfigSet},
                                            {"crsql_config_get", 1, ConfigGet},
                                            {"crsql_finalize", 0, Finalize},
                                            {"crsql_sha", 0, Version}}};
  for (const Entry& entry : functions) {
    MERROW_TRY(AddFunction(store, entry.name, entry.arguments, 0, entry.function));
  }
  return {};
}

}  // namespace merrow::extension
