// SPDX-License-Identifier: Apache-2.0
//
// Reading of JSON updates.
//
// The text becomes a tree of values (json_updates_schema.h). From there each change becomes a
// change block of its own in memory, and what is in sequence of one peer goes into one encoded
// block. The op payloads are written as they stand in blocks; nothing else is made of the values.
//
// Here the schema is checked: that what must be there is, has the right type, and that containers
// and tree nodes are named after the op that creates them. What positions and ids mean is for the
// import of the blob to check, as for every other.

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "loro/json_updates.h"
#include "loro/json_updates_schema.h"
#include "loro/mergeable.h"
#include "loro/op_tag.h"
#include "loro/utf8.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

using Json = nlohmann::json;

// Ops of a change that go into one block at most; a longer change is cut.
constexpr size_t kOpsPerSlice = size_t{1} << 16;

/// Distinct values in the order in which they came.
template <typename T>
class Table {
 public:
  uint32_t Intern(const T& value) {
    const auto [found, is_new] = indexes_.try_emplace(value, static_cast<uint32_t>(values_.size()));
    if (is_new) values_.push_back(value);
    return found->second;
  }
  const std::deque<T>& values() const { return values_; }

 private:
  std::deque<T> values_;  // stay where they are
  std::map<T, uint32_t> indexes_;
};

class Keys final : public KeyInterner {
 public:
  uint32_t Intern(std::string_view key) override { return table_.Intern(std::string(key)); }
  const std::deque<std::string>& values() const { return table_.values(); }

 private:
  Table<std::string> table_;
};

/// Makes a block of one change, of its ops one by one.
class ChangeReader {
 public:
  explicit ChangeReader(const JsonNames& names) : names_(names) {}

  /// Gives a block that refers to this and to `json`.
  Result<const ChangeBlock*> Read(const Json& json) {
    MERROW_ASSIGN(const JsonFields fields, JsonFields::Of(json));
    Change change;
    MERROW_ASSIGN(const std::string* id_text, fields.Text("id"));
    MERROW_ASSIGN(const Id id, names_.ToId(*id_text));
    if (id.peer == kNoPeer)
      return InvalidArgument("peer " + std::to_string(id.peer) + " is reserved");
    block_.peer = id.peer;
    change.counter = id.counter;
    next_ = id.counter;
    MERROW_ASSIGN(change.timestamp, fields.Integer("timestamp", -kTimestampMax, kTimestampMax));
    MERROW_ASSIGN(const int64_t lamport, fields.Integer("lamport", 0, kLamportMax));
    change.lamport = static_cast<Lamport>(lamport);
    MERROW_ASSIGN(change.deps, ReadDeps(fields, id));
    const Json* message = fields.Find("msg");
    if (message != nullptr && !message->is_null()) {
      MERROW_ASSIGN(const std::string* text, fields.Text("msg"));
      change.message = *text;
    }
    MERROW_ASSIGN(const Json* ops, fields.Array("ops"));
    if (ops->empty()) return InvalidArgument("a change has no ops");
    for (size_t i = 0; i < ops->size(); ++i) {
      const Status added = AddOp((*ops)[i]);
      if (!added.ok()) return added.error().Within("ops[" + std::to_string(i) + "]");
    }
    change.length = static_cast<uint32_t>(next_ - id.counter);
    change.op_count = static_cast<uint32_t>(block_.ops.size());
    return Finish(std::move(change));
  }

 private:
  Result<std::vector<Id>> ReadDeps(const JsonFields& fields, Id id) const {
    MERROW_ASSIGN(const Json* json, fields.Array("deps"));
    std::vector<Id> deps;
    for (const Json& item : *json) {
      if (!item.is_string()) return InvalidArgument("a dependency is not a string");
      MERROW_ASSIGN(const Id dep, names_.ToId(item.get_ref<const std::string&>()));
      if (dep.peer == id.peer && dep.counter != id.counter - 1) {
        return InvalidArgument("a change depends on an op of its peer that is not the one before");
      }
      deps.push_back(dep);
    }
    std::sort(deps.begin(), deps.end());
    deps.erase(std::unique(deps.begin(), deps.end()), deps.end());
    return deps;
  }

