// SPDX-License-Identifier: Apache-2.0
//
// Changeset file: changesets on disk, to be sent by mail, kept as a backup or put in an object
// store.
//
//   file = "MERROWCS" | ( uleb length | frame ) *
//
// The frames are one stream with a context of its own (changeset_format.h), so a file stands alone.
// DO NOT CHANGE: in files.

#pragma once

#include <span>
#include <vector>

#include "changeset/decoder.h"
#include "changeset/encoder.h"

namespace merrow::changeset {

/// The changesets as a file. Errors as Encoder::Encode.
Result<Bytes> EncodeFile(std::span<const Changeset> changesets, const FrameOptions& options = {});

/// All changesets of a file. Errors as Decoder::Decode; nothing of a damaged file is returned.
Result<std::vector<Changeset>> DecodeFile(BytesView file, const FrameOptions& options = {},
                                          ByteReport* report = nullptr);

}  // namespace merrow::changeset
