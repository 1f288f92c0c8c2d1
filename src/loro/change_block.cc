// SPDX-License-Identifier: Apache-2.0
//
// Decoding of change blocks. A block is a postcard struct of five numbers and eight sections:
//
//   counter start, counter length, lamport start, lamport length, number of changes N
//   header      peers; N-1 change lengths; deps; N-1 lamports
//   meta        N timestamps, N message lengths, messages
//   containers  rows (is root, kind, peer index, counter or key index)
//   keys        strings end to end
//   positions   tree positions, each as common prefix with the one before and rest; may be empty
//   ops         columns: container, prop, payload tag, length in atoms
//   deletes     columns: peer index, counter, signed length; one row per delete; may be empty
//   payloads    of the ops, end to end
//
// Everything is checked and must be consumed exactly. Nothing is demanded that released writers do
// not keep to: tables may have unused entries and any order, columns any segmentation.
//
// Columns can state any number of rows in a few bytes, so what they may expand to is bounded. The
// bounds do not depend on the block's size, or slices of a block that decodes might not.

#include "loro/change_block.h"

#include <algorithm>
#include <bit>

#include "loro/columns.h"
#include "loro/container_id_codec.h"
#include "loro/op_tag.h"
#include "loro/utf8.h"
#include "loro/value_codec.h"

