// SPDX-License-Identifier: Apache-2.0
//
// Changeset files of the `merrow changes` commands, which are too large to be held in memory: read
// and written piece by piece. "-" is standard input or output.

#pragma once

#include <fstream>
#include <string>

#include "changeset/changeset_file.h"
#include "cli/doc_file.h"
#include "merrow/result.h"

namespace merrow::cli {

/// The bytes of `file`. Errors name it; those of the source do not.
Result<changeset::FileReader::Source> OpenChanges(const std::string& file, DocIo& io);

/// A file that is being written. One that exists is replaced by Finish() and not before; of one
/// that was not finished nothing stays, unless it is a pipe, a device or standard output.
class ChangesOutput {
 public:
  /// Nothing is opened before the first Write.
  ChangesOutput(const std::string& file, DocIo& io) : file_(file), io_(io) {}
  ~ChangesOutput();
  ChangesOutput(const ChangesOutput&) = delete;
  ChangesOutput& operator=(const ChangesOutput&) = delete;

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
