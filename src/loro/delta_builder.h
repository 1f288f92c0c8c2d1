// SPDX-License-Identifier: Apache-2.0
//
// Delta builders: make the delta of a text or list from steps in document order, in its shortest
// form. Between two retained stretches inserts come first and one delete after them; neighbours of
// one kind (and with equal attributes) are one step; a plain retain at the end is left out.

#pragma once

#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "merrow/delta.h"

namespace merrow::loro {

class TextDeltaBuilder {
 public:
  void Retain(uint32_t length, Attributes changes = {}) {
    if (length == 0) return;
    FlushDelete();
    Add({.kind = EditKind::kRetain,
         .length = length,
         .text = {},
         .attributes = std::move(changes)});
  }
  /// `length` is the number of scalars in `text`.
  void Insert(uint32_t length, std::string_view text, Attributes attributes) {
    if (length == 0) return;
    Add({.kind = EditKind::kInsert,
         .length = length,
         .text = std::string(text),
         .attributes = std::move(attributes)});
  }
  void Delete(uint32_t length) { deleted_ += length; }

  TextDelta Finish() {
    FlushDelete();
    const bool ends_plain = !delta_.empty() && delta_.back().kind == EditKind::kRetain &&
                            delta_.back().attributes.empty();
    if (ends_plain) delta_.pop_back();
    return std::move(delta_);
  }

 private:
  void FlushDelete() {
    if (deleted_ == 0) return;
    delta_.push_back({.kind = EditKind::kDelete, .length = deleted_, .text = {}, .attributes = {}});
    deleted_ = 0;
  }
  void Add(TextEdit edit) {
    if (!delta_.empty() && delta_.back().kind == edit.kind &&
        delta_.back().attributes == edit.attributes) {
      delta_.back().length += edit.length;
      delta_.back().text += edit.text;
    } else {
      delta_.push_back(std::move(edit));
    }
  }

  TextDelta delta_;
  uint32_t deleted_ = 0;  // behind the inserts that are in delta_ already
};

class ListDeltaBuilder {
 public:
  void Retain(uint32_t length) {
    if (length == 0) return;
    FlushDelete();
    Last(EditKind::kRetain).length += length;
  }
  void Insert(Value value) {
    ListEdit& edit = Last(EditKind::kInsert);
    ++edit.length;
    edit.values.push_back(std::move(value));
  }
  void Insert(std::vector<Value> values) {
    if (values.empty()) return;
    ListEdit& edit = Last(EditKind::kInsert);
    edit.length += static_cast<uint32_t>(values.size());
    edit.values.insert(edit.values.end(), std::make_move_iterator(values.begin()),
                       std::make_move_iterator(values.end()));
  }
  void Delete(uint32_t length) { deleted_ += length; }

  ListDelta Finish() {
    FlushDelete();
    if (!delta_.empty() && delta_.back().kind == EditKind::kRetain) delta_.pop_back();
    return std::move(delta_);
  }

 private:
  void FlushDelete() {
    if (deleted_ == 0) return;
    delta_.push_back({.kind = EditKind::kDelete, .length = deleted_, .values = {}});
    deleted_ = 0;
  }
  ListEdit& Last(EditKind kind) {
    if (delta_.empty() || delta_.back().kind != kind) {
      delta_.push_back({.kind = kind, .length = 0, .values = {}});
    }
    return delta_.back();
  }

  ListDelta delta_;
  uint32_t deleted_ = 0;
};

}  // namespace merrow::loro
