// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc json` and `merrow doc merge`: several blobs as one document.
#include <ostream>

#include "cli/doc_tools.h"

namespace merrow::cli {
namespace {

// Nobody edits here, so that the peer does not matter.
constexpr loro::PeerId kReader = 0;

Error Parked(const std::vector<loro::IdSpan>& pending) {
  return Conflict("ops that depend on others that no file has: " + FormatSpans(pending));
}

Result<Bytes> ExportAs(const std::string& mode, loro::Document* doc) {
  if (mode == "update") {
    // Updates would start after the trimmed history, and nobody without it could read them.
    if (doc->is_shallow()) {
      return Conflict("--mode update: history is trimmed; a snapshot can hold the rest");
    }
    return doc->ExportUpdates({});
  }
  if (mode == "snapshot") return doc->ExportSnapshot();
  if (mode == "shallow-snapshot") return doc->ExportShallowSnapshot(doc->frontiers());
  return InvalidArgument("--mode " + mode);
}

}  // namespace

Status DocJson(const std::vector<std::string>& files, DocIo& io) {
  loro::Document doc(kReader);
  MERROW_ASSIGN(const std::vector<loro::IdSpan> pending, ImportDocFiles(files, io, &doc));
  io.out << EscapeControls(doc.ToJson()) << '\n';
  if (!pending.empty()) return Parked(pending);
  return {};
}

Status DocMerge(const std::vector<std::string>& files, const std::string& out_file,
                const std::string& mode, DocIo& io) {
  loro::Document doc(kReader);
  MERROW_ASSIGN(const std::vector<loro::IdSpan> pending, ImportDocFiles(files, io, &doc));
  if (!pending.empty()) return Parked(pending).Within(Printable(out_file) + ": not written");
  MERROW_ASSIGN(const Bytes merged, ExportAs(mode, &doc));
  return WriteDocFile(out_file, merged, io);
}

}  // namespace merrow::cli
