// SPDX-License-Identifier: Apache-2.0
//
// Tombstone marks: since when every other site has had what. A tombstone may go only some time
// after the last site got it (ReplicaLimits::tombstone_keep_ms): a backup that a site made before
// it got the tombstone is then older than that, however late the site was. The age of the delete
// says nothing about this, because sites may be away for longer.
//
//     _merrow_tombstone_mark (ms INTEGER PRIMARY KEY, versions BLOB)
//         at `ms`, since the Unix epoch, every other site had `versions` (docs/format.md), and none
//         has said since then that it has less
//
// Invariants: marks rise in time, each has all that the one before it has and more, and only the
// first is older than the time that tombstones are kept. So there are about kMarksPerKeep of them.
//
// A part of ReplicaLog: those that write are in the caller's transaction, and are followed by
// Forget() if that is rolled back. Compiles into merrow.so too (replica.cmake).

#pragma once

#include <optional>
#include <vector>

#include "changeset/version_set.h"
#include "store/cell_statement.h"

namespace merrow::store {

class TombstoneMarks {
 public:
  /// How finely time is divided: tombstones may stay longer than they need to by so small a part.
  static constexpr int64_t kMarksPerKeep = 8;

  /// Every other site has `all_have` now. Drops what is too old to be of use.
  Status Note(sqlite3* db, const changeset::SiteVersions& all_have, int64_t now_ms,
              int64_t keep_ms);
  /// A site has no more than this. True if that takes something back.
  Result<bool> WouldLower(sqlite3* db, const changeset::SiteVersions& has);
  Status Lower(sqlite3* db, const changeset::SiteVersions& has);

  /// Since when at least all others have had the version. Nothing if no mark has it yet.
  Result<std::optional<int64_t>> SinceMs(sqlite3* db, const cells::SiteId& site,
                                         cells::DbVersion version);
  /// When Note() may make another mark.
  Result<int64_t> NextMs(sqlite3* db, int64_t keep_ms);

  /// What is in memory may not be what is on disk.
  void Forget() { loaded_.reset(); }

 private:
  struct Mark {
    int64_t ms = 0;
    changeset::SiteVersions versions;
  };

  Status Load(sqlite3* db);
  Status Save(sqlite3* db);

  std::optional<std::vector<Mark>> loaded_;
};

}  // namespace merrow::store
