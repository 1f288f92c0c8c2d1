// SPDX-License-Identifier: Apache-2.0
//
// Text attributes: which attributes each stretch of a text has, with the ids of its scalars. Deltas
// need both; TextState::Segments has the attributes alone.

#pragma once

#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "loro/text_state.h"
#include "merrow/delta.h"

namespace merrow::loro {

/// Sorted by key; values are never null. The pointers are valid until the text changes.
using AttributeRefs = std::vector<std::pair<std::string_view, const Value*>>;

/// Scalars with consecutive ids and the same attributes.
struct StyledRun {
  Id id;
  uint32_t length = 0;
  uint32_t attributes = 0;  // index
};

struct StyledRuns {
  std::vector<StyledRun> runs;
  std::vector<AttributeRefs> attributes;
};

/// The text as if the styles whose start has one of the `ignored` ids were not there.
/// Cost: the runs of the text.
StyledRuns StyledRunsOf(const TextState& text, const std::set<Id>& ignored = {});

Attributes ToAttributes(const AttributeRefs& refs);
/// What turns `from` into `to`: null takes away.
Attributes AttributeChanges(const AttributeRefs& from, const AttributeRefs& to);

}  // namespace merrow::loro
