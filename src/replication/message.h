// SPDX-License-Identifier: Apache-2.0
//
// Messages between two sites, and their bytes (docs/replication.md has worked hex).
// DO NOT CHANGE: on the wire.
//
//   message    u8 type | fields | what later releases add, which is ignored
//
//   Hello       1  4 bytes "MRWL" | uleb lowest version | uleb highest version | 16 bytes site
//                  | u64le nonce | u64le schema hash | zigzag wall clock in ms
//   State       2  u8 flags (1: the last of the State messages) | versions
//                  | uleb count | proof *
//   Have        3  versions
//   Need        4  uleb request | uleb bytes | versions | [uleb count | there *]
//   Changes     5  u8 flags (kChanges...) | [uleb request] | [u64le whole]
//                  | uleb length | frame (changeset/changeset_format.h)
//   Prune       6  uleb count | site *
//   Graft       7  uleb count | site *
//   Digest      8  uleb round | 256 times u64le
//   DigestDiff  9  uleb round | 32 bytes, bucket b is bit b % 8 of byte b / 8
//   RowDigests 10  uleb bucket | u64le first key | u64le last key | uleb count
//                  | (u64le key | u64le row) *
//   RowsWanted 11  uleb bucket | uleb count | u64le key *
//   Rows       12  uleb bucket | uleb length | frame, the first of a stream of its own
//   Bye        13  u8 reason (CloseReason) | uleb length | text
//   Statements 14  uleb count | statement *
//
//   versions   uleb count | (site | uleb count | range *) *
//   range      uleb versions skipped since the range before | uleb length, at least 1
//   site       uleb: 0 and 16 bytes: a new one; n: the n-th that was named in this direction
//   there      site' | uleb after | uleb until | u64le whole | uleb how many of its first parts
//   proof      uleb version | zigzag milliseconds | uleb count
//   statement  site' | uleb stamp | versions' that the statement before in this message has and
//                  this one has not | versions' that it has besides
//
// A message of an unknown type is skipped; it cannot name new sites. The first release did not know
// Statements: in site' and versions' 16 bytes behind a 0 name a site this once, and count for
// nothing later.

#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "changeset/version_set.h"
#include "replication/link_sink.h"
#include "replication/options.h"
#include "replication/replica.h"

namespace merrow::replication {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr uint32_t kProtocolVersionMin = 1;

inline constexpr uint8_t kChangesAnswer = 0x01;  // to a request; else fresh
inline constexpr uint8_t kChangesLast = 0x02;    // nothing more comes for the request
inline constexpr uint8_t kChangesMore = 0x04;    // last, but there is more of what was wanted
inline constexpr uint8_t kChangesFailed = 0x08;  // last, because it could not be read
inline constexpr uint8_t kChangesPart = 0x10;    // the frame holds one part of `whole`
inline constexpr uint8_t kChangesFlagsMask = 0x1F;

inline constexpr uint8_t kStateLast = 0x01;

inline constexpr size_t kProofsMax = 64;
inline constexpr size_t kByeTextMax = 512;

using Buckets = std::bitset<kDigestBuckets>;

struct HelloMessage {
  uint32_t version_min = kProtocolVersionMin;
  uint32_t version_max = kProtocolVersion;
  cells::SiteId site;
  /// Random for each process: tells a peer from this process itself and from a copy of its file.
  uint64_t nonce = 0;
  uint64_t schema_hash = 0;
  int64_t wall_ms = 0;
  /// The id of the zstd dictionary that the site has; 0: none.
  uint32_t dictionary = 0;
};
struct StateMessage {
  bool is_last = true;
  SiteVersions versions;
  std::vector<VersionProof> proofs;  // of what the sender has of the receiver
};
struct HaveMessage {
  SiteVersions versions;
};
/// Of a changeset that comes in parts the first ones are there already.
struct PartsThere {
  cells::SiteId site;
  VersionRange range;
  uint64_t whole = 0;
  uint32_t parts = 0;
};
inline constexpr size_t kPartsThereMax = 64;
struct NeedMessage {
  uint64_t request = 0;
  uint64_t bytes = 0;
  SiteVersions wanted;
  std::vector<PartsThere> there;
};
struct ChangesMessage {
  uint8_t flags = 0;
  uint64_t request = 0;
  uint64_t whole = 0;
  BytesView frame;  // empty: none
};
struct PruneMessage {
  std::vector<cells::SiteId> sites;
};
struct GraftMessage {
  std::vector<cells::SiteId> sites;
};
struct DigestMessage {
  uint64_t round = 0;
  std::vector<uint64_t> buckets;  // kDigestBuckets
};
struct DigestDiffMessage {
  uint64_t round = 0;
  Buckets differing;
};
/// All rows of the sender whose keys are from `first` to `last`.
struct RowDigestsMessage {
  uint32_t bucket = 0;
  uint64_t first = 0;
  uint64_t last = UINT64_MAX;
  std::vector<RowDigest> rows;  // by rising key
};
struct RowsWantedMessage {
  uint32_t bucket = 0;
  std::vector<uint64_t> keys;
};
struct RowsMessage {
  uint32_t bucket = 0;
  BytesView frame;
};
struct ByeMessage {
  CloseReason reason = CloseReason::kShutdown;
  std::string text;
};

/// What a site itself said that it has on disk. Of several of one site that with the largest stamp
/// holds.
struct Statement {
  cells::SiteId site;
  uint64_t stamp = 0;
  std::shared_ptr<const SiteVersions> has;
};
inline constexpr uint64_t kStampMax = uint64_t{1} << 62;
struct StatementsMessage {
  std::vector<Statement> statements;
};

// The index is the type.
using Message =
    std::variant<std::monostate, HelloMessage, StateMessage, HaveMessage, NeedMessage,
                 ChangesMessage, PruneMessage, GraftMessage, DigestMessage, DigestDiffMessage,
                 RowDigestsMessage, RowsWantedMessage, RowsMessage, ByeMessage, StatementsMessage>;

/// Writes the messages of one direction of a link, in order.
class MessageEncoder {
 public:
  Bytes Encode(const Message& message);

 private:
  friend class MessageWriter;
  std::map<cells::SiteId, uint64_t> numbers_;
};

/// Reads the messages of one direction of a link, in order.
class MessageDecoder {
 public:
  explicit MessageDecoder(const Options& options) : options_(options) {}

  /// std::monostate: a message of a later release. Corruption or limit: the link cannot go on.
  /// Frames are views into `message`.
  Result<Message> Decode(BytesView message);

 private:
  friend class MessageReader;
  const Options options_;
  std::vector<cells::SiteId> sites_;
};

}  // namespace merrow::replication
