// SPDX-License-Identifier: Apache-2.0

#include "loro/sequence_tracker.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "loro/leaf_tree.h"
#include "loro/sequence_index.h"
#include "loro/tie_break.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

/// Status of the elements of a run. The low bits count how many ops of the current version delete
/// it.
constexpr uint32_t kFuture = 0x80000000;  // not inserted yet at the current version
constexpr uint32_t kDead = 0x40000000;    // deleted in the effect
constexpr uint32_t kMoved = 0x20000000;   // put here by a move op; such a run stays alone
constexpr uint32_t kDeletesMask = kMoved - 1;

/// Elements with consecutive ids, each the origin_left of the next, with the same origin_right.
struct Run {
  Atom first;
  uint32_t length = 0;
  uint32_t status = 0;
  Atom origin_left;  // of the first element
  Atom origin_right;

  bool future() const { return (status & kFuture) != 0; }
  bool dead() const { return (status & kDead) != 0; }
  bool visible() const { return (status & (kFuture | kDeletesMask)) == 0; }
  Atom last() const { return first.Plus(length - 1); }
  bool Contains(Atom atom) const {
    return atom.peer == first.peer &&
           static_cast<uint32_t>(atom.counter) - static_cast<uint32_t>(first.counter) < length;
  }
  /// origin_left of the element at `offset`.
  Atom OriginLeft(uint32_t offset) const {
    return offset == 0 ? origin_left : first.Plus(offset - 1);
  }
};

struct TrackerSum {
  uint32_t visible = 0;  // elements visible at the current version
  uint32_t effect = 0;   // elements visible in the effect
  uint32_t known = 0;    // elements that are not future

  TrackerSum& operator+=(const TrackerSum& other) {
    visible += other.visible;
    effect += other.effect;
    known += other.known;
    return *this;
  }
  TrackerSum& operator-=(const TrackerSum& other) {
    visible -= other.visible;
    effect -= other.effect;
    known -= other.known;
    return *this;
  }
  friend bool operator==(const TrackerSum&, const TrackerSum&) = default;
};

uint32_t Visible(const TrackerSum& sum) { return sum.visible; }
uint32_t Known(const TrackerSum& sum) { return sum.known; }

TrackerSum SumOf(const Run& run) {
  return {run.visible() ? run.length : 0, run.dead() ? 0 : run.length,
          run.future() ? 0 : run.length};
}

struct Leaf : LeafHook<Leaf, TrackerSum> {
  static constexpr uint32_t kRuns = 32;

  uint32_t index = 0;  // in the tracker's list of leaves
  uint32_t count = 0;
  std::array<Run, kRuns> runs;

  TrackerSum sum() const {
    TrackerSum sum;
    for (uint32_t i = 0; i < count; ++i) {
      sum += SumOf(runs[i]);
    }
    return sum;
  }
};

/// A place between two elements or at one: `offset` elements into run `run` of `leaf`.
struct Place {
  Leaf* leaf = nullptr;
  uint32_t run = 0;
  uint32_t offset = 0;

  Run& Get() const { return leaf->runs[run]; }
};

}  // namespace

class SequenceTracker::Impl {
 public:
  explicit Impl(uint32_t base_length) {
    AddLeaf(nullptr, std::make_unique<Leaf>());
    AddBase(base_length);
  }

  /// Whether there is no more to forget than a new tracker would have to make.
  bool is_small() const { return leaves_.size() == 1; }

  /// REQUIRES: is_small()
  void Restart(uint32_t base_length) {
    Leaf* leaf = tree_.first();
    const TrackerSum before = leaf->sum();
    leaf->count = 0;
    tree_.Update(leaf, before);
    index_.Clear();
    elements_ = 0;
    AddBase(base_length);
  }

  /// REQUIRES: there is nothing yet
  void AddBase(uint32_t base_length) {
    MERROW_CHECK(base_length <= kTrackerElementsMax);
    Leaf* leaf = tree_.first();
    if (base_length > 0) {
      leaf->runs[leaf->count++] = {{kBasePeer, 0}, base_length, 0, {}, {}};
      tree_.Add(leaf, SumOf(leaf->runs[0]));
      elements_ = base_length;
    }
  }

  Result<uint32_t> Insert(Id id, uint32_t length, uint32_t position) {
    MERROW_CHECK(length > 0);
    if (position > tree_.total().visible) {
      return OutOfRange("insert", id, position);
    }
    MERROW_TRY(CheckRoom(length));
    const Atom first{index_.Intern(id.peer), id.counter};
    const Inserted inserted = InsertRun({first, length, 0, {}, {}}, position);
    index_.RecordInsert(first, length, inserted.leaf->index);
    return inserted.effect;
  }

