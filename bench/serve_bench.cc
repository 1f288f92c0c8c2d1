// SPDX-License-Identifier: Apache-2.0
//
// Server benchmark, against a real `merrow serve` process over real sockets:
//
//   keystroke    a 50,000-character body, one character typed at a time: bytes to each subscriber
//   and
//                bytes that the server writes to disk, per keystroke
//   fan-out      1,000 subscribers of one row, one writer with 100 edits per second: time from the
//   push
//                to its arrival at a subscriber
//   idle         memory of the server per idle connection and per idle row
//
// Prints a table and writes it to bench/results/server.md. Fails if a keystroke costs more than
// kKeystrokeBytesMax on the wire or kKeystrokeDiskBytesMax on disk.

#include <fmt/core.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "merrow/check.h"
#include "base/clock.h"
#include "merrow/document.h"
#include "serve_client.h"

namespace merrow::bench {
namespace {

using loro::ContainerId;
using loro::ContainerKind;
using loro::Document;

constexpr double kKeystrokeBytesMax = 150;
constexpr double kKeystrokeDiskBytesMax = 8192;

const ContainerId kBody = ContainerId::Root("body", ContainerKind::kText);
const ContainerId kRow = ContainerId::Root("row", ContainerKind::kMap);

constexpr const char* kSchema =
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT, "
    "votes CRDT_COUNTER, tags CRDT_LIST, props CRDT_MAP);";

int64_t NowMicros() { return SystemClock().MonotonicMicros(); }

// A `merrow serve` of its own, on a database of its own.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& binary, const std::vector<std::string>& flags = {}) {
    char pattern[] = "/tmp/merrow-bench-XXXXXX";
    MERROW_CHECK(mkdtemp(pattern) != nullptr);
    directory_ = pattern;
    std::ofstream(directory_ / "schema.sql") << kSchema;
    int out[2];
    MERROW_CHECK(pipe(out) == 0);
    process_ = fork();
    MERROW_CHECK(process_ >= 0);
    if (process_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      std::vector<std::string> words = {binary,        "serve",
                                        "--db",        directory_ / "bench.db",
                                        "--schema",    directory_ / "schema.sql",
                                        "--listen",    "127.0.0.1:0",
                                        "--log-level", "error"};
      words.insert(words.end(), flags.begin(), flags.end());
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(binary.c_str(), arguments.data());
      _exit(127);
    }
    close(out[1]);
    std::string line;
    char byte = 0;
    while (read(out[0], &byte, 1) == 1 && byte != '\n') line.push_back(byte);
    close(out[0]);
    const size_t colon = line.rfind(':');
    MERROW_CHECK(line.starts_with("merrow: listening on ") && colon != std::string::npos);
    port_ = static_cast<uint16_t>(std::stoi(line.substr(colon + 1)));
  }

  ~ServerProcess() {
    kill(process_, SIGTERM);
    int status = 0;
    waitpid(process_, &status, 0);
    std::filesystem::remove_all(directory_);
  }

  uint16_t port() const { return port_; }

  // A number from a file in the server's /proc directory: the one after `name`.
  uint64_t Proc(const char* file, const std::string& name) const {
    std::ifstream in(fmt::format("/proc/{}/{}", process_, file));
    std::string word;
    while (in >> word) {
      if (word == name) {
        uint64_t value = 0;
        in >> value;
        return value;
      }
    }
    MERROW_CHECK(false);
  }
  // Pages that the server gave to the storage layer.
  uint64_t DiskBytes() const { return Proc("io", "write_bytes:"); }
  uint64_t ResidentBytes() const { return Proc("status", "VmRSS:") * 1024; }

 private:
  std::filesystem::path directory_;
  pid_t process_ = -1;
  uint16_t port_ = 0;
};

// A document that pushes its edits over one socket.
class Writer {
 public:
  Writer(uint16_t port, std::string key) : socket_(port), key_(std::move(key)), doc_(1'000'001) {}

  Document& doc() { return doc_; }

  // Sends what was edited since the last push, without waiting.
  void Push() {
    const Bytes update = doc_.ExportUpdates(pushed_);
    pushed_ = doc_.version();
    Bytes frame = RowFrameHead(0x12, "note", key_);
    ByteWriter id;
    id.U32Le(0);
    frame += id.bytes();
    frame += update;
    socket_.SendBinary(frame);
  }
  void AwaitAck() {
    const Bytes answer = socket_.ReceiveOne();
    MERROW_CHECK(answer.find("crdt-ack") != Bytes::npos);
  }
  RowSocket& socket() { return socket_; }

 private:
  RowSocket socket_;
  std::string key_;
  Document doc_;
  loro::VersionVector pushed_;
};

RowSocket Subscriber(uint16_t port, const std::string& key) {
  RowSocket socket(port);
  socket.SendText(fmt::format(R"({{"type":"crdt-subscribe","entity":"note","rowId":"{}"}})", key));
  const Bytes first = socket.ReceiveOne();
  MERROW_CHECK(!first.empty() && first[0] == 0x10);
  return socket;
}

