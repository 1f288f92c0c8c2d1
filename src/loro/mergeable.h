// SPDX-License-Identifier: Apache-2.0
//
// Mergeable children: child containers of a map that are named after where they are, not after the
// op that made them, so that two sides that create one at the same key concurrently get the same.
//
// The child is a root container with a name that no program may choose:
//
//   name    = U+1F91D ":" base (">" segment)+
//   base    = "$" segment          the map is, or is inside, a root map of that name
//           | "@" peer ":" counter the map was made by that op; both in base 36, lower case
//   segment = a key, with \ > / NUL written as \\ \> \s \0
//
// Children of mergeable maps append to the name of the map. The child's kind is the root's.
//
// What makes a child visible is the map's slot. It holds a marker of 8 bytes, an ordinary binary
// value to those who do not know of mergeable children:
//
//   00 4C 4D 01 | u8 kind | low 24 bits, big-endian, of the CRC-32 of
//       "loro.mergeable.marker.v1", uleb length, map's id as a snapshot key, uleb length, key, kind
//
// The last writer of the slot decides, as for every value. A marker of another kind, a plain value
// or a delete hides the child; it keeps what it holds, and the marker brings it back.
//
// DO NOT CHANGE: names and markers are on the wire and on disk.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "merrow/bytes.h"
#include "merrow/ids.h"
#include "merrow/value.h"

namespace merrow::loro {

inline constexpr std::string_view kMergeableNamePrefix = "\xF0\x9F\xA4\x9D:";
inline constexpr size_t kMergeableMarkerBytes = 8;

/// The child of `map` at `key`. Nothing if it has no name: `map` is no Map, or a root whose name is
/// empty or has / or NUL in it or starts like a mergeable one's without being one.
std::optional<ContainerId> MergeableChild(const ContainerId& map, std::string_view key,
                                          ContainerKind kind);

/// Where a mergeable child belongs; nothing if `id` is not the id of one.
struct MergeablePlace {
  ContainerId map;
  std::string key;
};
std::optional<MergeablePlace> PlaceOfMergeable(const ContainerId& id);
/// Whether PlaceOfMergeable would tell. Cheap for other containers.
bool IsMergeable(const ContainerId& id);

/// What the slot of a visible child holds.
Bytes MergeableMarker(const ContainerId& map, std::string_view key, ContainerKind kind);
/// The child that a slot with this value shows; nothing if the value is no marker of this slot.
std::optional<ContainerId> MergeableShownBy(const ContainerId& map, std::string_view key,
                                            const Value& value);

}  // namespace merrow::loro
