// SPDX-License-Identifier: Apache-2.0
//
// For tests: a TCP port that passes on to another one, until it is cut (both ends see the
// connection close, new ones are refused) or frozen (connections stay open and carry nothing, new
// ones hang).

#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace merrow::net::testing {

class TestRelay {
 public:
  explicit TestRelay(uint16_t target) : target_(target), listener_(Socket()) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, generic, &size) != 0) {
      throw std::runtime_error("the relay cannot listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Loop(); });
  }
  ~TestRelay() { Cut(); }
  TestRelay(const TestRelay&) = delete;
  TestRelay& operator=(const TestRelay&) = delete;

  uint16_t port() const { return port_; }
  void Cut() {
    if (!thread_.joinable()) return;
    state_ = State::kCut;
    state_.notify_all();
    thread_.join();
    close(listener_);
    for (const Pair& pair : pairs_) Close(pair);
    pairs_.clear();
  }
  void Freeze() { state_ = State::kFrozen; }

 private:
  enum class State { kOpen, kFrozen, kCut };
  using Pair = std::pair<int, int>;
  static constexpr int kPollMs = 5;

  static int Socket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static sockaddr_in Loopback(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static void Close(const Pair& pair) {
    close(pair.first);
    close(pair.second);
  }

  void Loop() {
    while (state_ != State::kCut) {
      if (state_ == State::kFrozen) {
        state_.wait(State::kFrozen);
        continue;
      }
      std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs_) {
        polled.push_back({pair.first, POLLIN, 0});
        polled.push_back({pair.second, POLLIN, 0});
      }
      poll(polled.data(), polled.size(), kPollMs);
      std::vector<Pair> kept;
      for (size_t i = 0; i < pairs_.size(); ++i) {
        const auto& [from, to] = pairs_[i];
        const bool is_alive = (polled[1 + 2 * i].revents == 0 || Pass(from, to)) &&
                              (polled[2 + 2 * i].revents == 0 || Pass(to, from));
        if (is_alive) {
          kept.push_back(pairs_[i]);
        } else {
          Close(pairs_[i]);
        }
      }
      pairs_ = std::move(kept);
      if (polled[0].revents != 0) Accept();
    }
  }
  void Accept() {
    const int from = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int to = Socket();
    const sockaddr_in address = Loopback(target_);
    if (from >= 0 &&
        connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      pairs_.emplace_back(from, to);
    } else {
      Close({from, to});
    }
  }
  static bool Pass(int from, int to) {
    char buffer[64 << 10];
    const ssize_t count = recv(from, buffer, sizeof(buffer), 0);
    for (ssize_t sent = 0; sent < count;) {
      const ssize_t more = send(to, buffer + sent, static_cast<size_t>(count - sent), MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += more;
    }
    return count > 0;
  }

  const uint16_t target_;
  const int listener_;
  uint16_t port_ = 0;
  std::atomic<State> state_ = State::kOpen;
  std::vector<Pair> pairs_;  // the thread's
  std::thread thread_;
};

}  // namespace merrow::net::testing
