// SPDX-License-Identifier: Apache-2.0
//
// A prepared statement on a connection that belongs to somebody else, in the form that column rows
// need it: prepared once, run often, reset by itself. (Statement in sqlite.h is for connections
// that the store opened; this also works in a loaded extension.)

#pragma once

#include <string>
#include <string_view>

#include "cells/value.h"
#include "merrow/result.h"
#include "store/sqlite_api.h"

namespace merrow::store {

/// `name` as an SQL identifier, quoted, and `text` as an SQL text literal.
std::string SqlName(std::string_view name);
std::string SqlText(std::string_view text);

/// What SQLite says about its last failure on `db`.
Error SqlError(sqlite3* db, int sqlite_code, std::string_view doing);

/// Runs all statements of `sql`, which give no rows.
Status RunSql(sqlite3* db, const std::string& sql);

/// The column of the statement's row. Valid until the statement moves on.
cells::ValueView ColumnValue(sqlite3_stmt* statement, int column);
/// The same of a function's argument.
cells::ValueView ArgumentValue(sqlite3_value* value);

class CellStatement {
 public:
  CellStatement() = default;
  ~CellStatement() { Finalize(); }
  CellStatement(CellStatement&& other) noexcept;
  CellStatement& operator=(CellStatement&& other) noexcept;

  /// Prepares `sql` unless that was done; resets it otherwise.
  Status Prepare(sqlite3* db, std::string_view sql);
  void Finalize();
  bool prepared() const { return handle_ != nullptr; }

  /// Parameters count from 1. Bound bytes must live until the next Reset.
  void Bind(int index, const cells::ValueView& value);
  void BindInt(int index, int64_t value) { sqlite3_bind_int64(handle_, index, value); }

  /// True if there is a row, false at the end (and then the statement is reset).
  Result<bool> Step();
  /// Steps to the end.
  Status Run();
  void Reset() {
    if (on_row_) {
      sqlite3_reset(handle_);
      on_row_ = false;
    }
  }

  int64_t Int(int column) const { return sqlite3_column_int64(handle_, column); }
  bool IsNull(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  cells::ValueView Column(int column) const { return ColumnValue(handle_, column); }
  std::string Text(int column) const { return std::string(Column(column).bytes); }
  sqlite3_stmt* handle() const { return handle_; }

 private:
  sqlite3_stmt* handle_ = nullptr;
  bool on_row_ = false;  // else it was reset, or never run
};

/// Keeps last_insert_rowid() as it is for the host, whatever is written in its scope.
class KeepLastInsertRowId {
 public:
  explicit KeepLastInsertRowId(sqlite3* db) : db_(db), id_(sqlite3_last_insert_rowid(db)) {}
  ~KeepLastInsertRowId() {
    if (sqlite3_last_insert_rowid(db_) != id_) {
      sqlite3_set_last_insert_rowid(db_, id_);
    }
  }
  KeepLastInsertRowId(const KeepLastInsertRowId&) = delete;
  KeepLastInsertRowId& operator=(const KeepLastInsertRowId&) = delete;

 private:
  sqlite3* db_;
  sqlite3_int64 id_;
};

/// Resets the statement at the end of a scope, so that it holds no lock and no borrowed bytes.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(CellStatement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.Reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  CellStatement& statement_;
};

}  // namespace merrow::store
