// SPDX-License-Identifier: Apache-2.0
//
// Frame: the outer layer of changesets on the wire: version, compression, checksum
// (changeset_format.h).

#pragma once

#include <memory>

#include "merrow/bytes.h"
#include "merrow/result.h"

namespace merrow::changeset {

/// A zstd dictionary that both sides have.
class Dictionary {
 public:
  /// `bytes` as `zstd --train` writes them. Invalid argument if they are not a dictionary.
  static Result<std::shared_ptr<const Dictionary>> FromBytes(BytesView bytes, int level);
  ~Dictionary();

  /// The id that is written in the dictionary itself.
  uint32_t id() const { return id_; }

 private:
  friend class ZstdCodec;
  Dictionary() = default;

  uint32_t id_ = 0;
  void* compress_ = nullptr;    // ZSTD_CDict
  void* decompress_ = nullptr;  // ZSTD_DDict
};

struct FrameOptions {
  /// 0: never compresses. 1 to 19: does so where it saves bytes.
  int zstd_level = 0;
  /// Used for both directions if set.
  std::shared_ptr<const Dictionary> dictionary;
};

/// A frame around `payload`. `is_first`: of its stream. Limit if the payload is too large.
Result<Bytes> EncodeFrame(BytesView payload, bool is_first, const FrameOptions& options);

struct Frame {
  bool is_first = false;
  BytesView payload;
  Bytes storage;  // what payload refers to, if it was compressed
  size_t framing_bytes = 0;
};
/// Errors as Decoder::Decode.
Result<Frame> DecodeFrame(BytesView bytes, const FrameOptions& options);

}  // namespace merrow::changeset
