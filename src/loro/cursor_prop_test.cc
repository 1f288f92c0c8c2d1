// SPDX-License-Identifier: Apache-2.0
//
// Cursors in random texts and lists that two peers edit concurrently: a cursor stays at its
// element, and when that is deleted, where it was. Every element is a letter or number of its own,
// so a model finds it.

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/clock.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

const ContainerId kText = ContainerId::Root("text", ContainerKind::kText);
const ContainerId kList = ContainerId::Root("list", ContainerKind::kList);
const ContainerId kMovable = ContainerId::Root("movable", ContainerKind::kMovableList);

std::string Scalar(uint32_t number) {
  // Outside the basic plane, so that UTF-16 and scalars differ.
  const uint32_t code = 0x20000 + number;
  return {static_cast<char>(0xF0 | (code >> 18)), static_cast<char>(0x80 | ((code >> 12) & 0x3F)),
          static_cast<char>(0x80 | ((code >> 6) & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
}

// The numbers of the elements in order.
std::vector<int64_t> ElementsOf(const Document& doc, const ContainerId& id) {
  std::string text;
  doc.AppendJson(id, &text);
  const nlohmann::json value = nlohmann::json::parse(text == "null" ? "[]" : text);
  if (!value.is_string()) return value.get<std::vector<int64_t>>();
  std::vector<int64_t> numbers;
  const std::string utf8 = value.get<std::string>();
  for (size_t at = 0; at + 4 <= utf8.size(); at += 4) {
    const auto bits = [&](size_t i) { return static_cast<uint8_t>(utf8[at + i]) & 0x3Fu; };
    numbers.push_back(static_cast<int64_t>(((bits(1) << 12) | (bits(2) << 6) | bits(3)) +
                                           ((static_cast<uint8_t>(utf8[at]) & 7u) << 18)) -
                      0x20000);
  }
  return numbers;
}

void EditAtRandom(Document* doc, const ContainerId& id, int64_t* next, SeededRandom* random) {
  const size_t length = doc->Length(id);
  const size_t at = random->Below(length + 1);
  const bool is_text = id.kind() == ContainerKind::kText;
  if (length > 0 && random->Below(3) == 0) {
    const size_t count = std::min<size_t>(1 + random->Below(3), length - std::min(at, length - 1));
    const size_t from = std::min(at, length - 1);
    ASSERT_TRUE(
        (is_text ? doc->TextDelete(id, from, count) : doc->ListDelete(id, from, count)).ok());
  } else if (length > 1 && id.kind() == ContainerKind::kMovableList && random->Below(2) == 0) {
    ASSERT_TRUE(doc->MovableListMove(id, random->Below(length), random->Below(length)).ok());
  } else if (is_text && length > 0 && random->Below(4) == 0) {
    const size_t start = random->Below(length);
    const size_t end = start + 1 + random->Below(length - start);
    ASSERT_TRUE(doc->TextMark(id, start, end, "bold", Value(true), StyleExpand::kAfter).ok());
  } else if (is_text) {
    ASSERT_TRUE(doc->TextInsert(id, at, Scalar(static_cast<uint32_t>((*next)++))).ok());
  } else {
    ASSERT_TRUE(doc->ListInsert(id, at, Value((*next)++)).ok());
  }
}

void CheckCursor(const Document& doc, const Cursor& cursor, int64_t number) {
  const std::vector<int64_t> elements = ElementsOf(doc, cursor.container);
  const Result<size_t> position = doc.PositionOf(cursor);
  ASSERT_TRUE(position.ok()) << position.error().ToString();
  ASSERT_LE(*position, elements.size());
  const auto found = std::find(elements.begin(), elements.end(), number);
  if (found != elements.end()) {
    EXPECT_EQ(*position, static_cast<size_t>(found - elements.begin()));
  }
  if (cursor.container.kind() == ContainerKind::kText) {
    const Result<size_t> utf16 = doc.PositionOf(cursor, TextUnit::kUtf16);
    ASSERT_TRUE(utf16.ok());
    EXPECT_EQ(*utf16, 2 * *position);
  }
  const Result<Cursor> decoded = Cursor::Decode(cursor.Encode());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, cursor);
}

void CheckSeed(uint64_t seed) {
  SCOPED_TRACE("MERROW_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  Document a(random.Below(100) + 1);
  Document b(a.peer() ^ 0x8000000000000000);
  int64_t next = 0;
  std::vector<std::pair<Cursor, int64_t>> cursors;
  const ContainerId& id = std::array{kText, kList, kMovable}[random.Below(3)];
  for (uint64_t step = 10 + random.Below(60); step > 0; --step) {
    Document& doc = random.Below(2) == 0 ? a : b;
    EditAtRandom(&doc, id, &next, &random);
    const std::vector<int64_t> elements = ElementsOf(a, id);
    if (random.Below(4) == 0 && !elements.empty()) {
      const size_t at = random.Below(elements.size());
      const Result<Cursor> cursor = a.CursorAt(id, at, CursorSide::kMiddle);
      ASSERT_TRUE(cursor.ok());
      EXPECT_EQ(cursor->position, at);
      cursors.emplace_back(*cursor, elements[at]);
    }
    if (random.Below(5) == 0) {
      ASSERT_TRUE(a.Import(b.ExportUpdates(a.version())).ok());
      ASSERT_TRUE(b.Import(a.ExportUpdates(b.version())).ok());
    }
    for (const auto& [cursor, number] : cursors) CheckCursor(a, cursor, number);
    if (testing::Test::HasFailure()) return;
  }
  ASSERT_TRUE(b.Import(a.ExportUpdates(b.version())).ok());
  ASSERT_TRUE(a.Import(b.ExportUpdates(a.version())).ok());
  for (const auto& [cursor, number] : cursors) {
    CheckCursor(b, cursor, number);
    EXPECT_EQ(*a.PositionOf(cursor), *b.PositionOf(cursor));
  }
}

TEST(CursorPropTest, CursorsStayWithTheirElements) {
  if (const char* seed = std::getenv("MERROW_SEED")) return CheckSeed(std::stoull(seed));
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CheckSeed(seed);
    if (testing::Test::HasFailure()) return;
  }
}

// Positions and bytes that loro-crdt 1.17.1 gave.
TEST(CursorTest, AsLoroHasThem) {
  Document doc(1);
  const ContainerId text = ContainerId::Root("t", ContainerKind::kText);
  const auto hex_at = [&](const ContainerId& id, size_t position, CursorSide side) {
    const Result<Cursor> cursor = doc.CursorAt(id, position, side, TextUnit::kUtf16);
    return cursor.ok() ? ToHex(cursor->Encode()) : cursor.error().ToString();
  };
  EXPECT_EQ(hex_at(text, 0, CursorSide::kMiddle), "00000174000000");
  EXPECT_EQ(hex_at(text, 0, CursorSide::kRight), "00000174000200");
  ASSERT_TRUE(doc.TextInsert(text, 0, "hello\xF0\x9F\x98\x80world").ok());
  doc.Commit();
  EXPECT_EQ(hex_at(text, 3, CursorSide::kLeft), "010106000174000003");
  EXPECT_EQ(hex_at(text, 7, CursorSide::kMiddle), "01010c000174000106");
  const Cursor cursor = *doc.CursorAt(text, 3, CursorSide::kRight);
  const Cursor end = *doc.CursorAt(text, 11, CursorSide::kLeft);
  EXPECT_EQ(end.side, CursorSide::kRight);
  EXPECT_FALSE(doc.CursorAt(text, 12, CursorSide::kLeft).ok());
  ASSERT_TRUE(doc.TextDelete(text, 2, 3).ok());
  EXPECT_EQ(*doc.PositionOf(cursor), 2u);
  ASSERT_TRUE(doc.TextInsert(text, 2, "ABC").ok());
  EXPECT_EQ(*doc.PositionOf(cursor), 5u);
  EXPECT_EQ(*doc.PositionOf(end), 11u);
  EXPECT_EQ(*doc.PositionOf(end, TextUnit::kUtf16), 12u);
}

TEST(CursorTest, DamagedBytesAreRefused) {
  Document doc(1);
  ASSERT_TRUE(doc.TextInsert(kText, 0, "text").ok());
  const Bytes bytes = doc.CursorAt(kText, 2, CursorSide::kMiddle)->Encode();
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Cursor::Decode(BytesView(bytes).substr(0, length)).ok());
  }
  EXPECT_FALSE(Cursor::Decode(bytes + '\0').ok());
  EXPECT_FALSE(doc.CursorAt(ContainerId::Root("m", ContainerKind::kMap), 0, {}).ok());
}

}  // namespace
}  // namespace merrow::loro
