// SPDX-License-Identifier: Apache-2.0
#include "loro/history.h"

#include "merrow/check.h"

namespace merrow::loro {

Result<ElementHistory> History::Element(const ContainerId& list, IdLp element) {
  const auto inserted = lists_.try_emplace(list);
  MovableListHistory& history = inserted.first->second;
  if (inserted.second) {
    for (const LvSpan& span : atoms_) {
      const Status visited =
          ForEachSlice(log_, reader_, span, [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
            if (slice.container() == list) history.Add(slice);
            return Status();
          });
      MERROW_CHECK(visited.ok());
    }
  }
  return history.Find(element);
}

std::vector<TreeMove> History::TreeMoves(const ContainerId& tree) {
  std::vector<TreeMove> moves;
  for (const LvSpan& span : atoms_) {
    const Status visited =
        ForEachSlice(log_, reader_, {span.start, std::min(span.end, end_)},
                     [&](Lv, const CausalGraph::Run&, const OpSlice& slice) {
                       if (slice.op->kind == OpKind::kTreeMove && slice.container() == tree) {
                         moves.push_back(TreeMoveOf(slice));
                       }
                       return Status();
                     });
    MERROW_CHECK(visited.ok());
  }
  return moves;
}

}  // namespace merrow::loro
