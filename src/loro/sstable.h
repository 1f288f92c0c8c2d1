// SPDX-License-Identifier: Apache-2.0
//
// Sorted string table: the key-value store inside a snapshot (loro-kv-store's SSTable,
// docs/format.md "snapshot").
//
//   "LORO" 0x00 | block ... | metadata | u32le offset of the metadata
//   metadata = u32le block count | per block: u32le offset, u16le + first key, u8 flags,
//              u16le + last key unless the block is large | u32le xxh32 of the block entries
//   flags    = 0x80 large | compression, 0 none or 1 LZ4 frame
//   block    = payload, stored or compressed | u32le xxh32 of the payload as stored
//   payload  = large: the value of the block's only key, which is its first key
//              normal: entry ... | u16le offset of each entry | u16le entry count
//   entry    = the first: its value; a later one: u8 length of the prefix that its key shares with
//              the first key, u16le + rest of the key, value
//
// Keys are unique and strictly increasing, bytewise. A store without entries is zero bytes.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::loro {

/// Key lengths are 16-bit.
inline constexpr size_t kSstableKeyBytesMax = 65535;
/// The most that one value may expand to.
inline constexpr size_t kLargeValueBytesMax = size_t{256} << 20;
/// The most that all blocks of one store may expand to.
inline constexpr size_t kSstableBytesMax = size_t{1} << 30;
/// The most blocks of one store; Loro's reader has the same limit.
inline constexpr uint32_t kSstableBlocksMax = 10'000'000;
/// Loro closes a normal block when it reaches this size.
inline constexpr size_t kSstableBlockBytes = 4096;

struct SstableLimits {
  size_t value_bytes_max = kLargeValueBytesMax;
  size_t total_bytes_max = kSstableBytesMax;
};

/// Reads a store. The bytes that it was opened with must outlive it, and so must the reader outlive
/// the entries that it hands out. Blocks are checked and decompressed when first touched.
class SstableReader {
 public:
  struct Entry {
    BytesView key;
    BytesView value;
  };

  /// Checks everything but the insides of blocks: magic, metadata and its checksum, block ranges,
  /// key order from block to block.
  static Result<SstableReader> Open(BytesView bytes, SstableLimits limits = {});

  SstableReader(SstableReader&&) noexcept;
  SstableReader& operator=(SstableReader&&) noexcept;
  ~SstableReader();

  size_t block_count() const;

  /// The entries of one block, in key order. REQUIRES: index < block_count()
  Result<std::span<const Entry>> ReadBlock(size_t index);

  /// All entries, in key order.
  Result<std::vector<Entry>> ReadAll();

  /// The value of `key`, if it is there.
  Result<std::optional<BytesView>> Find(BytesView key);

  /// Bytes allocated so far for what was compressed, to be held against a limit of the caller.
  size_t expanded_bytes() const;

 private:
  struct Impl;
  explicit SstableReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes a store.
class SstableWriter {
 public:
  /// With `compress`, a block is an LZ4 frame unless that would be larger.
  explicit SstableWriter(bool compress = true);

  /// REQUIRES: the key is larger than the one before, not empty, and at most kSstableKeyBytesMax.
  void Add(BytesView key, BytesView value);

  /// The store's bytes; zero bytes if nothing was added. Limit if they do not fit 32-bit offsets or
  /// a value was larger than kLargeValueBytesMax.
  /// The writer is spent afterwards.
  Result<Bytes> Finish();

 private:
  struct BlockMeta {
    size_t offset = 0;
    Bytes first_key;
    Bytes last_key;
    uint8_t flags = 0;
  };

  bool FitsBlock(size_t key_rest_bytes, size_t value_bytes) const;
  void FlushBlock();
  void AppendBlock(BytesView payload, bool large);

  const bool compress_;
  Bytes out_;
  std::vector<BlockMeta> blocks_;
  Bytes last_key_;
  bool value_too_large_ = false;
  // The normal block that is being filled; no offsets if there is none.
  Bytes first_key_;
  Bytes entries_;
  std::vector<uint16_t> offsets_;
};

}  // namespace merrow::loro
