// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/fuzz_target.h"
#include "loro/fuzz/fuzz_seeds.h"
#include "loro/fuzz/fuzz_target.h"

namespace merrow::fuzz {
namespace {

// Each makes a document, or several.
constexpr uint64_t kMutations = 2'000;

FuzzTarget Target(const char* name, void (*run)(BytesView input)) {
  const auto seeds = [name] { return loro::LoadFuzzSeeds(MERROW_VECTORS).at(name); };
  return {name, run, seeds, kMutations};
}

}  // namespace

std::vector<FuzzTarget> FuzzTargets() {
  return {Target("import", loro::FuzzImport),
          Target("blob_meta", loro::FuzzBlobMeta),
          Target("change_block", loro::FuzzChangeBlock),
          Target("sstable", loro::FuzzSstable),
          Target("lz4_frame", loro::FuzzLz4Frame),
          Target("snapshot", loro::FuzzSnapshot),
          Target("state", loro::FuzzState),
          Target("version", loro::FuzzVersion),
          Target("json_updates", loro::FuzzJsonUpdates)};
}

}  // namespace merrow::fuzz
