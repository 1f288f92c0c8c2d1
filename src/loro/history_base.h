// SPDX-License-Identifier: Apache-2.0
//
// History base: what is left of trimmed history, from which a shallow document starts: how far each
// peer had come, and what the document looked like at the starting version. It comes with a
// shallow snapshot and goes out again with every later one.
//
// The state cannot be derived from ops any more, so all of it is checked when it comes in:
// CheckBaseState.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "loro/causal_graph.h"
#include "loro/snapshot.h"
#include "loro/state.h"

namespace merrow::loro {

class HistoryBase {
 public:
  /// `lamport`: the largest of the starting atoms, and so of all ops that `states` show.
  HistoryBase(CausalGraph::Start start, Lamport lamport,
              const std::vector<SnapshotParts::State>& states);

  const CausalGraph::Start& start() const { return start_; }
  Lamport lamport() const { return lamport_; }
  /// The state at the start as the entries of a snapshot. They are valid as long as this is.
  std::vector<SnapshotParts::State> StateEntries() const;

  /// Corruption if it does not decode.
  Result<State> DecodeState() const;
  /// One container of it; opaque if it is not there. REQUIRES: DecodeState succeeds
  Container::AnyState DecodeContainer(const ContainerId& id) const;

  size_t MemoryBytes() const;

 private:
  struct Entry {
    ContainerId container;
    Bytes wrapper;
  };

  CausalGraph::Start start_;
  Lamport lamport_;
  std::vector<Entry> states_;  // sorted by container
};

/// What a snapshot of a document with that base says of it. Refers to `base`.
SnapshotParts::Shallow ShallowPart(const HistoryBase& base);

/// Calls visit(id) for every container that the values of `container` or its nodes refer to.
void ForEachChildOf(const Container& container,
                    const std::function<void(const ContainerId&)>& visit);

/// Corruption if the state shows what no history up to `version` leads to: ops that are not in it,
/// lamports above `lamport_max`, or containers that do not form a forest below the roots.
Status CheckBaseState(const State& state, const VersionVector& version, Lamport lamport_max);

}  // namespace merrow::loro
