// SPDX-License-Identifier: Apache-2.0
#include "cli/changes.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <ostream>

#include "base/clock.h"
#include "cli/changes_file.h"
#include "cli/output_file.h"
#include "store/database_file.h"
#include "store/document_capture.h"
#include "store/file_lock.h"
#include "store/replica_snapshot.h"

namespace merrow::cli {
namespace {

constexpr int kBusyTimeoutMs = 5000;

Error NothingIsTracked() {
  return InvalidArgument(
      "no table of this database is tracked; SELECT merrow_track('t') in the extension does that");
}

/// A database that is opened for one command that writes it, locked against servers.
class ChangesDatabase {
 public:
  static Result<std::unique_ptr<ChangesDatabase>> Open(const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
      return NotFound("there is no such file");
    }
    MERROW_ASSIGN(store::FileLock lock, store::FileLock::Acquire(path));
    std::unique_ptr<ChangesDatabase> opened(new ChangesDatabase(std::move(lock)));
    MERROW_TRY(opened->Attach(path));
    return opened;
  }
  ~ChangesDatabase() {
    if (cells_ != nullptr) {
      cells_->FinalizeStatements();
    }
  }
  ChangesDatabase(const ChangesDatabase&) = delete;
  ChangesDatabase& operator=(const ChangesDatabase&) = delete;

  store::Database* database() { return database_.get(); }
  store::DocumentCapture& capture() { return *capture_; }

 private:
  explicit ChangesDatabase(store::FileLock lock) : lock_(std::move(lock)) {}

  Status Attach(const std::string& path) {
    MERROW_ASSIGN(database_, store::OpenExistingDatabase(path, kBusyTimeoutMs));
    MERROW_ASSIGN(cells_, store::CellStore::Attach(database_->handle()));
    store::DocumentCaptureOptions options;
    options.clock = &clock_;
    options.random = &random_;
    options.heed_server = false;  // the lock is ours
    MERROW_ASSIGN(capture_, store::DocumentCapture::Attach(*cells_, options));
    MERROW_TRY(cells_->tables().Refresh());
    MERROW_TRY(capture_->Settle());
    if (cells_->tables().tables().empty() && !capture_->rows().HasTables()) {
      return NothingIsTracked();
    }
    return {};
  }

  SystemClock clock_;
  SystemRandom random_;
  store::FileLock lock_;  // released after the database is closed
  std::unique_ptr<store::Database> database_;
  store::CellStore* cells_ = nullptr;
  store::DocumentCapture* capture_ = nullptr;
};

/// What a changeset file covers.
Result<changeset::SiteVersions> VersionsIn(const std::string& file, DocIo& io) {
  MERROW_ASSIGN(auto source, OpenChanges(file, io));
  changeset::FileReader reader(std::move(source));
  CoveredVersions covered;
  while (true) {
    const auto changesets = reader.Next();
    if (!changesets.ok()) {
      return changesets.error().Within(InputName(file));
    }
    if (!changesets->has_value()) {
      return covered.versions();
    }
    for (const changeset::Changeset& changeset : **changesets) {
      covered.Add(changeset);
    }
  }
}

Result<changeset::SiteVersions> ParseSince(const std::vector<std::string>& since, DocIo& io) {
  changeset::SiteVersions all;
  for (const std::string& one : since) {
    const bool is_file = !one.empty() && one.front() == '@';
    const auto versions =
        is_file ? VersionsIn(one.substr(1), io) : changeset::ParseSiteVersions(one);
    if (!versions.ok()) {
      return is_file ? versions.error() : versions.error().Within("--since");
    }
    for (const auto& [site, ranges] : *versions) {
      all[site].Add(ranges);
    }
  }
  return all;
}

/// Writing the file would replace what it is made of.
Status CheckNotTheDatabase(const std::string& out_file, const std::string& database) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::error_code error;
    if (std::filesystem::equivalent(out_file, database + suffix, error)) {
      return InvalidArgument(Printable(out_file) + " is the database itself");
    }
  }
  return {};
}

/// In a database that never exchanged anything: notes what is in it as versions of its site.
Status MakeLog(const std::string& database) {
  MERROW_ASSIGN(const auto opened, ChangesDatabase::Open(database));
  MERROW_ASSIGN(auto transaction, store::Transaction::Begin(opened->database()));
  MERROW_TRY(opened->capture().Versions());
  return transaction.Commit();
}

/// Of a database whose log is whole. Makes it so if need be.
Result<std::unique_ptr<store::ReplicaSnapshot>> OpenSnapshot(const std::string& database,
                                                             const Clock& clock) {
  MERROW_ASSIGN(auto snapshot, store::ReplicaSnapshot::Open(database, clock, kBusyTimeoutMs));
  if (!snapshot->has_tables()) {
    return NothingIsTracked();
  }
  if (snapshot->has_whole_log()) {
    return snapshot;
  }
  snapshot.reset();
  const Status made = MakeLog(database);
  if (!made.ok()) {
    return made.error().Within(
        "what others may know of it was never written down, and has to be before the first export "
        "(a server with --replicate does so, too)");
  }
  MERROW_ASSIGN(snapshot, store::ReplicaSnapshot::Open(database, clock, kBusyTimeoutMs));
  return snapshot->has_whole_log() ? std::move(snapshot)
                                   : Result<std::unique_ptr<store::ReplicaSnapshot>>(Busy(
                                         "somebody writes it who keeps no replica log; try again"));
}

