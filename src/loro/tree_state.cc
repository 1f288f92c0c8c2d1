// SPDX-License-Identifier: Apache-2.0
#include "loro/tree_state.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "loro/fractional_index.h"
#include "loro/state_codec.h"
#include "loro/tie_break.h"
#include "loro/tree_nodes.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

using NodeIndex = TreeNodes::Index;
using Placement = TreeNodes::Placement;
constexpr NodeIndex kRoot = TreeNodes::kRoot;
constexpr NodeIndex kDeleted = TreeNodes::kDeleted;

/// A log is made shorter when this many times as many ops as it may hold came, none of them late.
constexpr size_t kLogPatience = 4;

/// An op that is to be applied: it moves a node to a place.
struct PendingMove {
  NodeIndex node;
  Placement to;
};

/// An op that was applied. If it moved its node, `place` is where that had been; if it did nothing,
/// where it would have put it.
struct LogEntry {
  TreeNodes::ShortId move;  // the op
  Lamport lamport;
  NodeIndex node;
  bool is_effective;
  Placement place;
};

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
    const std::optional<NodeIndex> found = nodes.Find(id);
    return found.has_value() && nodes.IsBorn(*found) ? found : std::nullopt;
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
    return TreePlace::Below(nodes.id(parent));
  }

  uint32_t ChildCount(NodeIndex parent) const {
    return parent == kDeleted ? 0 : nodes.children(parent).count();
  }

  // --- Ops ---

  IdLp KeyOf(Lamport lamport, TreeNodes::ShortId move) const { return {lamport, nodes.peer(move)}; }
  IdLp KeyOf(const LogEntry& entry) const { return KeyOf(entry.lamport, entry.move); }
  IdLp KeyOf(const PendingMove& move) const { return KeyOf(move.to.lamport, move.to.move); }
  bool IsInOrder(const PendingMove& a, const PendingMove& b) const {
    return TreeOpAppliesBefore(KeyOf(a), KeyOf(b));
  }

  /// Nodes that it is about and that do not exist yet get a number.
  PendingMove Prepare(const TreeMove& move) {
    PendingMove pending{.node = nodes.Open(move.node), .to = {}};
    pending.to.position = TreePosition(move.position);
    pending.to.lamport = move.lamport;
    pending.to.move = nodes.Shorten(move.id);
    switch (move.parent.kind) {
      case TreeParent::kRoot:
        pending.to.parent = kRoot;
        break;
      case TreeParent::kDeleted:
        pending.to.parent = kDeleted;
        break;
      case TreeParent::kNode:
        pending.to.parent = nodes.Open(move.parent.node);
    }
    return pending;
  }

  /// Sorted by key.
  std::vector<PendingMove> Prepare(std::span<const TreeMove> moves) {
    std::vector<PendingMove> pending;
    pending.reserve(moves.size());
    for (const TreeMove& move : moves) pending.push_back(Prepare(move));
    const auto in_order = [this](const auto& a, const auto& b) { return IsInOrder(a, b); };
    if (!std::is_sorted(pending.begin(), pending.end(), in_order)) {
      std::sort(pending.begin(), pending.end(), in_order);
    }
    return pending;
  }

  /// Applies an op after all that were applied, or finds that it does nothing.
  LogEntry Apply(PendingMove move, bool is_checked = false) {
    LogEntry entry{.move = move.to.move,
                   .lamport = move.to.lamport,
                   .node = move.node,
                   .is_effective = false,
                   .place = std::move(move.to)};
    const NodeIndex parent = entry.place.parent;
    if (!is_checked && TreeNodes::IsNode(parent) &&
        (!nodes.IsBorn(parent) || nodes.IsWithin(parent, entry.node))) {
      return entry;
    }
    entry.is_effective = true;
    nodes.Exchange(entry.node, &entry.place);
    return entry;
  }

  /// Takes back the op that was applied last. Returns it.
  PendingMove Undo(LogEntry entry) {
    if (entry.is_effective) nodes.Exchange(entry.node, &entry.place);
    return {.node = entry.node, .to = std::move(entry.place)};
  }

  void Append(LogEntry entry) {
    if (log.size() >= log_max) {
      const size_t dropped = log.size() - log_max / 4 * 3;
      log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(dropped));
      log_start = KeyOf(log.front());
    }
    log.push_back(std::move(entry));
  }

  /// Settles how long the log may be after a call that appended `added` ops and undid `undone`.
  void Appended(size_t added, size_t undone) {
    appended_since_deep = undone > log_max / 4 ? 0 : appended_since_deep + std::min(added, log_max);
    if (log_max == kTreeLogMax || appended_since_deep < kLogPatience * log_max) return;
    log_max = std::max(kTreeLogMax, log_max / 2);
    appended_since_deep = 0;
  }

  // --- Edits ---

  /// The edits that put `node` in front of the `at`-th child of `parent`, not counting itself if it
  /// is one, which `own_rank` tells then.
  std::vector<Edit> EditsFor(Id node, NodeIndex parent, uint32_t at,
                             std::optional<uint32_t> own_rank) const {
    const TreeSiblings& siblings = nodes.children(parent);
    const uint32_t count = siblings.count() - (own_rank.has_value() ? 1 : 0);
    const auto child = [&](uint32_t i) {
      return siblings.At(own_rank.has_value() && i >= *own_rank ? i + 1 : i);
    };
    const auto position = [&](uint32_t i) { return nodes.position(child(i)).view(); };

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
      edits.push_back({nodes.id(child(i)), place, (*positions)[i - start + (i < at ? 0 : 1)]});
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
    if (nodes.parent(*node) == kDeleted) {
      return NotFound("tree node " + ToString(id) + " is deleted");
    }
    return *node;
  }

  TreeNodes nodes;
  std::vector<LogEntry> log;
  IdLp log_start;
  size_t log_max = kTreeLogMax;
  size_t appended_since_deep = 0;  // ops, since a merge undid more than a quarter of log_max
};

