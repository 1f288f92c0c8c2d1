// SPDX-License-Identifier: Apache-2.0
#include "cli/doc_worker.h"

#include <istream>
#include <ostream>
#include <string>

#include "cli/doc_worker_command.h"

namespace merrow::cli {
namespace {

using Json = nlohmann::json;

class Worker {
 public:
  Worker() {
    AddExchangeCommands(&commands_);
    AddEditCommands(&commands_);
    AddDeltaCommands(&commands_);
  }

  // The answer to one line.
  std::string Answer(const std::string& line) {
    const Json request = Json::parse(line, nullptr, false);
    WorkerCall call(request, documents_);
    const Status status =
        request.is_object() ? Run(call) : InvalidArgument("a request is not a JSON object");
    if (!status.ok()) {
      call.answer = {{"error",
                      {{"code", ErrorCodeName(status.error().code())},
                       {"message", status.error().message()}}}};
      call.raw.clear();
    }
    call.answer["id"] = request.is_object() && request.contains("id") ? request["id"] : Json();
    call.answer["ok"] = status.ok();
    std::string text = call.answer.dump(-1, ' ', false, Json::error_handler_t::replace);
    for (const auto& [name, json] : call.raw) {
      text.pop_back();
      text += ",\"" + name + "\":" + json + "}";
    }
    return text;
  }

 private:
  Status Run(WorkerCall& call) {
    MERROW_ASSIGN(const std::string name, call.Text("cmd"));
    const auto command = commands_.entries.find(name);
    if (command == commands_.entries.end()) return Unsupported("no command \"" + name + "\"");
    if (command->second.needs_document) {
      MERROW_ASSIGN(const std::string doc, call.Text("doc"));
      const auto found = documents_.find(doc);
      if (found == documents_.end()) return NotFound("no document \"" + doc + "\"");
      call.target = &found->second;
    }
    return command->second.run(call);
  }

  WorkerCommands commands_;
  std::map<std::string, WorkerDocument> documents_;
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
