// SPDX-License-Identifier: Apache-2.0
//
// Tree model: what a Tree is, by its definition: all ops sorted by (lamport, peer) and applied to a
// plain map, without those that would put a node below itself. Linked by tests only.

#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "loro/fractional_index.h"
#include "loro/tree_state.h"

namespace merrow::loro {

class TreeModel {
 public:
  struct Node {
    TreePlace parent;
    Bytes position;
    IdLp move;
    Id move_id;
  };

  explicit TreeModel(std::vector<TreeMove> moves) {
    std::sort(moves.begin(), moves.end(),
              [](const TreeMove& a, const TreeMove& b) { return a.key() < b.key(); });
    for (const TreeMove& move : moves) {
      if (move.parent.kind == TreeParent::kNode && !nodes_.contains(move.parent.node)) continue;
      if (IsWithin(move.parent, move.node)) {
        ++cycles_;
        continue;
      }
      nodes_[move.node] = {move.parent, move.position, move.key(), move.id};
    }
  }

  bool IsWithin(TreePlace place, Id node) const {
    while (place.kind == TreeParent::kNode) {
      if (place.node == node) return true;
      place = nodes_.at(place.node).parent;
    }
    return false;
  }

  bool IsAlive(Id node) const {
    TreePlace place = TreePlace::Below(node);
    while (place.kind == TreeParent::kNode) place = nodes_.at(place.node).parent;
    return place.kind == TreeParent::kRoot;
  }

  std::vector<Id> Children(const TreePlace& parent) const {
    std::vector<std::tuple<Bytes, IdLp, Id>> sorted;
    for (const auto& [id, node] : nodes_) {
      if (node.parent == parent) sorted.emplace_back(node.position, node.move, id);
    }
    std::sort(sorted.begin(), sorted.end());
    std::vector<Id> children;
    for (const auto& [position, move, id] : sorted) children.push_back(id);
    return children;
  }

  /// The children of `parent` and all below them. `append_data` writes the data of a node.
  template <typename AppendData>
  std::string Json(const TreePlace& parent, AppendData&& append_data) const {
    std::string json = "[";
    const std::vector<Id> children = Children(parent);
    for (size_t i = 0; i < children.size(); ++i) {
      const Id id = children[i];
      if (i > 0) json += ",";
      json +=
          "{\"children\":" + Json(TreePlace::Below(id), append_data) + ",\"fractional_index\":\"";
      AppendFractionalIndexHex(nodes_.at(id).position, &json);
      json += "\",\"id\":\"" + ToString(id) + "\",\"index\":" + std::to_string(i) + ",\"meta\":";
      append_data(id, &json);
      json += ",\"parent\":";
      json += parent.kind == TreeParent::kRoot ? "null" : "\"" + ToString(parent.node) + "\"";
      json += "}";
    }
    return json + "]";
  }

  const std::map<Id, Node>& nodes() const { return nodes_; }
  size_t cycles() const { return cycles_; }

 private:
  std::map<Id, Node> nodes_;
  size_t cycles_ = 0;
};

}  // namespace merrow::loro
