// SPDX-License-Identifier: Apache-2.0
//
// Decoder: frames into changesets (changeset_format.h). What it returns is well-formed
// (CheckChangeset); whether tables and columns exist is for the one who applies it.

#pragma once

#include <vector>

#include "changeset/context.h"
#include "changeset/frame.h"

namespace merrow::changeset {

/// Where a frame's bytes go, for people who want to know. The sum is the frame's size,
/// uncompressed.
struct ByteReport {
  size_t framing = 0;    // flags and checksum
  size_t headers = 0;    // sites, versions, timestamps, counts
  size_t names = 0;      // tables and columns
  size_t keys = 0;       // primary keys
  size_t clocks = 0;     // shapes, causal lengths, versions, seqs, authors
  size_t values = 0;     // cells
  size_t documents = 0;  // change blocks
};

class Decoder {
 public:
  explicit Decoder(Context context = {}, FrameOptions options = {})
      : context_(std::move(context)), options_(options) {}

  /// The changesets of the next frame; adds to `report` if there is one. Corruption if it does not
  /// decode, unsupported if it was made by a later release or with another dictionary, limit if it
  /// is too large. After an error the decoder is as it was, and what follows on the same stream
  /// cannot be decoded.
  Result<std::vector<Changeset>> Decode(BytesView frame, ByteReport* report = nullptr);

 private:
  Result<std::vector<Changeset>> DecodeAll(BytesView bytes, ByteReport* report);

  Context context_;
  FrameOptions options_;
};

}  // namespace merrow::changeset
