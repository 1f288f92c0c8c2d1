// SPDX-License-Identifier: Apache-2.0
//
// Documents at rest: whatever is asked of one, and in whatever order it wakes, the answers are
// those of a document that never rested.

#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>
#include <functional>

#include "base/clock.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "loro/random_peer_test_util.h"
#include "loro/snapshot.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

const ContainerId kMap = ContainerId::Root("map", ContainerKind::kMap);
const ContainerId kText = ContainerId::Root("text", ContainerKind::kText);
const ContainerId kTree = ContainerId::Root("tree", ContainerKind::kTree);

void Fill(Document& doc, bool long_history) {
  ASSERT_TRUE(doc.MapSet(kMap, "name", "a row").ok());
  ASSERT_TRUE(doc.TextInsert(kText, 0, "some text").ok());
  ASSERT_TRUE(doc.TextMark(kText, 0, 4, "bold", true, StyleExpand::kAfter).ok());
  const Result<Id> node = doc.TreeCreate(kTree, std::nullopt, std::nullopt);
  ASSERT_TRUE(node.ok());
  const ContainerId data = ContainerId::Normal(*node, ContainerKind::kMap);
  ASSERT_TRUE(doc.MapSet(data, "title", "a node").ok());
  for (int64_t i = 0; long_history && i < 200; ++i) {
    ASSERT_TRUE(doc.MapSet(kMap, "count", i).ok());
    doc.Commit();
  }
}

void ExpectSame(Document& resting, Document& live) {
  EXPECT_EQ(resting.version(), live.version());
  EXPECT_EQ(resting.frontiers(), live.frontiers());
  EXPECT_EQ(resting.op_count(), live.op_count());
  EXPECT_EQ(resting.peer(), live.peer());
  EXPECT_EQ(resting.ToJson(), live.ToJson());
  EXPECT_EQ(resting.Roots(), live.Roots());
  resting.CheckInvariants();
}

class AtRest : public testing::TestWithParam<bool> {
 protected:
  AtRest() {
    Fill(live_, GetParam());
    Fill(resting_, GetParam());
    live_.Commit();
    resting_.Rest();
  }

  Document live_{7};
  Document resting_{7};
};

TEST_P(AtRest, VersionsAreKnownWithoutWaking) {
  EXPECT_TRUE(resting_.is_resting());
  EXPECT_FALSE(live_.is_resting());
  EXPECT_EQ(resting_.version(), live_.version());
  EXPECT_EQ(resting_.frontiers(), live_.frontiers());
  EXPECT_EQ(resting_.op_count(), live_.op_count());
  EXPECT_EQ(resting_.peer(), 7U);
  EXPECT_FALSE(resting_.has_pending());
  EXPECT_FALSE(resting_.is_broken());
  resting_.Commit();
  resting_.DropPending();
  resting_.CheckInvariants();
  EXPECT_TRUE(resting_.is_resting());
  EXPECT_LT(resting_.MemoryBytes(), live_.MemoryBytes());
}

TEST_P(AtRest, AnyUseWakes) {
  const std::pair<const char*, std::function<void(Document&)>> uses[] = {
      {"json", [](Document& doc) { EXPECT_NE(doc.ToJson(), "{}"); }},
      {"updates", [](Document& doc) { doc.ExportUpdates(doc.version()); }},
      {"snapshot", [](Document& doc) { doc.ExportSnapshot(); }},
      {"edit", [](Document& doc) { EXPECT_TRUE(doc.MapSet(kMap, "x", 1.5).ok()); }},
      {"peer", [](Document& doc) { EXPECT_TRUE(doc.SetPeer(9).ok()); }},
      {"text", [](Document& doc) { EXPECT_NE(doc.Text(kText), ""); }},
      {"wake", [](Document& doc) { EXPECT_TRUE(doc.Wake().ok()); }},
      {"rest", [](Document& doc) { doc.Rest(); }},
      {"import", [](Document& doc) {
         Document other(3);
         EXPECT_TRUE(other.Import(doc.ExportUpdates({})).ok());
         EXPECT_TRUE(other.TextInsert(kText, 4, "!").ok());
         EXPECT_TRUE(doc.Import(other.ExportUpdates(doc.version())).ok());
       }}};
  for (const auto& [first_name, first] : uses) {
    for (const auto& [second_name, second] : uses) {
      SCOPED_TRACE(std::string(first_name) + ", " + second_name);
      Document live(7);
      Document resting(7);
      Fill(live, GetParam());
      Fill(resting, GetParam());
      resting.Rest();
      first(live);
      first(resting);
      resting.CheckInvariants();
      second(live);
      second(resting);
      live.Commit();
      resting.Rest();
      ExpectSame(resting, live);
    }
  }
}

