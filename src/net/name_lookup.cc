// SPDX-License-Identifier: Apache-2.0
#include "net/name_lookup.h"

#include <netdb.h>

#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace merrow::net {

namespace {

// More addresses of one name are not tried.
constexpr size_t kEndpointsMax = 16;

Result<std::vector<tcp::endpoint>> LookUp(const std::string& host, uint16_t port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    return NotFound(gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::vector<tcp::endpoint> endpoints;
  for (const addrinfo* info = found; info != nullptr && endpoints.size() < kEndpointsMax;
       info = info->ai_next) {
    tcp::endpoint endpoint;
    if (info->ai_addrlen <= endpoint.capacity()) {
      std::memcpy(endpoint.data(), info->ai_addr, info->ai_addrlen);
      endpoint.resize(info->ai_addrlen);
      endpoints.push_back(endpoint);
    }
  }
  if (endpoints.empty()) {
    return NotFound("the name has no address");
  }
  return endpoints;
}

}  // namespace

struct NameLookup::State {
  std::mutex mutex;
  EventLoop* loop = nullptr;  // null once cancelled; guarded by mutex
  Done done;                  // the loop's thread only; empty once called or cancelled

  // Called from any thread.
  static void Deliver(const std::shared_ptr<State>& state,
                      Result<std::vector<tcp::endpoint>> endpoints) {
    const std::lock_guard lock(state->mutex);
    if (state->loop == nullptr) {
      return;
    }
    state->loop->Post([state, endpoints = std::move(endpoints)]() mutable {
      // The function may destroy the lookup.
      if (const Done done = std::exchange(state->done, nullptr)) {
        done(std::move(endpoints));
      }
    });
  }
};

NameLookup::NameLookup(EventLoop& loop, const std::string& host, uint16_t port, Done done)
    : state_(std::make_shared<State>()) {
  state_->loop = &loop;
  state_->done = std::move(done);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) {
    State::Deliver(state_, std::vector<tcp::endpoint>{{address, port}});
    return;
  }
  try {
    std::thread([state = state_, host, port] {
      State::Deliver(state, LookUp(host, port));
    }).detach();
  } catch (const std::system_error& failure) {
    State::Deliver(state_, IoError(std::string("cannot start a thread: ") + failure.what()));
  }
}

NameLookup::~NameLookup() {
  state_->done = nullptr;
  const std::lock_guard lock(state_->mutex);
  state_->loop = nullptr;
}

}  // namespace merrow::net
