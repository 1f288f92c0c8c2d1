// SPDX-License-Identifier: Apache-2.0
//
// What commands write: a file that appears whole or not at all, or standard output ("-").

#pragma once

#include <string>

#include "cli/doc_file.h"
#include "merrow/result.h"

namespace merrow::cli {

/// A file that is being written. One that exists is replaced by Finish() and not before; of one
/// that was not finished nothing stays, unless it is a pipe, a device or standard output.
class OutputFile {
 public:
  /// Nothing is opened before the first Write.
  OutputFile(const std::string& file, DocIo& io) : file_(file), io_(io) {}
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Errors of both name the file, and are kept.
  Status Write(BytesView bytes);
  /// The file is on disk when it returns.
  Status Finish();

  const Status& status() const { return status_; }
  uint64_t bytes() const { return bytes_; }

 private:
  bool is_standard() const { return file_ == "-"; }
  Status Open();
  Status WriteAll(BytesView bytes);
  Status Replace();
  Error Failed(const char* what, int code) const;

  const std::string file_;
  DocIo& io_;
  int descriptor_ = -1;
  std::string partial_;  // what is written to, if that is to be renamed
  uint64_t bytes_ = 0;
  Status status_;
};

}  // namespace merrow::cli
