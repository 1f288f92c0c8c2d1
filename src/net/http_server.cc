// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <utility>

#include "merrow/check.h"
#include "net/http_connection.h"
#include "net/server_state.h"

namespace merrow::net {

// Shared by the copies of a writer. `is_done` is written on the loop's thread; the destructor may
// run elsewhere, but only after every copy is gone.
struct ResponseWriter::State {
  State(EventLoop& event_loop, std::weak_ptr<HttpConnection> http_connection, uint64_t response_id)
      : loop(event_loop), connection(std::move(http_connection)), id(response_id) {}

  ~State() {
    if (!is_done) {
      loop.Post([connection = connection, id = id] {
        if (const auto owner = connection.lock(); owner != nullptr && owner->Owes(id)) {
          owner->AbandonResponse();
        }
      });
    }
  }

  std::shared_ptr<HttpConnection> Lock() const {
    auto owner = connection.lock();
    if (owner == nullptr || !owner->Owes(id)) {
      return nullptr;
    }
    MERROW_CHECK(loop.InLoopThread());
    return owner;
  }

  EventLoop& loop;
  const std::weak_ptr<HttpConnection> connection;
  const uint64_t id;
  bool is_started = false;
  bool is_done = false;
};

void ResponseWriter::Send(HttpResponse response) {
  MERROW_CHECK(!state_->is_started && !state_->is_done);
  state_->is_done = true;
  if (const auto connection = state_->Lock()) {
    connection->SendWhole(std::move(response));
  }
}

void ResponseWriter::Start(HttpResponse head) {
  MERROW_CHECK(!state_->is_started && !state_->is_done);
  state_->is_started = true;
  if (const auto connection = state_->Lock()) {
    connection->StartStream(std::move(head));
  }
}

void ResponseWriter::Write(Bytes chunk, std::function<void(bool)> on_drained) {
  MERROW_CHECK(state_->is_started && !state_->is_done);
  if (const auto connection = state_->Lock()) {
    connection->WriteChunk(std::move(chunk), std::move(on_drained));
  } else if (on_drained) {
    state_->loop.Post([on_drained = std::move(on_drained)] { on_drained(false); });
  }
}

void ResponseWriter::Finish() {
  MERROW_CHECK(state_->is_started && !state_->is_done);
  state_->is_done = true;
  if (const auto connection = state_->Lock()) {
    connection->FinishStream();
  }
}

void ResponseWriter::Abort() {
  MERROW_CHECK(state_->is_started && !state_->is_done);
  state_->is_done = true;
  if (const auto connection = state_->Lock()) {
    connection->AbandonResponse();
  }
}

bool ResponseWriter::open() const { return state_->Lock() != nullptr; }

ResponseWriter MakeResponseWriter(EventLoop& loop, std::weak_ptr<HttpConnection> connection,
                                  uint64_t id) {
  return ResponseWriter(std::make_shared<ResponseWriter::State>(loop, std::move(connection), id));
}

HttpServer::HttpServer(std::shared_ptr<ServerState> state, ListenAddress address)
    : state_(std::move(state)), address_(std::move(address)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::Listen(EventLoop& loop,
                                                       const ListenAddress& address,
                                                       HttpServerOptions options,
                                                       HttpHandler& handler,
                                                       WebSocketHandler* websockets) {
  auto state = std::make_shared<ServerState>(loop, std::move(options), handler, websockets);
  state->checks_host = address.is_loopback;
  MERROW_ASSIGN(ListenAddress bound, state->StartListening(address));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state), std::move(bound)));
}

HttpServer::~HttpServer() { state_->End("the server is gone"); }

const NetCounters& HttpServer::counters() const { return state_->counters; }

void HttpServer::Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  MERROW_CHECK(!state_->stopping);
  state_->BeginShutdown(deadline, std::move(on_done));
}

}  // namespace merrow::net
