// SPDX-License-Identifier: Apache-2.0
//
// Fuzz targets: for each decoder of a layer a function that feeds it any bytes and stops the
// process when what the decoder promises does not hold. The layer lists them (FuzzTargets).
// libFuzzer drives them one per program (fuzz_main.cc); fuzz_corpus_test.cc drives all of a layer
// over known inputs, with any compiler; fuzz_seed_writer.cc writes what libFuzzer starts from.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace merrow::fuzz {

struct FuzzTarget {
  std::string_view name;
  void (*run)(BytesView input) = nullptr;
  /// Valid inputs.
  std::function<std::vector<Bytes>()> seeds;
  /// How many mutations of its seeds the corpus test runs it over.
  uint64_t mutations = 20'000;
};

/// All of the layer that is linked.
std::vector<FuzzTarget> FuzzTargets();

}  // namespace merrow::fuzz
