// SPDX-License-Identifier: Apache-2.0
//
// Digests: finds rows that differ although nothing is lacking, and repairs them.
//
// The side with the smaller site id begins: it sends the hashes of its 256 buckets, the peer
// answers which of them differ. Rows on their way make buckets differ for a moment; what differs in
// two rounds in a row is looked into: the beginner lists the hashes of the rows of such a bucket,
// the peer sends its own states of the rows that differ or that the beginner lacks, and asks for
// those that it lacks or has otherwise. Both merge what they get, so both have the join afterwards.
// A row that is larger than a frame goes in parts, which follow each other and are put together in
// memory.
//
// The work that a peer causes is done one piece at a time per link.
//
// Inside of this layer only.

#pragma once

#include "replication/core.h"

namespace merrow::replication {

class Digests {
 public:
  explicit Digests(Core* core) : core_(*core) {}

  void OnOpen(Link& link);
  void OnDigest(Link& link, DigestMessage digest);
  void OnDigestDiff(Link& link, const DigestDiffMessage& diff);
  void OnRowDigests(Link& link, RowDigestsMessage digests);
  void OnRowsWanted(Link& link, RowsWantedMessage wanted);
  void OnRows(Link& link, const RowsMessage& rows);
  /// Begins now, wherever this site is the one to begin.
  void CompareNow();
  /// Sends what waits for the link to drain.
  void Pump(Link& link);
  void OnTick();
  int64_t NextDue() const;

 private:
  using Job = std::function<void(Link&)>;
  bool Begins(const Link& link) const { return core_.site < *link.peer; }
  bool IsQuiet(const Link& link) const;
  void AddJob(Link& link, Job job);
  void NextJob(Link& link);
  /// What the job that runs asks the database for: the result goes to `then` if it is one, and if
  /// the job is still the current one; then the next job runs.
  template <typename T, typename F>
  std::function<void(T)> Then(const Link& link, F then);
  void Fail(Link& link, const Error& error);
  void Begin(Link& link);
  void ListRows(Link& link, uint32_t bucket);
  void SendRows(Link& link, uint32_t bucket, std::vector<uint64_t> keys);
  void SendRowsOf(Link& link, uint32_t bucket, const Changeset& changeset);
  Error TooLargeRow() const;
  Status SendFrameOf(Link& link, uint32_t bucket, const Changeset& changeset);
  /// The whole, if this is the last part and none was dropped.
  Result<std::optional<Changeset>> TakePart(Link& link, Changeset part);
  static void DropParts(Link& link);
  int64_t NextRoundMs(int repairs) const;
  void Queue(Link& link, const Message& message);

  Core& core_;
};

}  // namespace merrow::replication