namespace merrow::loro {
namespace {

/// Names of root containers may take this many times the bytes of the keys: each names one
/// container of every kind at most.
constexpr size_t kNamesPerKey = kContainerKindMax + 1;

/// Columns of the ops, of the deletes and of the positions; fields of a container row.
constexpr size_t kOpColumns = 4;
constexpr size_t kDeleteColumns = 3;
constexpr size_t kPositionColumns = 2;
constexpr uint8_t kContainerFields = 4;
constexpr uint8_t kOuterFields = 1;

Error Bad(std::string_view what) { return Corruption("change block: " + std::string(what)); }

struct Sections {
  uint32_t counter_start = 0;
  uint32_t counter_length = 0;
  uint32_t lamport_start = 0;
  uint32_t lamport_length = 0;
  uint32_t change_count = 0;
  BytesView header;
  BytesView meta;
  BytesView containers;
  BytesView keys;
  BytesView positions;
  BytesView ops;
  BytesView deletes;
  BytesView payloads;
};

Result<Sections> ReadSections(BytesView bytes) {
  Sections s;
  Cursor cursor(bytes);
  if (!cursor.Uleb(&s.counter_start) || !cursor.Uleb(&s.counter_length) ||
      !cursor.Uleb(&s.lamport_start) || !cursor.Uleb(&s.lamport_length) ||
      !cursor.Uleb(&s.change_count)) {
    return Bad("malformed counter, lamport or number of changes");
  }
  for (BytesView* section : {&s.header, &s.meta, &s.containers, &s.keys, &s.positions, &s.ops,
                             &s.deletes, &s.payloads}) {
    if (!cursor.LengthPrefixed(section)) return Bad("truncated section");
  }
  if (!cursor.empty()) return Bad("bytes after the last section");
  // An op's end must be a counter too, so that ids just past it can be named.
  if (uint64_t{s.counter_start} + s.counter_length > INT32_MAX) return Bad("counters overflow");
  if (uint64_t{s.lamport_start} + s.lamport_length > UINT32_MAX) return Bad("lamports overflow");
  // Each change has at least one atom, and all but the last have their length in the header.
  if (s.change_count == 0 || s.change_count > s.counter_length ||
      s.change_count - 1 > s.header.size()) {
    return Bad(std::to_string(s.change_count) + " changes in " + std::to_string(s.counter_length) +
               " atoms");
  }
  return s;
}

// --- Header and meta ---

Status ReadPeers(Cursor& cursor, std::vector<PeerId>* peers) {
  uint64_t count = 0;
  if (!cursor.Uleb(&count) || count == 0 || count > cursor.remaining() / sizeof(PeerId)) {
    return Bad("malformed peer table");
  }
  peers->resize(static_cast<size_t>(count));
  for (PeerId& peer : *peers) {
    BytesView bytes;
    if (!cursor.Take(sizeof(PeerId), &bytes)) return Bad("truncated peer table");
    for (size_t i = sizeof(PeerId); i-- > 0;) peer = (peer << 8) | static_cast<uint8_t>(bytes[i]);
  }
  return {};
}

Status ReadChangeLengths(Cursor& cursor, const Sections& s, std::vector<Change>* changes) {
  changes->resize(s.change_count);
  auto counter = static_cast<Counter>(s.counter_start);
  uint32_t left = s.counter_length;
  for (Change& change : *changes) {
    const bool is_last = &change == &changes->back();
    if (is_last) {
      change.length = left;
    } else if (!cursor.Uleb(&change.length)) {
      return Bad("malformed change length");
    }
    if (change.length == 0 || change.length > left) return Bad("change lengths do not add up");
    change.counter = counter;
    counter += static_cast<Counter>(change.length);
    left -= change.length;
  }
  return {};
}

/// The ids that each change depends on: a flag for the peer's own previous op, the others in
/// columns of their own.
Status ReadDeps(Cursor& cursor, const std::vector<PeerId>& peers, std::vector<Change>* changes) {
  BoolRleDecoder on_self(cursor);
  for (Change& change : *changes) {
    bool value = false;
    if (!on_self.Next(&value) || (value && change.counter == 0)) {
      return Bad("malformed dependency on self");
    }
    change.first_op = value ? 1 : 0;  // kept there until the ids are read
  }
  if (!on_self.AtBoundary()) return Bad("more dependencies on self than changes");

  AnyRleDecoder<uint64_t> counts(on_self.cursor());
  uint64_t total = 0;
  for (Change& change : *changes) {
    uint64_t count = 0;
    if (!counts.Next(&count)) return Bad("malformed dependency counts");
    // A version has one head per peer at most.
    if (count > peers.size()) return Bad("more dependencies than peers");
    change.op_count = static_cast<uint32_t>(count);
    total += count;
  }
  if (!counts.AtBoundary()) return Bad("more dependency counts than changes");

  // The counters come after all of the peers, so they are found in a first pass over the peers.
  AnyRleDecoder<uint64_t> dep_peers(counts.cursor());
  AnyRleDecoder<uint64_t> skipped = dep_peers;
  if (total > 8 * skipped.cursor().remaining()) return Bad("more dependencies than bits");
  for (uint64_t i = 0; i < total; ++i) {
    uint64_t index = 0;
    if (!skipped.Next(&index) || index >= peers.size()) return Bad("malformed dependency peers");
  }
  if (!skipped.AtBoundary()) return Bad("more dependency peers than dependencies");
  DeltaOfDeltaDecoder dep_counters;
  if (!dep_counters.Start(skipped.cursor(), total)) return Bad("malformed dependency counters");
  for (Change& change : *changes) {
    change.deps.reserve(change.first_op + change.op_count);
    if (change.first_op == 1) change.deps.push_back({peers[0], change.counter - 1});
    for (uint32_t i = 0; i < change.op_count; ++i) {
      uint64_t index = 0;
      int64_t counter = 0;
      if (!dep_peers.Next(&index) || !dep_counters.Next(&counter) || counter < 0 ||
          counter > INT32_MAX) {
        return Bad("malformed dependency");
      }
      const PeerId peer = peers[static_cast<size_t>(index)];
      if (peer == peers[0]) return Bad("dependency on self among the others");
      change.deps.push_back({peer, static_cast<Counter>(counter)});
    }
    change.first_op = change.op_count = 0;
    std::sort(change.deps.begin(), change.deps.end());
    for (size_t i = 1; i < change.deps.size(); ++i) {
      if (change.deps[i].peer == change.deps[i - 1].peer) return Bad("two dependencies on a peer");
    }
  }
  if (!dep_counters.Finish(&cursor)) return Bad("malformed end of dependency counters");
  return {};
}

Status ReadLamports(Cursor& cursor, const Sections& s, std::vector<Change>* changes) {
  DeltaOfDeltaDecoder lamports;
  if (!lamports.Start(cursor, changes->size() - 1)) return Bad("malformed lamports");
  uint64_t lamport_min = s.lamport_start;
  const uint64_t lamport_end = uint64_t{s.lamport_start} + s.lamport_length;
  for (Change& change : *changes) {
    int64_t lamport = static_cast<int64_t>(lamport_end) - change.length;
    if (&change != &changes->back() && !lamports.Next(&lamport)) return Bad("malformed lamport");
    if (lamport < static_cast<int64_t>(lamport_min) ||
        static_cast<uint64_t>(lamport) + change.length > lamport_end) {
      return Bad("lamports do not ascend");
    }
    change.lamport = static_cast<Lamport>(lamport);
    lamport_min = static_cast<uint64_t>(lamport) + change.length;
  }
  if (changes->front().lamport != s.lamport_start) return Bad("wrong first lamport");
  if (!lamports.Finish(&cursor)) return Bad("malformed end of lamports");
  return {};
}

Status ReadHeader(const Sections& s, std::vector<PeerId>* peers, std::vector<Change>* changes) {
  Cursor cursor(s.header);
  MERROW_TRY(ReadPeers(cursor, peers));
  if (peers->front() == kNoPeer) return Bad("its peer is the reserved one");
  MERROW_TRY(ReadChangeLengths(cursor, s, changes));
  MERROW_TRY(ReadDeps(cursor, *peers, changes));
  MERROW_TRY(ReadLamports(cursor, s, changes));
  if (!cursor.empty()) return Bad("bytes after the header");
  return {};
}

/// What follows the timestamps is left in `cursor`.
Status ReadTimestamps(Cursor& cursor, std::vector<Change>* changes) {
  DeltaOfDeltaDecoder timestamps;
  if (!timestamps.Start(cursor, changes->size())) return Bad("malformed timestamps");
  for (Change& change : *changes) {
    if (!timestamps.Next(&change.timestamp) || change.timestamp > kTimestampMax ||
        change.timestamp < -kTimestampMax) {
      return Bad("malformed timestamp");
    }
  }
  if (!timestamps.Finish(&cursor)) return Bad("malformed end of timestamps");
  return {};
}

Status ReadMessages(Cursor cursor, std::vector<Change>* changes) {
  AnyRleDecoder<uint32_t> lengths(cursor);
  AnyRleDecoder<uint32_t> skipped = lengths;
  for (size_t i = 0; i < changes->size(); ++i) {
    uint32_t length = 0;
    if (!skipped.Next(&length)) return Bad("malformed message lengths");
  }
  if (!skipped.AtBoundary()) return Bad("more message lengths than changes");
  Cursor text = skipped.cursor();
  for (Change& change : *changes) {
    uint32_t length = 0;
    if (!lengths.Next(&length) || !text.Take(length, &change.message)) {
      return Bad("truncated message");
    }
    if (!IsUtf8(change.message)) return Bad("message is not UTF-8");
  }
  if (!text.empty()) return Bad("bytes after the last message");
  return {};
}

// --- Tables ---

Status ReadKeys(BytesView bytes, std::vector<std::string_view>* keys) {
  Cursor cursor(bytes);
  while (!cursor.empty()) {
    BytesView key;
    if (!cursor.LengthPrefixed(&key)) return Bad("truncated key");
    if (!IsUtf8(key)) return Bad("key is not UTF-8");
    keys->push_back(key);
  }
  return {};
}

Status ReadContainers(BytesView bytes, size_t name_bytes_max, ChangeBlock* block) {
  Cursor cursor(bytes);
  uint64_t count = 0;
  if (!cursor.Uleb(&count) || count > cursor.remaining() / (1 + kContainerFields)) {
    return Bad("malformed container table");
  }
  block->containers.reserve(static_cast<size_t>(count));
  size_t name_bytes = 0;
  for (; count > 0; --count) {
    uint8_t fields = 0;
    uint8_t is_root = 0;
    uint8_t kind = 0;
    uint64_t peer_index = 0;
    int32_t key_or_counter = 0;
    if (!cursor.Byte(&fields) || fields != kContainerFields || !cursor.Byte(&is_root) ||
        is_root > 1 || !cursor.Byte(&kind) || kind > kContainerKindMax ||
        !cursor.Uleb(&peer_index) || !cursor.Zigzag(&key_or_counter) || key_or_counter < 0) {
      return Bad("malformed container");
    }
    const auto index = static_cast<size_t>(key_or_counter);
    if (is_root == 1) {
      if (index >= block->keys.size()) return Bad("container name is not in the keys");
      if (block->keys[index].size() > kRootNameBytesMax) return Bad("container name is too long");
      name_bytes += block->keys[index].size();
      if (name_bytes > name_bytes_max) return Bad("container names are too long");
      block->containers.push_back(
          ContainerId::Root(block->keys[index], static_cast<ContainerKind>(kind)));
    } else {
      if (peer_index >= block->peers.size()) return Bad("container's peer is not in the peers");
      const Id op = {block->peers[static_cast<size_t>(peer_index)], key_or_counter};
      block->containers.push_back(ContainerId::Normal(op, static_cast<ContainerKind>(kind)));
    }
  }
  if (!cursor.empty()) return Bad("bytes after the containers");
  return {};
}

/// The columns of a section that holds one vector.
Status ReadVectorSection(BytesView bytes, std::span<BytesView> columns) {
  Cursor cursor(bytes);
  uint8_t fields = 0;
  if (!cursor.Byte(&fields) || fields != kOuterFields) return Bad("malformed columns");
  MERROW_TRY(ReadColumns(cursor, columns));
  if (!cursor.empty()) return Bad("bytes after the columns");
  return {};
}

Status ReadPositions(BytesView bytes, std::vector<Bytes>* positions) {
  if (bytes.empty()) return {};
  BytesView columns[kPositionColumns];
  MERROW_TRY(ReadVectorSection(bytes, columns));
  AnyRleDecoder<uint64_t> prefixes(columns[0]);
  Cursor rests(columns[1]);
  uint64_t count = 0;
  if (!rests.Uleb(&count) || count > rests.remaining()) return Bad("malformed positions");
  positions->reserve(static_cast<size_t>(count));
  size_t total = 0;
  BytesView previous;
  for (; count > 0; --count) {
    uint64_t prefix = 0;
    BytesView rest;
    if (!prefixes.Next(&prefix) || prefix > previous.size() || !rests.LengthPrefixed(&rest)) {
      return Bad("malformed position");
    }
    total += static_cast<size_t>(prefix) + rest.size();
    if (total > kBlockPositionBytesMax) return Bad("positions are too long");
    Bytes position(previous.substr(0, static_cast<size_t>(prefix)));
    position.append(rest);
    positions->push_back(std::move(position));
    previous = positions->back();
  }
  if (!prefixes.AtEnd() || !rests.empty()) return Bad("bytes after the positions");
  return {};
}

// --- Ops ---

/// Walks the op columns, the deletes and the payloads together.
class OpsReader {
 public:
  explicit OpsReader(ChangeBlock* block) : block_(*block) { block_.may_have_marks = false; }

