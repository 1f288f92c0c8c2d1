// SPDX-License-Identifier: Apache-2.0
#include "server/replica_on_store.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/replica_outcomes.h"

namespace merrow::server {
namespace {

// Of the rows of one bucket, about.
constexpr size_t kRepairBytesTarget = size_t{1} << 20;

Result<replication::ReadPage> ToPage(Result<store::ReplicaPage> page) {
  if (!page.ok()) return page.error();
  return replication::ReadPage{std::move(page->changesets), std::move(page->settled), page->more};
}

// The same struct of both layers, field by field.
template <typename To, typename From>
Result<std::vector<To>> ConvertEach(const Result<std::vector<From>>& items) {
  if (!items.ok()) return items.error();
  std::vector<To> converted;
  converted.reserve(items->size());
  for (const auto& [first, second] : *items) converted.push_back({first, second});
  return converted;
}

}  // namespace

ReplicaOnStore::ReplicaOnStore(StoreThread& store, DigestThread& digests, OnDocuments on_documents)
    : store_(store),
      digests_(digests),
      on_documents_(std::make_shared<const OnDocuments>(std::move(on_documents))) {}

void ReplicaOnStore::Apply(std::vector<replication::Incoming> changesets, ApplyDone done) {
  std::vector<store::IncomingChangeset> incoming;
  incoming.reserve(changesets.size());
  for (replication::Incoming& item : changesets) {
    incoming.push_back({std::move(item.changeset), item.whole});
  }
  store_.Run([incoming = std::move(incoming), done = std::move(done),
              on_documents = on_documents_](store::Store& store) -> std::function<void()> {
    auto applied =
        std::make_shared<Result<store::ChangesetsApplied>>(store.ApplyChangesets(incoming));
    return [applied, done, on_documents] {
      if (!applied->ok()) return done(applied->error());
      if (!(*applied)->notices.empty()) (*on_documents)(std::move((*applied)->notices));
      done(OutcomesOf(std::move((*applied)->outcomes)));
    };
  });
}

void ReplicaOnStore::Read(const cells::SiteId& site, replication::VersionRanges wanted,
                          size_t bytes_target, ReadDone done) {
  store_.Run([site, wanted = std::move(wanted), bytes_target,
              done = std::move(done)](store::Store& store) -> std::function<void()> {
    return [done, page = store.ReadChangesets(site, wanted, bytes_target)]() mutable {
      done(ToPage(std::move(page)));
    };
  });
}

void ReplicaOnStore::ReadProofs(const cells::SiteId& site, ProofsDone done) {
  store_.Run([site, done = std::move(done)](store::Store& store) -> std::function<void()> {
    return [done, proofs = store.ReadProofs(site)] {
      done(ConvertEach<replication::VersionProof>(proofs));
    };
  });
}

void ReplicaOnStore::CheckProofs(std::vector<replication::VersionProof> proofs, CheckDone done) {
  store_.Run([proofs = std::move(proofs),
              done = std::move(done)](store::Store& store) -> std::function<void()> {
    std::vector<store::VersionProof> converted;
    for (const auto& proof : proofs) converted.push_back({proof.version, proof.timestamp});
    return [done, agreed = store.CheckProofs(converted)] { done(agreed); };
  });
}

void ReplicaOnStore::TakeNewIdentity(cells::DbVersion agreed, IdentityDone done) {
  store_.Run([agreed, done = std::move(done)](store::Store& store) -> std::function<void()> {
    const Result<cells::SiteId> site = store.TakeNewIdentity(agreed);
    if (!site.ok()) return [done, error = site.error()] { done(error); };
    return [done, identity = NewIdentity{*site, store.seen()}] { done(identity); };
  });
}

void ReplicaOnStore::ReadDigest(DigestDone done) {
  digests_.Run(
      [done = std::move(done)](Result<store::ReplicaDigest*> digest) -> std::function<void()> {
        using Buckets = Result<std::vector<uint64_t>>;
        Buckets buckets = digest.ok() ? (*digest)->ReadBuckets() : Buckets(digest.error());
        return [done, buckets = std::move(buckets)] { done(buckets); };
      });
}

void ReplicaOnStore::ReadRowDigests(uint32_t bucket, RowDigestsDone done) {
  digests_.Run([bucket, done = std::move(done)](
                   Result<store::ReplicaDigest*> digest) -> std::function<void()> {
    using Rows = Result<std::vector<store::RowDigest>>;
    const Rows rows = digest.ok() ? (*digest)->ReadRowDigests(bucket) : Rows(digest.error());
    return [done, rows = ConvertEach<replication::RowDigest>(rows)] { done(rows); };
  });
}

void ReplicaOnStore::ReadRows(uint32_t bucket, std::vector<uint64_t> keys, RowsDone done) {
  digests_.Run([bucket, keys = std::move(keys), done = std::move(done)](
                   Result<store::ReplicaDigest*> digest) -> std::function<void()> {
    using Rows = Result<std::vector<store::SharedChangeset>>;
    Rows rows =
        digest.ok() ? (*digest)->ReadRows(bucket, keys, kRepairBytesTarget) : Rows(digest.error());
    return [done, rows = std::move(rows)] { done(rows); };
  });
}

void ReplicaOnStore::Repair(std::vector<replication::SharedChangeset> rows, RepairDone done) {
  store_.Run([rows = std::move(rows), done = std::move(done),
              on_documents = on_documents_](store::Store& store) -> std::function<void()> {
    auto repaired =
        std::make_shared<Result<std::vector<store::DocumentNotice>>>(store.Repair(rows));
    return [repaired, done, on_documents] {
      if (!repaired->ok()) return done(repaired->error());
      if (!(*repaired)->empty()) (*on_documents)(std::move(**repaired));
      done({});
    };
  });
}

void ReplicaOnStore::Confirm(const cells::SiteId& peer, const replication::SiteVersions& has) {
  store_.Run([peer, has](store::Store& store) -> std::function<void()> {
    const Status confirmed = store.ConfirmPeer(peer, has);
    if (!confirmed.ok()) {
      spdlog::warn("what a site has cannot be noted: {}", confirmed.error().ToString());
    }
    return {};
  });
}

}  // namespace merrow::server
