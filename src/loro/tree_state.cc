// SPDX-License-Identifier: Apache-2.0
#include "loro/tree_state.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "loro/fractional_index.h"
#include "loro/hash_index.h"
#include "loro/leaf_tree.h"
#include "loro/state_codec.h"
#include "loro/tie_break.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

/// A node by its index in the vector of nodes, or one of these.
using NodeIndex = uint32_t;
constexpr NodeIndex kRoot = UINT32_MAX;
constexpr NodeIndex kDeleted = UINT32_MAX - 1;
/// The parent of a node whose ops were all undone. It has no children then.
constexpr NodeIndex kUnborn = UINT32_MAX - 2;

// --- Siblings ---

struct ChildCountSum {
  uint32_t count = 0;

  ChildCountSum& operator+=(const ChildCountSum& other) {
    count += other.count;
    return *this;
  }
  ChildCountSum& operator-=(const ChildCountSum& other) {
    count -= other.count;
    return *this;
  }
  friend bool operator==(const ChildCountSum&, const ChildCountSum&) = default;
};

struct ChildLeaf : LeafHook<ChildLeaf, ChildCountSum> {
  std::vector<NodeIndex> nodes;

  ChildCountSum sum() const { return {static_cast<uint32_t>(nodes.size())}; }
};

/// The children of one parent; their owner keeps them in order.
class Siblings {
 public:
  uint32_t count() const { return tree_.total().count; }

  /// REQUIRES: i < count()
  NodeIndex At(uint32_t i) const {
    const ChildLeaf* const leaf = tree_.Find(Count, &i);
    return leaf->nodes[i];
  }

  /// REQUIRES: i <= count()
  void Insert(uint32_t i, NodeIndex node) {
    if (tree_.empty()) tree_.InsertAfter(nullptr, std::make_unique<ChildLeaf>());
    ChildLeaf* leaf = tree_.Find(Count, &i);
    if (leaf->nodes.size() == kLeafMax) {
      const bool at_end = i == kLeafMax;
      ChildLeaf* const right = Split(leaf, at_end ? kLeafMax : kLeafMax / 2);
      if (i > leaf->nodes.size() || at_end) {
        i -= static_cast<uint32_t>(leaf->nodes.size());
        leaf = right;
      }
    }
    const ChildCountSum before = leaf->sum();
    leaf->nodes.insert(leaf->nodes.begin() + i, node);
    tree_.Update(leaf, before);
  }

  /// REQUIRES: i < count()
  void Remove(uint32_t i) {
    ChildLeaf* const leaf = tree_.Find(Count, &i);
    const ChildCountSum before = leaf->sum();
    leaf->nodes.erase(leaf->nodes.begin() + i);
    if (leaf->nodes.empty()) {
      tree_.Remove(leaf, before);
      return;
    }
    tree_.Update(leaf, before);
    ChildLeaf* const next = leaf->next;
    if (next == nullptr || leaf->nodes.size() + next->nodes.size() > kLeafMax / 2) return;
    const ChildCountSum alone = leaf->sum();
    const ChildCountSum counted = next->sum();
    leaf->nodes.insert(leaf->nodes.end(), next->nodes.begin(), next->nodes.end());
    tree_.Update(leaf, alone);
    tree_.Remove(next, counted);
  }

  size_t MemoryBytes() const {
    size_t bytes = sizeof(Siblings) + tree_.InnerBytes();
    for (const ChildLeaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      bytes += sizeof(ChildLeaf) + leaf->nodes.capacity() * sizeof(NodeIndex);
    }
    return bytes;
  }

  void CheckInvariants() const { tree_.CheckInvariants(); }

 private:
  static constexpr size_t kLeafMax = 64;
  static uint32_t Count(const ChildCountSum& sum) { return sum.count; }

