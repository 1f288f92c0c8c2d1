// SPDX-License-Identifier: Apache-2.0
//
// Events of a document: who is called, and when.

#include <algorithm>

#include "loro/document_impl.h"
#include "loro/event_hub.h"

namespace merrow::loro {
namespace {

// Sets a flag while it lives.
class Flagged {
 public:
  explicit Flagged(bool* flag) : flag_(flag) { *flag_ = true; }
  ~Flagged() { *flag_ = false; }
  Flagged(const Flagged&) = delete;
  Flagged& operator=(const Flagged&) = delete;

 private:
  bool* const flag_;
};

}  // namespace

EventHub::EventHub(const OpLog& log, State* state)
    : log_(log), state_(state), recorder_(*state), told_(log.graph().frontiers()) {
  state_->SetRecorder(&recorder_);
}

Subscription EventHub::Subscribe(Document::EventCallback callback) {
  const uint64_t number = subscribers_->next++;
  subscribers_->callbacks.emplace_back(
      number, std::make_shared<Document::EventCallback>(std::move(callback)));
  return Subscription([weak = std::weak_ptr<Subscribers>(subscribers_), number] {
    const std::shared_ptr<Subscribers> subscribers = weak.lock();
    if (subscribers == nullptr) return;
    std::erase_if(subscribers->callbacks,
                  [number](const auto& entry) { return entry.first == number; });
  });
}

void EventHub::Call(DocumentEvent::Cause cause, Frontiers to, const DocumentDelta& delta) {
  // What shows nothing is part of the next event.
  if (delta.empty()) return;
  const Frontiers from = std::exchange(told_, std::move(to));
  const DocumentEvent event{.cause = cause, .from = from, .to = told_, .delta = delta};
  // A callback may end subscriptions, its own too. One that has ended is not called any more: what
  // it refers to may be gone.
  const std::shared_ptr<Subscribers> subscribers = subscribers_;
  const auto callbacks = subscribers->callbacks;
  const Flagged telling(&is_telling_);
  for (const auto& [number, callback] : callbacks) {
    const bool is_there =
        std::any_of(subscribers->callbacks.begin(), subscribers->callbacks.end(),
                    [ended = number](const auto& entry) { return entry.first == ended; });
    if (is_there) (*callback)(event);
  }
}

void EventHub::Tell(DocumentEvent::Cause cause) {
  Frontiers now = log_.graph().frontiers();
  if (now == told_) return;
  const DocumentDelta delta = recorder_.Take(*state_);
  Call(cause, std::move(now), delta);
}

void EventHub::TellCheckout(const State& before, const State& now, Frontiers version) {
  recorder_.Drop();
  Call(DocumentEvent::Cause::kCheckout, std::move(version), DiffStates(before, now));
}

void EventHub::TellReplaced(const State& before) {
  state_->SetRecorder(&recorder_);
  recorder_.Reset(*state_);
  Call(DocumentEvent::Cause::kImport, log_.graph().frontiers(), DiffStates(before, *state_));
}

void EventHub::Forget() {
  state_->SetRecorder(&recorder_);
  recorder_.Reset(*state_);
}

// --- Document ---

Subscription Document::Subscribe(EventCallback callback) {
  Commit();
  DocumentCore& core = impl_->core();
  if (core.events == nullptr) core.events = std::make_unique<EventHub>(core.log, &core.state);
  return core.events->Subscribe(std::move(callback));
}

Status DocumentCore::CheckMayChange() const {
  if (events == nullptr || !events->is_telling()) return {};
  return Busy("the document cannot be changed in a callback that tells of a change");
}

void DocumentCore::TellEvents(DocumentEvent::Cause cause) {
  // While it tells, nothing can have changed.
  if (events == nullptr || events->is_telling()) return;
  if (!events->has_subscribers()) {
    events.reset();
  } else if (view.has_value()) {
    events->Skip();
  } else {
    events->Tell(cause);
  }
}

}  // namespace merrow::loro
