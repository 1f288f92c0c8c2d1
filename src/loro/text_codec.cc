// SPDX-License-Identifier: Apache-2.0
//
// State of a text (state_codec.h):
//
//   string                                     the plain text
//   peers
//   3 fields |
//     4 columns with a row per span: its full id, its length (as TextImage::Span::length)
//     uleb count | string key ...
//     uleb count | (3 fields | uleb key index, value, u8 info) ...     per style start

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <unordered_map>

#include "loro/state_codec.h"
#include "loro/state_columns.h"
#include "loro/utf8.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint64_t kTextFields = 3;
constexpr uint64_t kMarkFields = 3;

Error Bad(const char* what) { return Corruption(std::string("text state: ") + what); }

Status ReadMarks(ByteReader& reader, std::vector<TextImage::Mark>* marks) {
  MERROW_ASSIGN(const uint64_t key_count, reader.Uleb64());
  if (key_count > reader.remaining()) return reader.Fail("text state: key count is past the end");
  std::vector<std::string_view> keys(key_count);
  for (std::string_view& key : keys) {
    MERROW_ASSIGN(key, reader.Utf8());
  }
  MERROW_ASSIGN(const uint64_t mark_count, reader.Uleb64());
  if (mark_count > reader.remaining() / (1 + kMarkFields)) {
    return reader.Fail("text state: mark count is past the end");
  }
  marks->reserve(mark_count);
  for (uint64_t i = 0; i < mark_count; ++i) {
    MERROW_ASSIGN(const uint64_t fields, reader.Uleb64());
    if (fields != kMarkFields) return reader.Fail("text state: a mark has not three fields");
    MERROW_ASSIGN(const uint64_t key_index, reader.Uleb64());
    if (key_index >= keys.size()) return reader.Fail("text state: key index is out of range");
    TextImage::Mark mark;
    mark.key = keys[key_index];
    MERROW_ASSIGN(mark.value, ReadStateValue(reader));
    MERROW_ASSIGN(mark.info, reader.U8());
    marks->push_back(std::move(mark));
  }
  return reader.ExpectEnd();
}

// Checks span after span that they make sense together. As each consumes a mark, an open style or
// text, there cannot be many more spans than bytes.
class SpanChecker {
 public:
  SpanChecker(size_t scalars, size_t marks) : scalars_left_(scalars), marks_left_(marks) {}

  Status Add(TextImage::Span& span) {
    if (span.length == TextImage::kStyleStart) return AddStart(span);
    if (span.length == TextImage::kStyleEnd) return AddEnd(span);
    if (span.length < 0) return Bad("negative span length");
    const auto length = static_cast<uint32_t>(span.length);
    if (length > scalars_left_) return Bad("spans are longer than the text");
    if (span.id.counter > std::numeric_limits<Counter>::max() - span.length ||
        span.lamport > std::numeric_limits<Lamport>::max() - length) {
      return Bad("span ends out of range");
    }
    scalars_left_ -= length;
    return {};
  }

  // A style may stay open: its end may be missing where history is trimmed.
  Status Finish() const {
    if (scalars_left_ != 0) return Bad("spans are shorter than the text");
    if (marks_left_ != 0) return Bad("more marks than style starts");
    return {};
  }

 private:
  Status AddStart(const TextImage::Span& span) {
    if (marks_left_ == 0) return Bad("a style start without a mark");
    --marks_left_;
    if (span.id.counter == std::numeric_limits<Counter>::max() ||
        span.lamport == std::numeric_limits<Lamport>::max()) {
      return Bad("style ends out of range");
    }
    if (!open_.emplace(span.id, span.lamport).second) return Bad("one style starts twice");
    return {};
  }

  Status AddEnd(TextImage::Span& span) {
    const auto start = open_.find(span.id.Plus(-1));
    if (span.id.counter == 0 || start == open_.end()) return Bad("a style end without its start");
    span.lamport = start->second + 1;
    open_.erase(start);
    return {};
  }

  size_t scalars_left_;
  size_t marks_left_;
  std::map<Id, Lamport> open_;  // styles that have started
};

}  // namespace

Result<TextImage> DecodeTextState(BytesView state) {
  ByteReader reader(state);
  TextImage image;
  MERROW_ASSIGN(image.text, reader.Utf8());
  MERROW_ASSIGN(const PeerTable peers, PeerTable::Read(reader));

  Cursor cursor(reader.rest());
  if (!ExpectFields(cursor, kTextFields)) return Bad("not three fields");
  std::array<BytesView, 4> columns;
  MERROW_TRY(ReadColumns(cursor, columns));
  ByteReader tables(cursor.rest());
  MERROW_TRY(ReadMarks(tables, &image.marks));

  FullIdDecoder ids(columns[0], columns[1], columns[2]);
  DeltaRleDecoder<int32_t> lengths(columns[3]);
  SpanChecker checker(CountScalars(image.text), image.marks.size());
  image.spans.reserve(columns[3].size());  // about as many, mostly
  while (!lengths.AtEnd()) {
    FullId id;
    TextImage::Span span;
    if (!ids.Next(peers, &id) || !lengths.Next(&span.length)) return Bad("malformed spans");
    span.id = id.id;
    span.lamport = id.lamport;
    MERROW_TRY(checker.Add(span));
    image.spans.push_back(span);
  }
  if (!ids.AtEnd()) return Bad("more ids than lengths");
  MERROW_TRY(checker.Finish());
  return image;
}

Bytes EncodeTextState(const TextImage& image) {
  PeerRegister peers;
  FullIdEncoder ids;
  DeltaRleEncoder<int32_t> lengths;
  size_t start_count = 0;
  for (const TextImage::Span& span : image.spans) {
    ids.Append(peers, span.id, span.lamport);
    lengths.Append(span.length);
    start_count += span.length == TextImage::kStyleStart ? 1 : 0;
  }
  MERROW_CHECK(start_count == image.marks.size());

  std::vector<std::string_view> keys;
  std::unordered_map<std::string_view, uint64_t> key_indexes;
  ByteWriter marks;
  for (const TextImage::Mark& mark : image.marks) {
    const auto [key, is_new] = key_indexes.emplace(mark.key, keys.size());
    if (is_new) keys.push_back(mark.key);
    marks.Uleb(kMarkFields);
    marks.Uleb(key->second);
    WriteStateValue(marks, mark.value);
    marks.U8(mark.info);
  }

  ByteWriter writer;
  writer.LengthPrefixed(image.text);
  peers.Write(writer);
  writer.Uleb(kTextFields);
  std::array<Bytes, 4> columns;
  ids.Finish(&columns[0], &columns[1], &columns[2]);
  columns[3] = lengths.Finish();
  WriteColumns(writer, columns);
  writer.Uleb(keys.size());
  for (const std::string_view key : keys) writer.LengthPrefixed(key);
  writer.Uleb(image.marks.size());
  writer.Append(marks.bytes());
  return writer.Release();
}

}  // namespace merrow::loro
