// SPDX-License-Identifier: Apache-2.0
//
// Container states as snapshots hold them (docs/format.md, "states"): per kind of container an
// image, a plain struct with everything that later merges need, and its bytes.
//
//   wrapper = u8 kind | uleb depth | postcard Option<ContainerId> parent | state
//
// The key that goes with a wrapper is in container_id_codec.h. Each kind's layout is described
// where it is coded (map_codec.cc, ...).
//
// Decoders are strict (everything in range, everything consumed) and allocate in proportion to the
// input. Encoders produce what Loro writes; where Loro's order is arbitrary (hash maps) theirs is
// sorted.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

// --- Wrapper ---

/// Depth of a root container; a child's is its parent's plus one.
inline constexpr uint32_t kRootDepth = 1;

struct StateWrapper {
  ContainerKind kind = ContainerKind::kMap;
  uint32_t depth = kRootDepth;
  std::optional<ContainerId> parent;  // none for roots
  BytesView state;                    // a view into the input; of unknown kinds kept verbatim
};

Result<StateWrapper> DecodeStateWrapper(BytesView bytes);
Bytes EncodeStateWrapper(const StateWrapper& wrapper);

// --- Map ---

struct MapImage {
  struct Entry {
    std::string key;
    std::optional<Value> value;  // nothing: deleted
    PeerId peer = 0;             // of the op that wrote it last
    Lamport lamport = 0;

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> entries;  // sorted by key (bytewise), unique

  friend bool operator==(const MapImage&, const MapImage&) = default;
};

Result<MapImage> DecodeMapState(BytesView state);
/// REQUIRES: entries sorted and unique, as with all images what their comments say.
Bytes EncodeMapState(const MapImage& image);

/// An entry of a map that is written as it stands, not copied into an image.
struct MapEntryView {
  std::string_view key;
  const Value* value = nullptr;  // null: deleted
  PeerId peer = 0;
  Lamport lamport = 0;
};
/// REQUIRES: sorted by key and unique
Bytes EncodeMapEntries(std::span<const MapEntryView> entries);

// --- List ---

/// Atoms whose ids and lamports are consecutive.
struct AtomRun {
  Id id;
  Lamport lamport = 0;
  uint32_t length = 0;

  friend bool operator==(const AtomRun&, const AtomRun&) = default;
};

struct ListImage {
  std::vector<Value> values;
  std::vector<AtomRun> runs;  // the ids of the values, in order; decoded runs are as long as can be

  friend bool operator==(const ListImage&, const ListImage&) = default;
};

Result<ListImage> DecodeListState(BytesView state);
Bytes EncodeListState(const ListImage& image);

// --- Text ---

struct TextImage {
  struct Span {
    Id id;
    Lamport lamport = 0;
    int32_t length = 0;  // unicode scalars; or kStyleStart, kStyleEnd

    friend bool operator==(const Span&, const Span&) = default;
  };
  struct Mark {
    std::string key;
    Value value;
    uint8_t info = 0;  // as Op::mark_info

    friend bool operator==(const Mark&, const Mark&) = default;
  };
  static constexpr int32_t kStyleStart = 0;
  /// Id and lamport are its start's plus one.
  static constexpr int32_t kStyleEnd = -1;

  std::string text;
  std::vector<Span> spans;  // in document order; they cover `text` exactly
  std::vector<Mark> marks;  // one per style start, in the order of the starts

  friend bool operator==(const TextImage&, const TextImage&) = default;
};

Result<TextImage> DecodeTextState(BytesView state);
Bytes EncodeTextState(const TextImage& image);

// --- Movable list ---

struct MovableListImage {
  struct Item {
    Id id;  // of the op that put the item here: the insert or a move
    Lamport lamport = 0;
    bool visible = true;  // false: the item's element has moved elsewhere or was deleted
    // Only if visible:
    IdLp element;
    IdLp last_set;  // of the op that wrote the value last
    Value value;

    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;

  friend bool operator==(const MovableListImage&, const MovableListImage&) = default;
};

Result<MovableListImage> DecodeMovableListState(BytesView state);
Bytes EncodeMovableListState(const MovableListImage& image);

// --- Tree ---

struct TreeImage {
  struct Node {
    Id id;
    TreeParent parent_kind = TreeParent::kRoot;
    Id parent;    // if kNode
    Id last_set;  // of the op that moved it last
    Lamport last_set_lamport = 0;
    Bytes position;  // fractional index

    friend bool operator==(const Node&, const Node&) = default;
  };
  /// All nodes that ever were. Decoded as found; encoded breadth-first, those that are alive before
  /// those that are deleted, siblings by position.
  std::vector<Node> nodes;

  friend bool operator==(const TreeImage&, const TreeImage&) = default;
};

Result<TreeImage> DecodeTreeState(BytesView state);
/// REQUIRES: every parent is a node of the image, without cycles.
Bytes EncodeTreeState(const TreeImage& image);

// --- Counter ---

Result<double> DecodeCounterState(BytesView state);
Bytes EncodeCounterState(double sum);

}  // namespace merrow::loro
