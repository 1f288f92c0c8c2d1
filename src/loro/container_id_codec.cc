// SPDX-License-Identifier: Apache-2.0
#include "loro/container_id_codec.h"

namespace merrow::loro {
namespace {

constexpr uint8_t kRootFlag = 0x80;
constexpr uint64_t kRootVariant = 0;
constexpr uint64_t kNormalVariant = 1;

// The historical number of each kind, and the kind of each historical number. Counter and all kinds
// of later releases have the same number in both. DO NOT CHANGE: on the wire and on disk.
constexpr uint8_t kHistoricalOfKind[] = {1, 2, 0, 4, 3};
constexpr uint8_t kKindOfHistorical[] = {2, 0, 1, 4, 3};

uint8_t ToHistorical(ContainerKind kind) {
  const auto raw = static_cast<uint8_t>(kind);
  return raw < std::size(kHistoricalOfKind) ? kHistoricalOfKind[raw] : raw;
}

Result<ContainerKind> FromHistorical(uint8_t raw) {
  if (raw > kContainerKindMax) {
    return Corruption("container kind " + std::to_string(raw) + " is above 127");
  }
  return static_cast<ContainerKind>(raw < std::size(kKindOfHistorical) ? kKindOfHistorical[raw]
                                                                       : raw);
}

Error NegativeCounter(Counter counter) {
  return Corruption("container id has negative counter " + std::to_string(counter));
}

}  // namespace

void WriteContainerKey(ByteWriter& writer, const ContainerId& container) {
  const auto kind = static_cast<uint8_t>(container.kind());
  if (container.is_root()) {
    writer.U8(kind | kRootFlag);
    writer.LengthPrefixed(container.name());
    return;
  }
  writer.U8(kind);
  writer.U64Le(container.op().peer);
  writer.I32Le(container.op().counter);
}

Result<ContainerId> ParseContainerKey(BytesView key) {
  ByteReader reader(key);
  MERROW_ASSIGN(const uint8_t first, reader.U8());
  const auto kind = static_cast<ContainerKind>(first & ~kRootFlag);
  if ((first & kRootFlag) != 0) {
    MERROW_ASSIGN(const std::string_view name, reader.Utf8());
    MERROW_TRY(reader.ExpectEnd());
    return ContainerId::Root(name, kind);
  }
  MERROW_ASSIGN(const PeerId peer, reader.U64Le());
  MERROW_ASSIGN(const Counter counter, reader.I32Le());
  MERROW_TRY(reader.ExpectEnd());
  if (counter < 0) return NegativeCounter(counter);
  return ContainerId::Normal({peer, counter}, kind);
}

void WritePostcardContainerId(ByteWriter& writer, const ContainerId& container) {
  if (container.is_root()) {
    writer.Uleb(kRootVariant);
    writer.LengthPrefixed(container.name());
  } else {
    writer.Uleb(kNormalVariant);
    writer.Uleb(container.op().peer);
    writer.Zigzag(container.op().counter);
  }
  writer.U8(ToHistorical(container.kind()));
}

Result<ContainerId> ReadPostcardContainerId(ByteReader& reader) {
  MERROW_ASSIGN(const uint64_t variant, reader.Uleb64());
  if (variant > kNormalVariant) {
    return reader.Fail("container id variant " + std::to_string(variant) + " is unknown");
  }
  if (variant == kRootVariant) {
    MERROW_ASSIGN(const std::string_view name, reader.Utf8());
    MERROW_ASSIGN(const uint8_t raw, reader.U8());
    MERROW_ASSIGN(const ContainerKind kind, FromHistorical(raw));
    return ContainerId::Root(name, kind);
  }
  MERROW_ASSIGN(const PeerId peer, reader.Uleb64());
  MERROW_ASSIGN(const Counter counter, reader.Zigzag32());
  MERROW_ASSIGN(const uint8_t raw, reader.U8());
  MERROW_ASSIGN(const ContainerKind kind, FromHistorical(raw));
  if (counter < 0) return NegativeCounter(counter);
  return ContainerId::Normal({peer, counter}, kind);
}

}  // namespace merrow::loro
