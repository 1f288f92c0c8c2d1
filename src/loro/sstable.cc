// SPDX-License-Identifier: Apache-2.0
#include "loro/sstable.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "loro/envelope.h"
#include "loro/lz4_frame.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr BytesView kMagic = "LORO";
constexpr uint8_t kSchemaVersion = 0;
constexpr size_t kHeaderBytes = 5;
constexpr size_t kFooterBytes = 4;
constexpr size_t kChecksumBytes = 4;

constexpr uint8_t kLargeFlag = 0x80;
constexpr uint8_t kCompressionMask = 0x7F;
constexpr uint8_t kCompressionLz4 = 1;  // 0 is none

// A block's metadata is at least this long: offset, empty first key, flags.
constexpr size_t kBlockMetaBytesMin = 7;

// Offsets and the entry count of a normal block are 16-bit.
constexpr size_t kEntryDataBytesMax = 65535;
constexpr size_t kEntriesMax = 65535;
constexpr size_t kNormalPayloadBytesMax = kEntryDataBytesMax + 2 * kEntriesMax + 2;
constexpr size_t kEntryHeaderBytes = 3;  // u8 prefix length, u16le length of the rest
constexpr size_t kPrefixBytesMax = 255;

Error Bad(std::string_view what) { return Corruption("sstable: " + std::string(what)); }

size_t CommonPrefix(BytesView a, BytesView b, size_t max) {
  const size_t end = std::min({a.size(), b.size(), max});
  size_t length = 0;
  while (length < end && a[length] == b[length]) ++length;
  return length;
}

}  // namespace

// --- Reader ---

struct SstableReader::Impl {
  struct Block {
    BytesView stored;  // payload and checksum
    BytesView first_key;
    BytesView last_key;
    uint8_t flags = 0;

    // Once read:
    bool is_read = false;
    std::vector<Entry> entries;
    Bytes payload;  // if it was compressed
    Bytes keys;     // of all entries but the first, end to end
    bool is_large() const { return (flags & kLargeFlag) != 0; }
  };

  SstableLimits limits;
  std::vector<Block> blocks;
  size_t expanded_bytes = 0;

  Status Parse(BytesView bytes);
  Status ParseMeta(BytesView bytes, BytesView meta);
  Status Read(Block& block);
  Status ReadEntries(Block& block, BytesView payload);
  Status Expand(size_t bytes);
};

Status SstableReader::Impl::Parse(BytesView bytes) {
  if (bytes.empty()) return {};
  if (bytes.size() < kHeaderBytes + kFooterBytes) return Bad("shorter than its header and footer");
  if (!bytes.starts_with(kMagic)) return Bad("bad magic");
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]);
  if (version != kSchemaVersion) {
    return Unsupported("sstable: schema version " + std::to_string(version));
  }
  ByteReader footer(bytes.substr(bytes.size() - kFooterBytes));
  MERROW_ASSIGN(const uint32_t meta_offset, footer.U32Le());
  if (meta_offset < kHeaderBytes || meta_offset >= bytes.size() - kFooterBytes) {
    return Bad("metadata offset " + std::to_string(meta_offset) + " is out of range");
  }
  return ParseMeta(bytes.substr(0, meta_offset),
                   bytes.substr(meta_offset, bytes.size() - kFooterBytes - meta_offset));
}

// `bytes` is everything before the metadata.
Status SstableReader::Impl::ParseMeta(BytesView bytes, BytesView meta) {
  ByteReader reader(meta);
  MERROW_ASSIGN(const uint32_t count, reader.U32Le());
  if (count == 0) return Bad("no blocks");
  if (count > kSstableBlocksMax || count > reader.remaining() / kBlockMetaBytesMin) {
    return Bad("block count " + std::to_string(count) + " is out of range");
  }
  const size_t entries_start = reader.offset();
  std::vector<size_t> offsets;
  offsets.reserve(count + size_t{1});
  blocks.resize(count);
  for (Block& block : blocks) {
    MERROW_ASSIGN(const uint32_t offset, reader.U32Le());
    MERROW_ASSIGN(const uint16_t first_key_bytes, reader.U16Le());
    MERROW_ASSIGN(block.first_key, reader.Take(first_key_bytes));
    MERROW_ASSIGN(block.flags, reader.U8());
    if ((block.flags & kCompressionMask) > kCompressionLz4) {
      return Unsupported("sstable: compression " + std::to_string(block.flags & kCompressionMask));
    }
    block.last_key = block.first_key;
    if (!block.is_large()) {
      MERROW_ASSIGN(const uint16_t last_key_bytes, reader.U16Le());
      MERROW_ASSIGN(block.last_key, reader.Take(last_key_bytes));
    }
    offsets.push_back(offset);
  }
  const BytesView checked = meta.substr(entries_start, reader.offset() - entries_start);
  MERROW_ASSIGN(const uint32_t checksum, reader.U32Le());
  if (checksum != Checksum(checked)) return Bad("metadata checksum does not match");
  MERROW_TRY(reader.ExpectEnd());

  if (offsets.front() != kHeaderBytes) return Bad("the first block does not follow the header");
  offsets.push_back(bytes.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] - offsets[i] < kChecksumBytes) {
      return Bad("block " + std::to_string(i) + " is out of range");
    }
    blocks[i].stored = bytes.substr(offsets[i], offsets[i + 1] - offsets[i]);
    if (blocks[i].last_key < blocks[i].first_key ||
        (i > 0 && blocks[i].first_key <= blocks[i - 1].last_key)) {
      return Bad("keys of block " + std::to_string(i) + " are out of order");
    }
  }
  return {};
}

