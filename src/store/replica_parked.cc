// SPDX-License-Identifier: Apache-2.0
#include "store/replica_parked.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/envelope.h"

namespace merrow::store {
namespace {

bool Contains(const std::vector<loro::IdSpan>& spans, const loro::Id& id) {
  return std::any_of(spans.begin(), spans.end(), [&](const loro::IdSpan& span) {
    return span.peer == id.peer && span.start <= id.counter && id.counter < span.end;
  });
}

bool IsHere(const DocumentVersions& here, const DocumentKey& document, const loro::Id& id) {
  const auto version = here.find(document);
  return version != here.end() && version->second.Includes(id);
}

void AddBlock(loro::PeerId peer, loro::Counter counter, loro::Counter end,
              const std::vector<loro::Change>& changes, BlockSummary* summary) {
  summary->spans.push_back({peer, counter, end});
  // A peer's ops follow each other.
  if (counter > 0) {
    summary->follows.push_back({peer, counter - 1});
  }
  for (const loro::Change& change : changes) {
    summary->follows.insert(summary->follows.end(), change.deps.begin(), change.deps.end());
  }
}

}  // namespace

Result<BlockSummary> SummarizeBlocks(BytesView blocks, bool fully) {
  BlockSummary summary;
  MERROW_TRY(loro::ForEachBlock(blocks, [&](BytesView bytes) -> Status {
    if (fully) {
      MERROW_ASSIGN(const loro::ChangeBlock block, loro::DecodeChangeBlock(bytes));
      AddBlock(block.peer, block.counter(), block.end(), block.changes, &summary);
    } else {
      MERROW_ASSIGN(const loro::ChangeBlockHeader block, loro::DecodeChangeBlockHeader(bytes));
      AddBlock(block.peer, block.counter, block.end, block.changes, &summary);
    }
    return {};
  }));
  std::erase_if(summary.follows, [&](const loro::Id& id) { return Contains(summary.spans, id); });
  return summary;
}

bool IsReady(const ParkedChangeset& changeset, const DocumentVersions& here) {
  return std::all_of(changeset.begin(), changeset.end(), [&](const auto& document) {
    const std::vector<loro::Id>& follows = document.second.follows;
    return std::all_of(follows.begin(), follows.end(),
                       [&](const loro::Id& id) { return IsHere(here, document.first, id); });
  });
}

std::vector<cells::DbVersion> FindClosedSet(const Parked& parked, const DocumentVersions& here) {
  std::set<cells::DbVersion> in;
  for (const auto& [local, changeset] : parked) {
    in.insert(local);
  }
  const auto brings = [&](const DocumentKey& document, const loro::Id& id) {
    return std::any_of(in.begin(), in.end(), [&](cells::DbVersion local) {
      const auto found = parked.at(local).find(document);
      return found != parked.at(local).end() && Contains(found->second.spans, id);
    });
  };
  const auto fits = [&](const ParkedChangeset& changeset) {
    return std::all_of(changeset.begin(), changeset.end(), [&](const auto& document) {
      const std::vector<loro::Id>& follows = document.second.follows;
      return std::all_of(follows.begin(), follows.end(), [&](const loro::Id& id) {
        return IsHere(here, document.first, id) || brings(document.first, id);
      });
    });
  };
  for (bool shrunk = true; shrunk;) {
    shrunk = std::erase_if(in, [&](cells::DbVersion local) { return !fits(parked.at(local)); }) > 0;
  }
  return {in.begin(), in.end()};
}

}  // namespace merrow::store
