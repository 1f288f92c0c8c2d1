// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc inspect`: what a blob holds, from its change blocks and the keys of its states. It is
// collected into a Report first, which is then printed as tables or as JSON.
#include <algorithm>
#include <array>
#include <map>
#include <ostream>
#include <set>

#include "cli/doc_tools.h"
#include "loro/mergeable.h"
#include "loro/state_codec.h"

namespace merrow::cli {
namespace {

using loro::ContainerId;
using loro::IdSpan;

// Rows of peers and of roots that the tables show.
constexpr size_t kRowsShown = 50;

struct Peer {
  std::vector<IdSpan> spans;  // sorted, not touching
  uint64_t changes = 0;
  uint64_t ops = 0;
};

struct OpCount {
  uint64_t ops = 0;
  uint64_t atoms = 0;
};

struct Part {
  std::string name;
  uint64_t bytes = 0;
};

struct Report {
  std::string file;
  std::string kind;
  uint64_t bytes = 0;
  std::map<loro::PeerId, Peer> peers;
  // Of shallow snapshots: what is trimmed, and the version that history starts from.
  loro::VersionVector start;
  loro::Frontiers start_frontiers;
  bool is_shallow = false;
  loro::VersionVector version;
  loro::Frontiers frontiers;
  uint64_t blocks = 0;
  uint64_t changes = 0;
  OpCount ops;
  int64_t first_timestamp = 0;  // 0: no change has one
  int64_t last_timestamp = 0;
  uint64_t messages = 0;
  std::map<std::string, OpCount> ops_by_kind;
  std::set<ContainerId> containers;
  std::vector<Part> parts;          // they add up to `bytes`
  std::vector<Part> change_blocks;  // what change blocks consist of, decompressed
  std::vector<Part> states;         // states by kind of container, decompressed
};

// --- Collecting ---

// The eight sections that follow a change block's five numbers.
constexpr std::array<std::string_view, 8> kSectionNames = {
    "header", "meta", "containers", "keys", "positions", "ops", "deletes", "payloads"};
constexpr int kBlockNumbers = 5;

Status AddBlockSections(BytesView block, std::vector<Part>* parts) {
  if (parts->empty()) {
    for (const std::string_view name : kSectionNames) parts->push_back({std::string(name), 0});
    parts->push_back({"numbers and lengths", 0});
  }
  ByteReader reader(block);
  for (int i = 0; i < kBlockNumbers; ++i) MERROW_TRY(reader.Uleb64());
  uint64_t sections = 0;
  for (size_t i = 0; i < kSectionNames.size(); ++i) {
    MERROW_ASSIGN(const BytesView section, reader.LengthPrefixed());
    (*parts)[i].bytes += section.size();
    sections += section.size();
  }
  parts->back().bytes += block.size() - sections;
  return {};
}

void JoinSpans(std::vector<IdSpan>* spans) {
  std::sort(spans->begin(), spans->end());
  std::vector<IdSpan> joined;
  for (const IdSpan& next : *spans) {
    if (!joined.empty() && joined.back().end >= next.start) {
      joined.back().end = std::max(joined.back().end, next.end);
    } else {
      joined.push_back(next);
    }
  }
  *spans = std::move(joined);
}

void AddChanges(const loro::ChangeBlock& block, Report* report, std::set<loro::Id>* followed) {
  Peer& peer = report->peers[block.peer];
  peer.spans.push_back({block.peer, block.counter(), block.end()});
  peer.changes += block.changes.size();
  peer.ops += block.ops.size();
  report->changes += block.changes.size();
  for (const loro::Change& change : block.changes) {
    for (const loro::Id& dep : change.deps) {
      if (dep.peer != block.peer) followed->insert(dep);
    }
    if (!change.message.empty()) ++report->messages;
    if (change.timestamp == 0) continue;
    const bool is_first = report->first_timestamp == 0;
    report->first_timestamp =
        is_first ? change.timestamp : std::min(report->first_timestamp, change.timestamp);
    report->last_timestamp =
        is_first ? change.timestamp : std::max(report->last_timestamp, change.timestamp);
  }
  for (const loro::Op& op : block.ops) {
    OpCount& count = report->ops_by_kind[std::string(OpKindName(op.kind))];
    ++count.ops;
    count.atoms += op.length;
    ++report->ops.ops;
    report->ops.atoms += op.length;
  }
  report->containers.insert(block.containers.begin(), block.containers.end());
}

// The version of updates is that of a document that has them and all before them. Its heads are the
// peers' last ops that no change of another peer follows.
void SetVersionOfUpdates(const std::set<loro::Id>& followed, Report* report) {
  for (const auto& [peer, held] : report->peers) {
    const loro::Counter end = held.spans.back().end;
    report->version.Set(peer, end);
    const auto dep = followed.lower_bound({peer, end - 1});
    if (dep == followed.end() || dep->peer != peer) report->frontiers.push_back({peer, end - 1});
  }
}

Status AddStates(const DocFile& file, const std::vector<loro::SnapshotParts::State>& states,
                 Report* report) {
  for (const auto& state : states) {
    const auto wrapper = loro::DecodeStateWrapper(state.wrapper);
    if (!wrapper.ok()) {
      return wrapper.error().Within(file.name + ": state of " + PreviewContainer(state.container));
    }
    const std::string kind = loro::ContainerKindName(state.container.kind());
    auto part = std::find_if(report->states.begin(), report->states.end(),
                             [&kind](const Part& known) { return known.name == kind; });
    if (part == report->states.end()) part = report->states.insert(part, {kind, 0});
    part->bytes += state.wrapper.size();
    report->containers.insert(state.container);
  }
  return {};
}

Status AddSnapshot(const DocFile& file, Report* report) {
  const loro::SnapshotParts& parts = file.parts;
  report->version = parts.version;
  report->frontiers = parts.frontiers;
  report->kind = parts.shallow.has_value() ? "shallow snapshot" : "snapshot";
  if (parts.shallow.has_value()) {
    report->is_shallow = true;
    report->start = parts.shallow->start;
    report->start_frontiers = parts.shallow->start_frontiers;
    MERROW_TRY(AddStates(file, parts.shallow->states, report));
  }
  MERROW_TRY(AddStates(file, parts.states, report));
  constexpr std::array<std::string_view, 3> kStores = {"change store", "state store",
                                                       "shallow root store"};
  MERROW_CHECK(file.section_bytes.size() == kStores.size());
  for (size_t i = 0; i < kStores.size(); ++i) {
    report->parts.push_back({std::string(kStores[i]), file.section_bytes[i]});
  }
  report->parts.push_back({"lengths of stores", sizeof(uint32_t) * kStores.size()});
  return {};
}

Result<Report> Inspect(const DocFile& file) {
  Report report;
  report.file = file.name;
  report.kind = "updates";
  report.bytes = file.bytes->size();
  report.blocks = file.blocks.size();
  report.parts.push_back({"envelope", loro::kEnvelopeBytes});
  std::set<loro::Id> followed;
  uint64_t block_bytes = 0;
  uint64_t ops = 0;
  for (const DocFile::Block& block : file.blocks) {
    MERROW_ASSIGN(const loro::ChangeBlock decoded, file.Decode(block, &ops));
    AddChanges(decoded, &report, &followed);
    MERROW_TRY(AddBlockSections(block.bytes, &report.change_blocks));
    block_bytes += block.bytes.size();
  }
  for (auto& [id, peer] : report.peers) JoinSpans(&peer.spans);
  if (file.is_snapshot()) {
    MERROW_TRY(AddSnapshot(file, &report));
  } else {
    SetVersionOfUpdates(followed, &report);
    report.parts.push_back({"change blocks", block_bytes});
    report.parts.push_back(
        {"lengths of blocks", report.bytes - loro::kEnvelopeBytes - block_bytes});
  }
  return report;
}

// --- Printing ---

std::map<std::string, uint64_t> ContainersByKind(const Report& report) {
  std::map<std::string, uint64_t> counts;
  for (const ContainerId& id : report.containers) ++counts[loro::ContainerKindName(id.kind())];
  return counts;
}

std::vector<ContainerId> Roots(const Report& report) {
  std::vector<ContainerId> roots;
  for (const ContainerId& id : report.containers) {
    if (id.is_root() && !loro::IsMergeable(id)) roots.push_back(id);
  }
  return roots;
}

std::vector<ContainerId> MergeableChildren(const Report& report) {
  std::vector<ContainerId> children;
  for (const ContainerId& id : report.containers) {
    if (loro::IsMergeable(id)) children.push_back(id);
  }
  return children;
}

std::string RangesText(const std::vector<IdSpan>& spans) {
  constexpr size_t kRangesShown = 4;
  std::string text;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) text += " ";
    if (i == kRangesShown) return text + "...";
    text += "[" + std::to_string(spans[i].start) + ", " + std::to_string(spans[i].end) + ")";
  }
  return text;
}

