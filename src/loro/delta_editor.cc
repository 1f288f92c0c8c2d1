// SPDX-License-Identifier: Apache-2.0
#include "loro/delta_editor.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "loro/mergeable.h"
#include "loro/state_diff.h"
#include "loro/text_attributes.h"
#include "loro/utf8.h"

namespace merrow::loro {
namespace {

// --- What moves in a movable list ---

using ItemChildren = std::vector<std::optional<ContainerId>>;

// The container at each item, if there is one.
ItemChildren ChildrenOf(const MovableListState* list) {
  ItemChildren children;
  if (list == nullptr) return children;
  list->ForEach([&children](const MovableListItem& item) {
    const auto* child = item.value.If<ContainerId>();
    children.push_back(child == nullptr ? std::nullopt : std::optional(*child));
  });
  return children;
}

// Those that a delta deletes in one place and inserts in another.
ContainerIdSet MovedChildren(const ItemChildren& children, const ListDelta& delta) {
  ContainerIdSet deleted;
  size_t index = 0;
  for (const ListEdit& edit : delta) {
    if (edit.kind == EditKind::kInsert) continue;
    for (uint32_t i = 0; i < edit.length && index < children.size(); ++i, ++index) {
      const bool goes = edit.kind == EditKind::kDelete && children[index].has_value();
      if (goes) deleted.insert(*children[index]);
    }
  }
  ContainerIdSet moved;
  for (const ListEdit& edit : delta) {
    for (const Value& value : edit.values) {
      const auto* child = value.If<ContainerId>();
      if (child != nullptr && deleted.count(*child) > 0) moved.insert(*child);
    }
  }
  return moved;
}

// --- Whether a delta fits ---

template <typename Delta>
Status CheckSteps(const ContainerId& id, const Delta& delta, uint64_t length) {
  uint64_t at = 0;
  for (const auto& edit : delta) {
    if (edit.kind == EditKind::kInsert) continue;
    at += edit.length;
    if (at <= length) continue;
    return InvalidArgument("a delta of " + Clip(id.ToString()) + " reaches position " +
                           std::to_string(at) + " of " + std::to_string(length));
  }
  return {};
}

// The steps of a tree's delta, tried on what they change.
class TreeTrial {
 public:
  TreeTrial(const ContainerId& id, const TreeState& tree) : id_(id), tree_(tree) {}

  Status Try(const TreeEdit& edit) {
    const bool is_create = edit.kind == TreeEdit::Kind::kCreate;
    if (IsShown(edit.node) == is_create) {
      return InvalidArgument(
          "a delta of " + Clip(id_.ToString()) +
          (is_create ? " creates a node that is there: " : " is about a node that is not there: ") +
          ToString(edit.node));
    }
    if (edit.kind == TreeEdit::Kind::kDelete) {
      --child_count_[ParentOf(edit.node)];
      parents_[edit.node] = TreePlace::Deleted();
      return {};
    }
    if (edit.parent.has_value()) {
      if (!IsShown(*edit.parent)) {
        return NotFound("a delta of " + Clip(id_.ToString()) + " puts a node below " +
                        ToString(*edit.parent) + ", which is not there");
      }
      for (std::optional<Id> above = edit.parent; above.has_value(); above = ParentOf(*above)) {
        if (*above == edit.node) {
          return Conflict("tree node " + ToString(edit.node) + " cannot be put below itself");
        }
      }
    }
    if (edit.index > SiblingCount(edit)) {
      return InvalidArgument("a delta of " + Clip(id_.ToString()) + " puts a node at index " +
                             std::to_string(edit.index) + ", past its siblings");
    }
    if (!is_create) --child_count_[ParentOf(edit.node)];
    ++child_count_[edit.parent];
    parents_[edit.node] =
        edit.parent.has_value() ? TreePlace::Below(*edit.parent) : TreePlace::Root();
    if (is_create) created_.insert(edit.node);
    return {};
  }

  /// How many siblings the node of a create or move would have.
  uint32_t SiblingCount(const TreeEdit& edit) const {
    const TreePlace place =
        edit.parent.has_value() ? TreePlace::Below(*edit.parent) : TreePlace::Root();
    const bool is_new = edit.parent.has_value() && created_.count(*edit.parent) > 0;
    int64_t count = is_new ? 0 : int64_t{tree_.ChildCount(place)};
    const auto added = child_count_.find(edit.parent);
    if (added != child_count_.end()) count += added->second;
    const bool stands_there = edit.kind == TreeEdit::Kind::kMove && IsShown(edit.node) &&
                              ParentOf(edit.node) == edit.parent;
    return static_cast<uint32_t>(count - (stands_there ? 1 : 0));
  }

