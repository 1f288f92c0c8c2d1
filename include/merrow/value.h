// SPDX-License-Identifier: Apache-2.0
//
// Value: what a map slot, a list item or a mark holds. A plain JSON-like value, or the id of a
// child container.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "merrow/ids.h"

#pragma GCC visibility push(default)

namespace merrow::loro {

/// How deep lists and maps may nest inside one value; deeper ones are refused when decoded.
inline constexpr int kValueDepthMax = 128;

class Value {
 public:
  struct Null {
    friend bool operator==(const Null&, const Null&) = default;
  };
  struct Binary {
    Bytes bytes;
    friend bool operator==(const Binary&, const Binary&) = default;
  };
  using List = std::vector<Value>;
  /// Sorted by key (bytewise), without duplicates.
  using Map = std::vector<std::pair<std::string, Value>>;
  using Any =
      std::variant<Null, bool, int64_t, double, std::string, Binary, List, Map, ContainerId>;

  Value() = default;
  Value(bool value) : any_(value) {}
  Value(int64_t value) : any_(value) {}
  Value(double value) : any_(value) {}
  Value(std::string value) : any_(std::move(value)) {}
  Value(const char* value) : any_(std::string(value)) {}
  Value(Binary value) : any_(std::move(value)) {}
  Value(List value) : any_(std::move(value)) {}
  Value(Map value) : any_(std::move(value)) {}
  Value(ContainerId value) : any_(std::move(value)) {}

  const Any& any() const { return any_; }
  Any& any() { return any_; }

  template <typename T>
  const T* If() const {
    return std::get_if<T>(&any_);
  }
  template <typename T>
  T* If() {
    return std::get_if<T>(&any_);
  }
  bool is_null() const { return std::holds_alternative<Null>(any_); }

  /// Bytes on the heap that this value owns, about.
  size_t HeapBytes() const;

  friend bool operator==(const Value&, const Value&) = default;

 private:
  Any any_;
};

}  // namespace merrow::loro

#pragma GCC visibility pop