std::string VersionText(const loro::VersionVector& version) {
  std::string text = "{";
  size_t shown = 0;
  for (const auto& [peer, end] : version.entries()) {
    if (shown > 0) text += ", ";
    if (++shown > kRowsShown) return text + "...}";
    text += std::to_string(peer) + ": " + std::to_string(end);
  }
  return text + "}";
}

std::string FrontiersText(const loro::Frontiers& frontiers) {
  std::string text;
  for (size_t i = 0; i < frontiers.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == kRowsShown) return text + "...";
    text += loro::ToString(frontiers[i]);
  }
  return text.empty() ? "none" : text;
}

void PrintSummary(const Report& report, std::ostream& out) {
  const auto line = [&out](std::string_view name, const std::string& text) {
    constexpr size_t kNameWidth = 12;
    out << name << std::string(kNameWidth - name.size(), ' ') << text << '\n';
  };
  line("file", report.file);
  line("kind", report.kind);
  line("size", Counted(report.bytes, "byte"));
  line("peers", std::to_string(report.peers.size()));
  line("changes", std::to_string(report.changes) + " in " + Counted(report.blocks, "block"));
  line("ops", std::to_string(report.ops.ops) + " of " + Counted(report.ops.atoms, "atom"));
  if (report.is_shallow) {
    line("trimmed", VersionText(report.start));
    line("starts at", FrontiersText(report.start_frontiers));
  }
  line("version", VersionText(report.version));
  line("frontiers", FrontiersText(report.frontiers));
  if (report.first_timestamp != 0) {
    line("from", FormatTimestamp(report.first_timestamp));
    line("to", FormatTimestamp(report.last_timestamp));
  }
  if (report.messages > 0) line("messages", std::to_string(report.messages));
}

