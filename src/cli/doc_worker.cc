// SPDX-License-Identifier: Apache-2.0
#include "cli/doc_worker.h"

#include <charconv>
#include <functional>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "base/bytes.h"
#include "merrow/document.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;
using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;

// --- Reading requests ---

Result<const Json*> Field(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) {
    return InvalidArgument("the request has no field \"" + std::string(name) + "\"");
  }
  return &*found;
}

Result<std::string> StringField(const Json& object, const char* name) {
  MERROW_ASSIGN(const Json* field, Field(object, name));
  if (!field->is_string()) {
    return InvalidArgument("field \"" + std::string(name) + "\" is not a string");
  }
  return field->get<std::string>();
}

Result<uint64_t> ParsePeer(const std::string& text) {
  uint64_t peer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), peer);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("\"" + text + "\" is not a peer id");
  }
  return peer;
}

Result<size_t> Index(const Json& json) {
  if (!json.is_number_integer() || json < 0) {
    return InvalidArgument(json.dump() + " is not an index");
  }
  return json.get<size_t>();
}

Result<std::string> Text(const Json& json) {
  if (!json.is_string()) return InvalidArgument(json.dump() + " is not a string");
  return json.get<std::string>();
}

Result<ContainerKind> Kind(const Json& json) {
  MERROW_ASSIGN(const std::string name, Text(json));
  return loro::ParseContainerKind(name);
}

Result<Value> ToValue(const Json& json, int depth = 0) {
  if (depth > loro::kValueDepthMax) return LimitReached("a value is nested too deeply");
  switch (json.type()) {
    case Json::value_t::null:
      return Value();
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        return InvalidArgument(json.dump() + " does not fit 64 bits with sign");
      }
      [[fallthrough]];
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      Value::List list;
      for (const Json& item : json) {
        MERROW_ASSIGN(Value value, ToValue(item, depth + 1));
        list.push_back(std::move(value));
      }
      return Value(std::move(list));
    }
    case Json::value_t::object: {
      // nlohmann's objects are sorted by key, as Value::Map has to be.
      Value::Map map;
      for (const auto& [key, item] : json.items()) {
        MERROW_ASSIGN(Value value, ToValue(item, depth + 1));
        map.emplace_back(key, std::move(value));
      }
      return Value(std::move(map));
    }
    default:
      return InvalidArgument("a value of an unknown JSON type");
  }
}

// --- Writing answers ---

Json RangesOf(const std::vector<loro::IdSpan>& spans) {
  Json ranges = Json::object();
  for (const loro::IdSpan& span : spans) {
    Json& range = ranges[std::to_string(span.peer)];
    // Several spans of one peer are reported as the range around them.
    const auto start = range.is_null() ? span.start : std::min(span.start, range[0].get<int>());
    const auto end = range.is_null() ? span.end : std::max(span.end, range[1].get<int>());
    range = Json::array({start, end});
  }
  return ranges;
}

Json VersionOf(const loro::VersionVector& version) {
  Json object = Json::object();
  for (const auto& entry : version.entries()) object[std::to_string(entry.peer)] = entry.end;
  return object;
}

// The engine writes JSON itself; it is put into the answer as it is.
struct Raw {
  std::string name;
  std::string json;
};

class Worker {
 public:
  // The answer to one line.
  std::string Answer(const std::string& line) {
    const Json request = Json::parse(line, nullptr, false);
    Json answer = Json::object();
    raw_.clear();
    const Status status = request.is_object() ? Run(request, &answer)
                                              : InvalidArgument("a request is not a JSON object");
    answer["id"] = request.is_object() && request.contains("id") ? request["id"] : Json();
    answer["ok"] = status.ok();
    if (!status.ok()) {
      answer["error"] = {{"code", ErrorCodeName(status.error().code())},
                         {"message", status.error().message()}};
      raw_.clear();
    }
    std::string text = answer.dump(-1, ' ', false, Json::error_handler_t::replace);
    for (const Raw& raw : raw_) {
      text.pop_back();
      text += ",\"" + raw.name + "\":" + raw.json + "}";
    }
    return text;
  }

