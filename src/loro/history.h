// SPDX-License-Identifier: Apache-2.0
//
// History: what states ask of the op log when ops arrive that are concurrent with a delete or older
// than what was applied. It decodes the log once, and only if it is asked. Of trimmed history it
// knows what the base of the log shows.

#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "loro/movable_list_history.h"
#include "loro/op_log.h"
#include "loro/tree_state.h"

namespace merrow::loro {

/// Calls visit(lv, run, slice) -> Status for the ops of `span` in order of arrival. Ops are cut at
/// its ends. `reader` keeps the blocks alive that slices refer to. `joiner`: joins slices.
template <typename Visit>
Status ForEachSlice(const OpLog& log, OpLog::Reader& reader, LvSpan span, Visit&& visit,
                    TextJoiner* joiner = nullptr) {
  if (span.start >= span.end) return {};
  const CausalGraph& graph = log.graph();
  const auto& runs = graph.runs();
  for (size_t i = graph.RunIndexOf(span.start); i < runs.size() && runs[i].start < span.end; ++i) {
    const CausalGraph::Run& run = runs[i];
    const Lv limit = std::min(span.end, run.end);
    for (Lv lv = std::max(span.start, run.start); lv < limit;) {
      const Id id = run.IdAt(lv, graph);
      const ChangeBlock& block = reader.BlockAt(id);
      const Counter to = std::min(block.end(), id.counter + static_cast<Counter>(limit - lv));
      const auto visit_slice = [&](const OpSlice& slice) {
        const auto skipped = slice.id().counter - id.counter;
        return visit(lv + static_cast<Lv>(skipped), run, slice);
      };
      MERROW_TRY(ForEachOpSlice(block, id.counter, to, run.LamportAt(lv), visit_slice, joiner));
      lv += static_cast<Lv>(to - id.counter);
    }
  }
  return {};
}

/// The op is about an element of a movable list that it cannot know.
Error NoSuchElement(const OpSlice& slice);

class History {
 public:
  /// Of all ops in `log`, which must outlive this and not change meanwhile.
  explicit History(const OpLog& log) : History(log, {{0, log.graph().size()}}) {}
  /// Of the ops that make up one version.
  History(const OpLog& log, std::vector<LvSpan> atoms)
      : reader_(log), log_(log), atoms_(std::move(atoms)) {}

  /// Corruption unless the element that a set or move names was inserted by an op of the list that
  /// is before it in the order of arrival. What trimmed history may have inserted is believed.
  Status CheckElement(const OpSlice& slice);
  /// Where and what an element of a movable list is, by all ops of the version.
  Result<ElementHistory> Element(const ContainerId& list, IdLp element);
  /// The position at which the end anchor of a mark was inserted; nothing if the op ends no mark.
  /// Corruption if the start is trimmed. REQUIRES: the op is a kTextMarkEnd
  Result<std::optional<int64_t>> EndOfMark(const OpSlice& end);
  /// The state of a tree after its ops, replayed in the right order. `late` is the key of one that
  /// was missing, to which the tree's log reaches now and, of at least `log_max` ops, for some
  /// time.
  TreeState ReplayTree(const ContainerId& tree, IdLp late, size_t log_max);

 private:
  /// Calls visit(slice) for every op of the version that the base does not show.
  template <typename Visit>
  void ForEachOp(Visit&& visit);

  OpLog::Reader reader_;
  const OpLog& log_;
  const std::vector<LvSpan> atoms_;  // ascending
  struct List {
    MovableListHistory ops;
    MovableListState base;  // which `ops` refers to
  };
  std::unordered_map<ContainerId, List, ContainerIdHash> lists_;
};

}  // namespace merrow::loro
