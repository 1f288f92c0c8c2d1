// SPDX-License-Identifier: Apache-2.0
//
// Frames and files that a release wrote, in test/vectors/changesets.json, with what they mean:
// later ones must read them alike. They are written alike too, unless compressed, because sites
// compare what they sent.
//
// `MERROW_WRITE_VECTORS=1 changeset_vectors_test` makes the file anew. To do so is to say that the
// format changed; then kFrameVersion has to change too, and what is there now stays as that of an
// older version.

#include <gtest/gtest.h>
#include <zdict.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "changeset/changeset_file.h"
#include "changeset/changeset_format.h"
#include "changeset/changeset_test_util.h"

namespace merrow::changeset {
namespace {

using Json = nlohmann::ordered_json;
using cells::Value;
using cells::ValueView;

constexpr char kPath[] = MERROW_VECTORS "/changesets.json";

/// One stream of frames. `writes` is what each frame is made of.
struct Case {
  std::string name;
  std::vector<std::vector<Changeset>> writes;
  std::vector<TableNames> schema;
  int zstd_level = 0;
  Bytes dictionary;
  bool is_whole = false;  // all are the parts of one changeset
};

Bytes Key(const std::vector<ValueView>& columns) { return cells::PackColumns(columns); }

/// A changeset of a row with a value of every kind and size class, at the ends of their ranges.
Changeset Values() {
  Changeset changeset;
  cells::Transaction& cells = changeset.cells;
  cells.site = SiteNamed(0x51);
  cells.authors = {cells.site};
  cells.version = cells::kDbVersionMax;
  cells.previous = 12;
  changeset.timestamp = {-kTimestampMsMax, UINT16_MAX};
  std::vector<Value> values = {Value::Null(),
                               Value::Real(-0.0),
                               Value::Real(std::numeric_limits<double>::infinity()),
                               Value::Real(5e-324),
                               Value::Text(""),
                               Value::Text(BytesView("nul \0 and no UTF-8 \xff", 20)),
                               Value::Text(Bytes(127, 't')),
                               Value::Text(Bytes(128, 'T')),
                               Value::Blob(""),
                               Value::Blob(Bytes(63, 'b')),
                               Value::Blob(Bytes(64, 'B'))};
  for (const int64_t integer : {-2, -1, 0, 46, 47, 127, 128, -128, -129, 32767, 32768}) {
    values.push_back(Value::Integer(integer));
  }
  for (int bits = 23; bits < 64; bits += 8) {
    const auto power = static_cast<int64_t>(uint64_t{1} << bits);
    values.push_back(Value::Integer(power));
    values.push_back(Value::Integer(static_cast<int64_t>(static_cast<uint64_t>(power) - 1)));
  }
  cells.tables.push_back({"values", {}});
  cells::RowChange row;
  row.key = Key({ValueView::Integer(INT64_MIN), ValueView::Text("\xc3\xa9"), ValueView::Real(2.5),
                 ValueView::Blob(BytesView("\0", 1)), ValueView::Integer(INT64_MAX)});
  row.cl = cells::kCounterMax - 1;
  row.sentinel = cells::ChangeClock{13, cells::kCounterMax, 0};
  for (uint32_t i = 0; i < values.size(); ++i) {
    cells.tables[0].columns.push_back("c" + std::to_string(i));
    row.cells.push_back({i, cells::kCounterMax - i, values[i], {cells.version, 1000 - i, 0}});
  }
  cells.rows.push_back(std::move(row));
  return changeset;
}

/// Inserts of `rows` rows, as one transaction writes them.
Changeset Inserts(cells::DbVersion version, int rows) {
  Changeset changeset;
  cells::Transaction& cells = changeset.cells;
  cells.site = SiteNamed(0xA1);
  cells.authors = {cells.site};
  cells.version = version;
  cells.previous = version - 1;
  cells.tables = {{"note", {"title", "stars"}}};
  changeset.timestamp.ms = 1'700'000'000'000 + version;
  cells::Seq seq = 0;
  for (int i = 0; i < rows; ++i) {
    cells::RowChange row;
    row.key = Key({ValueView::Integer(7 + i)});
    row.cells.push_back({0, 1, Value::Text("Hi"), {version, seq++, 0}});
    row.cells.push_back({1, 1, Value::Integer(5 + i), {version, seq++, 0}});
    cells.rows.push_back(std::move(row));
  }
  return changeset;
}

Case RandomStream() {
  Case random{"all kinds of rows, over four frames of a stream", {}, {}, 0, {}, false};
  std::mt19937 source(20);
  cells::DbVersion last = 0;
  for (int frame = 0; frame < 4; ++frame) {
    random.writes.emplace_back();
    for (int i = 0; i < 2; ++i) {
      random.writes.back().push_back(RandomChangeset(source, SiteNamed(1), last));
      last = random.writes.back().back().cells.version + i;
    }
  }
  return random;
}

Case Parts() {
  Changeset whole = Inserts(3, 4);
  whole.cells.rows[1].cells[0].value = Value::Text(Bytes(100, 'x'));
  whole.cells.rows[2].cells[1].value = Value::Blob(Bytes(30, 'y'));
  whole.documents.push_back({0, Key({ValueView::Text("n")}), Bytes(90, 'd')});
  Case parts{"parts, with a row and a document that go on", {}, {}, 0, {}, true};
  for (Changeset& part : SplitChangeset(whole, 40)) parts.writes.push_back({std::move(part)});
  return parts;
}

Case MadeAnew() {
  Changeset changeset = Inserts(1, 2);
  changeset.cells.rows[1].key = Key({ValueView::Integer(8), ValueView::Text("b")});
  return {"a table that was made anew with a longer key", {{changeset}}, {}, 0, {}, false};
}

std::vector<Case> Cases(const Bytes& dictionary) {
  return {{"the example of docs/format.md", {{Inserts(1, 1)}, {Inserts(2, 3)}}, {}, 0, {}, false},
          {"values", {{Values()}}, {}, 0, {}, false},
          RandomStream(),
          {"tables that both sites know",
           {{Inserts(1, 1)}, {Inserts(2, 1)}},
           {{"note", 1, {"stars", "title"}}},
           0,
           {},
           false},
          Parts(),
          MadeAnew(),
          {"compressed", {{Inserts(1, 40)}, {Inserts(2, 1)}}, {}, 3, {}, false},
          {"compressed with a dictionary", {{Inserts(1, 9)}}, {}, 3, dictionary, false}};
}

FrameOptions OptionsOf(const Case& one) {
  FrameOptions options;
  options.zstd_level = one.zstd_level;
  if (!one.dictionary.empty()) {
    options.dictionary = Dictionary::FromBytes(one.dictionary, one.zstd_level).value();
  }
  return options;
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

Json Describe(const std::vector<Changeset>& changesets) {
  Json described = Json::array();
  for (const Changeset& changeset : changesets) {
    described.push_back(LinesOf(changeset::Describe(changeset)));
  }
  return described;
}

Json Write(const Case& one) {
  Json json;
  json["name"] = one.name;
  if (!one.schema.empty()) {
    json["schema"] = Json::array();
    for (const TableNames& table : one.schema) {
      json["schema"].push_back(
          {{"table", table.name}, {"key_columns", table.key_columns}, {"columns", table.columns}});
    }
  }
  if (!one.dictionary.empty()) json["dictionary"] = ToBase64(one.dictionary);
  json["is_compressed"] = one.zstd_level > 0;
  json["frames"] = Json::array();
  Encoder encoder(Context(one.schema), OptionsOf(one));
  std::vector<Changeset> all;
  for (const std::vector<Changeset>& changesets : one.writes) {
    json["frames"].push_back(
        {{"bytes", ToHex(encoder.Encode(changesets).value())}, {"means", Describe(changesets)}});
    all.insert(all.end(), changesets.begin(), changesets.end());
  }
  if (one.is_whole) json["joined"] = Describe({JoinParts(all).value()});
  if (one.schema.empty() && one.dictionary.empty()) {
    json["file"] = ToHex(EncodeFile(all, OptionsOf(one)).value());
  }
  return json;
}

Bytes TrainDictionary() {
  Bytes samples;
  std::vector<size_t> sizes;
  for (int i = 0; i < 500; ++i) {
    Encoder encoder;
    const Bytes frame = encoder.Encode(std::vector{Inserts(i % 50 + 1, i % 9 + 1)}).value();
    samples += frame;
    sizes.push_back(frame.size());
  }
  Bytes dictionary(1024, '\0');
  const size_t size = ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), samples.data(),
                                            sizes.data(), static_cast<unsigned>(sizes.size()));
  EXPECT_EQ(ZDICT_isError(size), 0U);
  dictionary.resize(size);
  return dictionary;
}

Json ReadVectors() {
  std::ifstream in(kPath);
  return Json::parse(in, nullptr, false);
}

TEST(ChangesetVectors, WhatEarlierReleasesWroteMeansTheSame) {
  if (std::getenv("MERROW_WRITE_VECTORS") != nullptr) {
    Json json = Json::array();
    for (const Case& one : Cases(TrainDictionary())) json.push_back(Write(one));
    std::ofstream(kPath) << json.dump(1) << "\n";
  }
  const Json vectors = ReadVectors();
  ASSERT_TRUE(vectors.is_array() && vectors.size() >= 8) << kPath;
  for (const Json& vector : vectors) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    std::vector<TableNames> schema;
    for (const Json& table : vector.value("schema", Json::array())) {
      schema.push_back({table["table"], table["key_columns"], table["columns"]});
    }
    FrameOptions options;
    if (vector.contains("dictionary")) {
      const Bytes dictionary = FromBase64(vector["dictionary"].get<std::string>()).value();
      options.dictionary = Dictionary::FromBytes(dictionary, 3).value();
    }
    Decoder decoder(Context(schema), options);
    std::vector<Changeset> all;
    Json means = Json::array();
    for (const Json& frame : vector["frames"]) {
      const auto changesets = decoder.Decode(FromHex(frame["bytes"].get<std::string>()).value());
      ASSERT_TRUE(changesets.ok()) << changesets.error().ToString();
      EXPECT_EQ(Describe(*changesets), frame["means"]);
      for (const Json& one : frame["means"]) means.push_back(one);
      all.insert(all.end(), changesets->begin(), changesets->end());
    }
    if (vector.contains("joined")) {
      EXPECT_EQ(Describe({JoinParts(all).value()}), vector["joined"]);
    }
    if (vector.contains("file")) {
      const auto file = DecodeFile(FromHex(vector["file"].get<std::string>()).value());
      ASSERT_TRUE(file.ok()) << file.error().ToString();
      EXPECT_EQ(Describe(*file), means);
    }
  }
}

TEST(ChangesetVectors, ThisReleaseWritesThemAlike) {
  const Json vectors = ReadVectors();
  Bytes dictionary;
  for (const Json& vector : vectors) {
    if (vector.contains("dictionary")) {
      dictionary = FromBase64(vector["dictionary"].get<std::string>()).value();
    }
  }
  const std::vector<Case> cases = Cases(dictionary);
  ASSERT_EQ(cases.size(), vectors.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    if (cases[i].zstd_level > 0) continue;
    EXPECT_EQ(Write(cases[i]), vectors[i]) << cases[i].name;
  }
}

}  // namespace
}  // namespace merrow::changeset
