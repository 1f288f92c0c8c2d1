// SPDX-License-Identifier: Apache-2.0
//
// Where another site is, as given to `--peer URL`: "ws://HOST:PORT" or "wss://HOST:PORT" (TLS).
// Unlike an address to listen on, HOST may be a name. A path other than "/" or "/v1/replication",
// a query and user information are refused, so that nobody writes a secret where it is logged.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "merrow/result.h"

namespace merrow::net {

/// The one path that a peer listener upgrades.
inline constexpr std::string_view kReplicationPath = "/v1/replication";

struct PeerUrl {
  bool is_tls = false;
  std::string host = {};  // a name or an address, IPv6 without brackets
  uint16_t port = 0;

  /// "host:port", IPv6 in brackets.
  std::string Authority() const;
  /// "wss://host:port"
  std::string ToString() const;

  friend bool operator==(const PeerUrl&, const PeerUrl&) = default;
};

/// The port must be given and not be 0.
Result<PeerUrl> ParsePeerUrl(std::string_view text);

}  // namespace merrow::net
