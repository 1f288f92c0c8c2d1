// SPDX-License-Identifier: Apache-2.0
#include "loro/snapshot.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/container_id_codec.h"

namespace merrow::loro {
namespace {

constexpr BytesView kStartVersionKey = "sv";
constexpr BytesView kStartFrontiersKey = "sf";
constexpr size_t kBlockKeyBytes = 12;
constexpr BytesView kStateOmitted = "E";

Error Bad(std::string_view what) { return Corruption("snapshot: " + std::string(what)); }

Result<BytesView> TakeSection(ByteReader& reader) {
  MERROW_ASSIGN(const uint32_t size, reader.U32Le());
  return reader.Take(size);
}

// --- Decoding ---

class Decoder {
 public:
  explicit Decoder(const SnapshotReadOptions& options) : options_(options) {}

  Result<SnapshotParts> Decode(BytesView body);

 private:
  Result<std::vector<SstableReader::Entry>> ReadStore(BytesView bytes);
  Status DecodeChanges(BytesView bytes);
  Status DecodeBlock(const SstableReader::Entry& entry);
  Status CheckBlocks() const;
  Status CheckFrontiers(const Frontiers& frontiers) const;
  Status DecodeStates(BytesView bytes, std::vector<SnapshotParts::State>* states,
                      std::optional<Frontiers>* frontiers);

