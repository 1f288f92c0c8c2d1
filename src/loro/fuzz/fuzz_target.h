// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of this layer (base/fuzz/fuzz_target.h).

#pragma once

#include "base/bytes.h"

namespace merrow::loro {

void FuzzImport(BytesView input);
void FuzzBlobMeta(BytesView input);
void FuzzChangeBlock(BytesView input);
void FuzzSstable(BytesView input);
void FuzzLz4Frame(BytesView input);
void FuzzSnapshot(BytesView input);
void FuzzState(BytesView input);
void FuzzVersion(BytesView input);
void FuzzJsonUpdates(BytesView input);

/// First byte of an input of FuzzState: which decoder gets the rest.
enum class FuzzedState : unsigned char {
  kWrapper,
  kMap,
  kList,
  kText,
  kMovableList,
  kTree,
  kCounter,
};
inline constexpr unsigned kFuzzedStates = 7;

}  // namespace merrow::loro
