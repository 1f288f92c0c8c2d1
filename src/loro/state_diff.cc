// SPDX-License-Identifier: Apache-2.0
#include "loro/state_diff.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "loro/delta_builder.h"
#include "loro/element_walk.h"
#include "loro/mergeable.h"
#include "loro/text_attributes.h"
#include "loro/tree_steps.h"

namespace merrow::loro {
namespace {

using AnyDelta = decltype(ContainerDelta::delta);

std::vector<ElementRun> ElementsOf(const StyledRuns& styled) {
  std::vector<ElementRun> elements;
  elements.reserve(styled.runs.size());
  for (const StyledRun& run : styled.runs) elements.push_back({run.id, run.length});
  return elements;
}

TextDelta DiffTexts(const TextState& from, const TextState& to) {
  const StyledRuns a = StyledRunsOf(from);
  const StyledRuns b = StyledRunsOf(to);
  TextDeltaBuilder delta;
  uint32_t at = 0;  // scalars of `to` in front
  WalkElements(
      ElementsOf(a), ElementsOf(b), [&](size_t, uint32_t, uint32_t count) { delta.Delete(count); },
      [&](size_t j, uint32_t, uint32_t count) {
        std::string text;
        // In range: the runs are those of this text.
        const Status sliced = to.AppendSlice(at, count, &text);
        if (sliced.ok()) {
          delta.Insert(count, text, ToAttributes(b.attributes[b.runs[j].attributes]));
        }
        at += count;
      },
      [&](size_t i, uint32_t, size_t j, uint32_t, uint32_t count) {
        delta.Retain(count, AttributeChanges(a.attributes[a.runs[i].attributes],
                                             b.attributes[b.runs[j].attributes]));
        at += count;
      });
  return delta.Finish();
}

// The elements of a list of either kind: ids, values, and what tells one value from another.
struct ListElements {
  std::vector<ElementRun> runs;
  std::vector<const Value*> values;
  std::vector<IdLp> writers;  // only of a movable list

