// SPDX-License-Identifier: Apache-2.0
//
// Replica snapshot: what a database has for others, as of one moment (database_snapshot.h): read
// while a server writes it, and where nothing can be written. Its tables are as the file says;
// documents come from their base and log, column rows from clocks, pending ones included, and what
// waits for a schema or for ops is passed on as it is (replica_log.h).

#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "changeset/changeset_file.h"
#include "changeset/version_set.h"
#include "merrow/result.h"
#include "store/replica_export.h"

namespace merrow::store {

class ReplicaSnapshot {
 public:
  /// `clock` must outlive this. Errors are those of DatabaseSnapshot::Open.
  static Result<std::unique_ptr<ReplicaSnapshot>> Open(const std::string& path, const Clock& clock,
                                                       int busy_timeout_ms);
  ~ReplicaSnapshot();
  ReplicaSnapshot(const ReplicaSnapshot&) = delete;
  ReplicaSnapshot& operator=(const ReplicaSnapshot&) = delete;

  /// Is any table tracked?
  bool has_tables() const;
  /// False: the replica log is not there, or lacks what was written without one, and somebody who
  /// may write the file has to make it whole first (DocumentCapture::Versions, or a server that
  /// replicates).
  bool has_whole_log() const;

  /// As store::ExportChanges, and busy if somebody wrote the file where that cannot be kept apart
  /// from what was read. REQUIRES: has_whole_log()
  Result<ExportedChanges> ExportChanges(const changeset::SiteVersions& since, int zstd_level,
                                        changeset::FileWriter::Sink sink);

 private:
  class Impl;
  explicit ReplicaSnapshot(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::store
