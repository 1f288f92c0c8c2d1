// SPDX-License-Identifier: Apache-2.0
//
// Which Host and Origin headers a server without authentication may answer.
//
// A page on the internet can make a browser talk to a server on loopback, either across origins or
// by letting its own name resolve to 127.0.0.1 (DNS rebinding). In both cases the browser names the
// page in Origin or Host, so a server that listens on loopback only answers when these are loopback
// too, or listed.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace merrow::net {

class HostPolicy {
 public:
  /// `allowed_hosts` are names or addresses without port, IPv6 without brackets; case is ignored.
  explicit HostPolicy(const std::vector<std::string>& allowed_hosts);

  /// `host` as in the Host header: a name or address with an optional port, IPv6 in brackets.
  bool AllowsHost(std::string_view host) const;
  /// `origin` as in the Origin header: http or https, "://", then as for AllowsHost. "null", which
  /// sandboxed pages and files send, is refused.
  bool AllowsOrigin(std::string_view origin) const;

 private:
  std::vector<std::string> allowed_hosts_;  // lower case
};

}  // namespace merrow::net
