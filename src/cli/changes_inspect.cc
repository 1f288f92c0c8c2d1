// SPDX-License-Identifier: Apache-2.0
//
// `merrow changes inspect`: what is in a changeset file.
#include <map>
#include <ostream>
#include <utility>

#include "changeset/version_set.h"
#include "cli/changes.h"
#include "cli/changes_file.h"

namespace merrow::cli {
namespace {

using changeset::Changeset;

struct SiteSummary {
  uint64_t changesets = 0;
  changeset::Timestamp last;
};

struct TableSummary {
  uint64_t rows = 0;
  uint64_t deleted = 0;  // of them
  uint64_t cells = 0;
  uint64_t documents = 0;
  uint64_t document_bytes = 0;
};

struct Summary {
  std::map<cells::SiteId, SiteSummary> sites;
  CoveredVersions covered;
  std::map<std::string, TableSummary> tables;
  bool is_open = false;     // what came last goes on ...
  std::string last_column;  // ... maybe in the cell of this one, if it has cells

  void Add(const Changeset& changeset) {
    SiteSummary& site = sites[changeset.cells.site];
    covered.Add(changeset);
    site.changesets += changeset.part == 0 ? 1 : 0;
    site.last = std::max(site.last, changeset.timestamp);
    // What goes on from part to part counts once.
    const bool goes_on = std::exchange(is_open, changeset.continues);
    for (const cells::RowChange& row : changeset.cells.rows) {
      TableSummary& table = tables[changeset.cells.tables[row.table].name];
      table.rows += goes_on ? 0 : 1;
      table.deleted += cells::IsAlive(row.cl) ? 0 : 1;
      table.cells += row.cells.size();
      const std::vector<std::string>& columns = changeset.cells.tables[row.table].columns;
      const bool has_more_of_a_cell =
          goes_on && row.cells.size() == 1 && columns[row.cells[0].column] == last_column;
      table.cells -= has_more_of_a_cell ? 1 : 0;
      last_column = row.cells.empty() ? "" : columns[row.cells.back().column];
    }
    for (const changeset::DocumentChange& document : changeset.documents) {
      TableSummary& table = tables[changeset.cells.tables[document.table].name];
      table.documents += goes_on ? 0 : 1;
      table.document_bytes += document.blocks.size();
    }
  }
};

/// A file's bytes by what they are for, in the order of ByteReport.
std::vector<std::pair<const char*, uint64_t>> PartsOf(const changeset::ByteReport& report) {
  return {{"framing", report.framing},    {"headers", report.headers}, {"names", report.names},
          {"keys", report.keys},          {"clocks", report.clocks},   {"values", report.values},
          {"documents", report.documents}};
}

std::string RangesOf(const changeset::VersionRanges& versions) {
  // The text form, without the site.
  const std::string text = changeset::ToText({{cells::SiteId(), versions}});
  return text.substr(text.find(':') + 1);
}

OrderedJson ToJson(const Summary& summary, const changeset::SiteVersions& versions,
                   const changeset::ByteReport& report, uint64_t bytes) {
  OrderedJson json;
  json["bytes"] = bytes;
  json["versions"] = changeset::ToText(versions);
  json["sites"] = OrderedJson::array();
  for (const auto& [id, site] : summary.sites) {
    json["sites"].push_back({{"site", ToHex(id.view())},
                             {"versions", RangesOf(versions.at(id))},
                             {"changesets", site.changesets},
                             {"last_unix_ms", site.last.ms}});
  }
  json["tables"] = OrderedJson::array();
  for (const auto& [name, table] : summary.tables) {
    json["tables"].push_back({{"table", name},
                              {"rows", table.rows},
                              {"deleted", table.deleted},
                              {"cells", table.cells},
                              {"documents", table.documents},
                              {"document_bytes", table.document_bytes}});
  }
  json["uncompressed"] = OrderedJson::object();
  uint64_t sum = 0;
  for (const auto& [name, part] : PartsOf(report)) {
    json["uncompressed"][name] = part;
    sum += part;
  }
  json["saved_by_compression"] = sum - bytes;
  return json;
}

void Print(const Summary& summary, const changeset::SiteVersions& versions,
           const changeset::ByteReport& report, uint64_t bytes, std::ostream& out) {
  TextTable sites;
  sites.Add({"site", "versions", "changesets", "last"});
  for (const auto& [id, site] : summary.sites) {
    sites.Add({ToHex(id.view()), RangesOf(versions.at(id)), std::to_string(site.changesets),
               site.last.ms == 0 ? "-" : FormatTimestamp(site.last.ms / 1000)});
  }
  sites.Print(out);
  out << '\n';
  TextTable tables;
  tables.Add({"table", "rows", "deleted", "cells", "documents", "document bytes"});
  for (const auto& [name, table] : summary.tables) {
    tables.Add({Printable(name), std::to_string(table.rows), std::to_string(table.deleted),
                std::to_string(table.cells), std::to_string(table.documents),
                std::to_string(table.document_bytes)});
  }
  tables.Print(out);
  out << '\n';
  TextTable parts;
  uint64_t sum = 0;
  for (const auto& [name, part] : PartsOf(report)) {
    parts.Add({name, std::to_string(part)});
    sum += part;
  }
  parts.Add({"uncompressed", std::to_string(sum)});
  parts.Add({"saved by compression", std::to_string(sum - bytes)});
  parts.Add({"file", std::to_string(bytes)});
  parts.Print(out);
}

}  // namespace

Status ChangesInspect(const std::string& file, bool as_json, DocIo& io) {
  MERROW_ASSIGN(auto source, OpenChanges(file, io));
  changeset::ByteReport report;
  changeset::FileReader reader(std::move(source), {}, &report);
  Summary summary;
  while (true) {
    const auto changesets = reader.Next();
    if (!changesets.ok()) {
      return changesets.error().Within(InputName(file));
    }
    if (!changesets->has_value()) {
      break;
    }
    for (const Changeset& changeset : **changesets) {
      summary.Add(changeset);
    }
  }
  const changeset::SiteVersions& versions = summary.covered.versions();
  if (as_json) {
    io.out << ToJson(summary, versions, report, reader.offset())
                  .dump(2, ' ', false, OrderedJson::error_handler_t::replace)
           << '\n';
  } else {
    Print(summary, versions, report, reader.offset(), io.out);
  }
  return {};
}

}  // namespace merrow::cli
