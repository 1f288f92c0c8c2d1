// SPDX-License-Identifier: Apache-2.0
#include "loro/value_codec.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "loro/change_block.h"
#include "loro/container_id_codec.h"

namespace merrow::loro {
namespace {

// DO NOT CHANGE: on the wire and on disk.
enum class ValueTag : uint8_t {
  kNull = 0,
  kTrue = 1,
  kFalse = 2,
  kI64 = 3,
  kF64 = 4,
  kString = 5,
  kBinary = 6,
  kList = 7,
  kMap = 8,
  kContainer = 9,
};

// DO NOT CHANGE: on the wire and on disk.
enum class StateTag : uint8_t {
  kNull = 0,
  kBool = 1,
  kF64 = 2,
  kI64 = 3,
  kString = 4,
  kList = 5,
  kMap = 6,
  kContainer = 7,
  kBinary = 8,
};

constexpr size_t kF64Bytes = 8;

/// Sorts by key; of entries with one key the last wins, as in Loro.
void Normalize(Value::Map& map) {
  const auto less = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (std::is_sorted(map.begin(), map.end(), less) &&
      std::adjacent_find(map.begin(), map.end(), [](const auto& a, const auto& b) {
        return a.first == b.first;
      }) == map.end()) {
    return;
  }
  std::stable_sort(map.begin(), map.end(), less);
  auto out = map.begin();
  for (auto it = map.begin(); it != map.end(); ++it) {
    if (std::next(it) != map.end() && std::next(it)->first == it->first) continue;
    if (out != it) *out = std::move(*it);
    ++out;
  }
  map.erase(out, map.end());
}

// --- Op values ---

bool SkipNested(Cursor& cursor, size_t key_count, int depth) {
  uint8_t tag = 0;
  if (!cursor.Byte(&tag)) return false;
  switch (static_cast<ValueTag>(tag)) {
    case ValueTag::kNull:
    case ValueTag::kTrue:
    case ValueTag::kFalse:
      return true;
    case ValueTag::kI64: {
      int64_t value = 0;
      return cursor.Sleb(&value);
    }
    case ValueTag::kF64:
      return cursor.Skip(kF64Bytes);
    case ValueTag::kString: {
      BytesView text;
      return cursor.LengthPrefixed(&text) && IsUtf8(text);
    }
    case ValueTag::kBinary: {
      BytesView bytes;
      return cursor.LengthPrefixed(&bytes);
    }
    case ValueTag::kList: {
      uint64_t count = 0;
      if (depth >= kValueDepthMax || !cursor.Uleb(&count) || count > cursor.remaining()) {
        return false;
      }
      for (; count > 0; --count) {
        if (!SkipNested(cursor, key_count, depth + 1)) return false;
      }
      return true;
    }
    case ValueTag::kMap: {
      uint64_t count = 0;
      if (depth >= kValueDepthMax || !cursor.Uleb(&count) || count > cursor.remaining() / 2) {
        return false;
      }
      for (; count > 0; --count) {
        uint64_t key = 0;
        if (!cursor.Uleb(&key) || key >= key_count) return false;
        if (!SkipNested(cursor, key_count, depth + 1)) return false;
      }
      return true;
    }
    case ValueTag::kContainer: {
      uint8_t kind = 0;
      return cursor.Byte(&kind) && kind <= kContainerKindMax;
    }
  }
  return false;
}

/// Reads op values. `item_ids` at the top: whether the items of a list take ids of their own.
class OpValueReader {
 public:
  OpValueReader(Cursor& cursor, std::span<const std::string_view> keys)
      : cursor_(cursor), keys_(keys) {}

  bool Read(Id id, bool item_ids, int depth, Value* out) {
    uint8_t tag = 0;
    if (!cursor_.Byte(&tag)) return false;
    switch (static_cast<ValueTag>(tag)) {
      case ValueTag::kNull:
        *out = Value();
        return true;
      case ValueTag::kTrue:
      case ValueTag::kFalse:
        *out = Value(static_cast<ValueTag>(tag) == ValueTag::kTrue);
        return true;
      case ValueTag::kI64: {
        int64_t value = 0;
        if (!cursor_.Sleb(&value)) return false;
        *out = Value(value);
        return true;
      }
      case ValueTag::kF64:
        return ReadF64(out);
      case ValueTag::kString: {
        BytesView text;
        if (!cursor_.LengthPrefixed(&text) || !IsUtf8(text)) return false;
        *out = Value(std::string(text));
        return true;
      }
      case ValueTag::kBinary: {
        BytesView bytes;
        if (!cursor_.LengthPrefixed(&bytes)) return false;
        *out = Value(Value::Binary{Bytes(bytes)});
        return true;
      }
      case ValueTag::kList:
        return depth < kValueDepthMax && ReadList(id, item_ids, depth, out);
      case ValueTag::kMap:
        return depth < kValueDepthMax && ReadMap(id, depth, out);
      case ValueTag::kContainer: {
        uint8_t kind = 0;
        if (!cursor_.Byte(&kind) || kind > kContainerKindMax) return false;
        *out = Value(ContainerId::Normal(id, static_cast<ContainerKind>(kind)));
        return true;
      }
    }
    return false;
  }

