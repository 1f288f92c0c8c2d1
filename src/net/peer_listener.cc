// SPDX-License-Identifier: Apache-2.0
#include "net/peer_listener.h"

#include <algorithm>
#include <utility>

#include "merrow/check.h"
#include "net/peer_handshake.h"
#include "net/tls_stream.h"

namespace merrow::net {

Status CheckPeerToken(std::string_view token) {
  const bool fits =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 32 && c < 127; });
  return fits ? Status()
              : InvalidArgument("the token of peers may hold visible ASCII characters only");
}

namespace {

Status CheckAccess(const ListenAddress& address, const std::vector<std::string>& tokens,
                   const SharedTlsContext& tls) {
  for (const std::string& token : tokens) {
    MERROW_TRY(CheckPeerToken(token));
    if (token.empty()) {
      return InvalidArgument("a token of peers is empty");
    }
  }
  const bool is_mutual = tls != nullptr && tls->requires_client_certificate;
  if (!address.is_loopback && tokens.empty() && !is_mutual) {
    return InvalidArgument("listening for peers on " + address.ToString() +
                           ", which others can reach, needs a token or mutual TLS");
  }
  return {};
}

}  // namespace

PeerListener::PeerListener(std::shared_ptr<PeerListenerState> state, ListenAddress address)
    : state_(std::move(state)), address_(std::move(address)) {}

Result<std::unique_ptr<PeerListener>> PeerListener::Listen(EventLoop& loop,
                                                           const ListenAddress& address,
                                                           PeerListenerOptions options,
                                                           WebSocketHandler& handler) {
  MERROW_TRY(CheckAccess(address, options.tokens, options.tls));
  auto state = std::make_shared<PeerListenerState>(loop, std::move(options), handler);
  MERROW_ASSIGN(ListenAddress bound, state->StartListening(address));
  return std::unique_ptr<PeerListener>(new PeerListener(std::move(state), std::move(bound)));
}

PeerListener::~PeerListener() { state_->End("the listener is gone"); }

const NetCounters& PeerListener::counters() const { return state_->counters; }

Status PeerListener::Renew(std::vector<std::string> tokens, SharedTlsContext tls) {
  MERROW_TRY(CheckAccess(address_, tokens, tls));
  if ((tls == nullptr) != (state_->tls == nullptr)) {
    return InvalidArgument("a listener for peers cannot change between TLS and plain TCP");
  }
  state_->tokens = std::move(tokens);
  state_->tls = std::move(tls);
  return {};
}

void PeerListener::Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  MERROW_CHECK(!state_->stopping);
  state_->BeginShutdown(deadline, std::move(on_done));
}

}  // namespace merrow::net
