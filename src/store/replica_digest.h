// SPDX-License-Identifier: Apache-2.0
//
// Replica digest: hashes of all rows that replicate, equal at any two sites that hold equal data.
// Computed when somebody asks, over a read-only connection of its own, beside the writer, in one
// read snapshot for each call.
//
// A row is hashed as other sites know it: by the names of its table and columns, its packed key,
// its causal length, and for each cell col_version, author (the site's id) and value; local
// numbers, db_versions and seqs are not in it. A document is hashed by table, key and version
// vector. A row's key hash picks its bucket (its lowest 8 bits); a bucket's number is the sum of
// its rows' hashes, so that rows can come in any order.
//
// Tombstones are in the lists of row digests, so that a deleted row and one that lives differ, but
// not in the buckets' numbers: each site drops them when it can, and that is no divergence.
//
// Thread-compatible; Interrupt() from any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/replica_types.h"

namespace merrow::store {

class CellStore;
class Database;

class ReplicaDigest {
 public:
  /// The file must be there, with a replica log in it.
  static Result<std::unique_ptr<ReplicaDigest>> Open(const std::string& path, int busy_timeout_ms);
  ~ReplicaDigest();
  ReplicaDigest(const ReplicaDigest&) = delete;
  ReplicaDigest& operator=(const ReplicaDigest&) = delete;

  /// kDigestBuckets numbers. Cost: reads every row.
  Result<std::vector<uint64_t>> ReadBuckets();
  /// The rows of one bucket by rising key. Cost: reads every key, and the rows of the bucket.
  Result<std::vector<RowDigest>> ReadRowDigests(uint32_t bucket);
  /// Everything that is known of these rows of a bucket, for ReplicaLog::Repair. What versions they
  /// cover means nothing.
  Result<std::vector<SharedChangeset>> ReadRows(uint32_t bucket, std::span<const uint64_t> keys,
                                                size_t bytes_target);

  /// Makes the call that runs now, if there is one, end with cancelled.
  void Interrupt();

 private:
  class Impl;
  explicit ReplicaDigest(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::store
