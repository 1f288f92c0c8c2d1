// SPDX-License-Identifier: Apache-2.0
#include "loro/state_codec.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "loro/snapshot.h"
#include "loro/snapshot_vectors.h"

namespace merrow::loro {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A state of a vector, with what its bytes refer to.
struct Found {
  SnapshotVector vector;
  SnapshotParts parts;
  StateWrapper wrapper;
};

Found FindState(std::string_view vector_name, std::string_view container) {
  Found found;
  found.vector = LoadSnapshotVector(vector_name);
  found.parts = DecodeSnapshot(found.vector.body()).value();
  for (const auto& state : found.parts.states) {
    if (state.container.ToString() == container) {
      found.wrapper = DecodeStateWrapper(state.wrapper).value();
      return found;
    }
  }
  MERROW_CHECK(false);
  return found;
}

// Decodes and encodes again; the error if it does not decode.
Result<Bytes> Again(ContainerKind kind, BytesView state) {
  switch (kind) {
    case ContainerKind::kMap: {
      MERROW_ASSIGN(const auto image, DecodeMapState(state));
      return EncodeMapState(image);
    }
    case ContainerKind::kList: {
      MERROW_ASSIGN(const auto image, DecodeListState(state));
      return EncodeListState(image);
    }
    case ContainerKind::kText: {
      MERROW_ASSIGN(const auto image, DecodeTextState(state));
      return EncodeTextState(image);
    }
    case ContainerKind::kTree: {
      MERROW_ASSIGN(const auto image, DecodeTreeState(state));
      return EncodeTreeState(image);
    }
    case ContainerKind::kMovableList: {
      MERROW_ASSIGN(const auto image, DecodeMovableListState(state));
      return EncodeMovableListState(image);
    }
    case ContainerKind::kCounter: {
      MERROW_ASSIGN(const double sum, DecodeCounterState(state));
      return EncodeCounterState(sum);
    }
  }
  return Bytes(state);
}

struct State {
  std::string name;
  ContainerKind kind;
  Bytes bytes;
};

// Every state of every vector.
std::vector<State> AllStates() {
  std::vector<State> all;
  for (const SnapshotVector& vector : LoadSnapshotVectors()) {
    SnapshotParts parts = DecodeSnapshot(vector.body()).value();
    if (parts.shallow) {
      parts.states.insert(parts.states.end(), parts.shallow->states.begin(),
                          parts.shallow->states.end());
    }
    for (const auto& state : parts.states) {
      const StateWrapper wrapper = DecodeStateWrapper(state.wrapper).value();
      MERROW_CHECK(wrapper.kind == state.container.kind());
      all.push_back(
          {vector.name + " " + state.container.ToString(), wrapper.kind, Bytes(wrapper.state)});
    }
  }
  return all;
}

// --- Bytes made by loro-crdt ---

TEST(StateCodec, GivesLorosBytesBack) {
  size_t maps = 0;
  for (const State& state : AllStates()) {
    const auto again = Again(state.kind, state.bytes);
    ASSERT_TRUE(again.ok()) << state.name << ": " << again.error().ToString();
    if (state.kind == ContainerKind::kMap) {
      // Loro's order of map entries is arbitrary; ours must come back as it is.
      EXPECT_EQ(again->size(), state.bytes.size()) << state.name;
      EXPECT_EQ(Again(state.kind, *again).value(), *again) << state.name;
      EXPECT_TRUE(DecodeMapState(state.bytes).value() == DecodeMapState(*again).value());
      ++maps;
    } else {
      EXPECT_EQ(ToHex(*again), ToHex(state.bytes)) << state.name;
    }
  }
  EXPECT_GT(maps, 10U);
}

TEST(StateCodec, WrapperNamesKindDepthAndParent) {
  const SnapshotVector vector = LoadSnapshotVector("map");
  const SnapshotParts parts = DecodeSnapshot(vector.body()).value();
  size_t roots = 0;
  for (const auto& state : parts.states) {
    const StateWrapper wrapper = DecodeStateWrapper(state.wrapper).value();
    EXPECT_EQ(EncodeStateWrapper(wrapper), state.wrapper);
    if (state.container.is_root()) {
      EXPECT_EQ(wrapper.depth, kRootDepth);
      EXPECT_FALSE(wrapper.parent.has_value());
      ++roots;
    }
    if (wrapper.kind == ContainerKind::kList) {
      EXPECT_EQ(wrapper.depth, 3U);
      ASSERT_TRUE(wrapper.parent.has_value());
      EXPECT_EQ(wrapper.parent->ToString(), "cid:13@1:Map");
    }
  }
  EXPECT_EQ(roots, 1U);
}

TEST(StateCodec, DecodesMap) {
  const Found found = FindState("map", "cid:root-map:Map");
  const MapImage image = DecodeMapState(found.wrapper.state).value();
  const auto entry = [&image](std::string_view key) -> const MapImage::Entry& {
    for (const auto& item : image.entries) {
      if (item.key == key) return item;
    }
    MERROW_CHECK(false);
    return image.entries.front();
  };
  EXPECT_THAT(image.entries, SizeIs(13));
  EXPECT_EQ(entry("null").value, Value());
  EXPECT_EQ(entry("true").value, Value(true));
  EXPECT_EQ(entry("int").value, Value(int64_t{-123456789}));
  EXPECT_EQ(entry("double").value, Value(0.1));
  EXPECT_EQ(entry("binary").value, Value(Value::Binary{Bytes("\0\1\xff", 3)}));
  EXPECT_EQ(entry("object").value->If<Value::Map>()->at(0).first, "a");
  EXPECT_EQ(entry("child").value,
            Value(ContainerId::Normal({.peer = 1, .counter = 13}, ContainerKind::kMap)));
  EXPECT_FALSE(entry("gone").value.has_value());
  EXPECT_EQ(entry("gone").lamport, 10U);
  EXPECT_EQ(entry("gone").peer, 1U);
  // UTF-8 order, not UTF-16's.
  EXPECT_EQ(image.entries.back().key, "\U00010000");
}

TEST(StateCodec, DecodesText) {
  const Found found = FindState("text", "cid:root-text:Text");
  const TextImage image = DecodeTextState(found.wrapper.state).value();
  EXPECT_EQ(image.text, found.vector.json["text"].get<std::string>());
  EXPECT_EQ(image.spans.front().length, TextImage::kStyleStart);
  std::vector<std::string> keys;
  for (const auto& mark : image.marks) keys.push_back(mark.key);
  EXPECT_THAT(keys, testing::UnorderedElementsAre("bold", "bold", "link", "comment"));
  for (const auto& mark : image.marks) {
    if (mark.key == "link") {
      EXPECT_EQ(mark.value, Value("https://example.org/"));
      EXPECT_EQ(mark.info, 0x80);
    }
  }
}

TEST(StateCodec, DecodesMovableList) {
  const Found found = FindState("movable_list", "cid:root-movable:MovableList");
  const MovableListImage image = DecodeMovableListState(found.wrapper.state).value();
  std::vector<std::string> visible;
  size_t invisible = 0;
  for (const auto& item : image.items) {
    if (item.visible) {
      visible.push_back(*item.value.If<std::string>());
    } else {
      ++invisible;
    }
  }
  EXPECT_EQ(nlohmann::json(visible), found.vector.json["movable"]);
  EXPECT_GT(invisible, 0U);
}

TEST(StateCodec, DecodesTree) {
  const Found found = FindState("tree", "cid:root-tree:Tree");
  const TreeImage image = DecodeTreeState(found.wrapper.state).value();
  ASSERT_THAT(image.nodes, SizeIs(10));
  EXPECT_EQ(ToString(image.nodes[0].id), found.vector.json["tree"][0]["id"]);
  EXPECT_EQ(ToHex(image.nodes[0].position), "7f80");
  size_t deleted = 0;
  for (const auto& node : image.nodes) deleted += node.parent_kind == TreeParent::kDeleted ? 1 : 0;
  EXPECT_EQ(deleted, 2U);
}

TEST(StateCodec, DecodesCounter) {
  const Found found = FindState("counter", "cid:root-counter:Counter");
  EXPECT_EQ(DecodeCounterState(found.wrapper.state).value(), 38.5);
  EXPECT_EQ(DecodeCounterState("").value(), 0.0);
}

// --- Random images ---

class Images {
 public:
  explicit Images(uint64_t seed) : random_(seed) {}

