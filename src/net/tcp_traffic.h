// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: the bytes that the operating system counts for a TCP connection.

#pragma once

#include <cstdint>

namespace merrow::net {

struct TcpTraffic {
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;  // handed to the network at least once
};

/// Zeros if `descriptor` is no TCP connection or the system does not count.
TcpTraffic ReadTcpTraffic(int descriptor);

}  // namespace merrow::net
