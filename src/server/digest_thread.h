// SPDX-License-Identifier: Apache-2.0
//
// Digest thread: reads hashes of all rows (store/replica_digest.h) in the background, on a
// connection and a thread of its own, one request after the other, and posts what comes out to the
// event loop. The connection is opened when somebody asks for the first time.

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "net/event_loop.h"
#include "store/replica_digest.h"

namespace merrow::server {

class DigestThread {
 public:
  /// Runs on the thread with the connection, or with the error that opening it gave; returns what
  /// to run on the loop afterwards.
  using Task = std::function<std::function<void()>(Result<store::ReplicaDigest*>)>;

  /// `path` is the file of an open Store. `loop` must outlive this.
  DigestThread(std::string path, int busy_timeout_ms, net::EventLoop& loop);
  /// Interrupts what runs and drops what waits.
  ~DigestThread();
  DigestThread(const DigestThread&) = delete;
  DigestThread& operator=(const DigestThread&) = delete;

  /// On the loop.
  void Run(Task task);

 private:
  void Loop();
  Result<store::ReplicaDigest*> Connection();

  const std::string path_;
  const int busy_timeout_ms_;
  net::EventLoop& loop_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_. Only the thread itself makes the connection; others interrupt it.
  std::unique_ptr<store::ReplicaDigest> digest_;
  std::deque<Task> queue_;
  bool stopping_ = false;
  bool ended_ = false;

  std::thread thread_;
};

}  // namespace merrow::server
