// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this folder share: a directory that goes away, a clock that is moved by hand, a
// store that can be closed and opened again, and editors that make updates for it.

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "merrow/document.h"
#include "store/reader.h"
#include "store/store.h"

namespace merrow::store {

/// Gives the value of a Result, or fails the test and ends the process with its error.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().ToString();
  }
  return std::move(result).value();
}
void Must(const Status& status);

/// Where files of a test are: on disk, or in memory when the test is not about the disk.
enum class DirKind { kDisk, kMemory };

class TempDir {
 public:
  explicit TempDir(DirKind kind = DirKind::kDisk);
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  std::string File(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

class ManualClock final : public Clock {
 public:
  int64_t MonotonicMicros() const override { return micros_; }
  int64_t UnixSeconds() const override { return micros_ / 1'000'000; }
  void AdvanceMs(int64_t ms) { micros_ += ms * 1000; }

 private:
  int64_t micros_ = 1'000'000;
};

inline constexpr std::string_view kNoteSchema = R"sql(
CREATE TABLE note (
  id    TEXT PRIMARY KEY NOT NULL,
  title TEXT,
  rank  INTEGER,
  score REAL,
  body  CRDT_TEXT,
  votes CRDT_COUNTER,
  tags  CRDT_LIST,
  props CRDT_MAP
);
CREATE TABLE plain (a INTEGER, b TEXT);
)sql";

/// Container ids of the columns.
inline loro::ContainerId RootMap(std::string_view name) {
  return loro::ContainerId::Root(name, loro::ContainerKind::kMap);
}
inline loro::ContainerId RootList(std::string_view name) {
  return loro::ContainerId::Root(name, loro::ContainerKind::kList);
}
inline loro::ContainerId RootText(std::string_view name) {
  return loro::ContainerId::Root(name, loro::ContainerKind::kText);
}
inline loro::ContainerId RootCounter(std::string_view name) {
  return loro::ContainerId::Root(name, loro::ContainerKind::kCounter);
}

/// A client that edits one document and sends what is new since it last sent.
class Editor {
 public:
  explicit Editor(loro::PeerId peer) : document_(peer) {}

  loro::Document& document() { return document_; }
  void Set(std::string_view column, const loro::Value& value) {
    Must(document_.MapSet(RootMap("row"), column, value));
  }
  void Type(std::string_view column, size_t position, std::string_view text) {
    Must(document_.TextInsert(RootText(column), position, text));
  }
  /// What was edited since the last call, as an update blob.
  Bytes Take();
  /// Takes in what the store has.
  void Receive(BytesView blob) { Must(document_.Import(blob)); }

 private:
  loro::Document document_;
  loro::VersionVector sent_;
};

/// A store in a directory of its own.
class StoreFixture {
 public:
  explicit StoreFixture(DirKind kind = DirKind::kDisk);

  StoreOptions options;
  ManualClock clock;

  std::string path() const { return dir_.File("test.db"); }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  Status TryOpen();
  void Open() { Must(TryOpen()); }
  void Close() { store_.reset(); }
  void Reopen() {
    Close();
    Open();
  }

  /// One update in a batch of its own.
  WriteResult Apply(std::string_view table, std::string_view key, BytesView update);
  /// The same, which must be applied.
  Applied MustApply(std::string_view table, std::string_view key, BytesView update);
  /// All rows that `sql` gives, values joined by "|" and rows by newlines; NULL is "NULL", text as
  /// is, blobs in hex. Over a Reader.
  std::string Sql(std::string_view sql);

 private:
  TempDir dir_;
  std::unique_ptr<Store> store_;
};

/// The code of the error that a write gave; fails the test if it gave none.
ErrorCode CodeOf(const WriteResult& result);

}  // namespace merrow::store
