// SPDX-License-Identifier: Apache-2.0
#include "extension/ordering.h"

#include <algorithm>

#include "cells/value.h"

namespace merrow::extension {
namespace {

constexpr char kZero = ' ';
constexpr char kLast = '~';
constexpr int kDigits = kLast - kZero + 1;

bool IsDigit(char c) { return c >= kZero && c <= kLast; }

/// Of the integer part, its letter included; 0 for what is no letter.
size_t IntegerLength(char letter) {
  if (letter >= 'a' && letter <= 'z') {
    return static_cast<size_t>(letter - 'a') + 2;
  }
  if (letter >= 'A' && letter <= 'Z') {
    return static_cast<size_t>('Z' - letter) + 2;
  }
  return 0;
}

/// The smallest integer part, below which nothing fits.
std::string SmallestInteger() { return "A" + std::string(26, kZero); }

Status CheckKey(std::string_view key) {
  const size_t length = key.empty() ? 0 : IntegerLength(key[0]);
  bool valid = length != 0 && key.size() >= length && key != SmallestInteger();
  for (const char c : key) {
    valid = valid && IsDigit(c);
  }
  // A fraction that ends in the zero digit leaves no room below it.
  valid = valid && (key.size() == length || key.back() != kZero);
  if (!valid) {
    return InvalidArgument("not an order key: " + cells::Describe(cells::ValueView::Text(key)));
  }
  return {};
}

std::string_view IntegerOf(std::string_view key) { return key.substr(0, IntegerLength(key[0])); }

/// A fraction between two; an empty `high` means 1. REQUIRES: low < high
std::string Midpoint(std::string_view low, std::optional<std::string_view> high) {
  if (high.has_value()) {
    size_t same = 0;
    while (same < high->size() && (same < low.size() ? low[same] : kZero) == (*high)[same]) {
      ++same;
    }
    if (same > 0) {
      return std::string(high->substr(0, same)) +
             Midpoint(low.substr(std::min(same, low.size())), high->substr(same));
    }
  }
  const int low_digit = low.empty() ? 0 : low[0] - kZero;
  const int high_digit = high.has_value() && !high->empty() ? (*high)[0] - kZero : kDigits;
  if (high_digit - low_digit > 1) {
    return std::string(1, static_cast<char>(kZero + (low_digit + high_digit + 1) / 2));
  }
  if (high.has_value() && high->size() > 1) {
    return std::string(high->substr(0, 1));
  }
  return std::string(1, static_cast<char>(kZero + low_digit)) +
         Midpoint(low.empty() ? low : low.substr(1), std::nullopt);
}

/// The next integer part; nothing after the largest.
std::optional<std::string> Increment(std::string_view integer) {
  std::string next(integer);
  for (size_t i = next.size(); i-- > 1;) {
    if (next[i] != kLast) {
      ++next[i];
      return next;
    }
    next[i] = kZero;
  }
  if (next[0] == 'Z') {
    return std::string("a") + kZero;
  }
  if (next[0] == 'z') {
    return std::nullopt;
  }
  ++next[0];
  next.resize(IntegerLength(next[0]), kZero);
  return next;
}

/// The integer part before; nothing before the smallest.
std::optional<std::string> Decrement(std::string_view integer) {
  std::string before(integer);
  for (size_t i = before.size(); i-- > 1;) {
    if (before[i] != kZero) {
      --before[i];
      return before;
    }
    before[i] = kLast;
  }
  if (before[0] == 'a') {
    return std::string("Z") + kLast;
  }
  if (before[0] == 'A') {
    return std::nullopt;
  }
  --before[0];
  before.resize(IntegerLength(before[0]), kLast);
  return before;
}

Result<std::string> KeyBelow(std::string_view high) {
  const std::string_view integer = IntegerOf(high);
  const std::string_view fraction = high.substr(integer.size());
  if (integer == SmallestInteger()) {
    return std::string(integer) + Midpoint("", fraction);
  }
  if (!fraction.empty()) {
    return std::string(integer);
  }
  const std::optional<std::string> before = Decrement(integer);
  if (!before.has_value() || *before == SmallestInteger()) {
    return LimitReached("there is no order key below the smallest");
  }
  return *before;
}

std::string KeyAbove(std::string_view low) {
  const std::string_view integer = IntegerOf(low);
  const std::optional<std::string> next = Increment(integer);
  return next.has_value()
             ? *next
             : std::string(integer) + Midpoint(low.substr(integer.size()), std::nullopt);
}

}  // namespace

Result<std::string> KeyBetween(std::optional<std::string_view> low,
                               std::optional<std::string_view> high) {
  if (low.has_value()) {
    MERROW_TRY(CheckKey(*low));
  }
  if (high.has_value()) {
    MERROW_TRY(CheckKey(*high));
  }
  if (!low.has_value()) {
    return high.has_value() ? KeyBelow(*high) : std::string("a") + kZero;
  }
  if (!high.has_value()) {
    return KeyAbove(*low);
  }
  if (*low >= *high) {
    return InvalidArgument("order key " + cells::Describe(cells::ValueView::Text(*low)) +
                           " is not below " + cells::Describe(cells::ValueView::Text(*high)));
  }
  const std::string_view low_integer = IntegerOf(*low);
  const std::string_view low_fraction = low->substr(low_integer.size());
  const std::string_view high_integer = IntegerOf(*high);
  if (low_integer == high_integer) {
    return std::string(low_integer) + Midpoint(low_fraction, high->substr(high_integer.size()));
  }
  const std::optional<std::string> next = Increment(low_integer);
  if (next.has_value() && *next < *high) {
    return *next;
  }
  return std::string(low_integer) + Midpoint(low_fraction, std::nullopt);
}

}  // namespace merrow::extension
