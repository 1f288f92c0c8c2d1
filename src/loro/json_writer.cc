// SPDX-License-Identifier: Apache-2.0
#include "loro/json_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "loro/mergeable.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

// Something that is yet to be written.
struct Item {
  std::string_view key;          // if it stands in an object
  const Value* value = nullptr;  // one of the two
  const Container* container = nullptr;
};

// A list or map that is being written: its items that are left stand on top of the writer's, last
// first; its closing bracket follows them.
struct Frame {
  size_t first_item = 0;
  bool is_object = false;
  bool is_first = true;
  std::unique_ptr<TreeJson> tree;  // a tree writes its own brackets and asks for data
};

bool NeedsEscape(char c) { return static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\'; }

// Eight characters at once.
constexpr size_t kWordBytes = sizeof(uint64_t);
uint64_t LoadWord(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, kWordBytes);
  return word;
}
bool NeedsEscape(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = kOnes << 7;
  const auto has_zero = [](uint64_t bytes) { return (bytes - kOnes) & ~bytes & kHighs; };
  const uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
  return (below_space | has_zero(word ^ kOnes * '"') | has_zero(word ^ kOnes * '\\')) != 0;
}

// Puts `text` in quotes at `to`; null if a character has to be escaped, and then what stands there
// means nothing.
char* PutPlain(std::string_view text, char* to) {
  *to++ = '"';
  const char* from = text.data();
  const char* const end = from + text.size();
  if (text.size() >= kWordBytes) {
    for (; from + kWordBytes <= end; from += kWordBytes, to += kWordBytes) {
      if (NeedsEscape(LoadWord(from))) return nullptr;
      std::memcpy(to, from, kWordBytes);
    }
    // The rest, with some that were there already.
    if (NeedsEscape(LoadWord(end - kWordBytes))) return nullptr;
    to += end - from;
    std::memcpy(to - kWordBytes, end - kWordBytes, kWordBytes);
  } else {
    for (; from < end; ++from) {
      if (NeedsEscape(*from)) return nullptr;
      *to++ = *from;
    }
  }
  *to++ = '"';
  return to;
}

// Strings up to this length are put together before they are appended at once.
constexpr size_t kShortBytes = 60;

void AppendKey(std::string_view key, bool with_comma, std::string* out) {
  char buffer[kShortBytes + 4];
  if (key.size() <= kShortBytes) {
    buffer[0] = ',';
    char* end = PutPlain(key, buffer + 1);
    if (end != nullptr) {
      *end++ = ':';
      const char* const begin = with_comma ? buffer : buffer + 1;
      out->append(begin, static_cast<size_t>(end - begin));
      return;
    }
  }
  if (with_comma) out->push_back(',');
  AppendJsonString(key, out);
  out->push_back(':');
}

void AppendInteger(int64_t integer, std::string* out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), integer);
  MERROW_CHECK(error == std::errc());
  out->append(buffer, end);
}

class Writer {
 public:
  Writer(const State& state, std::string* out)
      : state_(state), out_(out), is_written_(state.containers().size()) {}

  void WriteRoots() {
    std::vector<Item> roots;
    for (const Container& container : state_.containers()) {
      if (!container.id.is_root() || IsMergeable(container.id)) continue;
      roots.push_back({container.id.name(), nullptr, &container});
    }
    std::sort(roots.begin(), roots.end(), [](const auto& a, const auto& b) {
      return a.key != b.key ? a.key > b.key : a.container->id.kind() > b.container->id.kind();
    });
    // Last first: of roots with one name, keep the one that would be written first.
    const auto kept = std::unique(roots.rbegin(), roots.rend(),
                                  [](const auto& a, const auto& b) { return a.key == b.key; });
    roots.erase(roots.begin(), kept.base());
    Push(/*is_object=*/true);
    items_.insert(items_.end(), roots.begin(), roots.end());
    Drain();
  }

  void WriteContainer(const ContainerId& id) {
    BeginContainer(state_.Find(id));
    Drain();
  }

  void WriteValue(const Value& value) {
    BeginValue(value);
    Drain();
  }

