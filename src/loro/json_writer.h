// SPDX-License-Identifier: Apache-2.0
//
// JSON writer: a document's deep value, straight from the state into a string, without a value
// tree.
//
// Keys are sorted bytewise, so equal documents give equal text. Integers are written in full,
// doubles in the shortest form that reads back the same; NaN and infinities as null; binary as an
// array of numbers; containers that this release does not interpret as null. Nesting is kept on an
// explicit stack, so no document can exhaust the program's own.

#pragma once

#include <string>
#include <string_view>

#include "loro/state.h"

namespace merrow::loro {

/// Appends `text` (UTF-8) as a JSON string.
void AppendJsonString(std::string_view text, std::string* out);
void AppendJsonNumber(double number, std::string* out);

/// Appends the deep value of one container; "null" if it does not exist.
void AppendContainerJson(const State& state, const ContainerId& id, std::string* out);

/// Appends an object with all root containers but mergeable children, which are shown where they
/// belong. If two roots of different kinds share a name, the
/// one with the smaller kind is shown.
void AppendDocumentJson(const State& state, std::string* out);

/// Appends a Text as a delta: an array of {"attributes":{...},"insert":"..."}, without attributes
/// where there are none; "[]" if it does not exist.
void AppendTextDelta(const State& state, const ContainerId& id, std::string* out);

/// Appends a value, with the deep values of the containers in it.
void AppendValueJson(const State& state, const Value& value, std::string* out);

}  // namespace merrow::loro
