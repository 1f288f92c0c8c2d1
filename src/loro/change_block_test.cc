// SPDX-License-Identifier: Apache-2.0
#include "loro/change_block.h"

#include <gtest/gtest.h>

#include <random>

#include "loro/change_block_test_util.h"
#include "loro/columns.h"
#include "loro/envelope.h"

namespace merrow::loro {
namespace {

using nlohmann::json;

// map.set("k", "v") on the root map "m", by peer 1: the smallest update there is.
constexpr std::string_view kSmallest =
    "0001000101"
    "10"
    "010100000000000000"
    "01"
    "0100"
    "0000"
    "0000"
    "05"
    "010000"
    "0100"
    "06"
    "010401000002"
    "04"
    "016b016d"
    "00"
    "0e"
    "0104020100020100"
    "02010b020101"
    "00"
    "03"
    "050176";

const ContainerId kMap = ContainerId::Root("m", ContainerKind::kMap);
const ContainerId kText = ContainerId::Root("t", ContainerKind::kText);
const ContainerId kList = ContainerId::Root("l", ContainerKind::kList);

/// The builder filled with all of `block`, as it is or merged.
ChangeBlockBuilder Rebuilt(const ChangeBlock& block, ChangeMerge merge) {
  ChangeBlockBuilder builder(block.peer);
  for (size_t i = 0; i < block.changes.size(); ++i) {
    const Change& change = block.changes[i];
    EXPECT_TRUE(builder.AppendSlice(block, i, change.counter, change.end(), merge).ok());
  }
  return builder;
}

TEST(ChangeBlockTest, GoldenSmallest) {
  ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  builder.AddMapSet(kMap, "k", "v");
  EXPECT_EQ(ToHex(builder.Encode()), kSmallest);

  const Bytes bytes = FromHex(kSmallest).value();
  const ChangeBlock block = Decoded(bytes);
  EXPECT_EQ(block.peer, 1U);
  EXPECT_EQ(block.peers, std::vector<PeerId>{1});
  EXPECT_EQ(block.keys, (std::vector<std::string_view>{"k", "m"}));
  EXPECT_EQ(block.containers, std::vector<ContainerId>{kMap});
  ASSERT_EQ(block.changes.size(), 1U);
  EXPECT_EQ(ToJson(block, block.changes[0]), json::parse(R"({
    "id": "0@1", "timestamp": 0, "deps": [], "lamport": 0, "msg": null,
    "ops": [{"container": "cid:root-m:Map", "counter": 0,
             "content": {"type": "insert", "key": "k", "value": "v"}}]})"));
}

// --- Vectors made by loro-crdt ---

TEST(ChangeBlockTest, VectorsHoldWhatLoroSays) {
  for (const BlockVector& vector : LoadBlockVectors()) {
    SCOPED_TRACE(vector.name);
    std::map<std::string, json> expected;
    for (const json& change : vector.changes) expected[change.at("id")] = change;
    size_t found = 0;
    for (const Bytes& bytes : vector.blocks) {
      const ChangeBlock block = Decoded(bytes);
      for (const Change& change : block.changes) {
        const json actual = ToJson(block, change);
        json wanted = expected[actual.at("id")];
        ASSERT_FALSE(wanted.is_null()) << actual.at("id");
        std::sort(wanted["deps"].begin(), wanted["deps"].end());
        json sorted = actual;
        std::sort(sorted["deps"].begin(), sorted["deps"].end());
        EXPECT_EQ(sorted, wanted);
        ++found;
      }
    }
    EXPECT_EQ(found, expected.size());
  }
}

TEST(ChangeBlockTest, VectorsAreRewrittenByteForByte) {
  for (const BlockVector& vector : LoadBlockVectors()) {
    if (!vector.canonical) continue;
    for (const Bytes& bytes : vector.blocks) {
      const ChangeBlock block = Decoded(bytes);
      EXPECT_EQ(ToHex(Rebuilt(block, ChangeMerge::kKeep).Encode()), ToHex(bytes)) << vector.name;

      ChangeBlockBuilder local(block.peer);
      bool is_canonical = true;
      for (const Change& change : block.changes) {
        is_canonical = AddAsLocal(block, change, &local) && is_canonical;
      }
      EXPECT_EQ(FirstDifference(local.View(), block), "") << vector.name;
      if (is_canonical) {
        EXPECT_EQ(ToHex(local.Encode()), ToHex(bytes)) << vector.name;
      }
    }
  }
}

TEST(ChangeBlockTest, HeadersAgreeWithBlocks) {
  for (const BlockVector& vector : LoadBlockVectors()) {
    for (const Bytes& bytes : vector.blocks) {
      const ChangeBlock block = Decoded(bytes);
      const ChangeBlockHeader header = DecodeChangeBlockHeader(bytes).value();
      EXPECT_EQ(header.peer, block.peer);
      EXPECT_EQ(header.counter, block.counter());
      EXPECT_EQ(header.end, block.end());
      ASSERT_EQ(header.changes.size(), block.changes.size());
      for (size_t i = 0; i < block.changes.size(); ++i) {
        EXPECT_EQ(header.changes[i].counter, block.changes[i].counter);
        EXPECT_EQ(header.changes[i].length, block.changes[i].length);
        EXPECT_EQ(header.changes[i].lamport, block.changes[i].lamport);
        EXPECT_EQ(header.changes[i].timestamp, block.changes[i].timestamp);
        EXPECT_EQ(header.changes[i].deps, block.changes[i].deps);
      }
    }
  }
}

TEST(ChangeBlockFuzz, DamagedVectorsAreRefusedOrDecode) {
  for (const BlockVector& vector : LoadBlockVectors()) {
    for (const Bytes& bytes : vector.blocks) {
      const size_t step = bytes.size() > 600 ? 11 : 1;  // long ones are much the same all over
      for (size_t i = 0; i < bytes.size(); i += step) {
        EXPECT_FALSE(DecodeChangeBlock(BytesView(bytes).substr(0, i)).ok()) << vector.name;
        for (int bit = 0; bit < 8; ++bit) {
          Bytes damaged = bytes;
          damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
          (void)DecodeChangeBlockHeader(damaged);
          const Result<ChangeBlock> block = DecodeChangeBlock(damaged);
          if (!block.ok()) continue;
          // What decodes must be sound enough for everything that is done to blocks.
          const ChangeBlockBuilder copy = Rebuilt(*block, ChangeMerge::kMerge);
          EXPECT_TRUE(DecodeChangeBlock(copy.Encode()).ok()) << vector.name << " " << i;
        }
      }
      EXPECT_FALSE(DecodeChangeBlock(bytes + '\0').ok());
    }
  }
}

// --- Random blocks ---

TEST(ChangeBlockProp, RoundTrip) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    ChangeBlockBuilder builder(seed % 2 == 0 ? 1 : 0x8000000000000001U);
    AddRandomChanges(random, 1 + static_cast<int>(random() % 6), &builder);
    const Bytes bytes = builder.Encode();
    const ChangeBlock block = Decoded(bytes);
    const ChangeBlock view = builder.View();
    EXPECT_EQ(FirstDifference(block, view), "");
    ASSERT_EQ(block.changes.size(), view.changes.size());
    for (size_t i = 0; i < block.changes.size(); ++i) {
      EXPECT_EQ(ToJson(block, block.changes[i]), ToJson(view, view.changes[i]));
    }
    EXPECT_EQ(Rebuilt(block, ChangeMerge::kKeep).Encode(), bytes);
    EXPECT_EQ(Rebuilt(view, ChangeMerge::kKeep).Encode(), bytes);

