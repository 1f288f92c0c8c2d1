// SPDX-License-Identifier: Apache-2.0
//
// linux/tcp.h has the counters; netinet/tcp.h, which the rest of this layer uses, does not and
// cannot be included together with it.
#include "net/tcp_traffic.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>

namespace merrow::net {

TcpTraffic ReadTcpTraffic(int descriptor) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_retrans) + sizeof(info.tcpi_bytes_retrans)) {
    return {};  // closed, or a kernel before 4.19
  }
  return {.bytes_in = info.tcpi_bytes_received,
          .bytes_out = info.tcpi_bytes_sent - info.tcpi_bytes_retrans};
}

}  // namespace merrow::net
