// SPDX-License-Identifier: Apache-2.0
//
// Damaged frames and files: whatever the bytes, the decoder ends with an error or with well-formed
// changesets, and after an error it goes on as if nothing had been. Checksums are repaired, so that
// the damage gets through to the decoder.

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>

#include "base/bytes.h"
#include "changeset/changeset_file.h"
#include "changeset/changeset_test_util.h"

namespace merrow::changeset {
namespace {

void RepairChecksum(Bytes* frame) {
  if (frame->size() < 5) return;
  const size_t content = frame->size() - 4;
  ByteWriter checksum;
  checksum.U32Le(XXH32(frame->data(), content, 0));
  frame->replace(content, 4, checksum.bytes());
}

void Damage(std::mt19937& random, Bytes* bytes) {
  const size_t at = random() % bytes->size();
  switch (random() % 4) {
    case 0:
      (*bytes)[at] = static_cast<char>(random());
      break;
    case 1:
      (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << random() % 8));
      break;
    case 2:
      bytes->resize(at);
      break;
    default:
      bytes->insert(at, 1 + random() % 8, static_cast<char>(random()));
  }
}

TEST(ChangesetDamage, FramesEndInAnErrorOrInWellFormedChangesets) {
  std::mt19937 random(5);
  int refused = 0;
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<Changeset> first = {RandomChangeset(random, SiteNamed(1), 0)};
    std::vector<Changeset> second = {RandomChangeset(random, SiteNamed(1), first[0].cells.version)};
    FrameOptions options;
    options.zstd_level = random() % 4 == 0 ? 1 : 0;
    Encoder encoder({}, options);
    const auto first_frame = encoder.Encode(first);
    const auto second_frame = encoder.Encode(second);
    ASSERT_TRUE(first_frame.ok() && second_frame.ok());
    Decoder decoder;
    ASSERT_TRUE(decoder.Decode(*first_frame).ok());
    Bytes damaged = *second_frame;
    for (size_t n = 1 + random() % 3; n > 0 && !damaged.empty(); --n) Damage(random, &damaged);
    RepairChecksum(&damaged);
    const auto result = decoder.Decode(damaged);
    if (result.ok()) {
      ++accepted;
      for (const Changeset& changeset : *result) ASSERT_TRUE(CheckChangeset(changeset).ok());
      continue;
    }
    ++refused;
    const auto after = decoder.Decode(*second_frame);
    ASSERT_TRUE(after.ok()) << after.error().ToString();
    ASSERT_EQ(Describe((*after)[0]), Describe(second[0]));
  }
  EXPECT_GT(refused, 5000);
  EXPECT_GT(accepted, 100);
}

TEST(ChangesetDamage, EveryFlippedBitOfAFileIsNoticed) {
  std::mt19937 random(9);
  std::vector<Changeset> changesets;
  for (int i = 0; i < 5; ++i) changesets.push_back(RandomChangeset(random, SiteNamed(1), 10 * i));
  const auto file = EncodeFile(changesets);
  ASSERT_TRUE(file.ok());
  for (size_t bit = 0; bit < 8 * file->size(); ++bit) {
    Bytes damaged = *file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(DecodeFile(damaged).ok()) << "bit " << bit;
  }
  for (size_t size = 0; size < file->size(); ++size) {
    ASSERT_FALSE(DecodeFile(BytesView(*file).substr(0, size)).ok()) << size << " bytes";
  }
  ASSERT_TRUE(DecodeFile(*file).ok());
  ASSERT_FALSE(DecodeFile(*file + '\0').ok());
}

/// A file of several frames, read in pieces of any size.
TEST(ChangesetDamage, ErrorsOfAFileNameTheFrameAndItsPlace) {
  std::mt19937 random(10);
  Bytes file;
  FileWriter writer([&file](BytesView bytes) -> Status {
    file += bytes;
    return {};
  });
  Changeset changeset = RandomChangeset(random, SiteNamed(1), 0);
  changeset.documents.push_back(
      {0, changeset.documents.empty() ? Bytes("\x01\x09\x05", 3) : changeset.documents[0].key,
       Bytes(600'000, 'b')});
  std::vector<size_t> frames;
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0) frames.push_back(std::max<size_t>(file.size(), 8));
    ASSERT_TRUE(writer.Add(changeset).ok());
  }
  ASSERT_TRUE(writer.Finish().ok());
  ASSERT_EQ(DecodeFile(file)->size(), 6U);
  for (size_t i = 0; i < frames.size(); ++i) {
    Bytes damaged = file;
    damaged[frames[i] + 100'000] ^= 1;
    FileReader reader([rest = BytesView(damaged), &random](char* into, size_t size) mutable {
      size = std::min({size, rest.size(), size_t{1} + random() % 100'000});
      std::copy_n(rest.begin(), size, into);
      rest.remove_prefix(size);
      return Result<size_t>(size);
    });
    auto some = reader.Next();
    for (size_t read = 0; read < i; ++read) {
      ASSERT_TRUE(some.ok() && some->has_value());
      some = reader.Next();
    }
    ASSERT_FALSE(some.ok());
    EXPECT_EQ(some.error().message(), "frame " + std::to_string(i + 1) + ", at offset " +
                                          std::to_string(frames[i]) +
                                          ": a frame's checksum is wrong");
  }
}

}  // namespace
}  // namespace merrow::changeset
