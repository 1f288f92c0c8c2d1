// SPDX-License-Identifier: Apache-2.0

#include "loro/list_state.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "loro/compact_array.h"
#include "loro/leaf_tree.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

struct ListSum {
  uint32_t values = 0;

  ListSum& operator+=(const ListSum& other) {
    values += other.values;
    return *this;
  }
  ListSum& operator-=(const ListSum& other) {
    values -= other.values;
    return *this;
  }
  friend bool operator==(const ListSum&, const ListSum&) = default;
};

uint32_t Values(const ListSum& sum) { return sum.values; }

bool Continues(const IdRun& run, const IdRun& next) {
  return run.id.Plus(static_cast<Counter>(run.length)) == next.id &&
         run.lamport + run.length == next.lamport;
}

/// What is left of a run after its first `offset` elements.
IdRun From(const IdRun& run, uint32_t offset) {
  return {run.id.Plus(static_cast<Counter>(offset)), run.lamport + offset, run.length - offset};
}

struct ListLeaf : LeafHook<ListLeaf, ListSum> {
  static constexpr uint32_t kValuesMax = 32;

  std::vector<Value> values;
  CompactArray<IdRun> runs;

  uint32_t count() const { return static_cast<uint32_t>(values.size()); }
  ListSum sum() const { return {count()}; }

  /// The run of value `offset` and the offset in it. REQUIRES: offset < count()
  std::pair<uint32_t, uint32_t> RunAt(uint32_t offset) const {
    uint32_t run = 0;
    while (offset >= runs[run].length) {
      offset -= runs[run].length;
      ++run;
    }
    return {run, offset};
  }

  /// Makes a run start at `offset` and returns its index (or the number of runs at the end).
  uint32_t Cut(uint32_t offset) {
    if (offset == count()) {
      return runs.size();
    }
    const auto [run, inside] = RunAt(offset);
    if (inside == 0) {
      return run;
    }
    const IdRun right = From(runs[run], inside);
    runs[run].length = inside;
    runs.Insert(run + 1, right);
    return run + 1;
  }

  void TryMerge(uint32_t run) {
    if (run + 1 < runs.size() && Continues(runs[run], runs[run + 1])) {
      runs[run].length += runs[run + 1].length;
      runs.Erase(run + 1, 1);
    }
  }

  /// Puts the run's values, which `fresh` holds, in front of value `offset`.
  void Insert(uint32_t offset, const IdRun& run, std::span<Value> fresh) {
    const uint32_t at = Cut(offset);
    runs.Insert(at, run);
    values.insert(values.begin() + offset, std::make_move_iterator(fresh.begin()),
                  std::make_move_iterator(fresh.end()));
    TryMerge(at);
    if (at > 0) {
      TryMerge(at - 1);
    }
  }

  void Erase(uint32_t offset, uint32_t size) {
    const uint32_t first = Cut(offset);
    const uint32_t end = Cut(offset + size);
    runs.Erase(first, end - first);
    values.erase(values.begin() + offset, values.begin() + offset + size);
    if (first > 0) {
      TryMerge(first - 1);
    }
  }

  void SplitTo(uint32_t offset, ListLeaf* right) {
    const uint32_t first = Cut(offset);
    right->runs.Insert(0, runs.data() + first, runs.size() - first);
    right->values.assign(std::make_move_iterator(values.begin() + offset),
                         std::make_move_iterator(values.end()));
    runs.Erase(first, runs.size() - first);
    values.erase(values.begin() + offset, values.end());
    values.shrink_to_fit();
  }

  void TakeAll(ListLeaf* right) {
    const uint32_t seam = runs.size();
    runs.Insert(seam, right->runs.data(), right->runs.size());
    values.insert(values.end(), std::make_move_iterator(right->values.begin()),
                  std::make_move_iterator(right->values.end()));
    if (seam > 0) {
      TryMerge(seam - 1);
    }
  }
};

Error OutOfRange(std::string_view what, uint64_t index, uint32_t length) {
  return InvalidArgument(std::string(what) + " " + std::to_string(index) +
                         " is beyond the list's " + std::to_string(length));
}

}  // namespace

struct ListState::Impl {
  struct Spot {
    ListLeaf* leaf = nullptr;
    uint32_t offset = 0;
  };

  LeafTree<ListLeaf, ListSum> tree;

  uint32_t length() const { return tree.total().values; }

