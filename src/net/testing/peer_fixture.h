// SPDX-License-Identifier: Apache-2.0
//
// For tests: a peer listener and a dialer on one loop, and what happens on their connections.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/peer_dialer.h"
#include "net/peer_listener.h"
#include "net/testing/server_fixture.h"
#include "net/testing/test_certificates.h"

namespace merrow::net::testing {

/// Takes every peer, unless told to refuse. Echoes if told to.
class TestPeerHandler final : public WebSocketHandler {
 public:
  Decision Accept(const HttpRequest& request) override {
    last_request = request;
    if (refusal) {
      return *refusal;
    }
    records.push_back(std::make_shared<SocketRecord>());
    return std::make_unique<RecordingEvents>(records.back(), echoes);
  }

  bool echoes = false;
  std::optional<HttpResponse> refusal;
  HttpRequest last_request;
  std::vector<std::shared_ptr<SocketRecord>> records;
};

/// One attempt. All of it lives on the loop.
struct DialRecord {
  std::unique_ptr<PeerDialer::Dial> dial;
  std::shared_ptr<SocketRecord> socket = std::make_shared<SocketRecord>();
  std::optional<DialFailure> failure;
};

/// A port that takes connections, as far as the kernel does, and never says a word.
class SilentPort {
 public:
  SilentPort() : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(descriptor_, generic, size) != 0 || listen(descriptor_, 16) != 0 ||
        getsockname(descriptor_, generic, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { close(descriptor_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  uint16_t port() const { return port_; }

 private:
  const int descriptor_;
  uint16_t port_ = 0;
};

class PeerTest : public ::testing::Test {
 protected:
  using SharedDial = std::shared_ptr<DialRecord>;

  Result<std::unique_ptr<PeerListener>> TryListen(PeerListenerOptions options,
                                                  const std::string& address = "127.0.0.1:0") {
    options.log = [this](const std::string& line) { log_.push_back(line); };
    const ListenAddress parsed = Expect(ParseListenAddress(address));
    return thread_.Call(
        [&] { return PeerListener::Listen(thread_.loop(), parsed, options, handler_); });
  }
  /// Whether a listener could be there; it is not.
  bool CanListen(const PeerListenerOptions& options, const std::string& address) {
    const ListenAddress parsed = Expect(ParseListenAddress(address));
    return thread_.Call(
        [&] { return PeerListener::Listen(thread_.loop(), parsed, options, handler_).ok(); });
  }
  void Listen(PeerListenerOptions options = {}) {
    listener_ = Expect(TryListen(std::move(options)));
  }

  void Dialer(PeerDialerOptions options = {}) {
    thread_.Call([&] { dialer_ = std::make_unique<PeerDialer>(thread_.loop(), options); });
  }

  SharedDial StartDial(const std::string& url) {
    if (dialer_ == nullptr) {
      Dialer();
    }
    const PeerUrl parsed = Expect(ParsePeerUrl(url));
    auto record = std::make_shared<DialRecord>();
    thread_.Call([&] {
      record->dial =
          dialer_->Start(parsed, std::make_unique<RecordingEvents>(record->socket, false),
                         [record = record.get()](const DialFailure& failure) {
                           ASSERT_FALSE(record->failure.has_value()) << "on_failed came twice";
                           record->failure = failure;
                         });
    });
    dials_.push_back(record);
    return record;
  }
  SharedDial StartDial(const char* scheme, const char* host) {
    return StartDial(std::string(scheme) + "://" + host + ":" + std::to_string(listener_->port()));
  }

  /// A dial that must succeed; both ends are open when it returns.
  SharedDial Connect(const char* scheme = "ws", const char* host = "127.0.0.1") {
    const auto record = StartDial(scheme, host);
    EXPECT_TRUE(thread_.WaitUntil([&] { return record->socket->connection || record->failure; }));
    const auto failure = thread_.Call([&] { return record->failure; });
    if (failure) {
      throw std::runtime_error(failure->message);
    }
    EXPECT_TRUE(thread_.WaitUntil(
        [&] { return !handler_.records.empty() && handler_.records.back()->connection; }));
    return record;
  }
  /// A dial that must fail.
  DialFailure Fail(const SharedDial& record) {
    EXPECT_TRUE(thread_.WaitUntil(
        [&] { return record->failure.has_value() || record->socket->connection; }));
    return thread_.Call([&] {
      EXPECT_EQ(record->socket->connection, nullptr);
      EXPECT_TRUE(record->socket->destroyed);
      EXPECT_FALSE(record->socket->closed) << "a connection that was never open was closed";
      return record->failure.value_or(DialFailure());
    });
  }
  DialFailure Fail(const char* scheme = "ws", const char* host = "127.0.0.1") {
    return Fail(StartDial(scheme, host));
  }

  std::shared_ptr<SocketRecord> Accepted() {
    return thread_.Call([&] { return handler_.records.back(); });
  }
  void Send(const std::shared_ptr<SocketRecord>& record, Bytes message) {
    auto shared = std::make_shared<const Bytes>(std::move(message));
    thread_.Call([&] { record->connection->Send(std::move(shared), false); });
  }
  WebSocketCloseReason WaitForClose(const std::shared_ptr<SocketRecord>& record) {
    EXPECT_TRUE(thread_.WaitUntil([&] { return record->destroyed; }));
    return thread_.Call([&] { return record->closed.value_or(WebSocketCloseReason{.code = 0}); });
  }
  /// The one line that the listener logs, once it is there.
  std::string LogLine() {
    if (!thread_.WaitUntil([&] { return !log_.empty(); })) {
      throw std::runtime_error("nothing was logged");
    }
    return thread_.Call([&] { return log_.back(); });
  }

  void TearDown() override {
    thread_.Join();
    dials_.clear();
    dialer_.reset();
    listener_.reset();
  }

  TestPeerHandler handler_;
  std::vector<std::string> log_;
  LoopThread thread_;
  std::unique_ptr<PeerListener> listener_;
  std::unique_ptr<PeerDialer> dialer_;
  std::vector<SharedDial> dials_;
};

}  // namespace merrow::net::testing
