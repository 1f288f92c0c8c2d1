// SPDX-License-Identifier: Apache-2.0
//
// What the text of JSON updates is made of: JSON of bounded depth, objects whose members are read
// with errors that name them, and ids whose peers are in a table. For json_updates_import.cc.

#pragma once

#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "loro/container_id_codec.h"
#include "loro/json_updates.h"
#include "merrow/ids.h"
#include "merrow/result.h"

namespace merrow::loro {

/// The tree of a JSON text. Invalid argument, with the place, if it is none or too deep.
Result<nlohmann::json> ParseJsonText(std::string_view text);

template <typename T>
Result<T> ParseJsonNumber(std::string_view text, const char* what) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("\"" + Clip(text) + "\" is not " + what);
  }
  return number;
}

/// The fields of a JSON object, read with errors that name them.
class JsonFields {
 public:
  static Result<JsonFields> Of(const nlohmann::json& json) {
    if (!json.is_object()) return InvalidArgument("not an object");
    return JsonFields(json);
  }

  const nlohmann::json* Find(const char* name) const {
    const auto found = json_.find(name);
    return found == json_.end() ? nullptr : &*found;
  }
  Result<const nlohmann::json*> Get(const char* name) const {
    const nlohmann::json* found = Find(name);
    if (found == nullptr) return InvalidArgument("no field \"" + std::string(name) + "\"");
    return found;
  }
  Result<const std::string*> Text(const char* name) const {
    MERROW_ASSIGN(const nlohmann::json* field, Get(name));
    if (!field->is_string()) return Wrong(name, "a string");
    return field->get_ptr<const std::string*>();
  }
  Result<const nlohmann::json*> Array(const char* name) const {
    MERROW_ASSIGN(const nlohmann::json* field, Get(name));
    if (!field->is_array()) return Wrong(name, "an array");
    return field;
  }
  Result<int64_t> Integer(const char* name, int64_t min, int64_t max) const {
    MERROW_ASSIGN(const nlohmann::json* field, Get(name));
    const bool fits = field->is_number_integer() &&
                      (!field->is_number_unsigned() ||
                       field->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) &&
                      field->get<int64_t>() >= min && field->get<int64_t>() <= max;
    if (!fits) {
      return Wrong(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
    }
    return field->get<int64_t>();
  }
  /// A position, index or counter.
  Result<int32_t> Position(const char* name) const {
    MERROW_ASSIGN(const int64_t number, Integer(name, 0, INT32_MAX));
    return static_cast<int32_t>(number);
  }
  Result<uint64_t> Unsigned(const char* name) const {
    MERROW_ASSIGN(const int64_t number, Integer(name, 0, INT64_MAX));
    return static_cast<uint64_t>(number);
  }
  Result<bool> Flag(const char* name) const {
    MERROW_ASSIGN(const nlohmann::json* field, Get(name));
    if (!field->is_boolean()) return Wrong(name, "true or false");
    return field->get<bool>();
  }
  Result<double> Number(const char* name) const {
    MERROW_ASSIGN(const nlohmann::json* field, Get(name));
    if (!field->is_number()) return Wrong(name, "a number");
    return field->get<double>();
  }

  static Error Wrong(const char* name, const std::string& expected) {
    return InvalidArgument("field \"" + Clip(name) + "\" is not " + expected);
  }

 private:
  explicit JsonFields(const nlohmann::json& json) : json_(json) {}

  const nlohmann::json& json_;
};

/// Ids as they are in the text: peers are indexes into its table, if it has one.
class JsonNames {
 public:
  static Result<JsonNames> Of(const nlohmann::json& table) {
    JsonNames names;
    if (table.is_null()) return names;
    if (!table.is_array()) return JsonFields::Wrong("peers", "an array");
    names.is_compressed_ = true;
    for (const nlohmann::json& item : table) {
      if (!item.is_string()) return InvalidArgument("a peer is not a string");
      MERROW_ASSIGN(const auto peer,
                    ParseJsonNumber<PeerId>(item.get_ref<const std::string&>(), "a peer id"));
      names.table_.push_back(peer);
    }
    return names;
  }

  Result<Id> ToId(std::string_view text) const {
    MERROW_ASSIGN(Id id, ParseId(text));
    MERROW_ASSIGN(id.peer, Peer(id.peer));
    return id;
  }

  /// "L12@0": lamport and peer.
  Result<IdLp> ToElement(std::string_view text) const {
    const size_t at = text.find('@');
    if (!text.starts_with('L') || at == std::string_view::npos) {
      return InvalidArgument("\"" + Clip(text) + "\" is not an element id like L12@34");
    }
    IdLp id;
    MERROW_ASSIGN(id.lamport, ParseJsonNumber<Lamport>(text.substr(1, at - 1), "a lamport"));
    MERROW_ASSIGN(id.peer, ParseJsonNumber<PeerId>(text.substr(at + 1), "a peer"));
    MERROW_ASSIGN(id.peer, Peer(id.peer));
    return id;
  }

  /// Kinds of later releases are "Unknown(n)".
  Result<ContainerId> ToContainer(std::string_view text) const {
    constexpr std::string_view kUnknown = ":Unknown(";
    const size_t unknown = text.rfind(kUnknown);
    ContainerId id;
    if (unknown == std::string_view::npos || !text.ends_with(')')) {
      MERROW_ASSIGN(id, ContainerId::Parse(text));
    } else {
      std::string_view number = text.substr(unknown + kUnknown.size());
      number.remove_suffix(1);
      MERROW_ASSIGN(const auto kind, ParseJsonNumber<uint8_t>(number, "a container kind"));
      if (kind > kContainerKindMax || IsKnown(static_cast<ContainerKind>(kind))) {
        return InvalidArgument("\"" + Clip(text) + "\" has no unknown kind");
      }
      MERROW_ASSIGN(id, ContainerId::Parse(std::string(text.substr(0, unknown)) + ":Map"));
      id = id.is_root() ? ContainerId::Root(id.name(), static_cast<ContainerKind>(kind))
                        : ContainerId::Normal(id.op(), static_cast<ContainerKind>(kind));
    }
    if (id.is_root()) return id;
    MERROW_ASSIGN(const PeerId peer, Peer(id.op().peer));
    return ContainerId::Normal(Id{peer, id.op().counter}, id.kind());
  }

 private:
  Result<PeerId> Peer(PeerId named) const {
    if (!is_compressed_) return named;
    if (named >= table_.size()) {
      return InvalidArgument("peer " + std::to_string(named) + " is not in the table of peers");
    }
    return table_[static_cast<size_t>(named)];
  }

  std::vector<PeerId> table_;
  bool is_compressed_ = false;
};

}  // namespace merrow::loro
