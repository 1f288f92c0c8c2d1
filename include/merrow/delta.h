// SPDX-License-Identifier: Apache-2.0
//
// Deltas: how containers differ between two versions, or what an import or a commit changed. A
// delta of a sequence walks the old version from the front: it keeps, inserts and deletes.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "merrow/ids.h"
#include "merrow/value.h"

namespace merrow::loro {

/// What one step of a sequence's delta does.
enum class EditKind : uint8_t { kRetain, kInsert, kDelete };

/// Attributes by key, sorted, without duplicates.
using Attributes = std::vector<std::pair<std::string, Value>>;

struct TextEdit {
  EditKind kind = EditKind::kRetain;
  uint32_t length = 0;  // in Unicode scalars, also of `text`
  std::string text;     // UTF-8; only if inserted
  /// Inserted text: its attributes. Retained text: those that changed; null is taken away.
  Attributes attributes;

  friend bool operator==(const TextEdit&, const TextEdit&) = default;
};

struct ListEdit {
  EditKind kind = EditKind::kRetain;
  uint32_t length = 0;        // in items, also of `values`
  std::vector<Value> values;  // only if inserted; a child container is its id

  friend bool operator==(const ListEdit&, const ListEdit&) = default;
};

struct MapEdit {
  std::string key;
  std::optional<Value> value;  // nothing: deleted

  friend bool operator==(const MapEdit&, const MapEdit&) = default;
};

/// A step that turns one version of a tree into another; steps apply one after the other.
struct TreeEdit {
  enum class Kind : uint8_t { kCreate, kMove, kDelete };
  Kind kind = Kind::kCreate;
  Id node;
  // Of create and move: where it is from now on.
  std::optional<Id> parent;  // nothing: a root
  uint32_t index = 0;        // among its siblings, once it stands there
  Bytes position;            // fractional index

  friend bool operator==(const TreeEdit&, const TreeEdit&) = default;
};

using TextDelta = std::vector<TextEdit>;
using ListDelta = std::vector<ListEdit>;  // List and MovableList; a move is a delete and an insert
using MapDelta = std::vector<MapEdit>;    // sorted by key
using TreeDelta = std::vector<TreeEdit>;
using CounterDelta = double;

struct ContainerDelta {
  ContainerId container;
  std::variant<TextDelta, ListDelta, MapDelta, TreeDelta, CounterDelta> delta;

  friend bool operator==(const ContainerDelta&, const ContainerDelta&) = default;
};

/// Containers that differ, parents before children; those without a difference are not there.
using DocumentDelta = std::vector<ContainerDelta>;

}  // namespace merrow::loro
