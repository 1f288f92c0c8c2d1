// SPDX-License-Identifier: Apache-2.0

#include "loro/text_leaf.h"

#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;

uint64_t Load(const char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// How many of the lowest bits of eight bytes are set. (Processors count bits by themselves, but
/// those that cannot are supported, too, and a call takes longer than this.)
uint32_t CountOnes(uint64_t word) { return static_cast<uint32_t>(((word & kOnes) * kOnes) >> 56); }

/// Bytes of eight that continue a scalar (10xxxxxx).
uint32_t Continuations(uint64_t word) { return CountOnes((word >> 7) & (~word >> 6)); }

/// Bytes of eight that start a scalar of four bytes (1111xxxx), which takes two UTF-16 units.
uint32_t Fours(uint64_t word) {
  return CountOnes((word >> 7) & (word >> 6) & (word >> 5) & (word >> 4));
}

bool Continues(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

}  // namespace

TextSum SumOfText(std::string_view utf8) {
  uint32_t continuations = 0;
  uint32_t fours = 0;
  size_t at = 0;
  for (; at + 8 <= utf8.size(); at += 8) {
    const uint64_t word = Load(utf8.data() + at);
    if ((word & (kOnes << 7)) != 0) {
      continuations += Continuations(word);
      fours += Fours(word);
    }
  }
  if (at < utf8.size()) {
    // The rest as a word, filled up with zeros, which are scalars of their own and not counted.
    uint64_t word = 0;
    for (size_t i = utf8.size(); i-- > at;) word = word << 8 | static_cast<uint8_t>(utf8[i]);
    continuations += Continuations(word);
    fours += Fours(word);
  }
  const uint32_t bytes = static_cast<uint32_t>(utf8.size());
  const uint32_t scalars = bytes - continuations;
  return {scalars, scalars, scalars + fours, bytes};
}

uint32_t Utf8Prefix(std::string_view utf8, uint32_t scalars) {
  size_t at = 0;
  for (; at + 8 <= utf8.size(); at += 8) {
    const uint32_t starts = 8 - Continuations(Load(utf8.data() + at));
    if (starts > scalars) {
      break;
    }
    scalars -= starts;
  }
  for (; at < utf8.size(); ++at) {
    if (Continues(utf8[at])) {
      continue;
    }
    if (scalars == 0) {
      break;
    }
    --scalars;
  }
  return static_cast<uint32_t>(at);
}

TextLeaf::Place TextLeaf::PlaceOf(uint32_t entity) {
  Place place;
  uint32_t before = 0;  // entities in front of the span
  if (entity > last_.entities) {
    place.span = last_.span;
    place.scalars = last_.scalars;
    before = last_.entities;
  }
  place.offset = entity - before;
  while (place.span < spans_.size() && place.offset > spans_[place.span].entities()) {
    place.offset -= spans_[place.span].entities();
    place.scalars += spans_[place.span].scalars();
    ++place.span;
  }
  last_ = {place.span, entity - place.offset, place.scalars};
  if (place.span < spans_.size() && spans_[place.span].is_text()) {
    place.scalars += place.offset;
  }
  return place;
}

TextLeaf::Place TextLeaf::SpanAt(uint32_t entity) const {
  Place place;
  place.offset = entity;
  while (place.offset >= spans_[place.span].entities()) {
    place.offset -= spans_[place.span].entities();
    place.scalars += spans_[place.span].scalars();
    ++place.span;
  }
  place.scalars += place.offset;
  return place;
}

uint32_t TextLeaf::EntityOfScalar(uint32_t scalars) const {
  if (sum_.entities == sum_.unicode) {
    return scalars;
  }
  uint32_t entity = 0;
  for (const TextSpan& span : spans_.span()) {
    if (span.scalars() > scalars) {
      return entity + scalars;
    }
    scalars -= span.scalars();
    entity += span.entities();
  }
  return entity;
}

uint32_t TextLeaf::ScalarOfEntity(uint32_t entity) const {
  if (sum_.entities == sum_.unicode) {
    return entity;
  }
  uint32_t scalars = 0;
  for (const TextSpan& span : spans_.span()) {
    if (span.entities() >= entity) {
      return scalars + (span.is_text() ? entity : 0);
    }
    entity -= span.entities();
    scalars += span.scalars();
  }
  return scalars;
}

uint32_t TextLeaf::Utf16OfScalar(uint32_t scalars) const {
  if (sum_.utf16 == sum_.unicode) {
    return scalars;
  }
  return SumOfText(text().substr(0, ByteOf(scalars))).utf16;
}

uint32_t TextLeaf::ScalarOfUtf16(uint32_t utf16) const {
  if (sum_.utf16 == sum_.unicode) {
    return utf16;
  }
  uint32_t scalars = 0;
  for (const char byte : text()) {
    if (Continues(byte)) {
      continue;
    }
    if (utf16 == 0) {
      break;
    }
    const uint32_t units = static_cast<uint8_t>(byte) >= 0xF0 ? 2 : 1;
    if (units > utf16) {
      return UINT32_MAX;
    }
    utf16 -= units;
    ++scalars;
  }
  return scalars;
}

void TextLeaf::InsertText(uint32_t entity, TextSpan span, std::string_view utf8,
                          const TextSum& sum) {
  const Place place = PlaceOf(entity);
  text_.Insert(ByteOf(place.scalars), utf8.data(), static_cast<uint32_t>(utf8.size()));
  sum_ += sum;
  PutSpan(place, span);
}

void TextLeaf::InsertAnchor(uint32_t entity, TextSpan anchor) {
  PutSpan(PlaceOf(entity), anchor);
  ++sum_.entities;
}

void TextLeaf::PutSpan(const Place& place, TextSpan span) {
  if (spans_.empty()) {
    spans_.Insert(0, span);
    return;
  }
  TextSpan& left = spans_[place.span];
  if (place.offset == 0) {
    spans_.Insert(place.span, span);
    TryMerge(place.span);
  } else if (place.offset < left.entities()) {
    const TextSpan right = left.From(place.offset);
    left.value = place.offset;
    TextSpan* const gap = spans_.InsertGap(place.span + 1, 2);
    gap[0] = span;
    gap[1] = right;
    TryMerge(place.span + 1);
    TryMerge(place.span);
  } else if (left.Continues(span)) {
    left.value += span.value;
    TryMerge(place.span);
  } else {
    spans_.Insert(place.span + 1, span);
    TryMerge(place.span + 1);
  }
}

void TextLeaf::TryMerge(uint32_t i) {
  if (i + 1 < spans_.size() && spans_[i].Continues(spans_[i + 1])) {
    spans_[i].value += spans_[i + 1].value;
    spans_.Erase(i + 1, 1);
  }
}

uint32_t TextLeaf::Cut(uint32_t entity) {
  if (entity == 0) {
    return 0;
  }
  const Place place = PlaceOf(entity);
  TextSpan& span = spans_[place.span];
  if (place.offset < span.entities()) {
    const TextSpan right = span.From(place.offset);
    span.value = place.offset;
    spans_.Insert(place.span + 1, right);
  }
  return place.span + 1;
}

uint32_t TextLeaf::ScalarsBefore(uint32_t span) const {
  uint32_t scalars = 0;
  for (uint32_t i = 0; i < span; ++i) {
    scalars += spans_[i].scalars();
  }
  return scalars;
}

void TextLeaf::EraseSpans(uint32_t first, uint32_t end, uint32_t entities, uint32_t scalars) {
  const uint32_t before = first == 0 ? 0 : last_.scalars + spans_[first - 1].scalars();
  const uint32_t from = ByteOf(before);
  const uint32_t to = ByteOf(before + scalars);
  TextSum removed{entities, scalars, scalars, scalars};
  if (!is_ascii()) {
    removed = SumOfText(text().substr(from, to - from));
    removed.entities = entities;
  }
  text_.Erase(from, to - from);
  sum_ -= removed;
  spans_.Erase(first, end - first);
  if (first > 0) {
    TryMerge(first - 1);
  }
}

uint32_t TextLeaf::MiddleEntity() const {
  if (spans_.size() + 2 > kSpansMax) {
    uint32_t entities = 0;
    for (uint32_t i = 0; i < spans_.size() / 2; ++i) {
      entities += spans_[i].entities();
    }
    return entities;
  }
  // The scalar at the middle byte.
  const uint32_t middle = Utf8Prefix(text(), SumOfText(text().substr(0, sum_.bytes / 2)).unicode);
  return EntityOfScalar(SumOfText(text().substr(0, middle)).unicode);
}

void TextLeaf::SplitTo(uint32_t entity, TextLeaf* right) {
  const uint32_t first = Cut(entity);
  const uint32_t from = ByteOf(ScalarsBefore(first));
  const std::string_view moved = text().substr(from);
  right->sum_ = SumOfText(moved);
  right->sum_.entities = sum_.entities - entity;
  right->text_.Insert(0, moved.data(), static_cast<uint32_t>(moved.size()));
  right->spans_.Insert(0, spans_.data() + first, spans_.size() - first);
  sum_ -= right->sum_;
  text_.Erase(from, text_.size() - from);
  spans_.Erase(first, spans_.size() - first);
  last_ = {};
}

void TextLeaf::TakeAll(const TextLeaf& right) {
  const uint32_t seam = spans_.size();
  text_.Insert(text_.size(), right.text_.data(), right.text_.size());
  spans_.Insert(seam, right.spans_.data(), right.spans_.size());
  sum_ += right.sum_;
  if (seam > 0) {
    TryMerge(seam - 1);
  }
}

void TextLeaf::Fill(std::span<const TextSpan> spans, std::string_view utf8, const TextSum& sum) {
  text_.Reserve(static_cast<uint32_t>(utf8.size()));
  text_.Insert(0, utf8.data(), static_cast<uint32_t>(utf8.size()));
  spans_.Reserve(static_cast<uint32_t>(spans.size()));
  spans_.Insert(0, spans.data(), static_cast<uint32_t>(spans.size()));
  sum_ = sum;
}

void TextLeaf::Append(TextSpan span, std::string_view utf8, const TextSum& sum, uint32_t room) {
  text_.Reserve(room);
  text_.Insert(text_.size(), utf8.data(), static_cast<uint32_t>(utf8.size()));
  sum_ += sum;
  if (!spans_.empty() && spans_[spans_.size() - 1].Continues(span)) {
    spans_[spans_.size() - 1].value += span.value;
  } else {
    spans_.Insert(spans_.size(), span);
  }
}

void TextLeaf::CheckInvariants() const {
  uint32_t entities = 0;
  for (uint32_t i = 0; i < last_.span; ++i) {
    entities += spans_[i].entities();
  }
  MERROW_CHECK(last_.entities == entities && last_.scalars == ScalarsBefore(last_.span));
  TextSum sum = SumOfText(text());
  MERROW_CHECK(sum_.bytes == text_.size() && text_.size() <= kBytesMax);
  MERROW_CHECK(spans_.size() <= kSpansMax);
  MERROW_CHECK(sum.unicode == ScalarsBefore(spans_.size()));
  sum.entities = 0;
  for (uint32_t i = 0; i < spans_.size(); ++i) {
    MERROW_CHECK(spans_[i].entities() > 0);
    MERROW_CHECK(i == 0 || !spans_[i - 1].Continues(spans_[i]));
    sum.entities += spans_[i].entities();
  }
  MERROW_CHECK(sum == sum_);
}

}  // namespace merrow::loro
