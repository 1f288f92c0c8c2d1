// SPDX-License-Identifier: Apache-2.0
#include "loro/change_block_test_util.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "loro/envelope.h"

namespace merrow::loro {
namespace {

using nlohmann::json;

/// The scalars of `text`, each as its bytes.
std::vector<std::string> Scalars(std::string_view text) {
  std::vector<std::string> scalars;
  for (const char byte : text) {
    if ((static_cast<uint8_t>(byte) & 0xC0) != 0x80) scalars.emplace_back();
    scalars.back().push_back(byte);
  }
  return scalars;
}

json ValueToJson(const Value& value) {
  struct Visitor {
    json operator()(const Value::Null&) const { return nullptr; }
    json operator()(bool v) const { return v; }
    json operator()(int64_t v) const { return v; }
    json operator()(double v) const { return v; }
    json operator()(const std::string& v) const { return v; }
    json operator()(const Value::Binary& v) const { return "binary " + ToHex(v.bytes); }
    json operator()(const Value::List& list) const {
      json items = json::array();
      for (const Value& item : list) items.push_back(item.Visit(*this));
      return items;
    }
    json operator()(const Value::Map& map) const {
      json entries = json::object();
      for (const auto& [key, v] : map) entries[key] = v.Visit(*this);
      return entries;
    }
    // As Loro's JSON export marks ids: a parrot in front.
    json operator()(const ContainerId& id) const { return "\xF0\x9F\xA6\x9C:" + id.ToString(); }
  };
  return value.Visit(Visitor());
}

std::string IdLpToString(IdLp id) {
  return "L" + std::to_string(id.lamport) + "@" + std::to_string(id.peer);
}

json TreeToJson(const ChangeBlock& block, const Op& op) {
  if (op.parent_kind == TreeParent::kDeleted) {
    return {{"type", "delete"}, {"target", ToString(op.target)}};
  }
  std::string position = ToHex(block.positions[op.position]);
  for (char& c : position) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const bool is_create = op.target == Id{block.peer, op.counter};
  return {{"type", is_create ? "create" : "move"},
          {"target", ToString(op.target)},
          {"parent", op.parent_kind == TreeParent::kRoot ? json() : json(ToString(op.parent))},
          {"fractional_index", position}};
}

json ListInsertToJson(const ChangeBlock& block, const Op& op) {
  json values = json::array();
  const std::vector<Value> items = OpValues(block, op).value();
  for (const Value& item : items) values.push_back(ValueToJson(item));
  return {{"type", "insert"}, {"pos", op.prop}, {"value", values}};
}

json OpToJson(const ChangeBlock& block, const Op& op) {
  switch (op.kind) {
    case OpKind::kTextInsert:
      return {{"type", "insert"}, {"pos", op.prop}, {"text", op.payload}};
    case OpKind::kTextMarkStart:
      return {{"type", "mark"},
              {"start", op.prop},
              {"end", op.prop + static_cast<int32_t>(op.mark_length)},
              {"style_key", block.keys[op.mark_key]},
              {"style_value", ValueToJson(OpValue(block, op).value())},
              {"info", op.mark_info}};
    case OpKind::kTextMarkEnd:
      return {{"type", "mark_end"}};
    case OpKind::kListInsert:
      return ListInsertToJson(block, op);
    case OpKind::kDelete:
      return {{"type", "delete"},
              {"pos", op.prop},
              {"len", op.signed_length},
              {"start_id", ToString(op.target)}};
    case OpKind::kMapSet:
      return {{"type", "insert"},
              {"key", block.keys[static_cast<size_t>(op.prop)]},
              {"value", ValueToJson(OpValue(block, op).value())}};
    case OpKind::kMapDelete:
      return {{"type", "delete"}, {"key", block.keys[static_cast<size_t>(op.prop)]}};
    case OpKind::kMove:
      return {{"type", "move"},
              {"from", op.from},
              {"to", op.prop},
              {"elem_id", IdLpToString(op.element)}};
    case OpKind::kSet:
      return {{"type", "set"},
              {"elem_id", IdLpToString(op.element)},
              {"value", ValueToJson(OpValue(block, op).value())}};
    case OpKind::kTreeMove:
      return TreeToJson(block, op);
    case OpKind::kCounterAdd:
      return {{"type", "counter"}, {"value_type", "f64"}, {"value", op.delta}, {"prop", op.prop}};
    case OpKind::kUnknown:
      return {{"type", "unknown"},
              {"tag", op.raw_tag},
              {"prop", op.prop},
              {"payload", ToHex(op.payload)}};
  }
  return {};
}

/// The atom with index `i` of an op that may be a run.
std::string AtomOf(const ChangeBlock& block, const Op& op, uint32_t i) {
  switch (op.kind) {
    case OpKind::kTextInsert:
      return std::to_string(op.prop + static_cast<int32_t>(i)) + " text " + Scalars(op.payload)[i];
    case OpKind::kListInsert:
      return std::to_string(op.prop + static_cast<int32_t>(i)) + " item " +
             ValueToJson(OpValues(block, op).value()[i]).dump();
    case OpKind::kDelete: {
      const bool backward = op.signed_length < 0;
      const auto offset = static_cast<Counter>(backward ? op.length - 1 - i : i);
      return std::to_string(backward ? op.prop - static_cast<int32_t>(i) : op.prop) + " delete " +
             ToString(op.target.Plus(offset));
    }
    default:
      return OpToJson(block, op).dump();
  }
}

bool HasWideMap(const Value& value) {
  if (const auto* list = value.If<Value::List>()) {
    return std::any_of(list->begin(), list->end(), HasWideMap);
  }
  if (const auto* map = value.If<Value::Map>()) {
    return map->size() > 1 || std::any_of(map->begin(), map->end(), [](const auto& entry) {
             return HasWideMap(entry.second);
           });
  }
  return false;
}

/// Values, ids and texts at random; `Chance` picks what to do.
class Random {
 public:
  explicit Random(std::mt19937_64& engine) : engine_(engine) {}