Status SstableReader::Impl::Expand(size_t bytes) {
  if (bytes > limits.total_bytes_max - expanded_bytes) {
    return LimitReached("sstable expands to more than " + std::to_string(limits.total_bytes_max) +
                        " bytes");
  }
  expanded_bytes += bytes;
  return {};
}

Status SstableReader::Impl::Read(Block& block) {
  BytesView payload = block.stored.substr(0, block.stored.size() - kChecksumBytes);
  ByteReader trailer(block.stored.substr(payload.size()));
  MERROW_ASSIGN(const uint32_t checksum, trailer.U32Le());
  if (checksum != Checksum(payload)) return Bad("block checksum does not match");

  const size_t payload_bytes_max =
      block.is_large() ? limits.value_bytes_max : kNormalPayloadBytesMax;
  if ((block.flags & kCompressionMask) == kCompressionLz4) {
    const size_t budget = limits.total_bytes_max - expanded_bytes;
    MERROW_ASSIGN(block.payload, DecodeLz4Frame(payload, std::min(payload_bytes_max, budget)));
    MERROW_TRY(Expand(block.payload.size()));
    payload = block.payload;
  }
  if (payload.size() > payload_bytes_max) {
    return LimitReached("sstable: block of " + std::to_string(payload.size()) + " bytes");
  }
  if (block.is_large()) {
    block.entries.push_back({block.first_key, payload});
  } else {
    MERROW_TRY(ReadEntries(block, payload));
  }
  block.is_read = true;
  return {};
}

Status SstableReader::Impl::ReadEntries(Block& block, BytesView payload) {
  if (payload.size() < 2) return Bad("block without an entry count");
  ByteReader count_reader(payload.substr(payload.size() - 2));
  MERROW_ASSIGN(const uint16_t count, count_reader.U16Le());
  if (count == 0 || payload.size() < 2 + size_t{2} * count) {
    return Bad("entry count " + std::to_string(count) + " is out of range");
  }
  const BytesView data = payload.substr(0, payload.size() - 2 - size_t{2} * count);
  if (data.size() > kEntryDataBytesMax) return Bad("entries longer than 16-bit offsets reach");

  // First find where everything is, so that the keys can be laid out without growing.
  struct Place {
    size_t prefix = 0;
    BytesView rest;
  };
  std::vector<Place> places(count);
  size_t keys_bytes = 0;
  block.entries.clear();
  block.entries.reserve(count);
  ByteReader offset_reader(payload.substr(data.size(), size_t{2} * count));
  MERROW_ASSIGN(size_t start, offset_reader.U16Le());
  if (start != 0) return Bad("the first entry does not start at 0");
  for (size_t i = 0; i < count; ++i) {
    size_t end = data.size();
    if (i + 1 < count) {
      MERROW_ASSIGN(end, offset_reader.U16Le());
    }
    if (end < start || end > data.size()) return Bad("entry offsets are out of order");
    ByteReader entry(data.substr(start, end - start));
    if (i > 0) {
      MERROW_ASSIGN(places[i].prefix, entry.U8());
      MERROW_ASSIGN(const uint16_t rest_bytes, entry.U16Le());
      MERROW_ASSIGN(places[i].rest, entry.Take(rest_bytes));
      if (places[i].prefix > block.first_key.size()) return Bad("prefix longer than the first key");
      keys_bytes += places[i].prefix + places[i].rest.size();
    }
    block.entries.push_back({block.first_key, entry.rest()});
    start = end;
  }

  MERROW_TRY(Expand(keys_bytes));
  block.keys.clear();
  block.keys.reserve(keys_bytes);
  for (size_t i = 1; i < count; ++i) {
    const size_t at = block.keys.size();
    block.keys.append(block.first_key.substr(0, places[i].prefix));
    block.keys.append(places[i].rest);
    block.entries[i].key = BytesView(block.keys).substr(at);
    if (block.entries[i].key <= block.entries[i - 1].key) return Bad("keys are out of order");
  }
  if (block.entries.back().key != block.last_key) return Bad("last key differs from the metadata");
  return {};
}

