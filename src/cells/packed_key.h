// SPDX-License-Identifier: Apache-2.0
//
// Packed columns: the values of a primary key as one blob, byte for byte as crsql_pack_columns
// makes them, so that a key that came from cr-sqlite names the same row here. docs/format.md
// describes it; in short
//
//     [u8 column count] then per column [u8 tag = n << 3 | type] [n-byte big-endian integer]
//     [bytes]
//
// type 1 INTEGER (the integer is the value's 64 bits, read as unsigned, in the fewest bytes; none
// for 0), 2 REAL (n = 0, then 8 bytes IEEE 754, big-endian), 3 TEXT and 4 BLOB (the integer is the
// length), 5 NULL. DO NOT CHANGE: these bytes are on disk and on the wire.
//
// Packing is canonical: equal values, equal bytes. Unpacking accepts integers and lengths that are
// longer than needed, since a careless peer may send them, so a received key is packed again before
// it is compared. Everything else that the packer does not make is refused.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cells/value.h"
#include "merrow/result.h"

namespace merrow::cells {

inline constexpr size_t kPackedColumnsMax = 255;

/// REQUIRES: values.size() <= kPackedColumnsMax
Bytes PackColumns(std::span<const ValueView> values);

/// Appends one column to `out`, whose first byte is a count that the caller keeps.
void AppendPackedColumn(const ValueView& value, Bytes& out);

/// Views into `packed`. Corruption for anything but exactly the columns that it announces.
Result<std::vector<ValueView>> UnpackColumns(BytesView packed);

}  // namespace merrow::cells
