// SPDX-License-Identifier: Apache-2.0
#include "server/peer_links.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "merrow/check.h"

namespace merrow::server {
namespace {

using replication::CloseReason;

// The Replicator wants to be called ten times a second.
constexpr int64_t kTickMsMax = 100;
// A URL that stands by is woken when a link ends, so looking for itself is for the unforeseen. It
// replaces the link that stands, so it is seldom.
constexpr int64_t kStandbyPauses = 10;
// Sites that lost the same peer, or got new tokens, do not all dial in the same moment.
constexpr uint64_t kWakeMsMax = 500;

uint16_t WebSocketCode(CloseReason reason) {
  switch (reason) {
    case CloseReason::kShutdown:
      return net::kCloseGoingAway;
    case CloseReason::kProtocol:
    case CloseReason::kVersion:
      return net::kCloseProtocolError;
    case CloseReason::kLimit:
      return net::kClosePolicy;
    default:
      return net::kCloseNormal;
  }
}

}  // namespace

std::string_view DialStateName(DialState state) {
  switch (state) {
    case DialState::kWaiting:
      return "waiting";
    case DialState::kDialing:
      return "dialing";
    case DialState::kConnected:
      return "connected";
    case DialState::kStandby:
      return "standby";
    case DialState::kSelf:
      return "self";
  }
  return "unknown";
}

// One connection as a link of the Replicator, from OnOpen to OnClosed.
class PeerLink final : public net::WebSocketEvents, public replication::LinkSink {
 public:
  /// `dial`: which URL was dialed; nothing if the connection was accepted.
  PeerLink(PeerLinks& owner, std::optional<size_t> dial) : owner_(owner), dial_(dial) {}

  std::optional<size_t> dial() const { return dial_; }
  bool is_link() const { return id_.has_value(); }
  /// REQUIRES: is_link()
  replication::LinkId id() const { return *id_; }
  void set_id(replication::LinkId id) { id_ = id; }
  const net::WebSocketConnection& connection() const { return *connection_; }
  /// Why replication ended the link, if it did.
  const std::optional<CloseReason>& close_reason() const { return close_reason_; }
  const std::string& close_text() const { return close_text_; }

  // --- net::WebSocketEvents ---

  void OnOpen(net::WebSocketConnection& connection) override {
    connection_ = &connection;
    // Upgraded while the server was about to stop.
    if (owner_.stopping_) return connection.Close(net::kCloseGoingAway, "the site is stopping");
    owner_.OnOpened(*this);
  }
  void OnMessage(BytesView message, bool is_text) override {
    if (is_text) return connection_->Close(net::kCloseProtocolError, "a text message");
    owner_.replicator_.OnMessage(id(), message);
    owner_.Arm();
  }
  void OnDrained() override {
    if (is_link()) owner_.replicator_.OnDrained(id());
  }
  void OnClosed(const net::WebSocketCloseReason& reason) override {
    if (is_link()) owner_.OnClosed(*this, reason);
    connection_ = nullptr;
  }

  // --- replication::LinkSink ---

  void Send(replication::SharedBytes message) override {
    connection_->Send(std::move(message), /*is_text=*/false);
  }
  void Close(CloseReason reason, std::string_view detail) override {
    close_reason_ = reason;
    close_text_ = std::string(replication::CloseReasonName(reason));
    if (!detail.empty()) close_text_ += ": " + std::string(detail);
    connection_->Close(WebSocketCode(reason), close_text_);
    owner_.OnLinkEnded(reason);
  }
  size_t buffered_bytes() const override { return connection_->buffered_bytes(); }

