// SPDX-License-Identifier: Apache-2.0
//
// The command `edit` of `merrow doc worker`: one op on one container, by the kind of that.

#include "cli/doc_worker_command.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;
using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;

Status Expect(const Json& arguments, size_t count) {
  if (arguments.size() == count) return {};
  return InvalidArgument("the op takes " + std::to_string(count) + " arguments, not " +
                         arguments.dump());
}

Error NoSuchOp(const ContainerId& id, const std::string& name) {
  return Unsupported(loro::ContainerKindName(id.kind()) + " has no op " + name);
}

// The styles that a client would configure: these are the contract's.
Result<loro::StyleExpand> ExpandOf(const std::string& key) {
  if (key == "bold") return loro::StyleExpand::kAfter;
  if (key == "link") return loro::StyleExpand::kNone;
  if (key == "note") return loro::StyleExpand::kBoth;
  if (key == "head") return loro::StyleExpand::kBefore;
  return InvalidArgument("no text style \"" + key + "\"; there are bold, link, note and head");
}

Status EditMark(Document* doc, const ContainerId& id, const std::string& name,
                const Json& arguments) {
  MERROW_TRY(Expect(arguments, name == "mark" ? 4 : 3));
  MERROW_ASSIGN(const size_t start, ToIndex(arguments[0]));
  MERROW_ASSIGN(const size_t end, ToIndex(arguments[1]));
  MERROW_ASSIGN(const std::string key, ToText(arguments[2]));
  MERROW_ASSIGN(const loro::StyleExpand expand, ExpandOf(key));
  if (name == "unmark") return doc->TextUnmark(id, start, end, key, expand);
  MERROW_ASSIGN(const Value value, ToValue(arguments[3]));
  return doc->TextMark(id, start, end, key, value, expand);
}

Status EditText(Document* doc, const ContainerId& id, const std::string& name,
                const Json& arguments) {
  if (name == "mark" || name == "unmark") return EditMark(doc, id, name, arguments);
  if (name != "insert" && name != "delete") return NoSuchOp(id, name);
  MERROW_TRY(Expect(arguments, 2));
  MERROW_ASSIGN(const size_t position, ToIndex(arguments[0]));
  if (name == "insert") {
    MERROW_ASSIGN(const std::string text, ToText(arguments[1]));
    return doc->TextInsert(id, position, text);
  }
  MERROW_ASSIGN(const size_t length, ToIndex(arguments[1]));
  return doc->TextDelete(id, position, length);
}

Status EditList(Document* doc, const ContainerId& id, const std::string& name,
                const Json& arguments, Json* answer) {
  const bool is_movable = id.kind() == ContainerKind::kMovableList;
  const bool is_known = name == "insert" || name == "insertContainer" || name == "delete" ||
                        (is_movable && (name == "set" || name == "move"));
  if (!is_known) return NoSuchOp(id, name);
  MERROW_TRY(Expect(arguments, 2));
  MERROW_ASSIGN(const size_t index, ToIndex(arguments[0]));
  if (name == "delete") {
    MERROW_ASSIGN(const size_t count, ToIndex(arguments[1]));
    return doc->ListDelete(id, index, count);
  }
  if (name == "move") {
    MERROW_ASSIGN(const size_t to, ToIndex(arguments[1]));
    return doc->MovableListMove(id, index, to);
  }
  if (name == "insertContainer") {
    MERROW_ASSIGN(const ContainerKind kind, ToKind(arguments[1]));
    MERROW_ASSIGN(const ContainerId child, doc->ListInsertContainer(id, index, kind));
    (*answer)["container"] = child.ToString();
    return {};
  }
  MERROW_ASSIGN(const Value value, ToValue(arguments[1]));
  return name == "set" ? doc->MovableListSet(id, index, value) : doc->ListInsert(id, index, value);
}

