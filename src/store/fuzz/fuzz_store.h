// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of this layer (base/fuzz/fuzz_target.h), and their valid inputs.

#pragma once

#include <vector>

#include "base/bytes.h"

namespace merrow::store {

/// Rows of a transaction (cell_tx_rows.h).
void FuzzTxRows(BytesView input);
std::vector<Bytes> TxRowsSeeds();

/// Ops of documents (document_ops.h).
void FuzzDocumentOps(BytesView input);
std::vector<Bytes> DocumentOpsSeeds();

}  // namespace merrow::store
