// SPDX-License-Identifier: Apache-2.0
//
// Damaged input: blobs of every kind, truncated, with flipped bits, with spliced or oversized
// parts. Most have their checksum repaired, so that the damage reaches the decoders behind it. Each
// must be refused with an error that leaves the document as it was, or be a valid blob after all;
// nothing may crash, hang or allocate without bound. `make test` runs this under address and
// undefined-behaviour sanitizers too.

#include <gmock/gmock.h>

#include <vector>

#include "base/clock.h"
#include "loro/envelope.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

constexpr int kCases = 10'000;

// A document with every kind of container, two peers and a nested child.
void Fill(Document* doc, SeededRandom* random) {
  const ContainerId map = ContainerId::Root("row", ContainerKind::kMap);
  const ContainerId text = ContainerId::Root("body", ContainerKind::kText);
  const ContainerId list = ContainerId::Root("tags", ContainerKind::kList);
  const ContainerId counter = ContainerId::Root("votes", ContainerKind::kCounter);
  for (int i = 0; i < 12; ++i) {
    const std::string key(1, static_cast<char>('a' + random->Below(5)));
    ASSERT_TRUE(doc->MapSet(map, key, Value(static_cast<int64_t>(random->Next()))).ok());
    const size_t length = doc->Length(text);
    ASSERT_TRUE(
        doc->TextInsert(text, random->Below(length + 1), "h\xC3\xA4llo \xF0\x9F\x98\x80").ok());
    if (length > 4) {
      ASSERT_TRUE(doc->TextDelete(text, random->Below(length - 3), 3).ok());
    }
    ASSERT_TRUE(doc->ListInsert(list, random->Below(doc->Length(list) + 1), Value("tag")).ok());
    ASSERT_TRUE(doc->CounterIncrement(counter, 0.5).ok());
    const auto child = doc->ListInsertContainer(list, 0, ContainerKind::kMap);
    ASSERT_TRUE(child.ok());
    ASSERT_TRUE(doc->MapSet(*child, "x", Value(Value::List{Value(true), Value(2.5)})).ok());
    doc->Commit();
  }
}

// The blob with its checksum made right again.
Bytes Repaired(const Bytes& blob) {
  if (blob.size() < kEnvelopeBytes) return blob;
  Bytes repaired = blob;
  const uint32_t sum = Checksum(BytesView(blob).substr(20));
  for (size_t i = 0; i < 4; ++i) repaired[16 + i] = static_cast<char>(sum >> (8 * i));
  return repaired;
}

Bytes Damaged(const Bytes& blob, const Bytes& other, SeededRandom* random) {
  Bytes damaged = blob;
  switch (random->Below(6)) {
    case 0:
      damaged.resize(random->Below(blob.size()));
      break;
    case 1:
      for (uint64_t flips = 1 + random->Below(3); flips > 0; --flips) {
        damaged[random->Below(damaged.size())] ^= static_cast<char>(1 << random->Below(8));
      }
      break;
    case 2: {  // a length or a number that promises far too much
      const size_t at = random->Below(damaged.size());
      damaged.replace(at, std::min<size_t>(5, damaged.size() - at), "\xFF\xFF\xFF\xFF\x0F");
      break;
    }
    case 3: {  // the middle of another blob
      const size_t from = random->Below(other.size());
      const size_t at = random->Below(damaged.size());
      damaged.replace(at, random->Below(40), other.substr(from, random->Below(40)));
      break;
    }
    case 4:
      damaged.insert(random->Below(damaged.size()), random->Below(64),
                     static_cast<char>(random->Next()));
      break;
    default:  // oversized: the same again and again
      for (uint64_t copies = 1 + random->Below(8); copies > 0; --copies) damaged += blob;
  }
  return random->Below(4) == 0 ? damaged : Repaired(damaged);
}

TEST(Damage, BlobsAreRefusedAndTheDocumentStays) {
  SeededRandom random(20'240'601);
  Document source(7);
  Fill(&source, &random);
  Document other(0xF000000000000001U);
  ASSERT_TRUE(other.Import(source.ExportUpdates({})).ok());
  Fill(&other, &random);
  Fill(&source, &random);
  ASSERT_TRUE(source.Import(other.ExportUpdates(source.version())).ok());
  VersionVector middle;
  middle.Set(7, 40);
  const std::vector<Bytes> blobs = {source.ExportUpdates({}), source.ExportUpdates(middle),
                                    source.ExportSnapshot(), other.ExportUpdates({}),
                                    other.ExportSnapshot()};

  Document victim(9);
  ASSERT_TRUE(victim.MapSet(ContainerId::Root("mine", ContainerKind::kMap), "k", Value("v")).ok());
  victim.Commit();
  const std::string json = victim.ToJson();
  const VersionVector version = victim.version();
  int refused = 0;
  for (int i = 0; i < kCases; ++i) {
    const Bytes& blob = blobs[random.Below(blobs.size())];
    const Bytes damaged = Damaged(blob, blobs[random.Below(blobs.size())], &random);
    static_cast<void>(ReadBlobMeta(damaged));
    Document empty(11);
    const Result<ImportStatus> into_empty = empty.Import(damaged);
    if (!into_empty.ok()) {
      EXPECT_EQ(empty.op_count(), 0U) << "case " << i;
      EXPECT_EQ(empty.ToJson(), "{}") << "case " << i;
    } else {
      // What was taken must be usable.
      static_cast<void>(empty.ToJson());
      static_cast<void>(empty.ExportSnapshot());
    }
    const Result<ImportStatus> into_victim = victim.Import(damaged);
    if (!into_victim.ok()) {
      ++refused;
      ASSERT_EQ(victim.ToJson(), json) << "case " << i;
      ASSERT_EQ(victim.version(), version) << "case " << i;
    } else {
      victim = Document(9);
      ASSERT_TRUE(
          victim.MapSet(ContainerId::Root("mine", ContainerKind::kMap), "k", Value("v")).ok());
      victim.Commit();
    }
  }
  EXPECT_GT(refused, kCases / 2);
  RecordProperty("refused", refused);
}

}  // namespace
}  // namespace merrow::loro
