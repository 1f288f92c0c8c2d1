// SPDX-License-Identifier: Apache-2.0
//
// A clock block. Keys rise and every row of a run is valid; skipping to a key finds what walking
// finds; what was read, written again, says the same.

#include <limits>
#include <optional>

#include "base/fuzz/fuzz_input.h"
#include "base/fuzz/heap_meter.h"
#include "cells/clock_block.h"
#include "cells/fuzz/fuzz_cells.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

constexpr size_t kHeapBase = size_t{4} << 10;

struct Input {
  bool stored_keys = false;
  ClockKey first;
  ClockKey skip_to;
  BytesView block;
};

Input Parse(BytesView bytes) {
  fuzz::FuzzInput in(bytes);
  Input input;
  input.stored_keys = (in.U8() & 1) != 0;
  for (ClockKey* const key : {&input.first, &input.skip_to}) {
    if (input.stored_keys) {
      key->stored = in.Piece();
    } else {
      key->number = static_cast<int64_t>(in.U64());
    }
  }
  input.block = in.rest();
  return input;
}

// A run whose key does not depend on the reader.
struct Kept {
  explicit Kept(const ClockRun& from) : run(from), stored(from.key.stored) {}
  ClockRun view() const {
    ClockRun same = run;
    same.key.stored = stored;
    return same;
  }

  ClockRun run;
  Bytes stored;
};

bool SameRun(const ClockRun& a, const ClockRun& b) {
  const bool same_steps =
      a.count == 1 || (a.version_step == b.version_step && a.seq_step == b.seq_step);
  return a.key == b.key && a.count == b.count && a.fresh == b.fresh && same_steps &&
         a.clock == b.clock;
}

void CheckFreshRows(const ClockRun& run) {
  if (!run.is_fresh()) {
    MERROW_CHECK(run.count == 1);
    return;
  }
  MERROW_CHECK(run.count >= 1);
  ClockRun last = run;
  if (run.count > 1) last.Drop(run.count - 1);
  for (const ClockRun& row : {run, last}) {
    Bytes packed;
    RowClock::AppendFresh(row.fresh, packed);
    const Result<RowClock> clock = RowClock::Decode(packed);
    MERROW_CHECK(clock.ok());
    MERROW_CHECK(clock->AsFresh() == row.fresh);
  }
}

// All runs, or nothing if the block is damaged.
std::optional<std::vector<Kept>> ReadAll(const ClockKey& first, bool stored_keys, BytesView block) {
  std::vector<Kept> runs;
  ClockBlockReader reader;
  Status status = reader.Reset(first, stored_keys, block);
  while (status.ok() && !reader.done()) {
    runs.emplace_back(reader.run());
    status = reader.Next();
  }
  MERROW_CHECK(status.ok() || reader.done());
  if (!status.ok()) return std::nullopt;
  return runs;
}

void CheckOrder(const ClockKey& first, bool stored_keys, const std::vector<Kept>& runs) {
  for (size_t i = 0; i < runs.size(); ++i) {
    const ClockRun run = runs[i].view();
    CheckFreshRows(run);
    if (i == 0) {
      MERROW_CHECK(!(run.key < first));
    } else if (stored_keys) {
      MERROW_CHECK(runs[i - 1].stored < run.key.stored);
    } else {
      MERROW_CHECK(runs[i - 1].run.last_number() < run.key.number);
    }
    if (!stored_keys) MERROW_CHECK(run.key.number <= run.last_number());
  }
}

// The rest of the runs from `key` on, as walking finds them.
std::vector<Kept> From(const ClockKey& key, bool stored_keys, const std::vector<Kept>& runs) {
  std::vector<Kept> rest;
  for (const Kept& kept : runs) {
    if (stored_keys ? BytesView(kept.stored) < key.stored : kept.run.last_number() < key.number) {
      continue;
    }
    rest.push_back(kept);
    ClockRun& run = rest.back().run;
    if (!stored_keys && run.key.number < key.number) {
      run.Drop(static_cast<uint64_t>(key.number) - static_cast<uint64_t>(run.key.number));
    }
  }
  return rest;
}

void CheckSkip(const Input& input, const std::vector<Kept>& runs) {
  ClockBlockReader reader;
  MERROW_CHECK(reader.Reset(input.first, input.stored_keys, input.block).ok());
  MERROW_CHECK(reader.SkipTo(input.skip_to).ok());
  for (const Kept& kept : From(input.skip_to, input.stored_keys, runs)) {
    MERROW_CHECK(!reader.done() && SameRun(reader.run(), kept.view()));
    MERROW_CHECK(reader.Next().ok());
  }
  MERROW_CHECK(reader.done());
}

