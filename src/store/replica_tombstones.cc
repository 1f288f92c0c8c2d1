// SPDX-License-Identifier: Apache-2.0
//
// ReplicaLog's tombstones: which may go, and who holds them back.
//
// A tombstone goes when every other site has said that it has the version that it came with. Sites
// are those that ever wrote something that is here (_merrow_site) or were met otherwise
// (_merrow_cell_peer); what they have is told anew in each process. A former name of this site is
// one of them, because a copy or the original may go on under it. Left out are those that somebody
// said are lost. They may come back with rows whose deletion nobody remembers, so they are kept out
// then (_merrow_forgotten).
//
// It also stays for a while after the last of them has said so (ReplicaLimits::tombstone_keep_ms,
// replica_tombstone_marks.h), because a site that is restored from a backup no longer has what it
// said it had.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/bytes.h"
#include "store/replica_log.h"

namespace merrow::store {
namespace {

constexpr char kForgottenTable[] =
    "CREATE TABLE IF NOT EXISTS main._merrow_forgotten (id BLOB PRIMARY KEY NOT NULL, ms INTEGER "
    "NOT NULL) WITHOUT ROWID";

/// So many sites have a place in memory and on disk. A peer may name any number.
constexpr size_t kKnownSitesMax = 65'536;

/// Decides about tombstones, and counts.
class TombstoneCount {
 public:
  struct Times {
    int64_t now_ms = 0;
    int64_t keep_ms = 0;
  };
  /// `goes_if_alone`: there were other sites, so what none of them holds back may go.
  TombstoneCount(CellStore& cells, TombstoneMarks& marks,
                 const std::map<cells::SiteId, const changeset::SiteVersions*>& sites,
                 bool goes_if_alone, Times times)
      : cells_(cells),
        marks_(marks),
        goes_if_alone_(goes_if_alone || !sites.empty()),
        times_(times) {
    for (const auto& [site, has] : sites) {
      Holder& holder = holders_.emplace_back();
      holder.report.site = site;
      holder.has = has;
    }
  }

  Result<bool> MayGo(const cells::Stamp& sentinel) {
    MERROW_ASSIGN(const Transaction* const transaction, Find(sentinel.db_version));
    for (const size_t lacking : transaction->lacking) {
      Holder& holder = holders_[lacking];
      ++holder.report.tombstones;
      if (sentinel.db_version > holder.report.local) {
        holder.report.local = sentinel.db_version;
        holder.report.publisher = transaction->publisher;
        holder.report.version = transaction->version;
      }
    }
    bool goes = transaction->is_known && transaction->lacking.empty() && goes_if_alone_;
    if (goes && transaction->stays_until_ms > times_.now_ms) {
      goes = false;
      ++young_;
      young_until_ms_ = std::min(young_until_ms_, transaction->stays_until_ms);
    }
    left_ += goes ? 0 : 1;
    return goes;
  }

  void AddTo(TombstoneReport* report) const {
    report->left += left_;
    report->young += young_;
    report->young_until_ms = std::min(report->young_until_ms, young_until_ms_);
    for (const Holder& holder : holders_) {
      if (holder.report.tombstones == 0) {
        continue;
      }
      TombstoneHolder& sum = report->holders[holder.report.site];
      const int64_t before = sum.tombstones;
      if (holder.report.local > sum.local) {
        sum = holder.report;
      }
      sum.tombstones = before + holder.report.tombstones;
    }
  }

 private:
  struct Holder {
    TombstoneHolder report;
    const changeset::SiteVersions* has = nullptr;
  };
  /// What brought a tombstone, and who lacks it.
  struct Transaction {
    bool is_known = false;  // false: it is the open one
    cells::SiteId publisher;
    cells::DbVersion version = 0;
    std::vector<size_t> lacking;
    int64_t stays_until_ms = INT64_MIN;  // at least; if nobody lacks it
  };

  Result<const Transaction*> Find(cells::DbVersion local) {
    const auto [found, is_new] = transactions_.try_emplace(local);
    Transaction& transaction = found->second;
    if (!is_new) {
      return &transaction;
    }
    MERROW_TRY(find_.Prepare(cells_.db(),
                             "SELECT site, version FROM main._merrow_source WHERE local >= ?1 "
                             "ORDER BY local LIMIT 1"));
    const ResetAtEnd reset(find_);
    find_.BindInt(1, local);
    MERROW_ASSIGN(transaction.is_known, find_.Step());
    if (!transaction.is_known) {
      return &transaction;
    }
    MERROW_ASSIGN(transaction.publisher,
                  cells_.SiteOf(static_cast<cells::SiteOrdinal>(find_.Int(0))));
    transaction.version = find_.Int(1);
    for (size_t i = 0; i < holders_.size(); ++i) {
      const auto of_site = holders_[i].has->find(transaction.publisher);
      if (of_site == holders_[i].has->end() || !of_site->second.Contains(transaction.version)) {
        transaction.lacking.push_back(i);
      }
    }
    if (transaction.lacking.empty() && times_.keep_ms > 0) {
      MERROW_ASSIGN(transaction.stays_until_ms, StaysUntil(transaction));
    }
    return &transaction;
  }