SstableReader::SstableReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SstableReader::SstableReader(SstableReader&&) noexcept = default;
SstableReader& SstableReader::operator=(SstableReader&&) noexcept = default;
SstableReader::~SstableReader() = default;

Result<SstableReader> SstableReader::Open(BytesView bytes, SstableLimits limits) {
  auto impl = std::make_unique<Impl>();
  impl->limits = limits;
  MERROW_TRY(impl->Parse(bytes));
  return SstableReader(std::move(impl));
}

size_t SstableReader::block_count() const { return impl_->blocks.size(); }
size_t SstableReader::expanded_bytes() const { return impl_->expanded_bytes; }

Result<std::span<const SstableReader::Entry>> SstableReader::ReadBlock(size_t index) {
  MERROW_CHECK(index < impl_->blocks.size());
  Impl::Block& block = impl_->blocks[index];
  if (!block.is_read) {
    if (Status status = impl_->Read(block); !status.ok()) {
      return status.error().Within("block " + std::to_string(index));
    }
  }
  return std::span<const Entry>(block.entries);
}

Result<std::vector<SstableReader::Entry>> SstableReader::ReadAll() {
  std::vector<Entry> entries;
  for (size_t i = 0; i < block_count(); ++i) {
    MERROW_ASSIGN(const auto block, ReadBlock(i));
    entries.insert(entries.end(), block.begin(), block.end());
  }
  return entries;
}

Result<std::optional<BytesView>> SstableReader::Find(BytesView key) {
  const auto& blocks = impl_->blocks;
  const auto after = std::upper_bound(
      blocks.begin(), blocks.end(), key,
      [](BytesView wanted, const Impl::Block& block) { return wanted < block.first_key; });
  if (after == blocks.begin() || std::prev(after)->last_key < key)
    return std::optional<BytesView>();
  MERROW_ASSIGN(const auto entries, ReadBlock(static_cast<size_t>(after - blocks.begin()) - 1));
  const auto entry =
      std::lower_bound(entries.begin(), entries.end(), key,
                       [](const Entry& item, BytesView wanted) { return item.key < wanted; });
  if (entry == entries.end() || entry->key != key) return std::optional<BytesView>();
  return std::optional<BytesView>(entry->value);
}

// --- Writer ---

void SstableCache::Trim() {
  std::erase_if(blocks_, [](const auto& entry) { return !entry.second.is_used; });
  for (auto& [token, block] : blocks_) block.is_used = false;
}

size_t SstableCache::MemoryBytes() const {
  size_t bytes = sizeof(*this) + blocks_.bucket_count() * sizeof(void*);
  for (const auto& [token, block] : blocks_) {
    bytes += sizeof(token) + sizeof(block) + 2 * sizeof(void*) + block.stored.capacity() +
             block.tokens.capacity() * sizeof(uint64_t);
  }
  return bytes;
}

SstableWriter::SstableWriter(bool compress, SstableCache* cache, EncodeValue encode_value)
    : compress_(compress), cache_(cache), encode_value_(std::move(encode_value)) {
  out_ = kMagic;
  out_.push_back(static_cast<char>(kSchemaVersion));
}

// Loro's rule for when a block is full.
bool SstableWriter::FitsBlock(size_t key_rest_bytes, size_t value_bytes) const {
  const size_t grown = entry_bytes_ + kEntryHeaderBytes + key_rest_bytes + value_bytes;
  const size_t overhead = 2 + 2 * entries_.size() + kChecksumBytes;
  return grown <= kEntryDataBytesMax && grown + overhead <= kSstableBlockBytes &&
         entries_.size() < kEntriesMax;
}

void SstableWriter::Add(const Entry& entry) {
  MERROW_CHECK(entry.key > last_key_ && entry.key.size() <= kSstableKeyBytesMax);
  if (entry.value_bytes > kLargeValueBytesMax) value_too_large_ = true;
  last_key_ = entry.key;
  if (!entries_.empty()) {
    const size_t rest_bytes =
        entry.key.size() - CommonPrefix(entry.key, entries_[0].key, kPrefixBytesMax);
    if (FitsBlock(rest_bytes, entry.value_bytes)) {
      entries_.push_back(entry);
      entry_bytes_ += kEntryHeaderBytes + rest_bytes + entry.value_bytes;
      return;
    }
    FlushBlock(/*large=*/false);
  }
  entries_.push_back(entry);
  entry_bytes_ = entry.value_bytes;
  if (entry.value_bytes > kSstableBlockBytes) FlushBlock(/*large=*/true);
}

