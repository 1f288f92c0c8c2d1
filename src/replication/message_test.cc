// SPDX-License-Identifier: Apache-2.0
//
// The bytes of messages: the worked examples of docs/replication.md, and everything read back.
#include "replication/message.h"

#include <gtest/gtest.h>

namespace merrow::replication {
namespace {

cells::SiteId SiteOf(unsigned char fill) {
  cells::SiteId site;
  site.bytes.fill(fill);
  return site;
}

VersionRanges RangesOf(std::initializer_list<VersionRange> list) {
  VersionRanges ranges;
  for (const VersionRange& range : list) ranges.Add(range);
  return ranges;
}

// A link's two ends.
struct Ends {
  Options options;
  MessageEncoder encoder;
  MessageDecoder decoder{options};

  std::string Hex(const Message& message) { return ToHex(encoder.Encode(message)); }

  template <typename T>
  T Pass(const T& message) {
    bytes = encoder.Encode(message);
    auto decoded = decoder.Decode(bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.error().ToString();
    if (!decoded.ok() || !std::holds_alternative<T>(*decoded)) {
      ADD_FAILURE() << "not what was sent: " << ToHex(bytes);
      return T();
    }
    return std::get<T>(std::move(*decoded));
  }
  Bytes bytes;
};

const std::string kA(32, 'a');
const std::string kB(32, 'b');

TEST(MessageBytesTest, AreWhatTheDocumentationSays) {
  Ends ends;
  HelloMessage hello;
  hello.site = SiteOf(0xaa);
  hello.nonce = 0x0102030405060708;
  hello.schema_hash = 0x1122334455667788;
  hello.wall_ms = 1000;
  EXPECT_EQ(ends.Hex(hello),
            "01"
            "4d52574c"
            "01"
            "01" +
                kA +
                "0807060504030201"
                "8877665544332211"
                "d00f");

  StateMessage state;
  state.versions = {{SiteOf(0xaa), RangesOf({{0, 7}, {8, 300}})},
                    {SiteOf(0xbb), RangesOf({{2, 3}})}};
  state.proofs = {{9, {1000, 2}}};
  EXPECT_EQ(ends.Hex(state),
            "02"
            "01"
            "02"
            "00" +
                kA +
                "02"
                "0007"
                "01a402"
                "00" +
                kB +
                "01"
                "0201"
                "01"
                "09d00f02");

  EXPECT_EQ(ends.Hex(HaveMessage{{{SiteOf(0xbb), RangesOf({{3, 4}})}}}),
            "03"
            "01"
            "02"
            "01"
            "0301");
  EXPECT_EQ(ends.Hex(NeedMessage{5, 524288, {{SiteOf(0xaa), RangesOf({{7, 8}})}}, {}}),
            "04"
            "05"
            "808020"
            "01"
            "01"
            "01"
            "0701");
  NeedMessage again{5, 1, {{SiteOf(0xaa), RangesOf({{7, 8}})}}, {}};
  again.there = {{SiteOf(0xaa), {7, 8}, 0x0102030405060708, 9}};
  EXPECT_EQ(ends.Hex(again),
            "04"
            "05"
            "01"
            "01"
            "01"
            "01"
            "0701"
            "01"
            "01"
            "0708"
            "0807060504030201"
            "09");

  ChangesMessage changes;
  changes.frame = "frame";
  EXPECT_EQ(ends.Hex(changes),
            "05"
            "00"
            "05"
            "6672616d65");
  changes.flags = kChangesAnswer | kChangesLast | kChangesPart;
  changes.request = 5;
  changes.whole = 0x0102030405060708;
  EXPECT_EQ(ends.Hex(changes),
            "05"
            "13"
            "05"
            "0807060504030201"
            "05"
            "6672616d65");

  EXPECT_EQ(ends.Hex(PruneMessage{{SiteOf(0xaa), SiteOf(0xbb)}}),
            "06"
            "02"
            "01"
            "02");
  EXPECT_EQ(ends.Hex(GraftMessage{{SiteOf(0xbb)}}),
            "07"
            "01"
            "02");

  DigestMessage digest{3, std::vector<uint64_t>(kDigestBuckets)};
  digest.buckets[1] = 0x0102030405060708;
  const std::string digest_hex = ends.Hex(digest);
  EXPECT_EQ(digest_hex.substr(0, 36),
            "08"
            "03"
            "0000000000000000"
            "0807060504030201");
  EXPECT_EQ(digest_hex.size(), 2 * (2 + 8 * kDigestBuckets));

  DigestDiffMessage diff{3, {}};
  diff.differing.set(1);
  diff.differing.set(15);
  EXPECT_EQ(ends.Hex(diff),
            "09"
            "03"
            "0280" +
                std::string(60, '0'));

  EXPECT_EQ(ends.Hex(RowDigestsMessage{200, 1, 2, {{2, 3}}}),
            "0a"
            "c801"
            "0100000000000000"
            "0200000000000000"
            "01"
            "0200000000000000"
            "0300000000000000");
  EXPECT_EQ(ends.Hex(RowsWantedMessage{7, {2}}),
            "0b"
            "07"
            "01"
            "0200000000000000");
  EXPECT_EQ(ends.Hex(RowsMessage{7, "frame"}),
            "0c"
            "07"
            "05"
            "6672616d65");
  EXPECT_EQ(ends.Hex(ByeMessage{CloseReason::kDuplicate, "two"}),
            "0d"
            "04"
            "03"
            "74776f");

  // A site that was not named before is not named by this either.
  const auto has = [](SiteVersions versions) {
    return std::make_shared<const SiteVersions>(std::move(versions));
  };
  StatementsMessage statements;
  statements.statements = {
      {SiteOf(0xaa), 1000,
       has({{SiteOf(0xaa), RangesOf({{0, 9}})}, {SiteOf(0xbb), RangesOf({{0, 3}})}})},
      {SiteOf(0xcc), 5,
       has({{SiteOf(0xaa), RangesOf({{0, 8}})}, {SiteOf(0xbb), RangesOf({{0, 4}})}})}};
  const std::string statements_hex =
      "0e"
      "02"
      "01e807"
      "00"
      "02"
      "01010009"
      "02010003"
      "00" +
      std::string(32, 'c') +
      "05"
      "01"
      "01010801"
      "01"
      "02010301";
  EXPECT_EQ(ends.Hex(statements), statements_hex);
  EXPECT_EQ(ends.Hex(statements), statements_hex);
}

TEST(MessageTest, IsReadBack) {
  Ends ends;
  HelloMessage hello;
  hello.version_max = 9;
  hello.site = SiteOf(0xaa);
  hello.nonce = UINT64_MAX;
  hello.schema_hash = 12;
  hello.wall_ms = -5;
  const HelloMessage hello_back = ends.Pass(hello);
  EXPECT_EQ(hello_back.version_max, 9U);
  EXPECT_EQ(hello_back.site, hello.site);
  EXPECT_EQ(hello_back.nonce, UINT64_MAX);
  EXPECT_EQ(hello_back.schema_hash, 12U);
  EXPECT_EQ(hello_back.wall_ms, -5);

  StateMessage state;
  state.is_last = false;
  state.versions = {{SiteOf(1), RangesOf({{0, 7}, {8, cells::kDbVersionMax}})},
                    {SiteOf(2), RangesOf({{5, 6}})}};
  state.proofs = {{9, {-1000, 2}}, {4, {1, 0}}};
  const StateMessage state_back = ends.Pass(state);
  EXPECT_FALSE(state_back.is_last);
  EXPECT_EQ(state_back.versions, state.versions);
  ASSERT_EQ(state_back.proofs.size(), 2U);
  EXPECT_EQ(state_back.proofs[0].version, 9);
  EXPECT_EQ(state_back.proofs[0].timestamp, (changeset::Timestamp{-1000, 2}));

  // Sites are numbered over messages of all kinds.
  EXPECT_EQ(ends.Pass(HaveMessage{{{SiteOf(3), RangesOf({{0, 1}})}}}).versions.begin()->first,
            SiteOf(3));
  EXPECT_EQ(ends.Pass(PruneMessage{{SiteOf(3), SiteOf(1)}}).sites,
            (std::vector{SiteOf(3), SiteOf(1)}));
  EXPECT_EQ(ends.Pass(GraftMessage{{SiteOf(4)}}).sites, std::vector{SiteOf(4)});
  const NeedMessage need =
      ends.Pass(NeedMessage{77,
                            1,
                            {{SiteOf(4), RangesOf({{0, 9}})}},
                            {{SiteOf(4), {2, 9}, 3, 4}, {SiteOf(77), {0, 1}, 5, 6}}});
  ASSERT_EQ(need.there.size(), 2U);
  EXPECT_EQ(need.there[0].range, (VersionRange{2, 9}));
  EXPECT_EQ(need.there[0].whole, 3U);
  EXPECT_EQ(need.there[0].parts, 4U);
  EXPECT_EQ(need.there[1].site, SiteOf(77));
  EXPECT_EQ(need.request, 77U);
  EXPECT_EQ(need.bytes, 1U);
  EXPECT_EQ(need.wanted.begin()->first, SiteOf(4));

  ChangesMessage changes;
  changes.flags = kChangesAnswer | kChangesLast | kChangesMore | kChangesPart;
  changes.request = 77;
  changes.whole = 5;
  changes.frame = "xyz";
  const ChangesMessage changes_back = ends.Pass(changes);
  EXPECT_EQ(changes_back.flags, changes.flags);
  EXPECT_EQ(changes_back.request, 77U);
  EXPECT_EQ(changes_back.whole, 5U);
  EXPECT_EQ(changes_back.frame, "xyz");

  DigestMessage digest{3, std::vector<uint64_t>(kDigestBuckets, 6)};
  EXPECT_EQ(ends.Pass(digest).buckets, digest.buckets);
  DigestDiffMessage diff{3, {}};
  diff.differing.set(0).set(255).set(100);
  EXPECT_EQ(ends.Pass(diff).differing, diff.differing);
  const auto rows = ends.Pass(RowDigestsMessage{255, 1, 9, {{1, 5}, {9, 6}}});
  ASSERT_EQ(rows.rows.size(), 2U);
  EXPECT_EQ(rows.rows[1].row, 6U);
  EXPECT_EQ(ends.Pass(RowsWantedMessage{0, {5, 4}}).keys, (std::vector<uint64_t>{5, 4}));
  EXPECT_EQ(ends.Pass(RowsMessage{1, "frame"}).frame, "frame");
  const ByeMessage bye = ends.Pass(ByeMessage{CloseReason::kLimit, std::string(9999, 'x')});
  EXPECT_EQ(bye.reason, CloseReason::kLimit);
  EXPECT_EQ(bye.text.size(), kByeTextMax);

  StatementsMessage statements;
  const SiteVersions lists[] = {{},
                                {{SiteOf(1), RangesOf({{0, 7}, {8, 9}})}},
                                {{SiteOf(1), RangesOf({{0, 9}})}, {SiteOf(70), RangesOf({{3, 4}})}},
                                {{SiteOf(70), RangesOf({{0, 4}})}},
                                {}};
  for (const SiteVersions& versions : lists) {
    const auto fill = static_cast<unsigned char>(80 + statements.statements.size());
    statements.statements.push_back(
        {SiteOf(fill), fill, std::make_shared<const SiteVersions>(versions)});
  }
  const StatementsMessage statements_back = ends.Pass(statements);
  ASSERT_EQ(statements_back.statements.size(), statements.statements.size());
  for (size_t i = 0; i < statements.statements.size(); ++i) {
    EXPECT_EQ(statements_back.statements[i].site, statements.statements[i].site);
    EXPECT_EQ(statements_back.statements[i].stamp, statements.statements[i].stamp);
    EXPECT_EQ(*statements_back.statements[i].has, lists[i]);
  }
}

TEST(MessageTest, OfALaterReleaseIsSkippedAndWhatItAddsIgnored) {
  Ends ends;
  const auto unknown = ends.decoder.Decode("\x20whatever");
  ASSERT_TRUE(unknown.ok());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*unknown));

