// SPDX-License-Identifier: Apache-2.0
//
// A thin layer over the C API of SQLite: connections, statements, transactions and savepoints that
// clean up after themselves, and errors that name the SQL and what SQLite said about it.
//
// Thread-compatible: a Database and everything made from it belong to one thread at a time, except
// Interrupt().

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "merrow/result.h"
#include "store/sqlite_api.h"
#include "store/sqlite_codes.h"

namespace merrow::store {

class Database;

/// A prepared statement, borrowed from the cache of its Database; reset and given back at the end.
///
/// Parameters count from 1 and columns from 0, as in SQLite. Bound views must live until the next
/// Reset() or the end; column views until the next Step(), Reset() or the end.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  void BindNull(int index);
  void BindInt(int index, int64_t value);
  void BindDouble(int index, double value);
  void BindText(int index, std::string_view value);
  void BindBlob(int index, BytesView value);

  /// True if there is a row, false at the end.
  Result<bool> Step();
  /// Steps to the end and resets.
  Status Run();
  void Reset();

  bool IsNull(int column) const;
  int64_t Int(int column) const;
  std::string_view Text(int column) const;
  BytesView Blob(int column) const;
  sqlite3_stmt* handle() const { return handle_; }

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* handle, bool* in_use)
      : database_(database), handle_(handle), in_use_(in_use) {}

  /// A failed bind is remembered here and reported by Step().
  void NoteBind(int sqlite_code);

  Database* database_;
  sqlite3_stmt* handle_;
  bool* in_use_;  // null: the statement is not cached and is finalized at the end
  int bind_code_ = SQLITE_OK;
};

class Database {
 public:
  /// `flags` as for sqlite3_open_v2.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, int flags);
  /// On a connection that belongs to somebody else, who does not close it before this is gone or
  /// FinalizeStatements() was called.
  static std::unique_ptr<Database> Borrow(sqlite3* handle);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A statement for exactly one SQL statement, from the cache if it was used before.
  Result<Statement> Prepare(std::string_view sql);
  /// Runs all statements of `sql` and drops their rows.
  Status Execute(const std::string& sql);
  /// The first column of the first row; not found if there is no row.
  Result<int64_t> QueryInt(std::string_view sql);
  /// Empties the cache. Statements in use stay until they are given back.
  void FinalizeStatements();

  /// False inside a transaction.
  bool autocommit() const { return sqlite3_get_autocommit(handle_) != 0; }
  sqlite3* handle() const { return handle_; }

  /// What SQLite says about its last failure, as an Error that names `sql`.
  Error LastError(int sqlite_code, std::string_view sql) const;

 private:
  struct Cached {
    sqlite3_stmt* handle = nullptr;
    bool in_use = false;
  };

  Database(sqlite3* handle, bool is_ours) : handle_(handle), is_ours_(is_ours) {}
  Result<sqlite3_stmt*> Compile(std::string_view sql, unsigned flags);

  sqlite3* handle_;
  const bool is_ours_;
  std::unordered_map<std::string, std::unique_ptr<Cached>> cache_;
};

/// BEGIN IMMEDIATE ... COMMIT; rolled back unless committed.
class Transaction {
 public:
  static Result<Transaction> Begin(Database* database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  /// Everything is on disk, or the error says that nothing is and it was rolled back.
  Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;  // null: finished
};

/// A part of a transaction that can be undone alone; undone unless released. Do not nest two.
class Savepoint {
 public:
  static Result<Savepoint> Begin(Database* database);
  Savepoint(Savepoint&& other) noexcept : database_(other.database_) { other.database_ = nullptr; }
  Savepoint& operator=(Savepoint&&) = delete;
  ~Savepoint();

  Status Release();
  /// Undoes what happened since Begin(). An error means that the whole transaction is lost.
  Status Rollback();

 private:
  explicit Savepoint(Database* database) : database_(database) {}
  Database* database_;  // null: finished
};

}  // namespace merrow::store
