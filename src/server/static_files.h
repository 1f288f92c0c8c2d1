// SPDX-License-Identifier: Apache-2.0
//
// Static files: a directory of web pages, read once when the server starts, so that no request can
// reach another part of the disk.

#pragma once

#include <map>
#include <string>

#include "merrow/result.h"
#include "net/http_message.h"

namespace merrow::server {

class StaticFiles {
 public:
  /// All regular files in and below `directory` may hold this many bytes in all.
  static constexpr size_t kBytesMax = size_t{256} << 20;

  /// Serves nothing.
  StaticFiles() = default;
  /// Reads the directory. Hidden files and links are left out.
  static Result<StaticFiles> Load(const std::string& directory);

  bool empty() const { return files_.empty(); }
  /// The answer to a GET or HEAD of that path: a file, index.html for a directory, or 404.
  net::HttpResponse Get(const net::HttpRequest& request) const;

 private:
  struct File {
    std::string content_type;
    std::string etag;
    Bytes content;
  };
  std::map<std::string, File, std::less<>> files_;  // by path without a leading slash
};

}  // namespace merrow::server
