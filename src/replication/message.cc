// SPDX-License-Identifier: Apache-2.0
#include "replication/message.h"

#include <algorithm>

#include "merrow/check.h"

namespace merrow::replication {
namespace {

constexpr BytesView kMagic = "MRWL";
constexpr size_t kBucketBytes = kDigestBuckets / 8;

template <typename T, size_t kIndex = 0>
constexpr size_t TypeOf() {
  if constexpr (std::is_same_v<T, std::variant_alternative_t<kIndex, Message>>) {
    return kIndex;
  } else {
    return TypeOf<T, kIndex + 1>();
  }
}
static_assert(std::variant_size_v<Message> == 15);

}  // namespace

class MessageWriter {
 public:
  explicit MessageWriter(MessageEncoder* encoder) : numbers_(encoder->numbers_) {}

  Bytes Release() { return out_.Release(); }
  void Type(size_t type) { out_.U8(static_cast<uint8_t>(type)); }

  void operator()(const std::monostate&) { MERROW_CHECK(false); }

  void operator()(const HelloMessage& hello) {
    out_.Append(kMagic);
    out_.Uleb(hello.version_min);
    out_.Uleb(hello.version_max);
    out_.Append(hello.site.view());
    out_.U64Le(hello.nonce);
    out_.U64Le(hello.schema_hash);
    out_.Zigzag(hello.wall_ms);
    if (hello.dictionary != 0) out_.Uleb(hello.dictionary);
  }

  void operator()(const StateMessage& state) {
    out_.U8(state.is_last ? kStateLast : 0);
    Versions(state.versions);
    out_.Uleb(state.proofs.size());
    for (const VersionProof& proof : state.proofs) {
      out_.Uleb(static_cast<uint64_t>(proof.version));
      out_.Zigzag(proof.timestamp.ms);
      out_.Uleb(proof.timestamp.count);
    }
  }

  void operator()(const HaveMessage& have) { Versions(have.versions); }

  void operator()(const NeedMessage& need) {
    out_.Uleb(need.request);
    out_.Uleb(need.bytes);
    Versions(need.wanted);
    if (need.there.empty()) return;
    // The first release ignores it, so it names no sites.
    keeps_names_ = false;
    out_.Uleb(need.there.size());
    for (const PartsThere& there : need.there) {
      Site(there.site);
      out_.Uleb(static_cast<uint64_t>(there.range.after));
      out_.Uleb(static_cast<uint64_t>(there.range.until));
      out_.U64Le(there.whole);
      out_.Uleb(there.parts);
    }
  }

  void operator()(const ChangesMessage& changes) {
    out_.U8(changes.flags);
    if ((changes.flags & kChangesAnswer) != 0) out_.Uleb(changes.request);
    if ((changes.flags & kChangesPart) != 0) out_.U64Le(changes.whole);
    out_.LengthPrefixed(changes.frame);
  }

  void operator()(const PruneMessage& prune) { Sites(prune.sites); }
  void operator()(const GraftMessage& graft) { Sites(graft.sites); }

  void operator()(const DigestMessage& digest) {
    MERROW_CHECK(digest.buckets.size() == kDigestBuckets);
    out_.Uleb(digest.round);
    for (const uint64_t bucket : digest.buckets) out_.U64Le(bucket);
  }

  void operator()(const DigestDiffMessage& diff) {
    out_.Uleb(diff.round);
    for (size_t byte = 0; byte < kBucketBytes; ++byte) {
      unsigned bits = 0;
      for (size_t bit = 0; bit < 8; ++bit) bits |= unsigned{diff.differing[8 * byte + bit]} << bit;
      out_.U8(static_cast<uint8_t>(bits));
    }
  }

  void operator()(const RowDigestsMessage& digests) {
    out_.Uleb(digests.bucket);
    out_.U64Le(digests.first);
    out_.U64Le(digests.last);
    out_.Uleb(digests.rows.size());
    for (const RowDigest& row : digests.rows) {
      out_.U64Le(row.key);
      out_.U64Le(row.row);
    }
  }

