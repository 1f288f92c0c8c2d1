// SPDX-License-Identifier: Apache-2.0
#include "loro/history_base.h"

#include <algorithm>
#include <unordered_set>

#include "base/bytes.h"
#include "loro/mergeable.h"
#include "loro/state_codec.h"
#include "loro/state_image.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

void VisitChildren(const Value& value, const std::function<void(const ContainerId&)>& visit) {
  if (const auto* child = value.If<ContainerId>()) {
    visit(*child);
  } else if (const auto* list = value.If<Value::List>()) {
    for (const Value& item : *list) VisitChildren(item, visit);
  } else if (const auto* map = value.If<Value::Map>()) {
    for (const auto& [key, item] : *map) VisitChildren(item, visit);
  }
}

class BaseChecker {
 public:
  BaseChecker(const State& state, const VersionVector& version, Lamport lamport_max)
      : state_(state), version_(version), lamport_max_(lamport_max) {}

  Status Check() {
    for (const Container& container : state_.containers()) {
      Status checked = CheckParent(container);
      if (checked.ok()) checked = CheckOps(container.state);
      if (checked.ok()) checked = CheckChildren(container);
      if (!checked.ok()) return checked.error().Within("state of " + Clip(container.id.ToString()));
    }
    return CheckForest();
  }

 private:
  Status CheckRun(const IdRun& run) const {
    const bool lamport_fits = run.length <= lamport_max_ - std::min(run.lamport, lamport_max_) + 1;
    const bool counter_fits =
        run.id.counter >= 0 && run.id.counter < version_.End(run.id.peer) &&
        run.length <= static_cast<uint32_t>(version_.End(run.id.peer) - run.id.counter);
    if (run.lamport <= lamport_max_ && lamport_fits && counter_fits) return {};
    return Corruption("op " + ToString(run.id) + " is not part of the version");
  }
  Status CheckId(Id id, Lamport lamport) const { return CheckRun({id, lamport, 1}); }
  Status CheckIdLp(IdLp id) const {
    if (id.lamport <= lamport_max_ && version_.End(id.peer) > 0) return {};
    return Corruption("an op of peer " + std::to_string(id.peer) + " is not part of the version");
  }

  Status CheckParent(const Container& container) const {
    if (container.id.is_root()) {
      // loro-crdt writes the parent of a mergeable child, which its name says as well.
      const std::optional<MergeablePlace> place = PlaceOfMergeable(container.id);
      const bool fits =
          !container.parent.has_value() || (place.has_value() && place->map == *container.parent);
      if (!fits) return Corruption("a root with a parent");
      return {};
    }
    if (!container.parent.has_value()) return Corruption("no parent");
    if (state_.Find(*container.parent) == nullptr) return Corruption("the parent is missing");
    return CheckId(container.id.op(), 0);
  }

  Status CheckOps(const Container::AnyState& state) const {
    Status status;
    const auto keep = [&status](const Status& checked) {
      if (status.ok() && !checked.ok()) status = checked;
    };
    if (const auto* map = std::get_if<MapState>(&state)) {
      for (const MapState::Entry& entry : map->entries()) keep(CheckIdLp(entry.writer));
    } else if (const auto* list = std::get_if<ListState>(&state)) {
      list->ForEach([&](const IdRun& run, const Value&) { keep(CheckRun(run)); });
    } else if (const auto* text = std::get_if<TextState>(&state)) {
      text->ForEachChunk([&](const TextChunk& chunk) { keep(CheckRun(chunk.run)); });
    } else if (const auto* movable = std::get_if<MovableListState>(&state)) {
      movable->ForEachItem([&](const MovableListItem& item) {
        keep(CheckId(item.id(), item.lamport));
        if (!item.visible) return;
        keep(CheckIdLp(item.element()));
        keep(CheckIdLp(item.last_set()));
      });
    } else if (const auto* tree = std::get_if<TreeState>(&state)) {
      for (const TreeImage::Node& node : tree->ToImage().nodes) {
        keep(CheckId(node.id, 0));
        keep(CheckId(node.last_set, node.last_set_lamport));
      }
    }
    return status;
  }

  // Each child is referred to once, by its parent.
  Status CheckChildren(const Container& container) {
    Status status;
    ForEachChildOf(container, [&](const ContainerId& id) {
      const Container* child = state_.Find(id);
      const bool is_own = child != nullptr && child->parent == container.id;
      if (is_own && referred_.insert(id).second) return;
      status = Corruption("it refers to " + Clip(id.ToString()) + ", which is not its own");
    });
    return status;
  }

