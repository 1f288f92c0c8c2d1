// SPDX-License-Identifier: Apache-2.0
//
//   kResolve --> kConnect (each address in turn) --> kTls --> kUpgrade --> open, or on_failed
//
// Until kUpgrade the attempt is a member of the set; then the session is, and the attempt only
// watches it.
#include "net/peer_dialer.h"

#include <algorithm>
#include <boost/beast/core/error.hpp>
#include <optional>
#include <utility>

#include "merrow/check.h"
#include "net/name_lookup.h"
#include "net/tls_stream.h"
#include "net/websocket_session.h"

namespace merrow::net {

struct PeerDialerState final : ConnectionSet {
  PeerDialerState(EventLoop& event_loop, PeerDialerOptions dialer_options)
      : ConnectionSet(event_loop, dialer_options.websocket, nullptr),
        options(std::move(dialer_options)),
        token(options.token),
        tls(options.tls) {}

  const PeerDialerOptions options;  // but for the next two
  std::string token;
  SharedTlsContext tls;
};

namespace {

using Clock = std::chrono::steady_clock;

// Of what a peer says when it refuses; it may be anybody.
constexpr size_t kRefusalBytesMax = 200;

class Attempt final : public Connection, public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(std::shared_ptr<PeerDialerState> dialer, PeerUrl url,
          std::unique_ptr<WebSocketEvents> events, PeerDialer::OnFailed on_failed)
      : dialer_(std::move(dialer)),
        url_(std::move(url)),
        socket_(dialer_->loop.impl().context.get_executor()),
        events_(std::move(events)),
        on_failed_(std::move(on_failed)) {}

  void Start();
  /// Ends the attempt, if it has not ended, without a word.
  void Cancel();
  void BeginShutdown() override { Cancel(); }
  void Cut(std::string_view) override { Cancel(); }

 private:
  void OnResolved(Result<std::vector<tcp::endpoint>> endpoints);
  void ConnectNext();
  void OnConnected(error_code error);
  void StartTls();
  void OnTls(error_code error);
  void Upgrade();
  void OnUpgraded(const WebSocketClientHandshake::Failure* failure);
  void OnDialTimeout();
  void Fail(std::string why);
  void Report(DialFailure failure);
  /// What is left of dial_timeout.
  std::chrono::milliseconds TimeLeft() const;

  const std::shared_ptr<PeerDialerState> dialer_;
  const PeerUrl url_;
  DialStage stage_ = DialStage::kResolve;
  bool done_ = false;
  bool is_member_ = false;
  bool timed_out_ = false;
  Clock::time_point deadline_at_;
  EventLoop::Timer deadline_;

  std::optional<NameLookup> lookup_;
  std::vector<tcp::endpoint> endpoints_;
  size_t next_endpoint_ = 0;
  EventLoop::Timer endpoint_deadline_;
  bool endpoint_timed_out_ = false;
  std::string connect_errors_;