 private:
  std::optional<TreePlace> PlaceOf(Id node) const {
    const auto found = parents_.find(node);
    return found != parents_.end() ? std::optional(found->second) : tree_.Parent(node);
  }
  // REQUIRES: the node is shown.
  std::optional<Id> ParentOf(Id node) const {
    const std::optional<TreePlace> place = PlaceOf(node);
    return place->kind == TreeParent::kNode ? std::optional(place->node) : std::nullopt;
  }
  bool IsShown(Id node) const {
    while (true) {
      const std::optional<TreePlace> place = PlaceOf(node);
      // What is created comes without what was below a node of that name.
      const bool is_left_behind = place.has_value() && place->kind == TreeParent::kNode &&
                                  created_.count(place->node) > 0 && parents_.count(node) == 0;
      if (is_left_behind) return false;
      if (!place.has_value() || place->kind != TreeParent::kNode) {
        return place.has_value() && place->kind == TreeParent::kRoot;
      }
      node = place->node;
    }
  }

  const ContainerId& id_;
  const TreeState& tree_;
  std::map<Id, TreePlace> parents_;
  std::set<Id> created_;
  std::map<std::optional<Id>, int64_t> child_count_;  // how many more than in the tree
};

class FitCheck {
 public:
  explicit FitCheck(const State& state) : state_(state) {}

  /// Leaves out steps of a tree that cannot be made.
  void KeepFitting(const ContainerId& id, TreeDelta* delta) {
    const TreeState empty;
    const auto* tree = created_.count(id) > 0 ? nullptr : state_.Get<TreeState>(id);
    TreeTrial trial(id, tree == nullptr ? empty : *tree);
    std::erase_if(*delta, [&trial](TreeEdit& edit) {
      if (edit.kind != TreeEdit::Kind::kDelete) {
        edit.index = std::min(edit.index, trial.SiblingCount(edit));
      }
      return !trial.Try(edit).ok();
    });
  }

  Status Check(const ContainerDelta& item) {
    const ContainerId& id = item.container;
    if (!seen_.insert(id).second) {
      return InvalidArgument("container " + Clip(id.ToString()) + " is twice in a delta");
    }
    const bool is_new = created_.count(id) > 0;
    const Container* const container = is_new ? nullptr : state_.Find(id);
    if (container == nullptr && !is_new && !id.is_root()) {
      return NotFound("container " + Clip(id.ToString()) + " does not exist");
    }
    return std::visit([&](const auto& delta) { return Check(id, container, delta); }, item.delta);
  }

 private:
  Status CheckKind(const ContainerId& id, bool is_right) {
    if (is_right) return {};
    return InvalidArgument("the delta of " + Clip(id.ToString()) + " is of another kind");
  }

  Status Check(const ContainerId& id, const Container* container, const TextDelta& delta) {
    MERROW_TRY(CheckKind(id, id.kind() == ContainerKind::kText));
    const auto* text = container == nullptr ? nullptr : std::get_if<TextState>(&container->state);
    for (const TextEdit& edit : delta) {
      const bool is_insert = edit.kind == EditKind::kInsert;
      if (is_insert && (!IsUtf8(edit.text) || CountScalars(edit.text) != edit.length)) {
        return InvalidArgument("an insert of a delta is not UTF-8 of its length");
      }
      for (const auto& [key, value] : edit.attributes) {
        if (!IsUtf8(key)) return InvalidArgument("an attribute's key is not UTF-8");
        MERROW_TRY(CheckPlain(value));
      }
    }
    return CheckSteps(id, delta, text == nullptr ? 0 : text->unicode_length());
  }

  Status Check(const ContainerId& id, const Container* container, const ListDelta& delta) {
    uint64_t length = 0;
    ContainerIdSet moved;
    if (container != nullptr) {
      if (const auto* list = std::get_if<ListState>(&container->state)) length = list->length();
      if (const auto* list = std::get_if<MovableListState>(&container->state)) {
        length = list->length();
        moved = MovedChildren(ChildrenOf(list), delta);
      }
    }
    MERROW_TRY(CheckKind(
        id, id.kind() == ContainerKind::kList || id.kind() == ContainerKind::kMovableList));
    for (const ListEdit& edit : delta) {
      if (edit.kind != EditKind::kInsert) continue;
      if (edit.values.size() != edit.length) {
        return InvalidArgument("an insert of a delta does not have its length");
      }
      for (const Value& value : edit.values) {
        const auto* child = value.If<ContainerId>();
        const bool is_moved = child != nullptr && moved.count(*child) > 0;
        if (!is_moved) MERROW_TRY(CheckValue(value));
      }
    }
    return CheckSteps(id, delta, length);
  }

