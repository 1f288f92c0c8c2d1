// SPDX-License-Identifier: Apache-2.0
//
// Encoding of change blocks (layout: change_block.cc).
//
// What Loro registers after all ops (names and peers of containers, peers of dependencies) and what
// depends on all ops (tree positions are sorted) is settled here, in copies, so that the builder
// can go on.

#include "loro/change_block_encoder.h"

#include "loro/columns.h"
#include "loro/op_tag.h"

namespace merrow::loro {
namespace {

void AppendPeers(ByteWriter& writer, const std::vector<PeerId>& peers) {
  writer.Uleb(peers.size());
  for (const PeerId peer : peers) writer.U64Le(peer);
}

/// A section that is a struct of one field, a vector in columns.
Bytes EncodeVectorSection(std::span<const Bytes> columns) {
  ByteWriter writer;
  writer.Uleb(1);
  WriteColumns(writer, columns);
  return writer.Release();
}

struct EncodedOps {
  Bytes columns;
  Bytes deletes;
  Bytes payloads;
};

uint32_t IndexOf(const InternedPeers& table, PeerId value) { return table.Find(value).value(); }

/// Writes an op's payload behind what is there.
void EncodePayload(const ChangeBlockParts& parts, const ChangeBlockParts::BuiltOp& built,
                   const std::vector<uint32_t>& position_ranks, ByteWriter& out) {
  const Op& op = built.op;
  const BytesView payload = parts.Payload(built);
  switch (op.kind) {
    case OpKind::kTextInsert:
      out.LengthPrefixed(payload);
      break;
    case OpKind::kListInsert:
      out.U8(kListValueTag);
      out.Uleb(op.length);
      out.Append(payload);
      break;
    case OpKind::kTextMarkStart:
      out.U8(op.mark_info);
      out.Uleb(op.mark_length);
      out.Uleb(op.mark_key);
      out.Append(payload);
      break;
    case OpKind::kMove:
      out.Uleb(op.from);
      [[fallthrough]];
    case OpKind::kSet:
      out.Uleb(IndexOf(parts.peers, op.element.peer));
      out.Uleb(op.element.lamport);
      out.Append(payload);
      break;
    case OpKind::kTreeMove: {
      const bool is_delete = op.parent_kind == TreeParent::kDeleted;
      out.Uleb(IndexOf(parts.peers, op.target.peer));
      out.Uleb(static_cast<uint32_t>(op.target.counter));
      out.Uleb(is_delete ? 0 : position_ranks[op.position]);
      out.U8(op.parent_kind == TreeParent::kRoot ? 1 : 0);
      if (op.parent_kind != TreeParent::kRoot) {
        out.Uleb(IndexOf(parts.peers, op.parent.peer));
        out.Uleb(static_cast<uint32_t>(op.parent.counter));
      }
      break;
    }
    case OpKind::kMapSet:
    case OpKind::kCounterAdd:
    case OpKind::kUnknown:
      out.Append(payload);
      break;
    case OpKind::kTextMarkEnd:
    case OpKind::kDelete:
    case OpKind::kMapDelete:
      break;
  }
}

EncodedOps EncodeOps(const ChangeBlockParts& parts, const std::vector<uint32_t>& position_ranks) {
  DeltaRleEncoder<uint32_t> container_column;
  DeltaRleEncoder<int32_t> prop_column;
  AnyRleEncoder<uint8_t> tag_column;
  AnyRleEncoder<uint32_t> length_column;
  DeltaRleEncoder<uint64_t> delete_peers;
  DeltaRleEncoder<int32_t> delete_counters;
  DeltaRleEncoder<int64_t> delete_lengths;
  ByteWriter payloads;
  bool has_deletes = false;
  for (const ChangeBlockParts::BuiltOp& built : parts.ops) {
    const Op& op = built.op;
    container_column.Append(op.container);
    prop_column.Append(op.prop);
    tag_column.Append(op.raw_tag);
    length_column.Append(op.length);
    if (op.kind == OpKind::kDelete) {
      has_deletes = true;
      delete_peers.Append(IndexOf(parts.peers, op.target.peer));
      delete_counters.Append(op.target.counter);
      delete_lengths.Append(op.signed_length);
    }
    EncodePayload(parts, built, position_ranks, payloads);
  }
  const Bytes columns[] = {container_column.Finish(), prop_column.Finish(), tag_column.Finish(),
                           length_column.Finish()};
  EncodedOps encoded;
  encoded.columns = EncodeVectorSection(columns);
  if (has_deletes) {
    const Bytes delete_columns[] = {delete_peers.Finish(), delete_counters.Finish(),
                                    delete_lengths.Finish()};
    encoded.deletes = EncodeVectorSection(delete_columns);
  }
  encoded.payloads = payloads.Release();
  return encoded;
}

/// Gives the section, and each position's index in it.
Bytes EncodePositions(const ChangeBlockParts& parts, std::vector<uint32_t>* ranks) {
  const std::vector<Bytes>& values = parts.positions.values();
  if (values.empty()) return {};
  std::vector<uint32_t> order(values.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  // char_traits<char> compares as unsigned bytes, which is the order wanted.
  std::sort(order.begin(), order.end(),
            [&values](uint32_t a, uint32_t b) { return values[a] < values[b]; });
  ranks->resize(values.size());
  AnyRleEncoder<uint64_t> prefixes;
  ByteWriter rests;
  rests.Uleb(values.size());
  BytesView previous;
  for (uint32_t rank = 0; rank < order.size(); ++rank) {
    const BytesView position = values[order[rank]];
    (*ranks)[order[rank]] = rank;
    const auto prefix = static_cast<size_t>(
        std::mismatch(previous.begin(), previous.end(), position.begin(), position.end()).first -
        previous.begin());
    prefixes.Append(prefix);
    rests.LengthPrefixed(position.substr(prefix));
    previous = position;
  }
  const Bytes columns[] = {prefixes.Finish(), rests.Release()};
  return EncodeVectorSection(columns);
}

Bytes EncodeContainers(const ChangeBlockParts& parts, InternedPeers& all_peers,
                       InternedKeys& all_keys) {
  ByteWriter writer;
  writer.Uleb(parts.containers.values().size());
  for (const ContainerId& id : parts.containers.values()) {
    writer.Uleb(4);  // fields of a row
    writer.U8(id.is_root() ? 1 : 0);
    writer.U8(static_cast<uint8_t>(id.kind()));
    writer.Uleb(id.is_root() ? 0 : all_peers.Intern(id.op().peer));
    writer.Zigzag(id.is_root() ? int64_t{all_keys.Intern(id.name())} : id.op().counter);
  }
  return writer.Release();
}

Bytes EncodeHeader(const ChangeBlockParts& parts, InternedPeers& all_peers) {
  ByteWriter lengths;
  BoolRleEncoder on_self;
  AnyRleEncoder<uint64_t> dep_counts;
  AnyRleEncoder<uint32_t> dep_peers;
  DeltaOfDeltaEncoder dep_counters;
  DeltaOfDeltaEncoder lamports;
  for (const ChangeBlockParts::BuiltChange& built : parts.changes) {
    const Change& change = built.change;
    if (&built != &parts.changes.back()) {
      lengths.Uleb(change.length);
      lamports.Append(change.lamport);
    }
    bool depends_on_self = false;
    for (const Id& dep : change.deps) {
      if (dep.peer == parts.peer) {
        depends_on_self = true;
      } else {
        dep_peers.Append(all_peers.Intern(dep.peer));
        dep_counters.Append(dep.counter);
      }
    }
    on_self.Append(depends_on_self);
    dep_counts.Append(change.deps.size() - (depends_on_self ? 1 : 0));
  }
  ByteWriter writer;
  AppendPeers(writer, all_peers.values());
  writer.Append(lengths.bytes());
  writer.Append(on_self.Finish());
  writer.Append(dep_counts.Finish());
  writer.Append(dep_peers.Finish());
  writer.Append(dep_counters.Finish());
  writer.Append(lamports.Finish());
  return writer.Release();
}

Bytes EncodeMeta(const ChangeBlockParts& parts) {
  DeltaOfDeltaEncoder timestamps;
  AnyRleEncoder<uint32_t> message_lengths;
  Bytes messages;
  for (const ChangeBlockParts::BuiltChange& built : parts.changes) {
    timestamps.Append(built.change.timestamp);
    message_lengths.Append(static_cast<uint32_t>(built.message.size()));
    messages += built.message;
  }
  return timestamps.Finish() + message_lengths.Finish() + messages;
}

Bytes EncodeKeys(const InternedKeys& all_keys) {
  ByteWriter writer;
  for (const std::string& key : all_keys.values()) writer.LengthPrefixed(key);
  return writer.Release();
}

}  // namespace

Bytes EncodeChangeBlock(const ChangeBlockParts& parts) {
  std::vector<uint32_t> position_ranks;
  const Bytes encoded_positions = EncodePositions(parts, &position_ranks);
  const EncodedOps encoded_ops = EncodeOps(parts, position_ranks);
  InternedPeers all_peers = parts.peers;
  InternedKeys all_keys = parts.keys;
  const Bytes encoded_containers = EncodeContainers(parts, all_peers, all_keys);
  const Bytes header = EncodeHeader(parts, all_peers);

  const Change& first = parts.changes.front().change;
  const Change& last = parts.changes.back().change;
  ByteWriter writer;
  writer.Uleb(static_cast<uint32_t>(first.counter));
  writer.Uleb(static_cast<uint32_t>(last.end() - first.counter));
  writer.Uleb(first.lamport);
  writer.Uleb(last.lamport + last.length - first.lamport);
  writer.Uleb(parts.changes.size());
  writer.LengthPrefixed(header);
  writer.LengthPrefixed(EncodeMeta(parts));
  writer.LengthPrefixed(encoded_containers);
  writer.LengthPrefixed(EncodeKeys(all_keys));
  writer.LengthPrefixed(encoded_positions);
  writer.LengthPrefixed(encoded_ops.columns);
  writer.LengthPrefixed(encoded_ops.deletes);
  writer.LengthPrefixed(encoded_ops.payloads);
  return writer.Release();
}

}  // namespace merrow::loro