  Value AValue() {
    switch (random_.Below(8)) {
      case 0:
        return {};
      case 1:
        return Value(random_.Below(2) == 0);
      case 2:
        return Value(static_cast<int64_t>(random_.Next()));
      case 3:
        return Value(static_cast<double>(random_.Below(1000)) / 7);
      case 4:
        return Value(Value::Binary{Bytes(random_.Below(5), '\xff')});
      case 5:
        return Value(Value::List{Value(), Value("x")});
      case 6:
        return Value(ContainerId::Normal(AnId(), ContainerKind::kText));
      default:
        return Value("text " + std::to_string(random_.Below(100)));
    }
  }

  Id AnId() {
    return {.peer = random_.Below(3) == 0 ? kNoPeer - 1 : random_.Below(3),
            .counter = static_cast<Counter>(random_.Below(1U << 31))};
  }
  Lamport ALamport() { return static_cast<Lamport>(random_.Below(1U << 31)); }
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }

  MapImage Map() {
    MapImage image;
    for (size_t i = random_.Below(20); i > 0; --i) {
      MapImage::Entry entry;
      entry.key = "key " + std::to_string(100 - i);
      if (random_.Below(3) > 0) entry.value = AValue();
      entry.peer = AnId().peer;
      entry.lamport = ALamport();
      image.entries.push_back(std::move(entry));
    }
    return image;
  }

