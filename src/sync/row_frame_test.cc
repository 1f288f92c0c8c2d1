// SPDX-License-Identifier: Apache-2.0
#include "sync/row_frame.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "sync/vectors.h"

namespace merrow::sync {
namespace {

using Json = nlohmann::json;

const Limits kLimits;

Result<RowCommand> Parse(std::string_view text) {
  MERROW_ASSIGN(const RowCommandFields fields, ReadCommandFields(text, kLimits));
  return ParseCommand(fields, kLimits);
}

TEST(RowFrameTest, GoldenBytes) {
  const Json vectors = ReadVectors("row_frame.json");
  ASSERT_EQ(vectors[0]["bytes"].get<std::string>().size(), 2 * 22U);  // as Pylon's own test pins it
  for (const Json& vector : vectors) {
    const Bytes bytes = UnHex(vector["bytes"]);
    const Result<RowFrame> frame = DecodeRowFrame(bytes);
    ASSERT_TRUE(frame.ok()) << vector["name"];
    EXPECT_EQ(static_cast<int>(frame->type), vector["type"].get<int>());
    EXPECT_EQ(frame->table, vector["entity"].get<std::string>());
    EXPECT_EQ(frame->key, vector["row"].get<std::string>());
    EXPECT_EQ(frame->push_id, vector.value("pushId", 0U));
    EXPECT_EQ(ToHex(frame->payload), vector["payload"].get<std::string>());
    EXPECT_EQ(EncodeRowFrame(*frame), bytes);
  }
}

TEST(RowFrameTest, TruncatedHeadersAreRefused) {
  const Bytes bytes = UnHex(ReadVectors("row_frame.json")[3]["bytes"]);
  for (size_t size = 0; size + 1 < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeRowFrame(BytesView(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeRowFrame(std::string("\x13\0\0\0\0", 5)).ok());
  EXPECT_FALSE(DecodeRowFrame(std::string("\x11\0\1\xFF\0\0", 6)).ok()) << "not UTF-8";
}

TEST(RowFrameTest, ReadsCommands) {
  const RowCommand plain =
      Parse(R"({"type":"crdt-subscribe","entity":"note","rowId":"n1"})").value();
  EXPECT_EQ(plain.kind, RowCommand::Kind::kSubscribe);
  EXPECT_EQ(plain.row, (RowKey{"note", "n1"}));
  EXPECT_EQ(plain.version, nullptr);
  // Pylon also reads row_id; unknown members are ignored, whatever is in them.
  const RowCommand other =
      Parse(
          R"({"x":[{"type":"no"}],"row_id":"a","type":"crdt-unsubscribe","entity":"t","n":{"entity":"u"}})")
          .value();
  EXPECT_EQ(other.kind, RowCommand::Kind::kUnsubscribe);
  EXPECT_EQ(other.row, (RowKey{"t", "a"}));
  const RowCommand versioned =
      Parse(R"({"type":"crdt-resync","entity":"t","rowId":"a","vv":"AQcK"})").value();
  ASSERT_NE(versioned.version, nullptr);
  EXPECT_EQ(versioned.version->End(7), 5);
}

TEST(RowFrameTest, RefusesMalformedCommands) {
  const char* const texts[] = {
      "",
      "{",
      "[]",
      "7",
      "nul",
      "\"crdt-subscribe\"",
      R"({"type":"crdt-subscribe","entity":"t"})",
      R"({"type":"crdt-subscribe","rowId":"t"})",
      R"({"type":"crdt-subscribe","entity":7,"rowId":"t"})",
      R"({"type":"other","entity":"t","rowId":"a"})",
      R"({"entity":"t","rowId":"a"})",
      R"({"type":"crdt-subscribe","entity":"t","rowId":"a","vv":"!"})",
      R"({"type":"crdt-subscribe","entity":"t","rowId":"a","vv":"AQ=="})",
      R"({"type":"crdt-subscribe","entity":"t","rowId":"a"} x)",
      "{\"type\":\"crdt-subscribe\",\"entity\":\"\xFF\",\"rowId\":\"a\"}",
  };
  for (const char* text : texts) EXPECT_FALSE(Parse(text).ok()) << text;
  EXPECT_FALSE(Parse("{\"a\":" + std::string(100'000, '[')).ok());
  const Bytes version(kLimits.version_bytes_max * 2, 'A');
  EXPECT_FALSE(
      Parse(R"({"type":"crdt-resync","entity":"t","rowId":"a","vv":")" + version + "\"}").ok());
}

TEST(RowFrameTest, TextsThatTheServerSends) {
  loro::VersionVector version;
  version.Set(7, 5);
  const RowKey row{"note", "a\"\n"};
  EXPECT_EQ(EncodeAckText(row, 9, version),
            R"({"type":"crdt-ack","entity":"note","rowId":"a\"\n","pushId":9,"vv":"AQcK"})");
  EXPECT_EQ(EncodeSyncedText(row, version),
            R"({"type":"crdt-synced","entity":"note","rowId":"a\"\n","vv":"AQcK"})");
  EXPECT_EQ(
      EncodeErrorText({.row = row, .code = "c", .message = "m", .push_id = 1, .version = &version}),
      R"({"type":"crdt-error","entity":"note","rowId":"a\"\n","code":"c","message":"m","pushId":1,"vv":"AQcK"})");
  EXPECT_EQ(EncodeErrorText({.code = "malformed", .message = "\xFF"}),
            "{\"type\":\"crdt-error\",\"code\":\"malformed\",\"message\":\"\xEF\xBF\xBD\"}");
}

TEST(RowFrameTest, RandomBytesNeverDoHarm) {
  SeededRandom random(2);
  const std::string valid =
      R"({"type":"crdt-subscribe","entity":"note","rowId":"n1","vv":"AQcK","x":[1,{"y":null}]})";
  for (int i = 0; i < 50'000; ++i) {
    std::string text = valid.substr(0, 1 + random.Below(valid.size()));
    for (uint64_t flips = random.Below(4); flips > 0; --flips) {
      text[random.Below(text.size())] ^= static_cast<char>(1 << random.Below(8));
    }
    const Result<RowCommand> command = Parse(text);
    EXPECT_TRUE(!command.ok() || IsUtf8(command->row.table));
    const Result<RowFrame> frame = DecodeRowFrame(text);
    EXPECT_TRUE(!frame.ok() || EncodeRowFrame(*frame) == text);
  }
}

}  // namespace
}  // namespace merrow::sync
