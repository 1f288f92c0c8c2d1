// SPDX-License-Identifier: Apache-2.0
#include "loro/tree_steps.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace merrow::loro {
namespace {

class StepMaker {
 public:
  StepMaker(const TreeState& now, const TouchedNodes& touched) : now_(now), touched_(touched) {}

  TreeDelta Run() {
    for (const auto& [node, before] : touched_) {
      const bool was_shown = WasShown(node);
      const bool is_shown = now_.IsAlive(node);
      if (is_shown && before == PlaceOf(now_, node) && was_shown) continue;
      if (was_shown) {
        leftovers_[ParentKey(before->parent)].insert({before->position, before->last_move, node});
      }
      if (is_shown) {
        AddPlacement(node, !was_shown);
        if (!was_shown) AddBelow(node);
      } else if (was_shown) {
        deleted_.push_back(node);
      }
    }
    std::sort(placements_.begin(), placements_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.depth, a.parent, a.index) < std::tie(b.depth, b.parent, b.index);
    });
    for (size_t i = 0; i < placements_.size(); ++i) Place(i);
    for (const Id node : deleted_) Delete(node);
    return std::move(steps_);
  }

 private:
  // Nothing: the root.
  using Key = std::optional<Id>;
  // Siblings stand in this order.
  using SiblingOrder = std::tuple<Bytes, IdLp, Id>;

  struct Placement {
    size_t depth = 0;
    Key parent;
    uint32_t index = 0;  // in the end
    Id node;
    bool is_create = false;
    // The last sibling in front of it that does not move.
    std::optional<SiblingOrder> stable;
  };

  static Key ParentKey(const TreePlace& place) {
    return place.kind == TreeParent::kNode ? Key(place.node) : std::nullopt;
  }
  static TreePlace ToPlace(const Key& key) {
    return key.has_value() ? TreePlace::Below(*key) : TreePlace::Root();
  }

  // Whether a node was seen in the earlier version.
  bool WasShown(Id node) {
    std::vector<Id> way;
    bool was_shown = false;
    while (true) {
      const auto known = was_shown_.find(node);
      if (known != was_shown_.end()) {
        was_shown = known->second;
        break;
      }
      way.push_back(node);
      const auto touched = touched_.find(node);
      std::optional<TreePlace> parent;
      if (touched == touched_.end()) {
        parent = now_.Parent(node);
      } else if (touched->second.has_value()) {
        parent = touched->second->parent;
      }
      if (!parent.has_value() || parent->kind != TreeParent::kNode) {
        was_shown = parent.has_value() && parent->kind == TreeParent::kRoot;
        break;
      }
      node = parent->node;
    }
    for (const Id& step : way) was_shown_[step] = was_shown;
    return was_shown;
  }

  void AddPlacement(Id node, bool is_create) {
    const TreePlace parent = *now_.Parent(node);
    size_t depth = 0;
    for (TreePlace at = parent; at.kind == TreeParent::kNode; at = *now_.Parent(at.node)) ++depth;
    placements_.push_back({.depth = depth,
                           .parent = ParentKey(parent),
                           .index = *now_.IndexOf(node),
                           .node = node,
                           .is_create = is_create,
                           .stable = std::nullopt});
    placed_.insert(node);
  }

  // What was not touched appears with the node that it is below.
  void AddBelow(Id top) {
    std::vector<Id> parents = {top};
    while (!parents.empty()) {
      const Id parent = parents.back();
      parents.pop_back();
      for (const Id child : now_.Children(TreePlace::Below(parent))) {
        if (touched_.count(child) > 0) continue;
        AddPlacement(child, true);
        parents.push_back(child);
      }
    }
  }

  SiblingOrder OrderOf(Id node) const {
    return {*now_.Position(node), *now_.LastMoveKey(node), node};
  }

  void Place(size_t i) {
    Placement& item = placements_[i];
    // Back to a sibling that does not move, or to the one that was placed before this.
    for (uint32_t at = item.index; at > 0; --at) {
      const Id sibling = now_.ChildAt(ToPlace(item.parent), at - 1);
      if (i > 0 && placements_[i - 1].node == sibling) {
        item.stable = placements_[i - 1].stable;
        break;
      }
      if (placed_.count(sibling) == 0) {
        item.stable = OrderOf(sibling);
        break;
      }
    }
    if (!item.is_create) {
      const TreePlaceBefore& before = *touched_.at(item.node);
      leftovers_[ParentKey(before.parent)].erase({before.position, before.last_move, item.node});
    }
    uint32_t in_front = 0;
    const auto found = leftovers_.find(item.parent);
    if (item.stable.has_value() && found != leftovers_.end()) {
      in_front = static_cast<uint32_t>(
          std::distance(found->second.begin(), found->second.lower_bound(*item.stable)));
    }
    steps_.push_back({.kind = item.is_create ? TreeEdit::Kind::kCreate : TreeEdit::Kind::kMove,
                      .node = item.node,
                      .parent = item.parent,
                      .index = item.index + in_front,
                      .position = *now_.Position(item.node)});
  }

  // Only the topmost: what is below goes with it.
  void Delete(Id node) {
    const Key parent = ParentKey(touched_.at(node)->parent);
    if (parent.has_value() && !now_.IsAlive(*parent)) return;
    steps_.push_back({.kind = TreeEdit::Kind::kDelete,
                      .node = node,
                      .parent = std::nullopt,
                      .index = 0,
                      .position = {}});
  }

  const TreeState& now_;
  const TouchedNodes& touched_;
  std::map<Id, bool> was_shown_;
  std::vector<Placement> placements_;
  std::set<Id> placed_;
  std::vector<Id> deleted_;
  // Nodes that still stand below a parent where they do not stay, as the steps so far leave it.
  std::map<Key, std::set<SiblingOrder>> leftovers_;
  TreeDelta steps_;
};

}  // namespace

std::optional<TreePlaceBefore> PlaceOf(const TreeState& tree, Id node) {
  const std::optional<TreePlace> parent = tree.Parent(node);
  if (!parent.has_value()) return std::nullopt;
  return TreePlaceBefore{*parent, *tree.Position(node), *tree.LastMoveKey(node)};
}

TreeDelta TreeSteps(const TreeState& now, const TouchedNodes& touched) {
  return StepMaker(now, touched).Run();
}

TreeDelta DiffTrees(const TreeState& before, const TreeState& now) {
  TouchedNodes touched;
  for (const Id node : before.Nodes()) {
    std::optional<TreePlaceBefore> place = PlaceOf(before, node);
    if (place != PlaceOf(now, node)) touched.emplace(node, std::move(place));
  }
  for (const Id node : now.Nodes()) {
    if (!before.Contains(node)) touched.emplace(node, std::nullopt);
  }
  return TreeSteps(now, touched);
}

}  // namespace merrow::loro
