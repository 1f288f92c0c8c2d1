// SPDX-License-Identifier: Apache-2.0
//
// Delta editor: makes a delta as local edits of a document.
//
// Containers and tree nodes that the delta creates get ids of their own; where the delta names them
// later, those are meant. A child of a movable list that is deleted in one place and inserted in
// another one is moved and stays the container that it is.

#pragma once

#include <map>
#include <unordered_map>

#include "loro/state.h"
#include "merrow/delta.h"
#include "merrow/document.h"

namespace merrow::loro {

/// Invalid argument or not found if the delta does not fit: a container that is neither there nor
/// brought along, a delta of a wrong kind, a position out of range, a container twice.
Status CheckFits(const State& state, const DocumentDelta& delta);

/// What is left of a delta when all that does not fit is left out, by containers and, of trees, by
/// steps. A tree node whose index is too large becomes the last child.
DocumentDelta WhatFits(const State& state, DocumentDelta delta);

class DeltaEditor {
 public:
  /// What a container of a delta is called in the document.
  using ContainerNames = std::unordered_map<ContainerId, ContainerId, ContainerIdHash>;

  /// `state` is the document's. Both must outlive this.
  DeltaEditor(Document* document, const State* state, ContainerNames names = {})
      : document_(document), state_(state), names_(std::move(names)) {}

  /// REQUIRES: CheckFits. Fails with limit, half-way, if the document has no room for the edits,
  /// and with conflict, at once, if an earlier version is shown.
  Status Apply(const DocumentDelta& delta);

  /// Those given and those of the containers that were created. A name may have a name itself.
  const ContainerNames& names() const { return names_; }

 private:
  Status Edit(const ContainerId& id, const TextDelta& delta);
  Status Edit(const ContainerId& id, const ListDelta& delta);
  Status Edit(const ContainerId& id, const MapDelta& delta);
  Status Edit(const ContainerId& id, const TreeDelta& delta);
  Status Edit(const ContainerId& id, CounterDelta delta);
  Status InsertValues(const ContainerId& id, uint32_t at, const std::vector<Value>& values);
  Status ShowMergeable(const ContainerId& map, std::string_view key, const ContainerId& child);
  Status EditMovable(const ContainerId& id, const ListDelta& delta);
  Status SetAttributes(const ContainerId& id, uint32_t from, uint32_t to,
                       const Attributes& changes);
  /// As styles with this key expand in the text already.
  StyleExpand ExpandOf(const ContainerId& id, std::string_view key) const;
  const ContainerId& NameOf(const ContainerId& id) const;
  void KeepNames();

  Document* document_;
  const State* state_;
  ContainerNames names_;
  // Of what this delta creates: nobody else's names, though the ids may be those of others.
  ContainerNames made_;
};

}  // namespace merrow::loro
