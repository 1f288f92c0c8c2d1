// SPDX-License-Identifier: Apache-2.0
//
// Value: what a map slot, a list item or a mark holds. A plain JSON-like value, or the id of a
// child container. 16 bytes: what does not fit 8 is on the heap.

#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
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

  enum class Kind : uint8_t {
    kNull,
    kBool,
    kInt,
    kDouble,
    kString,
    kBinary,
    kList,
    kMap,
    kContainer
  };

  Value() : integer_(0) {}
  Value(bool value) : kind_(Kind::kBool), integer_(0) { boolean_ = value; }
  Value(int64_t value) : kind_(Kind::kInt), integer_(value) {}
  Value(double value) : kind_(Kind::kDouble), double_(value) {}
  Value(std::string value) : kind_(Kind::kString), string_(new std::string(std::move(value))) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(Binary value) : kind_(Kind::kBinary), binary_(new Binary(std::move(value))) {}
  Value(List value) : kind_(Kind::kList), list_(new List(std::move(value))) {}
  Value(Map value);
  Value(ContainerId value)
      : kind_(Kind::kContainer), container_(new ContainerId(std::move(value))) {}

  Value(const Value& other);
  Value(Value&& other) noexcept : integer_(0) { swap(*this, other); }
  Value& operator=(Value other) noexcept {
    swap(*this, other);
    return *this;
  }
  ~Value() {
    if (kind_ >= Kind::kString) Free();
  }
  friend void swap(Value& a, Value& b) noexcept {
    std::swap(a.kind_, b.kind_);
    std::swap(a.integer_, b.integer_);  // whatever it is
  }

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }

  /// What it holds, if that is a T: bool, int64_t, double, std::string, Binary, List, Map or
  /// ContainerId. Else null.
  template <typename T>
  const T* If() const {
    return const_cast<Value*>(this)->If<T>();
  }
  template <typename T>
  T* If() {
    if constexpr (std::is_same_v<T, bool>) {
      return kind_ == Kind::kBool ? &boolean_ : nullptr;
    } else if constexpr (std::is_same_v<T, int64_t>) {
      return kind_ == Kind::kInt ? &integer_ : nullptr;
    } else if constexpr (std::is_same_v<T, double>) {
      return kind_ == Kind::kDouble ? &double_ : nullptr;
    } else if constexpr (std::is_same_v<T, std::string>) {
      return kind_ == Kind::kString ? string_ : nullptr;
    } else if constexpr (std::is_same_v<T, Binary>) {
      return kind_ == Kind::kBinary ? binary_ : nullptr;
    } else if constexpr (std::is_same_v<T, List>) {
      return kind_ == Kind::kList ? list_ : nullptr;
    } else if constexpr (std::is_same_v<T, Map>) {
      return kind_ == Kind::kMap ? map_ : nullptr;
    } else {
      static_assert(std::is_same_v<T, ContainerId>);
      return kind_ == Kind::kContainer ? container_ : nullptr;
    }
  }

  /// visitor(what it holds), which is Null() or one of the types above.
  template <typename Visitor>
  decltype(auto) Visit(Visitor&& visitor) const {
    switch (kind_) {
      case Kind::kBool:
        return visitor(boolean_);
      case Kind::kInt:
        return visitor(integer_);
      case Kind::kDouble:
        return visitor(double_);
      case Kind::kString:
        return visitor(std::as_const(*string_));
      case Kind::kBinary:
        return visitor(std::as_const(*binary_));
      case Kind::kList:
        return visitor(std::as_const(*list_));
      case Kind::kMap:
        return visitor(std::as_const(*map_));
      case Kind::kContainer:
        return visitor(std::as_const(*container_));
      case Kind::kNull:
        break;
    }
    return visitor(Null());
  }

  /// Bytes on the heap that this value owns, about.
  size_t HeapBytes() const;

  friend bool operator==(const Value& a, const Value& b) { return Equal(a, b); }

 private:
  static bool Equal(const Value& a, const Value& b);
  void Free();

  Kind kind_ = Kind::kNull;
  union {
    bool boolean_;
    int64_t integer_;
    double double_;
    // Owned.
    std::string* string_;
    Binary* binary_;
    List* list_;
    Map* map_;
    ContainerId* container_;
  };
};
static_assert(sizeof(Value) == 16);

}  // namespace merrow::loro

#pragma GCC visibility pop
