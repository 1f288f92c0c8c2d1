// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: one WebSocket connection on Beast's stream, which does framing, UTF-8 checks,
// pings and the closing handshake. This class adds the send queue, its limits, and the deadlines
// that Beast leaves open (a closing handshake behind a write that never ends).
//
// States: kHandshake -> kOpen -> kFlushing (Close was called, the queue drains) -> kClosing (Beast
// closes) -> kClosed. A peer that broke a rule is sent the reason by Beast, then its input is
// discarded in kLingering, because closing with unread input would reset the connection and might
// destroy the reason on its way. A lost connection goes to kClosed from anywhere.

#pragma once

#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/server_state.h"
#include "net/websocket.h"

namespace merrow::net {

/// A socket whose async_teardown (found by Beast through its argument) only closes the sending
/// side: Beast's own discards at most one read of input, and without a deadline. The session does
/// the rest.
class SessionSocket final : public TcpSocket {
 public:
  explicit SessionSocket(TcpSocket socket) : TcpSocket(std::move(socket)) {}
};

template <typename Handler>
void async_teardown(boost::beast::role_type, SessionSocket& socket, Handler&& handler) {
  error_code error;
  socket.shutdown(tcp::socket::shutdown_send, error);
  asio::post(socket.get_executor(),
             boost::beast::bind_front_handler(std::forward<Handler>(handler), error));
}

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
  WebSocketTraffic traffic() const override;

 private:
  enum class State { kHandshake, kOpen, kFlushing, kClosing, kLingering, kClosed };
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
  /// Ends the session: reports to the owner, if OnOpen was called, and closes the socket.
  void Finish(const WebSocketCloseReason& reason);
  /// Reports to the owner now, and closes the socket when the peer does, or at the deadline.
  void FinishAfterLinger(const WebSocketCloseReason& reason);
  void Report(State next, const WebSocketCloseReason& reason);
  void DiscardInput();
  void Leave();
  void StartDeadline(void (WebSocketSession::*on_passed)());
  void OnCloseDeadline() { Finish(close_reason_); }

  const std::shared_ptr<ServerState> server_;
  boost::beast::websocket::stream<SessionSocket, false> stream_;
  std::unique_ptr<WebSocketEvents> events_;
  const std::string remote_address_;
  State state_ = State::kHandshake;
  WebSocketCloseReason close_reason_;  // from kFlushing on
  EventLoop::Timer deadline_;          // from kFlushing on

  boost::beast::flat_buffer input_;
  bool wants_reading_ = true;
  bool is_reading_ = false;

  std::vector<Outgoing> queue_;  // from queue_next_ on; while is_writing_, the first is in flight
  size_t queue_next_ = 0;
  size_t buffered_bytes_ = 0;
  bool is_writing_ = false;
  bool was_above_low_ = false;

  WebSocketTraffic traffic_;
};

}  // namespace merrow::net
