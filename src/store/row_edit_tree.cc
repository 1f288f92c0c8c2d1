// SPDX-License-Identifier: Apache-2.0
//
// The tree of row_edit_container.h. Wanted nodes are placed in the order in which JSON shows them,
// parents first, so that the way from a placed node to the root has only placed nodes: no move can
// make a cycle. What is not wanted is deleted at the end, when nothing wanted is below it.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "loro/json_value.h"
#include "store/row_edit.h"
#include "store/row_edit_container.h"
#include "store/row_edit_diff.h"

namespace merrow::store {
namespace {

using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Id;
using loro::Value;

using Parent = std::optional<Id>;  // nothing: the root

const Value* Member(const Value& node, std::string_view key) {
  const auto* const map = node.If<Value::Map>();
  if (map == nullptr) {
    return nullptr;
  }
  const auto found = std::find_if(map->begin(), map->end(),
                                  [key](const auto& entry) { return entry.first == key; });
  return found == map->end() ? nullptr : &found->second;
}

const Value::List& ListOf(const Value* value) {
  static const Value::List kEmpty;
  const auto* const list = value == nullptr ? nullptr : value->If<Value::List>();
  return list == nullptr ? kEmpty : *list;
}

class TreeEdit {
 public:
  TreeEdit(const ContainerId& id, Document& document) : id_(id), document_(document) {}

  Result<bool> Run(const Value& wanted) {
    std::string json;
    document_.AppendJson(id_, &json);
    MERROW_ASSIGN(const Value shown, loro::ParseJsonValue(json == "null" ? "[]" : json));
    MERROW_TRY(NoteShown(ListOf(&shown), std::nullopt));
    MERROW_TRY(CheckNodes(wanted));
    MERROW_TRY(Place(ListOf(&wanted), std::nullopt));
    for (const auto& [node, parent] : parent_) {
      const bool parent_stays = !parent.has_value() || wanted_.contains(*parent);
      if (!wanted_.contains(node) && parent_stays) {
        MERROW_TRY(document_.TreeDelete(id_, node));
        any_ = true;
      }
    }
    return any_;
  }

 private:
  Status NoteShown(const Value::List& nodes, Parent parent) {
    for (const Value& node : nodes) {
      MERROW_ASSIGN(const Parent id, IdOf(node));
      if (!id.has_value()) {
        return Corruption("a tree shows a node without id");
      }
      parent_[*id] = parent;
      children_[parent].push_back(*id);
      MERROW_TRY(NoteShown(ListOf(Member(node, "children")), id));
    }
    return {};
  }

  static Result<Parent> IdOf(const Value& node) {
    const Value* const id = Member(node, "id");
    if (id == nullptr || id->is_null()) {
      return Parent();
    }
    const auto* const text = id->If<std::string>();
    if (text == nullptr) {
      return InvalidArgument("the id of a node must be text");
    }
    MERROW_ASSIGN(const Id parsed, loro::ParseId(*text));
    return Parent(parsed);
  }

  Status CheckNodes(const Value& nodes) {
    if (nodes.If<Value::List>() == nullptr) {
      return InvalidArgument("the children of a node must be an array");
    }
    for (const Value& node : *nodes.If<Value::List>()) {
      if (node.If<Value::Map>() == nullptr) {
        return InvalidArgument("a node must be a JSON object");
      }
      MERROW_ASSIGN(const Parent id, IdOf(node));
      if (id.has_value() && !parent_.contains(*id)) {
        return InvalidArgument("there is no node " + loro::ToString(*id) +
                               "; a new one is written without id");
      }
      if (id.has_value() && !wanted_.insert(*id).second) {
        return InvalidArgument("node " + loro::ToString(*id) + " is there twice");
      }
      const Value* const meta = Member(node, "meta");
      if (meta != nullptr && meta->If<Value::Map>() == nullptr) {
        return InvalidArgument("the meta of a node must be a JSON object");
      }
      if (const Value* const children = Member(node, "children")) {
        MERROW_TRY(CheckNodes(*children));
      }
    }
    return {};
  }

  /// Which of the nodes are below `parent` already and in this order, as many as can be.
  std::set<Id> InPlace(const std::vector<Parent>& nodes, Parent parent) {
    std::map<Id, uint32_t> numbers;
    const auto number = [&](const Id& id) {
      return numbers.try_emplace(id, static_cast<uint32_t>(numbers.size())).first->second;
    };
    const std::vector<Id> before = children_[parent];
    std::vector<uint32_t> old_items;
    std::vector<uint32_t> new_items;
    for (const Id& id : before) {
      old_items.push_back(number(id));
    }
    for (const Parent& id : nodes) {
      new_items.push_back(id.has_value() ? number(*id) : UINT32_MAX);
    }
    std::set<Id> in_place(before.begin(), before.end());
    for (const Hunk& hunk : DiffItems(old_items, new_items)) {
      for (size_t i = 0; i < hunk.old_count; ++i) {
        in_place.erase(before[hunk.old_at + i]);
      }
    }
    return in_place;
  }

  /// Recursion is bounded by kValueDepthMax.
  Status Place(const Value::List& nodes, Parent parent) {
    std::vector<Parent> ids;
    for (const Value& node : nodes) {
      MERROW_ASSIGN(const Parent id, IdOf(node));
      ids.push_back(id);
    }
    const std::set<Id> in_place = InPlace(ids, parent);
    size_t next = 0;  // where the node belongs among what is below `parent` now
    for (size_t i = 0; i < nodes.size(); ++i) {
      Id id;
      if (!ids[i].has_value()) {
        MERROW_ASSIGN(id, document_.TreeCreate(id_, parent, static_cast<uint32_t>(next)));
        children_[parent].insert(children_[parent].begin() + static_cast<ptrdiff_t>(next), id);
        any_ = true;
      } else if (in_place.contains(*ids[i])) {
        id = *ids[i];
        while (children_[parent][next] != id) ++next;
      } else {
        id = *ids[i];
        MERROW_TRY(Move(id, parent, &next));
      }
      ++next;
      if (const Value* const meta = Member(nodes[i], "meta")) {
        const ContainerId data = ContainerId::Normal(id, ContainerKind::kMap);
        MERROW_ASSIGN(const bool edited, EditContainer(data, *meta, document_));
        any_ = any_ || edited;
      }
      MERROW_TRY(Place(ListOf(Member(nodes[i], "children")), id));
    }
    return {};
  }

  Status Move(Id id, Parent parent, size_t* to) {
    std::vector<Id>& from = children_[parent_.at(id)];
    const auto found = std::find(from.begin(), from.end(), id);
    const bool was_in_front =
        parent_.at(id) == parent && static_cast<size_t>(found - from.begin()) < *to;
    from.erase(found);
    if (was_in_front) --*to;
    MERROW_TRY(document_.TreeMoveNode(id_, id, parent, static_cast<uint32_t>(*to)));
    children_[parent].insert(children_[parent].begin() + static_cast<ptrdiff_t>(*to), id);
    parent_[id] = parent;
    any_ = true;
    return {};
  }

  const ContainerId& id_;
  Document& document_;
  bool any_ = false;
  std::map<Id, Parent> parent_;  // of the nodes that were there
  std::map<Parent, std::vector<Id>> children_;
  std::set<Id> wanted_;
};

}  // namespace

Result<bool> EditTree(const ContainerId& id, const Value& wanted, Document& document) {
  return TreeEdit(id, document).Run(wanted);
}

}  // namespace merrow::store