  // Following parents ends at a root.
  Status CheckForest() const {
    std::unordered_set<const Container*> grounded;
    for (const Container& container : state_.containers()) {
      std::vector<const Container*> path;
      const Container* at = &container;
      while (!at->id.is_root() && grounded.count(at) == 0) {
        path.push_back(at);
        if (path.size() > state_.containers().size()) {
          return Corruption("state of " + Clip(container.id.ToString()) +
                            ": its parents form a circle");
        }
        at = state_.Find(*at->parent);
      }
      grounded.insert(path.begin(), path.end());
    }
    return {};
  }

  const State& state_;
  const VersionVector& version_;
  const Lamport lamport_max_;
  std::unordered_set<ContainerId, ContainerIdHash> referred_;
};

}  // namespace

void ForEachChildOf(const Container& container,
                    const std::function<void(const ContainerId&)>& visit) {
  const Container::AnyState& state = container.state;
  if (const auto* map = std::get_if<MapState>(&state)) {
    for (const MapState::Entry& entry : map->entries()) {
      if (entry.value.has_value()) VisitChildren(*entry.value, visit);
    }
  } else if (const auto* list = std::get_if<ListState>(&state)) {
    list->ForEach([&](const IdRun&, const Value& value) { VisitChildren(value, visit); });
  } else if (const auto* movable = std::get_if<MovableListState>(&state)) {
    movable->ForEach([&](const MovableListItem& item) { VisitChildren(item.value, visit); });
  } else if (const auto* tree = std::get_if<TreeState>(&state)) {
    for (const TreeImage::Node& node : tree->ToImage().nodes) {
      visit(ContainerId::Normal(node.id, ContainerKind::kMap));
    }
  }
}

HistoryBase::HistoryBase(CausalGraph::Start start, Lamport lamport,
                         const std::vector<SnapshotParts::State>& states)
    : start_(std::move(start)), lamport_(lamport) {
  states_.reserve(states.size());
  for (const SnapshotParts::State& state : states) {
    states_.push_back({state.container, Bytes(state.wrapper)});
  }
  std::sort(states_.begin(), states_.end(),
            [](const Entry& a, const Entry& b) { return a.container < b.container; });
}

std::vector<SnapshotParts::State> HistoryBase::StateEntries() const {
  std::vector<SnapshotParts::State> entries;
  entries.reserve(states_.size());
  for (const Entry& entry : states_) entries.push_back({entry.container, entry.wrapper});
  return entries;
}

Result<State> HistoryBase::DecodeState() const {
  MERROW_ASSIGN(State state, StateFromImage(StateEntries(), lamport_));
  // Writers may leave out containers that are empty.
  std::vector<std::pair<ContainerId, ContainerId>> children;  // with their parents
  for (const Container& container : state.containers()) {
    ForEachChildOf(container,
                   [&](const ContainerId& child) { children.emplace_back(child, container.id); });
  }
  for (const auto& [child, parent] : children) state.AdoptChildren(Value(child), parent);
  return state;
}

Container::AnyState HistoryBase::DecodeContainer(const ContainerId& id) const {
  const auto entry = std::lower_bound(
      states_.begin(), states_.end(), id,
      [](const Entry& other, const ContainerId& key) { return other.container < key; });
  if (entry == states_.end() || entry->container != id) return OpaqueState();
  Result<Container> container = ContainerFromImage({entry->container, entry->wrapper}, lamport_);
  MERROW_CHECK(container.ok());
  return std::move(container->state);
}

size_t HistoryBase::MemoryBytes() const {
  size_t bytes = sizeof(*this) + states_.capacity() * sizeof(Entry);
  for (const Entry& entry : states_) bytes += entry.wrapper.capacity();
  return bytes;
}

SnapshotParts::Shallow ShallowPart(const HistoryBase& base) {
  return {.start = base.start().trimmed,
          .start_frontiers = base.start().frontiers,
          .state_frontiers = base.start().frontiers,
          .states = base.StateEntries()};
}

Status CheckBaseState(const State& state, const VersionVector& version, Lamport lamport_max) {
  return BaseChecker(state, version, lamport_max).Check();
}

}  // namespace merrow::loro
