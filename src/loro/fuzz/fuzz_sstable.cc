// SPDX-License-Identifier: Apache-2.0
//
// A key-value store of a snapshot. Its entries are in order, can be found, and make the same store
// when they are written again.

#include "loro/fuzz/fuzz_repair.h"
#include "loro/fuzz/fuzz_target.h"
#include "loro/sstable.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr SstableLimits kLimits{.value_bytes_max = size_t{4} << 20,
                                .total_bytes_max = size_t{16} << 20};
constexpr size_t kLookupsMax = 64;

}  // namespace

void FuzzSstable(BytesView input) {
  const Bytes store = RepairedSstable(input);
  Result<SstableReader> reader = SstableReader::Open(store, kLimits);
  if (!reader.ok()) return;
  const Result<std::vector<SstableReader::Entry>> entries = reader->ReadAll();
  MERROW_CHECK(reader->expanded_bytes() <= kLimits.total_bytes_max);
  if (!entries.ok()) return;
  SstableWriter writer;
  for (size_t i = 0; i < entries->size(); ++i) {
    const SstableReader::Entry& entry = (*entries)[i];
    MERROW_CHECK(i == 0 || (*entries)[i - 1].key < entry.key);
    if (i < kLookupsMax) {
      const auto found = reader->Find(entry.key);
      MERROW_CHECK(found.ok() && *found == entry.value);
    }
    if (entry.key.empty()) return;  // is read, but never written
    writer.Add(entry.key, entry.value);
  }
  const Result<Bytes> written = writer.Finish();
  MERROW_CHECK(written.ok());
  Result<SstableReader> again = SstableReader::Open(*written);
  MERROW_CHECK(again.ok());
  const Result<std::vector<SstableReader::Entry>> same = again->ReadAll();
  MERROW_CHECK(same.ok() && same->size() == entries->size());
  for (size_t i = 0; i < same->size(); ++i) {
    MERROW_CHECK((*same)[i].key == (*entries)[i].key);
    MERROW_CHECK((*same)[i].value == (*entries)[i].value);
  }
}

}  // namespace merrow::loro
