// SPDX-License-Identifier: Apache-2.0
//
// Store thread: the one thread that owns the Store. Others hand it updates and tasks; it works them
// off in order and posts each outcome to the event loop.
//
// Group commit: while one batch is on its way to the disk, the updates that arrive meanwhile queue
// up and become the next batch. So the number of disk syncs adapts to the load and nobody waits for
// a timer.
//
// Every update is answered exactly once, on the loop, after it is on disk or was refused; in the
// order of commits.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "net/event_loop.h"
#include "server/watchdog.h"
#include "store/store.h"

namespace merrow::server {

struct StoreThreadLimits {
  /// Updates that are not applied yet may hold this many bytes in all, some hundred for each update
  /// included; more are refused with busy.
  size_t queue_bytes_max = size_t{256} << 20;
  /// One transaction takes at most this many updates and (but for a single larger one) bytes.
  size_t batch_updates_max = 1024;
  size_t batch_bytes_max = size_t{16} << 20;
};

class StoreThread {
 public:
  using WriteDone = std::function<void(store::WriteResult)>;
  /// Runs on the store thread and returns what to run on the loop afterwards (or nothing).
  using Task = std::function<std::function<void()>(store::Store&)>;

  StoreThread(std::unique_ptr<store::Store> store, net::EventLoop& loop,
              const StoreThreadLimits& limits);
  /// Works off what is queued, then closes the store.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  /// `done` is called on the loop. Any thread.
  void Write(std::string table, std::string key, std::shared_ptr<const Bytes> update,
             WriteDone done);
  /// Runs `task` after everything handed over before. Any thread.
  void Run(Task task);
  /// The same for a task that holds `bytes` of somebody's data, under the limit of Write. False if
  /// too much waits already; then the task is dropped.
  [[nodiscard]] bool TryRun(size_t bytes, Task task);
  /// From now on `observer` runs on the store thread after each batch of updates and each task.
  /// What it returns goes to the loop before their outcomes do.
  void ObserveCommits(Task observer);

  /// Works off what is queued and ends the thread; the store is closed. Outcomes are posted as
  /// usual. Nothing may be handed over afterwards.
  void Stop();

  /// Busy while a batch, a task or a step of upkeep runs. Any thread.
  const Heartbeat& heartbeat() const { return heartbeat_; }

  /// Constant after construction, so it may be read from any thread.
  const store::Schema& schema() const { return schema_; }

 private:
  struct Job {
    // A write, if update is set; else a task.
    std::string table;
    std::string key;
    std::shared_ptr<const Bytes> update;
    WriteDone done;
    Task task;
    size_t cost = 0;  // counts in queue_bytes_ until it was worked off
  };

  bool Push(Job job);
  void Loop();
  void WorkOff(std::deque<Job> jobs);
  void RunTask(Job job);
  void ApplyWrites(std::vector<Job> writes);
  void Observe();
  void Forget(size_t cost);

  net::EventLoop& loop_;
  const StoreThreadLimits limits_;
  const store::Schema schema_;
  Heartbeat heartbeat_;

  // Store thread only.
  std::unique_ptr<store::Store> store_;
  Task observer_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Job> queue_;
  size_t queue_bytes_ = 0;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace merrow::server
