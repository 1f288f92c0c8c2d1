// SPDX-License-Identifier: Apache-2.0
//
// For tests: a server on an ephemeral loopback port, with its loop on a thread of its own, and ways
// to wait for what happens there. Nothing sleeps: a wait ends when its condition holds, or fails.

#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "net/http_server.h"
#include "net/testing/test_client.h"

namespace merrow::net::testing {

inline constexpr std::chrono::seconds kWaitLimit{20};

/// `result`'s value. An error ends the test, as an exception that GoogleTest catches and reports.
template <typename T>
T Expect(Result<T> result) {
  if (!result.ok()) {
    throw std::runtime_error(result.error().ToString());
  }
  return *std::move(result);
}
inline void Expect(const Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.error().ToString());
  }
}

/// A loop on a thread of its own.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.Run(); }) {}
  ~LoopThread() { Join(); }

  EventLoop& loop() { return loop_; }

  /// Runs `fn` on the loop and returns what it returns.
  template <typename Fn>
  auto Call(Fn fn) -> decltype(fn()) {
    std::packaged_task<decltype(fn())()> task(std::move(fn));
    auto result = task.get_future();
    loop_.Post([&task] { task(); });
    return result.get();
  }

  /// Waits until a condition on the loop's state holds.
  bool WaitUntil(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + kWaitLimit;
    while (!Call([&] { return condition(); })) {
      if (std::chrono::steady_clock::now() > limit) {
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  /// Stops the loop, after which its objects may be used from the caller's thread.
  void Join() {
    if (thread_.joinable()) {
      // Posted, since a Stop() before the thread is in Run() would be forgotten.
      loop_.Post([this] { loop_.Stop(); });
      thread_.join();
    }
  }

  /// Waits for Run() to return by itself.
  void WaitForEnd() { thread_.join(); }

 private:
  EventLoop loop_;
  std::thread thread_;
};

/// What happened on one WebSocket. All of it lives on the loop.
struct SocketRecord {
  WebSocketConnection* connection = nullptr;  // null once closed
  std::vector<std::pair<Bytes, bool>> messages;
  size_t drained_count = 0;
  size_t buffered_at_drain = 0;
  std::optional<WebSocketCloseReason> closed;
  bool destroyed = false;
};

class RecordingEvents final : public WebSocketEvents {
 public:
  RecordingEvents(std::shared_ptr<SocketRecord> record, bool echoes)
      : record_(std::move(record)), echoes_(echoes) {}
  ~RecordingEvents() override { record_->destroyed = true; }

  void OnOpen(WebSocketConnection& connection) override { record_->connection = &connection; }
  void OnMessage(BytesView message, bool is_text) override {
    record_->messages.emplace_back(message, is_text);
    if (echoes_) {
      record_->connection->Send(std::make_shared<const Bytes>(message), is_text);
    }
  }
  void OnDrained() override {
    ++record_->drained_count;
    record_->buffered_at_drain = record_->connection->buffered_bytes();
  }
  void OnClosed(const WebSocketCloseReason& reason) override {
    ASSERT_FALSE(record_->closed.has_value()) << "OnClosed came twice";
    record_->closed = reason;
    record_->connection = nullptr;
  }

 private:
  const std::shared_ptr<SocketRecord> record_;
  const bool echoes_;
};

/// /echo echoes, /record only records, /refused is refused with 401, all else with 404.
class TestWebSocketHandler final : public WebSocketHandler {
 public:
  Decision Accept(const HttpRequest& request) override {
    const std::string path = request.segments.empty() ? "" : request.segments[0];
    if (path == "refused") {
      return HttpResponse::Text(401, "not you\n");
    }
    if (path != "echo" && path != "record") {
      return HttpResponse::Text(404, "no such path\n");
    }
    records.push_back(std::make_shared<SocketRecord>());
    return std::make_unique<RecordingEvents>(records.back(), path == "echo");
  }

  std::vector<std::shared_ptr<SocketRecord>> records;
};

/// Calls a function that the test may replace before its first request.
class TestHttpHandler final : public HttpHandler {
 public:
  void Handle(HttpRequest request, ResponseWriter response) override {
    on_request(std::move(request), std::move(response));
  }

  std::function<void(HttpRequest, ResponseWriter)> on_request = [](HttpRequest request,
                                                                   ResponseWriter response) {
    response.Send(HttpResponse::Text(404, "nothing at " + request.target + "\n"));
  };
};

class ServerTest : public ::testing::Test {
 protected:
  void Listen(HttpServerOptions options = {}, const std::string& address = "127.0.0.1:0",
              bool with_websockets = true) {
    const auto parsed = ParseListenAddress(address);
    ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
    auto server = thread_.Call([&] {
      return HttpServer::Listen(thread_.loop(), *parsed, options, http_,
                                with_websockets ? &websockets_ : nullptr);
    });
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = *std::move(server);
  }

  void TearDown() override {
    thread_.Join();
    server_.reset();
  }

  uint16_t port() const { return server_->port(); }

  TestHttpClient Client() { return Expect(TestHttpClient::Connect(port())); }

  TestWebSocket Socket(std::string_view path, TestSocket::Options options = {}) {
    return Expect(TestWebSocket::Connect(port(), path, std::move(options)));
  }

  /// The record of the i-th WebSocket, once it is open.
  std::shared_ptr<SocketRecord> Record(size_t i = 0) {
    EXPECT_TRUE(thread_.WaitUntil([&] {
      return websockets_.records.size() > i && websockets_.records[i]->connection != nullptr;
    }));
    return thread_.Call([&] { return websockets_.records[i]; });
  }

  WebSocketCloseReason WaitForClose(const std::shared_ptr<SocketRecord>& record) {
    EXPECT_TRUE(thread_.WaitUntil([&] { return record->destroyed; }));
    return thread_.Call([&] { return record->closed.value_or(WebSocketCloseReason{.code = 0}); });
  }

  NetCounters Counters() {
    return thread_.Call([&] { return server_->counters(); });
  }

  TestHttpHandler http_;
  TestWebSocketHandler websockets_;
  LoopThread thread_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace merrow::net::testing
