// SPDX-License-Identifier: Apache-2.0
//
// Event recorder: collects what changes in a state while somebody wants to know, so that the delta
// of an import or a commit costs what changed and not what the document holds. State tells it every
// change, just before or after it is made; Take turns what was collected into a delta of what
// users see, reading inserted content from the state as it is then.
//
// It also knows which containers nothing refers to, to tell nobody about changes in them, and to
// bring them along whole when they are seen again.
//
// Cost: that of the changes, a logarithm more for edits of sequences. A text with styles is walked
// once per event that touches it, and a tree notes all its nodes if a concurrent op is older than
// what it keeps for merging.

#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>

#include "loro/edit_rope.h"
#include "loro/state.h"
#include "loro/state_diff.h"
#include "loro/tree_steps.h"
#include "merrow/delta.h"

namespace merrow::loro {

class EventRecorder {
 public:
  /// Cost: the whole state.
  explicit EventRecorder(const State& state) { Reset(state); }

  /// Forgets what was recorded, of a state that may be another one now. Cost: the whole state.
  void Reset(const State& state);
  /// Forgets what was recorded.
  void Drop();

  bool empty() const { return records_.empty(); }
  /// What was recorded as a delta. Forgets it.
  DocumentDelta Take(const State& state);

  // --- What State tells ---

  void Adopted(const ContainerId& child) { adopted_.insert(child); }
  /// A value was written, or would have been if a later write were not there.
  void MapWritten(const ContainerId& id, std::string_view key, const std::optional<Value>& before);
  void TextInserted(const ContainerId& id, uint32_t entity_index, uint32_t length);
  void StyleInserted(const ContainerId& id, uint32_t entity_index, Id start);
  void ValuesInserted(const ContainerId& id, uint32_t position, uint32_t count);
  /// Before elements of a text or a list of any kind go. REQUIRES: in range
  void Deleting(const Container& container, uint32_t position, uint32_t length);
  /// Before a move. `old_index`: where its element stands, if it is visible.
  void Moving(const ContainerId& id, const MovableListState& list,
              const MovableListState::Move& move, std::optional<uint32_t> old_index);
  void ElementShown(const MovableListItem& item) { Unhide(item.value); }
  void ElementWritten(const ContainerId& id, uint32_t op_index);
  /// Before the node's place may change.
  void TouchingNode(const ContainerId& id, const TreeState& tree, Id node);
  void CounterAdded(const ContainerId& id, double delta) { RecordOf<double>(id) += delta; }

  /// The containers in a value that is not seen any more, or not from the start.
  void Hide(const Value& value);
  void Unhide(const Value& value);

 private:
  struct TextRecord {
    EditRope rope;
    std::set<Id> styles;  // ids of the starts
  };
  struct MovableRecord {
    EditRope rope;
    std::map<IdLp, bool> was_shown;  // of the elements that moved or went
  };
  struct SlotBefore {
    bool was_there = false;
    std::optional<ContainerId> mergeable;  // the child that it showed
  };
  using MapRecord = std::map<std::string, SlotBefore, std::less<>>;
  using Record = std::variant<TextRecord, EditRope, MovableRecord, MapRecord, TouchedNodes, double>;
  using Delta = decltype(ContainerDelta::delta);

  template <typename T>
  T& RecordOf(const ContainerId& id) {
    const auto found = records_.find(id);
    if (found != records_.end()) return std::get<T>(found->second);
    return std::get<T>(records_.emplace(id, T()).first->second);
  }

  /// How far below a root a container is; nothing if it is not seen.
  std::optional<size_t> DepthOf(const State& state, ContainerId id) const;
  // Each is empty if nothing changed after all. `revived`: what is seen again.
  static Delta DeltaOf(const TextRecord& record, const Container& container);
  static Delta DeltaOf(const EditRope& record, const Container& container);
  Delta DeltaOf(const MovableRecord& record, const Container& container,
                std::vector<ContainerId>* revived) const;
  static Delta DeltaOf(const MapRecord& record, const Container& container,
                       std::vector<ContainerId>* revived);
  Delta DeltaOf(const TouchedNodes& record, const Container& container,
                std::vector<ContainerId>* revived) const;

  std::unordered_map<ContainerId, Record, ContainerIdHash> records_;
  ContainerIdSet adopted_;  // since the last Take
  /// Containers that their parents do not refer to; of a tree's, the tree knows.
  ContainerIdSet hidden_;
};

}  // namespace merrow::loro
