// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: one WebSocket connection on Beast's stream, which does framing, UTF-8 checks,
// pings and the closing handshake. This class adds the send queue, its limits, and the deadlines
// that Beast leaves open (a closing handshake behind a write that never ends).
//
// States: kHandshake -> kOpen -> kFlushing (Close was called, the queue drains) -> kClosing (Beast
// closes) -> kClosed. A lost connection goes to kClosed from anywhere.

#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <string>
#include <vector>

#include "net/server_state.h"
#include "net/websocket.h"

namespace merrow::net {

class WebSocketSession final : public Connection,
                               public WebSocketConnection,
                               public std::enable_shared_from_this<WebSocketSession> {
 public:
  using UpgradeRequest = boost::beast::http::request<boost::beast::http::string_body>;

  WebSocketSession(std::shared_ptr<ServerState> server, TcpSocket socket,
                   std::unique_ptr<WebSocketEvents> events, std::string remote_address);

  /// Answers the handshake. `request` is not used after the call.
  void Start(const UpgradeRequest& request);

  void BeginShutdown() override;
  void Cut(std::string_view why) override;

  void Send(std::shared_ptr<const Bytes> message, bool is_text) override;
  void Close(uint16_t code, std::string_view text) override;
  void SetReading(bool on) override;
  size_t buffered_bytes() const override { return buffered_bytes_; }
  bool open() const override { return state_ == State::kOpen; }
  const std::string& remote_address() const override { return remote_address_; }

 private:
  enum class State { kHandshake, kOpen, kFlushing, kClosing, kClosed };
  struct Outgoing {
    std::shared_ptr<const Bytes> message;
    bool is_text;
  };

  void OnHandshake(error_code error);
  void Read();
  void OnRead(error_code error);
  void OnReadFailed(error_code error);
  void WriteNext();
  void OnWritten(error_code error);
  void DropQueueBehindWrite();
  void BeginClosing(uint16_t code, std::string text);
  void CloseWhenFlushed();
  void OnLost(error_code error);
  /// Ends the session: calls OnClosed if OnOpen was called, and leaves the server.
  void Finish(WebSocketCloseReason reason);

  const std::shared_ptr<ServerState> server_;
  boost::beast::websocket::stream<TcpSocket, false> stream_;
  std::unique_ptr<WebSocketEvents> events_;
  const std::string remote_address_;
  State state_ = State::kHandshake;
  WebSocketCloseReason close_reason_;  // from kFlushing on
  EventLoop::Timer close_deadline_;    // from kFlushing on

  boost::beast::flat_buffer input_;
  bool wants_reading_ = true;
  bool is_reading_ = false;

  std::vector<Outgoing> queue_;  // from queue_next_ on; while is_writing_, the first is in flight
  size_t queue_next_ = 0;
  size_t buffered_bytes_ = 0;
  bool is_writing_ = false;
  bool was_above_low_ = false;
};

}  // namespace merrow::net
