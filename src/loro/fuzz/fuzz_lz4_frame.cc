// SPDX-License-Identifier: Apache-2.0
//
// An LZ4 frame: never more than the limit, and the same content after being compressed again.

#include "loro/fuzz/fuzz_target.h"
#include "loro/lz4_frame.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr size_t kContentBytesMax = size_t{4} << 20;

}  // namespace

void FuzzLz4Frame(BytesView input) {
  const Result<Bytes> content = DecodeLz4Frame(input, kContentBytesMax);
  if (!content.ok()) return;
  MERROW_CHECK(content->size() <= kContentBytesMax);
  const Result<Bytes> again = DecodeLz4Frame(EncodeLz4Frame(*content), kContentBytesMax);
  MERROW_CHECK(again.ok() && *again == *content);
}

}  // namespace merrow::loro