  Status Delete(Id id, uint32_t position, int32_t signed_length, std::vector<Deleted>* deleted) {
    MERROW_CHECK(signed_length != 0);
    const bool backwards = signed_length < 0;
    const uint32_t length = backwards ? 0u - static_cast<uint32_t>(signed_length)
                                      : static_cast<uint32_t>(signed_length);
    const uint64_t start = backwards ? uint64_t{position} + 1 - length : position;
    if ((backwards && length > uint64_t{position} + 1) || start + length > tree_.total().visible) {
      return OutOfRange("delete", id, position);
    }
    hit_.clear();
    DeleteVisible(static_cast<uint32_t>(start), length, deleted);
    RecordHits({index_.Intern(id.peer), id.counter}, backwards);
    return {};
  }

  Result<Moved> Move(Id id, uint32_t from, uint32_t to) {
    if (from >= tree_.total().visible || to >= tree_.total().visible) {
      return OutOfRange("move", id, std::max(from, to));
    }
    MERROW_TRY(CheckRoom(1));
    hit_.clear();
    moved_.clear();
    DeleteVisible(from, 1, &moved_);
    const Atom op{index_.Intern(id.peer), id.counter};
    const Inserted inserted = InsertRun({op, 1, kMoved, {}, {}}, to);
    index_.RecordMove(op, hit_[0].first, inserted.leaf->index);
    Moved result;
    result.was_visible = !moved_.empty();
    result.from = moved_.empty() ? 0 : moved_[0].position;
    result.to = inserted.effect;
    return result;
  }

  void Retreat(const IdSpan& span) {
    index_.ForEachEffect(
        span, [&](AtomSpan atoms) { SetFuture(atoms, true); },
        [&](AtomSpan atoms) { CountDelete(atoms, false); });
  }

  void Advance(const IdSpan& span) {
    index_.ForEachEffect(
        span, [&](AtomSpan atoms) { SetFuture(atoms, false); },
        [&](AtomSpan atoms) { CountDelete(atoms, true); });
  }

  bool HasInsert(Id id) const {
    if (!index_.IsInsert(id)) return false;
    const Atom atom{index_.Find(id.peer), id.counter};
    const Leaf& leaf = *leaves_[index_.LeafOf(atom)];
    for (uint32_t i = 0; i < leaf.count; ++i) {
      if (leaf.runs[i].Contains(atom)) return !leaf.runs[i].future();
    }
    MERROW_CHECK(false);
  }

  const TrackerSum& total() const { return tree_.total(); }