  void operator()(const RowsWantedMessage& wanted) {
    out_.Uleb(wanted.bucket);
    out_.Uleb(wanted.keys.size());
    for (const uint64_t key : wanted.keys) out_.U64Le(key);
  }

  void operator()(const RowsMessage& rows) {
    out_.Uleb(rows.bucket);
    out_.LengthPrefixed(rows.frame);
  }

  void operator()(const ByeMessage& bye) {
    out_.U8(static_cast<uint8_t>(bye.reason));
    out_.LengthPrefixed(BytesView(bye.text).substr(0, kByeTextMax));
  }

  void operator()(const StatementsMessage& message) {
    keeps_names_ = false;
    out_.Uleb(message.statements.size());
    const SiteVersions nothing;
    const SiteVersions* before = &nothing;
    for (const Statement& statement : message.statements) {
      Site(statement.site);
      out_.Uleb(statement.stamp);
      Versions(changeset::Difference(*before, *statement.has));
      Versions(changeset::Difference(*statement.has, *before));
      before = statement.has.get();
    }
  }

 private:
  void Site(const cells::SiteId& site) {
    const auto at = numbers_.find(site);
    out_.Uleb(at == numbers_.end() ? 0 : at->second);
    if (at != numbers_.end()) return;
    out_.Append(site.view());
    if (keeps_names_) numbers_.emplace(site, numbers_.size() + 1);
  }

  void Sites(const std::vector<cells::SiteId>& sites) {
    out_.Uleb(sites.size());
    for (const cells::SiteId& site : sites) Site(site);
  }

  void Versions(const SiteVersions& versions) {
    out_.Uleb(static_cast<uint64_t>(
        std::count_if(versions.begin(), versions.end(),
                      [](const auto& entry) { return !entry.second.empty(); })));
    for (const auto& [site, ranges] : versions) {
      if (ranges.empty()) continue;
      Site(site);
      out_.Uleb(ranges.ranges().size());
      cells::DbVersion end = 0;
      for (const VersionRange& range : ranges.ranges()) {
        out_.Uleb(static_cast<uint64_t>(range.after - end));
        out_.Uleb(static_cast<uint64_t>(range.until - range.after));
        end = range.until;
      }
    }
  }

  std::map<cells::SiteId, uint64_t>& numbers_;
  bool keeps_names_ = true;
  ByteWriter out_;
};

class MessageReader {
 public:
  MessageReader(MessageDecoder* decoder, BytesView message)
      : options_(decoder->options_), sites_(decoder->sites_), in_(message) {}

  Result<Message> Read() {
    MERROW_ASSIGN(const uint8_t type, in_.U8());
    switch (type) {
      case TypeOf<HelloMessage>():
        return Hello();
      case TypeOf<StateMessage>():
        return State();
      case TypeOf<HaveMessage>(): {
        HaveMessage have;
        MERROW_ASSIGN(have.versions, Versions());
        return Message(std::move(have));
      }
      case TypeOf<NeedMessage>():
        return Need();
      case TypeOf<ChangesMessage>():
        return Changes();
      case TypeOf<PruneMessage>(): {
        PruneMessage prune;
        MERROW_ASSIGN(prune.sites, Sites());
        return Message(std::move(prune));
      }
      case TypeOf<GraftMessage>(): {
        GraftMessage graft;
        MERROW_ASSIGN(graft.sites, Sites());
        return Message(std::move(graft));
      }
      case TypeOf<DigestMessage>():
        return Digest();
      case TypeOf<DigestDiffMessage>():
        return DigestDiff();
      case TypeOf<RowDigestsMessage>():
        return RowDigests();
      case TypeOf<RowsWantedMessage>():
        return RowsWanted();
      case TypeOf<RowsMessage>(): {
        RowsMessage rows;
        MERROW_ASSIGN(rows.bucket, Bucket());
        MERROW_ASSIGN(rows.frame, in_.LengthPrefixed());
        return Message(rows);
      }
      case TypeOf<ByeMessage>():
        return Bye();
      case TypeOf<StatementsMessage>():
        return Statements();
      default:
        return Message(std::monostate());
    }
  }