void CheckWritten(const Input& input, const std::vector<Kept>& runs) {
  ClockBlockWriter writer;
  writer.Begin(input.first, input.stored_keys);
  for (const Kept& kept : runs) {
    if (!writer.CanAdd(kept.view())) return;
    writer.Add(kept.view());
  }
  MERROW_CHECK(writer.bytes().size() <= input.block.size());
  const auto again = ReadAll(input.first, input.stored_keys, writer.bytes());
  MERROW_CHECK(again.has_value() && again->size() == runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    MERROW_CHECK(SameRun((*again)[i].view(), runs[i].view()));
  }
}

// A run that can be joined is what both were.
void CheckExtend(const std::vector<Kept>& runs) {
  for (size_t i = 1; i < runs.size(); ++i) {
    ClockRun joined = runs[i - 1].view();
    const ClockRun next = runs[i].view();
    const uint64_t before = joined.count;
    if (!Extend(joined, next)) continue;
    CheckFreshRows(joined);
    MERROW_CHECK(joined.count == before + next.count);
    joined.Drop(before);
    MERROW_CHECK(joined.key == next.key && joined.fresh == next.fresh);
  }
}

}  // namespace

void FuzzClockBlock(BytesView bytes) {
  const Input input = Parse(bytes);
  const fuzz::HeapMeter meter;
  {
    ClockBlockReader reader;
    Status status = reader.Reset(input.first, input.stored_keys, input.block);
    while (status.ok() && !reader.done()) status = reader.Next();
  }
  fuzz::CheckHeap(meter, kHeapBase + 4 * bytes.size());
  const auto runs = ReadAll(input.first, input.stored_keys, input.block);
  if (!runs.has_value()) return;
  CheckOrder(input.first, input.stored_keys, *runs);
  CheckSkip(input, *runs);
  CheckWritten(input, *runs);
  if (!input.stored_keys) CheckExtend(*runs);
}

std::vector<Bytes> ClockBlockSeeds() {
  const auto number_input = [](int64_t first, int64_t skip_to, const std::vector<ClockRun>& runs) {
    ByteWriter writer;
    writer.U8(0);
    writer.U64Le(static_cast<uint64_t>(first));
    writer.U64Le(static_cast<uint64_t>(skip_to));
    ClockBlockWriter block;
    block.Begin({first, {}}, false);
    for (const ClockRun& run : runs) block.Add(run);
    writer.Append(block.bytes());
    return writer.Release();
  };
  ClockRun loaded;  // 1,000 rows of one transaction
  loaded.key.number = 1;
  loaded.count = 1000;
  loaded.fresh = {4, 0, 7, 0};
  loaded.seq_step = 4;
  ClockRun single = loaded;
  single.key.number = 2000;
  single.count = 1;
  ClockRun falling = loaded;  // its versions fall
  falling.key.number = 3000;
  falling.fresh.version = 5000;
  falling.version_step = -5;
  ClockRun updated;
  updated.key.number = 1001;
  updated.clock = BytesView("\x06\x09\x04\x02\x00", 5);
  ClockRun last = single;
  last.key.number = std::numeric_limits<int64_t>::max();

  const auto stored_input = [](BytesView first, BytesView skip_to,
                               const std::vector<BytesView>& keys) {
    ByteWriter writer;
    writer.U8(1);
    fuzz::AppendPiece(first, &writer);
    fuzz::AppendPiece(skip_to, &writer);
    ClockBlockWriter block;
    block.Begin({0, first}, true);
    for (const BytesView key : keys) {
      ClockRun run;
      run.key.stored = key;
      run.fresh = {3, 0, 17, 0};
      block.Add(run);
    }
    writer.Append(block.bytes());
    return writer.Release();
  };
  return {
      number_input(1, 500, {loaded, updated, single, falling}),
      number_input(-5, 2000, {loaded, single}),
      number_input(1, 0, {updated}),
      number_input(std::numeric_limits<int64_t>::max() - 9, 0, {last}),
      stored_input("\x01\x0b\x01"
                   "a",
                   "\x01\x0b\x01"
                   "c",
                   {"\x01\x0b\x01"
                    "b",
                    "\x01\x0b\x02"
                    "ba",
                    "\x01\x0b\x02"
                    "bb"}),
      stored_input("", "", {"a"}),
  };
}

}  // namespace merrow::cells
