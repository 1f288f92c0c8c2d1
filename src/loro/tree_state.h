// SPDX-License-Identifier: Apache-2.0
//
// Tree state: what one Tree container looks like now.
//
// Every op moves one node below a parent: a create its new node, a delete below the deleted root.
// The state is what results from applying all ops of the container in the order of (lamport, peer),
// their key, leaving out each that would put a node below itself at that point. What was left out
// may apply when an op with a smaller key arrives later, and the other way round. So the state
// keeps the latest ops with what each replaced; ops that arrive late are merged by undoing the ones
// with larger keys and applying all of them in order again.
//
// A node exists from its first op on, its create, and for ever. What is below the deleted root is
// not seen and keeps its structure; moving a node out of there brings it back with everything below
// it. Children are ordered by (fractional index, key of the node's last move). An op whose parent
// does not exist, which no causal history has, does nothing.
//
// Invariants:
//   (1) Following parents ends at the root or the deleted root.
//   (2) The log is sorted by key and holds every op of the container whose key is not less than
//       that where it starts. It is at most log_max() long; the oldest are dropped.
//
// How much of a log pays depends on how late ops arrive. So an op that is older than the log makes
// it twice as long as it would have had to be, and when for some time nothing came that late, it is
// made shorter again.
//
// Cost: O(log n) per op, and, if more than some nodes are below the node, the depth of its new
// parent: about 4 ns a level, so that moves below the end of a chain of 100,000 nodes, which no one
// but an attacker makes, take 0.4 ms each.
//
// Thread-compatible.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loro/change_block.h"
#include "loro/op_slice.h"
#include "merrow/ids.h"
#include "merrow/result.h"

namespace merrow::loro {

struct TreeImage;

/// How many of the latest ops a tree keeps for merging, unless some arrived later than that.
inline constexpr size_t kTreeLogMax = 256;

/// Where a node can be.
struct TreePlace {
  TreeParent kind = TreeParent::kRoot;
  Id node;  // if kNode

  static TreePlace Root() { return {}; }
  static TreePlace Deleted() { return {TreeParent::kDeleted, {}}; }
  static TreePlace Below(Id node) { return {TreeParent::kNode, node}; }
  friend bool operator==(const TreePlace&, const TreePlace&) = default;
};

/// What an op does. It is a create iff the node is the op's own id.
struct TreeMove {
  Id id;  // of the op
  Lamport lamport = 0;
  Id node;
  TreePlace parent;
  Bytes position;  // fractional index; kFirstFractionalIndex if the parent is the deleted root
  /// It is one of the edits that the tree it is applied to just returned, and so makes no cycle.
  bool is_checked = false;

  IdLp key() const { return {lamport, id.peer}; }
  friend bool operator==(const TreeMove&, const TreeMove&) = default;
};

/// REQUIRES: the slice's op is a kTreeMove
TreeMove TreeMoveOf(const OpSlice& slice);

class TreeState {
 public:
  TreeState();
  ~TreeState();
  TreeState(TreeState&&) noexcept;
  TreeState& operator=(TreeState&&) noexcept;

  // --- Applying ops ---
  //
  // Which of the three: ApplyLatest for an op that follows everything (a local edit, a linear
  // import); else Merge if HasLogSince the smallest key; else Replay of the whole history.

  /// Applies one op. REQUIRES: its key is larger than that of every other op of the container.
  void ApplyLatest(TreeMove move);

  /// True if every op of the container with this key or a larger one is in the log.
  bool HasLogSince(IdLp key) const;

  /// Applies ops that were not applied before, in any order. REQUIRES: HasLogSince each key.
  void Merge(std::vector<TreeMove> moves);

  /// How long the log may be now.
  size_t log_max() const;
  /// Makes it at least so long, until for some time nothing arrives late.
  void KeepLog(size_t count);

