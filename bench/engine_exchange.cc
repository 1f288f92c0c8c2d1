// SPDX-License-Identifier: Apache-2.0

#include "engine_workloads.h"

namespace merrow::bench {
namespace {

using loro::Document;

// The time of one import; of pairs, that of the second, which does not know the first.
Report SmallUpdates(const Data& data, const std::string& name, bool in_pairs) {
  Document document = Imported(data.Blob(name + ".base"));
  const std::vector<Bytes> blobs = data.Blobs(name + (in_pairs ? ".concurrent" : ".linear"));
  // What is loaded lazily is loaded now, as in a document that is in use.
  document.ToJson();
  Report report;
  for (size_t at = 0; at < blobs.size(); ++at) {
    const Stopwatch watch;
    const auto status = document.Import(blobs[at]);
    const int64_t time = watch.Nanoseconds();
    MERROW_CHECK(status.ok());
    if (!in_pairs || at % 2 == 1) report.samples.push_back(time);
  }
  report.bytes = blobs.front().size();
  report.check = JsonHash(document);
  return report;
}

Report ExportBehind(const Data& data, const std::string& name, size_t behind) {
  Document document = Imported(data.Blob(name + ".base"));
  Document receiver = Imported(data.Blob(name + ".base"));
  const std::vector<Bytes> blobs = data.Blobs(name + ".linear");
  for (size_t at = 0; at < blobs.size(); ++at) {
    MERROW_CHECK(document.Import(blobs[at]).ok());
    if (at + behind < blobs.size()) MERROW_CHECK(receiver.Import(blobs[at]).ok());
  }
  const loro::VersionVector from = receiver.version();
  Report report;
  report.samples = Repeated(100, [&] { return document.ExportUpdates(from); });
  const Bytes bytes = document.ExportUpdates(from);
  MERROW_CHECK(receiver.Import(bytes).ok());
  MERROW_CHECK(receiver.version() == document.version());
  report.bytes = bytes.size();
  report.check = JsonHash(receiver);
  return report;
}

Report Json(BytesView blob) {
  const Document document = Imported(blob);
  Report report;
  report.samples = Repeated(5, [&] { return document.ToJson(); });
  report.bytes = document.ToJson().size();
  report.check = JsonHash(document);
  return report;
}

// Bytes of memory per document at rest.
Report Memory(BytesView snapshot) {
  constexpr size_t kRows = 2000;
  std::vector<Document> documents;
  documents.reserve(kRows);
  const auto add = [&] {
    documents.emplace_back(9);
    MERROW_CHECK(documents.back().Load(snapshot).ok());
  };
  add();
  const size_t before = HeapBytes();
  while (documents.size() < kRows) add();
  const size_t bytes = (HeapBytes() - before) / (kRows - 1);
  return {{static_cast<int64_t>(bytes)}, 1, bytes, JsonHash(documents[kRows / 2])};
}

}  // namespace

Workload FindExchange(std::string_view name) {
  for (const std::string row : {"row", "board", "text"}) {
    if (name == row + "-linear") {
      return [=](const Data& data) { return SmallUpdates(data, row, false); };
    }
    if (name == row + "-concurrent") {
      return [=](const Data& data) { return SmallUpdates(data, row, true); };
    }
    if (const size_t behind = SizeAfter(name, row + "-export-")) {
      return [=](const Data& data) { return ExportBehind(data, row, behind); };
    }
  }
  const auto on = [](const char* blob, Report (*measure)(BytesView)) {
    return [=](const Data& data) { return measure(data.Blob(blob)); };
  };
  if (name == "row-export-snapshot") return on("row.base", MeasureSnapshotExportAgain);
  if (name == "board-export-snapshot") {
    return
        [](const Data& data) { return MeasureSnapshotExport(data.Blob("board.base"), JsonHash); };
  }
  if (name == "board-export-snapshot-again") return on("board.base", MeasureSnapshotExportAgain);
  if (name == "board-json") return on("board.base", Json);
  if (name == "deep-json") return on("deep.updates", Json);
  if (name == "memory-row-5") return on("row.snapshot", Memory);
  if (name == "memory-row-12") return on("row12.snapshot", Memory);
  return nullptr;
}

}  // namespace merrow::bench
