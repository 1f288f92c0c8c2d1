// SPDX-License-Identifier: Apache-2.0
#include "testing/sim_network.h"

#include <algorithm>

namespace merrow::testing {

void SimConnection::Attach(int side, std::unique_ptr<SimEndEvents> events) {
  ends_[side].connection_ = this;
  ends_[side].other_ = &ends_[1 - side];
  ends_[side].events_ = std::move(events);
}

void SimConnection::End::Send(SharedBytes message) {
  SimConnection& connection = *connection_;
  if (is_closed_) return;
  ++connection.traffic_.messages;
  connection.traffic_.bytes += message->size();
  buffered_ += message->size();
  SimLoop& loop = connection.loop_;
  if (connection.is_broken_ || connection.is_silent_) return;  // it stays in the buffer
  const SimWire& wire = connection.wire_;
  const int64_t takes_ms = static_cast<int64_t>(message->size()) / wire.bytes_per_ms;
  free_ms_ = std::max(free_ms_, loop.now_ms()) + takes_ms;
  const auto self = connection.shared_from_this();
  loop.After(free_ms_ - loop.now_ms(), [self, this, bytes = message->size()] {
    buffered_ -= bytes;
    if (buffered_ == 0 && events_ != nullptr && !is_closed_ && !self->is_broken_) {
      events_->OnDrained();
    }
  });
  int64_t arrives_ms = free_ms_ + wire.delay_ms;
  if (wire.jitter_ms > 0) {
    arrives_ms +=
        static_cast<int64_t>(connection.random_.Below(static_cast<uint64_t>(wire.jitter_ms) + 1));
  }
  arrives_ms_ = std::max(arrives_ms_, arrives_ms);
  loop.After(arrives_ms_ - loop.now_ms(), [self, this, message = std::move(message)] {
    if (self->is_broken_ || self->is_silent_) return;
    if (other_->events_ != nullptr && !other_->is_closed_) other_->events_->OnMessage(*message);
  });
}

void SimConnection::End::Close(CloseReason reason, std::string_view /*detail*/) {
  SimConnection& connection = *connection_;
  if (is_closed_) return;
  is_closed_ = true;
  reason_ = reason;
  const auto self = connection.shared_from_this();
  SimLoop& loop = connection.loop_;
  // After what is queued.
  loop.After(std::max(arrives_ms_, loop.now_ms()) - loop.now_ms(), [self] { self->Break(); });
  loop.After(0, [self, this] {
    if (events_ != nullptr) events_->OnDown();
  });
}

void SimConnection::TellDown(End& end, int64_t delay_ms) {
  loop_.After(delay_ms, [self = shared_from_this(), &end] {
    if (end.is_closed_ || end.events_ == nullptr) return;
    end.is_closed_ = true;
    end.events_->OnDown();
  });
}

void SimConnection::Break() {
  if (is_broken_) return;
  is_broken_ = true;
  if (is_silent_) return;
  for (End& end : ends_) {
    TellDown(end, static_cast<int64_t>(random_.Below(20)));
  }
}

void SimConnection::Detach(int side) {
  ends_[side].is_closed_ = true;
  ends_[side].events_ = nullptr;
  Break();
}

}  // namespace merrow::testing
