// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "changeset/changeset_file.h"
#include "changeset/changeset_format.h"
#include "changeset/changeset_test_util.h"
#include "changeset/decoder.h"
#include "changeset/encoder.h"

namespace merrow::changeset {
namespace {

using cells::Value;

Bytes Key(std::initializer_list<cells::ValueView> columns) {
  return cells::PackColumns(std::vector<cells::ValueView>(columns));
}

// Columns of one new row with contiguous seqs, as an INSERT makes them.
Changeset Insert(const std::vector<TableNames>& tables, cells::DbVersion version) {
  Changeset changeset;
  changeset.cells.site = SiteNamed(0xA1);
  changeset.cells.authors = {SiteNamed(0xA1)};
  changeset.cells.version = version;
  changeset.cells.previous = version - 1;
  changeset.cells.tables = {{tables[0].name, tables[0].columns}};
  changeset.timestamp.ms = 1700000000000 + version;
  return changeset;
}

void AddRow(Changeset* changeset, Bytes key, const std::vector<Value>& values,
            cells::ColVersion col_version = 1) {
  cells::RowChange row;
  row.key = std::move(key);
  cells::Seq seq = 0;
  for (const cells::RowChange& other : changeset->cells.rows) {
    seq += static_cast<cells::Seq>(other.cells.size());
  }
  for (uint32_t i = 0; i < values.size(); ++i) {
    row.cells.push_back({i, col_version, values[i], {changeset->cells.version, seq++, 0}});
  }
  changeset->cells.rows.push_back(std::move(row));
}

Bytes WithChecksum(BytesView content) {
  ByteWriter writer;
  writer.Append(content);
  writer.U32Le(XXH32(content.data(), content.size(), 0));
  return writer.Release();
}

std::string DescribeAll(const std::vector<Changeset>& changesets) {
  std::string text;
  for (const Changeset& changeset : changesets) text += Describe(changeset);
  return text;
}

TEST(Changeset, EveryKindOfRowComesBackOverALinkThatRemembers) {
  std::mt19937 random(7);
  for (int link = 0; link < 300; ++link) {
    Encoder encoder;
    Decoder decoder;
    std::map<unsigned char, cells::DbVersion> versions;
    for (int frame = 0; frame < 8; ++frame) {
      std::vector<Changeset> sent;
      for (unsigned i = random() % 4; i > 0; --i) {
        const auto site = static_cast<unsigned char>(random() % 3);
        sent.push_back(RandomChangeset(random, SiteNamed(site), versions[site]));
        versions[site] = sent.back().cells.version + random() % 2;
        ASSERT_TRUE(CheckChangeset(sent.back()).ok());
      }
      const auto bytes = encoder.Encode(sent);
      ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
      ByteReport report;
      const auto received = decoder.Decode(*bytes, &report);
      ASSERT_TRUE(received.ok()) << received.error().ToString();
      ASSERT_EQ(DescribeAll(*received), DescribeAll(sent)) << "link " << link;
      ASSERT_EQ(report.framing + report.headers + report.names + report.keys + report.clocks +
                    report.values + report.documents,
                bytes->size());
    }
  }
}

TEST(Changeset, TheBytesOfTheDocumentedExample) {
  const std::vector<TableNames> tables = {{"note", 1, {"title", "stars"}}};
  Changeset changeset = Insert(tables, 1);
  AddRow(&changeset, Key({cells::ValueView::Integer(7)}), {Value::Text("Hi"), Value::Integer(5)});
  const auto bytes = Encoder().Encode({&changeset, 1});
  ASSERT_TRUE(bytes.ok());
  // docs/format.md explains each of them. DO NOT CHANGE.
  EXPECT_EQ(ToHex(*bytes),
            "14"                                  // version 1, first frame of its stream
            "00"                                  // nothing about this changeset is unexpected
            "00a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"  // a new site
            "82a0abfef962"                        // milliseconds
            "01"                                  // one group
            "00046e6f7465"                        // a new table, "note"
            "01"                                  // one key column
            "02057469746c65057374617273"          // two columns
            "01"                                  // one row
            "00"                                  // all columns, as expected
            "18"                                  // key 7
            "424869"                              // "Hi"
            "16"                                  // 5
            "11b8e282");
  ASSERT_TRUE(Decoder().Decode(*bytes).ok());
}

TEST(Changeset, ASecondTransactionCostsWhatIsNew) {
  const std::vector<TableNames> tables = {{"note", 1, {"title", "stars"}}};
  const Bytes key = Key({cells::ValueView::Integer(7)});
  Encoder encoder;
  Changeset changeset = Insert(tables, 1);
  AddRow(&changeset, key, {Value::Text("Hi"), Value::Integer(5)});
  ASSERT_TRUE(encoder.Encode({&changeset, 1}).ok());
  Changeset update = Insert(tables, 2);
  update.timestamp.ms += 999;
  AddRow(&update, key, {Value::Null(), Value::Integer(6)}, 2);
  update.cells.rows[0].cells.erase(update.cells.rows[0].cells.begin());
  update.cells.rows[0].cells[0].clock.seq = 0;
  EXPECT_EQ(ToHex(*encoder.Encode({&update, 1})),
            "10"  // format version 1
            "00"
            "01"    // all as expected; the first site
            "d00f"  // 1000 milliseconds later
            "01"
            "01"  // one group, of the first table
            "01"  // one row
            "09"
            "02"  // some columns, versions are written; the second
            "18"  // key 7
            "02"
            "17"  // version 2, value 6
            "b9ca3190");
}

TEST(Changeset, WhatBothSidesKnowIsNotSent) {
  const std::vector<TableNames> tables = {{"todos", 1, {"title", "completed_at", "done", "user"}}};
  Encoder encoder{Context(tables)};
  Decoder decoder{Context(tables)};
  const Bytes key = Key({cells::ValueView::Text("0123456789abcd")});
  Changeset first = Insert(tables, 1);
  AddRow(&first, key,
         {Value::Text("tomatoes, carrot, greens"), Value::Integer(1700000000), Value::Text("0"),
          Value::Text("fly")});
  const auto first_bytes = encoder.Encode({&first, 1});
  ASSERT_TRUE(first_bytes.ok());
  EXPECT_LE(first_bytes->size(), 85U);
  Changeset second = Insert(tables, 2);
  AddRow(&second, key, {Value::Text("tomatoes, carrot, onions")}, 2);
  const auto second_bytes = encoder.Encode({&second, 1});
  ASSERT_TRUE(second_bytes.ok());
  EXPECT_LE(second_bytes->size(), 56U);
  ASSERT_TRUE(decoder.Decode(*first_bytes).ok());
  const auto received = decoder.Decode(*second_bytes);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(DescribeAll(*received), Describe(second));
}

TEST(Changeset, PartsAreCutBetweenRowsAndJoinToTheSame) {
  std::mt19937 random(11);
  for (int i = 0; i < 300; ++i) {
    const Changeset whole = RandomChangeset(random, SiteNamed(1), 5);
    std::vector<Changeset> parts = SplitChangeset(whole, 40);
    for (const Changeset& part : parts) {
      ASSERT_TRUE(CheckChangeset(part).ok());
      ASSERT_EQ(part.parts, parts.size());
    }
    // Each by a frame of its own, in any order.
    Encoder encoder;
    Decoder decoder;
    std::shuffle(parts.begin(), parts.end(), random);
    std::vector<Changeset> received;
    for (const Changeset& part : parts) {
      const auto frame = encoder.Encode({&part, 1});
      ASSERT_TRUE(frame.ok());
      auto decoded = decoder.Decode(*frame);
      ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
      received.push_back(std::move((*decoded)[0]));
    }
    std::vector<Changeset> incomplete(received.begin() + 1, received.end());
    ASSERT_FALSE(JoinParts(std::move(incomplete)).ok());
    const auto joined = JoinParts(std::move(received));
    ASSERT_TRUE(joined.ok()) << joined.error().ToString();
    ASSERT_EQ(Describe(*joined), Describe(whole));
  }
}

/// Rows that are cut between cells and within one, and a document.
TEST(Changeset, WhatIsLargerThanAPartGoesOnInTheNext) {
  std::mt19937 random(13);
  Changeset whole = Insert({{"t", 1, {"a", "b", "c", "d", "e"}}}, 1);
  const auto bytes = [&random](size_t size) {
    Bytes text;
    for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(random()));
    return text;
  };
  AddRow(&whole, Key({cells::ValueView::Integer(1)}),
         {Value::Integer(1), Value::Blob(bytes(9000)), Value::Text(bytes(3)),
          Value::Text(bytes(8192)), Value::Null()});
  whole.cells.rows[0].sentinel = cells::ChangeClock{1, 100, 0};
  whole.cells.rows[0].cl = 3;
  AddRow(&whole, Key({cells::ValueView::Integer(2)}),
         {Value::Blob(bytes(5000)), Value::Blob(bytes(2000)), Value::Blob(bytes(2000)),
          Value::Blob(bytes(2000)), Value::Blob(bytes(2000))});
  AddRow(&whole, Key({cells::ValueView::Integer(3)}),
         {Value::Blob(bytes(500)), Value::Blob({}), Value::Null(), Value::Null(), Value::Null()});
  whole.documents.push_back({0, Key({cells::ValueView::Text("x")}), bytes(10000)});
  whole.documents.push_back({0, Key({cells::ValueView::Text("y")}), bytes(10)});
  const std::vector<Changeset> parts = SplitChangeset(whole, 4096);
  EXPECT_GT(parts.size(), 12U);
  Encoder encoder;
  Decoder decoder;
  std::vector<Changeset> received;
  for (const Changeset& part : parts) {
    const auto frame = encoder.Encode({&part, 1});
    ASSERT_TRUE(frame.ok()) << frame.error().ToString();
    EXPECT_LT(frame->size(), 4096U + 100);
    const auto decoded = decoder.Decode(*frame);
    ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
    received.push_back(decoded->at(0));
  }
  // One whose pieces do not fit together is refused, wherever it is wrong.
  for (size_t i = 1; i < received.size(); ++i) {
    if (!received[i - 1].continues) continue;
    for (const int damage : {0, 1, 2, 3}) {
      std::vector<Changeset> bad = received;
      if (!bad[i].cells.rows.empty()) {
        cells::RowChange& row = bad[i].cells.rows[0];
        if (damage == 0) row.key = Key({cells::ValueView::Integer(9)});
        if (damage == 1) row.cl += 2;
        if (damage == 2) row.sentinel = cells::ChangeClock{1, 0, 0};
      } else if (damage == 0) {
        bad[i].documents[0].key += "x";
      } else if (damage == 1) {
        bad[i].documents[0].table = 1;
        bad[i].cells.tables.push_back({"other", {}});
      }
      if (damage == 3 && bad[i].documents.empty())
        bad[i].cells.rows.push_back(bad[i].cells.rows[0]);
      if (damage == 3 && !bad[i].documents.empty()) bad[i].documents.push_back(bad[i].documents[0]);
      const bool is_bad = damage == 0 || damage == 1 || damage == 3 || !bad[i].cells.rows.empty();
      ASSERT_EQ(JoinParts(std::move(bad)).ok(), !is_bad) << i << " " << damage;
    }
  }
  const auto joined = JoinParts(std::move(received));
  ASSERT_TRUE(joined.ok()) << joined.error().ToString();
  EXPECT_EQ(Describe(*joined), Describe(whole));
  EXPECT_EQ(joined->cells.rows.size(), whole.cells.rows.size());
  EXPECT_EQ(joined->documents.size(), whole.documents.size());
  for (const Changeset& part : SplitBetweenRows(whole, 4096)) EXPECT_FALSE(part.continues);
}

TEST(Changeset, ManySmallRowsAreCutToWhatAFrameTakes) {
  Changeset whole = Insert({{"t", 1, {"c"}}}, 1);
  for (int i = 0; i < 300'000; ++i) {
    whole.cells.rows.push_back(
        {0, Key({cells::ValueView::Integer(i)}), 2, cells::ChangeClock{1, i, 0}, {}});
  }
  const std::vector<Changeset> parts = SplitChangeset(std::move(whole), size_t{64} << 20);
  for (const Changeset& part : parts) {
    const auto frame = Encoder().Encode({&part, 1});
    ASSERT_TRUE(frame.ok()) << frame.error().ToString();
  }
}

/// It waits for a schema with rows of both, and must not hold up what it travels with.
TEST(Changeset, ATableThatWasMadeAnewWithALongerKeyIsWrittenToo) {
  Changeset changeset = Insert({{"t", 1, {"a", "b"}}}, 1);
  const Bytes one = Key({cells::ValueView::Integer(1)});
  const Bytes two = Key({cells::ValueView::Integer(1), cells::ValueView::Integer(2)});
  for (const Bytes& key : {one, two, one, two}) {
    AddRow(&changeset, key, {Value::Integer(1), Value::Text("x")});
  }
  changeset.cells.rows[1].cells.erase(changeset.cells.rows[1].cells.begin());
  Encoder encoder;
  Decoder decoder;
  for (int i = 0; i < 2; ++i) {
    const auto frame = encoder.Encode({&changeset, 1});
    ASSERT_TRUE(frame.ok()) << frame.error().ToString();
    const auto received = decoder.Decode(*frame);
    ASSERT_TRUE(received.ok()) << received.error().ToString();
    EXPECT_EQ(DescribeAll(*received), Describe(changeset));
    EXPECT_EQ(received->at(0).cells.tables.size(), 1U);
    changeset.cells.previous = changeset.cells.version;
    changeset.cells.version += 1;
    for (cells::RowChange& row : changeset.cells.rows) {
      for (cells::CellChange& cell : row.cells) cell.clock.db_version += 1;
    }
  }
}

TEST(Changeset, WhatALaterReleaseWroteIsUnsupportedAndNotDamaged) {
  Changeset changeset = Insert({{"t", 1, {"c"}}}, 1);
  AddRow(&changeset, Key({cells::ValueView::Integer(1)}), {Value::Integer(1)});
  const Bytes frame = *Encoder().Encode({&changeset, 1});
  const size_t shape_at = frame.size() - 4 - 3;
  ASSERT_EQ(frame[shape_at], 0);
  struct Case {
    size_t at;
    unsigned char byte;
  };
  // Another format version, an unknown flag of the frame, of the changeset, of rows.
  for (const Case& later : {Case{0, 0x24}, Case{0, 0x1C}, Case{1, 0x40}, Case{1, 0x7F}}) {
    Bytes changed = frame.substr(0, frame.size() - 4);
    changed[later.at] = static_cast<char>(later.byte);
    EXPECT_EQ(Decoder().Decode(WithChecksum(changed)).error().code(), ErrorCode::kUnsupported)
        << later.at;
  }
  Bytes changed = frame.substr(0, frame.size() - 4);
  changed.replace(shape_at, 1, "\x80\x02");  // 256
  EXPECT_EQ(Decoder().Decode(WithChecksum(changed)).error().code(), ErrorCode::kUnsupported);
}

/// Two sites of equal schemas make the same context, whatever the names are.
TEST(Changeset, ASchemaThatAContextCannotHoldIsHeldAsFarAsItCan) {
  const std::vector<TableNames> tables = {
      {"t", 1, {"c"}}, {Bytes(kNameBytesMax + 1, 'n'), 1, {"c"}}, {"u", 1, {"c"}}};
  EXPECT_EQ(Context(tables).tables().size(), 1U);
}

TEST(Changeset, ExtremesComeBack) {
  TableNames wide{"wide", 16, {}};
  for (size_t i = 0; i < kTableColumnsMax; ++i) wide.columns.push_back("c" + std::to_string(i));
  Changeset changeset = Insert({wide}, cells::kDbVersionMax);
  changeset.cells.previous = 0;
  changeset.timestamp = {-kTimestampMsMax, UINT16_MAX};
  std::vector<cells::ValueView> key;
  for (int i = 0; i < 4; ++i) {
    key.push_back(cells::ValueView::Integer(i % 2 == 0 ? INT64_MIN : INT64_MAX));
    key.push_back(cells::ValueView::Text(BytesView("nul\0\xff\xfe", 6)));
    key.push_back(cells::ValueView::Real(i % 2 == 0 ? -0.0 : 5e-324));
    key.push_back(cells::ValueView::Blob(BytesView("\0", 1)));
  }
  std::vector<Value> values;
  for (int i = 0; i < static_cast<int>(kTableColumnsMax); ++i) {
    const int64_t power = static_cast<int64_t>(uint64_t{1} << i % 64);
    values.push_back(Value::Integer(i % 3 == 0 ? power : i % 3 == 1 ? -power : power - 1));
  }
  values[0] = Value::Real(-0.0);
  values[1] = Value::Real(1.7976931348623157e308);
  values[2] = Value::Text(BytesView("a\0b\xc0\x80", 5));
  values[3] = Value::Real(-std::numeric_limits<double>::infinity());
  AddRow(&changeset, cells::PackColumns(key), values, cells::kCounterMax);
  changeset.cells.rows[0].cl = cells::kCounterMax - 1;
  changeset.cells.rows[0].sentinel = cells::ChangeClock{1, cells::kCounterMax, 0};
  const auto frame = Encoder().Encode({&changeset, 1});
  ASSERT_TRUE(frame.ok()) << frame.error().ToString();
  const auto received = Decoder().Decode(*frame);
  ASSERT_TRUE(received.ok()) << received.error().ToString();
  EXPECT_EQ(DescribeAll(*received), Describe(changeset));
  for (size_t i = 0; i < values.size(); ++i) {
    const Value& value = received->at(0).cells.rows[0].cells[i].value;
    ASSERT_TRUE(cells::IdenticalValue(value.view(), values[i].view())) << i;
  }
}

TEST(Changeset, FilesStandAlone) {
  std::mt19937 random(3);
  std::vector<Changeset> changesets;
  for (int i = 0; i < 200; ++i) changesets.push_back(RandomChangeset(random, SiteNamed(1), 10 * i));
  for (const int level : {0, 3}) {
    FrameOptions options;
    options.zstd_level = level;
    const auto file = EncodeFile(changesets, options);
    ASSERT_TRUE(file.ok()) << file.error().ToString();
    const auto read = DecodeFile(*file);
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    EXPECT_EQ(DescribeAll(*read), DescribeAll(changesets));
  }
  EXPECT_EQ(DecodeFile("something else").error().code(), ErrorCode::kCorruption);
  EXPECT_EQ(ToHex(*EncodeFile({})), "4d4552524f57435300");
}

TEST(Changeset, CompressionIsUsedWhereItSavesBytes) {
  const std::vector<TableNames> tables = {{"t", 1, {"c"}}};
  Changeset changeset = Insert(tables, 1);
  for (int i = 0; i < 100; ++i) {
    AddRow(&changeset, Key({cells::ValueView::Integer(i)}), {Value::Text("the same text again")});
  }
  FrameOptions zstd;
  zstd.zstd_level = 3;
  const auto plain = Encoder().Encode({&changeset, 1});
  const auto packed = Encoder({}, zstd).Encode({&changeset, 1});
  ASSERT_TRUE(plain.ok() && packed.ok());
  EXPECT_LT(packed->size() * 4, plain->size());
  const auto received = Decoder().Decode(*packed);
  ASSERT_TRUE(received.ok()) << received.error().ToString();
  EXPECT_EQ(DescribeAll(*received), Describe(changeset));

  Changeset small = Insert(tables, 1);
  AddRow(&small, Key({cells::ValueView::Integer(1)}), {Value::Integer(1)});
  EXPECT_EQ(Encoder({}, zstd).Encode({&small, 1})->size(), Encoder().Encode({&small, 1})->size());
}

TEST(Changeset, AStreamCannotBeJoinedInTheMiddle) {
  const std::vector<TableNames> tables = {{"t", 1, {"c"}}};
  Encoder encoder;
  std::vector<Bytes> frames;
  for (int version = 1; version <= 2; ++version) {
    Changeset changeset = Insert(tables, version);
    AddRow(&changeset, Key({cells::ValueView::Integer(1)}), {Value::Integer(version)});
    frames.push_back(*encoder.Encode({&changeset, 1}));
  }
  EXPECT_EQ(Decoder().Decode(frames[1]).error().code(), ErrorCode::kCorruption);
  Decoder decoder;
  ASSERT_TRUE(decoder.Decode(frames[0]).ok());
  EXPECT_EQ(decoder.Decode(frames[0]).error().code(), ErrorCode::kCorruption);
  EXPECT_TRUE(decoder.Decode(frames[1]).ok());
}

TEST(Changeset, WhatMakesNoSenseIsNotEncodedAndLeavesTheStreamAsItWas) {
  const std::vector<TableNames> tables = {{"t", 1, {"c"}}};
  Encoder encoder;
  Changeset bad = Insert(tables, 1);
  AddRow(&bad, Key({cells::ValueView::Integer(1)}), {Value::Integer(1)});
  AddRow(&bad, Key({cells::ValueView::Integer(1), cells::ValueView::Integer(2)}),
         {Value::Integer(1)});
  bad.cells.rows[1].key += '\0';
  EXPECT_EQ(encoder.Encode({&bad, 1}).error().code(), ErrorCode::kCorruption);
  bad.cells.rows.pop_back();
  bad.cells.rows[0].cells[0].clock.db_version = 2;
  EXPECT_EQ(encoder.Encode({&bad, 1}).error().code(), ErrorCode::kInvalidArgument);
  bad.cells.rows[0].cells[0].clock.db_version = 1;
  const Timestamp good = bad.timestamp;
  for (const int64_t ms : {kTimestampMsMax + 1, -kTimestampMsMax - 1, INT64_MAX, INT64_MIN}) {
    bad.timestamp.ms = ms;
    EXPECT_EQ(encoder.Encode({&bad, 1}).error().code(), ErrorCode::kInvalidArgument);
  }
  bad.timestamp = good;
  const auto frame = encoder.Encode({&bad, 1});
  ASSERT_TRUE(frame.ok());
  EXPECT_TRUE(Decoder().Decode(*frame).ok());
}

TEST(Changeset, AFrameHoldsNoMoreNamesThanADecoderTakes) {
  const std::vector<TableNames> tables = {{"t", 1, {Bytes(kNameBytesMax, 'c')}}};
  std::vector<Changeset> many;
  for (size_t i = 1; i <= kFrameNamesMax / kNameBytesMax; ++i) {
    many.push_back(Insert(tables, static_cast<cells::DbVersion>(i)));
    AddRow(&many.back(), Key({cells::ValueView::Integer(1)}), {Value::Integer(1)});
  }
  Encoder encoder;
  EXPECT_EQ(encoder.Encode(many).error().code(), ErrorCode::kLimit);
  many.resize(many.size() / 2);
  const auto frame = encoder.Encode(many);
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(Decoder().Decode(*frame)->size(), many.size());
}

TEST(Changeset, AStreamHoldsNoMoreNamesThanAContextTakes) {
  TableNames table{"", 1, {}};
  for (size_t i = 0; i < kTableColumnsMax; ++i) {
    table.columns.push_back(std::to_string(i) + Bytes(kNameBytesMax - 8, 'c'));
  }
  Encoder encoder;
  Decoder decoder;
  const auto send = [&](cells::DbVersion version) -> Status {
    table.name = "table" + std::to_string(version);
    Changeset changeset = Insert({table}, version);
    AddRow(&changeset, Key({cells::ValueView::Integer(1)}), {Value::Integer(1)});
    MERROW_ASSIGN(const Bytes frame, encoder.Encode({&changeset, 1}));
    EXPECT_TRUE(decoder.Decode(frame).ok());
    return {};
  };
  cells::DbVersion version = 1;
  Status status = send(version);
  for (; status.ok(); status = send(++version)) ASSERT_LT(version, 100);
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
  EXPECT_GT(version, 30);
  // What is known, and little that is new, still goes through.
  table.columns = {"c"};
  EXPECT_TRUE(send(version).ok());
}

}  // namespace
}  // namespace merrow::changeset
