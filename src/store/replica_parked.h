// SPDX-License-Identifier: Apache-2.0
//
// Parked changesets: those whose document ops follow ops that are not here yet. They are kept whole
// in _merrow_waiting and count as seen; their rows and ops become visible together when what they
// follow is there.
//
// What they follow may be parked too, even in turn: of two sites whose users wrote in one document
// together, each one's changeset of all that time follows the other's. So parked changesets are
// applied one by one where that works, and else as the largest set that follows nothing outside of
// it. To find these nothing is read: for each parked changeset, what it brings and what it follows
// is in memory.

#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cells/row_change.h"
#include "changeset/changeset.h"
#include "merrow/ids.h"
#include "merrow/version_vector.h"

namespace merrow::store {

/// Names a document: table and packed key.
using DocumentKey = std::pair<std::string, Bytes>;

/// What change blocks bring to a document, and the ops outside of them that they follow.
struct BlockSummary {
  std::vector<loro::IdSpan> spans;  // by peer and counter
  std::vector<loro::Id> follows;
};

/// Corruption if `blocks` do not decode. `fully`: nothing in them is left unchecked.
Result<BlockSummary> SummarizeBlocks(BytesView blocks, bool fully);

/// Documents of a changeset: several changes of one put together.
using DocumentBlocksByKey = std::map<DocumentKey, Bytes>;
using ParkedChangeset = std::map<DocumentKey, BlockSummary>;

/// By local version.
using Parked = std::map<cells::DbVersion, ParkedChangeset>;
/// What is here of each document that is asked for.
using DocumentVersions = std::map<DocumentKey, loro::VersionVector>;

/// Does it follow nothing but what is here?
bool IsReady(const ParkedChangeset& changeset, const DocumentVersions& here);
/// The largest set that follows nothing but itself and what is here. Maybe empty.
std::vector<cells::DbVersion> FindClosedSet(const Parked& parked, const DocumentVersions& here);

}  // namespace merrow::store