  Spot Find(uint32_t index) const {
    Spot spot;
    spot.offset = index;
    spot.leaf = tree.Find(Values, &spot.offset);
    return spot;
  }

  Status CheckInsert(uint32_t index, size_t count) const {
    if (index > length()) {
      return OutOfRange("index", index, length());
    }
    if (count > kListLengthMax - length()) {
      return LimitReached("a list is longer than " + std::to_string(kListLengthMax));
    }
    return {};
  }

  void Insert(uint32_t index, IdRun run, std::span<Value> values) {
    if (tree.empty()) {
      tree.InsertAfter(nullptr, std::make_unique<ListLeaf>());
    }
    Spot spot = Find(index == 0 ? 0 : index - 1);
    spot.offset += index == 0 ? 0 : 1;
    if (spot.leaf->count() + run.length <= ListLeaf::kValuesMax) {
      InsertHere(spot, run, values);
      return;
    }
    const bool at_end = spot.offset == spot.leaf->count();
    if (run.length <= ListLeaf::kValuesMax / 2 && !at_end) {
      const uint32_t middle = spot.leaf->count() / 2;
      ListLeaf* right = Split(spot.leaf, middle);
      if (spot.offset > middle) {
        spot = {right, spot.offset - middle};
      }
      InsertHere(spot, run, values);
      return;
    }
    ListLeaf* right = at_end ? nullptr : Split(spot.leaf, spot.offset);
    AppendLeaves(spot.leaf, run, values);
    if (right != nullptr) {
      Balance(right);
    }
    Balance(spot.leaf);
  }

  void InsertHere(const Spot& spot, const IdRun& run, std::span<Value> values) {
    spot.leaf->Insert(spot.offset, run, values);
    tree.Add(spot.leaf, {run.length});
  }

  ListLeaf* Split(ListLeaf* leaf, uint32_t offset) {
    const ListSum before = leaf->sum();
    auto right = std::make_unique<ListLeaf>();
    leaf->SplitTo(offset, right.get());
    tree.Update(leaf, before);
    return tree.InsertAfter(leaf, std::move(right));
  }

  /// Appends to `leaf`, and when it is full to the next one if that has room or else a new one.
  void AppendLeaves(ListLeaf* leaf, IdRun run, std::span<Value> values) {
    uint32_t room = ListLeaf::kValuesMax - leaf->count();
    if (room < run.length && leaf->next != nullptr &&
        leaf->next->count() + run.length <= ListLeaf::kValuesMax) {
      InsertHere({leaf->next, 0}, run, values);
      return;
    }
    while (run.length > 0) {
      if (room == 0) {
        leaf = tree.InsertAfter(leaf, std::make_unique<ListLeaf>());
        room = ListLeaf::kValuesMax;
      }
      IdRun piece = run;
      piece.length = std::min(run.length, room);
      InsertHere({leaf, leaf->count()}, piece, values.subspan(0, piece.length));
      values = values.subspan(piece.length);
      run = From(run, piece.length);
      room = 0;
    }
  }

  void Delete(uint32_t index, uint32_t count) {
    while (count > 0) {
      const Spot spot = Find(index);
      const uint32_t here = std::min(count, spot.leaf->count() - spot.offset);
      const ListSum before = spot.leaf->sum();
      spot.leaf->Erase(spot.offset, here);
      tree.Update(spot.leaf, before);
      count -= here;
      Balance(spot.leaf);
    }
  }

  /// Joins a small leaf with a neighbour if both fit well into one.
  void Balance(ListLeaf* leaf) {
    if (leaf->count() > ListLeaf::kValuesMax / 4) {
      return;
    }
    if (leaf->next != nullptr && Fits(leaf, leaf->next)) {
      Join(leaf, leaf->next);
    } else if (leaf->previous != nullptr && Fits(leaf->previous, leaf)) {
      Join(leaf->previous, leaf);
    }
  }

  static bool Fits(const ListLeaf* a, const ListLeaf* b) {
    return a->count() == 0 || b->count() == 0 ||
           a->count() + b->count() <= ListLeaf::kValuesMax / 4 * 3;
  }

  void Join(ListLeaf* left, ListLeaf* right) {
    const ListSum before = left->sum();
    const ListSum moved = right->sum();
    left->TakeAll(right);
    tree.Update(left, before);
    tree.Remove(right, moved);
  }
};

