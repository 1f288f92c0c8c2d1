// SPDX-License-Identifier: Apache-2.0
#include "loro/snapshot.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "loro/change_block.h"
#include "loro/snapshot_vectors.h"

namespace merrow::loro {
namespace {

std::vector<std::pair<std::string, Bytes>> Plain(const std::vector<SnapshotParts::State>& states) {
  std::vector<std::pair<std::string, Bytes>> plain;
  for (const auto& state : states) plain.emplace_back(state.container.ToString(), state.wrapper);
  return plain;
}

void ExpectSame(const SnapshotParts& a, const SnapshotParts& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.frontiers, b.frontiers);
  EXPECT_EQ(a.state_omitted, b.state_omitted);
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (size_t i = 0; i < a.blocks.size(); ++i) {
    EXPECT_EQ(a.blocks[i].first, b.blocks[i].first);
    EXPECT_EQ(a.blocks[i].bytes, b.blocks[i].bytes);
  }
  EXPECT_EQ(Plain(a.states), Plain(b.states));
  ASSERT_EQ(a.shallow.has_value(), b.shallow.has_value());
  if (!a.shallow) return;
  EXPECT_EQ(a.shallow->start, b.shallow->start);
  EXPECT_EQ(a.shallow->start_frontiers, b.shallow->start_frontiers);
  EXPECT_EQ(a.shallow->state_frontiers, b.shallow->state_frontiers);
  EXPECT_EQ(Plain(a.shallow->states), Plain(b.shallow->states));
}

TEST(Snapshot, DecodesWhatLoroWrites) {
  for (const SnapshotVector& vector : LoadSnapshotVectors()) {
    SCOPED_TRACE(vector.name);
    const auto parts = DecodeSnapshot(vector.body());
    ASSERT_TRUE(parts.ok()) << parts.error().ToString();
    EXPECT_EQ(parts->version, vector.version);
    EXPECT_EQ(parts->frontiers, vector.frontiers);
    EXPECT_EQ(parts->shallow.has_value(), vector.name.starts_with("shallow"));
    EXPECT_EQ(parts->state_omitted, vector.name == "shallow_omitted");
    // Every root of the deep value has a state.
    for (const auto& [root, value] : vector.json.items()) {
      size_t found = 0;
      for (const auto& state : parts->states) {
        found += state.container.is_root() && state.container.name() == root ? 1 : 0;
      }
      EXPECT_EQ(found, parts->shallow ? found : 1) << root;
    }
  }
}

TEST(Snapshot, DecodesTrimmedHistory) {
  const SnapshotVector vector = LoadSnapshotVector("shallow_overlay");
  const auto parts = DecodeSnapshot(vector.body());
  ASSERT_TRUE(parts.ok() && parts->shallow);
  EXPECT_FALSE(parts->shallow->start.empty());
  EXPECT_TRUE(parts->version.Includes(parts->shallow->start));
  // The op that the history starts with is still there.
  ASSERT_EQ(parts->shallow->start_frontiers.size(), 1U);
  const Id start = parts->shallow->start_frontiers[0];
  EXPECT_EQ(parts->shallow->start.End(start.peer), start.counter);
  EXPECT_EQ(parts->shallow->state_frontiers, parts->shallow->start_frontiers);
  EXPECT_LT(parts->states.size(), parts->shallow->states.size());
}

TEST(Snapshot, EncodesToWhatItWasDecodedFrom) {
  for (const SnapshotVector& vector : LoadSnapshotVectors()) {
    SCOPED_TRACE(vector.name);
    const auto parts = DecodeSnapshot(vector.body());
    ASSERT_TRUE(parts.ok());
    for (const bool compress : {false, true}) {
      SnapshotParts shuffled = *parts;
      std::reverse(shuffled.blocks.begin(), shuffled.blocks.end());
      std::reverse(shuffled.states.begin(), shuffled.states.end());
      const auto body = EncodeSnapshot(shuffled, {.compress = compress});
      ASSERT_TRUE(body.ok()) << body.error().ToString();
      const auto again = DecodeSnapshot(*body);
      ASSERT_TRUE(again.ok()) << again.error().ToString();
      ExpectSame(*parts, *again);
    }
  }
}

TEST(Snapshot, CanLeaveStatesAlone) {
  for (const SnapshotVector& vector : LoadSnapshotVectors()) {
    SCOPED_TRACE(vector.name);
    const auto parts = DecodeSnapshot(vector.body(), {.with_states = false, .limits = {}});
    ASSERT_TRUE(parts.ok());
    EXPECT_EQ(parts->version, vector.version);
    EXPECT_TRUE(parts->states.empty());
    EXPECT_EQ(parts->shallow.has_value(), vector.name.starts_with("shallow"));
  }
}

TEST(Snapshot, RefusesEveryTruncationAndMore) {
  for (const SnapshotVector& vector : LoadSnapshotVectors()) {
    SCOPED_TRACE(vector.name);
    const BytesView body = vector.body();
    for (size_t size = 0; size < body.size(); ++size) {
      EXPECT_FALSE(DecodeSnapshot(body.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeSnapshot(Bytes(body) + "x").ok());
  }
}

TEST(Snapshot, RefusesEveryBitFlipInTheStores) {
  // The checksums of blocks and metadata catch them; only what no checksum covers may pass.
  const SnapshotVector vector = LoadSnapshotVector("movable_list");
  const Bytes body(vector.body());
  for (size_t bit = 0; bit < body.size() * 8; ++bit) {
    Bytes broken = body;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeSnapshot(broken).ok()) << bit;
  }
}

TEST(Snapshot, RefusesPartsThatDoNotFitTogether) {
  const SnapshotVector vector = LoadSnapshotVector("everything");
  const auto parts = DecodeSnapshot(vector.body());
  ASSERT_TRUE(parts.ok());
  ASSERT_GE(parts->blocks.size(), 2U);
  const auto refuses = [](const SnapshotParts& broken) {
    const auto body = EncodeSnapshot(broken);
    return body.ok() && !DecodeSnapshot(*body).ok();
  };
  EXPECT_FALSE(refuses(*parts));

  SnapshotParts broken = *parts;
  broken.version.Extend(1, parts->version.End(1) + 1);
  EXPECT_TRUE(refuses(broken)) << "version ahead of the blocks";
  broken = *parts;
  broken.version.Set(1, parts->version.End(1) - 1);
  EXPECT_TRUE(refuses(broken)) << "version behind the blocks";
  broken = *parts;
  broken.version.Set(77, 1);
  EXPECT_TRUE(refuses(broken)) << "a peer without blocks";
  broken = *parts;
  broken.blocks.pop_back();
  EXPECT_TRUE(refuses(broken)) << "a missing block";
  broken = *parts;
  broken.blocks[0].first.counter += 1;
  EXPECT_TRUE(refuses(broken)) << "a block at the wrong counter";
  broken = *parts;
  std::swap(broken.blocks[0].bytes, broken.blocks[1].bytes);
  EXPECT_TRUE(refuses(broken)) << "blocks of other peers";
  broken = *parts;
  broken.frontiers.push_back({1, parts->version.End(1)});
  EXPECT_TRUE(refuses(broken)) << "frontiers ahead of the version";
  broken = *parts;
  broken.blocks[0].bytes = "nonsense";
  EXPECT_TRUE(refuses(broken)) << "a block that does not decode";
}

// A block of `peer` that adds to a counter `count` times from `counter` on.
Bytes CounterBlock(PeerId peer, Counter counter, int count) {
  ChangeBlockBuilder builder(peer);
  builder.BeginChange(counter, static_cast<Lamport>(counter), {}, 0, "");
  for (int i = 0; i < count; ++i) {
    builder.AddCounter(ContainerId::Root("c", ContainerKind::kCounter), 1);
  }
  return builder.Encode();
}

TEST(Snapshot, RefusesGapsAndOverlapsOfBlocks) {
  const Bytes first = CounterBlock(1, 0, 3);
  const auto decodes = [&first](Counter second_counter) {
    const Bytes second = CounterBlock(1, second_counter, 3);
    SnapshotParts parts;
    parts.blocks = {{{1, 0}, first}, {{1, second_counter}, second}};
    parts.version.Set(1, second_counter + 3);
    return DecodeSnapshot(EncodeSnapshot(parts).value()).ok();
  };
  EXPECT_TRUE(decodes(3));
  EXPECT_FALSE(decodes(4));
  EXPECT_FALSE(decodes(2));
}

TEST(Snapshot, DoesNotEncodeWhatLoroWouldLose) {
  SnapshotParts parts;
  const ContainerId map = ContainerId::Root("m", ContainerKind::kMap);
  parts.states = {{map, "x"}, {map, "y"}};
  EXPECT_FALSE(EncodeSnapshot(parts).ok()) << "twice";
  parts.states = {{map, ""}};
  EXPECT_FALSE(EncodeSnapshot(parts).ok()) << "empty";
  parts.states = {{ContainerId::Root(Bytes(65'530, 'n'), ContainerKind::kMap), "x"}};
  EXPECT_TRUE(EncodeSnapshot(parts).ok());
  parts.states = {{ContainerId::Root(Bytes(65'533, 'n'), ContainerKind::kMap), "x"}};
  EXPECT_FALSE(EncodeSnapshot(parts).ok()) << "name too long for a key";
}

TEST(Snapshot, SharesOneLimitAmongItsStores) {
  const Bytes zeros(1'000'000, '\0');
  SnapshotParts parts;
  parts.states = {{ContainerId::Root("a", ContainerKind::kMap), zeros}};
  parts.shallow.emplace();
  parts.shallow->states = {{ContainerId::Root("a", ContainerKind::kMap), zeros}};
  const auto body = EncodeSnapshot(parts);
  ASSERT_TRUE(body.ok());
  EXPECT_LT(body->size(), 20'000U);
  EXPECT_TRUE(DecodeSnapshot(*body).ok());
  const auto limited = DecodeSnapshot(*body, {.limits = {.total_bytes_max = 1'500'000}});
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code(), ErrorCode::kLimit);
}

TEST(Snapshot, HoldsManyStates) {
  SnapshotParts parts;
  std::vector<Bytes> wrappers(20'000);
  for (size_t i = 0; i < wrappers.size(); ++i) {
    wrappers[i] = "state " + std::to_string(i);
    parts.states.push_back(
        {i % 2 == 0
             ? ContainerId::Normal({i * 7919, static_cast<Counter>(i)}, ContainerKind::kMap)
             : ContainerId::Root(Bytes(i % 600, 'n') + std::to_string(i), ContainerKind::kText),
         wrappers[i]});
  }
  const auto body = EncodeSnapshot(parts);
  ASSERT_TRUE(body.ok());
  const auto decoded = DecodeSnapshot(*body);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  auto expected = Plain(parts.states);
  auto found = Plain(decoded->states);
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  EXPECT_TRUE(expected == found);
}

}  // namespace
}  // namespace merrow::loro
