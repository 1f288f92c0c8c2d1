// SPDX-License-Identifier: Apache-2.0
//
// The counters of replication by name, for the status page and the metrics.

#pragma once

#include <cstdint>
#include <string_view>

#include "replication/report.h"

namespace merrow::server {

/// Calls `visit(name, help, value)` for each.
template <typename Visit>
void ForEachCounter(const replication::Counters& counters, const Visit& visit) {
  using Counters = replication::Counters;
  struct Named {
    std::string_view name;
    std::string_view help;
    uint64_t Counters::*member;
  };
  constexpr Named kNamed[] = {
      {"published", "Transactions of this site", &Counters::published},
      {"applied", "Changesets of other sites applied", &Counters::applied},
      {"known", "Changesets that the store had already", &Counters::known},
      {"buffered_parts", "Parts of large changesets kept until the others come",
       &Counters::buffered_parts},
      {"parts_skipped", "Parts not sent because the peer has them on disk",
       &Counters::parts_skipped},
      {"waited", "Times that a changeset had to wait for another", &Counters::waited},
      {"waiting_dropped", "Waiting changesets dropped, to be asked for again",
       &Counters::waiting_dropped},
      {"refused", "Changesets that can never be applied", &Counters::refused},
      {"duplicates", "Pushed changesets that were known", &Counters::duplicates},
      {"pushed", "Fresh changesets sent, own and relayed", &Counters::pushed},
      {"push_skipped", "Fresh changesets announced instead of sent", &Counters::push_skipped},
      {"fresh_dropped", "Fresh changesets dropped because too much waited",
       &Counters::fresh_dropped},
      {"requests", "Requests for changesets", &Counters::requests},
      {"request_timeouts", "Requests given up for lack of progress", &Counters::request_timeouts},
      {"requests_empty", "Requests answered without what was asked for", &Counters::requests_empty},
      {"reads_failed", "Reads that the store failed", &Counters::reads_failed},
      {"applies_failed", "Batches that the store failed", &Counters::applies_failed},
      {"applies_stalled", "Batches that took too long", &Counters::applies_stalled},
      {"prunes", "Links asked not to push a site's changesets", &Counters::prunes},
      {"grafts", "Links asked to push them again", &Counters::grafts},
      {"links_opened", "Links opened", &Counters::links_opened},
      {"links_refused", "Links closed by this site", &Counters::links_refused},
      {"skewed", "Timestamps from too far ahead", &Counters::skewed},
      {"unsendable", "Changesets that no message can hold", &Counters::unsendable},
      {"digests_compared", "Comparisons of digests", &Counters::digests_compared},
      {"digests_differed", "Comparisons that found differences", &Counters::digests_differed},
      {"buckets_repaired", "Buckets of rows that were repaired", &Counters::buckets_repaired},
      {"repairs_dropped", "Messages of rows to repair dropped because too much waited",
       &Counters::repairs_dropped},
      {"messages_unknown", "Messages of a later release, skipped", &Counters::messages_unknown},
      {"statements", "Statements of other sites taken", &Counters::statements},
      {"statements_dropped", "Statements of other sites dropped because there was no room",
       &Counters::statements_dropped},
  };
  static_assert(sizeof(kNamed) / sizeof(Named) == sizeof(Counters) / sizeof(uint64_t),
                "a counter has no name");
  for (const Named& named : kNamed) visit(named.name, named.help, counters.*named.member);
}

}  // namespace merrow::server
