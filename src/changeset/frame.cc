// SPDX-License-Identifier: Apache-2.0
#include "changeset/frame.h"

#include <xxhash.h>
#include <zstd.h>

#include "base/bytes.h"
#include "changeset/changeset_format.h"

namespace merrow::changeset {
namespace {

constexpr size_t kChecksumBytes = 4;

uint32_t Checksum(BytesView bytes) { return XXH32(bytes.data(), bytes.size(), 0); }

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error ZstdFailed(size_t code) {
  return Corruption(std::string("zstd: ") + ZSTD_getErrorName(code));
}

}  // namespace

// Compression of whole payloads, with or without a dictionary.
class ZstdCodec {
 public:
  static Result<Bytes> Compress(BytesView raw, const FrameOptions& options) {
    const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
    if (context == nullptr) return LimitReached("no memory to compress");
    // The frame states size, dictionary and checksum itself.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_dictIDFlag, 0);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, options.zstd_level);
    if (options.dictionary != nullptr) {
      ZSTD_CCtx_refCDict(context.get(),
                         static_cast<const ZSTD_CDict*>(options.dictionary->compress_));
    }
    Bytes packed(ZSTD_compressBound(raw.size()), '\0');
    const size_t size =
        ZSTD_compress2(context.get(), packed.data(), packed.size(), raw.data(), raw.size());
    if (ZSTD_isError(size) != 0) return ZstdFailed(size);
    packed.resize(size);
    return packed;
  }

  static Result<Bytes> Decompress(BytesView packed, size_t raw_size, const Dictionary* dictionary) {
    const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
    if (context == nullptr) return LimitReached("no memory to decompress");
    if (dictionary != nullptr) {
      ZSTD_DCtx_refDDict(context.get(), static_cast<const ZSTD_DDict*>(dictionary->decompress_));
    }
    Bytes raw(raw_size, '\0');
    const size_t size =
        ZSTD_decompressDCtx(context.get(), raw.data(), raw.size(), packed.data(), packed.size());
    if (ZSTD_isError(size) != 0) return ZstdFailed(size);
    if (size != raw_size) {
      return Corruption("a frame states " + std::to_string(raw_size) + " bytes and has " +
                        std::to_string(size));
    }
    return raw;
  }
};

Result<std::shared_ptr<const Dictionary>> Dictionary::FromBytes(BytesView bytes, int level) {
  std::shared_ptr<Dictionary> dictionary(new Dictionary());
  dictionary->id_ = ZSTD_getDictID_fromDict(bytes.data(), bytes.size());
  if (dictionary->id_ == 0) return InvalidArgument("these bytes are not a zstd dictionary");
  dictionary->compress_ = ZSTD_createCDict(bytes.data(), bytes.size(), level);
  dictionary->decompress_ = ZSTD_createDDict(bytes.data(), bytes.size());
  if (dictionary->compress_ == nullptr || dictionary->decompress_ == nullptr) {
    return InvalidArgument("the zstd dictionary " + std::to_string(dictionary->id_) +
                           " cannot be loaded");
  }
  return std::shared_ptr<const Dictionary>(std::move(dictionary));
}

Dictionary::~Dictionary() {
  ZSTD_freeCDict(static_cast<ZSTD_CDict*>(compress_));
  ZSTD_freeDDict(static_cast<ZSTD_DDict*>(decompress_));
}

Result<Bytes> EncodeFrame(BytesView payload, bool is_first, const FrameOptions& options) {
  if (payload.size() > kFramePayloadMax) {
    return LimitReached("a frame of " + std::to_string(payload.size()) + " bytes");
  }
  Bytes packed;
  if (options.zstd_level > 0) {
    MERROW_ASSIGN(packed, ZstdCodec::Compress(payload, options));
  }
  ByteWriter writer;
  uint8_t flags = kFrameVersion << kFrameVersionShift;
  if (is_first) flags |= kFrameFirst;
  // What compression adds besides: the raw size, and the dictionary's id.
  constexpr size_t kZstdOverhead = 8;
  if (options.zstd_level > 0 && packed.size() + kZstdOverhead < payload.size()) {
    flags |= kFrameZstd;
    if (options.dictionary != nullptr) flags |= kFrameDictionary;
    writer.U8(flags);
    if (options.dictionary != nullptr) writer.U32Le(options.dictionary->id());
    writer.Uleb(payload.size());
    writer.Append(packed);
  } else {
    writer.U8(flags);
    writer.Append(payload);
  }
  writer.U32Le(Checksum(writer.bytes()));
  return writer.Release();
}

Result<Frame> DecodeFrame(BytesView bytes, const FrameOptions& options) {
  if (bytes.size() < 1 + kChecksumBytes) return Corruption("a frame of less than 5 bytes");
  const BytesView content = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(content.size()));
  MERROW_ASSIGN(const uint32_t stated, tail.U32Le());
  if (stated != Checksum(content)) return Corruption("a frame's checksum is wrong");

  ByteReader reader(content);
  MERROW_ASSIGN(const uint8_t flags, reader.U8());
  const unsigned version = static_cast<unsigned>(flags) >> kFrameVersionShift;
  if (version != kFrameVersion) {
    return Unsupported("a frame of format version " + std::to_string(version) + "; this is " +
                       std::to_string(kFrameVersion));
  }
  const bool has_dictionary = (flags & kFrameDictionary) != 0;
  if ((flags & 0x0F & ~kFrameFlagsMask) != 0) {
    return Unsupported("a frame's flags " + std::to_string(flags) + " are of a later release");
  }
  if (has_dictionary && (flags & kFrameZstd) == 0) {
    return Corruption("a frame's flags " + std::to_string(flags) + " make no sense");
  }
  Frame frame;
  frame.is_first = (flags & kFrameFirst) != 0;
  frame.framing_bytes = 1 + kChecksumBytes;
  if ((flags & kFrameZstd) == 0) {
    frame.payload = reader.rest();
    if (frame.payload.size() > kFramePayloadMax) return LimitReached("a frame is too large");
    return frame;
  }
  if (has_dictionary) {
    MERROW_ASSIGN(const uint32_t id, reader.U32Le());
    if (options.dictionary == nullptr || options.dictionary->id() != id) {
      return Unsupported("a frame needs the zstd dictionary " + std::to_string(id));
    }
  }
  MERROW_ASSIGN(const uint64_t raw_size, reader.Uleb64());
  if (raw_size > kFramePayloadMax) {
    return LimitReached("a frame states " + std::to_string(raw_size) + " bytes");
  }
  if (raw_size > reader.remaining() * kZstdRatioMax) {
    return Corruption("a frame states " + std::to_string(raw_size) + " bytes and has " +
                      std::to_string(reader.remaining()) + " compressed ones");
  }
  MERROW_ASSIGN(frame.storage,
                ZstdCodec::Decompress(reader.rest(), static_cast<size_t>(raw_size),
                                      has_dictionary ? options.dictionary.get() : nullptr));
  frame.payload = frame.storage;
  return frame;
}

}  // namespace merrow::changeset
