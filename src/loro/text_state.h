// SPDX-License-Identifier: Apache-2.0
//
// Text state: what one Text container looks like now. A sequence of entities: Unicode scalars, and
// the start and end anchors of styles ("marks"), each of which counts 1. Ops on the wire count in
// entities; users count in Unicode scalars or UTF-16 units, where anchors count 0.
//
// How it is stored: a rope. Leaves of up to about 1 KiB of UTF-8 with the id runs of that text, in
// a LeafTree that sums entities, scalars, UTF-16 units and bytes. A short text is one leaf.
//
// Invariants:
//   (1) A run lies in one leaf; neighbouring runs of a leaf that continue each other are one.
//   (2) A style is in the table while one of its anchors is in the text.
//
// Thread-compatible.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loro/sequence_run.h"
#include "merrow/ids.h"
#include "merrow/result.h"
#include "merrow/value.h"

namespace merrow::loro {

/// A mark, as its start op says.
struct TextStyle {
  Id id;  // of the start anchor; the end anchor's is id + 1
  Lamport lamport = 0;
  std::string key;
  Value value;       // null: the style removes the attribute
  uint8_t info = 0;  // 0x80 alive, 0x02 expands before, 0x04 expands after
};

/// Most entities, and most bytes, of one text.
inline constexpr uint32_t kTextLengthMax = 0x7fffffff;

inline constexpr uint8_t kTextStyleExpandBefore = 0x02;
inline constexpr uint8_t kTextStyleExpandAfter = 0x04;

/// A stretch of the text in document order.
struct TextChunk {
  enum class Kind : uint8_t { kText, kStyleStart, kStyleEnd };
  Kind kind = Kind::kText;
  IdRun run;                         // length 1 for anchors
  const TextStyle* style = nullptr;  // kStyleStart, kStyleEnd
};

/// A stretch of text with the same attributes.
struct TextSegment {
  std::string text;
  /// Sorted by key; values are never null. The pointers are valid until the text changes.
  std::vector<std::pair<std::string_view, const Value*>> attributes;
};

class TextState {
 public:
  TextState();
  ~TextState();
  TextState(TextState&&) noexcept;
  TextState& operator=(TextState&&) noexcept;

  uint32_t entity_length() const;
  uint32_t unicode_length() const;
  uint32_t utf16_length() const;
  size_t utf8_length() const;

  // --- Editing, in entities. Out of range is an invalid argument and changes nothing. ---

  /// Inserts the `unicode_length` scalars of `utf8`, with ids and lamports counting up from the
  /// given ones. Limit if the text would be too long. REQUIRES: `utf8` is well-formed.
  Status InsertText(uint32_t entity_index, Id id, Lamport lamport, std::string_view utf8,
                    uint32_t unicode_length);
  Status InsertStyleStart(uint32_t entity_index, Id id, Lamport lamport, std::string_view key,
                          Value value, uint8_t info);
  /// Ends the style whose start op is `id` - 1; styles nothing if that is not in the text.
  Status InsertStyleEnd(uint32_t entity_index, Id id, Lamport lamport);
  Status Delete(uint32_t entity_index, uint32_t entity_length);

  // --- Positions. Out of range, or inside a surrogate pair, is an invalid argument. ---

  /// Entity index of the `unicode_index`-th scalar; entity_length() for the end.
  Result<uint32_t> UnicodeToEntity(uint32_t unicode_index) const;
  /// Scalars in front of the entity.
  Result<uint32_t> EntityToUnicode(uint32_t entity_index) const;
  Result<uint32_t> UnicodeToUtf16(uint32_t unicode_index) const;
  Result<uint32_t> Utf16ToUnicode(uint32_t utf16_index) const;

  /// Where a local insert in front of the `unicode_index`-th scalar goes among the anchors there,
  /// so that styles expand as they say.
  Result<uint32_t> EntityIndexForInsert(uint32_t unicode_index) const;
  /// The delete ops that remove these scalars and no anchors: last run first, so that each index is
  /// right when the runs before it have been deleted.
  Result<std::vector<DeleteRun>> RunsForDelete(uint32_t unicode_index,
                                               uint32_t unicode_length) const;

  // --- Reading ---

  void AppendText(std::string* out) const;
  /// Appends scalars [from, from + length).
  Status AppendSlice(uint32_t unicode_from, uint32_t unicode_length, std::string* out) const;
  /// Every run of text and every anchor in order; neighbours that continue each other are one.
  void ForEachChunk(const std::function<void(const TextChunk&)>& visit) const;
  bool has_styles() const;
  /// What styles with one key do to a range of entities.
  struct StyleCover {
    bool is_uniform = true;        // all of it has the same styles
    bool has_key = false;          // a style with the key covers some of it, perhaps with null
    const Value* value = nullptr;  // of the winning one at its start; null if there is none
  };
  /// REQUIRES: entity_from < entity_to <= entity_length(). Cost: the text's runs in front of
  /// entity_to.
  StyleCover CoverOf(uint32_t entity_from, uint32_t entity_to, std::string_view key) const;
  /// The text with its attributes, as a rich text delta has them: per key, the covering style with
  /// the largest (lamport, peer) wins; neighbours with equal attributes are one segment.
  std::vector<TextSegment> Segments() const;

  /// Bytes on the heap, about.
  size_t MemoryBytes() const;
  /// Ends the process if an invariant does not hold.
  void CheckInvariants() const;

  /// Builds a text front to back, compactly: the chunks of a snapshot image.
  class Loader {
   public:
    /// `full_text` is cut up by AddText and must outlive the loader. REQUIRES: well-formed UTF-8.
    explicit Loader(std::string_view full_text);
    ~Loader();
    /// The next `unicode_length` scalars; corruption if the text has fewer.
    Status AddText(Id id, Lamport lamport, uint32_t unicode_length);
    Status AddStyleStart(Id id, Lamport lamport, std::string_view key, Value value, uint8_t info);
    /// Corruption if the start `id` - 1 is not open.
    Status AddStyleEnd(Id id, Lamport lamport);
    /// Corruption if some of the text was not consumed.
    Result<TextState> Finish();

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
