// SPDX-License-Identifier: Apache-2.0

#include "loro/text_state.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "loro/leaf_tree.h"
#include "loro/text_leaf.h"
#include "loro/text_styles.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

uint32_t Entities(const TextSum& sum) { return sum.entities; }
uint32_t Unicode(const TextSum& sum) { return sum.unicode; }
uint32_t Utf16(const TextSum& sum) { return sum.utf16; }

TextSum SumOfAscii(std::string_view text) {
  const auto length = static_cast<uint32_t>(text.size());
  return {length, length, length, length};
}

/// The longest prefix of `utf8` of at most `bytes` bytes that does not cut a scalar.
std::string_view WholeScalars(std::string_view utf8, size_t bytes) {
  if (utf8.size() <= bytes) {
    return utf8;
  }
  while (bytes > 0 && (static_cast<uint8_t>(utf8[bytes]) & 0xC0) == 0x80) {
    --bytes;
  }
  return utf8.substr(0, bytes);
}

bool SameAttributes(const std::vector<std::pair<std::string_view, const Value*>>& a,
                    const std::vector<std::pair<std::string_view, const Value*>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && *x.second == *y.second;
  });
}

Error OutOfRange(std::string_view what, uint64_t index, uint32_t length) {
  return InvalidArgument(std::string(what) + " " + std::to_string(index) +
                         " is beyond the text's " + std::to_string(length));
}

}  // namespace

struct TextState::Impl {
  using Tree = LeafTree<TextLeaf, TextSum>;

  /// A leaf, an offset in it in the dimension asked for, and what precedes the leaf.
  struct Spot {
    TextLeaf* leaf = nullptr;
    uint32_t offset = 0;
    TextSum before;
  };

  Tree tree;
  TextPeers peers;
  std::unique_ptr<TextStyles> styles;
  // The leaf that was edited last, for the next edit there.
  TextLeaf* last_leaf = nullptr;
  TextSum last_before;

  const TextSum& total() const { return tree.total(); }

  // --- Finding ---

  template <typename Dim>
  Spot Find(Dim dim, uint32_t offset) const {
    Spot spot;
    spot.offset = offset;
    spot.leaf = tree.Find(dim, &spot.offset, &spot.before);
    return spot;
  }

  /// Where to insert in front of entity `entity`: behind the one before it.
  Spot FindForInsert(uint32_t entity) {
    if (last_leaf != nullptr) {
      const uint32_t offset = entity - last_before.entities;  // wraps if in front
      if (offset - 1 < last_leaf->sum().entities) {
        return {last_leaf, offset, last_before};
      }
    }
    if (tree.empty()) {
      tree.InsertAfter(nullptr, std::make_unique<TextLeaf>());
    }
    Spot spot = Find(Entities, entity == 0 ? 0 : entity - 1);
    spot.offset += entity == 0 ? 0 : 1;
    last_leaf = spot.leaf;
    last_before = spot.before;
    return spot;
  }

  Spot FindForErase(uint32_t entity) {
    if (last_leaf != nullptr && entity - last_before.entities < last_leaf->sum().entities) {
      return {last_leaf, entity - last_before.entities, last_before};
    }
    const Spot spot = Find(Entities, entity);
    last_leaf = spot.leaf;
    last_before = spot.before;
    return spot;
  }

  // --- Inserting ---

  TextSpan MakeSpan(TextSpan::Kind kind, Id id, Lamport lamport, uint32_t value) {
    return {.kind = kind,
            .peer = peers.Intern(id.peer) & 0x3fffffff,
            .counter = id.counter,
            .lamport = lamport,
            .value = value};
  }

  TextSpan NewStyleStart(Id id, Lamport lamport, std::string_view key, Value value, uint8_t info) {
    if (styles == nullptr) {
      styles = std::make_unique<TextStyles>();
    }
    const uint32_t style =
        styles->AddStart({id, lamport, std::string(key), std::move(value), info});
    return MakeSpan(TextSpan::kStart, id, lamport, style);
  }