 private:
  PeerLinks& owner_;
  const std::optional<size_t> dial_;
  std::optional<replication::LinkId> id_;
  net::WebSocketConnection* connection_ = nullptr;  // between OnOpen and OnClosed
  std::optional<CloseReason> close_reason_;
  std::string close_text_;
};

PeerLinks::PeerLinks(const PeerLinksOptions& options, net::EventLoop& loop,
                     const replication::TimeSource& time, Random& random,
                     replication::Replicator& replicator)
    : options_(options), loop_(loop), time_(time), random_(random), replicator_(replicator) {
  for (const net::PeerUrl& url : options_.peers) {
    Dial dial;
    dial.url = url;
    dial.since_ms = dial.next_ms = time_.Read().steady_ms;
    dials_.push_back(std::move(dial));
  }
}

PeerLinks::~PeerLinks() {
  stopping_ = true;
  dialer_.reset();
  listener_.reset();
}

Status PeerLinks::Listen(const net::ListenAddress& address, net::PeerListenerOptions options) {
  MERROW_ASSIGN(listener_, net::PeerListener::Listen(loop_, address, std::move(options), *this));
  return {};
}

void PeerLinks::Start(net::PeerDialerOptions options) {
  dialer_ = std::make_unique<net::PeerDialer>(loop_, std::move(options));
  Tick();
}

Status PeerLinks::Renew(const PeerSecrets& secrets) {
  if (listener_ != nullptr) MERROW_TRY(listener_->Renew(secrets.tokens, secrets.accepting));
  dialer_->Renew(secrets.shown_token(), secrets.dialing);
  // Who refused the old ones may take these.
  Wake(DialState::kWaiting);
  return {};
}

void PeerLinks::Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  stopping_ = true;
  tick_.Cancel();
  for (Dial& dial : dials_) dial.attempt.reset();
  replicator_.CloseAll();
  const auto left = std::make_shared<int>(listener_ != nullptr ? 2 : 1);
  const auto one_done = [left, on_done = std::move(on_done)] {
    if (--*left == 0) on_done();
  };
  if (listener_ != nullptr) listener_->Shutdown(deadline, one_done);
  dialer_->Shutdown(deadline, one_done);
}

PeerLinksReport PeerLinks::report() const {
  const int64_t now = time_.Read().steady_ms;
  PeerLinksReport report;
  for (const Dial& dial : dials_) {
    const bool is_waiting = dial.state == DialState::kWaiting || dial.state == DialState::kStandby;
    report.dials.push_back({
        .url = dial.url.ToString(),
        .state = dial.state,
        .link = dial.link,
        .state_ms = now - dial.since_ms,
        .next_ms = is_waiting ? std::max<int64_t>(dial.next_ms - now, 0) : 0,
        .attempts = dial.attempts,
        .failures = dial.failures,
        .last_error = dial.last_error,
    });
  }
  for (const auto& [id, link] : links_) {
    report.connections[id] = {
        .url = link->dial().has_value() ? dials_[*link->dial()].url.ToString() : "",
        .address = link->connection().remote_address(),
        .traffic = link->connection().traffic(),
    };
  }
  return report;
}

net::WebSocketHandler::Decision PeerLinks::Accept(const net::HttpRequest&) {
  return std::make_unique<PeerLink>(*this, std::nullopt);
}

void PeerLinks::OnOpened(PeerLink& link) {
  link.set_id(replicator_.OnLinkUp(link, link.dial().has_value()));
  links_[link.id()] = &link;
  // From here on it is known by its number, and then by its site.
  spdlog::info("link {}: connected {} {}", link.id(), link.dial().has_value() ? "to" : "from",
               link.dial().has_value() ? dials_[*link.dial()].url.ToString()
                                       : link.connection().remote_address());
  if (link.dial().has_value()) {
    Dial& dial = dials_[*link.dial()];
    Enter(dial, DialState::kConnected);
    dial.link = link.id();
  }
  Arm();
}

void PeerLinks::OnClosed(PeerLink& link, const net::WebSocketCloseReason& reason) {
  replicator_.OnLinkDown(link.id());
  links_.erase(link.id());
  std::string why = link.close_text();
  if (why.empty()) why = reason.text.empty() ? "the connection was lost" : reason.text;
  // What replication ended it has told itself.
  const bool is_news = !link.close_reason().has_value() && !stopping_;
  spdlog::log(is_news ? spdlog::level::warn : spdlog::level::debug,
              "link {} with {} ended ({}): {}", link.id(), link.connection().remote_address(),
              reason.code, why);
  if (link.dial().has_value()) {
    Dial& dial = dials_[*link.dial()];
    dial.link.reset();
    if (time_.Read().steady_ms - dial.since_ms >= options_.good_ms) dial.failures = 0;
    const auto ended = link.close_reason();
    Redial(dial,
           ended.has_value() ? replication::RedialAfter(*ended) : replication::Redial::kBackoff,
           std::move(why));
  }
  if (!link.close_reason().has_value()) Wake(DialState::kStandby);
  Arm();
}

