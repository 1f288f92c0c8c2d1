// SPDX-License-Identifier: Apache-2.0
#include "sync/session.h"

namespace merrow::sync {

void Session::Send(SharedBytes message, bool is_text) {
  if (is_closed_) return;
  ++core_.metrics.messages_out;
  core_.metrics.bytes_out += message->size();
  sink_.Send(std::move(message), is_text);
  if (sink_.buffered_bytes() > core_.limits.buffer_bytes_max) {
    // 1013, try again later: clients reconnect after it.
    Fail(1013, "slow_client", "it does not read what it is sent");
  }
}

void Session::SendUpdate(const std::vector<SharedBytes>& messages) {
  for (const SharedBytes& message : messages) Send(message, false);
}

void Session::Fail(uint16_t close_code, std::string_view code, std::string_view detail) {
  if (is_closed_) return;
  is_closed_ = true;
  Report(LogLevel::kWarning, code, detail);
  core_.doomed.push_back({id_, close_code, std::string(code)});
}

Status Session::Submit(const RowKey& row, SharedBytes update, SubmitDone done) {
  const size_t bytes = update->size();
  if (bytes > core_.limits.update_bytes_max) {
    return LimitReached("update of " + std::to_string(bytes) + " bytes");
  }
  MERROW_ASSIGN(const loro::VersionVector end, core_.source.UpdateEnd(*update));
  if (Subscription* subscription = core_.fanout->Find(*this, row)) {
    core_.fanout->NoteSent(*subscription, end);
  }
  AddInFlight(bytes);
  ++core_.metrics.submits;
  core_.source.Submit(row, std::move(update),
                      [handle = std::weak_ptr<Handle>(handle_), id = id_, row, bytes,
                       done = std::move(done)](const SubmitOutcome& outcome) {
                        const std::shared_ptr<Handle> alive = handle.lock();
                        if (alive == nullptr) return;
                        if (const Applied* applied = std::get_if<Applied>(&outcome)) {
                          alive->core->fanout->Publish(row, applied->before, applied->after,
                                                       applied->delta);
                        }
                        Session* session = alive->find(id);
                        if (session != nullptr && !session->is_closed()) {
                          session->RemoveInFlight(bytes);
                          done(outcome);
                        }
                        alive->after();
                      });
  return {};
}

void Session::ReadVersion(const RowKey& row, std::function<void(const loro::VersionVector&)> done) {
  AddInFlight(0);
  core_.source.ReadSince(row, nullptr,
                         [handle = std::weak_ptr<Handle>(handle_), id = id_,
                          done = std::move(done)](const Result<RowData>& result) {
                           const std::shared_ptr<Handle> alive = handle.lock();
                           if (alive == nullptr) return;
                           Session* session = alive->find(id);
                           if (session == nullptr || session->is_closed()) return;
                           session->RemoveInFlight(0);
                           if (result.ok()) {
                             done(*result.value().version);
                           } else {
                             session->Report(LogLevel::kWarning, "unavailable",
                                             result.error().message());
                           }
                           alive->after();
                         });
}

void Session::AddInFlight(size_t bytes) {
  ++in_flight_requests_;
  in_flight_bytes_ += bytes;
  UpdateReading();
}

void Session::RemoveInFlight(size_t bytes) {
  MERROW_CHECK(in_flight_requests_ > 0 && in_flight_bytes_ >= bytes);
  --in_flight_requests_;
  in_flight_bytes_ -= bytes;
  UpdateReading();
}

bool Session::MayRead() {
  if (!is_paused_ || ++messages_while_paused_ <= core_.limits.messages_while_paused_max)
    return true;
  Fail(1013, "too_many_requests", "messages go on after the input was paused");
  return false;
}

void Session::UpdateReading() {
  const Limits& limits = core_.limits;
  const bool is_full = in_flight_requests_ >= limits.in_flight_requests_max ||
                       in_flight_bytes_ >= limits.in_flight_bytes_max;
  if (is_full == is_paused_ || is_closed_) return;
  is_paused_ = is_full;
  messages_while_paused_ = 0;
  if (is_paused_) ++core_.metrics.pauses;
  sink_.SetReading(!is_paused_);
}

}  // namespace merrow::sync