  Status Run(const Sections& s) {
    BytesView columns[kOpColumns];
    MERROW_TRY(ReadVectorSection(s.ops, columns));
    containers_ = DeltaRleDecoder<uint32_t>(columns[0]);
    props_ = DeltaRleDecoder<int32_t>(columns[1]);
    tags_ = AnyRleDecoder<uint8_t>(columns[2]);
    lengths_ = AnyRleDecoder<uint32_t>(columns[3]);
    BytesView deletes[kDeleteColumns];
    if (!s.deletes.empty()) MERROW_TRY(ReadVectorSection(s.deletes, deletes));
    delete_peers_ = DeltaRleDecoder<uint64_t>(deletes[0]);
    delete_counters_ = DeltaRleDecoder<int32_t>(deletes[1]);
    delete_lengths_ = DeltaRleDecoder<int64_t>(deletes[2]);
    payloads_ = Cursor(s.payloads);

    block_.ops.reserve(CountOps(s.counter_length));
    for (Change& change : block_.changes) {
      change.first_op = static_cast<uint32_t>(block_.ops.size());
      for (Counter counter = change.counter; counter < change.end();) {
        if (block_.ops.size() >= kBlockOpsMax) return Bad("too many ops");
        Op& op = block_.ops.emplace_back();
        op.counter = counter;
        if (!Read(op, change.end())) {
          return Bad(what_ + (" at op " + std::to_string(block_.ops.size() - 1)));
        }
        counter = op.end();
      }
      change.op_count = static_cast<uint32_t>(block_.ops.size()) - change.first_op;
    }
    if (!containers_.AtEnd() || !props_.AtEnd() || !tags_.AtEnd() || !lengths_.AtEnd()) {
      return Bad("more ops than atoms");
    }
    if (!delete_peers_.AtEnd() || !delete_counters_.AtEnd() || !delete_lengths_.AtEnd()) {
      return Bad("more delete spans than deletes");
    }
    if (!payloads_.empty()) return Bad("bytes after the last payload");
    return {};
  }