  TextSpan NewStyleEnd(Id id, Lamport lamport) {
    if (styles == nullptr) {
      styles = std::make_unique<TextStyles>();
    }
    return MakeSpan(TextSpan::kEnd, id, lamport, styles->AddEnd(id.Plus(-1)));
  }

  Status CheckInsert(uint32_t entity, size_t bytes) const {
    if (entity > total().entities) {
      return OutOfRange("entity index", entity, total().entities);
    }
    return CheckRoom(total(), bytes);
  }

  /// Whether a text with that sum may have so many bytes more.
  static Status CheckRoom(const TextSum& sum, size_t bytes) {
    const uint64_t most = std::max(sum.bytes, sum.entities);
    if (most + std::max<uint64_t>(bytes, 1) > kTextLengthMax) {
      return LimitReached("a text is longer than " + std::to_string(kTextLengthMax));
    }
    return {};
  }

  void InsertText(uint32_t entity, TextSpan span, std::string_view utf8, const TextSum& sum) {
    Spot spot = FindForInsert(entity);
    if (sum.bytes > kPieceBytes) {
      InsertLong(spot, span, utf8);
      return;
    }
    spot = WithRoom(spot, sum.bytes);
    spot.leaf->InsertText(spot.offset, span, utf8, sum);
    tree.Add(spot.leaf, sum);
  }

  void InsertAnchor(uint32_t entity, TextSpan anchor) {
    const Spot spot = WithRoom(FindForInsert(entity), 0);
    spot.leaf->InsertAnchor(spot.offset, anchor);
    tree.Add(spot.leaf, {1, 0, 0, 0});
  }

  /// The same place, in a leaf that has room. REQUIRES: bytes <= kPieceBytes
  Spot WithRoom(Spot spot, uint32_t bytes) {
    if (spot.leaf->HasRoom(bytes)) {
      return spot;
    }
    last_leaf = nullptr;
    if (spot.offset == spot.leaf->sum().entities) {
      // Typing at the end of a full leaf goes on in the next one, so that it leaves full leaves.
      TextLeaf* next = spot.leaf->next;
      if (next == nullptr || !next->HasRoom(bytes)) {
        next = tree.InsertAfter(spot.leaf, std::make_unique<TextLeaf>());
      }
      return {next, 0, {}};
    }
    while (!spot.leaf->HasRoom(bytes)) {
      const uint32_t middle = spot.leaf->MiddleEntity();
      TextLeaf* right = Split(spot.leaf, middle);
      if (spot.offset > middle) {
        spot.leaf = right;
        spot.offset -= middle;
      }
    }
    return spot;
  }

  /// Moves what follows `entity` to a new leaf behind.
  TextLeaf* Split(TextLeaf* leaf, uint32_t entity) {
    const TextSum before = leaf->sum();
    auto right = std::make_unique<TextLeaf>();
    leaf->SplitTo(entity, right.get());
    tree.Update(leaf, before);
    last_leaf = nullptr;
    return tree.InsertAfter(leaf, std::move(right));
  }

  /// A paste: cuts the leaf and puts full leaves in between.
  void InsertLong(const Spot& spot, TextSpan span, std::string_view utf8) {
    last_leaf = nullptr;
    TextLeaf* const left = spot.leaf;
    TextLeaf* right = nullptr;
    if (spot.offset < left->sum().entities) {
      right = Split(left, spot.offset);
    }
    AppendLeaves(left, span, utf8);
    if (right != nullptr) {
      Balance(right);
    }
    Balance(left);
  }

  /// Appends text to `leaf`, going on in new leaves behind it, without slack.
  void AppendLeaves(TextLeaf* leaf, TextSpan span, std::string_view utf8) {
    const bool is_ascii = utf8.size() == span.value;  // as many scalars as bytes
    while (!utf8.empty()) {
      const uint32_t used = leaf->sum().bytes;
      const std::string_view piece = leaf->spans().size() < TextLeaf::kSpansMax
                                         ? WholeScalars(utf8, TextLeaf::kBytesMax - used)
                                         : std::string_view();
      if (piece.empty()) {
        leaf = tree.InsertAfter(leaf, std::make_unique<TextLeaf>());
        continue;
      }
      const TextSum sum = is_ascii ? SumOfAscii(piece) : SumOfText(piece);
      TextSpan first = span;
      first.value = sum.unicode;
      const size_t room = std::min<size_t>(TextLeaf::kBytesMax, used + utf8.size());
      leaf->Append(first, piece, sum, static_cast<uint32_t>(room));
      tree.Add(leaf, sum);
      utf8.remove_prefix(piece.size());
      span = span.From(sum.unicode);
    }
  }

