// SPDX-License-Identifier: Apache-2.0
//
// Well-formed input that no Loro writes. Each case once stopped the process, made it hang or fill
// its memory; none of them is found by damaging honest blobs (damage_test.cc).

#include <gmock/gmock.h>

#include "loro/change_block.h"
#include "loro/envelope.h"
#include "loro/snapshot.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

const ContainerId kText = ContainerId::Root("t", ContainerKind::kText);
const ContainerId kMap = ContainerId::Root("m", ContainerKind::kMap);

// An update of one change, which `add` puts ops into.
template <typename Add>
Bytes Update(Id id, Lamport lamport, std::vector<Id> deps, Add add) {
  ChangeBlockBuilder builder(id.peer);
  builder.BeginChange(id.counter, lamport, std::move(deps), 0, "");
  add(builder);
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  writer.AppendBlock(builder.Encode());
  return writer.Finish();
}

Bytes Typed(Id id, std::vector<Id> deps, uint32_t at, std::string_view text) {
  return Update(id, 0, std::move(deps), [&](ChangeBlockBuilder& builder) {
    builder.AddTextInsert(kText, at, text, static_cast<uint32_t>(text.size()));
  });
}

// A snapshot whose ops type "hi" and whose state shows another text.
Bytes LyingSnapshot() {
  Document honest(1);
  Document liar(1);
  EXPECT_TRUE(honest.TextInsert(kText, 0, "hi").ok());
  EXPECT_TRUE(liar.TextInsert(kText, 0, "a long lie").ok());
  const Bytes truth = honest.ExportSnapshot();
  const Bytes lies = liar.ExportSnapshot();
  Result<SnapshotParts> parts = DecodeSnapshot(DecodeEnvelope(truth)->body);
  const Result<SnapshotParts> lying = DecodeSnapshot(DecodeEnvelope(lies)->body);
  EXPECT_TRUE(parts.ok() && lying.ok());
  parts->states = lying->states;
  return EncodeEnvelope(EncodeMode::kFastSnapshot, *EncodeSnapshot(*parts));
}

TEST(HostileInput, ASnapshotsStateIsNotBelieved) {
  Document doc(2);
  ASSERT_TRUE(doc.Import(LyingSnapshot()).ok());
  EXPECT_EQ(doc.Text(kText), "hi");
  doc.CheckInvariants();
}

TEST(HostileInput, ATreeNodeIsNotBelowItself) {
  const ContainerId tree = ContainerId::Root("tree", ContainerKind::kTree);
  Document doc(2);
  const Bytes update = Update({1, 0}, 0, {}, [&](ChangeBlockBuilder& builder) {
    builder.AddTreeMove(tree, {1, 0}, TreeParent::kNode, {1, 0}, "\x80");
  });
  EXPECT_FALSE(doc.Import(update).ok());
  EXPECT_EQ(doc.ToJson(), "{}");
}

TEST(HostileInput, ASnapshotsStateIsIntactAllTheSame) {
  Document honest(1);
  ASSERT_TRUE(honest.TextInsert(kText, 0, "a text that stands in the state").ok());
  const Bytes blob = honest.ExportSnapshot();
  const size_t at = blob.find("stands in the state", blob.find("stands in the state") + 1);
  ASSERT_NE(at, Bytes::npos);
  Bytes body = blob.substr(kEnvelopeBytes);
  body[at - kEnvelopeBytes] ^= 1;
  Document doc(2);
  const auto status = doc.Import(EncodeEnvelope(EncodeMode::kFastSnapshot, body));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorruption);
  EXPECT_EQ(doc.ToJson(), "{}");
}

