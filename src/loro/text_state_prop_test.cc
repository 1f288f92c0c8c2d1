// SPDX-License-Identifier: Apache-2.0
//
// The text state against a plain model: a vector of entities, edited at random.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "loro/text_state.h"

namespace merrow::loro {
namespace {

struct Entity {
  TextChunk::Kind kind = TextChunk::Kind::kText;
  Id id;
  Lamport lamport = 0;
  char32_t scalar = 0;  // kText
  std::string key;      // kStyleStart
  Value value;
  uint8_t info = 0;

  bool is_text() const { return kind == TextChunk::Kind::kText; }
};

std::string ToUtf8(char32_t c) {
  const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<uint8_t>(bits)); };
  if (c < 0x80) {
    return {byte(c)};
  }
  if (c < 0x800) {
    return {byte(0xC0 | (c >> 6)), byte(0x80 | (c & 0x3F))};
  }
  if (c < 0x10000) {
    return {byte(0xE0 | (c >> 12)), byte(0x80 | ((c >> 6) & 0x3F)), byte(0x80 | (c & 0x3F))};
  }
  return {byte(0xF0 | (c >> 18)), byte(0x80 | ((c >> 12) & 0x3F)), byte(0x80 | ((c >> 6) & 0x3F)),
          byte(0x80 | (c & 0x3F))};
}

class TextModel {
 public:
  struct Options {
    bool ascii = false;
    bool styles = true;
    uint32_t paste_max = 0;
    double delete_chance = 0.35;
  };

  TextModel(uint64_t seed, const Options& options) : random_(seed), options_(options) {}

  void Step() {
    if (Chance(options_.delete_chance) && !entities_.empty()) {
      Delete();
    } else if (options_.styles && Chance(0.1)) {
      Mark();
    } else {
      Insert();
    }
  }

  void CheckAll() {
    state_.CheckInvariants();
    ASSERT_EQ(state_.entity_length(), entities_.size());
    CheckText();
    CheckChunks();
    CheckSegments();
    for (int i = 0; i < 4; ++i) {
      CheckPosition(Below(state_.unicode_length() + 1));
      CheckRuns();
    }
  }

  void CheckReload() {
    std::string text;
    state_.AppendText(&text);
    TextState::Loader loader(text);
    bool legal = true;
    state_.ForEachChunk([&](const TextChunk& chunk) {
      const IdRun& run = chunk.run;
      if (chunk.kind == TextChunk::Kind::kText) {
        ASSERT_TRUE(loader.AddText(run.id, run.lamport, run.length).ok());
      } else if (chunk.kind == TextChunk::Kind::kStyleStart) {
        const TextStyle& style = *chunk.style;
        ASSERT_TRUE(
            loader.AddStyleStart(run.id, run.lamport, style.key, style.value, style.info).ok());
      } else {
        legal = legal && loader.AddStyleEnd(run.id, run.lamport).ok();
      }
    });
    if (!legal) {
      return;  // an end without its start, which only deleting the start makes
    }
    Result<TextState> loaded = loader.Finish();
    ASSERT_TRUE(loaded.ok());
    state_ = std::move(*loaded);
  }

  const TextState& state() const { return state_; }

