// SPDX-License-Identifier: Apache-2.0
#include "store/cell_statement.h"

#include <utility>

#include "store/sqlite_codes.h"

namespace merrow::store {
namespace {

/// Longer SQL is cut in messages.
constexpr size_t kSqlInMessageMax = 200;

std::string Quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    out += c;
    if (c == quote) {
      out += c;
    }
  }
  return out + quote;
}

BytesView Bytes(const void* data, int count) {
  return data == nullptr ? BytesView()
                         : BytesView(static_cast<const char*>(data), static_cast<size_t>(count));
}

}  // namespace

std::string SqlName(std::string_view name) { return Quoted(name, '"'); }
std::string SqlText(std::string_view text) { return Quoted(text, '\''); }

Error SqlError(sqlite3* db, int sqlite_code, std::string_view doing) {
  std::string message = sqlite3_errmsg(db);
  if (!doing.empty()) {
    message += " in: " + std::string(doing.substr(0, kSqlInMessageMax));
  }
  return {ErrorCodeOfSqlite(sqlite_code), std::move(message)};
}

Status RunSql(sqlite3* db, const std::string& sql) {
  const int code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return SqlError(db, code, sql);
  }
  return {};
}

cells::ValueView ColumnValue(sqlite3_stmt* statement, int column) {
  // Each call that takes the statement locks the connection, those that take the value do not.
  // Nobody else uses the connection meanwhile.
  return ArgumentValue(sqlite3_column_value(statement, column));
}

cells::ValueView ArgumentValue(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return cells::ValueView::Integer(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return cells::ValueView::Real(sqlite3_value_double(value));
    case SQLITE_TEXT: {
      // To ask for the bytes first makes it UTF-8, whose bytes can be had as those of a blob. To
      // give them as text, SQLite would copy most texts to put a 0 behind.
      const int count = sqlite3_value_bytes(value);
      return cells::ValueView::Text(Bytes(sqlite3_value_blob(value), count));
    }
    case SQLITE_BLOB: {
      const void* data = sqlite3_value_blob(value);
      return cells::ValueView::Blob(Bytes(data, sqlite3_value_bytes(value)));
    }
    default:
      return cells::ValueView::Null();
  }
}

CellStatement::CellStatement(CellStatement&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      on_row_(std::exchange(other.on_row_, false)) {}

CellStatement& CellStatement::operator=(CellStatement&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(on_row_, other.on_row_);
  return *this;
}

Status CellStatement::Prepare(sqlite3* db, std::string_view sql) {
  if (handle_ != nullptr) {
    Reset();
    return {};
  }
  const int code = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (code != SQLITE_OK) {
    return SqlError(db, code, sql);
  }
  return {};
}

void CellStatement::Finalize() {
  sqlite3_finalize(handle_);
  handle_ = nullptr;
  on_row_ = false;
}

void CellStatement::Bind(int index, const cells::ValueView& value) {
  const char* const data = value.bytes.data() == nullptr ? "" : value.bytes.data();
  switch (value.type) {
    case cells::ValueType::kNull:
      sqlite3_bind_null(handle_, index);
      return;
    case cells::ValueType::kInteger:
      sqlite3_bind_int64(handle_, index, value.integer);
      return;
    case cells::ValueType::kReal:
      sqlite3_bind_double(handle_, index, value.real);
      return;
    case cells::ValueType::kText:
      sqlite3_bind_text64(handle_, index, data, value.bytes.size(), SQLITE_STATIC, SQLITE_UTF8);
      return;
    case cells::ValueType::kBlob:
      sqlite3_bind_blob64(handle_, index, data, value.bytes.size(), SQLITE_STATIC);
      return;
  }
}

Result<bool> CellStatement::Step() {
  const int code = sqlite3_step(handle_);
  on_row_ = code == SQLITE_ROW;
  if (on_row_) {
    return true;
  }
  if (code == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  Error error = SqlError(sqlite3_db_handle(handle_), code, sqlite3_sql(handle_));
  sqlite3_reset(handle_);
  return error;
}

Status CellStatement::Run() {
  while (true) {
    MERROW_ASSIGN(const bool row, Step());
    if (!row) {
      return {};
    }
  }
}

}  // namespace merrow::store
