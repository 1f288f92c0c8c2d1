// SPDX-License-Identifier: Apache-2.0
#include "cli/http_get.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <system_error>

namespace merrow::cli {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Error Failed(const HttpUrl& url, const std::string& what) {
  return IoError(url.host + ":" + url.port + ": " + what);
}
Error Failed(const HttpUrl& url, int code) {
  if (code == EAGAIN || code == EINPROGRESS) return Failed(url, "no answer in time");
  return Failed(url, std::generic_category().message(code));
}

Result<Socket> Connect(const HttpUrl& url, std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &found);
  if (failed != 0) return Failed(url, gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  timeval limit{};
  limit.tv_sec = timeout.count() / 1000;
  limit.tv_usec = (timeout.count() % 1000) * 1000;
  int error = EHOSTUNREACH;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Socket socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (socket.fd() < 0) continue;
    // Linux bounds connect() by the sending timeout, too.
    setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (::connect(socket.fd(), at->ai_addr, at->ai_addrlen) == 0) return socket;
    error = errno;
  }
  return Failed(url, error);
}

bool IsName(BytesView a, BytesView b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == y;
         });
}

// The Content-Length of a head; nothing if there is none.
Result<std::optional<size_t>> ContentLength(BytesView head) {
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    BytesView line = head.substr(0, end);
    head = end == BytesView::npos ? BytesView() : head.substr(end + 2);
    const size_t colon = line.find(':');
    if (colon == BytesView::npos) continue;
    if (IsName(line.substr(0, colon), "transfer-encoding")) {
      return Unsupported("the answer is in chunks");
    }
    if (!IsName(line.substr(0, colon), "content-length")) continue;
    line.remove_prefix(colon + 1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    size_t length = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), length);
    if (error != std::errc() || stop != line.data() + line.size()) {
      return Corruption("the answer's length is no number");
    }
    return std::optional<size_t>(length);
  }
  return std::optional<size_t>();
}

// Where the body ends if `bytes` has the whole head; nothing: read on until the connection ends.
Result<std::optional<size_t>> WantedBytes(BytesView bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == BytesView::npos) return std::optional<size_t>();
  MERROW_ASSIGN(const std::optional<size_t> length, ContentLength(bytes.substr(0, end)));
  if (!length.has_value()) return std::optional<size_t>();
  if (*length > kReplyBytesMax) return LimitReached("the answer is too large");
  return std::optional<size_t>(end + 4 + *length);
}

}  // namespace

Result<HttpUrl> ParseHttpUrl(std::string_view text) {
  const Error error = InvalidArgument("\"" + std::string(text) + "\" is not like http://HOST:PORT");
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return error;
  text.remove_prefix(kScheme.size());
  HttpUrl url;
  const size_t slash = text.find('/');
  url.path = slash == std::string_view::npos ? "/" : std::string(text.substr(slash));
  std::string_view authority = text.substr(0, slash);
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return error;
    url.host = std::string(authority.substr(1, close - 1));
    authority.remove_prefix(close + 1);
    if (!authority.empty() && authority.front() != ':') return error;
  } else {
    const size_t colon = authority.find(':');
    url.host = std::string(authority.substr(0, colon));
    authority.remove_prefix(std::min(colon, authority.size()));
  }
  url.port = authority.empty() ? "80" : std::string(authority.substr(1));
  uint16_t port = 0;
  const auto [end, failed] =
      std::from_chars(url.port.data(), url.port.data() + url.port.size(), port);
  const bool is_port = failed == std::errc() && end == url.port.data() + url.port.size();
  const auto is_visible = [](char c) { return c > ' ' && c < 0x7F; };
  const bool is_clean = std::all_of(url.host.begin(), url.host.end(), is_visible) &&
                        std::all_of(url.path.begin(), url.path.end(), is_visible);
  if (url.host.empty() || !is_port || !is_clean) return error;
  return url;
}

Result<HttpReply> ParseHttpReply(BytesView bytes) {
  const Error error = Corruption("the answer is not HTTP");
  constexpr BytesView kStart = "HTTP/1.1 ";
  const size_t end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with(kStart) || end == BytesView::npos) return error;
  HttpReply reply;
  const char* digits = bytes.data() + kStart.size();
  const auto [stop, failed] = std::from_chars(digits, bytes.data() + end, reply.status);
  if (failed != std::errc() || stop != digits + 3) return error;
  MERROW_ASSIGN(const std::optional<size_t> wanted, WantedBytes(bytes));
  if (wanted.has_value() && bytes.size() < *wanted) return IoError("the answer was cut off");
  reply.body = Bytes(bytes.substr(end + 4, wanted.has_value() ? *wanted - end - 4 : bytes.npos));
  return reply;
}

namespace {

Result<HttpReply> Ask(const std::string& method, const HttpUrl& url,
                      std::chrono::milliseconds timeout) {
  MERROW_ASSIGN(const Socket socket, Connect(url, timeout));
  const bool is_v6 = url.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + url.host + "]" : url.host;
  const std::string length = method == "GET" ? "" : "\r\nContent-Length: 0";
  const std::string request = method + " " + url.path + " HTTP/1.1\r\nHost: " + host + ":" +
                              url.port + length + "\r\nConnection: close\r\n\r\n";
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t count =
        ::send(socket.fd(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count < 0) return Failed(url, errno);
    sent += static_cast<size_t>(count);
  }
  Bytes bytes;
  char buffer[16 << 10];
  while (true) {
    MERROW_ASSIGN(const std::optional<size_t> wanted, WantedBytes(bytes));
    if (wanted.has_value() && bytes.size() >= *wanted) break;
    const ssize_t count = ::recv(socket.fd(), buffer, sizeof(buffer), 0);
    if (count < 0) return Failed(url, errno);
    if (count == 0) break;
    bytes.append(buffer, static_cast<size_t>(count));
    if (bytes.size() > 2 * kReplyBytesMax) return Failed(url, "the answer is too large");
  }
  Result<HttpReply> reply = ParseHttpReply(bytes);
  if (!reply.ok()) return reply.error().Within(url.host + ":" + url.port);
  return reply;
}

}  // namespace

Result<HttpReply> HttpGet(const HttpUrl& url, std::chrono::milliseconds timeout) {
  return Ask("GET", url, timeout);
}

Result<HttpReply> HttpPost(const HttpUrl& url, std::chrono::milliseconds timeout) {
  return Ask("POST", url, timeout);
}

}  // namespace merrow::cli
