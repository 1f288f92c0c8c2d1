// SPDX-License-Identifier: Apache-2.0
//
// How changes from elsewhere get into a document: blobs are decoded and checked whole, the log
// admits what is new, and the state follows.

#include <algorithm>
#include <unordered_set>

#include "base/bytes.h"
#include "loro/document_core.h"
#include "loro/envelope.h"
#include "loro/history.h"
#include "loro/history_base.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot.h"
#include "loro/state_image.h"

namespace merrow::loro {
namespace {

using Incoming = OpLog::Incoming;

Result<std::shared_ptr<const Incoming>> DecodeIncoming(BytesView bytes) {
  auto incoming = std::make_shared<Incoming>();
  incoming->bytes = bytes;
  MERROW_ASSIGN(incoming->block, DecodeChangeBlock(bytes));
  return std::shared_ptr<const Incoming>(std::move(incoming));
}

// Decodes the blocks of one blob. Equal ops and tree positions take next to no bytes, so what they
// expand to is limited by more than the blob's size.
class BlockDecoder {
 public:
  /// Without limits.
  BlockDecoder() = default;
  explicit BlockDecoder(size_t blob_bytes)
      : ops_left_(kImportOpsFree + blob_bytes),
        bytes_left_(kImportBytesFree + kImportBytesFactor * blob_bytes) {}

  Status Add(BytesView bytes) {
    MERROW_ASSIGN(auto incoming, DecodeIncoming(bytes));
    const size_t ops = incoming->block.ops.size();
    if (ops > ops_left_) return LimitReached("a blob holds too many ops for its size");
    ops_left_ -= ops;
    const size_t table_bytes = TableBytes(incoming->block);
    if (table_bytes > bytes_left_) return LimitReached("a blob expands to too much for its size");
    bytes_left_ -= table_bytes;
    blocks_.push_back(std::move(incoming));
    return {};
  }

  std::vector<std::shared_ptr<const Incoming>> Take() { return std::move(blocks_); }

