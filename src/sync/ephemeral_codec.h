// SPDX-License-Identifier: Apache-2.0
//
// The bytes of loro-crdt's EphemeralStore: what its encode() gives and its apply() takes. A
// postcard list of entries, each a key (text), an optional value (absent: the key was deleted) and
// a timestamp (milliseconds since the Unix epoch by the clock of whoever set it, zigzag). The entry
// with the larger timestamp wins.
//
// Values are only walked over, to find where an entry ends; they are kept and sent verbatim.

#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::sync {

/// How deep lists and maps may nest in a presence value.
inline constexpr int kEphemeralDepthMax = 64;

struct EphemeralEntry {
  std::string_view key;
  bool is_deleted = false;
  int64_t timestamp_ms = 0;
  BytesView bytes;  // the whole entry, as it stands in the list
};

/// Views point into `bytes`. Corruption if they are not an encoded store.
Result<std::vector<EphemeralEntry>> DecodeEphemeral(BytesView bytes);

/// A store's bytes from entries' bytes.
Bytes EncodeEphemeral(const std::vector<BytesView>& entries);

}  // namespace merrow::sync