  ChildLeaf* Split(ChildLeaf* leaf, size_t keep) {
    const ChildCountSum before = leaf->sum();
    auto right = std::make_unique<ChildLeaf>();
    const auto cut = leaf->nodes.begin() + static_cast<std::ptrdiff_t>(keep);
    right->nodes.assign(cut, leaf->nodes.end());
    leaf->nodes.erase(cut, leaf->nodes.end());
    tree_.Update(leaf, before);
    return tree_.InsertAfter(leaf, std::move(right));
  }

  LeafTree<ChildLeaf, ChildCountSum> tree_;
};

// --- Nodes and the log ---

/// Where a node is, and since which op.
struct Placement {
  NodeIndex parent = kUnborn;
  Lamport lamport = 0;
  Id move;
  Bytes position;
};

struct Node {
  Id id;
  Placement at;
  std::unique_ptr<Siblings> children;  // null if there are none
};

struct LogEntry {
  TreeMove move;
  // What it did: nothing, or it moved `node` away from `before`.
  bool effective = false;
  NodeIndex node = 0;
  Placement before;
};

bool KeyLess(const TreeMove& a, const TreeMove& b) { return TreeOpAppliesBefore(a.key(), b.key()); }

size_t IdHash(const Id& id) {
  const uint64_t mixed =
      (id.peer ^ (static_cast<uint64_t>(id.counter) << 32)) * 0x9e3779b97f4a7c15U;
  return static_cast<size_t>(mixed ^ (mixed >> 32));
}

size_t HeapBytes(const Bytes& bytes) {
  return bytes.capacity() > Bytes().capacity() ? bytes.capacity() + 1 : 0;
}

Error NoSuchNode(Id node) { return NotFound("tree node " + ToString(node) + " does not exist"); }

}  // namespace

TreeMove TreeMoveOf(const OpSlice& slice) {
  const Op& op = *slice.op;
  MERROW_CHECK(op.kind == OpKind::kTreeMove);
  TreeMove move{.id = slice.id(),
                .lamport = slice.lamport,
                .node = op.target,
                .parent = {op.parent_kind, {}},
                .position = Bytes(kFirstFractionalIndex)};
  if (op.parent_kind == TreeParent::kNode) move.parent.node = op.parent;
  if (op.parent_kind != TreeParent::kDeleted) move.position = slice.block->positions[op.position];
  return move;
}

struct TreeState::Impl {
  // --- Nodes ---

  /// A node that exists.
  std::optional<NodeIndex> Find(Id id) const {
    const std::optional<NodeIndex> found = FindRecord(id);
    return found.has_value() && nodes[*found].at.parent != kUnborn ? found : std::nullopt;
  }

  /// A node that exists or did before its ops were undone.
  std::optional<NodeIndex> FindRecord(Id id) const {
    return index.Find(nodes.size(), IdHash(id), [&](uint32_t i) { return nodes[i].id == id; });
  }

  NodeIndex AddRecord(Id id) {
    nodes.emplace_back();
    nodes.back().id = id;
    index.Added(nodes.size(), [this](uint32_t i) { return IdHash(nodes[i].id); });
    return static_cast<NodeIndex>(nodes.size() - 1);
  }

  std::optional<NodeIndex> Resolve(const TreePlace& place) const {
    switch (place.kind) {
      case TreeParent::kRoot:
        return kRoot;
      case TreeParent::kDeleted:
        return kDeleted;
      case TreeParent::kNode:
        return Find(place.node);
    }
    MERROW_CHECK(false);
  }

  TreePlace PlaceOf(NodeIndex parent) const {
    if (parent == kRoot) return TreePlace::Root();
    if (parent == kDeleted) return TreePlace::Deleted();
    return TreePlace::Below(nodes[parent].id);
  }

  /// True if `node` is `ancestor` or below it.
  bool IsWithin(NodeIndex node, NodeIndex ancestor) const {
    while (node != ancestor) {
      if (node >= nodes.size()) return false;
      node = nodes[node].at.parent;
    }
    return true;
  }

  // --- Children ---

