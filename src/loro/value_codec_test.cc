// SPDX-License-Identifier: Apache-2.0
#include "loro/value_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "loro/change_block.h"

namespace merrow::loro {
namespace {

class KeyList final : public KeyInterner {
 public:
  uint32_t Intern(std::string_view key) override {
    const auto found = std::find(keys_.begin(), keys_.end(), key);
    if (found != keys_.end()) return static_cast<uint32_t>(found - keys_.begin());
    keys_.emplace_back(key);
    return static_cast<uint32_t>(keys_.size() - 1);
  }
  std::vector<std::string_view> views() const { return {keys_.begin(), keys_.end()}; }

 private:
  std::vector<std::string> keys_;
};

constexpr Id kId = {7, 100};

Bytes WriteOp(const Value& value, KeyList& keys) {
  ByteWriter writer;
  WriteOpValue(writer, value, keys);
  return writer.Release();
}

std::optional<Value> ReadOp(BytesView bytes, const std::vector<std::string_view>& keys) {
  ByteReader reader(bytes);
  Result<Value> value = ReadWholeOpValue(reader, keys, kId);
  Cursor cursor(bytes);
  const bool skipped = SkipOpValue(cursor, keys.size());
  EXPECT_EQ(skipped, value.ok()) << ToHex(bytes);
  if (!value.ok()) return std::nullopt;
  EXPECT_EQ(cursor.remaining(), reader.remaining());
  if (!reader.empty()) return std::nullopt;
  return *value;
}

Bytes WriteState(const Value& value) {
  ByteWriter writer;
  WriteStateValue(writer, value);
  return writer.Release();
}

std::optional<Value> ReadState(BytesView bytes) {
  ByteReader reader(bytes);
  Result<Value> value = ReadStateValue(reader);
  if (!value.ok() || !reader.empty()) return std::nullopt;
  return *value;
}

/// `depth` lists, one in another.
Value Nested(int depth) {
  Value value;
  for (; depth > 0; --depth) value = Value(Value::List{std::move(value)});
  return value;
}

TEST(ValueCodecTest, GoldenBytes) {
  struct Case {
    Value value;
    std::string_view op;
    std::string_view state;
  };
  const Value map(Value::Map{{"k", Value(int64_t{2})}, {"l", Value()}});
  const Case cases[] = {
      {Value(), "00", "00"},
      {Value(true), "01", "0101"},
      {Value(false), "02", "0100"},
      {Value(int64_t{-1}), "037f", "0301"},
      {Value(int64_t{64}), "03c000", "038001"},
      {Value(1.5), "043ff8000000000000", "02000000000000f83f"},
      {Value("hi"), "05026869", "04026869"},
      {Value(Value::Binary{"\xFF"}), "0601ff", "0801ff"},
      {Value(Value::List{Value(), Value(true)}), "07020001", "0502000101"},
      {map, "08020003020100", "0602016b0304016c00"},
      {Value(ContainerId::Normal(kId, ContainerKind::kText)), "0902", "070107c80100"},
  };
  for (const Case& one : cases) {
    KeyList keys;
    EXPECT_EQ(ToHex(WriteOp(one.value, keys)), one.op);
    EXPECT_EQ(ToHex(WriteState(one.value)), one.state);
    EXPECT_EQ(ReadOp(FromHex(one.op).value(), keys.views()), one.value);
    EXPECT_EQ(ReadState(FromHex(one.state).value()), one.value);
  }
}

TEST(ValueCodecTest, ContainersAreNamedAfterTheOp) {
  // A list of: a map container, a list that holds a text container.
  const Bytes bytes = FromHex("0702090007010902").value();
  const ContainerId first = ContainerId::Normal({7, 100}, ContainerKind::kMap);
  ByteReader whole(bytes);
  EXPECT_EQ(ReadWholeOpValue(whole, {}, kId).value(),
            Value(Value::List{Value(first), Value(Value::List{Value(ContainerId::Normal(
                                                {7, 101}, ContainerKind::kText))})}));
  ByteReader item(bytes);
  EXPECT_EQ(ReadOpValue(item, {}, kId).value(),
            Value(Value::List{Value(first), Value(Value::List{Value(ContainerId::Normal(
                                                {7, 100}, ContainerKind::kText))})}));
}

TEST(ValueCodecTest, MapsAreSortedAndTheLastOfEqualKeysWins) {
  const std::vector<std::string_view> keys = {"b", "a", "\xC3\xA9"};
  const Value expected(Value::Map{{"a", Value(false)}, {"b", Value(true)}, {"\xC3\xA9", Value()}});
  EXPECT_EQ(ReadOp(FromHex("08040200000201020001").value(), keys), expected);
  EXPECT_EQ(ReadState(FromHex("060402c3a9000162000161010001620101").value()), expected);
}

TEST(ValueCodecTest, DepthIsBounded) {
  KeyList keys;
  const Value deepest = Nested(kValueDepthMax);
  EXPECT_EQ(ReadOp(WriteOp(deepest, keys), {}), deepest);
  EXPECT_EQ(ReadState(WriteState(deepest)), deepest);
  const Value deeper = Nested(kValueDepthMax + 1);
  EXPECT_EQ(ReadOp(WriteOp(deeper, keys), {}), std::nullopt);
  EXPECT_EQ(ReadState(WriteState(deeper)), std::nullopt);
  // Very deep input must not exhaust the stack.
  Bytes bomb;
  for (int i = 0; i < 1000000; ++i) bomb += "\x07\x01";
  EXPECT_EQ(ReadOp(bomb, {}), std::nullopt);
}

TEST(ValueCodecTest, MalformedOpValuesAreRefused) {
  const std::vector<std::string_view> keys = {"a"};
  for (const std::string_view hex :
       {"", "0a", "03", "0380", "04000000000000", "0502c328", "050261", "0602ff", "07ffffffff0f00",
        "070200", "08010100", "0801", "080100", "09", "0980", "08ffffffffffffffffff0100"}) {
    EXPECT_EQ(ReadOp(FromHex(hex).value(), keys), std::nullopt) << hex;
  }
}

TEST(ValueCodecTest, MalformedStateValuesAreRefused) {
  for (const std::string_view hex : {"", "09", "0102", "02000000", "0380", "0402c328",
                                     "05ffffff0f00", "060101610000", "0601ff", "0702", "0802ff"}) {
    EXPECT_EQ(ReadState(FromHex(hex).value()), std::nullopt) << hex;
  }
}

Value RandomValue(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 4 ? 7 : 9)) {
    case 0:
      return {};
    case 1:
      return random() % 2 == 0;
    case 2:
      return static_cast<int64_t>(random()) >> (random() % 64);
    case 3:
      return static_cast<double>(static_cast<int64_t>(random())) / 3;
    case 4:
      return std::string(random() % 5, 'x') + "\u00E9";
    case 5:
      return Value::Binary{Bytes(random() % 5, '\xFE')};
    case 6:
      return ContainerId::Normal(kId, static_cast<ContainerKind>(random() % 128));
    case 7: {
      Value::List list;
      for (auto n = random() % 5; n > 0; --n) list.push_back(RandomValue(random, depth + 1));
      // Items of the whole value's list are named by index.
      for (Value& item : list) {
        if (depth == 0 && item.If<ContainerId>() != nullptr) item = Value();
      }
      return list;
    }
    default: {
      Value::Map map;
      for (char key = 'a'; key < 'f'; ++key) {
        if (random() % 2 == 0) map.emplace_back(Bytes(1, key), RandomValue(random, depth + 1));
      }
      return map;
    }
  }
}