  std::vector<EffectRun> EffectRuns() const {
    std::vector<EffectRun> runs;
    for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      for (uint32_t i = 0; i < leaf->count; ++i) {
        const Run& run = leaf->runs[i];
        if (run.dead()) {
          continue;
        }
        EffectRun& effect = runs.emplace_back();
        effect.length = run.length;
        effect.is_base = run.first.peer == kBasePeer;
        if (effect.is_base) {
          effect.base_offset = static_cast<uint32_t>(run.first.counter);
        } else {
          effect.id = {index_.peer_id(run.first.peer), run.first.counter};
        }
      }
    }
    return runs;
  }

  std::optional<uint32_t> EffectPositionOf(Id id) const {
    const PeerIndex peer = index_.Find(id.peer);
    if (peer == kNoPeerIndex) return std::nullopt;
    return EffectPositionOf(Atom{peer, id.counter});
  }

  std::optional<uint32_t> EffectPositionOf(Atom atom) const {
    uint32_t effect = 0;
    for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      for (uint32_t i = 0; i < leaf->count; ++i) {
        const Run& run = leaf->runs[i];
        if (run.Contains(atom)) {
          return effect +
                 (run.dead() ? 0 : static_cast<uint32_t>(atom.counter - run.first.counter));
        }
        effect += SumOf(run).effect;
      }
    }
    return std::nullopt;
  }

  size_t run_count() const {
    size_t count = 0;
    for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      count += leaf->count;
    }
    return count;
  }

  size_t MemoryBytes() const {
    return sizeof(Impl) + tree_.leaf_count() * sizeof(Leaf) + tree_.InnerBytes() +
           leaves_.capacity() * sizeof(Leaf*) + index_.MemoryBytes();
  }

  void CheckInvariants() const {
    tree_.CheckInvariants();
    uint64_t elements = 0;
    for (const Leaf* leaf = tree_.first(); leaf != nullptr; leaf = leaf->next) {
      MERROW_CHECK(leaves_[leaf->index] == leaf);
      MERROW_CHECK(leaf->count > 0 || tree_.leaf_count() == 1);
      for (uint32_t i = 0; i < leaf->count; ++i) {
        const Run& run = leaf->runs[i];
        MERROW_CHECK(run.length > 0);
        MERROW_CHECK((run.status & kDeletesMask) == 0 || run.dead());
        MERROW_CHECK(run.first.peer != kBasePeer || !run.future());
        elements += run.length;
        for (uint32_t k = 0; k < std::min(run.length, 1000u); ++k) {
          MERROW_CHECK(index_.LeafOf(run.first.Plus(k)) == leaf->index);
        }
        MERROW_CHECK(index_.LeafOf(run.last()) == leaf->index);
      }
    }
    MERROW_CHECK(elements == elements_);
  }

 private:
  struct Inserted {
    Leaf* leaf = nullptr;
    uint32_t effect = 0;
  };

  // --- Insert ---

  /// Fugue: finds the place and puts the run there.
  Inserted InsertRun(Run fresh, uint32_t position) {
    elements_ += fresh.length;
    TrackerSum before;
    Place place = FindGap(position, &before);
    if (place.offset > 0) {
      fresh.origin_left = place.Get().first.Plus(place.offset - 1);
    }
    const Leaf* const found_leaf = place.leaf;
    place = PlaceAmongConcurrent(place, &fresh);
    if (place.leaf != found_leaf) {
      before = tree_.Before(place.leaf);
    }
    uint32_t effect = before.effect;
    for (uint32_t i = 0; i < place.run; ++i) {
      effect += SumOf(place.leaf->runs[i]).effect;
    }
    if (place.offset > 0 && !place.Get().dead()) {
      effect += place.offset;
    }
    if (CanExtend(place, fresh)) {
      place.Get().length += fresh.length;
      tree_.Add(place.leaf, SumOf(fresh));
      return {place.leaf, effect};
    }
    return {PutRun(place, fresh), effect};
  }

  /// The place behind the `position`-th visible element (counted from 1), or the very front.
  Place FindGap(uint32_t position, TrackerSum* before) {
    if (position == 0) {
      return {tree_.first(), 0, 0};
    }
    Place place = FindVisible(position - 1, before);
    ++place.offset;
    return place;
  }

  Place FindVisible(uint32_t position, TrackerSum* before) {
    Place place;
    place.leaf = tree_.Find(Visible, &position, before);
    while (true) {
      const Run& run = place.Get();
      if (run.visible()) {
        if (position < run.length) {
          place.offset = position;
          return place;
        }
        position -= run.length;
      }
      ++place.run;
    }
  }

  /// Sets origin_right and returns where the run goes, given the place right behind origin_left.
  Place PlaceAmongConcurrent(Place place, Run* fresh) {
    if (place.offset > 0 && place.offset < place.Get().length) {
      fresh->origin_right = place.Get().first.Plus(place.offset);
      return place;
    }
    const Place next = NextRun(place);
    if (next.leaf == nullptr) {
      return place;
    }
    if (!next.Get().future()) {
      fresh->origin_right = next.Get().first;
      return place;
    }
    const Place right = NextKnown(next);
    if (right.leaf != nullptr) {
      fresh->origin_right = right.Get().first;
    }
    return ScanConcurrent(place, next, right, *fresh);
  }

  /// The scan of Fugue over the concurrent runs from `next` up to `right`.
  Place ScanConcurrent(Place start, Place next, const Place& right, const Run& fresh) {
    const PeerId peer = index_.peer_id(fresh.first.peer);
    Place parent_right;
    if (right.leaf != nullptr && right.Get().origin_left == fresh.origin_left) {
      parent_right = right;
    }
    Place result = start;
    const Run* previous = nullptr;
    bool scanning = false;
    for (; next.leaf != nullptr && !(next.leaf == right.leaf && next.run == right.run);
         next = NextRun({next.leaf, next.run, next.Get().length})) {
      const Run& other = next.Get();
      if (other.origin_left == fresh.origin_left) {
        if (other.origin_right == fresh.origin_right) {
          if (SiblingStandsBefore(peer, index_.peer_id(other.first.peer))) {
            break;
          }
          scanning = false;
        } else {
          const int order = Compare(ParentRight(other), parent_right);
          if (order == 0 && SiblingStandsBefore(peer, index_.peer_id(other.first.peer))) {
            break;
          }
          scanning = order < 0;
        }
      } else if (!WasScanned(other.origin_left, previous, start, fresh)) {
        break;
      }
      previous = &other;
      if (!scanning) {
        result = {next.leaf, next.run, other.length};
      }
    }
    return result;
  }

  /// True if `atom` stands behind the start of the scan. Only atoms in front of the scan's current
  /// run are asked for.
  bool WasScanned(Atom atom, const Run* previous, const Place& start, const Run& fresh) const {
    if (atom.none()) {
      return false;
    }
    if (fresh.origin_left.none() || (previous != nullptr && previous->Contains(atom))) {
      return true;
    }
    const Place place = Locate(atom);
    if (place.leaf == start.leaf) {
      return place.run > start.run;
    }
    return tree_.Precedes(start.leaf, place.leaf);
  }

  /// The element that bounds `other` on the right among its siblings; no leaf if none does.
  Place ParentRight(const Run& other) const {
    if (other.origin_right.none()) {
      return {};
    }
    const Place place = Locate(other.origin_right);
    return place.Get().OriginLeft(place.offset) == other.origin_left ? place : Place();
  }

  /// Document order of two places, of which no leaf means the end.
  int Compare(const Place& a, const Place& b) const {
    if (a.leaf == nullptr || b.leaf == nullptr) {
      return static_cast<int>(a.leaf == nullptr) - static_cast<int>(b.leaf == nullptr);
    }
    if (a.leaf != b.leaf) {
      return tree_.Precedes(a.leaf, b.leaf) ? -1 : 1;
    }
    if (a.run != b.run) {
      return a.run < b.run ? -1 : 1;
    }
    return static_cast<int>(a.offset > b.offset) - static_cast<int>(a.offset < b.offset);
  }

  /// The run that starts at or after `place`, whose offset is 0 or the end of its run.
  static Place NextRun(Place place) {
    if (place.offset > 0) {
      ++place.run;
      place.offset = 0;
    }
    if (place.run < place.leaf->count) {
      return place;
    }
    return {place.leaf->next, 0, 0};
  }

  /// The first run from `place` on that is not future; no leaf if there is none.
  Place NextKnown(Place place) const {
    while (place.leaf != nullptr) {
      for (; place.run < place.leaf->count; ++place.run) {
        if (!place.Get().future()) {
          return place;
        }
      }
      place = {tree_.FindAfter(place.leaf, Known), 0, 0};
    }
    return {};
  }

  static bool CanExtend(const Place& place, const Run& fresh) {
    if (place.offset == 0 || fresh.status != 0) {
      return false;
    }
    const Run& run = place.Get();
    return place.offset == run.length && run.status == 0 &&
           run.first.Plus(run.length) == fresh.first && run.last() == fresh.origin_left &&
           run.origin_right == fresh.origin_right;
  }

  Leaf* PutRun(Place place, const Run& fresh) {
    MakeRoom(&place);
    if (place.offset > 0) {
      SplitRun(place.leaf, place.run, place.offset);
      ++place.run;
    }
    Leaf* leaf = place.leaf;
    std::copy_backward(leaf->runs.begin() + place.run, leaf->runs.begin() + leaf->count,
                       leaf->runs.begin() + leaf->count + 1);
    ++leaf->count;
    leaf->runs[place.run] = fresh;
    tree_.Add(leaf, SumOf(fresh));
    return leaf;
  }

  // --- Delete and status changes ---

  /// Deletes visible elements, appending their atoms to hit_ and what the effect loses to
  /// `deleted`.
  void DeleteVisible(uint32_t start, uint32_t length, std::vector<Deleted>* deleted) {
    TrackerSum before;
    Place place = FindVisible(start, &before);
    while (true) {
      uint32_t effect = before.effect;
      for (uint32_t i = 0; i < place.run; ++i) {
        effect += SumOf(place.leaf->runs[i]).effect;
      }
      effect += place.Get().dead() ? 0 : place.offset;
      const uint32_t count = std::min(place.Get().length - place.offset, length);
      hit_.push_back({place.Get().first.Plus(place.offset), count});
      if (!place.Get().dead()) {
        AddDeleted(effect, count, deleted);
      }
      const uint32_t status = (place.Get().status | kDead) + 1;
      ChangeStatus(place, count, status);
      length -= count;
      if (length == 0) {
        return;
      }
      place = FindVisible(start, &before);
    }
  }

  static void AddDeleted(uint32_t position, uint32_t count, std::vector<Deleted>* deleted) {
    if (!deleted->empty() && deleted->back().position == position) {
      deleted->back().length += count;
    } else {
      deleted->push_back({position, count});
    }
  }

  void RecordHits(Atom op, bool backwards) {
    if (backwards) {
      std::reverse(hit_.begin(), hit_.end());
    }
    for (const AtomSpan& hit : hit_) {
      index_.RecordDelete(op, hit, backwards);
      op = op.Plus(hit.length);
    }
  }

  void SetFuture(AtomSpan atoms, bool future) {
    ForEachRun(atoms, [&](uint32_t status) {
      MERROW_DCHECK(((status & kFuture) != 0) != future);
      return future ? status | kFuture : status & ~kFuture;
    });
  }

  void CountDelete(AtomSpan atoms, bool add) {
    ForEachRun(atoms, [&](uint32_t status) {
      MERROW_DCHECK(add || (status & kDeletesMask) != 0);
      return add ? status + 1 : status - 1;
    });
  }

  template <typename Change>
  void ForEachRun(AtomSpan atoms, Change change) {
    while (atoms.length > 0) {
      const Place place = Locate(atoms.first);
      const uint32_t count = std::min(place.Get().length - place.offset, atoms.length);
      ChangeStatus(place, count, change(place.Get().status));
      atoms.first = atoms.first.Plus(count);
      atoms.length -= count;
    }
  }

  /// Gives `count` elements from `place` on, within one run, another status.
  void ChangeStatus(Place place, uint32_t count, uint32_t status) {
    if (count < place.Get().length) {
      MakeRoom(&place);
      if (place.offset > 0) {
        SplitRun(place.leaf, place.run, place.offset);
        ++place.run;
      }
      if (count < place.Get().length) {
        SplitRun(place.leaf, place.run, count);
      }
    }
    Run& run = place.Get();
    TrackerSum delta;
    delta -= SumOf(run);
    run.status = status;
    delta += SumOf(run);
    tree_.Add(place.leaf, delta);
    if (place.run + 1 < place.leaf->count) {
      TryMerge(place.leaf, place.run);
    }
    if (place.run > 0) {
      TryMerge(place.leaf, place.run - 1);
    }
  }

  /// Joins run `i` with the next one if they continue each other.
  static void TryMerge(Leaf* leaf, uint32_t i) {
    Run& run = leaf->runs[i];
    const Run& next = leaf->runs[i + 1];
    if (run.status != next.status || (run.status & kMoved) != 0 || next.origin_left != run.last() ||
        next.first != run.first.Plus(run.length) || next.origin_right != run.origin_right) {
      return;
    }
    run.length += next.length;
    std::copy(leaf->runs.begin() + i + 2, leaf->runs.begin() + leaf->count,
              leaf->runs.begin() + i + 1);
    --leaf->count;
  }

  // --- Leaves and runs ---

  Place Locate(Atom atom) const {
    Leaf* leaf = leaves_[index_.LeafOf(atom)];
    for (uint32_t i = 0; i < leaf->count; ++i) {
      if (leaf->runs[i].Contains(atom)) {
        return {leaf, i, static_cast<uint32_t>(atom.counter - leaf->runs[i].first.counter)};
      }
    }
    MERROW_CHECK(false && "the index names the leaf of every element");
  }

  Leaf* AddLeaf(Leaf* after, std::unique_ptr<Leaf> leaf) {
    leaf->index = static_cast<uint32_t>(leaves_.size());
    leaves_.push_back(leaf.get());
    return tree_.InsertAfter(after, std::move(leaf));
  }

  /// Cuts run `i` in two, `offset` elements into it. REQUIRES: the leaf is not full.
  static void SplitRun(Leaf* leaf, uint32_t i, uint32_t offset) {
    if (offset == leaf->runs[i].length) {
      return;
    }
    std::copy_backward(leaf->runs.begin() + i, leaf->runs.begin() + leaf->count,
                       leaf->runs.begin() + leaf->count + 1);
    ++leaf->count;
    Run& left = leaf->runs[i];
    Run& right = leaf->runs[i + 1];
    right.origin_left = left.first.Plus(offset - 1);
    right.first = left.first.Plus(offset);
    right.length = left.length - offset;
    left.length = offset;
  }

  /// Splits the leaf of `place` unless it has room for two more runs.
  void MakeRoom(Place* place) {
    Leaf* leaf = place->leaf;
    if (leaf->count + 2 <= Leaf::kRuns) {
      return;
    }
    const uint32_t keep = leaf->count / 2;
    auto fresh = std::make_unique<Leaf>();
    fresh->count = leaf->count - keep;
    std::copy(leaf->runs.begin() + keep, leaf->runs.begin() + leaf->count, fresh->runs.begin());
    leaf->count = keep;
    TrackerSum delta;
    delta -= fresh->sum();
    tree_.Add(leaf, delta);
    Leaf* right = AddLeaf(leaf, std::move(fresh));
    // What is of the base stands there in its order, and all that is in between is here, too.
    AtomSpan base;
    for (uint32_t i = 0; i < right->count; ++i) {
      const AtomSpan run{right->runs[i].first, right->runs[i].length};
      if (run.first.peer != kBasePeer) {
        index_.SetLeaf(run, right->index);
      } else {
        if (base.length == 0) base.first = run.first;
        base.length += run.length;
      }
    }
    if (base.length > 0) index_.SetLeaf(base, right->index);
    if (place->run >= keep) {
      place->leaf = right;
      place->run -= keep;
    }
  }

  Status CheckRoom(uint32_t length) const {
    if (length > kTrackerElementsMax - elements_) {
      return LimitReached("a sequence has more than " + std::to_string(kTrackerElementsMax) +
                          " elements");
    }
    return {};
  }

  Error OutOfRange(std::string_view what, Id id, uint32_t position) const {
    return InvalidArgument(std::string(what) + " op " + ToString(id) + " at position " +
                           std::to_string(position) + " of a sequence of " +
                           std::to_string(tree_.total().visible));
  }

  LeafTree<Leaf, TrackerSum> tree_;
  std::vector<Leaf*> leaves_;
  SequenceIndex index_;
  uint32_t elements_ = 0;
  std::vector<AtomSpan> hit_;   // scratch
  std::vector<Deleted> moved_;  // scratch
};