  const SnapshotReadOptions& options_;
  SnapshotParts parts_;
  // What the change store says about the start.
  VersionVector start_;
  Frontiers start_frontiers_;
  std::vector<Counter> block_ends_;  // in the order of parts_.blocks
  size_t expanded_bytes_ = 0;
};

Result<SnapshotParts> Decoder::Decode(BytesView body) {
  ByteReader reader(body);
  MERROW_ASSIGN(const BytesView changes, TakeSection(reader));
  MERROW_ASSIGN(const BytesView states, TakeSection(reader));
  MERROW_ASSIGN(const BytesView root_states, TakeSection(reader));
  MERROW_TRY(reader.ExpectEnd());

  if (options_.with_changes) MERROW_TRY(DecodeChanges(changes));
  parts_.state_omitted = states == kStateOmitted;
  if (options_.with_states && !parts_.state_omitted) {
    MERROW_TRY(DecodeStates(states, &parts_.states, nullptr));
  }
  if (!options_.with_changes) {
    if (!root_states.empty()) return Bad("the state of a shallow one stands on its start");
  } else if (root_states.empty()) {
    if (!start_.empty()) return Bad("trimmed history without a root state");
  } else {
    SnapshotParts::Shallow shallow{.start = start_,
                                   .start_frontiers = start_frontiers_,
                                   .state_frontiers = start_frontiers_,
                                   .states = {}};
    if (options_.with_states) {
      std::optional<Frontiers> frontiers;
      MERROW_TRY(DecodeStates(root_states, &shallow.states, &frontiers));
      if (!frontiers) return Bad("root state without frontiers");
      MERROW_TRY(CheckFrontiers(*frontiers));
      shallow.state_frontiers = std::move(*frontiers);
    }
    parts_.shallow = std::move(shallow);
  }
  return std::move(parts_);
}

Result<std::vector<SstableReader::Entry>> Decoder::ReadStore(BytesView bytes) {
  SstableLimits limits = options_.limits;
  limits.total_bytes_max -= std::min(limits.total_bytes_max, expanded_bytes_);
  MERROW_ASSIGN(SstableReader opened, SstableReader::Open(bytes, limits));
  auto reader = std::make_shared<SstableReader>(std::move(opened));
  MERROW_ASSIGN(auto entries, reader->ReadAll());
  expanded_bytes_ += reader->expanded_bytes();
  parts_.storage.push_back(std::move(reader));
  return entries;
}

Status Decoder::DecodeChanges(BytesView bytes) {
  MERROW_ASSIGN(const auto entries, ReadStore(bytes));
  bool has_version = false;
  bool has_frontiers = false;
  for (const auto& entry : entries) {
    if (entry.key == kSnapshotVersionKey) {
      MERROW_ASSIGN(parts_.version, VersionVector::Decode(entry.value));
      has_version = true;
    } else if (entry.key == kSnapshotFrontiersKey) {
      MERROW_ASSIGN(parts_.frontiers, DecodeFrontiers(entry.value));
      has_frontiers = true;
    } else if (entry.key == kStartVersionKey) {
      MERROW_ASSIGN(start_, VersionVector::Decode(entry.value));
    } else if (entry.key == kStartFrontiersKey) {
      MERROW_ASSIGN(start_frontiers_, DecodeFrontiers(entry.value));
    } else if (entry.key.size() == kBlockKeyBytes) {
      MERROW_TRY(DecodeBlock(entry));
    } else {
      return Bad("unknown key " + ToHex(entry.key) + " in the change store");
    }
  }
  if (!entries.empty() && (!has_version || !has_frontiers)) {
    return Bad("change store without version or frontiers");
  }
  MERROW_TRY(CheckFrontiers(parts_.frontiers));
  MERROW_TRY(CheckFrontiers(start_frontiers_));
  return CheckBlocks();
}

Status Decoder::DecodeBlock(const SstableReader::Entry& entry) {
  ByteReader key(entry.key);
  Id first;
  MERROW_ASSIGN(first.peer, key.U64Be());
  MERROW_ASSIGN(first.counter, key.I32Be());
  MERROW_ASSIGN(const ChangeBlockHeader header, DecodeChangeBlockHeader(entry.value));
  if (header.peer != first.peer || header.counter != first.counter) {
    return Bad("block " + ToString(first) + " is one of " +
               ToString(Id{header.peer, header.counter}));
  }
  parts_.blocks.push_back({first, entry.value});
  block_ends_.push_back(header.end);
  return {};
}

// The blocks of each peer must lead without a gap from the start to the version.
Status Decoder::CheckBlocks() const {
  const auto& blocks = parts_.blocks;
  VersionVector reached = start_;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Id first = blocks[i].first;
    if (first.counter != reached.End(first.peer)) {
      return Bad("block " + ToString(first) + " follows " +
                 std::to_string(reached.End(first.peer)));
    }
    reached.Set(first.peer, block_ends_[i]);
  }
  if (reached != parts_.version) {
    return Bad("blocks reach " + Clip(reached.ToString()) + ", not " +
               Clip(parts_.version.ToString()));
  }
  return {};
}

Status Decoder::CheckFrontiers(const Frontiers& frontiers) const {
  for (const Id& id : frontiers) {
    if (!parts_.version.Includes(id)) return Bad("frontier " + ToString(id) + " is not included");
  }
  return {};
}

Status Decoder::DecodeStates(BytesView bytes, std::vector<SnapshotParts::State>* states,
                             std::optional<Frontiers>* frontiers) {
  MERROW_ASSIGN(const auto entries, ReadStore(bytes));
  states->reserve(entries.size());
  for (const auto& entry : entries) {
    if (frontiers != nullptr && entry.key == kSnapshotFrontiersKey) {
      MERROW_ASSIGN(*frontiers, DecodeFrontiers(entry.value));
      continue;
    }
    MERROW_ASSIGN(ContainerId container, ParseContainerKey(entry.key));
    states->push_back({std::move(container), entry.value});
  }
  return {};
}

// --- Encoding ---

// Collects the entries of one store, in any order.
class StoreEncoder {
 public:
  void Add(Bytes key, BytesView value) { entries_.push_back({std::move(key), value}); }

  Result<Bytes> Encode(bool compress) {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.key < b.key; });
    SstableWriter writer(compress);
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (i > 0 && entries_[i - 1].key == entry.key) {
        return InvalidArgument("snapshot: two entries of key " + ToHex(entry.key));
      }
      if (entry.key.size() > kSstableKeyBytesMax) {
        return InvalidArgument("snapshot: key of " + std::to_string(entry.key.size()) + " bytes");
      }
      // For Loro an empty value is one that was deleted.
      if (entry.value.empty()) {
        return InvalidArgument("snapshot: no value for key " + ToHex(entry.key));
      }
      writer.Add(entry.key, entry.value);
    }
    return writer.Finish();
  }

 private:
  struct Entry {
    Bytes key;
    BytesView value;
  };
  std::vector<Entry> entries_;
};

void AddStates(StoreEncoder& store, const std::vector<SnapshotParts::State>& states) {
  for (const auto& state : states) {
    ByteWriter key;
    WriteContainerKey(key, state.container);
    store.Add(key.Release(), state.wrapper);
  }
}

