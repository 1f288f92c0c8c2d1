// SPDX-License-Identifier: Apache-2.0
//
// SQL writes: statements of somebody else on the writer's connection. What they may do is decided
// when they are compiled, by SQLite's authorizer; what they may cost, by its progress handler.
#include <cctype>
#include <utility>

#include "store/store_impl.h"

namespace merrow::store {
namespace {

/// Operations of SQLite's machine between looks at the clock.
constexpr int kOpsPerLook = 10'000;

bool StartsWith(const char* text, std::string_view prefix) {
  return text != nullptr &&
         sqlite3_strnicmp(text, prefix.data(), static_cast<int>(prefix.size())) == 0;
}

/// What a statement may do, and why it may not. Triggers of the schema run under it too.
struct Rules {
  const Schema* schema;
  std::string refusal;

  int Refuse(std::string why) {
    if (refusal.empty()) {
      refusal = std::move(why);
    }
    return SQLITE_DENY;
  }

  int RefuseStatement() {
    return Refuse(
        "only SELECT, INSERT, UPDATE, DELETE and REPLACE can be run; tables are made by the "
        "schema file");
  }

  int Write(const char* table, bool in_trigger) {
    // What CREATE, ALTER and DROP ask for first.
    if (sqlite3_stricmp(table, "sqlite_master") == 0 ||
        sqlite3_stricmp(table, "sqlite_temp_master") == 0) {
      return RefuseStatement();
    }
    if (StartsWith(table, "_merrow_") || StartsWith(table, "merrow_") ||
        StartsWith(table, "sqlite_")) {
      return Refuse("table " + std::string(table) + " is not for writing");
    }
    for (const Table& document_table : schema->tables()) {
      if (in_trigger && sqlite3_stricmp(document_table.name.c_str(), table) == 0) {
        return Refuse("table " + std::string(table) +
                      " has CRDT_ columns: a trigger cannot write to it");
      }
    }
    return SQLITE_OK;
  }

  static int Authorize(void* context, int action, const char* first, const char* second,
                       const char* /*database*/, const char* trigger) {
    auto& rules = *static_cast<Rules*>(context);
    switch (action) {
      case SQLITE_SELECT:
      case SQLITE_READ:
      case SQLITE_RECURSIVE:
        return SQLITE_OK;
      case SQLITE_INSERT:
      case SQLITE_UPDATE:
      case SQLITE_DELETE:
        return rules.Write(first, trigger != nullptr);
      case SQLITE_FUNCTION:
        // The triggers of tracked tables call these; nobody else may.
        if (trigger == nullptr &&
            (StartsWith(second, "merrow_cell_") || StartsWith(second, "merrow_document_"))) {
          return rules.Refuse(std::string(second) + "() is for Merrow's own triggers");
        }
        if (StartsWith(second, "load_extension")) {
          return rules.Refuse("load_extension() is not allowed");
        }
        return SQLITE_OK;
      case SQLITE_TRANSACTION:
      case SQLITE_SAVEPOINT:
        return rules.Refuse("all statements are one transaction already");
      default:
        return rules.RefuseStatement();
    }
  }
};

/// Gives the connection to somebody else's SQL while it compiles.
class ForeignSql {
 public:
  ForeignSql(sqlite3* db, Rules* rules,
             int (*own)(void*, int, const char*, const char*, const char*, const char*),
             void* own_context)
      : db_(db), own_(own), own_context_(own_context) {
    sqlite3_set_authorizer(db_, Rules::Authorize, rules);
  }
  ~ForeignSql() { sqlite3_set_authorizer(db_, own_, own_context_); }
  ForeignSql(const ForeignSql&) = delete;
  ForeignSql& operator=(const ForeignSql&) = delete;

