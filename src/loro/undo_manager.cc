// SPDX-License-Identifier: Apache-2.0
//
// Undo manager: two stacks of steps, each a stretch of versions that local edits went through. What
// others did after a step, and before the one above it, is kept with it as one delta.
//
// To undo a step: what turns its end into its start (A) is transformed over what others did since
// (R), and made as edits. The step is gone then, so for the step below others did what R does
// without it: R transformed over A joins what is kept there. Both stacks take note of every change
// by others.

#include "merrow/undo.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "loro/delta_editor.h"
#include "loro/delta_transform.h"
#include "loro/document_impl.h"
#include "loro/state_diff.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

struct Step {
  Frontiers from;
  Frontiers to;
  bool is_closed = false;  // others did something since
  DocumentDelta remote;    // what of it moves positions: deltas of texts and lists
};

using Stack = std::deque<Step>;

void AddRemote(const DocumentDelta& delta, Stack* stack) {
  if (stack->empty() || delta.empty()) return;
  stack->back().remote = Compose(std::move(stack->back().remote), delta);
}

// Of other kinds, an undo restores what was there whatever others did since.
DocumentDelta SequencesOf(const DocumentDelta& delta) {
  DocumentDelta sequences;
  std::copy_if(delta.begin(), delta.end(), std::back_inserter(sequences),
               [](const ContainerDelta& item) { return IsSequence(item.container.kind()); });
  return sequences;
}

// Calls containers and nodes by the names they have now, except those that the delta creates.
class Renamer {
 public:
  Renamer(const State& state, const DeltaEditor::ContainerNames& names)
      : state_(state), names_(names) {}

  void Rename(DocumentDelta* delta) {
    for (ContainerDelta& item : *delta) RenameMoved(&item);
    for (const ContainerDelta& item : *delta) CollectCreated(item);
    for (ContainerDelta& item : *delta) {
      item.container = NameOf(item.container);
      auto* const steps = std::get_if<TreeDelta>(&item.delta);
      if (steps == nullptr) continue;
      for (TreeEdit& edit : *steps) {
        edit.node = NameOf(edit.node);
        if (edit.parent.has_value()) edit.parent = NameOf(*edit.parent);
      }
    }
  }

 private:
  // A container that a movable list shows already is not created.
  void RenameMoved(ContainerDelta* item) {
    auto* const steps = std::get_if<ListDelta>(&item->delta);
    const auto* list = state_.Get<MovableListState>(NameOf(item->container));
    if (steps == nullptr || list == nullptr || names_.empty()) return;
    ContainerIdSet shown;
    list->ForEach([&shown](const MovableListItem& listed) {
      if (const auto* child = listed.value.If<ContainerId>()) shown.insert(*child);
    });
    for (ListEdit& edit : *steps) {
      for (Value& value : edit.values) {
        const auto* child = value.If<ContainerId>();
        if (child == nullptr) continue;
        const ContainerId name = NameOf(*child);
        if (shown.count(name) > 0) value = Value(name);
      }
    }
  }
  void CollectCreated(const ContainerDelta& item) {
    const auto add = [this](const ContainerId& id) { created_.insert(id); };
    if (const auto* list = std::get_if<ListDelta>(&item.delta)) {
      for (const ListEdit& edit : *list) {
        for (const Value& value : edit.values) ForEachContainerIn(value, add);
      }
    } else if (const auto* map = std::get_if<MapDelta>(&item.delta)) {
      for (const MapEdit& edit : *map) {
        if (edit.value.has_value()) ForEachContainerIn(*edit.value, add);
      }
    } else if (const auto* tree = std::get_if<TreeDelta>(&item.delta)) {
      for (const TreeEdit& edit : *tree) {
        if (edit.kind == TreeEdit::Kind::kCreate) add(DataOf(edit.node));
      }
    }
  }
  static ContainerId DataOf(Id node) { return ContainerId::Normal(node, ContainerKind::kMap); }
  ContainerId NameOf(ContainerId id) const {
    if (created_.count(id) > 0) return id;
    for (auto found = names_.find(id); found != names_.end(); found = names_.find(id)) {
      id = found->second;
    }
    return id;
  }
  Id NameOf(Id node) const { return NameOf(DataOf(node)).op(); }

  const State& state_;
  const DeltaEditor::ContainerNames& names_;
  ContainerIdSet created_;
};

}  // namespace

struct UndoManager::Impl {
  Impl(Document* target, UndoOptions given) : document(target), options(std::move(given)) {}