 private:
  Result<Message> Hello() {
    HelloMessage hello;
    MERROW_ASSIGN(const BytesView magic, in_.Take(kMagic.size()));
    if (magic != kMagic) return in_.Fail("not a site of Merrow");
    MERROW_ASSIGN(hello.version_min, in_.Uleb32());
    MERROW_ASSIGN(hello.version_max, in_.Uleb32());
    if (hello.version_min > hello.version_max) return in_.Fail("protocol versions out of order");
    MERROW_ASSIGN(const BytesView site, in_.Take(cells::kSiteIdBytes));
    MERROW_ASSIGN(hello.site, cells::SiteId::FromBytes(site));
    MERROW_ASSIGN(hello.nonce, in_.U64Le());
    MERROW_ASSIGN(hello.schema_hash, in_.U64Le());
    MERROW_ASSIGN(hello.wall_ms, in_.Zigzag64());
    if (!in_.empty()) {
      MERROW_ASSIGN(hello.dictionary, in_.Uleb32());
    }
    return Message(hello);
  }

  Result<Message> State() {
    StateMessage state;
    MERROW_ASSIGN(const uint8_t flags, in_.U8());
    state.is_last = (flags & kStateLast) != 0;
    MERROW_ASSIGN(state.versions, Versions());
    MERROW_ASSIGN(const uint64_t count, in_.Uleb64());
    if (count > kProofsMax) return in_.Fail("too many proofs");
    for (uint64_t i = 0; i < count; ++i) {
      VersionProof proof;
      MERROW_ASSIGN(const uint64_t version, in_.Uleb64());
      if (version < 1 || version > static_cast<uint64_t>(cells::kDbVersionMax)) {
        return in_.Fail("a version out of range");
      }
      proof.version = static_cast<cells::DbVersion>(version);
      MERROW_ASSIGN(proof.timestamp.ms, in_.Zigzag64());
      MERROW_ASSIGN(const uint32_t ticks, in_.Uleb32());
      if (ticks > UINT16_MAX) return in_.Fail("a timestamp's count out of range");
      proof.timestamp.count = static_cast<uint16_t>(ticks);
      state.proofs.push_back(proof);
    }
    return Message(std::move(state));
  }

  Result<Message> Need() {
    NeedMessage need;
    MERROW_ASSIGN(need.request, in_.Uleb64());
    MERROW_ASSIGN(need.bytes, in_.Uleb64());
    MERROW_ASSIGN(need.wanted, Versions());
    if (in_.empty()) return Message(std::move(need));
    keeps_names_ = false;
    MERROW_ASSIGN(const uint64_t count, in_.Uleb64());
    if (count > kPartsThereMax) return in_.Fail("parts of too many changesets");
    for (uint64_t i = 0; i < count; ++i) {
      PartsThere there;
      MERROW_ASSIGN(there.site, Site());
      MERROW_ASSIGN(const uint64_t after, in_.Uleb64());
      MERROW_ASSIGN(const uint64_t until, in_.Uleb64());
      if (after >= until || until > static_cast<uint64_t>(cells::kDbVersionMax)) {
        return in_.Fail("a version range that makes no sense");
      }
      there.range = {static_cast<cells::DbVersion>(after), static_cast<cells::DbVersion>(until)};
      MERROW_ASSIGN(there.whole, in_.U64Le());
      MERROW_ASSIGN(there.parts, in_.Uleb32());
      need.there.push_back(there);
    }
    return Message(std::move(need));
  }

  Result<Message> Changes() {
    ChangesMessage changes;
    MERROW_ASSIGN(changes.flags, in_.U8());
    if ((changes.flags & ~kChangesFlagsMask) != 0) return in_.Fail("unknown flags of changes");
    if ((changes.flags & kChangesAnswer) != 0) {
      MERROW_ASSIGN(changes.request, in_.Uleb64());
    }
    if ((changes.flags & kChangesPart) != 0) {
      MERROW_ASSIGN(changes.whole, in_.U64Le());
    }
    MERROW_ASSIGN(changes.frame, in_.LengthPrefixed());
    return Message(changes);
  }