 private:
  bool ReadF64(Value* out) {
    BytesView bytes;
    if (!cursor_.Take(kF64Bytes, &bytes)) return false;
    uint64_t bits = 0;
    for (const char byte : bytes) bits = (bits << 8) | static_cast<uint8_t>(byte);
    *out = Value(std::bit_cast<double>(bits));
    return true;
  }

  bool ReadList(Id id, bool item_ids, int depth, Value* out) {
    uint64_t count = 0;
    if (!cursor_.Uleb(&count) || count > cursor_.remaining()) return false;
    Value::List list(static_cast<size_t>(count));
    for (size_t i = 0; i < list.size(); ++i) {
      const bool in_range = i <= static_cast<size_t>(INT32_MAX - id.counter);
      const Id item = item_ids && in_range ? id.Plus(static_cast<Counter>(i)) : id;
      if (!Read(item, false, depth + 1, &list[i])) return false;
    }
    *out = Value(std::move(list));
    return true;
  }

  bool ReadMap(Id id, int depth, Value* out) {
    uint64_t count = 0;
    if (!cursor_.Uleb(&count) || count > cursor_.remaining() / 2) return false;
    Value::Map map(static_cast<size_t>(count));
    for (auto& [key, value] : map) {
      uint64_t index = 0;
      if (!cursor_.Uleb(&index) || index >= keys_.size()) return false;
      key = keys_[static_cast<size_t>(index)];
      if (!Read(id, false, depth + 1, &value)) return false;
    }
    Normalize(map);
    *out = Value(std::move(map));
    return true;
  }

  Cursor& cursor_;
  std::span<const std::string_view> keys_;
};

Result<Value> ReadAnyOpValue(ByteReader& reader, std::span<const std::string_view> keys, Id id,
                             bool item_ids) {
  Cursor cursor(reader.rest());
  Value value;
  if (!OpValueReader(cursor, keys).Read(id, item_ids, 0, &value)) {
    return reader.Fail("malformed op value");
  }
  MERROW_TRY(reader.Take(reader.remaining() - cursor.remaining()));
  return value;
}

struct OpValueWriter {
  ByteWriter& writer;
  KeyInterner& keys;

  void Tag(ValueTag tag) const { writer.U8(static_cast<uint8_t>(tag)); }

  void operator()(const Value::Null&) const { Tag(ValueTag::kNull); }
  void operator()(bool value) const { Tag(value ? ValueTag::kTrue : ValueTag::kFalse); }
  void operator()(int64_t value) const {
    Tag(ValueTag::kI64);
    writer.Sleb(value);
  }
  void operator()(double value) const {
    Tag(ValueTag::kF64);
    writer.F64Be(value);
  }
  void operator()(const std::string& value) const {
    Tag(ValueTag::kString);
    writer.LengthPrefixed(value);
  }
  void operator()(const Value::Binary& value) const {
    Tag(ValueTag::kBinary);
    writer.LengthPrefixed(value.bytes);
  }
  void operator()(const Value::List& list) const {
    Tag(ValueTag::kList);
    writer.Uleb(list.size());
    for (const Value& item : list) item.Visit(*this);
  }
  void operator()(const Value::Map& map) const {
    Tag(ValueTag::kMap);
    writer.Uleb(map.size());
    for (const auto& [key, value] : map) {
      writer.Uleb(keys.Intern(key));
      value.Visit(*this);
    }
  }
  void operator()(const ContainerId& container) const {
    Tag(ValueTag::kContainer);
    writer.U8(static_cast<uint8_t>(container.kind()));
  }
};

bool CopyNested(Cursor& cursor, std::span<const std::string_view> from_keys, ByteWriter& writer,
                KeyInterner& to_keys, int depth) {
  const BytesView start = cursor.rest();
  uint8_t tag = 0;
  if (!cursor.Byte(&tag)) return false;
  const bool is_map = static_cast<ValueTag>(tag) == ValueTag::kMap;
  if (!is_map && static_cast<ValueTag>(tag) != ValueTag::kList) {
    cursor = Cursor(start);
    if (!SkipNested(cursor, from_keys.size(), depth)) return false;
    writer.Append(start.substr(0, start.size() - cursor.remaining()));
    return true;
  }
  uint64_t count = 0;
  if (depth >= kValueDepthMax || !cursor.Uleb(&count) || count > cursor.remaining()) return false;
  writer.U8(tag);
  writer.Uleb(count);
  for (; count > 0; --count) {
    if (is_map) {
      uint64_t key = 0;
      if (!cursor.Uleb(&key) || key >= from_keys.size()) return false;
      writer.Uleb(to_keys.Intern(from_keys[static_cast<size_t>(key)]));
    }
    if (!CopyNested(cursor, from_keys, writer, to_keys, depth + 1)) return false;
  }
  return true;
}

// --- State values ---

Result<Value> ReadNestedState(ByteReader& reader, int depth);

Result<Value> ReadStateList(ByteReader& reader, int depth) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining()) return reader.Fail("list is longer than its bytes");
  Value::List list(static_cast<size_t>(count));
  for (Value& item : list) {
    MERROW_ASSIGN(item, ReadNestedState(reader, depth + 1));
  }
  return Value(std::move(list));
}

