// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite.h"

#include <utility>

namespace merrow::store {
namespace {

/// Longer SQL is cut in messages.
constexpr size_t kSqlInMessageMax = 300;

std::string Shortened(std::string_view sql) {
  if (sql.size() <= kSqlInMessageMax) {
    return std::string(sql);
  }
  return std::string(sql.substr(0, kSqlInMessageMax)) + "...";
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      handle_(std::exchange(other.handle_, nullptr)),
      in_use_(other.in_use_),
      bind_code_(other.bind_code_) {}

Statement::~Statement() {
  if (handle_ == nullptr) {
    return;
  }
  if (in_use_ == nullptr) {
    sqlite3_finalize(handle_);
    return;
  }
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  *in_use_ = false;
}

void Statement::NoteBind(int sqlite_code) {
  if (bind_code_ == SQLITE_OK) {
    bind_code_ = sqlite_code;
  }
}

void Statement::BindNull(int index) { NoteBind(sqlite3_bind_null(handle_, index)); }

void Statement::BindInt(int index, int64_t value) {
  NoteBind(sqlite3_bind_int64(handle_, index, value));
}

void Statement::BindDouble(int index, double value) {
  NoteBind(sqlite3_bind_double(handle_, index, value));
}

// A view may have a null pointer, which SQLite would take for NULL.
void Statement::BindText(int index, std::string_view value) {
  NoteBind(sqlite3_bind_text64(handle_, index, value.data() == nullptr ? "" : value.data(),
                               value.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::BindBlob(int index, BytesView value) {
  NoteBind(sqlite3_bind_blob64(handle_, index, value.data() == nullptr ? "" : value.data(),
                               value.size(), SQLITE_STATIC));
}

Result<bool> Statement::Step() {
  if (bind_code_ != SQLITE_OK) {
    return database_->LastError(bind_code_, sqlite3_sql(handle_));
  }
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  return database_->LastError(code, sqlite3_sql(handle_));
}

Status Statement::Run() {
  while (true) {
    MERROW_ASSIGN(const bool row, Step());
    if (!row) {
      Reset();
      return {};
    }
  }
}

void Statement::Reset() { sqlite3_reset(handle_); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(handle_, column);
  if (text == nullptr) {
    return {};
  }
  return {reinterpret_cast<const char*>(text),
          static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

BytesView Statement::Blob(int column) const {
  const void* bytes = sqlite3_column_blob(handle_, column);
  if (bytes == nullptr) {
    return {};
  }
  return {static_cast<const char*>(bytes),
          static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  // Debian's SQLite takes such a name for a URI whether it is asked to or not. Then a file would
  // have a second name, and a second lock.
  const bool is_file = (flags & SQLITE_OPEN_URI) == 0 && path.starts_with("file:");
  const int code = sqlite3_open_v2((is_file ? "./" + path : path).c_str(), &handle, flags, nullptr);
  // SQLite gives a handle even when it fails, for the message.
  std::unique_ptr<Database> database(new Database(handle, /*is_ours=*/true));
  if (code != SQLITE_OK) {
    const std::string why = handle == nullptr ? "out of memory" : sqlite3_errmsg(handle);
    return Error(ErrorCodeOfSqlite(code), "cannot open " + path + ": " + why);
  }
  sqlite3_extended_result_codes(handle, 1);
  // SQLite takes a file that may not be written as one to be read.
  if ((flags & SQLITE_OPEN_READWRITE) != 0 && sqlite3_db_readonly(handle, "main") == 1) {
    return IoError("cannot open " + path + ": this user may not write it");
  }
  return database;
}

std::unique_ptr<Database> Database::Borrow(sqlite3* handle) {
  return std::unique_ptr<Database>(new Database(handle, /*is_ours=*/false));
}

Database::~Database() {
  FinalizeStatements();
  MERROW_CHECK(cache_.empty());
  if (is_ours_) {
    MERROW_CHECK(sqlite3_close(handle_) == SQLITE_OK);
  }
}

void Database::FinalizeStatements() {
  std::erase_if(cache_, [](const auto& entry) {
    if (!entry.second->in_use) {
      sqlite3_finalize(entry.second->handle);
    }
    return !entry.second->in_use;
  });
}

Result<sqlite3_stmt*> Database::Compile(std::string_view sql, unsigned flags) {
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), flags,
                                      &statement, &tail);
  if (code != SQLITE_OK) {
    return LastError(code, sql);
  }
  if (statement == nullptr) {
    return InvalidArgument("there is no statement in: " + Shortened(sql));
  }
  return statement;
}

Result<Statement> Database::Prepare(std::string_view sql) {
  std::string text(sql);
  auto found = cache_.find(text);
  if (found == cache_.end()) {
    // First, so that there is no entry without one when memory runs out.
    auto made = std::make_unique<Cached>();
    found = cache_.emplace(std::move(text), std::move(made)).first;
  }
  const std::unique_ptr<Cached>& cached = found->second;
  if (cached->in_use) {
    MERROW_ASSIGN(sqlite3_stmt* const handle, Compile(sql, 0));
    return Statement(this, handle, nullptr);
  }
  if (cached->handle == nullptr) {
    MERROW_ASSIGN(cached->handle, Compile(sql, SQLITE_PREPARE_PERSISTENT));
  }
  cached->in_use = true;
  return Statement(this, cached->handle, &cached->in_use);
}

Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return LastError(code, sql);
  }
  return {};
}

Result<int64_t> Database::QueryInt(std::string_view sql) {
  MERROW_ASSIGN(Statement statement, Prepare(sql));
  MERROW_ASSIGN(const bool row, statement.Step());
  if (!row) {
    return NotFound("no row: " + Shortened(sql));
  }
  return statement.Int(0);
}

Error Database::LastError(int sqlite_code, std::string_view sql) const {
  std::string message = sqlite3_errmsg(handle_);
  message += " (sqlite code ";
  message += std::to_string(sqlite_code);
  message += ") in: ";
  message += Shortened(sql);
  return {ErrorCodeOfSqlite(sqlite_code), std::move(message)};
}

Result<Transaction> Transaction::Begin(Database* database) {
  MERROW_ASSIGN(Statement statement, database->Prepare("BEGIN IMMEDIATE"));
  MERROW_TRY(statement.Run());
  return Transaction(database);
}

Transaction::~Transaction() {
  // SQLite ends the transaction by itself after some errors. A rollback can only fail like that.
  if (database_ != nullptr && !database_->autocommit()) {
    sqlite3_exec(database_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Status Transaction::Commit() {
  Database* const database = database_;
  MERROW_CHECK(database != nullptr);
  if (database->autocommit()) {
    database_ = nullptr;
    return IoError("SQLite ended the transaction before its commit");
  }
  // On failure the destructor rolls back, if SQLite has not done so.
  MERROW_ASSIGN(Statement statement, database->Prepare("COMMIT"));
  MERROW_TRY(statement.Run());
  database_ = nullptr;
  return {};
}

Result<Savepoint> Savepoint::Begin(Database* database) {
  MERROW_ASSIGN(Statement statement, database->Prepare("SAVEPOINT one"));
  MERROW_TRY(statement.Run());
  return Savepoint(database);
}

Savepoint::~Savepoint() {
  if (database_ != nullptr && !database_->autocommit()) {
    sqlite3_exec(database_->handle(), "ROLLBACK TO one; RELEASE one", nullptr, nullptr, nullptr);
  }
}

Status Savepoint::Release() {
  MERROW_ASSIGN(Statement statement, database_->Prepare("RELEASE one"));
  MERROW_TRY(statement.Run());
  database_ = nullptr;
  return {};
}

Status Savepoint::Rollback() {
  Database* const database = std::exchange(database_, nullptr);
  if (database->autocommit()) {
    return IoError("SQLite ended the transaction by itself");
  }
  return database->Execute("ROLLBACK TO one; RELEASE one");
}

}  // namespace merrow::store
