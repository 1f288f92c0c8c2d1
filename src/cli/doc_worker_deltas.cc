// SPDX-License-Identifier: Apache-2.0
//
// Commands of `merrow doc worker` about deltas, events, cursors and undo.

#include <cctype>
#include <memory>

#include "base/bytes.h"
#include "cli/doc_worker_command.h"
#include "merrow/undo.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

// --- Deltas as JSON, in the shape of loro-crdt's ---

// A child container is the text of its id behind a bird, as in loro-crdt.
constexpr const char* kContainerPrefix = "\xF0\x9F\xA6\x9C:";

Json JsonOf(const loro::Value& value) {
  if (const auto* child = value.If<loro::ContainerId>())
    return kContainerPrefix + child->ToString();
  if (const auto* flag = value.If<bool>()) return *flag;
  if (const auto* integer = value.If<int64_t>()) return *integer;
  if (const auto* number = value.If<double>()) return *number;
  if (const auto* text = value.If<std::string>()) return *text;
  if (const auto* binary = value.If<loro::Value::Binary>()) {
    Json bytes = Json::array();
    for (const char byte : binary->bytes) bytes.push_back(static_cast<uint8_t>(byte));
    return bytes;
  }
  if (const auto* list = value.If<loro::Value::List>()) {
    Json items = Json::array();
    for (const loro::Value& item : *list) items.push_back(JsonOf(item));
    return items;
  }
  if (const auto* map = value.If<loro::Value::Map>()) {
    Json entries = Json::object();
    for (const auto& [key, item] : *map) entries[key] = JsonOf(item);
    return entries;
  }
  return nullptr;
}

template <typename Edit>
Json StepOf(const Edit& edit) {
  if (edit.kind == loro::EditKind::kDelete) return {{"delete", edit.length}};
  if (edit.kind == loro::EditKind::kRetain) return {{"retain", edit.length}};
  return {{"insert", nullptr}};
}

Json JsonOf(const loro::TextDelta& delta) {
  Json steps = Json::array();
  for (const loro::TextEdit& edit : delta) {
    Json step = StepOf(edit);
    if (edit.kind == loro::EditKind::kInsert) step["insert"] = edit.text;
    for (const auto& [key, value] : edit.attributes) step["attributes"][key] = JsonOf(value);
    steps.push_back(std::move(step));
  }
  return {{"type", "text"}, {"diff", steps}};
}

Json JsonOf(const loro::ListDelta& delta) {
  Json steps = Json::array();
  for (const loro::ListEdit& edit : delta) {
    Json step = StepOf(edit);
    if (edit.kind == loro::EditKind::kInsert) {
      step["insert"] = Json::array();
      for (const loro::Value& value : edit.values) step["insert"].push_back(JsonOf(value));
    }
    steps.push_back(std::move(step));
  }
  return {{"type", "list"}, {"diff", steps}};
}

Json JsonOf(const loro::MapDelta& delta) {
  Json updated = Json::object();
  Json deleted = Json::array();
  for (const loro::MapEdit& edit : delta) {
    if (edit.value.has_value()) {
      updated[edit.key] = JsonOf(*edit.value);
    } else {
      deleted.push_back(edit.key);
    }
  }
  return {{"type", "map"}, {"updated", updated}, {"deleted", deleted}};
}

Json JsonOf(const loro::TreeDelta& delta) {
  Json steps = Json::array();
  for (const loro::TreeEdit& edit : delta) {
    constexpr const char* kActions[] = {"create", "move", "delete"};
    Json step = {{"target", loro::ToString(edit.node)},
                 {"action", kActions[static_cast<int>(edit.kind)]}};
    if (edit.kind != loro::TreeEdit::Kind::kDelete) {
      step["parent"] = edit.parent.has_value() ? Json(loro::ToString(*edit.parent)) : Json();
      step["index"] = edit.index;
      std::string position = ToHex(edit.position);
      for (char& digit : position) digit = static_cast<char>(std::toupper(digit));
      step["fractionalIndex"] = position;
    }
    steps.push_back(std::move(step));
  }
  return {{"type", "tree"}, {"diff", steps}};
}

Json JsonOf(const loro::CounterDelta& delta) { return {{"type", "counter"}, {"increment", delta}}; }

Json JsonOf(const loro::DocumentDelta& delta) {
  Json containers = Json::array();
  for (const loro::ContainerDelta& item : delta) {
    containers.push_back({item.container.ToString(),
                          std::visit([](const auto& d) { return JsonOf(d); }, item.delta)});
  }
  return containers;
}

// --- Commands ---

