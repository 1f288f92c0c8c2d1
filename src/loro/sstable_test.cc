// SPDX-License-Identifier: Apache-2.0
#include "loro/sstable.h"

#include <gmock/gmock.h>

#include <map>

#include "base/clock.h"
#include "loro/envelope.h"
#include "loro/lz4_frame.h"

namespace merrow::loro {
namespace {

using Store = std::map<Bytes, Bytes>;

Bytes Write(const Store& store, bool compress) {
  SstableWriter writer(compress);
  for (const auto& [key, value] : store) writer.Add(key, value);
  auto bytes = writer.Finish();
  MERROW_CHECK(bytes.ok());
  return *bytes;
}

// Everything in the store, read in order; the error if it does not read.
Result<Store> Read(BytesView bytes, SstableLimits limits = {}) {
  MERROW_ASSIGN(SstableReader reader, SstableReader::Open(bytes, limits));
  MERROW_ASSIGN(const auto entries, reader.ReadAll());
  Store store;
  for (const auto& entry : entries) {
    MERROW_CHECK(store.empty() || store.rbegin()->first < entry.key);
    store.emplace(entry.key, entry.value);
  }
  return store;
}

Bytes WithChecksum(BytesView payload) {
  ByteWriter writer;
  writer.Append(payload);
  writer.U32Le(Checksum(payload));
  return writer.Release();
}

// A store of one block, built by hand.
Bytes OneBlock(BytesView payload, BytesView first_key, BytesView last_key, uint8_t flags) {
  ByteWriter meta;
  meta.U32Le(5);
  meta.U16Le(static_cast<uint16_t>(first_key.size()));
  meta.Append(first_key);
  meta.U8(flags);
  if ((flags & 0x80) == 0) {
    meta.U16Le(static_cast<uint16_t>(last_key.size()));
    meta.Append(last_key);
  }
  ByteWriter out;
  out.Append(BytesView("LORO\0", 5));
  out.Append(WithChecksum(payload));
  const auto meta_offset = static_cast<uint32_t>(out.size());
  out.U32Le(1);
  out.Append(WithChecksum(meta.bytes()));
  out.U32Le(meta_offset);
  return out.Release();
}

Store Varied(uint64_t seed) {
  SeededRandom random(seed);
  Store store;
  const size_t count = random.Below(300);
  for (size_t i = 0; i < count; ++i) {
    Bytes key(random.Below(4) == 0 ? 300 : random.Below(5), 'p');
    key += "k" + std::to_string(random.Below(100'000));
    const uint64_t shape = random.Below(20);
    const size_t size = shape == 0   ? random.Below(200'000)
                        : shape == 1 ? 4090 + random.Below(12)
                                     : random.Below(300);
    Bytes value(size, 'v');
    if (random.Below(2) == 0) {
      for (char& byte : value) byte = static_cast<char>(random.Next());
    }
    store[key] = value;
  }
  return store;
}

TEST(Sstable, AnEmptyStoreIsZeroBytes) {
  EXPECT_EQ(Write({}, true), "");
  const auto store = Read("");
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE(store->empty());
}

TEST(Sstable, HasTheBytesThatLoroWrites) {
  // The change store of an empty document.
  const Bytes bytes = Write({{"fr", Bytes(1, '\0')}, {"vv", Bytes(1, '\0')}}, true);
  EXPECT_EQ(ToHex(bytes),
            "4c4f524f00"
            "00"
            "00"
            "0200"
            "7676"
            "00"
            "0000"
            "0100"
            "0200"
            "e762c96c"
            "01000000"
            "05000000"
            "0200"
            "6672"
            "00"
            "0200"
            "7676"
            "dbd8c9c8"
            "16000000");
}

TEST(Sstable, RoundTripsVariedStores) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Store store = Varied(seed);
    for (const bool compress : {false, true}) {
      const Bytes bytes = Write(store, compress);
      const auto read = Read(bytes);
      ASSERT_TRUE(read.ok()) << seed << ": " << read.error().ToString();
      ASSERT_TRUE(*read == store) << seed;
    }
  }
}

TEST(Sstable, FindsEveryKeyAndNoOther) {
  const Store store = Varied(7);
  const Bytes bytes = Write(store, true);
  auto reader = SstableReader::Open(bytes);
  ASSERT_TRUE(reader.ok());
  EXPECT_GT(reader->block_count(), 3U);
  EXPECT_EQ(reader->expanded_bytes(), 0U);
  for (const auto& [key, value] : store) {
    const auto found = reader->Find(key);
    ASSERT_TRUE(found.ok() && found->has_value());
    EXPECT_TRUE(**found == value);
    for (const Bytes& other : {key + '\0', key.substr(0, key.size() - 1) + '\x1f', Bytes("")}) {
      if (store.contains(other)) continue;
      const auto none = reader->Find(other);
      ASSERT_TRUE(none.ok());
      EXPECT_FALSE(none->has_value());
    }
  }
}

TEST(Sstable, ManyKeysTakeManyBlocks) {
  Store store;
  for (int i = 0; i < 10'000; ++i) store["key " + std::to_string(i)] = "value";
  const Bytes bytes = Write(store, true);
  const auto reader = SstableReader::Open(bytes);
  ASSERT_TRUE(reader.ok());
  EXPECT_GT(reader->block_count(), 20U);
  EXPECT_TRUE(*Read(bytes) == store);
}

TEST(Sstable, RefusesEveryTruncation) {
  const Bytes bytes = Write(Varied(3), true);
  for (size_t size = 1; size < bytes.size(); size += size < 100 ? 1 : 37) {
    EXPECT_FALSE(Read(BytesView(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(Sstable, RefusesEveryBitFlip) {
  Store store;
  for (size_t i = 0; i < 40; ++i) store["key " + std::to_string(i)] = Bytes(3 * i, 'v');
  store["large"] = Bytes(5000, 'x');
  for (const bool compress : {false, true}) {
    const Bytes bytes = Write(store, compress);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      if (bit / 8 > 2000 && bit / 8 < 6000 && bit % 101 != 0) continue;  // inside the large value
      Bytes broken = bytes;
      broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(Read(broken).ok()) << bit;
    }
  }
}

TEST(Sstable, RefusesBlocksThatLie) {
  // Each is well-formed but for one thing; checksums are right.
  const Bytes good(
      "va"
      "\0\1\0"
      "b"
      "vb"
      "\0\0"
      "\2\0"
      "\2\0",
      14);
  EXPECT_THAT(Read(OneBlock(good, "a", "b", 0)).value(),
              testing::ElementsAre(testing::Pair("a", "va"), testing::Pair("b", "vb")));

  const struct {
    const char* what;
    Bytes bytes;
  } cases[] = {
      {"last key differs", OneBlock(good, "a", "c", 0)},
      {"last key before first", OneBlock(good, "b", "a", 0)},
      {"no entries", OneBlock(Bytes(2, '\0'), "a", "a", 0)},
      {"too many entries", OneBlock("va\xff\xff", "a", "a", 0)},
      {"no payload", OneBlock("", "a", "a", 0)},
      {"first offset", OneBlock(Bytes("va"
                                      "\1\0"
                                      "\1\0",
                                      6),
                                "a", "a", 0)},
      {"offset past the end", OneBlock(Bytes("va"
                                             "\0\1\0"
                                             "b"
                                             "vb"
                                             "\0\0"
                                             "\x77\0"
                                             "\2\0",
                                             14),
                                       "a", "b", 0)},
      {"prefix too long", OneBlock(Bytes("va"
                                         "\2\1\0"
                                         "b"
                                         "vb"
                                         "\0\0"
                                         "\2\0"
                                         "\2\0",
                                         14),
                                   "a", "b", 0)},
      {"rest too long", OneBlock(Bytes("va"
                                       "\0\x09\0"
                                       "b"
                                       "vb"
                                       "\0\0"
                                       "\2\0"
                                       "\2\0",
                                       14),
                                 "a", "b", 0)},
      {"same key twice", OneBlock(Bytes("va"
                                        "\1\0\0"
                                        "vb"
                                        "\0\0"
                                        "\2\0"
                                        "\2\0",
                                        13),
                                  "a", "a", 0)},
      {"unknown compression", OneBlock(good, "a", "b", 2)},
      {"not a frame", OneBlock(good, "a", "b", 1)},
  };
  for (const auto& item : cases) EXPECT_FALSE(Read(item.bytes).ok()) << item.what;
}

TEST(Sstable, RefusesBombs) {
  // A normal block cannot be longer than its offsets reach, whatever it expands to.
  const Bytes normal = OneBlock(EncodeLz4Frame(Bytes(300'000, '\0')), "a", "b", 1);
  ASSERT_FALSE(Read(normal).ok());
  EXPECT_EQ(Read(normal).error().code(), ErrorCode::kLimit);

  const Bytes large = OneBlock(EncodeLz4Frame(Bytes(3'000'000, '\0')), "a", "", 0x81);
  EXPECT_TRUE(Read(large).ok());
  EXPECT_EQ(Read(large, {.value_bytes_max = 2'999'999}).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(Read(large, {.total_bytes_max = 2'999'999}).error().code(), ErrorCode::kLimit);

  // Many blocks, each of them small enough.
  Store store;
  for (int i = 0; i < 50; ++i) store["key " + std::to_string(i)] = Bytes(100'000, '\0');
  const Bytes many = Write(store, true);
  EXPECT_LT(many.size(), 50'000U);
  EXPECT_TRUE(Read(many).ok());
  EXPECT_EQ(Read(many, {.total_bytes_max = 1'000'000}).error().code(), ErrorCode::kLimit);

  // Long shared prefixes expand without any compression.
  store.clear();
  for (int i = 0; i < 3000; ++i) store[Bytes(250, 'p') + std::to_string(10'000 + i)] = "";
  const Bytes prefixes = Write(store, false);
  EXPECT_TRUE(Read(prefixes).ok());
  EXPECT_EQ(Read(prefixes, {.total_bytes_max = 100'000}).error().code(), ErrorCode::kLimit);
}

}  // namespace
}  // namespace merrow::loro
