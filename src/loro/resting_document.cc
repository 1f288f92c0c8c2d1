// SPDX-License-Identifier: Apache-2.0
#include "loro/resting_document.h"

#include <deque>
#include <utility>

#include "base/bytes.h"
#include "loro/container_id_codec.h"
#include "loro/envelope.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot.h"
#include "loro/state_image.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

using Incoming = OpLog::Incoming;

Bytes KeyOf(const ContainerId& id) {
  ByteWriter writer;
  WriteContainerKey(writer, id);
  return writer.Release();
}

// The lamport of the latest op.
Lamport LargestLamport(const CausalGraph& graph) {
  const Lamport after = graph.LamportAfter(graph.frontiers());
  return after == 0 ? 0 : after - 1;
}

void PackLog(const OpLog& log, ByteWriter& writer) {
  uint64_t count = 0;
  ByteWriter blocks;
  log.ForEachBlockSince(VersionVector(), [&](Id, BytesView block) {
    ++count;
    blocks.LengthPrefixed(block);
  });
  writer.Uleb(count);
  writer.Append(blocks.bytes());
}

void PackState(const State& state, ByteWriter& writer) {
  std::deque<Bytes> storage;
  const std::vector<SnapshotParts::State> entries = ImageOfState(state, &storage);
  writer.Uleb(entries.size());
  for (const SnapshotParts::State& entry : entries) {
    writer.LengthPrefixed(KeyOf(entry.container));
    writer.LengthPrefixed(entry.wrapper);
  }
  writer.Uleb(state.containers().size() - entries.size());
  for (const Container& container : state.containers()) {
    if (IsInImage(container)) continue;
    writer.LengthPrefixed(KeyOf(container.id));
    writer.LengthPrefixed(container.parent.has_value() ? KeyOf(*container.parent) : Bytes());
  }
}

// The parts of a packed document, as views into it.
struct Packed {
  std::vector<BytesView> blocks;
  bool has_states = false;
  Lamport lamport_max = 0;
  std::vector<SnapshotParts::State> states;
  struct Opaque {
    ContainerId id;
    std::optional<ContainerId> parent;
  };
  std::vector<Opaque> opaque;
};

enum class Part { kLog, kState };

Result<Packed> ReadPacked(BytesView bytes, Part part) {
  ByteReader reader(bytes);
  Packed packed;
  MERROW_ASSIGN(const uint64_t block_count, reader.Uleb64());
  for (uint64_t i = 0; i < block_count; ++i) {
    MERROW_ASSIGN(const BytesView block, reader.LengthPrefixed());
    packed.blocks.push_back(block);
  }
  MERROW_ASSIGN(const uint8_t has_states, reader.U8());
  packed.has_states = has_states != 0;
  if (part == Part::kLog || !packed.has_states) return packed;
  MERROW_ASSIGN(packed.lamport_max, reader.U32Le());
  MERROW_ASSIGN(const uint64_t state_count, reader.Uleb64());
  for (uint64_t i = 0; i < state_count; ++i) {
    MERROW_ASSIGN(const BytesView key, reader.LengthPrefixed());
    MERROW_ASSIGN(ContainerId id, ParseContainerKey(key));
    MERROW_ASSIGN(const BytesView wrapper, reader.LengthPrefixed());
    packed.states.push_back({std::move(id), wrapper});
  }
  MERROW_ASSIGN(const uint64_t opaque_count, reader.Uleb64());
  for (uint64_t i = 0; i < opaque_count; ++i) {
    MERROW_ASSIGN(const BytesView key, reader.LengthPrefixed());
    MERROW_ASSIGN(const BytesView parent_key, reader.LengthPrefixed());
    Packed::Opaque opaque;
    MERROW_ASSIGN(opaque.id, ParseContainerKey(key));
    if (!parent_key.empty()) {
      MERROW_ASSIGN(opaque.parent, ParseContainerKey(parent_key));
    }
    packed.opaque.push_back(std::move(opaque));
  }
  MERROW_TRY(reader.ExpectEnd());
  return packed;
}

template <typename Blocks, typename BytesOf>
Result<std::vector<std::shared_ptr<const Incoming>>> DecodeAll(const Blocks& blocks,
                                                               BytesOf bytes_of) {
  std::vector<std::shared_ptr<const Incoming>> decoded;
  decoded.reserve(blocks.size());
  for (const auto& block : blocks) {
    auto incoming = std::make_shared<Incoming>();
    incoming->bytes = bytes_of(block);
    MERROW_ASSIGN(incoming->block, DecodeChangeBlock(incoming->bytes));
    decoded.push_back(std::move(incoming));
  }
  return decoded;
}

Result<std::vector<std::shared_ptr<const Incoming>>> DecodePacked(const Packed& packed) {
  return DecodeAll(packed.blocks, [](BytesView block) { return block; });
}

bool HasTree(const std::vector<SnapshotParts::State>& states) {
  for (const SnapshotParts::State& state : states) {
    if (state.container.kind() == ContainerKind::kTree) return true;
  }
  return false;
}

}  // namespace

