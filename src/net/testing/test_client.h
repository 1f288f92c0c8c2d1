// SPDX-License-Identifier: Apache-2.0
//
// Blocking HTTP and WebSocket clients for tests, on plain POSIX sockets and independent of the
// server's libraries, so that the two ends check each other. They can misbehave on purpose: raw
// bytes, half requests, unanswered pings, frames of any kind.
//
// Reads give up after kReadTimeoutSeconds with an error, so a test fails instead of hanging.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::net::testing {

inline constexpr int kReadTimeoutSeconds = 20;

/// One TCP connection to a loopback port.
class TestSocket {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // or "::1"
    int receive_buffer_bytes = 0;    // SO_RCVBUF; 0 leaves the system's
  };
  static Result<TestSocket> Connect(uint16_t port, Options options);
  static Result<TestSocket> Connect(uint16_t port) { return Connect(port, Options()); }

  TestSocket(TestSocket&& other) noexcept;
  TestSocket& operator=(TestSocket&& other) noexcept;
  ~TestSocket();

  Status Write(BytesView bytes);
  /// Closes the sending side only.
  void ShutdownWrite();
  /// Closes with a reset, so that the server sees an error and not an end.
  void Reset();

  /// Exactly `count` bytes.
  Result<Bytes> Read(size_t count);
  /// Up to and including `end`.
  Result<Bytes> ReadUntil(std::string_view end);
  /// All until the server closes. A reset is an error.
  Result<Bytes> ReadToEnd();
  /// OK if the server has closed or reset the connection and all it sent was read.
  Status ExpectClosed();

 private:
  explicit TestSocket(int descriptor) : descriptor_(descriptor) {}
  /// Appends to input_; 0 at the end.
  Result<size_t> Fill();

  int descriptor_ = -1;
  Bytes input_;
};

struct TestResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  Bytes body;

  std::string Header(std::string_view lower_case_name) const;
};

class TestHttpClient {
 public:
  explicit TestHttpClient(TestSocket socket) : socket_(std::move(socket)) {}
  static Result<TestHttpClient> Connect(uint16_t port);

  TestSocket& socket() { return socket_; }

  /// Adds Host (unless `headers` has one) and Content-Length.
  Status SendRequest(std::string_view method, std::string_view target, BytesView body = {},
                     const std::vector<std::string>& headers = {});
  /// Status line and headers only.
  Result<TestResponse> ReadHead();
  /// The next chunk of a chunked body; empty at its end.
  Result<Bytes> ReadChunk();
  /// Head and body. `has_body` is false for answers to HEAD.
  Result<TestResponse> ReadResponse(bool has_body = true);

  Result<TestResponse> Get(std::string_view target);
  Result<TestResponse> Post(std::string_view target, BytesView body);

 private:
  TestSocket socket_;
};

enum class TestOpcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

struct TestFrame {
  bool is_final = true;
  TestOpcode opcode = TestOpcode::kBinary;
  Bytes payload = {};

  /// Of a close frame; 0 if it has none.
  uint16_t close_code() const;
};

class TestWebSocket {
 public:
  /// Sends the handshake and expects 101.
  static Result<TestWebSocket> Connect(uint16_t port, std::string_view path,
                                       TestSocket::Options options = {});
  /// Sends the handshake with more headers and returns whatever comes back.
  static Result<TestResponse> Handshake(TestSocket& socket, std::string_view path,
                                        const std::vector<std::string>& headers = {});

  TestSocket& socket() { return socket_; }

  Status SendText(std::string_view text);
  Status SendBinary(BytesView bytes);
  Status SendClose(uint16_t code, std::string_view text = {});
  Status SendFrame(const TestFrame& frame);

  /// Any one frame, control frames too; pings are not answered.
  Result<TestFrame> ReadFrame();
  /// The next whole message or close frame; answers pings.
  Result<TestFrame> ReadMessage();

 private:
  explicit TestWebSocket(TestSocket socket) : socket_(std::move(socket)) {}

  TestSocket socket_;
};

}  // namespace merrow::net::testing
