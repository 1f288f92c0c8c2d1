// SPDX-License-Identifier: Apache-2.0
//
// Differences between versions of a document, and edits that make such a difference.

#include <algorithm>

#include "loro/delta_editor.h"
#include "loro/document_impl.h"
#include "loro/state_diff.h"

namespace merrow::loro {
namespace {

// Calls use(state) with the state at a version: the latest one as it is, others replayed.
template <typename Use>
Result<DocumentDelta> WithState(const DocumentCore& core, Frontiers version, Use use) {
  Frontiers latest = core.log.graph().frontiers();
  std::sort(version.begin(), version.end());
  std::sort(latest.begin(), latest.end());
  if (version == latest && !core.log.HasUncommitted()) return use(core.state);
  MERROW_ASSIGN(const State state, core.StateAt(version));
  return use(state);
}

}  // namespace

Result<DocumentDelta> Document::Diff(const Frontiers& a, const Frontiers& b) const {
  const DocumentCore& core = impl_->core();
  if (core.is_broken) return Corruption("the document is broken: its ops do not apply");
  return WithState(core, a, [&](const State& from) {
    return WithState(
        core, b, [&](const State& to) -> Result<DocumentDelta> { return DiffStates(from, to); });
  });
}

Status Document::ApplyDelta(const DocumentDelta& delta) {
  const DocumentCore& core = impl_->core();
  MERROW_TRY(CheckFits(core.state, delta));
  return DeltaEditor(this, &core.state).Apply(delta);
}

Status Document::RevertTo(const Frontiers& frontiers) {
  Commit();
  MERROW_ASSIGN(const DocumentDelta delta, Diff(this->frontiers(), frontiers));
  return ApplyDelta(delta);
}

}  // namespace merrow::loro
