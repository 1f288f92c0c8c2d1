// SPDX-License-Identifier: Apache-2.0
//
// How much memory documents take and what it costs to put them to rest and to wake them. It makes
// documents by importing updates, each of its own peer, and prints lines "name value unit".
//
//   engine_memory [COUNT]      documents of each kind, 100000 unless said otherwise
//
// Bytes are what the allocator says is in use (mallinfo2: with its own headers and rounding), minus
// what was in use before the documents were made.

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow {
namespace {

using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;

size_t UsedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t size = 0;
  size_t resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

class Timer {
 public:
  double Micros() const {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void Print(std::string_view name, double value, std::string_view unit) {
  std::printf("%.*s %.3f %.*s\n", static_cast<int>(name.size()), name.data(), value,
              static_cast<int>(unit.size()), unit.data());
}

loro::PeerId PeerOf(size_t i) { return (i + 1) * 0x9E3779B97F4A7C15U; }

// A message in a chat: 5 fields, about 150 bytes of JSON.
Bytes ChatRow(size_t i) {
  Document doc(PeerOf(i));
  const ContainerId row = ContainerId::Root("row", ContainerKind::kMap);
  const auto set = [&](std::string_view key, const loro::Value& value) {
    MERROW_CHECK(doc.MapSet(row, key, value).ok());
  };
  set("id", "msg-" + std::to_string(1'000'000 + i));
  set("channel", "general-discussion");
  set("author", "user-" + std::to_string(10'000 + i % 5000));
  set("body", "Is anyone around to look at this? " + std::to_string(i));
  set("sentAt", int64_t{1'760'000'000'000} + static_cast<int64_t>(i));
  return doc.ExportUpdates({});
}

// A record of a business application: 12 fields, about 290 bytes of JSON.
Bytes CrudRow(size_t i) {
  Document doc(PeerOf(i));
  const ContainerId row = ContainerId::Root("row", ContainerKind::kMap);
  const auto set = [&](std::string_view key, const loro::Value& value) {
    MERROW_CHECK(doc.MapSet(row, key, value).ok());
  };
  set("id", "cus-" + std::to_string(1'000'000 + i));
  set("name", "Customer number " + std::to_string(i));
  set("email", "someone" + std::to_string(i) + "@example.com");
  set("phone", "+49 30 1234" + std::to_string(1000 + i % 9000));
  set("street", "Example Street " + std::to_string(i % 300));
  set("city", "Springfield");
  set("country", "DE");
  set("plan", "professional");
  set("seats", static_cast<int64_t>(i % 100));
  set("active", i % 3 != 0);
  set("balance", static_cast<double>(i % 10'000) / 100.0);
  set("createdAt", int64_t{1'760'000'000'000} + static_cast<int64_t>(i));
  return doc.ExportUpdates({});
}

void Measure(const std::string& kind, Bytes (*make)(size_t), size_t count) {
  std::vector<Bytes> blobs;
  blobs.reserve(count);
  for (size_t i = 0; i < count; ++i) blobs.push_back(make(i));
  std::vector<Document> documents;
  documents.reserve(count);
  const auto per_document = [count](double value) { return value / static_cast<double>(count); };
  const size_t resident = ResidentBytes();
  const size_t before = UsedBytes() - count * sizeof(Document);
  {
    const Timer timer;
    for (size_t i = 0; i < count; ++i) {
      documents.emplace_back(1);
      MERROW_CHECK(documents.back().Import(blobs[i]).ok());
    }
    Print(kind + "_import", per_document(timer.Micros()), "us/document");
  }
  Print(kind + "_update", per_document(static_cast<double>([&] {
          size_t bytes = 0;
          for (const Bytes& blob : blobs) bytes += blob.size();
          return bytes;
        }())),
        "bytes/document");
  Print(kind + "_live", per_document(static_cast<double>(UsedBytes() - before)), "bytes/document");
  const auto counted = [&] {
    size_t bytes = 0;
    for (const Document& document : documents) bytes += document.MemoryBytes();
    return per_document(static_cast<double>(bytes));
  };
  Print(kind + "_live_counted", counted(), "bytes/document");
  Print(kind + "_live_resident",
        static_cast<double>(ResidentBytes() - resident) / (1024.0 * 1024.0), "MiB");
  {
    const Timer timer;
    for (Document& document : documents) document.Rest();
    Print(kind + "_rest_time", per_document(timer.Micros()), "us/document");
  }
  malloc_trim(0);
  Print(kind + "_rest", per_document(static_cast<double>(UsedBytes() - before)), "bytes/document");
  Print(kind + "_rest_counted", counted(), "bytes/document");
  std::string json;
  // In steps, so that what is measured is not the cache misses of a hundred thousand documents.
  constexpr size_t kStep = 64;
  const auto time_steps = [&](std::string_view name, const auto& use) {
    double micros = 0;
    for (size_t start = 0; start < count; start += kStep) {
      const size_t end = std::min(count, start + kStep);
      const Timer timer;
      for (size_t i = start; i < end; ++i) use(documents[i]);
      micros += timer.Micros();
      for (size_t i = start; i < end; ++i) documents[i].Rest();
    }
    Print(kind + "_" + std::string(name), per_document(micros), "us/document");
  };
  time_steps("wake", [](Document& document) { MERROW_CHECK(document.Wake().ok()); });
  time_steps("json_at_rest", [&json](Document& document) {
    json.clear();
    document.AppendJson(&json);
  });
  time_steps("updates_at_rest", [](Document& document) { document.ExportUpdates({}); });
  // As a server has them: most come in one after the other and rest soon.
  documents.clear();
  malloc_trim(0);
  const size_t resident_empty = ResidentBytes();
  for (const Bytes& blob : blobs) {
    documents.emplace_back(1);
    MERROW_CHECK(documents.back().Import(blob).ok());
    documents.back().Rest();
  }
  Print(kind + "_open_resident",
        static_cast<double>(ResidentBytes() - resident_empty) / (1024.0 * 1024.0), "MiB");
}

}  // namespace
}  // namespace merrow

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? static_cast<size_t>(std::atoll(argv[1])) : 100'000;
  merrow::Measure("chat_row", merrow::ChatRow, count);
  merrow::Measure("crud_row", merrow::CrudRow, count);
  return 0;
}
