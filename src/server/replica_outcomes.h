// SPDX-License-Identifier: Apache-2.0
//
// What became of changesets, as the store says it and as replication wants to hear it: two layers
// that do not know each other. Also used by the simulation that runs on stores.

#pragma once

#include <utility>
#include <vector>

#include "merrow/check.h"
#include "replication/replica.h"
#include "store/replica_types.h"

namespace merrow::server {

inline replication::Fate FateOf(store::ReplicaFate fate) {
  switch (fate) {
    case store::ReplicaFate::kApplied:
      return replication::Fate::kApplied;
    case store::ReplicaFate::kKnown:
      return replication::Fate::kKnown;
    case store::ReplicaFate::kBuffered:
      return replication::Fate::kBuffered;
    case store::ReplicaFate::kWaiting:
      return replication::Fate::kWaiting;
    case store::ReplicaFate::kRefused:
      return replication::Fate::kRefused;
  }
  MERROW_CHECK(false);
}

inline std::vector<replication::ApplyOutcome> OutcomesOf(
    std::vector<store::ReplicaOutcome> outcomes) {
  std::vector<replication::ApplyOutcome> converted;
  converted.reserve(outcomes.size());
  for (store::ReplicaOutcome& outcome : outcomes) {
    converted.push_back({FateOf(outcome.fate), outcome.site, outcome.range,
                         std::move(outcome.whole), std::move(outcome.error)});
  }
  return converted;
}

}  // namespace merrow::server
