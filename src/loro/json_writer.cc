// SPDX-License-Identifier: Apache-2.0
#include "loro/json_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "loro/mergeable.h"

namespace merrow::loro {
namespace {

// A list or map that is being written: the items left to write, last first, and its closing
// bracket.
struct Frame {
  struct Item {
    std::string_view key;          // if the frame is an object
    const Value* value = nullptr;  // one of the two
    const Container* root = nullptr;
  };
  std::vector<Item> items;
  bool is_object;
  bool is_first = true;
  std::optional<TreeJson> tree = std::nullopt;  // a tree writes its own brackets and asks for data
};

class Writer {
 public:
  Writer(const State& state, std::string* out)
      : state_(state), out_(out), is_written_(state.containers().size()) {}

  void WriteRoots() {
    Frame frame{.items = {}, .is_object = true};
    for (const Container& container : state_.containers()) {
      if (!container.id.is_root() || IsMergeable(container.id)) continue;
      frame.items.push_back({container.id.name(), nullptr, &container});
    }
    std::sort(frame.items.begin(), frame.items.end(), [](const auto& a, const auto& b) {
      return a.key != b.key ? a.key > b.key : a.root->id.kind() > b.root->id.kind();
    });
    // Last first: of roots with one name, keep the one that would be written first.
    const auto kept = std::unique(frame.items.rbegin(), frame.items.rend(),
                                  [](const auto& a, const auto& b) { return a.key == b.key; });
    frame.items.erase(frame.items.begin(), kept.base());
    Push(std::move(frame));
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
      if (frame.tree.has_value()) {
        const std::optional<Id> node = frame.tree->Next(out_);
        if (node.has_value()) {
          BeginNodeData(*node);
        } else {
          stack_.pop_back();
        }
        continue;
      }
      if (frame.items.empty()) {
        out_->push_back(frame.is_object ? '}' : ']');
        stack_.pop_back();
        continue;
      }
      const Frame::Item item = frame.items.back();
      frame.items.pop_back();
      if (!frame.is_first) out_->push_back(',');
      frame.is_first = false;
      if (frame.is_object) {
        AppendJsonString(item.key, out_);
        out_->push_back(':');
      }
      // `frame` is not used from here on: the stack may move.
      if (item.root != nullptr) {
        BeginContainer(item.root);
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

  void Push(Frame frame) {
    out_->push_back(frame.is_object ? '{' : '[');
    stack_.push_back(std::move(frame));
  }

  void BeginContainer(const Container* container) {
    if (container == nullptr || !IsFirst(*container)) {
      *out_ += "null";
    } else if (const auto* map = std::get_if<MapState>(&container->state)) {
      Frame frame{.items = {}, .is_object = true};
      for (const MapState::Entry& entry : map->entries()) {
        if (entry.value.has_value()) frame.items.push_back(ItemAt(container->id, entry));
      }
      std::sort(frame.items.begin(), frame.items.end(),
                [](const auto& a, const auto& b) { return a.key > b.key; });
      Push(std::move(frame));
    } else if (const auto* list = std::get_if<ListState>(&container->state)) {
      Frame frame{.items = {}, .is_object = false};
      list->ForEach([&frame](const IdRun&, const Value& value) {
        frame.items.push_back({{}, &value, nullptr});
      });
      std::reverse(frame.items.begin(), frame.items.end());
      Push(std::move(frame));
    } else if (const auto* movable = std::get_if<MovableListState>(&container->state)) {
      Frame frame{.items = {}, .is_object = false};
      movable->ForEach([&frame](const MovableListItem& item) {
        frame.items.push_back({{}, &item.value, nullptr});
      });
      std::reverse(frame.items.begin(), frame.items.end());
      Push(std::move(frame));
    } else if (const auto* tree = std::get_if<TreeState>(&container->state)) {
      stack_.push_back(
          {.items = {}, .is_object = false, .is_first = true, .tree = TreeJson(*tree)});
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
  Frame::Item ItemAt(const ContainerId& map, const MapState::Entry& entry) const {
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
      *out_ += std::to_string(*integer);
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
      Frame frame{.items = {}, .is_object = false};
      for (const Value& item : *list) frame.items.push_back({{}, &item, nullptr});
      std::reverse(frame.items.begin(), frame.items.end());
      Push(std::move(frame));
    } else if (const auto* map = value.If<Value::Map>()) {
      Frame frame{.items = {}, .is_object = true};
      for (const auto& [key, item] : *map) frame.items.push_back({key, &item, nullptr});
      std::reverse(frame.items.begin(), frame.items.end());
      Push(std::move(frame));
    } else {
      BeginContainer(state_.Find(*value.If<ContainerId>()));
    }
  }

  const State& state_;
  std::string* const out_;
  std::vector<bool> is_written_;  // by index into state_.containers()
  std::vector<Frame> stack_;
};

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out->push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
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
    *out += std::to_string(static_cast<int64_t>(number));
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
