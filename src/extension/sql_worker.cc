// SPDX-License-Identifier: Apache-2.0
//
// merrow-sql-worker: drives merrow.so by JSON lines, for tests and for whoever debugs them. It
// links the system's SQLite and loads the extension into every database that it opens, as any
// program would.
//
//     merrow-sql-worker EXTENSION
//
// Each line of standard input is an array of commands; each line of standard output is the array of
// their results, in order. A database is named by a number that the caller picks.
//
//     {"db": 1, "open": ":memory:"}                            -> {}
//     {"db": 1, "sql": "SELECT ?1, x'ff'", "args": [5]}        -> {"rows": [[5, {"b": "ff"}]]}
//     {"db": 1, "sql": "INSERT ...", "each": [[1], [2]]}       runs once per list of arguments
//     {"db": 1, "copy": 2, "sql": ..., "args": [...], "into": "INSERT ..."}
//                                                   runs `into` on db 2 with each row of `sql`
//     {"db": 1, "close": true}                                 -> {}
//     anything that fails                                      -> {"error": "...", "code": 1}
//
// Values: null, text, integers as numbers, or {"i": "9007199254740993"} beyond 2^53, reals as
// {"r": 2.5}, blobs as {"b": "hex"}. SQL without arguments may hold several statements.

#include <sqlite3.h>

#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"

namespace merrow::extension {
namespace {

using Json = nlohmann::json;

constexpr int64_t kSafeIntegerMax = int64_t{1} << 53;

/// What SQLite, or a caller's mistake, says went wrong.
struct Failure {
  std::string message;
  int code = SQLITE_ERROR;
};

Json ColumnJson(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: {
      const int64_t value = sqlite3_column_int64(statement, column);
      if (value >= -kSafeIntegerMax && value <= kSafeIntegerMax) {
        return value;
      }
      return Json{{"i", std::to_string(value)}};
    }
    case SQLITE_FLOAT:
      return Json{{"r", sqlite3_column_double(statement, column)}};
    case SQLITE_TEXT:
      return std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                         static_cast<size_t>(sqlite3_column_bytes(statement, column)));
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
      return Json{{"b", ToHex(data == nullptr ? BytesView() : BytesView(data, size))}};
    }
    default:
      return nullptr;
  }
}