  // --- Deleting ---

  void Delete(uint32_t entity, uint32_t count) {
    while (count > 0) {
      const Spot spot = FindForErase(entity);
      const uint32_t here = std::min(count, spot.leaf->sum().entities - spot.offset);
      const TextSum before = spot.leaf->sum();
      spot.leaf->Erase(spot.offset, here, [this](const TextSpan& anchor) {
        styles->RemoveAnchor(anchor.kind == TextSpan::kStart, anchor.value);
      });
      tree.Update(spot.leaf, before);
      count -= here;
      Balance(spot.leaf);
    }
  }

  /// Splits a leaf with too many spans, joins or removes a small one.
  void Balance(TextLeaf* leaf) {
    if (leaf->spans().size() > TextLeaf::kSpansMax) {
      Split(leaf, leaf->MiddleEntity());
      return;
    }
    if (leaf->sum().bytes > TextLeaf::kBytesMax / 4 ||
        leaf->spans().size() > TextLeaf::kSpansMax / 4) {
      return;
    }
    if (leaf->next != nullptr && Fits(leaf, leaf->next)) {
      Join(leaf, leaf->next);
    } else if (leaf->previous != nullptr && Fits(leaf->previous, leaf)) {
      Join(leaf->previous, leaf);
    }
  }

  static bool Fits(const TextLeaf* a, const TextLeaf* b) {
    const bool one_is_empty = a->spans().empty() || b->spans().empty();
    return one_is_empty || (a->sum().bytes + b->sum().bytes <= TextLeaf::kBytesMax / 4 * 3 &&
                            a->spans().size() + b->spans().size() <= TextLeaf::kSpansMax / 4 * 3);
  }

  void Join(TextLeaf* left, TextLeaf* right) {
    last_leaf = nullptr;
    const TextSum before = left->sum();
    left->TakeAll(*right);
    tree.Update(left, before);
    tree.Remove(right, right->sum());
  }

  // --- Walking ---

  /// Calls visit(leaf, span, scalars in front of it in the leaf) from entity `entity` on until it
  /// returns false.
  template <typename Visit>
  void WalkFrom(uint32_t entity, Visit visit) const {
    if (entity >= total().entities) {
      return;
    }
    const Spot spot = Find(Entities, entity);
    const TextLeaf* leaf = spot.leaf;
    const TextLeaf::Place place = leaf->SpanAt(spot.offset);
    uint32_t i = place.span;
    for (uint32_t skip = place.offset; leaf != nullptr; leaf = leaf->next, i = 0) {
      for (; i < leaf->spans().size(); ++i) {
        const TextSpan& span = leaf->spans()[i];
        if (!visit(span.is_text() ? span.From(skip) : span)) {
          return;
        }
        skip = 0;
      }
    }
  }

  IdRun RunOf(const TextSpan& span) const {
    return {{peers[span.peer], span.counter}, span.lamport, span.entities()};
  }

  const TextStyle* StyleOf(const TextSpan& span) const {
    return span.is_text() ? nullptr : &(*styles)[span.value].style;
  }

  static constexpr uint32_t kPieceBytes = 256;
};

TextState::TextState() : impl_(std::make_unique<Impl>()) {}
TextState::~TextState() = default;
TextState::TextState(TextState&&) noexcept = default;
TextState& TextState::operator=(TextState&&) noexcept = default;

uint32_t TextState::entity_length() const { return impl_->total().entities; }
uint32_t TextState::unicode_length() const { return impl_->total().unicode; }
uint32_t TextState::utf16_length() const { return impl_->total().utf16; }
size_t TextState::utf8_length() const { return impl_->total().bytes; }

