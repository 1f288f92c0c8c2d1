// SPDX-License-Identifier: Apache-2.0
//
// How documents go to rest and wake: document_impl.h, resting_document.h.

#include "loro/document_impl.h"
#include "merrow/check.h"

namespace merrow::loro {

void Document::Impl::MakeCore() {
  if (core_ != nullptr) return;
  core_ = std::make_unique<DocumentCore>(peer_);
  log_rests_ = resting_ != nullptr;
  state_rests_ = resting_ != nullptr;
}

// After unpacking: what is all unpacked is live, what was damaged is broken as a whole. So can be
// what was packed, of a document whose loaded state was not that of its ops.
void Document::Impl::Settle(const Status& unpacked) {
  if (!unpacked.ok()) {
    core_ = std::make_unique<DocumentCore>(peer_);
    core_->is_broken = true;
    log_rests_ = false;
    state_rests_ = false;
  }
  if (!log_rests_ && !state_rests_) resting_.reset();
}

Status Document::Impl::Wake() {
  MakeCore();
  if (resting_ == nullptr) return {};
  Status unpacked;
  if (state_rests_) {
    unpacked = resting_->UnpackAll(core_.get(), /*has_log=*/!log_rests_);
  } else {
    unpacked = resting_->UnpackLog(&core_->log);
  }
  log_rests_ = false;
  state_rests_ = false;
  Settle(unpacked);
  return unpacked;
}

void Document::Impl::WakeLog() {
  MakeCore();
  if (!log_rests_) return;
  const Status unpacked = resting_->UnpackLog(&core_->log);
  log_rests_ = false;
  Settle(unpacked);
}

void Document::Impl::WakeState() {
  MakeCore();
  if (!state_rests_) return;
  const Result<bool> unpacked = resting_->UnpackState(&core_->state);
  if (unpacked.ok() && !*unpacked) {
    (void)Wake();  // is_broken() tells
    return;
  }
  state_rests_ = false;
  Settle(unpacked.ok() ? Status() : Status(unpacked.error()));
}

bool Document::Impl::CanRest() const {
  return core_ != nullptr && !core_->is_broken && !core_->view.has_value() &&
         !core_->log.has_pending() && core_->log.base() == nullptr &&
         (core_->events == nullptr || !core_->events->has_subscribers());
}

void Document::Impl::Rest() {
  if (core_ == nullptr) return;
  if (resting_ != nullptr) {
    // The core holds a part of what rests, which nothing has changed: that would have taken all.
    peer_ = peer();
    core_.reset();
    log_rests_ = false;
    state_rests_ = false;
    return;
  }
  if (!CanRest()) return;
  core_->log.Commit();
  peer_ = core_->log.local_peer();
  resting_ = RestingDocument::Pack(*core_);
  core_.reset();
}

void Document::Impl::SetPeer(PeerId peer) {
  peer_ = peer;
  if (core_ != nullptr && core_->log.local_peer() != peer) core_->log.SetLocalPeer(peer);
}

size_t Document::Impl::MemoryBytes() const {
  size_t bytes = sizeof(*this);
  if (core_ != nullptr) {
    bytes += sizeof(DocumentCore) + core_->log.MemoryBytes() + core_->state.MemoryBytes() +
             core_->merge_window.MemoryBytes();
    if (core_->snapshot_cache != nullptr) bytes += core_->snapshot_cache->MemoryBytes();
  }
  if (resting_ != nullptr) bytes += resting_->MemoryBytes();
  return bytes;
}

void Document::Impl::CheckInvariants() const {
  MERROW_CHECK(core_ != nullptr || (!log_rests_ && !state_rests_));
  MERROW_CHECK(core_ == nullptr || resting_ == nullptr || log_rests_ != state_rests_);
  if (core_ == nullptr) return;
  if (HasLog()) core_->log.CheckInvariants();
  if (HasState()) core_->state.CheckInvariants();
  if (HasLog() && resting_ != nullptr) {
    MERROW_CHECK(core_->log.version() == resting_->version() && !core_->log.HasUncommitted());
  }
}

void Document::Rest() { impl_->Rest(); }
bool Document::is_resting() const { return impl_->is_resting(); }

Status Document::Wake() {
  MERROW_TRY(impl_->Wake());
  if (impl_->is_broken()) return Corruption("the document is broken");
  return {};
}

}  // namespace merrow::loro