 private:
  size_t ops_left_ = SIZE_MAX;
  size_t bytes_left_ = SIZE_MAX;
  std::vector<std::shared_ptr<const Incoming>> blocks_;
};

Result<std::vector<std::shared_ptr<const Incoming>>> DecodeUpdates(BytesView body) {
  BlockDecoder decoder(body.size());
  MERROW_TRY(ForEachBlock(body, [&decoder](BytesView bytes) { return decoder.Add(bytes); }));
  return decoder.Take();
}

// The blocks of a snapshot. Several blobs within the limits can make one that is not, so they do
// not hold for what this library wrote.
enum class Origin { kAnywhere, kOwn };
Result<std::vector<std::shared_ptr<const Incoming>>> DecodeBlocks(const SnapshotParts& parts,
                                                                  Origin origin) {
  size_t bytes = 0;
  for (const SnapshotParts::Block& block : parts.blocks) bytes += block.bytes.size();
  BlockDecoder decoder = origin == Origin::kOwn ? BlockDecoder() : BlockDecoder(bytes);
  for (const SnapshotParts::Block& block : parts.blocks) MERROW_TRY(decoder.Add(block.bytes));
  return decoder.Take();
}

// A blob from anywhere.
struct DecodedBlob {
  std::vector<std::shared_ptr<const Incoming>> blocks;
  std::optional<SnapshotParts> snapshot;  // which blocks may refer to
};

Result<DecodedBlob> DecodeBlob(BytesView bytes) {
  MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(bytes));
  DecodedBlob blob;
  if (envelope.mode == EncodeMode::kFastUpdates) {
    MERROW_ASSIGN(blob.blocks, DecodeUpdates(envelope.body));
    return blob;
  }
  MERROW_ASSIGN(blob.snapshot, DecodeSnapshot(envelope.body));
  MERROW_ASSIGN(blob.blocks, DecodeBlocks(*blob.snapshot, Origin::kAnywhere));
  return blob;
}

// False if nothing is before the start of a shallow snapshot: then its changes say all.
bool IsTrimmed(const SnapshotParts& parts) {
  return parts.shallow.has_value() && !parts.shallow->start.empty();
}
bool IsTrimmed(const DecodedBlob& blob) {
  return blob.snapshot.has_value() && IsTrimmed(*blob.snapshot);
}

// The lamport of an op with which a trimmed history starts, and so one of the blocks.
Result<Lamport> StartingLamport(Id id, const std::vector<std::shared_ptr<const Incoming>>& blocks) {
  for (const auto& incoming : blocks) {
    const ChangeBlock& block = incoming->block;
    if (block.peer == id.peer && block.counter() == id.counter) return block.changes[0].lamport;
  }
  return Corruption("op " + ToString(id) + ", with which the history starts, is missing");
}

// What a shallow snapshot starts from. The state in it is not looked at.
Result<std::shared_ptr<const HistoryBase>> BaseOf(
    const SnapshotParts::Shallow& shallow,
    const std::vector<std::shared_ptr<const Incoming>>& blocks) {
  if (shallow.state_frontiers != shallow.start_frontiers) {
    return Corruption("the root state is not of the version with which the history starts");
  }
  const Frontiers& ends = shallow.start_frontiers;  // sorted
  if (ends.empty()) return Corruption("the trimmed history has no end");
  if (std::adjacent_find(ends.begin(), ends.end()) != ends.end()) {
    return Corruption("the trimmed history ends twice at one op");
  }
  Lamport lamport = 0;
  for (const Id& id : ends) {
    if (shallow.start.End(id.peer) != id.counter) {
      return Corruption("the trimmed history does not end at " + ToString(id));
    }
    MERROW_ASSIGN(const Lamport starting, StartingLamport(id, blocks));
    lamport = std::max(lamport, starting);
  }
  return std::make_shared<const HistoryBase>(CausalGraph::Start{shallow.start, ends}, lamport,
                                             shallow.states);
}

// The state that entries describe when those of `later` replace some of `earlier`.
std::vector<SnapshotParts::State> Overlay(const std::vector<SnapshotParts::State>& earlier,
                                          const std::vector<SnapshotParts::State>& later) {
  std::vector<SnapshotParts::State> entries = later;
  std::unordered_set<ContainerId, ContainerIdHash> replaced;
  for (const SnapshotParts::State& entry : later) replaced.insert(entry.container);
  for (const SnapshotParts::State& entry : earlier) {
    if (replaced.count(entry.container) == 0) entries.push_back(entry);
  }
  return entries;
}

ImportStatus StatusOf(OpLog::Admission admission) {
  ImportStatus status;
  status.success = std::move(admission.success);
  status.pending = std::move(admission.pending);
  std::unordered_set<ContainerId, ContainerIdHash> seen;
  const ContainerId* last = nullptr;  // neighbouring ops are mostly about one container
  for (const OpLog::Admitted& item : admission.admitted) {
    const ChangeBlock& block = item.source->block;
    const Change& change = block.changes[item.change];
    for (uint32_t i = 0; i < change.op_count; ++i) {
      const Op& op = block.ops[change.first_op + i];
      const ContainerId& id = block.containers[op.container];
      if (last == &id || op.end() <= item.from) continue;
      last = &id;
      if (status.changed.empty()) {
        status.changed.push_back(id);
        continue;
      }
      if (seen.empty()) seen.insert(status.changed.front());
      if (seen.insert(id).second) status.changed.push_back(id);
    }
  }
  return status;
}

}  // namespace

bool DocumentCore::IsEmpty() const {
  return log.graph().size() == 0 && !log.HasUncommitted() && !log.has_pending() && !is_broken;
}

Result<ImportStatus> DocumentCore::Import(BytesView blob) { return ImportBatch({&blob, 1}); }