void AppendSection(ByteWriter& writer, BytesView section) {
  writer.U32Le(static_cast<uint32_t>(section.size()));
  writer.Append(section);
}

}  // namespace

Result<SnapshotSummary> ReadSnapshotSummary(BytesView body) {
  ByteReader reader(body);
  MERROW_ASSIGN(const BytesView changes, TakeSection(reader));
  MERROW_ASSIGN(const BytesView states, TakeSection(reader));
  MERROW_ASSIGN(const BytesView root_states, TakeSection(reader));
  MERROW_TRY(reader.ExpectEnd());
  SnapshotSummary summary;
  summary.is_shallow = !root_states.empty();
  summary.state_omitted = states == kStateOmitted;
  if (changes.empty()) return summary;
  MERROW_ASSIGN(SstableReader store, SstableReader::Open(changes));
  MERROW_ASSIGN(const std::optional<BytesView> version, store.Find(kSnapshotVersionKey));
  MERROW_ASSIGN(const std::optional<BytesView> frontiers, store.Find(kSnapshotFrontiersKey));
  if (!version || !frontiers) return Bad("change store without version or frontiers");
  MERROW_ASSIGN(summary.version, VersionVector::Decode(*version));
  MERROW_ASSIGN(summary.frontiers, DecodeFrontiers(*frontiers));
  std::sort(summary.frontiers.begin(), summary.frontiers.end());
  for (const Id& id : summary.frontiers) {
    if (!summary.version.Includes(id)) return Bad("frontier " + ToString(id) + " is not included");
  }
  return summary;
}

Result<SnapshotParts> DecodeSnapshot(BytesView body, const SnapshotReadOptions& options) {
  return Decoder(options).Decode(body);
}

Bytes SnapshotBlockKey(Id first) {
  ByteWriter writer;
  writer.U64Be(first.peer);
  writer.U16Be(static_cast<uint16_t>(static_cast<uint32_t>(first.counter) >> 16));
  writer.U16Be(static_cast<uint16_t>(first.counter & 0xFFFF));
  return writer.Release();
}

size_t SnapshotBytes(BytesView changes, BytesView states) {
  return 3 * sizeof(uint32_t) + changes.size() + states.size();
}

void AppendSnapshot(BytesView changes, BytesView states, EnvelopeWriter* writer) {
  for (const BytesView section : {changes, states, BytesView()}) {
    ByteWriter size;
    size.U32Le(static_cast<uint32_t>(section.size()));
    writer->Append(size.bytes());
    writer->Append(section);
  }
}

Result<Bytes> EncodeSnapshot(const SnapshotParts& parts, const SnapshotWriteOptions& options) {
  const Bytes version = parts.version.Encode();
  const Bytes frontiers = EncodeFrontiers(parts.frontiers);
  StoreEncoder changes;
  changes.Add(Bytes(kSnapshotVersionKey), version);
  changes.Add(Bytes(kSnapshotFrontiersKey), frontiers);
  Bytes start_version;
  Bytes start_frontiers;
  if (parts.shallow) {
    start_version = parts.shallow->start.Encode();
    start_frontiers = EncodeFrontiers(parts.shallow->start_frontiers);
    changes.Add(Bytes(kStartVersionKey), start_version);
    changes.Add(Bytes(kStartFrontiersKey), start_frontiers);
  }
  for (const auto& block : parts.blocks) changes.Add(SnapshotBlockKey(block.first), block.bytes);

  StoreEncoder states;
  AddStates(states, parts.states);

  StoreEncoder root_states;
  Bytes state_frontiers;
  if (parts.shallow) {
    state_frontiers = EncodeFrontiers(parts.shallow->state_frontiers);
    root_states.Add(Bytes(kSnapshotFrontiersKey), state_frontiers);
    AddStates(root_states, parts.shallow->states);
  }

  ByteWriter body;
  MERROW_ASSIGN(const Bytes change_store, changes.Encode(options.compress));
  AppendSection(body, change_store);
  if (parts.state_omitted) {
    AppendSection(body, kStateOmitted);
  } else {
    MERROW_ASSIGN(const Bytes state_store, states.Encode(options.compress));
    AppendSection(body, state_store);
  }
  MERROW_ASSIGN(const Bytes root_store, root_states.Encode(options.compress));
  AppendSection(body, root_store);
  return body.Release();
}

}  // namespace merrow::loro