void PrintParts(std::string_view title, const std::vector<Part>& parts, uint64_t total,
                std::ostream& out) {
  if (parts.empty()) return;
  TextTable table;
  table.Add({std::string(title), "bytes", "share"});
  for (const Part& part : parts) {
    const uint64_t per_mille = total == 0 ? 0 : part.bytes * 1000 / total;
    table.Add({part.name, std::to_string(part.bytes),
               std::to_string(per_mille / 10) + "." + std::to_string(per_mille % 10) + " %"});
  }
  out << '\n';
  table.Print(out);
}

uint64_t Sum(const std::vector<Part>& parts) {
  uint64_t bytes = 0;
  for (const Part& part : parts) bytes += part.bytes;
  return bytes;
}

void PrintPeers(const Report& report, std::ostream& out) {
  if (report.peers.empty()) return;
  TextTable table;
  table.Add({"peer", "atoms", "changes", "ops"});
  size_t shown = 0;
  for (const auto& [id, peer] : report.peers) {
    if (++shown > kRowsShown) break;
    table.Add({std::to_string(id), RangesText(peer.spans), std::to_string(peer.changes),
               std::to_string(peer.ops)});
  }
  out << '\n';
  table.Print(out);
  if (shown > kRowsShown) {
    out << "(" << Counted(report.peers.size() - kRowsShown, "more peer") << ")\n";
  }
}

void PrintIds(std::string_view title, const std::vector<ContainerId>& ids, std::ostream& out) {
  if (ids.empty()) return;
  out << '\n' << title << '\n';
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i == kRowsShown) {
      out << "(" << ids.size() - i << " more)\n";
      return;
    }
    out << PreviewContainer(ids[i]) << '\n';
  }
}

