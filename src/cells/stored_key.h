// SPDX-License-Identifier: Apache-2.0
//
// The form in which clocks and log rows keep a packed key (packed_key.h). DO NOT CHANGE: it is on
// disk.
//
// A key of one text that is a UUID in its usual form, 36 lower-case characters, becomes 0x00 and
// the UUID's 16 bytes. Any other key stays as it is; its first byte is its number of columns, which
// is never 0. So the two kinds cannot be mistaken, and each key has exactly one stored form.
// Stored keys are ordered as unsigned bytes.

#pragma once

#include <string_view>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::cells {

/// Appends the stored form of `packed` to `out`.
void AppendStoredKey(BytesView packed, Bytes& out);

/// False if `stored` is damaged so that it stands for no packed key. Numbers have none: "" is fine.
bool IsStoredKey(BytesView stored);

/// Appends the packed key that `stored` stands for. Corruption if there is none.
Status AppendPackedKey(BytesView stored, Bytes& out);

}  // namespace merrow::cells
