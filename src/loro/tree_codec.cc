// SPDX-License-Identifier: Apache-2.0
//
// State of a tree (state_codec.h):
//
//   peers
//   4 fields |
//     2 columns with a row per node: peer index and counter of its id
//     5 columns with a row per node: parent; full id of the last move (peer index, counter, lamport
//       minus counter); uleb count | uleb position index ...
//     uleb length | positions
//     uleb length | reserved, empty
//
//   parent    = 0 root, 1 deleted, else 2 + the row of the parent
//   positions = 1 field | 2 columns with a row per position: bytes shared with the position before
//               (AnyRle); uleb count | (uleb length, rest of the position) ...
//
// Loro's order of nodes: those below the root, then those that are deleted. Of each, first the
// children in order, then the same for what is below the first child, the second, and so on; hence
// a parent comes before its children. Peers of node ids are numbered before those of last moves.

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "loro/state_codec.h"
#include "loro/state_columns.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint64_t kTreeFields = 4;
constexpr uint64_t kParentRoot = 0;
constexpr uint64_t kParentDeleted = 1;
constexpr uint64_t kParentFirstNode = 2;

// Positions share prefixes and nodes share positions, so that they may expand. Those of real trees
// are tens of bytes long, hundreds after very many insertions at one place.
constexpr size_t kPositionBytesFree = size_t{16} << 20;
constexpr size_t kPositionBytesPerByte = 1024;

Error Bad(const char* what) { return Corruption(std::string("tree state: ") + what); }

struct IdHash {
  size_t operator()(const Id& id) const {
    return static_cast<size_t>((id.peer ^ (static_cast<uint64_t>(id.counter) << 32)) *
                               0x9E3779B97F4A7C15U);
  }
};

// --- Decoding ---

class Decoder {
 public:
  explicit Decoder(size_t state_bytes)
      : position_bytes_left_(kPositionBytesFree + kPositionBytesPerByte * state_bytes) {}

  Result<TreeImage> Decode(BytesView state);

 private:
  Status ReadPositions(BytesView bytes);
  Status ReadNodeIds(const PeerTable& peers, const std::array<BytesView, 2>& columns);
  Status ReadNodes(const PeerTable& peers, const std::array<BytesView, 5>& columns);
  Status SetParent(uint64_t parent, TreeImage::Node* node) const;
  Status CheckParents() const;
  Status Spend(size_t bytes);

  TreeImage image_;
  std::vector<Bytes> positions_;
  std::vector<uint64_t> parents_;  // per node, as encoded
  size_t position_bytes_left_;
};

Result<TreeImage> Decoder::Decode(BytesView state) {
  ByteReader reader(state);
  MERROW_ASSIGN(const PeerTable peers, PeerTable::Read(reader));
  Cursor cursor(reader.rest());
  if (!ExpectFields(cursor, kTreeFields)) return Bad("not four fields");
  std::array<BytesView, 2> id_columns;
  MERROW_TRY(ReadColumns(cursor, id_columns));
  std::array<BytesView, 5> node_columns;
  MERROW_TRY(ReadColumns(cursor, node_columns));
  BytesView positions;
  BytesView reserved;
  if (!cursor.LengthPrefixed(&positions) || !cursor.LengthPrefixed(&reserved)) {
    return Bad("truncated");
  }
  if (!cursor.empty()) return Bad("bytes after the columns");
  MERROW_TRY(ReadPositions(positions));
  // The position indexes take a byte per node or more, which bounds the number of nodes.
  Cursor count_cursor(node_columns[4]);
  uint64_t count = 0;
  if (!count_cursor.Uleb(&count) || count > count_cursor.remaining()) {
    return Bad("node count is past the end");
  }
  image_.nodes.resize(count);
  MERROW_TRY(ReadNodeIds(peers, id_columns));
  MERROW_TRY(ReadNodes(peers, node_columns));
  MERROW_TRY(CheckParents());
  return std::move(image_);
}

Status Decoder::Spend(size_t bytes) {
  if (bytes > position_bytes_left_) return LimitReached("tree state: positions are too long");
  position_bytes_left_ -= bytes;
  return {};
}

