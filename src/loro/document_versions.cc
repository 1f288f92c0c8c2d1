// SPDX-License-Identifier: Apache-2.0
//
// Versions of a document: how they relate, looking at earlier ones, and documents that start from
// them.

#include "loro/document_core.h"
#include "loro/document_impl.h"
#include "loro/sequence_merge.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

Error NotInHistory(const Frontiers& frontiers) {
  std::string text;
  for (const Id& id : frontiers) text += (text.empty() ? "" : ", ") + ToString(id);
  return NotFound("version {" + text + "} is not in the history");
}

}  // namespace

Result<State> DocumentCore::StateAt(const Frontiers& version) const {
  const std::optional<std::vector<Lv>> heads = log.graph().HeadsOf(version);
  if (!heads.has_value()) return NotInHistory(version);
  return DeriveState(log, *heads);
}

// --- Document ---

std::optional<VersionVector> Document::VersionOf(const Frontiers& frontiers) const {
  return impl_->core().log.graph().VersionOf(frontiers);
}

}  // namespace merrow::loro
