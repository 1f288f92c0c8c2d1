// SPDX-License-Identifier: Apache-2.0
//
// The blocks that an op log keeps (op_log.h). They were validated when they were admitted, so
// neither of these can fail.

#pragma once

#include "loro/change_block.h"

namespace merrow::loro {

/// The atoms [from, to) of a block as a block of their own.
Bytes SliceBlock(const ChangeBlock& block, Counter from, Counter to);

/// The result refers to `bytes`.
ChangeBlock DecodeStored(BytesView bytes);

}  // namespace merrow::loro
