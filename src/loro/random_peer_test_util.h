// SPDX-License-Identifier: Apache-2.0
//
// Random peer: edits every kind of container of a document, nested, as property tests need it.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "loro/mergeable.h"
#include "merrow/document.h"

namespace merrow::loro {

inline constexpr ContainerKind kEveryKind[] = {
    ContainerKind::kMap,  ContainerKind::kList,    ContainerKind::kText,
    ContainerKind::kTree, ContainerKind::kCounter, ContainerKind::kMovableList};

/// A document and somebody who edits it at random.
class RandomPeer {
 public:
  /// Containers of `kinds` are edited and made: a root of each, and their children.
  explicit RandomPeer(PeerId id, std::span<const ContainerKind> kinds = kEveryKind)
      : doc_(id), kinds_(kinds) {
    for (const ContainerKind kind : kinds_) {
      containers_.push_back(ContainerId::Root("root " + ContainerKindName(kind), kind));
    }
  }

  Document& doc() { return doc_; }

  void TouchRoots() {
    Check(doc_.MapSet(containers_[0], "a", Value(true)));
    Check(doc_.ListInsert(containers_[1], 0, Value("first")));
    Check(doc_.TextInsert(containers_[2], 0, "text"));
    const Result<Id> node = doc_.TreeCreate(containers_[3], std::nullopt, std::nullopt);
    ASSERT_TRUE(node.ok());
    nodes_.emplace_back(containers_[3], *node);
    Check(doc_.CounterIncrement(containers_[4], 1));
    Check(doc_.ListInsert(containers_[5], 0, Value("element")));
  }

  void EditAtRandom(SeededRandom* random) {
    const ContainerId id = containers_[random->Below(containers_.size())];
    if (IsHidden(id)) return;
    switch (id.kind()) {
      case ContainerKind::kMap:
        return EditMap(id, random);
      case ContainerKind::kText:
        return EditText(id, random);
      case ContainerKind::kTree:
        return EditTree(id, random);
      case ContainerKind::kCounter:
        return Check(doc_.CounterIncrement(id, static_cast<double>(random->Below(9)) - 4));
      default:
        return EditList(id, random);
    }
  }

  // Containers that others made can be edited, too.
  void LearnFrom(const RandomPeer& other) {
    for (const ContainerId& id : other.containers_) {
      const bool is_known =
          std::find(containers_.begin(), containers_.end(), id) != containers_.end();
      if (!is_known && doc_.HasContainer(id)) containers_.push_back(id);
    }
    for (const auto& [tree, node] : other.nodes_) {
      const bool is_known =
          std::find(nodes_.begin(), nodes_.end(), std::pair(tree, node)) != nodes_.end();
      if (!is_known) nodes_.emplace_back(tree, node);
    }
  }

  const std::vector<ContainerId>& containers() const { return containers_; }

 private:
  /// A mergeable child can be edited while its parent shows it.
  bool IsHidden(const ContainerId& id) const {
    const std::optional<MergeablePlace> place = PlaceOfMergeable(id);
    if (!place.has_value()) return false;
    const std::optional<Value> slot = doc_.MapGet(place->map, place->key);
    return !slot.has_value() || MergeableShownBy(place->map, place->key, *slot) != id;
  }

  static void Check(const Status& status) { EXPECT_TRUE(status.ok()) << status.error().ToString(); }
  ContainerKind KindAtRandom(SeededRandom* random) { return kinds_[random->Below(kinds_.size())]; }
  void Made(Result<ContainerId> child) {
    ASSERT_TRUE(child.ok()) << child.error().ToString();
    containers_.push_back(*child);
  }

  void EditMap(const ContainerId& id, SeededRandom* random) {
    const std::string key(1, static_cast<char>('a' + random->Below(4)));
    switch (random->Below(6)) {
      case 0:
        return Check(doc_.MapDelete(id, key));
      case 1:
        return Made(doc_.MapSetContainer(id, key, KindAtRandom(random)));
      case 2:
        return EnsureMergeable(id, key, KindAtRandom(random));
      default:
        return Check(doc_.MapSet(id, key, Value(static_cast<int64_t>(random->Below(100)))));
    }
  }

