// SPDX-License-Identifier: Apache-2.0
//
// A cell's value: what one column of one row holds, in SQLite's five storage classes.
//
// Merging needs a total order on values that every site computes alike, for the case that two sites
// wrote the same cell equally often (merge.h). It is cr-sqlite's: by class first,
//
//     NULL < BLOB < TEXT < REAL < INTEGER
//
// then numbers by value, texts and blobs by their bytes (as unsigned) and then by length. There is
// no collation and no comparison across classes: 2.5 < -5, because every integer is above every
// real. Two NULLs are equal; so are 0.0 and -0.0.
//
// A column's affinity is applied to a foreign value before it is compared (ApplyNumericAffinity):
// otherwise the integer 5 for a TEXT column, stored as '5', would win against itself each time it
// is delivered.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace merrow::cells {

/// The storage classes, in merge order.
enum class ValueType : uint8_t { kNull = 0, kBlob = 1, kText = 2, kReal = 3, kInteger = 4 };

/// "null", "blob", "text", "real" or "integer".
std::string_view ValueTypeName(ValueType type);

/// A value whose bytes somebody else owns.
struct ValueView {
  ValueType type = ValueType::kNull;
  int64_t integer = 0;  // kInteger
  double real = 0;      // kReal; never NaN, which SQLite stores as NULL
  BytesView bytes;      // kText, kBlob

  static ValueView Null() { return {}; }
  static ValueView Integer(int64_t value) { return {ValueType::kInteger, value, 0, {}}; }
  static ValueView Real(double value) { return {ValueType::kReal, 0, value, {}}; }
  static ValueView Text(std::string_view value) { return {ValueType::kText, 0, 0, value}; }
  static ValueView Blob(BytesView value) { return {ValueType::kBlob, 0, 0, value}; }
};

/// A value that owns its bytes.
struct Value {
  ValueType type = ValueType::kNull;
  int64_t integer = 0;
  double real = 0;
  Bytes bytes;

  Value() = default;
  explicit Value(const ValueView& view)
      : type(view.type), integer(view.integer), real(view.real), bytes(view.bytes) {}

  static Value Null() { return Value(); }
  static Value Integer(int64_t value) { return Value(ValueView::Integer(value)); }
  static Value Real(double value) { return Value(ValueView::Real(value)); }
  static Value Text(std::string_view value) { return Value(ValueView::Text(value)); }
  static Value Blob(BytesView value) { return Value(ValueView::Blob(value)); }

  ValueView view() const { return {type, integer, real, bytes}; }
};

/// Below, equal to or above 0 as `a` loses to, ties with or wins against `b`.
int CompareForMerge(const ValueView& a, const ValueView& b);

/// Same class and same content: the real 5.0 differs from the integer 5. This is what decides
/// whether an UPDATE changed a column.
inline bool SameValue(const ValueView& a, const ValueView& b) { return CompareForMerge(a, b) == 0; }

/// The same down to the last bit: tells 0.0 from -0.0 too.
bool IdenticalValue(const ValueView& a, const ValueView& b);

/// For messages: NULL, 12, 1.5, 'text' or x'beef', shortened.
std::string Describe(const ValueView& value);

/// What SQLite does to a value on its way into a column (sqlite.org/datatype3.html).
enum class Affinity : uint8_t { kBlob, kText, kNumeric, kInteger, kReal };

/// Of a column declared with `declared_type` in a table that is not STRICT.
Affinity AffinityOf(std::string_view declared_type);

/// True if storing `value` under `affinity` may turn a text into a number or a number into a text,
/// for which SQLite's own conversion must be asked.
bool NeedsTextConversion(const ValueView& value, Affinity affinity);

/// Conversions between the two numeric classes; `value` itself if there is none to make.
ValueView ApplyNumericAffinity(const ValueView& value, Affinity affinity);

/// `value` of a key column as keys are compared and packed. SQLite takes 5 and 5.0, and 0.0 and
/// -0.0, for the same key, so they must be one here too: the integer, or in a REAL column the real.
ValueView KeyValue(const ValueView& value, Affinity affinity);

}  // namespace merrow::cells
