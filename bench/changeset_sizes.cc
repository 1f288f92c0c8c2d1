// SPDX-License-Identifier: Apache-2.0
//
// How many bytes a transaction takes on the wire: as a changeset of Merrow, beside the layouts of
// Corrosion (v1, v2) and a flat JSON array of crsql_changes rows, on the same data. The layouts of
// Corrosion are modelled by the formulas of its encoding, which are written down below; its own
// code is not run. Prints Markdown.

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cells/packed_key.h"
#include "changeset/encoder.h"
#include "merrow/document.h"

namespace merrow::changeset {
namespace {

using cells::Value;
using cells::ValueType;
using cells::ValueView;

// --- The cases ---

struct Row {
  Bytes key;  // packed
  std::vector<std::pair<std::string, Value>> cells;
  bool is_delete = false;
  cells::ColVersion col_version = 1;
};

struct Case {
  std::string name;
  TableNames table;
  std::vector<Row> rows;
  int goal_percent = 0;  // of v2; 0: none
};

Bytes PackOne(const ValueView& value) { return cells::PackColumns({&value, 1}); }

// A key that packs to 17 bytes, as in the row of the public post.
Bytes TodoKey(int i) {
  char text[15];
  std::snprintf(text, sizeof(text), "todo-%09d", i);
  return PackOne(ValueView::Text(text));
}

Row Todo(int i) {
  return {TodoKey(i),
          {{"title", Value::Text("tomatoes, carrot, greens")},
           {"completed_at", Value::Integer(1700000000 + i)},
           {"done", Value::Text("0")},
           {"user", Value::Text("fly")}}};
}

// A key of two columns that packs to 40 bytes.
Row Service(int i) {
  char node[21];
  std::snprintf(node, sizeof(node), "node-%015d", i);
  char name[16];
  std::snprintf(name, sizeof(name), "service-%07d", i);
  const ValueView key[] = {ValueView::Text(std::string_view(node, 20)),
                           ValueView::Text(std::string_view(name, 15))};
  return {cells::PackColumns(key),
          {{"name", Value::Text("app-web")},
           {"tags", Value::Text("[]")},
           {"meta", Value::Text("{}")},
           {"port", Value::Integer(8080)},
           {"address", Value::Text("fdaa::1")},
           {"updated_at", Value::Integer(1700000000 + i)},
           {"source", Value::Null()}}};
}

std::vector<Case> Cases() {
  const TableNames todos{"todos", 1, {"title", "completed_at", "done", "user"}};
  const TableNames services{
      "consul_services", 2, {"name", "tags", "meta", "port", "address", "updated_at", "source"}};
  std::vector<Case> cases;
  cases.push_back({"1 row, 4 columns (the public post's)", todos, {Todo(1)}, 35});
  cases.push_back({"1 column of 1 row",
                   todos,
                   {{TodoKey(1), {{"title", Value::Text("tomatoes, carrot, onions")}}, false, 2}},
                   30});
  cases.push_back({"1 delete", todos, {{TodoKey(1), {}, true}}, 30});
  Case ten{"10 rows, 4 columns", todos, {}, 0};
  Case hundred{"100 rows, 4 columns", todos, {}, 25};
  for (int i = 0; i < 100; ++i) {
    if (i < 10) ten.rows.push_back(Todo(i));
    hundred.rows.push_back(Todo(i));
  }
  cases.push_back(ten);
  cases.push_back(hundred);
  cases.push_back({"service registry, 1 row, 7 columns", services, {Service(1)}, 0});
  Case registry{"service registry, 10 rows, 7 columns", services, {}, 0};
  for (int i = 0; i < 10; ++i) registry.rows.push_back(Service(i));
  cases.push_back(registry);
  return cases;
}

// --- Corrosion's layouts, by formula ---
//
// Little endian, no varints: a length, a list's count and an enum's tag take 4 bytes, a counter 8,
// a site 16. T, P and C are the lengths of table name, packed key and column name.

size_t ModelValueBytes(const Value& value) {
  switch (value.type) {
    case ValueType::kNull:
      return 1;
    case ValueType::kInteger:
    case ValueType::kReal:
      return 9;
    default:
      return 5 + value.bytes.size();
  }
}

struct ModelSizes {
  size_t v1 = 82;  // envelope
  size_t v2 = 98;
};

ModelSizes Model(const Case& test) {
  ModelSizes sizes;
  const size_t table = test.table.name.size();
  sizes.v2 += 8 + table;
  for (const Row& row : test.rows) {
    sizes.v2 += 8 + row.key.size();
    const auto add = [&](const std::string& column, const Value& value) {
      const size_t content = column.size() + ModelValueBytes(value);
      sizes.v1 += 60 + table + row.key.size() + content;
      sizes.v2 += 28 + content;
    };
    if (row.is_delete) add("-1", Value::Null());
    for (const auto& [column, value] : row.cells) add(column, value);
  }
  return sizes;
}

// --- A flat JSON array of crsql_changes rows, keys and sites in hexadecimal ---

std::string JsonOf(const Value& value) {
  switch (value.type) {
    case ValueType::kNull:
      return "null";
    case ValueType::kInteger:
      return std::to_string(value.integer);
    case ValueType::kReal:
      return std::to_string(value.real);
    case ValueType::kText:
      return "\"" + value.bytes + "\"";
    default:
      return "\"" + ToHex(value.bytes) + "\"";
  }
}

size_t FlatJsonBytes(const Case& test) {
  std::string json = "[";
  int seq = 0;
  for (const Row& row : test.rows) {
    const auto add = [&](const std::string& column, const Value& value, int64_t version,
                         int64_t cl) {
      json += "[\"" + test.table.name + "\",\"" + ToHex(row.key) + "\",\"" + column + "\"," +
              JsonOf(value) + "," + std::to_string(version) + ",1234,\"" + std::string(32, 'a') +
              "\"," + std::to_string(cl) + "," + std::to_string(seq++) + "],";
    };
    if (row.is_delete) add("-1", Value::Null(), 2, 2);
    for (const auto& [column, value] : row.cells) add(column, value, row.col_version, 1);
  }
  json.back() = ']';
  return json.size();
}

// --- Merrow ---

cells::SiteId Site() {
  cells::SiteId site;
  for (size_t i = 0; i < site.bytes.size(); ++i) site.bytes[i] = static_cast<unsigned char>(i * 37);
  return site;
}

Changeset Empty(cells::DbVersion version) {
  Changeset changeset;
  changeset.cells.site = Site();
  changeset.cells.authors = {Site()};
  changeset.cells.version = version;
  changeset.cells.previous = version - 1;
  // A second and a bit after the one before.
  changeset.timestamp.ms = 1700000000000 + version * 1234;
  return changeset;
}

Changeset ToChangeset(const Case& test, cells::DbVersion version) {
  Changeset changeset = Empty(version);
  cells::ChangedTable table{test.table.name, {}};
  cells::Seq seq = 0;
  for (const Row& row : test.rows) {
    cells::RowChange change;
    change.key = row.key;
    if (row.is_delete) {
      change.cl = 2;
      change.sentinel = cells::ChangeClock{version, seq++, 0};
    }
    for (const auto& [column, value] : row.cells) {
      uint32_t index = 0;
      while (index < table.columns.size() && table.columns[index] != column) ++index;
      if (index == table.columns.size()) table.columns.push_back(column);
      change.cells.push_back({index, row.col_version, value, {version, seq++, 0}});
    }
    changeset.cells.rows.push_back(std::move(change));
  }
  changeset.cells.tables.push_back(std::move(table));
  return changeset;
}

// A link on which a changeset of the same table and site has been sent.
Encoder WarmLink(const TableNames& table, int zstd_level = 0) {
  FrameOptions options;
  options.zstd_level = zstd_level;
  Encoder encoder(Context({table}), options);
  Changeset before = Empty(1233);
  before.cells.previous = 0;
  (void)encoder.Encode({&before, 1}).value();
  return encoder;
}

size_t FrameBytes(Encoder encoder, const Changeset& changeset) {
  return encoder.Encode({&changeset, 1}).value().size();
}

struct MerrowSizes {
  size_t alone;  // a frame that stands alone, as the first of a file
  size_t link;   // on a link whose sides have the same schema
  size_t zstd;   // the same compressed
};

MerrowSizes Measure(const TableNames& table, const Changeset& changeset) {
  return {FrameBytes(Encoder(), changeset), FrameBytes(WarmLink(table), changeset),
          FrameBytes(WarmLink(table, 3), changeset)};
}

// --- Documents ---

// The body of an update: change blocks without the envelope, whose 22 bytes are a header.
Bytes BlocksOf(const Bytes& update) { return update.substr(22); }

struct Typing {
  Bytes one;                // one keystroke
  std::vector<Bytes> each;  // 1,000 keystrokes, each by itself
  Bytes joined;             // the same as they are sent together
};

// 1,000 keystrokes of one person in a text of 50,000 characters, after each other or all over it.
Typing Type(bool all_over) {
  const auto body = loro::ContainerId::Root("body", loro::ContainerKind::kText);
  loro::Document server(1);
  (void)server.TextInsert(body, 0, std::string(50000, 'x')).ok();
  server.Commit();
  loro::Document client(0x1234567890ABCDEF);
  (void)client.Import(server.ExportSnapshot()).ok();
  const loro::VersionVector start = server.version();
  Typing typing;
  uint32_t place = 12345;
  for (int i = 0; i < 1000; ++i) {
    const loro::VersionVector before = client.version();
    place = all_over ? place * 1664525 + 1013904223 : place + 1;
    (void)client.TextInsert(body, place % 50000, "a").ok();
    client.Commit();
    typing.each.push_back(client.ExportUpdates(before));
    (void)server.Import(typing.each.back()).ok();
  }
  typing.one = BlocksOf(typing.each[0]);
  // A snapshot merges neighbouring blocks, as folding the log does.
  (void)server.ExportSnapshot();
  typing.joined = BlocksOf(server.ExportUpdates(start));
  return typing;
}

// --- Output ---

std::string Percent(size_t part, size_t whole) {
  char text[16];
  std::snprintf(text, sizeof(text), "%.0f %%",
                100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

void PrintCases() {
  std::printf(
      "| transaction | flat JSON | v1 (model) | v2 (model) | Merrow alone | Merrow on a link | "
      "of v2 | goal | with zstd |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const Case& test : Cases()) {
    const ModelSizes model = Model(test);
    const MerrowSizes merrow = Measure(test.table, ToChangeset(test, 1234));
    const std::string goal = test.goal_percent == 0 ? "" : std::to_string(test.goal_percent) + " %";
    std::printf("| %s | %zu | %zu | %zu | %zu | %zu | %s | %s | %zu |\n", test.name.c_str(),
                FlatJsonBytes(test), model.v1, model.v2, merrow.alone, merrow.link,
                Percent(merrow.link, model.v2).c_str(), goal.c_str(), merrow.zstd);
  }
}

void PrintTyping(const char* name, const Typing& typing) {
  const TableNames table{"note", 1, {}};
  const Bytes key = TodoKey(1);
  const auto changeset_with = [&](Bytes blocks, cells::DbVersion version,
                                  cells::DbVersion previous) {
    Changeset changeset = Empty(version);
    changeset.cells.previous = previous;
    changeset.cells.tables = {{table.name, {}}};
    changeset.documents.push_back({0, key, std::move(blocks)});
    return changeset;
  };
  const auto bytes_with = [&](int level, const std::vector<Changeset>& changesets) {
    return WarmLink(table, level).Encode(changesets).value().size();
  };
  const std::vector<Changeset> one = {changeset_with(typing.one, 1234, 1233)};
  std::vector<Changeset> separate;
  for (size_t i = 0; i < typing.each.size(); ++i) {
    const auto version = static_cast<cells::DbVersion>(1234 + i);
    separate.push_back(changeset_with(BlocksOf(typing.each[i]), version, version - 1));
  }
  const std::vector<Changeset> joined = {changeset_with(typing.joined, 2233, 1233)};
  const auto count = static_cast<double>(typing.each.size());
  std::printf("| %s | %zu | %.1f (%.1f) | %.1f (%.1f) |\n", name, bytes_with(0, one),
              static_cast<double>(bytes_with(0, separate)) / count,
              static_cast<double>(bytes_with(3, separate)) / count,
              static_cast<double>(bytes_with(0, joined)) / count,
              static_cast<double>(bytes_with(3, joined)) / count);
}

int Main() {
  std::printf(
      "# Changeset sizes\n\n"
      "`make bench-changesets` writes this page. v1 and v2 are Corrosion's layouts, modelled by "
      "the "
      "formulas of its\nencoding on the same data (one framed, uncompressed broadcast); its own "
      "code "
      "is not run. *Alone* is the first\nframe of a file, with all names and the site; *on a link* "
      "is a frame between two sites that have the same schema\nand spoke before; goals are for "
      "that.\n\n"
      "## Column rows: bytes of a transaction\n\n");
  PrintCases();
  std::printf(
      "\n## Document rows: bytes of a keystroke in a text of 50,000 characters\n\n"
      "In brackets with zstd. The goal is below 25 bytes in a sync of many.\n\n"
      "| typing | alone | 1,000, each a transaction, in one frame | 1,000 in one changeset |\n"
      "|---|--:|--:|--:|\n");
  PrintTyping("after each other", Type(false));
  PrintTyping("all over the text", Type(true));
  return 0;
}

}  // namespace
}  // namespace merrow::changeset

int main() { return merrow::changeset::Main(); }
