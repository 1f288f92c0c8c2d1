// SPDX-License-Identifier: Apache-2.0
//
// History: what states ask of the op log when ops arrive that are concurrent with a delete or older
// than what was applied. It decodes the log once, and only if it is asked.

#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "loro/movable_list_history.h"
#include "loro/op_log.h"
#include "loro/tree_state.h"

namespace merrow::loro {

/// Calls visit(lv, run, slice) -> Status for every op from `start` on, in order of arrival. No
/// slice reaches across `cut`. `reader` keeps the blocks alive that slices refer to.
template <typename Visit>
Status ForEachSliceSince(const OpLog& log, OpLog::Reader& reader, Lv start, Lv cut, Visit&& visit) {
  const CausalGraph& graph = log.graph();
  if (start >= graph.size()) return {};
  for (size_t i = graph.RunIndexOf(start); i < graph.runs().size(); ++i) {
    const CausalGraph::Run& run = graph.runs()[i];
    for (Lv lv = std::max(start, run.start); lv < run.end;) {
      const Lv limit = lv < cut ? std::min(cut, run.end) : run.end;
      const Id id = run.IdAt(lv, graph);
      const ChangeBlock& block = reader.BlockAt(id);
      const Counter to = std::min(block.end(), id.counter + static_cast<Counter>(limit - lv));
      MERROW_TRY(
          ForEachOpSlice(block, id.counter, to, run.LamportAt(lv), [&](const OpSlice& slice) {
            const auto skipped = slice.id().counter - id.counter;
            return visit(lv + static_cast<Lv>(skipped), run, slice);
          }));
      lv += static_cast<Lv>(to - id.counter);
    }
  }
  return {};
}

class History {
 public:
  /// `log` must outlive this and not change meanwhile.
  explicit History(const OpLog& log) : reader_(log), log_(log) {}

  /// Where and what an element of a movable list is, by all ops in the log.
  Result<ElementHistory> Element(const ContainerId& list, IdLp element);
  /// All ops of a tree in the log, in order of arrival.
  std::vector<TreeMove> TreeMoves(const ContainerId& tree);

 private:
  OpLog::Reader reader_;
  const OpLog& log_;
  std::unordered_map<ContainerId, MovableListHistory, ContainerIdHash> lists_;
};

}  // namespace merrow::loro
