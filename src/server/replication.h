// SPDX-License-Identifier: Apache-2.0
//
// Replication of a server: the Replicator with what it works on (the store, the digest thread, the
// connections to other sites), made and torn down in the right order.
//
// What the store commits for this site itself, whoever asked for it, reaches the Replicator by the
// store thread's observer; what arrives from other sites reaches the clients by the hub.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "net/event_loop.h"
#include "replication/replicator.h"
#include "server/digest_thread.h"
#include "server/peer_links.h"
#include "server/peer_secrets.h"
#include "server/replica_on_store.h"
#include "server/server.h"
#include "server/store_thread.h"
#include "sync/hub.h"

namespace merrow::server {

/// What a store knows when it was opened.
struct ReplicationStart {
  cells::SiteId site;
  changeset::SiteVersions seen;
  uint64_t schema_hash = 0;
  std::vector<cells::SiteId> forgotten;
};

/// Also makes the store keep what it commits. REQUIRES: it was opened with `replicate`.
Result<ReplicationStart> PrepareReplication(store::Store& store);

class Replication {
 public:
  /// All must outlive this.
  struct Parts {
    StoreThread& store;
    sync::Hub& hub;
    net::EventLoop& loop;
    const Clock& clock;
  };
  /// Listens, if the options say so. `start` is of the store before its thread began.
  /// `database_path` is for the digests.
  static Result<std::unique_ptr<Replication>> Open(const ReplicationOptions& options,
                                                   const std::string& database_path,
                                                   const ReplicationStart& start,
                                                   const Parts& parts);
  /// Cuts what is left. REQUIRES: the loop does not run any more
  ~Replication();
  Replication(const Replication&) = delete;
  Replication& operator=(const Replication&) = delete;

  /// Begins to dial.
  void Begin();
  /// Reads tokens and certificates again; links that stand are not touched. REQUIRES: Begin was
  /// called
  void ReloadSecrets();
  /// Says Bye to all peers; `on_done` comes once, on the loop.
  void Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done);

  void OnForgotten(const cells::SiteId& site, bool is_forgotten) {
    replicator_->OnForgotten(site, is_forgotten);
  }

  /// Where other sites connect to; empty: nowhere.
  const std::string& url() const { return url_; }
  const replication::Replicator& replicator() const { return *replicator_; }
  const PeerLinks& links() const { return *links_; }
  /// Nothing if neither token nor certificate is set.
  std::optional<PeerSecretsReport> secrets() const {
    if (!secrets_.has_files()) return std::nullopt;
    return secrets_.report();
  }

 private:
  class Time final : public replication::TimeSource {
   public:
    explicit Time(const Clock& clock) : clock_(clock) {}
    replication::Now Read() const override {
      return {clock_.MonotonicMicros() / 1000, clock_.UnixMillis()};
    }

   private:
    const Clock& clock_;
  };

  Replication(const ReplicationOptions& options, const std::string& database_path,
              const ReplicationStart& start, const Parts& parts);
  Status Connect(const ReplicationOptions& options);

  const Parts parts_;
  const Time time_;
  SystemRandom random_;
  PeerSecretsReader secrets_;
  std::string url_;
  net::PeerDialerOptions dialer_options_;
  std::unique_ptr<DigestThread> digests_;
  std::unique_ptr<ReplicaOnStore> replica_;
  std::unique_ptr<replication::Replicator> replicator_;
  std::unique_ptr<PeerLinks> links_;
};

}  // namespace merrow::server
