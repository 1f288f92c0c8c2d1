// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc log`: the changes of a blob, each before those that depend on it. An op's lamport is
// larger than that of every op it depends on, so sorting by lamport is enough, and by peer makes
// the order total. Headers of all blocks are read first; a block's ops are decoded when its first
// change is printed and let go after its last.
#include <algorithm>
#include <ostream>
#include <tuple>

#include "cli/doc_tools.h"
#include "loro/utf8.h"

namespace merrow::cli {
namespace {

using loro::Change;
using loro::ChangeBlock;
using loro::Op;
using loro::OpKind;

// Dependencies that one line shows.
constexpr size_t kDepsShown = 8;

struct Entry {
  loro::Lamport lamport;
  loro::PeerId peer;
  loro::Counter counter;
  size_t block;
  size_t index;  // of the change in the block
};

std::string ValueOf(const ChangeBlock& block, const Op& op) {
  const Result<loro::Value> value = loro::OpValue(block, op);
  return value.ok() ? PreviewValue(*value) : "a value that does not decode";
}

std::string ValuesOf(const ChangeBlock& block, const Op& op) {
  const Result<std::vector<loro::Value>> values = loro::OpValues(block, op);
  if (!values.ok()) return "values that do not decode";
  std::string text = "[";
  for (size_t i = 0; i < values->size(); ++i) {
    if (i > 0) text += ", ";
    if (text.size() >= kPreviewBytes) {
      text += "...";
      break;
    }
    text += PreviewValue((*values)[i]);
  }
  return text + "]";
}

std::string Deletion(const Op& op) {
  std::string text = "delete " + Counted(op.length, "item") + " at " + std::to_string(op.prop) +
                     ": " + loro::ToString(op.target);
  if (op.length > 1)
    text += " to " + loro::ToString(op.target.Plus(op.signed_length > 0 ? op.signed_length - 1
                                                                        : -op.signed_length - 1));
  if (op.signed_length < 0) text += ", backwards";
  return text;
}

std::string Marking(const ChangeBlock& block, const Op& op) {
  std::string text = "mark " + Counted(op.mark_length, "item") + " from " +
                     std::to_string(op.prop) + ": " + PreviewText(block.keys[op.mark_key]) + " = " +
                     ValueOf(block, op);
  const bool before = (op.mark_info & 0x02) != 0;
  const bool after = (op.mark_info & 0x04) != 0;
  if (before || after) {
    text += std::string(", expands ") + (before && after ? "both ways"
                                         : before        ? "before"
                                                         : "after");
  }
  return text;
}

std::string TreeMove(const ChangeBlock& block, const Op& op, loro::Id id) {
  const std::string node = loro::ToString(op.target);
  if (op.parent_kind == loro::TreeParent::kDeleted) return "delete node " + node;
  std::string text = op.target == id ? "create node " + node : "move node " + node;
  text += op.parent_kind == loro::TreeParent::kNode ? " below " + loro::ToString(op.parent)
                                                    : " at the root";
  const Bytes& position = block.positions[op.position];
  constexpr size_t kPositionBytesShown = 16;
  text += ", position " + ToHex(BytesView(position).substr(0, kPositionBytesShown));
  if (position.size() > kPositionBytesShown) text += "...";
  return text;
}

std::string Summary(const ChangeBlock& block, const Op& op) {
  switch (op.kind) {
    case OpKind::kTextInsert:
      return "insert " + Counted(op.length, "character") + " at " + std::to_string(op.prop) + ": " +
             PreviewText(op.payload);
    case OpKind::kTextMarkStart:
      return Marking(block, op);
    case OpKind::kTextMarkEnd:
      return "end of the mark";
    case OpKind::kListInsert:
      return "insert " + Counted(op.length, "item") + " at " + std::to_string(op.prop) + ": " +
             ValuesOf(block, op);
    case OpKind::kDelete:
      return Deletion(op);
    case OpKind::kMapSet:
      return "set " + PreviewText(block.keys[static_cast<size_t>(op.prop)]) + " = " +
             ValueOf(block, op);
    case OpKind::kMapDelete:
      return "delete " + PreviewText(block.keys[static_cast<size_t>(op.prop)]);
    case OpKind::kMove:
      return "move from " + std::to_string(op.from) + " to " + std::to_string(op.prop) +
             ": element L" + std::to_string(op.element.lamport) + "@" +
             std::to_string(op.element.peer);
    case OpKind::kSet:
      return "set element L" + std::to_string(op.element.lamport) + "@" +
             std::to_string(op.element.peer) + " = " + ValueOf(block, op);
    case OpKind::kTreeMove:
      return TreeMove(block, op, {block.peer, op.counter});
    case OpKind::kCounterAdd:
      return "add " + PreviewValue(loro::Value(op.delta));
    case OpKind::kUnknown:
      break;
  }
  return "an op of a later release, " + Counted(op.payload.size(), "byte");
}

std::string Dependencies(const Change& change) {
  if (change.deps.empty()) return "nothing";
  std::string text;
  for (size_t i = 0; i < change.deps.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == kDepsShown) return text + std::to_string(change.deps.size() - i) + " more";
    text += loro::ToString(change.deps[i]);
  }
  return text;
}

void PrintChange(const ChangeBlock& block, const Change& change, std::ostream& out) {
  out << "change " << loro::ToString(loro::Id{block.peer, change.counter});
  if (change.length > 1) out << " to " << loro::ToString(loro::Id{block.peer, change.end() - 1});
  out << "  lamport " << change.lamport << '\n';
  out << "  after " << Dependencies(change) << '\n';
  if (change.timestamp != 0) out << "  at " << FormatTimestamp(change.timestamp) << '\n';
  if (!change.message.empty()) out << "  message " << PreviewText(change.message) << '\n';
  for (uint32_t i = 0; i < change.op_count; ++i) {
    const Op& op = block.ops[change.first_op + i];
    out << "  " << loro::ToString(loro::Id{block.peer, op.counter}) << "  "
        << PreviewContainer(block.containers[op.container]) << "  " << Summary(block, op) << '\n';
  }
}

}  // namespace

