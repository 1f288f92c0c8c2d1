// SPDX-License-Identifier: Apache-2.0
//
// Query pool: runs read-only SQL for HTTP clients, on threads with read connections of their own,
// and streams the rows as NDJSON:
//
//   {"columns":["id","title"]}
//   {"row":[1,["a","hello"]]}
//   {"eoq":{"time":0.000213}}            seconds; or {"error":{"code":..,"message":..}} if it broke
//   off
//
// A blob is {"blob":"<base64>"}. A slow client slows its query down: a thread waits until the
// response has drained before it makes more rows. The query's time limit covers that, too.

#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "net/http_server.h"
#include "server/sql_json.h"
#include "store/reader.h"

namespace merrow::server {

class QueryPool {
 public:
  struct Options {
    std::string path;
    size_t threads = 2;
    size_t waiting_max = 64;  // queries that wait for a thread; more are refused with busy
    store::QueryLimits limits;
  };

  /// Opens the read connections. `loop` and `clock` must outlive the pool.
  static Result<std::unique_ptr<QueryPool>> Open(const Options& options, net::EventLoop& loop,
                                                 const Clock& clock);
  /// Interrupts what runs.
  ~QueryPool();
  QueryPool(const QueryPool&) = delete;
  QueryPool& operator=(const QueryPool&) = delete;

  /// Answers `response` with the query's rows. Call on the loop.
  void Start(SqlStatement request, net::ResponseWriter response);

 private:
  struct Job {
    SqlStatement request;
    net::ResponseWriter response;
  };
  class Stream;

  QueryPool(const Options& options, net::EventLoop& loop) : options_(options), loop_(loop) {}
  void Loop(store::Reader& reader);
  void Run(store::Reader& reader, Job job);

  const Options options_;
  net::EventLoop& loop_;
  std::vector<std::unique_ptr<store::Reader>> readers_;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<Job> queue_;
  bool stopping_ = false;
  std::vector<std::shared_ptr<Stream>> running_;

  std::vector<std::thread> threads_;
};

/// {"error":{"code":...,"message":...}}
std::string ErrorJson(std::string_view code, std::string_view message);
std::string ErrorJson(const Error& error);
/// The HTTP status that fits an error.
int HttpStatusOf(ErrorCode code);

}  // namespace merrow::server
