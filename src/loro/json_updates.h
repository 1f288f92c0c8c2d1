// SPDX-License-Identifier: Apache-2.0
//
// JSON updates: the ops of a document as text that people and scripts can read and write, in Loro's
// schema (docs/format.md, "JSON updates").
//
// Writing goes straight from change blocks to text. Reading goes to change blocks, in a blob that
// is imported as any other, so whatever holds of binary updates holds of these.
//
// JSON has no bytes: binary values are arrays of numbers, and read back as lists. The one kind of
// bytes that means more than itself, the marker of a mergeable child, is recognised and read back
// as what it was. (loro-crdt 1.17 reads a list there, too, and loses the child.)

#pragma once

#include <string>
#include <string_view>

#include "loro/op_log.h"
#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::loro {

/// How deep JSON updates may nest: the schema's own levels and those of a value. (loro-crdt reads
/// 128 levels in all, so a few less of the value.)
inline constexpr size_t kJsonDepthMax = kValueDepthMax + 8;

/// In front of the id of a child container where a value could stand: U+1F99C and a colon. A text
/// that starts with it cannot be told from one, as in Loro.
inline constexpr std::string_view kJsonContainerPrefix = "\xF0\x9F\xA6\x9C:";

/// Appends the ops that `to` has and `from` lacks. REQUIRES: nothing is uncommitted.
void AppendJsonUpdates(const OpLog& log, const VersionVector& from, const VersionVector& to,
                       std::string* out);

/// A FastUpdates blob with the same ops. Invalid argument, with the place, if `json` does not parse
/// or is not of the schema; unsupported if it is of another version of the schema.
/// Cost: memory of at most about 40 times the text's size.
Result<Bytes> JsonUpdatesToBlob(std::string_view json);

}  // namespace merrow::loro
