// SPDX-License-Identifier: Apache-2.0
#include "net/connection_set.h"

#include <netinet/tcp.h>

#include <boost/asio/post.hpp>
#include <utility>
#include <vector>

#include "merrow/check.h"

namespace merrow::net {

void ConnectionSet::Add(std::shared_ptr<Connection> connection) {
  Connection* key = connection.get();
  connections.emplace(key, std::move(connection));
  counters.connections_open = connections.size();
}

void ConnectionSet::Remove(Connection& connection) {
  MERROW_CHECK(connections.erase(&connection) == 1);
  counters.connections_open = connections.size();
  if (connections.empty() && on_shutdown_done) {
    shutdown_deadline.Cancel();
    loop.Post(std::exchange(on_shutdown_done, nullptr));
  }
}

void ConnectionSet::BeginShutdown(std::chrono::milliseconds deadline,
                                  std::function<void()> on_done) {
  stopping = true;
  on_shutdown_done = std::move(on_done);
  shutdown_deadline =
      loop.RunAfter(deadline, [this] { CutAll("the shutdown deadline of this side passed"); });

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

void ConnectionSet::End(std::string_view why) {
  stopping = true;
  on_shutdown_done = nullptr;
  shutdown_deadline.Cancel();
  CutAll(why);
}

void ConnectionSet::CutAll(std::string_view why) {
  while (!connections.empty()) {
    const auto connection = connections.begin()->second;
    connection->Cut(why);
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

void TuneSocket(TcpSocket& socket, size_t kernel_unsent_bytes_max) {
  using NotSentLow = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  if (kernel_unsent_bytes_max > 0) {
    socket.set_option(NotSentLow(static_cast<int>(kernel_unsent_bytes_max)), ignored);
  }
}

}  // namespace merrow::net
