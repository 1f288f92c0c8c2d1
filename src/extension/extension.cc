// SPDX-License-Identifier: Apache-2.0
//
// The entry point of merrow.so. SQLite finds it by the file's name:
//
//     sqlite> .load ./merrow
//     sqlite> CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body TEXT);
//     sqlite> SELECT merrow_track('note');
//     sqlite> INSERT INTO note VALUES ('a', 'hello');
//     sqlite> SELECT "table", hex(pk), cid, val, col_version, db_version FROM merrow_changes;
//     note|010B0161|body|hello|1|1
//
// Loading writes nothing to the database; the first table that is tracked does.
#include "extension/extension.h"

#include "base/clock.h"
#include "store/cell_guard.h"

SQLITE_EXTENSION_INIT1

namespace merrow::extension {
namespace {

constexpr int kSqliteVersionMin = 3035000;

bool HasFunction(sqlite3* db, const char* name) {
  const std::string sql = std::string("SELECT ") + name + "()";
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr);
  sqlite3_finalize(statement);
  return code == SQLITE_OK;
}

/// Was this connection given all of it before? Registering again would replace the module that owns
/// the CellStore while what stands beside it lives on.
Result<bool> IsLoaded(sqlite3* db) {
  // The first function that is registered, and the last.
  if (!HasFunction(db, "merrow_cell_insert")) {
    return false;
  }
  if (!HasFunction(db, "crsql_pack_columns")) {
    return IoError(
        "loading it failed before on this connection, perhaps for lack of memory; open another");
  }
  return true;
}

Status Register(sqlite3* db) {
  if (sqlite3_libversion_number() < kSqliteVersionMin) {
    return Unsupported(std::string("SQLite 3.35 or later is needed, this is ") +
                       sqlite3_libversion());
  }
  MERROW_ASSIGN(const bool is_loaded, IsLoaded(db));
  if (is_loaded) {
    return {};
  }
  MERROW_ASSIGN(store::CellStore* const store, store::CellStore::Attach(db));
  static SystemClock clock;
  static SystemRandom random;
  store::DocumentCaptureOptions options;
  options.clock = &clock;
  options.random = &random;
  MERROW_TRY(store::DocumentCapture::Attach(*store, options));
  MERROW_TRY(RegisterChanges(*store));
  MERROW_TRY(RegisterDatabaseFunctions(*store));
  MERROW_TRY(RegisterSchemaFunctions(*store));
  MERROW_TRY(RegisterDocuments(*store));
  MERROW_TRY(RegisterChangesets(*store));
  MERROW_TRY(RegisterOrdering(*store));
  return RegisterPacking(*store);
}

}  // namespace

Status AddFunction(store::CellStore& store, const char* name, int arguments, int flags,
                   Function function) {
  const int code = sqlite3_create_function_v2(store.db(), name, arguments, SQLITE_UTF8 | flags,
                                              &store, function, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return store::SqlError(store.db(), code, std::string("registering ") + name);
  }
  return {};
}

void SetResult(sqlite3_context* context, const cells::ValueView& value) {
  const char* const data = value.bytes.data() == nullptr ? "" : value.bytes.data();
  switch (value.type) {
    case cells::ValueType::kNull:
      sqlite3_result_null(context);
      return;
    case cells::ValueType::kInteger:
      sqlite3_result_int64(context, value.integer);
      return;
    case cells::ValueType::kReal:
      sqlite3_result_double(context, value.real);
      return;
    case cells::ValueType::kText:
      sqlite3_result_text64(context, data, value.bytes.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      return;
    case cells::ValueType::kBlob:
      sqlite3_result_blob64(context, data, value.bytes.size(), SQLITE_TRANSIENT);
      return;
  }
}

}  // namespace merrow::extension

extern "C" __attribute__((visibility("default"))) int sqlite3_merrow_init(
    sqlite3* db, char** error_message, const sqlite3_api_routines* api) {
  // One table of functions serves all connections of the process.
  if (sqlite3_api != nullptr && sqlite3_api != api) {
    if (error_message != nullptr) {
      *error_message = api->mprintf(
          "merrow: this process has a second SQLite library, and the other one has loaded this "
          "file; give this one a copy of it");
    }
    return SQLITE_ERROR;
  }
  SQLITE_EXTENSION_INIT2(api);
  const merrow::Status status =
      merrow::store::Guarded([db] { return merrow::extension::Register(db); });
  if (status.ok()) {
    return SQLITE_OK;
  }
  if (error_message != nullptr) {
    *error_message = sqlite3_mprintf("merrow: %s", status.error().message().c_str());
  }
  return SQLITE_ERROR;
}
