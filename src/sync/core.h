// SPDX-License-Identifier: Apache-2.0
//
// Core: what the parts of one Hub share. Inside of this layer only.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sync/hub.h"

namespace merrow::sync {

class Fanout;
class Presence;

/// Longest part of a log line that a client may have a say in.
inline constexpr size_t kDetailBytesMax = 400;

struct Core {
  Core(RowSource& row_source, const Limits& hub_limits, Logger hub_logger)
      : source(row_source), limits(hub_limits), logger(std::move(hub_logger)) {}

  RowSource& source;
  const Limits limits;
  const Logger logger;
  Metrics metrics;
  int64_t now_ms = 0;          // the latest that a caller told
  uint64_t next_batch_id = 1;  // of messages that the hub originates

  Fanout* fanout = nullptr;
  Presence* presence = nullptr;

  /// Sessions to close when the current call is done, so that nothing disappears under a loop.
  struct Doomed {
    SessionId session;
    uint16_t close_code;
    std::string reason;
  };
  std::vector<Doomed> doomed;

  /// Counts an error under its code and logs a line.
  void Report(LogLevel level, SessionId session, std::string_view code, std::string_view detail) {
    const auto it = metrics.errors.find(code);
    if (it != metrics.errors.end()) {
      ++it->second;
    } else {
      metrics.errors.emplace(code, 1);
    }
    if (!logger) return;
    std::string line = "session " + std::to_string(session) + ": ";
    line.append(code).append(": ").append(detail.substr(0, kDetailBytesMax));
    // Names come from clients: a log line stays one line.
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    logger(level, line);
  }
};

}  // namespace merrow::sync