TEST_P(AtRest, ASnapshotIsKeptAsItCame) {
  const Bytes snapshot = live_.ExportSnapshot();
  Document loaded(7);
  const Result<ImportStatus> status = loaded.Load(snapshot);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->success, live_.version().SpansNotIn({}));
  EXPECT_TRUE(loaded.is_resting());
  EXPECT_EQ(loaded.version(), live_.version());
  EXPECT_EQ(loaded.op_count(), live_.op_count());
  EXPECT_EQ(loaded.ExportSnapshot(), snapshot);
  EXPECT_TRUE(loaded.is_resting());
  EXPECT_EQ(loaded.Text(kText), "some text");
  EXPECT_EQ(loaded.ExportUpdates({}), live_.ExportUpdates({}));
  ExpectSame(loaded, live_);
}

INSTANTIATE_TEST_SUITE_P(Histories, AtRest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Long" : "Short"; });

TEST(RestingDocument, WhatIsPendingKeepsItAwake) {
  Document writer(1);
  ASSERT_TRUE(writer.MapSet(kMap, "a", 1.0).ok());
  writer.Commit();
  const VersionVector first = writer.version();
  ASSERT_TRUE(writer.MapSet(kMap, "b", 2.0).ok());
  Document doc(2);
  ASSERT_TRUE(doc.Import(writer.ExportUpdates(first)).ok());
  ASSERT_TRUE(doc.has_pending());
  doc.Rest();
  EXPECT_FALSE(doc.is_resting());
  ASSERT_TRUE(doc.Import(writer.ExportUpdates({})).ok());
  doc.Rest();
  EXPECT_TRUE(doc.is_resting());
  EXPECT_EQ(doc.ToJson(), R"({"map":{"a":1,"b":2}})");
}

TEST(RestingDocument, AnEmptyOneRestsAndWakes) {
  Document doc(1);
  doc.Rest();
  EXPECT_TRUE(doc.version().empty());
  EXPECT_EQ(doc.ToJson(), "{}");
  doc.Rest();
  EXPECT_TRUE(doc.frontiers().empty());
  EXPECT_TRUE(doc.MapSet(kMap, "a", 1.0).ok());
  EXPECT_EQ(doc.ToJson(), R"({"map":{"a":1}})");
}

// Containers that no snapshot has an entry for are there all the same.
TEST(RestingDocument, KnowsContainersOfKindsThatItDoesNotKnow) {
  const ContainerId strange = ContainerId::Normal({1, 0}, static_cast<ContainerKind>(99));
  ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  builder.AddMapSet(kMap, "strange", Value(strange));
  for (int i = 0; i < 100; ++i)
    builder.AddCounter(ContainerId::Root("c", ContainerKind::kCounter), i);
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  writer.AppendBlock(builder.Encode());
  Document doc(2);
  ASSERT_TRUE(doc.Import(writer.Finish()).ok());
  const std::string json = doc.ToJson();
  ASSERT_TRUE(doc.HasContainer(strange));
  doc.Rest();
  EXPECT_TRUE(doc.HasContainer(strange));
  EXPECT_EQ(doc.ToJson(), json);
}

// A snapshot names them, too, in the bytes that loro-crdt 1.17.1 writes.
TEST(RestingDocument, ASnapshotNamesContainersOfKindsThatItDoesNotKnow) {
  Document doc(2);
  ASSERT_TRUE(doc.ImportJson(R"json({"schema_version":1,"start_version":{},"peers":["1"],"changes":
    [{"id":"0@0","timestamp":0,"deps":[],"lamport":0,"msg":null,"ops":
      [{"container":"cid:root-new:Unknown(9)","counter":0,
        "content":{"type":"unknown","prop":0,"value_type":"null"}}]}]})json")
                  .ok());
  EXPECT_EQ(doc.ToJson(), R"({"new":null})");
  const Bytes snapshot = doc.ExportSnapshot();
  const Result<SnapshotParts> parts = DecodeSnapshot(BytesView(snapshot).substr(kEnvelopeBytes));
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->states.size(), 1u);
  EXPECT_EQ(parts->states[0].wrapper, BytesView("\x09\x01\x00", 3));
  Document loaded(3);
  ASSERT_TRUE(loaded.Load(snapshot).ok());
  EXPECT_EQ(loaded.ToJson(), doc.ToJson());
  loaded.CheckInvariants();
}

