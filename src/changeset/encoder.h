// SPDX-License-Identifier: Apache-2.0
//
// Encoder: changesets into frames (changeset_format.h).

#pragma once

#include <memory>
#include <span>

#include "changeset/context.h"
#include "changeset/frame.h"

namespace merrow::changeset {

class Encoder {
 public:
  explicit Encoder(Context context = {}, FrameOptions options = {})
      : context_(std::move(context)), options_(options) {}

  /// One frame that holds these, in order. The decoder must get every frame, in order. Invalid
  /// argument if one is not well-formed (CheckChangeset) or a key does not unpack; limit if the
  /// frame would exceed what changeset_format.h allows: then encode fewer, or split. After an error
  /// the encoder is as it was.
  Result<Bytes> Encode(std::span<const Changeset> changesets);
  /// The same of changesets that lie in different places; none is null.
  Result<Bytes> Encode(std::span<const Changeset* const> changesets);

 private:
  Result<Bytes> EncodeAll(std::span<const Changeset* const> changesets);

  Context context_;
  FrameOptions options_;
};

}  // namespace merrow::changeset
