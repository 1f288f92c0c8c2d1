// SPDX-License-Identifier: Apache-2.0
#include "net/http_connection.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <charconv>
#include <utility>

#include "merrow/check.h"
#include "net/websocket_session.h"

namespace merrow::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

// Pieces of output handed to the operating system in one call.
constexpr size_t kWriteBatch = 16;
// Input is read in pieces of at most this, or of header_bytes_max if that is more.
constexpr size_t kReadBytes = 64 << 10;

std::string ToString(beast::string_view text) { return {text.data(), text.size()}; }
std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

bool StatusHasBody(int status) { return status >= 200 && status != 204 && status != 304; }

// What to answer to input that the parser gave up on; nothing if there is nobody to answer.
std::optional<HttpResponse> RefusalFor(error_code error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return HttpResponse::Text(431, "the request's headers exceed header_bytes_max\n");
  }
  if (error == http::error::body_limit) {
    return HttpResponse::Text(413, "the request's body exceeds body_bytes_max\n");
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    return HttpResponse::Text(400, "malformed request: " + error.message() + "\n");
  }
  return std::nullopt;  // the socket failed or timed out
}

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<ServerState> server, TcpSocket socket)
    : server_(std::move(server)),
      stream_(std::move(socket)),
      remote_address_(RemoteAddress(stream_.socket())),
      input_(std::max(kReadBytes, server_->options.header_bytes_max)) {}

void HttpConnection::Start() { ReadHead(); }

void HttpConnection::BeginShutdown() {
  keep_alive_ = false;
  if (phase_ == Phase::kIdle) {
    Close();
  }
}

void HttpConnection::Cut(std::string_view) { Close(); }

// Reading a request.

void HttpConnection::ReadHead() {
  input_.shrink_to_fit();
  parser_.emplace();
  is_head_request_ = false;
  is_http_1_0_ = false;
  parser_->header_limit(static_cast<uint32_t>(server_->options.header_bytes_max));
  parser_->body_limit(server_->options.body_bytes_max);
  stream_.expires_after(server_->options.idle_timeout);
  http::async_read_header(
      stream_, input_, *parser_,
      [self = shared_from_this()](error_code error, size_t bytes) { self->OnHead(error, bytes); });
}

void HttpConnection::OnHead(error_code error, size_t bytes) {
  server_->counters.bytes_in_total += bytes;
  if (!open_) {
    return;
  }
  if (error) {
    OnReadFailed(error);
    return;
  }
  const auto& message = parser_->get();
  keep_alive_ = message.keep_alive() && !server_->stopping;
  is_head_request_ = message.method() == http::verb::head;
  is_http_1_0_ = message.version() == 10;
  if (auto refusal = CheckHostAndOrigin()) {
    Refuse(std::move(*refusal));
    return;
  }
  if (beast::websocket::is_upgrade(message)) {
    auto request = TakeRequest();
    if (request.ok()) {
      Upgrade(*std::move(request));
    } else {
      Refuse(HttpResponse::Text(400, request.error().message() + "\n"));
    }
    return;
  }
  if (beast::iequals(message[http::field::expect], "100-continue") && !parser_->is_done()) {
    Append("HTTP/1.1 100 Continue\r\n\r\n");
    Flush();
  }
  ReadBody();
}

std::optional<HttpResponse> HttpConnection::CheckHostAndOrigin() {
  const auto& message = parser_->get();
  const size_t host_count = message.count(http::field::host);
  if (host_count > 1 || (host_count == 0 && !is_http_1_0_)) {
    return HttpResponse::Text(400, "a request needs exactly one Host header\n");
  }
  if (!server_->checks_host) {
    return std::nullopt;
  }
  const std::string_view host = View(message[http::field::host]);
  if (!server_->host_policy.AllowsHost(host)) {
    return HttpResponse::Text(403, "host '" + std::string(host) + "' is not allowed here\n");
  }
  const auto [begin, end] = message.equal_range(http::field::origin);
  for (auto origin = begin; origin != end; ++origin) {
    if (!server_->host_policy.AllowsOrigin(View(origin->value()))) {
      return HttpResponse::Text(403,
                                "origin '" + ToString(origin->value()) + "' is not allowed here\n");
    }
  }
  return std::nullopt;
}

void HttpConnection::ReadBody() {
  if (parser_->is_done()) {
    OnBody({}, 0);
    return;
  }
  stream_.expires_after(server_->options.body_timeout);
  http::async_read(
      stream_, input_, *parser_,
      [self = shared_from_this()](error_code error, size_t bytes) { self->OnBody(error, bytes); });
}

