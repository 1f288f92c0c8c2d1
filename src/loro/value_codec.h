// SPDX-License-Identifier: Apache-2.0
//
// The two encodings of values (docs/format.md, "values"): in ops, and in container states.
//
//   op value                                   state value (postcard)
//   0 null, 1 true, 2 false                    0 null
//   3 i64: sleb                                1 bool: 00 or 01
//   4 f64: big-endian                          2 f64: little-endian
//   5 string: uleb length, UTF-8               3 i64: zigzag
//   6 binary: uleb length, bytes               4 string: uleb length, UTF-8
//   7 list: uleb count, values                 5 list: uleb count, values
//   8 map: uleb count, (uleb key index,        6 map: uleb count, (string, value)*
//     value)*                                  7 container: postcard id (container_id_codec.h)
//   9 container: u8 kind                       8 binary: uleb length, bytes
//
// Keys of an op value are indexes into the keys of its change block. A container in an op value is
// created by that op and named after it. When the op's whole value is a list, its direct items are
// named after the op's id plus their index; anything deeper shares the name of what it is in.
//
// Nesting beyond kValueDepthMax is corruption. A decoder allocates in proportion to its input.

#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "loro/columns.h"
#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

/// Gives the indexes of keys in the change block that is being written.
class KeyInterner {
 public:
  virtual uint32_t Intern(std::string_view key) = 0;

 protected:
  ~KeyInterner() = default;
};

/// Moves past one op value; false if it is malformed or names a key that is not there. What it
/// accepts, the readers below accept.
bool SkipOpValue(Cursor& cursor, size_t key_count);

/// An op's whole value; `id` is the op's. See also ReadOpValue (change_block.h), which reads one
/// item of a list insert.
Result<Value> ReadWholeOpValue(ByteReader& reader, std::span<const std::string_view> keys, Id id);

/// REQUIRES: nested at most kValueDepthMax deep.
void WriteOpValue(ByteWriter& writer, const Value& value, KeyInterner& keys);

/// Copies one op value whose keys are `from_keys` to a block whose keys are `to_keys`. False if it
/// is malformed.
bool CopyOpValue(Cursor& cursor, std::span<const std::string_view> from_keys, ByteWriter& writer,
                 KeyInterner& to_keys);

Result<Value> ReadStateValue(ByteReader& reader);
void WriteStateValue(ByteWriter& writer, const Value& value);

}  // namespace merrow::loro
