// SPDX-License-Identifier: Apache-2.0
//
// Version vectors, frontiers and cursors: what decodes is written and read again, and a cursor that
// is not of a document is nowhere in it.

#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"
#include "merrow/document.h"
#include "merrow/version_vector.h"

namespace merrow::loro {

void FuzzVersion(BytesView input) {
  const Result<VersionVector> version = VersionVector::Decode(input);
  if (version.ok()) {
    const Result<VersionVector> again = VersionVector::Decode(version->Encode());
    MERROW_CHECK(again.ok() && *again == *version);
    MERROW_CHECK(version->SpansNotIn({}).size() == version->entries().size());
  }
  const Result<Frontiers> frontiers = DecodeFrontiers(input);
  if (frontiers.ok()) {
    const Result<Frontiers> again = DecodeFrontiers(EncodeFrontiers(*frontiers));
    MERROW_CHECK(again.ok() && *again == *frontiers);
  }
  const Result<Cursor> cursor = Cursor::Decode(input);
  if (cursor.ok()) {
    const Result<Cursor> again = Cursor::Decode(cursor->Encode());
    MERROW_CHECK(again.ok() && *again == *cursor);
    const Document document(1);
    const bool is_edge = !cursor->element.has_value();
    MERROW_CHECK(is_edge || !document.PositionOf(*cursor).ok());
  }
}

}  // namespace merrow::loro
