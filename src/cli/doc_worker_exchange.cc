// SPDX-License-Identifier: Apache-2.0
//
// Commands of `merrow doc worker` that make documents, look at them as a whole, exchange updates
// and move between versions.

#include "base/bytes.h"
#include "cli/doc_worker_command.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

Status New(WorkerCall& call) {
  MERROW_ASSIGN(const std::string name, call.Text("doc"));
  MERROW_ASSIGN(const std::string peer_text, call.Text("peer"));
  MERROW_ASSIGN(const loro::PeerId peer, ParsePeer(peer_text));
  if (peer == loro::kNoPeer) return InvalidArgument("peer " + peer_text + " is reserved");
  call.documents.erase(name);
  call.documents.try_emplace(name, peer);
  return {};
}

Status Free(WorkerCall& call) {
  MERROW_ASSIGN(const std::string name, call.Text("doc"));
  call.documents.erase(name);
  return {};
}

void Report(const loro::ImportStatus& status, WorkerCall& call) {
  call.answer["success"] = JsonOf(status.success);
  call.answer["pending"] = JsonOf(status.pending);
}

Status Import(WorkerCall& call) {
  MERROW_ASSIGN(const std::string text, call.Text("bytes"));
  MERROW_ASSIGN(const Bytes bytes, FromBase64(text));
  MERROW_ASSIGN(const loro::ImportStatus status, call.doc().Import(bytes));
  Report(status, call);
  return {};
}

// {"id": {"peer": "1", "counter": 2}, "len": 3}, as loro-crdt has it.
Result<loro::IdSpan> ToSpan(const Json& json) {
  const auto id_json = json.find("id");
  const auto length_json = json.find("len");
  if (!json.is_object() || id_json == json.end() || length_json == json.end()) {
    return InvalidArgument(json.dump() +
                           " is not like {\"id\":{\"peer\":\"1\",\"counter\":2},\"len\":3}");
  }
  MERROW_ASSIGN(const loro::Id id, ToId(*id_json));
  MERROW_ASSIGN(const size_t length, ToIndex(*length_json));
  if (length > static_cast<size_t>(INT32_MAX - id.counter)) {
    return InvalidArgument(json.dump() + " ends past the last counter");
  }
  return loro::IdSpan{id.peer, id.counter, id.counter + static_cast<loro::Counter>(length)};
}

Result<Bytes> ExportRange(const WorkerCall& call) {
  MERROW_ASSIGN(const Json* field, call.Field("spans"));
  if (!field->is_array()) return InvalidArgument("field \"spans\" is not an array");
  std::vector<loro::IdSpan> spans;
  for (const Json& item : *field) {
    MERROW_ASSIGN(const loro::IdSpan span, ToSpan(item));
    spans.push_back(span);
  }
  return call.doc().ExportUpdatesInRange(spans);
}

Result<Bytes> ExportShallow(const WorkerCall& call) {
  const auto given = call.request.find("frontiers");
  if (given == call.request.end() || given->is_null()) {
    call.doc().Commit();
    return call.doc().ExportShallowSnapshot(call.doc().frontiers());
  }
  MERROW_ASSIGN(const loro::Frontiers frontiers, call.Frontiers("frontiers"));
  return call.doc().ExportShallowSnapshot(frontiers);
}

Result<Bytes> ExportUpdate(const WorkerCall& call) {
  MERROW_ASSIGN(const auto from, call.Version("from"));
  return call.doc().ExportUpdates(from.value_or(loro::VersionVector()));
}

Result<Bytes> ExportAs(const std::string& mode, const WorkerCall& call) {
  if (mode == "update") return ExportUpdate(call);
  if (mode == "snapshot") return call.doc().ExportSnapshot();
  if (mode == "shallow-snapshot") return ExportShallow(call);
  if (mode == "updates-in-range") return ExportRange(call);
  return Unsupported("export mode \"" + mode + "\"");
}

Status Export(WorkerCall& call) {
  MERROW_ASSIGN(const std::string mode, call.Text("mode"));
  MERROW_ASSIGN(const Bytes bytes, ExportAs(mode, call));
  call.answer["bytes"] = ToBase64(bytes);
  return {};
}

Status ToJson(WorkerCall& call) {
  call.raw.emplace_back("value", call.doc().ToJson());
  return {};
}

Status Version(WorkerCall& call) {
  call.doc().Commit();
  call.answer["vv"] = JsonOf(call.doc().version());
  call.answer["frontiers"] = JsonOf(call.doc().frontiers());
  return {};
}

Status Commit(WorkerCall& call) {
  loro::CommitOptions options;
  std::string message;
  if (call.request.contains("message")) {
    MERROW_ASSIGN(message, call.Text("message"));
    options.message = message;
  }
  const auto timestamp = call.request.find("timestamp");
  if (timestamp != call.request.end()) {
    MERROW_ASSIGN(options.timestamp, ToInteger(*timestamp));
  }
  return call.doc().Commit(options);
}

Status Checkout(WorkerCall& call) {
  MERROW_ASSIGN(const loro::Frontiers frontiers, call.Frontiers("frontiers"));
  return call.doc().Checkout(frontiers);
}

Status CheckoutToLatest(WorkerCall& call) {
  call.doc().CheckoutToLatest();
  return {};
}

Status JsonUpdates(WorkerCall& call) {
  MERROW_ASSIGN(const auto from, call.Version("from"));
  MERROW_ASSIGN(const auto to, call.Version("to"));
  call.doc().Commit();
  call.raw.emplace_back("value", call.doc().ExportJson(from.value_or(loro::VersionVector()),
                                                       to.value_or(call.doc().version())));
  return {};
}

Status ImportJsonUpdates(WorkerCall& call) {
  MERROW_ASSIGN(const Json* value, call.Field("value"));
  const std::string text = value->is_string()
                               ? value->get<std::string>()
                               : value->dump(-1, ' ', false, Json::error_handler_t::replace);
  MERROW_ASSIGN(const loro::ImportStatus status, call.doc().ImportJson(text));
  Report(status, call);
  return {};
}

}  // namespace

void AddExchangeCommands(WorkerCommands* commands) {
  commands->AddWithoutDocument("new", New);
  commands->AddWithoutDocument("free", Free);
  commands->Add("import", Import);
  commands->Add("export", Export);
  commands->Add("json", ToJson);
  commands->Add("version", Version);
  commands->Add("commit", Commit);
  commands->Add("checkout", Checkout);
  commands->Add("checkoutToLatest", CheckoutToLatest);
  commands->Add("jsonUpdates", JsonUpdates);
  commands->Add("importJsonUpdates", ImportJsonUpdates);
}

}  // namespace merrow::cli
