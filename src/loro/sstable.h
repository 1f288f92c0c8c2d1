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
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
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

/// Blocks as a writer left them, for the next store that has some of the same entries. A block is
/// taken again if all its entries have the tokens that they had then.
class SstableCache {
 public:
  /// Forgets what was not used since the last call.
  void Trim();
  size_t MemoryBytes() const;

 private:
  friend class SstableWriter;
  struct Block {
    std::vector<uint64_t> tokens;
    Bytes stored;  // payload and checksum
    uint8_t flags = 0;
    bool is_used = true;
  };
  std::unordered_map<uint64_t, Block> blocks_;  // by the first token
};

/// Writes a store.
class SstableWriter {
 public:
  struct Entry {
    BytesView key;
    BytesView value;         // may be left out if it has a token
    size_t value_bytes = 0;  // its size all the same
    uint64_t token = 0;      // names key and value for the cache; 0: they have no name
    size_t index = 0;        // what to ask EncodeValue for
  };
  /// Gives a value that was left out, when its block has to be written after all.
  using EncodeValue = std::function<BytesView(size_t index)>;

  /// With `compress`, a block is an LZ4 frame unless that would be larger. `cache` may be null.
  explicit SstableWriter(bool compress = true, SstableCache* cache = nullptr,
                         EncodeValue encode_value = nullptr);

  /// What `entry` refers to must stay until Finish. REQUIRES: the key is larger than the one
  /// before, not empty, and at most kSstableKeyBytesMax.
  void Add(const Entry& entry);
  void Add(BytesView key, BytesView value) { Add(Entry{key, value, value.size(), 0, 0}); }

  /// The store's bytes; zero bytes if nothing was added. Limit if they do not fit 32-bit offsets or
  /// a value was larger than kLargeValueBytesMax.
  /// The writer is spent afterwards.
  Result<Bytes> Finish();

 private:
  struct BlockMeta {
    size_t offset = 0;
    BytesView first_key;
    BytesView last_key;
    uint8_t flags = 0;
  };

  bool FitsBlock(size_t key_rest_bytes, size_t value_bytes) const;
  BytesView ValueOf(const Entry& entry) const;
  Bytes PayloadOf(bool large) const;
  SstableCache::Block* Cached();
  void FlushBlock(bool large);

  const bool compress_;
  SstableCache* const cache_;
  const EncodeValue encode_value_;
  Bytes out_;
  std::vector<BlockMeta> blocks_;
  BytesView last_key_;
  bool value_too_large_ = false;
  // The block that is being filled.
  std::vector<Entry> entries_;
  std::vector<uint64_t> tokens_;
  size_t entry_bytes_ = 0;  // of a normal block
};

}  // namespace merrow::loro
