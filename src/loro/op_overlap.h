// SPDX-License-Identifier: Apache-2.0
//
// Op overlap: whether two blocks mean the same where both have atoms of one peer. How ops and
// changes are cut says nothing: replicas differ in it. Neither do the ids that deletes name, which
// old writers got wrong.

#pragma once

#include <optional>

#include "loro/change_block.h"

namespace merrow::loro {

/// The first atom of [from, to) at which `a` and `b` differ; nothing if they agree. REQUIRES: both
/// are blocks of one peer and cover the range.
std::optional<Counter> FirstDifference(const ChangeBlock& a, const ChangeBlock& b, Counter from,
                                       Counter to);

}  // namespace merrow::loro
