// SPDX-License-Identifier: Apache-2.0
//
// Options: what replication may cost and how long it waits, by name, with defaults. Everything that
// a peer can make this site hold or do is bounded by one of these (docs/replication.md, limits).

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "changeset/changeset_format.h"
#include "changeset/frame.h"
#include "changeset/hybrid_clock.h"

namespace merrow::replication {

struct Options {
  /// What this site's schema is; sites with another one replicate all the same. Shown in the
  /// report.
  uint64_t schema_hash = 0;

  // --- Messages ---

  /// Changesets are sent in messages of about this many bytes, and larger ones in parts.
  size_t chunk_bytes = 64 * 1024;
  /// Largest message of a peer. The transport must let messages of this size through.
  size_t message_bytes_max = changeset::kFramePayloadMax + 64 * 1024;
  /// Of frames on the wire; 0: never compressed.
  int zstd_level = 1;
  /// Used on links whose other end names the same one. Null: none.
  std::shared_ptr<const changeset::Dictionary> dictionary;
  /// A link with more unsent bytes than this gets no more changesets until it has drained: fresh
  /// ones are announced to it later, answers wait.
  size_t unsent_bytes_max = 1024 * 1024;
  /// A link with more unsent bytes than this is dropped: its peer asks and does not read.
  size_t unsent_bytes_hard_max = 64 * 1024 * 1024;
  /// A fresh changeset that is larger, about, is not pushed but announced, and pulled in parts.
  size_t push_bytes_max = 256 * 1024;

  // --- What this site asks for ---

  /// Requests of one link that are not answered yet, and what each may ask for.
  size_t requests_per_link_max = 4;
  size_t request_bytes = 512 * 1024;
  size_t request_sites_max = 64;
  size_t request_ranges_max = 256;
  /// Requests of all links together: requests_max * request_bytes is about what is in memory.
  size_t requests_max = 32;
  /// Without any progress for this long a request is given up and asked elsewhere; a link on which
  /// that happens so often in a row is dropped.
  int64_t request_timeout_ms = 15'000;
  int request_timeouts_max = 3;

  // --- What peers ask for ---

  /// Requests of a peer that wait or are being answered; one that sends more is dropped.
  size_t answers_per_link_max = 16;
  /// Version ranges that one request may name; a peer that names more is dropped.
  size_t answer_ranges_max = 4096;
  /// Most bytes of one answer, whatever the peer asks for.
  size_t answer_bytes_max = 4 * 1024 * 1024;
  /// A read that fails (busy, io) is tried again so often before the peer is told to ask elsewhere.
  int read_tries_max = 5;

  // --- Applying ---

  /// Of one transaction of the store.
  size_t apply_changesets_max = 500;
  size_t apply_bytes_max = 4 * 1024 * 1024;
  /// How long the store may be at one transaction of them, about, since the edits of clients wait
  /// that long. Batches are as large as lately went through in this time, down to some 64 KiB.
  int64_t apply_ms_target = 25;
  /// Changesets that wait for the store, in memory. Beyond this fresh ones are dropped and pulled
  /// later; what was asked for is bounded by the requests.
  size_t apply_queue_bytes_max = 64 * 1024 * 1024;
  /// An apply that takes longer is counted as stalled and issued once more.
  int64_t apply_timeout_ms = 60'000;
  /// Changesets that follow ops which are not here (Fate::kWaiting), in memory; beyond this they
  /// are pulled again later.
  size_t waiting_bytes_max = 32 * 1024 * 1024;
  /// How often at most they are handed in again.
  int64_t waiting_retry_ms = 200;
  /// Refused changesets that the report lists; older ones are only counted.
  size_t refused_listed_max = 64;
  /// Version ranges that are kept out because the database refused them, of all peers together. A
  /// peer whose share alone is larger is dropped.
  size_t refused_ranges_max = 16'384;

  // --- Retries: from min to max, doubling, with half of it random ---

  int64_t retry_ms_min = 200;
  int64_t retry_ms_max = 30'000;

  // --- Spreading ---

  /// How long commits are collected before links that did not get them are told, and before peers
  /// that sent them are told that they are committed here.
  int64_t have_delay_ms = 50;
  int64_t acknowledge_delay_ms = 500;
  /// How often at most this site states what it has, and passes on what others stated; sites whose
  /// statements are kept, and version ranges of all of them.
  int64_t confirm_interval_ms = 60'000;
  size_t statement_sites_max = 4096;
  size_t statement_ranges_max = 131'072;
  /// How long a changeset that a pruned link announced may take to come over another one.
  int64_t lazy_timeout_ms = 500;
  /// Fresh changesets that came over a link although they were known, in a row, until it is pruned.
  int duplicates_until_prune = 1;

  // --- Links ---

  int64_t handshake_timeout_ms = 30'000;
  /// Something is sent at least this often, and a link that was silent so long is dropped.
  int64_t keepalive_ms = 15'000;
  int64_t silence_ms_max = 60'000;
  /// How often the whole vector is sent again, in case that a notice was lost by a bug.
  int64_t refresh_ms = 300'000;
  /// Sites and ranges that one peer may say that it has.
  size_t peer_sites_max = 65'536;
  size_t peer_ranges_max = 1'048'576;

  // --- Clocks, digests, identity ---

  /// Timestamps from further ahead are counted as skewed.
  int64_t skew_ms_max = changeset::kSkewMsMax;
  /// How often digests are compared on a link; 0: never. And again after this long if they differ.
  int64_t digest_interval_ms = 600'000;
  int64_t digest_second_round_ms = 5'000;
  /// Buckets that are compared by rows in one round, and rows that one message lists or repairs.
  size_t digest_buckets_max = 16;
  size_t digest_rows_max = 4096;
  /// Rows of a peer that wait for the database; further ones are dropped until the next round.
  size_t digest_queue_bytes_max = 8 * 1024 * 1024;
  /// A single row of a peer, in memory. A larger one is not repaired, and stays as it differs.
  size_t digest_row_bytes_max = 256 * 1024 * 1024;
  /// How often this process may take a new identity. A peer that brings it about more often lies.
  int identity_changes_max = 8;
};

}  // namespace merrow::replication