 private:
  uint32_t Below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }
  bool Chance(double chance) { return std::uniform_real_distribution<>(0, 1)(random_) < chance; }

  char32_t RandomScalar() {
    static constexpr char32_t kScalars[] = {U'a',  U'b',   U'\n',  0xE9,
                                            0x7FF, 0x4E2D, 0xFFFD, 0x1F600};
    return kScalars[Below(options_.ascii ? 3 : std::size(kScalars))];
  }

  Id NextId(uint32_t count) {
    // Mostly one peer that goes on, so that runs form.
    const PeerId peer = Chance(0.8) ? 1 : 2 + Below(20);
    Counter& counter = counters_[peer];
    const Id id{peer, counter};
    counter += static_cast<Counter>(count);
    lamport_ += Chance(0.1) ? 1 : 0;
    return id;
  }

  void Insert() {
    const bool paste = options_.paste_max > 0 && Chance(0.1);
    const uint32_t count = 1 + Below(paste ? options_.paste_max : 4);
    const uint32_t at = Chance(0.5) ? std::min<uint32_t>(cursor_, Size()) : Below(Size() + 1u);
    const Id id = NextId(count);
    std::string utf8;
    std::vector<Entity> fresh(count);
    for (uint32_t i = 0; i < count; ++i) {
      fresh[i].id = id.Plus(static_cast<Counter>(i));
      fresh[i].lamport = lamport_ + i;
      fresh[i].scalar = RandomScalar();
      utf8 += ToUtf8(fresh[i].scalar);
    }
    entities_.insert(entities_.begin() + at, fresh.begin(), fresh.end());
    ASSERT_FALSE(state_.InsertText(Size() + 1, id, lamport_, utf8, count).ok());
    ASSERT_FALSE(state_.InsertText(at, id, lamport_, utf8, count + 1).ok());
    ASSERT_TRUE(state_.InsertText(at, id, lamport_, utf8, count).ok());
    lamport_ += count;
    cursor_ = at + count;
  }

  void Delete() {
    const uint32_t start = Chance(0.5) ? std::min(cursor_, Size() - 1) : Below(Size());
    const uint32_t most = Chance(0.05) ? Size() : 6;
    const uint32_t count = 1 + Below(std::min(Size() - start, most));
    ASSERT_FALSE(state_.Delete(start, Size() - start + 1).ok());
    ASSERT_TRUE(state_.Delete(start, count).ok());
    entities_.erase(entities_.begin() + start, entities_.begin() + start + count);
    cursor_ = start;
  }

  void Mark() {
    static constexpr uint8_t kInfos[] = {0x80, 0x82, 0x84, 0x86};
    const Value values[] = {Value(true), Value(false), Value(), Value("red"), Value(int64_t{7})};
    Entity start;
    start.kind = TextChunk::Kind::kStyleStart;
    start.id = NextId(2);
    start.lamport = lamport_;
    start.key = Chance(0.5) ? "bold" : "link";
    start.value = values[Below(5)];
    start.info = kInfos[Below(4)];
    const uint32_t from = Below(Size() + 1u);
    const uint32_t to = from + 1 + Below(Size() - from + 1u);
    entities_.insert(entities_.begin() + from, start);
    ASSERT_TRUE(
        state_.InsertStyleStart(from, start.id, lamport_, start.key, start.value, start.info).ok());
    if (!Chance(0.05)) {  // now and then the end has not come yet
      Entity end = start;
      end.kind = TextChunk::Kind::kStyleEnd;
      end.id = start.id.Plus(1);
      end.lamport = lamport_ + 1;
      entities_.insert(entities_.begin() + to, end);
      ASSERT_TRUE(state_.InsertStyleEnd(to, end.id, end.lamport).ok());
    }
    lamport_ += 2;
  }

  uint32_t Size() const { return static_cast<uint32_t>(entities_.size()); }

  std::string TextOf(const std::vector<Entity>& entities) const {
    std::string text;
    for (const Entity& entity : entities) {
      if (entity.is_text()) {
        text += ToUtf8(entity.scalar);
      }
    }
    return text;
  }

  void CheckText() {
    std::string text;
    state_.AppendText(&text);
    ASSERT_EQ(text, TextOf(entities_));
    ASSERT_EQ(text.size(), state_.utf8_length());
    std::vector<std::string> scalars;
    for (const Entity& entity : entities_) {
      if (entity.is_text()) {
        scalars.push_back(ToUtf8(entity.scalar));
      }
    }
    ASSERT_EQ(scalars.size(), state_.unicode_length());
    const uint32_t from = Below(scalars.size() + 1);
    const uint32_t count = Below(scalars.size() - from + 1);
    std::string slice;
    ASSERT_TRUE(state_.AppendSlice(from, count, &slice).ok());
    std::string expected;
    for (uint32_t i = from; i < from + count; ++i) {
      expected += scalars[i];
    }
    ASSERT_EQ(slice, expected);
  }

  void CheckChunks() {
    size_t at = 0;
    std::optional<TextChunk> previous;
    state_.ForEachChunk([&](const TextChunk& chunk) {
      for (uint32_t i = 0; i < chunk.run.length; ++i, ++at) {
        ASSERT_LT(at, entities_.size());
        const Entity& entity = entities_[at];
        ASSERT_EQ(chunk.kind, entity.kind);
        ASSERT_EQ(chunk.run.id.Plus(static_cast<Counter>(i)), entity.id);
        ASSERT_EQ(chunk.run.lamport + i, entity.lamport);
        if (chunk.kind == TextChunk::Kind::kStyleStart) {
          ASSERT_EQ(chunk.style->key, entity.key);
          ASSERT_EQ(chunk.style->value, entity.value);
          ASSERT_EQ(chunk.style->info, entity.info);
          ASSERT_EQ(chunk.style->id, entity.id);
        } else if (chunk.kind == TextChunk::Kind::kStyleEnd) {
          ASSERT_EQ(chunk.style->id, entity.id.Plus(-1));
        }
      }
      if (previous && previous->kind == chunk.kind && chunk.kind == TextChunk::Kind::kText) {
        const Counter length = static_cast<Counter>(previous->run.length);
        ASSERT_FALSE(previous->run.id.Plus(length) == chunk.run.id &&
                     previous->run.lamport + previous->run.length == chunk.run.lamport);
      }
      previous = chunk;
    });
    ASSERT_EQ(at, entities_.size());
  }

  /// Attributes of the entity at `at`, from scratch.
  std::map<std::string, Value> AttributesAt(size_t at) const {
    std::map<std::string, std::pair<IdLp, Value>> winners;
    for (size_t i = 0; i < at; ++i) {
      const Entity& start = entities_[i];
      if (start.kind != TextChunk::Kind::kStyleStart) {
        continue;
      }
      const bool covers = std::any_of(
          entities_.begin() + static_cast<ptrdiff_t>(at), entities_.end(), [&](const Entity& end) {
            return end.kind == TextChunk::Kind::kStyleEnd && end.id == start.id.Plus(1);
          });
      const IdLp order{start.lamport, start.id.peer};
      const auto found = winners.find(start.key);
      if (covers && (found == winners.end() || found->second.first < order)) {
        winners[start.key] = {order, start.value};
      }
    }
    std::map<std::string, Value> attributes;
    for (const auto& [key, winner] : winners) {
      if (!winner.second.is_null()) {
        attributes[key] = winner.second;
      }
    }
    return attributes;
  }

  void CheckSegments() {
    if (entities_.size() > 300) {
      return;  // the model takes cubic time
    }
    std::vector<std::pair<std::string, std::map<std::string, Value>>> expected;
    for (size_t i = 0; i < entities_.size(); ++i) {
      if (!entities_[i].is_text()) {
        continue;
      }
      const auto attributes = AttributesAt(i);
      if (expected.empty() || expected.back().second != attributes) {
        expected.push_back({"", attributes});
      }
      expected.back().first += ToUtf8(entities_[i].scalar);
    }
    const std::vector<TextSegment> segments = state_.Segments();
    ASSERT_EQ(segments.size(), expected.size());
    for (size_t i = 0; i < segments.size(); ++i) {
      ASSERT_EQ(segments[i].text, expected[i].first);
      std::map<std::string, Value> attributes;
      for (const auto& [key, value] : segments[i].attributes) {
        attributes.emplace(key, *value);
      }
      ASSERT_EQ(attributes, expected[i].second);
    }
  }

  void CheckPosition(uint32_t unicode) {
    uint32_t entity = 0;
    uint32_t seen = 0;
    uint32_t utf16 = 0;
    uint32_t behind_previous = 0;
    for (; entity < entities_.size(); ++entity) {
      if (!entities_[entity].is_text()) {
        continue;
      }
      if (seen == unicode) {
        break;
      }
      ++seen;
      utf16 += entities_[entity].scalar >= 0x10000 ? 2 : 1;
      behind_previous = entity + 1;
    }
    ASSERT_EQ(*state_.UnicodeToEntity(unicode), entity);
    ASSERT_EQ(*state_.EntityToUnicode(entity), unicode);
    ASSERT_EQ(*state_.EntityToUnicode(behind_previous), unicode);
    ASSERT_EQ(*state_.UnicodeToUtf16(unicode), utf16);
    ASSERT_EQ(*state_.Utf16ToUnicode(utf16), unicode);
    if (entity < entities_.size() && entities_[entity].scalar >= 0x10000) {
      ASSERT_FALSE(state_.Utf16ToUnicode(utf16 + 1).ok());
    }
    uint32_t insert = behind_previous;
    while (insert < entity && StaysLeft(entities_[insert])) {
      ++insert;
    }
    ASSERT_EQ(*state_.EntityIndexForInsert(unicode), insert);
    ASSERT_FALSE(state_.UnicodeToEntity(state_.unicode_length() + 1).ok());
    ASSERT_FALSE(state_.EntityToUnicode(Size() + 1).ok());
    ASSERT_FALSE(state_.EntityIndexForInsert(state_.unicode_length() + 1).ok());
    ASSERT_FALSE(state_.UnicodeToUtf16(state_.unicode_length() + 1).ok());
    ASSERT_FALSE(state_.Utf16ToUnicode(state_.utf16_length() + 1).ok());
  }

  /// Text inserted next to this anchor goes behind it.
  static bool StaysLeft(const Entity& anchor) {
    if (anchor.kind == TextChunk::Kind::kStyleEnd) {
      return (anchor.info & kTextStyleExpandAfter) == 0;
    }
    return (anchor.info & kTextStyleExpandBefore) != 0 && anchor.value != Value() &&
           anchor.value != Value(false);
  }

  void CheckRuns() {
    const uint32_t from = Below(state_.unicode_length() + 1);
    const uint32_t count = Below(state_.unicode_length() - from + 1);
    const auto runs = state_.RunsForDelete(from, count);
    ASSERT_TRUE(runs.ok());
    ASSERT_FALSE(state_.RunsForDelete(from, state_.unicode_length() - from + 1).ok());
    std::vector<Entity> left = entities_;
    uint32_t deleted = 0;
    for (const DeleteRun& run : *runs) {
      for (uint32_t i = 0; i < run.count; ++i) {
        ASSERT_TRUE(left[run.index + i].is_text());
        ASSERT_EQ(left[run.index + i].id, run.first.Plus(static_cast<Counter>(i)));
        ++deleted;
      }
      left.erase(left.begin() + run.index, left.begin() + run.index + run.count);
    }
    ASSERT_EQ(deleted, count);
    std::string expected;
    ASSERT_TRUE(state_.AppendSlice(0, from, &expected).ok());
    ASSERT_TRUE(
        state_.AppendSlice(from + count, state_.unicode_length() - from - count, &expected).ok());
    ASSERT_EQ(TextOf(left), expected);
  }

  std::mt19937_64 random_;
  Options options_;
  std::vector<Entity> entities_;
  TextState state_;
  std::map<PeerId, Counter> counters_;
  Lamport lamport_ = 0;
  uint32_t cursor_ = 0;
};

