// SPDX-License-Identifier: Apache-2.0
//
// Messages of one direction of a link, until one is refused, which ends the link. What is read says
// the same after it was written again, and no message takes more memory than its bytes can justify.
//
// Input: u8 (1: small limits), then pieces (base/fuzz/fuzz_input.h), each a message.

#include "replication/message.h"

#include <algorithm>

#include "base/fuzz/fuzz_input.h"
#include "base/fuzz/fuzz_target.h"
#include "base/fuzz/heap_meter.h"
#include "merrow/check.h"

namespace merrow::replication {
namespace {

constexpr size_t kHeapBase = size_t{8} << 10;
// A known site with one version is four bytes, and a node of a map with a vector.
constexpr size_t kHeapFactor = 64;

Options LimitsOf(bool are_small) {
  Options options;
  if (are_small) {
    options.peer_sites_max = 4;
    options.peer_ranges_max = 8;
    options.message_bytes_max = 512;
  }
  return options;
}

bool Same(const VersionProof& a, const VersionProof& b) {
  return a.version == b.version && a.timestamp == b.timestamp;
}
bool Same(const RowDigest& a, const RowDigest& b) { return a.key == b.key && a.row == b.row; }
bool Same(const Statement& a, const Statement& b) {
  return a.site == b.site && a.stamp == b.stamp && *a.has == *b.has;
}
bool Same(const PartsThere& a, const PartsThere& b) {
  return a.site == b.site && a.range == b.range && a.whole == b.whole && a.parts == b.parts;
}
template <typename T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return Same(x, y); });
}

bool Same(const std::monostate& /*a*/, const std::monostate& /*b*/) { return true; }
bool Same(const HelloMessage& a, const HelloMessage& b) {
  return a.version_min == b.version_min && a.version_max == b.version_max && a.site == b.site &&
         a.nonce == b.nonce && a.schema_hash == b.schema_hash && a.wall_ms == b.wall_ms;
}
bool Same(const StateMessage& a, const StateMessage& b) {
  return a.is_last == b.is_last && a.versions == b.versions && Same(a.proofs, b.proofs);
}
bool Same(const HaveMessage& a, const HaveMessage& b) { return a.versions == b.versions; }
bool Same(const NeedMessage& a, const NeedMessage& b) {
  return a.request == b.request && a.bytes == b.bytes && a.wanted == b.wanted &&
         Same(a.there, b.there);
}
bool Same(const ChangesMessage& a, const ChangesMessage& b) {
  return a.flags == b.flags && a.request == b.request && a.whole == b.whole && a.frame == b.frame;
}
bool Same(const PruneMessage& a, const PruneMessage& b) { return a.sites == b.sites; }
bool Same(const GraftMessage& a, const GraftMessage& b) { return a.sites == b.sites; }
bool Same(const DigestMessage& a, const DigestMessage& b) {
  return a.round == b.round && a.buckets == b.buckets;
}
bool Same(const DigestDiffMessage& a, const DigestDiffMessage& b) {
  return a.round == b.round && a.differing == b.differing;
}
bool Same(const RowDigestsMessage& a, const RowDigestsMessage& b) {
  return a.bucket == b.bucket && a.first == b.first && a.last == b.last && Same(a.rows, b.rows);
}
bool Same(const RowsWantedMessage& a, const RowsWantedMessage& b) {
  return a.bucket == b.bucket && a.keys == b.keys;
}
bool Same(const RowsMessage& a, const RowsMessage& b) {
  return a.bucket == b.bucket && a.frame == b.frame;
}
bool Same(const ByeMessage& a, const ByeMessage& b) {
  return a.reason == b.reason && a.text == b.text;
}

bool Same(const StatementsMessage& a, const StatementsMessage& b) {
  return Same(a.statements, b.statements);
}

bool SameMessage(const Message& a, const Message& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& of_a) { return Same(of_a, std::get<std::decay_t<decltype(of_a)>>(b)); }, a);
}

void FuzzMessage(BytesView input) {
  fuzz::FuzzInput in(input);
  const Options options = LimitsOf((in.U8() & 1) != 0);
  MessageDecoder decoder(options);
  MessageEncoder encoder;
  MessageDecoder reader(Options{});
  while (!in.empty()) {
    const BytesView bytes = in.Piece();
    const fuzz::HeapMeter meter;
    const Result<Message> message = decoder.Decode(bytes);
    fuzz::CheckHeap(meter, kHeapBase + kHeapFactor * bytes.size());
    if (!message.ok()) return;
    if (std::holds_alternative<std::monostate>(*message)) continue;
    const Bytes written = encoder.Encode(*message);
    const Result<Message> again = reader.Decode(written);
    MERROW_CHECK(again.ok());
    MERROW_CHECK(SameMessage(*message, *again));
  }
}

std::vector<Message> AllMessages() {
  cells::SiteId a;
  cells::SiteId b;
  b.bytes.fill(0xB7);
  SiteVersions versions;
  versions[a].Add({0, 7});
  versions[a].Add({9, 10});
  versions[b].Add({1000, cells::kDbVersionMax});
  HelloMessage hello;
  hello.site = a;
  hello.nonce = 17;
  hello.wall_ms = 1'700'000'000'000;
  const BytesView frame = "a frame";
  const auto has = std::make_shared<const SiteVersions>(versions);
  const auto has_less = std::make_shared<const SiteVersions>(SiteVersions{{a, versions[a]}});
  return {
      hello,
      StateMessage{false, versions, {}},
      StateMessage{true, {}, {{cells::kDbVersionMax, {-5, 9}}, {5, {7, 1}}}},
      HaveMessage{versions},
      NeedMessage{300, 65'536, versions, {}},
      NeedMessage{301, 1, versions, {{a, {0, 7}, 99, 3}, {b, {999, 1000}, 98, 1}}},
      ChangesMessage{0, 0, 0, frame},
      ChangesMessage{kChangesAnswer | kChangesLast | kChangesPart, 300, 99, frame},
      ChangesMessage{kChangesAnswer | kChangesLast | kChangesFailed, 301, 0, {}},
      PruneMessage{{a, b}},
      GraftMessage{{b}},
      DigestMessage{3, std::vector<uint64_t>(kDigestBuckets, 0x0123456789ABCDEF)},
      DigestDiffMessage{3, Buckets(0xF0F0)},
      RowDigestsMessage{255, 1, UINT64_MAX, {{1, 2}, {3, 4}}},
      RowsWantedMessage{0, {5, 4, UINT64_MAX}},
      RowsMessage{7, frame},
      ByeMessage{CloseReason::kLimit, "because"},
      StatementsMessage{{{a, 1000, has}, {b, kStampMax, has_less}}},
  };
}

std::vector<Bytes> MessageSeeds() {
  std::vector<Bytes> seeds;
  for (const bool are_small : {false, true}) {
    MessageEncoder all_encoder;
    ByteWriter all;
    all.U8(are_small ? 1 : 0);
    for (const Message& message : AllMessages()) {
      fuzz::AppendPiece(all_encoder.Encode(message), &all);
      MessageEncoder encoder;
      ByteWriter one;
      one.U8(are_small ? 1 : 0);
      fuzz::AppendPiece(encoder.Encode(message), &one);
      seeds.push_back(one.Release());
    }
    seeds.push_back(all.Release());
  }
  return seeds;
}

}  // namespace
}  // namespace merrow::replication

namespace merrow::fuzz {

std::vector<FuzzTarget> FuzzTargets() {
  return {{"message", replication::FuzzMessage, replication::MessageSeeds}};
}

}  // namespace merrow::fuzz
