// SPDX-License-Identifier: Apache-2.0
//
// Text leaf: one piece of a text (text_state.h), up to about 1 KiB of UTF-8 and the runs of ids of
// its entities. It knows how to edit itself and to convert positions inside it; which leaf a
// position is in, and keeping the tree's sums, is the text's business.
//
// Text that is all ASCII, which shows in the sums, converts positions without looking at it.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "loro/compact_array.h"
#include "loro/leaf_tree.h"
#include "merrow/ids.h"

namespace merrow::loro {

struct TextSum {
  uint32_t entities = 0;
  uint32_t unicode = 0;
  uint32_t utf16 = 0;
  uint32_t bytes = 0;

  TextSum& operator+=(const TextSum& other) {
    entities += other.entities;
    unicode += other.unicode;
    utf16 += other.utf16;
    bytes += other.bytes;
    return *this;
  }
  TextSum& operator-=(const TextSum& other) {
    entities -= other.entities;
    unicode -= other.unicode;
    utf16 -= other.utf16;
    bytes -= other.bytes;
    return *this;
  }
  friend bool operator==(const TextSum&, const TextSum&) = default;
};

/// The sum of plain text. REQUIRES: well-formed UTF-8
TextSum SumOfText(std::string_view utf8);
/// Bytes of the first `scalars` scalars of `utf8`; all if there are fewer.
uint32_t Utf8Prefix(std::string_view utf8, uint32_t scalars);

/// A run of text with consecutive ids and lamports, or one style anchor.
struct TextSpan {
  enum Kind : uint32_t { kText, kStart, kEnd };

  Kind kind : 2;
  uint32_t peer : 30;  // index in the text's table of peers
  Counter counter;
  Lamport lamport;
  uint32_t value;  // kText: scalars; anchors: index in the text's table of styles

  bool is_text() const { return kind == kText; }
  uint32_t entities() const { return is_text() ? value : 1; }
  uint32_t scalars() const { return is_text() ? value : 0; }
  /// `next` goes on where this one ends.
  bool Continues(const TextSpan& next) const {
    return is_text() && next.is_text() && peer == next.peer &&
           static_cast<uint32_t>(counter) + value == static_cast<uint32_t>(next.counter) &&
           lamport + value == next.lamport;
  }
  /// What is left after the first `offset` scalars. REQUIRES: text
  TextSpan From(uint32_t offset) const {
    TextSpan rest = *this;
    rest.counter += static_cast<Counter>(offset);
    rest.lamport += offset;
    rest.value -= offset;
    return rest;
  }
};
static_assert(sizeof(TextSpan) == 16);

class TextLeaf : public LeafHook<TextLeaf, TextSum> {
 public:
  static constexpr uint32_t kBytesMax = 1024;
  static constexpr uint32_t kSpansMax = 64;

  /// A place in front of an entity: `offset` entities into a span, with what precedes the span.
  struct Place {
    uint32_t span = 0;
    uint32_t offset = 0;
    uint32_t scalars = 0;  // in front of the place
  };

  const TextSum& sum() const { return sum_; }
  bool is_ascii() const { return sum_.bytes == sum_.unicode; }
  std::string_view text() const { return {text_.data(), text_.size()}; }
  std::span<const TextSpan> spans() const { return spans_.span(); }
  size_t MemoryBytes() const {
    return sizeof(*this) + text_.capacity() + spans_.capacity() * sizeof(TextSpan);
  }

  bool HasRoom(uint32_t bytes) const {
    return sum_.bytes + bytes <= kBytesMax && spans_.size() + 2 <= kSpansMax;
  }

  /// The place in front of entity `entity`, at the end of the span before it if there is a choice.
  Place PlaceOf(uint32_t entity);
  /// The span that holds entity `entity`. REQUIRES: entity < sum().entities
  Place SpanAt(uint32_t entity) const;

  // --- Conversions of positions in this leaf ---

  uint32_t ByteOf(uint32_t scalars) const {
    return is_ascii() ? scalars : Utf8Prefix(text(), scalars);
  }
  uint32_t EntityOfScalar(uint32_t scalars) const;
  uint32_t ScalarOfEntity(uint32_t entity) const;
  uint32_t Utf16OfScalar(uint32_t scalars) const;
  /// Scalars in front of the UTF-16 unit, or UINT32_MAX if it is the second half of one.
  uint32_t ScalarOfUtf16(uint32_t utf16) const;

  // --- Editing ---

  /// REQUIRES: HasRoom(utf8.size()); span.value and `sum` describe `utf8`.
  void InsertText(uint32_t entity, TextSpan span, std::string_view utf8, const TextSum& sum);
  void InsertAnchor(uint32_t entity, TextSpan anchor);

  /// Removes entities and calls removed(span) for each anchor among them.
  template <typename Removed>
  void Erase(uint32_t entity, uint32_t count, Removed removed) {
    const uint32_t first = Cut(entity);
    const Last before = entity == 0 ? Last() : last_;  // the span in front of `first`
    const uint32_t end = Cut(entity + count);
    uint32_t scalars = 0;
    for (uint32_t i = first; i < end; ++i) {
      scalars += spans_[i].scalars();
      if (!spans_[i].is_text()) {
        removed(spans_[i]);
      }
    }
    last_ = before;
    EraseSpans(first, end, count, scalars);
  }

  /// Where to cut the leaf so that both halves have room for an insert.
  uint32_t MiddleEntity() const;
  /// Moves the entities from `entity` on to `right`, which is empty.
  void SplitTo(uint32_t entity, TextLeaf* right);
  /// Appends the content of `right`.
  void TakeAll(const TextLeaf& right);
  /// Becomes what is given, without room to grow. REQUIRES: the leaf is empty; neighbouring spans
  /// do not continue each other; `sum` is theirs.
  void Fill(std::span<const TextSpan> spans, std::string_view utf8, const TextSum& sum);
  /// Appends, with room for exactly `room` bytes in all.
  void Append(TextSpan span, std::string_view utf8, const TextSum& sum, uint32_t room);

  void CheckInvariants() const;

 private:
  /// Makes a span start at `entity` and returns its index (or the number of spans at the end).
  uint32_t Cut(uint32_t entity);
  /// REQUIRES: last_ is the span in front of `first`
  void EraseSpans(uint32_t first, uint32_t end, uint32_t entities, uint32_t scalars);
  /// Puts `span` at `place` and joins it with its neighbours where they continue each other.
  void PutSpan(const Place& place, TextSpan span);
  void TryMerge(uint32_t i);
  uint32_t ScalarsBefore(uint32_t span) const;

  TextSum sum_;
  CompactArray<char> text_;
  CompactArray<TextSpan> spans_;
  // The span that was edited last, and what is in front of it: the next edit is mostly there.
  struct Last {
    uint32_t span = 0;
    uint32_t entities = 0;
    uint32_t scalars = 0;
  };
  Last last_;
};

}  // namespace merrow::loro
