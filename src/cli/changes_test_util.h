// SPDX-License-Identifier: Apache-2.0
//
// For the tests of `merrow changes`: databases, and the command line.

#pragma once

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/changes.h"
#include "cli/folder_test_util.h"
#include "store/document_capture.h"

namespace merrow::cli {

/// A database as a program with merrow.so has it open.
class Site {
 public:
  explicit Site(const std::string& path)
      : database_(store::Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE).value()),
        cells_(store::CellStore::Attach(database_->handle()).value()) {
    store::DocumentCaptureOptions options;
    options.clock = &clock_;
    options.random = &random_;
    capture_ = store::DocumentCapture::Attach(*cells_, options).value();
  }
  ~Site() { cells_->FinalizeStatements(); }

  void Run(const std::string& sql) {
    const Status status = database_->Execute(sql);
    ASSERT_TRUE(status.ok()) << status.error().message();
  }
  void Track(const std::string& table) {
    Run("BEGIN");
    ASSERT_TRUE(capture_->Track(table).ok());
    Run("COMMIT");
  }
  /// Tracks it if that is possible.
  bool Tracks(const std::string& table) {
    Run("BEGIN");
    const bool is_tracked = capture_->Track(table).ok();
    Run(is_tracked ? "COMMIT" : "ROLLBACK");
    return is_tracked;
  }
  cells::SiteId NewSite() {
    Run("BEGIN");
    const Result<cells::SiteId> site = capture_->NewSite();
    EXPECT_TRUE(site.ok()) << (site.ok() ? "" : site.error().message());
    Run("COMMIT");
    return site.ok() ? *site : cells::SiteId();
  }
  std::string Rows(const std::string& sql) {
    std::string rows;
    auto statement = database_->Prepare(sql).value();
    while (statement.Step().value()) {
      for (int column = 0; column < sqlite3_column_count(statement.handle()); ++column) {
        rows += std::string(statement.Text(column)) + "|";
      }
      rows += "\n";
    }
    return rows;
  }

 private:
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<store::Database> database_;
  store::CellStore* cells_;
  store::DocumentCapture* capture_ = nullptr;
};

/// Of both kinds of rows.
inline constexpr char kBothKindsSchema[] =
    "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT, body CRDT_TEXT);"
    "CREATE TABLE service (name TEXT PRIMARY KEY NOT NULL, port INTEGER);";

class ChangesCommandTest : public FolderTest {
 protected:
  /// The exit code; what was printed is in out_ and err_.
  int Run(std::vector<std::string> arguments) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    DocIo io{in, out, err};
    int exit_code = 0;
    CLI::App app;
    AddChanges(app, io, exit_code);
    arguments.insert(arguments.begin(), "changes");
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
    out_ = out.str();
    err_ = err.str();
    return exit_code;
  }

  std::string out_;
  std::string err_;
};

}  // namespace merrow::cli
