// SPDX-License-Identifier: Apache-2.0
//
// Peer secrets: what sites show each other, read from the files that the options name: the tokens,
// and certificates with their keys and authorities. They are read at the start, and again when
// somebody asks (SIGHUP), on a thread of their own, since files may be on a disk that hangs (it is
// left behind then when the server ends). What is read is checked as a whole before anybody uses
// it; if anything is wrong, what was read before stays.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "merrow/result.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "server/server.h"

namespace merrow::server {

struct PeerSecrets {
  /// The first one is shown, all are accepted. Empty: none is shown or asked for.
  std::vector<std::string> tokens;
  /// For accepted connections; null: plain TCP.
  net::SharedTlsContext accepting;
  /// For dialed ones; null: the system's authorities, and no certificate.
  net::SharedTlsContext dialing;

  std::string shown_token() const { return tokens.empty() ? "" : tokens.front(); }
};

inline constexpr size_t kTokensMax = 16;

/// Also warns of secrets that other users may read. Errors name the file.
Result<PeerSecrets> ReadPeerSecrets(const ReplicationOptions& options);

/// For the status.
struct PeerSecretsReport {
  int64_t read_unix_ms = 0;  // those that are in use
  uint64_t reloads = 0;      // since the start, that succeeded
  uint64_t reloads_failed = 0;
  /// Why the last reload failed, and when; empty if it did not.
  std::string error;
  int64_t error_unix_ms = 0;
  /// When the certificate that is shown expires, if there is one.
  std::optional<int64_t> certificate_unix_s;
};

/// Keeps them up to date. On the loop's thread.
class PeerSecretsReader {
 public:
  /// The references must outlive this.
  PeerSecretsReader(const ReplicationOptions& options, net::EventLoop& loop, const Clock& clock);
  /// Does not wait long for a read that is under way.
  ~PeerSecretsReader();
  PeerSecretsReader(const PeerSecretsReader&) = delete;
  PeerSecretsReader& operator=(const PeerSecretsReader&) = delete;

  /// The first time, here and now.
  Result<PeerSecrets> Read();
  /// Reads again; `use` gets what is new, later, if nothing is wrong with it. What it returns
  /// counts as wrong with it, too. Asked while it reads, it reads once more afterwards.
  void Reload(std::function<Status(const PeerSecrets&)> use);

  /// Whether there is anything to read.
  bool has_files() const;
  PeerSecretsReport report() const { return report_; }

 private:
  // What the thread that reads holds on to.
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    // Guarded by mutex.
    PeerSecretsReader* reader = nullptr;  // null once it is gone
    bool is_running = false;
  };

  void Start();
  void OnRead(Result<PeerSecrets> secrets);
  void Note(const PeerSecrets& secrets);
  void Fail(const Error& error);

  const ReplicationOptions options_;
  net::EventLoop& loop_;
  const Clock& clock_;
  PeerSecretsReport report_;
  std::function<Status(const PeerSecrets&)> use_;
  bool is_reading_ = false;
  bool is_asked_again_ = false;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::thread thread_;
};

}  // namespace merrow::server