void PrintContainers(const Report& report, std::ostream& out) {
  if (report.containers.empty()) return;
  TextTable table;
  table.Add({"containers", "count"});
  for (const auto& [kind, count] : ContainersByKind(report)) {
    table.Add({kind, std::to_string(count)});
  }
  out << '\n';
  table.Print(out);

  PrintIds("roots", Roots(report), out);
  PrintIds("mergeable children", MergeableChildren(report), out);
}

void PrintTables(const Report& report, std::ostream& out) {
  PrintSummary(report, out);
  PrintPeers(report, out);
  if (!report.ops_by_kind.empty()) {
    TextTable table;
    table.Add({"ops", "count", "atoms"});
    for (const auto& [kind, count] : report.ops_by_kind) {
      table.Add({kind, std::to_string(count.ops), std::to_string(count.atoms)});
    }
    out << '\n';
    table.Print(out);
  }
  PrintContainers(report, out);
  PrintParts("file", report.parts, report.bytes, out);
  PrintParts("change blocks", report.change_blocks, Sum(report.change_blocks), out);
  PrintParts("states", report.states, Sum(report.states), out);
}

OrderedJson ToJson(const loro::VersionVector& version) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [peer, end] : version.entries()) json[std::to_string(peer)] = end;
  return json;
}

OrderedJson ToJson(const loro::Frontiers& frontiers) {
  OrderedJson json = OrderedJson::array();
  for (const loro::Id& id : frontiers) json.push_back(loro::ToString(id));
  return json;
}

OrderedJson ToJson(const std::vector<Part>& parts) {
  OrderedJson json = OrderedJson::object();
  for (const Part& part : parts) json[part.name] = part.bytes;
  return json;
}

void PrintJson(const Report& report, std::ostream& out) {
  OrderedJson json;
  json["file"] = report.file;
  json["kind"] = report.kind;
  json["bytes"] = report.bytes;
  json["blocks"] = report.blocks;
  json["changes"] = report.changes;
  json["ops"] = report.ops.ops;
  json["atoms"] = report.ops.atoms;
  json["messages"] = report.messages;
  if (report.first_timestamp != 0) {
    json["timestamps"] = {report.first_timestamp, report.last_timestamp};
  }
  if (report.is_shallow) {
    json["trimmed"] = ToJson(report.start);
    json["startsAt"] = ToJson(report.start_frontiers);
  }
  json["version"] = ToJson(report.version);
  json["frontiers"] = ToJson(report.frontiers);
  json["peers"] = OrderedJson::object();
  for (const auto& [id, peer] : report.peers) {
    OrderedJson spans = OrderedJson::array();
    for (const IdSpan& span : peer.spans) spans.push_back({span.start, span.end});
    json["peers"][std::to_string(id)] = {
        {"spans", std::move(spans)}, {"changes", peer.changes}, {"ops", peer.ops}};
  }
  json["opsByKind"] = OrderedJson::object();
  for (const auto& [kind, count] : report.ops_by_kind) {
    json["opsByKind"][kind] = {{"ops", count.ops}, {"atoms", count.atoms}};
  }
  json["containersByKind"] = OrderedJson::object();
  for (const auto& [kind, count] : ContainersByKind(report)) json["containersByKind"][kind] = count;
  json["roots"] = OrderedJson::array();
  for (const ContainerId& id : Roots(report)) json["roots"].push_back(id.ToString());
  json["mergeableChildren"] = OrderedJson::array();
  for (const ContainerId& id : MergeableChildren(report)) {
    json["mergeableChildren"].push_back(id.ToString());
  }
  json["bytesByPart"] = {{"file", ToJson(report.parts)},
                         {"changeBlocks", ToJson(report.change_blocks)},
                         {"states", ToJson(report.states)}};
  out << EscapeControls(json.dump(2, ' ', false, OrderedJson::error_handler_t::replace)) << '\n';
}

}  // namespace

Status DocInspect(const std::string& file, bool as_json, DocIo& io) {
  MERROW_ASSIGN(const DocFile opened, OpenDocFile(file, io));
  MERROW_ASSIGN(const Report report, Inspect(opened));
  if (as_json) {
    PrintJson(report, io.out);
  } else {
    PrintTables(report, io.out);
  }
  return {};
}

}  // namespace merrow::cli
