// SPDX-License-Identifier: Apache-2.0
#include "loro/fractional_index.h"

#include <algorithm>

#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint8_t kTerminator = 0x80;

uint8_t At(BytesView bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

Bytes WithLast(BytesView prefix, int last) {
  Bytes changed(prefix);
  changed.back() = static_cast<char>(last);
  return changed;
}

// The digits of something smaller than `index`, without the terminator. Leading zeros cannot be
// made smaller; the first other digit can, or it is large and leaving it out makes it kTerminator.
std::optional<Bytes> DigitsBefore(BytesView index) {
  const auto digit = std::find_if(index.begin(), index.end(), [](char c) { return c != '\0'; });
  if (digit == index.end()) return std::nullopt;
  const auto i = static_cast<size_t>(digit - index.begin());
  if (At(index, i) > kTerminator) return Bytes(index.substr(0, i));
  return WithLast(index.substr(0, i + 1), At(index, i) - 1);
}

// The mirror image.
std::optional<Bytes> DigitsAfter(BytesView index) {
  const auto digit = std::find_if(index.begin(), index.end(), [](char c) { return c != '\xff'; });
  if (digit == index.end()) return std::nullopt;
  const auto i = static_cast<size_t>(digit - index.begin());
  if (At(index, i) < kTerminator) return Bytes(index.substr(0, i));
  return WithLast(index.substr(0, i + 1), At(index, i) + 1);
}

std::optional<Bytes> Joined(BytesView prefix, std::optional<Bytes> rest) {
  if (!rest.has_value()) return std::nullopt;
  return Bytes(prefix) + *rest;
}

std::optional<Bytes> DigitsBetween(BytesView left, BytesView right) {
  const size_t shorter = std::min(left.size(), right.size());
  if (shorter == 0) return std::nullopt;
  // The last byte of the shorter one is its terminator, not a digit.
  for (size_t i = 0; i + 1 < shorter; ++i) {
    const int gap = At(right, i) - At(left, i);
    if (gap < 0) return std::nullopt;
    if (gap == 1) return Joined(left.substr(0, i + 1), DigitsAfter(left.substr(i + 1)));
    if (gap > 1) return WithLast(left.substr(0, i + 1), At(left, i) + gap / 2);
  }
  // Equal so far: the longer one says on which side of the shorter one's end it is.
  if (left.size() < right.size() && At(right, shorter - 1) >= kTerminator) {
    return Joined(right.substr(0, shorter), DigitsBefore(right.substr(shorter)));
  }
  if (left.size() > right.size() && At(left, shorter - 1) < kTerminator) {
    return Joined(left.substr(0, shorter), DigitsAfter(left.substr(shorter)));
  }
  return std::nullopt;
}

bool Generate(std::optional<BytesView> left, std::optional<BytesView> right, size_t count,
              std::vector<Bytes>* out) {
  if (count == 0) return true;
  const std::optional<Bytes> middle = FractionalIndexBetween(left, right);
  if (!middle.has_value()) return false;
  const size_t before = count / 2;
  if (!Generate(left, *middle, before, out)) return false;
  out->push_back(*middle);
  return Generate(*middle, right, count - before - 1, out);
}

}  // namespace

std::optional<Bytes> FractionalIndexBetween(std::optional<BytesView> left,
                                            std::optional<BytesView> right) {
  std::optional<Bytes> index;
  if (left.has_value() && right.has_value()) {
    index = DigitsBetween(*left, *right);
  } else if (left.has_value()) {
    index = DigitsAfter(*left);
  } else if (right.has_value()) {
    index = DigitsBefore(*right);
  } else {
    index = Bytes();
  }
  if (!index.has_value()) return std::nullopt;
  index->push_back(static_cast<char>(kTerminator));
  // Only neighbours that are not well-formed get this far with nothing between them.
  if (left.has_value() && *index <= *left) return std::nullopt;
  if (right.has_value() && *index >= *right) return std::nullopt;
  return index;
}

std::optional<std::vector<Bytes>> FractionalIndexesBetween(std::optional<BytesView> left,
                                                           std::optional<BytesView> right,
                                                           size_t count) {
  std::vector<Bytes> indexes;
  indexes.reserve(count);
  if (!Generate(left, right, count, &indexes)) return std::nullopt;
  return indexes;
}

void AppendFractionalIndexHex(BytesView index, std::string* out) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t i = 0; i < index.size(); ++i) {
    out->push_back(kHex[At(index, i) >> 4]);
    out->push_back(kHex[At(index, i) & 15]);
  }
}

}  // namespace merrow::loro
