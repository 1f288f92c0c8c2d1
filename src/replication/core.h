// SPDX-License-Identifier: Apache-2.0
//
// Core: what the parts of one Replicator share. Inside of this layer only.
//
//   Handshake   Hello, State, proofs, identity changes
//   Spreader    pushes what was committed, announces it, keeps a tree per site (Prune, Graft)
//   Puller      knows what is lacking and asks for it
//   Answerer    answers what peers ask for
//   Applier     hands changesets to the database, again if need be
//   Confirmer   passes on what each site said to have, and tells the database
//   Digests     compares and repairs rows
//
// Every event, completions of the database included, runs between Enter and Settle. Settle does
// what follows: sends what is fresh, hands the queue to the database, asks for what is open, and
// lets go of links that were closed meanwhile.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "replication/link.h"

namespace merrow::replication {

class Handshake;
class Spreader;
class Puller;
class Answerer;
class Applier;
class Confirmer;
class Digests;

struct Core {
  Core(const Options& replicator_options, const cells::SiteId& own_site, SiteVersions seen_at_start,
       Replica& own_replica, const TimeSource& time_source, Random& random_source,
       Logger log_receiver);

  Options options;
  Replica& replica;
  const TimeSource& time;
  Random& random;
  const Logger logger;

  cells::SiteId site;
  const uint64_t nonce;
  SiteVersions seen;
  Counters counters;
  Now now;
  bool is_closing = false;
  std::map<LinkId, std::unique_ptr<Link>> links;

  Handshake* handshake = nullptr;
  Spreader* spreader = nullptr;
  Puller* puller = nullptr;
  Answerer* answerer = nullptr;
  Applier* applier = nullptr;
  Confirmer* confirmer = nullptr;
  Digests* digests = nullptr;

  void Enter();
  void Settle();

  /// Null if it is gone or closed.
  Link* Find(LinkId id);
  template <typename F>
  void ForEachOpen(F f) {
    for (const auto& [id, link] : links) {
      if (link->is_open()) f(*link);
    }
  }

  void Send(Link& link, const Message& message);
  void SendEncoded(Link& link, SharedBytes message);
  /// May it get changesets?
  bool CanSend(const Link& link) const;
  /// Says Bye and forgets it.
  void Close(Link& link, CloseReason reason, std::string_view detail);
  /// The same without a word: the peer closed it, or the connection is gone.
  void Drop(Link& link);

  /// The wait before try number `tries` + 1, with jitter.
  int64_t RetryDelay(int tries);
  void Log(LogLevel level, std::string_view text) const;
  void Log(LogLevel level, const Link& link, std::string_view text) const;

  /// Wraps a completion: it does nothing if the Replicator is gone, and is an event of its own.
  template <typename F>
  auto Later(F f) {
    return [weak = std::weak_ptr<Core*>(self_), f = std::move(f)](auto&& result) {
      const std::shared_ptr<Core*> core = weak.lock();
      if (core == nullptr) return;
      (*core)->Enter();
      f(std::forward<decltype(result)>(result));
      (*core)->Settle();
    };
  }

 private:
  std::shared_ptr<Core*> self_;
};

/// A site in log lines: its first digits.
std::string ShortName(const cells::SiteId& site);
/// Of a link that ends for that: a warning is what does not get well by itself.
LogLevel LevelOf(CloseReason reason);

}  // namespace merrow::replication
