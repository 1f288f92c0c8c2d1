// SPDX-License-Identifier: Apache-2.0
#include "changeset/fuzz/fuzz_check.h"

#include <xxhash.h>

#include <algorithm>

#include "base/bytes.h"
#include "changeset/changeset_test_util.h"
#include "merrow/check.h"

namespace merrow::changeset {
namespace {

// Describing takes long; a few changesets of few rows say enough.
constexpr size_t kDescribedRowsMax = 2'000;
constexpr size_t kSplitNamesMax = 100;
constexpr size_t kJoinedPartsMax = 50;
constexpr size_t kPartBytes = 40;

size_t NameCount(const Changeset& changeset) {
  size_t names = changeset.cells.authors.size();
  for (const cells::ChangedTable& table : changeset.cells.tables) names += 1 + table.columns.size();
  return names;
}

void CheckSplit(const Changeset& whole) {
  std::vector<Changeset> parts = SplitChangeset(whole, kPartBytes);
  for (const Changeset& part : parts) MERROW_CHECK(CheckChangeset(part).ok());
  std::reverse(parts.begin(), parts.end());
  const Result<Changeset> joined = JoinParts(std::move(parts));
  MERROW_CHECK(joined.ok());
  MERROW_CHECK(CheckChangeset(*joined).ok());
  MERROW_CHECK(Describe(*joined) == Describe(whole));
}

// Parts of anybody's making give a well-formed changeset, or an error.
void CheckJoin(std::span<const Changeset> changesets) {
  std::vector<Changeset> parts;
  size_t names = 0;
  for (const Changeset& changeset : changesets) {
    if (changeset.parts == 1) continue;
    names += NameCount(changeset);
    parts.push_back(changeset);
    if (parts.size() > kJoinedPartsMax || names > kSplitNamesMax) return;
  }
  if (parts.empty()) return;
  const Result<Changeset> joined = JoinParts(std::move(parts));
  if (joined.ok()) MERROW_CHECK(CheckChangeset(*joined).ok());
}

}  // namespace

void CheckSame(std::span<const Changeset> a, std::span<const Changeset> b) {
  MERROW_CHECK(a.size() == b.size());
  size_t rows = 0;
  for (size_t i = 0; i < a.size() && rows < kDescribedRowsMax; ++i) {
    rows += 1 + a[i].cells.rows.size() + a[i].documents.size();
    if (rows < kDescribedRowsMax) MERROW_CHECK(Describe(a[i]) == Describe(b[i]));
  }
}

void CheckDecoded(std::span<const Changeset> changesets) {
  CheckJoin(changesets);
  size_t rows = 0;
  for (const Changeset& changeset : changesets) {
    MERROW_CHECK(CheckChangeset(changeset).ok());
    rows += 1 + changeset.cells.rows.size() + changeset.documents.size();
    if (changeset.parts == 1 && rows < kDescribedRowsMax && NameCount(changeset) < kSplitNamesMax) {
      CheckSplit(changeset);
    }
  }
}

Bytes WithChecksum(BytesView bytes) {
  ByteWriter writer;
  writer.Append(bytes);
  writer.U32Le(XXH32(bytes.data(), bytes.size(), 0));
  return writer.Release();
}

}  // namespace merrow::changeset
