// SPDX-License-Identifier: Apache-2.0
//
// Versions and trimmed history, case by case: what is refused, and that nothing changes then.

#include <gmock/gmock.h>

#include "base/clock.h"
#include "loro/envelope.h"
#include "loro/random_peer_test_util.h"
#include "loro/snapshot.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const ContainerId kText = ContainerId::Root("t", ContainerKind::kText);
const ContainerId kMap = ContainerId::Root("m", ContainerKind::kMap);

void Type(Document* document, std::string_view text) {
  ASSERT_TRUE(document->TextInsert(kText, document->Length(kText), text).ok());
  document->Commit();
}

// "hello" and " world" of peer 1.
Document Hello() {
  Document document(1);
  Type(&document, "hello");
  Type(&document, " world");
  return document;
}

Document Trimmed(Document* of, const Frontiers& at, PeerId peer) {
  Document document(peer);
  const Result<Bytes> snapshot = of->ExportShallowSnapshot(at);
  EXPECT_TRUE(snapshot.ok());
  EXPECT_TRUE(document.Import(*snapshot).ok());
  return document;
}

TEST(DocumentVersions, ATrimmedDocumentKnowsWhereItStarts) {
  Document whole = Hello();
  const Document trimmed = Trimmed(&whole, {{1, 7}}, 2);
  EXPECT_TRUE(trimmed.is_shallow());
  EXPECT_EQ(trimmed.shallow_start().ToString(), "{1: 7}");
  EXPECT_THAT(trimmed.shallow_frontiers(), ElementsAre(Id{1, 7}));
  EXPECT_EQ(trimmed.Text(kText), "hello world");
  EXPECT_EQ(trimmed.version(), whole.version());
  EXPECT_EQ(trimmed.op_count(), 4U);

  EXPECT_EQ(trimmed.VersionOf({{1, 7}})->ToString(), "{1: 8}");
  EXPECT_FALSE(trimmed.VersionOf({{1, 6}}).has_value());
  EXPECT_FALSE(trimmed.VersionOf({}).has_value());
  EXPECT_FALSE(trimmed.Compare({{1, 6}}, {{1, 7}}).has_value());
  EXPECT_EQ(trimmed.Compare({{1, 7}}, {{1, 8}}), VersionOrder::kBefore);
  VersionVector before;
  before.Set(1, 5);
  EXPECT_THAT(trimmed.FrontiersOf(before), ElementsAre(Id{1, 7}));
  trimmed.CheckInvariants();
}

TEST(DocumentVersions, VersionsBeforeTheStartCannotBeLookedAt) {
  Document whole = Hello();
  Document trimmed = Trimmed(&whole, {{1, 7}}, 2);
  for (const Frontiers& at : {Frontiers{}, Frontiers{{1, 6}}, Frontiers{{7, 0}}}) {
    EXPECT_EQ(trimmed.Checkout(at).error().code(), ErrorCode::kNotFound);
    EXPECT_EQ(trimmed.ExportShallowSnapshot(at).error().code(), ErrorCode::kNotFound);
    EXPECT_EQ(trimmed.ForkAt(at, 3).error().code(), ErrorCode::kNotFound);
  }
  EXPECT_FALSE(trimmed.is_checked_out());
  ASSERT_TRUE(trimmed.Checkout({{1, 7}}).ok());
  EXPECT_EQ(trimmed.Text(kText), "hello wo");
}

TEST(DocumentVersions, WhatIsCheckedOutStaysWhileImportsGoOn) {
  Document document = Hello();
  ASSERT_TRUE(document.Checkout({{1, 2}}).ok());
  EXPECT_TRUE(document.is_checked_out());
  EXPECT_THAT(document.shown_frontiers(), ElementsAre(Id{1, 2}));
  EXPECT_EQ(document.Text(kText), "hel");
  Document other = *document.Fork(2);
  EXPECT_EQ(other.Text(kText), "hello world");
  Type(&other, "!");
  ASSERT_TRUE(document.Import(other.ExportUpdates(document.version())).ok());
  EXPECT_EQ(document.Text(kText), "hel");
  EXPECT_EQ(document.TextInsert(kText, 0, "x").error().code(), ErrorCode::kConflict);
  document.CheckoutToLatest();
  EXPECT_EQ(document.Text(kText), "hello world!");
  EXPECT_THAT(document.shown_frontiers(), ElementsAre(Id{2, 0}));
  Type(&document, "x");
  EXPECT_EQ(document.Text(kText), "hello world!x");
}