ListState::ListState() : impl_(std::make_unique<Impl>()) {}
ListState::~ListState() = default;
ListState::ListState(ListState&&) noexcept = default;
ListState& ListState::operator=(ListState&&) noexcept = default;

uint32_t ListState::length() const { return impl_->length(); }

Status ListState::Insert(uint32_t index, Id id, Lamport lamport, std::vector<Value> values) {
  MERROW_TRY(impl_->CheckInsert(index, values.size()));
  if (!values.empty()) {
    impl_->Insert(index, {id, lamport, static_cast<uint32_t>(values.size())}, values);
  }
  return {};
}

Status ListState::Append(Id id, Lamport lamport, Value value) {
  MERROW_TRY(impl_->CheckInsert(length(), 1));
  impl_->Insert(length(), {id, lamport, 1}, {&value, 1});
  return {};
}

Status ListState::Delete(uint32_t index, uint32_t count) {
  const uint64_t end = uint64_t{index} + count;
  if (end > length()) {
    return OutOfRange("delete up to index", end, length());
  }
  impl_->Delete(index, count);
  return {};
}

const Value* ListState::Get(uint32_t index) const {
  if (index >= length()) {
    return nullptr;
  }
  const Impl::Spot spot = impl_->Find(index);
  return &spot.leaf->values[spot.offset];
}

Result<IdRun> ListState::IdAt(uint32_t index) const {
  if (index >= length()) {
    return OutOfRange("index", index, length());
  }
  const Impl::Spot spot = impl_->Find(index);
  const auto [run, offset] = spot.leaf->RunAt(spot.offset);
  IdRun id = From(spot.leaf->runs[run], offset);
  id.length = 1;
  return id;
}

Result<std::vector<DeleteRun>> ListState::RunsForDelete(uint32_t index, uint32_t count) const {
  const uint64_t end = uint64_t{index} + count;
  if (end > length()) {
    return OutOfRange("delete up to index", end, length());
  }
  std::vector<DeleteRun> runs;
  if (count == 0) {
    return runs;
  }
  const Impl::Spot spot = impl_->Find(index);
  const ListLeaf* leaf = spot.leaf;
  auto [run, skip] = leaf->RunAt(spot.offset);
  while (count > 0) {
    IdRun here = From(leaf->runs[run], skip);
    here.length = std::min(here.length, count);
    const bool goes_on =
        !runs.empty() && runs.back().first.Plus(static_cast<Counter>(runs.back().count)) == here.id;
    if (goes_on) {
      runs.back().count += here.length;
    } else {
      runs.push_back({index, here.id, here.length});
    }
    index += here.length;
    count -= here.length;
    skip = 0;
    if (++run == leaf->runs.size()) {
      leaf = leaf->next;
      run = 0;
    }
  }
  std::reverse(runs.begin(), runs.end());
  return runs;
}

void ListState::ForEach(const std::function<void(const IdRun&, const Value&)>& visit) const {
  for (const ListLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    uint32_t at = 0;
    for (const IdRun& run : leaf->runs.span()) {
      for (uint32_t i = 0; i < run.length; ++i) {
        visit({run.id.Plus(static_cast<Counter>(i)), run.lamport + i, 1}, leaf->values[at++]);
      }
    }
  }
}

size_t ListState::MemoryBytes() const {
  size_t bytes = sizeof(Impl) + impl_->tree.InnerBytes();
  for (const ListLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    bytes += sizeof(ListLeaf) + leaf->values.capacity() * sizeof(Value) +
             leaf->runs.capacity() * sizeof(IdRun);
    for (const Value& value : leaf->values) {
      bytes += value.HeapBytes();
    }
  }
  return bytes;
}

void ListState::CheckInvariants() const {
  impl_->tree.CheckInvariants();
  for (const ListLeaf* leaf = impl_->tree.first(); leaf != nullptr; leaf = leaf->next) {
    MERROW_CHECK(leaf->count() <= ListLeaf::kValuesMax);
    MERROW_CHECK(leaf->count() > 0 || impl_->tree.leaf_count() == 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < leaf->runs.size(); ++i) {
      MERROW_CHECK(leaf->runs[i].length > 0);
      MERROW_CHECK(i == 0 || !Continues(leaf->runs[i - 1], leaf->runs[i]));
      count += leaf->runs[i].length;
    }
    MERROW_CHECK(count == leaf->count());
  }
}

}  // namespace merrow::loro
