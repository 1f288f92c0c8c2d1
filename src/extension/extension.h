// SPDX-License-Identifier: Apache-2.0
//
// The SQL surface of merrow.so: what each file of this folder registers on a connection.
//
// The extension is a thin layer: names, arguments and errors are here, behaviour is in src/store.
// Every callback goes through the guard of store/cell_guard.h.

#pragma once

#include <string>

#include "store/cell_store.h"
#include "store/document_capture.h"

namespace merrow::extension {

using Function = void (*)(sqlite3_context*, int, sqlite3_value**);

/// Registers a function of `arguments` arguments (-1: any number) whose user data is `store`.
/// `flags` beside SQLITE_UTF8.
Status AddFunction(store::CellStore& store, const char* name, int arguments, int flags,
                   Function function);

/// merrow_changes and crsql_changes.
Status RegisterChanges(store::CellStore& store);
/// merrow_track, merrow_site_id, crsql_as_crr and the other functions about this database.
Status RegisterDatabaseFunctions(store::CellStore& store);
/// crsql_begin_alter, crsql_automigrate, merrow_take_over and the like.
Status RegisterSchemaFunctions(store::CellStore& store);
/// merrow_document_import and the other functions about a document.
Status RegisterDocuments(store::CellStore& store);
/// merrow_changeset, merrow_apply and merrow_versions.
Status RegisterChangesets(store::CellStore& store);
/// crsql_fract_as_ordered and crsql_fract_key_between.
Status RegisterOrdering(store::CellStore& store);
/// crsql_pack_columns and the table-valued crsql_unpack_columns.
Status RegisterPacking(store::CellStore& store);

/// The store of the connection in which `context` runs. REQUIRES: registered by AddFunction
inline store::CellStore& StoreOf(sqlite3_context* context) {
  return *static_cast<store::CellStore*>(sqlite3_user_data(context));
}

/// The document tables of that connection. REQUIRES: as above
inline store::DocumentCapture& CaptureOf(sqlite3_context* context) {
  return *static_cast<store::DocumentCapture*>(StoreOf(context).listener());
}

/// The table that `[schema,] table` names, which must be in main.
Result<std::string> TableArgument(int count, sqlite3_value** values);

/// The function's result.
void SetResult(sqlite3_context* context, const cells::ValueView& value);

}  // namespace merrow::extension
