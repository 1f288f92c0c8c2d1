// SPDX-License-Identifier: Apache-2.0
#include "server/static_files.h"

#include <xxhash.h>

#include <filesystem>
#include <system_error>

#include "server/file_bytes.h"

namespace merrow::server {
namespace {

namespace fs = std::filesystem;

std::string ContentTypeOf(const fs::path& path) {
  static const std::map<std::string, std::string, std::less<>> kTypes = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".json", "application/json"},
      {".map", "application/json"},
      {".wasm", "application/wasm"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".txt", "text/plain; charset=utf-8"},
      {".woff2", "font/woff2"},
  };
  const auto found = kTypes.find(path.extension().string());
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

bool IsHidden(const fs::path& relative) {
  for (const fs::path& part : relative) {
    if (part.string().starts_with('.')) return true;
  }
  return false;
}

}  // namespace

Result<StaticFiles> StaticFiles::Load(const std::string& directory) {
  StaticFiles files;
  size_t bytes = 0;
  std::error_code failed;
  fs::path at = directory;
  const auto cannot_read = [&] {
    return IoError("cannot read " + at.string() + ": " + failed.message());
  };
  fs::recursive_directory_iterator entry(directory, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    at = entry->path();
    const fs::path relative = at.lexically_relative(directory);
    const fs::file_status status = entry->symlink_status(failed);
    if (failed) return cannot_read();
    if (IsHidden(relative)) {
      entry.disable_recursion_pending();
      continue;
    }
    if (!fs::is_regular_file(status)) continue;
    MERROW_ASSIGN(Bytes content, ReadFileBytes(at.string(), kBytesMax - bytes));
    bytes += content.size();
    const std::string etag = "\"" + std::to_string(XXH64(content.data(), content.size(), 0)) + "\"";
    files.files_[relative.generic_string()] = {ContentTypeOf(relative), etag, std::move(content)};
  }
  if (failed) return cannot_read();
  return files;
}

net::HttpResponse StaticFiles::Get(const net::HttpRequest& request) const {
  std::string path;
  for (const std::string& segment : request.segments) {
    if (!path.empty()) path.push_back('/');
    path += segment;
  }
  auto found = files_.find(path);
  if (found == files_.end()) {
    if (!path.empty() && path.back() != '/') path.push_back('/');
    found = files_.find(path + "index.html");
  }
  if (found == files_.end()) return net::HttpResponse::Text(404, "not found\n");
  const File& file = found->second;
  net::HttpResponse response;
  // Revalidated on every use, so that a new build of a page is seen at once.
  response.headers = {{"Content-Type", file.content_type},
                      {"Cache-Control", "no-cache"},
                      {"ETag", file.etag},
                      {"X-Content-Type-Options", "nosniff"}};
  if (request.Header("If-None-Match") == file.etag) {
    response.status = 304;
  } else {
    response.body = file.content;
  }
  return response;
}

}  // namespace merrow::server
