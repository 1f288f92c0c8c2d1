// SPDX-License-Identifier: Apache-2.0
#include "sync/model_document.h"

namespace merrow::sync {
namespace {

constexpr uint8_t kUpdateTag = 'U';
constexpr uint8_t kSnapshotTag = 'S';

uint32_t Checksum(BytesView bytes) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 16777619U;
  return hash;
}

}  // namespace

Bytes EncodeBlob(const ModelBlob& blob) {
  ByteWriter body;
  body.U8(blob.is_snapshot ? kSnapshotTag : kUpdateTag);
  body.Uleb(blob.ops.size());
  for (const ModelOp& op : blob.ops) {
    body.Uleb(op.id.peer);
    body.Uleb(static_cast<uint64_t>(op.id.counter));
    body.Append(op.deps.Encode());
  }
  ByteWriter out;
  out.U32Le(Checksum(body.bytes()));
  out.Append(body.bytes());
  return out.Release();
}

Result<ModelBlob> DecodeBlob(BytesView bytes) {
  ByteReader reader(bytes);
  MERROW_ASSIGN(const uint32_t checksum, reader.U32Le());
  if (checksum != Checksum(reader.rest())) return Corruption("checksum");
  MERROW_ASSIGN(const uint8_t tag, reader.U8());
  if (tag != kUpdateTag && tag != kSnapshotTag) return Corruption("tag");
  ModelBlob blob;
  blob.is_snapshot = tag == kSnapshotTag;
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  for (uint64_t i = 0; i < count; ++i) {
    ModelOp op;
    MERROW_ASSIGN(op.id.peer, reader.Uleb64());
    MERROW_ASSIGN(const uint64_t counter, reader.Uleb64());
    op.id.counter = static_cast<loro::Counter>(counter);
    MERROW_ASSIGN(op.deps, loro::VersionVector::Read(reader));
    blob.ops.push_back(std::move(op));
  }
  MERROW_TRY(reader.ExpectEnd());
  return blob;
}

loro::VersionVector BlobEnd(const ModelBlob& blob) {
  loro::VersionVector end;
  for (const ModelOp& op : blob.ops) end.Extend(op.id.peer, op.id.counter + 1);
  return end;
}

Bytes ModelDocument::Edit(loro::PeerId peer, int count) {
  const loro::VersionVector before = version_;
  for (int i = 0; i < count; ++i) {
    deps_[peer].push_back(version_);
    version_.Set(peer, version_.End(peer) + 1);
  }
  return ExportSince(before);
}

bool ModelDocument::Import(const ModelBlob& blob) {
  loro::VersionVector version = version_;
  std::vector<const ModelOp*> accepted;
  std::vector<const ModelOp*> open;
  for (const ModelOp& op : blob.ops) {
    if (!version_.Includes(op.id)) open.push_back(&op);
  }
  while (!open.empty()) {
    std::vector<const ModelOp*> still_open;
    for (const ModelOp* op : open) {
      const bool follows = version.End(op->id.peer) == op->id.counter && version.Includes(op->deps);
      if (version.Includes(op->id)) continue;  // twice in the blob
      if (!follows) {
        still_open.push_back(op);
        continue;
      }
      version.Set(op->id.peer, op->id.counter + 1);
      accepted.push_back(op);
    }
    if (still_open.size() == open.size()) return false;
    open = std::move(still_open);
  }
  for (const ModelOp* op : accepted) deps_[op->id.peer].push_back(op->deps);
  version_ = version;
  return true;
}

Bytes ModelDocument::ExportSince(const loro::VersionVector& from, bool as_snapshot) const {
  ModelBlob blob;
  blob.is_snapshot = as_snapshot;
  for (const loro::IdSpan& span : version_.SpansNotIn(from)) {
    const auto& deps = deps_.at(span.peer);
    for (loro::Counter counter = span.start; counter < span.end; ++counter) {
      blob.ops.push_back({{span.peer, counter}, deps[static_cast<size_t>(counter)]});
    }
  }
  return EncodeBlob(blob);
}

}  // namespace merrow::sync
