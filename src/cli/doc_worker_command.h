// SPDX-License-Identifier: Apache-2.0
//
// Commands of `merrow doc worker`: what one gets and gives, and how it reads its request. Each
// family of commands stands in a file of its own with a function that adds it; doc_worker.cc calls
// them all.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "merrow/document.h"

namespace merrow::cli {

/// A document of the worker.
struct WorkerDocument {
  explicit WorkerDocument(loro::PeerId peer) : document(peer) {}

  loro::Document document;
  /// What commands keep with it from one request to the next; gone before it is.
  std::map<std::string, std::shared_ptr<void>> attachments;
};

/// One request, and the answer to it.
struct WorkerCall {
  using Json = nlohmann::json;

  WorkerCall(const Json& its_request, std::map<std::string, WorkerDocument>& its_documents)
      : request(its_request), documents(its_documents) {}

  const Json& request;
  /// By name; where they are does not change.
  std::map<std::string, WorkerDocument>& documents;
  /// The request's; null for commands that need none.
  WorkerDocument* target = nullptr;

  /// Members of the answer. After an error they are dropped.
  Json answer = Json::object();
  /// Members that are JSON already, as the engine writes it.
  std::vector<std::pair<std::string, std::string>> raw;

  loro::Document& doc() const { return target->document; }

  // Members of the request. Invalid argument if they are not there or of another type.
  Result<const Json*> Field(const char* name) const;
  Result<std::string> Text(const char* name) const;
  Result<loro::ContainerId> Container() const;
  Result<loro::Frontiers> Frontiers(const char* name) const;
  /// Nothing if it is left out or null.
  Result<std::optional<loro::VersionVector>> Version(const char* name) const;
};

using WorkerCommand = std::function<Status(WorkerCall&)>;

struct WorkerCommands {
  struct Entry {
    WorkerCommand run;
    bool needs_document = true;
  };
  std::map<std::string, Entry, std::less<>> entries;

  /// A command on a document, which the request names as `doc` and which exists.
  void Add(const char* name, WorkerCommand run) { entries[name] = {std::move(run), true}; }
  void AddWithoutDocument(const char* name, WorkerCommand run) {
    entries[name] = {std::move(run), false};
  }
};

// The families.
void AddExchangeCommands(WorkerCommands* commands);  // doc_worker_exchange.cc
void AddEditCommands(WorkerCommands* commands);      // doc_worker_edit.cc
void AddDeltaCommands(WorkerCommands* commands);     // doc_worker_deltas.cc

// --- JSON of requests ---

Result<loro::PeerId> ParsePeer(const std::string& text);
Result<size_t> ToIndex(const nlohmann::json& json);
Result<int64_t> ToInteger(const nlohmann::json& json);
Result<std::string> ToText(const nlohmann::json& json);
Result<loro::ContainerKind> ToKind(const nlohmann::json& json);
Result<loro::Value> ToValue(const nlohmann::json& json);
/// {"peer": "1", "counter": 2}
Result<loro::Id> ToId(const nlohmann::json& json);

// --- JSON of answers ---

nlohmann::json JsonOf(const loro::Id& id);
nlohmann::json JsonOf(const loro::Frontiers& frontiers);
nlohmann::json JsonOf(const loro::VersionVector& version);
/// {peer: [start, end]}; several spans of one peer are the range around them.
nlohmann::json JsonOf(const std::vector<loro::IdSpan>& spans);

}  // namespace merrow::cli
