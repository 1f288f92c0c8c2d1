// SPDX-License-Identifier: Apache-2.0
//
// State of a map (state_codec.h):
//
//   uleb count | (string key, value) ...     the slots that hold something, in any order
//   uleb count | string key ...              the slots whose last write was a deletion
//   peers
//   (uleb peer index, uleb lamport) ...      the last write of each slot of both, sorted by key

#include <algorithm>
#include <iterator>
#include <string>

#include "loro/state_codec.h"
#include "loro/state_columns.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {

Result<MapImage> DecodeMapState(BytesView state) {
  ByteReader reader(state);
  MapImage image;
  MERROW_ASSIGN(const uint64_t value_count, reader.Uleb64());
  if (value_count > reader.remaining() / 2) return reader.Fail("map: value count is past the end");
  image.entries.reserve(value_count);
  for (uint64_t i = 0; i < value_count; ++i) {
    MapImage::Entry entry;
    MERROW_ASSIGN(entry.key, reader.Utf8());
    MERROW_ASSIGN(entry.value, ReadStateValue(reader));
    image.entries.push_back(std::move(entry));
  }
  MERROW_ASSIGN(const uint64_t deleted_count, reader.Uleb64());
  if (deleted_count > reader.remaining()) return reader.Fail("map: key count is past the end");
  for (uint64_t i = 0; i < deleted_count; ++i) {
    MapImage::Entry entry;
    MERROW_ASSIGN(entry.key, reader.Utf8());
    image.entries.push_back(std::move(entry));
  }

  const auto by_key = [](const MapImage::Entry& a, const MapImage::Entry& b) {
    return a.key < b.key;
  };
  std::sort(image.entries.begin(), image.entries.end(), by_key);
  const auto twice = std::adjacent_find(
      image.entries.begin(), image.entries.end(),
      [](const MapImage::Entry& a, const MapImage::Entry& b) { return a.key == b.key; });
  if (twice != image.entries.end()) return reader.Fail("map: key \"" + twice->key + "\" twice");

  MERROW_ASSIGN(const PeerTable peers, PeerTable::Read(reader));
  for (MapImage::Entry& entry : image.entries) {
    MERROW_ASSIGN(const uint64_t peer_index, reader.Uleb64());
    if (!peers.Get(peer_index, &entry.peer)) return reader.Fail("map: peer index is out of range");
    MERROW_ASSIGN(entry.lamport, reader.Uleb32());
  }
  MERROW_TRY(reader.ExpectEnd());
  return image;
}

Bytes EncodeMapState(const MapImage& image) {
  std::vector<MapEntryView> entries;
  entries.reserve(image.entries.size());
  for (const MapImage::Entry& entry : image.entries) {
    const Value* value = entry.value.has_value() ? &*entry.value : nullptr;
    entries.push_back({entry.key, value, entry.peer, entry.lamport});
  }
  return EncodeMapEntries(entries);
}

Bytes EncodeMapEntries(std::span<const MapEntryView> entries) {
  const auto value_count = static_cast<size_t>(std::count_if(
      entries.begin(), entries.end(), [](const MapEntryView& entry) { return entry.value; }));
  ByteWriter writer;
  writer.Uleb(value_count);
  for (const MapEntryView& entry : entries) {
    if (entry.value == nullptr) continue;
    writer.LengthPrefixed(entry.key);
    WriteStateValue(writer, *entry.value);
  }
  writer.Uleb(entries.size() - value_count);
  for (const MapEntryView& entry : entries) {
    if (entry.value == nullptr) writer.LengthPrefixed(entry.key);
  }
  PeerRegister peers;
  ByteWriter rows;
  const MapEntryView* previous = nullptr;
  for (const MapEntryView& entry : entries) {
    MERROW_CHECK(previous == nullptr || previous->key < entry.key);
    previous = &entry;
    rows.Uleb(peers.Index(entry.peer));
    rows.Uleb(entry.lamport);
  }
  peers.Write(writer);
  writer.Append(rows.bytes());
  return writer.Release();
}

}  // namespace merrow::loro