 private:
  bool Fail(const char* what) {
    what_ = what;
    return false;
  }

  // How many ops there are, if the lengths are well-formed. A few bytes can state any number.
  size_t CountOps(uint32_t atoms) const {
    constexpr size_t kCountMax = size_t{1} << 14;
    AnyRleDecoder<uint32_t> lengths = lengths_;
    size_t count = 0;
    uint32_t length = 0;
    for (uint64_t sum = 0; sum < atoms && count < kCountMax && lengths.Next(&length); ++count) {
      sum += length;
    }
    return count;
  }

  bool Read(Op& op, Counter change_end) {
    if (!containers_.Next(&op.container) || !props_.Next(&op.prop) || !tags_.Next(&op.raw_tag) ||
        !lengths_.Next(&op.length)) {
      return Fail("malformed or truncated column");
    }
    if (op.length == 0 || op.length > static_cast<uint32_t>(change_end - op.counter)) {
      return Fail("op does not fit its change");
    }
    if (op.container >= block_.containers.size()) return Fail("container out of range");
    const auto tag = static_cast<OpTag>(op.raw_tag & ~kOpTagFutureFlag);
    switch (block_.containers[op.container].kind()) {
      case ContainerKind::kText:
        return ReadText(op, tag);
      case ContainerKind::kList:
        return ReadList(op, tag);
      case ContainerKind::kMovableList:
        return ReadMovableList(op, tag);
      case ContainerKind::kMap:
        return ReadMap(op, tag);
      case ContainerKind::kTree:
        return ReadTree(op, tag);
      case ContainerKind::kCounter:
        return ReadCounter(op, tag);
    }
    return ReadUnknown(op, tag);
  }