  Status Check(const ContainerId& id, const Container*, const MapDelta& delta) {
    for (const MapEdit& edit : delta) {
      if (!IsUtf8(edit.key)) return InvalidArgument("a key of a delta is not UTF-8");
      if (edit.value.has_value()) MERROW_TRY(CheckValue(*edit.value));
    }
    return CheckKind(id, id.kind() == ContainerKind::kMap);
  }

  Status Check(const ContainerId& id, const Container* container, const TreeDelta& delta) {
    MERROW_TRY(CheckKind(id, id.kind() == ContainerKind::kTree));
    const TreeState empty;
    const auto* tree = container == nullptr ? nullptr : std::get_if<TreeState>(&container->state);
    TreeTrial trial(id, tree == nullptr ? empty : *tree);
    for (const TreeEdit& edit : delta) {
      MERROW_TRY(trial.Try(edit));
      if (edit.kind == TreeEdit::Kind::kCreate) {
        created_.insert(ContainerId::Normal(edit.node, ContainerKind::kMap));
      }
    }
    return {};
  }

  Status Check(const ContainerId& id, const Container*, const CounterDelta&) {
    return CheckKind(id, id.kind() == ContainerKind::kCounter);
  }

  Status CheckValue(const Value& value) {
    const auto* child = value.If<ContainerId>();
    if (child == nullptr) return CheckPlain(value);
    if (!IsKnown(child->kind())) return Unsupported(Clip(child->ToString()) + " cannot be created");
    created_.insert(*child);
    return {};
  }

  static Status CheckPlain(const Value& value) {
    bool has_container = false;
    ForEachContainerIn(value, [&has_container](const ContainerId&) { has_container = true; });
    if (!has_container) return {};
    return InvalidArgument("a value of a delta has a container inside");
  }