    // The builder may grow after Encode.
    AddRandomChanges(random, 2, &builder);
    const Bytes grown = builder.Encode();
    EXPECT_EQ(FirstDifference(Decoded(grown), builder.View()), "");
  }
}

TEST(ChangeBlockProp, SlicesMeanTheSameHoweverTheyAreCutAndMerged) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    ChangeBlockBuilder original(1);
    AddRandomChanges(random, 1 + static_cast<int>(random() % 6), &original);
    const Bytes bytes = original.Encode();
    const ChangeBlock block = Decoded(bytes);

    std::map<Counter, std::string> atoms;
    ChangeBlockBuilder builder(1);
    const auto flush = [&atoms, &builder] {
      const Bytes part = builder.Encode();
      for (const auto& [counter, atom] : Atoms(Decoded(part))) atoms[counter] = atom;
      builder = ChangeBlockBuilder(1);
    };
    for (size_t i = 0; i < block.changes.size(); ++i) {
      const Change& change = block.changes[i];
      for (Counter from = change.counter; from < change.end();) {
        const auto left = static_cast<uint64_t>(change.end() - from);
        const Counter to = from + 1 + static_cast<Counter>(random() % left);
        const ChangeMerge merge = random() % 2 == 0 ? ChangeMerge::kKeep : ChangeMerge::kMerge;
        ASSERT_TRUE(builder.AppendSlice(block, i, from, to, merge).ok());
        from = to;
        if (random() % 4 == 0) flush();
      }
    }
    if (!builder.empty()) flush();
    EXPECT_EQ(FirstDifference(atoms, Atoms(block)), "");
  }
}

