// SPDX-License-Identifier: Apache-2.0
//
// Addresses to listen on, as given to `--listen HOST:PORT`. Names are not resolved: a host is an
// IPv4 address, an IPv6 address in brackets, or "localhost" (which means 127.0.0.1).

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merrow/result.h"

namespace merrow::net {

struct ListenAddress {
  std::string host = "127.0.0.1";  // numeric, IPv6 without brackets
  uint16_t port = 0;               // 0: the system picks one
  bool is_loopback = true;

  /// "HOST:PORT", IPv6 in brackets.
  std::string ToString() const;
};

/// "127.0.0.1:6377", "[::1]:0", "localhost:6377".
Result<ListenAddress> ParseListenAddress(std::string_view text);

/// True for 127.0.0.0/8 and ::1 in any textual form, without brackets; false for all else.
bool IsLoopbackAddress(std::string_view address);

}  // namespace merrow::net