  bool ReadText(Op& op, OpTag tag) {
    if (op.prop < 0) return Fail("negative position");
    switch (tag) {
      case OpTag::kString:
        op.kind = OpKind::kTextInsert;
        if (!payloads_.LengthPrefixed(&op.payload)) return Fail("truncated text");
        if (op.payload.size() == 1 && op.length == 1 && op.payload[0] >= 0) return true;
        if (!IsUtf8(op.payload)) return Fail("text is not UTF-8");
        if (CountScalars(op.payload) != op.length) return Fail("wrong length of text");
        return true;
      case OpTag::kDeleteSpan:
        return ReadDelete(op);
      case OpTag::kMarkStart:
        op.kind = OpKind::kTextMarkStart;
        block_.may_have_marks = true;
        if (!payloads_.Byte(&op.mark_info) || !payloads_.Uleb(&op.mark_length) ||
            !payloads_.Uleb(&op.mark_key) || op.mark_key >= block_.keys.size()) {
          return Fail("malformed mark");
        }
        if (uint64_t{op.mark_length} + static_cast<uint32_t>(op.prop) > INT32_MAX) {
          return Fail("mark out of range");
        }
        return TakeValue(op) && IsSingle(op);
      case OpTag::kNull:
        op.kind = OpKind::kTextMarkEnd;
        block_.may_have_marks = true;
        return IsSingle(op);
      default:
        return Fail("text op of an unknown kind");
    }
  }

