// SPDX-License-Identifier: Apache-2.0
//
// What commands write: a file that appears whole or not at all, or standard output ("-").

#pragma once

#include <string>

#include "cli/doc_file.h"
#include "merrow/result.h"

namespace merrow::cli {

/// A file that is being written. One that exists is replaced by Finish() and not before, and keeps
/// its owner and who may read it; a link stays, and what it leads to is replaced. Of one that was
/// not finished nothing stays, unless it is a pipe, a device or standard output. Until then it is
/// FILE.partial, and locked: who wants to write the same file meanwhile is refused as busy.
class OutputFile {
 public:
  /// Nothing is opened before the first Write.
  OutputFile(const std::string& file, DocIo& io) : file_(file), io_(io) {}
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Errors of both name the file, and are kept. The first Write may be refused.
  Status Write(BytesView bytes);
  /// The file is on disk when it returns.
  Status Finish();

  const Status& status() const { return status_; }
  uint64_t bytes() const { return bytes_; }

 private:
  bool is_standard() const { return file_ == "-"; }
  Status Open();
  Status OpenPartial();
  Status WriteAll(BytesView bytes);
  Status Replace();
  Status SyncFolder();
  Error Failed(const char* what, int code) const;

  const std::string file_;
  DocIo& io_;
  int descriptor_ = -1;
  std::string target_;   // what file_ leads to
  std::string partial_;  // what is written to and is ours, if that is to be renamed
  uint64_t bytes_ = 0;
  Status status_;
};

}  // namespace merrow::cli
