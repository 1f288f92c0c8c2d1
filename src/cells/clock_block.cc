// SPDX-License-Identifier: Apache-2.0
#include "cells/clock_block.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "cells/uleb.h"
#include "merrow/check.h"

namespace merrow::cells {
namespace {

/// So that what a run adds up to fits 64 bits. DO NOT CHANGE: larger ones are refused when read.
constexpr uint64_t kRunRowsMax = uint64_t{1} << 31;
constexpr int64_t kStepMax = int64_t{1} << 31;
/// So that an entry's head fits 64 bits.
constexpr uint64_t kSkippedMax = (uint64_t{1} << 63) - 1;
constexpr uint64_t kColumnsMax = 32768;

Error Damaged(std::string_view what) { return Corruption("clock block: " + std::string(what)); }

bool ReadBytes(const char*& at, const char* end, BytesView& bytes) {
  uint64_t length = 0;
  if (!ReadUleb(at, end, length) || length > static_cast<uint64_t>(end - at)) {
    return false;
  }
  bytes = {at, static_cast<size_t>(length)};
  at += length;
  return true;
}

uint64_t Zigzag(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}
int64_t FromZigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

bool IsStep(int64_t step) { return step >= -kStepMax && step <= kStepMax; }

bool IsIn(int64_t value, int64_t max) { return value >= 0 && value <= max; }

/// Reads what follows a run's head; false if it is damaged.
bool ReadRun(const char*& at, const char* end, ClockRun& run) {
  uint64_t more = 0;
  uint64_t columns = 0;
  uint64_t site = 0;
  uint64_t version = 0;
  uint64_t seq = 0;
  if (!ReadUleb(at, end, more) || !ReadUleb(at, end, columns) || !ReadUleb(at, end, site) ||
      !ReadUleb(at, end, version) || !ReadUleb(at, end, seq)) {
    return false;
  }
  uint64_t version_step = 0;
  uint64_t seq_step = 0;
  if (more > 0 && (!ReadUleb(at, end, version_step) || !ReadUleb(at, end, seq_step))) {
    return false;
  }
  if (more >= kRunRowsMax || columns == 0 || columns > kColumnsMax || site > UINT32_MAX ||
      version > static_cast<uint64_t>(kDbVersionMax) || seq > static_cast<uint64_t>(kCounterMax)) {
    return false;
  }
  run.count = more + 1;
  run.fresh = {static_cast<uint32_t>(columns), static_cast<SiteOrdinal>(site),
               static_cast<DbVersion>(version), static_cast<Seq>(seq)};
  run.version_step = FromZigzag(version_step);
  run.seq_step = FromZigzag(seq_step);
  const auto last = static_cast<int64_t>(more);
  // The seq of the last column.
  const int64_t seq_max = kCounterMax - static_cast<int64_t>(columns - 1);
  return IsStep(run.version_step) && IsStep(run.seq_step) && run.fresh.seq <= seq_max &&
         IsIn(run.fresh.version + last * run.version_step, kDbVersionMax) &&
         IsIn(run.fresh.seq + last * run.seq_step, seq_max);
}

size_t SharedBytes(BytesView a, BytesView b) {
  const size_t length = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(length), b.begin()).first -
      a.begin());
}

}  // namespace

void ClockRun::Drop(uint64_t rows) {
  MERROW_CHECK(rows < count);
  const auto signed_rows = static_cast<int64_t>(rows);
  key.number += signed_rows;
  fresh.version += signed_rows * version_step;
  fresh.seq += signed_rows * seq_step;
  count -= rows;
}

