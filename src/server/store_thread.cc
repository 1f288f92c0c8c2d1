// SPDX-License-Identifier: Apache-2.0
#include "server/store_thread.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace merrow::server {
namespace {

// How often late projections and folds are looked for when nothing else happens.
constexpr std::chrono::seconds kUpkeepInterval{1};
// What a waiting update takes besides its bytes, about.
constexpr size_t kUpdateOverheadBytes = 512;

}  // namespace

StoreThread::StoreThread(std::unique_ptr<store::Store> store, net::EventLoop& loop,
                         const StoreThreadLimits& limits)
    : loop_(loop), limits_(limits), schema_(store->schema()), store_(std::move(store)) {
  thread_ = std::thread([this] { Loop(); });
}

StoreThread::~StoreThread() { Stop(); }

void StoreThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool StoreThread::Push(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (job.cost > 0 && queue_bytes_ + job.cost > limits_.queue_bytes_max) return false;
    queue_bytes_ += job.cost;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void StoreThread::Write(std::string table, std::string key, std::shared_ptr<const Bytes> update,
                        WriteDone done) {
  const size_t cost = update->size() + kUpdateOverheadBytes;
  if (Push({std::move(table), std::move(key), std::move(update), done, {}, cost})) return;
  loop_.Post([done = std::move(done)] {
    done(Busy("the store has more updates waiting than it takes; try again"));
  });
}

void StoreThread::Run(Task task) { Push({{}, {}, nullptr, {}, std::move(task), 0}); }

bool StoreThread::TryRun(size_t bytes, Task task) {
  return Push({{}, {}, nullptr, {}, std::move(task), bytes + kUpdateOverheadBytes});
}

void StoreThread::ObserveCommits(Task observer) {
  Run([this, observer = std::move(observer)](store::Store&) -> std::function<void()> {
    observer_ = observer;
    return {};
  });
}

void StoreThread::Loop() {
  bool more_upkeep = true;
  while (true) {
    std::deque<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      heartbeat_.Rest();
      const auto has_work = [this] { return !queue_.empty() || stopping_; };
      if (!more_upkeep) wake_.wait_for(lock, kUpkeepInterval, has_work);
      if (queue_.empty() && stopping_) break;
      jobs.swap(queue_);
    }
    const bool was_idle = jobs.empty();
    WorkOff(std::move(jobs));
    if (!was_idle && !more_upkeep) {
      // Busy: upkeep comes when the queue is empty, but never waits for ever.
      more_upkeep = true;
      continue;
    }
    heartbeat_.Begin();
    const Result<store::Upkeep> upkeep = store_->RunUpkeep();
    if (!upkeep.ok()) spdlog::error("store upkeep failed: {}", upkeep.error().ToString());
    more_upkeep = upkeep.ok() && upkeep->more;
    Observe();
  }
  heartbeat_.Begin();
  store_.reset();
  heartbeat_.Rest();
}

void StoreThread::WorkOff(std::deque<Job> jobs) {
  std::vector<Job> writes;
  size_t bytes = 0;
  const auto flush = [&] {
    if (!writes.empty()) ApplyWrites(std::exchange(writes, {}));
    bytes = 0;
  };
  for (Job& job : jobs) {
    if (job.update != nullptr) {
      const size_t size = job.update->size();
      if (writes.size() >= limits_.batch_updates_max || bytes + size > limits_.batch_bytes_max) {
        flush();
      }
      bytes += size;
      writes.push_back(std::move(job));
      continue;
    }
    flush();
    RunTask(std::move(job));
  }
  flush();
}

void StoreThread::RunTask(Job job) {
  heartbeat_.Begin();
  std::function<void()> outcome = job.task(*store_);
  Forget(job.cost);
  Observe();
  if (outcome) loop_.Post(std::move(outcome));
}

void StoreThread::ApplyWrites(std::vector<Job> jobs) {
  std::vector<store::Write> writes;
  writes.reserve(jobs.size());
  size_t cost = 0;
  for (const Job& job : jobs) {
    writes.push_back({job.table, job.key, *job.update});
    cost += job.cost;
  }
  heartbeat_.Begin();
  std::vector<store::WriteResult> results = store_->ApplyBatch(writes);
  Forget(cost);
  Observe();
  loop_.Post([jobs = std::move(jobs), results = std::move(results)]() mutable {
    for (size_t i = 0; i < jobs.size(); ++i) jobs[i].done(std::move(results[i]));
  });
}

void StoreThread::Observe() {
  if (!observer_) return;
  if (std::function<void()> outcome = observer_(*store_)) loop_.Post(std::move(outcome));
}

void StoreThread::Forget(size_t cost) {
  if (cost == 0) return;
  const std::lock_guard lock(mutex_);
  queue_bytes_ -= cost;
}

}  // namespace merrow::server
