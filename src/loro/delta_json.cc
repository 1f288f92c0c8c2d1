// SPDX-License-Identifier: Apache-2.0
#include "loro/delta_json.h"

#include "base/bytes.h"
#include "loro/json_writer.h"

namespace merrow::loro {
namespace {

constexpr std::string_view kContainerMark = "\xF0\x9F\xA6\x9C:";  // U+1F99C

// Appends members or items with commas between them.
class Separator {
 public:
  explicit Separator(std::string* out) : out_(*out) {}
  void Next() {
    if (!is_first_) out_ += ',';
    is_first_ = false;
  }

 private:
  std::string& out_;
  bool is_first_ = true;
};

void AppendMember(std::string_view name, std::string* out) {
  AppendJsonString(name, out);
  *out += ':';
}

// The depth of values is bounded where they are decoded (kValueDepthMax).
struct ValueWriter {
  std::string* out;

  void operator()(const Value::Null&) const { *out += "null"; }
  void operator()(bool value) const { *out += value ? "true" : "false"; }
  void operator()(int64_t value) const { *out += std::to_string(value); }
  void operator()(double value) const { AppendJsonNumber(value, out); }
  void operator()(const std::string& value) const { AppendJsonString(value, out); }
  void operator()(const Value::Binary& value) const {
    *out += '[';
    Separator separator(out);
    for (const char byte : value.bytes) {
      separator.Next();
      *out += std::to_string(static_cast<unsigned char>(byte));
    }
    *out += ']';
  }
  void operator()(const Value::List& list) const {
    *out += '[';
    Separator separator(out);
    for (const Value& item : list) {
      separator.Next();
      AppendPlainJson(item, out);
    }
    *out += ']';
  }
  void operator()(const Value::Map& map) const {
    *out += '{';
    Separator separator(out);
    for (const auto& [key, item] : map) {
      separator.Next();
      AppendMember(key, out);
      AppendPlainJson(item, out);
    }
    *out += '}';
  }
  void operator()(const ContainerId& id) const {
    AppendJsonString(std::string(kContainerMark) + id.ToString(), out);
  }
};

// {"retain":n} and {"delete":n}; what is inserted is the caller's.
template <typename Edit, typename AppendInserted>
void AppendSteps(const std::vector<Edit>& edits, std::string* out, AppendInserted&& append) {
  *out += "\"delta\":[";
  Separator separator(out);
  for (const Edit& edit : edits) {
    separator.Next();
    *out += '{';
    if (edit.kind == EditKind::kInsert) {
      *out += "\"insert\":";
    } else {
      *out += edit.kind == EditKind::kRetain ? "\"retain\":" : "\"delete\":";
      *out += std::to_string(edit.length);
    }
    append(edit);
    *out += '}';
  }
  *out += ']';
}

struct DeltaWriter {
  std::string* out;

  void operator()(const TextDelta& edits) const {
    *out += "\"type\":\"text\",";
    AppendSteps(edits, out, [this](const TextEdit& edit) {
      if (edit.kind == EditKind::kInsert) AppendJsonString(edit.text, out);
      if (edit.attributes.empty()) return;
      *out += ",\"attributes\":";
      AppendPlainJson(Value(Value::Map(edit.attributes)), out);
    });
  }

  void operator()(const ListDelta& edits) const {
    *out += "\"type\":\"list\",";
    AppendSteps(edits, out, [this](const ListEdit& edit) {
      if (edit.kind == EditKind::kInsert) AppendPlainJson(Value(Value::List(edit.values)), out);
    });
  }

  void operator()(const MapDelta& edits) const {
    *out += "\"type\":\"map\",\"updated\":{";
    Separator updated(out);
    for (const MapEdit& edit : edits) {
      if (!edit.value.has_value()) continue;
      updated.Next();
      AppendMember(edit.key, out);
      AppendPlainJson(*edit.value, out);
    }
    *out += "},\"deleted\":[";
    Separator deleted(out);
    for (const MapEdit& edit : edits) {
      if (edit.value.has_value()) continue;
      deleted.Next();
      AppendJsonString(edit.key, out);
    }
    *out += ']';
  }

  void operator()(const TreeDelta& edits) const {
    *out += "\"type\":\"tree\",\"delta\":[";
    Separator separator(out);
    for (const TreeEdit& edit : edits) {
      separator.Next();
      Append(edit);
    }
    *out += ']';
  }

  void operator()(CounterDelta increment) const {
    *out += "\"type\":\"counter\",\"increment\":";
    AppendJsonNumber(increment, out);
  }

 private:
  void Append(const TreeEdit& edit) const {
    const char* const action = edit.kind == TreeEdit::Kind::kCreate ? "create"
                               : edit.kind == TreeEdit::Kind::kMove ? "move"
                                                                    : "delete";
    *out +=
        "{\"action\":\"" + std::string(action) + "\",\"target\":\"" + ToString(edit.node) + "\"";
    if (edit.kind != TreeEdit::Kind::kDelete) {
      *out += ",\"parent\":";
      *out += edit.parent.has_value() ? "\"" + ToString(*edit.parent) + "\"" : "null";
      *out += ",\"index\":" + std::to_string(edit.index) + ",\"fractional_index\":\"" +
              ToHex(edit.position) + "\"";
    }
    *out += '}';
  }
};

}  // namespace

void AppendPlainJson(const Value& value, std::string* out) { value.Visit(ValueWriter{out}); }

std::string ToJson(const DocumentDelta& delta) {
  std::string json = "[";
  Separator separator(&json);
  for (const ContainerDelta& container : delta) {
    separator.Next();
    json += "{\"container\":";
    AppendJsonString(container.container.ToString(), &json);
    json += ',';
    std::visit(DeltaWriter{&json}, container.delta);
    json += '}';
  }
  json += ']';
  return json;
}

}  // namespace merrow::loro