  Status AddOp(const Json& json) {
    MERROW_ASSIGN(const JsonFields fields, JsonFields::Of(json));
    MERROW_ASSIGN(const std::string* container_text, fields.Text("container"));
    MERROW_ASSIGN(const ContainerId container, names_.ToContainer(*container_text));
    if (container.is_root() && container.name().size() > kRootNameBytesMax) {
      return InvalidArgument("a container's name is longer than " +
                             std::to_string(kRootNameBytesMax) + " bytes");
    }
    MERROW_ASSIGN(const int32_t counter, fields.Position("counter"));
    if (counter != next_) {
      return InvalidArgument("counter " + std::to_string(counter) + " is not " +
                             std::to_string(next_));
    }
    MERROW_ASSIGN(const Json* content_json, fields.Get("content"));
    MERROW_ASSIGN(const JsonFields content, JsonFields::Of(*content_json));
    Op op;
    op.container = containers_.Intern(container);
    op.counter = counter;
    const size_t payload_at = arena_.size();
    const Status read = ReadContent(container, content, &op);
    if (!read.ok()) return read.error().Within("content");
    if (op.length == 0) return InvalidArgument("an op of length 0");
    if (op.length > static_cast<uint32_t>(INT32_MAX - next_)) {
      return InvalidArgument("counters beyond " + std::to_string(INT32_MAX));
    }
    next_ += static_cast<Counter>(op.length);
    payloads_.push_back({payload_at, arena_.size() - payload_at});
    block_.ops.push_back(op);
    return {};
  }

  Result<const ChangeBlock*> Finish(Change change) {
    block_.keys.assign(keys_.values().begin(), keys_.values().end());
    block_.containers.assign(containers_.values().begin(), containers_.values().end());
    block_.positions.assign(positions_.values().begin(), positions_.values().end());
    for (size_t i = 0; i < block_.ops.size(); ++i) {
      if (block_.ops[i].kind == OpKind::kTreeMove) continue;
      block_.ops[i].payload =
          BytesView(arena_.bytes()).substr(payloads_[i].first, payloads_[i].second);
    }
    block_.changes.push_back(std::move(change));
    return &block_;
  }

  // --- Ops, by the kind of their container ---

  Status ReadContent(const ContainerId& container, const JsonFields& content, Op* op) {
    if (container.kind() == ContainerKind::kCounter) return ReadCounter(content, op);
    MERROW_ASSIGN(const std::string* type, content.Text("type"));
    switch (container.kind()) {
      case ContainerKind::kText:
        return ReadText(*type, content, op);
      case ContainerKind::kList:
      case ContainerKind::kMovableList:
        return ReadList(container.kind(), *type, content, op);
      case ContainerKind::kMap:
        return ReadMap(container, *type, content, op);
      case ContainerKind::kTree:
        return ReadTree(*type, content, op);
      default:
        return ReadUnknown(*type, content, op);
    }
  }

  static Error NoSuchOp(const std::string& type) {
    return InvalidArgument("no op \"" + Clip(type) + "\" in a container of this kind");
  }

  static void SetKind(OpKind kind, OpTag tag, Op* op) {
    op->kind = kind;
    op->raw_tag = static_cast<uint8_t>(tag);
  }

