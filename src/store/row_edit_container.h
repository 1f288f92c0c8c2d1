// SPDX-License-Identifier: Apache-2.0
//
// The container half of row_edit.h: comparing what a container shows with what it should, as JSON
// shows both, and the edits that lead there.

#pragma once

#include <string>

#include "merrow/document.h"
#include "merrow/result.h"

namespace merrow::store {

/// Do both look the same in JSON? Numbers are compared by value, and binary is a list of numbers.
/// REQUIRES: neither holds a child container
bool SameJson(const loro::Value& a, const loro::Value& b);

/// Edits of a Tree; `wanted` is a list of nodes as the column shows them.
Result<bool> EditTree(const loro::ContainerId& id, const loro::Value& wanted,
                      loro::Document& document);

}  // namespace merrow::store
