// SPDX-License-Identifier: Apache-2.0
//
// What the network layer counts. Plain numbers, read and written on the loop's thread only.

#pragma once

#include <cstdint>

namespace merrow::net {

struct NetCounters {
  // Now.
  uint64_t connections_open = 0;  // WebSockets included
  uint64_t websockets_open = 0;

  // Since the start.
  uint64_t connections_total = 0;
  uint64_t connections_refused_total = 0;  // over connections_max
  uint64_t requests_total = 0;             // complete requests, upgrades included
  uint64_t requests_refused_total = 0;     // malformed, over a limit, or of a forbidden Host/Origin
  uint64_t websockets_total = 0;
  uint64_t websockets_overflowed_total = 0;  // closed for send_buffer_bytes_max
  uint64_t messages_in_total = 0;
  uint64_t messages_out_total = 0;
  // HTTP and WebSocket frames with their heads; without control frames and what is below TCP.
  uint64_t bytes_in_total = 0;
  uint64_t bytes_out_total = 0;
};

}  // namespace merrow::net