// The parts of a good snapshot, one of them damaged, under a checksum that is right.
Bytes DamagedSnapshot(const std::function<void(SnapshotParts&, std::deque<Bytes>&)>& damage) {
  Document doc(1);
  EXPECT_TRUE(doc.MapSet(kMap, "name", "a row").ok());
  EXPECT_TRUE(doc.TextInsert(kText, 0, "some text").ok());
  const Bytes snapshot = doc.ExportSnapshot();
  Result<SnapshotParts> parts = DecodeSnapshot(BytesView(snapshot).substr(kEnvelopeBytes));
  std::deque<Bytes> storage;
  damage(*parts, storage);
  return EncodeEnvelope(EncodeMode::kFastSnapshot, *EncodeSnapshot(*parts));
}

void ExpectBroken(Document& doc) {
  EXPECT_TRUE(doc.is_broken());
  EXPECT_FALSE(doc.Wake().ok());
  EXPECT_FALSE(doc.MapSet(kMap, "x", 1.0).ok());
  EXPECT_FALSE(doc.Import(Document(3).ExportUpdates({})).ok());
  EXPECT_EQ(doc.ToJson(), "{}");
  doc.ExportUpdates({});
  doc.ExportSnapshot();
  doc.Rest();
  doc.CheckInvariants();
}

TEST(RestingDocument, DamageInsideASnapshotBreaksTheDocumentWhenItIsFound) {
  const Bytes bad_state = DamagedSnapshot([](SnapshotParts& parts, std::deque<Bytes>& storage) {
    storage.push_back(Bytes(parts.states.back().wrapper));
    storage.back().pop_back();
    parts.states.back().wrapper = storage.back();
  });
  const Bytes bad_log = DamagedSnapshot([](SnapshotParts& parts, std::deque<Bytes>& storage) {
    storage.push_back(Bytes(parts.blocks.back().bytes));
    storage.back().back() ^= 1;
    storage.back().pop_back();
    parts.blocks.back().bytes = storage.back();
  });
  for (const Bytes& snapshot : {bad_state, bad_log}) {
    Document woken(2);
    ASSERT_TRUE(woken.Load(snapshot).ok());
    EXPECT_FALSE(woken.is_broken());
    EXPECT_FALSE(woken.version().empty());
    EXPECT_FALSE(woken.Wake().ok());
    ExpectBroken(woken);
    Document edited(2);
    ASSERT_TRUE(edited.Load(snapshot).ok());
    EXPECT_FALSE(edited.MapSet(kMap, "x", 1.0).ok());
    ExpectBroken(edited);
  }
  Document read(2);
  ASSERT_TRUE(read.Load(bad_state).ok());
  read.ToJson();
  ExpectBroken(read);
  Document exported(2);
  ASSERT_TRUE(exported.Load(bad_log).ok());
  exported.ToJson();
  EXPECT_FALSE(exported.is_broken());
  exported.ExportUpdates({});
  ExpectBroken(exported);
}

// Whatever is damaged, and whatever is asked for first: an answer or a broken document.
TEST(RestingDocument, DamageAnywhereDoesNotStopTheProcess) {
  size_t broken = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    RandomPeer writer(1);
    RandomPeer other(2);
    for (int i = 0; i < 30; ++i) writer.EditAtRandom(&random);
    ASSERT_TRUE(other.doc().Import(writer.doc().ExportUpdates({})).ok());
    for (int i = 0; i < 10; ++i) other.EditAtRandom(&random);
    for (int i = 0; i < 10; ++i) writer.EditAtRandom(&random);
    ASSERT_TRUE(writer.doc().Import(other.doc().ExportUpdates({})).ok());
    const Bytes snapshot = writer.doc().ExportSnapshot();
    Result<SnapshotParts> parts = DecodeSnapshot(BytesView(snapshot).substr(kEnvelopeBytes));
    ASSERT_TRUE(parts.ok());
    BytesView& victim = random.Below(2) == 0
                            ? parts->states[random.Below(parts->states.size())].wrapper
                            : parts->blocks[random.Below(parts->blocks.size())].bytes;
    Bytes damaged(victim);
    const size_t at = random.Below(damaged.size());
    if (random.Below(2) == 0) {
      damaged[at] = static_cast<char>(random.Below(256));
    } else {
      damaged.insert(at, 1, static_cast<char>(random.Below(256)));
    }
    victim = damaged;
    const Result<Bytes> body = EncodeSnapshot(*parts);
    if (!body.ok()) continue;
    Document doc(9);
    if (!doc.Load(EncodeEnvelope(EncodeMode::kFastSnapshot, *body)).ok()) continue;
    switch (random.Below(4)) {
      case 0:
        doc.ToJson();
        break;
      case 1:
        doc.ExportUpdates({});
        break;
      case 2:
        (void)doc.MapSet(kMap, "key", 1.0);
        break;
      default:
        (void)doc.Wake();
    }
    doc.ToJson();
    doc.ExportUpdates({});
    doc.ExportSnapshot();
    doc.Rest();
    doc.ToJson();
    EXPECT_EQ(doc.Wake().ok(), !doc.is_broken());
    broken += doc.is_broken() ? 1 : 0;
    (void)doc.Import(writer.doc().ExportUpdates({}));
    doc.ToJson();
  }
  EXPECT_GT(broken, 100U);
}

