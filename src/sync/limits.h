// SPDX-License-Identifier: Apache-2.0
//
// Limits: what one session, row or presence room may cost, by name, with defaults. Everything that
// a client can make the server hold or do is bounded by one of these (docs/protocol.md, limits).

#pragma once

#include <cstddef>
#include <cstdint>

namespace merrow::sync {

struct Limits {
  /// Largest WebSocket message of the Loro protocol, either way. Fixed by that protocol.
  size_t loro_message_bytes_max = 256 * 1024;
  /// Largest WebSocket message of the row frames dialect that a client may send.
  size_t row_message_bytes_max = 16 * 1024 * 1024;
  /// Largest text message of the row frames dialect, and how deep its JSON may nest.
  size_t row_text_bytes_max = 64 * 1024;
  int json_depth_max = 8;

  /// Largest update (after reassembly) that is handed to the store.
  size_t update_bytes_max = 16 * 1024 * 1024;
  /// Updates in one DocUpdate message.
  size_t updates_per_message_max = 1024;

  /// Longest room id of the Loro protocol, in bytes. Fixed by that protocol.
  size_t room_id_bytes_max = 128;
  /// Longest row key of the row frames dialect, in bytes.
  size_t key_bytes_max = 1024;
  /// Longest encoded version vector that a client may send.
  size_t version_bytes_max = 64 * 1024;
  /// Peers that a client may have and the server not, remembered per subscription. Ops of further
  /// peers may be sent to the client although it has them, which costs only bytes.
  size_t foreign_peers_max = 256;

  /// Rooms (of all kinds) or rows that one session may be in.
  size_t rooms_per_session_max = 1024;

  /// Requests (joins and updates) of one session that wait for the store. From either on, the
  /// session's input is paused; a session whose messages go on after that is closed.
  size_t in_flight_requests_max = 256;
  size_t in_flight_bytes_max = 32 * 1024 * 1024;
  size_t messages_while_paused_max = 64;

  /// Fragment batches of one session that are being put together, their bytes, and their age.
  size_t fragment_batches_max = 16;
  size_t fragment_bytes_max = 32 * 1024 * 1024;
  size_t fragments_per_batch_max = 65536;
  int64_t fragment_timeout_ms = 10'000;
  /// Bytes of one fragment that the server sends.
  size_t fragment_bytes = 240 * 1024;

  /// Updates of one room that arrived before the ops they depend on, while the client is known to
  /// be about to send those: their bytes and their age. And their bytes in all rooms of a session.
  size_t parked_bytes_max = 1024 * 1024;
  size_t parked_session_bytes_max = 32 * 1024 * 1024;
  size_t parked_updates_max = 1024;
  int64_t parked_timeout_ms = 10'000;
  /// How often in a row a client is asked to rejoin a room without anything of it being accepted in
  /// between; then it is evicted from the room.
  int rejoins_max = 4;

  /// A sink with more than this many unsent bytes gets no more deltas: its rows fall behind and are
  /// healed by one merged delta each once the sink has drained.
  size_t buffer_high_water_bytes = 1024 * 1024;
  /// A sink with more than this is closed: its client does not read what it asks for.
  size_t buffer_bytes_max = 64 * 1024 * 1024;
  /// Reads that heal one session's rows at the same time.
  size_t heals_in_flight_max = 8;

  /// Presence: rooms in all, keys per room, bytes of one key's entry and of one room, and how long
  /// an entry that is not renewed is shown to newcomers.
  size_t presence_rooms_max = 100'000;
  size_t presence_keys_max = 4096;
  size_t presence_message_bytes_max = 64 * 1024;
  size_t presence_room_bytes_max = 1024 * 1024;
  int64_t presence_timeout_ms = 30'000;
};

}  // namespace merrow::sync
