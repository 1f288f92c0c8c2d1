// SPDX-License-Identifier: Apache-2.0
//
// Event hub: who wants to know what changes in a document, and what they were told. A document has
// one only while somebody does.
//
// While it tells, the document must not change: what is told is what the document shows, to all
// subscribers alike, and callbacks do not nest. So all that changes a document asks is_telling().

#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "loro/event_recorder.h"
#include "loro/op_log.h"
#include "loro/state.h"
#include "merrow/document.h"

namespace merrow::loro {

class EventHub {
 public:
  /// `state` is what is shown, at the version of `log`. Recording starts. Both must outlive this.
  EventHub(const OpLog& log, State* state);
  ~EventHub() { state_->SetRecorder(nullptr); }
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  Subscription Subscribe(Document::EventCallback callback);
  bool has_subscribers() const { return !subscribers_->callbacks.empty(); }
  /// A callback is running.
  bool is_telling() const { return is_telling_; }

  /// Tells what was recorded since the last event, if the version is another one since.
  void Tell(DocumentEvent::Cause cause);
  /// Tells that another version is shown now.
  void TellCheckout(const State& before, const State& now, Frontiers version);
  /// The state was replaced by one of the log's version that holds all of `before`.
  void TellReplaced(const State& before);
  /// What was recorded will not be told: an earlier version is shown.
  void Skip() { recorder_.Drop(); }
  /// The same because the change failed, after which the state was derived again.
  void Forget();

 private:
  struct Subscribers {
    uint64_t next = 0;
    std::vector<std::pair<uint64_t, std::shared_ptr<Document::EventCallback>>> callbacks;
  };

  void Call(DocumentEvent::Cause cause, Frontiers to, const DocumentDelta& delta);

  const OpLog& log_;
  State* const state_;
  EventRecorder recorder_;
  Frontiers told_;  // the version that subscribers know
  bool is_telling_ = false;
  // Shared with subscriptions, which may outlive the document.
  std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
};

}  // namespace merrow::loro
