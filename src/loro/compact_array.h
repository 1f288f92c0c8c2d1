// SPDX-License-Identifier: Apache-2.0
//
// CompactArray: a growable array of trivially copyable elements that wastes little: 16 bytes, and
// at most about an eighth of slack. For the many small buffers of sequence states.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "merrow/check.h"

namespace merrow::loro {

template <typename T>
class CompactArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](uint32_t i) { return data_[i]; }
  const T& operator[](uint32_t i) const { return data_[i]; }
  std::span<const T> span() const { return {data_.get(), size_}; }

  /// Makes room for `capacity` elements in all, exactly.
  void Reserve(uint32_t capacity) {
    if (capacity > capacity_) {
      Reallocate(capacity);
    }
  }

  /// Opens a gap of `count` elements, whose values are not set, in front of `at`.
  T* InsertGap(uint32_t at, uint32_t count) {
    MERROW_DCHECK(at <= size_);
    const uint32_t size = size_ + count;
    if (size > capacity_) {
      Reallocate(Rounded(size));
    }
    T* const gap = data_.get() + at;
    std::memmove(gap + count, gap, (size_ - at) * sizeof(T));
    size_ = size;
    return gap;
  }

  void Insert(uint32_t at, const T* elements, uint32_t count) {
    if (count == 0) {
      return;
    }
    std::copy(elements, elements + count, InsertGap(at, count));
  }
  void Insert(uint32_t at, const T& element) { *InsertGap(at, 1) = element; }

  void Erase(uint32_t at, uint32_t count) {
    MERROW_DCHECK(at + count <= size_);
    if (count == 0) {
      return;
    }
    T* const gap = data_.get() + at;
    std::memmove(gap, gap + count, (size_ - at - count) * sizeof(T));
    size_ -= count;
    if (size_ < capacity_ / 2) {
      Reallocate(Rounded(size_));
    }
  }

 private:
  /// `size` and some slack, to a multiple of 16 bytes.
  static uint32_t Rounded(uint32_t size) {
    constexpr uint32_t kGrain = std::max<uint32_t>(1, 16 / sizeof(T));
    return (size + size / 8 + kGrain - 1) / kGrain * kGrain;
  }

  void Reallocate(uint32_t capacity) {
    std::unique_ptr<T[]> fresh;
    if (capacity > 0) {
      fresh.reset(new T[capacity]);
      std::copy(data_.get(), data_.get() + size_, fresh.get());
    }
    data_ = std::move(fresh);
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> data_;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace merrow::loro