  const Bytes more = ends.encoder.Encode(HaveMessage{{{SiteOf(1), RangesOf({{0, 1}})}}}) + "later";
  const auto have = ends.decoder.Decode(more);
  ASSERT_TRUE(have.ok()) << have.error().ToString();
  EXPECT_EQ(std::get<HaveMessage>(*have).versions.size(), 1U);
}

TEST(MessageTest, WhatMakesNoSenseIsRefused) {
  const struct {
    std::string hex;
    std::string_view complaint;
  } cases[] = {
      {"", "need 1 byte"},
      {"014d5257580101", "not a site of Merrow"},
      {"014d52574c0201" + kA, "out of order"},
      {"0301010101", "a site that was not named"},
      {"030100" + kA + "00", "a site without versions"},
      {"030100" + kA + "010000", "a version range that makes no sense"},
      {"030100" + kA + "0200010001", "a version range that makes no sense"},
      {"030100" + kA + "0101ffffffffffff03", "a version range that makes no sense"},
      {"030200" + kA + "01000101010001", "a site twice"},
      {"0380808080", "truncated varint"},
      {"03ffffffff7f", "more items than bytes"},
      {"020100"
       "41",
       "too many proofs"},
      {"020100"
       "01"
       "000000",
       "a version out of range"},
      {"020100"
       "01"
       "0100808004",
       "count out of range"},
      {"05200000", "unknown flags"},
      {"050005aa", "length 5 is past the end"},
      {"0908", "need 32 bytes"},
      {"0a8002", "a bucket out of range"},
      {"0a00"
       "0000000000000000"
       "ffffffffffffffff"
       "02"
       "0500000000000000"
       "0100000000000000"
       "0500000000000000"
       "0100000000000000",
       "row digests out of order"},
      {"0a00"
       "0000000000000000"
       "0100000000000000"
       "01"
       "0500000000000000"
       "0100000000000000",
       "row digests out of order"},
      {"0b0002"
       "0000000000000000",
       "more items than bytes"},
      {"0eff01", "more items than bytes"},
      {"0e0100" + kA + "818080808080808040" + "0000", "a stamp out of range"},
      {"0e0100" + kA + "01" + "00" + "0101010001", "a site that was not named"},
  };
  for (const auto& bad : cases) {
    Options options;
    MessageDecoder decoder(options);
    const auto decoded = decoder.Decode(*FromHex(bad.hex));
    ASSERT_FALSE(decoded.ok()) << bad.hex;
    EXPECT_EQ(decoded.error().code(), ErrorCode::kCorruption) << bad.hex;
    EXPECT_NE(decoded.error().message().find(bad.complaint), std::string::npos)
        << bad.hex << ": " << decoded.error().message();
  }
}

TEST(MessageTest, IsBounded) {
  Options options;
  options.peer_sites_max = 2;
  options.peer_ranges_max = 3;
  options.message_bytes_max = 100;
  const auto code_of = [&](const Message& message) {
    MessageEncoder encoder;
    MessageDecoder decoder(options);
    const auto decoded = decoder.Decode(encoder.Encode(message));
    return decoded.ok() ? std::optional<ErrorCode>() : decoded.error().code();
  };
  EXPECT_EQ(code_of(GraftMessage{{SiteOf(1), SiteOf(2)}}), std::nullopt);
  EXPECT_EQ(code_of(GraftMessage{{SiteOf(1), SiteOf(2), SiteOf(3)}}), ErrorCode::kLimit);
  EXPECT_EQ(code_of(HaveMessage{{{SiteOf(1), RangesOf({{0, 1}, {2, 3}, {4, 5}})}}}), std::nullopt);
  EXPECT_EQ(code_of(HaveMessage{{{SiteOf(1), RangesOf({{0, 1}, {2, 3}})},
                                 {SiteOf(2), RangesOf({{0, 1}, {2, 3}})}}}),
            ErrorCode::kLimit);
  EXPECT_EQ(code_of(RowsMessage{1, Bytes(200, 'x')}), ErrorCode::kLimit);
}

TEST(MessageTest, StatementsThatRepeatEachOtherAreBounded) {
  Options options;
  options.statement_ranges_max = 1000;
  const auto has = std::make_shared<const SiteVersions>(
      SiteVersions{{SiteOf(1), RangesOf({{0, 1}, {2, 3}, {4, 5}})}});
  StatementsMessage message;
  const auto code_of = [&] {
    MessageEncoder encoder;
    MessageDecoder decoder(options);
    const auto decoded = decoder.Decode(encoder.Encode(message));
    return decoded.ok() ? std::optional<ErrorCode>() : decoded.error().code();
  };
  for (uint64_t i = 0; i < 250; ++i) message.statements.push_back({SiteOf(2), i, has});
  EXPECT_EQ(code_of(), std::nullopt);
  message.statements.push_back({SiteOf(2), 250, has});
  EXPECT_EQ(code_of(), ErrorCode::kLimit);
}

}  // namespace
}  // namespace merrow::replication
