// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this folder share: a directory that goes away, a store in it, and updates for
// its rows.

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "merrow/document.h"
#include "net/testing/server_fixture.h"
#include "store/store.h"

namespace merrow::server {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "merrow-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_.string(); }
  std::string File(std::string_view name) const { return (path_ / name).string(); }
  /// Makes directories on the way.
  void Write(std::string_view name, std::string_view content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<store::Store> OpenStore(const TempDir& dir, const Clock& clock) {
  store::StoreOptions options;
  options.path = dir.File("test.db");
  options.schema_sql = "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, votes CRDT_COUNTER);";
  options.clock = &clock;
  return net::testing::Expect(store::Store::Open(options));
}

/// An update by a new peer that adds 1 to a row's counter.
inline std::shared_ptr<const Bytes> Vote(loro::PeerId peer) {
  loro::Document doc(peer);
  const auto votes = loro::ContainerId::Root("votes", loro::ContainerKind::kCounter);
  net::testing::Expect(doc.CounterIncrement(votes, 1));
  return std::make_shared<const Bytes>(doc.ExportUpdates({}));
}

}  // namespace merrow::server