TreeState::TreeState() : impl_(std::make_unique<Impl>()) {}
TreeState::~TreeState() = default;
TreeState::TreeState(TreeState&&) noexcept = default;
TreeState& TreeState::operator=(TreeState&&) noexcept = default;

void TreeState::ApplyLatest(TreeMove move) {
  MERROW_CHECK(impl_->log.empty() ||
               TreeOpAppliesBefore(impl_->KeyOf(impl_->log.back()), move.key()));
  impl_->log_start = std::min(impl_->log_start, move.key());
  impl_->Append(impl_->Apply(impl_->Prepare(move), move.is_checked));
  impl_->Appended(1, 0);
}

bool TreeState::HasLogSince(IdLp key) const { return key >= impl_->log_start; }

void TreeState::Merge(std::vector<TreeMove> moves) {
  if (moves.empty()) return;
  std::vector<PendingMove> pending = impl_->Prepare(moves);
  const IdLp first = impl_->KeyOf(pending.front());
  MERROW_CHECK(HasLogSince(first));
  std::vector<LogEntry>& log = impl_->log;
  const auto added = static_cast<std::ptrdiff_t>(pending.size());
  while (!log.empty() && impl_->KeyOf(log.back()) > first) {
    pending.push_back(impl_->Undo(std::move(log.back())));
    log.pop_back();
  }
  const size_t undone = pending.size() - moves.size();
  std::reverse(pending.begin() + added, pending.end());
  std::inplace_merge(pending.begin(), pending.begin() + added, pending.end(),
                     [this](const auto& a, const auto& b) { return impl_->IsInOrder(a, b); });
  for (PendingMove& move : pending) impl_->Append(impl_->Apply(std::move(move)));
  impl_->Appended(moves.size(), undone);
}

size_t TreeState::log_max() const { return impl_->log_max; }

void TreeState::KeepLog(size_t count) {
  impl_->log_max = std::max(impl_->log_max, count);
  impl_->appended_since_deep = 0;
}

TreeState TreeState::Replay(std::vector<TreeMove> moves) {
  TreeState tree;
  Impl& impl = *tree.impl_;
  for (PendingMove& move : impl.Prepare(moves)) impl.Append(impl.Apply(std::move(move)));
  return tree;
}

size_t TreeState::node_count() const { return impl_->nodes.born(); }
bool TreeState::Contains(Id node) const { return impl_->Find(node).has_value(); }

bool TreeState::IsAlive(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  return found.has_value() && impl_->nodes.IsWithin(*found, kRoot);
}

