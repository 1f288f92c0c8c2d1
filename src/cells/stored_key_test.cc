// SPDX-License-Identifier: Apache-2.0
#include "cells/stored_key.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "cells/packed_key.h"

namespace merrow::cells {
namespace {

Bytes PackedText(std::string_view text) {
  const ValueView value = ValueView::Text(text);
  return PackColumns({&value, 1});
}

Bytes Stored(BytesView packed) {
  Bytes out;
  AppendStoredKey(packed, out);
  return out;
}

TEST(StoredKey, GoldenBytes) {
  EXPECT_EQ(ToHex(Stored(PackedText("0123abcd-4567-89ab-cdef-fedcba987654"))),
            "000123abcd456789abcdeffedcba987654");
  EXPECT_EQ(ToHex(Stored(PackedText("a"))), "010b0161");
}

TEST(StoredKey, OnlyLowerCaseUuidsAreShortened) {
  for (const char* text :
       {"0123ABCD-4567-89ab-cdef-fedcba987654", "0123abcd-4567-89ab-cdef-fedcba98765g",
        "0123abcd-4567-89ab-cdef+fedcba987654", "0123abcd-4567-89ab-cdef-fedcba98765",
        "0123abcd-4567-89ab-cdef-fedcba9876543", "0123abcdx4567-89ab-cdef-fedcba987654"}) {
    EXPECT_EQ(Stored(PackedText(text)), PackedText(text)) << text;
  }
  const ValueView blob = ValueView::Blob("0123abcd-4567-89ab-cdef-fedcba987654");
  const Bytes packed = PackColumns({&blob, 1});
  EXPECT_EQ(Stored(packed), packed);
}

TEST(StoredKey, ComesBack) {
  for (const char* text :
       {"0123abcd-4567-89ab-cdef-fedcba987654", "", "x", "ffffffff-ffff-ffff-ffff-ffffffffffff"}) {
    Bytes packed;
    ASSERT_TRUE(AppendPackedKey(Stored(PackedText(text)), packed).ok());
    EXPECT_EQ(packed, PackedText(text));
  }
  Bytes out;
  EXPECT_FALSE(AppendPackedKey(BytesView("\0abc", 4), out).ok());
}

}  // namespace
}  // namespace merrow::cells
