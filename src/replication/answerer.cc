// SPDX-License-Identifier: Apache-2.0
#include "replication/answerer.h"

#include <algorithm>

#include "replication/parts.h"

namespace merrow::replication {

void Answerer::OnNeed(Link& link, const NeedMessage& need) {
  if (link.answers.size() >= core_.options.answers_per_link_max) {
    core_.Close(link, CloseReason::kLimit, "too many requests at once");
    return;
  }
  if (CountRanges(need.wanted) > core_.options.answer_ranges_max) {
    core_.Close(link, CloseReason::kLimit, "a request of too many ranges");
    return;
  }
  Answer& answer = link.answers.emplace_back();
  answer.request = need.request;
  answer.there = need.there;
  answer.budget = static_cast<size_t>(
      std::clamp<uint64_t>(need.bytes, 1, uint64_t{core_.options.answer_bytes_max}));
  answer.progress_ms = core_.now.steady_ms;
  for (const auto& [site, ranges] : need.wanted) {
    VersionRanges here = ranges.Intersection(RangesOf(core_.seen, site));
    if (!here.empty()) answer.wanted.emplace(site, std::move(here));
  }
  Pump(link);
}

bool Answerer::IsRead(const Answer& answer) {
  return answer.wanted.empty() || answer.budget == 0 || answer.has_failed;
}

void Answerer::Pump(Link& link) {
  if (!link.is_open()) return;
  while (!link.answers.empty() && core_.CanSend(link)) {
    Answer& answer = link.answers.front();
    if (SendSome(link, answer)) continue;
    if (answer.is_reading || answer.retry_ms != kNever) return;
    if (!IsRead(answer)) {
      Read(link);
      return;
    }
    SendEnd(link, answer);
    if (link.is_closed) return;
    link.answers.pop_front();
  }
}

void Answerer::Read(Link& link) {
  Answer& answer = link.answers.front();
  answer.is_reading = true;
  answer.progress_ms = core_.now.steady_ms;
  const auto& [site, wanted] = *answer.wanted.begin();
  core_.replica.Read(
      site, wanted, answer.budget,
      core_.Later(
          [this, id = link.id, request = answer.request, from = site](Result<ReadPage> page) {
            Link* const asking = core_.Find(id);
            if (asking == nullptr || asking->answers.empty()) return;
            Answer& current = asking->answers.front();
            if (current.request != request || !current.is_reading) return;
            current.is_reading = false;
            current.progress_ms = core_.now.steady_ms;
            if (page.ok()) {
              current.tries = 0;
              OnPage(*asking, from, std::move(*page));
            } else {
              ++core_.counters.reads_failed;
              core_.Log(LogLevel::kWarning, *asking, "read for a peer: " + page.error().ToString());
              if (++current.tries >= core_.options.read_tries_max) {
                current.has_failed = true;
              } else {
                current.retry_ms = core_.now.steady_ms + core_.RetryDelay(current.tries - 1);
              }
            }
            Pump(*asking);
          }));
}

void Answerer::OnPage(Link& link, const cells::SiteId& site, ReadPage page) {
  Answer& answer = link.answers.front();
  VersionRanges settled = std::move(page.settled);
  size_t bytes = 0;
  for (SharedChangeset& changeset : page.changesets) {
    settled.Add(VersionRange{changeset->cells.previous, changeset->cells.version});
    bytes += EstimatedBytes(*changeset);
    answer.changesets.push_back(std::move(changeset));
  }
  answer.budget -= std::min(answer.budget, bytes);
  const bool has_progress =
      !settled.Intersection(RangesOf(answer.wanted, site)).empty() && !answer.changesets.empty();
  RemoveFrom(answer.wanted, site, settled);
  // The rest of this site is not here, or there is no getting at it now.
  if (!page.more || !has_progress) {
    if (page.more && answer.wanted.contains(site)) answer.has_more = true;
    answer.wanted.erase(site);
  }
}

bool Answerer::SendSome(Link& link, Answer& answer) {
  if (!answer.parts.empty()) {
    SendPart(link, answer);
    return true;
  }
  if (answer.changesets.empty()) return false;
  const SharedChangeset next = answer.changesets.front();
  if (next->parts == 1 && EstimatedBytes(*next) > core_.options.chunk_bytes) {
    answer.changesets.pop_front();
    std::vector<Changeset> parts = changeset::SplitChangeset(*next, core_.options.chunk_bytes);
    if (parts.size() > 1) answer.whole = NameOfSplit(*next, core_.options.chunk_bytes);
    answer.parts.assign(std::make_move_iterator(parts.begin()),
                        std::make_move_iterator(parts.end()));
    SkipThere(*next, answer);
    SendPart(link, answer);
    return true;
  }
  SendChangesets(link, answer);
  return true;
}

void Answerer::SkipThere(const Changeset& changeset, Answer& answer) {
  for (const PartsThere& there : answer.there) {
    const VersionRange range{changeset.cells.previous, changeset.cells.version};
    if (there.site != changeset.cells.site || there.range != range || there.whole != answer.whole) {
      continue;
    }
    // The last one goes in any case: it says that all have come.
    const size_t skipped = std::min<size_t>(there.parts, answer.parts.size() - 1);
    answer.parts.erase(answer.parts.begin(),
                       answer.parts.begin() + static_cast<ptrdiff_t>(skipped));
    core_.counters.parts_skipped += skipped;
    return;
  }
}

void Answerer::SendPart(Link& link, Answer& answer) {
  const Changeset part = std::move(answer.parts.front());
  answer.parts.pop_front();
  ChangesMessage message;
  message.flags = kChangesAnswer;
  message.request = answer.request;
  if (part.parts > 1) {
    message.flags |= kChangesPart;
    message.whole = answer.whole;
  }
  const Changeset* const pointer = &part;
  if (SendFrame(link, {&pointer, 1}, message)) return;
  // Without this one the others are of no use.
  ++core_.counters.unsendable;
  answer.parts.clear();
}

void Answerer::SendChangesets(Link& link, Answer& answer) {
  std::vector<SharedChangeset> some;
  size_t bytes = 0;
  while (!answer.changesets.empty()) {
    const size_t more = EstimatedBytes(*answer.changesets.front());
    if (!some.empty() && bytes + more > core_.options.chunk_bytes) break;
    bytes += more;
    some.push_back(std::move(answer.changesets.front()));
    answer.changesets.pop_front();
  }
  ChangesMessage message;
  message.flags = kChangesAnswer;
  message.request = answer.request;
  std::vector<const Changeset*> pointers;
  for (const SharedChangeset& changeset : some) pointers.push_back(changeset.get());
  if (SendFrame(link, pointers, message) || link.is_closed) return;
  for (const Changeset* const pointer : pointers) {
    if (!SendFrame(link, {&pointer, 1}, message)) ++core_.counters.unsendable;
    if (link.is_closed) return;
  }
}

bool Answerer::SendFrame(Link& link, std::span<const Changeset* const> changesets,
                         ChangesMessage message) {
  const Result<Bytes> frame = link.encoder.Encode(changesets);
  if (!frame.ok()) {
    core_.Log(LogLevel::kWarning, link, "a changeset: " + frame.error().ToString());
    return false;
  }
  message.frame = *frame;
  core_.Send(link, message);
  link.changesets_out += changesets.size();
  return true;
}

void Answerer::SendEnd(Link& link, Answer& answer) {
  ChangesMessage message;
  message.flags = kChangesAnswer | kChangesLast;
  message.request = answer.request;
  if (answer.has_failed) message.flags |= kChangesFailed;
  if (answer.has_more || !answer.wanted.empty()) message.flags |= kChangesMore;
  core_.Send(link, message);
}

void Answerer::OnTick() {
  core_.ForEachOpen([&](Link& link) {
    if (link.answers.empty()) return;
    Answer& answer = link.answers.front();
    if (answer.retry_ms <= core_.now.steady_ms) {
      answer.retry_ms = kNever;
      Pump(link);
      return;
    }
    // A read that never came back: the peer shall ask elsewhere.
    if (answer.is_reading &&
        core_.now.steady_ms - answer.progress_ms >= core_.options.apply_timeout_ms) {
      ++core_.counters.reads_failed;
      answer.is_reading = false;
      answer.has_failed = true;
      Pump(link);
    }
  });
}

int64_t Answerer::NextDue() const {
  int64_t due = kNever;
  for (const auto& [id, link] : core_.links) {
    if (!link->is_open() || link->answers.empty()) continue;
    const Answer& answer = link->answers.front();
    due = std::min(due, answer.retry_ms);
    if (answer.is_reading) due = std::min(due, answer.progress_ms + core_.options.apply_timeout_ms);
  }
  return due;
}

}  // namespace merrow::replication
