// SPDX-License-Identifier: Apache-2.0
#include "loro/event_recorder.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "loro/delta_builder.h"
#include "loro/mergeable.h"
#include "loro/text_attributes.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// Walks the styled runs of a text forwards.
class StyleCursor {
 public:
  StyleCursor(const TextState& text, const std::set<Id>& fresh_styles)
      : now_(StyledRunsOf(text)), has_fresh_(!fresh_styles.empty()) {
    if (has_fresh_) before_ = StyledRunsOf(text, fresh_styles);
  }

  /// Calls visit(attributes before or null, attributes now, length) for the next `length` scalars.
  template <typename Visit>
  void Next(uint32_t length, Visit visit) {
    while (length > 0) {
      const StyledRun& run = now_.runs[index_];
      const uint32_t here = std::min(length, run.length - offset_);
      const AttributeRefs* before = nullptr;
      // Both walks have the same runs.
      if (has_fresh_) before = &before_.attributes[before_.runs[index_].attributes];
      visit(before, now_.attributes[run.attributes], here);
      length -= here;
      offset_ += here;
      if (offset_ == run.length) {
        ++index_;
        offset_ = 0;
      }
    }
  }

 private:
  StyledRuns now_;
  StyledRuns before_;
  bool has_fresh_;
  size_t index_ = 0;
  uint32_t offset_ = 0;
};

uint32_t ScalarsBefore(const TextState& text, uint32_t entity) {
  const Result<uint32_t> scalars = text.EntityToUnicode(entity);
  MERROW_CHECK(scalars.ok());
  return *scalars;
}

uint32_t ShownBefore(const MovableListState& list, uint32_t op_index) {
  const Result<uint32_t> shown = list.UserIndexOf(op_index);
  MERROW_CHECK(shown.ok());
  return *shown;
}

}  // namespace

void EventRecorder::Reset(const State& state) {
  Drop();
  hidden_.clear();
  ContainerIdSet referred;
  for (const Container& container : state.containers()) {
    ForEachShownChild(state, container,
                      [&referred](const ContainerId& child) { referred.insert(child); });
  }
  for (const Container& container : state.containers()) {
    const bool in_tree =
        container.parent.has_value() && container.parent->kind() == ContainerKind::kTree;
    if (!container.id.is_root() && !in_tree && referred.count(container.id) == 0) {
      hidden_.insert(container.id);
    }
  }
}

void EventRecorder::Drop() {
  records_.clear();
  adopted_.clear();
}

void EventRecorder::Hide(const Value& value) {
  ForEachContainerIn(value, [this](const ContainerId& id) { hidden_.insert(id); });
}

void EventRecorder::Unhide(const Value& value) {
  ForEachContainerIn(value, [this](const ContainerId& id) { hidden_.erase(id); });
}

void EventRecorder::MapWritten(const ContainerId& id, std::string_view key,
                               const std::optional<Value>& before) {
  auto& record = RecordOf<MapRecord>(id);
  if (record.find(key) != record.end()) return;
  SlotBefore slot{before.has_value(), std::nullopt};
  if (before.has_value()) slot.mergeable = MergeableShownBy(id, key, *before);
  record.emplace(key, std::move(slot));
}

void EventRecorder::TextInserted(const ContainerId& id, uint32_t entity_index, uint32_t length) {
  RecordOf<TextRecord>(id).rope.Insert(entity_index, length);
}

void EventRecorder::StyleInserted(const ContainerId& id, uint32_t entity_index, Id start) {
  auto& record = RecordOf<TextRecord>(id);
  record.rope.Insert(entity_index, 1);
  record.styles.insert(start);
}

void EventRecorder::ValuesInserted(const ContainerId& id, uint32_t position, uint32_t count) {
  if (id.kind() == ContainerKind::kMovableList) {
    RecordOf<MovableRecord>(id).rope.Insert(position, count);
  } else {
    RecordOf<EditRope>(id).Insert(position, count);
  }
}

void EventRecorder::Deleting(const Container& container, uint32_t position, uint32_t length) {
  if (std::holds_alternative<TextState>(container.state)) {
    RecordOf<TextRecord>(container.id).rope.Delete(position, length);
  } else if (const auto* list = std::get_if<ListState>(&container.state)) {
    for (uint32_t i = 0; i < length; ++i) Hide(*list->Get(position + i));
    RecordOf<EditRope>(container.id).Delete(position, length);
  } else if (const auto* movable = std::get_if<MovableListState>(&container.state)) {
    auto& record = RecordOf<MovableRecord>(container.id);
    for (uint32_t i = 0; i < length; ++i) {
      const MovableListItem& item = *movable->ItemAtOpIndex(position + i);
      if (!item.visible) {
        record.rope.DeleteHidden(position);
        continue;
      }
      record.was_shown.try_emplace(item.element(), true);
      Hide(item.value);
      record.rope.Delete(position, 1);
    }
  }
}