  void Add(Id id, const Value& value) {
    const bool goes_on =
        !runs.empty() && runs.back().id.Plus(static_cast<Counter>(runs.back().length)) == id;
    if (goes_on) {
      ++runs.back().length;
    } else {
      runs.push_back({id, 1});
    }
    values.push_back(&value);
  }
};

ListElements ElementsOf(const ListState& list) {
  ListElements elements;
  list.ForEach([&](const IdRun& run, const Value& value) { elements.Add(run.id, value); });
  return elements;
}

ListElements ElementsOf(const MovableListState& list) {
  ListElements elements;
  list.ForEach([&](const MovableListItem& item) {
    elements.Add(item.id(), item.value);
    elements.writers.push_back(item.last_set());
  });
  return elements;
}

ListDelta DiffLists(const ListElements& from, const ListElements& to) {
  ListDeltaBuilder delta;
  size_t old_index = 0;
  size_t new_index = 0;
  WalkElements(
      from.runs, to.runs,
      [&](size_t, uint32_t, uint32_t count) {
        delta.Delete(count);
        old_index += count;
      },
      [&](size_t, uint32_t, uint32_t count) {
        for (; count > 0; --count) delta.Insert(*to.values[new_index++]);
      },
      [&](size_t, uint32_t, size_t, uint32_t, uint32_t count) {
        for (; count > 0; --count, ++old_index, ++new_index) {
          if (from.writers.empty() || from.writers[old_index] == to.writers[new_index]) {
            delta.Retain(1);
          } else {
            delta.Insert(*to.values[new_index]);
            delta.Delete(1);
          }
        }
      });
  return delta.Finish();
}

MapDelta DiffMaps(const ContainerId& id, const MapState& from, const MapState& to) {
  MapDelta delta;
  for (const MapState::Entry& entry : to.entries()) {
    const Value* const old_value = from.Get(entry.key);
    if (!entry.value.has_value()) {
      if (old_value != nullptr) delta.push_back({entry.key, std::nullopt});
    } else if (old_value == nullptr || !(*old_value == *entry.value)) {
      delta.push_back({std::string(entry.key), ShownValue(id, entry.key, *entry.value)});
    }
  }
  // An earlier version may not know a key at all.
  if (from.entries().size() > 0) {
    std::unordered_set<std::string_view> known;
    for (const MapState::Entry& entry : to.entries()) known.insert(entry.key);
    for (const MapState::Entry& entry : from.entries()) {
      if (entry.value.has_value() && known.count(entry.key) == 0) {
        delta.push_back({entry.key, std::nullopt});
      }
    }
  }
  std::sort(delta.begin(), delta.end(),
            [](const MapEdit& a, const MapEdit& b) { return a.key < b.key; });
  return delta;
}

template <typename T>
const T& StateOrEmpty(const Container* container, const T& empty) {
  const T* const state = container == nullptr ? nullptr : std::get_if<T>(&container->state);
  return state == nullptr ? empty : *state;
}

// Null stands for an empty container. Nothing if they are equal.
std::optional<AnyDelta> DiffContainers(const ContainerId& id, const Container* from,
                                       const Container* to) {
  const auto unless_empty = [](auto delta) -> std::optional<AnyDelta> {
    if (delta.empty()) return std::nullopt;
    return AnyDelta(std::move(delta));
  };
  switch (id.kind()) {
    case ContainerKind::kText: {
      const TextState empty;
      return unless_empty(DiffTexts(StateOrEmpty(from, empty), StateOrEmpty(to, empty)));
    }
    case ContainerKind::kList: {
      const ListState empty;
      return unless_empty(
          DiffLists(ElementsOf(StateOrEmpty(from, empty)), ElementsOf(StateOrEmpty(to, empty))));
    }
    case ContainerKind::kMovableList: {
      const MovableListState empty;
      return unless_empty(
          DiffLists(ElementsOf(StateOrEmpty(from, empty)), ElementsOf(StateOrEmpty(to, empty))));
    }
    case ContainerKind::kMap: {
      const MapState empty;
      return unless_empty(DiffMaps(id, StateOrEmpty(from, empty), StateOrEmpty(to, empty)));
    }
    case ContainerKind::kTree: {
      const TreeState empty;
      return unless_empty(DiffTrees(StateOrEmpty(from, empty), StateOrEmpty(to, empty)));
    }
    case ContainerKind::kCounter: {
      const CounterState empty;
      const double change = StateOrEmpty(to, empty).sum - StateOrEmpty(from, empty).sum;
      if (change == 0) return std::nullopt;
      return AnyDelta(change);
    }
  }
  return std::nullopt;
}

}  // namespace

void ForEachContainerIn(const Value& value, const std::function<void(const ContainerId&)>& visit) {
  if (const auto* child = value.If<ContainerId>()) {
    visit(*child);
  } else if (const auto* list = value.If<Value::List>()) {
    for (const Value& item : *list) ForEachContainerIn(item, visit);
  } else if (const auto* map = value.If<Value::Map>()) {
    for (const auto& [key, item] : *map) ForEachContainerIn(item, visit);
  }
}

Value ShownValue(const ContainerId& map, std::string_view key, const Value& value) {
  if (value.If<Value::Binary>() == nullptr) return value;
  std::optional<ContainerId> child = MergeableShownBy(map, key, value);
  return child.has_value() ? Value(*std::move(child)) : value;
}

void ForEachShownChild(const State&, const Container& container,
                       const std::function<void(const ContainerId&)>& visit) {
  if (const auto* map = std::get_if<MapState>(&container.state)) {
    for (const MapState::Entry& entry : map->entries()) {
      if (!entry.value.has_value()) continue;
      ForEachContainerIn(ShownValue(container.id, entry.key, *entry.value), visit);
    }
  } else if (const auto* list = std::get_if<ListState>(&container.state)) {
    list->ForEach([&](const IdRun&, const Value& value) { ForEachContainerIn(value, visit); });
  } else if (const auto* movable = std::get_if<MovableListState>(&container.state)) {
    movable->ForEach([&](const MovableListItem& item) { ForEachContainerIn(item.value, visit); });
  } else if (const auto* tree = std::get_if<TreeState>(&container.state)) {
    std::vector<TreePlace> parents = {TreePlace::Root()};
    for (size_t i = 0; i < parents.size(); ++i) {
      for (const Id node : tree->Children(parents[i])) {
        visit(ContainerId::Normal(node, ContainerKind::kMap));
        parents.push_back(TreePlace::Below(node));
      }
    }
  }
}

std::vector<const Container*> ShownContainers(const State& state) {
  std::vector<const Container*> shown;
  ContainerIdSet seen;
  for (const Container& container : state.containers()) {
    if (container.id.is_root() && !IsMergeable(container.id)) shown.push_back(&container);
  }
  std::sort(shown.begin(), shown.end(),
            [](const Container* a, const Container* b) { return a->id < b->id; });
  for (const Container* root : shown) seen.insert(root->id);
  for (size_t i = 0; i < shown.size(); ++i) {
    ForEachShownChild(state, *shown[i], [&](const ContainerId& id) {
      const Container* const child = state.Find(id);
      if (child != nullptr && seen.insert(id).second) shown.push_back(child);
    });
  }
  return shown;
}

DocumentDelta DiffStates(const State& from, const State& to) {
  DocumentDelta delta;
  const std::vector<const Container*> shown_from = ShownContainers(from);
  const std::vector<const Container*> shown_to = ShownContainers(to);
  std::unordered_map<ContainerId, const Container*, ContainerIdHash> before;
  for (const Container* container : shown_from) before.emplace(container->id, container);
  for (const Container* container : shown_to) {
    const auto found = before.find(container->id);
    auto change =
        DiffContainers(container->id, found == before.end() ? nullptr : found->second, container);
    if (change.has_value()) delta.push_back({container->id, std::move(*change)});
  }
  // A root that the later version does not have is empty there.
  for (const Container* container : shown_from) {
    if (!container->id.is_root() || IsMergeable(container->id)) break;
    if (to.Find(container->id) != nullptr) continue;
    auto change = DiffContainers(container->id, container, nullptr);
    if (change.has_value()) delta.push_back({container->id, std::move(*change)});
  }
  return delta;
}

void AppendWhole(const State& state, const ContainerId& id, ContainerIdSet* done,
                 DocumentDelta* delta) {
  std::vector<ContainerId> queue = {id};
  for (size_t i = 0; i < queue.size(); ++i) {
    const ContainerId next = queue[i];
    const Container* const container = state.Find(next);
    if (container == nullptr || !done->insert(next).second) continue;
    auto change = DiffContainers(next, nullptr, container);
    if (change.has_value()) delta->push_back({next, std::move(*change)});
    ForEachShownChild(state, *container, [&](const ContainerId& child) { queue.push_back(child); });
  }
}

}  // namespace merrow::loro
