// SPDX-License-Identifier: Apache-2.0
//
// The client side of the server benchmark: many WebSockets of the row frames dialect on one epoll
// loop. It takes frames off the wire and counts, and decodes nothing else, so that what is measured
// is the server and not the client.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace merrow::bench {

/// One WebSocket. Frames from the server are whole messages or, above 64 KiB, any size.
class RowSocket {
 public:
  /// Connects to 127.0.0.1:port and upgrades at /rows. Ends the process on failure, as all here
  /// does: a benchmark has nothing to fall back to.
  explicit RowSocket(uint16_t port);
  ~RowSocket();
  RowSocket(RowSocket&& other) noexcept;
  RowSocket& operator=(RowSocket&&) = delete;

  int descriptor() const { return descriptor_; }
  /// Bytes received so far, WebSocket heads included.
  uint64_t bytes_received() const { return bytes_received_; }

  void SendText(std::string_view text) { Send(0x1, text); }
  void SendBinary(BytesView bytes) { Send(0x2, bytes); }

  /// Reads what is there and calls `on_message` for every complete message.
  void Receive(const std::function<void(BytesView message, bool is_text)>& on_message);
  /// Waits for one message.
  Bytes ReceiveOne();

 private:
  void Send(uint8_t opcode, BytesView payload);

  int descriptor_;
  uint64_t bytes_received_ = 0;
  Bytes input_;
};

/// [type][entity][row id] in front of a payload.
Bytes RowFrameHead(uint8_t type, std::string_view table, std::string_view key);

}  // namespace merrow::bench
