// SPDX-License-Identifier: Apache-2.0
//
// What is behind Document's face; for the files that implement its methods, by theme:
// document.cc (reading), document_edit.cc (local edits), ...
//
// A document is new, live or at rest. New: nothing is there but the peer. Live: there is a core. At
// rest: there is a RestingDocument, whose log and state move into a core one by one as they are
// needed; when both have, it goes, and the document is live.
//
// There may be hundreds of thousands of documents in memory, most of them at rest. So what few
// documents need stands behind one pointer, and keeps the document from resting (CanRest).

#pragma once

#include <memory>

#include "loro/document_core.h"
#include "loro/resting_document.h"

namespace merrow::loro {

struct Document::Impl {
  explicit Impl(PeerId peer) : peer_(peer) {}

  /// The whole document, live.
  DocumentCore& core() {
    if (core_ == nullptr || resting_ != nullptr) (void)Wake();  // is_broken() tells
    return *core_;
  }
  /// The log, live; the state need not be.
  OpLog& log() { return core_for_log().log; }
  DocumentCore& core_for_log() {
    if (!HasLog()) WakeLog();
    return *core_;
  }
  /// The state that is shown, live; the log need not be.
  const State& shown() {
    if (!HasState()) WakeState();
    return core_->shown();
  }

  // Without waking anything.

  PeerId peer() const { return HasLog() ? core_->log.local_peer() : peer_; }
  bool is_checked_out() const { return core_ != nullptr && core_->view.has_value(); }
  bool is_broken() const { return core_ != nullptr && core_->is_broken; }
  Status CheckMayChange() const { return core_ == nullptr ? Status() : core_->CheckMayChange(); }
  /// Not a new one: it has or had something.
  bool is_used() const { return core_ != nullptr || resting_ != nullptr; }
  /// The log is that of `resting()`, with nothing uncommitted or pending. Null if it is live.
  const RestingDocument* resting() const { return HasLog() ? nullptr : resting_.get(); }
  /// The snapshot that this document was loaded from, if nothing but the state was needed since.
  BytesView loaded_snapshot() const {
    return resting() == nullptr ? BytesView() : resting()->snapshot();
  }

  /// REQUIRES: nothing is uncommitted
  void SetPeer(PeerId peer);
  void Rest();
  /// REQUIRES: !is_used()
  void Keep(std::unique_ptr<RestingDocument> resting) { resting_ = std::move(resting); }
  /// Corruption if what rested was damaged; the document is broken then.
  Status Wake();
  /// All of it rests.
  bool is_resting() const { return resting_ != nullptr && core_ == nullptr; }
  /// With this object.
  size_t MemoryBytes() const;
  /// Leaves what rests at rest.
  void CheckInvariants() const;

 private:
  bool HasLog() const { return core_ != nullptr && !log_rests_; }
  bool HasState() const { return core_ != nullptr && !state_rests_; }
  bool CanRest() const;
  void WakeLog();
  void WakeState();
  void MakeCore();
  void Settle(const Status& unpacked);

  PeerId peer_;  // while the log is not live
  std::unique_ptr<DocumentCore> core_;
  std::unique_ptr<RestingDocument> resting_;
  // What of a core that is there has yet to be unpacked from resting_.
  bool log_rests_ = false;
  bool state_rests_ = false;
};

}  // namespace merrow::loro