Status Delta(WorkerCall& call) {
  MERROW_ASSIGN(const loro::ContainerId id, call.Container());
  if (id.kind() != loro::ContainerKind::kText) {
    return InvalidArgument(id.ToString() + " is not a Text");
  }
  std::string delta;
  call.doc().AppendDelta(id, &delta);
  call.raw.emplace_back("value", std::move(delta));
  return {};
}

Status Diff(WorkerCall& call) {
  MERROW_ASSIGN(const loro::Frontiers from, call.Frontiers("from"));
  MERROW_ASSIGN(const loro::Frontiers to, call.Frontiers("to"));
  MERROW_ASSIGN(const loro::DocumentDelta delta, call.doc().Diff(from, to));
  call.answer["value"] = JsonOf(delta);
  return {};
}

Status Revert(WorkerCall& call) {
  MERROW_ASSIGN(const loro::Frontiers frontiers, call.Frontiers("frontiers"));
  return call.doc().RevertTo(frontiers);
}

// What a document's events tell, since they were asked for last.
struct EventQueue {
  Json events = Json::array();
  loro::Subscription subscription;
};

const char* CauseName(loro::DocumentEvent::Cause cause) {
  switch (cause) {
    case loro::DocumentEvent::Cause::kLocal:
      return "local";
    case loro::DocumentEvent::Cause::kImport:
      return "import";
    case loro::DocumentEvent::Cause::kCheckout:
      return "checkout";
  }
  return "";
}

Status Events(WorkerCall& call) {
  std::shared_ptr<void>& kept = call.target->attachments["events"];
  if (kept == nullptr) {
    auto queue = std::make_shared<EventQueue>();
    EventQueue* const raw = queue.get();
    queue->subscription = call.doc().Subscribe([raw](const loro::DocumentEvent& event) {
      raw->events.push_back({{"by", CauseName(event.cause)},
                             {"from", cli::JsonOf(event.from)},
                             {"to", cli::JsonOf(event.to)},
                             {"delta", JsonOf(event.delta)}});
    });
    kept = queue;
  }
  call.doc().Commit();
  auto* const queue = static_cast<EventQueue*>(kept.get());
  call.answer["value"] = std::exchange(queue->events, Json::array());
  return {};
}

Status MakeCursor(WorkerCall& call) {
  MERROW_ASSIGN(const loro::ContainerId id, call.Container());
  MERROW_ASSIGN(const Json* field, call.Field("position"));
  MERROW_ASSIGN(const size_t position, ToIndex(*field));
  int64_t side = 0;
  if (call.request.contains("side")) {
    MERROW_ASSIGN(side, ToInteger(call.request["side"]));
  }
  if (side < -1 || side > 1) return InvalidArgument("a side is -1, 0 or 1");
  MERROW_ASSIGN(const loro::Cursor cursor,
                call.doc().CursorAt(id, position, static_cast<loro::CursorSide>(side)));
  call.answer["cursor"] = ToBase64(cursor.Encode());
  return {};
}

Status FindCursor(WorkerCall& call) {
  MERROW_ASSIGN(const std::string text, call.Text("cursor"));
  MERROW_ASSIGN(const Bytes bytes, FromBase64(text));
  MERROW_ASSIGN(const loro::Cursor cursor, loro::Cursor::Decode(bytes));
  MERROW_ASSIGN(const size_t position, call.doc().PositionOf(cursor));
  call.answer["position"] = position;
  return {};
}

// The document's undo manager. The first request makes it: steps are what is committed later.
loro::UndoManager& UndoOf(WorkerCall& call) {
  std::shared_ptr<void>& kept = call.target->attachments["undo"];
  if (kept == nullptr) kept = std::make_shared<loro::UndoManager>(&call.doc());
  return *static_cast<loro::UndoManager*>(kept.get());
}

Status Report(WorkerCall& call, Result<bool> done) {
  if (!done.ok()) return done.error();
  call.answer["done"] = *done;
  call.answer["undo"] = UndoOf(call).undo_count();
  call.answer["redo"] = UndoOf(call).redo_count();
  return {};
}

}  // namespace

void AddDeltaCommands(WorkerCommands* commands) {
  commands->Add("delta", Delta);
  commands->Add("diff", Diff);
  commands->Add("revert", Revert);
  commands->Add("events", Events);
  commands->Add("cursor", MakeCursor);
  commands->Add("cursorPosition", FindCursor);
  commands->Add("trackUndo", [](WorkerCall& call) { return Report(call, (UndoOf(call), false)); });
  commands->Add("undo", [](WorkerCall& call) { return Report(call, UndoOf(call).Undo()); });
  commands->Add("redo", [](WorkerCall& call) { return Report(call, UndoOf(call).Redo()); });
}

}  // namespace merrow::cli