  bool ReadList(Op& op, OpTag tag) {
    if (op.prop < 0) return Fail("negative position");
    if (tag == OpTag::kDeleteSpan) return ReadDelete(op);
    if (tag != OpTag::kValue) return Fail("list op of an unknown kind");
    op.kind = OpKind::kListInsert;
    uint8_t value_tag = 0;
    uint64_t count = 0;
    if (!payloads_.Byte(&value_tag) || value_tag != kListValueTag || !payloads_.Uleb(&count)) {
      return Fail("list insert without a list");
    }
    if (count != op.length) return Fail("wrong length of list insert");
    const BytesView start = payloads_.rest();
    for (; count > 0; --count) {
      if (!SkipOpValue(payloads_, block_.keys.size())) return Fail("malformed item");
    }
    op.payload = start.substr(0, start.size() - payloads_.remaining());
    return true;
  }

  bool ReadMovableList(Op& op, OpTag tag) {
    switch (tag) {
      case OpTag::kListMove:
        op.kind = OpKind::kMove;
        if (op.prop < 0 || !payloads_.Uleb(&op.from) || op.from > INT32_MAX) {
          return Fail("malformed move");
        }
        return ReadElement(op) && IsSingle(op);
      case OpTag::kListSet:
        op.kind = OpKind::kSet;
        return ReadElement(op) && TakeValue(op) && IsSingle(op);
      default:
        return ReadList(op, tag);
    }
  }

  bool ReadMap(Op& op, OpTag tag) {
    if (op.prop < 0 || static_cast<size_t>(op.prop) >= block_.keys.size()) {
      return Fail("map key out of range");
    }
    switch (tag) {
      case OpTag::kValue:
        op.kind = OpKind::kMapSet;
        return TakeValue(op) && IsSingle(op);
      case OpTag::kDeleteOnce:
        op.kind = OpKind::kMapDelete;
        return IsSingle(op);
      default:
        return Fail("map op of an unknown kind");
    }
  }

  bool ReadTree(Op& op, OpTag tag) {
    if (tag != OpTag::kTreeMove) return Fail("tree op of an unknown kind");
    op.kind = OpKind::kTreeMove;
    uint8_t is_parent_null = 0;
    if (!ReadId(&op.target) || !payloads_.Uleb(&op.position) || !payloads_.Byte(&is_parent_null)) {
      return Fail("malformed tree move");
    }
    if (op.target == kDeletedTreeRoot) return Fail("move of the deleted root");
    if (is_parent_null == 0) {
      Id parent;
      if (!ReadId(&parent)) return Fail("malformed parent");
      op.parent = parent;
      op.parent_kind = op.parent == kDeletedTreeRoot ? TreeParent::kDeleted : TreeParent::kNode;
      // No Loro writes it, and loro-crdt stops when it merges it with concurrent ops.
      if (op.parent == op.target) return Fail("a tree node below itself");
    }
    // A delete's position is a placeholder.
    if (op.parent_kind == TreeParent::kDeleted) {
      op.position = 0;
    } else if (op.position >= block_.positions.size()) {
      return Fail("tree position out of range");
    }
    return IsSingle(op);
  }