TEST(DocumentVersions, UpdatesThatDependOnTrimmedHistoryAreConflicts) {
  Document whole = Hello();
  Document old(3);
  ASSERT_TRUE(old.Import(whole.ExportUpdatesInRange(std::vector<IdSpan>{{1, 0, 5}})).ok());
  Type(&old, "late");
  Document trimmed = Trimmed(&whole, {{1, 7}}, 2);
  const auto refused = trimmed.Import(old.ExportUpdates(trimmed.version()));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("4@1"));
  // Nor one that depends on nothing.
  Document first(4);
  Type(&first, "alone");
  EXPECT_EQ(trimmed.Import(first.ExportUpdates({})).error().code(), ErrorCode::kConflict);
  // A blob of which a part could be taken is refused whole.
  Type(&whole, "!");
  ASSERT_TRUE(whole.Import(old.ExportUpdates(whole.version())).ok());
  EXPECT_EQ(trimmed.Import(whole.ExportUpdates({})).error().code(), ErrorCode::kConflict);
  EXPECT_EQ(trimmed.Text(kText), "hello world");
  EXPECT_EQ(trimmed.op_count(), 4U);
  EXPECT_FALSE(trimmed.has_pending());
  trimmed.CheckInvariants();
}

TEST(DocumentVersions, OfAShallowSnapshotAUsedDocumentTakesTheUpdates) {
  Document whole = Hello();
  const Bytes snapshot = *whole.ExportShallowSnapshot({{1, 7}});
  // Behind the start: parked, as in loro-crdt.
  Document behind(2);
  ASSERT_TRUE(behind.Import(whole.ExportUpdatesInRange(std::vector<IdSpan>{{1, 0, 5}})).ok());
  const Result<ImportStatus> parked = behind.Import(snapshot);
  ASSERT_TRUE(parked.ok());
  EXPECT_THAT(parked->pending, ElementsAre(IdSpan{1, 7, 11}));
  EXPECT_EQ(behind.Text(kText), "hello");
  EXPECT_FALSE(behind.is_shallow());
  // At the start or later: merged.
  Document at(3);
  ASSERT_TRUE(at.Import(whole.ExportUpdatesInRange(std::vector<IdSpan>{{1, 0, 9}})).ok());
  const Result<ImportStatus> merged = at.Import(snapshot);
  ASSERT_TRUE(merged.ok());
  EXPECT_THAT(merged->success, ElementsAre(IdSpan{1, 9, 11}));
  EXPECT_EQ(at.Text(kText), "hello world");
  EXPECT_FALSE(at.is_shallow());
}

TEST(DocumentVersions, TheStartIsCriticalAndCutsNoMark) {
  Document a(1);
  Type(&a, "base");
  Document b = *a.Fork(2);
  Type(&a, "AA");
  Type(&b, "BB");
  ASSERT_TRUE(a.Import(b.ExportUpdates({})).ok());
  EXPECT_THAT(Trimmed(&a, {{2, 1}}, 9).shallow_frontiers(), ElementsAre(Id{1, 3}));
  EXPECT_THAT(Trimmed(&a, a.frontiers(), 9).shallow_frontiers(), ElementsAre(Id{1, 3}));
  ASSERT_TRUE(a.TextMark(kText, 0, 2, "bold", Value(true), StyleExpand::kAfter).ok());
  a.Commit();
  EXPECT_THAT(Trimmed(&a, {{1, 6}}, 9).shallow_frontiers(), ElementsAre(Id{1, 7}));
  // Without anything before it there is nothing to trim.
  EXPECT_FALSE(Trimmed(&a, {{1, 0}}, 9).is_shallow());
  EXPECT_FALSE(Trimmed(&a, {}, 9).is_shallow());
}

