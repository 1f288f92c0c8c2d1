// SPDX-License-Identifier: Apache-2.0
#include "net/http_message.h"

#include <strings.h>

#include <boost/beast/http/status.hpp>
#include <utility>

namespace merrow::net {

namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

Result<std::string> FormDecode(std::string_view text) {
  std::string spaced(text);
  for (char& c : spaced) {
    if (c == '+') {
      c = ' ';
    }
  }
  return PercentDecode(spaced);
}

// Takes the text before the next `separator` off `rest`.
std::string_view NextField(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view field = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return field;
}

void AppendOnOneLine(std::string& out, std::string_view text) {
  for (const char c : text) {
    out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
  }
}

}  // namespace

std::optional<std::string_view> HttpRequest::Header(std::string_view name) const {
  for (const NameValue& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) {
      return header.value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> HttpRequest::Query(std::string_view name) const {
  for (const NameValue& parameter : query) {
    if (parameter.name == name) {
      return parameter.value;
    }
  }
  return std::nullopt;
}

HttpResponse HttpResponse::Text(int status, std::string body) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(body)};
}

HttpResponse HttpResponse::Json(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

Result<HttpTarget> ParseTarget(std::string_view target) {
  if (!target.starts_with('/')) {
    return InvalidArgument("target '" + std::string(target) + "' does not start with a slash");
  }
  std::string_view query = target.substr(1);
  std::string_view path = NextField(query, '?');
  HttpTarget result;
  if (!path.empty()) {
    bool more = true;
    while (more) {
      more = path.find('/') != std::string_view::npos;
      MERROW_ASSIGN(std::string segment, PercentDecode(NextField(path, '/')));
      result.segments.push_back(std::move(segment));
    }
  }
  while (!query.empty()) {
    std::string_view value = NextField(query, '&');
    if (value.empty()) {
      continue;
    }
    MERROW_ASSIGN(std::string name, FormDecode(NextField(value, '=')));
    MERROW_ASSIGN(std::string decoded, FormDecode(value));
    result.query.push_back({std::move(name), std::move(decoded)});
  }
  return result;
}

Result<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return InvalidArgument("malformed escape at offset " + std::to_string(i) + " of '" +
                             std::string(text) + "'");
    }
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

std::string FormatResponseHead(int status, const std::vector<NameValue>& headers) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head.append(reason.data(), reason.size());
  head += "\r\n";
  for (const NameValue& header : headers) {
    AppendOnOneLine(head, header.name);
    head += ": ";
    AppendOnOneLine(head, header.value);
    head += "\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace merrow::net