Result<ImportStatus> DocumentCore::ImportBatch(std::span<const BytesView> blobs) {
  if (is_broken) return Corruption("the document is broken: its ops do not apply");
  MERROW_TRY(CheckMayChange());
  Commit();
  // All of a snapshot has to be intact. But who made it may lie about the state, which follows from
  // the ops, so that is not taken from there; unless the history is trimmed and there is no other.
  if (blobs.size() == 1) {
    MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(blobs[0]));
    if (envelope.mode == EncodeMode::kFastUpdates) {
      MERROW_ASSIGN(Blocks blocks, DecodeUpdates(envelope.body));
      return ImportBlocks(std::move(blocks));
    }
  }
  std::vector<DecodedBlob> decoded;
  const SnapshotParts* trimmed = nullptr;
  bool has_start = !IsEmpty();
  for (const BytesView bytes : blobs) {
    MERROW_ASSIGN(DecodedBlob blob, DecodeBlob(bytes));
    if (blob.snapshot.has_value() && !IsTrimmed(blob)) has_start = true;
    decoded.push_back(std::move(blob));
  }
  Blocks blocks;
  Blocks first;
  for (DecodedBlob& blob : decoded) {
    if (IsTrimmed(blob) && !has_start && trimmed == nullptr) {
      trimmed = &*blob.snapshot;
      first = std::move(blob.blocks);
    } else {
      blocks.insert(blocks.end(), blob.blocks.begin(), blob.blocks.end());
    }
  }
  if (trimmed != nullptr) return StartFrom(*trimmed, std::move(first), std::move(blocks));
  return ImportBlocks(std::move(blocks));
}

// Takes over a shallow snapshot, then merges `more`. REQUIRES: the document is empty.
Result<ImportStatus> DocumentCore::StartFrom(const SnapshotParts& parts, Blocks blocks,
                                             Blocks more) {
  MERROW_ASSIGN(const std::shared_ptr<const HistoryBase> base, BaseOf(*parts.shallow, blocks));
  MERROW_ASSIGN(const State root, base->DecodeState());
  VersionVector version = base->start().trimmed;
  for (const Id& id : base->start().frontiers) version.Extend(id.peer, id.counter + 1);
  MERROW_TRY(CheckBaseState(root, version, base->lamport()));

  OpLog fresh(log.local_peer());
  fresh.StartFrom(base);
  MERROW_TRY(fresh.Admit(std::move(blocks)));
  if (fresh.has_pending() || !(fresh.version() == parts.version)) {
    return Corruption("a snapshot's changes do not add up to its version " +
                      Clip(parts.version.ToString()));
  }
  MERROW_ASSIGN(OpLog::Admission admission, fresh.Admit(std::move(more)));
  MERROW_ASSIGN(State derived, DeriveState(fresh, fresh.graph().heads()));
  return Replace(std::move(fresh), std::move(derived), std::move(admission));
}

// Becomes the document with that log and state. REQUIRES: the document is empty.
ImportStatus DocumentCore::Replace(OpLog fresh_log, State fresh_state, OpLog::Admission admission) {
  log = std::move(fresh_log);
  snapshot_cache.reset();
  merge_window.Clear();
  const State before = std::exchange(state, std::move(fresh_state));
  if (events != nullptr) events->TellReplaced(before);
  ImportStatus status{.success = log.version().SpansNotIn(VersionVector()),
                      .pending = std::move(admission.pending),
                      .changed = {}};
  for (const Container& container : state.containers()) status.changed.push_back(container.id);
  return status;
}

Result<ImportStatus> DocumentCore::ImportBlocks(
    std::vector<std::shared_ptr<const Incoming>> blocks) {
  const Lv size = log.graph().size();
  // With many heads, hardly anything follows all of them, and none need be looked at.
  constexpr size_t kHeadsMax = 32;
  const std::vector<Lv>& heads_now = log.graph().heads();
  const std::vector<Lv> heads = heads_now.size() <= kHeadsMax ? heads_now : std::vector<Lv>{0, 0};
  MERROW_ASSIGN(OpLog::Admission admission, log.Admit(std::move(blocks)));
  const Status applied = ApplyAdmitted(admission.admitted, heads);
  if (!applied.ok()) {
    Restore(size);
    if (events != nullptr) events->Forget();
    return applied.error();
  }
  TellEvents(DocumentEvent::Cause::kImport);
  return StatusOf(std::move(admission));
}