// The connection may take a while to close, a dead one all of its handshake_timeout.
void PeerLinks::OnLinkEnded(CloseReason reason) {
  if (reason != CloseReason::kDuplicate) Wake(DialState::kStandby);  // else it was one too many
}

void PeerLinks::Tick() {
  replicator_.OnTick();
  const int64_t now = time_.Read().steady_ms;
  for (size_t i = 0; i < dials_.size(); ++i) {
    const bool is_waiting =
        dials_[i].state == DialState::kWaiting || dials_[i].state == DialState::kStandby;
    if (is_waiting && dials_[i].next_ms <= now) StartDial(i);
  }
  Arm();
}

void PeerLinks::Arm() {
  if (stopping_ || dialer_ == nullptr) return;
  const int64_t wait = replicator_.next_tick_ms() - time_.Read().steady_ms;
  tick_ = loop_.RunAfter(std::chrono::milliseconds(std::clamp<int64_t>(wait, 1, kTickMsMax)),
                         [this] { Tick(); });
}

void PeerLinks::StartDial(size_t index) {
  Dial& dial = dials_[index];
  Enter(dial, DialState::kDialing);
  ++dial.attempts;
  dial.attempt = dialer_->Start(
      dial.url, std::make_unique<PeerLink>(*this, index),
      [this, index](const net::DialFailure& failure) { OnDialFailed(dials_[index], failure); });
}

void PeerLinks::OnDialFailed(Dial& dial, const net::DialFailure& failure) {
  // The same trouble again and again is told once.
  const std::string url = dial.url.ToString() + ": ";
  std::string error = failure.message;
  if (error.starts_with(url)) error.erase(0, url.size());
  const bool is_news = error != dial.last_error;
  spdlog::log(is_news ? spdlog::level::warn : spdlog::level::debug, "{}{}", url, error);
  Redial(dial, replication::Redial::kBackoff, std::move(error));
}

void PeerLinks::Enter(Dial& dial, DialState state) {
  dial.state = state;
  dial.since_ms = time_.Read().steady_ms;
}

void PeerLinks::Redial(Dial& dial, replication::Redial how, std::string error) {
  const int64_t now = time_.Read().steady_ms;
  dial.last_error = std::move(error);
  switch (how) {
    case replication::Redial::kNever:
      return Enter(dial, DialState::kSelf);
    case replication::Redial::kWhenAlone:
      dial.failures = 0;
      Enter(dial, DialState::kStandby);
      dial.next_ms = now + kStandbyPauses * Pause(UINT64_MAX);
      return;
    case replication::Redial::kAtOnce:
    case replication::Redial::kBackoff:
      // At once, but not for ever: a peer that keeps asking for it is paused for like any other.
      ++dial.failures;
      Enter(dial, DialState::kWaiting);
      dial.next_ms = how == replication::Redial::kAtOnce && dial.failures <= 2
                         ? now
                         : now + Pause(dial.failures);
      return;
  }
}

int64_t PeerLinks::Pause(uint64_t failures) {
  int64_t pause = options_.redial_ms_min;
  for (uint64_t i = 1; i < failures && pause < options_.redial_ms_max; ++i) pause *= 2;
  pause = std::min(pause, options_.redial_ms_max);
  const auto half = static_cast<uint64_t>(pause / 2);
  return pause - static_cast<int64_t>(random_.Next() % (half + 1));
}

void PeerLinks::Wake(DialState state) {
  const int64_t soon = time_.Read().steady_ms + static_cast<int64_t>(random_.Next() % kWakeMsMax);
  for (Dial& dial : dials_) {
    if (dial.state == state) dial.next_ms = std::min(dial.next_ms, soon);
  }
}

}  // namespace merrow::server
