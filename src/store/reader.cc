// SPDX-License-Identifier: Apache-2.0
#include "store/reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "store/sqlite.h"

namespace merrow::store {
namespace {

/// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
constexpr int kProgressSteps = 1000;
constexpr int kSqlBytesMax = 1 << 20;
constexpr int kValueBytesMax = 64 << 20;
constexpr int kBusyTimeoutMs = 1000;

/// Pragmas that only tell.
constexpr std::array<std::string_view, 12> kPragmas = {
    "table_info",    "table_xinfo", "table_list",       "index_list",
    "index_info",    "index_xinfo", "foreign_key_list", "database_list",
    "function_list", "pragma_list", "collation_list",   "compile_options"};

/// The only door: SQLite asks here about everything that a statement would do.
int AuthorizeRead(void* /*context*/, int action, const char* first, const char* second,
                  const char* /*database*/, const char* /*trigger*/) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return sqlite3_stricmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
      return std::find(kPragmas.begin(), kPragmas.end(), std::string_view(first)) == kPragmas.end()
                 ? SQLITE_DENY
                 : SQLITE_OK;
    case SQLITE_UPDATE:
      // Asked, and not done, when a pragma is used as a table. A statement that does it is not
      // read-only and refused for that.
      return std::string_view(first) == "sqlite_master" ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using StatementHandle = std::unique_ptr<sqlite3_stmt, Finalize>;

int Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    return sqlite3_bind_int(statement, index, *flag ? 1 : 0);
  }
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *integer);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return sqlite3_bind_double(statement, index, *number);
  }
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return sqlite3_bind_text64(statement, index, text->data() == nullptr ? "" : text->data(),
                               text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<SqlBlob>(&value)) {
    return sqlite3_bind_blob64(statement, index,
                               blob->bytes.data() == nullptr ? "" : blob->bytes.data(),
                               blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, index);
}

/// Adds what the value counts against bytes_max.
SqlValue Read(sqlite3_stmt* statement, int column, uint64_t* bytes) {
  const auto size = [&] { return static_cast<size_t>(sqlite3_column_bytes(statement, column)); };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      *bytes += sizeof(int64_t);
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      *bytes += sizeof(double);
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const unsigned char* const text = sqlite3_column_text(statement, column);
      *bytes += size();
      return std::string_view(reinterpret_cast<const char*>(text), size());
    }
    case SQLITE_BLOB: {
      const void* const blob = sqlite3_column_blob(statement, column);
      *bytes += size();
      return SqlBlob{{static_cast<const char*>(blob), size()}};
    }
    default:
      *bytes += 1;
      return SqlNull();
  }
}

}  // namespace

class Reader::Impl {
 public:
  Impl(std::unique_ptr<Database> database, const Clock* clock)
      : database_(std::move(database)), clock_(clock) {}

  Status Configure();
  Result<QuerySummary> Query(std::string_view sql, std::span<const SqlValue> params,
                             const QueryLimits& limits, const QuerySink& sink);
  void Interrupt() { interrupted_.store(true, std::memory_order_relaxed); }

 private:
  static int OnProgress(void* context) { return static_cast<Impl*>(context)->ShouldStop() ? 1 : 0; }
  bool ShouldStop() const {
    return interrupted_.load(std::memory_order_relaxed) || clock_->MonotonicMicros() > deadline_;
  }

  Result<StatementHandle> Compile(std::string_view sql);
  Status BindAll(sqlite3_stmt* statement, std::span<const SqlValue> params, std::string_view sql);
  Status SendColumns(sqlite3_stmt* statement, const QuerySink& sink);
  Result<uint64_t> SendRows(sqlite3_stmt* statement, std::string_view sql,
                            const QueryLimits& limits, const QuerySink& sink);
  Error Stopped() const;

  std::unique_ptr<Database> database_;
  const Clock* clock_;
  std::atomic<bool> interrupted_{false};
  int64_t deadline_ = 0;  // of the running query, on clock_
  int64_t time_ms_max_ = 0;
};

Status Reader::Impl::Configure() {
  sqlite3* const handle = database_->handle();
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, kSqlBytesMax);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kValueBytesMax);
  MERROW_TRY(database_->Execute("PRAGMA query_only = ON"));
  // Fails here, not at the first query, if the file cannot be read.
  MERROW_TRY(database_->QueryInt("SELECT count(*) FROM sqlite_schema"));
  sqlite3_set_authorizer(handle, AuthorizeRead, nullptr);
  sqlite3_progress_handler(handle, kProgressSteps, OnProgress, this);
  return {};
}

