// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: addresses of a host name. getaddrinfo blocks, for half a minute if the name
// server is gone, so each lookup has a thread of its own, which nobody waits for: a cancelled
// lookup, and a process that ends, leave it behind. Boost's resolver has one thread for all lookups
// and joins it.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merrow/result.h"
#include "net/asio.h"

namespace merrow::net {

/// One lookup. Destroying it cancels it.
class NameLookup {
 public:
  using Done = std::function<void(Result<std::vector<tcp::endpoint>> endpoints)>;

  /// `done` is called once, on the loop, never from inside the constructor. `host` may be an
  /// address. At least one endpoint, or an error.
  NameLookup(EventLoop& loop, const std::string& host, uint16_t port, Done done);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace merrow::net
