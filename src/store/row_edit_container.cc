// SPDX-License-Identifier: Apache-2.0
#include "store/row_edit_container.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "loro/json_value.h"
#include "loro/json_writer.h"
#include "loro/utf8.h"
#include "merrow/check.h"
#include "store/row_edit.h"
#include "store/row_edit_diff.h"

namespace merrow::store {
namespace {

using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;
using loro::Value;

/// Items of a movable list that are moved rather than written anew; finding one costs the list's
/// length.
constexpr size_t kMovesMax = 1024;

constexpr double kTwoTo63 = 9223372036854775808.0;

/// Text that is equal for values that look the same. Recursion is bounded by kValueDepthMax.
void AppendCanonical(const Value& value, const Document* document, std::string* out) {
  if (const auto* number = value.If<double>()) {
    const bool whole = *number == std::trunc(*number) && *number >= -kTwoTo63 && *number < kTwoTo63;
    if (whole) {
      *out += std::to_string(static_cast<int64_t>(*number));
    } else {
      loro::AppendJsonNumber(*number, out);
    }
  } else if (const auto* integer = value.If<int64_t>()) {
    *out += std::to_string(*integer);
  } else if (const auto* flag = value.If<bool>()) {
    *out += *flag ? "true" : "false";
  } else if (const auto* text = value.If<std::string>()) {
    loro::AppendJsonString(*text, out);
  } else if (const auto* binary = value.If<Value::Binary>()) {
    out->push_back('[');
    for (const char byte : binary->bytes) {
      *out += std::to_string(static_cast<unsigned char>(byte)) + ",";
    }
    out->push_back(']');
  } else if (const auto* list = value.If<Value::List>()) {
    out->push_back('[');
    for (const Value& item : *list) {
      AppendCanonical(item, document, out);
      out->push_back(',');
    }
    out->push_back(']');
  } else if (const auto* map = value.If<Value::Map>()) {
    out->push_back('{');
    for (const auto& [key, item] : *map) {
      loro::AppendJsonString(key, out);
      out->push_back(':');
      AppendCanonical(item, document, out);
      out->push_back(',');
    }
    out->push_back('}');
  } else if (const auto* child = value.If<ContainerId>()) {
    std::string json;
    if (document != nullptr) {
      document->AppendJson(*child, &json);
    }
    const Result<Value> plain = loro::ParseJsonValue(json);
    if (plain.ok()) {
      AppendCanonical(*plain, nullptr, out);
    } else {
      *out += json;
    }
  } else {
    *out += "null";
  }
}

std::string Canonical(const Value& value, const Document& document) {
  std::string text;
  AppendCanonical(value, &document, &text);
  return text;
}

/// Can a container of that kind show the value?
bool CanShow(ContainerKind kind, const Value& value) {
  switch (kind) {
    case ContainerKind::kText:
      return value.If<std::string>() != nullptr;
    case ContainerKind::kCounter:
      return value.If<double>() != nullptr || value.If<int64_t>() != nullptr;
    case ContainerKind::kMap:
      return value.If<Value::Map>() != nullptr;
    case ContainerKind::kList:
    case ContainerKind::kMovableList:
    case ContainerKind::kTree:
      return value.If<Value::List>() != nullptr;
  }
  return false;
}

/// The child that `slot` holds, if it can show `wanted`.
const ContainerId* ChildFor(const Value& slot, const Value& wanted) {
  const ContainerId* const child = slot.If<ContainerId>();
  return child != nullptr && CanShow(child->kind(), wanted) ? child : nullptr;
}

Result<bool> EditText(const ContainerId& id, const std::string& wanted, Document& document) {
  const std::string shown = document.Text(id);
  const std::vector<Hunk> hunks = DiffText(shown, wanted);
  // From the back, so that what is in front keeps its place.
  for (auto hunk = hunks.rbegin(); hunk != hunks.rend(); ++hunk) {
    if (hunk->old_count > 0) {
      MERROW_TRY(document.TextDelete(id, hunk->old_at, hunk->old_count));
    }
    if (hunk->new_count > 0) {
      const std::string_view inserted = loro::SliceScalars(
          wanted, static_cast<uint32_t>(hunk->new_at), static_cast<uint32_t>(hunk->new_count));
      MERROW_TRY(document.TextInsert(id, hunk->old_at, inserted));
    }
  }
  return !hunks.empty();
}

Result<bool> EditCounter(const ContainerId& id, const Value& wanted, Document& document) {
  const int64_t* const integer = wanted.If<int64_t>();
  const double number = integer != nullptr ? static_cast<double>(*integer) : *wanted.If<double>();
  bool any = false;
  // The sum is rounded: where the numbers are of very different sizes, what is left of the
  // difference is another increment.
  constexpr int kIncrementsMax = 4;
  for (int i = 0; i < kIncrementsMax; ++i) {
    const double now = document.CounterValue(id);
    const double difference = number - now;
    if (difference == 0) {
      break;
    }
    // What is too far away is reached by way of 0.
    MERROW_TRY(document.CounterIncrement(id, std::isfinite(difference) ? difference : -now));
    any = true;
  }
  return any;
}

Result<bool> EditMap(const ContainerId& id, const Value::Map& wanted, Document& document) {
  bool any = false;
  const auto has = [&wanted](const std::string& key) {
    return std::binary_search(wanted.begin(), wanted.end(), std::pair(key, Value()),
                              [](const auto& a, const auto& b) { return a.first < b.first; });
  };
  for (const std::string& key : document.MapKeys(id)) {
    if (!has(key)) {
      MERROW_TRY(document.MapDelete(id, key));
      any = true;
    }
  }
  for (const auto& [key, value] : wanted) {
    const std::optional<Value> slot = document.MapGet(id, key);
    if (slot.has_value() && Canonical(*slot, document) == Canonical(value, document)) {
      continue;
    }
    const ContainerId* const child = slot.has_value() ? ChildFor(*slot, value) : nullptr;
    if (child != nullptr) {
      MERROW_ASSIGN(const bool edited, EditContainer(*child, value, document));
      any = any || edited;
      continue;
    }
    MERROW_TRY(document.MapSet(id, key, value));
    any = true;
  }
  return any;
}

// --- Lists.

/// Makes a List or MovableList show `wanted`. First it is decided what becomes of every item, then
/// the ops are made from front to back, on a copy of the list that says which item stands where.
class ListEdit {
 public:
  ListEdit(const ContainerId& id, const Value::List& wanted, Document& document)
      : id_(id),
        wanted_(wanted),
        document_(document),
        is_movable_(id.kind() == ContainerKind::kMovableList) {}