  Result<int64_t> StaysUntil(const Transaction& transaction) {
    MERROW_ASSIGN(const std::optional<int64_t> since_ms,
                  marks_.SinceMs(cells_.db(), transaction.publisher, transaction.version));
    if (since_ms.has_value()) {
      return times_.keep_ms > INT64_MAX - *since_ms ? INT64_MAX : *since_ms + times_.keep_ms;
    }
    // When to look again, so that it gets a mark.
    MERROW_ASSIGN(const int64_t next_ms, marks_.NextMs(cells_.db(), times_.keep_ms));
    return std::max(next_ms, times_.now_ms + 1);
  }

  CellStore& cells_;
  TombstoneMarks& marks_;
  const bool goes_if_alone_;
  const Times times_;
  CellStatement find_;
  std::vector<Holder> holders_;
  std::unordered_map<cells::DbVersion, Transaction> transactions_;
  int64_t left_ = 0;
  int64_t young_ = 0;
  int64_t young_until_ms_ = INT64_MAX;
};

}  // namespace

Status ReplicaLog::CollectTombstones(const std::map<cells::SiteId, changeset::SiteVersions>& peers,
                                     TombstoneSweep* sweep) {
  MERROW_TRY(cells_.Join());
  MERROW_ASSIGN(const std::vector<KnownSite> known, KnownSites());
  const changeset::SiteVersions nothing;
  std::map<cells::SiteId, const changeset::SiteVersions*> sites;
  for (const auto& [peer, has] : peers) {
    sites[peer] = &has;
  }
  for (const KnownSite& site : known) {
    sites.try_emplace(site.site, &nothing);
  }
  for (const KnownSite& site : known) {
    if (site.is_gone) {
      sites.erase(site.site);
    }
  }
  const ReplicaLimits& limits = options_.limits;
  const int64_t now_ms = NowMs();
  if (limits.tombstone_keep_ms > 0 && !known.empty() && !std::exchange(sweep->has_begun, true)) {
    changeset::SiteVersions all_have = seen_;
    for (const auto& [site, has] : sites) {
      all_have = changeset::Common(all_have, *has);
    }
    MERROW_TRY(marks_.Note(cells_.db(), all_have, now_ms, limits.tombstone_keep_ms));
  }
  TombstoneCount count(cells_, marks_, sites, /*goes_if_alone=*/!known.empty(),
                       {.now_ms = now_ms, .keep_ms = limits.tombstone_keep_ms});
  const auto may_go = [&](const cells::Stamp& sentinel) { return count.MayGo(sentinel); };
  MERROW_ASSIGN(const int64_t collected,
                cells_.CollectTombstones(may_go, limits.tombstone_step, &sweep->place));
  sweep->report.collected += collected;
  count.AddTo(&sweep->report);
  return {};
}

Result<bool> ReplicaLog::TakesBack(const cells::SiteId& site, const changeset::SiteVersions& has) {
  MERROW_ASSIGN(const bool would, marks_.WouldLower(cells_.db(), has));
  if (!would) {
    return false;
  }
  // What others repeat of a site that is gone means nothing.
  MERROW_ASSIGN(const std::vector<KnownSite> known, KnownSites());
  return std::any_of(known.begin(), known.end(),
                     [&](const KnownSite& other) { return other.site == site && !other.is_gone; });
}

Status ReplicaLog::TakeBack(const changeset::SiteVersions& has) {
  return marks_.Lower(cells_.db(), has);
}

// --- Sites.

Status ReplicaLog::Meet(const cells::SiteId& site) {
  MERROW_ASSIGN(const std::vector<KnownSite> known, KnownSites());
  const bool is_known = std::any_of(known.begin(), known.end(),
                                    [&](const KnownSite& other) { return other.site == site; });
  if (is_known || site == own_site()) {
    return {};
  }
  if (known.size() >= kKnownSitesMax) {
    return LimitReached("there are " + std::to_string(known.size()) + " sites already");
  }
  return cells_.ConfirmPeer(site, 0);
}

Result<bool> ReplicaLog::HasForgottenTable() {
  CellStatement find;
  MERROW_TRY(find.Prepare(cells_.db(),
                          "SELECT 1 FROM main.sqlite_master WHERE name = '_merrow_forgotten'"));
  return find.Step();
}

Result<std::optional<int64_t>> ReplicaLog::ForgottenAt(const cells::SiteId& site) {
  MERROW_ASSIGN(const bool any, HasForgottenTable());
  if (!any) {
    return std::optional<int64_t>();
  }
  CellStatement find;
  MERROW_TRY(find.Prepare(cells_.db(), "SELECT ms FROM main._merrow_forgotten WHERE id = ?1"));
  find.Bind(1, cells::ValueView::Blob(site.view()));
  MERROW_ASSIGN(const bool found, find.Step());
  return found ? std::optional(find.Int(0)) : std::nullopt;
}

Result<std::vector<KnownSite>> ReplicaLog::KnownSites() {
  MERROW_ASSIGN(const bool any, HasForgottenTable());
  CellStatement read;
  MERROW_TRY(read.Prepare(
      cells_.db(),
      "SELECT s.id, coalesce(p.confirmed, 0) = " + std::to_string(cells::kDbVersionMax) + ", " +
          (any ? "coalesce((SELECT ms FROM main._merrow_forgotten f WHERE f.id = s.id), 0)" : "0") +
          " FROM (SELECT id FROM main._merrow_site WHERE ordinal <> 0 UNION SELECT id FROM "
          "main._merrow_cell_peer) s LEFT JOIN main._merrow_cell_peer p ON p.id = s.id ORDER BY "
          "1"));
  std::vector<KnownSite> sites;
  while (true) {
    MERROW_ASSIGN(const bool more, read.Step());
    if (!more) {
      return sites;
    }
    KnownSite site;
    MERROW_ASSIGN(site.site, cells::SiteId::FromBytes(read.Column(0).bytes));
    site.is_gone = read.Int(1) != 0;
    site.forgotten_ms = read.Int(2);
    sites.push_back(site);
  }
}

Result<cells::SiteId> ReplicaLog::FindSite(std::string_view hex) {
  MERROW_ASSIGN(const std::vector<KnownSite> known, KnownSites());
  std::string wanted(hex);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::vector<cells::SiteId> found;
  for (const KnownSite& site : known) {
    if (ToHex(site.site.view()).find(wanted) == 0) {
      found.push_back(site.site);
    }
  }
  if (wanted.size() < kSiteDigitsMin) {
    return InvalidArgument("'" + wanted + "' is too short: give at least " +
                           std::to_string(kSiteDigitsMin) + " digits of the site's id");
  }
  if (found.size() > 1) {
    return InvalidArgument("'" + wanted + "' may be several sites: give more of its id");
  }
  if (!found.empty()) {
    return found[0];
  }
  if (ToHex(own_site().view()).find(wanted) == 0) {
    return InvalidArgument("'" + wanted + "' is this site itself");
  }
  if (wanted.size() == 2 * cells::kSiteIdBytes) {
    // Others may tell of it later.
    MERROW_ASSIGN(const Bytes bytes, FromHex(wanted));
    return cells::SiteId::FromBytes(bytes);
  }
  return NotFound("no site '" + wanted +
                  "' was ever heard of here. All digits of its id are taken all the same");
}

Status ReplicaLog::ForgetSite(const cells::SiteId& site) {
  MERROW_TRY(cells_.Join());
  MERROW_TRY(RunSql(cells_.db(), kForgottenTable));
  CellStatement insert;
  MERROW_TRY(insert.Prepare(
      cells_.db(), "INSERT OR IGNORE INTO main._merrow_forgotten (id, ms) VALUES (?1, ?2)"));
  insert.Bind(1, cells::ValueView::Blob(site.view()));
  insert.BindInt(2, NowMs());
  MERROW_TRY(insert.Run());
  return cells_.ForgetPeer(site);
}

Status ReplicaLog::RememberSite(const cells::SiteId& site) {
  MERROW_ASSIGN(const std::optional<int64_t> forgotten_ms, ForgottenAt(site));
  if (!forgotten_ms.has_value()) {
    return NotFound("site " + ToHex(site.view()) + " was not forgotten");
  }
  MERROW_TRY(cells_.Join());
  for (const char* const sql : {"DELETE FROM main._merrow_forgotten WHERE id = ?1",
                                "UPDATE main._merrow_cell_peer SET confirmed = 0 WHERE id = ?1"}) {
    CellStatement statement;
    MERROW_TRY(statement.Prepare(cells_.db(), sql));
    statement.Bind(1, cells::ValueView::Blob(site.view()));
    MERROW_TRY(statement.Run());
  }
  return {};
}

}  // namespace merrow::store