Result<ImportStatus> DocumentCore::Load(BytesView snapshot) {
  if (!IsEmpty()) {
    return InvalidArgument("a snapshot can be loaded only into an empty document");
  }
  MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(snapshot));
  if (envelope.mode != EncodeMode::kFastSnapshot) {
    return InvalidArgument("what is loaded is not a snapshot");
  }
  MERROW_ASSIGN(const SnapshotParts parts, DecodeSnapshot(envelope.body));
  if (parts.state_omitted) return Import(snapshot);
  MERROW_ASSIGN(auto blocks, DecodeBlocks(parts, Origin::kOwn));
  return ImportWhole(parts, std::move(blocks));
}

// Takes over a snapshot's state as it is. REQUIRES: the document is empty.
Result<ImportStatus> DocumentCore::ImportWhole(
    const SnapshotParts& parts, std::vector<std::shared_ptr<const Incoming>> blocks) {
  OpLog fresh(log.local_peer());
  std::vector<SnapshotParts::State> states = parts.states;
  if (parts.shallow.has_value()) states = Overlay(parts.shallow->states, parts.states);
  if (IsTrimmed(parts)) {
    MERROW_ASSIGN(std::shared_ptr<const HistoryBase> base, BaseOf(*parts.shallow, blocks));
    MERROW_TRY(base->DecodeState());  // it can be read whenever history is asked for
    fresh.StartFrom(std::move(base));
  }
  MERROW_ASSIGN(OpLog::Admission admission, fresh.Admit(std::move(blocks)));
  if (fresh.has_pending() || !(fresh.version() == parts.version)) {
    return Corruption("a snapshot's changes do not add up to its version " +
                      Clip(parts.version.ToString()));
  }
  const Lamport lamport_after = fresh.graph().LamportAfter(fresh.graph().frontiers());
  MERROW_ASSIGN(State image, StateFromImage(states, lamport_after == 0 ? 0 : lamport_after - 1));
  return Replace(std::move(fresh), std::move(image), std::move(admission));
}

// `heads` is the version that the state shows, or what no op follows.
Status DocumentCore::ApplyAdmitted(const std::vector<OpLog::Admitted>& admitted,
                                   std::vector<Lv> heads) {
  const auto end_of = [](const OpLog::Admitted& item) {
    return item.lv + static_cast<Lv>(item.to - item.from);
  };
  // How many follow all before them. The others are at the end.
  size_t following = 0;
  for (const OpLog::Admitted& item : admitted) {
    const CausalGraph::Run& run = log.graph().RunOf(item.lv);
    const bool follows = item.lv > run.start ? heads.size() == 1 && heads[0] == item.lv - 1
                                             : std::equal(heads.begin(), heads.end(),
                                                          run.parents.begin(), run.parents.end());
    if (!follows) break;
    ++following;
    heads.assign(1, end_of(item) - 1);
  }
  const bool is_linear = following == admitted.size();
  History history(log);
  TextJoiner joiner;
  TreeMoves aside;
  for (size_t i = 0; i < following; ++i) {
    const OpLog::Admitted& item = admitted[i];
    const ChangeBlock& block = item.source->block;
    MERROW_TRY(ForEachOpSlice(
        block, block.changes[item.change], item.from, item.to,
        log.graph().RunOf(item.lv).LamportAt(item.lv),
        [&](const OpSlice& slice) {
          return is_linear ? state.Apply(slice, history)
                           : ApplyUnlessTree(slice, &state, history, &aside);
        },
        &joiner));
  }
  if (is_linear) return {};
  return MergeInto(log, admitted[following].lv, &state,
                   {.aside = std::move(aside),
                    .window = &merge_window,
                    .admitted = std::span(admitted).subspan(following)});
}

// Goes back to an earlier version after an import failed half-way: the state is derived anew from
// the log. That can fail, too, if a loaded state was not that of its ops, so that some fitted it
// which do not fit each other.
void DocumentCore::Restore(Lv size) {
  log.RollBack(size);
  snapshot_cache.reset();
  merge_window.Clear();
  Result<State> derived = DeriveState(log, log.graph().heads());
  is_broken = !derived.ok();
  state = is_broken ? State() : std::move(derived).value();
}

}  // namespace merrow::loro
