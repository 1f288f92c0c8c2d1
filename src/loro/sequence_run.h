// SPDX-License-Identifier: Apache-2.0
//
// The run types that the sequence states (text, list) share with the code that makes ops of them.

#pragma once

#include <cstdint>

#include "merrow/ids.h"

namespace merrow::loro {

/// Elements whose ids and lamports are consecutive, as one insert op made them or what is left of
/// it.
struct IdRun {
  Id id;                // of the first element
  Lamport lamport = 0;  // of the first element
  uint32_t length = 0;

  friend bool operator==(const IdRun&, const IdRun&) = default;
};

/// Neighbours with consecutive ids that one delete op can cover.
struct DeleteRun {
  uint32_t index = 0;  // of the first element (Text: entity index)
  Id first;            // id of the first element
  uint32_t count = 0;

  friend bool operator==(const DeleteRun&, const DeleteRun&) = default;
};

}  // namespace merrow::loro