Status TextState::InsertText(uint32_t entity_index, Id id, Lamport lamport, std::string_view utf8,
                             uint32_t unicode_length) {
  MERROW_TRY(impl_->CheckInsert(entity_index, utf8.size()));
  const TextSum sum = SumOfText(utf8);
  if (sum.unicode != unicode_length) {
    return InvalidArgument("text has " + std::to_string(sum.unicode) + " scalars, not " +
                           std::to_string(unicode_length));
  }
  if (unicode_length > 0) {
    impl_->InsertText(entity_index, impl_->MakeSpan(TextSpan::kText, id, lamport, unicode_length),
                      utf8, sum);
  }
  return {};
}

Status TextState::InsertStyleStart(uint32_t entity_index, Id id, Lamport lamport,
                                   std::string_view key, Value value, uint8_t info) {
  MERROW_TRY(impl_->CheckInsert(entity_index, 0));
  impl_->InsertAnchor(entity_index, impl_->NewStyleStart(id, lamport, key, std::move(value), info));
  return {};
}

Status TextState::InsertStyleEnd(uint32_t entity_index, Id id, Lamport lamport) {
  MERROW_TRY(impl_->CheckInsert(entity_index, 0));
  impl_->InsertAnchor(entity_index, impl_->NewStyleEnd(id, lamport));
  return {};
}

Status TextState::Delete(uint32_t entity_index, uint32_t entity_length) {
  const uint64_t end = uint64_t{entity_index} + entity_length;
  if (end > impl_->total().entities) {
    return OutOfRange("delete up to entity", end, impl_->total().entities);
  }
  impl_->Delete(entity_index, entity_length);
  return {};
}

Result<uint32_t> TextState::UnicodeToEntity(uint32_t unicode_index) const {
  const TextSum& total = impl_->total();
  if (unicode_index > total.unicode) {
    return OutOfRange("unicode index", unicode_index, total.unicode);
  }
  if (unicode_index == total.unicode) {
    return total.entities;
  }
  if (total.entities == total.unicode) {
    return unicode_index;  // no anchors
  }
  const Impl::Spot spot = impl_->Find(Unicode, unicode_index);
  return spot.before.entities + spot.leaf->EntityOfScalar(spot.offset);
}

Result<uint32_t> TextState::EntityToUnicode(uint32_t entity_index) const {
  const TextSum& total = impl_->total();
  if (entity_index > total.entities) {
    return OutOfRange("entity index", entity_index, total.entities);
  }
  if (entity_index == total.entities) {
    return total.unicode;
  }
  const Impl::Spot spot = impl_->Find(Entities, entity_index);
  return spot.before.unicode + spot.leaf->ScalarOfEntity(spot.offset);
}

Result<uint32_t> TextState::UnicodeToUtf16(uint32_t unicode_index) const {
  const TextSum& total = impl_->total();
  if (unicode_index > total.unicode) {
    return OutOfRange("unicode index", unicode_index, total.unicode);
  }
  if (unicode_index == total.unicode) {
    return total.utf16;
  }
  const Impl::Spot spot = impl_->Find(Unicode, unicode_index);
  return spot.before.utf16 + spot.leaf->Utf16OfScalar(spot.offset);
}

Result<uint32_t> TextState::Utf16ToUnicode(uint32_t utf16_index) const {
  const TextSum& total = impl_->total();
  if (utf16_index > total.utf16) {
    return OutOfRange("UTF-16 index", utf16_index, total.utf16);
  }
  if (utf16_index == total.utf16) {
    return total.unicode;
  }
  const Impl::Spot spot = impl_->Find(Utf16, utf16_index);
  const uint32_t scalars = spot.leaf->ScalarOfUtf16(spot.offset);
  if (scalars == UINT32_MAX) {
    return InvalidArgument("UTF-16 index " + std::to_string(utf16_index) +
                           " is inside a surrogate pair");
  }
  return spot.before.unicode + scalars;
}