 private:
  sqlite3* db_;
  int (*own_)(void*, int, const char*, const char*, const char*, const char*);
  void* own_context_;
};

/// Interrupts what runs on a connection at a time.
class Deadline {
 public:
  Deadline(sqlite3* db, const Clock& clock, int64_t ms)
      : db_(db), clock_(clock), at_micros_(clock.MonotonicMicros() + ms * 1000) {
    sqlite3_progress_handler(db_, kOpsPerLook, Look, this);
  }
  ~Deadline() { sqlite3_progress_handler(db_, 0, nullptr, nullptr); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool has_passed() const { return clock_.MonotonicMicros() > at_micros_; }

 private:
  static int Look(void* self) { return static_cast<const Deadline*>(self)->has_passed() ? 1 : 0; }

  sqlite3* db_;
  const Clock& clock_;
  const int64_t at_micros_;
};

/// Values and rows that statements make on a connection are not larger than this until it goes.
class ValueLimit {
 public:
  ValueLimit(sqlite3* db, int bytes_max)
      : db_(db), before_(sqlite3_limit(db, SQLITE_LIMIT_LENGTH, bytes_max)) {}
  ~ValueLimit() { sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, before_); }
  ValueLimit(const ValueLimit&) = delete;
  ValueLimit& operator=(const ValueLimit&) = delete;

 private:
  sqlite3* db_;
  const int before_;
};

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using OwnedStatement = std::unique_ptr<sqlite3_stmt, Finalize>;

int BindValue(sqlite3_stmt* statement, int index, const cells::Value& value) {
  switch (value.type) {
    case cells::ValueType::kInteger:
      return sqlite3_bind_int64(statement, index, value.integer);
    case cells::ValueType::kReal:
      return sqlite3_bind_double(statement, index, value.real);
    case cells::ValueType::kText:
      return sqlite3_bind_text64(statement, index, value.bytes.data(), value.bytes.size(),
                                 SQLITE_STATIC, SQLITE_UTF8);
    case cells::ValueType::kBlob:
      return sqlite3_bind_blob64(statement, index, value.bytes.data(), value.bytes.size(),
                                 SQLITE_STATIC);
    case cells::ValueType::kNull:
      break;
  }
  return sqlite3_bind_null(statement, index);
}

bool IsBlank(const char* sql) {
  while (*sql != 0 && (std::isspace(static_cast<unsigned char>(*sql)) != 0 || *sql == ';')) {
    ++sql;
  }
  return *sql == 0;
}

/// One statement that may be run.
Result<OwnedStatement> Compile(Database& database, Schema& schema, const std::string& sql) {
  sqlite3* const db = database.handle();
  Rules rules{&schema, {}};
  sqlite3_stmt* compiled = nullptr;
  const char* tail = nullptr;
  int code = SQLITE_OK;
  {
    const ForeignSql foreign(db, &rules, AuthorizeTriggers, &schema);
    code = sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()) + 1, &compiled, &tail);
  }
  OwnedStatement statement(compiled);
  if (code != SQLITE_OK) {
    return InvalidArgument(rules.refusal.empty() ? sqlite3_errmsg(db) : rules.refusal);
  }
  if (statement == nullptr || !IsBlank(tail)) {
    return InvalidArgument(statement == nullptr ? "there is no SQL in it"
                                                : "more than one statement: send each by itself");
  }
  return statement;
}

}  // namespace

Result<Executed> Store::Impl::Execute(std::span<const SqlWrite> statements) {
  Executed executed;
  const cells::DbVersion before = replica_ == nullptr ? 0 : replica_->own_version();
  const auto run = [&]() -> Status {
    const Deadline deadline(database_->handle(), *options_.clock,
                            options_.limits.sql_transaction_ms_max);
    // A row is compared with its document, so it has to show that before. One whose table refuses
    // that cannot be written (CaptureRow).
    MERROW_ASSIGN([[maybe_unused]] const Status refused, ProjectStale(DueRows(0)));
    // SQLite looks at the deadline within long statements only.
    const auto is_late = [&deadline] { return deadline.has_passed(); };
    MERROW_TRY(RunSqlWrites(statements, is_late, &executed));
    return CaptureRows();
  };
  MERROW_TRY(Transact(run));
  executed.notices = std::exchange(notices_, {});
  ++stats_.sql_transactions;
  if (replica_ != nullptr && replica_->own_version() != before) {
    executed.version = replica_->own_version();
  }
  return executed;
}

