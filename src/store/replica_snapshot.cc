// SPDX-License-Identifier: Apache-2.0
#include "store/replica_snapshot.h"

#include <utility>

#include "merrow/check.h"
#include "store/cell_store.h"
#include "store/database_snapshot.h"
#include "store/document_rows.h"
#include "store/replica_export.h"
#include "store/replica_log.h"

namespace merrow::store {

class ReplicaSnapshot::Impl {
 public:
  explicit Impl(std::unique_ptr<DatabaseSnapshot> snapshot)
      : snapshot_(std::move(snapshot)),
        rows_(snapshot_->database(), [] { return uint64_t{0}; }) {}  // it makes no ops
  ~Impl() {
    log_.reset();
    if (cells_ != nullptr) {
      cells_->FinalizeStatements();
    }
  }

  Status Attach(const Clock& clock) {
    MERROW_ASSIGN(cells_, CellStore::Attach(snapshot_->database().handle()));
    MERROW_TRY(rows_.Refresh());
    ReplicaOptions options;
    options.clock = &clock;
    options.documents = &rows_;
    MERROW_ASSIGN(log_, ReplicaLog::OpenToRead(*cells_, options));
    return {};
  }

  bool has_tables() const { return !cells_->tables().tables().empty() || rows_.HasTables(); }
  bool has_whole_log() const { return log_ != nullptr; }

  Result<ExportedChanges> ExportChanges(const changeset::SiteVersions& since, int zstd_level,
                                        changeset::FileWriter::Sink sink) {
    MERROW_CHECK(has_whole_log());
    // Before each piece, so that the end, too, is not written to what may be of no one state.
    const auto undisturbed = [this, &sink](BytesView bytes) -> Status {
      MERROW_TRY(snapshot_->CheckUndisturbed());
      return sink(bytes);
    };
    auto exported = store::ExportChanges(*log_, since, zstd_level, undisturbed);
    // Then any other error may be of what was read.
    MERROW_TRY(snapshot_->CheckUndisturbed());
    return exported;
  }

 private:
  std::unique_ptr<DatabaseSnapshot> snapshot_;
  CellStore* cells_ = nullptr;  // belongs to the connection
  DocumentRows rows_;
  std::unique_ptr<ReplicaLog> log_;
};

Result<std::unique_ptr<ReplicaSnapshot>> ReplicaSnapshot::Open(const std::string& path,
                                                               const Clock& clock,
                                                               int busy_timeout_ms) {
  MERROW_ASSIGN(auto snapshot, DatabaseSnapshot::Open(path, busy_timeout_ms));
  auto impl = std::make_unique<Impl>(std::move(snapshot));
  MERROW_TRY(impl->Attach(clock));
  return std::unique_ptr<ReplicaSnapshot>(new ReplicaSnapshot(std::move(impl)));
}

ReplicaSnapshot::ReplicaSnapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReplicaSnapshot::~ReplicaSnapshot() = default;

bool ReplicaSnapshot::has_tables() const { return impl_->has_tables(); }
bool ReplicaSnapshot::has_whole_log() const { return impl_->has_whole_log(); }

Result<ExportedChanges> ReplicaSnapshot::ExportChanges(const changeset::SiteVersions& since,
                                                       int zstd_level,
                                                       changeset::FileWriter::Sink sink) {
  return impl_->ExportChanges(since, zstd_level, std::move(sink));
}

}  // namespace merrow::store