void RunModel(uint64_t seed, const TextModel::Options& options, int steps, int check_every) {
  TextModel model(seed, options);
  for (int i = 1; i <= steps; ++i) {
    model.Step();
    model.state().CheckInvariants();
    if (i % check_every == 0) {
      model.CheckAll();
    }
    if (i % (check_every * 17) == 0) {
      model.CheckReload();
    }
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed << " step " << i;
  }
}

TEST(TextStateProp, SmallTextsMatchTheModel) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RunModel(seed, {.ascii = seed % 3 == 0, .styles = seed % 4 != 0}, 80, 1);
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(TextStateProp, LongTextsMatchTheModel) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    RunModel(seed,
             {.ascii = seed % 3 == 0,
              .styles = seed % 4 != 0,
              .paste_max = seed % 2 == 0 ? 1500u : 100u,
              .delete_chance = seed % 3 == 1 ? 0.5 : 0.2},
             400, 40);
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(TextState, EveryOtherScalarOfALongRunIsDeleted) {
  TextState text;
  const std::string utf8(5000, 'x');
  ASSERT_TRUE(text.InsertText(0, {1, 0}, 0, utf8, 5000).ok());
  for (uint32_t i = 0; i < 2500; ++i) {
    ASSERT_TRUE(text.Delete(i, 1).ok());
  }
  text.CheckInvariants();
  EXPECT_EQ(text.unicode_length(), 2500u);
  size_t runs = 0;
  text.ForEachChunk([&](const TextChunk&) { ++runs; });
  EXPECT_EQ(runs, 2500u);
  ASSERT_TRUE(text.Delete(0, 2500).ok());
  text.CheckInvariants();
  EXPECT_EQ(text.entity_length(), 0u);
}