Status DocLog(const std::string& file, std::optional<uint64_t> limit, DocIo& io) {
  MERROW_ASSIGN(const DocFile opened, OpenDocFile(file, io));
  std::vector<Entry> entries;
  for (size_t i = 0; i < opened.blocks.size(); ++i) {
    const auto header = loro::DecodeChangeBlockHeader(opened.blocks[i].bytes);
    if (!header.ok()) return opened.Within(opened.blocks[i], header.error());
    for (size_t j = 0; j < header->changes.size(); ++j) {
      const Change& change = header->changes[j];
      entries.push_back({change.lamport, header->peer, change.counter, i, j});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.lamport, a.peer, a.counter) < std::tie(b.lamport, b.peer, b.counter);
  });
  const size_t total = entries.size();
  if (limit.has_value() && *limit < total) entries.resize(static_cast<size_t>(*limit));

  std::vector<size_t> left(opened.blocks.size());  // changes to print
  for (const Entry& entry : entries) ++left[entry.block];
  std::vector<std::unique_ptr<const ChangeBlock>> decoded(opened.blocks.size());
  uint64_t ops = 0;
  for (const Entry& entry : entries) {
    if (decoded[entry.block] == nullptr) {
      MERROW_ASSIGN(ChangeBlock block, opened.Decode(opened.blocks[entry.block], &ops));
      decoded[entry.block] = std::make_unique<const ChangeBlock>(std::move(block));
    }
    const ChangeBlock& block = *decoded[entry.block];
    PrintChange(block, block.changes[entry.index], io.out);
    if (--left[entry.block] == 0) decoded[entry.block].reset();
  }
  if (entries.size() < total) {
    io.out << "(" << Counted(total - entries.size(), "more change") << ")\n";
  }
  return {};
}

}  // namespace merrow::cli
