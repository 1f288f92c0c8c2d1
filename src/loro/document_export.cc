// SPDX-License-Identifier: Apache-2.0
//
// How a document's changes get out: as updates, which copy stored blocks, and as snapshots.

#include <deque>

#include "loro/document_core.h"
#include "loro/envelope.h"
#include "loro/snapshot.h"
#include "loro/state_image.h"
#include "merrow/check.h"

namespace merrow::loro {

Bytes DocumentCore::ExportUpdates(const VersionVector& from) {
  Commit();
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  log.ForEachBlockSince(from, [&writer](Id, BytesView bytes) { writer.AppendBlock(bytes); });
  return writer.Finish();
}

Bytes DocumentCore::ExportSnapshot() {
  Commit();
  log.Compact();
  SnapshotParts parts;
  parts.version = log.version();
  parts.frontiers = log.graph().frontiers();
  log.ForEachBlockSince(VersionVector(), [&parts](Id id, BytesView bytes) {
    parts.blocks.push_back({id, bytes});
  });
  std::deque<Bytes> storage;
  parts.states = ImageOfState(state, &storage);
  const Result<Bytes> body = EncodeSnapshot(parts);
  MERROW_CHECK(body.ok());
  return EncodeEnvelope(EncodeMode::kFastSnapshot, *body);
}

}  // namespace merrow::loro
