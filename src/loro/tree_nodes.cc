// SPDX-License-Identifier: Apache-2.0
#include "loro/tree_nodes.h"

#include <array>
#include <tuple>
#include <utility>

#include "merrow/check.h"

namespace merrow::loro {
namespace {

// The nodes below one that are looked at before the way up is walked instead.
constexpr uint32_t kSmallTreeMax = 16;

size_t HashPeer(PeerId peer) {
  const uint64_t mixed = peer * 0x9e3779b97f4a7c15U;
  return static_cast<size_t>(mixed ^ (mixed >> 32));
}

size_t HashId(TreeNodes::ShortId id) {
  return HashPeer(uint64_t{id.peer} << 32 | static_cast<uint32_t>(id.counter));
}

}  // namespace

void TreeNodes::Reserve(size_t count) {
  parents_.reserve(count);
  ids_.reserve(count);
  rest_.reserve(count);
}

std::optional<uint32_t> TreeNodes::FindPeer(PeerId peer) const {
  return peer_index_.Find(peers_.size(), HashPeer(peer),
                          [&](uint32_t i) { return peers_[i] == peer; });
}

TreeNodes::ShortId TreeNodes::Shorten(Id id) {
  std::optional<uint32_t> peer = FindPeer(id.peer);
  if (!peer.has_value()) {
    peer = static_cast<uint32_t>(peers_.size());
    peers_.push_back(id.peer);
    peer_index_.Added(peers_.size(), [this](uint32_t i) { return HashPeer(peers_[i]); });
  }
  return {*peer, id.counter};
}

std::optional<TreeNodes::Index> TreeNodes::Find(Id id) const {
  const std::optional<uint32_t> peer = FindPeer(id.peer);
  if (!peer.has_value()) return std::nullopt;
  const ShortId wanted{*peer, id.counter};
  return index_.Find(ids_.size(), HashId(wanted), [&](uint32_t i) { return ids_[i] == wanted; });
}

TreeNodes::Index TreeNodes::Open(Id id) {
  const ShortId wanted = Shorten(id);
  const std::optional<Index> found =
      index_.Find(ids_.size(), HashId(wanted), [&](uint32_t i) { return ids_[i] == wanted; });
  if (found.has_value()) return *found;
  parents_.push_back(kUnborn);
  ids_.push_back(wanted);
  rest_.emplace_back();
  index_.Added(ids_.size(), [this](uint32_t i) { return HashId(ids_[i]); });
  return size() - 1;
}

bool TreeNodes::Precedes(Index a, Index b) const {
  const std::strong_ordering order = rest_[a].position <=> rest_[b].position;
  return order != 0 ? order < 0 : TiePrecedes(a, b);
}

bool TreeNodes::TiePrecedes(Index a, Index b) const {
  const auto key = [this](Index node) {
    return std::tuple(rest_[node].lamport, peer(rest_[node].move), id(node));
  };
  return key(a) < key(b);
}

void TreeNodes::Link(Index node) {
  const Index parent = parents_[node];
  if (parent == kDeleted || parent == kUnborn) return;
  ChildrenOf(parent).Insert(node, [this](Index a, Index b) { return Precedes(a, b); });
}

void TreeNodes::Unlink(Index node) {
  const Index parent = parents_[node];
  if (parent == kDeleted || parent == kUnborn) return;
  ChildrenOf(parent).Remove(node, [this](Index a, Index b) { return Precedes(a, b); });
}

void TreeNodes::Exchange(Index node, Placement* placement) {
  Unlink(node);
  born_ -= IsBorn(node) ? 1 : 0;
  Rest& rest = rest_[node];
  std::swap(rest.position, placement->position);
  std::swap(rest.move, placement->move);
  std::swap(rest.lamport, placement->lamport);
  std::swap(parents_[node], placement->parent);
  born_ += IsBorn(node) ? 1 : 0;
  Link(node);
}

bool TreeNodes::IsWithin(Index node, Index ancestor) const {
  if (node == ancestor) return true;
  if (!IsNode(ancestor)) {
    while (IsNode(node)) node = parents_[node];
    return node == ancestor;
  }
  if (rest_[ancestor].children.empty()) return false;
  if (const std::optional<bool> known = IsInSmallTree(node, ancestor)) return *known;
  while (IsNode(node) && node != ancestor) node = parents_[node];
  return node == ancestor;
}

// Whether `node` is below `top`; nothing if more nodes than kSmallTreeMax are.
std::optional<bool> TreeNodes::IsInSmallTree(Index node, Index top) const {
  std::array<Index, kSmallTreeMax> below;
  uint32_t found = 0;
  uint32_t visited = 0;
  while (true) {
    const TreeSiblings& children = rest_[top].children;
    const uint32_t count = children.count();
    if (count > kSmallTreeMax - found) return std::nullopt;
    for (uint32_t i = 0; i < count; ++i) {
      below[found] = children.At(i);
      if (below[found++] == node) return true;
    }
    if (visited == found) return false;
    top = below[visited++];
  }
}

uint32_t TreeNodes::RankOf(Index node) const {
  return children(parents_[node]).RankOf(node, [this](Index a, Index b) { return Precedes(a, b); });
}

size_t TreeNodes::MemoryBytes() const {
  size_t bytes = parents_.capacity() * sizeof(Index) + ids_.capacity() * sizeof(ShortId) +
                 rest_.capacity() * sizeof(Rest) + index_.MemoryBytes() +
                 peers_.capacity() * sizeof(PeerId) + peer_index_.MemoryBytes() +
                 root_children_.MemoryBytes();
  for (const Rest& rest : rest_) {
    bytes += rest.position.HeapBytes() + rest.children.MemoryBytes();
  }
  return bytes;
}

void TreeNodes::CheckInvariants() const {
  uint32_t born = 0;
  uint32_t linked = 0;
  for (Index node = 0; node < size(); ++node) {
    MERROW_CHECK(Find(id(node)) == node);
    const Index parent = parents_[node];
    MERROW_CHECK(!IsNode(parent) || parent < size());
    if (parent == kUnborn) {
      MERROW_CHECK(rest_[node].children.empty());
      continue;
    }
    ++born;
    if (parent == kDeleted) continue;
    ++linked;
    const uint32_t rank = RankOf(node);
    MERROW_CHECK(rank < children(parent).count() && children(parent).At(rank) == node);
  }
  MERROW_CHECK(born == born_);
  const auto check = [&](const TreeSiblings& siblings) {
    siblings.CheckInvariants();
    linked -= siblings.count();
    for (uint32_t i = 1; i < siblings.count(); ++i) {
      MERROW_CHECK(Precedes(siblings.At(i - 1), siblings.At(i)));
    }
  };
  check(root_children_);
  for (const Rest& rest : rest_) check(rest.children);
  MERROW_CHECK(linked == 0);
}

}  // namespace merrow::loro