TEST(DocumentVersions, AMarkWithoutItsEndStylesNothing) {
  Document document(1);
  Type(&document, "hello");
  ASSERT_TRUE(document.TextMark(kText, 0, 3, "bold", Value(true), StyleExpand::kAfter).ok());
  document.Commit();
  std::string delta;
  ASSERT_TRUE(document.Checkout({{1, 5}}).ok());
  document.AppendDelta(kText, &delta);
  EXPECT_EQ(delta, R"([{"insert":"hello"}])");
  document.CheckoutToLatest();
  Document late(2);
  for (const IdSpan span : {IdSpan{1, 0, 6}, IdSpan{1, 6, 7}}) {
    delta.clear();
    late.AppendDelta(kText, &delta);
    EXPECT_THAT(delta, testing::Not(HasSubstr("bold")));
    ASSERT_TRUE(late.Import(document.ExportUpdatesInRange({&span, 1})).ok());
  }
  delta.clear();
  late.AppendDelta(kText, &delta);
  EXPECT_EQ(delta, R"([{"attributes":{"bold":true},"insert":"hel"},{"insert":"lo"}])");
}

TEST(DocumentVersions, ABatchIsTakenWholeOrNotAtAll) {
  Document whole = Hello();
  const IdSpan halves[] = {{1, 0, 5}, {1, 5, 11}};
  const Bytes first = whole.ExportUpdatesInRange({&halves[0], 1});
  const Bytes second = whole.ExportUpdatesInRange({&halves[1], 1});
  Document document(2);
  const BytesView blobs[] = {second, first};
  const Result<ImportStatus> imported = document.ImportBatch(blobs);
  ASSERT_TRUE(imported.ok());
  EXPECT_THAT(imported->success, ElementsAre(IdSpan{1, 0, 11}));
  EXPECT_THAT(imported->pending, IsEmpty());
  EXPECT_EQ(document.Text(kText), "hello world");

  Document refusing(3);
  const BytesView damaged[] = {first, BytesView(second).substr(1)};
  EXPECT_FALSE(refusing.ImportBatch(damaged).ok());
  EXPECT_EQ(refusing.op_count(), 0U);
  EXPECT_EQ(refusing.ToJson(), "{}");

  // A shallow snapshot starts an empty document, and the rest is merged into it.
  const Bytes start = *whole.ExportShallowSnapshot({{1, 7}});
  Type(&whole, "!");
  const Bytes rest = whole.ExportUpdates({});
  Document trimmed(4);
  const BytesView mixed[] = {rest, start};
  ASSERT_TRUE(trimmed.ImportBatch(mixed).ok());
  EXPECT_TRUE(trimmed.is_shallow());
  EXPECT_EQ(trimmed.Text(kText), "hello world!");
}