  Status ReadText(const std::string& type, const JsonFields& content, Op* op) {
    if (type == "delete") return ReadDelete(content, op);
    if (type == "insert") {
      SetKind(OpKind::kTextInsert, OpTag::kString, op);
      MERROW_ASSIGN(op->prop, content.Position("pos"));
      MERROW_ASSIGN(const std::string* text, content.Text("text"));
      op->length = CountScalars(*text);
      arena_.Append(*text);
      return {};
    }
    if (type == "mark") {
      SetKind(OpKind::kTextMarkStart, OpTag::kMarkStart, op);
      MERROW_ASSIGN(op->prop, content.Position("start"));
      MERROW_ASSIGN(const int32_t end, content.Position("end"));
      if (end < op->prop) return InvalidArgument("a mark ends before it starts");
      op->mark_length = static_cast<uint32_t>(end - op->prop);
      MERROW_ASSIGN(const std::string* key, content.Text("style_key"));
      op->mark_key = keys_.Intern(*key);
      MERROW_ASSIGN(const int64_t info, content.Integer("info", 0, UINT8_MAX));
      op->mark_info = static_cast<uint8_t>(info);
      MERROW_ASSIGN(const Json* value, content.Get("style_value"));
      return WritePlain(*value);
    }
    if (type != "mark_end") return NoSuchOp(type);
    SetKind(OpKind::kTextMarkEnd, OpTag::kNull, op);
    return {};
  }

  Status ReadDelete(const JsonFields& content, Op* op) {
    SetKind(OpKind::kDelete, OpTag::kDeleteSpan, op);
    MERROW_ASSIGN(op->prop, content.Position("pos"));
    MERROW_ASSIGN(const int64_t length, content.Integer("len", -INT32_MAX, INT32_MAX));
    op->signed_length = static_cast<int32_t>(length);
    op->length = static_cast<uint32_t>(length < 0 ? -length : length);
    MERROW_ASSIGN(const std::string* start, content.Text("start_id"));
    MERROW_ASSIGN(op->target, names_.ToId(*start));
    return {};
  }

  Status ReadList(ContainerKind kind, const std::string& type, const JsonFields& content, Op* op) {
    if (type == "delete") return ReadDelete(content, op);
    if (type == "insert") {
      SetKind(OpKind::kListInsert, OpTag::kValue, op);
      MERROW_ASSIGN(op->prop, content.Position("pos"));
      MERROW_ASSIGN(const Json* items, content.Array("value"));
      // Items have counters, for which there must be room before they are used.
      if (items->size() > static_cast<size_t>(INT32_MAX - next_)) {
        return InvalidArgument("counters beyond " + std::to_string(INT32_MAX));
      }
      op->length = static_cast<uint32_t>(items->size());
      for (size_t i = 0; i < items->size(); ++i) {
        MERROW_TRY(WriteValue((*items)[i], IdAt(*op).Plus(static_cast<Counter>(i))));
      }
      return {};
    }
    if (kind != ContainerKind::kMovableList || (type != "move" && type != "set")) {
      return NoSuchOp(type);
    }
    MERROW_ASSIGN(const std::string* element, content.Text("elem_id"));
    MERROW_ASSIGN(op->element, names_.ToElement(*element));
    if (type == "set") {
      SetKind(OpKind::kSet, OpTag::kListSet, op);
      MERROW_ASSIGN(const Json* value, content.Get("value"));
      return WriteValue(*value, IdAt(*op));
    }
    SetKind(OpKind::kMove, OpTag::kListMove, op);
    MERROW_ASSIGN(op->prop, content.Position("to"));
    MERROW_ASSIGN(const int32_t from, content.Position("from"));
    op->from = static_cast<uint32_t>(from);
    return {};
  }

  Status ReadMap(const ContainerId& container, const std::string& type, const JsonFields& content,
                 Op* op) {
    if (type != "insert" && type != "delete") return NoSuchOp(type);
    MERROW_ASSIGN(const std::string* key, content.Text("key"));
    op->prop = static_cast<int32_t>(keys_.Intern(*key));
    if (type == "delete") {
      SetKind(OpKind::kMapDelete, OpTag::kDeleteOnce, op);
      return {};
    }
    SetKind(OpKind::kMapSet, OpTag::kValue, op);
    MERROW_ASSIGN(const Json* value, content.Get("value"));
    const std::optional<Bytes> bytes = BytesOf(*value, kMergeableMarkerBytes);
    if (bytes.has_value() && MergeableShownBy(container, *key, Value(Value::Binary{*bytes}))) {
      WriteOpValue(arena_, Value(Value::Binary{*bytes}), keys_);
      return {};
    }
    return WriteValue(*value, IdAt(*op));
  }