 private:
  void Drain() {
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (frame.tree != nullptr) {
        const std::optional<Id> node = frame.tree->Next(out_);
        if (node.has_value()) {
          BeginNodeData(*node);
        } else {
          stack_.pop_back();
        }
        continue;
      }
      if (items_.size() == frame.first_item) {
        out_->push_back(frame.is_object ? '}' : ']');
        stack_.pop_back();
        continue;
      }
      const Item item = items_.back();
      items_.pop_back();
      if (frame.is_object) {
        AppendKey(item.key, /*with_comma=*/!frame.is_first, out_);
      } else if (!frame.is_first) {
        out_->push_back(',');
      }
      frame.is_first = false;
      // `frame` is not used from here on: the stack may move.
      if (item.container != nullptr) {
        BeginContainer(item.container);
      } else {
        BeginValue(*item.value);
      }
    }
  }

  void BeginNodeData(Id node) {
    const Container* data = state_.Find(ContainerId::Normal(node, ContainerKind::kMap));
    // The data of a node that no op created is not known; a loaded snapshot has an empty map then.
    if (data != nullptr && std::holds_alternative<MapState>(data->state)) {
      BeginContainer(data);
    } else {
      *out_ += "{}";
    }
  }

  // Opens a bracket. The items are pushed after this, last first.
  void Push(bool is_object) {
    out_->push_back(is_object ? '{' : '[');
    stack_.push_back({items_.size(), is_object, /*is_first=*/true, nullptr});
  }
  void ReverseItems() {
    std::reverse(items_.begin() + static_cast<ptrdiff_t>(stack_.back().first_item), items_.end());
  }

  // Sorts the items of the frame that was pushed last, last key first. Maps that follow each other
  // mostly have the same keys in the same order, so the last map's order is tried first.
  void SortItems() {
    const std::span<Item> items = std::span(items_).subspan(stack_.back().first_item);
    const auto is_after = [](const Item& a, const Item& b) { return a.key > b.key; };
    if (order_.size() == items.size()) {
      sorted_.clear();
      for (const uint32_t i : order_) sorted_.push_back(items[i]);
      if (std::is_sorted(sorted_.begin(), sorted_.end(), is_after)) {
        std::copy(sorted_.begin(), sorted_.end(), items.begin());
        return;
      }
    }
    if (items.size() > kOrderMax) {
      std::sort(items.begin(), items.end(), is_after);
      return;
    }
    order_.resize(items.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(order_.begin(), order_.end(),
              [&](uint32_t a, uint32_t b) { return is_after(items[a], items[b]); });
    sorted_.clear();
    for (const uint32_t i : order_) sorted_.push_back(items[i]);
    std::copy(sorted_.begin(), sorted_.end(), items.begin());
  }

  void BeginContainer(const Container* container) {
    if (container == nullptr || !IsFirst(*container)) {
      *out_ += "null";
    } else if (const auto* map = std::get_if<MapState>(&container->state)) {
      Push(/*is_object=*/true);
      for (const MapState::Entry& entry : map->entries()) {
        if (entry.value.has_value()) items_.push_back(ItemAt(container->id, entry));
      }
      SortItems();
    } else if (const auto* list = std::get_if<ListState>(&container->state)) {
      Push(/*is_object=*/false);
      list->ForEach([this](const IdRun&, const Value& value) {
        items_.push_back({{}, &value, nullptr});
      });
      ReverseItems();
    } else if (const auto* movable = std::get_if<MovableListState>(&container->state)) {
      Push(/*is_object=*/false);
      movable->ForEach([this](const MovableListItem& item) {
        items_.push_back({{}, &item.value, nullptr});
      });
      ReverseItems();
    } else if (const auto* tree = std::get_if<TreeState>(&container->state)) {
      stack_.push_back({items_.size(), false, true, std::make_unique<TreeJson>(*tree)});
    } else if (const auto* text = std::get_if<TextState>(&container->state)) {
      std::string plain;
      text->AppendText(&plain);
      AppendJsonString(plain, out_);
    } else if (const auto* counter = std::get_if<CounterState>(&container->state)) {
      AppendJsonNumber(counter->sum, out_);
    } else {
      *out_ += "null";
    }
  }

  // What a map shows at a key: the value, or the mergeable child that it is the marker of.
  Item ItemAt(const ContainerId& map, const MapState::Entry& entry) const {
    // Markers are binary.
    if (entry.value->kind() != Value::Kind::kBinary) return {entry.key, &*entry.value, nullptr};
    const std::optional<ContainerId> child = MergeableShownBy(map, entry.key, *entry.value);
    if (!child.has_value()) return {entry.key, &*entry.value, nullptr};
    const Container* found = state_.Find(*child);
    if (found != nullptr) return {entry.key, nullptr, found};
    return {entry.key, &EmptyOf(child->kind()), nullptr};
  }

  // What a container without ops looks like.
  static const Value& EmptyOf(ContainerKind kind) {
    static const Value kText{std::string()};
    static const Value kMap{Value::Map()};
    static const Value kList{Value::List()};
    static const Value kCounter{int64_t{0}};
    switch (kind) {
      case ContainerKind::kText:
        return kText;
      case ContainerKind::kMap:
        return kMap;
      case ContainerKind::kCounter:
        return kCounter;
      default:
        return kList;
    }
  }

  // A container has one place. Values that no Loro writes may name one often, or inside itself,
  // and a few of them would be JSON without end.
  bool IsFirst(const Container& container) {
    const auto index = static_cast<size_t>(&container - state_.containers().data());
    if (is_written_[index]) return false;
    is_written_[index] = true;
    return true;
  }

  void BeginValue(const Value& value) {
    if (value.is_null()) {
      *out_ += "null";
    } else if (const auto* boolean = value.If<bool>()) {
      *out_ += *boolean ? "true" : "false";
    } else if (const auto* integer = value.If<int64_t>()) {
      AppendInteger(*integer, out_);
    } else if (const auto* number = value.If<double>()) {
      AppendJsonNumber(*number, out_);
    } else if (const auto* text = value.If<std::string>()) {
      AppendJsonString(*text, out_);
    } else if (const auto* binary = value.If<Value::Binary>()) {
      out_->push_back('[');
      for (size_t i = 0; i < binary->bytes.size(); ++i) {
        if (i > 0) out_->push_back(',');
        *out_ += std::to_string(static_cast<uint8_t>(binary->bytes[i]));
      }
      out_->push_back(']');
    } else if (const auto* list = value.If<Value::List>()) {
      Push(/*is_object=*/false);
      for (const Value& item : *list) items_.push_back({{}, &item, nullptr});
      ReverseItems();
    } else if (const auto* map = value.If<Value::Map>()) {
      Push(/*is_object=*/true);
      for (const auto& [key, item] : *map) items_.push_back({key, &item, nullptr});
      ReverseItems();
    } else {
      BeginContainer(state_.Find(*value.If<ContainerId>()));
    }
  }

  const State& state_;
  std::string* const out_;
  std::vector<bool> is_written_;  // by index into state_.containers()
  std::vector<Frame> stack_;
  std::vector<Item> items_;  // of all frames
  // Of the last map that was sorted: where its items stood.
  static constexpr size_t kOrderMax = 64;
  std::vector<uint32_t> order_;
  std::vector<Item> sorted_;
};

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  if (text.size() <= kShortBytes) {
    char buffer[kShortBytes + 2];
    if (const char* const end = PutPlain(text, buffer)) {
      out->append(buffer, static_cast<size_t>(end - buffer));
      return;
    }
  }
  out->push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    while (i + kWordBytes <= text.size() && !NeedsEscape(LoadWord(text.data() + i))) {
      i += kWordBytes;
    }
    if (i == text.size()) break;
    if (!NeedsEscape(text[i])) continue;
    const auto byte = static_cast<uint8_t>(text[i]);
    out->append(text.substr(plain, i - plain));
    plain = i + 1;
    out->push_back('\\');
    switch (text[i]) {
      case '"':
      case '\\':
        out->push_back(text[i]);
        break;
      case '\n':
        out->push_back('n');
        break;
      case '\r':
        out->push_back('r');
        break;
      case '\t':
        out->push_back('t');
        break;
      default:
        *out += "u00";
        out->push_back(kHex[byte >> 4]);
        out->push_back(kHex[byte & 15]);
    }
  }
  out->append(text.substr(plain));
  out->push_back('"');
}