  bool ReadCounter(Op& op, OpTag tag) {
    op.kind = OpKind::kCounterAdd;
    const BytesView start = payloads_.rest();
    if (tag == OpTag::kI64) {
      int64_t delta = 0;
      if (!payloads_.Sleb(&delta)) return Fail("malformed counter");
      op.delta = static_cast<double>(delta);
    } else if (tag == OpTag::kF64) {
      BytesView bytes;
      if (!payloads_.Take(sizeof(double), &bytes)) return Fail("malformed counter");
      uint64_t bits = 0;
      for (const char byte : bytes) bits = (bits << 8) | static_cast<uint8_t>(byte);
      op.delta = std::bit_cast<double>(bits);
    } else {
      return Fail("counter op of an unknown kind");
    }
    op.payload = start.substr(0, start.size() - payloads_.remaining());
    return IsSingle(op);
  }

  /// An op of a container that is not known: only the payload's end matters.
  bool ReadUnknown(Op& op, OpTag tag) {
    op.kind = OpKind::kUnknown;
    const BytesView start = payloads_.rest();
    if (!SkipUnknown(tag)) return Fail("malformed payload of unknown kind");
    op.payload = start.substr(0, start.size() - payloads_.remaining());
    return IsSingle(op);
  }

  bool SkipUnknown(OpTag tag) {
    const size_t key_count = block_.keys.size();
    int64_t integer = 0;
    uint64_t number = 0;
    uint8_t byte = 0;
    BytesView bytes;
    switch (tag) {
      case OpTag::kNull:
      case OpTag::kTrue:
      case OpTag::kFalse:
      case OpTag::kDeleteOnce:
      case OpTag::kDeleteSpan:
        return true;
      case OpTag::kI64:
        return payloads_.Sleb(&integer);
      case OpTag::kDeltaInt:
        return payloads_.Sleb(&integer) && integer >= INT32_MIN && integer <= INT32_MAX;
      case OpTag::kF64:
        return payloads_.Skip(sizeof(double));
      case OpTag::kString:
        return payloads_.LengthPrefixed(&bytes) && IsUtf8(bytes);
      case OpTag::kContainerIndex:
        return payloads_.Uleb(&number);
      case OpTag::kValue:
        return SkipOpValue(payloads_, key_count);
      case OpTag::kMarkStart:
        return payloads_.Byte(&byte) && payloads_.Uleb(&number) && payloads_.Uleb(&number) &&
               number < key_count && SkipOpValue(payloads_, key_count);
      case OpTag::kOldTreeMove:
        return payloads_.Uleb(&number) && payloads_.Byte(&byte) && payloads_.Uleb(&number) &&
               (byte != 0 || payloads_.Uleb(&number));
      case OpTag::kListMove:
        return payloads_.Uleb(&number) && payloads_.Uleb(&number) && payloads_.Uleb(&number);
      case OpTag::kListSet:
        return payloads_.Uleb(&number) && payloads_.Uleb(&number) &&
               SkipOpValue(payloads_, key_count);
      case OpTag::kTreeMove:
        return payloads_.Uleb(&number) && payloads_.Uleb(&number) && payloads_.Uleb(&number) &&
               payloads_.Byte(&byte) &&
               (byte != 0 || (payloads_.Uleb(&number) && payloads_.Uleb(&number)));
      case OpTag::kBinary:
        break;
    }
    return payloads_.LengthPrefixed(&bytes);
  }

  bool ReadDelete(Op& op) {
    op.kind = OpKind::kDelete;
    uint64_t peer = 0;
    int64_t length = 0;
    if (!delete_peers_.Next(&peer) || !delete_counters_.Next(&op.target.counter) ||
        !delete_lengths_.Next(&length)) {
      return Fail("malformed delete span");
    }
    if (peer >= block_.peers.size()) return Fail("peer of a delete out of range");
    op.target.peer = block_.peers[static_cast<size_t>(peer)];
    if (length > INT32_MAX || length < -INT32_MAX ||
        static_cast<uint64_t>(length < 0 ? -length : length) != op.length) {
      return Fail("wrong length of delete");
    }
    op.signed_length = static_cast<int32_t>(length);
    const int64_t last_target = int64_t{op.target.counter} + op.length - 1;
    const int64_t first_position = length < 0 ? op.prop + length + 1 : op.prop;
    if (op.target.counter < 0 || last_target > INT32_MAX || first_position < 0) {
      return Fail("delete out of range");
    }
    return true;
  }

