// SPDX-License-Identifier: Apache-2.0
//
// ReplicaLog's identity: proofs that show whether a database was restored from a backup, and what
// it does then.
//
// A site that goes on from an old copy of itself would give versions a second time that others have
// seen already with other contents. Its peers remember the timestamps of its versions; if they do
// not fit, the database becomes a new site.
#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "store/replica_log.h"

namespace merrow::store {

Result<std::vector<VersionProof>> ReplicaLog::Proofs(const cells::SiteId& site) {
  std::vector<VersionProof> proofs;
  MERROW_ASSIGN(const std::optional<int64_t> forgotten_ms, ForgottenAt(site));
  if (forgotten_ms.has_value()) {
    return Conflict("site " + ToHex(site.view()) +
                    " was forgotten here: it may have rows whose deletion nobody remembers, so it "
                    "has to begin anew with an empty database");
  }
  MERROW_ASSIGN(const auto ordinal, cells_.FindOrdinal(site));
  const auto seen = seen_.find(site);
  if (!ordinal.has_value() || seen == seen_.end()) {
    return proofs;
  }
  const cells::DbVersion last = seen->second.last();
  // An entry without a timestamp ends where it was cut, not at a version that is known.
  CellStatement find;
  MERROW_TRY(find.Prepare(
      cells_.db(),
      *ordinal == 0
          ? "SELECT version, ms, count FROM main._merrow_source WHERE site = ?1 AND local "
            "<= ?2 AND ms <> 0 ORDER BY local DESC LIMIT 1"
          : "SELECT version, ms, count FROM main._merrow_source WHERE site = ?1 AND site "
            "<> 0 AND version <= ?2 AND ms <> 0 ORDER BY version DESC LIMIT 1"));
  for (cells::DbVersion back = 0; back < last && proofs.size() < kVersionProofsMax;
       back = back == 0 ? 1 : back * 2) {
    find.Reset();
    find.BindInt(1, *ordinal);
    find.BindInt(2, last - back);
    MERROW_ASSIGN(const bool found, find.Step());
    if (!found) {
      break;
    }
    const VersionProof proof{find.Int(0), {find.Int(1), static_cast<uint16_t>(find.Int(2))}};
    if (proofs.empty() || proofs.back().version != proof.version) {
      proofs.push_back(proof);
    }
  }
  return proofs;
}

Result<std::optional<cells::DbVersion>> ReplicaLog::CheckProofs(
    std::span<const VersionProof> proofs) {
  bool fits = true;
  cells::DbVersion agreed = 0;
  CellStatement find;
  MERROW_TRY(find.Prepare(
      cells_.db(), "SELECT ms, count FROM main._merrow_source WHERE local = ?1 AND site = 0"));
  for (const VersionProof& proof : proofs) {
    if (proof.version > memory_.own_version) {
      fits = false;
      continue;
    }
    find.Reset();
    find.BindInt(1, proof.version);
    MERROW_ASSIGN(const bool found, find.Step());
    // Not found: it was combined with later ones, so nothing is known of it any more.
    if (!found || find.Int(0) == 0 || proof.timestamp.ms == 0) {
      continue;
    }
    const changeset::Timestamp own{find.Int(0), static_cast<uint16_t>(find.Int(1))};
    if (own == proof.timestamp) {
      agreed = std::max(agreed, proof.version);
    } else {
      fits = false;
    }
  }
  return fits ? std::optional<cells::DbVersion>() : std::optional(agreed);
}

}  // namespace merrow::store
