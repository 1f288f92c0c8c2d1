// SPDX-License-Identifier: Apache-2.0
#include "net/server_state.h"

#include <netinet/tcp.h>

#include <boost/asio/socket_base.hpp>
#include <utility>
#include <vector>

#include "net/http_connection.h"

namespace merrow::net {

namespace {

// How long to wait when the process has no descriptors left before accepting again.
constexpr std::chrono::milliseconds kAcceptRetryDelay{100};

constexpr std::string_view kBusyResponse =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

// Options are a matter of speed and memory; a socket that refuses one still works.
void TuneSocket(TcpSocket& socket, size_t kernel_unsent_bytes_max) {
  using NotSentLow = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  if (kernel_unsent_bytes_max > 0) {
    socket.set_option(NotSentLow(static_cast<int>(kernel_unsent_bytes_max)), ignored);
  }
}

}  // namespace

Status ServerState::StartListening(const ListenAddress& address) {
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
  checks_host = address.is_loopback;
  AcceptNext();
  return {};
}

void ServerState::AcceptNext() {
  acceptor.async_accept([self = shared_from_this()](error_code error, TcpSocket socket) {
    self->OnAccept(error, std::move(socket));
  });
}

void ServerState::OnAccept(error_code error, TcpSocket socket) {
  if (!acceptor.is_open()) {
    return;
  }
  if (error) {
    Log("cannot accept: " + error.message());
    accept_retry = loop.RunAfter(kAcceptRetryDelay, [this] { AcceptNext(); });
    return;
  }
  ++counters.connections_total;
  if (connections.size() >= options.connections_max) {
    ++counters.connections_refused_total;
    Log("refused a connection: all " + std::to_string(options.connections_max) +
        " of connections_max are open");
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kBusyResponse.data(), kBusyResponse.size()), ignored);
  } else {
    TuneSocket(socket, options.kernel_unsent_bytes_max);
    auto connection = std::make_shared<HttpConnection>(shared_from_this(), std::move(socket));
    Add(connection);
    connection->Start();
  }
  AcceptNext();
}

void ServerState::BeginShutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  stopping = true;
  on_shutdown_done = std::move(on_done);
  accept_retry.Cancel();
  error_code ignored;
  acceptor.close(ignored);
  shutdown_deadline =
      loop.RunAfter(deadline, [this] { CutAll("the server's shutdown deadline passed"); });

  // Connections that close at once leave the map while this goes on.
  std::vector<std::shared_ptr<Connection>> open;
  for (const auto& [key, connection] : connections) {
    open.push_back(connection);
  }
  for (const auto& connection : open) {
    connection->BeginShutdown();
  }
  if (open.empty()) {
    shutdown_deadline.Cancel();
    loop.Post(std::exchange(on_shutdown_done, nullptr));
  }
}

void ServerState::CutAll(std::string_view why) {
  while (!connections.empty()) {
    const auto connection = connections.begin()->second;
    connection->Cut(why);
  }
}

void ServerState::Add(std::shared_ptr<Connection> connection) {
  Connection* key = connection.get();
  connections.emplace(key, std::move(connection));
  counters.connections_open = connections.size();
}

void ServerState::Remove(Connection& connection) {
  MERROW_CHECK(connections.erase(&connection) == 1);
  counters.connections_open = connections.size();
  if (connections.empty() && on_shutdown_done) {
    shutdown_deadline.Cancel();
    loop.Post(std::exchange(on_shutdown_done, nullptr));
  }
}

std::string RemoteAddress(const TcpSocket& socket) {
  error_code error;
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  if (error) {
    return "";
  }
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

}  // namespace merrow::net
