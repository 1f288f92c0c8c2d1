// SPDX-License-Identifier: Apache-2.0
//
// Private to src/net: the Boost.Asio types that its .cc files share, and the inside of EventLoop.
// Public headers of this layer never include Boost. Asio and Beast are compiled once, in
// boost_impl.cc.

#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>

#include "net/event_loop.h"

namespace merrow::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// The concrete executor, not the type-erased default: no virtual calls, no allocation per copy.
using Executor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<tcp, Executor>;
using TcpAcceptor = asio::basic_socket_acceptor<tcp, Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

struct EventLoop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<Executor> work{context.get_executor()};
  std::optional<asio::signal_set> signals;
  std::function<void(int)> on_signal;

  void WaitForSignal();
};

}  // namespace merrow::net