struct Line {
  std::string what;
  std::string figure;
  std::string bound;
};

bool Keystrokes(const std::string& binary, std::vector<Line>* lines) {
  constexpr int kBodyCharacters = 50'000;
  constexpr int kKeystrokes = 300;
  constexpr int kSubscribers = 3;
  const ServerProcess server(binary);
  Writer writer(server.port(), "n1");
  SeededRandom random(1);
  std::string body;
  for (int i = 0; i < kBodyCharacters; ++i) {
    body.push_back(random.Below(6) == 0 ? ' ' : static_cast<char>('a' + random.Below(26)));
  }
  MERROW_CHECK(writer.doc().TextInsert(kBody, 0, body).ok());
  writer.Push();
  writer.AwaitAck();

  std::vector<RowSocket> subscribers;
  std::vector<uint64_t> bytes_before;
  for (int i = 0; i < kSubscribers; ++i) {
    subscribers.push_back(Subscriber(server.port(), "n1"));
    bytes_before.push_back(subscribers.back().bytes_received());
  }
  // One transaction per keystroke: the next one is typed when the last one is on disk.
  const uint64_t disk_before = server.DiskBytes();
  const int64_t start = NowMicros();
  for (int i = 0; i < kKeystrokes; ++i) {
    MERROW_CHECK(writer.doc().TextInsert(kBody, static_cast<size_t>(25'000 + i), "x").ok());
    writer.Push();
    writer.AwaitAck();
    for (RowSocket& subscriber : subscribers) subscriber.ReceiveOne();
  }
  const double millis = static_cast<double>(NowMicros() - start) / 1000 / kKeystrokes;
  const double disk = static_cast<double>(server.DiskBytes() - disk_before) / kKeystrokes;
  const double wire =
      static_cast<double>(subscribers[0].bytes_received() - bytes_before[0]) / kKeystrokes;
  lines->push_back({"keystroke in 50,000 characters, bytes to each subscriber",
                    fmt::format("{:.1f} B", wire),
                    fmt::format("at most {} B", kKeystrokeBytesMax)});
  lines->push_back({"the same, written to disk (one transaction each)",
                    fmt::format("{:.0f} B", disk),
                    fmt::format("at most {} B", kKeystrokeDiskBytesMax)});
  lines->push_back({"the same, push to acknowledgement and delivery, one after the other",
                    fmt::format("{:.2f} ms", millis), ""});
  return wire <= kKeystrokeBytesMax && disk <= kKeystrokeDiskBytesMax;
}

void FanOut(const std::string& binary, std::vector<Line>* lines) {
  constexpr int kSubscribers = 1000;
  constexpr int kEdits = 1000;
  constexpr int64_t kIntervalMicros = 10'000;  // 100 edits per second
  const ServerProcess server(binary);
  Writer writer(server.port(), "n1");
  MERROW_CHECK(writer.doc().TextInsert(kBody, 0, "hello").ok());
  writer.Push();
  writer.AwaitAck();

  const int epoll = epoll_create1(0);
  MERROW_CHECK(epoll >= 0);
  std::vector<RowSocket> subscribers;
  subscribers.reserve(kSubscribers);
  for (int i = 0; i < kSubscribers; ++i) subscribers.push_back(Subscriber(server.port(), "n1"));
  for (size_t i = 0; i < subscribers.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    MERROW_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, subscribers[i].descriptor(), &event) == 0);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kSubscribers;
  MERROW_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, writer.socket().descriptor(), &event) == 0);

  std::vector<int64_t> sent;  // when edit i was pushed
  std::vector<size_t> seen(kSubscribers,
                           0);  // edits that each subscriber has, as messages may merge
  std::vector<int64_t> delays;
  delays.reserve(size_t{kSubscribers} * kEdits);
  size_t acks = 0;
  uint64_t messages = 0;
  int64_t next = NowMicros();
  const auto done = [&] {
    return sent.size() == kEdits && acks == kEdits &&
           delays.size() == size_t{kSubscribers} * kEdits;
  };
  const int64_t deadline = NowMicros() + 120'000'000;
  while (!done() && NowMicros() < deadline) {
    const int64_t now = NowMicros();
    if (sent.size() < kEdits && now >= next) {
      MERROW_CHECK(writer.doc().TextInsert(kBody, 0, "x").ok());
      sent.push_back(NowMicros());
      writer.Push();
      next += kIntervalMicros;
      continue;
    }
    epoll_event events[256];
    const int timeout = sent.size() < kEdits ? static_cast<int>((next - now) / 1000) : 100;
    const int count = epoll_wait(epoll, events, 256, timeout);
    for (int i = 0; i < count; ++i) {
      const uint64_t index = events[i].data.u64;
      if (index == kSubscribers) {
        writer.socket().Receive([&](BytesView, bool) { ++acks; });
        continue;
      }
      subscribers[index].Receive([&](BytesView message, bool) {
        // A delta may hold several edits; its end says how many have arrived.
        ++messages;
        ByteReader reader(message);
        MERROW_CHECK(reader.Take(1 + 2 + 4 + 2 + 2).ok());
        const auto meta = loro::ReadBlobMeta(reader.rest());
        MERROW_CHECK(meta.ok());
        const auto edits = static_cast<size_t>(meta->end.entries().front().end - 5);
        const int64_t arrival = NowMicros();
        for (size_t& edit = seen[index]; edit < edits; ++edit) {
          delays.push_back(arrival - sent[edit]);
        }
      });
    }
  }
  close(epoll);
  MERROW_CHECK(done());
  std::sort(delays.begin(), delays.end());
  const auto at = [&](double share) {
    const auto index = static_cast<size_t>(share * static_cast<double>(delays.size() - 1));
    return static_cast<double>(delays[index]) / 1000;
  };
  lines->push_back({"1,000 subscribers, 100 edits per second, delay p50",
                    fmt::format("{:.2f} ms", at(0.5)), ""});
  lines->push_back({"the same, p99", fmt::format("{:.2f} ms", at(0.99)), ""});
  lines->push_back({"the same, max", fmt::format("{:.2f} ms", at(1)), ""});
  lines->push_back(
      {"the same, edits per message",
       fmt::format("{:.2f}", double{kEdits} * kSubscribers / static_cast<double>(messages)), ""});
}

