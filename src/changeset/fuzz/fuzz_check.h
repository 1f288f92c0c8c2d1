// SPDX-License-Identifier: Apache-2.0
//
// What holds for everything that a decoder of changesets accepts.

#pragma once

#include <span>

#include "changeset/changeset.h"

namespace merrow::changeset {

/// Both say the same.
void CheckSame(std::span<const Changeset> a, std::span<const Changeset> b);

/// Each is well-formed, and is the same after it was cut into parts and put together again.
void CheckDecoded(std::span<const Changeset> changesets);

/// `bytes` with the checksum of all before it behind them.
Bytes WithChecksum(BytesView bytes);

}  // namespace merrow::changeset