  Result<Message> Digest() {
    DigestMessage digest;
    MERROW_ASSIGN(digest.round, in_.Uleb64());
    digest.buckets.reserve(kDigestBuckets);
    for (size_t i = 0; i < kDigestBuckets; ++i) {
      MERROW_ASSIGN(const uint64_t bucket, in_.U64Le());
      digest.buckets.push_back(bucket);
    }
    return Message(std::move(digest));
  }

  Result<Message> DigestDiff() {
    DigestDiffMessage diff;
    MERROW_ASSIGN(diff.round, in_.Uleb64());
    MERROW_ASSIGN(const BytesView bits, in_.Take(kBucketBytes));
    for (size_t bucket = 0; bucket < kDigestBuckets; ++bucket) {
      const auto byte = static_cast<unsigned char>(bits[bucket / 8]);
      diff.differing[bucket] = (byte >> (bucket % 8) & 1) != 0;
    }
    return Message(diff);
  }

  Result<Message> RowDigests() {
    RowDigestsMessage digests;
    MERROW_ASSIGN(digests.bucket, Bucket());
    MERROW_ASSIGN(digests.first, in_.U64Le());
    MERROW_ASSIGN(digests.last, in_.U64Le());
    MERROW_ASSIGN(const uint64_t count, Count(2 * sizeof(uint64_t)));
    digests.rows.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      RowDigest row;
      MERROW_ASSIGN(row.key, in_.U64Le());
      MERROW_ASSIGN(row.row, in_.U64Le());
      const bool rises = digests.rows.empty() || row.key > digests.rows.back().key;
      if (!rises || row.key < digests.first || row.key > digests.last) {
        return in_.Fail("row digests out of order");
      }
      digests.rows.push_back(row);
    }
    return Message(std::move(digests));
  }

