// SPDX-License-Identifier: Apache-2.0
//
// Reader: read-only SQL on the database file of a Store, for people and tools that ask over the
// network. A connection of its own (SQLite's WAL lets it read while the Store writes) that cannot
// write, attach, load code or change settings, and runs each statement under limits of rows, bytes
// and time.
//
// Not thread-safe, except Interrupt().

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "merrow/result.h"

namespace merrow::store {

/// A value that SQL takes or gives. bool becomes 0 or 1; views live for the call.
struct SqlNull {
  friend bool operator==(const SqlNull&, const SqlNull&) = default;
};
struct SqlBlob {
  BytesView bytes;
  friend bool operator==(const SqlBlob&, const SqlBlob&) = default;
};
using SqlValue = std::variant<SqlNull, bool, int64_t, double, std::string_view, SqlBlob>;

struct QueryLimits {
  uint64_t rows_max = 1'000'000;
  uint64_t bytes_max = uint64_t{256} << 20;  // text and blobs of all rows, 8 for each number
  int64_t time_ms_max = 10'000;
};

/// Column names first, once; then each row. Return false to stop (the query ends with cancelled).
struct QuerySink {
  std::function<bool(std::span<const std::string_view>)> columns;
  std::function<bool(std::span<const SqlValue>)> row;
};

struct QuerySummary {
  uint64_t rows = 0;
  int64_t time_micros = 0;
};

class Reader {
 public:
  /// `path` is the file of an open Store; `clock` must outlive the reader.
  static Result<std::unique_ptr<Reader>> Open(const std::string& path, const Clock* clock);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Runs one statement that only reads. Invalid argument if it is not exactly one, is not
  /// read-only, SQLite refuses it, or the parameters do not fit it; limit if a limit was passed
  /// (rows before that were delivered); cancelled if the sink or Interrupt() stopped it.
  Result<QuerySummary> Query(std::string_view sql, std::span<const SqlValue> params,
                             const QueryLimits& limits, const QuerySink& sink);

  /// Makes a running Query() return cancelled soon. Any thread.
  void Interrupt();

 private:
  class Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::store