  uint64_t Below(uint64_t bound) { return engine_() % bound; }
  bool Chance(unsigned percent) { return Below(100) < percent; }
  uint32_t Position() { return static_cast<uint32_t>(Chance(90) ? Below(300) : Below(1U << 30)); }

  PeerId Peer() {
    static constexpr PeerId kPeers[] = {1, 2, 0x8000000000000001U, kNoPeer - 1, 12345678901234567};
    return kPeers[Below(std::size(kPeers))];
  }
  Id AnyId() {
    return {Peer(), static_cast<Counter>(Chance(90) ? Below(2000) : Below(1U << 31) / 2)};
  }
  std::string Text(size_t scalars) {
    static constexpr const char* kScalars[] = {"a", "z", "\n", "\u00E9", "\u6F22", "\U0001F600"};
    std::string text;
    for (; scalars > 0; --scalars) text += kScalars[Below(std::size(kScalars))];
    return text;
  }
  std::string Key() { return Chance(80) ? "key" + std::to_string(Below(20)) : Text(Below(4)); }
  ContainerId Container(ContainerKind kind) {
    if (Chance(60)) return ContainerId::Root("root" + std::to_string(Below(3)), kind);
    return ContainerId::Normal(AnyId(), kind);
  }
  /// `id` is the op's, which names containers.
  Value AnyValue(Id id, int depth = 0) {
    switch (Below(depth > 3 ? 7 : 10)) {
      case 0:
        return {};
      case 1:
        return Chance(50);
      case 2:
      case 3:
        return static_cast<int64_t>(engine_()) >> Below(64);
      case 4:
        return std::bit_cast<double>(engine_() & ~(uint64_t{1} << 62));  // finite
      case 5:
        return Text(Below(5));
      case 6:
        return Value::Binary{Text(Below(3)) + '\0' + '\xFF'};
      case 7: {
        Value::List list;
        for (uint64_t n = Below(4); n > 0; --n) list.push_back(AnyValue(id, depth + 1));
        return list;
      }
      case 8: {
        std::map<std::string, Value> sorted;
        for (uint64_t n = Below(4); n > 0; --n) sorted[Key()] = AnyValue(id, depth + 1);
        return Value::Map(sorted.begin(), sorted.end());
      }
      default:
        if (depth > 0) return "no container down here";
        return ContainerId::Normal(id, static_cast<ContainerKind>(Below(6)));
    }
  }