Status EditMap(Document* doc, const ContainerId& id, const std::string& name, const Json& arguments,
               Json* answer) {
  const bool is_known =
      name == "set" || name == "delete" || name == "setContainer" || name == "ensureMergeable";
  if (!is_known) return NoSuchOp(id, name);
  MERROW_TRY(Expect(arguments, name == "delete" ? 1 : 2));
  MERROW_ASSIGN(const std::string key, ToText(arguments[0]));
  if (name == "delete") return doc->MapDelete(id, key);
  if (name == "set") {
    MERROW_ASSIGN(const Value value, ToValue(arguments[1]));
    return doc->MapSet(id, key, value);
  }
  MERROW_ASSIGN(const ContainerKind kind, ToKind(arguments[1]));
  MERROW_ASSIGN(const ContainerId child, name == "setContainer"
                                             ? doc->MapSetContainer(id, key, kind)
                                             : doc->MapEnsureMergeable(id, key, kind));
  (*answer)["container"] = child.ToString();
  return {};
}

Status EditTree(Document* doc, const ContainerId& id, const std::string& name,
                const Json& arguments, Json* answer) {
  // What is left out at the end is null: no parent, the last place.
  const auto argument = [&arguments](size_t i) {
    return i < arguments.size() ? arguments[i] : Json();
  };
  const auto parent_of = [](const Json& json) -> Result<std::optional<loro::Id>> {
    if (json.is_null()) return std::optional<loro::Id>();
    MERROW_ASSIGN(const std::string text, ToText(json));
    MERROW_ASSIGN(const loro::Id node, loro::ParseId(text));
    return std::optional(node);
  };
  const auto index_of = [](const Json& json) -> Result<std::optional<uint32_t>> {
    if (json.is_null()) return std::optional<uint32_t>();
    MERROW_ASSIGN(const size_t index, ToIndex(json));
    if (index > UINT32_MAX) return InvalidArgument(json.dump() + " is not an index");
    return std::optional(static_cast<uint32_t>(index));
  };
  if (name == "create") {
    MERROW_ASSIGN(const auto parent, parent_of(argument(0)));
    MERROW_ASSIGN(const auto index, index_of(argument(1)));
    MERROW_ASSIGN(const loro::Id node, doc->TreeCreate(id, parent, index));
    (*answer)["node"] = loro::ToString(node);
    return {};
  }
  if (name != "move" && name != "delete") return NoSuchOp(id, name);
  MERROW_ASSIGN(const std::string text, ToText(argument(0)));
  MERROW_ASSIGN(const loro::Id node, loro::ParseId(text));
  if (name == "delete") return doc->TreeDelete(id, node);
  MERROW_ASSIGN(const auto parent, parent_of(argument(1)));
  MERROW_ASSIGN(const auto index, index_of(argument(2)));
  return doc->TreeMoveNode(id, node, parent, index);
}

Status Edit(WorkerCall& call) {
  Document* const doc = &call.doc();
  Json* const answer = &call.answer;
  MERROW_ASSIGN(const ContainerId id, call.Container());
  MERROW_ASSIGN(const Json* op, call.Field("op"));
  if (!op->is_object() || op->size() != 1 || !op->begin()->is_array()) {
    return InvalidArgument("op " + op->dump() + " is not like {\"insert\":[0,\"text\"]}");
  }
  const std::string& name = op->begin().key();
  const Json& arguments = op->begin().value();
  switch (id.kind()) {
    case ContainerKind::kText:
      return EditText(doc, id, name, arguments);
    case ContainerKind::kList:
    case ContainerKind::kMovableList:
      return EditList(doc, id, name, arguments, answer);
    case ContainerKind::kTree:
      return EditTree(doc, id, name, arguments, answer);
    case ContainerKind::kMap:
      return EditMap(doc, id, name, arguments, answer);
    case ContainerKind::kCounter:
      if (name != "increment") return NoSuchOp(id, name);
      MERROW_TRY(Expect(arguments, 1));
      if (!arguments[0].is_number()) {
        return InvalidArgument(arguments[0].dump() + " is not a number");
      }
      return doc->CounterIncrement(id, arguments[0].get<double>());
    default:
      return NoSuchOp(id, name);
  }
}

}  // namespace

void AddEditCommands(WorkerCommands* commands) { commands->Add("edit", Edit); }

}  // namespace merrow::cli