TEST(ChangeBlockFuzz, RandomBlocksWithManyDamagedBytes) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    ChangeBlockBuilder builder(1);
    AddRandomChanges(random, 3, &builder);
    const Bytes bytes = builder.Encode();
    for (int j = 0; j < 100; ++j) {
      Bytes damaged = bytes;
      for (auto n = 1 + random() % 3; n > 0; --n) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      (void)DecodeChangeBlockHeader(damaged);
      if (const Result<ChangeBlock> block = DecodeChangeBlock(damaged); block.ok()) {
        EXPECT_TRUE(DecodeChangeBlock(Rebuilt(*block, ChangeMerge::kMerge).Encode()).ok());
      }
    }
  }
}

// --- Merging ---

TEST(ChangeBlockBuilderTest, RunsOfLocalOps) {
  ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  EXPECT_TRUE(builder.empty());
  builder.AddTextInsert(kText, 0, "h", 1);
  builder.AddTextInsert(kText, 1, "\u00E9", 1);
  builder.AddTextInsert(kText, 2, "llo", 3);
  EXPECT_EQ(builder.View().ops.size(), 1U);
  builder.AddTextInsert(kText, 4, "-", 1);  // not at the end
  EXPECT_EQ(builder.View().ops.size(), 2U);
  builder.AddDelete(kText, 3, {1, 3}, 1);  // backspaces
  builder.AddDelete(kText, 2, {1, 2}, 1);
  builder.AddDelete(kText, 1, {1, 1}, 1);
  ASSERT_EQ(builder.View().ops.size(), 3U);
  EXPECT_EQ(builder.View().ops[2].signed_length, -3);
  EXPECT_EQ(builder.View().ops[2].prop, 3);
  EXPECT_EQ(builder.View().ops[2].target, (Id{1, 1}));
  builder.AddDelete(kText, 0, {2, 5}, 1);  // forwards, of another peer
  builder.AddDelete(kText, 0, {2, 6}, 2);
  ASSERT_EQ(builder.View().ops.size(), 4U);
  EXPECT_EQ(builder.View().ops[3].signed_length, 3);
  EXPECT_EQ(builder.View().ops[3].target, (Id{2, 5}));
  builder.AddDelete(kText, 0, {2, 20}, 1);  // ids are not consecutive
  EXPECT_EQ(builder.View().ops.size(), 5U);
  builder.AddListInsert(kList, 0, std::vector<Value>{1.5, "x"});
  builder.AddListInsert(kList, 2, std::vector<Value>{true});
  ASSERT_EQ(builder.View().ops.size(), 6U);
  EXPECT_EQ(builder.View().ops[5].length, 3U);
  builder.AddMapSet(kMap, "k", int64_t{1});
  builder.AddMapSet(kMap, "k", int64_t{2});
  EXPECT_EQ(builder.View().ops.size(), 8U);
  // A new change begins a new run.
  builder.AddTextInsert(kText, 0, "a", 1);
  builder.BeginChange(builder.end(), 100, {{1, builder.end() - 1}}, 0, "");
  builder.AddTextInsert(kText, 1, "b", 1);
  EXPECT_EQ(builder.View().ops.size(), 10U);
  EXPECT_EQ(FirstDifference(Decoded(builder.Encode()), builder.View()), "");
}

/// A block of one change with the text `text` typed at `position`.
Bytes TypedBlock(Counter counter, uint32_t position, std::string_view text, std::vector<Id> deps,
                 Lamport lamport, int64_t timestamp = 0, std::string_view message = "") {
  ChangeBlockBuilder builder(1);
  builder.BeginChange(counter, lamport, std::move(deps), timestamp, message);
  builder.AddTextInsert(kText, position, text, static_cast<uint32_t>(text.size()));
  return builder.Encode();
}