TEST(DocumentVersions, AnOpIdThatMeansSomethingElseIsAConflict) {
  Document document = Hello();
  Document other(1);
  Type(&other, "hellO");
  Type(&other, " world and more");
  const auto refused = document.Import(other.ExportUpdates({}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("0@1"));
  EXPECT_EQ(document.Text(kText), "hello world");
  // The same ops cut otherwise are the same.
  Document same(1);
  Type(&same, "hel");
  Type(&same, "lo world");
  Type(&same, "!");
  ASSERT_TRUE(document.Import(same.ExportUpdates({})).ok());
  EXPECT_EQ(document.Text(kText), "hello world!");
}

// However an insert of many items is cut on one side, it is decoded once.
TEST(DocumentVersions, ManyOpsThatAreOneOpElsewhereAreTheSame) {
  constexpr size_t kItems = 3000;
  const ContainerId list = ContainerId::Root("l", ContainerKind::kList);
  for (const size_t different : {kItems, size_t{1234}}) {
    Document cut(1);
    Document whole(1);
    for (size_t i = 0; i < kItems; ++i) {
      const Value value(static_cast<int64_t>(i % 7));
      ASSERT_TRUE(cut.ListInsert(list, i, value).ok());
      ASSERT_TRUE(cut.Commit({.timestamp = static_cast<int64_t>(i), .message = "item"}).ok());
      ASSERT_TRUE(whole.ListInsert(list, i, i == different ? Value("other") : value).ok());
    }
    ASSERT_TRUE(cut.TextInsert(kText, 0, "h\u00e9").ok());
    ASSERT_TRUE(cut.Commit({.timestamp = 5000, .message = "text"}).ok());
    ASSERT_TRUE(cut.TextInsert(kText, 2, "llo").ok());
    ASSERT_TRUE(whole.TextInsert(kText, 0, "h\u00e9llo world").ok());
    Document reader(2);
    ASSERT_TRUE(reader.Import(cut.ExportUpdates({})).ok());
    const Result<ImportStatus> status = reader.Import(whole.ExportUpdates({}));
    ASSERT_EQ(status.ok(), different == kItems);
    EXPECT_EQ(reader.Text(kText), status.ok() ? "h\u00e9llo world" : "h\u00e9llo");
    if (!status.ok()) {
      EXPECT_THAT(status.error().message(), HasSubstr("1234@1"));
    }
  }
}

TEST(DocumentVersions, RangesAreCutAndJoined) {
  Document whole = Hello();
  const std::vector<IdSpan> spans = {{1, 3, 7}, {1, 0, 4}, {1, 6, 8}, {9, 0, 5}, {1, 10, 99}};
  const Bytes blob = whole.ExportUpdatesInRange(spans);
  Document document(2);
  const Result<ImportStatus> imported = document.Import(blob);
  ASSERT_TRUE(imported.ok());
  EXPECT_THAT(imported->success, ElementsAre(IdSpan{1, 0, 8}));
  EXPECT_THAT(imported->pending, ElementsAre(IdSpan{1, 10, 11}));
  EXPECT_EQ(document.Text(kText), "hello wo");
  EXPECT_EQ(whole.ExportUpdatesInRange({}).size(), kEnvelopeBytes);
}

TEST(DocumentVersions, ChangesAreToldWithWhatTheirWritersSaid) {
  Document document(1);
  ASSERT_TRUE(document.MapSet(kMap, "k", Value(1.5)).ok());
  ASSERT_TRUE(document.Commit({.timestamp = 1700, .message = "first"}).ok());
  ASSERT_TRUE(document.MapSet(kMap, "k", Value(2.5)).ok());
  int count = 0;
  document.ForEachChange([&count](const ChangeInfo& change) {
    ++count;
    EXPECT_EQ(change.id, (Id{1, 0}));
    EXPECT_EQ(change.length, 1U);
    EXPECT_EQ(change.timestamp, 1700);
    EXPECT_EQ(change.message, "first");
    EXPECT_THAT(change.deps, IsEmpty());
  });
  EXPECT_EQ(count, 1);  // the second is not committed
}

// A shallow snapshot of a document with everything in it.
Bytes RichSnapshot(uint64_t seed) {
  SeededRandom random(seed);
  RandomPeer peer(1);
  peer.TouchRoots();
  for (int i = 0; i < 60; ++i) peer.EditAtRandom(&random);
  peer.doc().Commit();
  const Frontiers at = peer.doc().frontiers();
  for (int i = 0; i < 20; ++i) peer.EditAtRandom(&random);
  return *peer.doc().ExportShallowSnapshot(at);
}

// Imports what may be damaged. True if it was refused; otherwise it has to be usable.
bool IsRefused(const Bytes& blob) {
  Document document(9);
  if (!document.Import(blob).ok()) {
    EXPECT_EQ(document.ToJson(), "{}");
    EXPECT_EQ(document.op_count(), 0U);
    return true;
  }
  document.CheckInvariants();
  static_cast<void>(document.ToJson());
  EXPECT_TRUE(document.TextInsert(kText, 0, "usable").ok());
  const Bytes again = document.ExportSnapshot();
  Document copy(10);
  EXPECT_TRUE(copy.Import(again).ok());
  EXPECT_EQ(copy.ToJson(), document.ToJson());
  return false;
}

TEST(DocumentVersions, DamagedShallowSnapshotsAreRefused) {
  SeededRandom random(7);
  const std::vector<Bytes> snapshots = {RichSnapshot(1), RichSnapshot(2), RichSnapshot(3)};
  int refused = 0;
  constexpr int kCases = 2000;
  for (int i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i));
    Bytes damaged = snapshots[random.Below(snapshots.size())];
    for (uint64_t flips = 1 + random.Below(3); flips > 0; --flips) {
      const size_t at = 20 + random.Below(damaged.size() - 20);
      damaged[at] = static_cast<char>(random.Below(256));
    }
    const uint32_t sum = Checksum(BytesView(damaged).substr(20));
    for (size_t k = 0; k < 4; ++k) damaged[16 + k] = static_cast<char>(sum >> (8 * k));
    refused += IsRefused(damaged);
  }
  EXPECT_GT(refused, kCases / 4);
}

