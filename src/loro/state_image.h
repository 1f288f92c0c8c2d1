// SPDX-License-Identifier: Apache-2.0
//
// State image: a whole state to and from the entries of a snapshot (snapshot.h, state_codec.h).

#pragma once

#include <deque>
#include <vector>

#include "loro/snapshot.h"
#include "loro/state.h"

namespace merrow::loro {

/// The state that the entries describe. `lamport_max`: no op that they show has a larger lamport.
/// Corruption if one does not decode.
Result<State> StateFromImage(const std::vector<SnapshotParts::State>& entries, Lamport lamport_max);

/// One container of it.
Result<Container> ContainerFromImage(const SnapshotParts::State& entry, Lamport lamport_max);

/// Whether a snapshot says anything of a container: not of those whose ops are all that is left.
bool IsInImage(const Container& container);

/// Encodes containers of a state that does not change meanwhile.
class ImageEncoder {
 public:
  explicit ImageEncoder(const State& state);
  /// The wrapper of one of its containers. REQUIRES: IsInImage(container)
  Bytes Encode(const Container& container);
  /// The parent of some container that was asked for, or of one of its ancestors, was not there.
  bool misses_parent() const { return misses_parent_; }

 private:
  uint32_t DepthOf(const Container& container);
  uint32_t& Known(const Container* container);

  const State& state_;
  std::vector<uint32_t> depths_;  // by index of the container; 0: not known
  std::vector<const Container*> path_;
  bool misses_parent_ = false;
};

/// The entries that describe `state`; their bytes are appended to `storage`, which must outlive
/// them.
std::vector<SnapshotParts::State> ImageOfState(const State& state, std::deque<Bytes>* storage);

}  // namespace merrow::loro
