// SPDX-License-Identifier: Apache-2.0
#include "replication/digests.h"

#include <algorithm>

#include "replication/applier.h"
#include "replication/puller.h"

namespace merrow::replication {
namespace {

// A link that is never quiet is compared all the same after so many delays.
constexpr int kPostponedMax = 6;
// Pieces of work that a peer may have waiting.
constexpr size_t kJobsMax = 256;
// Rows that are read and sent at once.
constexpr size_t kRowsPerRead = 256;

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
  job();
}

Link* Digests::EndJob(LinkId id, uint64_t job) {
  Link* const link = core_.Find(id);
  if (link == nullptr || link->digest.job != job || !link->digest.is_working) return nullptr;
  link->digest.is_working = false;
  return link;
}

void Digests::Fail(Link& link, const Error& error) {
  core_.Log(LogLevel::kWarning, link, "digest: " + error.ToString());
  link.digest.result = DigestResult::kFailed;
  link.digest.result_ms = core_.now.steady_ms;
  link.digest.error = error.ToString();
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
  AddJob(link, [this, id = link.id] {
    const uint64_t job = core_.Find(id)->digest.job;
    core_.replica.ReadDigest(
        core_.Later([this, id, job](const Result<std::vector<uint64_t>>& buckets) {
          Link* const current = EndJob(id, job);
          if (current == nullptr) return;
          if (!buckets.ok()) {
            Fail(*current, buckets.error());
          } else {
            current->digest.asked_ms = core_.now.steady_ms;
            core_.Send(*current, DigestMessage{++current->digest.round, *buckets});
          }
          NextJob(*current);
        }));
  });
}

void Digests::OnDigest(Link& link, DigestMessage digest) {
  AddJob(link, [this, id = link.id, digest = std::move(digest)] {
    const uint64_t job = core_.Find(id)->digest.job;
    core_.replica.ReadDigest(
        core_.Later([this, id, job, digest](const Result<std::vector<uint64_t>>& buckets) {
          Link* const current = EndJob(id, job);
          if (current == nullptr) return;
          if (!buckets.ok()) {
            Fail(*current, buckets.error());  // the peer begins anew after a while
          } else {
            DigestDiffMessage diff{digest.round, {}};
            for (size_t i = 0; i < kDigestBuckets; ++i) {
              diff.differing[i] = (*buckets)[i] != digest.buckets[i];
            }
            current->digest.result =
                diff.differing.none() ? DigestResult::kEqual : DigestResult::kDiffering;
            current->digest.differing = diff.differing.count();
            current->digest.result_ms = core_.now.steady_ms;
            core_.Send(*current, diff);
          }
          NextJob(*current);
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
    digest.due_ms = core_.options.digest_interval_ms == 0
                        ? kNever
                        : core_.now.steady_ms + core_.options.digest_interval_ms;
    return;
  }
  ++core_.counters.digests_differed;
  const Buckets lasting = diff.differing & digest.differed;
  digest.differed = diff.differing;
  digest.due_ms = core_.now.steady_ms + core_.options.digest_second_round_ms;
  digest.result = lasting.none() ? DigestResult::kDiffering : DigestResult::kRepairing;
  size_t left = core_.options.digest_buckets_max;
  for (uint32_t bucket = 0; bucket < kDigestBuckets && left > 0; ++bucket) {
    if (!lasting[bucket]) continue;
    --left;
    ++core_.counters.buckets_repaired;
    ListRows(link, bucket);
    if (link.is_closed) return;
  }
}

void Digests::ListRows(Link& link, uint32_t bucket) {
  AddJob(link, [this, id = link.id, bucket] {
    const uint64_t job = core_.Find(id)->digest.job;
    core_.replica.ReadRowDigests(
        bucket, core_.Later([this, id, job, bucket](const Result<std::vector<RowDigest>>& rows) {
          Link* const current = EndJob(id, job);
          if (current == nullptr) return;
          if (!rows.ok()) {
            Fail(*current, rows.error());
            NextJob(*current);
            return;
          }
          // Each message speaks for its stretch of keys; together they cover all.
          RowDigestsMessage message{bucket, 0, UINT64_MAX, {}};
          for (size_t at = 0; at < rows->size(); ++at) {
            if (message.rows.size() == core_.options.digest_rows_max) {
              message.last = (*rows)[at].key - 1;
              Queue(*current, message);
              message = {bucket, (*rows)[at].key, UINT64_MAX, {}};
            }
            message.rows.push_back((*rows)[at]);
          }
          Queue(*current, message);
        }));
  });
}

void Digests::OnRowDigests(Link& link, RowDigestsMessage digests) {
  AddJob(link, [this, id = link.id, digests = std::move(digests)] {
    const uint64_t job = core_.Find(id)->digest.job;
    core_.replica.ReadRowDigests(
        digests.bucket,
        core_.Later([this, id, job, digests](const Result<std::vector<RowDigest>>& own) {
          Link* const current = EndJob(id, job);
          if (current == nullptr) return;
          if (!own.ok()) {
            Fail(*current, own.error());
            NextJob(*current);
            return;
          }
          std::map<uint64_t, uint64_t> theirs;
          for (const RowDigest& row : digests.rows) theirs.emplace(row.key, row.row);
          std::vector<uint64_t> give;
          std::vector<uint64_t> want;
          for (const RowDigest& row : *own) {
            if (row.key < digests.first || row.key > digests.last) continue;
            const auto at = theirs.find(row.key);
            if (at == theirs.end() || at->second != row.row) give.push_back(row.key);
            if (at != theirs.end() && at->second != row.row) want.push_back(row.key);
            if (at != theirs.end()) theirs.erase(at);
            // What is left in the end is lacking here.
          }
          for (const auto& [key, row] : theirs) want.push_back(key);
          if (!want.empty()) Queue(*current, RowsWantedMessage{digests.bucket, std::move(want)});
          if (!give.empty()) SendRows(*current, digests.bucket, std::move(give));
          NextJob(*current);
        }));
  });
}

void Digests::OnRowsWanted(Link& link, RowsWantedMessage wanted) {
  if (wanted.keys.size() > 2 * core_.options.digest_rows_max) {
    core_.Close(link, CloseReason::kLimit, "too many rows are wanted at once");
    return;
  }
  SendRows(link, wanted.bucket, std::move(wanted.keys));
}

void Digests::SendRows(Link& link, uint32_t bucket, std::vector<uint64_t> keys) {
  for (size_t at = 0; at < keys.size() && !link.is_closed; at += kRowsPerRead) {
    const auto begin = keys.begin() + static_cast<ptrdiff_t>(at);
    const auto end =
        keys.begin() + static_cast<ptrdiff_t>(std::min(keys.size(), at + kRowsPerRead));
    AddJob(link, [this, id = link.id, bucket, some = std::vector<uint64_t>(begin, end)] {
      const uint64_t job = core_.Find(id)->digest.job;
      core_.replica.ReadRows(
          bucket, some,
          core_.Later([this, id, job, bucket](const Result<std::vector<SharedChangeset>>& rows) {
            Link* const current = EndJob(id, job);
            if (current == nullptr) return;
            if (!rows.ok()) {
              Fail(*current, rows.error());
              NextJob(*current);
              return;
            }
            for (const SharedChangeset& changeset : *rows) {
              for (const Changeset& part :
                   changeset::SplitBetweenRows(*changeset, core_.options.chunk_bytes)) {
                // They are merged one by one: for rows, parts mean nothing.
                Changeset alone = part;
                alone.part = 0;
                alone.parts = 1;
                current->digest.rows_repaired += alone.cells.rows.size() + alone.documents.size();
                const Result<Bytes> frame = changeset::Encoder().Encode({&alone, 1});
                if (!frame.ok()) {
                  ++core_.counters.unsendable;
                  Fail(*current, frame.error());
                  continue;
                }
                RowsMessage message;
                message.bucket = bucket;
                message.frame = *frame;
                Queue(*current, message);
                if (current->is_closed) return;
              }
            }
            NextJob(*current);
          }));
    });
  }
}

void Digests::OnRows(Link& link, const RowsMessage& rows) {
  Result<std::vector<Changeset>> changesets = changeset::Decoder().Decode(rows.frame);
  if (!changesets.ok()) {
    core_.Close(link, CloseReason::kProtocol, "rows: " + changesets.error().message());
    return;
  }
  std::vector<SharedChangeset> shared;
  for (Changeset& changeset : *changesets) {
    link.digest.rows_repaired += changeset.cells.rows.size() + changeset.documents.size();
    shared.push_back(std::make_shared<const Changeset>(std::move(changeset)));
  }
  AddJob(link, [this, id = link.id, shared = std::move(shared)] {
    const uint64_t job = core_.Find(id)->digest.job;
    core_.replica.Repair(shared, core_.Later([this, id, job](const Status& repaired) {
      Link* const current = EndJob(id, job);
      if (current == nullptr) return;
      // If it failed the next round finds the same rows again.
      if (!repaired.ok()) Fail(*current, repaired.error());
      NextJob(*current);
    }));
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
