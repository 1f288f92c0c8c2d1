// SPDX-License-Identifier: Apache-2.0
//
// The event loop: one thread on which all sockets, timers and signals of a process are served.
//
// Only Post, Stop and InLoopThread may be called from any thread. All else in this layer belongs to
// the loop's thread, or to whoever sets things up before Run() and tears them down after it.
// The loop must outlive everything that was made on it: timers, servers, response writers.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "merrow/result.h"

namespace merrow::net {

class EventLoop {
 public:
  using Task = std::function<void()>;

  /// A task that has yet to run. Destroying or assigning over the handle cancels the task.
  class Timer {
   public:
    Timer();
    Timer(Timer&& other) noexcept;
    Timer& operator=(Timer&& other) noexcept;
    ~Timer();

    /// The task will not run any more. Harmless if it has run already.
    void Cancel();
    /// True until the task has started or was cancelled.
    bool armed() const;

   private:
    friend class EventLoop;
    struct State;
    explicit Timer(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
  };

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Serves until Stop(). Does not return for lack of work.
  void Run();
  /// Makes Run() return after the task at hand. Tasks not yet run are kept for the next Run().
  void Stop();
  /// Runs `task` on the loop's thread, never from inside this call. Tasks of one thread keep their
  /// order.
  void Post(Task task);
  /// True on the thread that is inside Run().
  bool InLoopThread() const;

  [[nodiscard]] Timer RunAfter(std::chrono::milliseconds delay, Task task);

  /// Calls `fn(signal)` on the loop for every one of `signals` that the process receives. Replaces
  /// what an earlier call set.
  Status OnSignals(const std::vector<int>& signals, std::function<void(int)> fn);

  struct Impl;
  /// For this layer's own files.
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::net
