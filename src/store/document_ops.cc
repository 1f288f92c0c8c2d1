// SPDX-License-Identifier: Apache-2.0
#include "store/document_ops.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/bytes.h"

namespace merrow::store {
namespace {

constexpr uint64_t kCounterEnd = uint64_t{1} << 31;

Result<loro::IdSpan> ReadSpan(ByteReader& reader) {
  MERROW_ASSIGN(const uint64_t peer, reader.U64Le());
  MERROW_ASSIGN(const uint64_t start, reader.Uleb64());
  MERROW_ASSIGN(const uint64_t length, reader.Uleb64());
  if (start >= kCounterEnd || length == 0 || length > kCounterEnd - 1 - start) {
    return Corruption("a span of " + std::to_string(length) + " ops from " + std::to_string(start) +
                      " makes no sense");
  }
  return loro::IdSpan{peer, static_cast<loro::Counter>(start),
                      static_cast<loro::Counter>(start + length)};
}

}  // namespace

void NormalizeSpans(std::vector<loro::IdSpan>* spans) {
  std::sort(spans->begin(), spans->end());
  size_t kept = 0;
  for (const loro::IdSpan& span : *spans) {
    if (span.start >= span.end) {
      continue;
    }
    if (kept > 0 && (*spans)[kept - 1].peer == span.peer && (*spans)[kept - 1].end >= span.start) {
      (*spans)[kept - 1].end = std::max((*spans)[kept - 1].end, span.end);
    } else {
      (*spans)[kept++] = span;
    }
  }
  spans->resize(kept);
}

void AddOps(const DocumentOps& ops, DocumentOpsById* all) {
  if (!ops.all && ops.spans.empty()) {
    return;
  }
  DocumentOps& known = (*all)[ops.document_id];
  known.document_id = ops.document_id;
  known.all = known.all || ops.all;
  if (known.all) {
    known.spans.clear();
    return;
  }
  known.spans.insert(known.spans.end(), ops.spans.begin(), ops.spans.end());
  NormalizeSpans(&known.spans);
}

Bytes EncodeDocumentOps(const DocumentOpsById& all) {
  ByteWriter writer;
  for (const auto& [id, ops] : all) {
    writer.Uleb(static_cast<uint64_t>(id));
    writer.Uleb(ops.all ? 0 : ops.spans.size());
    for (const loro::IdSpan& span : ops.spans) {
      writer.U64Le(span.peer);
      writer.Uleb(static_cast<uint64_t>(span.start));
      writer.Uleb(static_cast<uint64_t>(span.length()));
    }
  }
  return writer.Release();
}

Status DecodeDocumentOps(BytesView bytes, DocumentOpsById* all) {
  ByteReader reader(bytes);
  std::optional<uint64_t> last;
  while (!reader.empty()) {
    DocumentOps ops;
    MERROW_ASSIGN(const uint64_t id, reader.Uleb64());
    MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
    if (id > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Corruption("document " + std::to_string(id) + " is out of range");
    }
    if (last.has_value() && id <= *last) {
      return Corruption("document " + std::to_string(id) + " is out of order");
    }
    last = id;
    ops.document_id = static_cast<int64_t>(id);
    ops.all = count == 0;
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const loro::IdSpan span, ReadSpan(reader));
      ops.spans.push_back(span);
    }
    AddOps(ops, all);
  }
  return {};
}

}  // namespace merrow::store