Result<uint32_t> TextState::EntityIndexForInsert(uint32_t unicode_index) const {
  if (unicode_index > impl_->total().unicode) {
    return OutOfRange("unicode index", unicode_index, impl_->total().unicode);
  }
  uint32_t entity = 0;
  if (unicode_index > 0) {
    MERROW_ASSIGN(entity, UnicodeToEntity(unicode_index - 1));
    ++entity;
  }
  if (!has_styles()) {
    return entity;
  }
  // Over the anchors there, up to the first one that wants the text in front of it.
  impl_->WalkFrom(entity, [&](const TextSpan& span) {
    if (span.is_text()) {
      return false;
    }
    const TextStyle& style = *impl_->StyleOf(span);
    const bool is_start = span.kind == TextSpan::kStart;
    const bool* const flag = style.value.If<bool>();
    const bool takes_away = style.value.is_null() || (flag != nullptr && !*flag);
    const bool wants_before = is_start ? (style.info & kTextStyleExpandBefore) == 0
                                       : (style.info & kTextStyleExpandAfter) != 0;
    if (wants_before || (is_start && takes_away)) {
      return false;
    }
    ++entity;
    return true;
  });
  return entity;
}

Result<std::vector<DeleteRun>> TextState::RunsForDelete(uint32_t unicode_index,
                                                        uint32_t unicode_length) const {
  const uint64_t end = uint64_t{unicode_index} + unicode_length;
  if (end > impl_->total().unicode) {
    return OutOfRange("delete up to scalar", end, impl_->total().unicode);
  }
  std::vector<DeleteRun> runs;
  if (unicode_length == 0) {
    return runs;
  }
  MERROW_ASSIGN(uint32_t entity, UnicodeToEntity(unicode_index));
  uint32_t rest = unicode_length;
  impl_->WalkFrom(entity, [&](const TextSpan& span) {
    if (span.is_text()) {
      const uint32_t count = std::min(rest, span.value);
      const Id id = impl_->RunOf(span).id;
      const bool goes_on = !runs.empty() && runs.back().index + runs.back().count == entity &&
                           runs.back().first.Plus(static_cast<Counter>(runs.back().count)) == id;
      if (goes_on) {
        runs.back().count += count;
      } else {
        runs.push_back({entity, id, count});
      }
      rest -= count;
    }
    entity += span.entities();
    return rest > 0;
  });
  std::reverse(runs.begin(), runs.end());
  return runs;
}

void TextState::AppendText(std::string* out) const {
  out->reserve(out->size() + utf8_length());
  for (const TextLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    out->append(leaf->text());
  }
}

Status TextState::AppendSlice(uint32_t unicode_from, uint32_t unicode_length,
                              std::string* out) const {
  const uint64_t end = uint64_t{unicode_from} + unicode_length;
  if (end > impl_->total().unicode) {
    return OutOfRange("slice up to scalar", end, impl_->total().unicode);
  }
  if (unicode_length == 0) {
    return {};
  }
  const Impl::Spot spot = impl_->Find(Unicode, unicode_from);
  uint32_t skip = spot.offset;
  for (const TextLeaf* leaf = spot.leaf; unicode_length > 0; leaf = leaf->next) {
    const uint32_t count = std::min(unicode_length, leaf->sum().unicode - skip);
    const uint32_t from = leaf->ByteOf(skip);
    out->append(leaf->text().substr(from, leaf->ByteOf(skip + count) - from));
    unicode_length -= count;
    skip = 0;
  }
  return {};
}

void TextState::ForEachChunk(const std::function<void(const TextChunk&)>& visit) const {
  std::optional<TextSpan> pending;
  const auto flush = [&] {
    if (pending.has_value()) {
      visit({TextChunk::Kind::kText, impl_->RunOf(*pending), nullptr});
      pending.reset();
    }
  };
  impl_->WalkFrom(0, [&](const TextSpan& span) {
    if (pending.has_value() && pending->Continues(span)) {
      pending->value += span.value;
      return true;
    }
    flush();
    if (span.is_text()) {
      pending = span;
    } else {
      visit({span.kind == TextSpan::kStart ? TextChunk::Kind::kStyleStart
                                           : TextChunk::Kind::kStyleEnd,
             impl_->RunOf(span), impl_->StyleOf(span)});
    }
    return true;
  });
  flush();
}