  Result<Message> RowsWanted() {
    RowsWantedMessage wanted;
    MERROW_ASSIGN(wanted.bucket, Bucket());
    MERROW_ASSIGN(const uint64_t count, Count(sizeof(uint64_t)));
    wanted.keys.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const uint64_t key, in_.U64Le());
      wanted.keys.push_back(key);
    }
    return Message(std::move(wanted));
  }

  Result<Message> Bye() {
    ByeMessage bye;
    MERROW_ASSIGN(const uint8_t reason, in_.U8());
    bye.reason = static_cast<CloseReason>(reason);
    MERROW_ASSIGN(const BytesView text, in_.LengthPrefixed());
    bye.text = text.substr(0, kByeTextMax);
    return Message(std::move(bye));
  }

  Result<Message> Statements() {
    keeps_names_ = false;
    StatementsMessage message;
    // At least a site, a stamp and two counts.
    MERROW_ASSIGN(const uint64_t count, Count(4));
    SiteVersions has;
    // Each may repeat all that the one before had, for few bytes.
    size_t ranges = 0;
    for (uint64_t i = 0; i < count; ++i) {
      Statement statement;
      MERROW_ASSIGN(statement.site, Site());
      MERROW_ASSIGN(statement.stamp, in_.Uleb64());
      if (statement.stamp > kStampMax) return in_.Fail("a stamp out of range");
      MERROW_ASSIGN(const SiteVersions removed, Versions());
      MERROW_ASSIGN(const SiteVersions added, Versions());
      for (const auto& [site, versions] : removed) {
        const auto at = has.find(site);
        if (at == has.end()) continue;
        at->second.Remove(versions);
        if (at->second.empty()) has.erase(at);
      }
      for (const auto& [site, versions] : added) has[site].Add(versions);
      ranges += 1;
      for (const auto& [site, versions] : has) ranges += versions.ranges().size();
      if (ranges > options_.statement_ranges_max) {
        return LimitReached("more version ranges in statements than a message may have");
      }
      statement.has = std::make_shared<const SiteVersions>(has);
      message.statements.push_back(std::move(statement));
    }
    return Message(std::move(message));
  }

  Result<uint32_t> Bucket() {
    MERROW_ASSIGN(const uint32_t bucket, in_.Uleb32());
    if (bucket >= kDigestBuckets) return in_.Fail("a bucket out of range");
    return bucket;
  }

  // Of items of at least `bytes` bytes: so many are there, or it is a lie.
  Result<uint64_t> Count(size_t bytes) {
    MERROW_ASSIGN(const uint64_t count, in_.Uleb64());
    if (count > in_.remaining() / bytes) return in_.Fail("more items than bytes");
    return count;
  }

  Result<cells::SiteId> Site() {
    MERROW_ASSIGN(const uint64_t number, in_.Uleb64());
    if (number == 0) {
      MERROW_ASSIGN(const BytesView bytes, in_.Take(cells::kSiteIdBytes));
      MERROW_ASSIGN(const cells::SiteId site, cells::SiteId::FromBytes(bytes));
      if (!keeps_names_) return site;
      if (sites_.size() >= options_.peer_sites_max) {
        return LimitReached("more than " + std::to_string(sites_.size()) + " sites on one link");
      }
      sites_.push_back(site);
      return site;
    }
    if (number > sites_.size()) return in_.Fail("a site that was not named");
    return sites_[static_cast<size_t>(number - 1)];
  }

  Result<std::vector<cells::SiteId>> Sites() {
    MERROW_ASSIGN(const uint64_t count, Count(1));
    std::vector<cells::SiteId> sites;
    sites.reserve(std::min<size_t>(static_cast<size_t>(count), options_.peer_sites_max));
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const cells::SiteId site, Site());
      sites.push_back(site);
    }
    return sites;
  }

  Result<VersionRanges> Ranges(size_t* budget) {
    MERROW_ASSIGN(const uint64_t count, Count(2));
    if (count == 0) return in_.Fail("a site without versions");
    if (count > *budget) return LimitReached("more version ranges than a peer may have");
    *budget -= static_cast<size_t>(count);
    VersionRanges ranges;
    uint64_t end = 0;
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const uint64_t skipped, in_.Uleb64());
      MERROW_ASSIGN(const uint64_t length, in_.Uleb64());
      constexpr auto kMax = static_cast<uint64_t>(cells::kDbVersionMax);
      if ((i > 0 && skipped == 0) || length == 0 || skipped > kMax || length > kMax ||
          end + skipped + length > kMax) {
        return in_.Fail("a version range that makes no sense");
      }
      const VersionRange range{static_cast<cells::DbVersion>(end + skipped),
                               static_cast<cells::DbVersion>(end + skipped + length)};
      ranges.Add(range);
      end = static_cast<uint64_t>(range.until);
    }
    return ranges;
  }

  Result<SiteVersions> Versions() {
    MERROW_ASSIGN(const uint64_t count, Count(1));
    size_t budget = options_.peer_ranges_max;
    SiteVersions versions;
    for (uint64_t i = 0; i < count; ++i) {
      MERROW_ASSIGN(const cells::SiteId site, Site());
      MERROW_ASSIGN(VersionRanges ranges, Ranges(&budget));
      if (!versions.emplace(site, std::move(ranges)).second) return in_.Fail("a site twice");
    }
    return versions;
  }

  const Options& options_;
  std::vector<cells::SiteId>& sites_;
  bool keeps_names_ = true;
  ByteReader in_;
};

Bytes MessageEncoder::Encode(const Message& message) {
  MessageWriter writer(this);
  writer.Type(message.index());
  std::visit(writer, message);
  return writer.Release();
}

Result<Message> MessageDecoder::Decode(BytesView message) {
  if (message.size() > options_.message_bytes_max) {
    return LimitReached("a message of " + std::to_string(message.size()) + " bytes, above " +
                        std::to_string(options_.message_bytes_max));
  }
  return MessageReader(this, message).Read();
}

}  // namespace merrow::replication
