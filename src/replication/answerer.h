// SPDX-License-Identifier: Apache-2.0
//
// Answerer: answers what peers ask for, out of the database, one request per link at a time.
//
// Pages are read as the link drains, so what is held in memory for a link is one page. A changeset
// that is larger than a message goes in parts; all parts of one changeset follow each other.
//
// Inside of this layer only.

#pragma once

#include "replication/core.h"

namespace merrow::replication {

class Answerer {
 public:
  explicit Answerer(Core* core) : core_(*core) {}

  void OnNeed(Link& link, const NeedMessage& need);
  /// Sends on, as far as the link takes it.
  void Pump(Link& link);
  void OnTick();
  int64_t NextDue() const;

 private:
  void Read(Link& link);
  void OnPage(Link& link, const cells::SiteId& site, ReadPage page);
  bool SendSome(Link& link, Answer& answer);
  /// Leaves out the first parts of this changeset that the peer has on disk.
  void SkipThere(const Changeset& changeset, Answer& answer);
  void SendPart(Link& link, Answer& answer);
  void SendChangesets(Link& link, Answer& answer);
  bool SendFrame(Link& link, std::span<const Changeset* const> changesets, ChangesMessage message);
  void SendEnd(Link& link, Answer& answer);
  static bool IsRead(const Answer& answer);

  Core& core_;
};

}  // namespace merrow::replication
