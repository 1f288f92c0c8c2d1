// SPDX-License-Identifier: Apache-2.0
//
// Replica export: what a replica log has, as a changeset file (changeset_file.h).

#pragma once

#include <cstddef>

#include "changeset/changeset_file.h"
#include "changeset/version_set.h"
#include "merrow/result.h"
#include "store/replica_log.h"

namespace merrow::store {

struct ExportedChanges {
  size_t changesets = 0;
  /// Versions that are here and wanted, and are not in it: a document in them cannot be read.
  changeset::SiteVersions left_out;
};

/// Writes what is here and not in `since` to `sink`. Frames are compressed at `zstd_level`; 0: not
/// at all. In the caller's transaction or savepoint, so that all of it is of
/// one state. Memory: some MiB, or the largest transaction.
Result<ExportedChanges> ExportChanges(ReplicaLog& log, const changeset::SiteVersions& since,
                                      int zstd_level, changeset::FileWriter::Sink sink);

}  // namespace merrow::store