  const State& state_;
  ContainerIdSet seen_;
  ContainerIdSet created_;
};

}  // namespace

Status CheckFits(const State& state, const DocumentDelta& delta) {
  FitCheck check(state);
  for (const ContainerDelta& item : delta) MERROW_TRY(check.Check(item));
  return {};
}

DocumentDelta WhatFits(const State& state, DocumentDelta delta) {
  FitCheck check(state);
  DocumentDelta fitting;
  for (ContainerDelta& item : delta) {
    if (auto* tree = std::get_if<TreeDelta>(&item.delta)) check.KeepFitting(item.container, tree);
    if (check.Check(item).ok()) fitting.push_back(std::move(item));
  }
  return fitting;
}

// --- Making the edits ---

Status DeltaEditor::Apply(const DocumentDelta& delta) {
  for (const ContainerDelta& item : delta) {
    const ContainerId id = NameOf(item.container);
    const Status edited =
        std::visit([&](const auto& steps) { return Edit(id, steps); }, item.delta);
    if (!edited.ok()) {
      KeepNames();
      return edited;
    }
  }
  KeepNames();
  return {};
}

void DeltaEditor::KeepNames() {
  for (auto& [id, made] : made_) names_.insert_or_assign(id, std::move(made));
  made_.clear();
}

const ContainerId& DeltaEditor::NameOf(const ContainerId& id) const {
  const auto made = made_.find(id);
  if (made != made_.end()) return made->second;
  const ContainerId* name = &id;
  for (auto found = names_.find(id); found != names_.end(); found = names_.find(*name)) {
    name = &found->second;
  }
  return *name;
}

Status DeltaEditor::Edit(const ContainerId& id, const TextDelta& delta) {
  uint32_t at = 0;
  for (const TextEdit& edit : delta) {
    if (edit.kind == EditKind::kDelete) {
      MERROW_TRY(document_->TextDelete(id, at, edit.length));
      continue;
    }
    const uint32_t end = at + edit.length;
    if (edit.kind == EditKind::kRetain) {
      MERROW_TRY(SetAttributes(id, at, end, edit.attributes));
    } else {
      MERROW_TRY(document_->TextInsert(id, at, edit.text));
      const auto* text = state_->Get<TextState>(id);
      if (edit.attributes.empty() && (text == nullptr || !text->has_styles())) {
        at = end;
        continue;
      }
      // What it took over from its neighbours is not what it has to have.
      const StyledRuns styled = text == nullptr ? StyledRuns() : StyledRunsOf(*text);
      AttributeRefs wanted;
      for (const auto& [key, value] : edit.attributes) {
        if (!value.is_null()) wanted.emplace_back(key, &value);
      }
      uint32_t run_end = 0;
      Attributes changes;
      for (const StyledRun& run : styled.runs) {
        run_end += run.length;
        if (run_end <= at) continue;
        changes = AttributeChanges(styled.attributes[run.attributes], wanted);
        break;
      }
      MERROW_TRY(SetAttributes(id, at, end, changes));
    }
    at = end;
  }
  return {};
}

Status DeltaEditor::SetAttributes(const ContainerId& id, uint32_t from, uint32_t to,
                                  const Attributes& changes) {
  for (const auto& [key, value] : changes) {
    const StyleExpand expand = ExpandOf(id, key);
    MERROW_TRY(value.is_null() ? document_->TextUnmark(id, from, to, key, expand)
                               : document_->TextMark(id, from, to, key, value, expand));
  }
  return {};
}

StyleExpand DeltaEditor::ExpandOf(const ContainerId& id, std::string_view key) const {
  StyleExpand expand = StyleExpand::kAfter;
  const auto* text = state_->Get<TextState>(id);
  if (text == nullptr || !text->has_styles()) return expand;
  text->ForEachChunk([&](const TextChunk& chunk) {
    if (chunk.kind != TextChunk::Kind::kStyleStart || chunk.style->key != key) return;
    const bool before = (chunk.style->info & kTextStyleExpandBefore) != 0;
    const bool after = (chunk.style->info & kTextStyleExpandAfter) != 0;
    // A style that takes away expands the other way round at both edges or none.
    const bool is_reversed = chunk.style->value.is_null() && before == after;
    if (before && after) {
      expand = is_reversed ? StyleExpand::kNone : StyleExpand::kBoth;
    } else if (!before && !after) {
      expand = is_reversed ? StyleExpand::kBoth : StyleExpand::kNone;
    } else {
      expand = before ? StyleExpand::kBefore : StyleExpand::kAfter;
    }
  });
  return expand;
}

Status DeltaEditor::InsertValues(const ContainerId& id, uint32_t at,
                                 const std::vector<Value>& values) {
  for (const Value& value : values) {
    const auto* child = value.If<ContainerId>();
    if (child == nullptr) {
      MERROW_TRY(document_->ListInsert(id, at, value));
    } else {
      MERROW_ASSIGN(const ContainerId made, document_->ListInsertContainer(id, at, child->kind()));
      made_.insert_or_assign(*child, made);
    }
    ++at;
  }
  return {};
}

Status DeltaEditor::Edit(const ContainerId& id, const ListDelta& delta) {
  if (id.kind() == ContainerKind::kMovableList) return EditMovable(id, delta);
  uint32_t at = 0;
  for (const ListEdit& edit : delta) {
    if (edit.kind == EditKind::kDelete) {
      MERROW_TRY(document_->ListDelete(id, at, edit.length));
      continue;
    }
    if (edit.kind == EditKind::kInsert) MERROW_TRY(InsertValues(id, at, edit.values));
    at += edit.length;
  }
  return {};
}

// What is moved is taken away where it is inserted, and left alone where it is deleted.
Status DeltaEditor::EditMovable(const ContainerId& id, const ListDelta& delta) {
  const ItemChildren items = ChildrenOf(state_->Get<MovableListState>(id));
  const ContainerIdSet moved = MovedChildren(items, delta);
  ContainerIdSet placed;
  const auto insert = [&](const Value& value, uint32_t* at) -> Status {
    const auto* child = value.If<ContainerId>();
    if (child == nullptr || moved.count(*child) == 0 || placed.count(*child) > 0) {
      MERROW_TRY(InsertValues(id, *at, {value}));
      ++*at;
      return {};
    }
    placed.insert(*child);
    uint32_t from = 0;
    bool is_found = false;
    state_->Get<MovableListState>(id)->ForEach([&](const MovableListItem& item) {
      is_found = is_found || (item.value.If<ContainerId>() != nullptr &&
                              *item.value.If<ContainerId>() == *child);
      from += is_found ? 0 : 1;
    });
    const uint32_t to = from < *at ? *at - 1 : *at;
    MERROW_TRY(document_->MovableListMove(id, from, to));
    *at = to + 1;
    return {};
  };
  uint32_t at = 0;
  size_t index = 0;
  for (const ListEdit& edit : delta) {
    if (edit.kind == EditKind::kInsert) {
      for (const Value& value : edit.values) MERROW_TRY(insert(value, &at));
      continue;
    }
    for (uint32_t i = 0; i < edit.length; ++i, ++index) {
      const std::optional<ContainerId>& child = items[index];
      // An item that is inserted again further on stays until then.
      const bool is_moved =
          edit.kind == EditKind::kDelete && child.has_value() && moved.count(*child) > 0;
      if (edit.kind == EditKind::kRetain || (is_moved && placed.count(*child) == 0)) {
        ++at;
      } else if (!is_moved) {
        MERROW_TRY(document_->ListDelete(id, at, 1));
      }
    }
  }
  return {};
}

Status DeltaEditor::Edit(const ContainerId& id, const MapDelta& delta) {
  for (const MapEdit& edit : delta) {
    if (!edit.value.has_value()) {
      MERROW_TRY(document_->MapDelete(id, edit.key));
    } else if (const auto* child = edit.value->If<ContainerId>();
               child != nullptr && IsMergeable(*child)) {
      MERROW_TRY(ShowMergeable(id, edit.key, *child));
    } else if (child != nullptr) {
      MERROW_ASSIGN(const ContainerId made,
                    document_->MapSetContainer(id, edit.key, child->kind()));
      made_.insert_or_assign(*child, made);
    } else {
      MERROW_TRY(document_->MapSet(id, edit.key, *edit.value));
    }
  }
  return {};
}

// A mergeable child keeps what it holds while it is not shown. The delta brings it along whole, so
// that goes first.
Status DeltaEditor::ShowMergeable(const ContainerId& map, std::string_view key,
                                  const ContainerId& child) {
  MERROW_TRY(document_->MapDelete(map, key));
  MERROW_ASSIGN(const ContainerId shown, document_->MapEnsureMergeable(map, key, child.kind()));
  made_.insert_or_assign(child, shown);
  const Container* const container = state_->Find(shown);
  if (container == nullptr) return {};
  if (std::holds_alternative<TextState>(container->state)) {
    return document_->TextDelete(shown, 0, document_->Length(shown));
  }
  if (const auto* counter = std::get_if<CounterState>(&container->state)) {
    return counter->sum == 0 ? Status() : document_->CounterIncrement(shown, -counter->sum);
  }
  if (const auto* tree = std::get_if<TreeState>(&container->state)) {
    for (const Id root : tree->Children(TreePlace::Root())) {
      MERROW_TRY(document_->TreeDelete(shown, root));
    }
    return {};
  }
  if (const auto* entries = std::get_if<MapState>(&container->state)) {
    std::vector<std::string> keys;
    for (const MapState::Entry& entry : entries->entries()) keys.emplace_back(entry.key);
    for (const std::string& name : keys) MERROW_TRY(document_->MapDelete(shown, name));
    return {};
  }
  return document_->ListDelete(shown, 0, document_->Length(shown));
}

Status DeltaEditor::Edit(const ContainerId& id, const TreeDelta& delta) {
  std::map<Id, Id> nodes;
  const auto name_of = [&nodes](Id node) {
    const auto found = nodes.find(node);
    return found == nodes.end() ? node : found->second;
  };
  for (const TreeEdit& edit : delta) {
    std::optional<Id> parent = edit.parent;
    if (parent.has_value()) parent = name_of(*parent);
    switch (edit.kind) {
      case TreeEdit::Kind::kCreate: {
        MERROW_ASSIGN(const Id made, document_->TreeCreate(id, parent, edit.index));
        nodes.insert_or_assign(edit.node, made);
        made_.insert_or_assign(ContainerId::Normal(edit.node, ContainerKind::kMap),
                               ContainerId::Normal(made, ContainerKind::kMap));
        break;
      }
      case TreeEdit::Kind::kMove:
        MERROW_TRY(document_->TreeMoveNode(id, name_of(edit.node), parent, edit.index));
        break;
      case TreeEdit::Kind::kDelete:
        MERROW_TRY(document_->TreeDelete(id, name_of(edit.node)));
        break;
    }
  }
  return {};
}

Status DeltaEditor::Edit(const ContainerId& id, CounterDelta delta) {
  return document_->CounterIncrement(id, delta);
}

}  // namespace merrow::loro
