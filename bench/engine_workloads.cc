// SPDX-License-Identifier: Apache-2.0
//
// Measures one workload of the document engine once and prints one line of JSON:
//
//   engine_workloads merrow WORKLOAD DATA
//
// The same command line as bench/peers, so that bench/engine.mjs can run both by turns. DATA is the
// folder that it prepares. An unknown workload ends with status 3.

#include "engine_workloads.h"

#include <fmt/core.h>

#include <charconv>

namespace merrow::bench {

size_t SizeAfter(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return 0;
  size_t size = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), size);
  return size;
}

Report MeasureImport(BytesView blob, size_t operations, Check check) {
  const Stopwatch watch;
  const loro::Document document = Imported(blob);
  const int64_t time = watch.Nanoseconds();
  return {{time}, operations, blob.size(), check(document)};
}

Report MeasureSnapshotExport(BytesView blob, Check check) {
  loro::Document document = Imported(blob);
  const Stopwatch watch;
  const Bytes bytes = document.ExportSnapshot();
  const int64_t time = watch.Nanoseconds();
  return {{time}, 1, bytes.size(), check(Imported(bytes))};
}

Report MeasureSnapshotExportAgain(BytesView blob) {
  loro::Document document = Imported(blob);
  document.ExportSnapshot();
  Report report;
  Bytes bytes;
  for (int64_t at = 0; at < 20; ++at) {
    MERROW_CHECK(document.MapSet(Root("extra", loro::ContainerKind::kMap), "edit", at).ok());
    document.Commit();
    const Stopwatch watch;
    bytes = document.ExportSnapshot();
    report.samples.push_back(watch.Nanoseconds());
  }
  report.bytes = bytes.size();
  report.check = JsonHash(Imported(bytes));
  return report;
}

namespace {

int Main(int argc, char** argv) {
  if (argc != 4 || std::string_view(argv[1]) != "merrow") {
    fmt::print(stderr, "usage: engine_workloads merrow WORKLOAD DATA\n");
    return 2;
  }
  for (const auto find : {FindText, FindExchange, FindStructure}) {
    if (const Workload workload = find(argv[2])) {
      Print(workload(Data(argv[3])));
      return 0;
    }
  }
  fmt::print(stderr, "merrow has no workload {}\n", argv[2]);
  return 3;
}

}  // namespace
}  // namespace merrow::bench

int main(int argc, char** argv) { return merrow::bench::Main(argc, argv); }
