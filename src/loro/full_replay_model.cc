// SPDX-License-Identifier: Apache-2.0
#include "loro/full_replay_model.h"

#include <algorithm>
#include <set>
#include <utility>

#include "loro/envelope.h"
#include "loro/json_writer.h"
#include "loro/mergeable.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// The scalars of UTF-8 that the codec has checked, each as its bytes.
std::vector<std::string> SplitScalars(const std::string& utf8) {
  std::vector<std::string> scalars;
  for (const char c : utf8) {
    const bool continues = (static_cast<uint8_t>(c) & 0xC0) == 0x80;
    if (!continues) scalars.emplace_back();
    scalars.back().push_back(c);
  }
  return scalars;
}

std::string Joined(const std::vector<std::string>& parts, char open, char close) {
  std::string all(1, open);
  for (size_t i = 0; i < parts.size(); ++i) all += (i == 0 ? "" : ",") + parts[i];
  return all + close;
}

std::string JsonString(std::string_view text) {
  std::string json;
  AppendJsonString(text, &json);
  return json;
}

}  // namespace

// --- Ops in ---

Result<FullReplayModel> FullReplayModel::Of(BytesView updates) {
  FullReplayModel model;
  MERROW_ASSIGN(const Envelope envelope, DecodeEnvelope(updates));
  MERROW_CHECK(envelope.mode == EncodeMode::kFastUpdates);
  MERROW_TRY(ForEachBlock(envelope.body, [&model](BytesView bytes) -> Status {
    MERROW_ASSIGN(const ChangeBlock block, DecodeChangeBlock(bytes));
    return model.AddBlock(block);
  }));
  return model;
}

Status FullReplayModel::AddBlock(const ChangeBlock& block) {
  for (const Change& change : block.changes) {
    const Id first{block.peer, change.counter};
    changes_[first] = {change.length, change.lamport, change.deps};
    Op mark;  // the one that the next op ends
    for (uint32_t i = 0; i < change.op_count; ++i) {
      ReplayOp item;
      item.op = block.ops[change.first_op + i];
      Op& op = item.op;
      item.id = {block.peer, op.counter};
      item.change = first;
      item.lamport = change.lamport + static_cast<Lamport>(op.counter - change.counter);
      if (op.kind == OpKind::kTextInsert) item.text = op.payload;
      if (op.kind == OpKind::kListInsert) {
        MERROW_ASSIGN(item.values, OpValues(block, op));
      }
      if (op.kind == OpKind::kMapSet || op.kind == OpKind::kSet ||
          op.kind == OpKind::kTextMarkStart) {
        MERROW_ASSIGN(Value value, OpValue(block, op));
        item.values.push_back(std::move(value));
      }
      if (op.kind == OpKind::kMapSet || op.kind == OpKind::kMapDelete) {
        item.text = block.keys[static_cast<size_t>(op.prop)];
      }
      if (op.kind == OpKind::kTextMarkStart) {
        item.text = block.keys[op.mark_key];
        mark = op;
      }
      // An end stands behind its range, which the start has moved by one.
      if (op.kind == OpKind::kTextMarkEnd) {
        op.prop = mark.prop + static_cast<int32_t>(mark.mark_length) + 1;
      }
      if (op.kind == OpKind::kTreeMove && op.parent_kind != TreeParent::kDeleted) {
        item.position = block.positions[op.position];
      }
      ops_[block.containers[op.container]].push_back(std::move(item));
    }
  }
  return {};
}

// --- Versions ---

Id FullReplayModel::ChangeOf(Id id) const {
  auto change = changes_.upper_bound(id);
  MERROW_CHECK(change != changes_.begin());
  --change;
  MERROW_CHECK(change->first.peer == id.peer &&
               id.counter - change->first.counter < static_cast<Counter>(change->second.length));
  return change->first;
}

const ModelVersion& FullReplayModel::MadeAt(Id change) const {
  const auto known = versions_.find(change);
  if (known != versions_.end()) return known->second;
  ModelVersion version;
  for (const Id dep : changes_.at(change).deps) Merge(&version, VersionAfter(dep));
  return versions_.emplace(change, std::move(version)).first->second;
}

ModelVersion FullReplayModel::VersionAfter(Id id) const {
  ModelVersion version = MadeAt(ChangeOf(id));
  version[id.peer] = id.counter + 1;
  return version;
}

ModelVersion FullReplayModel::Everything() const {
  ModelVersion all;
  for (const auto& [id, change] : changes_) {
    Merge(&all, {{id.peer, id.counter + static_cast<Counter>(change.length)}});
  }
  return all;
}

ModelVersion FullReplayModel::SomeVersion(SeededRandom* random) const {
  ModelVersion version;
  for (uint64_t heads = random->Below(3); heads > 0 && !changes_.empty(); --heads) {
    auto change = changes_.begin();
    std::advance(change, static_cast<ptrdiff_t>(random->Below(changes_.size())));
    const uint64_t atom = random->Below(change->second.length);
    Merge(&version, VersionAfter(change->first.Plus(static_cast<Counter>(atom))));
  }
  return version;
}

