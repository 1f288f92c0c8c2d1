// SPDX-License-Identifier: Apache-2.0
#include "net/peer_handshake.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "net/tls_stream.h"
#include "net/websocket_session.h"

namespace merrow::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr size_t kDiscardBytes = 16 << 10;
constexpr std::string_view kBearer = "Bearer ";

std::string ToString(beast::string_view text) { return {text.data(), text.size()}; }

/// `Stream` is TcpSocket or TlsStream.
template <typename Stream>
class PeerHandshake final : public Connection,
                            public std::enable_shared_from_this<PeerHandshake<Stream>> {
 public:
  PeerHandshake(std::shared_ptr<PeerListenerState> listener, Stream stream)
      : listener_(std::move(listener)),
        stream_(std::move(stream)),
        remote_address_(RemoteAddress(LowestSocket(stream_))),
        input_(listener_->options.header_bytes_max) {
    parser_.header_limit(static_cast<uint32_t>(listener_->options.header_bytes_max));
    parser_.body_limit(0);
  }

  void Start(std::list<PeerListenerState::Handshake>::iterator entry);
  void BeginShutdown() override { Leave(); }
  void Cut(std::string_view) override { Leave(); }

 private:
  using Self = PeerHandshake<Stream>;
  using std::enable_shared_from_this<Self>::shared_from_this;
  using std::enable_shared_from_this<Self>::weak_from_this;
  using Parser = http::request_parser<http::string_body>;

  void OnTls(error_code error);
  void ReadHead();
  void OnHead(error_code error, size_t bytes);
  /// The refusal, if there is one.
  std::optional<HttpResponse> Check();
  bool HasToken();
  Result<HttpRequest> MakeRequest();
  void Upgrade();
  void Refuse(const HttpResponse& response);
  void Log(const std::string& why);
  void Linger();
  void Discard();
  void Leave();
  void SetDeadline(std::chrono::milliseconds delay);

  const std::shared_ptr<PeerListenerState> listener_;
  Stream stream_;
  const std::string remote_address_;
  EventLoop::Timer deadline_;
  bool open_ = true;
  std::list<PeerListenerState::Handshake>::iterator entry_;  // while open_

  beast::flat_buffer input_;
  Parser parser_;
  Bytes output_;
};

template <typename Stream>
void PeerHandshake<Stream>::Start(std::list<PeerListenerState::Handshake>::iterator entry) {
  entry_ = entry;
  SetDeadline(listener_->websocket.handshake_timeout);
  if constexpr (std::is_same_v<Stream, TlsStream>) {
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this()](error_code error) { self->OnTls(error); });
  } else {
    ReadHead();
  }
}

template <typename Stream>
void PeerHandshake<Stream>::OnTls(error_code error) {
  if (!open_) {
    return;
  }
  if (!error) {
    ReadHead();
    return;
  }
  if constexpr (std::is_same_v<Stream, TlsStream>) {
    Log("TLS failed: " + DescribeTlsFailure(stream_, error));
  }
  ++listener_->counters.requests_refused_total;
  Linger();
}

template <typename Stream>
void PeerHandshake<Stream>::ReadHead() {
  http::async_read_header(
      stream_, input_, parser_,
      [self = shared_from_this()](error_code error, size_t bytes) { self->OnHead(error, bytes); });
}

template <typename Stream>
void PeerHandshake<Stream>::OnHead(error_code error, size_t bytes) {
  listener_->counters.bytes_in_total += bytes;
  if (!open_) {
    return;
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    Refuse(HttpResponse::Text(431, "the request's headers exceed header_bytes_max\n"));
  } else if (error == http::error::body_limit) {
    Refuse(HttpResponse::Text(413, "this port takes no requests with a body\n"));
  } else if (error.category() == make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    Refuse(HttpResponse::Text(400, "malformed request: " + error.message() + "\n"));
  } else if (error) {
    Leave();  // nobody is there
  } else if (const auto refusal = Check()) {
    Refuse(*refusal);
  } else {
    Upgrade();
  }
}