 private:
  std::mt19937_64& engine_;
};

}  // namespace

std::vector<BlockVector> LoadBlockVectors() {
  const auto path = std::filesystem::path(MERROW_VECTORS) / "loro/change_blocks.json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::vector<BlockVector> vectors;
  for (const json& one : json::parse(file)) {
    BlockVector vector{.name = one.at("name"),
                       .canonical = one.at("canonical"),
                       .blob = FromHex(one.at("blob").get<std::string>()).value(),
                       .blocks = {},
                       .changes = one.at("changes")};
    const Status status =
        ForEachBlock(DecodeEnvelope(vector.blob).value().body, [&vector](BytesView block) {
          vector.blocks.emplace_back(block);
          return Status();
        });
    EXPECT_TRUE(status.ok()) << vector.name;
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

ChangeBlock Decoded(BytesView bytes) {
  Result<ChangeBlock> block = DecodeChangeBlock(bytes);
  if (!block.ok()) {
    ADD_FAILURE() << block.error().ToString() << "\n" << ToHex(bytes);
    return {};
  }
  return *std::move(block);
}

json ToJson(const ChangeBlock& block, const Change& change) {
  json deps = json::array();
  for (const Id& dep : change.deps) deps.push_back(ToString(dep));
  json ops = json::array();
  for (uint32_t i = 0; i < change.op_count; ++i) {
    const Op& op = block.ops[change.first_op + i];
    ops.push_back({{"container", block.containers[op.container].ToString()},
                   {"counter", op.counter},
                   {"content", OpToJson(block, op)}});
  }
  return {{"id", ToString(Id{block.peer, change.counter})},
          {"timestamp", change.timestamp},
          {"deps", deps},
          {"lamport", change.lamport},
          {"msg", change.message.empty() ? json() : json(change.message)},
          {"ops", ops}};
}

std::map<Counter, std::string> Atoms(const ChangeBlock& block) {
  std::map<Counter, std::string> atoms;
  for (const Change& change : block.changes) {
    for (uint32_t i = 0; i < change.op_count; ++i) {
      const Op& op = block.ops[change.first_op + i];
      for (uint32_t j = 0; j < op.length; ++j) {
        const auto offset = static_cast<Lamport>(op.counter - change.counter) + j;
        atoms[op.counter + static_cast<Counter>(j)] =
            block.containers[op.container].ToString() + " " + AtomOf(block, op, j) + " lamport " +
            std::to_string(change.lamport + offset) + " at " + std::to_string(change.timestamp) +
            " message " + std::string(change.message);
      }
    }
  }
  return atoms;
}

std::string FirstDifference(const ChangeBlock& a, const ChangeBlock& b) {
  return FirstDifference(Atoms(a), Atoms(b));
}

std::string FirstDifference(const std::map<Counter, std::string>& a,
                            const std::map<Counter, std::string>& b) {
  for (auto x = a.begin(), y = b.begin(); x != a.end() || y != b.end(); ++x, ++y) {
    if (x == a.end()) return "only in the second: " + y->second;
    if (y == b.end()) return "only in the first: " + x->second;
    if (*x != *y) {
      return std::to_string(x->first) + ": " + x->second + "\n" + std::to_string(y->first) + ": " +
             y->second;
    }
  }
  return {};
}

void AddRandomChanges(std::mt19937_64& engine, int change_count, ChangeBlockBuilder* builder) {
  Random random(engine);
  const PeerId peer = builder->View().peer;
  Counter counter = builder->empty() ? static_cast<Counter>(random.Below(2) * random.Below(5000))
                                     : builder->end();
  auto lamport = static_cast<Lamport>(counter);
  int64_t timestamp = random.Chance(50) ? 0 : 1700000000;
  if (!builder->empty()) {
    const ChangeBlock view = builder->View();
    lamport = view.changes.back().lamport + view.changes.back().length;
    timestamp = view.changes.back().timestamp;
  }
  for (; change_count > 0; --change_count) {
    std::map<PeerId, Id> deps;
    if (counter > 0 && random.Chance(80)) deps[peer] = {peer, counter - 1};
    while (random.Chance(25)) {
      const Id id = random.AnyId();
      if (id.peer != peer) deps[id.peer] = id;
    }
    std::vector<Id> dep_ids;
    for (const auto& [unused, id] : deps) dep_ids.push_back(id);
    if (random.Chance(40)) lamport += static_cast<Lamport>(random.Below(100000));
    if (random.Chance(40)) timestamp += static_cast<int64_t>(random.Below(1U << random.Below(31)));
    builder->BeginChange(counter, lamport, dep_ids, timestamp,
                         random.Chance(30) ? random.Text(random.Below(6)) : "");
    // Typing and deleting go on where they were, at times.
    uint32_t at = random.Position();
    Id target = random.AnyId();
    const ContainerId text = random.Container(ContainerKind::kText);
    const ContainerId list =
        random.Container(random.Chance(50) ? ContainerKind::kList : ContainerKind::kMovableList);
    for (uint64_t op_count = 1 + random.Below(8); op_count > 0; --op_count) {
      const Id id = {peer, builder->empty() ? counter : builder->end()};
      if (random.Chance(30)) at = random.Position();
      switch (random.Below(14)) {
        case 0:
        case 1:
        case 2: {
          const auto length = static_cast<uint32_t>(1 + random.Below(4));
          builder->AddTextInsert(text, at, random.Text(length), length);
          at += length;
          break;
        }
        case 3: {
          const auto count = static_cast<uint32_t>(1 + random.Below(3));
          builder->AddDelete(random.Chance(50) ? text : list, at, target, count);
          target.counter += static_cast<Counter>(count);
          break;
        }
        case 4:
          for (uint64_t n = 1 + random.Below(4); n > 0 && at > 0 && target.counter > 0; --n) {
            builder->AddDelete(text, --at, target, 1);
            --target.counter;
          }
          builder->AddMapDelete(random.Container(ContainerKind::kMap), random.Key());
          break;
        case 5:
        case 6: {
          std::vector<Value> values;
          for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
            values.push_back(random.AnyValue(id.Plus(static_cast<Counter>(values.size()))));
          }
          builder->AddListInsert(list, at, values);
          at += static_cast<uint32_t>(values.size());
          break;
        }
        case 7:
        case 8:
          builder->AddMapSet(random.Container(ContainerKind::kMap), random.Key(),
                             random.AnyValue(id));
          break;
        case 9:
          builder->AddCounter(random.Container(ContainerKind::kCounter),
                              random.Chance(50)
                                  ? static_cast<double>(random.Below(1U << 28)) - (1 << 27)
                                  : static_cast<double>(random.Below(1000)) / 7);
          break;
        case 10:
          builder->AddMark(text, at, static_cast<uint32_t>(1 + random.Below(9)), random.Key(),
                           random.AnyValue(id, 1), static_cast<uint8_t>(0x80 | random.Below(8)));
          break;
        case 11:
          builder->AddMove(random.Container(ContainerKind::kMovableList), random.Position(),
                           random.Position(),
                           {static_cast<Lamport>(random.Below(1U << 20)), random.Peer()});
          break;
        case 12:
          builder->AddSet(random.Container(ContainerKind::kMovableList),
                          {static_cast<Lamport>(random.Below(1U << 20)), random.Peer()},
                          random.AnyValue(id));
          break;
        default:
          builder->AddTreeMove(random.Container(ContainerKind::kTree),
                               random.Chance(40) ? id : random.AnyId(),
                               static_cast<TreeParent>(random.Below(3)), random.AnyId(),
                               Bytes(1 + random.Below(3), static_cast<char>(random.Below(256))) +
                                   static_cast<char>(random.Below(256)) + '\x80');
      }
    }
    lamport += static_cast<Lamport>(builder->end() - counter);
    counter = builder->end();
  }
}

bool AddAsLocal(const ChangeBlock& block, const Change& change, ChangeBlockBuilder* builder) {
  bool is_canonical = true;
  const auto checked = [&is_canonical](Value value) {
    is_canonical = is_canonical && !HasWideMap(value);
    return value;
  };
  builder->BeginChange(change.counter, change.lamport, change.deps, change.timestamp,
                       change.message);
  for (uint32_t i = 0; i < change.op_count; ++i) {
    const Op& op = block.ops[change.first_op + i];
    const ContainerId& container = block.containers[op.container];
    const auto at = static_cast<uint32_t>(op.prop);
    switch (op.kind) {
      case OpKind::kTextInsert: {
        const std::vector<std::string> scalars = Scalars(op.payload);
        for (uint32_t j = 0; j < op.length; ++j) {
          builder->AddTextInsert(container, at + j, scalars[j], 1);
        }
        break;
      }
      case OpKind::kListInsert: {
        const std::vector<Value> values = OpValues(block, op).value();
        for (uint32_t j = 0; j < op.length; ++j) {
          builder->AddListInsert(container, at + j, std::vector<Value>{checked(values[j])});
        }
        break;
      }
      case OpKind::kDelete:
        for (uint32_t j = 0; j < op.length; ++j) {
          const bool backward = op.signed_length < 0;
          const auto offset = static_cast<Counter>(backward ? op.length - 1 - j : j);
          builder->AddDelete(container, backward ? at - j : at, op.target.Plus(offset), 1);
        }
        break;
      case OpKind::kTextMarkStart:
        builder->AddMark(container, at, op.mark_length, block.keys[op.mark_key],
                         checked(OpValue(block, op).value()), op.mark_info);
        break;
      case OpKind::kTextMarkEnd:
        break;  // comes with its start
      case OpKind::kMapSet:
        builder->AddMapSet(container, block.keys[at], checked(OpValue(block, op).value()));
        break;
      case OpKind::kMapDelete:
        builder->AddMapDelete(container, block.keys[at]);
        break;
      case OpKind::kMove:
        builder->AddMove(container, op.from, at, op.element);
        break;
      case OpKind::kSet:
        builder->AddSet(container, op.element, checked(OpValue(block, op).value()));
        break;
      case OpKind::kTreeMove:
        builder->AddTreeMove(
            container, op.target, op.parent_kind, op.parent,
            op.parent_kind == TreeParent::kDeleted ? BytesView() : block.positions[op.position]);
        break;
      case OpKind::kCounterAdd:
        builder->AddCounter(container, op.delta);
        break;
      case OpKind::kUnknown:
        ADD_FAILURE() << "unknown ops cannot be made locally";
    }
  }
  return is_canonical;
}

}  // namespace merrow::loro
