// SPDX-License-Identifier: Apache-2.0
//
// Faults while changesets are merged. A store goes through a fixed list of states, one transaction
// each: changesets with documents and rows, one that comes too early, parts, what waits for a
// column, a batch with a bad one in it, local SQL writes, pruning, a new identity. The n-th file
// operation fails, or ends the process, for every n. The file, opened again, must be in exactly one
// of the states, rows, documents and what is seen alike, and not before the last one that was
// acknowledged.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "store/replica_store_test_util.h"
#include "store/test_vfs.h"

namespace merrow::store {
namespace {

constexpr char kReceiverSchema[] =
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
    "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT CHECK (name <> 'bad'));";

/// Changesets of one site, made once.
class Source {
 public:
  Source() {
    StoreReplica store(
        "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
        "CREATE TABLE item (id INTEGER PRIMARY KEY NOT NULL, name TEXT, size INTEGER);");
    Editor editor(1);
    for (const char* name : {"one", "two", "bad", "four"}) {
      editor.Type("body", 0, name);
      store.MustApply("note", "k", editor.Take());
      store.Run("INSERT INTO item (name) VALUES ('" + std::string(name) + "')");
    }
    store.Run("UPDATE item SET size = 5");
    store.Run(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO "
        "item (id, name) SELECT i, 'many' FROM n");
    site_ = store->own_site();
    for (cells::DbVersion version = 1; version <= store->own_version(); ++version) {
      const auto page = Must(
          store->ReadChangesets(site_, changeset::VersionRanges({version - 1, version}), 1 << 20));
      changesets_.push_back(page.changesets.at(0));
    }
    for (changeset::Changeset& part : changeset::SplitChangeset(*changesets_.back(), 300)) {
      parts_.push_back(std::make_shared<const changeset::Changeset>(std::move(part)));
    }
    MERROW_CHECK(parts_.size() >= 2);
  }

  const cells::SiteId& site() const { return site_; }
  /// By version, from 1.
  IncomingChangeset Of(size_t version) const { return {changesets_[version - 1], 0}; }
  IncomingChangeset Part(size_t part) const { return {parts_[part], 5}; }
  size_t parts() const { return parts_.size(); }

 private:
  cells::SiteId site_;
  std::vector<SharedChangeset> changesets_;
  std::vector<SharedChangeset> parts_;
};

class Workload {
 public:
  using Ack = std::function<void(size_t steps)>;

  explicit Workload(const Source& source) : source_(source) {
    Apply({source.Of(1), source.Of(2)});
    Apply({source.Of(5)});  // follows what is not here
    Apply({source.Of(4), source.Of(3)});
    Sql("UPDATE item SET name = 'mine' WHERE id = 1");
    for (size_t part = source.parts(); part-- > 1;) {
      Apply({source.Part(part)});
    }
    Apply({source.Of(6), source.Of(8), source.Of(7)});
    Apply({source.Part(0)});
    Apply({source.Of(9)});
    Sql("DELETE FROM item WHERE id > 50");
    steps_.push_back([](Store& store) -> Status {
      MERROW_TRY(store.RunUpkeep());
      return {};
    });
    steps_.push_back([](Store& store) -> Status {
      MERROW_TRY(store.TakeNewIdentity(store.own_version() - 1));
      return {};
    });
    Sql("INSERT INTO item (id, name) VALUES (99, 'last')");
  }

  static void Configure(StoreReplica& store) {
    store.options.busy_timeout_ms = 0;
    store.options.replica_limits.entries_kept = 1;
  }

  size_t steps() const { return steps_.size(); }

  /// Tries a step that fails again, as replication does, but not for ever.
  bool Run(Store& store, const Ack& ack) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      Status status = steps_[i](store);
      for (int again = 0; again < 3 && !status.ok(); ++again) {
        status = steps_[i](store);
      }
      if (!status.ok()) {
        return false;
      }
      ack(i + 1);
    }
    return true;
  }

  /// What somebody sees of the store.
  std::string StateOf(StoreReplica& store) const {
    std::string state = store.Dump();
    const auto seen = store->seen().find(source_.site());
    state += "\nseen: ";
    if (seen != store->seen().end()) {
      state += changeset::ToText({{source_.site(), seen->second}});
    }
    state += "\nown: " + std::to_string(store->own_version());
    state += "\nparts: " + store.Sql("SELECT count(*) FROM _merrow_part");
    state += "\nwaiting: " + store.Sql("SELECT count(*) FROM _merrow_waiting");
    state += "\nsites: " + std::to_string(store->seen().size());
    return state;
  }

  /// The states before each step and after the last.
  std::vector<std::string> States() const {
    StoreReplica store(kReceiverSchema);
    store.Close();
    Configure(store);
    store.Open();
    std::vector<std::string> states = {StateOf(store)};
    EXPECT_TRUE(Run(*store, [&](size_t) { states.push_back(StateOf(store)); }));
    return states;
  }