Result<StatementHandle> Reader::Impl::Compile(std::string_view sql) {
  sqlite3* const handle = database_->handle();
  if (sql.size() > static_cast<size_t>(kSqlBytesMax)) {
    return LimitReached("a statement of " + std::to_string(sql.size()) + " bytes; the limit is " +
                        std::to_string(kSqlBytesMax));
  }
  const char* tail = nullptr;
  sqlite3_stmt* compiled = nullptr;
  int code = sqlite3_prepare_v2(handle, sql.data(), static_cast<int>(sql.size()), &compiled, &tail);
  StatementHandle statement(compiled);
  if (code == SQLITE_AUTH) {
    return InvalidArgument("only statements that read are allowed: " +
                           database_->LastError(code, sql).message());
  }
  if (code != SQLITE_OK) {
    return database_->LastError(code, sql);
  }
  if (compiled == nullptr) {
    return InvalidArgument("there is no statement");
  }
  const char* const end = sql.data() + sql.size();
  sqlite3_stmt* second = nullptr;
  code = sqlite3_prepare_v2(handle, tail, static_cast<int>(end - tail), &second, nullptr);
  const StatementHandle second_owner(second);
  if (code != SQLITE_OK || second != nullptr) {
    return InvalidArgument("one statement at a time");
  }
  if (sqlite3_stmt_readonly(compiled) == 0) {
    return InvalidArgument("only statements that read are allowed");
  }
  return statement;
}

Status Reader::Impl::BindAll(sqlite3_stmt* statement, std::span<const SqlValue> params,
                             std::string_view sql) {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (static_cast<size_t>(wanted) != params.size()) {
    return InvalidArgument("the statement has " + std::to_string(wanted) + " parameters, but " +
                           std::to_string(params.size()) + " were given");
  }
  for (int i = 0; i < wanted; ++i) {
    const int code = Bind(statement, i + 1, params[static_cast<size_t>(i)]);
    if (code != SQLITE_OK) {
      return database_->LastError(code, sql);
    }
  }
  return {};
}

Status Reader::Impl::SendColumns(sqlite3_stmt* statement, const QuerySink& sink) {
  std::vector<std::string_view> names;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) {
    const char* const name = sqlite3_column_name(statement, i);
    names.emplace_back(name == nullptr ? "" : name);
  }
  if (!sink.columns(names)) {
    return Cancelled("the receiver stopped the query");
  }
  return {};
}

Error Reader::Impl::Stopped() const {
  if (interrupted_.load(std::memory_order_relaxed)) {
    return Cancelled("the query was interrupted");
  }
  return LimitReached("the query took longer than " + std::to_string(time_ms_max_) +
                      " ms (time_ms_max)");
}

Result<uint64_t> Reader::Impl::SendRows(sqlite3_stmt* statement, std::string_view sql,
                                        const QueryLimits& limits, const QuerySink& sink) {
  std::vector<SqlValue> values(static_cast<size_t>(sqlite3_column_count(statement)));
  uint64_t rows = 0;
  uint64_t bytes = 0;
  while (true) {
    // Short rows may come faster than the progress handler looks.
    if (ShouldStop()) {
      return Stopped();
    }
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) {
      return rows;
    }
    if (code == SQLITE_INTERRUPT) {
      return Stopped();
    }
    if (code != SQLITE_ROW) {
      return database_->LastError(code, sql);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = Read(statement, static_cast<int>(i), &bytes);
    }
    if (++rows > limits.rows_max) {
      return LimitReached("more than " + std::to_string(limits.rows_max) + " rows (rows_max)");
    }
    if (bytes > limits.bytes_max) {
      return LimitReached("more than " + std::to_string(limits.bytes_max) +
                          " bytes of values (bytes_max)");
    }
    if (!sink.row(values)) {
      return Cancelled("the receiver stopped the query");
    }
  }
}

Result<QuerySummary> Reader::Impl::Query(std::string_view sql, std::span<const SqlValue> params,
                                         const QueryLimits& limits, const QuerySink& sink) {
  const int64_t start = clock_->MonotonicMicros();
  time_ms_max_ = limits.time_ms_max;
  deadline_ = start + time_ms_max_ * 1000;
  interrupted_.store(false, std::memory_order_relaxed);
  MERROW_ASSIGN(const StatementHandle statement, Compile(sql));
  MERROW_TRY(BindAll(statement.get(), params, sql));
  MERROW_TRY(SendColumns(statement.get(), sink));
  MERROW_ASSIGN(const uint64_t rows, SendRows(statement.get(), sql, limits, sink));
  return QuerySummary{rows, clock_->MonotonicMicros() - start};
}

Result<std::unique_ptr<Reader>> Reader::Open(const std::string& path, const Clock* clock) {
  MERROW_ASSIGN(auto database, Database::Open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX));
  auto impl = std::make_unique<Impl>(std::move(database), clock);
  MERROW_TRY(impl->Configure());
  return std::unique_ptr<Reader>(new Reader(std::move(impl)));
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::~Reader() = default;

Result<QuerySummary> Reader::Query(std::string_view sql, std::span<const SqlValue> params,
                                   const QueryLimits& limits, const QuerySink& sink) {
  return impl_->Query(sql, params, limits, sink);
}

void Reader::Interrupt() { impl_->Interrupt(); }

}  // namespace merrow::store
