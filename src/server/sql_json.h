// SPDX-License-Identifier: Apache-2.0
//
// SQL and its values as JSON, in requests and in answers: null, true and false (1 and 0 in SQL),
// numbers, strings, and {"blob":"<base64>"}.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"
#include "store/reader.h"

namespace merrow::server {

struct OwnedSqlBlob {
  Bytes bytes;
  friend bool operator==(const OwnedSqlBlob&, const OwnedSqlBlob&) = default;
};

/// A value of a request's JSON, owned.
using OwnedSqlValue =
    std::variant<store::SqlNull, bool, int64_t, double, std::string, OwnedSqlBlob>;

/// A statement and what stands for its `?`.
struct SqlStatement {
  std::string sql;
  std::vector<OwnedSqlValue> params;
};

/// Bytes of a request for a query, parameters included.
inline constexpr size_t kQueryBytesMax = size_t{4} << 20;
/// JSON values in it. SQLite takes at most 32,766 parameters.
inline constexpr size_t kQueryValuesMax = 40'000;
/// Bytes of a request for a transaction, and its statements.
inline constexpr size_t kTransactionBytesMax = size_t{32} << 20;
inline constexpr size_t kTransactionStatementsMax = 100'000;
/// JSON values in it. Each takes some tens of bytes of memory however short it is written.
inline constexpr size_t kSqlRequestValuesMax = 2'000'000;

/// Reads `["SELECT ...", [1, "a"]]`, `["SELECT ..."]` or `"SELECT ..."`.
Result<SqlStatement> ParseQueryRequest(BytesView body);

/// Reads a list of statements, each in a form that ParseQueryRequest takes or
/// `{"sql":"INSERT ...","params":[1]}`. Errors name the statement by its number, from 1.
Result<std::vector<SqlStatement>> ParseTransactionRequest(BytesView body);

/// Lives as long as the values do.
std::vector<store::SqlValue> SqlViews(std::span<const OwnedSqlValue> values);

/// A JSON string. Text in a database need not be UTF-8; what is not becomes U+FFFD.
void AppendJsonText(std::string_view text, std::string* out);
void AppendSqlValue(const store::SqlValue& value, std::string* out);

}  // namespace merrow::server
