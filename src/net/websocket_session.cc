// SPDX-License-Identifier: Apache-2.0
//
// States: kHandshake -> kOpen -> kFlushing (Close was called, the queue drains) -> kClosing (Beast
// closes) -> kClosed. A peer that broke a rule is sent the reason by Beast, then its input is
// discarded in kLingering, because closing with unread input would reset the connection and might
// destroy the reason on its way. A lost connection goes to kClosed from anywhere.
#include "net/websocket_session.h"

#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <utility>
#include <vector>

#include "merrow/check.h"
#include "net/tcp_traffic.h"

namespace merrow::net {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

// A read buffer that grew beyond this is given back after the message, since most connections are
// idle most of the time.
constexpr size_t kKeptInputBytes = 4 << 10;
// Likewise the send queue.
constexpr size_t kKeptQueueEntries = 64;
// Read at a time when input is of no interest any more.
constexpr size_t kDiscardBytes = 16 << 10;
// What is sent by the side that dialled is masked in pieces of this size.
constexpr size_t kMaskBufferBytes = 64 << 10;
// A close frame holds at most this much text.
constexpr size_t kCloseTextBytesMax = 123;

size_t FrameBytes(size_t payload, bool is_masked) {
  const size_t length_bytes = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
  return 2 + length_bytes + (is_masked ? 4 : 0) + payload;
}

size_t QueueCost(const Bytes& message) { return message.size() + kWebSocketMessageOverheadBytes; }

// Cut without splitting a character.
std::string_view CutCloseText(std::string_view text) {
  if (text.size() <= kCloseTextBytesMax) {
    return text;
  }
  size_t size = kCloseTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

/// A socket whose async_teardown (found by Beast through its argument) only closes the sending side
/// of TCP: Beast's own discards at most one read of input, and without a deadline. The session does
/// the rest. TLS is not closed by a message of its own, since both sides said goodbye as
/// WebSockets.
template <typename Base>
class SessionSocket : public Base {
 public:
  explicit SessionSocket(Base socket) : Base(std::move(socket)) {}
};

template <typename Base, typename Handler>
void async_teardown(beast::role_type, SessionSocket<Base>& socket, Handler&& handler) {
  error_code error;
  LowestSocket(socket).shutdown(tcp::socket::shutdown_send, error);
  asio::post(socket.get_executor(),
             beast::bind_front_handler(std::forward<Handler>(handler), error));
}

/// `Socket` is TcpSocket or TlsStream.
template <typename Socket>
class SessionOn final : public WebSocketSession,
                        public std::enable_shared_from_this<SessionOn<Socket>> {
 public:
  SessionOn(std::shared_ptr<ConnectionSet> set, Socket socket,
            std::unique_ptr<WebSocketEvents> events, std::string remote_address);

  void Accept(const UpgradeRequest& request) override;
  void Connect(WebSocketClientHandshake handshake) override;

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
  using Self = SessionOn<Socket>;
  using std::enable_shared_from_this<Self>::shared_from_this;
  using std::enable_shared_from_this<Self>::weak_from_this;

  void SetOptions();
  void OnAccepted(error_code error);
  void OnConnected(error_code error);
  void FailToConnect(const WebSocketClientHandshake::Failure& failure);
  void Open();
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
  void StartDeadline(void (Self::*on_passed)());
  void OnCloseDeadline() { Finish(close_reason_); }
  TcpSocket& socket() { return LowestSocket(stream_.next_layer()); }

  const std::shared_ptr<ConnectionSet> set_;
  websocket::stream<SessionSocket<Socket>, false> stream_;
  const int descriptor_;
  std::unique_ptr<WebSocketEvents> events_;
  const std::string remote_address_;
  State state_ = State::kHandshake;
  WebSocketCloseReason close_reason_;  // from kFlushing on
  EventLoop::Timer deadline_;          // from kFlushing on

  // Of the side that dialled, until the connection is open.
  bool is_client_ = false;
  WebSocketClientHandshake client_handshake_;
  websocket::response_type answer_;

  beast::flat_buffer input_;
  bool wants_reading_ = true;
  bool is_reading_ = false;

  std::vector<Outgoing> queue_;  // from queue_next_ on; while is_writing_, the first is in flight
  size_t queue_next_ = 0;
  size_t buffered_bytes_ = 0;
  bool is_writing_ = false;
  bool was_above_low_ = false;

  WebSocketTraffic traffic_;
};

template <typename Socket>
SessionOn<Socket>::SessionOn(std::shared_ptr<ConnectionSet> set, Socket socket,
                             std::unique_ptr<WebSocketEvents> events, std::string remote_address)
    : set_(std::move(set)),
      stream_(SessionSocket<Socket>(std::move(socket))),
      descriptor_(this->socket().native_handle()),
      events_(std::move(events)),
      remote_address_(std::move(remote_address)) {}

// The opening handshake.

template <typename Socket>
void SessionOn<Socket>::SetOptions() {
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = set_->websocket.handshake_timeout;
  timeout.idle_timeout = set_->websocket.idle_timeout;
  timeout.keep_alive_pings = true;
  stream_.set_option(timeout);
  stream_.read_message_max(set_->websocket.message_bytes_max);
  stream_.auto_fragment(false);
}

template <typename Socket>
void SessionOn<Socket>::Accept(const UpgradeRequest& request) {
  SetOptions();
  stream_.async_accept(request,
                       [self = shared_from_this()](error_code error) { self->OnAccepted(error); });
}

template <typename Socket>
void SessionOn<Socket>::OnAccepted(error_code error) {
  if (state_ == State::kClosed) {
    return;
  }
  if (error || set_->stopping) {
    set_->Log("WebSocket handshake with " + remote_address_ +
              " failed: " + (error ? error.message() : "this side is shutting down"));
    Finish({});
    return;
  }
  Open();
}

template <typename Socket>
void SessionOn<Socket>::Connect(WebSocketClientHandshake handshake) {
  is_client_ = true;
  client_handshake_ = std::move(handshake);
  SetOptions();
  stream_.write_buffer_bytes(kMaskBufferBytes);
  stream_.set_option(websocket::stream_base::decorator(
      [authorization = client_handshake_.authorization](websocket::request_type& request) {
        if (!authorization.empty()) {
          request.set(beast::http::field::authorization, authorization);
        }
      }));
  stream_.async_handshake(
      answer_, client_handshake_.host, client_handshake_.target,
      [self = shared_from_this()](error_code error) { self->OnConnected(error); });
}

template <typename Socket>
void SessionOn<Socket>::OnConnected(error_code error) {
  if (state_ == State::kClosed) {
    return;
  }
  if (!error) {
    std::exchange(client_handshake_, {}).on_done(nullptr);
    if (state_ == State::kHandshake) {
      Open();
    }
    return;
  }
  WebSocketClientHandshake::Failure failure{.error = error};
  if (error == websocket::error::upgrade_declined) {
    failure.http_status = answer_.result_int();
    failure.answer = answer_.body();
  }
  FailToConnect(failure);
}

template <typename Socket>
void SessionOn<Socket>::FailToConnect(const WebSocketClientHandshake::Failure& failure) {
  const auto on_done = std::exchange(client_handshake_, {}).on_done;
  // The socket is closed before the caller hears of it.
  const auto self = shared_from_this();
  Finish({});
  on_done(&failure);
}

template <typename Socket>
void SessionOn<Socket>::Open() {
  answer_ = {};
  ++set_->counters.websockets_total;
  ++set_->counters.websockets_open;
  state_ = State::kOpen;
  events_->OnOpen(*this);
  Read();
}

template <typename Socket>
WebSocketTraffic SessionOn<Socket>::traffic() const {
  WebSocketTraffic traffic = traffic_;
  if (state_ != State::kClosed) {
    const TcpTraffic tcp = ReadTcpTraffic(descriptor_);
    traffic.tcp_bytes_in = tcp.bytes_in;
    traffic.tcp_bytes_out = tcp.bytes_out;
  }
  return traffic;
}

template <typename Socket>
void SessionOn<Socket>::BeginShutdown() {
  if (is_client_ && state_ == State::kHandshake) {
    Cut("shutting down");
  } else {
    Close(kCloseGoingAway, "shutting down");
  }
}

template <typename Socket>
void SessionOn<Socket>::Cut(std::string_view why) {
  if (client_handshake_.on_done) {
    FailToConnect({.error = asio::error::operation_aborted});
    return;
  }
  Finish({.code = kCloseAbnormal, .text = std::string(why)});
}

// Receiving.

template <typename Socket>
void SessionOn<Socket>::SetReading(bool on) {
  wants_reading_ = on;
  Read();
}

template <typename Socket>
void SessionOn<Socket>::Read() {
  const bool can_read = state_ == State::kOpen || state_ == State::kFlushing;
  if (is_reading_ || !wants_reading_ || !can_read) {
    return;
  }
  is_reading_ = true;
  stream_.async_read(
      input_, [self = shared_from_this()](error_code error, size_t) { self->OnRead(error); });
}

template <typename Socket>
void SessionOn<Socket>::OnRead(error_code error) {
  is_reading_ = false;
  if (state_ == State::kClosed) {
    return;
  }
  if (error) {
    OnReadFailed(error);
    return;
  }
  const size_t frame_bytes = FrameBytes(input_.size(), !is_client_);
  ++traffic_.messages_in;
  traffic_.bytes_in += frame_bytes;
  ++set_->counters.messages_in_total;
  set_->counters.bytes_in_total += frame_bytes;
  if (state_ == State::kOpen) {
    const auto data = input_.cdata();
    events_->OnMessage({static_cast<const char*>(data.data()), data.size()}, stream_.got_text());
  }
  input_.clear();
  if (input_.capacity() > kKeptInputBytes) {
    input_.shrink_to_fit();
  }
  Read();
}

template <typename Socket>
void SessionOn<Socket>::OnReadFailed(error_code error) {
  if (state_ == State::kClosing) {
    return;  // the closing handshake ends the session
  }
  if (state_ == State::kFlushing) {
    Finish(close_reason_);
    return;
  }
  if (error == websocket::error::closed) {
    const auto& reason = stream_.reason();
    Finish({.code = reason.code == websocket::close_code::none ? kCloseNoCode : reason.code,
            .text = std::string(reason.reason.data(), reason.reason.size()),
            .by_peer = true});
  } else if (error == websocket::error::message_too_big) {
    FinishAfterLinger({.code = kCloseTooBig,
                       .text = "a message exceeds " + std::to_string(stream_.read_message_max()) +
                               " bytes (message_bytes_max)"});
  } else if (error == websocket::error::bad_frame_payload) {
    FinishAfterLinger({.code = kCloseBadText, .text = error.message()});
  } else if (error == websocket::condition::protocol_violation) {
    FinishAfterLinger({.code = kCloseProtocolError, .text = error.message()});
  } else {
    OnLost(error);
  }
}

template <typename Socket>
void SessionOn<Socket>::OnLost(error_code error) {
  if (state_ == State::kFlushing) {
    Finish(close_reason_);
    return;
  }
  const std::string text = error == beast::error::timeout
                               ? "nothing came from the peer for the whole idle_timeout"
                               : error.message();
  Finish({.code = kCloseAbnormal, .text = text});
}

// Sending.

template <typename Socket>
void SessionOn<Socket>::Send(std::shared_ptr<const Bytes> message, bool is_text) {
  if (state_ != State::kOpen) {
    return;
  }
  MERROW_CHECK(set_->loop.InLoopThread());
  const WebSocketOptions& options = set_->websocket;
  const size_t cost = QueueCost(*message);
  if (cost > options.send_buffer_bytes_max - buffered_bytes_) {
    ++set_->counters.websockets_overflowed_total;
    DropQueueBehindWrite();
    BeginClosing(kCloseTryAgainLater, "the peer reads too slowly: over " +
                                          std::to_string(options.send_buffer_bytes_max) +
                                          " bytes are queued (send_buffer_bytes_max)");
    return;
  }
  buffered_bytes_ += cost;
  was_above_low_ = was_above_low_ || buffered_bytes_ > options.send_buffer_bytes_low;
  queue_.push_back({std::move(message), is_text});
  WriteNext();
}

template <typename Socket>
void SessionOn<Socket>::WriteNext() {
  if (is_writing_ || queue_next_ == queue_.size()) {
    return;
  }
  is_writing_ = true;
  const Outgoing& outgoing = queue_[queue_next_];
  stream_.text(outgoing.is_text);
  // The handler owns the message too: the queue may be gone when the operation ends.
  stream_.async_write(asio::buffer(*outgoing.message),
                      [self = shared_from_this(), message = outgoing.message](
                          error_code error, size_t) { self->OnWritten(error); });
}

template <typename Socket>
void SessionOn<Socket>::OnWritten(error_code error) {
  is_writing_ = false;
  if (state_ == State::kClosed) {
    return;
  }
  if (error) {
    // Aborted means that another operation gets the true reason, if there is one.
    if (error != asio::error::operation_aborted || !is_reading_) {
      OnLost(error);
    }
    return;
  }
  const Bytes& message = *queue_[queue_next_].message;
  const size_t frame_bytes = FrameBytes(message.size(), is_client_);
  ++traffic_.messages_out;
  traffic_.bytes_out += frame_bytes;
  ++set_->counters.messages_out_total;
  set_->counters.bytes_out_total += frame_bytes;
  buffered_bytes_ -= QueueCost(message);
  queue_[queue_next_].message.reset();
  ++queue_next_;
  if (queue_next_ == queue_.size()) {
    queue_.clear();
    queue_next_ = 0;
    if (queue_.capacity() > kKeptQueueEntries) {
      queue_.shrink_to_fit();
    }
  } else if (queue_next_ > kKeptQueueEntries && queue_next_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(queue_next_));
    queue_next_ = 0;
  }
  WriteNext();
  CloseWhenFlushed();
  if (was_above_low_ && state_ == State::kOpen &&
      buffered_bytes_ <= set_->websocket.send_buffer_bytes_low) {
    was_above_low_ = false;
    events_->OnDrained();
  }
}

template <typename Socket>
void SessionOn<Socket>::DropQueueBehindWrite() {
  const size_t kept = queue_next_ + (is_writing_ ? 1 : 0);
  while (queue_.size() > kept) {
    buffered_bytes_ -= QueueCost(*queue_.back().message);
    queue_.pop_back();
  }
}

// Closing.

template <typename Socket>
void SessionOn<Socket>::Close(uint16_t code, std::string_view text) {
  if (state_ == State::kOpen) {
    BeginClosing(code, std::string(text));
  }
}

template <typename Socket>
void SessionOn<Socket>::BeginClosing(uint16_t code, std::string text) {
  state_ = State::kFlushing;
  close_reason_ = {.code = code, .text = std::move(text)};
  StartDeadline(&Self::OnCloseDeadline);
  CloseWhenFlushed();
}

template <typename Socket>
void SessionOn<Socket>::CloseWhenFlushed() {
  if (state_ != State::kFlushing || is_writing_ || queue_next_ < queue_.size()) {
    return;
  }
  state_ = State::kClosing;
  const std::string_view text = CutCloseText(close_reason_.text);
  stream_.async_close(
      websocket::close_reason(static_cast<websocket::close_code>(close_reason_.code),
                              beast::string_view(text.data(), text.size())),
      [self = shared_from_this()](error_code) { self->Finish(self->close_reason_); });
}

template <typename Socket>
void SessionOn<Socket>::StartDeadline(void (Self::*on_passed)()) {
  deadline_ =
      set_->loop.RunAfter(set_->websocket.handshake_timeout, [weak = weak_from_this(), on_passed] {
        if (const auto self = weak.lock()) {
          (self.get()->*on_passed)();
        }
      });
}

template <typename Socket>
void SessionOn<Socket>::Finish(const WebSocketCloseReason& reason) {
  if (state_ == State::kClosed) {
    return;
  }
  const auto self = shared_from_this();
  Report(State::kClosed, reason);
  Leave();
}

template <typename Socket>
void SessionOn<Socket>::FinishAfterLinger(const WebSocketCloseReason& reason) {
  Report(State::kLingering, reason);
  StartDeadline(&Self::Leave);
  DiscardInput();
}

template <typename Socket>
void SessionOn<Socket>::Report(State next, const WebSocketCloseReason& reason) {
  const bool was_announced = state_ != State::kHandshake && state_ != State::kLingering;
  state_ = next;
  if (was_announced) {
    --set_->counters.websockets_open;
    events_->OnClosed(reason);
  }
  events_.reset();
}

template <typename Socket>
void SessionOn<Socket>::DiscardInput() {
  input_.clear();
  socket().async_read_some(input_.prepare(kDiscardBytes),
                           [self = shared_from_this()](error_code error, size_t) {
                             if (self->state_ == State::kClosed) {
                               return;
                             }
                             if (error) {
                               self->Leave();
                             } else {
                               self->DiscardInput();
                             }
                           });
}

template <typename Socket>
void SessionOn<Socket>::Leave() {
  state_ = State::kClosed;
  deadline_.Cancel();
  error_code ignored;
  socket().close(ignored);
  set_->Remove(*this);
}

}  // namespace

std::shared_ptr<WebSocketSession> MakeWebSocketSession(std::shared_ptr<ConnectionSet> set,
                                                       TcpSocket socket,
                                                       std::unique_ptr<WebSocketEvents> events,
                                                       std::string remote_address) {
  return std::make_shared<SessionOn<TcpSocket>>(std::move(set), std::move(socket),
                                                std::move(events), std::move(remote_address));
}

std::shared_ptr<WebSocketSession> MakeWebSocketSession(std::shared_ptr<ConnectionSet> set,
                                                       TlsStream stream,
                                                       std::unique_ptr<WebSocketEvents> events,
                                                       std::string remote_address) {
  return std::make_shared<SessionOn<TlsStream>>(std::move(set), std::move(stream),
                                                std::move(events), std::move(remote_address));
}

}  // namespace merrow::net