BytesView SstableWriter::ValueOf(const Entry& entry) const {
  if (!entry.value.empty() || entry.value_bytes == 0) return entry.value;
  const BytesView value = encode_value_(entry.index);
  MERROW_CHECK(value.size() == entry.value_bytes);
  return value;
}

Bytes SstableWriter::PayloadOf(bool large) const {
  if (large) return Bytes(ValueOf(entries_[0]));
  Bytes payload;
  payload.reserve(entry_bytes_ + 2 * entries_.size() + 2);
  const auto append_u16 = [&payload](size_t number) {
    payload.push_back(static_cast<char>(number & 0xFF));
    payload.push_back(static_cast<char>(number >> 8));
  };
  std::vector<size_t> offsets;
  offsets.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    offsets.push_back(payload.size());
    if (offsets.size() > 1) {
      const size_t prefix = CommonPrefix(entry.key, entries_[0].key, kPrefixBytesMax);
      payload.push_back(static_cast<char>(prefix));
      append_u16(entry.key.size() - prefix);
      payload.append(entry.key.substr(prefix));
    }
    payload.append(ValueOf(entry));
  }
  for (const size_t offset : offsets) append_u16(offset);
  append_u16(offsets.size());
  return payload;
}

// The block that is being filled as it was written before; null if it has changed.
SstableCache::Block* SstableWriter::Cached() {
  if (cache_ == nullptr) return nullptr;
  tokens_.clear();
  for (const Entry& entry : entries_) {
    if (entry.token == 0) return nullptr;
    tokens_.push_back(entry.token);
  }
  SstableCache::Block* const block = &cache_->blocks_[tokens_[0]];
  block->is_used = true;
  if (block->tokens == tokens_) return block;
  block->tokens = tokens_;
  block->stored.clear();
  return block;
}

void SstableWriter::FlushBlock(bool large) {
  SstableCache::Block* const cached = Cached();
  const size_t offset = out_.size();
  uint8_t flags = cached == nullptr ? 0 : cached->flags;
  if (cached != nullptr && !cached->stored.empty()) {
    out_.append(cached->stored);
  } else {
    flags = large ? kLargeFlag : uint8_t{0};
    Bytes payload = PayloadOf(large);
    if (compress_) {
      Bytes frame = EncodeLz4Frame(payload);
      if (frame.size() <= payload.size()) {
        payload = std::move(frame);
        flags |= kCompressionLz4;
      }
    }
    out_.append(payload);
    ByteWriter checksum;
    checksum.U32Le(Checksum(payload));
    out_.append(checksum.bytes());
    if (cached != nullptr) {
      cached->stored = out_.substr(offset);
      cached->flags = flags;
    }
  }
  blocks_.push_back({offset, entries_.front().key, entries_.back().key, flags});
  entries_.clear();
}

Result<Bytes> SstableWriter::Finish() {
  if (!entries_.empty()) FlushBlock(/*large=*/false);
  if (blocks_.empty()) return Bytes();
  if (value_too_large_) {
    return LimitReached("sstable: a value is larger than " + std::to_string(kLargeValueBytesMax) +
                        " bytes");
  }
  ByteWriter meta;
  for (const BlockMeta& block : blocks_) {
    meta.U32Le(static_cast<uint32_t>(block.offset));
    meta.U16Le(static_cast<uint16_t>(block.first_key.size()));
    meta.Append(block.first_key);
    meta.U8(block.flags);
    if ((block.flags & kLargeFlag) == 0) {
      meta.U16Le(static_cast<uint16_t>(block.last_key.size()));
      meta.Append(block.last_key);
    }
  }
  const size_t meta_offset = out_.size();
  if (meta_offset + meta.size() + 12 > std::numeric_limits<uint32_t>::max() ||
      blocks_.size() > kSstableBlocksMax) {
    return LimitReached("sstable: more than 32-bit offsets reach");
  }
  ByteWriter tail;
  tail.U32Le(static_cast<uint32_t>(blocks_.size()));
  tail.Append(meta.bytes());
  tail.U32Le(Checksum(meta.bytes()));
  tail.U32Le(static_cast<uint32_t>(meta_offset));
  out_.append(tail.bytes());
  return std::move(out_);
}

}  // namespace merrow::loro
