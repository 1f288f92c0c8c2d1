// SPDX-License-Identifier: Apache-2.0
//
// The merge rule as a join. Sites write to one row at random and hear of each other's row at
// random; every state that arises is kept. Then any of them are joined in any order and grouping,
// and must come out equal, metadata included, and as a naive model says: the largest life wins,
// then per cell the largest (version, value, site). Canary builds of this test break one step of
// the rule each (merge_rule.h), in which it must fail.

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "base/clock.h"
#include "cells/local_write.h"
#include "cells/merge.h"

namespace merrow::cells {
namespace {

constexpr std::array<ColumnId, 3> kColumns = {0, 1, 2};

/// A row as one site has it. Site ordinals are the same everywhere here and order as their ids do.
struct Row final : public MergeContext {
  RowClock clock;
  std::map<ColumnId, Value> values;
  bool exists = false;

  Result<std::optional<ValueView>> LocalValue(ColumnId column) override {
    if (!exists) {
      return std::optional<ValueView>();
    }
    return std::optional<ValueView>(values[column].view());
  }
  int CompareSites(SiteOrdinal a, SiteOrdinal b) const override {
    // kNobody is below all others.
    return a + 1 < b + 1 ? -1 : (a == b ? 0 : 1);
  }
};

using Versioned = std::tuple<ColVersion, int, int64_t, SiteOrdinal>;

/// What must converge: everything but when and in which order it arrived here.
struct Essence {
  CausalLength cl = 0;
  int64_t sentinel_site = -2;  // -1: kNobody
  std::map<ColumnId, Versioned> cells;
  friend bool operator==(const Essence&, const Essence&) = default;
};

std::ostream& operator<<(std::ostream& out, const Essence& essence) {
  out << "cl " << essence.cl << " by " << essence.sentinel_site;
  for (const auto& [column, cell] : essence.cells) {
    const auto& [version, type, value, site] = cell;
    out << ", " << column << ": v" << version << " " << type << "/" << value << " by " << site;
  }
  return out;
}

Essence EssenceOf(Row& row) {
  Essence essence;
  essence.cl = row.clock.cl();
  if (row.clock.sentinel()) {
    const SiteOrdinal site = row.clock.sentinel()->stamp.site;
    essence.sentinel_site = site == kNobody ? -1 : site;
  }
  for (const CellClock& cell : row.clock.cells()) {
    const Value& value = row.values[cell.column];
    essence.cells[cell.column] = {cell.col_version, static_cast<int>(value.type), value.integer,
                                  cell.stamp.site};
  }
  return essence;
}

/// The model: a join of essences, in the fewest words.
Essence NaiveJoin(const Essence& a, const Essence& b) {
  if (a.cl != b.cl) {
    return a.cl > b.cl ? a : b;
  }
  Essence joined = a;
  joined.sentinel_site = std::max(a.sentinel_site, b.sentinel_site);
  for (const auto& [column, cell] : b.cells) {
    joined.cells[column] = std::max(joined.cells[column], cell);
  }
  return joined;
}

void Join(const Row& from, Row& into, bool with_sentinel = true) {
  if (from.clock.empty()) {
    return;
  }
  std::vector<IncomingCell> cells;
  for (const CellClock& cell : from.clock.cells()) {
    cells.push_back(
        {cell.column, cell.col_version, from.values.at(cell.column).view(), cell.stamp});
  }
  IncomingRow incoming;
  incoming.cl = from.clock.cl();
  incoming.cells = cells;
  if (from.clock.sentinel() && with_sentinel) {
    incoming.sentinel = from.clock.sentinel()->stamp;
  }
  MergeOutcome outcome;
  const RowClock before = into.clock;
  ASSERT_TRUE(MergeRow(incoming, into, into.clock, outcome).ok());
  into.clock.CheckInvariants();
  ASSERT_EQ(outcome.clock_changed, before != into.clock);
  if (outcome.action == RowAction::kDelete) {
    into.exists = false;
    into.values.clear();
  } else if (outcome.action == RowAction::kWrite) {
    into.exists = true;
    for (const uint32_t index : outcome.wins) {
      into.values[cells[index].column] = Value(cells[index].value);
    }
  } else {
    ASSERT_TRUE(outcome.wins.empty());
  }
  ASSERT_EQ(into.exists, IsAlive(into.clock.cl()));
}

Value RandomValue(SeededRandom& random) {
  const auto number = static_cast<int64_t>(random.Below(3));
  return random.Below(2) == 0 ? Value::Integer(number) : Value::Null();
}

void Write(SeededRandom& random, SiteOrdinal site, Row& row) {
  // A local write stamps ordinal 0; here every site has its own number.
  const RowClock before = row.clock;
  LocalEvents events{1, 0};
  if (!row.exists || random.Below(6) == 0) {
    RecordInsert(kColumns, events, row.clock);
    row.exists = true;
    for (const ColumnId column : kColumns) {
      row.values[column] = RandomValue(random);
    }
  } else if (random.Below(4) == 0) {
    RecordDelete(events, row.clock);
    row.exists = false;
    row.values.clear();
  } else {
    const ColumnId column = kColumns[random.Below(kColumns.size())];
    RecordUpdate({&column, 1}, events, row.clock);
    row.values[column] = RandomValue(random);
  }
  RowClock stamped = row.clock;
  if (row.clock.sentinel() && row.clock.sentinel() != before.sentinel()) {
    Sentinel sentinel = *row.clock.sentinel();
    sentinel.stamp.site = site;
    stamped.SetSentinel(sentinel);
  }
  for (CellClock cell : row.clock.cells()) {
    const CellClock* const old = before.Find(cell.column);
    if (old == nullptr || *old != cell) {
      cell.stamp.site = site;
      stamped.SetCell(cell);
    }
  }
  row.clock = stamped;
}

std::vector<Row> RandomStates(SeededRandom& random) {
  const size_t sites = 2 + random.Below(3);
  std::vector<Row> rows(sites);
  std::vector<Row> states;
  const size_t steps = 3 + random.Below(20);
  for (size_t step = 0; step < steps; ++step) {
    const size_t site = random.Below(sites);
    if (random.Below(3) == 0) {
      Join(rows[random.Below(sites)], rows[site]);
    } else {
      Write(random, static_cast<SiteOrdinal>(site), rows[site]);
    }
    states.push_back(rows[site]);
  }
  return states;
}

TEST(MergeProp, IsAJoin) {
  for (uint64_t seed = 1; seed <= 20000; ++seed) {
    SeededRandom random(seed);
    std::vector<Row> states = RandomStates(random);
    Row a = states[random.Below(states.size())];
    Row b = states[random.Below(states.size())];
    Row c = states[random.Below(states.size())];
    const Essence model = NaiveJoin(EssenceOf(a), EssenceOf(b));

    Row ab = a;
    Join(b, ab);
    ASSERT_EQ(EssenceOf(ab), model) << "seed " << seed;
    Row ba = b;
    Join(a, ba);
    ASSERT_EQ(EssenceOf(ba), model) << "commutative, seed " << seed;

    Row again = ab;
    Join(b, again);
    Join(a, again);
    ASSERT_EQ(again.clock, ab.clock) << "idempotent, seed " << seed;

    Row left = ab;
    Join(c, left);
    Row bc = b;
    Join(c, bc);
    Row right = a;
    Join(bc, right);
    ASSERT_EQ(EssenceOf(left), EssenceOf(right)) << "associative, seed " << seed;
  }
}

/// Cells that travel one at a time end where whole rows end, whether the sentinel comes first or
/// not.
TEST(MergeProp, CellsMayTravelAlone) {
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    SeededRandom random(seed);
    std::vector<Row> states = RandomStates(random);
    Row into = states[random.Below(states.size())];
    const Row from = states[random.Below(states.size())];
    Row whole = into;
    Join(from, whole);

    Row sentinel_only = from;
    sentinel_only.clock.DropCells();
    const bool sentinel_last = !from.clock.cells().empty() && random.Below(2) == 0;
    if (!sentinel_last) {
      Join(sentinel_only, into);
    }
    for (const CellClock& cell : from.clock.cells()) {
      Row one = from;
      for (const CellClock& other : from.clock.cells()) {
        if (other.column != cell.column) {
          one.clock.DropCell(other.column);
        }
      }
      Join(one, into, !sentinel_last);
    }
    if (sentinel_last) {
      Join(sentinel_only, into);
    }
    ASSERT_EQ(EssenceOf(into), EssenceOf(whole)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace merrow::cells
