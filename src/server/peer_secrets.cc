// SPDX-License-Identifier: Apache-2.0
#include "server/peer_secrets.h"

#include <fmt/chrono.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <system_error>
#include <utility>

#include "server/file_bytes.h"

namespace merrow::server {
namespace {

constexpr size_t kTokenFileBytesMax = 16 << 10;
/// Far longer than files take that do not hang.
constexpr std::chrono::seconds kEndWait{1};

// A token to a line; empty lines do not count. Tokens go into a header, so they are visible ASCII.
Result<std::vector<std::string>> ReadTokens(const std::string& path) {
  std::vector<std::string> tokens;
  if (path.empty()) return tokens;
  MERROW_ASSIGN(const std::string text, ReadFileBytes(path, kTokenFileBytesMax));
  std::string_view rest = text;
  for (size_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool is_visible =
        std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 0x7F; });
    if (!is_visible) {
      return InvalidArgument(path + ":" + std::to_string(number) +
                             ": a token is one line of visible ASCII characters");
    }
    if (!line.empty()) tokens.emplace_back(line);
  }
  if (tokens.empty()) return InvalidArgument(path + " has no token in it");
  if (tokens.size() > kTokensMax) {
    return LimitReached(path + " holds more than " + std::to_string(kTokensMax) + " tokens");
  }
  return tokens;
}

void WarnIfOthersMayRead(const std::string& path) {
  if (!OthersMayRead(path)) return;
  spdlog::warn("{} is a secret that other users of this machine may read: chmod 600 it", path);
}

std::optional<int64_t> ExpiryOf(const PeerSecrets& secrets) {
  if (secrets.dialing == nullptr) return std::nullopt;
  return net::CertificateExpiry(*secrets.dialing);
}

std::string Day(int64_t unix_s) { return fmt::format("{:%F}", fmt::gmtime(unix_s)); }

}  // namespace

Result<PeerSecrets> ReadPeerSecrets(const ReplicationOptions& options) {
  PeerSecrets secrets;
  MERROW_ASSIGN(secrets.tokens, ReadTokens(options.token_file));
  const net::TlsFiles files{options.tls_cert, options.tls_key, options.tls_ca};
  if (!files.certificate.empty() || !files.ca.empty()) {
    MERROW_ASSIGN(secrets.dialing, net::LoadClientTls(files));
  }
  if (options.listen.has_value() && !files.certificate.empty()) {
    MERROW_ASSIGN(secrets.accepting, net::LoadServerTls(files, !files.ca.empty()));
  }
  WarnIfOthersMayRead(options.token_file);
  WarnIfOthersMayRead(options.tls_key);
  return secrets;
}

PeerSecretsReader::PeerSecretsReader(const ReplicationOptions& options, net::EventLoop& loop,
                                     const Clock& clock)
    : options_(options), loop_(loop), clock_(clock) {
  shared_->reader = this;
}

PeerSecretsReader::~PeerSecretsReader() {
  std::unique_lock lock(shared_->mutex);
  shared_->reader = nullptr;
  // Who reads while the process ends meets what has been torn down. What hangs does not read.
  const bool has_ended =
      shared_->ended.wait_for(lock, kEndWait, [this] { return !shared_->is_running; });
  lock.unlock();
  if (!thread_.joinable()) return;
  has_ended ? thread_.join() : thread_.detach();
}

bool PeerSecretsReader::has_files() const {
  return !options_.token_file.empty() || !options_.tls_cert.empty() || !options_.tls_ca.empty();
}

Result<PeerSecrets> PeerSecretsReader::Read() {
  Result<PeerSecrets> secrets = ReadPeerSecrets(options_);
  if (secrets.ok()) Note(*secrets);
  return secrets;
}

void PeerSecretsReader::Reload(std::function<Status(const PeerSecrets&)> use) {
  use_ = std::move(use);
  if (is_reading_) {
    is_asked_again_ = true;
    spdlog::warn("tokens and certificates are still being read; they are read again after that");
    return;
  }
  Start();
}

void PeerSecretsReader::Start() {
  if (thread_.joinable()) thread_.join();  // it has posted already
  is_reading_ = true;
  shared_->is_running = true;
  try {
    thread_ = std::thread([shared = shared_, options = options_] {
      Result<PeerSecrets> secrets = ReadPeerSecrets(options);
      const std::lock_guard lock(shared->mutex);
      shared->is_running = false;
      shared->ended.notify_one();
      if (shared->reader == nullptr) return;
      // What is posted runs only while the reader is there: it goes when the loop runs no more.
      shared->reader->loop_.Post([reader = shared->reader, secrets = std::move(secrets)]() mutable {
        reader->OnRead(std::move(secrets));
      });
    });
  } catch (const std::system_error& failure) {
    shared_->is_running = false;
    OnRead(IoError(std::string("cannot start a thread: ") + failure.what()));
  }
}

void PeerSecretsReader::OnRead(Result<PeerSecrets> secrets) {
  is_reading_ = false;
  // Who asked meanwhile may have put new files in place after the old ones were read.
  if (std::exchange(is_asked_again_, false)) return Start();
  if (!secrets.ok()) return Fail(secrets.error());
  if (const Status used = use_(*secrets); !used.ok()) return Fail(used.error());
  Note(*secrets);
  ++report_.reloads;
  spdlog::info("tokens and certificates were read again{}",
               report_.certificate_unix_s.has_value()
                   ? ": the certificate is valid until " + Day(*report_.certificate_unix_s)
                   : "");
}

void PeerSecretsReader::Note(const PeerSecrets& secrets) {
  report_.read_unix_ms = clock_.UnixMillis();
  report_.certificate_unix_s = ExpiryOf(secrets);
  report_.error.clear();
  if (report_.certificate_unix_s.value_or(INT64_MAX) < report_.read_unix_ms / 1000) {
    spdlog::warn("the TLS certificate {} has expired on {}: other sites will refuse it",
                 options_.tls_cert, Day(*report_.certificate_unix_s));
  }
}

void PeerSecretsReader::Fail(const Error& error) {
  ++report_.reloads_failed;
  report_.error = error.ToString();
  report_.error_unix_ms = clock_.UnixMillis();
  spdlog::error("cannot take new tokens and certificates, the old ones stay in use: {}",
                report_.error);
}

}  // namespace merrow::server
