// SPDX-License-Identifier: Apache-2.0
#include "server/digest_thread.h"

#include <chrono>
#include <utility>

namespace merrow::server {
namespace {

constexpr std::chrono::milliseconds kInterruptInterval{20};

}  // namespace

DigestThread::DigestThread(std::string path, int busy_timeout_ms, net::EventLoop& loop)
    : path_(std::move(path)), busy_timeout_ms_(busy_timeout_ms), loop_(loop) {
  thread_ = std::thread([this] { Loop(); });
}

DigestThread::~DigestThread() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    wake_.notify_all();
    // Again and again, because an interruption from before a statement begins is lost.
    while (!ended_) {
      if (digest_ != nullptr) digest_->Interrupt();
      wake_.wait_for(lock, kInterruptInterval, [this] { return ended_; });
    }
  }
  thread_.join();
}

void DigestThread::Run(Task task) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void DigestThread::Loop() {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) {
        ended_ = true;
        wake_.notify_all();
        return;
      }
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    if (std::function<void()> outcome = task(Connection())) loop_.Post(std::move(outcome));
  }
}

Result<store::ReplicaDigest*> DigestThread::Connection() {
  if (digest_ == nullptr) {
    MERROW_ASSIGN(std::unique_ptr<store::ReplicaDigest> opened,
                  store::ReplicaDigest::Open(path_, busy_timeout_ms_));
    const std::lock_guard lock(mutex_);
    digest_ = std::move(opened);
  }
  return digest_.get();
}

}  // namespace merrow::server