Result<Value> ReadStateMap(ByteReader& reader, int depth) {
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining() / 2) return reader.Fail("map is longer than its bytes");
  Value::Map map(static_cast<size_t>(count));
  for (auto& [key, value] : map) {
    MERROW_ASSIGN(key, reader.Utf8());
    MERROW_ASSIGN(value, ReadNestedState(reader, depth + 1));
  }
  Normalize(map);
  return Value(std::move(map));
}

Result<Value> ReadNestedState(ByteReader& reader, int depth) {
  MERROW_ASSIGN(const uint8_t tag, reader.U8());
  switch (static_cast<StateTag>(tag)) {
    case StateTag::kNull:
      return Value();
    case StateTag::kBool: {
      MERROW_ASSIGN(const uint8_t value, reader.U8());
      if (value > 1) return reader.Fail("bool is " + std::to_string(value));
      return Value(value == 1);
    }
    case StateTag::kF64: {
      MERROW_ASSIGN(const double value, reader.F64Le());
      return Value(value);
    }
    case StateTag::kI64: {
      MERROW_ASSIGN(const int64_t value, reader.Zigzag64());
      return Value(value);
    }
    case StateTag::kString: {
      MERROW_ASSIGN(const std::string_view text, reader.Utf8());
      return Value(std::string(text));
    }
    case StateTag::kList:
      if (depth >= kValueDepthMax) return reader.Fail("value is nested too deeply");
      return ReadStateList(reader, depth);
    case StateTag::kMap:
      if (depth >= kValueDepthMax) return reader.Fail("value is nested too deeply");
      return ReadStateMap(reader, depth);
    case StateTag::kContainer: {
      MERROW_ASSIGN(ContainerId container, ReadPostcardContainerId(reader));
      return Value(std::move(container));
    }
    case StateTag::kBinary: {
      MERROW_ASSIGN(const BytesView bytes, reader.LengthPrefixed());
      return Value(Value::Binary{Bytes(bytes)});
    }
  }
  return reader.Fail("value tag " + std::to_string(tag) + " is unknown");
}

struct StateValueWriter {
  ByteWriter& writer;

  void Tag(StateTag tag) const { writer.U8(static_cast<uint8_t>(tag)); }

  void operator()(const Value::Null&) const { Tag(StateTag::kNull); }
  void operator()(bool value) const {
    Tag(StateTag::kBool);
    writer.U8(value ? 1 : 0);
  }
  void operator()(int64_t value) const {
    Tag(StateTag::kI64);
    writer.Zigzag(value);
  }
  void operator()(double value) const {
    Tag(StateTag::kF64);
    writer.F64Le(value);
  }
  void operator()(const std::string& value) const {
    Tag(StateTag::kString);
    writer.LengthPrefixed(value);
  }
  void operator()(const Value::Binary& value) const {
    Tag(StateTag::kBinary);
    writer.LengthPrefixed(value.bytes);
  }
  void operator()(const Value::List& list) const {
    Tag(StateTag::kList);
    writer.Uleb(list.size());
    for (const Value& item : list) item.Visit(*this);
  }
  void operator()(const Value::Map& map) const {
    Tag(StateTag::kMap);
    writer.Uleb(map.size());
    for (const auto& [key, value] : map) {
      writer.LengthPrefixed(key);
      value.Visit(*this);
    }
  }
  void operator()(const ContainerId& container) const {
    Tag(StateTag::kContainer);
    WritePostcardContainerId(writer, container);
  }
};

}  // namespace

bool SkipOpValue(Cursor& cursor, size_t key_count) { return SkipNested(cursor, key_count, 0); }

Result<Value> ReadWholeOpValue(ByteReader& reader, std::span<const std::string_view> keys, Id id) {
  return ReadAnyOpValue(reader, keys, id, true);
}

Result<Value> ReadOpValue(ByteReader& reader, std::span<const std::string_view> keys, Id id) {
  return ReadAnyOpValue(reader, keys, id, false);
}

void WriteOpValue(ByteWriter& writer, const Value& value, KeyInterner& keys) {
  value.Visit(OpValueWriter{writer, keys});
}

bool CopyOpValue(Cursor& cursor, std::span<const std::string_view> from_keys, ByteWriter& writer,
                 KeyInterner& to_keys) {
  return CopyNested(cursor, from_keys, writer, to_keys, 0);
}

Result<Value> ReadStateValue(ByteReader& reader) { return ReadNestedState(reader, 0); }

void WriteStateValue(ByteWriter& writer, const Value& value) {
  value.Visit(StateValueWriter{writer});
}

}  // namespace merrow::loro
