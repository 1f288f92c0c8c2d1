// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <boost/asio/post.hpp>
#include <string>
#include <utility>

#include "net/asio.h"

namespace merrow::net {

struct EventLoop::Timer::State {
  explicit State(asio::io_context& context) : timer(context.get_executor()) {}
  SteadyTimer timer;
  Task task;  // empty once started or cancelled
};

EventLoop::Timer::Timer() = default;
EventLoop::Timer::Timer(std::shared_ptr<State> state) : state_(std::move(state)) {}
EventLoop::Timer::Timer(Timer&& other) noexcept = default;

EventLoop::Timer& EventLoop::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    Cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

EventLoop::Timer::~Timer() { Cancel(); }

void EventLoop::Timer::Cancel() {
  if (state_ == nullptr) {
    return;
  }
  // A handler that has expired already is in the loop's queue; the empty task tells it.
  state_->task = nullptr;
  state_->timer.cancel();
  state_.reset();
}

bool EventLoop::Timer::armed() const { return state_ != nullptr && state_->task != nullptr; }

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::Stop() { impl_->context.stop(); }

void EventLoop::Post(Task task) { asio::post(impl_->context, std::move(task)); }

bool EventLoop::InLoopThread() const {
  return impl_->context.get_executor().running_in_this_thread();
}

EventLoop::Timer EventLoop::RunAfter(std::chrono::milliseconds delay, Task task) {
  auto state = std::make_shared<Timer::State>(impl_->context);
  state->task = std::move(task);
  state->timer.expires_after(delay);
  state->timer.async_wait([state](error_code) {
    // The task may drop its own handle, so it runs from the stack.
    if (Task run = std::exchange(state->task, nullptr)) {
      run();
    }
  });
  return Timer(std::move(state));
}

Status EventLoop::OnSignals(const std::vector<int>& signals, std::function<void(int)> fn) {
  impl_->signals.emplace(impl_->context);
  for (const int signal : signals) {
    error_code error;
    impl_->signals->add(signal, error);
    if (error) {
      return IoError("cannot handle signal " + std::to_string(signal) + ": " + error.message());
    }
  }
  impl_->on_signal = std::move(fn);
  impl_->WaitForSignal();
  return {};
}

void EventLoop::Impl::WaitForSignal() {
  signals->async_wait([this](error_code error, int signal) {
    if (error) {
      return;  // replaced by a later OnSignals, or the loop is being destroyed
    }
    WaitForSignal();
    // A copy, since the function may call OnSignals.
    const auto fn = on_signal;
    fn(signal);
  });
}

}  // namespace merrow::net
