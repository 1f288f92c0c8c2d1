// SPDX-License-Identifier: Apache-2.0
//
// What a blob says about itself without being imported.

#include "loro/fuzz/fuzz_repair.h"
#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow::loro {

void FuzzBlobMeta(BytesView input) {
  const Result<BlobMeta> meta = ReadBlobMeta(RepairedBlob(input));
  if (!meta.ok()) return;
  for (const VersionVector::Entry& entry : meta->start.entries()) {
    MERROW_CHECK(entry.end < meta->end.End(entry.peer));
  }
}

}  // namespace merrow::loro