/// How many changes and ops there are after merging `second` to a change of two atoms.
std::pair<size_t, size_t> MergedWith(BytesView second) {
  const Bytes first = TypedBlock(0, 0, "ab", {}, 5);
  ChangeBlockBuilder builder = Rebuilt(Decoded(first), ChangeMerge::kMerge);
  EXPECT_TRUE(builder.AppendSlice(Decoded(second), 0, 2, 3, ChangeMerge::kMerge).ok());
  const ChangeBlock view = builder.View();
  EXPECT_EQ(FirstDifference(Decoded(builder.Encode()), view), "");
  return {view.changes.size(), view.ops.size()};
}

TEST(ChangeBlockBuilderTest, ChangesMergeOnlyWhenNothingIsLost) {
  using Counts = std::pair<size_t, size_t>;
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{1, 1}}, 7)), (Counts{1, 1}));
  EXPECT_EQ(MergedWith(TypedBlock(2, 0, "c", {{1, 1}}, 7)), (Counts{1, 2}));  // elsewhere
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{1, 1}}, 8)), (Counts{2, 2}));  // a gap of lamports
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{1, 1}}, 7, 1)), (Counts{2, 2}));
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{1, 1}}, 7, 0, "message")), (Counts{2, 2}));
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{1, 1}, {2, 0}}, 7)), (Counts{2, 2}));
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {{2, 0}}, 7)), (Counts{2, 2}));
  EXPECT_EQ(MergedWith(TypedBlock(2, 2, "c", {}, 7)), (Counts{2, 2}));
}

TEST(ChangeBlockBuilderTest, ManySmallChangesMergeIntoAShortBlock) {
  ChangeBlockBuilder merged(1);
  size_t separate_bytes = 0;
  for (Counter i = 0; i < 100; ++i) {
    std::vector<Id> deps;
    if (i > 0) deps.push_back({1, i - 1});
    const Bytes block = TypedBlock(i, static_cast<uint32_t>(i), "x", deps, static_cast<Lamport>(i));
    separate_bytes += block.size();
    ASSERT_TRUE(merged.AppendSlice(Decoded(block), 0, i, i + 1, ChangeMerge::kMerge).ok());
  }
  EXPECT_GT(separate_bytes, 5000U);
  EXPECT_LT(merged.Encode().size(), 170U);
}

TEST(ChangeBlockBuilderTest, ReversedDeletesAreSlicedByTarget) {
  ChangeBlockBuilder builder(1);
  builder.BeginChange(10, 0, {}, 0, "");
  for (Counter i = 0; i < 4; ++i)
    builder.AddDelete(kText, 9 - static_cast<uint32_t>(i), {2, 7 - i}, 1);
  const Bytes bytes = builder.Encode();
  const ChangeBlock block = Decoded(bytes);
  ASSERT_EQ(block.ops.size(), 1U);
  ASSERT_EQ(block.ops[0].signed_length, -4);
  ASSERT_EQ(block.ops[0].target, (Id{2, 4}));
  ChangeBlockBuilder front(1);
  ASSERT_TRUE(front.AppendSlice(block, 0, 10, 13).ok());
  EXPECT_EQ(front.View().ops[0].prop, 9);
  EXPECT_EQ(front.View().ops[0].target, (Id{2, 5}));
  EXPECT_EQ(front.View().ops[0].signed_length, -3);
  ChangeBlockBuilder middle(1);
  ASSERT_TRUE(middle.AppendSlice(block, 0, 11, 13).ok());
  const ChangeBlock view = middle.View();
  EXPECT_EQ(view.ops[0].prop, 8);
  EXPECT_EQ(view.ops[0].target, (Id{2, 5}));
  EXPECT_EQ(view.ops[0].signed_length, -2);
  EXPECT_EQ(view.changes[0].deps, (std::vector<Id>{{1, 10}}));
  EXPECT_EQ(view.changes[0].lamport, 1U);
}

