// SPDX-License-Identifier: Apache-2.0
#include "testing/sim_replica.h"

namespace merrow::testing {

void SimReplica::Queue(Work work) {
  work_.push_back(std::move(work));
  if (!is_working_) Next();
}

void SimReplica::Next() {
  if (work_.empty()) return;
  is_working_ = true;
  int64_t delay_ms = 1 + static_cast<int64_t>(random_.Below(8));
  if (random_.Below(1000) < faults_.stuck) delay_ms += faults_.stuck_ms;
  loop_.After(delay_ms, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    const Work work = std::move(work_.front());
    work_.pop_front();
    is_working_ = false;
    const std::function<void()> done = work();
    loop_.After(1, [this, alive, done, published = database_.TakePublished()] {
      if (alive.expired()) return;
      if (!published.empty()) on_published_(published);
      done();
    });
    if (!is_working_) Next();
  });
}

void SimReplica::Commit(Write write, std::function<std::function<void()>()> begins) {
  Queue([this, write = std::move(write), begins = std::move(begins)]() -> std::function<void()> {
    if (!IsBusy()) {
      const std::function<void()> committed = begins();
      MERROW_CHECK(database_.Commit(write).ok());
      committed();
    }
    return [] {};
  });
}

void SimReplica::RunUpkeep() {
  Queue([this]() -> std::function<void()> {
    MERROW_CHECK(database_.RunUpkeep().ok());
    return [] {};
  });
}

void SimReplica::ForgetSite(const cells::SiteId& site) {
  Queue([this, site]() -> std::function<void()> {
    database_.ForgetSite(site);
    return [] {};
  });
}

void SimReplica::Apply(std::vector<Incoming> changesets, ApplyDone done) {
  using Outcomes = Result<std::vector<ApplyOutcome>>;
  Ask<std::vector<ApplyOutcome>>(std::move(done),
                                 [this, changesets = std::move(changesets)]() -> Outcomes {
                                   for (const Incoming& one : changesets) {
                                     if (one.changeset->cells.site == faults_.too_large)
                                       return LimitReached("simulated");
                                   }
                                   return database_.Apply(changesets);
                                 });
}

void SimReplica::Read(const cells::SiteId& site, VersionRanges wanted, size_t bytes_target,
                      ReadDone done) {
  Ask<ReadPage>(std::move(done), [this, site, wanted = std::move(wanted), bytes_target] {
    return database_.Read(site, wanted, bytes_target);
  });
}

void SimReplica::ReadProofs(const cells::SiteId& site, ProofsDone done) {
  Ask<std::vector<VersionProof>>(std::move(done),
                                 [this, site] { return database_.ReadProofs(site); });
}

void SimReplica::CheckProofs(std::vector<VersionProof> proofs, CheckDone done) {
  Ask<std::optional<cells::DbVersion>>(std::move(done), [this, proofs = std::move(proofs)] {
    return database_.CheckProofs(proofs);
  });
}

void SimReplica::TakeNewIdentity(cells::DbVersion agreed, IdentityDone done) {
  Ask<NewIdentity>(std::move(done), [this, agreed]() -> Result<NewIdentity> {
    MERROW_ASSIGN(const cells::SiteId site, database_.TakeNewIdentity(agreed));
    return NewIdentity{site, database_.seen()};
  });
}

void SimReplica::ReadDigest(DigestDone done) {
  Ask<std::vector<uint64_t>>(std::move(done), [this] { return database_.ReadDigest(); });
}

void SimReplica::ReadRowDigests(uint32_t bucket, RowDigestsDone done) {
  Ask<std::vector<RowDigest>>(std::move(done),
                              [this, bucket] { return database_.ReadRowDigests(bucket); });
}

void SimReplica::ReadRows(uint32_t bucket, std::vector<uint64_t> keys, RowsDone done) {
  Ask<std::vector<SharedChangeset>>(std::move(done), [this, bucket, keys = std::move(keys)] {
    return database_.ReadRows(bucket, keys);
  });
}

void SimReplica::Repair(std::vector<SharedChangeset> rows, RepairDone done) {
  Ask<void>(std::move(done),
            [this, rows = std::move(rows)]() -> Status { return database_.Repair(rows); });
}

void SimReplica::Confirm(const cells::SiteId& site, const SiteVersions& has) {
  confirmed_[site] = has;
  ++confirmations_;
  Queue([this, site, has]() -> std::function<void()> {
    database_.Confirm(site, has);
    return [] {};
  });
}

}  // namespace merrow::testing