  Status ReadTree(const std::string& type, const JsonFields& content, Op* op) {
    if (type != "create" && type != "move" && type != "delete") return NoSuchOp(type);
    SetKind(OpKind::kTreeMove, OpTag::kTreeMove, op);
    MERROW_ASSIGN(const std::string* target, content.Text("target"));
    MERROW_ASSIGN(op->target, names_.ToId(*target));
    if (type == "delete") {
      op->parent_kind = TreeParent::kDeleted;
      op->parent = kDeletedTreeRoot;
      return {};
    }
    if (type == "create" && op->target != IdAt(*op)) {
      return InvalidArgument("a created node is not named after its op");
    }
    MERROW_ASSIGN(const Json* parent, content.Get("parent"));
    if (!parent->is_null()) {
      MERROW_ASSIGN(const std::string* text, content.Text("parent"));
      op->parent_kind = TreeParent::kNode;
      MERROW_ASSIGN(op->parent, names_.ToId(*text));
    }
    Bytes position("\x80", 1);  // the first of all
    if (content.Find("fractional_index") != nullptr) {
      MERROW_ASSIGN(const std::string* hex, content.Text("fractional_index"));
      Result<Bytes> bytes = FromHex(*hex);
      if (!bytes.ok()) return JsonFields::Wrong("fractional_index", "hexadecimal");
      position = std::move(bytes).value();
    }
    op->position = positions_.Intern(position);
    return {};
  }

  Status ReadCounter(const JsonFields& content, Op* op) {
    MERROW_ASSIGN(const std::string* type, content.Text("value_type"));
    MERROW_ASSIGN(op->delta, content.Number("value"));
    if (*type != "f64" && *type != "i64") return JsonFields::Wrong("value_type", "f64 or i64");
    if (IsIntegerDelta(op->delta)) {
      SetKind(OpKind::kCounterAdd, OpTag::kI64, op);
      arena_.Sleb(static_cast<int64_t>(op->delta));
    } else {
      SetKind(OpKind::kCounterAdd, OpTag::kF64, op);
      arena_.F64Be(op->delta);
    }
    return {};
  }

  // --- Ops of containers of later releases ---

  Status ReadUnknown(const std::string& type, const JsonFields& content, Op* op) {
    if (type != "unknown") return NoSuchOp(type);
    MERROW_ASSIGN(const int64_t prop, content.Integer("prop", INT32_MIN, INT32_MAX));
    op->prop = static_cast<int32_t>(prop);
    MERROW_ASSIGN(const std::string* name, content.Text("value_type"));
    if (*name == "Unknown") return ReadFutureValue(content, op);
    static const std::map<std::string_view, OpTag> kTags = {
        {"null", OpTag::kNull},
        {"true", OpTag::kTrue},
        {"false", OpTag::kFalse},
        {"i64", OpTag::kI64},
        {"f64", OpTag::kF64},
        {"str", OpTag::kString},
        {"binary", OpTag::kBinary},
        {"container_idx", OpTag::kContainerIndex},
        {"delete_once", OpTag::kDeleteOnce},
        {"delete_seq", OpTag::kDeleteSpan},
        {"delta_int", OpTag::kDeltaInt},
        {"loro_value", OpTag::kValue},
        {"mark_start", OpTag::kMarkStart},
        {"tree_move", OpTag::kOldTreeMove},
        {"raw_tree_move", OpTag::kTreeMove},
        {"list_move", OpTag::kListMove},
        {"list_set", OpTag::kListSet},
    };
    const auto tag = kTags.find(*name);
    if (tag == kTags.end()) return JsonFields::Wrong("value_type", "one that is known");
    SetKind(OpKind::kUnknown, tag->second, op);
    return WriteUnknown(tag->second, content, *op);
  }

