// SPDX-License-Identifier: Apache-2.0
#include "store/document_ops.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace merrow::store {
namespace {

DocumentOps Ops(int64_t id, std::vector<loro::IdSpan> spans) {
  DocumentOps ops;
  ops.document_id = id;
  ops.spans = std::move(spans);
  return ops;
}

TEST(DocumentOpsTest, GoldenBytes) {
  DocumentOpsById all;
  AddOps(Ops(3, {{0x0102030405060708, 5, 8}}), &all);
  EXPECT_EQ(ToHex(EncodeDocumentOps(all)), "030108070605040302010503");
  DocumentOps whole;
  whole.document_id = 300;
  whole.all = true;
  AddOps(whole, &all);
  EXPECT_EQ(ToHex(EncodeDocumentOps(all)), "030108070605040302010503ac0200");
  DocumentOpsById back;
  ASSERT_TRUE(DecodeDocumentOps(EncodeDocumentOps(all), &back).ok());
  EXPECT_EQ(back, all);
}

TEST(DocumentOpsTest, SpansThatTouchBecomeOne) {
  DocumentOpsById all;
  AddOps(Ops(1, {{7, 5, 6}, {7, 0, 2}}), &all);
  AddOps(Ops(1, {{7, 2, 5}, {8, 1, 2}}), &all);
  AddOps(Ops(2, {}), &all);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[1].spans, (std::vector<loro::IdSpan>{{7, 0, 6}, {8, 1, 2}}));
}

TEST(DocumentOpsTest, DamageIsAnError) {
  DocumentOpsById all;
  AddOps(Ops(3, {{5, 5, 8}}), &all);
  const Bytes bytes = EncodeDocumentOps(all);
  for (size_t length = 1; length < bytes.size(); ++length) {
    DocumentOpsById back;
    EXPECT_FALSE(DecodeDocumentOps(BytesView(bytes).substr(0, length), &back).ok()) << length;
  }
  DocumentOpsById back;
  for (const char* hex : {"03010500000000000000ffffffff0f01", "030105000000000000000500",
                          "0301050000000000000000ffffffffff7f"}) {
    EXPECT_FALSE(DecodeDocumentOps(*FromHex(hex), &back).ok()) << hex;
  }
}

}  // namespace
}  // namespace merrow::store