void HttpConnection::OnBody(error_code error, size_t bytes) {
  server_->counters.bytes_in_total += bytes;
  if (!open_) {
    return;
  }
  if (error) {
    OnReadFailed(error);
    return;
  }
  auto request = TakeRequest();
  if (!request.ok()) {
    Refuse(HttpResponse::Text(400, request.error().message() + "\n"));
    return;
  }
  ++server_->counters.requests_total;
  phase_ = Phase::kOwed;
  ++response_id_;
  server_->handler.Handle(*std::move(request),
                          MakeResponseWriter(server_->loop, weak_from_this(), response_id_));
}

void HttpConnection::OnReadFailed(error_code error) {
  if (auto refusal = RefusalFor(error)) {
    Refuse(std::move(*refusal));
  } else {
    Close();
  }
}

Result<HttpRequest> HttpConnection::TakeRequest() {
  auto& message = parser_->get();
  HttpRequest request;
  request.method = ToString(message.method_string());
  request.target = ToString(message.target());
  request.remote_address = remote_address_;
  MERROW_ASSIGN(HttpTarget target, ParseTarget(request.target));
  request.segments = std::move(target.segments);
  request.query = std::move(target.query);
  for (const auto& field : message) {
    request.headers.push_back({ToString(field.name_string()), ToString(field.value())});
  }
  request.body = std::move(message.body());
  return request;
}

void HttpConnection::Upgrade(HttpRequest request) {
  if (server_->websockets == nullptr) {
    Refuse(HttpResponse::Text(404, "there is no WebSocket at '" + request.target + "'\n"));
    return;
  }
  if (input_.size() > 0) {
    Refuse(HttpResponse::Text(400, "bytes follow the upgrade request before its answer\n"));
    return;
  }
  auto decision = server_->websockets->Accept(request);
  if (auto* refusal = std::get_if<HttpResponse>(&decision)) {
    Refuse(std::move(*refusal));
    return;
  }
  ++server_->counters.requests_total;
  auto session = MakeWebSocketSession(server_, stream_.release_socket(),
                                      std::get<0>(std::move(decision)), remote_address_);
  server_->Add(session);
  open_ = false;
  server_->Remove(*this);
  session->Accept(parser_->get());
}

void HttpConnection::Refuse(HttpResponse response) {
  ++server_->counters.requests_refused_total;
  server_->Log("refused " + Describe() + " with " + std::to_string(response.status) + ": " +
               response.body.substr(0, response.body.find('\n')));
  keep_alive_ = false;
  phase_ = Phase::kOwed;
  ++response_id_;
  SendWhole(std::move(response));
}

std::string HttpConnection::Describe() const {
  if (!parser_->is_header_done()) {
    return "a request from " + remote_address_;
  }
  const auto& message = parser_->get();
  return ToString(message.method_string()) + " " + ToString(message.target()) + " from " +
         remote_address_;
}

// Writing a response.

void HttpConnection::SendWhole(HttpResponse response) {
  MERROW_CHECK(phase_ == Phase::kOwed);
  phase_ = Phase::kFinished;
  AppendHead(response, {"Content-Length", std::to_string(response.body.size())});
  if (!is_head_request_ && StatusHasBody(response.status)) {
    Append(std::move(response.body));
  }
  Flush();
}

void HttpConnection::StartStream(HttpResponse head) {
  MERROW_CHECK(phase_ == Phase::kOwed);
  phase_ = Phase::kStreaming;
  if (is_http_1_0_) {
    keep_alive_ = false;  // the end of the connection is the end of the body
    AppendHead(head, {});
  } else {
    AppendHead(head, {"Transfer-Encoding", "chunked"});
  }
  WriteChunk(std::move(head.body), nullptr);
  Flush();
}

void HttpConnection::AppendHead(HttpResponse& response, const NameValue& framing) {
  if (!framing.name.empty() && StatusHasBody(response.status)) {
    response.headers.push_back(framing);
  }
  if (!keep_alive_) {
    response.headers.push_back({"Connection", "close"});
  } else if (is_http_1_0_) {
    response.headers.push_back({"Connection", "keep-alive"});
  }
  Append(FormatResponseHead(response.status, response.headers));
}

