// SPDX-License-Identifier: Apache-2.0
//
// States of containers in snapshots; the first byte of the input says which kind. What decodes is
// written, read and written again, and both writings are equal. (Images are not compared, because
// they may hold a NaN.)

#include "loro/fuzz/fuzz_target.h"
#include "loro/state_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

template <typename Decode, typename Encode>
void CheckRoundTrip(BytesView input, Decode&& decode, Encode&& encode) {
  const auto image = decode(input);
  if (!image.ok()) return;
  const Bytes written = encode(*image);
  const auto again = decode(written);
  MERROW_CHECK(again.ok());
  MERROW_CHECK(encode(*again) == written);
}

}  // namespace

void FuzzState(BytesView input) {
  if (input.empty()) return;
  const auto which = static_cast<FuzzedState>(static_cast<unsigned char>(input[0]) % kFuzzedStates);
  const BytesView state = input.substr(1);
  switch (which) {
    case FuzzedState::kWrapper:
      return CheckRoundTrip(state, DecodeStateWrapper, EncodeStateWrapper);
    case FuzzedState::kMap:
      return CheckRoundTrip(state, DecodeMapState, EncodeMapState);
    case FuzzedState::kList:
      return CheckRoundTrip(state, DecodeListState, EncodeListState);
    case FuzzedState::kText:
      return CheckRoundTrip(state, DecodeTextState, EncodeTextState);
    case FuzzedState::kMovableList:
      return CheckRoundTrip(state, DecodeMovableListState, EncodeMovableListState);
    case FuzzedState::kTree:  // may have cycles, which cannot be written
      return static_cast<void>(DecodeTreeState(state));
    case FuzzedState::kCounter:
      return CheckRoundTrip(state, DecodeCounterState, EncodeCounterState);
  }
}

}  // namespace merrow::loro