bool Extend(ClockRun& run, const ClockRun& next) {
  if (!run.is_fresh() || !next.is_fresh() || run.fresh.columns != next.fresh.columns ||
      run.fresh.site != next.fresh.site || next.count >= kRunRowsMax - run.count ||
      run.last_number() == std::numeric_limits<int64_t>::max() ||
      run.last_number() + 1 != next.key.number) {
    return false;
  }
  const auto last = static_cast<int64_t>(run.count - 1);
  const int64_t version_step = next.fresh.version - (run.fresh.version + last * run.version_step);
  const int64_t seq_step = next.fresh.seq - (run.fresh.seq + last * run.seq_step);
  const auto fits = [&](const ClockRun& one) {
    return one.count == 1 || (one.version_step == version_step && one.seq_step == seq_step);
  };
  if (!IsStep(version_step) || !IsStep(seq_step) || !fits(run) || !fits(next)) {
    return false;
  }
  run.version_step = version_step;
  run.seq_step = seq_step;
  run.count += next.count;
  return true;
}

// --- Reading.

Status ClockBlockReader::Reset(const ClockKey& first, bool stored_keys, BytesView block) {
  stored_keys_ = stored_keys;
  begin_ = block.data();
  at_ = begin_;
  end_ = begin_ + block.size();
  rows_ = 0;
  any_ = false;
  previous_ = first.number;
  key_.assign(first.stored);
  return Next();
}

Status ClockBlockReader::Next() {
  done_ = at_ == end_;
  if (done_) {
    return {};
  }
  Status status = stored_keys_ ? ReadStoredEntry() : ReadNumberEntry();
  done_ = !status.ok();
  any_ = true;
  rows_ += done_ ? 0 : run_.count;
  return status;
}

Status ClockBlockReader::ReadNumberEntry() {
  uint64_t head = 0;
  if (!ReadUleb(at_, end_, head)) {
    return Damaged("the head of an entry");
  }
  const uint64_t room =
      static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - static_cast<uint64_t>(previous_);
  const uint64_t step = (head >> 1) + (any_ ? 1 : 0);
  if (step > room) {
    return Damaged("a key beyond the largest");
  }
  run_.key.number = static_cast<int64_t>(static_cast<uint64_t>(previous_) + step);
  if ((head & 1) != 0) {
    if (!ReadRun(at_, end_, run_) || run_.count - 1 > room - step) {
      return Damaged("a run");
    }
    run_.clock = {};
  } else {
    clock_at_ = at_;
    if (!ReadBytes(at_, end_, run_.clock)) {
      return Damaged("a clock");
    }
    run_.count = 1;
    run_.fresh = {};
  }
  previous_ = run_.last_number();
  return {};
}

const char* ClockBlockReader::ReadStoredKey(size_t& shared) {
  uint64_t length = 0;
  BytesView suffix;
  if (!ReadUleb(at_, end_, length) || length > key_.size() || !ReadBytes(at_, end_, suffix)) {
    return "an entry";
  }
  shared = static_cast<size_t>(length);
  const BytesView replaced = BytesView(key_).substr(shared);
  if (any_ ? suffix <= replaced : suffix < replaced) {
    return "keys do not rise";
  }
  if (suffix.size() == replaced.size()) {
    std::memcpy(key_.data() + shared, suffix.data(), suffix.size());
  } else {
    key_.resize(shared);
    key_.append(suffix);
  }
  clock_at_ = at_;
  any_ = true;
  return ReadBytes(at_, end_, run_.clock) ? nullptr : "a clock";
}

void ClockBlockReader::FinishStoredEntry() {
  run_.key.stored = key_;
  run_.count = 1;
  run_.fresh = RowClock::ParseFresh(run_.clock);
}

Status ClockBlockReader::ReadStoredEntry() {
  size_t shared = 0;
  const char* const damage = ReadStoredKey(shared);
  if (damage != nullptr) {
    return Damaged(damage);
  }
  FinishStoredEntry();
  return {};
}