TEST(ChangeBlockBuilderTest, CounterDeltas) {
  const auto payload = [](double delta) {
    ChangeBlockBuilder builder(1);
    builder.BeginChange(0, 0, {}, 0, "");
    builder.AddCounter(ContainerId::Root("n", ContainerKind::kCounter), delta);
    const Bytes bytes = builder.Encode();
    const ChangeBlock block = Decoded(bytes);
    EXPECT_EQ(block.ops[0].delta, delta);
    return static_cast<int>(block.ops[0].raw_tag);
  };
  for (const double whole : {0.0, 1.0, -1.0, 134217727.0, -134217727.0}) {
    EXPECT_EQ(payload(whole), 3);
  }
  for (const double other :
       {0.5, 134217728.0, -134217728.0, 1e-17, 1e300, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(payload(other), 4);
  }
}

TEST(ChangeBlockBuilderTest, EstimateIsNearTheSize) {
  for (const BlockVector& vector : LoadBlockVectors()) {
    for (const Bytes& bytes : vector.blocks) {
      const size_t estimate = Rebuilt(Decoded(bytes), ChangeMerge::kKeep).EstimatedBytes();
      EXPECT_LT(estimate, 4 * bytes.size() + 50) << vector.name;  // changes that are alike
      EXPECT_LT(bytes.size(), 2 * estimate + 50) << vector.name;
    }
  }
}

// --- Ops of later releases ---

/// The sections of a block, to put together blocks that no builder writes.
struct RawBlock {
  uint32_t counter_start = 0;
  uint32_t counter_length = 1;
  uint32_t lamport_start = 0;
  uint32_t lamport_length = 1;
  uint32_t change_count = 1;
  // Of kSmallest.
  Bytes header = FromHex("01010000000000000001010000000000").value();
  Bytes meta = FromHex("0100000100").value();
  Bytes containers = FromHex("010401000002").value();
  Bytes keys = FromHex("016b016d").value();
  Bytes positions;
  std::vector<uint32_t> op_containers = {0};
  std::vector<int32_t> props = {0};
  std::vector<uint8_t> tags = {11};
  std::vector<uint32_t> lengths = {1};
  Bytes deletes;
  Bytes payloads = FromHex("050176").value();

  template <typename Encoder, typename T>
  static Bytes Column(const std::vector<T>& values) {
    Encoder encoder;
    for (const T value : values) encoder.Append(value);
    return encoder.Finish();
  }
  Bytes Ops() const {
    const Bytes columns[] = {
        Column<DeltaRleEncoder<uint32_t>>(op_containers), Column<DeltaRleEncoder<int32_t>>(props),
        Column<AnyRleEncoder<uint8_t>>(tags), Column<AnyRleEncoder<uint32_t>>(lengths)};
    ByteWriter writer;
    writer.Uleb(1);
    WriteColumns(writer, columns);
    return writer.Release();
  }
  Bytes Encode() const { return EncodeWith(Ops()); }
  Bytes EncodeWith(BytesView ops) const {
    ByteWriter writer;
    for (const uint32_t number :
         {counter_start, counter_length, lamport_start, lamport_length, change_count}) {
      writer.Uleb(number);
    }
    for (const BytesView section :
         {BytesView(header), BytesView(meta), BytesView(containers), BytesView(keys),
          BytesView(positions), ops, BytesView(deletes), BytesView(payloads)}) {
      writer.LengthPrefixed(section);
    }
    return writer.Release();
  }
};

bool Decodes(const RawBlock& raw) { return DecodeChangeBlock(raw.Encode()).ok(); }

TEST(ChangeBlockTest, RawBlockOfTheTestIsTheSmallest) {
  EXPECT_EQ(ToHex(RawBlock().Encode()), kSmallest);
}

TEST(ChangeBlockTest, UnknownContainersAreKeptVerbatim) {
  struct Case {
    uint8_t tag;
    std::string_view payload;
  };
  const Case cases[] = {
      {0, ""},
      {1, ""},
      {3, "7f"},
      {4, "3ff0000000000000"},
      {5, "0161"},
      {6, "02ff00"},
      {7, "8001"},
      {8, ""},
      {9, ""},
      {10, "7f"},
      {11, "080100050176"},
      {12, "8405000301"},
      {13, "01000102"},
      {14, "010203"},
      {15, "0105050161"},
      {16, "010203000405"},
      {17, "03616263"},
      {0x91, "03616263"},
      {0xFF, "00"},
      {0x85, "0161"},
  };
  for (const Case& one : cases) {
    RawBlock raw;
    raw.containers = FromHex("010401420002").value();  // kind 0x42
    raw.props = {-5};
    raw.tags = {one.tag};
    raw.payloads = FromHex(one.payload).value();
    const Bytes bytes = raw.Encode();
    const ChangeBlock block = Decoded(bytes);
    ASSERT_EQ(block.ops.size(), 1U) << int{one.tag};
    EXPECT_EQ(block.ops[0].kind, OpKind::kUnknown);
    EXPECT_EQ(block.ops[0].raw_tag, one.tag);
    EXPECT_EQ(block.ops[0].prop, -5);
    EXPECT_EQ(ToHex(block.ops[0].payload), one.payload);
    const bool registers_key = one.payload.starts_with("08") || one.tag == 12;
    const Bytes again = Rebuilt(block, ChangeMerge::kMerge).Encode();
    const ChangeBlock copy = Decoded(again);
    EXPECT_EQ(FirstDifference(copy, block), "");
    if (registers_key) {
      EXPECT_EQ(ToHex(again), ToHex(bytes)) << int{one.tag};
    }
    for (size_t i = 0; i < raw.payloads.size(); ++i) {
      RawBlock shorter = raw;
      shorter.payloads.pop_back();
      EXPECT_FALSE(Decodes(shorter)) << int{one.tag};
    }
    raw.payloads.push_back('\0');
    EXPECT_FALSE(Decodes(raw)) << int{one.tag};
  }
}

TEST(ChangeBlockTest, KeysOfUnknownOpsAreTranslated) {
  RawBlock raw;
  raw.containers = FromHex("010401420002").value();
  raw.tags = {11};
  raw.payloads = FromHex("080101050176").value();  // {"m": "v"}
  const Bytes bytes = raw.Encode();
  const ChangeBlock block = Decoded(bytes);
  const ChangeBlockBuilder builder = Rebuilt(block, ChangeMerge::kKeep);
  const ChangeBlock copy = builder.View();
  EXPECT_EQ(ToHex(copy.ops[0].payload), "080100050176");
  EXPECT_EQ(copy.keys[0], "m");
}

TEST(ChangeBlockTest, UnknownOpsHaveOneAtom) {
  RawBlock raw;
  raw.containers = FromHex("010401420002").value();
  raw.counter_length = raw.lamport_length = 3;
  raw.lengths = {3};
  raw.tags = {0};
  raw.payloads.clear();
  EXPECT_FALSE(Decodes(raw));
}

TEST(ChangeBlockTest, KnownContainersRefuseTagsThatAreNotTheirs) {
  for (int kind = 0; kind <= 5; ++kind) {
    for (int tag = 0; tag < 256; ++tag) {
      RawBlock raw;
      raw.containers[3] = static_cast<char>(kind);
      raw.tags = {static_cast<uint8_t>(tag)};
      const std::pair<int, int> allowed[] = {{0, 8},  {0, 11}, {1, 9},  {1, 11}, {2, 0},
                                             {2, 5},  {2, 9},  {2, 12}, {3, 16}, {4, 9},
                                             {4, 11}, {4, 14}, {4, 15}, {5, 3},  {5, 4}};
      if (std::find(std::begin(allowed), std::end(allowed), std::pair(kind, tag & 0x7F)) !=
          std::end(allowed)) {
        continue;
      }
      EXPECT_FALSE(Decodes(raw)) << kind << " " << tag;
    }
  }
}

// --- What writers may do differently ---

TEST(ChangeBlockTest, UnusedTableEntriesAndOtherSegmentationAreAccepted) {
  RawBlock raw;
  raw.header = FromHex("020100000000000000090000000000000001010000000000").value();
  raw.keys = FromHex("016b016d01780178").value();
  raw.containers = FromHex("0204010000020400020112").value();
  // Runs of one instead of literals.
  const Bytes ops = FromHex("010402020002020002020b020201").value();
  EXPECT_TRUE(DecodeChangeBlock(raw.EncodeWith(ops)).ok());
}

// --- Refusals ---

TEST(ChangeBlockTest, RunLengthsOutOfProportionAreRefused) {
  // 2^31 - 1 deletes of one map key in 80 bytes.
  RawBlock raw;
  raw.counter_length = raw.lamport_length = INT32_MAX;
  ByteWriter run;
  run.Zigzag(INT32_MAX);
  const auto column = [&run](std::string_view value_hex) {
    return run.bytes() + FromHex(value_hex).value();
  };
  const Bytes columns[] = {column("00"), column("00"), column("08"), column("01")};
  ByteWriter ops;
  ops.Uleb(1);
  WriteColumns(ops, columns);
  raw.payloads.clear();
  const Result<ChangeBlock> block = DecodeChangeBlock(raw.EncodeWith(ops.bytes()));
  ASSERT_FALSE(block.ok());
  EXPECT_NE(block.error().message().find("too many ops"), std::string::npos);

  // The same run where only one atom is expected.
  raw.counter_length = raw.lamport_length = 1;
  EXPECT_FALSE(DecodeChangeBlock(raw.EncodeWith(ops.bytes())).ok());
}

TEST(ChangeBlockTest, BlocksAtTheLimitOfOps) {
  ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  while (!builder.full()) builder.AddMapDelete(kMap, "k");
  const auto op_count = static_cast<Counter>(kBlockOpsMax - 1);
  ASSERT_EQ(builder.end(), op_count);
  const Bytes bytes = builder.Encode();
  EXPECT_LT(bytes.size(), 100U);
  const ChangeBlock block = Decoded(bytes);
  ASSERT_EQ(block.ops.size(), kBlockOpsMax - 1);

  // One more fits, two do not, and then nothing is appended.
  const auto next = [&block](Counter count) {
    ChangeBlockBuilder small(1);
    small.BeginChange(block.end(), static_cast<Lamport>(block.end()), {}, 0, "");
    for (; count > 0; --count) small.AddMapDelete(kMap, "k");
    return small.Encode();
  };
  ChangeBlockBuilder copy = Rebuilt(block, ChangeMerge::kKeep);
  const Bytes two = next(2);
  EXPECT_EQ(copy.AppendSlice(Decoded(two), 0, op_count, op_count + 2).error().code(),
            ErrorCode::kLimit);
  EXPECT_EQ(copy.end(), op_count);
  const Bytes one = next(1);
  EXPECT_TRUE(copy.AppendSlice(Decoded(one), 0, op_count, op_count + 1).ok());
  EXPECT_EQ(Decoded(copy.Encode()).ops.size(), kBlockOpsMax);
}

TEST(ChangeBlockBuilderTest, LamportsThatGoBackAreRaised) {
  const Bytes first = TypedBlock(0, 0, "ab", {}, 100);
  const Bytes second = TypedBlock(2, 2, "c", {{1, 1}}, 5);
  ChangeBlockBuilder builder = Rebuilt(Decoded(first), ChangeMerge::kKeep);
  ASSERT_TRUE(builder.AppendSlice(Decoded(second), 0, 2, 3).ok());
  const Bytes both = builder.Encode();
  EXPECT_EQ(Decoded(both).changes[1].lamport, 102U);

  // There is none above the last.
  const Bytes last = TypedBlock(0, 0, "ab", {}, UINT32_MAX - 2);
  ChangeBlockBuilder at_the_end = Rebuilt(Decoded(last), ChangeMerge::kKeep);
  EXPECT_EQ(at_the_end.AppendSlice(Decoded(second), 0, 2, 3).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(at_the_end.end(), 2);
  EXPECT_TRUE(DecodeChangeBlock(at_the_end.Encode()).ok());
}

TEST(ChangeBlockTest, ExtremeTimestampsAreRefused) {
  for (const int64_t limit : {int64_t{1} << 60, -(int64_t{1} << 60)}) {
    DeltaOfDeltaEncoder within;
    within.Append(limit);
    RawBlock raw;
    raw.meta = within.Finish() + FromHex("0100").value();
    EXPECT_TRUE(Decodes(raw));
    DeltaOfDeltaEncoder beyond;
    beyond.Append(limit + (limit > 0 ? 1 : -1));
    raw.meta = beyond.Finish() + FromHex("0100").value();
    EXPECT_FALSE(Decodes(raw));
  }
}

TEST(ChangeBlockTest, DependencyCountsOutOfProportionAreRefused) {
  for (const std::string_view counts : {"01ffffffffffffffffff01", "01808080808001", "0102"}) {
    RawBlock raw;
    raw.header = FromHex("01010000000000000001").value() + FromHex(counts).value() +
                 FromHex("00000000").value();
    EXPECT_FALSE(Decodes(raw)) << counts;
  }
}

TEST(ChangeBlockTest, PositionsOutOfProportionAreRefused) {
  // Each of 100,000 positions shares 60,000 bytes with the one before.
  const size_t rows = 100000;
  AnyRleEncoder<uint64_t> prefixes;
  ByteWriter rests;
  rests.Uleb(rows);
  for (size_t i = 0; i < rows; ++i) {
    prefixes.Append(i == 0 ? 0 : 60000);
    rests.LengthPrefixed(i == 0 ? Bytes(60000, 'x') : Bytes());
  }
  const Bytes columns[] = {prefixes.Finish(), rests.Release()};
  ByteWriter section;
  section.Uleb(1);
  WriteColumns(section, columns);
  RawBlock raw;
  raw.positions = section.Release();
  EXPECT_FALSE(Decodes(raw));
}

TEST(ChangeBlockTest, ContainerNamesOutOfProportionAreRefused) {
  // 20,000 containers that share a name of 60,000 bytes, where there are 128 kinds.
  ByteWriter keys;
  keys.LengthPrefixed("k");
  keys.LengthPrefixed(Bytes(60000, 'x'));
  ByteWriter containers;
  containers.Uleb(20000);
  for (int i = 0; i < 20000; ++i) containers.Append(FromHex("0401000002").value());
  RawBlock raw;
  raw.keys = keys.Release();
  raw.containers = containers.Release();
  EXPECT_FALSE(Decodes(raw));
}

TEST(ChangeBlockTest, InconsistentBlocksAreRefused) {
  EXPECT_TRUE(Decodes(RawBlock()));
  const auto refuses = [](auto&& damage) {
    RawBlock raw;
    damage(raw);
    return !Decodes(raw);
  };
  EXPECT_TRUE(refuses([](RawBlock& b) { b.change_count = 0; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.change_count = 2; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.counter_length = 0; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.counter_length = b.lamport_length = 2; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.counter_start = INT32_MAX; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.counter_start = UINT32_MAX; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lamport_start = UINT32_MAX; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lamport_length = 2; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lamport_length = 0; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.header.push_back('\0'); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.header.replace(1, 8, 8, '\xFF'); }));  // peer 2^64 - 1
  EXPECT_TRUE(refuses([](RawBlock& b) { b.header.replace(9, 1, BytesView("\0\1", 2)); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.meta.push_back('x'); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.meta = FromHex("0100000101").value(); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.meta = FromHex("0100000101ff").value(); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.containers = Bytes(1, '\0'); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.containers[5] = 4; }));       // key 2 of 2
  EXPECT_TRUE(refuses([](RawBlock& b) { b.containers[5] = 1; }));       // key -1
  EXPECT_TRUE(refuses([](RawBlock& b) { b.containers[3] = '\x80'; }));  // kind 128
  EXPECT_TRUE(refuses([](RawBlock& b) { b.containers[2] = 2; }));       // neither root nor not
  EXPECT_TRUE(refuses([](RawBlock& b) { b.keys += '\x05'; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.keys += "\x01\xFF"; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.op_containers = {1}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.props = {2}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.props = {-1}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.props = {0, 0}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lengths = {0}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lengths = {2}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.lengths = {UINT32_MAX}; }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.payloads.push_back('\0'); }));
  EXPECT_TRUE(refuses([](RawBlock& b) { b.deletes = FromHex("0103020000020000020002").value(); }));
}

TEST(ChangeBlockTest, LengthsThatContradictPayloadsAreRefused) {
  RawBlock text;
  text.containers[3] = 2;
  text.counter_length = text.lamport_length = 2;
  text.tags = {5};
  text.lengths = {2};
  text.payloads = "\x03\x61\xC3\xA9";
  EXPECT_TRUE(Decodes(text));
  text.payloads = "\x02yz";
  EXPECT_TRUE(Decodes(text));
  text.payloads = "\x03xyz";
  EXPECT_FALSE(Decodes(text));
  text.payloads = "\x02\x61\xC3";
  EXPECT_FALSE(Decodes(text));

  RawBlock list;
  list.containers[3] = 1;
  list.counter_length = list.lamport_length = 2;
  list.lengths = {2};
  list.payloads = FromHex("07020001").value();
  EXPECT_TRUE(Decodes(list));
  list.payloads = FromHex("070100").value();
  EXPECT_FALSE(Decodes(list));
  list.payloads = FromHex("0703000102").value();
  EXPECT_FALSE(Decodes(list));
  list.payloads = FromHex("08020001").value();
  EXPECT_FALSE(Decodes(list));
}

}  // namespace
}  // namespace merrow::loro