TEST(TextState, StaysSmall) {
  TextState small;
  ASSERT_TRUE(small.InsertText(0, {1, 0}, 0, "a title of about forty characters, or so", 40).ok());
  EXPECT_LT(small.MemoryBytes(), 400u);

  std::string utf8;
  for (int i = 0; i < 50000; ++i) {
    utf8.push_back(static_cast<char>('a' + i % 26));
  }
  TextState::Loader loader(utf8);
  ASSERT_TRUE(loader.AddText({1, 0}, 0, 50000).ok());
  const Result<TextState> loaded = loader.Finish();
  ASSERT_TRUE(loaded.ok());
  EXPECT_LT(loaded->MemoryBytes(), 60000u);

  TextState typed;
  for (uint32_t i = 0; i < 50000; ++i) {
    ASSERT_TRUE(typed.InsertText(i, {1, static_cast<Counter>(i)}, i, utf8.substr(i, 1), 1).ok());
  }
  typed.CheckInvariants();
  EXPECT_LT(typed.MemoryBytes(), 75000u);
}

TEST(TextState, LoaderRefusesWhatDoesNotFit) {
  {
    TextState::Loader loader("h\xC3\xA9");
    EXPECT_FALSE(loader.AddText({1, 0}, 0, 3).ok());
    EXPECT_TRUE(loader.AddText({1, 0}, 0, 1).ok());
    EXPECT_FALSE(loader.Finish().ok());
  }
  {
    TextState::Loader loader("");
    EXPECT_FALSE(loader.AddText({1, 0}, 0, 0).ok());
    EXPECT_FALSE(loader.AddStyleEnd({1, 1}, 1).ok());
    EXPECT_TRUE(loader.AddStyleStart({1, 0}, 0, "bold", Value(true), 0x84).ok());
    EXPECT_TRUE(loader.AddStyleEnd({1, 1}, 1).ok());
    EXPECT_FALSE(loader.AddStyleEnd({1, 1}, 1).ok());
    EXPECT_TRUE(loader.Finish().ok());
  }
}

}  // namespace
}  // namespace merrow::loro
