// SPDX-License-Identifier: Apache-2.0
#include "net/testing/test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace merrow::net::testing {

namespace {

Error Errno(const std::string& what) { return IoError(what + ": " + std::strerror(errno)); }

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<SocketAddress> MakeAddress(const std::string& host, uint16_t port) {
  SocketAddress address;
  sockaddr_in ipv4{};
  sockaddr_in6 ipv6{};
  if (inet_pton(AF_INET, host.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    std::memcpy(&address.storage, &ipv4, sizeof(ipv4));
    address.size = sizeof(ipv4);
    return address;
  }
  if (inet_pton(AF_INET6, host.c_str(), &ipv6.sin6_addr) == 1) {
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    std::memcpy(&address.storage, &ipv6, sizeof(ipv6));
    address.size = sizeof(ipv6);
    return address;
  }
  return InvalidArgument("'" + host + "' is not an address");
}

Result<uint64_t> ParseNumber(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Corruption("'" + std::string(text) + "' is not a number");
  }
  return number;
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = static_cast<char>(tolower(static_cast<unsigned char>(c)));
  }
  return lower;
}

Result<TestResponse> ParseHead(std::string_view head) {
  TestResponse response;
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) {
    return Corruption("not a response: '" + std::string(head) + "'");
  }
  MERROW_ASSIGN(const uint64_t status, ParseNumber(head.substr(9, 3), 10));
  response.status = static_cast<int>(status);
  size_t at = head.find("\r\n") + 2;
  while (at < head.size()) {
    const size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    if (line.empty()) {
      break;
    }
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) {
      return Corruption("not a header: '" + std::string(line) + "'");
    }
    response.headers.emplace_back(ToLower(line.substr(0, colon)), line.substr(colon + 2));
  }
  return response;
}

}  // namespace

Result<TestSocket> TestSocket::Connect(uint16_t port, Options options) {
  MERROW_ASSIGN(SocketAddress address, MakeAddress(options.host, port));
  const int descriptor = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return Errno("socket");
  }
  TestSocket socket(descriptor);
  if (options.receive_buffer_bytes > 0) {
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer_bytes, sizeof(int));
  }
  const timeval timeout{.tv_sec = kReadTimeoutSeconds, .tv_usec = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.size) !=
      0) {
    return Errno("connect to port " + std::to_string(port));
  }
  return socket;
}

TestSocket::TestSocket(TestSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), input_(std::move(other.input_)) {}

TestSocket& TestSocket::operator=(TestSocket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(input_, other.input_);
  return *this;
}

TestSocket::~TestSocket() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

Status TestSocket::Write(BytesView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0) {
      return Errno("send");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

void TestSocket::ShutdownWrite() { ::shutdown(descriptor_, SHUT_WR); }

void TestSocket::Reset() {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  ::close(std::exchange(descriptor_, -1));
}

Result<size_t> TestSocket::Fill() {
  char piece[65536];
  const ssize_t count = ::recv(descriptor_, piece, sizeof(piece), 0);
  if (count < 0) {
    return Errno("recv");
  }
  input_.append(piece, static_cast<size_t>(count));
  return static_cast<size_t>(count);
}

Result<Bytes> TestSocket::Read(size_t count) {
  while (input_.size() < count) {
    MERROW_ASSIGN(const size_t filled, Fill());
    if (filled == 0) {
      return IoError("closed after " + std::to_string(input_.size()) + " of " +
                     std::to_string(count) + " bytes");
    }
  }
  if (input_.size() == count) {
    return std::exchange(input_, {});
  }
  Bytes result = input_.substr(0, count);
  input_.erase(0, count);
  return result;
}

Result<Bytes> TestSocket::ReadUntil(std::string_view end) {
  size_t at = input_.find(end);
  while (at == Bytes::npos) {
    MERROW_ASSIGN(const size_t filled, Fill());
    if (filled == 0) {
      return IoError("closed after '" + input_ + "'");
    }
    at = input_.find(end);
  }
  return Read(at + end.size());
}

Result<Bytes> TestSocket::ReadToEnd() {
  while (true) {
    MERROW_ASSIGN(const size_t filled, Fill());
    if (filled == 0) {
      return std::exchange(input_, {});
    }
  }
}

Status TestSocket::ExpectClosed() {
  if (!input_.empty()) {
    return Corruption("unread: '" + input_ + "'");
  }
  char byte;
  const ssize_t count = ::recv(descriptor_, &byte, 1, 0);
  if (count == 0 || (count < 0 && errno == ECONNRESET)) {
    return {};
  }
  return count < 0 ? Errno("recv") : Corruption("the server has sent more");
}

std::string TestResponse::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) {
      return value;
    }
  }
  return "";
}