  ListImage List() {
    ListImage image;
    for (size_t i = random_.Below(10); i > 0; --i) {
      AtomRun run{AnId(), ALamport(), static_cast<uint32_t>(1 + random_.Below(5))};
      run.id.counter /= 2;
      run.lamport /= 2;
      for (uint32_t k = 0; k < run.length; ++k) image.values.push_back(AValue());
      image.runs.push_back(run);
    }
    return image;
  }

  TextImage Text() {
    TextImage image;
    std::vector<TextImage::Span> open;
    for (size_t i = random_.Below(30); i > 0; --i) {
      const uint64_t shape = random_.Below(4);
      Id id = AnId();
      id.counter /= 2;
      if (shape == 0) {
        image.spans.push_back({id, ALamport() / 2, TextImage::kStyleStart});
        image.marks.push_back({"key " + std::to_string(random_.Below(3)), AValue(), 0x84});
        open.push_back(image.spans.back());
      } else if (shape == 1 && !open.empty()) {
        image.spans.push_back(
            {open.back().id.Plus(1), open.back().lamport + 1, TextImage::kStyleEnd});
        open.pop_back();
      } else {
        const auto length = static_cast<int32_t>(1 + random_.Below(4));
        for (int32_t k = 0; k < length; ++k) image.text += random_.Below(2) == 0 ? "a" : "🙂";
        image.spans.push_back({id, ALamport() / 2, length});
      }
    }
    return image;
  }

  MovableListImage MovableList() {
    MovableListImage image;
    for (size_t i = random_.Below(30); i > 0; --i) {
      MovableListImage::Item item;
      item.id = AnId();
      item.lamport = ALamport();
      item.visible = random_.Below(3) > 0;
      if (item.visible) {
        item.element = {item.lamport, item.id.peer};
        if (random_.Below(2) == 0) item.element = {ALamport(), AnId().peer};
        item.last_set = item.element;
        if (random_.Below(2) == 0) item.last_set = {ALamport(), AnId().peer};
        item.value = AValue();
      }
      image.items.push_back(std::move(item));
    }
    return image;
  }

  // Nodes in the order in which they are encoded: a chain of levels.
  TreeImage Tree() {
    TreeImage image;
    for (size_t i = 0, count = random_.Below(20); i < count; ++i) {
      TreeImage::Node node;
      node.id = {.peer = random_.Below(3), .counter = static_cast<Counter>(i)};
      node.last_set = AnId();
      node.last_set_lamport = ALamport();
      node.position = Bytes(random_.Below(4), '\x81') + static_cast<char>(random_.Next());
      const uint64_t shape = random_.Below(4);
      if (shape == 0) node.parent_kind = TreeParent::kDeleted;
      if (shape > 1 && i > 0) {
        node.parent_kind = TreeParent::kNode;
        node.parent = image.nodes[random_.Below(i)].id;
      }
      image.nodes.push_back(std::move(node));
    }
    return image;
  }

