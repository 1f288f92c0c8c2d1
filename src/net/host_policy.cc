// SPDX-License-Identifier: Apache-2.0
#include "net/host_policy.h"

#include <algorithm>
#include <optional>

#include "net/listen_address.h"

namespace merrow::net {

namespace {

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return lower;
}

bool IsPort(std::string_view text) {
  return text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "name:port" -> "name", "[::1]:port" -> "::1"; nothing if it has another form.
std::optional<std::string_view> StripPort(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) {
      return std::nullopt;
    }
    const std::string_view rest = host.substr(close + 1);
    if (!rest.empty() && (rest.front() != ':' || !IsPort(rest.substr(1)))) {
      return std::nullopt;
    }
    return host.substr(1, close - 1);
  }
  const size_t colon = host.find(':');
  if (colon == std::string_view::npos) {
    return host;
  }
  if (!IsPort(host.substr(colon + 1))) {
    return std::nullopt;
  }
  return host.substr(0, colon);
}

}  // namespace

HostPolicy::HostPolicy(const std::vector<std::string>& allowed_hosts) {
  for (const std::string& host : allowed_hosts) {
    allowed_hosts_.push_back(ToLower(host));
  }
}

bool HostPolicy::AllowsHost(std::string_view host) const {
  const auto name = StripPort(host);
  if (!name.has_value()) {
    return false;
  }
  const std::string lower = ToLower(*name);
  return lower == "localhost" || IsLoopbackAddress(lower) ||
         std::find(allowed_hosts_.begin(), allowed_hosts_.end(), lower) != allowed_hosts_.end();
}

bool HostPolicy::AllowsOrigin(std::string_view origin) const {
  const std::string lower = ToLower(origin);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (lower.starts_with(scheme)) {
      return AllowsHost(std::string_view(lower).substr(scheme.size()));
    }
  }
  return false;
}

}  // namespace merrow::net
