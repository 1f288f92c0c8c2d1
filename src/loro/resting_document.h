// SPDX-License-Identifier: Apache-2.0
//
// Resting document: all of a document in one buffer, with its version at hand. It is what a
// document is while nobody reads or edits it, and what Load makes of a snapshot. Log and state are
// unpacked apart from each other, when they are asked for.
//
// The buffer is either a snapshot as it came, of which only the checksum and the version were
// looked at, or packed:
//
//   uleb block count | (uleb length, change block) ...    by peer and counter
//   u8 1 if states follow, 0 if not
//   u32le largest lamport
//   uleb state count | (uleb length, container key, uleb length, wrapper) ...
//   uleb opaque count | (uleb length, container key, uleb length, key of the parent or nothing) ...
//
// There are no states if the history is so short that replaying it is as fast as reading them.
// What is packed never leaves the process, so it is not checked again.

#pragma once

#include <memory>

#include "base/bytes.h"
#include "loro/document_core.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

class RestingDocument {
 public:
  /// Up to this many atoms are replayed rather than kept with what they amount to.
  static constexpr uint64_t kReplayAtomsMax = 64;

  /// All that `core` holds. REQUIRES: nothing is uncommitted or pending, it is not broken or
  /// shallow, and shows its latest version.
  static std::unique_ptr<RestingDocument> Pack(DocumentCore& core);

  /// Null if the snapshot has to be read at once: it is shallow or without a state. Corruption if
  /// the checksum, the frame or the version is not right; the insides are checked when they are
  /// unpacked.
  static Result<std::unique_ptr<RestingDocument>> Keep(BytesView snapshot);

  const VersionVector& version() const { return version_; }
  Frontiers frontiers() const { return {frontiers_.begin(), frontiers_.end()}; }
  uint64_t op_count() const;
  /// The snapshot that is kept; empty if it is packed.
  BytesView snapshot() const { return is_snapshot_ ? BytesView(bytes_) : BytesView(); }

  // Corruption if a snapshot is damaged inside; what was to be filled is then not usable.

  /// Fills the log. REQUIRES: it is empty.
  Status UnpackLog(OpLog* log) const;
  /// Fills the state. False, and nothing is done, if that takes the log. REQUIRES: it is empty.
  Result<bool> UnpackState(State* state) const;
  /// Fills both. REQUIRES: the state is empty; the log is empty, or filled and `has_log`.
  Status UnpackAll(DocumentCore* core, bool has_log) const;

  /// Bytes of memory, with this object.
  size_t MemoryBytes() const;

 private:
  RestingDocument() = default;

  /// The snapshot without its envelope.
  BytesView body() const;

  VersionVector version_;
  std::vector<Id> frontiers_;
  Bytes bytes_;
  bool is_snapshot_ = false;
};

}  // namespace merrow::loro
