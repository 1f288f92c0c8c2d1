// SPDX-License-Identifier: Apache-2.0
//
// SimReplica: a SimDatabase behind the interface that replication asks. Work is done one piece
// after the other, each a while after it was asked for; it may fail as if the disk were busy, or
// take very long; and its completion comes a while after it is on disk, in the order of commits.
// When the site dies, what was not done yet is not done, and nobody hears of what was.

#pragma once

#include <deque>
#include <functional>

#include "testing/sim_database.h"
#include "testing/sim_loop.h"

namespace merrow::testing {

struct SimDiskFaults {
  /// Of 1000 pieces of work.
  uint64_t busy = 0;
  uint64_t stuck = 0;
  int64_t stuck_ms = 0;
  /// Whatever changesets of this site are among those to apply: there is no room for them.
  std::optional<cells::SiteId> too_large;
};

class SimReplica final : public replication::Replica {
 public:
  using OnPublished = std::function<void(std::vector<SharedChangeset>)>;
  /// `on_published` gets what was committed for the site itself, before any later completion.
  SimReplica(SimDatabase& database, SimLoop& loop, SeededRandom& random,
             const SimDiskFaults& faults, OnPublished on_published)
      : database_(database),
        loop_(loop),
        random_(random),
        faults_(faults),
        on_published_(std::move(on_published)) {}

  /// A local transaction. `begins` is called before it, and what that returned when it is on disk,
  /// which nobody knows yet.
  void Commit(Write write, std::function<std::function<void()>()> begins);

  /// What the server does when it has nothing else to do.
  void RunUpkeep();
  void ForgetSite(const cells::SiteId& site);

  void Apply(std::vector<Incoming> changesets, ApplyDone done) override;
  void Read(const cells::SiteId& site, VersionRanges wanted, size_t bytes_target,
            ReadDone done) override;
  void ReadProofs(const cells::SiteId& site, ProofsDone done) override;
  void CheckProofs(std::vector<VersionProof> proofs, CheckDone done) override;
  void TakeNewIdentity(cells::DbVersion agreed, IdentityDone done) override;
  void ReadDigest(DigestDone done) override;
  void ReadRowDigests(uint32_t bucket, RowDigestsDone done) override;
  void ReadRows(uint32_t bucket, std::vector<uint64_t> keys, RowsDone done) override;
  void Repair(std::vector<SharedChangeset> rows, RepairDone done) override;
  void Confirm(const cells::SiteId& site, const SiteVersions& has) override;

  /// Of each site, the last that it was said to have.
  const std::map<cells::SiteId, SiteVersions>& confirmed() const { return confirmed_; }
  uint64_t confirmations() const { return confirmations_; }

 private:
  using Work = std::function<std::function<void()>()>;  // does it, returns what to call then
  void Queue(Work work);
  void Next();
  bool IsBusy() { return random_.Below(1000) < faults_.busy; }
  template <typename T, typename F>
  void Ask(std::function<void(Result<T>)> done, F f) {
    Queue([this, done = std::move(done), f = std::move(f)]() -> std::function<void()> {
      auto result = std::make_shared<Result<T>>(IsBusy() ? Result<T>(Busy("simulated")) : f());
      return [done, result] { done(std::move(*result)); };
    });
  }

  SimDatabase& database_;
  SimLoop& loop_;
  SeededRandom& random_;
  const SimDiskFaults& faults_;
  const OnPublished on_published_;
  std::deque<Work> work_;
  bool is_working_ = false;
  std::map<cells::SiteId, SiteVersions> confirmed_;
  uint64_t confirmations_ = 0;
  // Its end is that of the process: completions look whether it is still there.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace merrow::testing