TEST(DocumentVersions, AStartThatIsNamedTwiceIsRefused) {
  Document whole = Hello();
  const Bytes snapshot = *whole.ExportShallowSnapshot({{1, 10}});
  const Result<Envelope> envelope = DecodeEnvelope(snapshot);
  ASSERT_TRUE(envelope.ok());
  Result<SnapshotParts> parts = DecodeSnapshot(envelope->body);
  ASSERT_TRUE(parts.ok());
  parts->shallow->start_frontiers = {{1, 10}, {1, 10}};
  parts->shallow->state_frontiers = {{1, 10}, {1, 10}};
  const Result<Bytes> body = EncodeSnapshot(*parts);
  ASSERT_TRUE(body.ok());
  Document document(2);
  const auto imported = document.Import(EncodeEnvelope(EncodeMode::kFastSnapshot, *body));
  ASSERT_FALSE(imported.ok());
  EXPECT_EQ(imported.error().code(), ErrorCode::kCorruption);
  EXPECT_THAT(document.FrontiersOf(whole.version()), IsEmpty());
}

// The state at the start is all there is of what was before, so a lie in it is not found out; but
// what no history leads to is refused, and nothing does harm.
TEST(DocumentVersions, DamagedStatesAtTheStartDoNoHarm) {
  SeededRandom random(8);
  const std::vector<Bytes> snapshots = {RichSnapshot(4), RichSnapshot(5), RichSnapshot(6)};
  int refused = 0;
  constexpr int kCases = 6000;
  for (int i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i));
    const Result<Envelope> envelope = DecodeEnvelope(snapshots[random.Below(snapshots.size())]);
    Result<SnapshotParts> parts = DecodeSnapshot(envelope->body);
    ASSERT_TRUE(parts.ok() && parts->shallow.has_value());
    SnapshotParts::Shallow& shallow = *parts->shallow;
    const size_t at = random.Below(shallow.states.size());
    Bytes bytes(shallow.states[at].wrapper);
    const ContainerId damaged = shallow.states[at].container;
    // `bytes` is what the state will be.
    switch (random.Below(8)) {
      case 0:
        shallow.start.Set(1, static_cast<Counter>(random.Below(200)));
        break;
      case 1:
        shallow.start_frontiers[0].counter = static_cast<Counter>(random.Below(200));
        break;
      case 2:
        shallow.states.erase(shallow.states.begin() + static_cast<ptrdiff_t>(at));
        break;
      case 3:
        bytes = Bytes(shallow.states[random.Below(shallow.states.size())].wrapper);
        break;
      default:
        for (uint64_t flips = 1 + random.Below(3); flips > 0; --flips) {
          bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
        }
    }
    for (SnapshotParts::State& state : shallow.states) {
      if (state.container == damaged) state.wrapper = bytes;
    }
    const Result<Bytes> body = EncodeSnapshot(*parts);
    if (!body.ok()) continue;
    refused += IsRefused(EncodeEnvelope(EncodeMode::kFastSnapshot, *body));
  }
  EXPECT_GT(refused, kCases / 4);
  EXPECT_LT(refused, kCases * 9 / 10);
}

}  // namespace
}  // namespace merrow::loro
