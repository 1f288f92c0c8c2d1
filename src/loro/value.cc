// SPDX-License-Identifier: Apache-2.0
#include "merrow/value.h"

namespace merrow::loro {
namespace {

// What std::string can hold without the heap.
constexpr size_t kInlineStringBytes = 15;

size_t StringHeapBytes(const std::string& text) {
  return text.capacity() > kInlineStringBytes ? text.capacity() + 1 : 0;
}

}  // namespace

Value::Value(Map value) : kind_(Kind::kMap), map_(new Map(std::move(value))) {}

Value::Value(const Value& other) : integer_(0) {
  switch (other.kind_) {
    case Kind::kString:
      string_ = new std::string(*other.string_);
      break;
    case Kind::kBinary:
      binary_ = new Binary(*other.binary_);
      break;
    case Kind::kList:
      list_ = new List(*other.list_);
      break;
    case Kind::kMap:
      map_ = new Map(*other.map_);
      break;
    case Kind::kContainer:
      container_ = new ContainerId(*other.container_);
      break;
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kDouble:
      integer_ = other.integer_;  // whatever it is
  }
  kind_ = other.kind_;
}

void Value::Free() {
  switch (kind_) {
    case Kind::kString:
      delete string_;
      return;
    case Kind::kBinary:
      delete binary_;
      return;
    case Kind::kList:
      delete list_;
      return;
    case Kind::kMap:
      delete map_;
      return;
    case Kind::kContainer:
      delete container_;
      return;
    default:
      return;
  }
}

bool Value::Equal(const Value& a, const Value& b) {
  return a.Visit([&b](const auto& held) {
    using T = std::decay_t<decltype(held)>;
    if constexpr (std::is_same_v<T, Null>) {
      return b.is_null();
    } else {
      const T* other = b.If<T>();
      return other != nullptr && *other == held;
    }
  });
}

size_t Value::HeapBytes() const {
  if (const auto* text = If<std::string>()) return sizeof(*text) + StringHeapBytes(*text);
  if (const auto* binary = If<Binary>()) return sizeof(*binary) + StringHeapBytes(binary->bytes);
  if (const auto* list = If<List>()) {
    size_t bytes = sizeof(*list) + list->capacity() * sizeof(Value);
    for (const Value& item : *list) bytes += item.HeapBytes();
    return bytes;
  }
  if (const auto* map = If<Map>()) {
    size_t bytes = sizeof(*map) + map->capacity() * sizeof(Map::value_type);
    for (const auto& [key, item] : *map) bytes += StringHeapBytes(key) + item.HeapBytes();
    return bytes;
  }
  return kind_ == Kind::kContainer ? sizeof(ContainerId) : 0;
}

}  // namespace merrow::loro