void Idle(const std::string& binary, std::vector<Line>* lines) {
  constexpr int kConnections = 1000;
  constexpr int kRows = 10'000;
  {
    const ServerProcess server(binary);
    Writer writer(server.port(), "n1");
    MERROW_CHECK(writer.doc().TextInsert(kBody, 0, "hello").ok());
    writer.Push();
    writer.AwaitAck();
    RowSocket warm = Subscriber(server.port(), "n1");
    const uint64_t before = server.ResidentBytes();
    std::vector<RowSocket> sockets;
    for (int i = 0; i < kConnections; ++i) sockets.push_back(Subscriber(server.port(), "n1"));
    const double each = static_cast<double>(server.ResidentBytes() - before) / kConnections;
    lines->push_back(
        {"memory per idle connection with one subscription", fmt::format("{:.0f} B", each), ""});
  }
  const auto rows = [&](const char* budget, const char* what) {
    const ServerProcess server(binary, {"--doc-memory", budget});
    {
      Writer warm(server.port(), "warm");
      MERROW_CHECK(warm.doc().MapSet(kRow, "title", loro::Value("warm")).ok());
      warm.Push();
      warm.AwaitAck();
    }
    const uint64_t before = server.ResidentBytes();
    for (int i = 0; i < kRows; ++i) {
      Document doc(static_cast<loro::PeerId>(i) + 1);
      MERROW_CHECK(doc.MapSet(kRow, "title", loro::Value("note " + std::to_string(i))).ok());
      MERROW_CHECK(doc.TextInsert(kBody, 0, "a short body of forty characters or so..").ok());
      static std::unique_ptr<RowSocket> socket;
      if (i == 0) socket = std::make_unique<RowSocket>(server.port());
      ByteWriter id;
      id.U32Le(0);
      socket->SendBinary(RowFrameHead(0x12, "note", "row" + std::to_string(i)) + id.bytes() +
                         doc.ExportUpdates({}));
      socket->ReceiveOne();
    }
    const double each =
        (static_cast<double>(server.ResidentBytes()) - static_cast<double>(before)) / kRows;
    lines->push_back({what, fmt::format("{:.0f} B", each), ""});
  };
  rows("256MiB", "memory per open row (title, 40-character body), 10,000 rows in the cache");
  rows("1MiB", "memory per idle row (nobody has it open), 10,000 rows, 1 MiB budget");
}

int Main(int argc, char** argv) {
  const std::filesystem::path self = std::filesystem::canonical("/proc/self/exe");
  const std::string binary = argc > 1 ? argv[1] : self.parent_path().parent_path() / "merrow";
  MERROW_CHECK(std::filesystem::exists(binary));
  std::vector<Line> lines;
  const bool within = Keystrokes(binary, &lines);
  FanOut(binary, &lines);
  Idle(binary, &lines);

  std::ostringstream page;
  page << "# Server benchmark\n\n`make bench` writes this page (bench/serve_bench.cc says what is "
          "measured). Server and clients share one\nmachine with "
       << sysconf(_SC_NPROCESSORS_ONLN)
       << " cores.\n\n| what | measured | bound |\n|---|---|---|\n";
  for (const Line& line : lines) {
    page << "| " << line.what << " | " << line.figure << " | " << line.bound << " |\n";
    fmt::print("{:75} {:>12}  {}\n", line.what, line.figure, line.bound);
  }
  const std::filesystem::path results = "bench/results";
  std::filesystem::create_directories(results);
  std::ofstream(results / "server.md") << page.str();
  return within ? 0 : 1;
}

}  // namespace
}  // namespace merrow::bench

int main(int argc, char** argv) { return merrow::bench::Main(argc, argv); }
