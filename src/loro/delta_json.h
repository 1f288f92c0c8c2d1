// SPDX-License-Identifier: Apache-2.0
//
// Deltas as JSON, for those who cannot read delta.h: the C interface, tools, logs. The shape is
// described in docs/data-model.md, "JSON".

#pragma once

#include <string>

#include "merrow/delta.h"

namespace merrow::loro {

std::string ToJson(const DocumentDelta& delta);

/// Appends a value in which a child container is a string, its id behind U+1F99C and a colon, as in
/// JSON updates. Binary and numbers as in json_writer.h.
void AppendPlainJson(const Value& value, std::string* out);

}  // namespace merrow::loro
