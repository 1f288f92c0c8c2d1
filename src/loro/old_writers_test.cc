// SPDX-License-Identifier: Apache-2.0
//
// Blobs of released versions of loro-crdt (test/vectors/loro/writers): each is opened, must mean
// what loro-crdt says it means, and is written and opened again.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

using nlohmann::json;

constexpr PeerId kReader = 424'242;

std::vector<json> LoadWriters() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(MERROW_VECTORS "/loro/writers")) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<json> writers;
  for (const auto& path : paths) {
    std::ifstream file(path);
    writers.push_back(json::parse(file));
  }
  return writers;
}

// Roots that are empty are shown by us once history touches them, by loro-crdt also when somebody
// only asked for them.
json WithoutEmptyRoots(const json& document) {
  json kept = json::object();
  for (const auto& [name, root] : document.items()) {
    const bool is_empty = root.is_number()   ? root == 0
                          : root.is_string() ? root.get_ref<const std::string&>().empty()
                                             : root.empty();
    if (!is_empty) kept[name] = root;
  }
  return kept;
}

Bytes BlobOf(const json& document, const char* field) {
  return FromBase64(document[field].get<std::string>()).value();
}

void ExpectMeans(const Document& doc, const json& expected) {
  EXPECT_EQ(WithoutEmptyRoots(json::parse(doc.ToJson())), WithoutEmptyRoots(expected["json"]));
  VersionVector version;
  for (const auto& [peer, end] : expected["version"].items()) {
    version.Set(std::stoull(peer), end.get<Counter>());
  }
  EXPECT_EQ(doc.version(), version);
  Frontiers frontiers;
  for (const auto& id : expected["frontiers"]) {
    frontiers.push_back(ParseId(id.get<std::string>()).value());
  }
  std::sort(frontiers.begin(), frontiers.end());
  EXPECT_EQ(doc.frontiers(), frontiers);
  EXPECT_FALSE(doc.has_pending());
  doc.CheckInvariants();
}

Document Opened(const Bytes& blob) {
  Document doc(kReader);
  const Result<ImportStatus> status = doc.Import(blob);
  EXPECT_TRUE(status.ok()) << status.error().ToString();
  return doc;
}

void ExpectOpensAndComesBack(const json& expected, const char* field) {
  SCOPED_TRACE(field);
  Document doc = Opened(BlobOf(expected, field));
  ExpectMeans(doc, expected);
  {
    SCOPED_TRACE("updates written again");
    ExpectMeans(Opened(doc.ExportUpdates({})), expected);
  }
  const Bytes snapshot = doc.ExportSnapshot();
  {
    SCOPED_TRACE("snapshot written again");
    ExpectMeans(Opened(snapshot), expected);
  }
  {
    SCOPED_TRACE("snapshot loaded");
    Document loaded(kReader);
    ASSERT_TRUE(loaded.Load(snapshot).ok());
    ExpectMeans(loaded, expected);
  }
}

TEST(OldWriters, BlobsMeanWhatLoroSays) {
  size_t documents = 0;
  for (const json& writer : LoadWriters()) {
    for (const json& document : writer["documents"]) {
      SCOPED_TRACE(writer["version"].get<std::string>() + " " +
                   document["name"].get<std::string>());
      ExpectOpensAndComesBack(document, "updates");
      ExpectOpensAndComesBack(document, "snapshot");
      ++documents;
    }
  }
  EXPECT_GE(documents, 14U * 8);
}

// The state in a snapshot of every version, taken over as it is, must be what its history gives.
TEST(OldWriters, StatesInSnapshotsAgreeWithHistory) {
  for (const json& writer : LoadWriters()) {
    for (const json& document : writer["documents"]) {
      SCOPED_TRACE(writer["version"].get<std::string>() + " " +
                   document["name"].get<std::string>());
      Document doc(kReader);
      const Result<ImportStatus> status = doc.Load(BlobOf(document, "snapshot"));
      ASSERT_TRUE(status.ok()) << status.error().ToString();
      ExpectMeans(doc, document);
    }
  }
}

// Merging the same history again changes nothing, whichever version wrote it down.
TEST(OldWriters, BlobsOfOneDocumentAreTheSameHistory) {
  for (const json& writer : LoadWriters()) {
    for (const json& document : writer["documents"]) {
      SCOPED_TRACE(writer["version"].get<std::string>() + " " +
                   document["name"].get<std::string>());
      Document doc = Opened(BlobOf(document, "snapshot"));
      const Result<ImportStatus> status = doc.Import(BlobOf(document, "updates"));
      ASSERT_TRUE(status.ok()) << status.error().ToString();
      EXPECT_THAT(status->success, testing::IsEmpty());
      ExpectMeans(doc, document);
    }
  }
}

TEST(OldWriters, EncodingsBeforeTheFirstReleaseAreUnsupported) {
  size_t blobs = 0;
  for (const json& writer : LoadWriters()) {
    for (const json& old : writer["old"]) {
      SCOPED_TRACE(writer["version"].get<std::string>() + " mode " + old["mode"].dump());
      const Bytes blob = BlobOf(old, "blob");
      Document doc(kReader);
      const Result<ImportStatus> status = doc.Import(blob);
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported) << status.error().ToString();
      EXPECT_THAT(status.error().message(), testing::HasSubstr(old["mode"].dump()));
      const Result<BlobMeta> meta = ReadBlobMeta(blob);
      ASSERT_FALSE(meta.ok());
      EXPECT_EQ(meta.error().code(), ErrorCode::kUnsupported);
      ++blobs;
    }
  }
  EXPECT_GE(blobs, 4U);
}

}  // namespace
}  // namespace merrow::loro