void BindText(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Bind(sqlite3_stmt* statement, int index, const Json& value) {
  if (value.is_null()) {
    sqlite3_bind_null(statement, index);
  } else if (value.is_number_integer()) {
    sqlite3_bind_int64(statement, index, value.get<int64_t>());
  } else if (value.is_number()) {
    sqlite3_bind_double(statement, index, value.get<double>());
  } else if (value.is_string()) {
    BindText(statement, index, value.get<std::string>());
  } else if (value.contains("i")) {
    sqlite3_bind_int64(statement, index, std::stoll(value["i"].get<std::string>()));
  } else if (value.contains("r")) {
    sqlite3_bind_double(statement, index, value["r"].get<double>());
  } else {
    const auto bytes = FromHex(value.at("b").get<std::string>());
    if (!bytes.ok()) {
      throw Failure{bytes.error().message()};
    }
    sqlite3_bind_blob64(statement, index, bytes.value().data(), bytes.value().size(),
                        SQLITE_TRANSIENT);
  }
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

class Connection {
 public:
  Connection(const std::string& path, const std::string& extension) {
    Check(sqlite3_open(path.c_str(), &db_));
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
    char* message = nullptr;
    if (sqlite3_load_extension(db_, extension.c_str(), nullptr, &message) != SQLITE_OK) {
      throw Failure{std::string("cannot load the extension: ") + message};
    }
  }
  ~Connection() {
    statements_.clear();
    sqlite3_close(db_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// SQLITE_BUSY here would mean that the extension keeps statements of its own.
  void Close() {
    statements_.clear();
    Check(sqlite3_close(db_));
    db_ = nullptr;
  }

  void Check(int code) const {
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
      throw Failure{sqlite3_errmsg(db_), sqlite3_extended_errcode(db_)};
    }
  }

  /// The statement, from the cache of this connection.
  sqlite3_stmt* Prepare(const std::string& sql) {
    Statement& cached = statements_[sql];
    if (cached == nullptr) {
      sqlite3_stmt* statement = nullptr;
      Check(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr));
      cached.reset(statement);
    }
    return cached.get();
  }

  Json Run(sqlite3_stmt* statement, const Json& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      Bind(statement, static_cast<int>(i) + 1, arguments[i]);
    }
    Json rows = Json::array();
    int code = sqlite3_step(statement);
    while (code == SQLITE_ROW) {
      Json row = Json::array();
      for (int column = 0; column < sqlite3_column_count(statement); ++column) {
        row.push_back(ColumnJson(statement, column));
      }
      rows.push_back(std::move(row));
      code = sqlite3_step(statement);
    }
    Finish(statement, code);
    return rows;
  }

  /// All statements of `sql`; the rows are the last one's.
  Json RunScript(const std::string& sql) {
    Json rows = Json::array();
    const char* at = sql.c_str();
    while (*at != '\0') {
      sqlite3_stmt* raw = nullptr;
      Check(sqlite3_prepare_v2(db_, at, -1, &raw, &at));
      const Statement statement(raw);
      if (statement != nullptr) {
        rows = Run(raw, Json::array());
      }
    }
    return rows;
  }

  /// Runs `into` of `target` with each row of `sql`.
  int64_t Copy(const std::string& sql, const Json& arguments, Connection& target,
               const std::string& into) {
    sqlite3_stmt* const from = Prepare(sql);
    sqlite3_stmt* const to = target.Prepare(into);
    for (size_t i = 0; i < arguments.size(); ++i) {
      Bind(from, static_cast<int>(i) + 1, arguments[i]);
    }
    int64_t count = 0;
    int code = sqlite3_step(from);
    while (code == SQLITE_ROW) {
      for (int column = 0; column < sqlite3_column_count(from); ++column) {
        sqlite3_bind_value(to, column + 1, sqlite3_column_value(from, column));
      }
      try {
        target.Finish(to, sqlite3_step(to));
      } catch (const Failure&) {
        sqlite3_reset(from);
        throw;
      }
      ++count;
      code = sqlite3_step(from);
    }
    Finish(from, code);
    return count;
  }

 private:
  /// Resets the statement, after the error was read that resetting would forget.
  void Finish(sqlite3_stmt* statement, int code) {
    const Failure failure{sqlite3_errmsg(db_), sqlite3_extended_errcode(db_)};
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (code != SQLITE_DONE) {
      throw failure;
    }
  }

  sqlite3* db_ = nullptr;
  std::map<std::string, Statement> statements_;
};

class Worker {
 public:
  explicit Worker(std::string extension) : extension_(std::move(extension)) {}

  Json Run(const Json& command) {
    try {
      return RunOrThrow(command);
    } catch (const Failure& failure) {
      return Json{{"error", failure.message}, {"code", failure.code}};
    } catch (const std::exception& exception) {
      return Json{{"error", exception.what()}, {"code", SQLITE_MISUSE}};
    }
  }

 private:
  Json RunOrThrow(const Json& command) {
    const int name = command.at("db");
    if (command.contains("open")) {
      connections_[name] =
          std::make_unique<Connection>(command["open"].get<std::string>(), extension_);
      return Json::object();
    }
    Connection& connection = *connections_.at(name);
    if (command.contains("close")) {
      connection.Close();
      connections_.erase(name);
      return Json::object();
    }
    const std::string sql = command.at("sql");
    if (command.contains("copy")) {
      const Json arguments = command.value("args", Json::array());
      Connection& target = *connections_.at(command["copy"].get<int>());
      return Json{{"count", connection.Copy(sql, arguments, target, command.at("into"))}};
    }
    if (command.contains("each")) {
      for (const Json& arguments : command["each"]) {
        connection.Run(connection.Prepare(sql), arguments);
      }
      return Json::object();
    }
    if (command.contains("args")) {
      return Json{{"rows", connection.Run(connection.Prepare(sql), command["args"])}};
    }
    return Json{{"rows", connection.RunScript(sql)}};
  }

  std::string extension_;
  std::map<int, std::unique_ptr<Connection>> connections_;
};

int Main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: merrow-sql-worker EXTENSION\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  Worker worker(arguments[1]);
  std::string line;
  while (std::getline(std::cin, line)) {
    Json results = Json::array();
    for (const Json& command : Json::parse(line)) {
      results.push_back(worker.Run(command));
    }
    // Text of a database need not be UTF-8, and the line must be.
    std::cout << results.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
  }
  return 0;
}

}  // namespace
}  // namespace merrow::extension

int main(int count, char** arguments) {
  try {
    return merrow::extension::Main(count, arguments);
  } catch (const std::exception& exception) {
    std::cerr << "merrow-sql-worker: " << exception.what() << "\n";
    return 1;
  }
}
