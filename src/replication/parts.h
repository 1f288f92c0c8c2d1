// SPDX-License-Identifier: Apache-2.0
//
// Sizes and parts of changesets on their way to a peer.

#pragma once

#include <cstdint>

#include "changeset/changeset.h"

namespace merrow::replication {

/// About how many bytes it takes on the wire.
size_t EstimatedBytes(const changeset::Changeset& changeset);
/// About how many bytes it takes in memory. Of small ones that is ten times as many.
size_t MemoryBytes(const changeset::Changeset& changeset);

/// Names one exact split of `changeset` into parts of `bytes_target`: sites that cut the same rows
/// in the same order into the same parts get the same number, others another one. Not 0.
uint64_t NameOfSplit(const changeset::Changeset& changeset, size_t bytes_target);

}  // namespace merrow::replication