  Result<bool> Run() {
    Plan();
    MERROW_TRY(DeleteItems());
    MERROW_TRY(PlaceItems());
    return any_;
  }

 private:
  static constexpr uint32_t kNew = UINT32_MAX;

  /// An item's place in `old_items_` by its number, what it looks like as a number.
  void Plan() {
    std::unordered_map<std::string, uint32_t> numbers;
    const auto number = [&](const Value& value) {
      const auto next = static_cast<uint32_t>(numbers.size());
      return numbers.try_emplace(Canonical(value, document_), next).first->second;
    };
    const size_t length = document_.Length(id_);
    std::vector<uint32_t> old_looks;
    std::vector<uint32_t> new_looks;
    for (size_t i = 0; i < length; ++i) {
      items_.push_back(document_.ListGet(id_, i).value_or(Value()));
      old_looks.push_back(number(items_.back()));
      standing_.push_back(static_cast<uint32_t>(i));
    }
    for (const Value& value : wanted_) {
      new_looks.push_back(number(value));
    }
    source_.assign(wanted_.size(), kNew);
    stays_.assign(items_.size(), false);
    used_.assign(items_.size(), false);
    const std::vector<Hunk> hunks = DiffItems(old_looks, new_looks);
    KeepEqual(hunks);
    if (is_movable_) {
      FindMoves(hunks, old_looks, new_looks);
    }
    PairReplaced(hunks);
  }

  void Keep(size_t old_at, size_t new_at, bool stays) {
    source_[new_at] = static_cast<uint32_t>(old_at);
    used_[old_at] = true;
    stays_[old_at] = stays;
  }

  void KeepEqual(const std::vector<Hunk>& hunks) {
    size_t old_at = 0;
    size_t new_at = 0;
    for (const Hunk& hunk : hunks) {
      while (old_at < hunk.old_at) Keep(old_at++, new_at++, true);
      old_at += hunk.old_count;
      new_at += hunk.new_count;
    }
    while (old_at < items_.size()) Keep(old_at++, new_at++, true);
  }

  /// Items that went from one hunk to another.
  void FindMoves(const std::vector<Hunk>& hunks, const std::vector<uint32_t>& old_looks,
                 const std::vector<uint32_t>& new_looks) {
    std::unordered_map<uint32_t, std::vector<size_t>> gone;  // by look; last first
    for (auto hunk = hunks.rbegin(); hunk != hunks.rend(); ++hunk) {
      for (size_t i = hunk->old_count; i > 0; --i) {
        const size_t old_at = hunk->old_at + i - 1;
        gone[old_looks[old_at]].push_back(old_at);
      }
    }
    size_t moves = 0;
    for (const Hunk& hunk : hunks) {
      for (size_t new_at = hunk.new_at; new_at < hunk.new_at + hunk.new_count; ++new_at) {
        const auto found = gone.find(new_looks[new_at]);
        if (found != gone.end() && !found->second.empty() && moves < kMovesMax) {
          Keep(found->second.back(), new_at, false);
          found->second.pop_back();
          ++moves;
        }
      }
    }
  }