std::unique_ptr<RestingDocument> RestingDocument::Pack(DocumentCore& core) {
  core.log.CompactIfWorth();
  std::unique_ptr<RestingDocument> resting(new RestingDocument());
  resting->version_ = core.log.version();
  resting->frontiers_ = core.log.graph().frontiers();
  ByteWriter writer;
  PackLog(core.log, writer);
  const bool with_states = core.log.graph().size() > kReplayAtomsMax;
  writer.U8(with_states ? 1 : 0);
  if (with_states) {
    writer.U32Le(LargestLamport(core.log.graph()));
    PackState(core.state, writer);
  }
  resting->bytes_ = writer.bytes();  // a copy without room to grow
  return resting;
}

Result<std::unique_ptr<RestingDocument>> RestingDocument::Keep(BytesView snapshot) {
  MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(snapshot));
  if (envelope.mode != EncodeMode::kFastSnapshot) {
    return InvalidArgument("what is loaded is not a snapshot");
  }
  MERROW_ASSIGN(SnapshotSummary summary, ReadSnapshotSummary(envelope.body));
  if (summary.is_shallow || summary.state_omitted) return std::unique_ptr<RestingDocument>();
  std::unique_ptr<RestingDocument> resting(new RestingDocument());
  resting->version_ = std::move(summary.version);
  resting->frontiers_ = std::move(summary.frontiers);
  resting->bytes_ = snapshot;
  resting->is_snapshot_ = true;
  return resting;
}

BytesView RestingDocument::body() const { return BytesView(bytes_).substr(kEnvelopeBytes); }

uint64_t RestingDocument::op_count() const {
  uint64_t count = 0;
  for (const VersionVector::Entry& entry : version_.entries()) {
    count += static_cast<uint64_t>(entry.end);
  }
  return count;
}

Status RestingDocument::UnpackLog(OpLog* log) const {
  std::vector<std::shared_ptr<const Incoming>> blocks;
  SnapshotParts parts;
  if (is_snapshot_) {
    MERROW_ASSIGN(parts, DecodeSnapshot(body(), {.with_states = false, .limits = {}}));
    MERROW_ASSIGN(blocks, DecodeAll(parts.blocks, [](const auto& block) { return block.bytes; }));
  } else {
    const Result<Packed> packed = ReadPacked(bytes_, Part::kLog);
    MERROW_CHECK(packed.ok());
    MERROW_ASSIGN(blocks, DecodePacked(*packed));
  }
  MERROW_TRY(log->Admit(std::move(blocks)));
  if (log->has_pending() || !(log->version() == version_) ||
      log->graph().frontiers() != frontiers_) {
    return Corruption("a snapshot's changes do not add up to its version " +
                      Clip(version_.ToString()));
  }
  return {};
}

Result<bool> RestingDocument::UnpackState(State* state) const {
  if (is_snapshot_) {
    MERROW_ASSIGN(const SnapshotParts parts,
                  DecodeSnapshot(body(), {.with_changes = false, .limits = {}}));
    if (HasTree(parts.states)) return false;
    MERROW_ASSIGN(*state, StateFromImage(parts.states, 0));
    return true;
  }
  const Result<Packed> packed = ReadPacked(bytes_, Part::kState);
  MERROW_CHECK(packed.ok());
  if (!packed->has_states) return false;
  MERROW_ASSIGN(*state, StateFromImage(packed->states, packed->lamport_max));
  for (const Packed::Opaque& opaque : packed->opaque) {
    if (state->Find(opaque.id) == nullptr) {
      state->Add(opaque.id, opaque.parent).state = OpaqueState();
    }
  }
  return true;
}

Status RestingDocument::UnpackAll(DocumentCore* core, bool has_log) const {
  if (!is_snapshot_ && !has_log && op_count() <= kReplayAtomsMax) {
    const Result<Packed> packed = ReadPacked(bytes_, Part::kLog);
    MERROW_CHECK(packed.ok());
    MERROW_ASSIGN(auto blocks, DecodePacked(*packed));
    MERROW_TRY(core->ImportBlocks(std::move(blocks)));
    return {};
  }
  if (!has_log) MERROW_TRY(UnpackLog(&core->log));
  MERROW_ASSIGN(const bool is_unpacked, UnpackState(&core->state));
  if (is_unpacked) return {};
  if (!is_snapshot_) return MergeInto(core->log, 0, &core->state);
  MERROW_ASSIGN(const SnapshotParts parts,
                DecodeSnapshot(body(), {.with_changes = false, .limits = {}}));
  MERROW_ASSIGN(core->state, StateFromImage(parts.states, LargestLamport(core->log.graph())));
  return {};
}

size_t RestingDocument::MemoryBytes() const {
  return sizeof(*this) + bytes_.capacity() + 1 + frontiers_.capacity() * sizeof(Id) +
         version_.entries().capacity() * sizeof(VersionVector::Entry);
}

}  // namespace merrow::loro
