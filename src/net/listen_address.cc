// SPDX-License-Identifier: Apache-2.0
#include "net/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace merrow::net {

namespace {

bool ParseIpv4(std::string_view text, in_addr& address) {
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool ParseIpv6(std::string_view text, in6_addr& address) {
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

Result<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("port '" + std::string(text) + "' is not a number from 0 to 65535");
  }
  return port;
}

}  // namespace

std::string ListenAddress::ToString() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("address '" + std::string(text) + "' is not of the form HOST:PORT");
  }
  std::string_view host = text.substr(0, colon);
  MERROW_ASSIGN(const uint16_t port, ParsePort(text.substr(colon + 1)));
  if (host == "localhost") {
    return ListenAddress{.host = "127.0.0.1", .port = port, .is_loopback = true};
  }
  in_addr ipv4;
  in6_addr ipv6;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (bracketed ? !ParseIpv6(host, ipv6) : !ParseIpv4(host, ipv4)) {
    return InvalidArgument("host of '" + std::string(text) +
                           "' is not an IPv4 address, an IPv6 address in brackets or localhost");
  }
  return ListenAddress{
      .host = std::string(host), .port = port, .is_loopback = IsLoopbackAddress(host)};
}

bool IsLoopbackAddress(std::string_view address) {
  in_addr ipv4;
  if (ParseIpv4(address, ipv4)) {
    return (ntohl(ipv4.s_addr) >> 24) == 127;
  }
  in6_addr ipv6;
  return ParseIpv6(address, ipv6) && IN6_IS_ADDR_LOOPBACK(&ipv6);
}

}  // namespace merrow::net