template <typename Stream>
std::optional<HttpResponse> PeerHandshake<Stream>::Check() {
  const auto& request = parser_.get();
  if (ToString(request.target()) != kReplicationPath) {
    return HttpResponse::Text(404, "this port is for replication only\n");
  }
  if (request.count(http::field::origin) > 0) {
    return HttpResponse::Text(403, "browsers are not allowed here\n");
  }
  if (!beast::websocket::is_upgrade(request)) {
    return HttpResponse::Text(426, "this port takes WebSocket upgrades only\n");
  }
  if (!listener_->tokens.empty() && !HasToken()) {
    HttpResponse response = HttpResponse::Text(401, "a valid token is required\n");
    response.headers.push_back({"WWW-Authenticate", "Bearer"});
    return response;
  }
  if (input_.size() > 0) {
    return HttpResponse::Text(400, "bytes follow the upgrade request before its answer\n");
  }
  return std::nullopt;
}

template <typename Stream>
bool PeerHandshake<Stream>::HasToken() {
  const auto& request = parser_.get();
  if (request.count(http::field::authorization) != 1) {
    return false;
  }
  const std::string given = ToString(request[http::field::authorization]);
  if (!given.starts_with(kBearer)) {
    return false;
  }
  bool is_known = false;
  for (const std::string& token : listener_->tokens) {
    // All of them, so that the time does not tell which one it was.
    is_known |= EqualSecrets(std::string_view(given).substr(kBearer.size()), token);
  }
  return is_known;
}

template <typename Stream>
Result<HttpRequest> PeerHandshake<Stream>::MakeRequest() {
  const auto& message = parser_.get();
  HttpRequest request;
  request.method = ToString(message.method_string());
  request.target = ToString(message.target());
  request.remote_address = remote_address_;
  MERROW_ASSIGN(HttpTarget target, ParseTarget(request.target));
  request.segments = std::move(target.segments);
  for (const auto& field : message) {
    if (field.name() != http::field::authorization) {  // nobody above needs the secret
      request.headers.push_back({ToString(field.name_string()), ToString(field.value())});
    }
  }
  return request;
}

template <typename Stream>
void PeerHandshake<Stream>::Upgrade() {
  auto request = MakeRequest();
  if (!request.ok()) {
    Refuse(HttpResponse::Text(400, request.error().message() + "\n"));
    return;
  }
  auto decision = listener_->handler.Accept(*request);
  if (const auto* refusal = std::get_if<HttpResponse>(&decision)) {
    Refuse(*refusal);
    return;
  }
  ++listener_->counters.requests_total;
  auto session = MakeWebSocketSession(listener_, std::move(stream_),
                                      std::get<0>(std::move(decision)), remote_address_);
  open_ = false;
  listener_->handshakes.erase(entry_);
  deadline_.Cancel();
  listener_->Add(session);
  listener_->Remove(*this);
  session->Accept(parser_.get());
}

template <typename Stream>
void PeerHandshake<Stream>::Refuse(const HttpResponse& response) {
  ++listener_->counters.requests_refused_total;
  Log(std::to_string(response.status) + " " + response.body.substr(0, response.body.find('\n')));
  auto headers = response.headers;
  headers.push_back({"Content-Length", std::to_string(response.body.size())});
  headers.push_back({"Connection", "close"});
  output_ = FormatResponseHead(response.status, headers) + response.body;
  asio::async_write(stream_, asio::buffer(output_),
                    [self = shared_from_this()](error_code error, size_t bytes) {
                      self->listener_->counters.bytes_out_total += bytes;
                      if (!self->open_) {
                        return;
                      }
                      if (error) {
                        self->Leave();
                      } else {
                        self->Linger();
                      }
                    });
}

template <typename Stream>
void PeerHandshake<Stream>::Log(const std::string& why) {
  listener_->Log("refused a site at " + remote_address_ + ": " + why);
}

