// SPDX-License-Identifier: Apache-2.0
//
// Two people edit one document on their own, exchange what the other lacks, and see the same.

#include <cstdio>
#include <string>

#include "merrow/document.h"

namespace loro = merrow::loro;

namespace {

// Every call that can fail returns a Status or a Result; this program passes them up.
merrow::Status Run() {
  const auto body = loro::ContainerId::Root("body", loro::ContainerKind::kText);
  const auto row = loro::ContainerId::Root("row", loro::ContainerKind::kMap);

  loro::Document ada(/*peer=*/1);
  MERROW_TRY(ada.TextInsert(body, 0, "the quick fox"));
  MERROW_TRY(ada.MapSet(row, "title", "Foxes"));
  ada.Commit();

  loro::Document bo(/*peer=*/2);
  MERROW_TRY(bo.Import(ada.ExportUpdates(bo.version())));

  // Both go on at the same time.
  MERROW_TRY(ada.TextInsert(body, 10, "brown "));
  MERROW_TRY(bo.TextMark(body, 0, 3, "bold", true, loro::StyleExpand::kAfter));
  MERROW_TRY(bo.TextInsert(body, 13, " jumps"));

  // Each sends what the other lacks, by version vector.
  const merrow::Bytes from_ada = ada.ExportUpdates(bo.version());
  const merrow::Bytes from_bo = bo.ExportUpdates(ada.version());
  MERROW_TRY(ada.Import(from_bo));
  MERROW_TRY(bo.Import(from_ada));

  std::printf("%s\n", ada.ToJson().c_str());
  std::string delta;
  bo.AppendDelta(body, &delta);
  std::printf("%s\n", delta.c_str());
  return ada.ToJson() == bo.ToJson() ? merrow::Status()
                                     : merrow::Conflict("the two documents differ");
}

}  // namespace

int main() {
  const merrow::Status status = Run();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}
