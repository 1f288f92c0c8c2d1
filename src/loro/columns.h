// SPDX-License-Identifier: Apache-2.0
//
// Columns: the run-length encodings that change blocks and container states are made of
// (serde_columnar's; docs/format.md, "columns").
//
//   AnyRle<T>     segments: zigzag n > 0, then one value that stands n times; or zigzag -n, then n
//                 values. Integers as in postcard: uleb, or zigzag if signed; u8 is one byte.
//   DeltaRle<T>   AnyRle<i128> of the differences to the previous value, the first to 0
//   BoolRle       uleb lengths of runs, alternating, false first (that one may be 0)
//   DeltaOfDelta  Option<i64> first value; one byte: bits used in the last byte of what follows;
//                 then for each further value the change of the difference, MSB first:
//                 0 | 10 7 bits + 63 | 110 9 bits + 255 | 1110 12 bits + 2047 |
//                 11110 21 bits + (2^20 - 1) | 11111 64 bits
//                 No values: 00 00. One value: no bits, 0 used. Otherwise 1 to 8 bits are used.
//
// Decoders stream: they hold a position and a run and allocate nothing, so a run of 2^60 rows costs
// nothing until somebody asks for them; how many rows to expect is for the caller to know. None of
// the encodings states its row count, and several may stand in one buffer end to end: after the
// last row, AtBoundary() tells that no run goes on, and the next one starts at the cursor.
//
// The decode path is hot (a server decodes a block per keystroke), so a Cursor reports failure by
// returning false instead of building an Error; callers turn that into one with context.

#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::loro {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

/// A position in bytes that somebody else owns. Reads return false, and then the position is
/// unspecified, if the bytes end or the number does not fit.
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(BytesView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return at_; }
  BytesView rest() const { return {at_, remaining()}; }

  bool Byte(uint8_t* value) {
    if (at_ == end_) return false;
    *value = static_cast<uint8_t>(*at_++);
    return true;
  }
  /// Unsigned LEB128 that fits T.
  template <typename T>
  bool Uleb(T* value) {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
      *value = static_cast<T>(static_cast<uint8_t>(*at_++));
      return true;
    }
    uint64_t wide = 0;
    if (!Uleb64Slow(&wide) || wide > static_cast<uint64_t>(std::numeric_limits<T>::max())) {
      return false;
    }
    *value = static_cast<T>(wide);
    return true;
  }
  /// Zigzag in LEB128 that fits T.
  template <typename T>
  bool Zigzag(T* value) {
    uint64_t raw = 0;
    if (!Uleb(&raw)) return false;
    const auto wide = static_cast<int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
    *value = static_cast<T>(wide);
    return wide >= std::numeric_limits<T>::min() && wide <= std::numeric_limits<T>::max();
  }
  bool Zigzag128(Int128* value) {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
      const auto raw = static_cast<uint8_t>(*at_++);
      *value = (raw & 1) != 0 ? -static_cast<int>(raw >> 1) - 1 : static_cast<int>(raw >> 1);
      return true;
    }
    if (remaining() >= 2 && static_cast<uint8_t>(at_[1]) < 0x80) {
      const int raw = (static_cast<uint8_t>(at_[0]) & 0x7F) | static_cast<uint8_t>(at_[1]) << 7;
      at_ += 2;
      *value = (raw & 1) != 0 ? -(raw >> 1) - 1 : raw >> 1;
      return true;
    }
    return Zigzag128Slow(value);
  }
  /// Signed LEB128 with sign extension.
  bool Sleb(int64_t* value);
  bool Skip(uint64_t count) {
    if (count > remaining()) return false;
    at_ += count;
    return true;
  }
  bool Take(uint64_t count, BytesView* bytes) {
    *bytes = BytesView(at_, static_cast<size_t>(count));
    return Skip(count);
  }
  /// A LEB128 length, then that many bytes.
  bool LengthPrefixed(BytesView* bytes) {
    uint64_t length = 0;
    if (!Uleb(&length) || length > remaining()) return false;
    return Take(length, bytes);
  }

 private:
  bool Uleb64Slow(uint64_t* value);
  bool Zigzag128Slow(Int128* value);

  const char* at_ = nullptr;
  const char* end_ = nullptr;
};

