// SPDX-License-Identifier: Apache-2.0
//
// Writing of JSON updates.
//
// Peers are written as indexes into a table that stands in front and is complete only at the end,
// so the changes are written to a text of their own. Blocks are decoded one at a time as changes
// come up in the order of their lamports, and let go after their last change.

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "loro/columns.h"
#include "loro/json_updates.h"
#include "loro/json_writer.h"
#include "loro/op_slice.h"
#include "loro/op_tag.h"
#include "loro/utf8.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// Doubles read back as doubles: whole ones have a point. JSON has no NaN and no infinities.
void AppendDouble(double number, std::string* out) {
  const size_t start = out->size();
  if (number == 0 && std::signbit(number)) {
    *out += "-0.0";
    return;
  }
  AppendJsonNumber(number, out);
  if (std::isfinite(number) && out->find_first_of(".e", start) == std::string::npos) *out += ".0";
}

double DoubleBe(BytesView bytes) {
  uint64_t bits = 0;
  for (const char byte : bytes) bits = (bits << 8) | static_cast<uint8_t>(byte);
  return std::bit_cast<double>(bits);
}

void AppendByteArray(BytesView bytes, std::string* out) {
  out->push_back('[');
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out->push_back(',');
    *out += std::to_string(static_cast<uint8_t>(bytes[i]));
  }
  out->push_back(']');
}

class Peers {
 public:
  const std::vector<PeerId>& table() const { return table_; }

  std::string Text(const Id& id) {
    return std::to_string(id.counter) + "@" + std::to_string(Index(id.peer));
  }
  std::string Text(const IdLp& id) {
    return "L" + std::to_string(id.lamport) + "@" + std::to_string(Index(id.peer));
  }
  std::string Text(const ContainerId& id) {
    if (id.is_root()) return id.ToString();
    return "cid:" + Text(id.op()) + ":" + ContainerKindName(id.kind());
  }

 private:
  size_t Index(PeerId peer) {
    const auto [found, is_new] = indexes_.try_emplace(peer, table_.size());
    if (is_new) table_.push_back(peer);
    return found->second;
  }

  std::vector<PeerId> table_;
  std::unordered_map<PeerId, size_t> indexes_;
};

// Values of op payloads, which were validated when their block was admitted.
class OpValueWriter {
 public:
  OpValueWriter(const ChangeBlock& block, Peers& peers, std::string* out)
      : block_(block), peers_(peers), out_(out) {}

  // The value at the cursor; `id` names the container that it creates, if it is one. If the value
  // is an op's whole one and a list, its items have ids of their own. Recursion is bounded by
  // kValueDepthMax, which decoding enforces.
  void Append(Cursor& cursor, Id id, bool is_whole, int depth = 0) {
    MERROW_CHECK(depth <= kValueDepthMax);
    uint8_t tag = 0;
    MERROW_CHECK(cursor.Byte(&tag));
    BytesView bytes;
    switch (tag) {
      case 0:
        *out_ += "null";
        return;
      case 1:
        *out_ += "true";
        return;
      case 2:
        *out_ += "false";
        return;
      case 3: {
        int64_t number = 0;
        MERROW_CHECK(cursor.Sleb(&number));
        *out_ += std::to_string(number);
        return;
      }
      case 4:
        MERROW_CHECK(cursor.Take(sizeof(double), &bytes));
        AppendDouble(DoubleBe(bytes), out_);
        return;
      case 5:
        MERROW_CHECK(cursor.LengthPrefixed(&bytes));
        AppendJsonString(bytes, out_);
        return;
      case 6:
        MERROW_CHECK(cursor.LengthPrefixed(&bytes));
        AppendByteArray(bytes, out_);
        return;
      case 7:
        return AppendList(cursor, id, is_whole, depth);
      case 8:
        return AppendMap(cursor, id, depth);
      default:
        MERROW_CHECK(tag == 9 && cursor.Byte(&tag));
        AppendJsonString(std::string(kJsonContainerPrefix) +
                             peers_.Text(ContainerId::Normal(id, static_cast<ContainerKind>(tag))),
                         out_);
    }
  }

 private:
  void AppendList(Cursor& cursor, Id id, bool has_item_ids, int depth) {
    uint64_t count = 0;
    MERROW_CHECK(cursor.Uleb(&count));
    out_->push_back('[');
    for (uint64_t i = 0; i < count; ++i) {
      if (i > 0) out_->push_back(',');
      Append(cursor, has_item_ids ? id.Plus(static_cast<Counter>(i)) : id, false, depth + 1);
    }
    out_->push_back(']');
  }

