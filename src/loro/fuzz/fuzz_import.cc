// SPDX-License-Identifier: Apache-2.0
//
// Import of a blob of either mode. What is refused must leave no trace; what is taken must mean the
// same after another export, whether of updates or of a snapshot.

#include "loro/fuzz/fuzz_repair.h"
#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

constexpr PeerId kReader = 424'242;

void CheckSame(const Document& a, const Document& b) {
  MERROW_CHECK(a.version() == b.version());
  MERROW_CHECK(a.frontiers() == b.frontiers());
  MERROW_CHECK(a.ToJson() == b.ToJson());
  b.CheckInvariants();
}

}  // namespace

void FuzzImport(BytesView input) {
  Document doc(kReader);
  const Result<ImportStatus> status = doc.Import(RepairedBlob(input));
  doc.CheckInvariants();
  if (!status.ok()) {
    MERROW_CHECK(doc.op_count() == 0);
    MERROW_CHECK(doc.ToJson() == "{}");
    return;
  }
  Document from_updates(kReader);
  MERROW_CHECK(from_updates.Import(doc.ExportUpdates({})).ok());
  CheckSame(doc, from_updates);
  const Bytes snapshot = doc.ExportSnapshot();
  Document from_snapshot(kReader);
  MERROW_CHECK(from_snapshot.Import(snapshot).ok());
  CheckSame(doc, from_snapshot);
  Document loaded(kReader);
  MERROW_CHECK(loaded.Load(snapshot).ok());
  CheckSame(doc, loaded);
}

}  // namespace merrow::loro