  bool ReadElement(Op& op) {
    uint64_t peer = 0;
    Lamport lamport = 0;
    if (!payloads_.Uleb(&peer) || peer >= block_.peers.size() || !payloads_.Uleb(&lamport)) {
      return Fail("malformed element");
    }
    op.element = {lamport, block_.peers[static_cast<size_t>(peer)]};
    return true;
  }

  bool ReadId(Id* id) {
    uint64_t peer = 0;
    if (!payloads_.Uleb(&peer) || peer >= block_.peers.size()) return false;
    id->peer = block_.peers[static_cast<size_t>(peer)];
    return payloads_.Uleb(&id->counter);
  }

  bool TakeValue(Op& op) {
    const BytesView start = payloads_.rest();
    if (!SkipOpValue(payloads_, block_.keys.size())) return Fail("malformed value");
    op.payload = start.substr(0, start.size() - payloads_.remaining());
    return true;
  }

  bool IsSingle(const Op& op) { return op.length == 1 || Fail("op that cannot be a run is one"); }

  ChangeBlock& block_;
  DeltaRleDecoder<uint32_t> containers_;
  DeltaRleDecoder<int32_t> props_;
  AnyRleDecoder<uint8_t> tags_;
  AnyRleDecoder<uint32_t> lengths_;
  DeltaRleDecoder<uint64_t> delete_peers_;
  DeltaRleDecoder<int32_t> delete_counters_;
  DeltaRleDecoder<int64_t> delete_lengths_;
  Cursor payloads_;
  std::string what_;
};

}  // namespace

Result<ChangeBlock> DecodeChangeBlock(BytesView bytes) {
  MERROW_ASSIGN(const Sections sections, ReadSections(bytes));
  ChangeBlock block;
  MERROW_TRY(ReadHeader(sections, &block.peers, &block.changes));
  block.peer = block.peers[0];
  Cursor meta(sections.meta);
  MERROW_TRY(ReadTimestamps(meta, &block.changes));
  MERROW_TRY(ReadMessages(meta, &block.changes));
  MERROW_TRY(ReadKeys(sections.keys, &block.keys));
  MERROW_TRY(ReadContainers(sections.containers, kNamesPerKey * sections.keys.size(), &block));
  MERROW_TRY(ReadPositions(sections.positions, &block.positions));
  MERROW_TRY(OpsReader(&block).Run(sections));
  return block;
}

Result<ChangeBlockHeader> DecodeChangeBlockHeader(BytesView bytes) {
  MERROW_ASSIGN(const Sections sections, ReadSections(bytes));
  ChangeBlockHeader header;
  std::vector<PeerId> peers;
  MERROW_TRY(ReadHeader(sections, &peers, &header.changes));
  Cursor meta(sections.meta);
  MERROW_TRY(ReadTimestamps(meta, &header.changes));
  header.peer = peers[0];
  header.counter = header.changes.front().counter;
  header.end = header.changes.back().end();
  return header;
}

Result<Value> OpValue(const ChangeBlock& block, const Op& op) {
  ByteReader reader(op.payload);
  MERROW_ASSIGN(Value value, ReadWholeOpValue(reader, block.keys, {block.peer, op.counter}));
  MERROW_TRY(reader.ExpectEnd());
  return value;
}

Result<std::vector<Value>> OpValues(const ChangeBlock& block, const Op& op) {
  std::vector<Value> values;
  values.reserve(op.length);
  ByteReader reader(op.payload);
  for (uint32_t i = 0; i < op.length; ++i) {
    const Id id = {block.peer, op.counter + static_cast<Counter>(i)};
    MERROW_ASSIGN(Value value, ReadOpValue(reader, block.keys, id));
    values.push_back(std::move(value));
  }
  MERROW_TRY(reader.ExpectEnd());
  return values;
}

}  // namespace merrow::loro