Status Store::Impl::RunSqlWrites(std::span<const SqlWrite> statements,
                                 const std::function<bool()>& is_late, Executed* executed) {
  const SqlDocuments::Capturing capturing(*sql_documents_);
  const int64_t rows_max = options_.limits.sql_transaction_rows_max;
  int64_t rows = 0;
  OwnedStatement compiled;
  const auto too_late = [this](size_t i) {
    return Cancelled("statement " + std::to_string(i + 1) + ": the transaction took longer than " +
                     std::to_string(options_.limits.sql_transaction_ms_max) +
                     " ms (sql_transaction_ms_max)");
  };
  for (size_t i = 0; i < statements.size(); ++i) {
    if (is_late()) {
      return too_late(i);
    }
    // Rows that are inserted one by one differ in their values only.
    if (compiled == nullptr || statements[i].sql != statements[i - 1].sql) {
      Result<OwnedStatement> next = Compile(*database_, schema_, statements[i].sql);
      if (!next.ok()) {
        return next.error().Within("statement " + std::to_string(i + 1));
      }
      compiled = *std::move(next);
    }
    const Result<int64_t> changed = RunSqlWrite(statements[i], compiled.get());
    if (!changed.ok()) {
      if (changed.error().code() == ErrorCode::kCancelled && is_late()) {
        return too_late(i);
      }
      return changed.error().Within("statement " + std::to_string(i + 1));
    }
    sqlite3_reset(compiled.get());
    executed->rows_changed.push_back(*changed);
    rows += *changed;
    if (rows > rows_max) {
      return LimitReached("statement " + std::to_string(i + 1) + ": the transaction changes " +
                          std::to_string(rows) + " rows; sql_transaction_rows_max is " +
                          std::to_string(rows_max));
    }
  }
  return {};
}

Result<int64_t> Store::Impl::RunSqlWrite(const SqlWrite& write, sqlite3_stmt* statement) {
  sqlite3* const db = database_->handle();
  const ValueLimit limit(db, options_.limits.sql_value_bytes_max);
  int code = SQLITE_OK;
  if (static_cast<size_t>(sqlite3_bind_parameter_count(statement)) != write.values.size()) {
    return InvalidArgument("it has " + std::to_string(sqlite3_bind_parameter_count(statement)) +
                           " parameters, but there are " + std::to_string(write.values.size()) +
                           " values");
  }
  for (size_t i = 0; i < write.values.size(); ++i) {
    code = BindValue(statement, static_cast<int>(i) + 1, write.values[i]);
    if (code == SQLITE_TOOBIG) {
      return LimitReached("value " + std::to_string(i + 1) + " has " +
                          std::to_string(write.values[i].bytes.size()) +
                          " bytes; sql_value_bytes_max is " +
                          std::to_string(options_.limits.sql_value_bytes_max));
    }
    if (code != SQLITE_OK) {
      return database_->LastError(code, write.sql);
    }
  }
  const int64_t changes_before = sqlite3_total_changes64(db);
  do {
    code = sqlite3_step(statement);
  } while (code == SQLITE_ROW);
  if (code == SQLITE_TOOBIG) {
    return LimitReached("a value or row of more than " +
                        std::to_string(options_.limits.sql_value_bytes_max) +
                        " bytes (sql_value_bytes_max)");
  }
  if (code != SQLITE_DONE) {
    return database_->LastError(code, write.sql);
  }
  const bool is_write = sqlite3_stmt_readonly(statement) == 0;
  return is_write && sqlite3_total_changes64(db) != changes_before ? sqlite3_changes64(db) : 0;
}

}  // namespace merrow::store