TEST(ValueCodecProp, RoundTripsAndCopies) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 3000; ++i) {
    Value value = RandomValue(random, 0);
    if (const auto* list = value.If<Value::List>()) {
      // Containers deep in such a list take names that this test does not work out.
      if (!list->empty() && list->front().If<Value::List>() != nullptr) continue;
    }
    EXPECT_EQ(ReadState(WriteState(value)), value);

    KeyList keys;
    keys.Intern("other");
    ByteWriter written;
    WriteOpValue(written, value, keys);
    ByteReader reader(written.bytes());
    EXPECT_EQ(ReadOpValue(reader, keys.views(), kId).value(), value);
    EXPECT_TRUE(reader.empty());

    KeyList other_keys;
    for (const std::string_view key : {"e", "d", "c"}) other_keys.Intern(key);
    ByteWriter copied;
    Cursor cursor{BytesView(written.bytes())};
    ASSERT_TRUE(CopyOpValue(cursor, keys.views(), copied, other_keys));
    EXPECT_TRUE(cursor.empty());
    ByteReader copy_reader(copied.bytes());
    EXPECT_EQ(ReadOpValue(copy_reader, other_keys.views(), kId).value(), value);

    for (size_t length = 0; length < written.size(); ++length) {
      ReadOp(BytesView(written.bytes()).substr(0, length), keys.views());
    }
  }
}

TEST(ValueCodecFuzz, RandomBytesDecodeOrAreRefused) {
  std::mt19937_64 random(4);
  const std::vector<std::string_view> keys = {"a", "b", "c"};
  for (int i = 0; i < 50000; ++i) {
    Bytes bytes(1 + random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % (random() % 3 == 0 ? 256 : 11));
    ReadOp(bytes, keys);
    if (const std::optional<Value> value = ReadState(bytes)) {
      EXPECT_EQ(ReadState(WriteState(*value)).has_value(), true);
    }
  }
}

}  // namespace
}  // namespace merrow::loro