SequenceTracker::SequenceTracker(uint32_t base_length)
    : impl_(std::make_unique<Impl>(base_length)) {}
SequenceTracker::~SequenceTracker() = default;
void SequenceTracker::Restart(uint32_t base_length) {
  if (impl_->is_small()) {
    impl_->Restart(base_length);
  } else {
    impl_ = std::make_unique<Impl>(base_length);
  }
}
SequenceTracker::SequenceTracker(SequenceTracker&&) noexcept = default;
SequenceTracker& SequenceTracker::operator=(SequenceTracker&&) noexcept = default;

Result<uint32_t> SequenceTracker::Insert(Id id, uint32_t length, uint32_t position) {
  return impl_->Insert(id, length, position);
}
Status SequenceTracker::Delete(Id id, uint32_t position, int32_t signed_length,
                               std::vector<Deleted>* deleted) {
  return impl_->Delete(id, position, signed_length, deleted);
}
Result<SequenceTracker::Moved> SequenceTracker::Move(Id id, uint32_t from, uint32_t to) {
  return impl_->Move(id, from, to);
}
void SequenceTracker::Retreat(IdSpan span) { impl_->Retreat(span); }
void SequenceTracker::Advance(IdSpan span) { impl_->Advance(span); }
uint32_t SequenceTracker::current_length() const { return impl_->total().visible; }
uint32_t SequenceTracker::effect_length() const { return impl_->total().effect; }
std::vector<SequenceTracker::EffectRun> SequenceTracker::EffectRuns() const {
  return impl_->EffectRuns();
}
std::optional<uint32_t> SequenceTracker::EffectPositionOf(Id id) const {
  return impl_->EffectPositionOf(id);
}

std::optional<uint32_t> SequenceTracker::EffectPositionOfBase(uint32_t offset) const {
  return impl_->EffectPositionOf(Atom{kBasePeer, static_cast<Counter>(offset)});
}

bool SequenceTracker::HasInsert(Id id) const { return impl_->HasInsert(id); }
size_t SequenceTracker::run_count() const { return impl_->run_count(); }
size_t SequenceTracker::MemoryBytes() const { return impl_->MemoryBytes(); }
void SequenceTracker::CheckInvariants() const { impl_->CheckInvariants(); }

}  // namespace merrow::loro
