// SPDX-License-Identifier: Apache-2.0
//
// WebSocket connections (RFC 6455) as the layers above see them.
//
// Life of a connection: Accept() makes its events object (or the caller of peer_dialer.h does),
// OnOpen() hands out the connection, then any number of OnMessage() and OnDrained(), then exactly
// one OnClosed(), after which both objects are destroyed. If the handshake fails, the events object
// is destroyed without any call. Events come on the loop's thread and never from inside a call to
// the connection, so handlers may call Send and Close from anywhere on that thread.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "net/http_message.h"

namespace merrow::net {

struct WebSocketOptions {
  /// A longer message closes the connection with 1009.
  size_t message_bytes_max = 16 << 20;
  /// A peer that reads so slowly that more than this is queued is closed with 1013.
  size_t send_buffer_bytes_max = 16 << 20;
  /// OnDrained comes when the queue falls to this after it was above.
  size_t send_buffer_bytes_low = 64 << 10;
  /// A peer from which nothing came for half of this gets a ping, and is dropped after all of it.
  std::chrono::milliseconds idle_timeout{60'000};
  /// Bounds the opening handshake, and the closing one with the writes that it waits for.
  std::chrono::milliseconds handshake_timeout{5'000};
};

/// Close codes that this layer sends or reports (RFC 6455 section 7.4.1).
inline constexpr uint16_t kCloseNormal = 1000;
inline constexpr uint16_t kCloseGoingAway = 1001;
inline constexpr uint16_t kCloseProtocolError = 1002;
inline constexpr uint16_t kCloseNoCode = 1005;    // the peer gave none; never sent
inline constexpr uint16_t kCloseAbnormal = 1006;  // no closing handshake; never sent
inline constexpr uint16_t kCloseBadText = 1007;
inline constexpr uint16_t kClosePolicy = 1008;
inline constexpr uint16_t kCloseTooBig = 1009;
inline constexpr uint16_t kCloseInternalError = 1011;
inline constexpr uint16_t kCloseTryAgainLater = 1013;

struct WebSocketCloseReason {
  uint16_t code = kCloseNormal;
  std::string text = {};  // the peer's, or why this side closed, for the log
  bool by_peer = false;   // the peer began the closing handshake
};

/// What went over one connection so far.
struct WebSocketTraffic {
  // Messages with their frame heads; without control frames.
  uint64_t messages_in = 0;
  uint64_t messages_out = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  // All that TCP carried: handshakes, TLS and control frames too, what was sent twice only once.
  // 0 where the operating system does not tell.
  uint64_t tcp_bytes_in = 0;
  uint64_t tcp_bytes_out = 0;
};

class WebSocketConnection {
 public:
  virtual ~WebSocketConnection() = default;

  /// Queues a message. The buffer is shared, not copied, and must not change. Does nothing once the
  /// connection is closing.
  virtual void Send(std::shared_ptr<const Bytes> message, bool is_text) = 0;

  /// Stops delivering messages, sends what is queued, then closes. `text` goes to the peer (cut to
  /// the 123 bytes that a close frame holds). Only the first call counts.
  virtual void Close(uint16_t code, std::string_view text) = 0;

  /// While off, no message is delivered and the peer is soon unable to send, but answers to pings
  /// are not seen either: turn it on again well within idle_timeout.
  virtual void SetReading(bool on) = 0;

  /// Bytes queued here and not yet taken by the operating system, plus
  /// kWebSocketMessageOverheadBytes for every queued message.
  virtual size_t buffered_bytes() const = 0;

  /// False once Close was called or the connection was lost.
  virtual bool open() const = 0;

  /// "127.0.0.1:51234"
  virtual const std::string& remote_address() const = 0;

  /// Costs a system call.
  virtual WebSocketTraffic traffic() const = 0;
};

inline constexpr size_t kWebSocketMessageOverheadBytes = 64;

class WebSocketEvents {
 public:
  virtual ~WebSocketEvents() = default;

  /// `connection` is valid until OnClosed returns.
  virtual void OnOpen(WebSocketConnection& connection) = 0;
  /// `message` is valid during the call. Text is well-formed UTF-8.
  virtual void OnMessage(BytesView message, bool is_text) = 0;
  virtual void OnDrained() {}
  virtual void OnClosed(const WebSocketCloseReason& reason) = 0;
};

class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;

  /// What to do with a request to upgrade: events for the new connection, or the response that
  /// refuses it.
  using Decision = std::variant<std::unique_ptr<WebSocketEvents>, HttpResponse>;
  virtual Decision Accept(const HttpRequest& request) = 0;
};

}  // namespace merrow::net
