// SPDX-License-Identifier: Apache-2.0
#include "cells/local_write.h"

#include <gtest/gtest.h>

#include <array>

namespace merrow::cells {
namespace {

constexpr std::array<ColumnId, 2> kColumns = {0, 1};

TEST(LocalWrite, FirstInsertNeedsNoSentinel) {
  RowClock clock;
  LocalEvents events{5, 0};
  RecordInsert(kColumns, events, clock);
  EXPECT_FALSE(clock.sentinel().has_value());
  EXPECT_EQ(*clock.Find(0), (CellClock{0, 1, {5, 0, 0}}));
  EXPECT_EQ(*clock.Find(1), (CellClock{1, 1, {5, 1, 0}}));
}

TEST(LocalWrite, RowWithoutColumnsHasOne) {
  RowClock clock;
  LocalEvents events{5, 0};
  RecordInsert({}, events, clock);
  EXPECT_EQ(clock.sentinel()->cl, 1);
  RecordInsert({}, events, clock);
  EXPECT_EQ(clock.sentinel()->cl, 3);
}

TEST(LocalWrite, UpdateCountsTheChangedColumns) {
  RowClock clock;
  LocalEvents events{5, 0};
  RecordInsert(kColumns, events, clock);
  constexpr std::array<ColumnId, 1> kSecond = {1};
  LocalEvents later{6, 0};
  RecordUpdate(kSecond, later, clock);
  EXPECT_EQ(clock.Find(0)->col_version, 1);
  EXPECT_EQ(*clock.Find(1), (CellClock{1, 2, {6, 0, 0}}));
}

TEST(LocalWrite, LivesAreCounted) {
  RowClock clock;
  LocalEvents events{1, 0};
  RecordInsert(kColumns, events, clock);
  RecordInsert(kColumns, events, clock);  // INSERT OR REPLACE
  EXPECT_EQ(clock.cl(), 1);
  EXPECT_EQ(clock.Find(0)->col_version, 2);
  RecordDelete(events, clock);
  EXPECT_EQ(clock.cl(), 2);
  EXPECT_TRUE(clock.cells().empty());
  RecordInsert(kColumns, events, clock);
  EXPECT_EQ(clock.cl(), 3);
  EXPECT_EQ(clock.Find(0)->col_version, 1);
  RecordInsert(kColumns, events, clock);
  EXPECT_EQ(clock.cl(), 5);
  EXPECT_EQ(clock.Find(0)->col_version, 2);
  RecordDelete(events, clock);
  EXPECT_EQ(clock.cl(), 6);
}

TEST(LocalWrite, MoveGoesAboveBothRows) {
  RowClock from;
  RowClock to;
  LocalEvents events{1, 0};
  RecordInsert(kColumns, events, from);
  RecordInsert(kColumns, events, to);
  RecordUpdate(kColumns, events, to);
  RecordUpdate(kColumns, events, to);
  LocalEvents move{2, 0};
  RecordMove(kColumns, move, from, to);
  EXPECT_EQ(from.cl(), 2);
  EXPECT_EQ(from.sentinel()->stamp.seq, 0);
  EXPECT_EQ(to.sentinel()->stamp.seq, 1);
  EXPECT_EQ(to.cl(), 1);
  EXPECT_EQ(*to.Find(0), (CellClock{0, 4, {2, 2, 0}}));
  RecordMove(kColumns, move, to, from);
  EXPECT_EQ(from.cl(), 3);
  EXPECT_EQ(to.cl(), 2);
}

}  // namespace
}  // namespace merrow::cells