  // A payload of a kind that is not known either.
  Status ReadFutureValue(const JsonFields& content, Op* op) {
    MERROW_ASSIGN(const Json* json, content.Get("value"));
    MERROW_ASSIGN(const JsonFields value, JsonFields::Of(*json));
    MERROW_ASSIGN(const int64_t tag,
                  value.Integer("kind", kOpTagKnownMax + 1, kOpTagFutureFlag - 1));
    MERROW_ASSIGN(const Json* data, value.Array("data"));
    const std::optional<Bytes> bytes = BytesOf(*data, SIZE_MAX);
    if (!bytes.has_value()) return JsonFields::Wrong("data", "bytes");
    op->kind = OpKind::kUnknown;
    op->raw_tag = static_cast<uint8_t>(tag) | kOpTagFutureFlag;
    arena_.LengthPrefixed(*bytes);
    return {};
  }

  Status WriteUnknown(OpTag tag, const JsonFields& content, const Op& op) {
    switch (tag) {
      case OpTag::kNull:
      case OpTag::kTrue:
      case OpTag::kFalse:
      case OpTag::kDeleteOnce:
      case OpTag::kDeleteSpan:
        return {};
      case OpTag::kI64:
      case OpTag::kDeltaInt: {
        const bool is_wide = tag == OpTag::kI64;
        MERROW_ASSIGN(const int64_t number,
                      content.Integer("value", is_wide ? INT64_MIN : INT32_MIN,
                                      is_wide ? INT64_MAX : INT32_MAX));
        arena_.Sleb(number);
        return {};
      }
      case OpTag::kF64: {
        MERROW_ASSIGN(const double number, content.Number("value"));
        arena_.F64Be(number);
        return {};
      }
      case OpTag::kContainerIndex:
        return WriteUnsigned(content, {"value"});
      case OpTag::kString: {
        MERROW_ASSIGN(const std::string* text, content.Text("value"));
        arena_.LengthPrefixed(*text);
        return {};
      }
      case OpTag::kBinary: {
        MERROW_ASSIGN(const Json* data, content.Array("value"));
        const std::optional<Bytes> bytes = BytesOf(*data, SIZE_MAX);
        if (!bytes.has_value()) return JsonFields::Wrong("value", "bytes");
        arena_.LengthPrefixed(*bytes);
        return {};
      }
      case OpTag::kValue: {
        MERROW_ASSIGN(const Json* value, content.Get("value"));
        return WriteValue(*value, IdAt(op));
      }
      default:
        break;
    }
    MERROW_ASSIGN(const Json* json, content.Get("value"));
    MERROW_ASSIGN(const JsonFields value, JsonFields::Of(*json));
    switch (tag) {
      case OpTag::kMarkStart: {
        MERROW_ASSIGN(const int64_t info, value.Integer("info", 0, UINT8_MAX));
        arena_.U8(static_cast<uint8_t>(info));
        MERROW_TRY(WriteUnsigned(value, {"len"}));
        MERROW_ASSIGN(const std::string* key, value.Text("key"));
        arena_.Uleb(keys_.Intern(*key));
        MERROW_ASSIGN(const Json* mark, value.Get("value"));
        return WritePlain(*mark);
      }
      case OpTag::kListMove:
        return WriteUnsigned(value, {"from", "from_idx", "lamport"});
      case OpTag::kListSet: {
        MERROW_TRY(WriteUnsigned(value, {"peer_idx", "lamport"}));
        MERROW_ASSIGN(const Json* item, value.Get("value"));
        return WriteValue(*item, IdAt(op));
      }
      case OpTag::kOldTreeMove: {
        MERROW_TRY(WriteUnsigned(value, {"target_idx"}));
        MERROW_ASSIGN(const bool is_parent_null, value.Flag("is_parent_null"));
        arena_.U8(is_parent_null ? 1 : 0);
        MERROW_TRY(WriteUnsigned(value, {"position"}));
        return is_parent_null ? Status() : WriteUnsigned(value, {"parent_idx"});
      }
      default: {
        MERROW_TRY(WriteUnsigned(value, {"subject_peer_idx", "subject_cnt", "position_idx"}));
        MERROW_ASSIGN(const bool is_parent_null, value.Flag("is_parent_null"));
        arena_.U8(is_parent_null ? 1 : 0);
        return is_parent_null ? Status() : WriteUnsigned(value, {"parent_peer_idx", "parent_cnt"});
      }
    }
  }

