// SPDX-License-Identifier: Apache-2.0
#include "merrow/version_vector.h"

#include <algorithm>

#include "base/bytes.h"

namespace merrow::loro {
namespace {

auto Find(auto& entries, PeerId peer) {
  return std::lower_bound(entries.begin(), entries.end(), peer,
                          [](const auto& entry, PeerId key) { return entry.peer < key; });
}

}  // namespace

Counter VersionVector::End(PeerId peer) const {
  const auto it = Find(entries_, peer);
  return it != entries_.end() && it->peer == peer ? it->end : 0;
}

bool VersionVector::Includes(const VersionVector& other) const {
  return std::all_of(other.entries_.begin(), other.entries_.end(),
                     [this](const Entry& entry) { return End(entry.peer) >= entry.end; });
}

void VersionVector::Set(PeerId peer, Counter end) {
  const auto it = Find(entries_, peer);
  const bool found = it != entries_.end() && it->peer == peer;
  if (end <= 0) {
    if (found) entries_.erase(it);
  } else if (found) {
    it->end = end;
  } else {
    entries_.insert(it, {peer, end});
  }
}

void VersionVector::Extend(PeerId peer, Counter end) {
  if (end > End(peer)) Set(peer, end);
}

void VersionVector::Merge(const VersionVector& other) {
  for (const Entry& entry : other.entries_) Extend(entry.peer, entry.end);
}

std::vector<IdSpan> VersionVector::SpansNotIn(const VersionVector& other) const {
  std::vector<IdSpan> spans;
  for (const Entry& entry : entries_) {
    const Counter known = other.End(entry.peer);
    if (known < entry.end) spans.push_back({entry.peer, known, entry.end});
  }
  return spans;
}

Bytes VersionVector::Encode() const {
  ByteWriter writer;
  writer.Uleb(entries_.size());
  for (const Entry& entry : entries_) {
    writer.Uleb(entry.peer);
    writer.Zigzag(entry.end);
  }
  return writer.Release();
}

Result<VersionVector> VersionVector::Decode(BytesView bytes) {
  ByteReader reader(bytes);
  MERROW_ASSIGN(VersionVector version, Read(reader));
  MERROW_TRY(reader.ExpectEnd());
  return version;
}

Result<VersionVector> VersionVector::Read(ByteReader& reader) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  // An entry takes at least two bytes, which bounds the allocation by the input.
  if (count > reader.remaining() / 2) return reader.Fail("version vector count is past the end");
  VersionVector version;
  version.entries_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(const PeerId peer, reader.Uleb64());
    MERROW_ASSIGN(const Counter end, reader.Zigzag32());
    if (end < 0) return reader.Fail("negative counter in version vector");
    if (end > 0) version.entries_.push_back({peer, end});
  }
  auto& entries = version.entries_;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.peer < b.peer; });
  const auto twin =
      std::adjacent_find(entries.begin(), entries.end(),
                         [](const Entry& a, const Entry& b) { return a.peer == b.peer; });
  if (twin != entries.end()) return reader.Fail("a peer is twice in the version vector");
  return version;
}

std::string VersionVector::ToString() const {
  std::string text = "{";
  for (const Entry& entry : entries_) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(entry.peer) + ": " + std::to_string(entry.end);
  }
  return text + "}";
}

Bytes EncodeFrontiers(const Frontiers& frontiers) {
  Frontiers sorted = frontiers;
  std::sort(sorted.begin(), sorted.end());
  ByteWriter writer;
  writer.Uleb(sorted.size());
  for (const Id& id : sorted) {
    writer.Uleb(id.peer);
    writer.Zigzag(id.counter);
  }
  return writer.Release();
}

Result<Frontiers> DecodeFrontiers(BytesView bytes) {
  ByteReader reader(bytes);
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining() / 2) return reader.Fail("frontiers count is past the end");
  Frontiers frontiers;
  frontiers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    Id id;
    MERROW_ASSIGN(id.peer, reader.Uleb64());
    MERROW_ASSIGN(id.counter, reader.Zigzag32());
    if (id.counter < 0) return reader.Fail("negative counter in frontiers");
    frontiers.push_back(id);
  }
  MERROW_TRY(reader.ExpectEnd());
  std::sort(frontiers.begin(), frontiers.end());
  return frontiers;
}

}  // namespace merrow::loro
