// SPDX-License-Identifier: Apache-2.0
//
// How a document's changes get out: as updates, which copy stored blocks, and as snapshots.

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "loro/document_core.h"
#include "loro/envelope.h"
#include "loro/history_base.h"
#include "loro/sequence_merge.h"
#include "loro/snapshot.h"
#include "loro/state_image.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// Up to this many atoms are replayed by the reader of a shallow snapshot rather than written with
// the state that they lead to.
constexpr uint64_t kReplayAtomsMax = 256;

// Smaller snapshots are encoded anew each time.
constexpr size_t kCachedSnapshotBytesMin = 16384;

Bytes Encode(const SnapshotParts& parts) {
  const Result<Bytes> body = EncodeSnapshot(parts);
  MERROW_CHECK(body.ok());
  return EncodeEnvelope(EncodeMode::kFastSnapshot, *body);
}

// Leaves out of `later` what is in `earlier` as it is.
void DropUnchanged(const std::vector<SnapshotParts::State>& earlier,
                   std::vector<SnapshotParts::State>* later) {
  std::unordered_map<ContainerId, BytesView, ContainerIdHash> known;
  for (const SnapshotParts::State& entry : earlier) known.emplace(entry.container, entry.wrapper);
  std::erase_if(*later, [&known](const SnapshotParts::State& entry) {
    const auto found = known.find(entry.container);
    return found != known.end() && found->second == entry.wrapper;
  });
}

// Leaves out containers that nothing refers to any more, for good: no later op can bring them back.
// Nodes of a tree can come back.
void DropUnreachable(const State& state, std::vector<SnapshotParts::State>* entries) {
  std::unordered_set<ContainerId, ContainerIdHash> reached;
  std::vector<const Container*> open;
  const auto reach = [&](const ContainerId& id) {
    const Container* container = state.Find(id);
    if (container != nullptr && reached.insert(id).second) open.push_back(container);
  };
  for (const Container& container : state.containers()) {
    if (container.id.is_root()) reach(container.id);
  }
  while (!open.empty()) {
    const Container& container = *open.back();
    open.pop_back();
    ForEachChildOf(container, reach);
  }
  std::erase_if(*entries, [&reached](const SnapshotParts::State& entry) {
    return reached.count(entry.container) == 0;
  });
}

// True if `version` has the start of some mark and not its end, which is here.
bool CutsMark(const OpLog& log, const VersionVector& version) {
  OpLog::Reader reader(log);
  for (const VersionVector::Entry& entry : version.entries()) {
    const Id next{entry.peer, entry.end};
    if (!log.graph().LvOf(next).has_value()) continue;
    const ChangeBlock& block = reader.BlockAt(next);
    const auto after = std::upper_bound(block.ops.begin(), block.ops.end(), next.counter,
                                        [](Counter at, const Op& op) { return at < op.end(); });
    MERROW_CHECK(after != block.ops.end());
    if (after->kind == OpKind::kTextMarkEnd) return true;
  }
  return false;
}

}  // namespace

Bytes DocumentCore::ExportUpdates(const VersionVector& from) {
  Commit();
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  log.ForEachBlockSince(from, [&writer](Id, BytesView bytes) { writer.AppendBlock(bytes); });
  return writer.Finish();
}

Bytes DocumentCore::ExportUpdatesInRange(std::span<const IdSpan> spans) {
  Commit();
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  log.ForEachBlockIn(spans, [&writer](Id, BytesView bytes) { writer.AppendBlock(bytes); });
  return writer.Finish();
}

void DocumentCore::Compact() {
  Commit();
  log.Compact();
}

Bytes DocumentCore::ExportSnapshot() {
  Commit();
  if (snapshot_cache != nullptr) {
    log.CompactIfWorth();
    return snapshot_cache->Export(log, &state);
  }
  log.Compact();
  SnapshotParts parts;
  parts.version = log.version();
  parts.frontiers = log.graph().frontiers();
  log.ForEachBlockSince(VersionVector(), [&parts](Id id, BytesView bytes) {
    parts.blocks.push_back({id, bytes});
  });
  std::deque<Bytes> storage;
  parts.states = ImageOfState(state, &storage);
  if (log.base() != nullptr) {
    parts.shallow = ShallowPart(*log.base());
    DropUnchanged(parts.shallow->states, &parts.states);
  }
  Bytes snapshot = Encode(parts);
  if (log.base() == nullptr && !is_broken && snapshot.size() >= kCachedSnapshotBytesMin) {
    snapshot_cache = std::make_unique<SnapshotCache>();
  }
  return snapshot;
}

// The latest critical op at or before `heads` at which a history can start; nothing if it is before
// all that is here.
std::optional<Lv> DocumentCore::CriticalStart(std::span<const Lv> heads) const {
  const CausalGraph& graph = log.graph();
  Lv limit = heads.empty() ? 0 : heads.back() + 1;
  while (limit > graph.start_size()) {
    const std::vector<LvSpan> critical = graph.CriticalAtoms(graph.heads(), limit);
    if (critical.empty() || critical.front().start >= limit) return std::nullopt;
    const Lv found = critical.front().start;
    // Critical ops order all others, so what is before one is so by arrival, too.
    if (!CutsMark(log, graph.VersionOf({&found, 1}))) return found;
    const Lv next = found + 1;
    const bool next_is_critical =
        critical.front().end > next || (critical.size() > 1 && critical[1].start == next);
    if (next_is_critical && !CutsMark(log, graph.VersionOf({&next, 1}))) return next;
    limit = found;
  }
  return std::nullopt;
}

Result<Bytes> DocumentCore::ExportShallowSnapshot(const Frontiers& at) {
  if (is_broken) return Corruption("the document is broken: its ops do not apply");
  Commit();
  const CausalGraph& graph = log.graph();
  const std::optional<std::vector<Lv>> heads = graph.HeadsOf(at);
  if (!heads.has_value()) return NotInHistory(at);
  const std::optional<Lv> start = CriticalStart(*heads);
  if (!start.has_value()) return ExportSnapshot();

  SnapshotParts parts;
  parts.version = log.version();
  parts.frontiers = graph.frontiers();
  const Id first = graph.IdOf(*start);
  VersionVector trimmed = graph.VersionOf({&*start, 1});
  trimmed.Set(first.peer, first.counter);
  if (trimmed.empty()) return ExportSnapshot();
  parts.shallow = SnapshotParts::Shallow{
      .start = trimmed, .start_frontiers = {first}, .state_frontiers = {first}, .states = {}};
  std::deque<Bytes> storage;
  log.ForEachBlockSince(trimmed, [&](Id id, BytesView bytes) {
    parts.blocks.push_back({id, storage.emplace_back(bytes)});
  });
  MERROW_ASSIGN(const State root, DeriveState(log, {&*start, 1}));
  parts.shallow->states = ImageOfState(root, &storage);
  DropUnreachable(root, &parts.shallow->states);
  parts.state_omitted = graph.size() - *start <= kReplayAtomsMax;
  if (!parts.state_omitted) {
    parts.states = ImageOfState(state, &storage);
    DropUnreachable(state, &parts.states);
    DropUnchanged(parts.shallow->states, &parts.states);
  }
  return Encode(parts);
}

}  // namespace merrow::loro