  void OnEvent(const DocumentEvent& event) {
    if (event.cause == DocumentEvent::Cause::kCheckout || is_undoing) return;
    if (event.cause == DocumentEvent::Cause::kLocal && is_recording) return AddStep(event);
    const DocumentDelta sequences = SequencesOf(event.delta);
    for (Stack* stack : {&undo, &redo}) {
      AddRemote(sequences, stack);
      if (!stack->empty()) stack->back().is_closed = true;
    }
  }

  void AddStep(const DocumentEvent& event) {
    const int64_t now = options.now_ms ? options.now_ms() : 0;
    const bool is_close = now - step_began < options.merge_interval_ms;
    const bool goes_on = in_group ? group_has_step : is_close;
    if (goes_on && !undo.empty() && !undo.back().is_closed && can_merge) {
      undo.back().to = event.to;
    } else {
      undo.push_back({.from = event.from, .to = event.to, .is_closed = false, .remote = {}});
      step_began = now;
    }
    can_merge = true;
    group_has_step = in_group;
    redo.clear();
    while (undo.size() > options.step_count_max) undo.pop_front();
  }

  Document* document;
  UndoOptions options;
  Subscription subscription;

  Stack undo;
  Stack redo;
  int64_t step_began = 0;
  bool can_merge = false;  // the top of `undo` was not left by an undo or a pause
  bool in_group = false;
  bool group_has_step = false;
  bool is_recording = true;
  bool is_undoing = false;
  DeltaEditor::ContainerNames names;  // of what undo and redo created again
};

UndoManager::UndoManager(Document* document, UndoOptions options)
    : impl_(std::make_unique<Impl>(document, std::move(options))) {
  impl_->subscription = document->Subscribe(
      [impl = impl_.get()](const DocumentEvent& event) { impl->OnEvent(event); });
}
UndoManager::~UndoManager() = default;
UndoManager::UndoManager(UndoManager&&) noexcept = default;
UndoManager& UndoManager::operator=(UndoManager&&) noexcept = default;

bool UndoManager::can_undo() const { return !impl_->undo.empty(); }
bool UndoManager::can_redo() const { return !impl_->redo.empty(); }
size_t UndoManager::undo_count() const { return impl_->undo.size(); }
size_t UndoManager::redo_count() const { return impl_->redo.size(); }

Result<bool> UndoManager::Undo() {
  impl_->document->Commit();
  return Perform(true);
}

Result<bool> UndoManager::Redo() {
  impl_->document->Commit();
  return Perform(false);
}

Result<bool> UndoManager::Perform(bool is_undo) {
  Document& document = *impl_->document;
  MERROW_TRY(document.impl_->CheckMayChange());
  if (document.is_checked_out()) return Conflict("an earlier version is shown");
  Stack& stack = is_undo ? impl_->undo : impl_->redo;
  Stack& opposite = is_undo ? impl_->redo : impl_->undo;
  impl_->can_merge = false;
  while (!stack.empty()) {
    const Step step = std::move(stack.back());
    stack.pop_back();
    MERROW_ASSIGN(DocumentDelta back, document.Diff(step.to, step.from));
    const State& state = document.impl_->core().state;
    Renamer(state, impl_->names).Rename(&back);
    AddRemote(Transform(step.remote, back, /*a_wins=*/false), &stack);
    const Frontiers before = document.frontiers();
    const DocumentDelta delta =
        WhatFits(state, Transform(std::move(back), step.remote, /*a_wins=*/true));
    DeltaEditor editor(&document, &state, std::move(impl_->names));
    impl_->is_undoing = true;
    const Status applied = editor.Apply(delta);
    document.Commit();
    impl_->is_undoing = false;
    impl_->names = editor.names();
    if (document.frontiers() != before) {
      opposite.push_back(
          {.from = before, .to = document.frontiers(), .is_closed = false, .remote = {}});
    }
    MERROW_TRY(applied);
    if (document.frontiers() != before) return true;
  }
  return false;
}

void UndoManager::BeginGroup() {
  impl_->document->Commit();
  impl_->in_group = true;
  impl_->group_has_step = false;
}

void UndoManager::EndGroup() {
  impl_->document->Commit();
  impl_->in_group = false;
  impl_->can_merge = false;
}

void UndoManager::SetRecording(bool is_recording) {
  impl_->document->Commit();
  impl_->is_recording = is_recording;
}

void UndoManager::Clear() {
  impl_->document->Commit();
  impl_->undo.clear();
  impl_->redo.clear();
}

}  // namespace merrow::loro