void HttpConnection::WriteChunk(Bytes chunk, std::function<void(bool)> on_drained) {
  MERROW_CHECK(phase_ == Phase::kStreaming);
  if (!is_head_request_ && !chunk.empty()) {
    if (is_http_1_0_) {
      Append(std::move(chunk));
    } else {
      std::array<char, 18> size;
      const auto end = std::to_chars(size.data(), size.data() + 16, chunk.size(), 16).ptr;
      Append(Bytes(size.data(), end) + "\r\n");
      Append(std::move(chunk));
      Append("\r\n");
    }
    Flush();
  }
  if (on_drained) {
    on_drained_.push_back(std::move(on_drained));
    if (!is_writing_) {
      server_->loop.Post([self = shared_from_this()] { self->NotifyDrained(self->open_); });
    }
  }
}

void HttpConnection::FinishStream() {
  MERROW_CHECK(phase_ == Phase::kStreaming);
  phase_ = Phase::kFinished;
  if (!is_head_request_ && !is_http_1_0_) {
    Append("0\r\n\r\n");
  }
  if (is_writing_ || output_bytes_ > 0) {
    Flush();
  } else {
    OnResponseWritten();
  }
}

void HttpConnection::AbandonResponse() {
  if (phase_ == Phase::kOwed) {
    SendWhole(HttpResponse::Text(500, "the request was dropped\n"));
    return;
  }
  // A reset, so that a client that waits for the end of the connection sees that this is not it.
  error_code ignored;
  stream_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
  Close();
}

void HttpConnection::Append(Bytes bytes) {
  if (!bytes.empty()) {
    output_bytes_ += bytes.size();
    output_.push_back(std::make_unique<const Bytes>(std::move(bytes)));
  }
}

void HttpConnection::Flush() {
  if (is_writing_ || output_bytes_ == 0) {
    return;
  }
  is_writing_ = true;
  std::array<asio::const_buffer, kWriteBatch> batch;
  const size_t count = std::min(batch.size(), output_.size() - output_next_);
  for (size_t i = 0; i < count; ++i) {
    batch[i] = asio::buffer(*output_[output_next_ + i]);
  }
  batch[0] += output_offset_;
  stream_.expires_after(server_->options.idle_timeout);
  stream_.async_write_some(batch, [self = shared_from_this()](error_code error, size_t bytes) {
    self->OnWritten(error, bytes);
  });
}

void HttpConnection::OnWritten(error_code error, size_t bytes) {
  is_writing_ = false;
  server_->counters.bytes_out_total += bytes;
  if (!open_) {
    return;
  }
  if (error) {
    Close();
    return;
  }
  output_bytes_ -= bytes;
  output_offset_ += bytes;
  while (output_next_ < output_.size() && output_offset_ >= output_[output_next_]->size()) {
    output_offset_ -= output_[output_next_]->size();
    output_[output_next_].reset();
    ++output_next_;
  }
  if (output_next_ == output_.size()) {
    output_.clear();
    output_next_ = 0;
  } else if (output_next_ > kWriteBatch && output_next_ > output_.size() / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<ptrdiff_t>(output_next_));
    output_next_ = 0;
  }
  if (output_bytes_ <= server_->options.response_bytes_low) {
    NotifyDrained(true);
    if (!open_) {
      return;
    }
  }
  if (output_bytes_ > 0) {
    Flush();
  } else if (phase_ == Phase::kFinished && !is_writing_) {
    OnResponseWritten();
  }
}

void HttpConnection::NotifyDrained(bool open) {
  for (auto& on_drained : std::exchange(on_drained_, {})) {
    on_drained(open);
  }
}

void HttpConnection::OnResponseWritten() {
  phase_ = Phase::kIdle;
  if (keep_alive_) {
    ReadHead();
  } else {
    Linger();
  }
}

// Closing with input unread would make the operating system reset the connection, and the peer
// might lose the response to that.
void HttpConnection::Linger() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(server_->options.linger_timeout);
  const auto discard = [](auto self, const auto& again) -> void {
    self->input_.clear();
    auto& stream = self->stream_;
    stream.async_read_some(self->input_.prepare(kReadBytes),
                           [self, again](error_code error, size_t) {
                             if (!self->open_) {
                               return;
                             }
                             if (error) {
                               self->Close();
                             } else {
                               again(self, again);
                             }
                           });
  };
  discard(shared_from_this(), discard);
}

void HttpConnection::Close() {
  if (!open_) {
    return;
  }
  open_ = false;
  stream_.close();
  for (auto& on_drained : std::exchange(on_drained_, {})) {
    server_->loop.Post([on_drained = std::move(on_drained)] { on_drained(false); });
  }
  server_->Remove(*this);
}

}  // namespace merrow::net