Status Decoder::ReadPositions(BytesView bytes) {
  Cursor cursor(bytes);
  if (!ExpectFields(cursor, 1)) return Bad("positions have not one field");
  std::array<BytesView, 2> columns;
  MERROW_TRY(ReadColumns(cursor, columns));
  if (!cursor.empty()) return Bad("bytes after the positions");
  AnyRleDecoder<uint64_t> shared_lengths(columns[0]);
  Cursor rests(columns[1]);
  uint64_t count = 0;
  if (!rests.Uleb(&count) || count > rests.remaining()) {
    return Bad("position count is past the end");
  }
  positions_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t shared = 0;
    BytesView rest;
    const BytesView previous = positions_.empty() ? BytesView() : BytesView(positions_.back());
    if (!shared_lengths.Next(&shared) || shared > previous.size() || !rests.LengthPrefixed(&rest)) {
      return Bad("malformed positions");
    }
    MERROW_TRY(Spend(shared + rest.size()));
    Bytes position;
    position.reserve(shared + rest.size());
    position.append(previous.substr(0, shared));
    position.append(rest);
    positions_.push_back(std::move(position));
  }
  if (!shared_lengths.AtEnd() || !rests.empty()) return Bad("more positions than counted");
  return {};
}

Status Decoder::ReadNodeIds(const PeerTable& peers, const std::array<BytesView, 2>& columns) {
  DeltaRleDecoder<uint64_t> peer_indexes(columns[0]);
  DeltaRleDecoder<int32_t> counters(columns[1]);
  for (TreeImage::Node& node : image_.nodes) {
    uint64_t peer_index = 0;
    if (!peer_indexes.Next(&peer_index) || !counters.Next(&node.id.counter) ||
        !peers.Get(peer_index, &node.id.peer) || node.id.counter < 0) {
      return Bad("malformed node ids");
    }
  }
  if (!peer_indexes.AtEnd() || !counters.AtEnd()) return Bad("more node ids than nodes");
  return {};
}

Status Decoder::ReadNodes(const PeerTable& peers, const std::array<BytesView, 5>& columns) {
  DeltaRleDecoder<uint64_t> parents(columns[0]);
  FullIdDecoder moves(columns[1], columns[2], columns[3]);
  Cursor position_indexes(columns[4]);
  uint64_t count = 0;
  if (!position_indexes.Uleb(&count)) return Bad("truncated");
  parents_.reserve(image_.nodes.size());
  for (TreeImage::Node& node : image_.nodes) {
    uint64_t parent = 0;
    FullId move;
    uint64_t position_index = 0;
    if (!parents.Next(&parent) || !moves.Next(peers, &move) ||
        !position_indexes.Uleb(&position_index) || position_index >= positions_.size()) {
      return Bad("malformed nodes");
    }
    MERROW_TRY(SetParent(parent, &node));
    parents_.push_back(parent);
    node.last_set = move.id;
    node.last_set_lamport = move.lamport;
    MERROW_TRY(Spend(positions_[position_index].size()));
    node.position = positions_[position_index];
  }
  if (!parents.AtEnd() || !moves.AtEnd() || !position_indexes.empty()) {
    return Bad("more rows than nodes");
  }
  return {};
}

Status Decoder::SetParent(uint64_t parent, TreeImage::Node* node) const {
  if (parent == kParentRoot) {
    node->parent_kind = TreeParent::kRoot;
  } else if (parent == kParentDeleted) {
    node->parent_kind = TreeParent::kDeleted;
  } else if (parent - kParentFirstNode < image_.nodes.size()) {
    node->parent_kind = TreeParent::kNode;
    node->parent = image_.nodes[parent - kParentFirstNode].id;
  } else {
    return Bad("parent is out of range");
  }
  return {};
}

// Every node is there once, and following parents ends at the root or among the deleted.
Status Decoder::CheckParents() const {
  std::unordered_map<Id, size_t, IdHash> rows;
  for (size_t i = 0; i < image_.nodes.size(); ++i) {
    if (!rows.emplace(image_.nodes[i].id, i).second) return Bad("one node twice");
  }
  constexpr size_t kNotVisited = SIZE_MAX;
  std::vector<size_t> visited_from(parents_.size(), kNotVisited);
  for (size_t start = 0; start < parents_.size(); ++start) {
    size_t row = start;
    while (visited_from[row] == kNotVisited) {
      visited_from[row] = start;
      if (parents_[row] < kParentFirstNode) break;
      row = static_cast<size_t>(parents_[row] - kParentFirstNode);
      if (visited_from[row] == start) return Bad("parents form a cycle");
    }
  }
  return {};
}

// --- Encoding ---

