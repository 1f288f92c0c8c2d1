// SPDX-License-Identifier: Apache-2.0
//
// For tests: the documents of test/vectors/loro/movable_list.json and tree.json, made by loro-crdt,
// each with one root container "c", and its ops in any legal order.

#pragma once

#include <algorithm>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "loro/causal_graph.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "loro/op_slice.h"
#include "loro/snapshot.h"
#include "loro/state_codec.h"
#include "merrow/check.h"

namespace merrow::loro {

struct MovableVector {
  std::string name;
  nlohmann::json value;
  Bytes updates;
  Bytes snapshot;
  nlohmann::json edits;
  nlohmann::json edited;  // the value after them

  /// The bytes of the container's state in the snapshot. `parts` must outlive them.
  static BytesView StateOf(const SnapshotParts& parts) {
    for (const SnapshotParts::State& state : parts.states) {
      if (state.container.is_root() && state.container.name() == "c") {
        return DecodeStateWrapper(state.wrapper).value().state;
      }
    }
    MERROW_CHECK(false);
  }
};

/// `file`: "movable_list" or "tree"
inline std::vector<MovableVector> LoadMovableVectors(const std::string& file) {
  std::ifstream stream(MERROW_VECTORS "/loro/" + file + ".json");
  std::vector<MovableVector> vectors;
  for (const auto& item : nlohmann::json::parse(stream)) {
    vectors.push_back(
        {item["name"], item["value"], FromBase64(item["updates"].get<std::string>()).value(),
         FromBase64(item["snapshot"].get<std::string>()).value(), item["edits"], item["edited"]});
  }
  MERROW_CHECK(!vectors.empty());
  return vectors;
}

/// The history of a vector, with its changes in an order that depends on the seed.
class MovableHistory {
 public:
  MovableHistory(const MovableVector& vector, uint64_t seed) {
    std::mt19937_64 random(seed);
    const Envelope envelope = DecodeEnvelope(vector.updates).value();
    MERROW_CHECK(ForEachBlock(envelope.body, [this](BytesView bytes) -> Status {
                   blocks_.push_back(DecodeChangeBlock(bytes).value());
                   return {};
                 }).ok());
    std::vector<size_t> next(blocks_.size());  // change of each block
    while (true) {
      std::vector<size_t> ready;
      for (size_t i = 0; i < blocks_.size(); ++i) {
        if (next[i] == blocks_[i].changes.size()) continue;
        const Change& change = blocks_[i].changes[next[i]];
        const bool follows = graph_.version().End(blocks_[i].peer) == change.counter &&
                             std::all_of(change.deps.begin(), change.deps.end(),
                                         [this](Id id) { return graph_.LvOf(id).has_value(); });
        if (follows) ready.push_back(i);
      }
      if (ready.empty()) break;
      const size_t i = ready[random() % ready.size()];
      const Change& change = blocks_[i].changes[next[i]++];
      const Lv lv = graph_.Append({blocks_[i].peer, change.counter}, change.length, change.lamport,
                                  change.deps);
      order_.push_back({&blocks_[i], &change, lv});
    }
    for (size_t i = 0; i < blocks_.size(); ++i) {
      MERROW_CHECK(next[i] == blocks_[i].changes.size());
    }
  }

  const CausalGraph& graph() const { return graph_; }

  /// Calls visit(lv, slice) for every op of "c".
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Entry& entry : order_) {
      const Status status =
          ForEachOpSlice(*entry.block, *entry.change, entry.change->counter, entry.change->end(),
                         graph_.LamportOf(entry.lv), [&](const OpSlice& slice) -> Status {
                           if (!slice.container().is_root()) return {};
                           const Counter offset = slice.id().counter - entry.change->counter;
                           visit(entry.lv + static_cast<Lv>(offset), slice);
                           return {};
                         });
      MERROW_CHECK(status.ok());
    }
  }

  /// The version that the op at `lv` was made at.
  std::vector<Lv> ParentsOf(Lv lv) const {
    const CausalGraph::Run& run = graph_.RunOf(lv);
    return lv > run.start ? std::vector<Lv>{lv - 1} : run.parents;
  }

  /// Lamport of an op that follows all.
  Lamport NextLamport() const { return graph_.LamportAfter(graph_.frontiers()); }

 private:
  struct Entry {
    const ChangeBlock* block;
    const Change* change;
    Lv lv;
  };

  std::deque<ChangeBlock> blocks_;
  CausalGraph graph_;
  std::vector<Entry> order_;
};

}  // namespace merrow::loro
