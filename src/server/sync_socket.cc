// SPDX-License-Identifier: Apache-2.0
#include "server/sync_socket.h"

#include <spdlog/spdlog.h>

#include "merrow/check.h"

namespace merrow::server {
namespace {

class SyncSocket final : public net::WebSocketEvents, public sync::SessionSink {
 public:
  SyncSocket(sync::Hub& hub, sync::Dialect dialect, const Clock& clock)
      : hub_(hub), dialect_(dialect), clock_(clock) {}

  // --- net::WebSocketEvents ---

  void OnOpen(net::WebSocketConnection& connection) override {
    connection_ = &connection;
    session_ = hub_.OpenSession(dialect_, *this);
  }

  void OnMessage(BytesView message, bool is_text) override {
    hub_.OnMessage(session_, message, is_text, clock_.MonotonicMicros() / 1000);
  }

  void OnDrained() override { hub_.OnDrained(session_); }

  void OnClosed(const net::WebSocketCloseReason& reason) override {
    spdlog::debug("{} closed: {} {}", connection_->remote_address(), reason.code, reason.text);
    hub_.CloseSession(session_);
    connection_ = nullptr;
  }

  // --- sync::SessionSink ---

  void Send(sync::SharedBytes message, bool is_text) override {
    connection_->Send(std::move(message), is_text);
  }
  void Close(uint16_t code, std::string_view reason) override { connection_->Close(code, reason); }
  void SetReading(bool enabled) override { connection_->SetReading(enabled); }
  size_t buffered_bytes() const override { return connection_->buffered_bytes(); }

 private:
  sync::Hub& hub_;
  const sync::Dialect dialect_;
  const Clock& clock_;
  net::WebSocketConnection* connection_ = nullptr;  // between OnOpen and OnClosed
  sync::SessionId session_ = 0;
};

}  // namespace

std::unique_ptr<net::WebSocketEvents> MakeSyncSocket(sync::Hub& hub, sync::Dialect dialect,
                                                     const Clock& clock) {
  return std::make_unique<SyncSocket>(hub, dialect, clock);
}

}  // namespace merrow::server
