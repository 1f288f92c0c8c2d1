// SPDX-License-Identifier: Apache-2.0
#include "store/replica_export.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace merrow::store {
namespace {

using changeset::Changeset;
using changeset::SiteVersions;
using changeset::VersionRanges;

/// All sites' calls of ReplicaLog::Read together, and the least that one asks for.
constexpr size_t kPagesBytes = size_t{4} << 20;
constexpr size_t kPageBytesMin = size_t{64} << 10;
/// Larger changesets are cut into parts.
constexpr size_t kPartBytes = size_t{1} << 20;

/// What is to be written of one site, page by page.
struct SitePages {
  cells::SiteId site;
  VersionRanges wanted;
  std::vector<SharedChangeset> page;
  size_t next = 0;  // of page
  bool more = true;
};

/// All that is wanted of all sites, by rising timestamp as far as that goes: a transaction that has
/// seen another has a later one, so whoever applies them in this order has what each depends on.
class ChangesetMerger {
 public:
  ChangesetMerger(ReplicaLog& log, const SiteVersions& wanted)
      : log_(log),
        page_bytes_(std::max(kPagesBytes / std::max<size_t>(wanted.size(), 1), kPageBytesMin)) {
    for (const auto& [site, versions] : wanted) sites_.push_back({site, versions, {}, 0, true});
  }

  /// Null after the last.
  Result<SharedChangeset> Next() {
    SitePages* first = nullptr;
    for (SitePages& pages : sites_) {
      MERROW_TRY(Fill(pages));
      const bool is_done = pages.next == pages.page.size();
      if (!is_done && (first == nullptr || Place(pages) < Place(*first))) {
        first = &pages;
      }
    }
    if (first == nullptr) return SharedChangeset();
    return std::exchange(first->page[first->next++], nullptr);
  }

  /// After the last: what of the wanted was not read.
  SiteVersions left_out() const {
    SiteVersions left_out;
    for (const SitePages& pages : sites_) {
      if (!pages.wanted.empty()) left_out[pages.site] = pages.wanted;
    }
    return left_out;
  }

 private:
  static std::tuple<changeset::Timestamp, cells::SiteId> Place(const SitePages& pages) {
    return {pages.page[pages.next]->timestamp, pages.site};
  }

  Status Fill(SitePages& pages) {
    while (pages.next == pages.page.size() && pages.more && !pages.wanted.empty()) {
      MERROW_ASSIGN(ReplicaPage page,
                    log_.Read(pages.site, pages.wanted, page_bytes_, ReadOrder::kOldestFirst));
      pages.page = std::move(page.changesets);
      pages.next = 0;
      pages.wanted.Remove(page.settled);
      pages.more = page.more;
    }
    return {};
  }

  ReplicaLog& log_;
  const size_t page_bytes_;
  std::vector<SitePages> sites_;
};

}  // namespace

Result<ExportedChanges> ExportChanges(ReplicaLog& log, const SiteVersions& since, int zstd_level,
                                      changeset::FileWriter::Sink sink) {
  changeset::FrameOptions options;
  options.zstd_level = zstd_level;
  changeset::FileWriter writer(std::move(sink), options);
  ChangesetMerger merger(log, changeset::Difference(log.seen(), since));
  ExportedChanges exported;
  while (true) {
    MERROW_ASSIGN(const SharedChangeset changeset, merger.Next());
    if (changeset == nullptr) break;
    ++exported.changesets;
    for (Changeset& part : changeset::SplitChangeset(*changeset, kPartBytes)) {
      MERROW_TRY(writer.Add(std::move(part)));
    }
  }
  MERROW_TRY(writer.Finish());
  exported.left_out = merger.left_out();
  return exported;
}

}  // namespace merrow::store