Result<TestHttpClient> TestHttpClient::Connect(uint16_t port) {
  MERROW_ASSIGN(TestSocket socket, TestSocket::Connect(port));
  return TestHttpClient(std::move(socket));
}

Status TestHttpClient::SendRequest(std::string_view method, std::string_view target, BytesView body,
                                   const std::vector<std::string>& headers) {
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  bool has_host = false;
  for (const std::string& header : headers) {
    request += header + "\r\n";
    has_host = has_host || ToLower(header).starts_with("host:");
  }
  if (!has_host) {
    request += "Host: localhost\r\n";
  }
  if (!body.empty() || method == "POST") {
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  request += "\r\n";
  request += body;
  return socket_.Write(request);
}

Result<TestResponse> TestHttpClient::ReadHead() {
  MERROW_ASSIGN(const Bytes head, socket_.ReadUntil("\r\n\r\n"));
  return ParseHead(head);
}

Result<Bytes> TestHttpClient::ReadChunk() {
  MERROW_ASSIGN(const Bytes line, socket_.ReadUntil("\r\n"));
  MERROW_ASSIGN(const uint64_t size,
                ParseNumber(std::string_view(line).substr(0, line.size() - 2), 16));
  MERROW_ASSIGN(Bytes chunk, socket_.Read(size + 2));
  if (!chunk.ends_with("\r\n")) {
    return Corruption("a chunk does not end with a line break");
  }
  chunk.resize(size);
  return chunk;
}

Result<TestResponse> TestHttpClient::ReadResponse(bool has_body) {
  MERROW_ASSIGN(TestResponse response, ReadHead());
  if (!has_body || response.status == 204 || response.status == 304) {
    return response;
  }
  if (response.Header("transfer-encoding") == "chunked") {
    while (true) {
      MERROW_ASSIGN(const Bytes chunk, ReadChunk());
      if (chunk.empty()) {
        return response;
      }
      response.body += chunk;
    }
  }
  const std::string length = response.Header("content-length");
  if (length.empty()) {
    MERROW_ASSIGN(response.body, socket_.ReadToEnd());
    return response;
  }
  MERROW_ASSIGN(const uint64_t size, ParseNumber(length, 10));
  MERROW_ASSIGN(response.body, socket_.Read(size));
  return response;
}

Result<TestResponse> TestHttpClient::Get(std::string_view target) {
  MERROW_TRY(SendRequest("GET", target));
  return ReadResponse();
}

Result<TestResponse> TestHttpClient::Post(std::string_view target, BytesView body) {
  MERROW_TRY(SendRequest("POST", target, body));
  return ReadResponse();
}

uint16_t TestFrame::close_code() const {
  ByteReader reader(payload);
  const auto code = reader.U16Be();
  return code.ok() ? *code : 0;
}

Result<TestResponse> TestWebSocket::Handshake(TestSocket& socket, std::string_view path,
                                              const std::vector<std::string>& headers) {
  std::string request = "GET " + std::string(path) +
                        " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  bool has_host = false;
  for (const std::string& header : headers) {
    request += header + "\r\n";
    has_host = has_host || ToLower(header).starts_with("host:");
  }
  if (!has_host) {
    request += "Host: localhost\r\n";
  }
  MERROW_TRY(socket.Write(request + "\r\n"));
  MERROW_ASSIGN(const Bytes head, socket.ReadUntil("\r\n\r\n"));
  MERROW_ASSIGN(TestResponse response, ParseHead(head));
  if (const std::string length = response.Header("content-length"); !length.empty()) {
    MERROW_ASSIGN(const uint64_t size, ParseNumber(length, 10));
    MERROW_ASSIGN(response.body, socket.Read(size));
  }
  return response;
}

Result<TestWebSocket> TestWebSocket::Connect(uint16_t port, std::string_view path,
                                             TestSocket::Options options) {
  MERROW_ASSIGN(TestSocket socket, TestSocket::Connect(port, std::move(options)));
  MERROW_ASSIGN(const TestResponse response, Handshake(socket, path));
  // The answer to the key above, from RFC 6455 section 1.3.
  if (response.status != 101 ||
      response.Header("sec-websocket-accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
    return Conflict("handshake answered with " + std::to_string(response.status) + ": " +
                    response.body);
  }
  return TestWebSocket(std::move(socket));
}

Status TestWebSocket::SendText(std::string_view text) {
  return SendFrame({.opcode = TestOpcode::kText, .payload = Bytes(text)});
}

Status TestWebSocket::SendBinary(BytesView bytes) {
  return SendFrame({.opcode = TestOpcode::kBinary, .payload = Bytes(bytes)});
}

Status TestWebSocket::SendClose(uint16_t code, std::string_view text) {
  ByteWriter payload;
  payload.U16Be(code);
  payload.Append(text);
  return SendFrame({.opcode = TestOpcode::kClose, .payload = payload.Release()});
}

Status TestWebSocket::SendFrame(const TestFrame& frame) {
  constexpr std::string_view kMask = "\x37\xfa\x21\x3d";
  ByteWriter head;
  head.U8(static_cast<uint8_t>((frame.is_final ? 0x80 : 0) | static_cast<int>(frame.opcode)));
  const size_t size = frame.payload.size();
  if (size < 126) {
    head.U8(static_cast<uint8_t>(0x80 | size));
  } else if (size < 65536) {
    head.U8(0x80 | 126);
    head.U16Be(static_cast<uint16_t>(size));
  } else {
    head.U8(0x80 | 127);
    head.U64Be(size);
  }
  head.Append(kMask);
  Bytes bytes = head.Release();
  const size_t payload_at = bytes.size();
  bytes += frame.payload;
  for (size_t i = 0; i < size; ++i) {
    bytes[payload_at + i] = static_cast<char>(bytes[payload_at + i] ^ kMask[i % kMask.size()]);
  }
  return socket_.Write(bytes);
}

Result<TestFrame> TestWebSocket::ReadFrame() {
  MERROW_ASSIGN(const Bytes head, socket_.Read(2));
  const auto first = static_cast<uint8_t>(head[0]);
  const auto second = static_cast<uint8_t>(head[1]);
  if ((first & 0x70) != 0 || (second & 0x80) != 0) {
    return Corruption("a server's frame has reserved bits or a mask");
  }
  uint64_t size = second & 0x7F;
  if (size >= 126) {
    MERROW_ASSIGN(const Bytes length, socket_.Read(size == 126 ? 2 : 8));
    size = 0;
    for (const char c : length) {
      size = (size << 8) | static_cast<uint8_t>(c);
    }
  }
  MERROW_ASSIGN(Bytes payload, socket_.Read(size));
  return TestFrame{.is_final = (first & 0x80) != 0,
                   .opcode = static_cast<TestOpcode>(first & 0x0F),
                   .payload = std::move(payload)};
}

Result<TestFrame> TestWebSocket::ReadMessage() {
  std::optional<TestFrame> message;
  while (true) {
    MERROW_ASSIGN(TestFrame frame, ReadFrame());
    if (frame.opcode == TestOpcode::kPing) {
      MERROW_TRY(SendFrame({.opcode = TestOpcode::kPong, .payload = frame.payload}));
    } else if (frame.opcode == TestOpcode::kClose) {
      return frame;
    } else if (frame.opcode != TestOpcode::kPong) {
      if (frame.opcode == TestOpcode::kContinuation && message.has_value()) {
        message->payload += frame.payload;
      } else {
        message = frame;
      }
      if (frame.is_final) {
        return *std::move(message);
      }
    }
  }
}

}  // namespace merrow::net::testing