 private:
  Status Run(const Json& request, Json* answer) {
    MERROW_ASSIGN(const std::string command, StringField(request, "cmd"));
    if (command == "new") return New(request);
    MERROW_ASSIGN(const std::string name, StringField(request, "doc"));
    if (command == "free") {
      docs_.erase(name);
      return {};
    }
    const auto found = docs_.find(name);
    if (found == docs_.end()) return NotFound("no document \"" + name + "\"");
    Document& doc = found->second;
    if (command == "import") return Import(request, &doc, answer);
    if (command == "export") return Export(request, &doc, answer);
    if (command == "json") {
      raw_.push_back({"value", doc.ToJson()});
      return {};
    }
    if (command == "delta") {
      MERROW_ASSIGN(const std::string container, StringField(request, "container"));
      MERROW_ASSIGN(const ContainerId id, ContainerId::Parse(container));
      if (id.kind() != ContainerKind::kText) return InvalidArgument(container + " is not a Text");
      std::string delta;
      doc.AppendDelta(id, &delta);
      raw_.push_back({"value", std::move(delta)});
      return {};
    }
    if (command == "version") return Version(&doc, answer);
    if (command == "commit") {
      doc.Commit();
      return {};
    }
    if (command == "edit") return Edit(request, &doc, answer);
    return Unsupported("no command \"" + command + "\"");
  }

  Status New(const Json& request) {
    MERROW_ASSIGN(const std::string name, StringField(request, "doc"));
    MERROW_ASSIGN(const std::string peer_text, StringField(request, "peer"));
    MERROW_ASSIGN(const uint64_t peer, ParsePeer(peer_text));
    if (peer == loro::kNoPeer) return InvalidArgument("peer " + peer_text + " is reserved");
    docs_.insert_or_assign(name, Document(peer));
    return {};
  }

  static Status Import(const Json& request, Document* doc, Json* answer) {
    MERROW_ASSIGN(const std::string text, StringField(request, "bytes"));
    MERROW_ASSIGN(const Bytes bytes, FromBase64(text));
    MERROW_ASSIGN(const loro::ImportStatus status, doc->Import(bytes));
    (*answer)["success"] = RangesOf(status.success);
    (*answer)["pending"] = RangesOf(status.pending);
    return {};
  }

  static Status Export(const Json& request, Document* doc, Json* answer) {
    MERROW_ASSIGN(const std::string mode, StringField(request, "mode"));
    if (mode == "snapshot") {
      (*answer)["bytes"] = ToBase64(doc->ExportSnapshot());
      return {};
    }
    if (mode != "update") return Unsupported("export mode \"" + mode + "\"");
    loro::VersionVector from;
    const auto given = request.find("from");
    if (given != request.end() && given->is_object()) {
      for (const auto& [peer_text, end] : given->items()) {
        MERROW_ASSIGN(const uint64_t peer, ParsePeer(peer_text));
        if (!end.is_number_integer()) return InvalidArgument("a counter is not an integer");
        from.Set(peer, end.get<loro::Counter>());
      }
    }
    (*answer)["bytes"] = ToBase64(doc->ExportUpdates(from));
    return {};
  }

  static Status Version(Document* doc, Json* answer) {
    doc->Commit();
    (*answer)["vv"] = VersionOf(doc->version());
    Json frontiers = Json::array();
    for (const loro::Id& id : doc->frontiers()) {
      frontiers.push_back({{"peer", std::to_string(id.peer)}, {"counter", id.counter}});
    }
    (*answer)["frontiers"] = std::move(frontiers);
    return {};
  }