std::optional<TreePlace> TreeState::Parent(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return impl_->PlaceOf(impl_->nodes.parent(*found));
}

std::optional<Bytes> TreeState::Position(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return Bytes(impl_->nodes.position(*found).view());
}

std::optional<Id> TreeState::LastMove(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return impl_->nodes.last_move(*found);
}

std::optional<IdLp> TreeState::LastMoveKey(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  return IdLp{impl_->nodes.lamport(*found), impl_->nodes.last_move(*found).peer};
}

std::vector<Id> TreeState::NodesMovedSince(IdLp key) const {
  MERROW_CHECK(HasLogSince(key));
  std::vector<Id> nodes;
  for (auto entry = impl_->log.rbegin(); entry != impl_->log.rend() && impl_->KeyOf(*entry) >= key;
       ++entry) {
    nodes.push_back(impl_->nodes.id(entry->node));
  }
  return nodes;
}

std::vector<Id> TreeState::Nodes() const {
  std::vector<Id> nodes;
  nodes.reserve(impl_->nodes.born());
  for (NodeIndex node = 0; node < impl_->nodes.size(); ++node) {
    if (impl_->nodes.IsBorn(node)) nodes.push_back(impl_->nodes.id(node));
  }
  return nodes;
}

std::optional<uint32_t> TreeState::IndexOf(Id node) const {
  const std::optional<NodeIndex> found = impl_->Find(node);
  if (!found.has_value()) return std::nullopt;
  if (impl_->nodes.parent(*found) == kDeleted) return std::nullopt;
  return impl_->nodes.RankOf(*found);
}

uint32_t TreeState::ChildCount(const TreePlace& parent) const {
  const std::optional<NodeIndex> found = impl_->Resolve(parent);
  return found.has_value() ? impl_->ChildCount(*found) : 0;
}

Id TreeState::ChildAt(const TreePlace& parent, uint32_t index) const {
  MERROW_CHECK(index < ChildCount(parent));
  return impl_->nodes.id(impl_->nodes.children(*impl_->Resolve(parent)).At(index));
}

std::vector<Id> TreeState::Children(const TreePlace& parent) const {
  std::vector<Id> children;
  const std::optional<NodeIndex> found = impl_->Resolve(parent);
  if (!found.has_value()) return children;
  const uint32_t count = impl_->ChildCount(*found);
  children.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    children.push_back(impl_->nodes.id(impl_->nodes.children(*found).At(i)));
  }
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
  if (impl_->nodes.parent(moved) == below) own_rank = impl_->nodes.RankOf(moved);
  const uint32_t others = impl_->ChildCount(below) - (own_rank.has_value() ? 1 : 0);
  const uint32_t at = index.value_or(others);
  if (at > others) {
    return InvalidArgument("tree index " + std::to_string(at) + " is larger than the " +
                           std::to_string(others) + " other children");
  }
  if (own_rank == at) return std::vector<Edit>();
  if (impl_->nodes.IsWithin(below, moved)) {
    return Conflict("tree node " + ToString(node) + " cannot be put below itself");
  }
  return impl_->EditsFor(node, below, at, own_rank);
}

Result<std::vector<TreeState::Edit>> TreeState::EditsForDelete(Id node) const {
  MERROW_ASSIGN(const NodeIndex found, impl_->ResolveNode(node));
  return std::vector<Edit>{
      {impl_->nodes.id(found), TreePlace::Deleted(), Bytes(kFirstFractionalIndex)}};
}