bool TextState::has_styles() const { return impl_->styles != nullptr && impl_->styles->size() > 0; }

TextState::StyleCover TextState::CoverOf(uint32_t entity_from, uint32_t entity_to,
                                         std::string_view key) const {
  StyleCover cover;
  if (!has_styles()) {
    return cover;
  }
  // A style reaches from its start anchor to its end anchor, both included.
  ActiveStyles active(impl_->styles.get(), impl_->peers);
  uint32_t entity = 0;
  impl_->WalkFrom(0, [&](const TextSpan& span) {
    const uint32_t next = entity + span.entities();
    const bool is_start = span.kind == TextSpan::kStart;
    if (is_start) {
      active.Pass(span);
    }
    if (next > entity_from) {
      const TextStyle* const winner = active.Winner(key);
      cover.has_key = cover.has_key || winner != nullptr;
      if (entity <= entity_from) {
        cover.value = winner == nullptr ? nullptr : &winner->value;
      } else if (is_start) {
        cover.is_uniform = false;
      }
    }
    if (!is_start && !span.is_text()) {
      active.Pass(span);
      if (entity >= entity_from && next < entity_to) {
        cover.is_uniform = false;
      }
    }
    entity = next;
    return entity < entity_to;
  });
  return cover;
}

std::vector<TextSegment> TextState::Segments() const {
  std::vector<TextSegment> segments;
  ActiveStyles active(impl_->styles.get(), impl_->peers);
  bool changed = true;
  for (const TextLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    std::string_view rest = leaf->text();
    for (const TextSpan& span : leaf->spans()) {
      if (!span.is_text()) {
        active.Pass(span);
        changed = true;
        continue;
      }
      if (changed) {
        auto attributes = active.Attributes();
        if (segments.empty() || !SameAttributes(segments.back().attributes, attributes)) {
          segments.push_back({{}, std::move(attributes)});
        }
        changed = false;
      }
      const uint32_t bytes = leaf->is_ascii() ? span.value : Utf8Prefix(rest, span.value);
      segments.back().text.append(rest.substr(0, bytes));
      rest.remove_prefix(bytes);
    }
  }
  return segments;
}

size_t TextState::MemoryBytes() const {
  size_t bytes = sizeof(Impl) + impl_->tree.InnerBytes() + impl_->peers.MemoryBytes();
  for (const TextLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    bytes += leaf->MemoryBytes();
  }
  if (impl_->styles != nullptr) {
    bytes += impl_->styles->MemoryBytes();
  }
  return bytes;
}

void TextState::CheckInvariants() const {
  impl_->tree.CheckInvariants();
  std::map<uint32_t, int> anchors;  // style -> 1 for its start, 2 for its end
  for (const TextLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    leaf->CheckInvariants();
    MERROW_CHECK(leaf->sum().entities > 0 || impl_->tree.leaf_count() == 1);
    for (const TextSpan& span : leaf->spans()) {
      if (!span.is_text()) {
        anchors[span.value] += span.kind == TextSpan::kStart ? 1 : 2;
      }
    }
  }
  MERROW_CHECK(anchors.size() == (impl_->styles == nullptr ? 0 : impl_->styles->size()));
  for (const auto& [style, sides] : anchors) {
    const TextStyles::Entry& entry = (*impl_->styles)[style];
    MERROW_CHECK(sides == (entry.has_start ? 1 : 0) + (entry.has_end ? 2 : 0));
    MERROW_CHECK(impl_->styles->IsOpen(entry.style.id) == (entry.has_start && !entry.has_end));
  }
  if (impl_->last_leaf != nullptr) {
    MERROW_CHECK(impl_->tree.Before(impl_->last_leaf) == impl_->last_before);
  }
}

// Collects what one leaf will hold, so that each is made once, with the memory that it needs.
struct TextState::Loader::Impl {
  std::string_view rest;  // behind the collected text
  std::string_view text;  // collected
  bool is_ascii = false;  // all of the text
  TextSum sum;            // of what was collected
  std::vector<TextSpan> spans;
  TextState state;

