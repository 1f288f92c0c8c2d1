// SPDX-License-Identifier: Apache-2.0
#include "sync/hub.h"

#include <set>
#include <unordered_map>

#include "sync/core.h"
#include "sync/fanout.h"
#include "sync/loro_session.h"
#include "sync/presence.h"
#include "sync/row_session.h"

namespace merrow::sync {

struct Hub::Impl {
  Impl(RowSource& source, const Limits& limits, Logger logger, Defer defer)
      : core(source, limits, std::move(logger)), fanout(core, std::move(defer)), presence(core) {
    core.fanout = &fanout;
    core.presence = &presence;
    const auto after = [this] { Settle(); };
    const auto find = [this](SessionId id) { return Find(id); };
    session_handle = std::make_shared<Session::Handle>(
        Session::Handle{.core = &core, .find = find, .after = after});
    fanout.SetHandle(std::make_shared<Fanout::Handle>(
        Fanout::Handle{.fanout = &fanout, .find = find, .after = after}));
  }

  ~Impl() {
    // Completions that are still under way find nothing from here on.
    fanout.SetHandle(nullptr);
    session_handle.reset();
    for (auto& [id, session] : sessions) {
      session->SetHandle(nullptr);
      session->set_closed();
      Detach(*session);
    }
  }

  Session* Find(SessionId id) const {
    const auto found = sessions.find(id);
    return found == sessions.end() ? nullptr : found->second.get();
  }

  // Takes the session out of its rooms and rows.
  void Detach(Session& session) {
    session.OnClosed();
    fanout.CloseAll(session);
  }

  // Ends every public call and every completion: closes the sessions that failed meanwhile.
  void Settle() {
    while (!core.doomed.empty()) {
      const std::vector<Core::Doomed> doomed = std::exchange(core.doomed, {});
      for (const Core::Doomed& each : doomed) {
        Session* const session = Find(each.session);
        if (session == nullptr) continue;
        session->set_closed();
        Detach(*session);
        session->sink().Close(each.close_code, each.reason);
      }
    }
  }

  Core core;
  Fanout fanout;
  Presence presence;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions;
  SessionId next_session_id = 1;
  std::shared_ptr<Session::Handle> session_handle;
};

Hub::Hub(RowSource& source, const Limits& limits, Logger logger, Defer defer)
    : impl_(std::make_unique<Impl>(source, limits, std::move(logger), std::move(defer))) {}

Hub::~Hub() = default;

SessionId Hub::OpenSession(Dialect dialect, SessionSink& sink) {
  const SessionId id = impl_->next_session_id++;
  std::unique_ptr<Session> session;
  if (dialect == Dialect::kLoroProtocol) {
    session = std::make_unique<LoroSession>(impl_->core, id, sink);
  } else {
    session = std::make_unique<RowSession>(impl_->core, id, sink);
  }
  session->SetHandle(impl_->session_handle);
  impl_->sessions.emplace(id, std::move(session));
  ++impl_->core.metrics.sessions_opened;
  return id;
}

void Hub::CloseSession(SessionId id) {
  const auto found = impl_->sessions.find(id);
  if (found == impl_->sessions.end()) return;
  found->second->set_closed();
  impl_->Detach(*found->second);
  impl_->sessions.erase(found);
  impl_->Settle();
}

void Hub::OnMessage(SessionId id, BytesView message, bool is_text, int64_t now_ms) {
  impl_->core.now_ms = std::max(impl_->core.now_ms, now_ms);
  Session* const session = impl_->Find(id);
  if (session == nullptr || session->is_closed()) return;
  ++impl_->core.metrics.messages_in;
  impl_->core.metrics.bytes_in += message.size();
  if (session->MayRead()) session->OnMessage(message, is_text);
  impl_->Settle();
}

void Hub::OnDrained(SessionId id) {
  Session* const session = impl_->Find(id);
  if (session == nullptr || session->is_closed()) return;
  session->OnDrained();
  impl_->fanout.Pump(*session);
  impl_->Settle();
}

void Hub::OnCommitted(const RowKey& row, SharedVersion before, SharedVersion after,
                      SharedBytes delta) {
  impl_->fanout.Publish(row, before, after, delta);
  impl_->Settle();
}

void Hub::OnTick(int64_t now_ms) {
  impl_->core.now_ms = std::max(impl_->core.now_ms, now_ms);
  std::set<SessionId> waiting;  // sorted, so that the order of sessions is that of their opening
  for (const auto& [id, session] : impl_->sessions) {
    if (!session->is_closed() && (session->has_timers() || !session->heal_queue.empty())) {
      waiting.insert(id);
    }
  }
  for (const SessionId id : waiting) {
    Session& session = *impl_->sessions.at(id);
    session.OnTick();
    impl_->fanout.Pump(session);
  }
  impl_->presence.OnTick();
  impl_->Settle();
}

void Hub::CloseAll(std::string_view reason) {
  for (const auto& [id, session] : impl_->sessions) {
    if (!session->is_closed()) impl_->core.doomed.push_back({id, 1001, std::string(reason)});
  }
  impl_->Settle();
}

const Limits& Hub::limits() const { return impl_->core.limits; }

Metrics Hub::metrics() const {
  Metrics metrics = impl_->core.metrics;
  metrics.sessions = impl_->sessions.size();
  metrics.rows = impl_->fanout.row_count();
  metrics.presence_rooms = impl_->presence.room_count();
  return metrics;
}

size_t Hub::MemoryBytes() const {
  size_t bytes = impl_->fanout.MemoryBytes() + impl_->presence.MemoryBytes();
  for (const auto& [id, session] : impl_->sessions) {
    bytes += session->MemoryBytes() + 48 + session->subscriptions.bucket_count() * sizeof(void*);
  }
  return bytes;
}

void Hub::CheckInvariants() const {
  MERROW_CHECK(impl_->core.doomed.empty());
  impl_->fanout.CheckInvariants();
}

}  // namespace merrow::sync