void AppendJsonNumber(double number, std::string* out) {
  if (!std::isfinite(number)) {
    *out += "null";
    return;
  }
  // Integral doubles are written without an exponent or a point, as browsers do.
  constexpr double kExactMax = 9007199254740992.0;  // 2^53
  if (number == std::trunc(number) && std::fabs(number) <= kExactMax) {
    AppendInteger(static_cast<int64_t>(number), out);
    return;
  }
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), number);
  MERROW_CHECK(error == std::errc());
  out->append(buffer, end);
}

void AppendContainerJson(const State& state, const ContainerId& id, std::string* out) {
  Writer(state, out).WriteContainer(id);
}

void AppendDocumentJson(const State& state, std::string* out) { Writer(state, out).WriteRoots(); }

void AppendTextDelta(const State& state, const ContainerId& id, std::string* out) {
  out->push_back('[');
  if (const auto* text = state.Get<TextState>(id)) {
    bool is_first = true;
    for (const TextSegment& segment : text->Segments()) {
      *out += is_first ? "{" : ",{";
      is_first = false;
      if (!segment.attributes.empty()) {
        char separator = '{';
        *out += "\"attributes\":";
        for (const auto& [key, value] : segment.attributes) {
          out->push_back(separator);
          separator = ',';
          AppendJsonString(key, out);
          out->push_back(':');
          AppendValueJson(state, *value, out);
        }
        *out += "},";
      }
      *out += "\"insert\":";
      AppendJsonString(segment.text, out);
      out->push_back('}');
    }
  }
  out->push_back(']');
}

void AppendValueJson(const State& state, const Value& value, std::string* out) {
  Writer(state, out).WriteValue(value);
}

}  // namespace merrow::loro
