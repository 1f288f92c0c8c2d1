// SPDX-License-Identifier: Apache-2.0
//
// Faults. A short workload that uses every kind of write (new rows, edits, a batch of several, a
// refused one, long rows left for later, folding) runs again and again, with the n-th file
// operation failing, torn in half by a kill, or followed by a power cut, for every n. Then the file
// is opened again and must hold exactly one of the states that each document went through, not
// older than the last one that was acknowledged, and rows that show it.
//
// And without a shim: a child process that writes without pause is killed with SIGKILL at random
// moments, over and over on one file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>

#include "store/store_test_util.h"
#include "store/test_vfs.h"

namespace merrow::store {
namespace {

using loro::VersionVector;

std::string Repeat(std::string_view text, size_t count) {
  std::string repeated;
  for (size_t i = 0; i < count; ++i) {
    repeated += text;
  }
  return repeated;
}

/// Three documents that go through a fixed list of states.
class Workload {
 public:
  static constexpr size_t kDocuments = 3;

  /// Told which state (index into states(document)) is acknowledged.
  using Ack = std::function<void(size_t document, size_t state)>;

  struct State {
    VersionVector version;
    std::string body;
  };

  static std::string Key(size_t document) { return "doc" + std::to_string(document); }
  static void Configure(StoreOptions* options) {
    options->fold_log_bytes_min = 700;
    options->immediate_projection_bytes_max = 500;
    options->busy_timeout_ms = 0;
  }

  Workload() {
    for (size_t i = 0; i < kDocuments; ++i) {
      editors_.emplace_back(i + 1);
      states_.push_back({State()});  // does not exist
    }
  }

  const std::vector<State>& states(size_t document) const { return states_[document]; }

  /// Stops early if the store keeps failing. True if everything was acknowledged.
  bool Run(Store& store, const Ack& ack) {
    for (int round = 0; round < 4; ++round) {
      for (size_t i = 0; i < kDocuments; ++i) {
        const bool is_long = i == 2;
        Edit(i, is_long ? Repeat("long ", 400) : "round " + std::to_string(round) + "; ");
      }
      if (!Push(store, {0, 1, 2}, ack)) {
        return false;
      }
      for (int n = 0; n < 2; ++n) {
        Edit(2, "a");
        if (!Push(store, {2}, ack)) {
          return false;
        }
      }
      // If it fails it is tried again, or the store is closed.
      [[maybe_unused]] const Result<Upkeep> upkeep = store.RunUpkeep();
    }
    return true;
  }

 private:
  void Edit(size_t document, const std::string& text) {
    Editor& editor = editors_[document];
    editor.Type("body", 0, text);
    editor.document().Commit();
    states_[document].push_back(
        {editor.document().version(), editor.document().Text(RootText("body"))});
  }

  /// Sends what the store lacks, as clients do: again after an error, and from the store's version
  /// when dependencies are missing.
  bool Push(Store& store, std::vector<size_t> documents, const Ack& ack) {
    for (int attempt = 0; attempt < 4 && !documents.empty(); ++attempt) {
      std::vector<std::string> keys;
      std::vector<Bytes> updates;
      for (const size_t document : documents) {
        keys.push_back(Key(document));
        updates.push_back(editors_[document].document().ExportUpdates(known_[document]));
      }
      std::vector<Write> writes;
      for (size_t i = 0; i < documents.size(); ++i) {
        writes.push_back({"note", keys[i], updates[i]});
      }
      writes.push_back({"note", "junk", "this is refused"});
      const auto results = store.ApplyBatch(writes);
      std::vector<size_t> again;
      for (size_t i = 0; i < documents.size(); ++i) {
        const size_t document = documents[i];
        if (std::holds_alternative<Applied>(results[i])) {
          known_[document] = editors_[document].document().version();
          ack(document, states_[document].size() - 1);
        } else {
          known_[document] = VersionVector();
          again.push_back(document);
        }
      }
      documents = again;
    }
    return documents.empty();
  }

