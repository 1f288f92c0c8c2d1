// SPDX-License-Identifier: Apache-2.0
//
// Sync socket: one WebSocket as a session of the hub.

#pragma once

#include <memory>

#include "base/clock.h"
#include "net/websocket.h"
#include "sync/hub.h"

namespace merrow::server {

/// Events for a new connection that will speak `dialect` with `hub`. Both references must outlive
/// it.
std::unique_ptr<net::WebSocketEvents> MakeSyncSocket(sync::Hub& hub, sync::Dialect dialect,
                                                     const Clock& clock);

}  // namespace merrow::server