  Status WriteUnsigned(const JsonFields& fields, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      MERROW_ASSIGN(const uint64_t number, fields.Unsigned(name));
      arena_.Uleb(number);
    }
    return {};
  }

  // --- Values ---

  Id IdAt(const Op& op) const { return {block_.peer, op.counter}; }

  /// A value that may be a new container, which is then named `id`.
  Status WriteValue(const Json& json, Id id) {
    if (json.is_string()) {
      std::string_view text = json.get_ref<const std::string&>();
      if (text.starts_with(kJsonContainerPrefix)) {
        text.remove_prefix(kJsonContainerPrefix.size());
        MERROW_ASSIGN(ContainerId container, names_.ToContainer(text));
        if (container.is_root() || container.op() != id) {
          return InvalidArgument("container " + Clip(container.ToString()) +
                                 " is not named after the op that creates it");
        }
        WriteOpValue(arena_, Value(std::move(container)), keys_);
        return {};
      }
    }
    return WritePlain(json);
  }

  /// A value without containers. The depth of the whole text is bounded, and so is this recursion.
  Status WritePlain(const Json& json, int depth = 0) {
    switch (json.type()) {
      case Json::value_t::boolean:
        WriteOpValue(arena_, Value(json.get<bool>()), keys_);
        return {};
      case Json::value_t::number_integer:
        WriteOpValue(arena_, Value(json.get<int64_t>()), keys_);
        return {};
      case Json::value_t::number_unsigned:
        if (json.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) {
          WriteOpValue(arena_, Value(json.get<int64_t>()), keys_);
          return {};
        }
        [[fallthrough]];
      case Json::value_t::number_float:
        WriteOpValue(arena_, Value(json.get<double>()), keys_);
        return {};
      case Json::value_t::string: {
        const auto& text = json.get_ref<const std::string&>();
        if (text.starts_with(kJsonContainerPrefix)) {
          return InvalidArgument("a container where none can be");
        }
        WriteOpValue(arena_, Value(text), keys_);
        return {};
      }
      case Json::value_t::array:
        MERROW_TRY(CheckDepth(depth));
        arena_.U8(kListValueTag);
        arena_.Uleb(json.size());
        for (const Json& item : json) MERROW_TRY(WritePlain(item, depth + 1));
        return {};
      case Json::value_t::object:
        MERROW_TRY(CheckDepth(depth));
        arena_.U8(kMapValueTag);
        arena_.Uleb(json.size());
        for (const auto& [key, item] : json.items()) {
          arena_.Uleb(keys_.Intern(key));
          MERROW_TRY(WritePlain(item, depth + 1));
        }
        return {};
      default:
        WriteOpValue(arena_, Value(), keys_);
        return {};
    }
  }

  static Status CheckDepth(int depth) {
    if (depth < kValueDepthMax) return {};
    return InvalidArgument("a value is nested deeper than " + std::to_string(kValueDepthMax));
  }

  /// An array of numbers that are all bytes, at most `max` of them.
  static std::optional<Bytes> BytesOf(const Json& json, size_t max) {
    if (!json.is_array() || json.size() > max) return std::nullopt;
    Bytes bytes;
    for (const Json& item : json) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > UINT8_MAX) return std::nullopt;
      bytes.push_back(static_cast<char>(item.get<uint8_t>()));
    }
    return bytes;
  }

  const JsonNames& names_;
  ChangeBlock block_;
  Counter next_ = 0;
  Keys keys_;
  Table<ContainerId> containers_;
  Table<Bytes> positions_;
  ByteWriter arena_;
  std::vector<std::pair<size_t, size_t>> payloads_;  // offset and size, by op
};

