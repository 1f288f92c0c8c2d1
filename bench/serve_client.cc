// SPDX-License-Identifier: Apache-2.0
#include "serve_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "merrow/check.h"

namespace merrow::bench {

RowSocket::RowSocket(uint16_t port) {
  descriptor_ = socket(AF_INET, SOCK_STREAM, 0);
  MERROW_CHECK(descriptor_ >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  MERROW_CHECK(connect(descriptor_, generic, sizeof(address)) == 0);
  const int on = 1;
  MERROW_CHECK(setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);

  const std::string request =
      "GET /rows HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  MERROW_CHECK(write(descriptor_, request.data(), request.size()) ==
               static_cast<ssize_t>(request.size()));
  Bytes head;
  while (!head.ends_with("\r\n\r\n")) {
    char byte = 0;
    MERROW_CHECK(read(descriptor_, &byte, 1) == 1);
    head.push_back(byte);
  }
  MERROW_CHECK(head.starts_with("HTTP/1.1 101"));
}

RowSocket::RowSocket(RowSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_received_(other.bytes_received_),
      input_(std::move(other.input_)) {}

RowSocket::~RowSocket() {
  if (descriptor_ >= 0) close(descriptor_);
}

void RowSocket::Send(uint8_t opcode, BytesView payload) {
  // Clients must mask; a mask of zeros leaves the payload as it is.
  ByteWriter frame;
  frame.U8(static_cast<uint8_t>(0x80 | opcode));
  if (payload.size() < 126) {
    frame.U8(static_cast<uint8_t>(0x80 | payload.size()));
  } else if (payload.size() < 65536) {
    frame.U8(0x80 | 126);
    frame.U16Be(static_cast<uint16_t>(payload.size()));
  } else {
    frame.U8(0x80 | 127);
    frame.U64Be(payload.size());
  }
  frame.U32Le(0);
  frame.Append(payload);
  BytesView left = frame.bytes();
  while (!left.empty()) {
    const ssize_t count = send(descriptor_, left.data(), left.size(), MSG_NOSIGNAL);
    MERROW_CHECK(count > 0);
    left.remove_prefix(static_cast<size_t>(count));
  }
}

void RowSocket::Receive(const std::function<void(BytesView, bool)>& on_message) {
  char buffer[64 << 10];
  while (true) {
    const ssize_t count = recv(descriptor_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    MERROW_CHECK(count > 0);
    bytes_received_ += static_cast<uint64_t>(count);
    input_.append(buffer, static_cast<size_t>(count));
    if (static_cast<size_t>(count) < sizeof(buffer)) break;
  }
  size_t at = 0;
  while (true) {
    ByteReader reader(BytesView(input_).substr(at));
    if (reader.remaining() < 2) break;
    const uint8_t first = *reader.U8();
    uint64_t length = *reader.U8();
    if (length == 126) {
      const Result<uint16_t> extended = reader.U16Be();
      if (!extended.ok()) break;
      length = *extended;
    } else if (length == 127) {
      const Result<uint64_t> extended = reader.U64Be();
      if (!extended.ok()) break;
      length = *extended;
    }
    const Result<BytesView> payload = reader.Take(length);
    if (!payload.ok()) break;
    const uint8_t opcode = first & 0x0F;
    if (opcode == 0x9) {
      Send(0xA, *payload);
    } else if (opcode == 0x1 || opcode == 0x2) {
      on_message(*payload, opcode == 0x1);
    }
    at += reader.offset();
  }
  input_.erase(0, at);
}

Bytes RowSocket::ReceiveOne() {
  Bytes message;
  bool received = false;
  while (!received) {
    pollfd poller{descriptor_, POLLIN, 0};
    MERROW_CHECK(poll(&poller, 1, 60'000) == 1);
    Receive([&](BytesView bytes, bool) {
      MERROW_CHECK(!received);
      message = bytes;
      received = true;
    });
  }
  return message;
}

Bytes RowFrameHead(uint8_t type, std::string_view table, std::string_view key) {
  ByteWriter head;
  head.U8(type);
  head.U16Be(static_cast<uint16_t>(table.size()));
  head.Append(table);
  head.U16Be(static_cast<uint16_t>(key.size()));
  head.Append(key);
  return head.Release();
}

}  // namespace merrow::bench
