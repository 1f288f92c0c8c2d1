// SPDX-License-Identifier: Apache-2.0
//
// Presence: the %EPH rooms of the Loro protocol. What a member sends goes to the others verbatim
// and is never stored on disk. The room remembers the newest entry of every key, so that a newcomer
// sees at once who is there, until the entry is old, its sender is gone or the room is empty.
//
// A member whose sink is congested misses messages; it gets the whole room when it has drained.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sync/core.h"
#include "sync/ephemeral_codec.h"

namespace merrow::sync {

class Session;

class Presence {
 public:
  explicit Presence(Core& core) : core_(core) {}
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  /// Adds the session to the room, which is made if need be. Limit if there are too many rooms.
  Status Join(Session& session, std::string_view room);
  bool IsMember(const Session& session, std::string_view room) const;
  /// An update with what is in the room; empty if nothing is.
  Bytes State(std::string_view room) const;

  /// Remembers what the update says and sends `message`, which carries it, to the other members.
  /// REQUIRES: IsMember. Corruption if one of the updates is malformed, limit if the room is full;
  /// then nothing is remembered or sent.
  Status Update(Session& session, std::string_view room, const std::vector<BytesView>& updates,
                const std::vector<SharedBytes>& messages);

  void Leave(Session& session, std::string_view room);
  void OnDrained(Session& session, std::string_view room);
  void OnTick();

  size_t room_count() const { return rooms_.size(); }
  size_t MemoryBytes() const;

 private:
  struct Entry {
    Bytes bytes;
    int64_t timestamp_ms = 0;  // the sender's clock
    int64_t heard_ms = 0;      // ours
    SessionId owner = 0;
    bool is_deleted = false;
  };
  struct Member {
    Session* session;
    bool missed = false;
  };
  struct Room {
    std::vector<Member> members;
    std::map<std::string, Entry, std::less<>> entries;
    size_t bytes = 0;
  };

  Room* Find(std::string_view room);
  const Room* Find(std::string_view room) const;
  Status Remember(Room& room, SessionId owner, const std::vector<EphemeralEntry>& entries);
  Bytes StateOf(const Room& room) const;

  Core& core_;
  std::map<std::string, Room, std::less<>> rooms_;
};

}  // namespace merrow::sync
