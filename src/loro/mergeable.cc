// SPDX-License-Identifier: Apache-2.0
#include "loro/mergeable.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"
#include "loro/container_id_codec.h"

namespace merrow::loro {
namespace {

constexpr std::string_view kMarkerMagic("\x00\x4C\x4D\x01", 4);
constexpr std::string_view kMarkerDomain = "loro.mergeable.marker.v1";

// --- Names ---

void AppendEscaped(std::string_view segment, std::string* out) {
  for (const char c : segment) {
    switch (c) {
      case '\\':
        *out += "\\\\";
        break;
      case '>':
        *out += "\\>";
        break;
      case '/':
        *out += "\\s";
        break;
      case '\0':
        *out += "\\0";
        break;
      default:
        out->push_back(c);
    }
  }
}

// Nothing if `segment` has an escape that is not one, or a character that should have been escaped.
std::optional<std::string> Unescape(std::string_view segment) {
  std::string plain;
  for (size_t i = 0; i < segment.size(); ++i) {
    char c = segment[i];
    if (c == '/' || c == '\0' || c == '>') return std::nullopt;
    if (c == '\\') {
      if (++i == segment.size()) return std::nullopt;
      switch (segment[i]) {
        case '\\':
        case '>':
          c = segment[i];
          break;
        case 's':
          c = '/';
          break;
        case '0':
          c = '\0';
          break;
        default:
          return std::nullopt;
      }
    }
    plain.push_back(c);
  }
  return plain;
}

// The end of the first segment of `text`: a ">" that is not escaped, or the end.
size_t SegmentEnd(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '>') return i;
    if (text[i] == '\\') ++i;
  }
  return text.size();
}

bool IsRootName(std::string_view name) {
  return !name.empty() && !name.starts_with(kMergeableNamePrefix) &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

template <typename T>
void AppendBase36(T number, std::string* out) {
  std::array<char, 16> digits;
  out->append(digits.data(),
              std::to_chars(digits.data(), digits.data() + digits.size(), number, 36).ptr);
}

// Only what AppendBase36 writes.
template <typename T>
std::optional<T> ParseBase36(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 36);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  std::string canonical;
  AppendBase36(number, &canonical);
  if (canonical != text) return std::nullopt;
  return number;
}

std::optional<ContainerId> ParseBase(std::string_view segment) {
  if (segment.empty()) return std::nullopt;
  const std::string_view rest = segment.substr(1);
  if (segment[0] == '$') {
    const std::optional<std::string> name = Unescape(rest);
    if (!name.has_value() || !IsRootName(*name)) return std::nullopt;
    return ContainerId::Root(*name, ContainerKind::kMap);
  }
  const size_t colon = rest.find(':');
  if (segment[0] != '@' || colon == std::string_view::npos) return std::nullopt;
  const auto peer = ParseBase36<PeerId>(rest.substr(0, colon));
  const auto counter = ParseBase36<Counter>(rest.substr(colon + 1));
  if (!peer.has_value() || !counter.has_value() || *counter < 0) return std::nullopt;
  return ContainerId::Normal(Id{*peer, *counter}, ContainerKind::kMap);
}

// The parts of a mergeable child's name: what names its map, and its key as it is in the name.
struct NameParts {
  ContainerId base;
  std::string_view map;  // up to the ">" before the key
  std::string key;
  bool is_nested;  // the map is mergeable, too
};

std::optional<NameParts> ParseName(std::string_view name) {
  if (!name.starts_with(kMergeableNamePrefix)) return std::nullopt;
  const std::string_view payload = name.substr(kMergeableNamePrefix.size());
  size_t end = SegmentEnd(payload);
  if (end == payload.size()) return std::nullopt;
  std::optional<ContainerId> base = ParseBase(payload.substr(0, end));
  if (!base.has_value()) return std::nullopt;
  NameParts parts{std::move(*base), {}, {}, false};
  for (int level = 0; end < payload.size(); ++level) {
    const std::string_view rest = payload.substr(end + 1);
    const size_t length = SegmentEnd(rest);
    std::optional<std::string> key = Unescape(rest.substr(0, length));
    if (!key.has_value()) return std::nullopt;
    parts.map = name.substr(0, kMergeableNamePrefix.size() + end);
    parts.key = std::move(*key);
    parts.is_nested = level > 0;
    end += 1 + length;
  }
  return parts;
}

// --- Markers ---

uint32_t Crc32(BytesView bytes) {
  constexpr uint32_t kPolynomial = 0xEDB88320;  // IEEE 802.3, bits reversed
  uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
  }
  return ~crc;
}

}  // namespace

std::optional<ContainerId> MergeableChild(const ContainerId& map, std::string_view key,
                                          ContainerKind kind) {
  if (map.kind() != ContainerKind::kMap) return std::nullopt;
  std::string name(kMergeableNamePrefix);
  if (!map.is_root()) {
    name.push_back('@');
    AppendBase36(map.op().peer, &name);
    name.push_back(':');
    AppendBase36(map.op().counter, &name);
  } else if (IsMergeable(map)) {
    name = map.name();
  } else if (IsRootName(map.name())) {
    name.push_back('$');
    AppendEscaped(map.name(), &name);
  } else {
    return std::nullopt;
  }
  name.push_back('>');
  AppendEscaped(key, &name);
  return ContainerId::Root(name, kind);
}

std::optional<MergeablePlace> PlaceOfMergeable(const ContainerId& id) {
  if (!id.is_root()) return std::nullopt;
  std::optional<NameParts> parts = ParseName(id.name());
  if (!parts.has_value()) return std::nullopt;
  return MergeablePlace{parts->is_nested ? ContainerId::Root(parts->map, ContainerKind::kMap)
                                         : std::move(parts->base),
                        std::move(parts->key)};
}

bool IsMergeable(const ContainerId& id) { return id.is_root() && ParseName(id.name()).has_value(); }

Bytes MergeableMarker(const ContainerId& map, std::string_view key, ContainerKind kind) {
  ByteWriter map_key;
  WriteContainerKey(map_key, map);
  ByteWriter bound;
  bound.Append(kMarkerDomain);
  bound.LengthPrefixed(map_key.bytes());
  bound.LengthPrefixed(key);
  bound.U8(static_cast<uint8_t>(kind));
  const uint32_t crc = Crc32(bound.bytes());
  ByteWriter marker;
  marker.Append(kMarkerMagic);
  marker.U8(static_cast<uint8_t>(kind));
  marker.U8(static_cast<uint8_t>(crc >> 16));
  marker.U16Be(static_cast<uint16_t>(crc));
  return marker.Release();
}

std::optional<ContainerId> MergeableShownBy(const ContainerId& map, std::string_view key,
                                            const Value& value) {
  const auto* binary = value.If<Value::Binary>();
  if (binary == nullptr || binary->bytes.size() != kMergeableMarkerBytes ||
      !binary->bytes.starts_with(kMarkerMagic)) {
    return std::nullopt;
  }
  const auto kind = static_cast<ContainerKind>(binary->bytes[kMarkerMagic.size()]);
  if (!IsKnown(kind) || binary->bytes != MergeableMarker(map, key, kind)) return std::nullopt;
  return MergeableChild(map, key, kind);
}

}  // namespace merrow::loro