  Status Edit(const Json& request, Document* doc, Json* answer) {
    MERROW_ASSIGN(const std::string container, StringField(request, "container"));
    MERROW_ASSIGN(const ContainerId id, ContainerId::Parse(container));
    MERROW_ASSIGN(const Json* op, Field(request, "op"));
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

  static Status Expect(const Json& arguments, size_t count) {
    if (arguments.size() == count) return {};
    return InvalidArgument("the op takes " + std::to_string(count) + " arguments, not " +
                           arguments.dump());
  }

  static Error NoSuchOp(const ContainerId& id, const std::string& name) {
    return Unsupported(loro::ContainerKindName(id.kind()) + " has no op " + name);
  }

  static Status EditText(Document* doc, const ContainerId& id, const std::string& name,
                         const Json& arguments) {
    if (name == "mark" || name == "unmark") return EditMark(doc, id, name, arguments);
    if (name != "insert" && name != "delete") return NoSuchOp(id, name);
    MERROW_TRY(Expect(arguments, 2));
    MERROW_ASSIGN(const size_t position, Index(arguments[0]));
    if (name == "insert") {
      MERROW_ASSIGN(const std::string text, Text(arguments[1]));
      return doc->TextInsert(id, position, text);
    }
    MERROW_ASSIGN(const size_t length, Index(arguments[1]));
    return doc->TextDelete(id, position, length);
  }

  // The styles that a client would configure: these are the contract's.
  static Result<loro::StyleExpand> ExpandOf(const std::string& key) {
    if (key == "bold") return loro::StyleExpand::kAfter;
    if (key == "link") return loro::StyleExpand::kNone;
    if (key == "note") return loro::StyleExpand::kBoth;
    if (key == "head") return loro::StyleExpand::kBefore;
    return InvalidArgument("no text style \"" + key + "\"; there are bold, link, note and head");
  }

  static Status EditMark(Document* doc, const ContainerId& id, const std::string& name,
                         const Json& arguments) {
    MERROW_TRY(Expect(arguments, name == "mark" ? 4 : 3));
    MERROW_ASSIGN(const size_t start, Index(arguments[0]));
    MERROW_ASSIGN(const size_t end, Index(arguments[1]));
    MERROW_ASSIGN(const std::string key, Text(arguments[2]));
    MERROW_ASSIGN(const loro::StyleExpand expand, ExpandOf(key));
    if (name == "unmark") return doc->TextUnmark(id, start, end, key, expand);
    MERROW_ASSIGN(const Value value, ToValue(arguments[3]));
    return doc->TextMark(id, start, end, key, value, expand);
  }

  static Status EditList(Document* doc, const ContainerId& id, const std::string& name,
                         const Json& arguments, Json* answer) {
    const bool is_movable = id.kind() == ContainerKind::kMovableList;
    const bool is_known = name == "insert" || name == "insertContainer" || name == "delete" ||
                          (is_movable && (name == "set" || name == "move"));
    if (!is_known) return NoSuchOp(id, name);
    MERROW_TRY(Expect(arguments, 2));
    MERROW_ASSIGN(const size_t index, Index(arguments[0]));
    if (name == "delete") {
      MERROW_ASSIGN(const size_t count, Index(arguments[1]));
      return doc->ListDelete(id, index, count);
    }
    if (name == "move") {
      MERROW_ASSIGN(const size_t to, Index(arguments[1]));
      return doc->MovableListMove(id, index, to);
    }
    if (name == "insertContainer") {
      MERROW_ASSIGN(const ContainerKind kind, Kind(arguments[1]));
      MERROW_ASSIGN(const ContainerId child, doc->ListInsertContainer(id, index, kind));
      (*answer)["container"] = child.ToString();
      return {};
    }
    MERROW_ASSIGN(const Value value, ToValue(arguments[1]));
    return name == "set" ? doc->MovableListSet(id, index, value)
                         : doc->ListInsert(id, index, value);
  }

  static Status EditMap(Document* doc, const ContainerId& id, const std::string& name,
                        const Json& arguments, Json* answer) {
    if (name != "set" && name != "delete" && name != "setContainer") return NoSuchOp(id, name);
    MERROW_TRY(Expect(arguments, name == "delete" ? 1 : 2));
    MERROW_ASSIGN(const std::string key, Text(arguments[0]));
    if (name == "delete") return doc->MapDelete(id, key);
    if (name == "set") {
      MERROW_ASSIGN(const Value value, ToValue(arguments[1]));
      return doc->MapSet(id, key, value);
    }
    MERROW_ASSIGN(const ContainerKind kind, Kind(arguments[1]));
    MERROW_ASSIGN(const ContainerId child, doc->MapSetContainer(id, key, kind));
    (*answer)["container"] = child.ToString();
    return {};
  }

  static Status EditTree(Document* doc, const ContainerId& id, const std::string& name,
                         const Json& arguments, Json* answer) {
    // What is left out at the end is null: no parent, the last place.
    const auto argument = [&arguments](size_t i) {
      return i < arguments.size() ? arguments[i] : Json();
    };
    const auto parent_of = [](const Json& json) -> Result<std::optional<loro::Id>> {
      if (json.is_null()) return std::optional<loro::Id>();
      MERROW_ASSIGN(const std::string text, Text(json));
      MERROW_ASSIGN(const loro::Id node, loro::ParseId(text));
      return std::optional(node);
    };
    const auto index_of = [](const Json& json) -> Result<std::optional<uint32_t>> {
      if (json.is_null()) return std::optional<uint32_t>();
      MERROW_ASSIGN(const size_t index, Index(json));
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
    MERROW_ASSIGN(const std::string text, Text(argument(0)));
    MERROW_ASSIGN(const loro::Id node, loro::ParseId(text));
    if (name == "delete") return doc->TreeDelete(id, node);
    MERROW_ASSIGN(const auto parent, parent_of(argument(1)));
    MERROW_ASSIGN(const auto index, index_of(argument(2)));
    return doc->TreeMoveNode(id, node, parent, index);
  }

  std::map<std::string, Document> docs_;
  std::vector<Raw> raw_;
};

}  // namespace

int RunDocWorker(std::istream& in, std::ostream& out) {
  Worker worker;
  std::string line;
  while (std::getline(in, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    out << worker.Answer(line) << '\n';
    // Answers of pipelined requests go out together.
    if (in.rdbuf()->in_avail() <= 0) out.flush();
  }
  out.flush();
  return 0;
}

}  // namespace merrow::cli