TEST(HostileInput, ALoadedLieBreaksTheDocumentAndNotTheProcess) {
  Document doc(2);
  ASSERT_TRUE(doc.Load(LyingSnapshot()).ok());
  EXPECT_EQ(doc.Text(kText), "a long lie");
  // After a failure the state is derived from the ops.
  EXPECT_FALSE(doc.Import(Typed({3, 0}, {{1, 1}}, 999, "x")).ok());
  EXPECT_FALSE(doc.is_broken());
  EXPECT_EQ(doc.Text(kText), "hi");

  // Which cannot be done with one that fits only the lie.
  Document broken(2);
  ASSERT_TRUE(broken.Load(LyingSnapshot()).ok());
  ASSERT_TRUE(broken.Import(Typed({3, 0}, {{1, 1}}, 7, "x")).ok());
  EXPECT_FALSE(broken.Import(Typed({4, 0}, {{3, 0}}, 999, "y")).ok());
  EXPECT_TRUE(broken.is_broken());
  EXPECT_FALSE(broken.Import(Typed({5, 0}, {}, 0, "z")).ok());
  EXPECT_FALSE(broken.TextInsert(kText, 0, "z").ok());
}

TEST(HostileInput, AFailedImportLeavesTheDocumentAsItWas) {
  Document doc(9);
  ASSERT_TRUE(doc.Import(Typed({1, 0}, {}, 0, "0123456789")).ok());
  ASSERT_TRUE(doc.Import(Typed({2, 0}, {{1, 4}}, 5, "x")).ok());
  ASSERT_TRUE(doc.MapSet(kMap, "k", Value(true)).ok());
  doc.Commit();
  const std::string json = doc.ToJson();
  const VersionVector version = doc.version();
  const Frontiers frontiers = doc.frontiers();
  EXPECT_FALSE(doc.Import(Typed({3, 0}, {{1, 9}, {2, 0}}, 999, "y")).ok());
  EXPECT_FALSE(doc.is_broken());
  EXPECT_EQ(doc.ToJson(), json);
  EXPECT_EQ(doc.version(), version);
  EXPECT_EQ(doc.frontiers(), frontiers);
  doc.CheckInvariants();
  ASSERT_TRUE(doc.Import(Typed({3, 0}, {{1, 9}, {2, 0}}, 0, "y")).ok());
  doc.CheckInvariants();
}

TEST(HostileInput, ANameThatNoSnapshotCanHoldIsRefused) {
  const auto import = [](size_t name_bytes) {
    const ContainerId root = ContainerId::Root(std::string(name_bytes, 'n'), ContainerKind::kMap);
    Document doc(9);
    const auto status = doc.Import(Update({1, 0}, 0, {}, [&](ChangeBlockBuilder& builder) {
      builder.AddMapSet(root, "k", Value(true));
    }));
    if (status.ok()) {
      Document copy(9);
      EXPECT_TRUE(copy.Load(doc.ExportSnapshot()).ok());
      EXPECT_EQ(copy.ToJson(), doc.ToJson());
    }
    EXPECT_EQ(doc.MapSet(root, "k", Value(false)).ok(), status.ok());
    return status.ok();
  };
  EXPECT_TRUE(import(kRootNameBytesMax));
  EXPECT_FALSE(import(kRootNameBytesMax + 1));
}

TEST(HostileInput, AContainerThatItsOwnOpCreatesIsNone) {
  const ContainerId self = ContainerId::Normal({1, 0}, ContainerKind::kMap);
  Document doc(9);
  ASSERT_TRUE(doc.Import(Update({1, 0}, 0, {},
                                [&](ChangeBlockBuilder& builder) {
                                  builder.AddMapSet(self, "k", Value(self));
                                }))
                  .ok());
  doc.CheckInvariants();
  EXPECT_EQ(doc.ToJson(), "{}");
  Document copy(9);
  ASSERT_TRUE(copy.Load(doc.ExportSnapshot()).ok());
  EXPECT_EQ(copy.version(), doc.version());
}