  void AppendMap(Cursor& cursor, Id id, int depth) {
    uint64_t count = 0;
    MERROW_CHECK(cursor.Uleb(&count));
    out_->push_back('{');
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t key = 0;
      MERROW_CHECK(cursor.Uleb(&key));
      if (i > 0) out_->push_back(',');
      AppendJsonString(block_.keys.at(static_cast<size_t>(key)), out_);
      out_->push_back(':');
      Append(cursor, id, false, depth + 1);
    }
    out_->push_back('}');
  }

  const ChangeBlock& block_;
  Peers& peers_;
  std::string* const out_;
};

class OpWriter {
 public:
  OpWriter(Peers& peers, std::string* out) : peers_(peers), out_(out) {}

  void Append(const OpSlice& slice) {
    *out_ += "{\"container\":";
    AppendJsonString(peers_.Text(slice.container()), out_);
    *out_ += ",\"content\":{";
    AppendContent(slice);
    *out_ += "},\"counter\":" + std::to_string(slice.id().counter) + "}";
  }

 private:
  void AppendContent(const OpSlice& slice) {
    const ChangeBlock& block = *slice.block;
    const Op& op = *slice.op;
    switch (op.kind) {
      case OpKind::kTextInsert:
        Type("insert");
        Number("pos", slice.position());
        return String("text", SliceScalars(op.payload, slice.skip, slice.length));
      case OpKind::kTextMarkStart:
        Type("mark");
        Number("start", op.prop);
        Number("end", int64_t{op.prop} + op.mark_length);
        String("style_key", block.keys[op.mark_key]);
        Value("style_value", slice, op.payload);
        return Number("info", op.mark_info);
      case OpKind::kTextMarkEnd:
        return Type("mark_end");
      case OpKind::kListInsert:
        Type("insert");
        Number("pos", slice.position());
        return Items(slice);
      case OpKind::kDelete:
        return Delete(slice);
      case OpKind::kMapSet:
        Type("insert");
        String("key", block.keys[static_cast<size_t>(op.prop)]);
        return Value("value", slice, op.payload);
      case OpKind::kMapDelete:
        Type("delete");
        return String("key", block.keys[static_cast<size_t>(op.prop)]);
      case OpKind::kMove:
        Type("move");
        Number("from", op.from);
        Number("to", op.prop);
        return String("elem_id", peers_.Text(op.element));
      case OpKind::kSet:
        Type("set");
        String("elem_id", peers_.Text(op.element));
        return Value("value", slice, op.payload);
      case OpKind::kTreeMove:
        return TreeMove(slice);
      case OpKind::kCounterAdd:
        Type("counter");
        String("value_type", "f64");
        Name("value");
        AppendDouble(op.delta, out_);
        return Number("prop", 0);
      case OpKind::kUnknown:
        Type("unknown");
        Number("prop", op.prop);
        return Unknown(slice);
    }
  }

  void Delete(const OpSlice& slice) {
    const Op& op = *slice.op;
    const bool is_backward = op.signed_length < 0;
    const uint32_t behind = op.length - slice.skip - slice.length;
    Type("delete");
    Number("pos", slice.position());
    Number("len", is_backward ? -int64_t{slice.length} : int64_t{slice.length});
    String("start_id",
           peers_.Text(op.target.Plus(static_cast<Counter>(is_backward ? behind : slice.skip))));
  }

  void TreeMove(const OpSlice& slice) {
    const Op& op = *slice.op;
    if (op.parent_kind == TreeParent::kDeleted) {
      Type("delete");
      return String("target", peers_.Text(op.target));
    }
    Type(op.target == slice.id() ? "create" : "move");
    String("target", peers_.Text(op.target));
    if (op.parent_kind == TreeParent::kNode) {
      String("parent", peers_.Text(op.parent));
    } else {
      Name("parent");
      *out_ += "null";
    }
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string position;
    for (const char c : slice.block->positions[op.position]) {
      position.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
      position.push_back(kHex[static_cast<uint8_t>(c) & 15]);
    }
    String("fractional_index", position);
  }

  void Items(const OpSlice& slice) {
    Cursor cursor(slice.op->payload);
    for (uint32_t i = 0; i < slice.skip; ++i) {
      MERROW_CHECK(SkipOpValue(cursor, slice.block->keys.size()));
    }
    Name("value");
    out_->push_back('[');
    for (uint32_t i = 0; i < slice.length; ++i) {
      if (i > 0) out_->push_back(',');
      OpValueWriter(*slice.block, peers_, out_)
          .Append(cursor, slice.id().Plus(static_cast<Counter>(i)), false);
    }
    out_->push_back(']');
  }