 private:
  void Apply(std::vector<IncomingChangeset> changesets) {
    steps_.push_back([changesets = std::move(changesets)](Store& store) -> Status {
      MERROW_TRY(store.ApplyChangesets(changesets));
      return {};
    });
  }
  void Sql(std::string sql) {
    steps_.push_back([sql = std::move(sql)](Store& store) -> Status {
      const SqlWrite write{sql, {}};
      MERROW_TRY(store.Execute({&write, 1}));
      return {};
    });
  }

  const Source& source_;
  std::vector<std::function<Status(Store&)>> steps_;
};

class ReplicaFaults : public ::testing::TestWithParam<FaultMode> {
 protected:
  ReplicaFaults() : workload_(source_), states_(workload_.States()) {}

  void Verify(StoreReplica& store, size_t acknowledged) {
    store.Open();
    const std::string found = workload_.StateOf(store);
    size_t state = acknowledged;
    while (state < states_.size() && states_[state] != found) {
      ++state;
    }
    ASSERT_LT(state, states_.size()) << "after step " << acknowledged << ":\n"
                                     << found << "\ninstead of\n"
                                     << states_[acknowledged];
    store->CheckInvariants();
  }

  /// In memory and closed, for `Run`.
  static std::unique_ptr<StoreReplica> NewStore() {
    auto store = std::make_unique<StoreReplica>(kReceiverSchema);
    store->Close();
    store->UseNewFile();
    Workload::Configure(*store);
    return store;
  }

  int64_t CountOperations() {
    TestVfs vfs;
    auto store = NewStore();
    vfs.Arm(FaultMode::kNone, 0);
    store->Open();
    EXPECT_TRUE(workload_.Run(**store, [](size_t) {}));
    store->Close();
    return vfs.operations();
  }

  const Source source_;
  const Workload workload_;
  const std::vector<std::string> states_;
};

TEST_P(ReplicaFaults, TheFileIsInOneOfItsStates) {
  ASSERT_EQ(states_.size(), workload_.steps() + 1);
  const int64_t operations = CountOperations();
  ASSERT_GT(operations, 50);
  const bool crashes = GetParam() == FaultMode::kTorn || GetParam() == FaultMode::kPowerCut;
  for (int64_t at = 1; at <= operations; ++at) {
    SCOPED_TRACE("fault at operation " + std::to_string(at));
    TestVfs vfs;
    auto store = NewStore();
    std::array<int, 2> pipe_ends{};
    MERROW_CHECK(::pipe(pipe_ends.data()) == 0);
    const auto run = [&] {
      vfs.Arm(GetParam(), at);
      if (store->TryOpen().ok()) {
        const bool complete = workload_.Run(**store, [&](size_t steps) {
          MERROW_CHECK(::write(pipe_ends[1], &steps, sizeof(steps)) == sizeof(steps));
        });
        EXPECT_TRUE(complete || GetParam() != FaultMode::kFailOnce);
        store->Close();
      }
    };
    if (crashes) {
      const pid_t child = ::fork();
      MERROW_CHECK(child >= 0);
      if (child == 0) {
        run();
        ::_exit(0);
      }
      int status = 0;
      MERROW_CHECK(::waitpid(child, &status, 0) == child);
      ASSERT_TRUE(WIFEXITED(status));
      ASSERT_EQ(WEXITSTATUS(status), kFaultExitStatus);
    } else {
      run();
    }
    ::close(pipe_ends[1]);
    size_t acknowledged = 0;
    for (size_t steps = 0; ::read(pipe_ends[0], &steps, sizeof(steps)) == sizeof(steps);) {
      acknowledged = steps;
    }
    ::close(pipe_ends[0]);
    vfs.Disarm();
    Verify(*store, acknowledged);
    if (HasFatalFailure()) {
      return;
    }
  }
}

// What is committed and cannot be read right away must not be forgotten: others would never ask.
TEST(ReplicaReadFaults, ACommitThatCannotBeReadIsKnownAsSuch) {
  TestVfs vfs;
  StoreReplica store(kReceiverSchema);
  store.Close();
  store.UseNewFile();
  store.Open();
  store->KeepPublished(true);
  vfs.Arm(FaultMode::kFailReads, 1);
  // More than the page cache holds.
  store.Run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO "
      "item (id, name) SELECT i, printf('%.1000c', 'x') FROM n");
  ASSERT_TRUE(vfs.fired());
  vfs.Disarm();
  EXPECT_TRUE(store->TakePublished().empty());
  EXPECT_EQ(store->TakeUnread(), changeset::VersionRanges({0, 1}));
  EXPECT_TRUE(store->TakeUnread().empty());
  StoreReplica other(kReceiverSchema);
  other.PullFrom(store);
  EXPECT_EQ(other.Sql("SELECT count(*) FROM item"), "12000");
}

INSTANTIATE_TEST_SUITE_P(Faults, ReplicaFaults,
                         ::testing::Values(FaultMode::kFail, FaultMode::kFailOnce, FaultMode::kTorn,
                                           FaultMode::kPowerCut));

}  // namespace
}  // namespace merrow::store
