// SPDX-License-Identifier: Apache-2.0
//
// Metrics: what the sync layer counts. The server shows them on /metrics.

#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace merrow::sync {

struct Metrics {
  // Now.
  uint64_t sessions = 0;
  uint64_t subscriptions = 0;
  uint64_t rows = 0;
  uint64_t presence_rooms = 0;
  uint64_t presence_members = 0;
  uint64_t behind = 0;  // subscriptions that lack something and wait for it

  // Since the start.
  uint64_t sessions_opened = 0;
  uint64_t messages_in = 0;
  uint64_t bytes_in = 0;
  uint64_t messages_out = 0;
  uint64_t bytes_out = 0;
  uint64_t submits = 0;
  uint64_t commits = 0;         // commits that some subscriber was interested in
  uint64_t commits_joined = 0;  // of these, sent on together with the one before
  uint64_t deltas_sent = 0;     // to one subscriber each
  uint64_t deltas_encoded = 0;  // frames made; the rest of deltas_sent shared one
  uint64_t reads = 0;           // asked of the row source
  uint64_t reads_shared = 0;    // served by a read that another subscriber had asked for
  uint64_t conflations = 0;     // deltas not sent because the subscriber is behind
  uint64_t resyncs = 0;         // merged deltas that healed a subscriber that was behind
  uint64_t own_ops_resent = 0;  // deltas sent with ops that their receiver had sent itself
  uint64_t rejoins_suggested = 0;
  uint64_t presence_messages = 0;
  uint64_t pauses = 0;                                  // times that a session's input was paused
  std::map<std::string, uint64_t, std::less<>> errors;  // by code, as in docs/protocol.md
};

}  // namespace merrow::sync