  /// What of a hunk is left over on both sides: the new value goes into the next old item that can
  /// take it.
  void PairReplaced(const std::vector<Hunk>& hunks) {
    for (const Hunk& hunk : hunks) {
      const size_t new_end = hunk.new_at + hunk.new_count;
      size_t new_at = hunk.new_at;
      for (size_t old_at = hunk.old_at; old_at < hunk.old_at + hunk.old_count; ++old_at) {
        if (used_[old_at]) continue;
        size_t taker = new_at;
        while (taker < new_end && !CanTake(old_at, taker)) ++taker;
        if (taker == new_end) continue;
        Keep(old_at, taker, true);
        new_at = taker + 1;
      }
    }
  }

  bool CanTake(size_t old_at, size_t new_at) const {
    const Value& item = items_[old_at];
    const bool is_plain = item.If<ContainerId>() == nullptr;
    return source_[new_at] == kNew &&
           (is_plain ? is_movable_ : ChildFor(item, wanted_[new_at]) != nullptr);
  }

  Status DeleteItems() {
    for (size_t end = items_.size(); end > 0;) {
      if (used_[end - 1]) {
        --end;
        continue;
      }
      size_t begin = end - 1;
      while (begin > 0 && !used_[begin - 1]) --begin;
      MERROW_TRY(document_.ListDelete(id_, begin, end - begin));
      standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(begin),
                      standing_.begin() + static_cast<ptrdiff_t>(end));
      any_ = true;
      end = begin;
    }
    return {};
  }

  Status PlaceItems() {
    size_t next = 0;  // where the item belongs: all in front of it are in place, but for movers
    for (size_t new_at = 0; new_at < wanted_.size(); ++new_at) {
      const uint32_t item = source_[new_at];
      if (item == kNew) {
        MERROW_TRY(document_.ListInsert(id_, next, wanted_[new_at]));
        standing_.insert(standing_.begin() + static_cast<ptrdiff_t>(next), kNew);
        any_ = true;
      } else if (stays_[item]) {
        // Items that will be moved away may stand in front of it.
        while (standing_[next] != item) ++next;
        MERROW_TRY(EditItem(next, items_[item], wanted_[new_at]));
      } else {
        MERROW_TRY(MoveItem(item, &next));
      }
      ++next;
    }
    return {};
  }

  Status MoveItem(uint32_t item, size_t* to) {
    const auto found = std::find(standing_.begin(), standing_.end(), item);
    MERROW_CHECK(found != standing_.end());
    const auto from = static_cast<size_t>(found - standing_.begin());
    // Taking it away from in front of its place shifts that by one.
    if (from < *to) --*to;
    if (from != *to) {
      MERROW_TRY(document_.MovableListMove(id_, from, *to));
      any_ = true;
    }
    standing_.erase(found);
    standing_.insert(standing_.begin() + static_cast<ptrdiff_t>(*to), item);
    return {};
  }

  Status EditItem(size_t at, const Value& item, const Value& value) {
    if (Canonical(item, document_) == Canonical(value, document_)) {
      return {};
    }
    if (const ContainerId* const child = ChildFor(item, value)) {
      MERROW_ASSIGN(const bool edited, EditContainer(*child, value, document_));
      any_ = any_ || edited;
      return {};
    }
    any_ = true;
    return document_.MovableListSet(id_, at, value);
  }

  const ContainerId& id_;
  const Value::List& wanted_;
  Document& document_;
  const bool is_movable_;
  bool any_ = false;
  std::vector<Value> items_;        // as they were
  std::vector<uint32_t> source_;    // of each wanted item: which of `items_`, or kNew
  std::vector<bool> used_;          // of each of `items_`: it is still wanted
  std::vector<bool> stays_;         // and is not moved
  std::vector<uint32_t> standing_;  // the list as it is now
};

}  // namespace

bool SameJson(const Value& a, const Value& b) {
  std::string first;
  std::string second;
  AppendCanonical(a, nullptr, &first);
  AppendCanonical(b, nullptr, &second);
  return first == second;
}

Result<bool> EditContainer(const ContainerId& id, const Value& wanted, Document& document) {
  MERROW_CHECK(CanShow(id.kind(), wanted));
  switch (id.kind()) {
    case ContainerKind::kText:
      return EditText(id, *wanted.If<std::string>(), document);
    case ContainerKind::kCounter:
      return EditCounter(id, wanted, document);
    case ContainerKind::kMap:
      return EditMap(id, *wanted.If<Value::Map>(), document);
    case ContainerKind::kList:
    case ContainerKind::kMovableList:
      return ListEdit(id, *wanted.If<Value::List>(), document).Run();
    case ContainerKind::kTree:
      return EditTree(id, wanted, document);
  }
  return Unsupported("containers of kind " + loro::ContainerKindName(id.kind()) +
                     " cannot be edited");
}

}  // namespace merrow::store
