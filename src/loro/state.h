// SPDX-License-Identifier: Apache-2.0
//
// State: what a document looks like now, container by container. It applies ops that fit it: ops
// made at exactly its version (by position), and of other kinds those that merge by comparing.
// Concurrent sequence ops are turned into fitting edits by sequence_merge.h.
//
// A child container exists from the op that creates it, whether or not a slot still refers to it; a
// root exists from the first op on it.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "loro/hash_index.h"
#include "loro/list_state.h"
#include "loro/map_state.h"
#include "loro/movable_list_state.h"
#include "loro/op_slice.h"
#include "loro/text_state.h"
#include "loro/tree_state.h"

namespace merrow::loro {

class EventRecorder;
class History;

struct CounterState {
  double sum = 0;
};
/// A container of a kind that this release does not interpret. Its ops are in the log.
struct OpaqueState {};

struct Container {
  using AnyState = std::variant<OpaqueState, MapState, ListState, TextState, MovableListState,
                                TreeState, CounterState>;

  ContainerId id;
  std::optional<ContainerId> parent;
  AnyState state;
  bool is_changed = true;  // since TakeChange
};

class State {
 public:
  const std::vector<Container>& containers() const { return containers_; }

  /// Null if it does not exist. Valid until a container is added. Who may change it is taken to do
  /// so.
  const Container* Find(const ContainerId& id) const;
  Container* Find(const ContainerId& id);
  /// The state of a container of kind T; null if there is none.
  template <typename T>
  const T* Get(const ContainerId& id) const {
    const Container* container = Find(id);
    return container == nullptr ? nullptr : std::get_if<T>(&container->state);
  }

  /// The container, created if it does not exist: a root empty, a child opaque, because snapshots
  /// may leave out children that nothing refers to any more, and what they held is only in the
  /// history.
  Container& Open(const ContainerId& id);
  /// The same as a state of kind T; null if it is opaque or of another kind.
  template <typename T>
  T* OpenAs(const ContainerId& id) {
    return std::get_if<T>(&Open(id).state);
  }
  /// Forgets the containers added after the first `count`. REQUIRES: nothing refers to them.
  void Truncate(size_t count);
  /// Whether containers()[index] has changed since this was called last.
  bool TakeChange(size_t index) { return std::exchange(containers_[index].is_changed, false); }
  /// Adds a container. REQUIRES: it does not exist.
  Container& Add(const ContainerId& id, std::optional<ContainerId> parent);

  /// Applies an op made at this version, or one that merges by comparing (a write to a map, to a
  /// counter, or to the value of a movable list's element). `history` is of the log that holds the
  /// op.
  Status Apply(const OpSlice& slice, History& history);
  /// Says that later ops of a block, which follow `op`, will be applied soon.
  void Prefetch(const ChangeBlock& block, const Op& op) const;
  /// Applies an insert at `position` instead of its own. Of a mark, only the start anchor.
  /// REQUIRES: a text or list insert or a mark start.
  Status ApplyInsertAt(const OpSlice& slice, uint32_t position);
  /// Applies the end anchor of a mark. REQUIRES: a mark end
  Status ApplyMarkEndAt(const OpSlice& slice, uint32_t position);
  Status DeleteAt(const ContainerId& id, uint32_t position, uint32_t length);
  /// Applies a move of a movable list's element at these positions instead of its own.
  Status MoveAt(const OpSlice& slice, std::optional<uint32_t> from, uint32_t to, History& history);
  /// Applies ops of a tree that may be older than some that were applied before. The nodes that
  /// they create are adopted by the caller, before any op on their data.
  void MergeTree(const ContainerId& id, std::vector<TreeMove> moves, History& history);

  // --- What Apply and local edits do, to a state that OpenAs gave ---

  /// False if a later write is there already.
  bool WriteMap(const ContainerId& id, MapState* map, std::string_view key,
                std::optional<Value> value, IdLp writer);
  Status InsertText(const ContainerId& id, TextState* text, uint32_t entity_index, Id first,
                    Lamport lamport, std::string_view utf8, uint32_t unicode_length);
  Status InsertStyleStart(const ContainerId& id, TextState* text, uint32_t entity_index, Id anchor,
                          Lamport lamport, std::string_view key, Value value, uint8_t info);
  Status InsertStyleEnd(const ContainerId& id, TextState* text, uint32_t entity_index, Id anchor,
                        Lamport lamport);
  /// Into a List or a MovableList; nothing if it is neither. The children are adopted.
  Status InsertValues(const ContainerId& id, uint32_t position, Id first, Lamport lamport,
                      std::vector<Value> values);
  void SetElement(const ContainerId& id, MovableListState* list, IdLp element, Value value,
                  IdLp writer);
  Status MoveElement(const ContainerId& id, MovableListState* list,
                     const MovableListState::Move& move, const ElementResolver& resolve);
  void MoveNode(const ContainerId& id, TreeState* tree, TreeMove move);
  void AddToCounter(const ContainerId& id, CounterState* counter, double delta);

  /// Registers the containers that `value` creates as children of `parent`.
  void AdoptChildren(const Value& value, const ContainerId& parent);
  /// Registers the map that holds a tree node's data.
  void AdoptNode(Id node, const ContainerId& tree);

  /// Tells `recorder` of every change from now on, until it is null; it must live until then.
  void SetRecorder(EventRecorder* recorder) { recorder_ = recorder; }

  size_t MemoryBytes() const;
  void CheckInvariants() const;

 private:
  Status ApplyMap(const OpSlice& slice);

  std::vector<Container> containers_;
  HashIndex index_;
  size_t last_found_ = 0;  // in containers_, by an edit
  EventRecorder* recorder_ = nullptr;
};

/// True for the kinds whose concurrent ops need their history: positions.
inline bool IsSequence(ContainerKind kind) {
  return kind == ContainerKind::kText || kind == ContainerKind::kList ||
         kind == ContainerKind::kMovableList;
}

}  // namespace merrow::loro