/// Looks at the clocks of the rows in between no more than it must.
Status ClockBlockReader::SkipToStored(BytesView key) {
  if (done_ || !(run_.key.stored < key)) {
    return {};
  }
  // So many bytes of the key at hand, which is below `key`, are those of `key`.
  size_t common = SharedBytes(key_, key);
  while (at_ != end_) {
    size_t shared = 0;
    const char* const damage = ReadStoredKey(shared);
    if (damage != nullptr) {
      done_ = true;
      return Damaged(damage);
    }
    ++rows_;
    if (shared > common) {
      continue;  // it differs from `key` where the one before did
    }
    common = shared + SharedBytes(BytesView(key_).substr(shared), key.substr(shared));
    const bool is_below = common < key.size() &&
                          (common == key_.size() || static_cast<unsigned char>(key_[common]) <
                                                        static_cast<unsigned char>(key[common]));
    if (!is_below) {
      FinishStoredEntry();
      return {};
    }
  }
  done_ = true;
  return {};
}

Status ClockBlockReader::SkipTo(const ClockKey& key) {
  if (stored_keys_) {
    return SkipToStored(key.stored);
  }
  while (!done_ && run_.last_number() < key.number) {
    MERROW_TRY(Next());
  }
  if (!done_ && run_.key.number < key.number) {
    run_.Drop(static_cast<uint64_t>(key.number) - static_cast<uint64_t>(run_.key.number));
  }
  return {};
}

// --- Writing.

void ClockBlockWriter::Begin(const ClockKey& first, bool stored_keys) {
  stored_keys_ = stored_keys;
  any_ = false;
  previous_ = first.number;
  key_.assign(first.stored);
  bytes_.clear();
}

bool ClockBlockWriter::CanAdd(const ClockRun& run) const {
  return stored_keys_ ||
         static_cast<uint64_t>(run.key.number) - static_cast<uint64_t>(previous_) <= kSkippedMax;
}

void ClockBlockWriter::Add(const ClockRun& run) {
  if (stored_keys_) {
    const size_t shared = SharedBytes(key_, run.key.stored);
    AppendUleb(shared, bytes_);
    AppendUleb(run.key.stored.size() - shared, bytes_);
    bytes_.append(run.key.stored.substr(shared));
    key_.resize(shared);
    key_.append(run.key.stored.substr(shared));
  } else {
    const uint64_t step =
        static_cast<uint64_t>(run.key.number) - static_cast<uint64_t>(previous_) - (any_ ? 1 : 0);
    AppendUleb(step << 1 | (run.is_fresh() ? 1 : 0), bytes_);
    previous_ = run.last_number();
  }
  any_ = true;
  if (!stored_keys_ && run.is_fresh()) {
    AppendUleb(run.count - 1, bytes_);
    AppendUleb(run.fresh.columns, bytes_);
    AppendUleb(run.fresh.site, bytes_);
    AppendUleb(static_cast<uint64_t>(run.fresh.version), bytes_);
    AppendUleb(static_cast<uint64_t>(run.fresh.seq), bytes_);
    if (run.count > 1) {
      AppendUleb(Zigzag(run.version_step), bytes_);
      AppendUleb(Zigzag(run.seq_step), bytes_);
    }
    return;
  }
  if (run.is_fresh() && run.clock.empty()) {
    Bytes clock;
    RowClock::AppendFresh(run.fresh, clock);
    AppendBlockClock(clock, bytes_);
    return;
  }
  AppendBlockClock(run.clock, bytes_);
}

void AppendBlockClock(BytesView clock, Bytes& out) {
  AppendUleb(clock.size(), out);
  out.append(clock);
}

size_t BlockBytes(const ClockRun& run) {
  constexpr size_t kHeadBytes = 4;
  constexpr size_t kRunBytes = 20;
  constexpr size_t kFreshBytes = 8;
  if (!run.clock.empty()) {
    return kHeadBytes + run.key.stored.size() + run.clock.size();
  }
  return kHeadBytes + run.key.stored.size() + (run.key.stored.empty() ? kRunBytes : kFreshBytes);
}

}  // namespace merrow::cells
