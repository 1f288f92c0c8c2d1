// SPDX-License-Identifier: Apache-2.0
//
// Import of JSON updates. What is refused must leave no trace; what is taken must mean the same
// after it was written as JSON updates and as a blob.

#include "loro/fuzz/fuzz_target.h"
#include "merrow/check.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

constexpr PeerId kReader = 424'242;

}  // namespace

void FuzzJsonUpdates(BytesView input) {
  Document doc(kReader);
  const Result<ImportStatus> status = doc.ImportJson(input);
  doc.CheckInvariants();
  if (!status.ok()) {
    MERROW_CHECK(doc.op_count() == 0);
    MERROW_CHECK(doc.ToJson() == "{}");
    return;
  }
  const std::string json = doc.ExportJson();
  Document from_json(kReader);
  MERROW_CHECK(from_json.ImportJson(json).ok());
  MERROW_CHECK(from_json.ExportJson() == json);
  MERROW_CHECK(from_json.ToJson() == doc.ToJson());
  Document from_blob(kReader);
  MERROW_CHECK(from_blob.Import(doc.ExportUpdates({})).ok());
  MERROW_CHECK(from_blob.ExportJson() == json);
  MERROW_CHECK(from_blob.ToJson() == doc.ToJson());
  from_blob.CheckInvariants();
}

}  // namespace merrow::loro
