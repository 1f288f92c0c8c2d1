// SPDX-License-Identifier: Apache-2.0

#include "engine_workloads.h"

namespace merrow::bench {
namespace {

using loro::Document;

const loro::ContainerId kText = Root("text", loro::ContainerKind::kText);

void Apply(Document* document, const Txn& txn) {
  for (const Patch& patch : txn.patches) {
    if (patch.deleted > 0) {
      MERROW_CHECK(document->TextDelete(kText, patch.position, patch.deleted).ok());
    }
    if (!patch.inserted.empty()) {
      MERROW_CHECK(document->TextInsert(kText, patch.position, patch.inserted).ok());
    }
  }
}

Report Replay(const Data& data, bool commit_each) {
  const std::vector<Txn> txns = data.Trace("automerge-paper");
  const Stopwatch watch;
  Document document(1);
  for (const Txn& txn : txns) {
    Apply(&document, txn);
    if (commit_each) document.Commit();
  }
  document.Commit();
  const int64_t time = watch.Nanoseconds();
  return {{time}, txns.size(), 0, TextHash(document)};
}

Report Load(BytesView snapshot) {
  const Stopwatch watch;
  Document document(9);
  MERROW_CHECK(document.Load(snapshot).ok());
  const int64_t time = watch.Nanoseconds();
  return {{time}, 1, snapshot.size(), TextHash(document)};
}

Report LoadAndRead(BytesView snapshot) {
  const Stopwatch watch;
  Document document(9);
  MERROW_CHECK(document.Load(snapshot).ok());
  const std::string text = document.Text(kText);
  const int64_t time = watch.Nanoseconds();
  return {{time}, 1, snapshot.size(), Hash(text)};
}

Report ImportAndRead(BytesView blob) {
  const Stopwatch watch;
  const Document document = Imported(blob);
  const std::string text = document.Text(kText);
  const int64_t time = watch.Nanoseconds();
  return {{time}, 1, blob.size(), Hash(text)};
}

Report ExportUpdates(BytesView blob) {
  Document document = Imported(blob);
  const Stopwatch watch;
  const Bytes bytes = document.ExportUpdates({});
  const int64_t time = watch.Nanoseconds();
  return {{time}, 1, bytes.size(), TextHash(Imported(bytes))};
}

Report OneByOne(const Data& data) {
  const std::vector<Bytes> blobs = data.Blobs("friendsforever.txns");
  const Stopwatch watch;
  Document document(9);
  for (const Bytes& blob : blobs) MERROW_CHECK(document.Import(blob).ok());
  const int64_t time = watch.Nanoseconds();
  return {{time}, blobs.size(), 0, TextHash(document)};
}

Report Typing(size_t characters) {
  const Stopwatch watch;
  Document document(1);
  for (size_t at = 0; at < characters; ++at) {
    MERROW_CHECK(document.TextInsert(kText, at, "x").ok());
    document.Commit();
  }
  const int64_t time = watch.Nanoseconds();
  return {{time}, characters, 0, TextHash(document)};
}

Report RandomInserts(size_t characters) {
  Random random(3);
  const Stopwatch watch;
  Document document(1);
  for (size_t length = 0; length < characters; ++length) {
    MERROW_CHECK(document.TextInsert(kText, random.Below(length + 1), "x").ok());
    document.Commit();
  }
  const int64_t time = watch.Nanoseconds();
  return {{time}, characters, 0, TextHash(document)};
}

Report ConcurrentMerge(const Data& data, size_t characters) {
  const Bytes blob = data.Blob("concurrent-" + std::to_string(characters) + ".updates");
  return MeasureImport(blob, characters, TextHash);
}

}  // namespace

Workload FindText(std::string_view name) {
  if (const size_t size = SizeAfter(name, "growth-typing-")) {
    return [=](const Data&) { return Typing(size); };
  }
  if (const size_t size = SizeAfter(name, "growth-random-")) {
    return [=](const Data&) { return RandomInserts(size); };
  }
  if (const size_t size = SizeAfter(name, "growth-concurrent-")) {
    return [=](const Data& data) { return ConcurrentMerge(data, size); };
  }
  const auto on = [](const char* blob, Report (*measure)(BytesView)) {
    return [=](const Data& data) { return measure(data.Blob(blob)); };
  };
  const auto import = [](const char* blob) {
    return [=](const Data& data) { return MeasureImport(data.Blob(blob), 1, TextHash); };
  };
  if (name == "replay-commit-each") return [](const Data& data) { return Replay(data, true); };
  if (name == "replay-commit-once") return [](const Data& data) { return Replay(data, false); };
  if (name == "paper-import-updates") return import("automerge-paper.updates");
  if (name == "paper-load") return on("automerge-paper.snapshot", Load);
  if (name == "paper-load-read") return on("automerge-paper.snapshot", LoadAndRead);
  if (name == "paper-import-snapshot") return on("automerge-paper.snapshot", ImportAndRead);
  if (name == "paper-export-updates") return on("automerge-paper.updates", ExportUpdates);
  if (name == "paper-export-snapshot") {
    return [](const Data& data) {
      return MeasureSnapshotExport(data.Blob("automerge-paper.updates"), TextHash);
    };
  }
  if (name == "paper-export-snapshot-again") {
    return on("automerge-paper.updates", MeasureSnapshotExportAgain);
  }
  if (name == "friends-export") return on("friendsforever.updates", ExportUpdates);
  if (name == "friends-import") return import("friendsforever.updates");
  if (name == "friends-one-by-one") return OneByOne;
  return nullptr;
}

}  // namespace merrow::bench
