// SPDX-License-Identifier: Apache-2.0
//
// Replica: the database of this site, as replication sees it. The server implements it on the
// store; the simulation on a store that it can crash.
//
// Contract:
//   (1) `done` is called exactly once, later, never from inside the call, on the thread that calls
//       into the Replicator; after a shutdown it may be dropped.
//   (2) What an outcome calls kApplied is committed (on disk) when `done` is called, and counts as
//       seen from then on, also after a crash. Nothing else changes what counts as seen.
//   (3) Outcomes come in the order of commits.
//   (4) Applying is idempotent: what is known already changes nothing.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "changeset/changeset.h"
#include "changeset/version_set.h"

namespace merrow::replication {

using changeset::Changeset;
using changeset::SiteVersions;
using changeset::VersionRange;
using changeset::VersionRanges;
using SharedChangeset = std::shared_ptr<const Changeset>;

/// A changeset as it arrived. Parts are of one whole if site, versions, `parts` and `whole` agree.
struct Incoming {
  SharedChangeset changeset;
  /// Of a part: names the exact split that it is of (a hash of all rows); 0 if parts == 1.
  uint64_t whole = 0;
};

enum class Fate : uint8_t {
  kApplied,   // committed; `range` is seen
  kKnown,     // all of it was seen before
  kBuffered,  // a part: kept on disk until the others are there
  kWaiting,   // a document in it follows ops that are not here; nothing was stored. Hand it in
              // again when other changesets were applied, or pull it again.
  kRefused,   // it can never be applied (`error` says why); nothing was stored
};

struct ApplyOutcome {
  Fate fate = Fate::kApplied;
  /// kApplied: what counts as seen now because of it.
  cells::SiteId site;
  VersionRange range;
  /// kApplied by the last part of several: the whole, to send on. Else null: what was handed in.
  SharedChangeset whole;
  std::optional<Error> error;
};

/// What is there of the versions of a site that somebody asked for.
struct ReadPage {
  /// Newest first. Together with `empty` they cover `settled`.
  std::vector<SharedChangeset> changesets;
  /// What of the wanted versions this page settles; the rest is on later pages, or not here.
  VersionRanges settled;
  /// There is more of the wanted versions here: ask again without what is settled.
  bool more = false;
};

/// Hashes of rows by bucket of their key. Equal data has equal digests at every site.
inline constexpr size_t kDigestBuckets = 256;
struct RowDigest {
  uint64_t key = 0;  // hash of table and key
  uint64_t row =
      0;  // hash of causal length, clocks, authors and values, or of a document's version
};

/// What this site can prove about one version of its own: peers that have the same version with
/// another timestamp, or have later ones, show that this database was restored from a backup.
struct VersionProof {
  cells::DbVersion version = 0;
  changeset::Timestamp timestamp;
};

class Replica {
 public:
  virtual ~Replica() = default;

  using ApplyDone = std::function<void(Result<std::vector<ApplyOutcome>>)>;
  /// Applies in one transaction, each changeset in a savepoint of its own: a bad one does not
  /// disturb the others. One outcome each. Error (busy, io): nothing was stored; try again later.
  virtual void Apply(std::vector<Incoming> changesets, ApplyDone done) = 0;

  using ReadDone = std::function<void(Result<ReadPage>)>;
  /// Changesets of `site` that cover `wanted`, as far as they are here, newest first, until about
  /// `bytes_target` bytes, and at least one. Neighbouring transactions may come as one changeset up
  /// to that size; with a target of 1 each comes alone, which is how a bad one is told from its
  /// neighbours.
  virtual void Read(const cells::SiteId& site, VersionRanges wanted, size_t bytes_target,
                    ReadDone done) = 0;

  using ProofsDone = std::function<void(Result<std::vector<VersionProof>>)>;
  /// Of the last version of `site` that is here, and of some before it, ever sparser: the last, and
  /// then about the 1st, 2nd, 4th, 8th, ... before. Newest first, at most 64. Asked when `site`
  /// connects: conflict says that it must not, and why.
  virtual void ReadProofs(const cells::SiteId& site, ProofsDone done) = 0;
  using CheckDone = std::function<void(Result<std::optional<cells::DbVersion>>)>;
  /// Compares what a peer has of this site with what this site remembers. Nothing: it fits. Else
  /// the last version that both agree on.
  virtual void CheckProofs(std::vector<VersionProof> proofs, CheckDone done) = 0;
  struct NewIdentity {
    cells::SiteId site;
    SiteVersions seen;  // as the new site
  };
  using IdentityDone = std::function<void(Result<NewIdentity>)>;
  /// This database was restored: it becomes a new site. Its own transactions after `agreed` count
  /// as transactions of the new site; the older ones keep the old site as publisher and author.
  virtual void TakeNewIdentity(cells::DbVersion agreed, IdentityDone done) = 0;

  using DigestDone = std::function<void(Result<std::vector<uint64_t>>)>;
  /// kDigestBuckets numbers over all mergeable rows.
  virtual void ReadDigest(DigestDone done) = 0;
  using RowDigestsDone = std::function<void(Result<std::vector<RowDigest>>)>;
  /// By rising key.
  virtual void ReadRowDigests(uint32_t bucket, RowDigestsDone done) = 0;
  using RowsDone = std::function<void(Result<std::vector<SharedChangeset>>)>;
  /// Everything that is known of these rows of a bucket, whoever wrote it. What versions these
  /// changesets cover means nothing: they are for Repair only.
  virtual void ReadRows(uint32_t bucket, std::vector<uint64_t> keys, RowsDone done) = 0;
  using RepairDone = std::function<void(Status)>;
  /// Merges what ReadRows of another site gave.
  virtual void Repair(std::vector<SharedChangeset> rows, RepairDone done) = 0;

  /// `site`, a neighbour or any other site, has said itself to have these versions on disk (of all
  /// sites, because a tombstone may have come from any of them), and this site has seen all of them
  /// too: so every tombstone whose changeset is among them is known there, and nothing that was
  /// written without knowing it is still on its way from there.
  /// It replaces what was said of the site before, and may be less or nothing: the site was
  /// restored from a backup, or says otherwise now. Every site that it was ever called for exists
  /// until somebody says that it will not come back, whether it ever wrote something or not.
  /// Called with nothing when the site is first heard of in this process, before anything is sent
  /// to it, and then now and then when it has changed.
  virtual void Confirm(const cells::SiteId& site, const SiteVersions& has) = 0;
};

}  // namespace merrow::replication
