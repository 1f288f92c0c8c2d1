// SPDX-License-Identifier: Apache-2.0
//
// Damaged messages: cut, flipped, grown and random bytes. Whatever comes, the decoder says what is
// wrong or reads something that can be written again, and never more than its limits allow.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "replication/message.h"

namespace merrow::replication {
namespace {

cells::SiteId AnySite(SeededRandom& random) {
  cells::SiteId site;
  site.bytes.fill(static_cast<unsigned char>(random.Below(5)));
  return site;
}

SiteVersions AnyVersions(SeededRandom& random) {
  SiteVersions versions;
  for (uint64_t i = random.Below(4); i > 0; --i) {
    VersionRanges& ranges = versions[AnySite(random)];
    for (uint64_t j = 1 + random.Below(3); j > 0; --j) {
      const auto after = static_cast<cells::DbVersion>(random.Below(1000));
      ranges.Add({after, after + 1 + static_cast<cells::DbVersion>(random.Below(300))});
    }
  }
  return versions;
}

Message AnyMessage(SeededRandom& random, const Bytes& frame) {
  switch (random.Below(14)) {
    case 0: {
      HelloMessage hello;
      hello.site = AnySite(random);
      hello.nonce = random.Next();
      return hello;
    }
    case 1:
      return StateMessage{random.Below(2) == 0, AnyVersions(random), {{5, {7, 1}}}};
    case 2:
      return HaveMessage{AnyVersions(random)};
    case 3:
      return NeedMessage{random.Below(500), random.Next(), AnyVersions(random),
                         std::vector<PartsThere>(random.Below(3), {AnySite(random), {1, 2}, 3, 4})};
    case 4:
      return ChangesMessage{static_cast<uint8_t>(random.Below(32)), 5, 6, frame};
    case 5:
      return PruneMessage{{AnySite(random), AnySite(random)}};
    case 6:
      return GraftMessage{{AnySite(random)}};
    case 7:
      return DigestMessage{1, std::vector<uint64_t>(kDigestBuckets, random.Next())};
    case 8:
      return DigestDiffMessage{1, Buckets(random.Next())};
    case 9:
      return RowDigestsMessage{3, 0, UINT64_MAX, {{1, random.Next()}, {2, 3}}};
    case 10:
      return RowsWantedMessage{3, {random.Next(), 2}};
    case 11:
      return RowsMessage{3, frame};
    case 12: {
      StatementsMessage message;
      for (uint64_t i = random.Below(4); i > 0; --i) {
        message.statements.push_back({AnySite(random), random.Below(1000),
                                      std::make_shared<const SiteVersions>(AnyVersions(random))});
      }
      return message;
    }
    default:
      return ByeMessage{CloseReason::kLimit, "because"};
  }
}

void Damage(SeededRandom& random, Bytes& bytes) {
  switch (random.Below(4)) {
    case 0:
      bytes.resize(random.Below(bytes.size() + 1));
      break;
    case 1:
      bytes[random.Below(bytes.size())] ^= static_cast<char>(1U << random.Below(8));
      break;
    case 2:
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
      break;
    default:
      bytes.insert(random.Below(bytes.size() + 1), 1, static_cast<char>(random.Below(256)));
  }
}

TEST(MessageDamageTest, IsNoticedOrHarmless) {
  Options options;
  options.peer_sites_max = 8;
  options.peer_ranges_max = 16;
  options.message_bytes_max = 4096;
  const Bytes frame = "some bytes of a frame";
  uint64_t refused = 0;
  uint64_t read = 0;
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    SeededRandom random(seed);
    MessageEncoder encoder;
    MessageDecoder decoder(options);
    for (int i = 0; i < 4; ++i) {
      Bytes bytes = encoder.Encode(AnyMessage(random, frame));
      if (i > 0 || random.Below(2) == 0) {
        for (uint64_t n = 1 + random.Below(3); n > 0 && !bytes.empty(); --n) Damage(random, bytes);
      }
      const auto decoded = decoder.Decode(bytes);
      if (!decoded.ok()) {
        ++refused;
        break;  // the link ends here
      }
      ++read;
      if (std::holds_alternative<std::monostate>(*decoded)) continue;
      MessageEncoder again;
      ASSERT_FALSE(again.Encode(*decoded).empty());
    }
  }
  EXPECT_GT(refused, 1000U);
  EXPECT_GT(read, 1000U);
}

TEST(MessageDamageTest, RandomBytesAreHarmless) {
  Options options;
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    SeededRandom random(seed);
    Bytes bytes;
    for (uint64_t i = random.Below(60); i > 0; --i) {
      bytes += static_cast<char>(random.Below(random.Below(2) == 0 ? 16 : 256));
    }
    MessageDecoder decoder(options);
    const auto decoded = decoder.Decode(bytes);
    if (decoded.ok() && !std::holds_alternative<std::monostate>(*decoded)) {
      MessageEncoder again;
      ASSERT_FALSE(again.Encode(*decoded).empty());
    }
  }
}

}  // namespace
}  // namespace merrow::replication