  // What the payload of an op of an unknown container is made of. The names are Loro's; references
  // to peers and positions are numbers to it, too.
  void Unknown(const OpSlice& slice) {
    Cursor cursor(slice.op->payload);
    const uint8_t raw_tag = slice.op->raw_tag & static_cast<uint8_t>(~kOpTagFutureFlag);
    BytesView bytes;
    if (raw_tag > kOpTagKnownMax) {
      MERROW_CHECK(cursor.LengthPrefixed(&bytes));
      String("value_type", "Unknown");
      Open("value");
      Number("kind", raw_tag);
      Name("data");
      AppendByteArray(bytes, out_);
      return Close();
    }
    switch (static_cast<OpTag>(raw_tag)) {
      case OpTag::kNull:
        return String("value_type", "null");
      case OpTag::kTrue:
        return String("value_type", "true");
      case OpTag::kFalse:
        return String("value_type", "false");
      case OpTag::kDeleteOnce:
        return String("value_type", "delete_once");
      case OpTag::kDeleteSpan:
        return String("value_type", "delete_seq");
      case OpTag::kI64:
        String("value_type", "i64");
        return Number("value", Sleb(cursor));
      case OpTag::kDeltaInt:
        String("value_type", "delta_int");
        return Number("value", Sleb(cursor));
      case OpTag::kContainerIndex:
        String("value_type", "container_idx");
        return Unsigned("value", cursor);
      case OpTag::kF64:
        MERROW_CHECK(cursor.Take(sizeof(double), &bytes));
        String("value_type", "f64");
        Name("value");
        return AppendDouble(DoubleBe(bytes), out_);
      case OpTag::kString:
        MERROW_CHECK(cursor.LengthPrefixed(&bytes));
        String("value_type", "str");
        return String("value", bytes);
      case OpTag::kBinary:
        MERROW_CHECK(cursor.LengthPrefixed(&bytes));
        String("value_type", "binary");
        Name("value");
        return AppendByteArray(bytes, out_);
      case OpTag::kValue:
        String("value_type", "loro_value");
        return Value("value", slice, slice.op->payload);
      case OpTag::kMarkStart: {
        uint8_t info = 0;
        uint64_t key = 0;
        MERROW_CHECK(cursor.Byte(&info));
        String("value_type", "mark_start");
        Open("value");
        Unsigned("len", cursor);
        MERROW_CHECK(cursor.Uleb(&key));
        String("key", slice.block->keys.at(static_cast<size_t>(key)));
        Value("value", slice, cursor.rest());
        Number("info", info);
        return Close();
      }
      case OpTag::kListMove:
        String("value_type", "list_move");
        Open("value");
        Unsigned("from", cursor);
        Unsigned("from_idx", cursor);
        Unsigned("lamport", cursor);
        return Close();
      case OpTag::kListSet:
        String("value_type", "list_set");
        Open("value");
        Unsigned("peer_idx", cursor);
        Unsigned("lamport", cursor);
        Value("value", slice, cursor.rest());
        return Close();
      case OpTag::kOldTreeMove: {
        String("value_type", "tree_move");
        Open("value");
        Unsigned("target_idx", cursor);
        const bool is_parent_null = Flag("is_parent_null", cursor);
        Unsigned("position", cursor);
        is_parent_null ? Number("parent_idx", 0) : Unsigned("parent_idx", cursor);
        return Close();
      }
      case OpTag::kTreeMove: {
        String("value_type", "raw_tree_move");
        Open("value");
        Unsigned("subject_peer_idx", cursor);
        Unsigned("subject_cnt", cursor);
        Unsigned("position_idx", cursor);
        if (Flag("is_parent_null", cursor)) {
          Number("parent_peer_idx", 0);
          Number("parent_cnt", 0);
        } else {
          Unsigned("parent_peer_idx", cursor);
          Unsigned("parent_cnt", cursor);
        }
        return Close();
      }
    }
  }

  static int64_t Sleb(Cursor& cursor) {
    int64_t number = 0;
    MERROW_CHECK(cursor.Sleb(&number));
    return number;
  }

