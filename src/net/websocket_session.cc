// SPDX-License-Identifier: Apache-2.0
#include "net/websocket_session.h"

#include <boost/beast/core/error.hpp>
#include <utility>

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

}  // namespace

WebSocketSession::WebSocketSession(std::shared_ptr<ServerState> server, TcpSocket socket,
                                   std::unique_ptr<WebSocketEvents> events,
                                   std::string remote_address)
    : server_(std::move(server)),
      stream_(SessionSocket(std::move(socket))),
      events_(std::move(events)),
      remote_address_(std::move(remote_address)) {}

void WebSocketSession::Start(const UpgradeRequest& request) {
  const WebSocketOptions& options = server_->options.websocket;
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = options.handshake_timeout;
  timeout.idle_timeout = options.idle_timeout;
  timeout.keep_alive_pings = true;
  stream_.set_option(timeout);
  stream_.read_message_max(options.message_bytes_max);
  stream_.auto_fragment(false);
  stream_.async_accept(request,
                       [self = shared_from_this()](error_code error) { self->OnHandshake(error); });
}

void WebSocketSession::OnHandshake(error_code error) {
  if (state_ == State::kClosed) {
    return;
  }
  if (error || server_->stopping) {
    server_->Log("WebSocket handshake with " + remote_address_ +
                 " failed: " + (error ? error.message() : "the server is shutting down"));
    Finish({});
    return;
  }
  ++server_->counters.websockets_total;
  ++server_->counters.websockets_open;
  state_ = State::kOpen;
  events_->OnOpen(*this);
  Read();
}

WebSocketTraffic WebSocketSession::traffic() const {
  WebSocketTraffic traffic = traffic_;
  const TcpTraffic tcp =
      ReadTcpTraffic(const_cast<SessionSocket&>(stream_.next_layer()).native_handle());
  traffic.tcp_bytes_in = tcp.bytes_in;
  traffic.tcp_bytes_out = tcp.bytes_out;
  return traffic;
}

void WebSocketSession::BeginShutdown() { Close(kCloseGoingAway, "the server is shutting down"); }

void WebSocketSession::Cut(std::string_view why) {
  Finish({.code = kCloseAbnormal, .text = std::string(why)});
}

// Receiving.

void WebSocketSession::SetReading(bool on) {
  wants_reading_ = on;
  Read();
}

void WebSocketSession::Read() {
  const bool can_read = state_ == State::kOpen || state_ == State::kFlushing;
  if (is_reading_ || !wants_reading_ || !can_read) {
    return;
  }
  is_reading_ = true;
  stream_.async_read(
      input_, [self = shared_from_this()](error_code error, size_t) { self->OnRead(error); });
}

void WebSocketSession::OnRead(error_code error) {
  is_reading_ = false;
  if (state_ == State::kClosed) {
    return;
  }
  if (error) {
    OnReadFailed(error);
    return;
  }
  const size_t frame_bytes = FrameBytes(input_.size(), true);
  ++traffic_.messages_in;
  traffic_.bytes_in += frame_bytes;
  ++server_->counters.messages_in_total;
  server_->counters.bytes_in_total += frame_bytes;
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

void WebSocketSession::OnReadFailed(error_code error) {
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

void WebSocketSession::OnLost(error_code error) {
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

void WebSocketSession::Send(std::shared_ptr<const Bytes> message, bool is_text) {
  if (state_ != State::kOpen) {
    return;
  }
  MERROW_CHECK(server_->loop.InLoopThread());
  const WebSocketOptions& options = server_->options.websocket;
  const size_t cost = QueueCost(*message);
  if (cost > options.send_buffer_bytes_max - buffered_bytes_) {
    ++server_->counters.websockets_overflowed_total;
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

void WebSocketSession::WriteNext() {
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

void WebSocketSession::OnWritten(error_code error) {
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
  const size_t frame_bytes = FrameBytes(message.size(), false);
  ++traffic_.messages_out;
  traffic_.bytes_out += frame_bytes;
  ++server_->counters.messages_out_total;
  server_->counters.bytes_out_total += frame_bytes;
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
      buffered_bytes_ <= server_->options.websocket.send_buffer_bytes_low) {
    was_above_low_ = false;
    events_->OnDrained();
  }
}

void WebSocketSession::DropQueueBehindWrite() {
  const size_t kept = queue_next_ + (is_writing_ ? 1 : 0);
  while (queue_.size() > kept) {
    buffered_bytes_ -= QueueCost(*queue_.back().message);
    queue_.pop_back();
  }
}

// Closing.

void WebSocketSession::Close(uint16_t code, std::string_view text) {
  if (state_ == State::kOpen) {
    BeginClosing(code, std::string(text));
  }
}

void WebSocketSession::BeginClosing(uint16_t code, std::string text) {
  state_ = State::kFlushing;
  close_reason_ = {.code = code, .text = std::move(text)};
  StartDeadline(&WebSocketSession::OnCloseDeadline);
  CloseWhenFlushed();
}

void WebSocketSession::CloseWhenFlushed() {
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

void WebSocketSession::StartDeadline(void (WebSocketSession::*on_passed)()) {
  deadline_ = server_->loop.RunAfter(server_->options.websocket.handshake_timeout,
                                     [weak = weak_from_this(), on_passed] {
                                       if (const auto self = weak.lock()) {
                                         (self.get()->*on_passed)();
                                       }
                                     });
}

void WebSocketSession::Finish(const WebSocketCloseReason& reason) {
  if (state_ == State::kClosed) {
    return;
  }
  const auto self = shared_from_this();
  Report(State::kClosed, reason);
  Leave();
}

void WebSocketSession::FinishAfterLinger(const WebSocketCloseReason& reason) {
  Report(State::kLingering, reason);
  StartDeadline(&WebSocketSession::Leave);
  DiscardInput();
}

void WebSocketSession::Report(State next, const WebSocketCloseReason& reason) {
  const bool was_announced = state_ != State::kHandshake && state_ != State::kLingering;
  state_ = next;
  if (was_announced) {
    --server_->counters.websockets_open;
    events_->OnClosed(reason);
  }
  events_.reset();
}

void WebSocketSession::DiscardInput() {
  input_.clear();
  stream_.next_layer().async_read_some(input_.prepare(kDiscardBytes),
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

void WebSocketSession::Leave() {
  state_ = State::kClosed;
  deadline_.Cancel();
  error_code ignored;
  stream_.next_layer().close(ignored);
  server_->Remove(*this);
}

}  // namespace merrow::net
