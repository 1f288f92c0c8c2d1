// SPDX-License-Identifier: Apache-2.0
//
// Which ops of which documents a transaction brought, as bytes of _merrow_source. DO NOT CHANGE: on
// disk. Documents by rising id until the end, unsigned LEB128 but for the peer:
//
//     [document id] [number of spans, 0: all ops] span *
//     span   [peer, 8 bytes, little-endian] [first counter] [length]

#pragma once

#include <map>
#include <vector>

#include "store/replica_documents.h"

namespace merrow::store {

/// By document.
using DocumentOpsById = std::map<int64_t, DocumentOps>;

/// Sorts spans by peer and counter. What overlaps or touches becomes one.
void NormalizeSpans(std::vector<loro::IdSpan>* spans);

/// Adds what `ops` has, joining spans.
void AddOps(const DocumentOps& ops, DocumentOpsById* all);

Bytes EncodeDocumentOps(const DocumentOpsById& all);
/// Adds what `bytes` says to `all`. Corruption if they are not as above.
Status DecodeDocumentOps(BytesView bytes, DocumentOpsById* all);

}  // namespace merrow::store
