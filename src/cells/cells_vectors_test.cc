// SPDX-License-Identifier: Apache-2.0
//
// Keys, row clocks and clock blocks that a release wrote to disk, in test/vectors/cells.json, with
// what they mean: later ones must read them alike. They are written alike too, because keys are
// compared by their bytes.
//
// `MERROW_WRITE_VECTORS=1 cells_vectors_test` makes the file anew. To do so is to say that the
// format of the database changed, which then needs another user_version.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/bytes.h"
#include "cells/clock_block.h"
#include "cells/packed_key.h"
#include "cells/stored_key.h"

namespace merrow::cells {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kPath[] = MERROW_VECTORS "/cells.json";

std::string Describe(const Stamp& stamp) {
  return "@" + std::to_string(stamp.db_version) + "." + std::to_string(stamp.seq) + " site " +
         std::to_string(stamp.site);
}

Json Describe(const RowClock& clock) {
  Json lines = Json::array();
  if (clock.sentinel().has_value()) {
    lines.push_back("cl " + std::to_string(clock.sentinel()->cl) + " " +
                    Describe(clock.sentinel()->stamp));
  }
  for (const CellClock& cell : clock.cells()) {
    lines.push_back("column " + std::to_string(cell.column) + " v" +
                    std::to_string(cell.col_version) + " " + Describe(cell.stamp));
  }
  return lines;
}

/// Of a run the first and the last two rows.
Json Describe(const ClockRun& run, bool stored_keys) {
  Json rows = Json::array();
  const uint64_t last = run.count - 1;
  for (const uint64_t row :
       std::set<uint64_t>{0, last > 0 ? 1U : 0U, last > 0 ? last - 1 : 0, last}) {
    ClockRun rest = run;
    if (row > 0) rest.Drop(row);
    RowClock clock;
    if (rest.is_fresh()) {
      clock.SetFresh(rest.fresh);
    } else {
      clock = RowClock::Decode(rest.clock).value();
    }
    const std::string key = stored_keys ? ToHex(rest.key.stored) : std::to_string(rest.key.number);
    rows.push_back({{"key", key}, {"clock", Describe(clock)}});
  }
  return rows;
}

std::vector<Bytes> PackedKeys() {
  const auto pack = [](const std::vector<ValueView>& values) { return PackColumns(values); };
  std::vector<Bytes> keys = {pack({ValueView::Integer(1), ValueView::Text("a"), ValueView::Null(),
                                   ValueView::Real(2.5), ValueView::Blob("zz")}),
                             pack({ValueView::Integer(0)}),
                             pack({ValueView::Integer(-1)}),
                             pack({ValueView::Integer(INT64_MIN), ValueView::Integer(INT64_MAX)}),
                             pack({ValueView::Text("")}),
                             pack({ValueView::Text(Bytes(255, 'x'))}),
                             pack({ValueView::Text(Bytes(256, 'x'))}),
                             pack({ValueView::Blob(BytesView("\0\xff", 2))}),
                             pack({ValueView::Real(-0.0)}),
                             pack({ValueView::Text("0123abcd-4567-89ab-cdef-fedcba987654")}),
                             pack({ValueView::Text("0123ABCD-4567-89AB-CDEF-FEDCBA987654")})};
  std::vector<ValueView> sixteen;
  for (int i = 0; i < 16; ++i) sixteen.push_back(ValueView::Integer(int64_t{1} << (4 * i)));
  keys.push_back(pack(sixteen));
  return keys;
}

RowClock Clock(const std::optional<Sentinel>& sentinel, const std::vector<CellClock>& cells) {
  RowClock clock;
  if (sentinel.has_value()) clock.SetSentinel(*sentinel);
  for (const CellClock& cell : cells) clock.SetCell(cell);
  return clock;
}

std::vector<RowClock> RowClocks() {
  RowClock fresh;
  fresh.SetFresh({4, 0, 7, 300});
  RowClock foreign;
  foreign.SetFresh({3, 9, kDbVersionMax, 0});
  RowClock updated;
  updated.SetFresh({4, 0, 7, 0});
  updated.SetCell({2, 2, {9, 5, 0}});
  RowClock zeroed = updated;
  zeroed.ZeroVersions(12);
  zeroed.SetSentinel({3, {12, 4, 2}});
  return {fresh,
          foreign,
          updated,
          zeroed,
          Clock(Sentinel{2, {11, 3, 1}}, {}),
          Clock(Sentinel{1, {1, 0, 0}}, {}),
          Clock(std::nullopt, {{0, 1, {5, 0, 0}}}),
          Clock(Sentinel{kCounterMax - 1, {kDbVersionMax, kCounterMax, UINT32_MAX}}, {}),
          Clock(Sentinel{5, {3, 1, 0}}, {{0, kCounterMax, {kDbVersionMax, kCounterMax, UINT32_MAX}},
                                         {7, 1, {2, 9, 3}},
                                         {1000, 2, {1, 0, 0}}})};
}

struct Block {
  Bytes first;  // a stored key or a number
  bool stored_keys = false;
  Bytes bytes;
};

Block MakeBlock(const std::vector<ClockRun>& runs, bool stored_keys) {
  ClockBlockWriter writer;
  writer.Begin(runs[0].key, stored_keys);
  for (const ClockRun& run : runs) writer.Add(run);
  return {stored_keys ? ToHex(runs[0].key.stored) : std::to_string(runs[0].key.number), stored_keys,
          writer.bytes()};
}

std::vector<Block> Blocks() {
  static const Bytes deleted = Clock(Sentinel{2, {11, 3, 1}}, {}).Encode();
  const auto run = [](int64_t number, uint64_t count, const FreshClock& fresh, int64_t version_step,
                      int64_t seq_step) {
    return ClockRun{{number, {}}, count, fresh, version_step, seq_step, {}};
  };
  const auto one = [](int64_t number) { return ClockRun{{number, {}}, 1, {}, 0, 0, deleted}; };
  const auto stored = [](BytesView key, const FreshClock& fresh) {
    return ClockRun{{0, key}, 1, fresh, 0, 0, fresh.columns > 0 ? BytesView() : deleted};
  };
  static const Bytes a = PackColumns(std::vector{ValueView::Text("same 1")});
  static const Bytes b = PackColumns(std::vector{ValueView::Text("same 23")});
  static Bytes uuid;
  if (uuid.empty()) {
    const ValueView text = ValueView::Text("0123abcd-4567-89ab-cdef-fedcba987654");
    AppendStoredKey(PackColumns(std::vector{text}), uuid);
  }
  return {MakeBlock({run(1, 100'000, {4, 0, 7, 0}, 0, 4)}, false),
          MakeBlock({run(1, 1, {4, 0, 7, 0}, 0, 0), one(3)}, false),
          MakeBlock({one(std::numeric_limits<int64_t>::min()), run(-5, 10, {1, 3, 90, 50}, -4, -5),
                     run(1'000'000, 3, {20, 0, kDbVersionMax - 2, 1}, 1, 0)},
                    false),
          MakeBlock({one(-1), one(std::numeric_limits<int64_t>::max())}, false),
          MakeBlock({stored(uuid, {3, 0, 5, 8}), stored(a, {}), stored(b, {1, 2, 3, 4})}, true)};
}

Json WriteVectors() {
  Json json;
  for (const Bytes& packed : PackedKeys()) {
    const auto values = UnpackColumns(packed).value();
    Json means = Json::array();
    for (const ValueView& value : values) {
      means.push_back({{"type", ValueTypeName(value.type)}, {"value", Describe(value)}});
    }
    Bytes stored;
    AppendStoredKey(packed, stored);
    json["packed_keys"].push_back(
        {{"bytes", ToHex(packed)}, {"columns", means}, {"stored", ToHex(stored)}});
  }
  for (const RowClock& clock : RowClocks()) {
    json["row_clocks"].push_back({{"bytes", ToHex(clock.Encode())}, {"means", Describe(clock)}});
  }
  for (const Block& block : Blocks()) {
    Json one = {{"first", block.first},
                {"stored_keys", block.stored_keys},
                {"bytes", ToHex(block.bytes)},
                {"means", Json::array()}};
    ClockBlockReader reader;
    const Bytes first = block.stored_keys ? FromHex(block.first).value() : Bytes();
    const ClockKey key{block.stored_keys ? 0 : std::stoll(block.first), first};
    EXPECT_TRUE(reader.Reset(key, block.stored_keys, block.bytes).ok());
    while (!reader.done()) {
      for (const Json& row : Describe(reader.run(), block.stored_keys)) one["means"].push_back(row);
      EXPECT_TRUE(reader.Next().ok());
    }
    json["clock_blocks"].push_back(one);
  }
  return json;
}

Json ReadVectors() {
  std::ifstream in(kPath);
  return Json::parse(in, nullptr, false);
}

TEST(CellsVectors, ThisReleaseWritesThemAlike) {
  const Json written = WriteVectors();
  if (std::getenv("MERROW_WRITE_VECTORS") != nullptr) {
    std::ofstream(kPath) << written.dump(1) << "\n";
  }
  EXPECT_EQ(written, ReadVectors());
}

TEST(CellsVectors, WhatEarlierReleasesWroteMeansTheSame) {
  const Json vectors = ReadVectors();
  ASSERT_GE(vectors["packed_keys"].size(), 12U);
  ASSERT_GE(vectors["row_clocks"].size(), 9U);
  ASSERT_GE(vectors["clock_blocks"].size(), 5U);
  for (const Json& vector : vectors["packed_keys"]) {
    const Bytes packed = FromHex(vector["bytes"].get<std::string>()).value();
    const auto values = UnpackColumns(packed);
    ASSERT_TRUE(values.ok()) << vector;
    EXPECT_EQ(PackColumns(*values), packed);
    ASSERT_EQ(values->size(), vector["columns"].size());
    for (size_t i = 0; i < values->size(); ++i) {
      EXPECT_EQ(ValueTypeName((*values)[i].type), vector["columns"][i]["type"]);
      EXPECT_EQ(Describe((*values)[i]), vector["columns"][i]["value"]);
    }
    const Bytes stored = FromHex(vector["stored"].get<std::string>()).value();
    Bytes back;
    ASSERT_TRUE(AppendPackedKey(stored, back).ok());
    EXPECT_EQ(back, packed);
  }
  for (const Json& vector : vectors["row_clocks"]) {
    const auto clock = RowClock::Decode(FromHex(vector["bytes"].get<std::string>()).value());
    ASSERT_TRUE(clock.ok()) << vector;
    EXPECT_EQ(Describe(*clock), vector["means"]);
  }
  for (const Json& vector : vectors["clock_blocks"]) {
    const bool stored_keys = vector["stored_keys"];
    const std::string first = vector["first"];
    const Bytes stored = stored_keys ? FromHex(first).value() : Bytes();
    const Bytes bytes = FromHex(vector["bytes"].get<std::string>()).value();
    ClockBlockReader reader;
    ASSERT_TRUE(
        reader.Reset({stored_keys ? 0 : std::stoll(first), stored}, stored_keys, bytes).ok());
    Json means = Json::array();
    while (!reader.done()) {
      for (const Json& row : Describe(reader.run(), stored_keys)) means.push_back(row);
      ASSERT_TRUE(reader.Next().ok());
    }
    EXPECT_EQ(means, vector["means"]);
  }
}

}  // namespace
}  // namespace merrow::cells
