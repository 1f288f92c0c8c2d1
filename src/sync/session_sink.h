// SPDX-License-Identifier: Apache-2.0
//
// SessionSink: the sending side of one connection, as sync sees it. The server implements it on a
// WebSocket. No call may call back into the Hub before it returns.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sync/row_source.h"

namespace merrow::sync {

class SessionSink {
 public:
  virtual ~SessionSink() = default;

  /// Queues one message. `message` may be shared with other sessions.
  virtual void Send(SharedBytes message, bool is_text) = 0;

  /// Closes the connection with a WebSocket close code, after what is queued. The Hub has forgotten
  /// the session's rooms already and ignores what it still sends; CloseSession must follow.
  virtual void Close(uint16_t code, std::string_view reason) = 0;

  /// Asks the transport to stop, or go on, reading messages. Some that were read already may still
  /// be delivered after a stop.
  virtual void SetReading(bool enabled) = 0;

  /// Bytes that were queued and are not sent yet.
  virtual size_t buffered_bytes() const = 0;
};

}  // namespace merrow::sync
