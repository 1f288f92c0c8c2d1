// SPDX-License-Identifier: Apache-2.0
//
// The two encodings of container ids in snapshots (docs/format.md, "container ids"). Change blocks
// have a third, in their container table.
//
//   key       root:   u8 kind | 0x80, uleb length, name
//             normal: u8 kind, u64le peer, i32le counter
//   postcard  root:   00, uleb length, name, u8 historical kind
//             normal: 01, uleb peer, zigzag counter, u8 historical kind
//
// The key names an entry of a state store and ends with it. Postcard ids stand inside states, and
// number the kinds as a former release did.

#pragma once

#include "base/bytes.h"
#include "merrow/ids.h"
#include "merrow/result.h"

namespace merrow::loro {

/// Kinds above this one cannot be told from the root flag of keys, and are refused everywhere.
inline constexpr uint8_t kContainerKindMax = 127;

void WriteContainerKey(ByteWriter& writer, const ContainerId& container);
/// Decodes all of `key`.
Result<ContainerId> ParseContainerKey(BytesView key);

void WritePostcardContainerId(ByteWriter& writer, const ContainerId& container);
Result<ContainerId> ReadPostcardContainerId(ByteReader& reader);

}  // namespace merrow::loro