Frontiers FullReplayModel::FrontiersOf(const ModelVersion& version) const {
  Frontiers heads;
  for (const auto& [peer, end] : version) {
    const Id last{peer, end - 1};
    const bool is_seen = std::any_of(version.begin(), version.end(), [&](const auto& other) {
      return other.first != last.peer && Has(VersionAfter({other.first, other.second - 1}), last);
    });
    if (!is_seen) heads.push_back(last);
  }
  return heads;
}

// --- Replay ---

FullReplayModel::Ops FullReplayModel::OpsOf(const ContainerId& container,
                                            const ModelVersion& version) const {
  Ops ops;
  const auto found = ops_.find(container);
  if (found == ops_.end()) return ops;
  for (const ReplayOp& op : found->second) {
    if (Has(version, op.id)) ops.push_back(&op);
  }
  std::sort(ops.begin(), ops.end(),
            [](const ReplayOp* a, const ReplayOp* b) { return a->key() < b->key(); });
  return ops;
}

std::vector<Id> FullReplayModel::ReplaySequence(const Ops& ops, const ModelVersion& version) const {
  SequenceModel sequence;
  for (const ReplayOp* item : ops) {
    const Op& op = item->op;
    if (op.kind == OpKind::kSet) continue;
    ModelOp step;
    step.id = item->id;
    step.position = static_cast<uint32_t>(op.prop);
    step.version = MadeAt(item->change);
    step.version[item->id.peer] = item->id.counter;
    if (op.kind == OpKind::kDelete) {
      step.kind = ModelOp::Kind::kDelete;
      step.signed_length = op.signed_length;
    } else if (op.kind == OpKind::kMove) {
      step.kind = ModelOp::Kind::kMove;
      step.position = op.from;
      step.to = static_cast<uint32_t>(op.prop);
    } else {
      step.length = op.length;
    }
    sequence.Integrate(step);
  }
  return sequence.VisibleIds(version);
}

std::string FullReplayModel::Json(const ModelVersion& version) const {
  std::map<std::string, std::string> roots;
  for (const auto& [container, ops] : ops_) {
    const bool is_touched = std::any_of(
        ops.begin(), ops.end(), [&version](const ReplayOp& op) { return Has(version, op.id); });
    if (!container.is_root() || !is_touched || IsMergeable(container)) continue;
    roots[container.name()] = ContainerJson(container, version);
  }
  std::vector<std::string> members;
  for (const auto& [name, json] : roots) members.push_back(JsonString(name) + ":" + json);
  return Joined(members, '{', '}');
}

std::string FullReplayModel::ContainerJson(const ContainerId& container,
                                           const ModelVersion& version) const {
  const Ops ops = OpsOf(container, version);
  switch (container.kind()) {
    case ContainerKind::kMap:
      return MapJson(container, ops, version);
    case ContainerKind::kList:
      return ListJson(ops, version);
    case ContainerKind::kText:
      return TextJson(ops, version);
    case ContainerKind::kTree:
      return TreeJson(ops, version);
    case ContainerKind::kMovableList:
      return MovableListJson(ops, version);
    case ContainerKind::kCounter: {
      double sum = 0;
      for (const ReplayOp* item : ops) sum += item->op.delta;
      std::string json;
      AppendJsonNumber(sum, &json);
      return json;
    }
    default:
      return "null";
  }
}

std::string FullReplayModel::ValueJson(const Value& value, const ModelVersion& version) const {
  if (const auto* child = value.If<ContainerId>()) return ContainerJson(*child, version);
  if (const auto* text = value.If<std::string>()) return JsonString(*text);
  if (const auto* truth = value.If<bool>()) return *truth ? "true" : "false";
  if (const auto* number = value.If<int64_t>()) return std::to_string(*number);
  MERROW_CHECK(value.is_null());
  return "null";
}

std::string FullReplayModel::MapJson(const ContainerId& map, const Ops& ops,
                                     const ModelVersion& version) const {
  std::map<std::string, const ReplayOp*> slots;  // the writer with the largest key
  for (const ReplayOp* item : ops) slots[item->text] = item;
  std::vector<std::string> members;
  for (const auto& [key, writer] : slots) {
    if (writer->op.kind == OpKind::kMapDelete) continue;
    const Value& value = writer->values[0];
    const std::optional<ContainerId> child = MergeableShownBy(map, key, value);
    members.push_back(JsonString(key) + ":" +
                      (child ? ContainerJson(*child, version) : ValueJson(value, version)));
  }
  return Joined(members, '{', '}');
}