/// Joins changes that follow each other into blocks.
class BlobWriter {
 public:
  Status Add(const ChangeBlock& block) {
    const Change& change = block.changes[0];
    for (size_t op = 0; op < block.ops.size(); op += kOpsPerSlice) {
      const size_t last = std::min(op + kOpsPerSlice, block.ops.size()) - 1;
      const Counter from = block.ops[op].counter;
      ChangeBlockBuilder& open = OpenFor(block.peer, from);
      const Status added = open.AppendSlice(block, 0, from, block.ops[last].end());
      if (added.ok()) continue;
      // Perhaps there is room in a block of its own.
      Seal(block.peer);
      MERROW_TRY(OpenFor(block.peer, from).AppendSlice(block, 0, from, block.ops[last].end()));
    }
    MERROW_CHECK(block.ops.back().end() == change.end());
    return {};
  }

  Bytes Finish() {
    for (auto& [peer, builder] : open_) {
      if (!builder.empty()) envelope_.AppendBlock(builder.Encode());
    }
    return envelope_.Finish();
  }

 private:
  ChangeBlockBuilder& OpenFor(PeerId peer, Counter counter) {
    const auto found = open_.find(peer);
    if (found != open_.end() && !found->second.empty() &&
        (found->second.end() != counter || found->second.EstimatedBytes() >= kBlockBytesTarget)) {
      Seal(peer);
    }
    return open_.try_emplace(peer, peer).first->second;
  }

  void Seal(PeerId peer) {
    const auto found = open_.find(peer);
    if (!found->second.empty()) envelope_.AppendBlock(found->second.Encode());
    open_.erase(found);
  }

  std::map<PeerId, ChangeBlockBuilder> open_;
  EnvelopeWriter envelope_{EncodeMode::kFastUpdates};
};

// The version that the updates start from: {"peer": counter}. Dependencies say it, too.
Status CheckStart(const JsonFields& fields) {
  MERROW_ASSIGN(const Json* json, fields.Get("start_version"));
  MERROW_ASSIGN(const JsonFields start, JsonFields::Of(*json));
  for (const auto& [peer, counter] : json->items()) {
    MERROW_TRY(ParseJsonNumber<PeerId>(peer, "a peer id"));
    MERROW_TRY(start.Position(peer.c_str()));
  }
  return {};
}

Result<Bytes> Convert(const Json& json) {
  constexpr int64_t kSchemaVersion = 1;
  MERROW_ASSIGN(const JsonFields fields, JsonFields::Of(json));
  MERROW_ASSIGN(const int64_t version, fields.Integer("schema_version", 0, INT64_MAX));
  if (version != kSchemaVersion) {
    return Unsupported("schema version " + std::to_string(version) + ", not " +
                       std::to_string(kSchemaVersion));
  }
  MERROW_TRY(CheckStart(fields));
  MERROW_ASSIGN(const Json* peers, fields.Get("peers"));
  MERROW_ASSIGN(const JsonNames names, JsonNames::Of(*peers));
  MERROW_ASSIGN(const Json* changes, fields.Array("changes"));
  BlobWriter writer;
  for (size_t i = 0; i < changes->size(); ++i) {
    ChangeReader reader(names);
    const Result<const ChangeBlock*> block = reader.Read((*changes)[i]);
    const Status added = block.ok() ? writer.Add(**block) : Status(block.error());
    if (!added.ok()) return added.error().Within("changes[" + std::to_string(i) + "]");
  }
  return writer.Finish();
}

}  // namespace

Result<Bytes> JsonUpdatesToBlob(std::string_view json) {
  const Result<Json> tree = ParseJsonText(json);
  if (!tree.ok()) return tree.error().Within("JSON updates");
  Result<Bytes> blob = Convert(*tree);
  if (!blob.ok()) return blob.error().Within("JSON updates");
  return blob;
}

}  // namespace merrow::loro
