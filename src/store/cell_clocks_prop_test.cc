// SPDX-License-Identifier: Apache-2.0
//
// Clocks in blocks against a map in memory: batches of changes that replace, insert and remove, in
// one place or all over the table, with clocks that grow and shrink, so that blocks are spliced,
// made anew, split and emptied. Read back one by one, in ranges and whole, through the object that
// wrote and through a new one.
#include "store/cell_clocks.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace merrow::store {
namespace {

using cells::ClockKey;
using cells::ClockRun;
using cells::FreshClock;
using cells::RowClock;

class Case {
 public:
  Case(uint64_t seed, bool stored_keys) : random_(seed), stored_keys_(stored_keys) {
    EXPECT_EQ(sqlite3_open(":memory:", &db_), SQLITE_OK);
    EXPECT_TRUE(RunSql(db_, CellClocks::CreateSql(1, stored_keys)).ok());
    clocks_ = CellClocks(db_, 1, stored_keys);
    keys_ = 50 + random_.Below(3000);
  }
  ~Case() {
    clocks_.FinalizeStatements();
    EXPECT_EQ(sqlite3_close(db_), SQLITE_OK);
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  void Run() {
    for (int i = 0; i < 30 && !::testing::Test::HasFailure(); ++i) {
      Change();
      Look();
    }
    CheckAll();
  }

 private:
  /// Numbers keep their order as keys of either kind.
  struct Key {
    int64_t number = 0;
    Bytes stored;
    ClockKey view() const { return {number, stored}; }
  };
  Key KeyOf(uint64_t number) const {
    if (!stored_keys_) {
      return {static_cast<int64_t>(number) - 100, {}};
    }
    char text[32];
    std::snprintf(text, sizeof(text), "key %08llu", static_cast<unsigned long long>(number));
    return {0, text};
  }

  RowClock RandomClock() {
    RowClock clock;
    const auto version = static_cast<cells::DbVersion>(1 + random_.Below(1000));
    if (random_.Below(3) == 0) {
      clock.SetFresh({3, 0, version, 0});
      return clock;
    }
    // Sometimes a long one, so that a block has to be cut.
    const uint64_t cells = random_.Below(20) == 0 ? 60 : 1 + random_.Below(4);
    for (uint32_t i = 0; i < cells; ++i) {
      clock.SetCell({i,
                     static_cast<cells::ColVersion>(1 + random_.Below(1000)),
                     {version, static_cast<cells::Seq>(random_.Below(1000)), 0}});
    }
    return clock;
  }

  void Change() {
    std::map<uint64_t, RowClock> changes;
    const bool is_local = random_.Below(2) == 0;
    const bool replaces = random_.Below(2) == 0;
    const uint64_t from = random_.Below(keys_);
    for (uint64_t count = 1 + random_.Below(200); count > 0; --count) {
      const uint64_t number = is_local ? from + random_.Below(300) : random_.Below(keys_);
      if (replaces && model_.count(number) == 0) {
        continue;
      }
      changes[number] = !replaces && random_.Below(6) == 0 ? RowClock() : RandomClock();
    }
    std::vector<Key> keys;
    std::vector<Bytes> packed;
    for (const auto& [number, clock] : changes) {
      keys.push_back(KeyOf(number));
      packed.push_back(clock.empty() ? Bytes() : clock.Encode());
    }
    std::vector<ClockChange> list;
    size_t i = 0;
    for (const auto& [number, clock] : changes) {
      const FreshClock fresh = clock.empty() ? FreshClock() : clock.AsFresh();
      list.push_back({keys[i].view(), fresh, fresh.columns > 0 ? BytesView() : packed[i]});
      ++i;
    }
    std::vector<ClockSpan> spans;
    const bool wants_spans = random_.Below(2) == 0;
    const Status written = clocks_.Write(list, wants_spans ? &spans : nullptr);
    ASSERT_TRUE(written.ok()) << written.error().message();
    for (const auto& [number, clock] : changes) {
      if (clock.empty()) {
        model_.erase(number);
      } else {
        model_[number] = clock;
      }
    }
    if (wants_spans) {
      CheckSpans(changes, spans);
    }
  }

  /// Spans cover all changes, and say at least how many rows lie between theirs.
  void CheckSpans(const std::map<uint64_t, RowClock>& changes,
                  const std::vector<ClockSpan>& spans) {
    std::vector<uint64_t> numbers;
    for (const auto& [number, clock] : changes) {
      numbers.push_back(number);
    }
    size_t at = 0;
    for (const ClockSpan& span : spans) {
      ASSERT_EQ(span.begin, at);
      ASSERT_GT(span.end, at);
      at = span.end;
      const auto first = model_.lower_bound(numbers[span.begin]);
      const auto last = model_.upper_bound(numbers[span.end - 1]);
      EXPECT_GE(span.rows, static_cast<uint64_t>(std::distance(first, last)));
    }
    EXPECT_EQ(at, numbers.size());
  }

  static RowClock ClockOf(const ClockRun& run) {
    RowClock clock;
    if (run.is_fresh()) {
      clock.SetFresh(run.fresh);
    } else {
      EXPECT_TRUE(clock.DecodeFrom(run.clock).ok());
    }
    return clock;
  }

  void Look() {
    for (int i = 0; i < 40; ++i) {
      const uint64_t number = random_.Below(keys_ + 300);
      const Key key = KeyOf(number);
      const auto found = clocks_.Find(key.view());
      ASSERT_TRUE(found.ok()) << found.error().message();
      const auto expected = model_.find(number);
      ASSERT_EQ(*found != nullptr, expected != model_.end()) << number;
      if (*found != nullptr) {
        ClockRun run = **found;
        ASSERT_EQ(ClockOf(run), expected->second) << number;
      }
    }
    const uint64_t from = random_.Below(keys_);
    const uint64_t until = from + random_.Below(500);
    CheckRange(from, until);
  }

  void CheckRange(uint64_t from, uint64_t until) {
    CellClocks fresh(db_, 1, stored_keys_);
    const Key first = KeyOf(from);
    const Key last = KeyOf(until);
    auto expected = model_.lower_bound(from);
    const ClockKey first_view = first.view();
    const ClockKey last_view = last.view();
    const Status read =
        fresh.ForEach(&first_view, &last_view, [&](const ClockRun& run) -> Result<bool> {
          ClockRun rest = run;
          while (true) {
            EXPECT_TRUE(expected != model_.end() && expected->first <= until);
            if (expected == model_.end()) {
              return true;
            }
            EXPECT_TRUE(KeyOf(expected->first).view() == rest.key);
            EXPECT_EQ(ClockOf(rest), expected->second);
            ++expected;
            if (rest.count == 1) {
              return true;
            }
            rest.Drop(1);
          }
        });
    EXPECT_TRUE(read.ok());
    EXPECT_TRUE(expected == model_.end() || expected->first > until);
  }

  void CheckAll() { CheckRange(0, keys_ + 300); }

  SeededRandom random_;
  const bool stored_keys_;
  uint64_t keys_ = 0;
  sqlite3* db_ = nullptr;
  CellClocks clocks_;
  std::map<uint64_t, RowClock> model_;
};

TEST(CellClocksProp, AreWhatWasWritten) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Case(seed, seed % 2 == 0).Run();
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace merrow::store
