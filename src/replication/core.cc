// SPDX-License-Identifier: Apache-2.0
#include "replication/core.h"

#include <algorithm>

#include "replication/answerer.h"
#include "replication/applier.h"
#include "replication/confirmer.h"
#include "replication/digests.h"
#include "replication/handshake.h"
#include "replication/puller.h"
#include "replication/spreader.h"

namespace merrow::replication {
namespace {

constexpr int kDoublingsMax = 20;
constexpr size_t kLogTextMax = 400;

}  // namespace

Core::Core(const Options& replicator_options, const cells::SiteId& own_site,
           SiteVersions seen_at_start, Replica& own_replica, const TimeSource& time_source,
           Random& random_source, Logger log_receiver)
    : options(replicator_options),
      replica(own_replica),
      time(time_source),
      random(random_source),
      logger(std::move(log_receiver)),
      site(own_site),
      nonce(random_source.Next()),
      seen(std::move(seen_at_start)),
      now(time_source.Read()),
      self_(std::make_shared<Core*>(this)) {}

void Core::Enter() { now = time.Read(); }

void Core::Settle() {
  applier->Pump();
  puller->Schedule();
  spreader->Flush();
  for (auto at = links.begin(); at != links.end();) {
    at = at->second->is_closed ? links.erase(at) : std::next(at);
  }
}

Link* Core::Find(LinkId id) {
  const auto at = links.find(id);
  return at == links.end() || at->second->is_closed ? nullptr : at->second.get();
}

void Core::Send(Link& link, const Message& message) {
  if (link.is_closed) return;
  SendEncoded(link, std::make_shared<const Bytes>(link.message_encoder.Encode(message)));
}

void Core::SendEncoded(Link& link, SharedBytes message) {
  if (link.is_closed) return;
  link.spoke_ms = now.steady_ms;
  ++link.messages_out;
  link.bytes_out += message->size();
  link.sink.Send(std::move(message));
  if (link.sink.buffered_bytes() > options.unsent_bytes_hard_max) {
    Close(link, CloseReason::kLimit, "too many unsent bytes");
  }
}

bool Core::CanSend(const Link& link) const {
  return !link.is_closed && link.sink.buffered_bytes() < options.unsent_bytes_max;
}

void Core::Close(Link& link, CloseReason reason, std::string_view detail) {
  if (link.is_closed) return;
  Log(LevelOf(reason), link,
      "closed (" + std::string(CloseReasonName(reason)) + "): " + std::string(detail));
  ++counters.links_refused;
  ++link.messages_out;
  const Message bye = ByeMessage{reason, std::string(detail.substr(0, kByeTextMax))};
  link.sink.Send(std::make_shared<const Bytes>(link.message_encoder.Encode(bye)));
  Drop(link);
  link.sink.Close(reason, detail);
}

void Core::Drop(Link& link) {
  if (link.is_closed) return;
  link.is_closed = true;
  spreader->OnLinkGone(link);
  puller->OnLinkGone(link);
  confirmer->OnLinkGone(link);
}

int64_t Core::RetryDelay(int tries) {
  const int64_t factor = int64_t{1} << std::min(tries, kDoublingsMax);
  const int64_t delay = std::min(options.retry_ms_max, options.retry_ms_min * factor);
  const int64_t half = std::max<int64_t>(delay / 2, 1);
  return half + static_cast<int64_t>(random.Next() % static_cast<uint64_t>(half));
}

LogLevel LevelOf(CloseReason reason) {
  switch (reason) {
    case CloseReason::kProtocol:
    case CloseReason::kVersion:
    case CloseReason::kLimit:
      return LogLevel::kWarning;
    default:
      return LogLevel::kInfo;
  }
}

void Core::Log(LogLevel level, std::string_view text) const {
  if (!logger) return;
  std::string line(text.substr(0, kLogTextMax));
  // What peers say may be in it: a log line stays one line.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  logger(level, line);
}

void Core::Log(LogLevel level, const Link& link, std::string_view text) const {
  if (!logger) return;
  Log(level, "link " + std::to_string(link.id) +
                 (link.peer.has_value() ? " to " + ShortName(*link.peer) : std::string()) + ": " +
                 std::string(text));
}

std::string ShortName(const cells::SiteId& site) { return ToHex(site.view()).substr(0, 8); }

}  // namespace merrow::replication
