// SPDX-License-Identifier: Apache-2.0
#include "net/peer_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace merrow::net {

namespace {

constexpr size_t kHostBytesMax = 253;  // of a DNS name

bool IsHostName(std::string_view host) {
  return !host.empty() && host.size() <= kHostBytesMax &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

bool IsIpv6(std::string_view host) {
  in6_addr address;
  return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}

// "HOST" or "[IPv6]" without its brackets; empty if it is neither.
std::string_view ParseHost(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    return IsIpv6(text) ? text : std::string_view();
  }
  return IsHostName(text) ? text : std::string_view();
}

bool ConsumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string PeerUrl::Authority() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string PeerUrl::ToString() const { return (is_tls ? "wss://" : "ws://") + Authority(); }

Result<PeerUrl> ParsePeerUrl(std::string_view text) {
  const auto refuse = [&](const char* why) {
    return InvalidArgument("peer '" + std::string(text) + "' " + why);
  };
  std::string_view rest = text;
  PeerUrl url;
  if (ConsumePrefix(rest, "wss://")) {
    url.is_tls = true;
  } else if (!ConsumePrefix(rest, "ws://")) {
    return refuse("does not begin with ws:// or wss://");
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view path = rest.substr(slash);
  rest = rest.substr(0, slash);
  if (!path.empty() && path != "/" && path != kReplicationPath) {
    return refuse("has a path; only ws://HOST:PORT and wss://HOST:PORT are peers");
  }
  // Not repeated in the message: it may be a password.
  if (rest.find('@') != std::string_view::npos) {
    return InvalidArgument("a peer URL has user information; use a token file instead");
  }
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) {
    return refuse("has no port");
  }
  url.host = ParseHost(rest.substr(0, colon));
  if (url.host.empty()) {
    return refuse("has no valid host: a name, an IPv4 address or an IPv6 address in brackets");
  }
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size() || url.port == 0) {
    return refuse("has a port that is not a number from 1 to 65535");
  }
  return url;
}

}  // namespace merrow::net
