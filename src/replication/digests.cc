// SPDX-License-Identifier: Apache-2.0
#include "replication/digests.h"

#include <algorithm>

#include "replication/applier.h"
#include "replication/parts.h"
#include "replication/puller.h"

namespace merrow::replication {
namespace {

// A link that is never quiet is compared all the same after so many delays.
constexpr int kPostponedMax = 6;
// Pieces of work that a peer may have waiting.
constexpr size_t kJobsMax = 256;
// Rows that are read and sent at once.
constexpr size_t kRowsPerRead = 256;
// Rows that a message of a peer may list or want, in digest_rows_max: what is lacking comes on top
// of what differs.
constexpr size_t kRowsFactor = 2;
// Rounds of repairs that follow each other quickly: of many buckets some are repaired in each.
constexpr int kQuickRepairs = 32;
constexpr int kRoundDoublingsMax = 20;

}  // namespace

void Digests::OnOpen(Link& link) {
  if (core_.options.digest_interval_ms == 0 || !Begins(link)) return;
  // Not all links at once after a start.
  const auto interval = static_cast<uint64_t>(core_.options.digest_interval_ms);
  link.digest.due_ms = core_.now.steady_ms + static_cast<int64_t>(interval / 4) +
                       static_cast<int64_t>(core_.random.Next() % (interval / 2 + 1));
}

bool Digests::IsQuiet(const Link& link) const {
  return core_.applier->bytes() == 0 && core_.puller->needs().empty() &&
         changeset::Difference(core_.seen, link.has).empty();
}

void Digests::AddJob(Link& link, Job job) {
  if (link.digest.jobs.size() >= kJobsMax) {
    core_.Close(link, CloseReason::kLimit, "too much digest work at once");
    return;
  }
  link.digest.jobs.push_back(std::move(job));
  NextJob(link);
}

void Digests::NextJob(Link& link) {
  DigestState& digest = link.digest;
  if (digest.is_working || digest.jobs.empty() || !link.is_open()) return;
  if (!digest.outgoing.empty()) return;  // the link first has to take what was read before
  const Job job = std::move(digest.jobs.front());
  digest.jobs.pop_front();
  digest.is_working = true;
  digest.working_ms = core_.now.steady_ms;
  ++digest.job;
  job(link);
}

template <typename T, typename F>
std::function<void(T)> Digests::Then(const Link& link, F then) {
  return core_.Later(
      [this, id = link.id, job = link.digest.job, then = std::move(then)](const T& result) {
        Link* const current = core_.Find(id);
        // It may have been given up, and another one be under way.
        if (current == nullptr || !current->digest.is_working || current->digest.job != job) return;
        current->digest.is_working = false;
        if (result.ok()) {
          then(*current, result);
        } else {
          Fail(*current, result.error());  // a later round tries again
        }
        if (!current->is_closed) NextJob(*current);
      });
}

void Digests::Fail(Link& link, const Error& error) {
  // A row that cannot be repaired fails in every round; that is news once.
  std::string text = error.ToString();
  if (text != link.digest.error) core_.Log(LogLevel::kWarning, link, "digest: " + text);
  link.digest.result = DigestResult::kFailed;
  link.digest.result_ms = core_.now.steady_ms;
  link.digest.error = std::move(text);
  if (link.digest.due_ms == kNever) return;
  const int64_t next_ms = core_.now.steady_ms + NextRoundMs(link.digest.repairs++);
  link.digest.due_ms = std::max(link.digest.due_ms, next_ms);
}

void Digests::Queue(Link& link, const Message& message) {
  link.digest.outgoing.push_back(
      std::make_shared<const Bytes>(link.message_encoder.Encode(message)));
  Pump(link);
}

void Digests::Pump(Link& link) {
  auto& outgoing = link.digest.outgoing;
  while (!outgoing.empty() && core_.CanSend(link)) {
    const SharedBytes message = std::move(outgoing.front());
    outgoing.pop_front();
    core_.SendEncoded(link, message);
  }
  NextJob(link);
}

void Digests::CompareNow() {
  core_.ForEachOpen([this](Link& link) {
    if (Begins(link)) {
      link.digest.due_ms = core_.now.steady_ms;
      link.digest.postponed = kPostponedMax;
    }
  });
}

void Digests::Begin(Link& link) {
  using Digest = Result<std::vector<uint64_t>>;
  AddJob(link, [this](Link& working) {
    core_.replica.ReadDigest(Then<Digest>(working, [this](Link& current, const Digest& buckets) {
      current.digest.asked_ms = core_.now.steady_ms;
      core_.Send(current, DigestMessage{++current.digest.round, *buckets});
    }));
  });
}

void Digests::OnDigest(Link& link, DigestMessage theirs) {
  using Digest = Result<std::vector<uint64_t>>;
  AddJob(link, [this, theirs = std::move(theirs)](Link& working) {
    core_.replica.ReadDigest(
        Then<Digest>(working, [this, theirs](Link& current, const Digest& buckets) {
          DigestDiffMessage diff{theirs.round, {}};
          for (size_t i = 0; i < kDigestBuckets; ++i) {
            diff.differing[i] = (*buckets)[i] != theirs.buckets[i];
          }
          current.digest.result =
              diff.differing.none() ? DigestResult::kEqual : DigestResult::kDiffering;
          if (diff.differing.none()) current.digest.error.clear();
          current.digest.differing = diff.differing.count();
          current.digest.result_ms = core_.now.steady_ms;
          core_.Send(current, diff);
        }));
  });
}

void Digests::OnDigestDiff(Link& link, const DigestDiffMessage& diff) {
  DigestState& digest = link.digest;
  if (diff.round != digest.round || digest.asked_ms == kNever) return;
  digest.asked_ms = kNever;
  ++core_.counters.digests_compared;
  digest.result_ms = core_.now.steady_ms;
  digest.differing = diff.differing.count();
  if (diff.differing.none()) {
    digest.result = DigestResult::kEqual;
    digest.error.clear();
    digest.differed.reset();
    digest.repairs = 0;
    digest.due_ms = core_.options.digest_interval_ms == 0
                        ? kNever
                        : core_.now.steady_ms + core_.options.digest_interval_ms;
    return;
  }
  ++core_.counters.digests_differed;
  const Buckets lasting = diff.differing & digest.differed;
  digest.differed = diff.differing;
  digest.due_ms = core_.now.steady_ms + NextRoundMs(lasting.none() ? 0 : digest.repairs++);
  digest.result = lasting.none() ? DigestResult::kDiffering : DigestResult::kRepairing;
  size_t left = core_.options.digest_buckets_max;
  const uint32_t first = digest.next_bucket;
  for (uint32_t i = 0; i < kDigestBuckets && left > 0; ++i) {
    const uint32_t bucket = (first + i) % kDigestBuckets;
    if (!lasting[bucket]) continue;
    --left;
    digest.next_bucket = (bucket + 1) % kDigestBuckets;
    ++core_.counters.buckets_repaired;
    ListRows(link, bucket);
    if (link.is_closed) return;
  }
}

// What does not become equal by repairs is not compared as often as what does.
int64_t Digests::NextRoundMs(int repairs) const {
  const int64_t round_ms = core_.options.digest_second_round_ms;
  if (repairs < kQuickRepairs || core_.options.digest_interval_ms <= round_ms) return round_ms;
  const int doublings = std::min(repairs - kQuickRepairs + 1, kRoundDoublingsMax);
  return std::min(core_.options.digest_interval_ms, round_ms << doublings);
}

void Digests::ListRows(Link& link, uint32_t bucket) {
  using Rows = Result<std::vector<RowDigest>>;
  AddJob(link, [this, bucket](Link& working) {
    core_.replica.ReadRowDigests(
        bucket, Then<Rows>(working, [this, bucket](Link& current, const Rows& rows) {
          // Each message speaks for its stretch of keys; together they cover all.
          RowDigestsMessage message{bucket, 0, UINT64_MAX, {}};
          for (const RowDigest& row : *rows) {
            if (message.rows.size() == core_.options.digest_rows_max) {
              message.last = row.key - 1;
              Queue(current, message);
              message = {bucket, row.key, UINT64_MAX, {}};
            }
            message.rows.push_back(row);
          }
          Queue(current, message);
        }));
  });
}

void Digests::OnRowDigests(Link& link, RowDigestsMessage theirs) {
  if (theirs.rows.size() > kRowsFactor * core_.options.digest_rows_max) {
    core_.Close(link, CloseReason::kLimit, "too many rows are listed at once");
    return;
  }
  using Rows = Result<std::vector<RowDigest>>;
  AddJob(link, [this, theirs = std::move(theirs)](Link& working) {
    core_.replica.ReadRowDigests(
        theirs.bucket, Then<Rows>(working, [this, theirs](Link& current, const Rows& own) {
          std::map<uint64_t, uint64_t> lacking;
          for (const RowDigest& row : theirs.rows) lacking.emplace(row.key, row.row);
          std::vector<uint64_t> give;
          std::vector<uint64_t> want;
          for (const RowDigest& row : *own) {
            if (row.key < theirs.first || row.key > theirs.last) continue;
            const auto at = lacking.find(row.key);
            const bool is_there = at != lacking.end();
            const bool differs = is_there && at->second != row.row;
            if (!is_there || differs) give.push_back(row.key);
            if (differs) want.push_back(row.key);
            if (is_there) lacking.erase(at);
          }
          for (const auto& [key, row] : lacking) want.push_back(key);
          if (!want.empty()) Queue(current, RowsWantedMessage{theirs.bucket, std::move(want)});
          if (!give.empty()) SendRows(current, theirs.bucket, std::move(give));
        }));
  });
}

void Digests::OnRowsWanted(Link& link, RowsWantedMessage wanted) {
  if (wanted.keys.size() > kRowsFactor * core_.options.digest_rows_max) {
    core_.Close(link, CloseReason::kLimit, "too many rows are wanted at once");
    return;
  }
  SendRows(link, wanted.bucket, std::move(wanted.keys));
}

void Digests::SendRows(Link& link, uint32_t bucket, std::vector<uint64_t> keys) {
  using Rows = Result<std::vector<SharedChangeset>>;
  if (keys.empty() || link.is_closed) return;
  AddJob(link, [this, bucket, keys = std::move(keys)](Link& working) {
    const auto split = keys.begin() + static_cast<ptrdiff_t>(std::min(keys.size(), kRowsPerRead));
    core_.replica.ReadRows(
        bucket, {keys.begin(), split},
        Then<Rows>(working, [this, bucket, rest = std::vector<uint64_t>(split, keys.end())](
                                Link& current, const Rows& rows) {
          for (const SharedChangeset& changeset : *rows) SendRowsOf(current, bucket, *changeset);
          SendRows(current, bucket, rest);
        }));
  });
}

void Digests::SendRowsOf(Link& link, uint32_t bucket, const Changeset& changeset) {
  // They are merged one by one: between rows, parts mean nothing.
  for (Changeset& alone : changeset::SplitBetweenRows(changeset, core_.options.chunk_bytes)) {
    if (link.is_closed) return;
    alone.part = 0;
    alone.parts = 1;
    link.digest.rows_repaired += alone.cells.rows.size() + alone.documents.size();
    if (SendFrameOf(link, bucket, alone).ok()) continue;
    // One row that is larger than a frame.
    if (MemoryBytes(alone) > core_.options.digest_row_bytes_max) {
      ++core_.counters.unsendable;
      Fail(link, TooLargeRow());
      continue;
    }
    for (const Changeset& part :
         changeset::SplitChangeset(std::move(alone), core_.options.chunk_bytes)) {
      const Status sent = SendFrameOf(link, bucket, part);
      if (sent.ok()) continue;
      ++core_.counters.unsendable;
      Fail(link, sent.error());
      break;
    }
  }
}

Error Digests::TooLargeRow() const {
  return LimitReached("a row is larger than the " +
                      std::to_string(core_.options.digest_row_bytes_max) +
                      " bytes of digest_row_bytes_max");
}

Status Digests::SendFrameOf(Link& link, uint32_t bucket, const Changeset& changeset) {
  RowsMessage message;
  message.bucket = bucket;
  MERROW_ASSIGN(message.frame, changeset::Encoder().Encode({&changeset, 1}));
  Queue(link, message);
  return {};
}

Result<std::optional<Changeset>> Digests::TakePart(Link& link, Changeset part) {
  DigestState& digest = link.digest;
  if (part.part == 0) DropParts(link);
  if (part.part != digest.parts.size()) return std::optional<Changeset>();  // it was dropped
  digest.part_bytes += MemoryBytes(part);
  if (digest.part_bytes > core_.options.digest_row_bytes_max) {
    ++core_.counters.repairs_dropped;
    Fail(link, TooLargeRow());
    DropParts(link);
    return std::optional<Changeset>();
  }
  const bool is_last = part.part + 1 == part.parts;
  digest.parts.push_back(std::move(part));
  if (!is_last) return std::optional<Changeset>();
  Result<Changeset> whole = changeset::JoinParts(std::move(digest.parts));
  DropParts(link);
  if (!whole.ok()) return whole.error();
  return std::optional(std::move(*whole));
}

void Digests::DropParts(Link& link) {
  link.digest.parts.clear();
  link.digest.part_bytes = 0;
}

void Digests::OnRows(Link& link, const RowsMessage& rows) {
  Result<std::vector<Changeset>> changesets = changeset::Decoder().Decode(rows.frame);
  if (!changesets.ok()) {
    core_.Close(link, CloseReason::kProtocol, "rows: " + changesets.error().message());
    return;
  }
  DigestState& digest = link.digest;
  std::vector<SharedChangeset> shared;
  size_t bytes = 0;
  size_t count = 0;
  for (Changeset& changeset : *changesets) {
    if (changeset.parts > 1) {
      Result<std::optional<Changeset>> whole = TakePart(link, std::move(changeset));
      if (!whole.ok()) {
        core_.Close(link, CloseReason::kProtocol, "rows: " + whole.error().message());
        return;
      }
      if (!whole->has_value()) continue;
      changeset = **std::move(whole);
    }
    bytes += MemoryBytes(changeset);
    count += changeset.cells.rows.size() + changeset.documents.size();
    shared.push_back(std::make_shared<const Changeset>(std::move(changeset)));
  }
  if (shared.empty()) return;
  const bool is_full = digest.jobs.size() >= kJobsMax / 2 ||
                       digest.repair_bytes + bytes > core_.options.digest_queue_bytes_max;
  if (is_full && digest.repair_bytes > 0) {
    ++core_.counters.repairs_dropped;  // the next round finds the same rows again
    return;
  }
  digest.rows_repaired += count;
  digest.repair_bytes += bytes;
  AddJob(link, [this, bytes, shared = std::move(shared)](Link& working) {
    working.digest.repair_bytes -= bytes;
    core_.replica.Repair(shared, Then<Status>(working, [](Link&, const Status&) {}));
  });
}

void Digests::OnTick() {
  core_.ForEachOpen([this](Link& link) {
    DigestState& digest = link.digest;
    const int64_t now_ms = core_.now.steady_ms;
    if (digest.is_working && now_ms - digest.working_ms >= core_.options.apply_timeout_ms) {
      digest.is_working = false;
      ++digest.job;  // whatever it brings is ignored
      Fail(link, IoError("the database does not answer"));
      NextJob(link);
    }
    if (digest.asked_ms != kNever && now_ms - digest.asked_ms >= core_.options.apply_timeout_ms) {
      digest.asked_ms = kNever;
      Fail(link, IoError("the peer does not answer"));
    }
    if (now_ms < digest.due_ms) return;
    digest.due_ms = now_ms + core_.options.digest_second_round_ms;
    if (digest.asked_ms != kNever || digest.is_working || !digest.jobs.empty()) return;
    if (!IsQuiet(link) && digest.postponed++ < kPostponedMax) return;
    digest.postponed = 0;
    Begin(link);
  });
}

int64_t Digests::NextDue() const {
  int64_t due = kNever;
  for (const auto& [id, link] : core_.links) {
    if (!link->is_open()) continue;
    const DigestState& digest = link->digest;
    due = std::min(due, digest.due_ms);
    if (digest.is_working) due = std::min(due, digest.working_ms + core_.options.apply_timeout_ms);
    if (digest.asked_ms != kNever) {
      due = std::min(due, digest.asked_ms + core_.options.apply_timeout_ms);
    }
  }
  return due;
}

}  // namespace merrow::replication
