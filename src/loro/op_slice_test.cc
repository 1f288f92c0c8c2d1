// SPDX-License-Identifier: Apache-2.0
//
// Joined slices say what the slices that they stand for say, wherever they are cut.

#include "loro/op_slice.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace merrow::loro {
namespace {

constexpr PeerId kPeer = 7;

struct Piece {
  OpKind kind;
  uint32_t container;
  int32_t position;
  std::string_view text;  // of inserts
  uint32_t length;
};

// One change, of ops as a document has them that was merged from one update per key.
ChangeBlock BlockOf(const std::vector<Piece>& pieces) {
  ChangeBlock block;
  block.peer = kPeer;
  block.peers = {kPeer};
  block.containers = {ContainerId::Root("a", ContainerKind::kText),
                      ContainerId::Root("b", ContainerKind::kText)};
  Change& change = block.changes.emplace_back();
  change.counter = 100;
  for (const Piece& piece : pieces) {
    Op& op = block.ops.emplace_back();
    op.container = piece.container;
    op.counter = change.end();
    op.length = piece.length;
    op.kind = piece.kind;
    op.prop = piece.position;
    op.payload = piece.text;
    if (piece.kind == OpKind::kDelete) op.signed_length = static_cast<int32_t>(piece.length);
    change.length += piece.length;
  }
  change.op_count = static_cast<uint32_t>(block.ops.size());
  return block;
}

// What one atom does.
struct Atom {
  Counter counter;
  Lamport lamport;
  OpKind kind;
  uint32_t container;
  int64_t position;
  std::string text;
  friend bool operator==(const Atom&, const Atom&) = default;
};

struct Slices {
  std::vector<Atom> atoms;
  std::vector<uint32_t> lengths;
};

Slices SlicesOf(const ChangeBlock& block, Counter from, Counter to, TextJoiner* joiner) {
  Slices slices;
  const Status status = ForEachOpSlice(
      block, block.changes[0], from, to, static_cast<Lamport>(1000 + from),
      [&](const OpSlice& slice) {
        slices.lengths.push_back(slice.length);
        for (uint32_t i = 0; i < slice.length; ++i) {
          const bool is_insert = slice.op->kind == OpKind::kTextInsert;
          slices.atoms.push_back({slice.id().counter + static_cast<Counter>(i), slice.lamport + i,
                                  slice.op->kind, slice.op->container,
                                  slice.position() + (is_insert ? i : 0),
                                  std::string(SliceScalars(slice.op->payload, slice.skip + i, 1))});
        }
        return Status();
      },
      joiner);
  EXPECT_TRUE(status.ok());
  return slices;
}

const std::vector<Piece> kPieces = {
    {OpKind::kTextInsert, 0, 5, "h", 1},
    {OpKind::kTextInsert, 0, 6, "\xC3\xA9", 1},
    {OpKind::kTextInsert, 0, 7, "l\xE2\x82\xAClo", 4},
    {OpKind::kTextInsert, 1, 11, "x", 1},
    {OpKind::kTextInsert, 1, 11, "y", 1},
    {OpKind::kTextInsert, 1, 12, "z", 1},
    {OpKind::kDelete, 1, 13, "", 2},
    {OpKind::kTextInsert, 1, 15, "!", 1},
    {OpKind::kTextInsert, 0, 16, "a", 1},
    {OpKind::kTextInsert, 0, 17,
     "\xF0\x9F\x98\x80"
     "b",
     2},
};

TEST(OpSliceTest, InsertsThatGoOnAreOne) {
  const ChangeBlock block = BlockOf(kPieces);
  TextJoiner joiner;
  const Slices joined = SlicesOf(block, 100, block.end(), &joiner);
  EXPECT_EQ(joined.lengths, (std::vector<uint32_t>{6, 1, 2, 2, 1, 3}));
}

TEST(OpSliceTest, JoinedSlicesMeanTheSame) {
  const ChangeBlock block = BlockOf(kPieces);
  TextJoiner joiner;
  for (Counter from = 100; from < block.end(); ++from) {
    for (Counter to = from + 1; to <= block.end(); ++to) {
      const Slices single = SlicesOf(block, from, to, nullptr);
      const Slices joined = SlicesOf(block, from, to, &joiner);
      ASSERT_EQ(joined.atoms, single.atoms) << from << " to " << to;
      ASSERT_EQ(joined.atoms.size(), static_cast<size_t>(to - from));
    }
  }
}

}  // namespace
}  // namespace merrow::loro
