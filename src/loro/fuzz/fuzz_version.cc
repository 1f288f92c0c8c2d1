// SPDX-License-Identifier: Apache-2.0
//
// Version vectors and frontiers: what decodes is written and read again.

#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"
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
}

}  // namespace merrow::loro