// Closing with input unread would make the operating system reset the connection, and the peer
// might lose the answer to that. What TLS carries is discarded without being decrypted.
template <typename Stream>
void PeerHandshake<Stream>::Linger() {
  error_code ignored;
  LowestSocket(stream_).shutdown(tcp::socket::shutdown_send, ignored);
  SetDeadline(listener_->options.linger_timeout);
  input_ = beast::flat_buffer();
  Discard();
}

template <typename Stream>
void PeerHandshake<Stream>::Discard() {
  input_.clear();
  LowestSocket(stream_).async_read_some(input_.prepare(kDiscardBytes),
                                        [self = shared_from_this()](error_code error, size_t) {
                                          if (!self->open_) {
                                            return;
                                          }
                                          if (error) {
                                            self->Leave();
                                          } else {
                                            self->Discard();
                                          }
                                        });
}

template <typename Stream>
void PeerHandshake<Stream>::Leave() {
  if (!open_) {
    return;
  }
  const auto self = shared_from_this();
  open_ = false;
  listener_->handshakes.erase(entry_);
  deadline_.Cancel();
  error_code ignored;
  LowestSocket(stream_).close(ignored);
  listener_->Remove(*this);
}

template <typename Stream>
void PeerHandshake<Stream>::SetDeadline(std::chrono::milliseconds delay) {
  deadline_ = listener_->loop.RunAfter(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->Leave();
    }
  });
}

template <typename Stream>
void StartOn(std::shared_ptr<PeerListenerState> listener, Stream stream) {
  const std::string address = RemoteAddress(LowestSocket(stream));
  const auto handshake = std::make_shared<PeerHandshake<Stream>>(listener, std::move(stream));
  listener->Add(handshake);
  const std::string host = address.substr(0, address.rfind(':'));
  handshake->Start(
      listener->handshakes.insert(listener->handshakes.end(), {host, handshake.get()}));
}

std::array<unsigned char, SHA256_DIGEST_LENGTH> Hash(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  const Bytes copy(text);
  SHA256(reinterpret_cast<const unsigned char*>(copy.data()), copy.size(), hash.data());
  return hash;
}

}  // namespace

PeerListenerState::PeerListenerState(EventLoop& event_loop, PeerListenerOptions peer_options,
                                     WebSocketHandler& websocket_handler)
    : Listener(event_loop,
               {.connections_max = peer_options.connections_max,
                .kernel_unsent_bytes_max = peer_options.kernel_unsent_bytes_max,
                .answers_when_busy = peer_options.tls == nullptr},
               peer_options.websocket, peer_options.log),
      options(std::move(peer_options)),
      tokens(options.tokens),
      tls(options.tls),
      handler(websocket_handler) {}

void PeerListenerState::OnSocket(TcpSocket socket) {
  if (handshakes.size() >= options.handshakes_max) {
    MakeRoom();
  }
  StartPeerHandshake(std::static_pointer_cast<PeerListenerState>(shared_from_this()),
                     std::move(socket));
}

bool PeerListenerState::MakeRoom() {
  std::map<std::string_view, size_t> counts;
  size_t most = 0;
  for (const Handshake& handshake : handshakes) {
    most = std::max(most, ++counts[handshake.host]);
  }
  const auto oldest =
      std::find_if(handshakes.begin(), handshakes.end(),
                   [&](const Handshake& handshake) { return counts[handshake.host] == most; });
  if (oldest == handshakes.end()) {
    return false;
  }
  ++counters.connections_refused_total;
  Log("ended the oldest handshake of " + oldest->host + ", which has " + std::to_string(most) +
      " of " + std::to_string(handshakes.size()) + " that are under way");
  oldest->connection->Cut("others want to connect");
  return true;
}

void StartPeerHandshake(std::shared_ptr<PeerListenerState> listener, TcpSocket socket) {
  if (listener->tls == nullptr) {
    StartOn<TcpSocket>(std::move(listener), std::move(socket));
  } else {
    TlsStream stream(std::move(socket), listener->tls->context);
    StartOn<TlsStream>(std::move(listener), std::move(stream));
  }
}

bool EqualSecrets(std::string_view given, std::string_view expected) {
  const auto a = Hash(given);
  const auto b = Hash(expected);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace merrow::net