  TcpSocket socket_;
  std::optional<TlsStream> tls_;
  std::unique_ptr<WebSocketEvents> events_;
  PeerDialer::OnFailed on_failed_;
  std::shared_ptr<WebSocketSession> session_;  // in kUpgrade
};

void Attempt::Start() {
  dialer_->Add(shared_from_this());
  is_member_ = true;
  deadline_at_ = Clock::now() + dialer_->options.dial_timeout;
  deadline_ = dialer_->loop.RunAfter(dialer_->options.dial_timeout, [this] { OnDialTimeout(); });
  lookup_.emplace(
      dialer_->loop, url_.host, url_.port,
      [this](Result<std::vector<tcp::endpoint>> endpoints) { OnResolved(std::move(endpoints)); });
}

void Attempt::OnResolved(Result<std::vector<tcp::endpoint>> endpoints) {
  const auto self = shared_from_this();
  if (!endpoints.ok()) {
    Fail("cannot find '" + url_.host + "': " + endpoints.error().message());
    return;
  }
  endpoints_ = *std::move(endpoints);
  stage_ = DialStage::kConnect;
  ConnectNext();
}

void Attempt::ConnectNext() {
  if (next_endpoint_ == endpoints_.size()) {
    Fail("cannot connect: " + connect_errors_);
    return;
  }
  const tcp::endpoint& endpoint = endpoints_[next_endpoint_];
  const auto share = TimeLeft() / static_cast<int>(endpoints_.size() - next_endpoint_);
  ++next_endpoint_;
  error_code ignored;
  socket_.close(ignored);
  endpoint_timed_out_ = false;
  endpoint_deadline_ = dialer_->loop.RunAfter(share, [this] {
    endpoint_timed_out_ = true;
    error_code error;
    socket_.close(error);
  });
  socket_.async_connect(
      endpoint, [self = shared_from_this()](error_code error) { self->OnConnected(error); });
}

void Attempt::OnConnected(error_code error) {
  if (done_) {
    return;
  }
  endpoint_deadline_.Cancel();
  if (endpoint_timed_out_) {
    error = asio::error::timed_out;
  }
  if (error) {
    const tcp::endpoint& endpoint = endpoints_[next_endpoint_ - 1];
    connect_errors_ += (connect_errors_.empty() ? "" : "; ") + endpoint.address().to_string() +
                       ": " + error.message();
    ConnectNext();
    return;
  }
  ++dialer_->counters.connections_total;
  TuneSocket(socket_, dialer_->options.kernel_unsent_bytes_max);
  if (url_.is_tls) {
    StartTls();
  } else {
    Upgrade();
  }
}

void Attempt::StartTls() {
  stage_ = DialStage::kTls;
  if (dialer_->tls == nullptr) {
    auto tls = LoadClientTls({});
    if (!tls.ok()) {
      Fail(tls.error().message());
      return;
    }
    dialer_->tls = *std::move(tls);
  }
  tls_.emplace(std::move(socket_), dialer_->tls->context);
  if (const Status status = ExpectHost(*tls_, url_.host); !status.ok()) {
    Fail(status.error().message());
    return;
  }
  tls_->async_handshake(asio::ssl::stream_base::client,
                        [self = shared_from_this()](error_code error) { self->OnTls(error); });
}

void Attempt::OnTls(error_code error) {
  if (done_) {
    return;
  }
  if (error) {
    Fail("TLS failed: " + DescribeTlsFailure(*tls_, error));
    return;
  }
  Upgrade();
}

void Attempt::Upgrade() {
  stage_ = DialStage::kUpgrade;
  if (const Status status = CheckPeerToken(dialer_->token); !status.ok()) {
    Fail(status.error().message());
    return;
  }
  const std::string remote = RemoteAddress(tls_ ? LowestSocket(*tls_) : socket_);
  session_ = tls_ ? MakeWebSocketSession(dialer_, *std::move(tls_), std::move(events_), remote)
                  : MakeWebSocketSession(dialer_, std::move(socket_), std::move(events_), remote);
  tls_.reset();
  dialer_->Add(session_);
  is_member_ = false;
  // Not before the session is in: a shutdown must not think that all have left.
  const auto self = shared_from_this();
  dialer_->Remove(*this);
  const std::string& token = dialer_->token;
  session_->Connect({.host = url_.Authority(),
                     .target = std::string(kReplicationPath),
                     .authorization = token.empty() ? "" : "Bearer " + token,
                     .on_done = [self](const auto* failure) { self->OnUpgraded(failure); }});
}

void Attempt::OnUpgraded(const WebSocketClientHandshake::Failure* failure) {
  if (done_ || dialer_->stopping) {
    Cancel();
    return;
  }
  if (failure == nullptr) {
    done_ = true;
    deadline_.Cancel();
    on_failed_ = nullptr;
    session_.reset();
    return;
  }
  session_.reset();
  if (failure->http_status != 0) {
    const size_t line_end = std::min(failure->answer.find('\n'), kRefusalBytesMax);
    const std::string line = failure->answer.substr(0, line_end);
    Report({.stage = stage_,
            .timed_out = false,
            .http_status = failure->http_status,
            .message = "refused with HTTP status " + std::to_string(failure->http_status) +
                       (line.empty() ? "" : ": " + line)});
    return;
  }
  // With TLS 1.3 the other side's verdict about this side's certificate comes only now.
  if (failure->error.category() == asio::error::get_ssl_category()) {
    stage_ = DialStage::kTls;
    Fail("TLS failed: " + failure->error.message());
    return;
  }
  timed_out_ = failure->error == boost::beast::error::timeout;
  Fail("no WebSocket: " + failure->error.message());
}

void Attempt::OnDialTimeout() {
  const auto self = shared_from_this();
  timed_out_ = true;
  Fail("no answer within " + std::to_string(dialer_->options.dial_timeout.count()) +
       " ms (dial_timeout)");
}

void Attempt::Fail(std::string why) {
  Report({.stage = stage_, .timed_out = timed_out_, .http_status = 0, .message = std::move(why)});
}

void Attempt::Report(DialFailure failure) {
  const auto self = shared_from_this();
  failure.message =
      url_.ToString() + ": " + std::string(DialStageName(failure.stage)) + ": " + failure.message;
  const auto on_failed = std::exchange(on_failed_, nullptr);
  Cancel();
  on_failed(failure);
}

void Attempt::Cancel() {
  if (done_) {
    return;
  }
  const auto self = shared_from_this();
  done_ = true;
  on_failed_ = nullptr;
  deadline_.Cancel();
  endpoint_deadline_.Cancel();
  lookup_.reset();
  error_code ignored;
  socket_.close(ignored);
  if (tls_) {
    LowestSocket(*tls_).close(ignored);
  }
  if (const auto session = std::exchange(session_, nullptr)) {
    session->Cut("cancelled");
  }
  events_.reset();
  if (std::exchange(is_member_, false)) {
    dialer_->Remove(*this);
  }
}

std::chrono::milliseconds Attempt::TimeLeft() const {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline_at_ - Clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

class DialHandle final : public PeerDialer::Dial {
 public:
  explicit DialHandle(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
  ~DialHandle() override { attempt_->Cancel(); }

 private:
  const std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::string_view DialStageName(DialStage stage) {
  switch (stage) {
    case DialStage::kResolve:
      return "resolve";
    case DialStage::kConnect:
      return "connect";
    case DialStage::kTls:
      return "tls";
    case DialStage::kUpgrade:
      return "upgrade";
  }
  return "unknown";
}

PeerDialer::PeerDialer(EventLoop& loop, PeerDialerOptions options)
    : state_(std::make_shared<PeerDialerState>(loop, std::move(options))) {}

PeerDialer::~PeerDialer() { state_->End("the dialer is gone"); }

std::unique_ptr<PeerDialer::Dial> PeerDialer::Start(const PeerUrl& url,
                                                    std::unique_ptr<WebSocketEvents> events,
                                                    OnFailed on_failed) {
  MERROW_CHECK(!state_->stopping);
  const auto attempt =
      std::make_shared<Attempt>(state_, url, std::move(events), std::move(on_failed));
  attempt->Start();
  return std::make_unique<DialHandle>(attempt);
}

const NetCounters& PeerDialer::counters() const { return state_->counters; }

void PeerDialer::Renew(std::string token, SharedTlsContext tls) {
  state_->token = std::move(token);
  state_->tls = std::move(tls);
}

void PeerDialer::Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  MERROW_CHECK(!state_->stopping);
  state_->BeginShutdown(deadline, std::move(on_done));
}

}  // namespace merrow::net