  TextState::Impl& target() { return *state.impl_; }

  Status CheckInsert(size_t bytes) {
    TextSum all = target().total();
    all += sum;
    return TextState::Impl::CheckRoom(all, bytes);
  }

  void AddSpan(const TextSpan& span) {
    if (!spans.empty() && spans.back().Continues(span)) {
      spans.back().value += span.value;
    } else {
      spans.push_back(span);
    }
  }

  void AddAnchor(const TextSpan& anchor) {
    if (spans.size() == TextLeaf::kSpansMax) Flush();
    AddSpan(anchor);
    sum += {1, 0, 0, 0};
  }

  /// `utf8` is what the rest starts with.
  void AddText(TextSpan span, std::string_view utf8) {
    while (!utf8.empty()) {
      const std::string_view piece = spans.size() < TextLeaf::kSpansMax
                                         ? WholeScalars(utf8, TextLeaf::kBytesMax - text.size())
                                         : std::string_view();
      if (piece.empty()) {
        Flush();
        continue;
      }
      const TextSum piece_sum = is_ascii ? SumOfAscii(piece) : SumOfText(piece);
      TextSpan first = span;
      first.value = piece_sum.unicode;
      AddSpan(first);
      sum += piece_sum;
      text = {text.empty() ? piece.data() : text.data(), text.size() + piece.size()};
      utf8.remove_prefix(piece.size());
      rest.remove_prefix(piece.size());
      span = span.From(piece_sum.unicode);
    }
  }

  void Flush() {
    if (spans.empty()) return;
    auto leaf = std::make_unique<TextLeaf>();
    leaf->Fill(spans, text, sum);
    TextState::Impl::Tree& tree = target().tree;
    tree.InsertAfter(tree.last(), std::move(leaf));
    spans.clear();
    text = {};
    sum = {};
  }
};

TextState::Loader::Loader(std::string_view full_text) : impl_(std::make_unique<Impl>()) {
  impl_->rest = full_text;
  impl_->is_ascii = SumOfText(full_text).unicode == full_text.size();
}
TextState::Loader::~Loader() = default;

Status TextState::Loader::AddText(Id id, Lamport lamport, uint32_t unicode_length) {
  const std::string_view utf8 = impl_->rest.substr(
      0, impl_->is_ascii ? unicode_length : Utf8Prefix(impl_->rest, unicode_length));
  const uint32_t scalars =
      impl_->is_ascii ? static_cast<uint32_t>(utf8.size()) : SumOfText(utf8).unicode;
  if (scalars != unicode_length || unicode_length == 0) {
    return Corruption("a text run of " + std::to_string(unicode_length) + " scalars where " +
                      std::to_string(scalars) + " are left");
  }
  MERROW_TRY(impl_->CheckInsert(utf8.size()));
  impl_->AddText(impl_->target().MakeSpan(TextSpan::kText, id, lamport, unicode_length), utf8);
  return {};
}

Status TextState::Loader::AddStyleStart(Id id, Lamport lamport, std::string_view key, Value value,
                                        uint8_t info) {
  MERROW_TRY(impl_->CheckInsert(0));
  impl_->AddAnchor(impl_->target().NewStyleStart(id, lamport, key, std::move(value), info));
  return {};
}

Status TextState::Loader::AddStyleEnd(Id id, Lamport lamport) {
  const TextStyles* const styles = impl_->target().styles.get();
  if (styles == nullptr || !styles->IsOpen(id.Plus(-1))) {
    return Corruption("a style ends at " + ToString(id) + " that has not started");
  }
  MERROW_TRY(impl_->CheckInsert(0));
  impl_->AddAnchor(impl_->target().NewStyleEnd(id, lamport));
  return {};
}

Result<TextState> TextState::Loader::Finish() {
  if (!impl_->rest.empty()) {
    return Corruption("text runs leave " + std::to_string(impl_->rest.size()) +
                      " bytes of the text unused");
  }
  impl_->Flush();
  return std::move(impl_->state);
}

}  // namespace merrow::loro