struct Flags {
  std::string database;
  std::vector<std::string> since;
  int zstd_level = store::DocumentCapture::kExportZstdLevel;
  std::string out;
  std::vector<std::string> files;
  std::string file;
  bool as_json = false;
};

}  // namespace

Status ChangesExport(const std::string& database, const std::vector<std::string>& since,
                     int zstd_level, const std::string& out_file, DocIo& io) {
  MERROW_TRY(CheckNotTheDatabase(out_file, database));
  MERROW_ASSIGN(const changeset::SiteVersions have, ParseSince(since, io));
  OutputFile output(out_file, io);
  const auto run = [&]() -> Result<store::ExportedChanges> {
    const SystemClock clock;
    MERROW_ASSIGN(const auto snapshot, OpenSnapshot(database, clock));
    return snapshot->ExportChanges(have, zstd_level,
                                   [&output](BytesView bytes) { return output.Write(bytes); });
  };
  const auto exported = run();
  MERROW_TRY(output.status());
  if (!exported.ok()) {
    return exported.error().Within(Printable(database));
  }
  MERROW_TRY(output.Finish());
  if (!exported->left_out.empty()) {
    io.err << "merrow: " << Printable(database)
           << ": left out, because a document in them cannot be read: versions "
           << changeset::ToText(exported->left_out) << std::endl;
  }
  if (out_file != "-") {
    io.out << Printable(out_file) << ": " << Counted(exported->changesets, "changeset") << ", "
           << Counted(output.bytes(), "byte") << '\n';
  }
  return {};
}

Status ChangesApply(const std::string& database, const std::vector<std::string>& files, DocIo& io) {
  MERROW_TRY(CheckInputs(files));
  std::vector<store::DocumentCapture::ChangesFile> inputs;
  for (const std::string& file : files) {
    MERROW_ASSIGN(auto source, OpenChanges(file, io));
    inputs.push_back({InputName(file), std::move(source)});
  }
  const auto run = [&]() -> Result<store::DocumentCapture::AppliedChanges> {
    MERROW_ASSIGN(const auto opened, ChangesDatabase::Open(database));
    MERROW_ASSIGN(auto transaction, store::Transaction::Begin(opened->database()));
    MERROW_ASSIGN(const auto applied, opened->capture().ApplyChanges(inputs));
    MERROW_TRY(transaction.Commit());
    return applied;
  };
  const auto applied = run();
  if (!applied.ok()) {
    // Most often it is the file that is wrong, and not the database.
    return applied.error().Within("merging into " + Printable(database));
  }
  io.out << Printable(database) << ": " << Counted(applied->changesets, "changeset") << " merged, "
         << applied->known << " known before, "
         << Counted(static_cast<uint64_t>(applied->rows), "row") << " changed\n";
  if (applied->waiting > 0) {
    io.out << Counted(applied->waiting, "changeset")
           << " waiting for a table, a column or changes that are not here\n";
  }
  return {};
}

void AddChanges(CLI::App& app, DocIo& io, int& exit_code) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* const changes = app.add_subcommand("changes", "Merge databases by files");
  changes->require_subcommand(1);
  const auto add = [changes, &io, &exit_code](const char* name, const char* help,
                                              std::function<Status()> run) {
    CLI::App* command = changes->add_subcommand(name, help);
    command->callback([&io, &exit_code, run = std::move(run)] { exit_code = RunTool(io, run); });
    return command;
  };

  CLI::App* exports = add(
      "export", "Write what a database has to a file, also while a server uses it", [flags, &io] {
        return ChangesExport(flags->database, flags->since, flags->zstd_level, flags->out, io);
      });
  exports->add_option("--db", flags->database, "the database")->required();
  exports
      ->add_option("--since", flags->since,
                   "leave out what is there already: versions as text, or @FILE, an export of who "
                   "is to get this one; repeatable")
      ->allow_extra_args(false);
  exports->add_option("--zstd-level", flags->zstd_level, "compression, 0 (none) to 19")
      ->check(CLI::Range(0, 19))
      ->capture_default_str();
  exports->add_option("-o,--out", flags->out, "file to write; - is standard output")->required();

  CLI::App* apply = add("apply", "Merge such files into a database that no server has",
                        [flags, &io] { return ChangesApply(flags->database, flags->files, io); });
  apply->add_option("--db", flags->database, "the database")->required();
  apply->add_option("FILE", flags->files, "changeset files; - is standard input")->required();

  CLI::App* inspect = add("inspect", "Say what is in such a file, and where its bytes go",
                          [flags, &io] { return ChangesInspect(flags->file, flags->as_json, io); });
  inspect->add_option("FILE", flags->file, "a changeset file; - is standard input")->required();
  inspect->add_flag("--json", flags->as_json, "for programs");
}

}  // namespace merrow::cli
