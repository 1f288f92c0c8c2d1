// SPDX-License-Identifier: Apache-2.0
//
// A changeset file. What is read says the same after it was written again.

#include <random>

#include "base/bytes.h"
#include "changeset/changeset_file.h"
#include "changeset/changeset_test_util.h"
#include "changeset/fuzz/fuzz_changeset.h"
#include "changeset/fuzz/fuzz_check.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kChecksumBytes = 4;
// So that what is read can be encoded again.
constexpr size_t kInputMax = size_t{1} << 20;

// With right checksums, as far as frames can be told apart; the rest as it is.
Bytes Repaired(BytesView file) {
  ByteReader reader(file);
  ByteWriter writer;
  const Result<BytesView> magic = reader.Take(kMagicBytes);
  if (!magic.ok()) return Bytes(file);
  writer.Append(*magic);
  while (!reader.empty()) {
    const BytesView rest = reader.rest();
    const Result<BytesView> frame = reader.LengthPrefixed();
    if (!frame.ok() || frame->size() < kChecksumBytes) {
      writer.Append(rest);
      break;
    }
    writer.LengthPrefixed(WithChecksum(frame->substr(0, frame->size() - kChecksumBytes)));
  }
  return writer.Release();
}

}  // namespace

void FuzzChangesetFile(BytesView input) {
  if (input.size() > kInputMax) return;
  const Result<std::vector<Changeset>> changesets = DecodeFile(Repaired(input));
  if (!changesets.ok()) return;
  CheckDecoded(*changesets);
  for (const int zstd_level : {0, 1}) {
    FrameOptions options;
    options.zstd_level = zstd_level;
    const Result<Bytes> file = EncodeFile(*changesets, options);
    MERROW_CHECK(file.ok());
    const Result<std::vector<Changeset>> again = DecodeFile(*file);
    MERROW_CHECK(again.ok());
    CheckSame(*again, *changesets);
  }
}

std::vector<Bytes> ChangesetFileSeeds() {
  std::vector<Bytes> seeds;
  for (uint32_t seed = 100; seed < 116; ++seed) {
    std::mt19937 random(seed);
    std::vector<Changeset> changesets;
    cells::DbVersion last = 0;
    for (uint32_t i = 0; i < seed % 4; ++i) {
      changesets.push_back(RandomChangeset(random, SiteNamed(7), last));
      last = changesets.back().cells.version;
    }
    if (seed % 3 == 0) {
      constexpr size_t kPartBytes = 60;
      const Changeset whole = RandomChangeset(random, SiteNamed(8), 0);
      for (Changeset& part : SplitChangeset(whole, kPartBytes))
        changesets.push_back(std::move(part));
    }
    FrameOptions options;
    options.zstd_level = seed % 8 < 4 ? 0 : 1;
    const Result<Bytes> file = EncodeFile(changesets, options);
    MERROW_CHECK(file.ok());
    seeds.push_back(*file);
  }
  return seeds;
}

}  // namespace merrow::changeset
