// SPDX-License-Identifier: Apache-2.0
//
// Merrow's own tables, as operations: the documents' numbers, their bases and logs, and which rows
// wait for their projection. The tables are described in database_file.h. Nothing here begins or
// ends a transaction.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"
#include "store/database_file.h"
#include "store/sqlite.h"

namespace merrow::store {

struct DocumentRecord {
  int64_t id = 0;
  bool quarantined = false;
};

struct StaleRecord {
  int64_t document_id = 0;
  int64_t table_id = 0;
  std::string key;
};

class DocumentLog {
 public:
  explicit DocumentLog(Database* database) : database_(database) {}

  /// Finds the first free document id. Once, after the tables exist.
  Status Initialize();

  Result<std::optional<DocumentRecord>> Find(int64_t table_id, std::string_view key);
  /// The id of a new document.
  Result<int64_t> Create(int64_t table_id, std::string_view key);
  /// Up to `count` keys after `after`, in order.
  Result<std::vector<std::string>> Keys(int64_t table_id, std::string_view after, int64_t count);

  /// Calls `blob` with the base (seq 0), if there is one, and then the log, in order, until it
  /// returns false.
  Status Read(int64_t document_id, const std::function<bool(int64_t seq, BytesView)>& blob);
  Status Append(int64_t document_id, int64_t seq, BytesView update);
  /// Puts `base` in the place of the base and the whole log.
  Status ReplaceAll(int64_t document_id, BytesView base);

  /// Null takes the mark away.
  Status SetQuarantine(int64_t table_id, std::string_view key, const std::string* why);

  Status MarkStale(const StaleRecord& stale);
  Status ClearStale(int64_t document_id);
  Result<std::vector<StaleRecord>> ReadStale();

 private:
  Database* database_;
  int64_t next_document_id_ = 1;
};

}  // namespace merrow::store