namespace columns_internal {

template <typename T>
bool ReadPostcard(Cursor& cursor, T* value) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    return cursor.Byte(value);
  } else if constexpr (std::is_same_v<T, Int128>) {
    return cursor.Zigzag128(value);
  } else if constexpr (std::is_signed_v<T>) {
    return cursor.Zigzag(value);
  } else {
    return cursor.Uleb(value);
  }
}

void WriteZigzag128(ByteWriter& writer, Int128 value);

template <typename T>
void WritePostcard(ByteWriter& writer, T value) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    writer.U8(value);
  } else if constexpr (std::is_same_v<T, Int128>) {
    WriteZigzag128(writer, value);
  } else if constexpr (std::is_signed_v<T>) {
    writer.Zigzag(value);
  } else {
    writer.Uleb(value);
  }
}

}  // namespace columns_internal

/// Rows of T, one at a time. T: uint8_t, uint32_t, uint64_t, int32_t, int64_t, Int128. Wire: as
/// what they stand there.
template <typename T, typename Wire = T>
class AnyRleDecoder {
 public:
  AnyRleDecoder() = default;
  explicit AnyRleDecoder(Cursor cursor) : cursor_(cursor) {}
  explicit AnyRleDecoder(BytesView bytes) : cursor_(bytes) {}

  /// False if there is no further row, or it is malformed.
  bool Next(T* value) {
    if (repeats_ == 0 && literals_ == 0 && !StartSegment()) return false;
    if (repeats_ > 0) {
      --repeats_;
      *value = value_;
      return true;
    }
    --literals_;
    return ReadValue(value);
  }

  /// No run goes on after the row that was read last.
  bool AtBoundary() const { return repeats_ == 0 && literals_ == 0; }
  /// No row is left. False, too, before a malformed one.
  bool AtEnd() const { return AtBoundary() && cursor_.empty(); }
  /// What follows. REQUIRES: AtBoundary()
  Cursor cursor() const { return cursor_; }

 private:
  bool StartSegment() {
    int64_t count = 0;
    if (!cursor_.Zigzag(&count) || count == 0) return false;
    if (count > 0) {
      repeats_ = static_cast<uint64_t>(count);
      return ReadValue(&value_);
    }
    literals_ = ~static_cast<uint64_t>(count) + 1;
    return true;
  }

  bool ReadValue(T* value) {
    Wire wire = 0;
    if (!columns_internal::ReadPostcard(cursor_, &wire)) return false;
    *value = static_cast<T>(wire);
    return std::is_same_v<T, Wire> || static_cast<Wire>(*value) == wire;
  }

  Cursor cursor_;
  uint64_t repeats_ = 0;   // rows left of a run of value_
  uint64_t literals_ = 0;  // rows left of a run of values that stand in the input
  T value_{};
};

/// T: uint32_t, uint64_t, int32_t, int64_t.
template <typename T>
class DeltaRleDecoder {
 public:
  DeltaRleDecoder() = default;
  explicit DeltaRleDecoder(Cursor cursor) : deltas_(cursor) {}
  explicit DeltaRleDecoder(BytesView bytes) : deltas_(bytes) {}

  /// False if there is no further row, or it is malformed or out of T's range.
  bool Next(T* value) {
    Wide delta = 0;
    if (!deltas_.Next(&delta)) return false;
    if (__builtin_add_overflow(previous_, delta, &previous_)) return false;
    if (previous_ < static_cast<Wide>(std::numeric_limits<T>::min()) ||
        previous_ > static_cast<Wide>(std::numeric_limits<T>::max())) {
      return false;
    }
    *value = static_cast<T>(previous_);
    return true;
  }

  bool AtBoundary() const { return deltas_.AtBoundary(); }
  bool AtEnd() const { return deltas_.AtEnd(); }
  Cursor cursor() const { return deltas_.cursor(); }

 private:
  // What does not fit takes a small T out of its range.
  using Wide = std::conditional_t<sizeof(T) == sizeof(int32_t), int64_t, Int128>;

  AnyRleDecoder<Wide, Int128> deltas_;
  Wide previous_ = 0;
};

class BoolRleDecoder {
 public:
  BoolRleDecoder() = default;
  explicit BoolRleDecoder(Cursor cursor) : cursor_(cursor) {}
  explicit BoolRleDecoder(BytesView bytes) : cursor_(bytes) {}