 private:
  SeededRandom random_;
};

TEST(StateCodec, RandomImagesRoundTrip) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Images images(seed);
    const MapImage map = images.Map();
    EXPECT_EQ(DecodeMapState(EncodeMapState(map)).value(), map) << seed;
    const ListImage list = images.List();
    EXPECT_EQ(DecodeListState(EncodeListState(list)).value(), list) << seed;
    const TextImage text = images.Text();
    EXPECT_EQ(DecodeTextState(EncodeTextState(text)).value(), text) << seed;
    const MovableListImage movable = images.MovableList();
    EXPECT_EQ(DecodeMovableListState(EncodeMovableListState(movable)).value(), movable) << seed;

    const TreeImage tree = images.Tree();
    const Bytes tree_bytes = EncodeTreeState(tree);
    TreeImage decoded = DecodeTreeState(tree_bytes).value();
    EXPECT_EQ(EncodeTreeState(decoded), tree_bytes) << seed;
    const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
    TreeImage expected = tree;
    std::sort(expected.nodes.begin(), expected.nodes.end(), by_id);
    std::sort(decoded.nodes.begin(), decoded.nodes.end(), by_id);
    EXPECT_EQ(decoded, expected) << seed;
  }
}

TEST(StateCodec, EdgesOfIdsRoundTrip) {
  // Loro's lamport column wraps around.
  const Counter counter_max = std::numeric_limits<Counter>::max();
  const Lamport lamport_max = std::numeric_limits<Lamport>::max();
  ListImage image;
  image.values = {Value(), Value(), Value()};
  image.runs = {
      {{kNoPeer, 0}, lamport_max, 1}, {{0, counter_max}, 0, 1}, {{0, counter_max}, lamport_max, 1}};
  EXPECT_EQ(DecodeListState(EncodeListState(image)).value(), image);
}

TEST(StateCodec, TreeSiblingsAreSortedByPositionThenLamportThenPeer) {
  const auto node = [](Counter counter, const char* position, Lamport lamport, PeerId peer) {
    return TreeImage::Node{.id = {1, counter},
                           .parent_kind = TreeParent::kRoot,
                           .parent = {},
                           .last_set = {peer, counter},
                           .last_set_lamport = lamport,
                           .position = position};
  };
  TreeImage image;
  image.nodes = {node(0, "b", 1, 1), node(1, "a", 9, 2), node(2, "a", 9, 1), node(3, "a", 3, 7)};
  image.nodes[0].parent_kind = TreeParent::kDeleted;
  image.nodes.push_back(node(4, "0", 0, 1));
  image.nodes.back().parent_kind = TreeParent::kNode;
  image.nodes.back().parent = {1, 3};
  const TreeImage decoded = DecodeTreeState(EncodeTreeState(image)).value();
  std::vector<Counter> order;
  for (const auto& item : decoded.nodes) order.push_back(item.id.counter);
  EXPECT_THAT(order, ElementsAre(3, 2, 1, 4, 0));
}

TEST(StateCodec, EmptyImagesRoundTrip) {
  EXPECT_EQ(ToHex(EncodeMapState({})), "000000");
  EXPECT_EQ(ToHex(EncodeListState({})), "00000103000000");
  EXPECT_EQ(ToHex(EncodeTextState({})), "00000304000000000000");
  EXPECT_THAT(DecodeMapState(EncodeMapState({})).value().entries, IsEmpty());
  EXPECT_THAT(DecodeListState(EncodeListState({})).value().values, IsEmpty());
  EXPECT_THAT(DecodeTextState(EncodeTextState({})).value().spans, IsEmpty());
  EXPECT_THAT(DecodeMovableListState(EncodeMovableListState({})).value().items, IsEmpty());
  EXPECT_THAT(DecodeTreeState(EncodeTreeState({})).value().nodes, IsEmpty());
}

