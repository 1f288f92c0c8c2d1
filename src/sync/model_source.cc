// SPDX-License-Identifier: Apache-2.0
#include "sync/model_source.h"

namespace merrow::sync {

bool ModelSource::WorkSubmit() {
  if (submits_.empty()) return false;
  PendingSubmit job = std::move(submits_.front());
  submits_.pop_front();
  SubmitOutcome outcome = Error(ErrorCode::kIo, "");
  if (fail_submit) {
    outcome = *std::exchange(fail_submit, std::nullopt);
  } else {
    const Result<ModelBlob> blob = DecodeBlob(*job.update);
    ModelDocument& document = documents_[job.row];
    const SharedVersion before = VersionOf(job.row);
    if (!blob.ok()) {
      outcome = blob.error();
    } else if (!document.Import(*blob)) {
      outcome = MissingDependencies{before};
    } else {
      Applied applied{.before = before, .after = VersionOf(job.row), .delta = nullptr};
      if (*applied.before != *applied.after) {
        applied.delta = std::make_shared<const Bytes>(document.ExportSince(*before));
      }
      outcome = std::move(applied);
    }
  }
  completions_.emplace_back(
      [done = std::move(job.done), outcome = std::move(outcome)] { done(outcome); });
  return true;
}

bool ModelSource::WorkRead() {
  if (reads_.empty()) return false;
  PendingRead job = std::move(reads_.front());
  reads_.pop_front();
  Result<RowData> result = Error(ErrorCode::kIo, "");
  if (fail_read) {
    result = *std::exchange(fail_read, std::nullopt);
  } else {
    const ModelDocument& document = documents_[job.row];
    RowData data;
    data.version = VersionOf(job.row);
    if (job.from == nullptr) {
      data.is_snapshot = true;
      data.bytes = std::make_shared<const Bytes>(document.ExportSince({}, true));
    } else if (!job.from->Includes(*data.version)) {
      data.bytes = std::make_shared<const Bytes>(document.ExportSince(*job.from));
    }
    result = std::move(data);
  }
  auto completion = [done = std::move(job.done), result = std::move(result)] { done(result); };
  if (reads_are_late) {
    late_.emplace_back(std::move(completion));
  } else {
    completions_.emplace_back(std::move(completion));
  }
  return true;
}

bool ModelSource::Deliver() {
  if (completions_.empty()) return false;
  const auto completion = std::move(completions_.front());
  completions_.pop_front();
  completion();
  return true;
}

bool ModelSource::DeliverLate(uint64_t index) {
  if (late_.empty()) return false;
  const auto at = late_.begin() + static_cast<std::ptrdiff_t>(index % late_.size());
  const auto completion = std::move(*at);
  late_.erase(at);
  completion();
  return true;
}

void ModelSource::RunAll() {
  while (!idle()) {
    // Submits before reads, as one writer with a queue would do for one row.
    if (!WorkSubmit()) WorkRead();
    while (Deliver()) {
    }
    while (DeliverLate(0)) {
    }
  }
}

}  // namespace merrow::sync
