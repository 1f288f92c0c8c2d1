// SPDX-License-Identifier: Apache-2.0
//
// HTTP for commands that ask a running server: one request, blocking, over plain TCP.

#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::cli {

struct HttpReply {
  int status = 0;
  Bytes body;
};

struct HttpUrl {
  std::string host;  // a name or an address, IPv6 without brackets
  std::string port;
  std::string path;  // "/..."
};

/// "http://HOST[:PORT][/PATH]"
Result<HttpUrl> ParseHttpUrl(std::string_view text);

/// An answer of up to kReplyBytesMax, with a Content-Length or until the connection ends. Io if
/// nobody answers within `timeout`, at each step.
Result<HttpReply> HttpGet(const HttpUrl& url, std::chrono::milliseconds timeout);
inline constexpr size_t kReplyBytesMax = size_t{64} << 20;
/// The same with POST and an empty body.
Result<HttpReply> HttpPost(const HttpUrl& url, std::chrono::milliseconds timeout);

/// For HttpGet and tests: head and body of everything that a server sent.
Result<HttpReply> ParseHttpReply(BytesView bytes);

}  // namespace merrow::cli
