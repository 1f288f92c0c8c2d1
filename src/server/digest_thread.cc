// SPDX-License-Identifier: Apache-2.0
#include "server/digest_thread.h"

#include <utility>

namespace merrow::server {

DigestThread::DigestThread(std::string path, int busy_timeout_ms, net::EventLoop& loop)
    : path_(std::move(path)), busy_timeout_ms_(busy_timeout_ms), loop_(loop) {
  thread_ = std::thread([this] { Loop(); });
}

DigestThread::~DigestThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
    if (digest_ != nullptr) digest_->Interrupt();
  }
  wake_.notify_one();
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
      if (stopping_) return;
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
