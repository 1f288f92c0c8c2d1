// SPDX-License-Identifier: Apache-2.0
#include "cells/value.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

namespace merrow::cells {
namespace {

/// Longer texts and blobs are cut in messages.
constexpr size_t kBytesInMessageMax = 40;

/// Nothing if it is not whole, or outside of the range of integers.
std::optional<int64_t> WholeNumber(double real) {
  constexpr double kEnd = 9223372036854775808.0;
  if (!(real >= -kEnd && real < kEnd)) {
    return std::nullopt;
  }
  const auto whole = static_cast<int64_t>(real);
  return static_cast<double>(whole) == real ? std::optional(whole) : std::nullopt;
}

template <typename T>
int Compare(T a, T b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int CompareBytes(BytesView a, BytesView b) {
  const size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  return order != 0 ? order : Compare(a.size(), b.size());
}

/// Could SQLite read all of `text` as a number? May say yes for a text that is none.
bool LooksNumeric(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n\v\f\r");
  if (first == std::string_view::npos) {
    return false;
  }
  const char c = text[first];
  return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

}  // namespace

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kNull:
      return "null";
    case ValueType::kBlob:
      return "blob";
    case ValueType::kText:
      return "text";
    case ValueType::kReal:
      return "real";
    case ValueType::kInteger:
      return "integer";
  }
  return "unknown";
}

int CompareForMerge(const ValueView& a, const ValueView& b) {
  if (a.type != b.type) {
    return Compare(static_cast<int>(a.type), static_cast<int>(b.type));
  }
  switch (a.type) {
    case ValueType::kNull:
      return 0;
    case ValueType::kInteger:
      return Compare(a.integer, b.integer);
    case ValueType::kReal:
      return Compare(a.real, b.real);
    case ValueType::kText:
    case ValueType::kBlob:
      return CompareBytes(a.bytes, b.bytes);
  }
  return 0;
}

bool IdenticalValue(const ValueView& a, const ValueView& b) {
  return SameValue(a, b) &&
         (a.type != ValueType::kReal || std::memcmp(&a.real, &b.real, sizeof(double)) == 0);
}

std::string Describe(const ValueView& value) {
  switch (value.type) {
    case ValueType::kNull:
      return "NULL";
    case ValueType::kInteger:
      return std::to_string(value.integer);
    case ValueType::kReal: {
      char text[32];
      const auto end = std::to_chars(text, text + sizeof(text), value.real);
      return {text, end.ptr};
    }
    case ValueType::kText: {
      if (!IsUtf8(value.bytes)) {
        // A message is shown to somebody, who may not take other bytes.
        return "text " + Describe(ValueView::Blob(value.bytes));
      }
      size_t end = std::min(value.bytes.size(), kBytesInMessageMax);
      while (end < value.bytes.size() && (static_cast<uint8_t>(value.bytes[end]) & 0xC0) == 0x80) {
        --end;
      }
      return "'" + std::string(value.bytes.substr(0, end)) +
             (end < value.bytes.size() ? "...'" : "'");
    }
    case ValueType::kBlob: {
      const BytesView shown = value.bytes.substr(0, kBytesInMessageMax);
      return "x'" + ToHex(shown) + (shown.size() < value.bytes.size() ? "...'" : "'");
    }
  }
  return "?";
}

Affinity AffinityOf(std::string_view declared_type) {
  std::string upper(declared_type);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  const auto has = [&upper](std::string_view part) {
    return upper.find(part) != std::string::npos;
  };
  if (has("INT")) {
    return Affinity::kInteger;
  }
  if (has("CHAR") || has("CLOB") || has("TEXT")) {
    return Affinity::kText;
  }
  if (upper.empty() || has("BLOB")) {
    return Affinity::kBlob;
  }
  if (has("REAL") || has("FLOA") || has("DOUB")) {
    return Affinity::kReal;
  }
  return Affinity::kNumeric;
}

bool NeedsTextConversion(const ValueView& value, Affinity affinity) {
  switch (affinity) {
    case Affinity::kBlob:
      return false;
    case Affinity::kText:
      return value.type == ValueType::kInteger || value.type == ValueType::kReal;
    case Affinity::kNumeric:
    case Affinity::kInteger:
    case Affinity::kReal:
      return value.type == ValueType::kText && LooksNumeric(value.bytes);
  }
  return false;
}

ValueView ApplyNumericAffinity(const ValueView& value, Affinity affinity) {
  if (affinity == Affinity::kReal && value.type == ValueType::kInteger) {
    return ValueView::Real(static_cast<double>(value.integer));
  }
  if ((affinity == Affinity::kNumeric || affinity == Affinity::kInteger) &&
      value.type == ValueType::kReal) {
    // SQLite leaves the two ends of the range as reals; no real is the upper one.
    const std::optional<int64_t> whole = WholeNumber(value.real);
    if (whole.has_value() && *whole != INT64_MIN) {
      return ValueView::Integer(*whole);
    }
  }
  return value;
}

ValueView KeyValue(const ValueView& value, Affinity affinity) {
  if (value.type != ValueType::kReal) {
    return value;
  }
  if (affinity == Affinity::kReal) {
    return value.real == 0 ? ValueView::Real(0) : value;
  }
  const std::optional<int64_t> whole = WholeNumber(value.real);
  return whole.has_value() ? ValueView::Integer(*whole) : value;
}

}  // namespace merrow::cells
