// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc json` and `merrow doc merge`: several blobs as one document.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "cli/doc_tools.h"

namespace merrow::cli {
namespace {

// Nobody edits here, so that the peer does not matter.
constexpr loro::PeerId kReader = 0;

Error Parked(const std::vector<loro::IdSpan>& pending) {
  return Conflict("ops that depend on others that no file has: " + FormatSpans(pending));
}

Status WriteTo(const std::filesystem::path& path, const std::string& name, BytesView bytes) {
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return {};
  return IoError(name + ": cannot be written: " + std::strerror(errno));
}

// A file that exists is replaced when all is written, and not before.
Status WriteDocFile(const std::string& file, BytesView bytes) {
  const std::string name = Printable(file);
  std::error_code error;
  const auto kind = std::filesystem::status(file, error).type();
  if (kind != std::filesystem::file_type::regular &&
      kind != std::filesystem::file_type::not_found) {
    return WriteTo(file, name, bytes);  // a pipe or a device
  }
  const std::string partial = file + ".partial";
  Status status = WriteTo(partial, name, bytes);
  if (status.ok()) {
    std::filesystem::rename(partial, file, error);
    if (!error) return {};
    status = IoError(name + ": cannot be replaced: " + error.message());
  }
  std::filesystem::remove(partial, error);
  return status;
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
  if (out_file != "-") return WriteDocFile(out_file, merged);
  io.out.write(merged.data(), static_cast<std::streamsize>(merged.size()));
  return {};
}

}  // namespace merrow::cli
