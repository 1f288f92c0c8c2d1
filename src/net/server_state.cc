// SPDX-License-Identifier: Apache-2.0
#include "net/server_state.h"

#include <utility>

#include "net/http_connection.h"

namespace merrow::net {

void ServerState::OnSocket(TcpSocket socket) {
  auto self = std::static_pointer_cast<ServerState>(shared_from_this());
  auto connection = std::make_shared<HttpConnection>(std::move(self), std::move(socket));
  Add(connection);
  connection->Start();
}

}  // namespace merrow::net
