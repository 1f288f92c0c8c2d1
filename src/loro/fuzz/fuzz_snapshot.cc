// SPDX-License-Identifier: Apache-2.0
//
// A snapshot's body, with and without its states, whose wrappers and contents are decoded too. What
// decodes can be written again.

#include "loro/fuzz/fuzz_repair.h"
#include "loro/fuzz/fuzz_target.h"
#include "loro/snapshot.h"
#include "loro/state_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr SstableLimits kLimits{.value_bytes_max = size_t{4} << 20,
                                .total_bytes_max = size_t{16} << 20};

void DecodeState(const SnapshotParts::State& state) {
  const Result<StateWrapper> wrapper = DecodeStateWrapper(state.wrapper);
  if (!wrapper.ok()) return;
  switch (wrapper->kind) {
    case ContainerKind::kMap:
      return static_cast<void>(DecodeMapState(wrapper->state));
    case ContainerKind::kList:
      return static_cast<void>(DecodeListState(wrapper->state));
    case ContainerKind::kText:
      return static_cast<void>(DecodeTextState(wrapper->state));
    case ContainerKind::kMovableList:
      return static_cast<void>(DecodeMovableListState(wrapper->state));
    case ContainerKind::kTree:
      return static_cast<void>(DecodeTreeState(wrapper->state));
    case ContainerKind::kCounter:
      return static_cast<void>(DecodeCounterState(wrapper->state));
  }
}

}  // namespace

void FuzzSnapshot(BytesView input) {
  const Bytes body = RepairedSnapshot(input);
  static_cast<void>(DecodeSnapshot(body, {.with_states = false, .limits = kLimits}));
  const Result<SnapshotParts> parts = DecodeSnapshot(body, {.limits = kLimits});
  if (!parts.ok()) return;
  for (const SnapshotParts::State& state : parts->states) DecodeState(state);
  if (parts->shallow.has_value()) {
    for (const SnapshotParts::State& state : parts->shallow->states) DecodeState(state);
  }
  const Result<Bytes> written = EncodeSnapshot(*parts);
  if (!written.ok()) return;
  const Result<SnapshotParts> again = DecodeSnapshot(*written);
  MERROW_CHECK(again.ok());
  MERROW_CHECK(again->version == parts->version);
  MERROW_CHECK(again->blocks.size() == parts->blocks.size());
  MERROW_CHECK(again->states.size() == parts->states.size());
}

}  // namespace merrow::loro
