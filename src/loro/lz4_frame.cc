// SPDX-License-Identifier: Apache-2.0
#include "loro/lz4_frame.h"

#include <lz4frame.h>

#include <algorithm>
#include <memory>

#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint32_t kFrameMagic = 0x184D2204;
// The first guess at what a frame expands to; more is allocated when it turns out to be more.
constexpr size_t kFirstCapacity = 8 * 1024;
constexpr size_t kFirstFactor = 3;
constexpr size_t kSmallBlockBytes = 64 * 1024;
constexpr size_t kMiddleBlockBytes = 256 * 1024;

struct ContextDeleter {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Error BadFrame(std::string_view what) { return Corruption("lz4 frame: " + std::string(what)); }

LZ4F_blockSizeID_t BlockSizeFor(size_t content_bytes) {
  if (content_bytes <= kSmallBlockBytes) return LZ4F_max64KB;
  if (content_bytes <= kMiddleBlockBytes) return LZ4F_max256KB;
  return LZ4F_max4MB;
}

}  // namespace

Result<Bytes> DecodeLz4Frame(BytesView frame, size_t content_bytes_max) {
  // The library would also take skippable frames, which hold nothing.
  ByteReader header(frame);
  MERROW_ASSIGN(const uint32_t magic, header.U32Le());
  if (magic != kFrameMagic) return BadFrame("bad magic");

  LZ4F_dctx* raw_context = nullptr;
  MERROW_CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&raw_context, LZ4F_VERSION)));
  const std::unique_ptr<LZ4F_dctx, ContextDeleter> context(raw_context);

  Bytes content;
  size_t produced = 0;
  size_t consumed = 0;
  while (true) {
    // One byte above the limit tells a frame that ends there from one that goes on.
    if (produced == content.size()) {
      if (produced > content_bytes_max) {
        return LimitReached("lz4 frame expands to more than " + std::to_string(content_bytes_max) +
                            " bytes");
      }
      const size_t wanted =
          std::max({kFirstCapacity, kFirstFactor * frame.size(), content.size() * 2});
      content.resize(std::min(wanted, content_bytes_max + 1));
    }
    size_t room = content.size() - produced;
    size_t taken = frame.size() - consumed;
    const size_t hint = LZ4F_decompress(raw_context, content.data() + produced, &room,
                                        frame.data() + consumed, &taken, nullptr);
    if (LZ4F_isError(hint)) return BadFrame(LZ4F_getErrorName(hint));
    produced += room;
    consumed += taken;
    if (hint == 0) break;
    if (room == 0 && taken == 0) return BadFrame("truncated");
  }
  if (produced > content_bytes_max) {
    return LimitReached("lz4 frame expands to more than " + std::to_string(content_bytes_max) +
                        " bytes");
  }
  if (consumed != frame.size()) return BadFrame("bytes after the end mark");
  content.resize(produced);
  return content;
}

Bytes EncodeLz4Frame(BytesView content) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockSizeID = BlockSizeFor(content.size());
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  Bytes frame(LZ4F_compressFrameBound(content.size(), &preferences), '\0');
  const size_t written =
      LZ4F_compressFrame(frame.data(), frame.size(), content.data(), content.size(), &preferences);
  MERROW_CHECK(!LZ4F_isError(written));
  frame.resize(written);
  return frame;
}

}  // namespace merrow::loro
