// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "server/file_bytes.h"
#include "server/http_api.h"
#include "server/process_memory.h"
#include "server/query_pool.h"
#include "server/replication.h"
#include "server/static_files.h"
#include "server/stop_guard.h"
#include "server/store_row_source.h"
#include "server/store_thread.h"
#include "server/watchdog.h"
#include "sync/hub.h"

namespace merrow::server {
namespace {

constexpr std::chrono::milliseconds kTickInterval{1000};
constexpr uint64_t kTicksBetweenTrims = 15;
// Room in a WebSocket message around an update of the largest size.
constexpr size_t kFrameOverheadBytes = 8 << 10;
// Connections of sites, and files.
constexpr size_t kDescriptorsKept = 512;
constexpr size_t kSchemaBytesMax = size_t{16} << 20;

// Every connection is a descriptor, so take as many as the system allows.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    spdlog::warn("cannot raise the limit of open files");
  }
}

// Connections of clients: all that leave open files for the database and for other sites, which
// must not depend on how many clients come.
size_t ClientConnectionsMax(size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t kept = std::min<rlim_t>(kDescriptorsKept, limit.rlim_cur / 2);
  if (limit.rlim_cur - kept >= wanted) return wanted;
  spdlog::warn("at most {} connections of clients, since the system allows {} open files",
               limit.rlim_cur - kept, limit.rlim_cur);
  return limit.rlim_cur - kept;
}

// A terminal that is closed sends SIGHUP, too. Whoever started the server there expects it to end
// with it, as every program does, unless nohup said that this does not matter.
class Terminal {
 public:
  bool is_gone() const { return matters_ && !IsThere(); }

 private:
  static bool IsThere() {
    const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) return false;
    close(terminal);
    return true;
  }
  static bool IgnoresHangup() {
    struct sigaction action = {};
    return sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  const bool matters_ = IsThere() && !IgnoresHangup();
};

// SIGHUP waits until somebody handles it. By default it would end the process.
class HangupBlocked {
 public:
  HangupBlocked() { Mask(SIG_BLOCK); }
  ~HangupBlocked() { Mask(SIG_UNBLOCK); }
  HangupBlocked(const HangupBlocked&) = delete;
  HangupBlocked& operator=(const HangupBlocked&) = delete;

 private:
  static void Mask(int how) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(how, &signals, nullptr);
  }
};

// Large transactions and sorts of SQLite use temporary files. Beside the database there is room to
// write; a container need not have another place.
void KeepTemporaryFilesBeside(const std::string& database_path) {
  if (getenv("SQLITE_TMPDIR") != nullptr || getenv("TMPDIR") != nullptr) return;
  const std::filesystem::path directory = std::filesystem::path(database_path).parent_path();
  if (!directory.empty()) setenv("SQLITE_TMPDIR", directory.c_str(), /*replace=*/0);
}

void LogSync(sync::LogLevel level, std::string_view line) {
  switch (level) {
    case sync::LogLevel::kDebug:
      return spdlog::debug("{}", line);
    case sync::LogLevel::kInfo:
      return spdlog::info("{}", line);
    case sync::LogLevel::kWarning:
      return spdlog::warn("{}", line);
  }
}

}  // namespace

// In the order in which parts depend on each other.
class Server::Impl {
 public:
  Status Open(const ServerOptions& options) {
    drain_timeout_ = options.drain_timeout;
    if (!options.static_directory.empty()) {
      MERROW_ASSIGN(files_, StaticFiles::Load(options.static_directory));
    }
    store::StoreOptions store_options;
    store_options.path = options.database_path;
    MERROW_ASSIGN(store_options.schema_sql, ReadFileBytes(options.schema_path, kSchemaBytesMax));
    store_options.clock = &clock_;
    store_options.document_memory_bytes_max = options.document_memory_bytes_max;
    store_options.replicate = options.replication.enabled;
    store_options.replica_limits = options.replication.store_limits;
    MERROW_ASSIGN(std::unique_ptr<store::Store> store, store::Store::Open(store_options));
    std::optional<ReplicationStart> start;
    if (options.replication.enabled) {
      MERROW_ASSIGN(start, PrepareReplication(*store));
    }
    store_ = std::make_unique<StoreThread>(std::move(store), loop_, StoreThreadLimits());
    rows_ = std::make_unique<StoreRowSource>(*store_, store_options.limits.key_bytes_max);

    sync::Limits sync_limits;
    sync_limits.update_bytes_max = store_options.limits.update_bytes_max;
    sync_limits.key_bytes_max = store_options.limits.key_bytes_max;
    sync_limits.row_message_bytes_max = sync_limits.update_bytes_max + kFrameOverheadBytes;
    hub_ = std::make_unique<sync::Hub>(
        *rows_, sync_limits, LogSync,
        [this](std::function<void()> turn) { loop_.Post(std::move(turn)); });

    QueryPool::Options query_options;
    query_options.path = options.database_path;
    MERROW_ASSIGN(queries_, QueryPool::Open(query_options, loop_, clock_));

    if (start.has_value()) {
      MERROW_ASSIGN(replication_, Replication::Open(options.replication, options.database_path,
                                                    *start, {*store_, *hub_, loop_, clock_}));
      urls_.sites = replication_->url();
    }
    api_ = std::make_unique<HttpApi>(HttpApi::Parts{*store_, *rows_, *hub_, *queries_, files_,
                                                    replication_.get(), loop_, clock_});
    net::HttpServerOptions http_options;
    http_options.connections_max = ClientConnectionsMax(http_options.connections_max);
    // Hexadecimal doubles an update.
    http_options.body_bytes_max = 2 * sync_limits.update_bytes_max + kFrameOverheadBytes;
    http_options.websocket.message_bytes_max = sync_limits.row_message_bytes_max;
    http_options.websocket.send_buffer_bytes_max = 2 * sync_limits.buffer_bytes_max;
    http_options.log = [](const std::string& line) { spdlog::warn("{}", line); };
    MERROW_ASSIGN(http_, net::HttpServer::Listen(loop_, options.listen, std::move(http_options),
                                                 *api_, api_.get()));
    urls_.clients = "http://" + http_->address().ToString();
    watchdog_ = std::make_unique<Watchdog>(
        Watchdog::Options(),
        std::vector<Watchdog::Watched>{{"the event loop", &loop_heartbeat_},
                                       {"the store thread", &store_->heartbeat()}});
    api_->SetRunning(urls_, http_->counters(), *watchdog_);
    return {};
  }

