// SPDX-License-Identifier: Apache-2.0
//
// Tree steps: the delta of a tree, from where the nodes that were moved had been and where they are
// now.
//
// Nodes whose place did not change keep their order, so they are never moved. The others are put
// where they belong from the top down and, among siblings, from the front, each right behind the
// sibling that it follows; what goes is deleted last. From the top down, the new parent of a node
// stands where it will stay, so no step puts a node below itself. Where a step puts a node counts
// siblings that a later step takes away.

#pragma once

#include <map>
#include <optional>

#include "loro/tree_state.h"
#include "merrow/delta.h"

namespace merrow::loro {

/// Where a node was, as TreeState stored it.
struct TreePlaceBefore {
  TreePlace parent;
  Bytes position;
  IdLp last_move;

  friend bool operator==(const TreePlaceBefore&, const TreePlaceBefore&) = default;
};

/// Nodes that may have moved, with where they were; nothing for those that did not exist.
using TouchedNodes = std::map<Id, std::optional<TreePlaceBefore>>;

std::optional<TreePlaceBefore> PlaceOf(const TreeState& tree, Id node);

/// What turns the earlier version into `now`. `touched` has every node whose place changed. Cost:
/// the touched nodes and what appears below them, each times its depth.
TreeDelta TreeSteps(const TreeState& now, const TouchedNodes& touched);

/// What turns `before` into `now`. Cost: both trees.
TreeDelta DiffTrees(const TreeState& before, const TreeState& now);

}  // namespace merrow::loro
