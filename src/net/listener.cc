// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace merrow::net {

namespace {

// How long to wait when the process has no descriptors left before accepting again.
constexpr std::chrono::milliseconds kAcceptRetryDelay{100};

constexpr std::string_view kBusyResponse =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

}  // namespace

Result<ListenAddress> Listener::StartListening(const ListenAddress& address) {
  error_code error;
  const auto failed = [&](const char* what) {
    return IoError(std::string("cannot ") + what + " " + address.ToString() + ": " +
                   error.message());
  };
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) {
    return failed("parse");
  }
  const tcp::endpoint endpoint(ip, address.port);
  acceptor.open(endpoint.protocol(), error);
  if (error) {
    return failed("open a socket for");
  }
  acceptor.set_option(asio::socket_base::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (error) {
    return failed("bind");
  }
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return failed("listen on");
  }
  ListenAddress bound = address;
  bound.port = acceptor.local_endpoint(error).port();
  if (error) {
    return failed("tell the port of");
  }
  AcceptNext();
  return bound;
}

void Listener::AcceptNext() {
  acceptor.async_accept([self = shared_from_this(), this](error_code error, TcpSocket socket) {
    OnAccept(error, std::move(socket));
  });
}

void Listener::OnAccept(error_code error, TcpSocket socket) {
  if (!acceptor.is_open()) {
    return;
  }
  if (error) {
    Log("cannot accept: " + error.message());
    accept_retry = loop.RunAfter(kAcceptRetryDelay, [this] { AcceptNext(); });
    return;
  }
  ++counters.connections_total;
  if (connections.size() >= listener_options.connections_max && !MakeRoom()) {
    ++counters.connections_refused_total;
    Log("refused a connection: all " + std::to_string(listener_options.connections_max) +
        " of connections_max are open");
    if (listener_options.answers_when_busy) {
      error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(kBusyResponse.data(), kBusyResponse.size()), ignored);
    }
  } else {
    TuneSocket(socket, listener_options.kernel_unsent_bytes_max);
    OnSocket(std::move(socket));
  }
  AcceptNext();
}

void Listener::StopAccepting() {
  accept_retry.Cancel();
  error_code ignored;
  acceptor.close(ignored);
}

void Listener::BeginShutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  StopAccepting();
  ConnectionSet::BeginShutdown(deadline, std::move(on_done));
}

void Listener::End(std::string_view why) {
  StopAccepting();
  ConnectionSet::End(why);
}

}  // namespace merrow::net