  bool Next(bool* value) {
    while (left_ == 0) {
      if (!cursor_.Uleb(&left_)) return false;
      value_ = !value_;
    }
    --left_;
    *value = value_;
    return true;
  }

  bool AtBoundary() const { return left_ == 0; }
  bool AtEnd() const { return AtBoundary() && cursor_.empty(); }
  Cursor cursor() const { return cursor_; }

 private:
  Cursor cursor_;
  bool value_ = true;  // the first run flips it
  uint64_t left_ = 0;
};

/// Unlike the others it must be told the number of rows: the bits do not say where they end when
/// something else follows them.
class DeltaOfDeltaDecoder {
 public:
  /// Starts to read `count` rows. False if the head contradicts that.
  bool Start(Cursor cursor, uint64_t count);
  /// REQUIRES: called at most `count` times.
  bool Next(int64_t* value);
  /// After the last row: checks how many bits the head says are used, and gives what follows.
  bool Finish(Cursor* rest) const;

 private:
  bool Bits(unsigned count, uint64_t* bits);
  bool DeltaOfDelta(int64_t* value);
  bool DeltaOfDeltaSlow(int64_t* value);

  BytesView stream_;
  size_t bit_ = 0;  // position in stream_
  uint8_t last_byte_bits_ = 0;
  uint64_t count_ = 0;
  bool first_ = true;
  int64_t previous_ = 0;
  int64_t delta_ = 0;
};

/// Segments as Loro's own writer cuts them: values that stand alone are collected in one literal
/// run, two or more equal ones become a run.
template <typename T>
class AnyRleEncoder {
 public:
  void Append(T value) {
    if (last_count_ > 0 && value == last_) {
      if (last_count_ == 1) FlushLiterals();
      ++last_count_;
      return;
    }
    CloseLast();
    last_ = value;
    last_count_ = 1;
  }

  /// The column so far. The encoder is finished with it.
  Bytes Finish() {
    CloseLast();
    FlushLiterals();
    return out_.Release();
  }

 private:
  /// The value before the current one is complete: a run is written, a lone value joins the
  /// literals.
  void CloseLast() {
    if (last_count_ == 1) {
      columns_internal::WritePostcard(literals_, last_);
      ++literal_count_;
    } else if (last_count_ > 1) {
      out_.Zigzag(last_count_);
      columns_internal::WritePostcard(out_, last_);
    }
    last_count_ = 0;
  }
  void FlushLiterals() {
    if (literal_count_ == 0) return;
    out_.Zigzag(-literal_count_);
    out_.Append(literals_.Release());
    literals_ = ByteWriter();
    literal_count_ = 0;
  }

  ByteWriter out_;
  ByteWriter literals_;
  int64_t literal_count_ = 0;
  T last_{};
  int64_t last_count_ = 0;
};

template <typename T>
class DeltaRleEncoder {
 public:
  void Append(T value) {
    deltas_.Append(static_cast<Int128>(value) - previous_);
    previous_ = static_cast<Int128>(value);
  }
  Bytes Finish() { return deltas_.Finish(); }

 private:
  AnyRleEncoder<Int128> deltas_;
  Int128 previous_ = 0;
};

class BoolRleEncoder {
 public:
  void Append(bool value) {
    if (value != value_) {
      out_.Uleb(run_);
      value_ = value;
      run_ = 0;
    }
    ++run_;
  }
  Bytes Finish() {
    if (run_ > 0) out_.Uleb(run_);
    return out_.Release();
  }

 private:
  ByteWriter out_;
  bool value_ = false;
  uint64_t run_ = 0;
};

class DeltaOfDeltaEncoder {
 public:
  /// REQUIRES: differences of neighbours, and differences of those, fit 64 bits.
  void Append(int64_t value);
  Bytes Finish();

 private:
  void Bits(uint64_t bits, unsigned count);

  uint64_t count_ = 0;
  int64_t first_ = 0;
  int64_t previous_ = 0;
  int64_t delta_ = 0;
  Bytes stream_;
  unsigned last_byte_bits_ = 8;  // bits used in stream_.back()
};

/// The column payloads of a nested vector: uleb count of columns, then each behind its length. A
/// wrong count is corruption.
Status ReadColumns(Cursor& cursor, std::span<BytesView> columns);
void WriteColumns(ByteWriter& writer, std::span<const Bytes> columns);

}  // namespace merrow::loro
