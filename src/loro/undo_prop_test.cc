// SPDX-License-Identifier: Apache-2.0
//
// Undo in random documents: when nobody else edits, undoing everything gives the look of the start
// and redoing everything that of the end, for every step in between; when others edit, what they
// typed stays and what was typed here goes. A failure names its seed; MERROW_SEED=<n> runs only
// that.

#include "merrow/undo.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/clock.h"
#include "loro/delta_mirror_test_util.h"
#include "loro/random_peer_test_util.h"

namespace merrow::loro {
namespace {

const ContainerId kText = ContainerId::Root("text", ContainerKind::kText);
const ContainerId kMap = ContainerId::Root("map", ContainerKind::kMap);
const ContainerId kList = ContainerId::Root("list", ContainerKind::kList);

void Sync(Document* a, Document* b) {
  ASSERT_TRUE(a->Import(b->ExportUpdates(a->version())).ok());
  ASSERT_TRUE(b->Import(a->ExportUpdates(b->version())).ok());
}

void ForEachSeed(uint64_t count, void (*check)(SeededRandom*)) {
  const char* const only = std::getenv("MERROW_SEED");
  for (uint64_t seed = 1; seed <= count; ++seed) {
    SeededRandom random(only == nullptr ? seed : std::stoull(only));
    SCOPED_TRACE("MERROW_SEED=" + (only == nullptr ? std::to_string(seed) : only));
    check(&random);
    if (testing::Test::HasFailure() || only != nullptr) return;
  }
}

TEST(UndoPropTest, UndoAndRedoWalkThroughTheLooks) {
  ForEachSeed(60, [](SeededRandom* random) {
    RandomPeer peer(7);
    for (uint64_t edits = random->Below(20); edits > 0; --edits) peer.EditAtRandom(random);
    Document& doc = peer.doc();
    UndoManager undo(&doc);
    std::vector<std::string> looks = {DeltaMirror::LookOf(doc)};
    const size_t steps = 5 + random->Below(20);
    for (size_t step = 0; step < steps; ++step) {
      for (uint64_t edits = 1 + random->Below(4); edits > 0; --edits) peer.EditAtRandom(random);
      doc.Commit();
      if (undo.undo_count() == looks.size()) looks.push_back(DeltaMirror::LookOf(doc));
    }
    for (int round = 0; round < 3; ++round) {
      for (size_t step = looks.size() - 1; step > 0; --step) {
        const Result<bool> undone = undo.Undo();
        ASSERT_TRUE(undone.ok()) << undone.error().ToString();
        doc.CheckInvariants();
        ASSERT_EQ(DeltaMirror::LookOf(doc), looks[undo.undo_count()]);
      }
      EXPECT_FALSE(undo.can_undo());
      while (undo.can_redo()) {
        ASSERT_TRUE(undo.Redo().ok());
        ASSERT_EQ(DeltaMirror::LookOf(doc), looks[undo.undo_count()]);
      }
      EXPECT_EQ(DeltaMirror::LookOf(doc), looks.back());
    }
  });
}

constexpr std::string_view kMine = "abcdef";
constexpr std::string_view kTheirs = "UVWXYZ";

// Letters of `alphabet` in the text.
std::string LettersOf(const Document& doc, std::string_view alphabet) {
  std::string letters = doc.Text(kText);
  std::erase_if(letters,
                [&](char letter) { return alphabet.find(letter) == std::string_view::npos; });
  return letters;
}

TEST(UndoPropTest, WhatOthersTypeStays) {
  ForEachSeed(200, [](SeededRandom* random) {
    Document mine(5);
    Document theirs(random->Below(2) == 0 ? 3 : 9);
    UndoManager undo(&mine);
    const auto type = [&](Document* doc, std::string_view alphabet) {
      for (uint64_t edits = 1 + random->Below(2); edits > 0; --edits) {
        const std::string letter(1 + random->Below(3), alphabet[random->Below(alphabet.size())]);
        ASSERT_TRUE(doc->TextInsert(kText, random->Below(doc->Length(kText) + 1), letter).ok());
      }
    };
    std::string deleted;
    for (uint64_t step = 5 + random->Below(20); step > 0; --step) {
      type(&mine, kMine);
      // Only what was typed here, so that all of theirs stays.
      const std::string text = mine.Text(kText);
      const size_t at = random->Below(text.size());
      if (kMine.find(text[at]) != std::string_view::npos && random->Below(2) == 0) {
        ASSERT_TRUE(mine.TextDelete(kText, at, 1).ok());
      }
      mine.Commit();
      type(&theirs, kTheirs);
      if (random->Below(2) == 0) Sync(&mine, &theirs);
      if (random->Below(4) == 0) {
        ASSERT_TRUE(undo.Undo().ok());
        if (random->Below(2) == 0) Sync(&mine, &theirs);
        if (random->Below(2) == 0) {
          ASSERT_TRUE(undo.Redo().ok());
        }
      }
    }
    Sync(&mine, &theirs);
    const std::string kept = LettersOf(mine, kTheirs);
    const std::string look = mine.Text(kText);
    size_t undone = 0;
    for (; undo.can_undo(); ++undone) ASSERT_TRUE(undo.Undo().ok());
    EXPECT_EQ(mine.Text(kText), kept);
    for (; undone > 0; --undone) ASSERT_TRUE(undo.Redo().ok());
    EXPECT_EQ(mine.Text(kText).size(), look.size());
    EXPECT_EQ(LettersOf(mine, kTheirs), kept);
  });
}

TEST(UndoPropTest, EveryKindOfRemoteEditIsSurvived) {
  ForEachSeed(60, [](SeededRandom* random) {
    RandomPeer mine(5);
    RandomPeer theirs(6);
    UndoManager undo(&mine.doc());
    for (uint64_t step = 10 + random->Below(40); step > 0; --step) {
      RandomPeer& peer = random->Below(2) == 0 ? mine : theirs;
      for (uint64_t edits = 1 + random->Below(3); edits > 0; --edits) peer.EditAtRandom(random);
      peer.doc().Commit();
      if (random->Below(3) == 0) {
        Sync(&mine.doc(), &theirs.doc());
        mine.LearnFrom(theirs);
        theirs.LearnFrom(mine);
      }
      if (random->Below(4) == 0) {
        const Result<bool> undone = random->Below(3) == 0 ? undo.Redo() : undo.Undo();
        ASSERT_TRUE(undone.ok()) << undone.error().ToString();
      }
    }
    while (undo.can_undo()) {
      const Result<bool> undone = undo.Undo();
      ASSERT_TRUE(undone.ok()) << undone.error().ToString();
      mine.doc().CheckInvariants();
    }
    Sync(&mine.doc(), &theirs.doc());
    EXPECT_EQ(mine.doc().ToJson(), theirs.doc().ToJson());
  });
}

TEST(UndoTest, AValueThatOthersSetMeanwhileGetsBackTheOldOne) {
  Document mine(1);
  Document theirs(2);
  UndoManager undo(&mine);
  ASSERT_TRUE(mine.MapSet(kMap, "k", Value(int64_t{1})).ok());
  mine.Commit();
  ASSERT_TRUE(mine.MapSet(kMap, "k", Value(int64_t{2})).ok());
  mine.Commit();
  Sync(&mine, &theirs);
  ASSERT_TRUE(theirs.MapSet(kMap, "k", Value(int64_t{3})).ok());
  Sync(&mine, &theirs);
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(mine.MapGet(kMap, "k"), Value(int64_t{1}));
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(mine.MapGet(kMap, "k"), std::nullopt);
  EXPECT_FALSE(*undo.Undo());
  EXPECT_TRUE(*undo.Redo());
  EXPECT_TRUE(*undo.Redo());
  EXPECT_EQ(mine.MapGet(kMap, "k"), Value(int64_t{3}));
  EXPECT_FALSE(undo.can_redo());
}

TEST(UndoTest, CommitsCloseInTimeAreOneStep) {
  Document doc(1);
  int64_t now = 1000;
  UndoManager undo(&doc, {.merge_interval_ms = 100, .now_ms = [&now] { return now; }});
  const auto type = [&](const char* text, int64_t at) {
    now = at;
    ASSERT_TRUE(doc.TextInsert(kText, doc.Length(kText), text).ok());
    doc.Commit();
  };
  type("a", 1000);
  type("b", 1099);
  type("c", 1100);  // since the step began
  EXPECT_EQ(undo.undo_count(), 2u);
  Document other(2);
  ASSERT_TRUE(other.MapSet(kMap, "k", Value(true)).ok());
  ASSERT_TRUE(doc.Import(other.ExportUpdates({})).ok());
  type("d", 1101);  // an import came in between
  EXPECT_EQ(undo.undo_count(), 3u);
  EXPECT_TRUE(*undo.Undo());
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(doc.Text(kText), "ab");
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(doc.Text(kText), "");
  EXPECT_EQ(doc.MapGet(kMap, "k"), Value(true));
}

TEST(UndoTest, GroupsPausesAndLimits) {
  Document doc(1);
  UndoManager undo(&doc, {.merge_interval_ms = 0, .now_ms = nullptr, .step_count_max = 3});
  const auto add = [&](int64_t value) {
    ASSERT_TRUE(doc.ListInsert(kList, doc.Length(kList), Value(value)).ok());
    doc.Commit();
  };
  undo.BeginGroup();
  add(1);
  add(2);
  undo.EndGroup();
  add(3);
  EXPECT_EQ(undo.undo_count(), 2u);
  undo.SetRecording(false);
  add(4);
  undo.SetRecording(true);
  EXPECT_EQ(undo.undo_count(), 2u);
  EXPECT_TRUE(*undo.Undo());
  EXPECT_TRUE(*undo.Undo());
  EXPECT_EQ(doc.ToJson(), R"({"list":[4]})");
  EXPECT_EQ(undo.redo_count(), 2u);
  for (int64_t value = 5; value < 10; ++value) add(value);
  EXPECT_EQ(undo.redo_count(), 0u);
  EXPECT_EQ(undo.undo_count(), 3u);
  undo.Clear();
  EXPECT_FALSE(undo.can_undo());
}

}  // namespace
}  // namespace merrow::loro