  std::vector<Editor> editors_;
  std::vector<std::vector<State>> states_;
  std::array<VersionVector, kDocuments> known_;
};

using Acknowledged = std::array<size_t, Workload::kDocuments>;

/// Opens the file and compares. Gives the state that each document is in.
void Verify(StoreFixture& store, const Workload& workload, const Acknowledged& acknowledged) {
  store.Open();
  for (size_t i = 0; i < Workload::kDocuments; ++i) {
    const auto& states = workload.states(i);
    const Result<VersionVector> version = store->Version("note", Workload::Key(i));
    if (!version.ok()) {
      ASSERT_EQ(version.error().code(), ErrorCode::kNotFound) << version.error().ToString();
    }
    const VersionVector found = version.ok() ? *version : VersionVector();
    size_t state = 0;
    while (state < states.size() && !(states[state].version == found)) {
      ++state;
    }
    ASSERT_LT(state, states.size()) << "a state that never was: " << found.ToString();
    ASSERT_GE(state, acknowledged[i]) << "an acknowledged edit is lost";
    const std::string body =
        store.Sql("SELECT body FROM note WHERE id = '" + Workload::Key(i) + "'");
    ASSERT_EQ(body, states[state].body);
  }
  ASSERT_EQ(store.Sql("SELECT count(*) FROM note WHERE id = 'junk'"), "0");
  ASSERT_EQ(store.Sql("SELECT count(*) FROM _merrow_document WHERE quarantine IS NOT NULL"), "0");
  store->CheckInvariants();
}

int64_t CountOperations() {
  TestVfs vfs;
  StoreFixture store(DirKind::kMemory);
  Workload::Configure(&store.options);
  vfs.Arm(FaultMode::kNone, 0);
  store.Open();
  Workload workload;
  EXPECT_TRUE(workload.Run(*store, [](size_t, size_t) {}));
  EXPECT_GE(store->stats().folds, 2U);
  EXPECT_GE(store->stats().projections_deferred, 2U);
  store.Close();
  return vfs.operations();
}

/// The process goes on after the fault.
class FailTest : public ::testing::TestWithParam<FaultMode> {};

TEST_P(FailTest, NothingAcknowledgedIsLostAndTheStoreSaysSo) {
  const int64_t operations = CountOperations();
  ASSERT_GT(operations, 50);
  int64_t fired = 0;
  for (int64_t at = 1; at <= operations; ++at) {
    SCOPED_TRACE("fault at operation " + std::to_string(at));
    TestVfs vfs;
    StoreFixture store(DirKind::kMemory);
    Workload::Configure(&store.options);
    vfs.Arm(GetParam(), at);
    Workload workload;
    Acknowledged acknowledged{};
    const Status opened = store.TryOpen();
    if (opened.ok()) {
      const bool complete = workload.Run(
          *store, [&](size_t document, size_t state) { acknowledged[document] = state; });
      // After a fault that passes, the same store works again.
      EXPECT_TRUE(complete || GetParam() != FaultMode::kFailOnce);
      store.Close();
    } else {
      EXPECT_TRUE(vfs.fired());
      EXPECT_EQ(opened.error().code(), ErrorCode::kIo) << opened.error().ToString();
    }
    fired += vfs.fired() ? 1 : 0;
    vfs.Disarm();
    Verify(store, workload, acknowledged);
    if (HasFatalFailure()) {
      return;
    }
  }
  EXPECT_GE(fired, operations - 5);  // the last ones are of a close that a fault makes shorter
}

INSTANTIATE_TEST_SUITE_P(Faults, FailTest,
                         ::testing::Values(FaultMode::kFail, FaultMode::kFull,
                                           FaultMode::kFailOnce));

// What an operator sees of a disk that is full, and of one that is well again.
TEST(WriteHealthTest, TheStatsSayWhyNothingIsWritten) {
  TestVfs vfs;
  StoreFixture store(DirKind::kMemory);
  store.Open();
  Editor editor(1);
  const auto write = [&](const std::string& update) {
    const std::vector<Write> writes = {{"note", "a", update}};
    return std::holds_alternative<Applied>(store->ApplyBatch(writes)[0]);
  };
  editor.Type("body", 0, "text");
  const Bytes update = editor.Take();
  vfs.Arm(FaultMode::kFull, 1);
  EXPECT_FALSE(write(update));
  store.clock.AdvanceMs(2000);
  EXPECT_FALSE(write(update));
  EXPECT_EQ(store->stats().write_failures, 2U);
  EXPECT_EQ(store->stats().write_failing_ms, 2000);
  EXPECT_THAT(store->stats().write_error, testing::HasSubstr("full"));
  // What is refused says nothing about the disk.
  EXPECT_FALSE(write("this is refused"));
  EXPECT_EQ(store->stats().write_failing_ms, 2000);
  vfs.Disarm();
  EXPECT_TRUE(write(update));
  EXPECT_EQ(store->stats().write_error, "");
  EXPECT_EQ(store->stats().write_failing_ms, 0);
}

TEST(WriteHealthTest, ADiskThatIsWellAgainIsFoundOutAboutWhereNobodyWrites) {
  TestVfs vfs;
  StoreFixture store(DirKind::kMemory);
  store.Open();
  Editor editor(1);
  editor.Type("body", 0, "text");
  const Bytes update = editor.Take();
  const std::vector<Write> writes = {{"note", "a", update}};
  vfs.Arm(FaultMode::kFull, 1);
  EXPECT_FALSE(std::holds_alternative<Applied>(store->ApplyBatch(writes)[0]));
  store.clock.AdvanceMs(60'000);
  EXPECT_TRUE(store->RunUpkeep().ok());
  EXPECT_EQ(store->stats().write_failing_ms, 60'000);
  EXPECT_THAT(store->stats().write_error, testing::HasSubstr("full"));
  vfs.Disarm();
  store.clock.AdvanceMs(1000);
  EXPECT_TRUE(store->RunUpkeep().ok());
  EXPECT_EQ(store->stats().write_failing_ms, 61'000) << "it is not tried all the time";
  store.clock.AdvanceMs(60'000);
  EXPECT_TRUE(store->RunUpkeep().ok());
  EXPECT_EQ(store->stats().write_failing_ms, 0);
  EXPECT_EQ(store->stats().write_error, "");
  EXPECT_EQ(store->stats().write_failures, 1U);
}

// SQLite opens a file that may not be written for reading, and every write would fail.
TEST(WriteHealthTest, AFileThatMayNotBeWrittenIsNotOpened) {
  StoreFixture store;
  store.Open();
  store.Close();
  const std::string path = store.options.path;
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(std::filesystem::path(path).parent_path(),
                               std::filesystem::perms::all);
  std::filesystem::permissions(path + "-merrow-lock", std::filesystem::perms::all);
  // Root may write everything; nobody may not.
  const int before = ::setfsuid(65534);
  const Status opened = store.TryOpen();
  ::setfsuid(static_cast<uid_t>(before));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kIo);
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("may not write"));
}

struct AckMessage {
  uint32_t document;
  uint32_t state;
};

/// Runs `body` in a child process; gives what it wrote into the pipe and its wait status.
template <typename Body, typename Parent>
std::pair<std::string, int> RunChild(Body body, Parent while_running) {
  std::array<int, 2> pipe_ends{};
  MERROW_CHECK(::pipe(pipe_ends.data()) == 0);
  const pid_t child = ::fork();
  MERROW_CHECK(child >= 0);
  if (child == 0) {
    ::close(pipe_ends[0]);
    body(pipe_ends[1]);
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  while_running(child);
  std::string output;
  std::array<char, 4096> buffer{};
  ssize_t size = 0;
  while ((size = ::read(pipe_ends[0], buffer.data(), buffer.size())) > 0) {
    output.append(buffer.data(), static_cast<size_t>(size));
  }
  ::close(pipe_ends[0]);
  int status = 0;
  MERROW_CHECK(::waitpid(child, &status, 0) == child);
  return {output, status};
}

/// The process ends with the fault.
class CrashTest : public ::testing::TestWithParam<FaultMode> {};

TEST_P(CrashTest, NothingAcknowledgedIsLost) {
  const int64_t operations = CountOperations();
  TestVfs vfs;        // syncs cost nothing, in the child and here
  Workload workload;  // the states that the child goes through
  {
    StoreFixture store(DirKind::kMemory);
    store.Open();
    ASSERT_TRUE(workload.Run(*store, [](size_t, size_t) {}));
  }
  for (int64_t at = 1; at <= operations; ++at) {
    SCOPED_TRACE("crash at operation " + std::to_string(at));
    StoreFixture store(DirKind::kMemory);
    Workload::Configure(&store.options);
    const auto [output, status] = RunChild(
        [&](int out) {
          vfs.Arm(GetParam(), at);
          if (store.TryOpen().ok()) {
            Workload same;
            same.Run(*store, [&](size_t document, size_t state) {
              const AckMessage message{static_cast<uint32_t>(document),
                                       static_cast<uint32_t>(state)};
              MERROW_CHECK(::write(out, &message, sizeof(message)) == sizeof(message));
            });
            store.Close();
          }
        },
        [](pid_t) {});
    ASSERT_TRUE(WIFEXITED(status));
    // Other than with a failing disk every operation is reached.
    ASSERT_EQ(WEXITSTATUS(status), kFaultExitStatus);
    vfs.Disarm();
    Acknowledged acknowledged{};
    for (size_t i = 0; i + sizeof(AckMessage) <= output.size(); i += sizeof(AckMessage)) {
      AckMessage message{};
      std::memcpy(&message, output.data() + i, sizeof(message));
      acknowledged[message.document] = message.state;
    }
    Verify(store, workload, acknowledged);
    if (HasFatalFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, CrashTest,
                         ::testing::Values(FaultMode::kTorn, FaultMode::kPowerCut));

// --- SIGKILL at random moments ---

constexpr size_t kVictimDocuments = 8;

std::string VictimKey(size_t document) { return "v" + std::to_string(document); }

/// The character that a peer types with its atom `counter`.
char VictimCharacter(uint64_t peer, int32_t counter) {
  return static_cast<char>('a' + (peer * 7 + static_cast<uint64_t>(counter)) % 26);
}

struct VictimAck {
  uint64_t peer;
  uint32_t document;
  int32_t end;
};

/// Types at the end of random documents until it is killed, and tells what was acknowledged.
void RunVictim(StoreFixture& store, uint64_t round, int out) {
  store.options.fold_log_bytes_min = 1500;
  store.options.immediate_projection_bytes_max = 300;
  store.options.document_memory_bytes_max = size_t{60} << 10;
  store.Open();
  SeededRandom random(round);
  std::vector<Editor> editors;
  for (size_t i = 0; i < kVictimDocuments; ++i) {
    editors.emplace_back(round * 100 + i + 1);
    const auto snapshot = store->ReadSnapshot("note", VictimKey(i));
    if (snapshot.ok()) {
      editors.back().Receive(snapshot->bytes);
      editors.back().Take();
    }
  }
  while (true) {
    std::vector<size_t> documents;
    for (size_t i = 0; i < kVictimDocuments; ++i) {
      if (random.Below(3) == 0) {
        documents.push_back(i);
      }
    }
    std::vector<std::string> keys;
    std::vector<Bytes> updates;
    for (const size_t document : documents) {
      Editor& editor = editors[document];
      const auto peer = editor.document().peer();
      for (uint64_t n = 1 + random.Below(3); n-- > 0;) {
        const int32_t counter = editor.document().version().End(peer);
        editor.Type("body", editor.document().Length(RootText("body")),
                    std::string(1, VictimCharacter(peer, counter)));
        editor.document().Commit();
      }
      keys.push_back(VictimKey(document));
      updates.push_back(editor.Take());
    }
    std::vector<Write> writes;
    for (size_t i = 0; i < documents.size(); ++i) {
      writes.push_back({"note", keys[i], updates[i]});
    }
    const auto results = store->ApplyBatch(writes);
    for (size_t i = 0; i < documents.size(); ++i) {
      MERROW_CHECK(std::holds_alternative<Applied>(results[i]));
      const auto& document = editors[documents[i]].document();
      const VictimAck ack{document.peer(), static_cast<uint32_t>(documents[i]),
                          document.version().End(document.peer())};
      MERROW_CHECK(::write(out, &ack, sizeof(ack)) == sizeof(ack));
    }
    Must(store->RunUpkeep());
  }
}

TEST(KillTest, EveryAcknowledgedEditSurvives) {
  StoreFixture store(DirKind::kMemory);
  std::map<std::pair<uint32_t, uint64_t>, int32_t> acknowledged;  // (document, peer) -> end
  SeededRandom random(20);
  for (uint64_t round = 1; round <= 20; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const auto [output, status] =
        RunChild([&](int out) { RunVictim(store, round, out); },
                 [&](pid_t child) {
                   ::usleep(static_cast<useconds_t>(20'000 + random.Below(150'000)));
                   ::kill(child, SIGKILL);
                 });
    ASSERT_TRUE(WIFSIGNALED(status));
    for (size_t i = 0; i + sizeof(VictimAck) <= output.size(); i += sizeof(VictimAck)) {
      VictimAck ack{};
      std::memcpy(&ack, output.data() + i, sizeof(ack));
      acknowledged[{ack.document, ack.peer}] = ack.end;
    }
    store.Open();
    for (const auto& [whose, end] : acknowledged) {
      const VersionVector version = Must(store->Version("note", VictimKey(whose.first)));
      ASSERT_GE(version.End(whose.second), end);
    }
    // Each peer typed at the end of what it found, so the text follows from the version.
    for (size_t i = 0; i < kVictimDocuments; ++i) {
      const auto version = store->Version("note", VictimKey(i));
      if (!version.ok()) {
        continue;
      }
      std::string expected;
      for (uint64_t r = 1; r <= round; ++r) {
        const uint64_t peer = r * 100 + i + 1;
        for (int32_t counter = 0; counter < version->End(peer); ++counter) {
          expected.push_back(VictimCharacter(peer, counter));
        }
      }
      ASSERT_EQ(store.Sql("SELECT body FROM note WHERE id = '" + VictimKey(i) + "'"), expected);
    }
    store.Close();
  }
  EXPECT_GE(acknowledged.size(), 20U);
}

}  // namespace
}  // namespace merrow::store