  /// The state after exactly these ops, in any order. REQUIRES: no op is there twice.
  static TreeState Replay(std::vector<TreeMove> moves);

  // --- Reading ---

  /// Nodes that exist, deleted or not.
  size_t node_count() const;
  bool Contains(Id node) const;
  /// False also if it does not exist.
  bool IsAlive(Id node) const;
  /// Nothing if it does not exist, as with the next ones.
  std::optional<TreePlace> Parent(Id node) const;
  std::optional<Bytes> Position(Id node) const;
  /// Id of the op that moved it last.
  std::optional<Id> LastMove(Id node) const;
  /// Key of that op: it orders siblings with equal positions.
  std::optional<IdLp> LastMoveKey(Id node) const;
  /// The nodes that ops with this key or a larger one are about, some of them several times; what a
  /// merge from there on may move. REQUIRES: HasLogSince(key)
  std::vector<Id> NodesMovedSince(IdLp key) const;
  /// Every node that exists, in no special order.
  std::vector<Id> Nodes() const;
  /// Its place among its siblings; nothing also if it is directly below the deleted root.
  std::optional<uint32_t> IndexOf(Id node) const;

  /// 0 for a node that does not exist and for the deleted root, whose children have no order.
  uint32_t ChildCount(const TreePlace& parent) const;
  /// REQUIRES: index < ChildCount(parent)
  Id ChildAt(const TreePlace& parent, uint32_t index) const;
  std::vector<Id> Children(const TreePlace& parent) const;

  // --- What local edits write ---
  //
  // Each returns the ops of the edit in order, to be given ids and applied with ApplyLatest. The
  // first is the edit itself, the others give new positions to siblings that had the same one.

  struct Edit {
    Id node;
    TreePlace parent;
    Bytes position;

    friend bool operator==(const Edit&, const Edit&) = default;
  };
  /// Creates `node`, the id that the first op will have. Without `index`: as the last child. A
  /// parent that is not alive is fine; not found if it does not exist.
  Result<std::vector<Edit>> EditsForCreate(Id node, const TreePlace& parent,
                                           std::optional<uint32_t> index) const;
  /// `index` counts the other children. No edits if it stands there. Not found if it does not exist
  /// or was deleted itself (below a deleted one is fine); conflict if the parent is below it.
  Result<std::vector<Edit>> EditsForMove(Id node, const TreePlace& parent,
                                         std::optional<uint32_t> index) const;
  /// Not found as in EditsForMove.
  Result<std::vector<Edit>> EditsForDelete(Id node) const;

  // --- Images ---

  /// `lamport_max`: no op of the container has a larger lamport, so that later ones can be merged
  /// without history. Corruption if a parent is missing, parents form a cycle or a node is there
  /// twice.
  static Result<TreeState> FromImage(TreeImage image, Lamport lamport_max);
  TreeImage ToImage() const;

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  friend class TreeJson;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes the nodes that are alive as JSON, in Loro's shape with sorted keys:
///   [{"children":[..],"fractional_index":"80","id":"0@1","index":0,"meta":{..},"parent":null}, ..]
/// "meta" is the deep value of the Map container that is named after the node. The caller writes
/// it, so that neither depth of nodes nor of containers needs the program's stack.
class TreeJson {
 public:
  /// `tree` must outlive this and not change meanwhile.
  explicit TreeJson(const TreeState& tree) : tree_(tree) {}

  /// Appends JSON up to where the value of a "meta" is due, and returns its node; the caller
  /// appends the value ("{}" if there is no such container) and calls again. Nothing at the end.
  std::optional<Id> Next(std::string* out);

 private:
  struct Level {
    uint32_t parent;  // index of a node, or the root's
    uint32_t child = 0;
  };

  const TreeState& tree_;
  std::vector<Level> levels_;
  enum class Step : uint8_t { kStart, kChild, kAfterMeta, kDone };
  Step step_ = Step::kStart;
};

}  // namespace merrow::loro
