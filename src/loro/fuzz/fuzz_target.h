// SPDX-License-Identifier: Apache-2.0
//
// Fuzz targets of this layer: for each decoder a function that feeds it any bytes and stops the
// process when what it promises does not hold. libFuzzer drives them one per program
// (fuzz_main.cc); fuzz_corpus_test.cc drives all of them over known inputs, with any compiler.

#pragma once

#include <vector>

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

struct FuzzTarget {
  const char* name;
  void (*run)(BytesView input);
};
inline constexpr FuzzTarget kFuzzTargets[] = {
    {"import", FuzzImport},   {"blob_meta", FuzzBlobMeta}, {"change_block", FuzzChangeBlock},
    {"sstable", FuzzSstable}, {"lz4_frame", FuzzLz4Frame}, {"snapshot", FuzzSnapshot},
    {"state", FuzzState},     {"version", FuzzVersion},    {"json_updates", FuzzJsonUpdates},
};

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