std::string FullReplayModel::ListJson(const Ops& ops, const ModelVersion& version) const {
  std::map<Id, const Value*> values;
  for (const ReplayOp* item : ops) {
    for (size_t i = 0; i < item->values.size(); ++i) {
      values[item->id.Plus(static_cast<Counter>(i))] = &item->values[i];
    }
  }
  std::vector<std::string> items;
  for (const Id id : ReplaySequence(ops, version)) {
    items.push_back(ValueJson(*values.at(id), version));
  }
  return Joined(items, '[', ']');
}

std::string FullReplayModel::MovableListJson(const Ops& ops, const ModelVersion& version) const {
  struct Element {
    const Value* value = nullptr;
    Id item;
  };
  std::map<IdLp, Element> elements;
  // By key, so that the last write to an element's value, or place, is the one that holds.
  for (const ReplayOp* item : ops) {
    if (item->op.kind == OpKind::kSet) elements.at(item->op.element).value = &item->values[0];
    if (item->op.kind == OpKind::kMove) elements.at(item->op.element).item = item->id;
    if (item->op.kind != OpKind::kListInsert) continue;
    for (uint32_t i = 0; i < item->op.length; ++i) {
      elements[{item->lamport + i, item->id.peer}] = {&item->values[i],
                                                      item->id.Plus(static_cast<Counter>(i))};
    }
  }
  std::map<Id, const Value*> shown;
  for (const auto& [name, element] : elements) shown[element.item] = element.value;
  std::vector<std::string> items;
  for (const Id id : ReplaySequence(ops, version)) {
    const auto at = shown.find(id);
    if (at != shown.end()) items.push_back(ValueJson(*at->second, version));
  }
  return Joined(items, '[', ']');
}

std::string FullReplayModel::TreeJson(const Ops& ops, const ModelVersion& version) const {
  std::vector<TreeMove> moves;
  for (const ReplayOp* item : ops) {
    moves.push_back({.id = item->id,
                     .lamport = item->lamport,
                     .node = item->op.target,
                     .parent = {item->op.parent_kind, item->op.parent},
                     .position = item->position});
  }
  return TreeModel(std::move(moves)).Json(TreePlace::Root(), [&](Id node, std::string* out) {
    *out += ContainerJson(ContainerId::Normal(node, ContainerKind::kMap), version);
  });
}

// --- Text ---

std::vector<FullReplayModel::Piece> FullReplayModel::Pieces(const Ops& ops,
                                                            const ModelVersion& version) const {
  struct Entity {
    std::string scalar;  // empty: an anchor
    const ReplayOp* mark = nullptr;
    bool is_start = false;
  };
  std::map<Id, Entity> entities;
  for (const ReplayOp* item : ops) {
    if (item->op.kind == OpKind::kTextInsert) {
      Id id = item->id;
      for (std::string& scalar : SplitScalars(item->text)) {
        entities[id] = {std::move(scalar), nullptr, false};
        id = id.Plus(1);
      }
    } else if (item->op.kind == OpKind::kTextMarkStart) {
      // Without its end a mark covers nothing.
      const bool is_whole = Has(version, item->id.Plus(1));
      if (!is_whole) entities[item->id] = {"", nullptr, false};
      if (!is_whole) continue;
      entities[item->id] = {"", item, true};
      entities[item->id.Plus(1)] = {"", item, false};
    }
  }
  std::vector<Piece> pieces;
  std::set<const ReplayOp*> open;
  for (const Id id : ReplaySequence(ops, version)) {
    const Entity& entity = entities.at(id);
    if (entity.scalar.empty()) {
      if (entity.mark == nullptr) continue;
      if (entity.is_start) open.insert(entity.mark);
      if (!entity.is_start) open.erase(entity.mark);
      continue;
    }
    std::map<std::string, const ReplayOp*> winners;
    for (const ReplayOp* mark : open) {
      const ReplayOp*& winner = winners[mark->text];
      if (winner == nullptr || winner->key() < mark->key()) winner = mark;
    }
    std::vector<std::string> attributes;
    for (const auto& [key, mark] : winners) {
      if (mark->values[0].is_null()) continue;
      attributes.push_back(JsonString(key) + ":" + ValueJson(mark->values[0], version));
    }
    const std::string all = attributes.empty() ? "" : Joined(attributes, '{', '}');
    if (pieces.empty() || pieces.back().attributes != all) pieces.push_back({"", all});
    pieces.back().text += entity.scalar;
  }
  return pieces;
}

std::string FullReplayModel::TextJson(const Ops& ops, const ModelVersion& version) const {
  std::string text;
  for (const Piece& piece : Pieces(ops, version)) text += piece.text;
  return JsonString(text);
}

std::string FullReplayModel::Delta(const ContainerId& text, const ModelVersion& version) const {
  std::vector<std::string> items;
  for (const Piece& piece : Pieces(OpsOf(text, version), version)) {
    const std::string attributes =
        piece.attributes.empty() ? "" : "\"attributes\":" + piece.attributes + ",";
    items.push_back("{" + attributes + "\"insert\":" + JsonString(piece.text) + "}");
  }
  return Joined(items, '[', ']');
}

}  // namespace merrow::loro
