// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/fuzz_target.h"
#include "store/fuzz/fuzz_store.h"

namespace merrow::fuzz {

std::vector<FuzzTarget> FuzzTargets() {
  return {{"tx_rows", store::FuzzTxRows, store::TxRowsSeeds},
          {"document_ops", store::FuzzDocumentOps, store::DocumentOpsSeeds}};
}

}  // namespace merrow::fuzz