// Two documents get the same edits and imports; one of them rests again and again, in part awake.
TEST(RestingDocument, IsTheSameAsOneThatNeverRests) {
  const char* const only = std::getenv("MERROW_SEED");
  const uint64_t first = only == nullptr ? 0 : std::strtoull(only, nullptr, 10);
  const uint64_t end = only == nullptr ? 100 : first + 1;
  for (uint64_t seed = first; seed < end && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    RandomPeer writer(1);
    RandomPeer other(2);
    Document resting(3);
    Document live(3);
    for (int step = 0; step < 40 && !testing::Test::HasFailure(); ++step) {
      RandomPeer& editor = random.Below(2) == 0 ? writer : other;
      for (uint64_t edits = random.Below(8); edits > 0; --edits) editor.EditAtRandom(&random);
      const Bytes update = editor.doc().ExportUpdates(live.version());
      ASSERT_TRUE(live.Import(update).ok());
      ASSERT_TRUE(resting.Import(update).ok());
      if (random.Below(4) == 0) {
        ASSERT_TRUE(writer.doc().Import(other.doc().ExportUpdates({})).ok());
        ASSERT_TRUE(other.doc().Import(writer.doc().ExportUpdates({})).ok());
        writer.LearnFrom(other);
        other.LearnFrom(writer);
      }
      if (random.Below(3) == 0) resting.ToJson();
      if (random.Below(3) == 0) resting.ExportUpdates(writer.doc().version());
      if (random.Below(2) == 0) resting.Rest();
      if (random.Below(3) == 0) resting.ExportUpdates(writer.doc().version());
      if (random.Below(3) == 0) resting.ToJson();
      if (random.Below(4) == 0) resting.Rest();
      resting.CheckInvariants();
      ASSERT_EQ(resting.version(), live.version());
      if (random.Below(4) == 0) {
        ASSERT_EQ(resting.ToJson(), live.ToJson());
      }
      if (random.Below(8) == 0) {
        const Bytes snapshot = resting.ExportSnapshot();
        resting = Document(3);
        ASSERT_TRUE(resting.Load(snapshot).ok());
      }
    }
    ExpectSame(resting, live);
    EXPECT_EQ(resting.ExportSnapshot(), live.ExportSnapshot());
  }
}

// What Load changed is everything, and not listed; what an import changes afterwards is.
TEST(RestingDocument, AnImportSaysWhatItChanged) {
  const ContainerId text = ContainerId::Root("t", ContainerKind::kText);
  const ContainerId map = ContainerId::Root("m", ContainerKind::kMap);
  Document source(1);
  ASSERT_TRUE(source.TextInsert(text, 0, "hello").ok());
  source.Commit();
  const Frontiers trimmed = source.frontiers();
  ASSERT_TRUE(source.MapSet(map, "k", Value(true)).ok());
  source.Commit();
  for (const Bytes& snapshot : {source.ExportSnapshot(), *source.ExportShallowSnapshot(trimmed)}) {
    Document writer = *source.Fork(2);
    const VersionVector before = writer.version();
    ASSERT_TRUE(writer.MapSet(map, "k", Value(false)).ok());
    Document doc(3);
    const Result<ImportStatus> loaded = doc.Load(snapshot);
    ASSERT_TRUE(loaded.ok());
    EXPECT_TRUE(loaded->changed.empty());
    EXPECT_FALSE(loaded->success.empty());
    const Result<ImportStatus> imported = doc.Import(writer.ExportUpdates(before));
    ASSERT_TRUE(imported.ok());
    EXPECT_THAT(imported->changed, testing::ElementsAre(map));
    // The same of a snapshot in place of the update.
    ASSERT_TRUE(writer.TextInsert(text, 0, "x").ok());
    const Result<ImportStatus> whole = doc.Import(writer.ExportSnapshot());
    ASSERT_TRUE(whole.ok());
    EXPECT_THAT(whole->changed, testing::ElementsAre(text));
  }
}

}  // namespace
}  // namespace merrow::loro