void EventRecorder::Moving(const ContainerId& id, const MovableListState& list,
                           const MovableListState::Move& move, std::optional<uint32_t> old_index) {
  auto& record = RecordOf<MovableRecord>(id);
  record.was_shown.try_emplace(move.element, old_index.has_value());
  if (old_index.has_value() && old_index != move.from) record.rope.Touch(*old_index, true, false);
  if (move.from.has_value()) {
    if (list.ItemAtOpIndex(*move.from)->visible) {
      record.rope.Delete(*move.from, 1);
    } else {
      record.rope.DeleteHidden(*move.from);
    }
  }
  record.rope.Insert(move.to, 1);
}

void EventRecorder::ElementWritten(const ContainerId& id, uint32_t op_index) {
  RecordOf<MovableRecord>(id).rope.Touch(op_index, true, true);
}

void EventRecorder::TouchingNode(const ContainerId& id, const TreeState& tree, Id node) {
  auto& record = RecordOf<TouchedNodes>(id);
  if (record.count(node) == 0) record.emplace(node, PlaceOf(tree, node));
}

std::optional<size_t> EventRecorder::DepthOf(const State& state, ContainerId id) const {
  size_t depth = 0;
  while (true) {
    if (const auto place = PlaceOfMergeable(id)) {
      const auto* map = state.Get<MapState>(place->map);
      const Value* const slot = map == nullptr ? nullptr : map->Get(place->key);
      const bool is_shown =
          slot != nullptr && MergeableShownBy(place->map, place->key, *slot) == id;
      if (!is_shown) return std::nullopt;
      ++depth;
      id = place->map;
      continue;
    }
    if (id.is_root()) break;
    const Container* const container = state.Find(id);
    if (container == nullptr || !container->parent.has_value()) return std::nullopt;
    if (container->parent->kind() == ContainerKind::kTree) {
      const auto* tree = state.Get<TreeState>(*container->parent);
      if (tree == nullptr || !tree->IsAlive(id.op())) return std::nullopt;
    } else if (hidden_.count(id) > 0) {
      return std::nullopt;
    }
    // Who is nested deeper than there are containers is inside itself.
    if (++depth > state.containers().size()) return std::nullopt;
    id = *container->parent;
  }
  return depth;
}

EventRecorder::Delta EventRecorder::DeltaOf(const TextRecord& record, const Container& container) {
  TextDeltaBuilder delta;
  const auto* text = std::get_if<TextState>(&container.state);
  if (text == nullptr) return delta.Finish();
  std::optional<StyleCursor> styles;
  if (text->has_styles()) styles.emplace(*text, record.styles);
  uint32_t entity = 0;
  uint32_t at = 0;
  record.rope.ForEach([&](const EditRope::Segment& segment) {
    if (segment.kind == EditKind::kDelete) return delta.Delete(segment.length);
    entity += std::min(segment.length, text->entity_length() - entity);
    const uint32_t end = ScalarsBefore(*text, entity);
    const auto add = [&](const AttributeRefs* before, const AttributeRefs& now, uint32_t length) {
      if (segment.kind == EditKind::kRetain) {
        return delta.Retain(length,
                            before == nullptr ? Attributes() : AttributeChanges(*before, now));
      }
      std::string slice;
      MERROW_CHECK(text->AppendSlice(at, length, &slice).ok());
      delta.Insert(length, slice, ToAttributes(now));
      at += length;
    };
    if (styles.has_value()) {
      styles->Next(end - at, add);
    } else if (end > at) {
      add(nullptr, {}, end - at);
    }
    at = end;
  });
  return delta.Finish();
}

EventRecorder::Delta EventRecorder::DeltaOf(const EditRope& record, const Container& container) {
  ListDeltaBuilder delta;
  const auto* list = std::get_if<ListState>(&container.state);
  if (list == nullptr) return delta.Finish();
  uint32_t at = 0;
  record.ForEach([&](const EditRope::Segment& segment) {
    if (segment.kind == EditKind::kDelete) return delta.Delete(segment.length);
    const uint32_t end = at + std::min(segment.length, list->length() - at);
    if (segment.kind == EditKind::kRetain) delta.Retain(end - at);
    for (; segment.kind == EditKind::kInsert && at < end; ++at) delta.Insert(*list->Get(at));
    at = end;
  });
  return delta.Finish();
}

