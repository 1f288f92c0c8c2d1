// SPDX-License-Identifier: Apache-2.0
#include "loro/history.h"

#include "base/check.h"

namespace merrow::loro {

Result<ElementHistory> History::Element(const ContainerId& list, IdLp element) {
  const auto [it, is_new] = lists_.try_emplace(list);
  if (is_new) {
    const Status visited = ForEachSliceSince(
        log_, reader_, 0, 0, [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
          if (slice.container() == list) it->second.Add(slice);
          return Status();
        });
    MERROW_CHECK(visited.ok());
  }
  return it->second.Find(element);
}

std::vector<TreeMove> History::TreeMoves(const ContainerId& tree) {
  std::vector<TreeMove> moves;
  const Status visited = ForEachSliceSince(
      log_, reader_, 0, 0, [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
        if (slice.op->kind == OpKind::kTreeMove && slice.container() == tree) {
          moves.push_back(TreeMoveOf(slice));
        }
        return Status();
      });
  MERROW_CHECK(visited.ok());
  return moves;
}

}  // namespace merrow::loro