  /// Null if there are none or they have no order.
  const Siblings* ChildrenOf(NodeIndex parent) const {
    if (parent == kRoot) return &root_children;
    return parent == kDeleted ? nullptr : nodes[parent].children.get();
  }

  uint32_t ChildCount(NodeIndex parent) const {
    const Siblings* const children = ChildrenOf(parent);
    return children == nullptr ? 0 : children->count();
  }

  bool Precedes(NodeIndex a, NodeIndex b) const {
    const auto key = [](const Node& node) {
      return std::tie(node.at.position, node.at.lamport, node.at.move.peer, node.id);
    };
    return key(nodes[a]) < key(nodes[b]);
  }

  /// How many of the siblings stand in front of `node`, which need not be one of them.
  uint32_t RankOf(NodeIndex node, const Siblings& siblings) const {
    uint32_t low = 0;
    uint32_t high = siblings.count();
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (Precedes(siblings.At(middle), node)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /// Enters a node into its parent's children.
  void Link(NodeIndex node) {
    const NodeIndex parent = nodes[node].at.parent;
    if (parent == kDeleted || parent == kUnborn) return;
    Siblings* siblings = &root_children;
    if (parent != kRoot) {
      std::unique_ptr<Siblings>& children = nodes[parent].children;
      if (children == nullptr) children = std::make_unique<Siblings>();
      siblings = children.get();
    }
    siblings->Insert(RankOf(node, *siblings), node);
  }

  void Unlink(NodeIndex node) {
    const NodeIndex parent = nodes[node].at.parent;
    if (parent == kDeleted || parent == kUnborn) return;
    Siblings* const siblings = parent == kRoot ? &root_children : nodes[parent].children.get();
    const uint32_t rank = RankOf(node, *siblings);
    MERROW_CHECK(siblings->At(rank) == node);
    siblings->Remove(rank);
    if (parent != kRoot && siblings->count() == 0) nodes[parent].children.reset();
  }

  // --- Ops ---

  /// Applies an op after all that were applied, or finds that it does nothing.
  LogEntry Apply(TreeMove move) {
    LogEntry entry{.move = std::move(move), .effective = false, .node = 0, .before = {}};
    const std::optional<NodeIndex> parent = Resolve(entry.move.parent);
    if (!parent.has_value()) return entry;
    std::optional<NodeIndex> node = FindRecord(entry.move.node);
    if (node.has_value()) {
      if (*parent == *node) return entry;
      if (nodes[*node].children != nullptr && IsWithin(*parent, *node)) return entry;
    } else {
      node = AddRecord(entry.move.node);
    }
    entry.effective = true;
    entry.node = *node;
    Unlink(*node);
    entry.before = std::exchange(nodes[*node].at, {.parent = *parent,
                                                   .lamport = entry.move.lamport,
                                                   .move = entry.move.id,
                                                   .position = entry.move.position});
    born += entry.before.parent == kUnborn ? 1 : 0;
    Link(*node);
    return entry;
  }

  /// Takes back the op that was applied last. Returns it.
  TreeMove Undo(LogEntry entry) {
    if (entry.effective) {
      Unlink(entry.node);
      nodes[entry.node].at = std::move(entry.before);
      born -= nodes[entry.node].at.parent == kUnborn ? 1 : 0;
      Link(entry.node);
    }
    return std::move(entry.move);
  }

  void Append(LogEntry entry) {
    if (log.size() == kTreeLogMax) {
      log.erase(log.begin(), log.begin() + kTreeLogMax / 2);
      log_start = log.front().move.key();
    }
    log.push_back(std::move(entry));
  }

  // --- Edits ---

  /// The edits that put `node` in front of the `at`-th child of `parent`, not counting itself if it
  /// is one, which `own_rank` tells then.
  std::vector<Edit> EditsFor(Id node, NodeIndex parent, uint32_t at,
                             std::optional<uint32_t> own_rank) const {
    const Siblings* const siblings = ChildrenOf(parent);
    const uint32_t count = ChildCount(parent) - (own_rank.has_value() ? 1 : 0);
    const auto child = [&](uint32_t i) {
      return siblings->At(own_rank.has_value() && i >= *own_rank ? i + 1 : i);
    };
    const auto position = [&](uint32_t i) { return BytesView(nodes[child(i)].at.position); };

    std::optional<BytesView> left;
    std::optional<BytesView> right;
    if (at > 0) left = position(at - 1);
    if (at < count) right = position(at);
    // Those behind it that stand at the same position as the one in front of it must move along.
    uint32_t end = at;
    if (left.has_value() && left == right) {
      while (end < count && position(end) == *left) ++end;
      right = end < count ? std::optional(position(end)) : std::nullopt;
    }
    uint32_t start = at;
    std::optional<std::vector<Bytes>> positions =
        FractionalIndexesBetween(left, right, end - at + 1);
    if (!positions.has_value()) {
      // Only positions that no Loro wrote have nothing between them: all siblings get new ones.
      start = 0;
      end = count;
      positions = FractionalIndexesBetween(std::nullopt, std::nullopt, count + 1);
      MERROW_CHECK(positions.has_value());
    }
    const TreePlace place = PlaceOf(parent);
    std::vector<Edit> edits;
    edits.push_back({node, place, std::move((*positions)[at - start])});
    for (uint32_t i = start; i < end; ++i) {
      edits.push_back({nodes[child(i)].id, place, (*positions)[i - start + (i < at ? 0 : 1)]});
    }
    return edits;
  }

  /// The parent of an edit.
  Result<NodeIndex> ResolveParent(const TreePlace& place) const {
    if (place.kind == TreeParent::kDeleted) {
      return InvalidArgument("a tree node cannot be put below the deleted root");
    }
    const std::optional<NodeIndex> parent = Resolve(place);
    if (!parent.has_value()) return NoSuchNode(place.node);
    return *parent;
  }

  /// The node of an edit of an existing one.
  Result<NodeIndex> ResolveNode(Id id) const {
    const std::optional<NodeIndex> node = Find(id);
    if (!node.has_value()) return NoSuchNode(id);
    if (nodes[*node].at.parent == kDeleted) {
      return NotFound("tree node " + ToString(id) + " is deleted");
    }
    return *node;
  }

  std::vector<Node> nodes;
  HashIndex index;
  Siblings root_children;
  size_t born = 0;  // nodes that exist

  std::vector<LogEntry> log;
  IdLp log_start;
};

TreeState::TreeState() : impl_(std::make_unique<Impl>()) {}
TreeState::~TreeState() = default;
TreeState::TreeState(TreeState&&) noexcept = default;
TreeState& TreeState::operator=(TreeState&&) noexcept = default;

void TreeState::ApplyLatest(TreeMove move) {
  MERROW_CHECK(impl_->log.empty() || KeyLess(impl_->log.back().move, move));
  impl_->log_start = std::min(impl_->log_start, move.key());
  impl_->Append(impl_->Apply(std::move(move)));
}

bool TreeState::HasLogSince(IdLp key) const { return key >= impl_->log_start; }

void TreeState::Merge(std::vector<TreeMove> moves) {
  if (moves.empty()) return;
  const IdLp first = std::min_element(moves.begin(), moves.end(), KeyLess)->key();
  MERROW_CHECK(HasLogSince(first));
  std::vector<LogEntry>& log = impl_->log;
  while (!log.empty() && log.back().move.key() > first) {
    moves.push_back(impl_->Undo(std::move(log.back())));
    log.pop_back();
  }
  std::sort(moves.begin(), moves.end(), KeyLess);
  for (TreeMove& move : moves) impl_->Append(impl_->Apply(std::move(move)));
}

TreeState TreeState::Replay(std::vector<TreeMove> moves) {
  TreeState tree;
  std::sort(moves.begin(), moves.end(), KeyLess);
  for (TreeMove& move : moves) tree.impl_->Append(tree.impl_->Apply(std::move(move)));
  return tree;
}

size_t TreeState::node_count() const { return impl_->born; }
bool TreeState::Contains(Id node) const { return impl_->Find(node).has_value(); }

bool TreeState::IsAlive(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  return found.has_value() && impl_->IsWithin(*found, kRoot);
}

std::optional<TreePlace> TreeState::Parent(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return impl_->PlaceOf(impl_->nodes[*found].at.parent);
}

std::optional<Bytes> TreeState::Position(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return impl_->nodes[*found].at.position;
}

std::optional<Id> TreeState::LastMove(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return impl_->nodes[*found].at.move;
}

std::optional<IdLp> TreeState::LastMoveKey(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  const Placement& at = impl_->nodes[*found].at;
  return IdLp{at.lamport, at.move.peer};
}

std::vector<Id> TreeState::NodesMovedSince(IdLp key) const {
  MERROW_CHECK(HasLogSince(key));
  std::vector<Id> nodes;
  for (auto entry = impl_->log.rbegin(); entry != impl_->log.rend() && entry->move.key() >= key;
       ++entry) {
    nodes.push_back(entry->move.node);
  }
  return nodes;
}

std::vector<Id> TreeState::Nodes() const {
  std::vector<Id> nodes;
  nodes.reserve(impl_->born);
  for (const Node& node : impl_->nodes) {
    if (node.at.parent != kUnborn) nodes.push_back(node.id);
  }
  return nodes;
}

std::optional<uint32_t> TreeState::IndexOf(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  const Siblings* const siblings = impl_->ChildrenOf(impl_->nodes[*found].at.parent);
  if (siblings == nullptr) return std::nullopt;
  return impl_->RankOf(*found, *siblings);
}

uint32_t TreeState::ChildCount(const TreePlace& parent) const {
  const std::optional<NodeIndex> found = impl_->Resolve(parent);
  return found.has_value() ? impl_->ChildCount(*found) : 0;
}

Id TreeState::ChildAt(const TreePlace& parent, uint32_t index) const {
  MERROW_CHECK(index < ChildCount(parent));
  return impl_->nodes[impl_->ChildrenOf(*impl_->Resolve(parent))->At(index)].id;
}

std::vector<Id> TreeState::Children(const TreePlace& parent) const {
  std::vector<Id> children;
  const uint32_t count = ChildCount(parent);
  children.reserve(count);
  for (uint32_t i = 0; i < count; ++i) children.push_back(ChildAt(parent, i));
  return children;
}

Result<std::vector<TreeState::Edit>> TreeState::EditsForCreate(
    Id node, const TreePlace& parent, std::optional<uint32_t> index) const {
  MERROW_ASSIGN(const NodeIndex below, impl_->ResolveParent(parent));
  const uint32_t count = impl_->ChildCount(below);
  if (index.value_or(0) > count) {
    return InvalidArgument("tree index " + std::to_string(*index) + " is larger than the " +
                           std::to_string(count) + " children");
  }
  return impl_->EditsFor(node, below, index.value_or(count), std::nullopt);
}

Result<std::vector<TreeState::Edit>> TreeState::EditsForMove(Id node, const TreePlace& parent,
                                                             std::optional<uint32_t> index) const {
  MERROW_ASSIGN(const NodeIndex moved, impl_->ResolveNode(node));
  MERROW_ASSIGN(const NodeIndex below, impl_->ResolveParent(parent));
  std::optional<uint32_t> own_rank;
  if (impl_->nodes[moved].at.parent == below) {
    own_rank = impl_->RankOf(moved, *impl_->ChildrenOf(below));
  }
  const uint32_t others = impl_->ChildCount(below) - (own_rank.has_value() ? 1 : 0);
  const uint32_t at = index.value_or(others);
  if (at > others) {
    return InvalidArgument("tree index " + std::to_string(at) + " is larger than the " +
                           std::to_string(others) + " other children");
  }
  if (own_rank == at) return std::vector<Edit>();
  if (impl_->IsWithin(below, moved)) {
    return Conflict("tree node " + ToString(node) + " cannot be put below itself");
  }
  return impl_->EditsFor(node, below, at, own_rank);
}

Result<std::vector<TreeState::Edit>> TreeState::EditsForDelete(Id node) const {
  MERROW_ASSIGN(const NodeIndex found, impl_->ResolveNode(node));
  return std::vector<Edit>{
      {impl_->nodes[found].id, TreePlace::Deleted(), Bytes(kFirstFractionalIndex)}};
}

Result<TreeState> TreeState::FromImage(TreeImage image, Lamport lamport_max) {
  TreeState tree;
  Impl& impl = *tree.impl_;
  impl.nodes.reserve(image.nodes.size());
  for (TreeImage::Node& node : image.nodes) {
    if (impl.FindRecord(node.id).has_value()) {
      return Corruption("tree node " + ToString(node.id) + " is there twice");
    }
    impl.nodes[impl.AddRecord(node.id)].at = {.parent = kRoot,
                                              .lamport = node.last_set_lamport,
                                              .move = node.last_set,
                                              .position = std::move(node.position)};
  }
  for (NodeIndex i = 0; i < impl.nodes.size(); ++i) {
    const TreeImage::Node& node = image.nodes[i];
    const std::optional<NodeIndex> parent = impl.Resolve({node.parent_kind, node.parent});
    if (!parent.has_value()) {
      return Corruption("parent " + ToString(node.parent) + " of a tree node does not exist");
    }
    impl.nodes[i].at.parent = *parent;
  }
  // Each walk up ends at the top or where an earlier one has been, unless there is a cycle.
  std::vector<NodeIndex> seen_from(impl.nodes.size(), kUnborn);
  for (NodeIndex start = 0; start < impl.nodes.size(); ++start) {
    NodeIndex node = start;
    while (node < impl.nodes.size() && seen_from[node] == kUnborn) {
      seen_from[node] = start;
      node = impl.nodes[node].at.parent;
    }
    if (node < impl.nodes.size() && seen_from[node] == start) {
      return Corruption("parents of tree node " + ToString(impl.nodes[node].id) + " form a cycle");
    }
  }
  // In the order of siblings, so that each is entered at the end.
  std::vector<NodeIndex> order(impl.nodes.size());
  for (NodeIndex i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&impl](NodeIndex a, NodeIndex b) { return impl.Precedes(a, b); });
  for (const NodeIndex node : order) impl.Link(node);
  impl.born = impl.nodes.size();
  constexpr Lamport kMax = std::numeric_limits<Lamport>::max();
  impl.log_start = lamport_max == kMax ? IdLp{kMax, kNoPeer} : IdLp{lamport_max + 1, 0};
  return tree;
}

TreeImage TreeState::ToImage() const {
  TreeImage image;
  image.nodes.reserve(impl_->born);
  for (const Node& node : impl_->nodes) {
    if (node.at.parent == kUnborn) continue;
    const TreePlace parent = impl_->PlaceOf(node.at.parent);
    image.nodes.push_back({.id = node.id,
                           .parent_kind = parent.kind,
                           .parent = parent.node,
                           .last_set = node.at.move,
                           .last_set_lamport = node.at.lamport,
                           .position = node.at.position});
  }
  return image;
}

size_t TreeState::MemoryBytes() const {
  size_t bytes = sizeof(Impl) + impl_->nodes.capacity() * sizeof(Node) +
                 impl_->index.MemoryBytes() + impl_->log.capacity() * sizeof(LogEntry) +
                 impl_->root_children.MemoryBytes() - sizeof(Siblings);
  for (const Node& node : impl_->nodes) {
    bytes += HeapBytes(node.at.position);
    if (node.children != nullptr) bytes += node.children->MemoryBytes();
  }
  for (const LogEntry& entry : impl_->log) {
    bytes += HeapBytes(entry.move.position) + HeapBytes(entry.before.position);
  }
  return bytes;
}

void TreeState::CheckInvariants() const {
  const std::vector<Node>& nodes = impl_->nodes;
  size_t born = 0;
  size_t linked = 0;
  for (NodeIndex i = 0; i < nodes.size(); ++i) {
    MERROW_CHECK(impl_->FindRecord(nodes[i].id) == i);
    const NodeIndex parent = nodes[i].at.parent;
    if (parent == kUnborn) {
      MERROW_CHECK(nodes[i].children == nullptr);
      continue;
    }
    ++born;
    if (parent == kDeleted) continue;
    ++linked;
    const Siblings* const siblings = impl_->ChildrenOf(parent);
    MERROW_CHECK(siblings != nullptr);
    MERROW_CHECK(siblings->At(impl_->RankOf(i, *siblings)) == i);
  }
  MERROW_CHECK(born == impl_->born);
  const auto check = [&](const Siblings& siblings) {
    siblings.CheckInvariants();
    linked -= siblings.count();
    for (uint32_t i = 1; i < siblings.count(); ++i) {
      MERROW_CHECK(impl_->Precedes(siblings.At(i - 1), siblings.At(i)));
    }
  };
  check(impl_->root_children);
  for (const Node& node : nodes) {
    if (node.children == nullptr) continue;
    MERROW_CHECK(node.children->count() > 0);
    check(*node.children);
  }
  MERROW_CHECK(linked == 0);

  std::vector<bool> ends(nodes.size());  // (1): the way up from here was walked to its end
  for (NodeIndex start = 0; start < nodes.size(); ++start) {
    size_t steps = 0;
    for (NodeIndex i = start; i < nodes.size() && !ends[i]; i = nodes[i].at.parent) {
      MERROW_CHECK(++steps <= nodes.size());
    }
    for (NodeIndex i = start; i < nodes.size() && !ends[i]; i = nodes[i].at.parent) ends[i] = true;
  }

  MERROW_CHECK(impl_->log.size() <= kTreeLogMax);
  for (size_t i = 0; i < impl_->log.size(); ++i) {
    const IdLp key = impl_->log[i].move.key();
    MERROW_CHECK(i == 0 || impl_->log[i - 1].move.key() < key);
    MERROW_CHECK(key >= impl_->log_start);
  }
}

// --- JSON ---

std::optional<Id> TreeJson::Next(std::string* out) {
  const TreeState::Impl& tree = *tree_.impl_;
  while (true) {
    switch (step_) {
      case Step::kStart:
        out->push_back('[');
        levels_.push_back({kRoot});
        step_ = Step::kChild;
        break;
      case Step::kChild: {
        Level& level = levels_.back();
        if (level.child < tree.ChildCount(level.parent)) {
          if (level.child > 0) out->push_back(',');
          *out += "{\"children\":[";
          const NodeIndex node = tree.ChildrenOf(level.parent)->At(level.child++);
          levels_.push_back({node});
          break;
        }
        out->push_back(']');
        const NodeIndex parent = level.parent;
        levels_.pop_back();
        if (levels_.empty()) {
          step_ = Step::kDone;
          break;
        }
        const Node& node = tree.nodes[parent];
        *out += ",\"fractional_index\":\"";
        AppendFractionalIndexHex(node.at.position, out);
        *out += "\",\"id\":\"" + ToString(node.id) +
                "\",\"index\":" + std::to_string(levels_.back().child - 1) + ",\"meta\":";
        step_ = Step::kAfterMeta;
        return node.id;
      }
      case Step::kAfterMeta: {
        const NodeIndex parent = levels_.back().parent;
        *out += ",\"parent\":";
        *out += parent == kRoot ? "null" : '"' + ToString(tree.nodes[parent].id) + '"';
        out->push_back('}');
        step_ = Step::kChild;
        break;
      }
      case Step::kDone:
        return std::nullopt;
    }
  }
}

}  // namespace merrow::loro
