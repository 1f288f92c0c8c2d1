// SPDX-License-Identifier: Apache-2.0
//
// State image: a whole state to and from the entries of a snapshot (snapshot.h, state_codec.h).

#pragma once

#include <deque>

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

/// The entries that describe `state`; their bytes are appended to `storage`, which must outlive
/// them.
std::vector<SnapshotParts::State> ImageOfState(const State& state, std::deque<Bytes>* storage);

}  // namespace merrow::loro
