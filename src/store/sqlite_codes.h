// SPDX-License-Identifier: Apache-2.0
//
// SQLite's result codes and Merrow's error codes, in both directions. In one place, because what a
// failure counts as decides what becomes of it: a change whose statement is at fault is refused for
// good, and one that met a failing disk is tried again.

#pragma once

#include "merrow/result.h"
#include "store/sqlite_api.h"

namespace merrow::store {

/// The error code that a caller can act on. A code that is not listed says nothing against the
/// statement, so it counts as a failure of what is below.
inline ErrorCode ErrorCodeOfSqlite(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kBusy;
    case SQLITE_CONSTRAINT:
      return ErrorCode::kConflict;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorruption;
    case SQLITE_TOOBIG:
      return ErrorCode::kLimit;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
      return ErrorCode::kCancelled;
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
      return ErrorCode::kInvalidArgument;
    default:
      return ErrorCode::kIo;
  }
}

/// SQLite's result code for an error.
inline int SqliteCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConflict:
      return SQLITE_CONSTRAINT;
    case ErrorCode::kBusy:
      return SQLITE_BUSY;
    case ErrorCode::kIo:
      return SQLITE_IOERR;
    case ErrorCode::kCancelled:
      return SQLITE_INTERRUPT;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorruption:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kLimit:
      break;
  }
  return SQLITE_ERROR;
}

}  // namespace merrow::store
