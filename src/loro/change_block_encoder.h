// SPDX-License-Identifier: Apache-2.0
//
// Change block encoder: writes what a ChangeBlockBuilder collected as Loro would write it.

#pragma once

#include "loro/change_block_parts.h"

namespace merrow::loro {

/// REQUIRES: there is a change.
Bytes EncodeChangeBlock(const ChangeBlockParts& parts);

}  // namespace merrow::loro
