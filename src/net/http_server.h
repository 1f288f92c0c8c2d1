// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 server with WebSocket upgrades. Start here to use src/net.
//
// Requests of one connection are handled one after the other; a response may be finished later, and
// may be streamed. While a handler owes a response, nothing more is read from that connection, so a
// client cannot queue work without bound. A peer that closes its sending side after the request
// still gets the response.
//
// On a loopback address, requests whose Host or Origin is neither loopback nor listed are refused
// with 403 (host_policy.h). On other addresses this is not checked.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"
#include "net/counters.h"
#include "net/event_loop.h"
#include "net/http_message.h"
#include "net/listen_address.h"
#include "net/websocket.h"

namespace merrow::net {

struct HttpServerOptions {
  /// Request line and headers; more is answered with 431.
  size_t header_bytes_max = 16 << 10;
  /// A longer request body is answered with 413.
  size_t body_bytes_max = 16 << 20;
  /// More connections are answered with 503 and closed.
  size_t connections_max = 20'000;
  /// A response queue above this delays on_drained.
  size_t response_bytes_low = 64 << 10;
  /// Unsent bytes that the operating system may hold per connection (TCP_NOTSENT_LOWAT), so that
  /// backpressure is seen here and not after megabytes in the kernel. 0: no such limit.
  size_t kernel_unsent_bytes_max = 128 << 10;
  /// A connection without request, or a client that takes nothing of its response, is closed.
  std::chrono::milliseconds idle_timeout{60'000};
  /// For the body of one request to arrive.
  std::chrono::milliseconds body_timeout{60'000};
  /// How long to go on discarding input after a refusal, so that the client can read why.
  std::chrono::milliseconds linger_timeout{2'000};
  /// Host and Origin names that are answered besides loopback ones, without port.
  std::vector<std::string> allowed_hosts;
  WebSocketOptions websocket;
  /// Gets one line for every refused request or connection. May be empty.
  std::function<void(const std::string& line)> log;
};

/// The response to one request. Copies share it. If the last copy goes away, on any thread, before
/// the response is finished, the client gets 500, or a cut connection if the head was sent already.
/// All methods belong to the loop's thread, and do nothing once the client is gone.
class ResponseWriter {
 public:
  /// A whole response. REQUIRES: neither Send nor Start was called.
  void Send(HttpResponse response);

  /// Begins a streamed response with the head and body (if any) of `head`.
  /// REQUIRES: neither Send nor Start was called.
  void Start(HttpResponse head);
  /// `on_drained`, if given, is called exactly once and never from inside this call: with true when
  /// no more than response_bytes_low is queued, with false when the client is gone.
  /// REQUIRES: Start was called and Finish was not.
  void Write(Bytes chunk, std::function<void(bool open)> on_drained = {});
  /// Ends the streamed response.
  void Finish();
  /// Cuts a streamed response off so that the client can tell that it is not complete.
  void Abort();

  /// False once the client is gone.
  bool open() const;

  struct State;
  explicit ResponseWriter(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void Handle(HttpRequest request, ResponseWriter response) = 0;
};

struct ServerState;

class HttpServer {
 public:
  /// Listens at once; connections are served when the loop runs. `handler` and `websockets` must
  /// outlive the server. Without `websockets`, upgrades are answered with 404.
  static Result<std::unique_ptr<HttpServer>> Listen(EventLoop& loop, const ListenAddress& address,
                                                    HttpServerOptions options, HttpHandler& handler,
                                                    WebSocketHandler* websockets = nullptr);

  /// Cuts all connections that are left; their OnClosed is called from here.
  /// Call on the loop's thread, or while the loop does not run.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const { return address_.port; }
  /// With the port that was picked.
  const ListenAddress& address() const { return address_; }
  const NetCounters& counters() const;

  /// Stops listening, closes idle connections, closes WebSockets with 1001 after what is queued for
  /// them, and lets responses finish. What is still open after `deadline` is cut. Then calls
  /// `on_done` once, on the loop.
  void Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);

 private:
  HttpServer(std::shared_ptr<ServerState> state, ListenAddress address);

  const std::shared_ptr<ServerState> state_;
  const ListenAddress address_;
};

}  // namespace merrow::net
