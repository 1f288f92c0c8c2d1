// SPDX-License-Identifier: Apache-2.0
#include "server/replication.h"

#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <utility>

#include "server/file_bytes.h"
#include "server/hub_notices.h"

namespace merrow::server {
namespace {

constexpr size_t kDictionaryBytesMax = size_t{16} << 20;
constexpr int kDigestBusyTimeoutMs = 5000;

void Log(replication::LogLevel level, std::string_view line) {
  switch (level) {
    case replication::LogLevel::kDebug:
      return spdlog::debug("{}", line);
    case replication::LogLevel::kInfo:
      return spdlog::info("{}", line);
    case replication::LogLevel::kWarning:
      return spdlog::warn("{}", line);
  }
}

Result<std::shared_ptr<const changeset::Dictionary>> ReadDictionary(const std::string& path,
                                                                    int level) {
  MERROW_ASSIGN(const Bytes bytes, ReadFileBytes(path, kDictionaryBytesMax));
  auto dictionary = changeset::Dictionary::FromBytes(bytes, level);
  if (!dictionary.ok()) return dictionary.error().Within(path);
  return dictionary;
}

// The same for any order of the file's statements.
uint64_t HashSchema(const store::Schema& schema) {
  uint64_t sum = 0;
  for (const store::SchemaObject& object : schema.objects()) {
    if (object.type != "table") continue;
    sum += XXH64(object.sql.data(), object.sql.size(), 0);
  }
  return sum;
}

}  // namespace

Result<ReplicationStart> PrepareReplication(store::Store& store) {
  store.KeepPublished(true);
  ReplicationStart start{store.own_site(), store.seen(), HashSchema(store.schema()), {}};
  MERROW_ASSIGN(const std::vector<store::KnownSite> sites, store.KnownSites());
  for (const store::KnownSite& site : sites) {
    if (site.forgotten_ms > 0) start.forgotten.push_back(site.site);
  }
  return start;
}

Replication::Replication(const ReplicationOptions& options, const std::string& database_path,
                         const ReplicationStart& start, const Parts& parts)
    : parts_(parts), time_(parts.clock), secrets_(options, parts.loop, parts.clock) {
  digests_ = std::make_unique<DigestThread>(database_path, kDigestBusyTimeoutMs, parts_.loop);
  const auto on_documents = [this](std::vector<store::DocumentNotice> notices) {
    TellHub(std::move(notices), &parts_.hub);
  };
  replica_ = std::make_unique<ReplicaOnStore>(parts_.store, *digests_, on_documents);
  replication::Options limits = options.limits;
  limits.schema_hash = start.schema_hash;
  replicator_ = std::make_unique<replication::Replicator>(limits, start.site, start.seen, *replica_,
                                                          time_, random_, Log);
  for (const cells::SiteId& site : start.forgotten) replicator_->OnForgotten(site, true);
  parts_.store.ObserveCommits([this](store::Store& store) -> std::function<void()> {
    std::vector<store::SharedChangeset> published = store.TakePublished();
    changeset::VersionRanges unread = store.TakeUnread();
    std::vector<store::DocumentNotice> notices = store.TakeNotices();
    if (published.empty() && unread.empty() && notices.empty()) return {};
    return [this, published = std::move(published), unread = std::move(unread),
            notices = std::move(notices)]() mutable {
      if (!published.empty()) replicator_->OnLocalCommits(std::move(published));
      if (!unread.empty()) replicator_->OnUnreadCommits(unread);
      if (!notices.empty()) TellHub(std::move(notices), &parts_.hub);
    };
  });
  PeerLinksOptions links_options;
  links_options.peers = options.peers;
  links_options.redial_ms_min = options.redial_ms_min;
  links_options.redial_ms_max = options.redial_ms_max;
  links_ = std::make_unique<PeerLinks>(links_options, parts_.loop, time_, random_, *replicator_);
}

Replication::~Replication() = default;

Result<std::unique_ptr<Replication>> Replication::Open(const ReplicationOptions& options,
                                                       const std::string& database_path,
                                                       const ReplicationStart& start,
                                                       const Parts& parts) {
  ReplicationOptions with_dictionary = options;
  if (!options.zstd_dictionary_file.empty()) {
    MERROW_ASSIGN(with_dictionary.limits.dictionary,
                  ReadDictionary(options.zstd_dictionary_file, options.limits.zstd_level));
  }
  std::unique_ptr<Replication> replication(
      new Replication(with_dictionary, database_path, start, parts));
  MERROW_TRY(replication->Connect(options));
  return replication;
}

Status Replication::Connect(const ReplicationOptions& options) {
  MERROW_ASSIGN(const PeerSecrets secrets, secrets_.Read());
  dialer_options_.token = secrets.shown_token();
  dialer_options_.tls = secrets.dialing;
  if (!options.listen.has_value()) return {};
  net::PeerListenerOptions listener_options;
  listener_options.tokens = secrets.tokens;
  listener_options.tls = secrets.accepting;
  listener_options.log = [](const std::string& line) { spdlog::warn("{}", line); };
  MERROW_TRY(links_->Listen(*options.listen, std::move(listener_options)));
  url_ = (options.tls_cert.empty() ? "ws://" : "wss://") + links_->listener()->address().ToString();
  return {};
}

void Replication::Begin() { links_->Start(std::move(dialer_options_)); }

void Replication::ReloadSecrets() {
  if (!secrets_.has_files()) {
    spdlog::info("there are no tokens or certificates to read again");
    return;
  }
  secrets_.Reload([this](const PeerSecrets& secrets) { return links_->Renew(secrets); });
}

void Replication::Shutdown(std::chrono::milliseconds deadline, std::function<void()> on_done) {
  links_->Shutdown(deadline, std::move(on_done));
}

}  // namespace merrow::server
