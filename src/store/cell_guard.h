// SPDX-License-Identifier: Apache-2.0
//
// The one way from SQLite into column rows and back: runs a callback's work, and turns its Error,
// or what the standard library throws for lack of memory, into what SQLite reports as an error.
// Every C callback that does anything goes through here, so no exception ever reaches the host.

#pragma once

#include <exception>
#include <new>
#include <string>

#include "merrow/result.h"
#include "store/sqlite_api.h"
#include "store/sqlite_codes.h"

namespace merrow::store {

/// `work` as a Result, whatever it throws.
template <typename Work>
Status Guarded(Work&& work) {
  // Where exceptions are noted is memory of each thread, which the first use allocates: better now
  // than in the middle. (If even that fails, the C library ends the process.)
  [[maybe_unused]] const int none = std::uncaught_exceptions();
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return IoError("out of memory");
  } catch (const std::exception& exception) {
    return IoError(exception.what());
  }
}

/// For functions: the error becomes the function's.
template <typename Work>
void GuardFunction(sqlite3_context* context, Work&& work) {
  const Status status = Guarded(work);
  if (status.ok()) {
    return;
  }
  try {
    const std::string message = "merrow: " + status.error().message();
    sqlite3_result_error(context, message.c_str(), -1);
    sqlite3_result_error_code(context, SqliteCodeOf(status.error().code()));
  } catch (const std::exception&) {
    sqlite3_result_error_nomem(context);
  }
}

/// For methods of virtual tables: the error becomes the table's message and the result code.
template <typename Work>
int GuardTable(sqlite3_vtab* table, Work&& work) {
  const Status status = Guarded(work);
  if (status.ok()) {
    return SQLITE_OK;
  }
  sqlite3_free(table->zErrMsg);
  table->zErrMsg = sqlite3_mprintf("merrow: %s", status.error().message().c_str());
  return SqliteCodeOf(status.error().code());
}

}  // namespace merrow::store