  const ServerUrls& urls() const { return urls_; }

  Status HandleSignals() {
    return loop_.OnSignals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) {
      if (signal == SIGHUP) {
        if (!terminal_.is_gone()) return Reload();
        // The same as if it had been told to end, with the same time to do it in (stop_guard.h).
        spdlog::info("signal {}: the terminal was closed", signal);
        ::raise(SIGTERM);
        return;
      }
      spdlog::info("signal {}: draining", signal);
      Drain();
    });
  }

  void Reload() {
    loop_.Post([this] {
      if (replication_ != nullptr && !stopping_) return replication_->ReloadSecrets();
      spdlog::info("there is nothing to read again: {}",
                   stopping_ ? "the server is stopping" : "this server does not replicate");
    });
  }

  void Stop() {
    loop_.Post([this] { Drain(); });
  }

  void Run() {
    trim_policy_.Trimmed(ResidentBytes());
    Tick();
    if (replication_ != nullptr) replication_->Begin();
    loop_.Run();
    loop_heartbeat_.Rest();
    // What is still queued reaches the disk; outcomes nobody waits for any more are dropped.
    http_.reset();
    queries_.reset();
    store_->Stop();
    watchdog_.reset();
    replication_.reset();
  }

 private:
  void Tick() {
    loop_heartbeat_.Begin();
    hub_->OnTick(clock_.MonotonicMicros() / 1000);
    if (++ticks_ % kTicksBetweenTrims == 0) TrimMemory();
    tick_ = loop_.RunAfter(kTickInterval, [this] { Tick(); });
  }

  // On the store thread, when it has done what it has: there clients wait least.
  void TrimMemory() {
    if (is_trimming_ || !trim_policy_.IsDue(ResidentBytes())) return;
    is_trimming_ = true;
    store_->Run([this](store::Store&) -> std::function<void()> {
      ReturnFreeMemory();
      return [this] {
        is_trimming_ = false;
        trim_policy_.Trimmed(ResidentBytes());
      };
    });
  }

  void Drain() {
    if (std::exchange(stopping_, true)) return;
    // Behind everything that clients have handed in so far, so that they still hear of it.
    store_->Run([this](store::Store&) -> std::function<void()> {
      return [this] {
        hub_->CloseAll("the server is stopping");
        const auto one_done = [this,
                               left = std::make_shared<int>(replication_ != nullptr ? 2 : 1)] {
          if (--*left == 0) loop_.Stop();
        };
        http_->Shutdown(drain_timeout_, one_done);
        if (replication_ != nullptr) replication_->Shutdown(drain_timeout_, one_done);
      };
    });
  }

  const Terminal terminal_{};
  SystemClock clock_;
  net::EventLoop loop_;
  StaticFiles files_;
  std::unique_ptr<StoreThread> store_;
  std::unique_ptr<StoreRowSource> rows_;
  std::unique_ptr<sync::Hub> hub_;
  std::unique_ptr<QueryPool> queries_;
  std::unique_ptr<Replication> replication_;
  std::unique_ptr<HttpApi> api_;
  std::unique_ptr<net::HttpServer> http_;
  net::EventLoop::Timer tick_;
  uint64_t ticks_ = 0;
  TrimPolicy trim_policy_;
  bool is_trimming_ = false;
  Heartbeat loop_heartbeat_;
  std::unique_ptr<Watchdog> watchdog_;
  ServerUrls urls_;
  std::chrono::milliseconds drain_timeout_{};
  bool stopping_ = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Open(const ServerOptions& options) {
  if (!options.listen.is_loopback) {
    return InvalidArgument("cannot listen on " + options.listen.ToString() +
                           ": without authentication only loopback addresses are safe");
  }
  auto impl = std::make_unique<Impl>();
  MERROW_TRY(impl->Open(options));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const ServerUrls& Server::urls() const { return impl_->urls(); }
Status Server::HandleSignals() { return impl_->HandleSignals(); }
void Server::Run() { impl_->Run(); }
void Server::Stop() { impl_->Stop(); }
void Server::Reload() { impl_->Reload(); }

Status RunServer(const ServerOptions& options,
                 const std::function<void(const ServerUrls& urls)>& on_listening) {
  RaiseDescriptorLimit();
  KeepTemporaryFilesBeside(options.database_path);
  std::optional<HangupBlocked> blocked(std::in_place);
  MERROW_ASSIGN(const std::unique_ptr<Server> server, Server::Open(options));
  MERROW_TRY(server->HandleSignals());
  MERROW_TRY(GuardStop({SIGTERM, SIGINT}, options.stop_timeout));
  blocked.reset();
  on_listening(server->urls());
  server->Run();
  return {};
}

}  // namespace merrow::server
