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

size_t Value::HeapBytes() const {
  if (const auto* text = If<std::string>()) return StringHeapBytes(*text);
  if (const auto* binary = If<Binary>()) return StringHeapBytes(binary->bytes);
  if (const auto* list = If<List>()) {
    size_t bytes = list->capacity() * sizeof(Value);
    for (const Value& item : *list) bytes += item.HeapBytes();
    return bytes;
  }
  if (const auto* map = If<Map>()) {
    size_t bytes = map->capacity() * sizeof(Map::value_type);
    for (const auto& [key, item] : *map) bytes += StringHeapBytes(key) + item.HeapBytes();
    return bytes;
  }
  if (const auto* container = If<ContainerId>()) {
    return container->is_root() ? StringHeapBytes(container->name()) : 0;
  }
  return 0;
}

}  // namespace merrow::loro
