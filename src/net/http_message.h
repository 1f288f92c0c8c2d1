// SPDX-License-Identifier: Apache-2.0
//
// HTTP requests and responses as handlers see them, and the decoding of request targets.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::net {

struct NameValue {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;                 // "GET", as sent
  std::string target;                 // "/v1/rows/note/a%2Fb?x=1", as sent
  std::vector<std::string> segments;  // {"v1", "rows", "note", "a/b"}; "/" has none
  std::vector<NameValue> query;       // decoded, in order; '+' is a space
  std::vector<NameValue> headers;     // names as sent, in order
  Bytes body;
  std::string remote_address;  // "127.0.0.1:51234"

  /// The first header of that name, whatever its case.
  std::optional<std::string_view> Header(std::string_view name) const;
  /// The first query parameter of that name.
  std::optional<std::string_view> Query(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::vector<NameValue> headers;  // without Content-Length, Transfer-Encoding and Connection
  Bytes body;

  static HttpResponse Text(int status, std::string body);
  static HttpResponse Json(int status, std::string body);
};

struct HttpTarget {
  std::vector<std::string> segments;
  std::vector<NameValue> query;
};

/// Decodes an origin-form target ("/path?query"). Empty segments are kept, also a last one after a
/// trailing slash. A malformed escape is an error.
Result<HttpTarget> ParseTarget(std::string_view target);

/// Undoes %XX. Any byte may come out of it.
Result<std::string> PercentDecode(std::string_view text);

/// Status line and headers, with the final empty line. Line breaks in names and values become
/// spaces, so that a handler that echoes input cannot be made to split the response.
std::string FormatResponseHead(int status, const std::vector<NameValue>& headers);

}  // namespace merrow::net
