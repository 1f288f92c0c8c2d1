// SPDX-License-Identifier: Apache-2.0
#include "replication/link.h"

namespace merrow::replication {
namespace {

changeset::FrameOptions FramesOf(const Options& options) {
  changeset::FrameOptions frames;
  frames.zstd_level = options.zstd_level;
  return frames;
}

template <typename T>
void Remove(SiteVersions& versions, const cells::SiteId& site, const T& what) {
  const auto at = versions.find(site);
  if (at == versions.end()) return;
  at->second.Remove(what);
  if (at->second.empty()) versions.erase(at);
}

}  // namespace

Link::Link(const Options& options, LinkId link_id, LinkSink& link_sink, bool was_dialed)
    : id(link_id),
      sink(link_sink),
      dialed(was_dialed),
      message_decoder(options),
      encoder({}, FramesOf(options)),
      decoder({}, FramesOf(options)) {}

void Link::UseDictionary(const Options& options) {
  changeset::FrameOptions frames = FramesOf(options);
  frames.dictionary = options.dictionary;
  encoder = changeset::Encoder({}, frames);
  decoder = changeset::Decoder({}, frames);
}

bool Link::PeerHas(const cells::SiteId& site, VersionRange range) const {
  return RangesOf(has, site).Includes(range);
}

const VersionRanges& RangesOf(const SiteVersions& versions, const cells::SiteId& site) {
  static const VersionRanges kNone;
  const auto at = versions.find(site);
  return at == versions.end() ? kNone : at->second;
}

size_t CountRanges(const SiteVersions& versions) {
  size_t count = 0;
  for (const auto& [site, of_site] : versions) count += of_site.ranges().size();
  return count;
}

void RemoveFrom(SiteVersions& versions, const cells::SiteId& site, VersionRange range) {
  Remove(versions, site, range);
}

void RemoveFrom(SiteVersions& versions, const cells::SiteId& site, const VersionRanges& ranges) {
  Remove(versions, site, ranges);
}

}  // namespace merrow::replication
