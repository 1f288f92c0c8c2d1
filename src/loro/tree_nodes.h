// SPDX-License-Identifier: Apache-2.0
//
// Tree nodes: the node table of a Tree. It knows where each node is and keeps its children in
// order; which ops count and when is TreeState's.
//
// Nodes are numbered as they come. Peers are numbered as well, so that an id takes 8 bytes; what
// the way up from a node reads, its parents, stands apart from the rest and stays in the cache.
//
// Invariants:
//   (1) A node is among the children of its parent, in the order of (position, key of the last
//       move), unless the parent is kDeleted or kUnborn.
//   (2) A node that is kUnborn has no children.
//
// Thread-compatible.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loro/hash_index.h"
#include "loro/tree_position.h"
#include "loro/tree_siblings.h"
#include "merrow/ids.h"

namespace merrow::loro {

class TreeNodes {
 public:
  /// A node by its number, or one of these.
  using Index = uint32_t;
  static constexpr Index kRoot = UINT32_MAX;
  static constexpr Index kDeleted = UINT32_MAX - 1;
  /// The parent of a node that does not exist, because its ops were undone or did not apply.
  static constexpr Index kUnborn = UINT32_MAX - 2;
  static bool IsNode(Index index) { return index < kUnborn; }

  /// An id with its peer's number.
  struct ShortId {
    uint32_t peer = 0;
    Counter counter = 0;

    friend bool operator==(const ShortId&, const ShortId&) = default;
  };

  /// Where a node is, and since which op.
  struct Placement {
    TreePosition position;
    Index parent = kUnborn;
    Lamport lamport = 0;
    ShortId move;
  };

  uint32_t size() const { return static_cast<uint32_t>(parents_.size()); }
  /// Nodes that are not kUnborn.
  uint32_t born() const { return born_; }
  void Reserve(size_t count);

  /// The node with this id, kUnborn or not.
  std::optional<Index> Find(Id id) const;
  /// The same; it is added, kUnborn, if it is not there.
  Index Open(Id id);

  ShortId Shorten(Id id);
  Id Full(ShortId id) const { return {peers_[id.peer], id.counter}; }
  PeerId peer(ShortId id) const { return peers_[id.peer]; }

  Id id(Index node) const { return Full(ids_[node]); }
  Index parent(Index node) const { return parents_[node]; }
  bool IsBorn(Index node) const { return parents_[node] != kUnborn; }
  const TreePosition& position(Index node) const { return rest_[node].position; }
  Lamport lamport(Index node) const { return rest_[node].lamport; }
  Id last_move(Index node) const { return Full(rest_[node].move); }

  /// Moves a node to `*placement`, and stores there where it was. REQUIRES: no cycle results
  void Exchange(Index node, Placement* placement);

  /// True if `node` is `ancestor` or below it. Cost: the smaller of the depth of `node` and, up to
  /// a limit, the number of nodes below `ancestor`.
  bool IsWithin(Index node, Index ancestor) const;

  /// Of a node or kRoot.
  const TreeSiblings& children(Index parent) const {
    return parent == kRoot ? root_children_ : rest_[parent].children;
  }
  /// Its place among its siblings. REQUIRES: its parent is a node or kRoot
  uint32_t RankOf(Index node) const;

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  struct Rest {
    TreePosition position;
    TreeSiblings children;
    ShortId move;
    Lamport lamport = 0;
  };

  std::optional<uint32_t> FindPeer(PeerId peer) const;
  bool Precedes(Index a, Index b) const;
  bool TiePrecedes(Index a, Index b) const;
  TreeSiblings& ChildrenOf(Index parent) {
    return parent == kRoot ? root_children_ : rest_[parent].children;
  }
  void Link(Index node);
  void Unlink(Index node);
  std::optional<bool> IsInSmallTree(Index node, Index top) const;

  std::vector<Index> parents_;
  std::vector<ShortId> ids_;
  std::vector<Rest> rest_;
  HashIndex index_;  // of ids_
  TreeSiblings root_children_;
  uint32_t born_ = 0;

  std::vector<PeerId> peers_;
  HashIndex peer_index_;
};

}  // namespace merrow::loro
