// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/fuzz_target.h"
#include "changeset/fuzz/fuzz_changeset.h"

namespace merrow::fuzz {

// Each is several frames, which are read and written several times.
constexpr uint64_t kFramesMutations = 1'000;
constexpr uint64_t kFilesMutations = 5'000;

std::vector<FuzzTarget> FuzzTargets() {
  using namespace changeset;
  return {{"changeset_frames", FuzzChangesetFrames, ChangesetFramesSeeds, kFramesMutations},
          {"changeset_file", FuzzChangesetFile, ChangesetFileSeeds, kFilesMutations},
          {"version_text", FuzzVersionText, VersionTextSeeds}};
}

}  // namespace merrow::fuzz
