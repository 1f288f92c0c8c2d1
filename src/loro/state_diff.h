// SPDX-License-Identifier: Apache-2.0
//
// State diff: how two versions of a document differ, container by container, from the two states
// alone.
//
// A container counts if a reader sees it: a root, or one that a slot, item or tree node of a
// container that counts refers to. One that both versions show is compared with itself; one that
// only the later version shows comes with everything in it, as a delta from nothing; of one that is
// no longer shown there is nothing to say.

#pragma once

#include <functional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "loro/state.h"
#include "merrow/delta.h"

namespace merrow::loro {

using ContainerIdSet = std::unordered_set<ContainerId, ContainerIdHash>;

/// What turns `from` into `to`. Cost: both states.
DocumentDelta DiffStates(const State& from, const State& to);

/// The containers that a reader sees, parents before children, roots by id.
std::vector<const Container*> ShownContainers(const State& state);

/// Calls visit(child) for the containers that `container` shows directly, in a fixed order.
void ForEachShownChild(const State& state, const Container& container,
                       const std::function<void(const ContainerId&)>& visit);

/// Calls visit(child) for the containers that a value refers to.
void ForEachContainerIn(const Value& value, const std::function<void(const ContainerId&)>& visit);

/// What a reader sees in a map's slot: a mergeable child instead of its marker.
Value ShownValue(const ContainerId& map, std::string_view key, const Value& value);

/// Appends what turns nothing into `id` and all that it shows. Containers in `done` are left out,
/// the others entered.
void AppendWhole(const State& state, const ContainerId& id, ContainerIdSet* done,
                 DocumentDelta* delta);

}  // namespace merrow::loro