  void EnsureMergeable(const ContainerId& id, const std::string& key, ContainerKind kind) {
    const Result<ContainerId> child = doc_.MapEnsureMergeable(id, key, kind);
    // Refused if something else is there, or a container that is not mergeable.
    if (!child.ok()) {
      EXPECT_TRUE(doc_.MapGet(id, key).has_value()) << child.error().ToString();
      return;
    }
    const bool is_known =
        std::find(containers_.begin(), containers_.end(), *child) != containers_.end();
    if (!is_known) containers_.push_back(*child);
  }

  void EditText(const ContainerId& id, SeededRandom* random) {
    const size_t length = doc_.Length(id);
    const size_t at = random->Below(length + 1);
    switch (random->Below(4)) {
      case 0:
        return Check(doc_.TextDelete(id, at, random->Below(std::min<size_t>(length - at, 4) + 1)));
      case 1: {
        if (at == length) return;
        const size_t end = at + 1 + random->Below(length - at);
        const char* key = random->Below(2) == 0 ? "bold" : "link";
        const StyleExpand expand = *key == 'b' ? StyleExpand::kAfter : StyleExpand::kNone;
        if (random->Below(3) == 0) return Check(doc_.TextUnmark(id, at, end, key, expand));
        return Check(
            doc_.TextMark(id, at, end, key, Value(static_cast<int64_t>(random->Below(3))), expand));
      }
      default: {
        constexpr const char* kPieces[] = {"x", "hello", "\xC3\xA4", "\xF0\x9F\x98\x80!"};
        return Check(doc_.TextInsert(id, at, kPieces[random->Below(4)]));
      }
    }
  }

  void EditList(const ContainerId& id, SeededRandom* random) {
    const size_t length = doc_.Length(id);
    const size_t at = random->Below(length + 1);
    const Value value(static_cast<int64_t>(random->Below(100)));
    const bool is_movable = id.kind() == ContainerKind::kMovableList;
    const uint64_t choice = random->Below(is_movable ? 8 : 4);
    if (choice == 0) {
      return Check(doc_.ListDelete(id, at, random->Below(std::min<size_t>(length - at, 3) + 1)));
    }
    if (choice == 1) return Made(doc_.ListInsertContainer(id, at, KindAtRandom(random)));
    if (choice < 4 || length == 0) return Check(doc_.ListInsert(id, at, value));
    const size_t item = random->Below(length);
    if (choice < 6) return Check(doc_.MovableListMove(id, item, random->Below(length)));
    Check(doc_.MovableListSet(id, item, value));
  }

  void EditTree(const ContainerId& id, SeededRandom* random) {
    std::vector<Id> nodes;
    for (const auto& [tree, node] : nodes_) {
      if (tree == id) nodes.push_back(node);
    }
    std::optional<Id> parent;
    if (!nodes.empty() && random->Below(2) == 0) parent = nodes[random->Below(nodes.size())];
    std::optional<uint32_t> index;
    if (random->Below(3) == 0) index = 0;
    if (nodes.empty() || random->Below(2) == 0) {
      const Result<Id> node = doc_.TreeCreate(id, parent, index);
      if (node.ok()) {
        nodes_.emplace_back(id, *node);
        containers_.push_back(ContainerId::Normal(*node, ContainerKind::kMap));
      }
      return;
    }
    // Moves below itself and of nodes that are not here or deleted are refused; that is fine.
    const Id node = nodes[random->Below(nodes.size())];
    const Status ignored = random->Below(4) == 0 ? doc_.TreeDelete(id, node)
                                                 : doc_.TreeMoveNode(id, node, parent, index);
    EXPECT_TRUE(ignored.ok() || ignored.error().code() != ErrorCode::kCorruption);
  }

  Document doc_;
  const std::span<const ContainerKind> kinds_;
  std::vector<ContainerId> containers_;
  std::vector<std::pair<ContainerId, Id>> nodes_;
};

}  // namespace merrow::loro