TEST(HostileInput, AContainerIsWrittenOnceHoweverOftenItIsNamed) {
  // Each op's value names the next container a thousand times: 1000^8 in all.
  Document doc(9);
  ContainerId at = kMap;
  for (Counter i = 0; i < 8; ++i) {
    const ContainerId child = ContainerId::Normal({1, i}, ContainerKind::kMap);
    const Value many(Value::List{Value(Value::List(1000, Value(child)))});
    const std::vector<Id> deps = i == 0 ? std::vector<Id>() : std::vector<Id>{{1, i - 1}};
    ASSERT_TRUE(
        doc.Import(Update({1, i}, static_cast<Lamport>(i), deps,
                          [&](ChangeBlockBuilder& builder) { builder.AddMapSet(at, "k", many); }))
            .ok());
    at = child;
  }
  const std::string json = doc.ToJson();
  EXPECT_LT(json.size(), 100'000U);
  EXPECT_TRUE(json.starts_with(R"({"m":{"k":[[{"k":[[{"k":[[)"));
  EXPECT_NE(json.find("{},null,null"), std::string::npos);
}

TEST(HostileInput, TablesThatExpandAreRefused) {
  EnvelopeWriter writer(EncodeMode::kFastUpdates);
  const ContainerId tree = ContainerId::Root("tree", ContainerKind::kTree);
  for (PeerId peer = 1; peer < 20; ++peer) {
    ChangeBlockBuilder builder(peer);
    builder.BeginChange(0, 0, {}, 0, "");
    Bytes position(20000, 'p');
    for (int i = 0; i < 200; ++i) {
      position.back() = static_cast<char>(i);
      builder.AddTreeMove(tree, {peer, i}, TreeParent::kRoot, {}, position);
    }
    writer.AppendBlock(builder.Encode());
  }
  const Bytes blob = writer.Finish();
  EXPECT_LT(blob.size(), size_t{1} << 20);
  Document doc(9);
  const auto status = doc.Import(blob);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
}

// What an error says is short, however long the names that it is about.
TEST(HostileInput, MessagesAreBounded) {
  const std::string name(60000, 'n');
  Document doc(1);
  const ContainerId map = ContainerId::Root(name, ContainerKind::kMap);
  ASSERT_TRUE(doc.MapSet(map, "taken", Value(true)).ok());
  const auto expect_short = [](const auto& result) {
    ASSERT_FALSE(result.ok());
    EXPECT_LT(result.error().message().size(), 600U);
  };
  expect_short(doc.ListInsert(map, 0, Value(true)));
  expect_short(doc.TextInsert(ContainerId::Root(name, ContainerKind::kText), 9, "x"));
  expect_short(doc.MapEnsureMergeable(map, name, ContainerKind::kText));
  expect_short(doc.CursorAt(map, 0, CursorSide::kLeft));
  expect_short(ContainerId::Parse(name));
  Frontiers many;
  for (PeerId peer = 1; peer < 1000; ++peer) many.push_back({peer << 50, 7});
  expect_short(doc.Checkout(many));
  expect_short(doc.Diff(many, {}));
  expect_short(doc.ImportJson("{\"schema_version\":1,\"start_version\":{\"" + name + "\":1}}"));
  expect_short(doc.ImportJson(R"({"schema_version":1,"start_version":{},"peers":["7"],"changes":)"
                              R"([{"id":")" +
                              name + R"("}]})"));
  expect_short(doc.ImportJson(R"({"schema_version":1,"start_version":{},"peers":["7"],"changes":)"
                              R"([{"id":"0@0","timestamp":0,"deps":[],"lamport":0,"msg":null,)"
                              R"("ops":[{"container":"cid:root-)" +
                              name + R"(:Map","counter":0,"content":{"type":")" + name +
                              R"("}}]}]})"));
}

TEST(HostileInput, LocalValuesAreWhatABlockCanHold) {
  Document doc(1);
  EXPECT_FALSE(doc.MapSet(kMap, "k", Value("\xFF")).ok());
  EXPECT_FALSE(doc.MapSet(kMap, "k", Value(Value::Map{{"\xFF", Value()}})).ok());
  EXPECT_FALSE(doc.MapSet(kMap, "k", Value(ContainerId())).ok());
  Value deep;
  for (int i = 0; i < kValueDepthMax; ++i) deep = Value(Value::List{deep});
  EXPECT_TRUE(doc.MapSet(kMap, "deep", deep).ok());
  EXPECT_FALSE(doc.MapSet(kMap, "deeper", Value(Value::List{deep})).ok());
  EXPECT_FALSE(doc.MapSet(ContainerId::Root("\xFF", ContainerKind::kMap), "k", Value()).ok());
  Document copy(2);
  ASSERT_TRUE(copy.Import(doc.ExportUpdates({})).ok());
  EXPECT_EQ(copy.ToJson(), doc.ToJson());
}

}  // namespace
}  // namespace merrow::loro
