// SPDX-License-Identifier: Apache-2.0
//
// LZ4 frames, the compression of snapshot blocks (sstable.h). A frame is a header, data blocks that
// are stored or compressed, and an end mark; Loro writes independent blocks, no content size and no
// checksums. What a frame expands to is not known from its bytes, so a decoder is always given the
// most it may produce.

#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::loro {

/// The content of exactly one LZ4 frame. Corruption if it is malformed, truncated or followed by
/// anything; limit if the content exceeds `content_bytes_max`. Memory grows with what is produced,
/// never with what a header promises.
Result<Bytes> DecodeLz4Frame(BytesView frame, size_t content_bytes_max);

/// One frame in the profile that Loro writes.
Bytes EncodeLz4Frame(BytesView content);

}  // namespace merrow::loro
