// SPDX-License-Identifier: Apache-2.0
#include "server/query_pool.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "loro/json_writer.h"

namespace merrow::server {
namespace {

// Rows are sent in chunks of about this size.
constexpr size_t kChunkBytes = 32 << 10;

}  // namespace

std::string ErrorJson(std::string_view code, std::string_view message) {
  std::string json = "{\"error\":{\"code\":";
  loro::AppendJsonString(code, &json);
  json += ",\"message\":";
  AppendJsonText(message, &json);
  return json + "}}";
}

std::string ErrorJson(const Error& error) {
  return ErrorJson(ErrorCodeName(error.code()), error.message());
}

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorruption:
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kConflict:
      return 409;
    case ErrorCode::kLimit:
      return 413;
    case ErrorCode::kBusy:
    case ErrorCode::kCancelled:
    case ErrorCode::kIo:
      return 503;
  }
  return 500;
}

// One response on its way: filled by a pool thread, sent by the loop.
class QueryPool::Stream : public std::enable_shared_from_this<QueryPool::Stream> {
 public:
  // `wait_max`: how long to wait for a client to read. A query holds a thread and keeps the
  // database's log from being reset, so no client may hold it for as long as it likes.
  Stream(net::EventLoop& loop, net::ResponseWriter response, std::chrono::milliseconds wait_max)
      : loop_(loop), response_(std::move(response)), wait_max_(wait_max) {}

  std::string& buffer() { return buffer_; }

  // Sends what is buffered once it is large, and waits until the client has taken most of it, or
  // for `wait_max`. False if there is nobody to send to.
  bool Advance() {
    if (buffer_.size() < kChunkBytes) return !closed();
    SendChunk();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait_max_, [this] { return drained_ || closed_; });
    return !closed_;
  }

  // The client is gone, or Cancel was called.
  bool closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  void Finish() {
    Send([](net::ResponseWriter& response, Bytes chunk) {
      response.Write(std::move(chunk));
      response.Finish();
    });
  }

  void Refuse(const Error& error) {
    loop_.Post([self = shared_from_this(), body = ErrorJson(error),
                status = HttpStatusOf(error.code())]() mutable {
      self->response_.Send(net::HttpResponse::Json(status, std::move(body)));
    });
  }

  // Wakes the thread that fills the stream, for good.
  void Cancel() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  template <typename Act>
  void Send(Act act) {
    loop_.Post([self = shared_from_this(), is_first = !started_, chunk = std::move(buffer_),
                act]() mutable {
      if (is_first) {
        net::HttpResponse head;
        head.headers = {{"Content-Type", "application/x-ndjson"}};
        self->response_.Start(std::move(head));
      }
      act(self->response_, std::move(chunk));
    });
    buffer_.clear();
    started_ = true;
  }

  void SendChunk() {
    {
      const std::lock_guard lock(mutex_);
      drained_ = false;
    }
    Send([self = shared_from_this()](net::ResponseWriter& response, Bytes chunk) {
      response.Write(std::move(chunk), [self](bool open) {
        const std::lock_guard lock(self->mutex_);
        self->drained_ = true;
        self->closed_ = self->closed_ || !open;
        self->changed_.notify_all();
      });
    });
  }

  net::EventLoop& loop_;
  net::ResponseWriter response_;  // loop only
  const std::chrono::milliseconds wait_max_;

  // Filling thread only.
  std::string buffer_;
  bool started_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool drained_ = true;
  bool closed_ = false;
};

Result<std::unique_ptr<QueryPool>> QueryPool::Open(const Options& options, net::EventLoop& loop,
                                                   const Clock& clock) {
  std::unique_ptr<QueryPool> pool(new QueryPool(options, loop));
  for (size_t i = 0; i < options.threads; ++i) {
    MERROW_ASSIGN(std::unique_ptr<store::Reader> reader, store::Reader::Open(options.path, &clock));
    pool->readers_.push_back(std::move(reader));
  }
  for (const auto& reader : pool->readers_) {
    pool->threads_.emplace_back([raw = pool.get(), &reader = *reader] { raw->Loop(reader); });
  }
  return pool;
}

QueryPool::~QueryPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& stream : running_) stream->Cancel();
  }
  wake_.notify_all();
  for (const auto& reader : readers_) reader->Interrupt();
  for (std::thread& thread : threads_) thread.join();
}

void QueryPool::Start(SqlStatement request, net::ResponseWriter response) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < options_.waiting_max) {
      queue_.push_back({std::move(request), std::move(response)});
      wake_.notify_one();
      return;
    }
  }
  const Error error = Busy("too many queries are waiting; try again");
  response.Send(net::HttpResponse::Json(HttpStatusOf(error.code()), ErrorJson(error)));
}

void QueryPool::Loop(store::Reader& reader) {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Run(reader, std::move(job));
  }
}

void QueryPool::Run(store::Reader& reader, Job job) {
  // The reader ends a query at its time limit, so waiting beyond that gains nothing.
  const auto stream = std::make_shared<Stream>(
      loop_, std::move(job.response), std::chrono::milliseconds(options_.limits.time_ms_max));
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return stream->Refuse(Cancelled("the server is stopping"));
    running_.push_back(stream);
  }
  const std::vector<store::SqlValue> params = SqlViews(job.request.params);

  uint64_t row_number = 0;
  bool has_columns = false;
  std::string& buffer = stream->buffer();
  store::QuerySink sink;
  sink.columns = [&](std::span<const std::string_view> names) {
    has_columns = true;
    buffer += "{\"columns\":[";
    for (size_t i = 0; i < names.size(); ++i) {
      if (i > 0) buffer.push_back(',');
      AppendJsonText(names[i], &buffer);
    }
    buffer += "]}\n";
    // An interruption from before the query began is lost, but this is not.
    return !stream->closed();
  };
  sink.row = [&](std::span<const store::SqlValue> values) {
    buffer += "{\"row\":[" + std::to_string(++row_number) + ",[";
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) buffer.push_back(',');
      AppendSqlValue(values[i], &buffer);
    }
    buffer += "]]}\n";
    return stream->Advance();
  };
  const Result<store::QuerySummary> summary =
      reader.Query(job.request.sql, params, options_.limits, sink);
  // Who is not there any more is no trouble.
  if (!summary.ok() && summary.error().code() != ErrorCode::kCancelled) {
    spdlog::warn("POST /v1/queries refused: {}", summary.error().ToString());
  }
  if (summary.ok()) {
    buffer += "{\"eoq\":{\"time\":";
    loro::AppendJsonNumber(static_cast<double>(summary->time_micros) / 1e6, &buffer);
    buffer += "}}\n";
    stream->Finish();
  } else if (has_columns) {
    buffer += ErrorJson(summary.error()) + "\n";
    stream->Finish();
  } else {
    stream->Refuse(summary.error());
  }
  const std::lock_guard lock(mutex_);
  std::erase(running_, stream);
}

}  // namespace merrow::server
