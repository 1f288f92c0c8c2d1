// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets of this layer (base/fuzz/fuzz_target.h), and their valid inputs.

#pragma once

#include <vector>

#include "base/bytes.h"

namespace merrow::changeset {

/// Frames of one stream, until the input ends, each as
///   u8 kind (FrameKind) | piece (base/fuzz/fuzz_input.h)
void FuzzChangesetFrames(BytesView input);
std::vector<Bytes> ChangesetFramesSeeds();

/// What a piece of FuzzChangesetFrames holds.
enum class FrameKind : unsigned char {
  kFrame,       // a frame without its checksum
  kPayload,     // a payload, which becomes the next frame of the stream
  kCompressed,  // the same, compressed if that saves bytes
};
inline constexpr unsigned kFrameKinds = 3;

/// A changeset file, whose checksums are made right.
void FuzzChangesetFile(BytesView input);
std::vector<Bytes> ChangesetFileSeeds();

/// The text form of versions (changeset/version_set.h).
void FuzzVersionText(BytesView input);
std::vector<Bytes> VersionTextSeeds();

}  // namespace merrow::changeset
