// SPDX-License-Identifier: Apache-2.0
#include "loro/history.h"

#include <algorithm>

#include "loro/history_base.h"
#include "merrow/check.h"

namespace merrow::loro {

Error NoSuchElement(const OpSlice& slice) {
  return Corruption("op " + ToString(slice.id()) + " is about an element with lamport " +
                    std::to_string(slice.op->element.lamport) + " of peer " +
                    std::to_string(slice.op->element.peer) +
                    ", which no op before it inserted into its list");
}

Status History::CheckElement(const OpSlice& slice) {
  const CausalGraph& graph = log_.graph();
  const IdLp& element = slice.op->element;
  const std::optional<Lv> lv = graph.LvOf(element);
  if (!lv.has_value()) {
    const HistoryBase* const base = log_.base();
    const bool may_be_trimmed = base != nullptr && element.lamport <= base->lamport() &&
                                base->start().trimmed.End(element.peer) > 0;
    return may_be_trimmed ? Status() : NoSuchElement(slice);
  }
  if (lv >= graph.LvOf(slice.id())) return NoSuchElement(slice);
  const Id id = graph.IdOf(*lv);
  const ChangeBlock& block = reader_.BlockAt(id);
  const auto op = std::upper_bound(block.ops.begin(), block.ops.end(), id.counter,
                                   [](Counter at, const Op& other) { return at < other.end(); });
  MERROW_CHECK(op != block.ops.end());
  const bool is_insert =
      op->kind == OpKind::kListInsert && block.containers[op->container] == slice.container();
  return is_insert ? Status() : NoSuchElement(slice);
}

Result<ElementHistory> History::Element(const ContainerId& list, IdLp element) {
  const auto inserted = lists_.try_emplace(list);
  List& history = inserted.first->second;
  if (inserted.second) {
    if (log_.base() != nullptr) {
      Container::AnyState base = log_.base()->DecodeContainer(list);
      if (auto* state = std::get_if<MovableListState>(&base)) {
        history.base = std::move(*state);
        history.ops.AddBase(history.base);
      }
    }
    ForEachOp([&](const OpSlice& slice) {
      if (slice.container() == list) history.ops.Add(slice);
    });
  }
  return history.ops.Find(element);
}

Result<std::optional<int64_t>> History::EndOfMark(const OpSlice& end) {
  const Id start_id = end.id().Plus(-1);
  const ChangeBlock* block = end.block;
  const Op* start = end.op - 1;
  if (end.op == block->ops.data()) {
    // A mark can be cut in two. Its start says where both anchors are.
    if (log_.graph().IsTrimmed(start_id)) {
      return Corruption("the mark that ends at " + ToString(end.id()) +
                        " starts in trimmed history");
    }
    if (!log_.graph().LvOf(start_id).has_value()) return std::optional<int64_t>();
    block = &reader_.BlockAt(start_id);
    start = &block->ops.back();
  }
  const bool is_start = start->kind == OpKind::kTextMarkStart &&
                        start->counter == start_id.counter &&
                        block->containers[start->container] == end.container();
  if (!is_start) return std::optional<int64_t>();
  return std::optional(int64_t{start->prop} + start->mark_length + 1);
}

TreeState History::ReplayTree(const ContainerId& tree, IdLp late, size_t log_max) {
  std::vector<TreeMove> moves;
  ForEachOp([&](const OpSlice& slice) {
    if (slice.op->kind == OpKind::kTreeMove && slice.container() == tree) {
      moves.push_back(TreeMoveOf(slice));
    }
  });
  const auto reached = std::count_if(moves.begin(), moves.end(),
                                     [late](const TreeMove& move) { return move.key() >= late; });
  TreeState state;
  if (log_.base() != nullptr) {
    Container::AnyState base = log_.base()->DecodeContainer(tree);
    if (auto* loaded = std::get_if<TreeState>(&base)) state = std::move(*loaded);
  }
  state.KeepLog(std::max(log_max, 2 * static_cast<size_t>(reached)));
  // All of these follow what the base shows, so they are larger.
  state.Merge(std::move(moves));
  return state;
}

template <typename Visit>
void History::ForEachOp(Visit&& visit) {
  for (const LvSpan& span : atoms_) {
    const LvSpan cut{std::max(span.start, log_.graph().start_size()), span.end};
    const Status visited =
        ForEachSlice(log_, reader_, cut, [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
          visit(slice);
          return Status();
        });
    MERROW_CHECK(visited.ok());
  }
}

}  // namespace merrow::loro
