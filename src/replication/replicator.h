// SPDX-License-Identifier: Apache-2.0
//
// Replicator: site-to-site replication, the facade of this layer. It keeps this site's database
// (replica.h) in step with those of its peers over links (link_sink.h): what it lacks it pulls,
// newest first, from whoever has it; what is committed is pushed at once; what arrives is passed
// on. docs/replication.md has the rules and every message byte by byte.
//
// Sans-I/O: events come in as calls, messages go out by each link's sink, the database is asked
// through Replica, time and randomness are handed in. Everything runs on one thread, and nothing is
// called back from inside a call.
//
// Invariants:
//   (1) What counts as seen was committed: it came from the start state, from OnLocalCommits or
//       from an outcome of Replica. Nothing else adds to it.
//   (2) A version that some peer has and that is not seen is asked for, in the queue of the store,
//       waiting for what it follows, refused by the store when that peer sent it, or about to be
//       asked for again at a time that is known. So nothing is lost by a failure; at worst it is
//       asked for twice.
//   (3) One version is asked for on one link at a time.
//   (4) What a link or the store makes this site hold is bounded by Options. A slow link costs a
//       version vector, not a queue.
//   (5) Everything that waits for somebody else has a time after which it is done again or the link
//       is dropped.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "replication/link_sink.h"
#include "replication/options.h"
#include "replication/replica.h"
#include "replication/report.h"

namespace merrow::replication {

struct Now {
  int64_t steady_ms = 0;  // since an arbitrary start; never goes back
  int64_t wall_ms = 0;    // since the Unix epoch; may jump
};

class TimeSource {
 public:
  virtual ~TimeSource() = default;
  virtual Now Read() const = 0;
};

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning };
/// One line per event that an operator may want to know of: links, refusals, identity changes.
using Logger = std::function<void(LogLevel, std::string_view)>;

class Replicator {
 public:
  /// `seen`: what counts as seen at the start, this site's own versions included. The references
  /// must outlive the Replicator; completions that arrive after it is gone are ignored.
  Replicator(const Options& options, const cells::SiteId& site, SiteVersions seen, Replica& replica,
             const TimeSource& time, Random& random, Logger logger = {});
  ~Replicator();
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

  /// A connection to another site stands. `dialed`: this site dialed it. Sends the first message.
  /// `sink` must stay valid until its Close was called or until OnLinkDown.
  LinkId OnLinkUp(LinkSink& sink, bool dialed);
  /// One whole message of the peer. Ignored, as are the next two, if the link was closed.
  void OnMessage(LinkId link, BytesView message);
  /// The sink's buffer has become empty, or fell well below Options::unsent_bytes_max.
  void OnDrained(LinkId link);
  /// The connection is gone.
  void OnLinkDown(LinkId link);

  /// Transactions of this site were committed, in this order. Must be called for every one that
  /// replicates, before the outcome of any later Apply is reported.
  void OnLocalCommits(std::vector<SharedChangeset> changesets);
  void OnLocalCommit(SharedChangeset changeset) { OnLocalCommits({std::move(changeset)}); }
  /// The same of transactions that could not be read: peers hear of them and pull.
  void OnUnreadCommits(const VersionRanges& versions);

  /// Lets time pass; call it at least ten times a second, or at next_tick_ms().
  void OnTick();
  /// The steady time at which the next OnTick has something to do, about.
  int64_t next_tick_ms() const;

  /// Tables or columns came: what was refused may be asked for again.
  void OnSchemaChanged(uint64_t schema_hash);
  /// Somebody said that the site is lost for good, or took that back. To be told of each one that
  /// was forgotten before, too, before links come up.
  void OnForgotten(const cells::SiteId& site, bool is_forgotten);
  /// Asks for a comparison of digests on every link now.
  void CompareDigests();
  /// Says Bye on every link, as on shutdown. No more links may come up.
  void CloseAll();

  /// This site; another one after an identity change.
  const cells::SiteId& site() const;
  const SiteVersions& seen() const;
  Report report() const;
  /// Stops the process if an invariant is broken. Cost: everything.
  void CheckInvariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::replication