Result<TreeState> TreeState::FromImage(TreeImage image, Lamport lamport_max) {
  TreeState tree;
  Impl& impl = *tree.impl_;
  TreeNodes& nodes = impl.nodes;
  nodes.Reserve(image.nodes.size());
  for (const TreeImage::Node& node : image.nodes) {
    const uint32_t count = nodes.size();
    if (nodes.Open(node.id) != count) {
      return Corruption("tree node " + ToString(node.id) + " is there twice");
    }
  }
  std::vector<NodeIndex> parents(image.nodes.size());
  for (NodeIndex i = 0; i < parents.size(); ++i) {
    const TreeImage::Node& node = image.nodes[i];
    parents[i] = node.parent_kind == TreeParent::kRoot ? kRoot : kDeleted;
    if (node.parent_kind != TreeParent::kNode) continue;
    const std::optional<NodeIndex> parent = nodes.Find(node.parent);
    if (!parent.has_value()) {
      return Corruption("parent " + ToString(node.parent) + " of a tree node does not exist");
    }
    parents[i] = *parent;
  }
  // Each walk up ends at the top or where an earlier one has been, unless there is a cycle.
  std::vector<NodeIndex> seen_from(parents.size(), kRoot);
  for (NodeIndex start = 0; start < parents.size(); ++start) {
    NodeIndex node = start;
    while (TreeNodes::IsNode(node) && seen_from[node] == kRoot) {
      seen_from[node] = start;
      node = parents[node];
    }
    if (TreeNodes::IsNode(node) && seen_from[node] == start) {
      return Corruption("parents of tree node " + ToString(nodes.id(node)) + " form a cycle");
    }
  }
  for (NodeIndex i = 0; i < parents.size(); ++i) {
    const TreeImage::Node& node = image.nodes[i];
    Placement place{.position = TreePosition(node.position),
                    .parent = parents[i],
                    .lamport = node.last_set_lamport,
                    .move = nodes.Shorten(node.last_set)};
    nodes.Exchange(i, &place);
  }
  constexpr Lamport kMax = std::numeric_limits<Lamport>::max();
  impl.log_start = lamport_max == kMax ? IdLp{kMax, kNoPeer} : IdLp{lamport_max + 1, 0};
  return tree;
}

TreeImage TreeState::ToImage() const {
  const TreeNodes& nodes = impl_->nodes;
  TreeImage image;
  image.nodes.reserve(nodes.born());
  for (NodeIndex node = 0; node < nodes.size(); ++node) {
    if (!nodes.IsBorn(node)) continue;
    const TreePlace parent = impl_->PlaceOf(nodes.parent(node));
    image.nodes.push_back({.id = nodes.id(node),
                           .parent_kind = parent.kind,
                           .parent = parent.node,
                           .last_set = nodes.last_move(node),
                           .last_set_lamport = nodes.lamport(node),
                           .position = Bytes(nodes.position(node).view())});
  }
  return image;
}

size_t TreeState::MemoryBytes() const {
  size_t bytes =
      sizeof(Impl) + impl_->nodes.MemoryBytes() + impl_->log.capacity() * sizeof(LogEntry);
  for (const LogEntry& entry : impl_->log) bytes += entry.place.position.HeapBytes();
  return bytes;
}

void TreeState::CheckInvariants() const {
  const TreeNodes& nodes = impl_->nodes;
  nodes.CheckInvariants();
  std::vector<bool> ends(nodes.size());  // (1): the way up from here was walked to its end
  for (NodeIndex start = 0; start < nodes.size(); ++start) {
    size_t steps = 0;
    for (NodeIndex i = start; TreeNodes::IsNode(i) && !ends[i]; i = nodes.parent(i)) {
      MERROW_CHECK(++steps <= nodes.size());
    }
    for (NodeIndex i = start; TreeNodes::IsNode(i) && !ends[i]; i = nodes.parent(i)) {
      ends[i] = true;
    }
  }

  MERROW_CHECK(impl_->log_max >= kTreeLogMax);
  for (size_t i = 0; i < impl_->log.size(); ++i) {
    const IdLp key = impl_->KeyOf(impl_->log[i]);
    MERROW_CHECK(i == 0 || impl_->KeyOf(impl_->log[i - 1]) < key);
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
          const NodeIndex node = tree.nodes.children(level.parent).At(level.child++);
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
        const Id id = tree.nodes.id(parent);
        *out += ",\"fractional_index\":\"";
        AppendFractionalIndexHex(tree.nodes.position(parent).view(), out);
        *out += "\",\"id\":\"" + ToString(id) +
                "\",\"index\":" + std::to_string(levels_.back().child - 1) + ",\"meta\":";
        step_ = Step::kAfterMeta;
        return id;
      }
      case Step::kAfterMeta: {
        const NodeIndex parent = levels_.back().parent;
        *out += ",\"parent\":";
        *out += parent == kRoot ? "null" : '"' + ToString(tree.nodes.id(parent)) + '"';
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
