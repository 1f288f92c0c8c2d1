// SPDX-License-Identifier: Apache-2.0
#include "base/fuzz/fuzz_target.h"
#include "changeset/fuzz/fuzz_changeset.h"

namespace merrow::fuzz {

std::vector<FuzzTarget> FuzzTargets() {
  using namespace changeset;
  return {{"changeset_frames", FuzzChangesetFrames, ChangesetFramesSeeds},
          {"changeset_file", FuzzChangesetFile, ChangesetFileSeeds},
          {"version_text", FuzzVersionText, VersionTextSeeds}};
}

}  // namespace merrow::fuzz