// Rows of the image in the order described above.
std::vector<size_t> EncodedOrder(const TreeImage& image,
                                 const std::unordered_map<Id, size_t, IdHash>& rows) {
  const auto& nodes = image.nodes;
  const auto before = [&nodes](size_t a, size_t b) {
    const auto key = [](const TreeImage::Node& node) {
      return std::tie(node.position, node.last_set_lamport, node.last_set.peer, node.id);
    };
    return key(nodes[a]) < key(nodes[b]);
  };
  std::vector<std::vector<size_t>> children(nodes.size());
  std::vector<size_t> alive;
  std::vector<size_t> deleted;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].parent_kind == TreeParent::kRoot) {
      alive.push_back(i);
    } else if (nodes[i].parent_kind == TreeParent::kDeleted) {
      deleted.push_back(i);
    } else {
      const auto parent = rows.find(nodes[i].parent);
      MERROW_CHECK(parent != rows.end());
      children[parent->second].push_back(i);
    }
  }

  std::vector<size_t> order;
  order.reserve(nodes.size());
  for (std::vector<size_t>* group : {&alive, &deleted}) {
    std::vector<std::vector<size_t>*> stack = {group};
    while (!stack.empty()) {
      std::vector<size_t>& siblings = *stack.back();
      stack.pop_back();
      std::sort(siblings.begin(), siblings.end(), before);
      order.insert(order.end(), siblings.begin(), siblings.end());
      for (auto row = siblings.rbegin(); row != siblings.rend(); ++row) {
        if (!children[*row].empty()) stack.push_back(&children[*row]);
      }
    }
  }
  // A cycle would never be reached.
  MERROW_CHECK(order.size() == nodes.size());
  return order;
}

Bytes EncodePositions(const std::map<BytesView, uint64_t>& positions) {
  AnyRleEncoder<uint64_t> shared_lengths;
  ByteWriter rests;
  rests.Uleb(positions.size());
  BytesView previous;
  for (const auto& [position, index] : positions) {
    const auto shared = static_cast<size_t>(
        std::mismatch(position.begin(), position.end(), previous.begin(), previous.end()).first -
        position.begin());
    shared_lengths.Append(shared);
    rests.LengthPrefixed(position.substr(shared));
    previous = position;
  }
  ByteWriter writer;
  writer.Uleb(1);
  WriteColumns(writer, std::array<Bytes, 2>{shared_lengths.Finish(), rests.Release()});
  return writer.Release();
}

}  // namespace

Result<TreeImage> DecodeTreeState(BytesView state) { return Decoder(state.size()).Decode(state); }

Bytes EncodeTreeState(const TreeImage& image) {
  std::unordered_map<Id, size_t, IdHash> rows;
  for (size_t i = 0; i < image.nodes.size(); ++i) {
    MERROW_CHECK(rows.emplace(image.nodes[i].id, i).second);
  }
  const std::vector<size_t> order = EncodedOrder(image, rows);

  PeerRegister peers;
  DeltaRleEncoder<uint64_t> id_peers;
  DeltaRleEncoder<int32_t> id_counters;
  std::map<BytesView, uint64_t> positions;           // to their indexes
  std::vector<uint64_t> encoded_rows(order.size());  // by row of the image
  for (size_t i = 0; i < order.size(); ++i) {
    const TreeImage::Node& node = image.nodes[order[i]];
    encoded_rows[order[i]] = i;
    id_peers.Append(peers.Index(node.id.peer));
    id_counters.Append(node.id.counter);
    positions.emplace(node.position, 0);
  }
  uint64_t position_count = 0;
  for (auto& [position, index] : positions) index = position_count++;

  DeltaRleEncoder<uint64_t> parents;
  FullIdEncoder moves;
  ByteWriter node_positions;
  node_positions.Uleb(order.size());
  for (const size_t row : order) {
    const TreeImage::Node& node = image.nodes[row];
    switch (node.parent_kind) {
      case TreeParent::kRoot:
        parents.Append(kParentRoot);
        break;
      case TreeParent::kDeleted:
        parents.Append(kParentDeleted);
        break;
      case TreeParent::kNode:
        parents.Append(kParentFirstNode + encoded_rows[rows.at(node.parent)]);
        break;
    }
    moves.Append(peers, node.last_set, node.last_set_lamport);
    node_positions.Uleb(positions.at(node.position));
  }

  ByteWriter writer;
  peers.Write(writer);
  writer.Uleb(kTreeFields);
  WriteColumns(writer, std::array<Bytes, 2>{id_peers.Finish(), id_counters.Finish()});
  std::array<Bytes, 5> columns;
  columns[0] = parents.Finish();
  moves.Finish(&columns[1], &columns[2], &columns[3]);
  columns[4] = node_positions.Release();
  WriteColumns(writer, columns);
  writer.LengthPrefixed(EncodePositions(positions));
  writer.LengthPrefixed("");  // reserved
  return writer.Release();
}

}  // namespace merrow::loro
