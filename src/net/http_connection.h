// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: one HTTP/1.1 connection, until it closes or becomes a WebSocket.
//
//             +--------------------------- keep-alive ------------------------------+
//             v                                                                     |
//   ReadHead --> OnHead --> ReadBody --> OnBody: handler at work --> output drains --+--> Linger
//                  |  upgrade                                                            (close)
//                  +--> WebSocketSession takes the socket over
//
// Output is a queue of byte strings, written in batches with one system call each.

#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "net/server_state.h"

namespace merrow::net {

class HttpConnection final : public Connection,
                             public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<ServerState> server, TcpSocket socket);

  void Start();
  void BeginShutdown() override;
  void Cut(std::string_view why) override;

  // For ResponseWriter. `id` names the response; a stale one is ignored.
  bool Owes(uint64_t id) const { return open_ && phase_ != Phase::kIdle && response_id_ == id; }
  void SendWhole(HttpResponse response);
  void StartStream(HttpResponse head);
  void WriteChunk(Bytes chunk, std::function<void(bool)> on_drained);
  void FinishStream();
  void AbandonResponse();

 private:
  enum class Phase {
    kIdle,       // reading a request, or lingering
    kOwed,       // the handler has the request, no head was sent
    kStreaming,  // Start was called
    kFinished,   // all of the response is in output_
  };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void ReadHead();
  void OnHead(error_code error, size_t bytes);
  void ReadBody();
  void OnBody(error_code error, size_t bytes);
  void OnReadFailed(error_code error);
  Result<HttpRequest> TakeRequest();
  std::optional<HttpResponse> CheckHostAndOrigin();
  void Upgrade(HttpRequest request);
  /// Answers without a handler, then closes, since the rest of the input cannot be trusted.
  void Refuse(HttpResponse response);
  std::string Describe() const;

  void AppendHead(HttpResponse& response, const NameValue& framing);
  void Append(Bytes bytes);
  void Flush();
  void OnWritten(error_code error, size_t bytes);
  void NotifyDrained(bool open);
  void OnResponseWritten();
  void Linger();
  void Close();

  const std::shared_ptr<ServerState> server_;
  boost::beast::basic_stream<tcp, Executor> stream_;
  const std::string remote_address_;
  bool open_ = true;

  // The request being read.
  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;

  // The response being written.
  Phase phase_ = Phase::kIdle;
  uint64_t response_id_ = 0;
  bool keep_alive_ = false;
  bool is_head_request_ = false;
  bool is_http_1_0_ = false;
  // From output_next_ on; the first of them from output_offset_ on. A write in progress points into
  // the pieces, short ones included, so they stay where they are when the vector grows.
  std::vector<std::unique_ptr<const Bytes>> output_;
  size_t output_next_ = 0;
  size_t output_offset_ = 0;
  size_t output_bytes_ = 0;
  bool is_writing_ = false;
  std::vector<std::function<void(bool)>> on_drained_;
};

/// The writer for response `id` of `connection` (http_server.cc).
ResponseWriter MakeResponseWriter(EventLoop& loop, std::weak_ptr<HttpConnection> connection,
                                  uint64_t id);

}  // namespace merrow::net
