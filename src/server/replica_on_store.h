// SPDX-License-Identifier: Apache-2.0
//
// Replica on the store: what replication does with the database, as tasks of the store thread.
//
// Outcomes reach the loop in the order of commits, between those of client updates, so neither
// starves the other: the store thread takes what is queued in turn. Before an outcome of Apply is
// reported, the documents that it changed are handed on, so that clients who have them open see the
// edit.
//
// Digests read every row. They have a thread and a read connection of their own.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "replication/replica.h"
#include "server/digest_thread.h"
#include "server/store_thread.h"
#include "store/store.h"

namespace merrow::server {

class ReplicaOnStore final : public replication::Replica {
 public:
  /// Gets documents that changesets of other sites changed, on the loop, in commit order.
  using OnDocuments = std::function<void(std::vector<store::DocumentNotice>)>;

  /// `store` and `digests` must outlive this.
  ReplicaOnStore(StoreThread& store, DigestThread& digests, OnDocuments on_documents);

  void Apply(std::vector<replication::Incoming> changesets, ApplyDone done) override;
  void Read(const cells::SiteId& site, replication::VersionRanges wanted, size_t bytes_target,
            ReadDone done) override;
  void ReadProofs(const cells::SiteId& site, ProofsDone done) override;
  void CheckProofs(std::vector<replication::VersionProof> proofs, CheckDone done) override;
  void TakeNewIdentity(cells::DbVersion agreed, IdentityDone done) override;
  void ReadDigest(DigestDone done) override;
  void ReadRowDigests(uint32_t bucket, RowDigestsDone done) override;
  void ReadRows(uint32_t bucket, std::vector<uint64_t> keys, RowsDone done) override;
  void Repair(std::vector<replication::SharedChangeset> rows, RepairDone done) override;
  void Confirm(const cells::SiteId& peer, const replication::SiteVersions& has) override;

 private:
  StoreThread& store_;
  DigestThread& digests_;
  const std::shared_ptr<const OnDocuments> on_documents_;
};

}  // namespace merrow::server