TEST(StateCodec, BigImagesRoundTrip) {
  TextImage text;
  for (int i = 0; i < 100'000; ++i) text.text += i % 10 == 0 ? "ö" : "x";
  for (int i = 0; i < 1000; ++i) {
    text.spans.push_back(
        {{static_cast<PeerId>(i % 7), i * 100}, static_cast<Lamport>(i * 300), 100});
  }
  EXPECT_EQ(DecodeTextState(EncodeTextState(text)).value(), text);

  ListImage list;
  list.values.assign(100'000, Value(int64_t{1}));
  list.runs = {{{5, 10}, 20, 100'000}};
  const Bytes list_bytes = EncodeListState(list);
  EXPECT_LT(list_bytes.size(), 200'050U);
  EXPECT_EQ(DecodeListState(list_bytes).value(), list);

  // A chain: what visits nodes must not do so by recursion.
  TreeImage tree;
  for (Counter i = 0; i < 100'000; ++i) {
    TreeImage::Node node;
    node.id = {1, i};
    node.last_set = {1, i};
    node.position = "\x80";
    if (i > 0) {
      node.parent_kind = TreeParent::kNode;
      node.parent = {1, i - 1};
    }
    tree.nodes.push_back(node);
  }
  EXPECT_EQ(DecodeTreeState(EncodeTreeState(tree)).value(), tree);
}

// --- Bytes that are not states ---

TEST(StateCodec, RefusesEveryTruncationAndMore) {
  for (const State& state : AllStates()) {
    const BytesView bytes = state.bytes;
    for (size_t size = 0; size<bytes.size(); size += bytes.size()> 5000 ? 97 : 1) {
      if (state.kind == ContainerKind::kCounter && size == 0) continue;
      EXPECT_FALSE(Again(state.kind, bytes.substr(0, size)).ok()) << state.name << " " << size;
    }
    EXPECT_FALSE(Again(state.kind, state.bytes + '\0').ok()) << state.name;
  }
}

TEST(StateCodec, WhatSurvivesABitFlipIsConsistent) {
  for (const State& state : AllStates()) {
    for (size_t bit = 0; bit<state.bytes.size() * 8; bit += state.bytes.size()> 500 ? 41 : 1) {
      Bytes broken = state.bytes;
      broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
      const auto again = Again(state.kind, broken);
      if (!again.ok()) continue;
      const auto twice = Again(state.kind, *again);
      ASSERT_TRUE(twice.ok()) << state.name << " bit " << bit << ": " << twice.error().ToString();
      EXPECT_EQ(*twice, *again) << state.name << " bit " << bit;
    }
  }
}

TEST(StateCodec, RandomBytesDoNotCrash) {
  SeededRandom random(1);
  size_t decoded = 0;
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes(random.Below(40), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Below(random.Below(2) == 0 ? 6 : 256));
    for (const auto kind : {ContainerKind::kMap, ContainerKind::kList, ContainerKind::kText,
                            ContainerKind::kTree, ContainerKind::kMovableList}) {
      decoded += Again(kind, bytes).ok() ? 1 : 0;
    }
    const auto wrapper = DecodeStateWrapper(bytes);
    decoded += wrapper.ok() ? 1 : 0;
  }
  EXPECT_GT(decoded, 0U);
}

TEST(StateCodec, RefusesTextThatDoesNotAddUp) {
  TextImage good;
  good.text = "abcö";
  good.spans = {{{1, 0}, 0, TextImage::kStyleStart}, {{1, 2}, 2, 4}, {{1, 1}, 1, -1}};
  good.marks = {{"bold", Value(true), 0x84}};
  const auto refuses = [](const TextImage& image) {
    return !DecodeTextState(EncodeTextState(image)).ok();
  };
  EXPECT_FALSE(refuses(good));

  TextImage open = good;
  open.spans.pop_back();
  EXPECT_FALSE(refuses(open)) << "a style may stay open";

  TextImage bad = good;
  bad.spans[1].length = 5;
  EXPECT_TRUE(refuses(bad)) << "span past the text";
  bad.spans[1].length = 3;
  EXPECT_TRUE(refuses(bad)) << "text not covered";
  bad.spans[1].length = -2;
  EXPECT_TRUE(refuses(bad)) << "negative length";
  bad = good;
  bad.spans[2].id.counter = 9;
  EXPECT_TRUE(refuses(bad)) << "end without its start";
  bad = good;
  bad.spans.push_back(good.spans[2]);
  EXPECT_TRUE(refuses(bad)) << "two ends";
  bad = good;
  bad.spans.insert(bad.spans.begin(), good.spans[0]);
  bad.marks.push_back(good.marks[0]);
  EXPECT_TRUE(refuses(bad)) << "one start twice";
  bad = good;
  bad.spans[1].id.counter = std::numeric_limits<Counter>::max() - 2;
  EXPECT_TRUE(refuses(bad)) << "counter past the end";
}

TEST(StateCodec, RefusesMarksThatNoStyleUses) {
  const Bytes empty("\0\0\3\4\0\0\0\0", 8);  // no text, no peers, no spans
  EXPECT_TRUE(DecodeTextState(empty + Bytes("\0\0", 2)).ok());
  EXPECT_TRUE(DecodeTextState(empty + Bytes("\1\1k\0", 4)).ok()) << "a key alone is harmless";
  EXPECT_FALSE(DecodeTextState(empty + Bytes("\1\1k\1\3\0\0\x84", 8)).ok());
}

TEST(StateCodec, RefusesNegativeCounters) {
  ListImage image;
  image.values = {Value()};
  image.runs = {{{1, -1}, 5, 1}};
  EXPECT_FALSE(DecodeListState(EncodeListState(image)).ok());
}

TEST(StateCodec, RefusesTreesWithCycles) {
  // Encoders cannot make one, so take a chain of two and point the first at the second. Both rows
  // have the parent column's literals 0, then 2 + 0 as a difference of 2.
  TreeImage image;
  image.nodes.resize(2);
  image.nodes[0].id = {1, 0};
  image.nodes[0].position = "\x80";
  image.nodes[1].id = {1, 1};
  image.nodes[1].parent_kind = TreeParent::kNode;
  image.nodes[1].parent = {1, 0};
  image.nodes[1].position = "\x80";
  Bytes bytes = EncodeTreeState(image);
  const Bytes parents("\x05\x03\x03\x00\x04", 5);  // 5 columns, 3 bytes: 2 literals, 0 and +2
  const size_t at = bytes.find(parents);
  ASSERT_NE(at, Bytes::npos);
  ASSERT_TRUE(DecodeTreeState(bytes).ok());
  bytes[at + 3] = '\x06';  // row 0: 2 + 1
  bytes[at + 4] = '\x01';  // row 1: one less, 2 + 0
  const auto cycle = DecodeTreeState(bytes);
  ASSERT_FALSE(cycle.ok());
  EXPECT_THAT(cycle.error().message(), testing::HasSubstr("cycle"));
}

TEST(StateCodec, CountsInTheInputDoNotAllocate) {
  const Bytes huge = FromHex("ffffffffffffffff7f").value();
  EXPECT_FALSE(DecodeMapState(huge).ok());
  EXPECT_FALSE(DecodeListState(huge).ok());
  EXPECT_FALSE(DecodeTextState(huge).ok());
  EXPECT_FALSE(DecodeTextState(Bytes("\0", 1) + huge).ok());
  EXPECT_FALSE(DecodeMovableListState(huge).ok());
  EXPECT_FALSE(DecodeTreeState(huge).ok());
}

TEST(StateCodec, RefusesInvisibleItemsOutOfProportion) {
  MovableListImage image;
  MovableListImage::Item item;
  item.visible = false;
  for (Counter i = 0; i < 300'000; ++i) {
    item.id = {1, i};
    item.lamport = static_cast<Lamport>(i);
    image.items.push_back(item);
  }
  const Bytes bytes = EncodeMovableListState(image);
  EXPECT_LT(bytes.size(), 50U);
  const auto decoded = DecodeMovableListState(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), ErrorCode::kLimit);
  image.items.resize(200'000);
  EXPECT_EQ(DecodeMovableListState(EncodeMovableListState(image)).value(), image);
}

TEST(StateCodec, RefusesPositionsOutOfProportion) {
  // Every node has the same long position: a byte per node in the input.
  TreeImage image;
  for (Counter i = 0; i < 20'000; ++i) {
    TreeImage::Node node;
    node.id = {1, i};
    node.last_set = {1, i};
    node.position = Bytes(5'000, '\x81');
    image.nodes.push_back(std::move(node));
  }
  const auto decoded = DecodeTreeState(EncodeTreeState(image));
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), ErrorCode::kLimit);
  image.nodes.resize(1'000);
  EXPECT_TRUE(DecodeTreeState(EncodeTreeState(image)).ok());
}

}  // namespace
}  // namespace merrow::loro