  void Open(std::string_view name) {
    Name(name);
    out_->push_back('{');
  }
  void Close() { out_->push_back('}'); }
  void Name(std::string_view name) {
    if (out_->back() != '{') out_->push_back(',');
    AppendJsonString(name, out_);
    out_->push_back(':');
  }
  void Type(std::string_view type) { String("type", type); }
  void String(std::string_view name, std::string_view value) {
    Name(name);
    AppendJsonString(value, out_);
  }
  void Number(std::string_view name, int64_t value) {
    Name(name);
    *out_ += std::to_string(value);
  }
  void Unsigned(std::string_view name, Cursor& cursor) {
    uint64_t number = 0;
    MERROW_CHECK(cursor.Uleb(&number));
    Name(name);
    *out_ += std::to_string(number);
  }
  bool Flag(std::string_view name, Cursor& cursor) {
    uint8_t flag = 0;
    MERROW_CHECK(cursor.Byte(&flag));
    Name(name);
    *out_ += flag != 0 ? "true" : "false";
    return flag != 0;
  }
  void Value(std::string_view name, const OpSlice& slice, BytesView payload) {
    Name(name);
    Cursor cursor(payload);
    OpValueWriter(*slice.block, peers_, out_).Append(cursor, slice.id(), true);
  }

  Peers& peers_;
  std::string* const out_;
};

// One change to write, or the part of it that is asked for.
struct Entry {
  Lamport lamport;
  PeerId peer;
  Counter counter;
  Counter end;
  size_t block;
  size_t index;  // of the change in the block
};

void AppendChange(const ChangeBlock& block, const Entry& entry, Peers& peers, std::string* out) {
  const Change& change = block.changes[entry.index];
  *out += "{\"id\":\"" + peers.Text(Id{entry.peer, entry.counter}) + "\",\"timestamp\":";
  *out += std::to_string(change.timestamp) + ",\"deps\":[";
  for (const Id& dep : change.deps) {
    if (out->back() != '[') out->push_back(',');
    *out += "\"" + peers.Text(dep) + "\"";
  }
  *out += "],\"lamport\":" + std::to_string(entry.lamport) + ",\"msg\":";
  if (change.message.empty()) {
    *out += "null";
  } else {
    AppendJsonString(change.message, out);
  }
  *out += ",\"ops\":[";
  OpWriter writer(peers, out);
  const Status written = ForEachOpSlice(block, change, entry.counter, entry.end, entry.lamport,
                                        [&](const OpSlice& slice) -> Status {
                                          if (out->back() != '[') out->push_back(',');
                                          writer.Append(slice);
                                          return {};
                                        });
  MERROW_CHECK(written.ok());
  *out += "]}";
}

}  // namespace

void AppendJsonUpdates(const OpLog& log, const VersionVector& from, const VersionVector& to,
                       std::string* out) {
  // Blocks are cut where `from` is, so that their first change starts there.
  std::vector<Bytes> blocks;
  std::vector<Entry> entries;
  log.ForEachBlockSince(from, [&](Id id, BytesView bytes) {
    if (id.counter >= to.End(id.peer)) return;
    const Result<ChangeBlockHeader> header = DecodeChangeBlockHeader(bytes);
    MERROW_CHECK(header.ok());
    for (size_t i = 0; i < header->changes.size(); ++i) {
      const Change& change = header->changes[i];
      const Counter end = std::min(change.end(), to.End(id.peer));
      if (change.counter >= end) break;
      const Id first{id.peer, change.counter};
      // The graph's lamport: a change that came with a smaller one than its dependencies was
      // raised.
      entries.push_back({log.graph().LamportOf(log.graph().LvOf(first).value()), id.peer,
                         change.counter, end, blocks.size(), i});
    }
    blocks.emplace_back(bytes);
  });
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.lamport, a.peer) < std::tie(b.lamport, b.peer);
  });

  std::vector<size_t> left(blocks.size());  // changes to write
  for (const Entry& entry : entries) ++left[entry.block];
  std::vector<std::unique_ptr<const ChangeBlock>> decoded(blocks.size());
  Peers peers;
  std::string changes;
  for (const Entry& entry : entries) {
    std::unique_ptr<const ChangeBlock>& block = decoded[entry.block];
    if (block == nullptr) {
      Result<ChangeBlock> read = DecodeChangeBlock(blocks[entry.block]);
      MERROW_CHECK(read.ok());
      block = std::make_unique<const ChangeBlock>(std::move(read).value());
    }
    if (!changes.empty()) changes.push_back(',');
    AppendChange(*block, entry, peers, &changes);
    if (--left[entry.block] == 0) block.reset();
  }

  *out += "{\"schema_version\":1,\"start_version\":{";
  for (const Id& id : log.graph().FrontiersOf(from)) {
    if (out->back() != '{') out->push_back(',');
    *out += "\"" + std::to_string(id.peer) + "\":" + std::to_string(id.counter);
  }
  *out += "},\"peers\":[";
  for (const PeerId peer : peers.table()) {
    if (out->back() != '[') out->push_back(',');
    *out += "\"" + std::to_string(peer) + "\"";
  }
  *out += "],\"changes\":[" + changes + "]}";
}

}  // namespace merrow::loro
