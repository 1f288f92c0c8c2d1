// SPDX-License-Identifier: Apache-2.0
#include "sync/presence.h"

#include <algorithm>

#include "sync/loro_protocol.h"
#include "sync/session.h"

namespace merrow::sync {

Presence::Room* Presence::Find(std::string_view room) {
  const auto found = rooms_.find(room);
  return found == rooms_.end() ? nullptr : &found->second;
}

const Presence::Room* Presence::Find(std::string_view room) const {
  const auto found = rooms_.find(room);
  return found == rooms_.end() ? nullptr : &found->second;
}

Status Presence::Join(Session& session, std::string_view name) {
  Room* room = Find(name);
  if (room == nullptr) {
    if (rooms_.size() >= core_.limits.presence_rooms_max) return LimitReached("presence rooms");
    room = &rooms_[std::string(name)];
  }
  if (IsMember(session, name)) return {};
  room->members.push_back({.session = &session});
  ++core_.metrics.presence_members;
  return {};
}

bool Presence::IsMember(const Session& session, std::string_view name) const {
  const Room* room = Find(name);
  return room != nullptr && std::any_of(room->members.begin(), room->members.end(),
                                        [&](const Member& m) { return m.session == &session; });
}

Bytes Presence::State(std::string_view name) const {
  const Room* room = Find(name);
  return room == nullptr ? Bytes() : StateOf(*room);
}

Bytes Presence::StateOf(const Room& room) const {
  std::vector<BytesView> entries;
  for (const auto& [key, entry] : room.entries) {
    if (core_.now_ms - entry.heard_ms < core_.limits.presence_timeout_ms) {
      entries.push_back(entry.bytes);
    }
  }
  return entries.empty() ? Bytes() : EncodeEphemeral(entries);
}

Status Presence::Update(Session& session, std::string_view name,
                        const std::vector<BytesView>& updates,
                        const std::vector<SharedBytes>& messages) {
  Room* const room = Find(name);
  MERROW_CHECK(room != nullptr);
  std::vector<EphemeralEntry> entries;
  for (const BytesView update : updates) {
    if (update.empty()) continue;
    MERROW_ASSIGN(const std::vector<EphemeralEntry> decoded, DecodeEphemeral(update));
    entries.insert(entries.end(), decoded.begin(), decoded.end());
  }
  MERROW_TRY(Remember(*room, session.id(), entries));
  if (entries.empty()) return {};  // what a client without any presence sends when it joins
  for (Member& member : room->members) {
    if (member.session == &session) continue;
    if (member.missed || member.session->is_congested()) {
      member.missed = true;
      continue;
    }
    ++core_.metrics.presence_messages;
    member.session->SendUpdate(messages);
  }
  return {};
}

// All or nothing: the room's size after it is computed first.
Status Presence::Remember(Room& room, SessionId owner, const std::vector<EphemeralEntry>& entries) {
  size_t new_keys = 0;
  size_t bytes = room.bytes;
  for (const EphemeralEntry& entry : entries) {
    const auto old = room.entries.find(entry.key);
    if (old == room.entries.end()) ++new_keys;
    bytes += entry.key.size() + entry.bytes.size();
  }
  if (room.entries.size() + new_keys > core_.limits.presence_keys_max) {
    return LimitReached("keys in a presence room");
  }
  if (bytes > core_.limits.presence_room_bytes_max) return LimitReached("bytes in a presence room");
  for (const EphemeralEntry& entry : entries) {
    auto [at, is_new] = room.entries.try_emplace(std::string(entry.key));
    Entry& slot = at->second;
    if (!is_new && slot.timestamp_ms >= entry.timestamp_ms) continue;
    room.bytes -= slot.bytes.size();
    room.bytes += entry.bytes.size() + (is_new ? entry.key.size() : 0);
    slot = {.bytes = Bytes(entry.bytes),
            .timestamp_ms = entry.timestamp_ms,
            .heard_ms = core_.now_ms,
            .owner = owner,
            .is_deleted = entry.is_deleted};
  }
  return {};
}

void Presence::Leave(Session& session, std::string_view name) {
  const auto found = rooms_.find(name);
  if (found == rooms_.end()) return;
  Room& room = found->second;
  const size_t removed =
      std::erase_if(room.members, [&](const Member& m) { return m.session == &session; });
  core_.metrics.presence_members -= removed;
  if (room.members.empty()) {
    rooms_.erase(found);
    return;
  }
  for (auto at = room.entries.begin(); at != room.entries.end();) {
    if (at->second.owner != session.id() || at->second.is_deleted) {
      ++at;
      continue;
    }
    room.bytes -= at->first.size() + at->second.bytes.size();
    at = room.entries.erase(at);
  }
}

void Presence::OnDrained(Session& session, std::string_view name) {
  Room* const room = Find(name);
  if (room == nullptr) return;
  for (Member& member : room->members) {
    if (member.session != &session || !member.missed || session.is_congested()) continue;
    member.missed = false;
    const Bytes state = StateOf(*room);
    if (state.empty()) continue;
    ++core_.metrics.presence_messages;
    session.SendUpdate(
        EncodeUpdate(RoomKind::kEphemeral, name, state, core_.next_batch_id++, core_.limits));
  }
}

void Presence::OnTick() {
  for (auto& [name, room] : rooms_) {
    for (auto at = room.entries.begin(); at != room.entries.end();) {
      if (core_.now_ms - at->second.heard_ms < core_.limits.presence_timeout_ms) {
        ++at;
        continue;
      }
      room.bytes -= at->first.size() + at->second.bytes.size();
      at = room.entries.erase(at);
    }
  }
}

size_t Presence::MemoryBytes() const {
  size_t bytes = 0;
  for (const auto& [name, room] : rooms_) {
    bytes += sizeof(Room) + sizeof(std::string) + name.capacity() + 48 +
             room.members.capacity() * sizeof(Member) + room.bytes +
             room.entries.size() * (sizeof(Entry) + sizeof(std::string) + 48);
  }
  return bytes;
}

}  // namespace merrow::sync
