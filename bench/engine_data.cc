// SPDX-License-Identifier: Apache-2.0

#include "engine_data.h"

#include <fmt/core.h>
#include <malloc.h>
#include <time.h>

#include <cstring>
#include <fstream>
#include <iterator>

namespace merrow::bench {
namespace {

// Of a file that the driver has just written, so a short one is a bug.
class Reader {
 public:
  explicit Reader(BytesView bytes) : bytes_(bytes) {}

  uint32_t U32() {
    uint32_t value = 0;
    std::memcpy(&value, Take(sizeof(value)).data(), sizeof(value));
    return value;
  }
  BytesView Take(size_t size) {
    MERROW_CHECK(size <= bytes_.size());
    const BytesView taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

 private:
  BytesView bytes_;
};

}  // namespace

Bytes Data::Read(const std::string& name) const {
  std::ifstream file(folder_ + "/" + name, std::ios::binary);
  if (!file) {
    fmt::print(stderr, "{}/{} cannot be read; bench/engine.mjs prepares it\n", folder_, name);
    std::exit(1);
  }
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

std::vector<Txn> Data::Trace(const std::string& name) const {
  const Bytes bytes = Read(name + ".trace");
  Reader reader(bytes);
  std::vector<Txn> txns(reader.U32());
  for (Txn& txn : txns) {
    txn.agent = reader.U32();
    txn.parents.resize(reader.U32());
    for (uint32_t& parent : txn.parents) parent = reader.U32();
    txn.patches.resize(reader.U32());
    for (Patch& patch : txn.patches) {
      patch.position = reader.U32();
      patch.deleted = reader.U32();
      patch.inserted = reader.Take(reader.U32());
    }
  }
  return txns;
}

std::vector<Bytes> Data::Blobs(const std::string& name) const {
  const Bytes bytes = Read(name + ".blobs");
  Reader reader(bytes);
  std::vector<Bytes> blobs(reader.U32());
  for (Bytes& blob : blobs) blob = reader.Take(reader.U32());
  return blobs;
}

uint32_t Random::Below(size_t bound) {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return static_cast<uint32_t>(((z ^ (z >> 31)) >> 33) % bound);
}

std::string Hash(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return fmt::format("{}:{:016x}", text.size(), hash);
}

void Print(const Report& report) {
  std::string samples;
  for (const int64_t sample : report.samples) {
    samples += fmt::format("{}{}", samples.empty() ? "" : ",", sample);
  }
  fmt::print("{{\"samples\":[{}],\"operations\":{},\"bytes\":{},\"check\":\"{}\"}}\n", samples,
             report.operations, report.bytes, report.check);
}

int64_t Stopwatch::CpuNanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

size_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string TextHash(const loro::Document& document) {
  return Hash(document.Text(Root("text", loro::ContainerKind::kText)));
}

std::string JsonHash(const loro::Document& document) { return Hash(document.ToJson()); }

loro::Document Imported(BytesView blob) {
  loro::Document document(9);
  const auto status = document.Import(blob);
  MERROW_CHECK(status.ok() && status->pending.empty());
  return document;
}

}  // namespace merrow::bench