EventRecorder::Delta EventRecorder::DeltaOf(const MovableRecord& record, const Container& container,
                                            std::vector<ContainerId>* revived) const {
  ListDeltaBuilder delta;
  const auto* list = std::get_if<MovableListState>(&container.state);
  if (list == nullptr) return delta.Finish();
  const auto insert = [&](uint32_t op_index) {
    const MovableListItem& item = *list->ItemAtOpIndex(op_index);
    if (!item.visible) return;
    delta.Insert(item.value);
    const auto seen = record.was_shown.find(item.element());
    const bool was_shown = seen != record.was_shown.end() && seen->second;
    if (was_shown) return;
    ForEachContainerIn(item.value, [&](const ContainerId& id) {
      if (adopted_.count(id) == 0) revived->push_back(id);
    });
  };
  uint32_t at = 0;  // op index
  record.rope.ForEach([&](const EditRope::Segment& segment) {
    if (segment.kind == EditKind::kDelete) return delta.Delete(segment.length);
    const uint32_t end = at + std::min(segment.length, list->item_count() - at);
    if (segment.is_touched) {
      const bool is_shown = list->ItemAtOpIndex(at)->visible;
      if (is_shown && segment.was_shown && !segment.has_new_value) {
        delta.Retain(1);
      } else {
        if (is_shown) insert(at);
        if (segment.was_shown) delta.Delete(1);
      }
    } else if (segment.kind == EditKind::kRetain) {
      delta.Retain(ShownBefore(*list, end) - ShownBefore(*list, at));
    } else {
      for (uint32_t i = at; i < end; ++i) insert(i);
    }
    at = end;
  });
  return delta.Finish();
}

EventRecorder::Delta EventRecorder::DeltaOf(const MapRecord& record, const Container& container,
                                            std::vector<ContainerId>* revived) {
  MapDelta delta;
  const auto* map = std::get_if<MapState>(&container.state);
  if (map == nullptr) return delta;
  for (const auto& [key, before] : record) {
    const Value* const value = map->Get(key);
    if (value != nullptr) {
      const std::optional<ContainerId> child = MergeableShownBy(container.id, key, *value);
      if (child.has_value() && child == before.mergeable) continue;
      if (child.has_value()) revived->push_back(*child);
      delta.push_back({key, child.has_value() ? Value(*child) : *value});
    } else if (before.was_there) {
      delta.push_back({key, std::nullopt});
    }
  }
  return delta;
}

EventRecorder::Delta EventRecorder::DeltaOf(const TouchedNodes& record, const Container& container,
                                            std::vector<ContainerId>* revived) const {
  const auto* tree = std::get_if<TreeState>(&container.state);
  if (tree == nullptr) return TreeDelta();
  TreeDelta delta = TreeSteps(*tree, record);
  for (const TreeEdit& edit : delta) {
    const ContainerId data = ContainerId::Normal(edit.node, ContainerKind::kMap);
    const bool is_back = edit.kind == TreeEdit::Kind::kCreate && adopted_.count(data) == 0;
    if (is_back) revived->push_back(data);
  }
  return delta;
}

DocumentDelta EventRecorder::Take(const State& state) {
  std::vector<std::pair<size_t, ContainerDelta>> items;
  std::vector<ContainerId> revived;
  for (const auto& [id, record] : records_) {
    const std::optional<size_t> depth = DepthOf(state, id);
    if (!depth.has_value()) continue;
    const Container& container = *state.Find(id);
    Delta delta;
    bool is_empty = false;
    if (const auto* text = std::get_if<TextRecord>(&record)) {
      delta = DeltaOf(*text, container);
    } else if (const auto* list = std::get_if<EditRope>(&record)) {
      delta = DeltaOf(*list, container);
    } else if (const auto* movable = std::get_if<MovableRecord>(&record)) {
      delta = DeltaOf(*movable, container, &revived);
    } else if (const auto* map = std::get_if<MapRecord>(&record)) {
      delta = DeltaOf(*map, container, &revived);
    } else if (const auto* tree = std::get_if<TouchedNodes>(&record)) {
      delta = DeltaOf(*tree, container, &revived);
    } else {
      delta = std::get<double>(record);
    }
    is_empty = std::visit(
        [](const auto& steps) {
          if constexpr (requires { steps.empty(); }) {
            return steps.empty();
          } else {
            return steps == 0;
          }
        },
        delta);
    if (!is_empty) items.push_back({*depth, {id, std::move(delta)}});
  }
  // What is seen again comes whole, with what was changed in it before.
  ContainerIdSet whole;
  DocumentDelta wholes;
  for (const ContainerId& id : revived) AppendWhole(state, id, &whole, &wholes);
  std::erase_if(items,
                [&whole](const auto& item) { return whole.count(item.second.container) > 0; });
  for (ContainerDelta& item : wholes) {
    const std::optional<size_t> depth = DepthOf(state, item.container);
    if (depth.has_value()) items.push_back({*depth, std::move(item)});
  }
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second.container) < std::tie(b.first, b.second.container);
  });
  DocumentDelta delta;
  delta.reserve(items.size());
  for (auto& [depth, item] : items) delta.push_back(std::move(item));
  Drop();
  return delta;
}

}  // namespace merrow::loro
