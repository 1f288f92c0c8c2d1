// SPDX-License-Identifier: Apache-2.0
//
// The document tools, through their command line, over the blobs of test/vectors/loro and over
// every truncation and many damages of them.
#include "cli/doc_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace merrow::cli {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Outcome Doc(std::vector<std::string> arguments, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  DocIo io{in, out, err};
  Outcome outcome;
  CLI::App doc;
  AddDocTools(doc, io, outcome.exit_code);
  std::reverse(arguments.begin(), arguments.end());
  doc.parse(arguments);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

Json LoadVectors(const std::string& name) {
  std::ifstream file(MERROW_VECTORS "/loro/" + name);
  return Json::parse(file);
}

struct Blob {
  std::string name;
  Bytes bytes;
  Json json;  // null if not known
};

std::vector<Blob> LoadBlobs() {
  std::vector<Blob> blobs;
  for (const Json& item : LoadVectors("snapshots.json")) {
    blobs.push_back(
        {item["name"], FromBase64(item["snapshot"].get<std::string>()).value(), item["json"]});
  }
  for (const Json& item : LoadVectors("change_blocks.json")) {
    blobs.push_back({item["name"], FromHex(item["blob"].get<std::string>()).value(), nullptr});
  }
  for (const char* file : {"tree.json", "movable_list.json"}) {
    for (const Json& item : LoadVectors(file)) {
      blobs.push_back(
          {item["name"], FromBase64(item["updates"].get<std::string>()).value(), nullptr});
    }
  }
  return blobs;
}

// Its first ops depend on ops that it does not hold.
bool StartsLate(const Blob& blob) {
  return blob.name == "the tail of three peers" || blob.name == "a slice of a run";
}

bool HasControls(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte < 0x20 && byte != '\n') || byte == 0x7F) return true;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xA0)
      return true;
  }
  return false;
}

class DocToolsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("merrow_doc_tools_" +
                  std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string PathOf(const std::string& name) const { return (directory_ / name).string(); }
  std::string Write(const std::string& name, BytesView bytes) const {
    std::ofstream(PathOf(name), std::ios::binary) << bytes;
    return PathOf(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(PathOf(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path directory_;
};

// Two peers: 1 typed "hello", 2 went on from there, and 1 typed more at the same time.
struct Pair {
  Bytes first;   // peer 1's "hello"
  Bytes second;  // only what peer 2 added
  Bytes third;   // only what peer 1 added meanwhile
};

Pair MakePair() {
  const auto body = loro::ContainerId::Root("body", loro::ContainerKind::kText);
  const auto row = loro::ContainerId::Root("row", loro::ContainerKind::kMap);
  Pair pair;
  loro::Document one(1);
  EXPECT_TRUE(one.TextInsert(body, 0, "hello").ok());
  pair.first = one.ExportUpdates({});
  loro::Document two(2);
  EXPECT_TRUE(two.Import(pair.first).ok());
  const loro::VersionVector shared = two.version();
  EXPECT_TRUE(two.TextInsert(body, 5, " world").ok());
  EXPECT_TRUE(two.MapSet(row, "title", loro::Value("T")).ok());
  pair.second = two.ExportUpdates(shared);
  EXPECT_TRUE(one.MapSet(row, "done", loro::Value(true)).ok());
  pair.third = one.ExportUpdates(shared);
  return pair;
}

TEST_F(DocToolsTest, JsonIsThatOfTheVectors) {
  for (const Blob& blob : LoadBlobs()) {
    SCOPED_TRACE(blob.name);
    const Outcome outcome = Doc({"json", "-"}, blob.bytes);
    EXPECT_FALSE(HasControls(outcome.out));
    if (StartsLate(blob)) {
      EXPECT_EQ(outcome.exit_code, 1);
      EXPECT_THAT(outcome.err, HasSubstr("ops that depend on others that no file has: [5, "));
      continue;
    }
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    if (!blob.json.is_null()) {
      EXPECT_EQ(Json::parse(outcome.out), blob.json);
    }
  }
}

TEST_F(DocToolsTest, InspectAgreesWithTheVectorsAndItsPartsAddUp) {
  for (const Json& item : LoadVectors("snapshots.json")) {
    SCOPED_TRACE(item["name"]);
    const Bytes bytes = FromBase64(item["snapshot"].get<std::string>()).value();
    const Outcome outcome = Doc({"inspect", "-", "--json"}, bytes);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json report = Json::parse(outcome.out);
    EXPECT_EQ(report["version"], item["version"]);
    EXPECT_THAT(report["frontiers"], ::testing::UnorderedElementsAreArray(item["frontiers"]));
    EXPECT_EQ(report["changes"], item["changes"]);
    const bool is_shallow = item["name"].get<std::string>().starts_with("shallow");
    EXPECT_EQ(report["kind"], is_shallow ? "shallow snapshot" : "snapshot");
  }
  for (const Blob& blob : LoadBlobs()) {
    SCOPED_TRACE(blob.name);
    const Json report = Json::parse(Doc({"inspect", "-", "--json"}, blob.bytes).out);
    uint64_t sum = 0;
    for (const Json& part : report["bytesByPart"]["file"]) sum += part.get<uint64_t>();
    EXPECT_EQ(sum, blob.bytes.size());
    const Outcome tables = Doc({"inspect", "-"}, blob.bytes);
    EXPECT_EQ(tables.exit_code, 0);
    EXPECT_FALSE(HasControls(tables.out));
  }
}

TEST_F(DocToolsTest, InspectFindsTheHeadsOfUpdates) {
  const Pair pair = MakePair();
  const Bytes joined = loro::JoinUpdates(std::vector<BytesView>{pair.first, pair.second}).value();
  const Json report = Json::parse(Doc({"inspect", "-", "--json"}, joined).out);
  EXPECT_EQ(report["kind"], "updates");
  EXPECT_EQ(report["frontiers"], Json::array({"6@2"}));
  EXPECT_EQ(report["version"], Json({{"1", 5}, {"2", 7}}));
  EXPECT_EQ(report["roots"], Json::array({"cid:root-row:Map", "cid:root-body:Text"}));
  EXPECT_EQ(report["opsByKind"]["text insert"], Json({{"ops", 2}, {"atoms", 11}}));
}

TEST_F(DocToolsTest, LogHasEveryChangeOnceInCausalOrder) {
  const Pair pair = MakePair();
  const Bytes joined =
      loro::JoinUpdates(std::vector<BytesView>{pair.second, pair.third, pair.first}).value();
  const Outcome all = Doc({"log", "-"}, joined);
  EXPECT_EQ(all.out,
            "change 0@1 to 4@1  lamport 0\n"
            "  after nothing\n"
            "  0@1  cid:root-body:Text  insert 5 characters at 0: \"hello\"\n"
            "change 5@1  lamport 5\n"
            "  after 4@1\n"
            "  5@1  cid:root-row:Map  set \"done\" = true\n"
            "change 0@2 to 6@2  lamport 5\n"
            "  after 4@1\n"
            "  0@2  cid:root-body:Text  insert 6 characters at 5: \" world\"\n"
            "  6@2  cid:root-row:Map  set \"title\" = \"T\"\n");
  const Outcome one = Doc({"log", "-", "--limit", "1"}, joined);
  EXPECT_THAT(one.out, HasSubstr("(2 more changes)"));
  EXPECT_THAT(one.out, Not(HasSubstr("5@1")));

  for (const Json& item : LoadVectors("change_blocks.json")) {
    SCOPED_TRACE(item["name"]);
    const Outcome log = Doc({"log", "-"}, FromHex(item["blob"].get<std::string>()).value());
    ASSERT_EQ(log.exit_code, 0) << log.err;
    EXPECT_FALSE(HasControls(log.out));
    size_t changes = 0;
    for (size_t at = 0; (at = log.out.find("change ", at)) != std::string::npos; ++at) {
      changes += at == 0 || log.out[at - 1] == '\n' ? 1 : 0;
    }
    EXPECT_EQ(changes, item["changes"].size());
  }
}

TEST_F(DocToolsTest, MergeMakesWhatTheFilesMakeTogether) {
  const Pair pair = MakePair();
  const std::string a = Write("a", pair.first);
  const std::string b = Write("b", pair.second);
  const std::string c = Write("c", pair.third);
  const std::string expected = Doc({"json", a, b, c}).out;
  EXPECT_EQ(Json::parse(expected),
            Json({{"body", "hello world"}, {"row", {{"done", true}, {"title", "T"}}}}));
  for (const std::string mode : {"update", "snapshot"}) {
    // Out of order, and over a file that is an input.
    Write("out", pair.second);
    const std::string out = PathOf("out");
    const Outcome merged = Doc({"merge", out, c, a, "-o", out, "--mode", mode});
    ASSERT_EQ(merged.exit_code, 0) << merged.err;
    EXPECT_EQ(Doc({"json", out}).out, expected);
    EXPECT_FALSE(std::filesystem::exists(out + ".partial"));
    const Json report = Json::parse(Doc({"inspect", out, "--json"}).out);
    EXPECT_EQ(report["kind"], mode == "update" ? "updates" : "snapshot");
  }
  const Outcome to_stdout = Doc({"merge", "-", "-o", "-"}, pair.first);
  EXPECT_EQ(Doc({"json", "-"}, to_stdout.out).out, "{\"body\":\"hello\"}\n");
}

TEST_F(DocToolsTest, MergeTrimsHistory) {
  const Pair pair = MakePair();
  const std::string a = Write("a", pair.first);
  const std::string out = PathOf("out");
  // A line of history is trimmed to its last op.
  ASSERT_EQ(Doc({"merge", a, "-o", out, "--mode", "shallow-snapshot"}).exit_code, 0);
  EXPECT_EQ(Doc({"json", out}).out, Doc({"json", a}).out);
  Json report = Json::parse(Doc({"inspect", out, "--json"}).out);
  EXPECT_EQ(report["kind"], "shallow snapshot");
  EXPECT_EQ(report["trimmed"], Json({{"1", 4}}));
  EXPECT_EQ(report["startsAt"], Json({"4@1"}));
  EXPECT_EQ(report["atoms"], 1);
  EXPECT_THAT(Doc({"inspect", out}).out, HasSubstr("trimmed     {1: 4}\nstarts at   4@1\n"));

  // What follows the start of history can still be merged, and then be trimmed only as far as all
  // of it agrees.
  const std::string both = PathOf("both");
  const Outcome merged = Doc({"merge", out, Write("b", pair.second), Write("c", pair.third), "-o",
                              both, "--mode", "shallow-snapshot"});
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  EXPECT_EQ(Json::parse(Doc({"json", both}).out),
            Json({{"body", "hello world"}, {"row", {{"done", true}, {"title", "T"}}}}));
  report = Json::parse(Doc({"inspect", both, "--json"}).out);
  EXPECT_EQ(report["startsAt"], Json({"4@1"}));

  const Outcome update = Doc({"merge", out, "-o", PathOf("no")});
  EXPECT_EQ(update.exit_code, 1);
  EXPECT_THAT(update.err, HasSubstr("trimmed"));
  EXPECT_FALSE(std::filesystem::exists(PathOf("no")));
}

TEST_F(DocToolsTest, LogShowsTimestampsAndMessagesInCausalOrder) {
  loro::Document one(9);
  const auto row = loro::ContainerId::Root("row", loro::ContainerKind::kMap);
  EXPECT_TRUE(one.MapSet(row, "a", loro::Value(true)).ok());
  EXPECT_TRUE(one.Commit({.timestamp = 1700000000, .message = "first\x1B[31m"}).ok());
  loro::Document two(1);
  EXPECT_TRUE(two.Import(one.ExportUpdates({})).ok());
  EXPECT_TRUE(two.MapEnsureMergeable(row, "child", loro::ContainerKind::kText).ok());
  EXPECT_TRUE(
      two.TextInsert(*two.MapEnsureMergeable(row, "child", loro::ContainerKind::kText), 0, "x")
          .ok());
  EXPECT_TRUE(two.Commit({.timestamp = 1700000060, .message = "second"}).ok());
  const Bytes blob = two.ExportUpdates({});
  const std::string log = Doc({"log", "-"}, blob).out;
  const size_t first = log.find("  at 2023-11-14T22:13:20Z\n  message \"first\\u001b[31m\"\n");
  const size_t second = log.find("  at 2023-11-14T22:14:20Z\n  message \"second\"\n");
  ASSERT_NE(first, std::string::npos) << log;
  ASSERT_NE(second, std::string::npos) << log;
  EXPECT_LT(first, second);
  const Json report = Json::parse(Doc({"inspect", "-", "--json"}, blob).out);
  EXPECT_EQ(report["messages"], 2);
  EXPECT_EQ(report["roots"], Json({"cid:root-row:Map"}));
  EXPECT_EQ(report["mergeableChildren"], Json({"cid:root-\U0001F91D:$row>child:Text"}));
  EXPECT_THAT(Doc({"inspect", "-"}, blob).out, HasSubstr("\nmergeable children\n"));
}

TEST_F(DocToolsTest, PendingOpsAreReportedAndNotLost) {
  const Pair pair = MakePair();
  const std::string b = Write("b", pair.second);
  const Outcome json = Doc({"json", b});
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_EQ(json.out, "{}\n");
  EXPECT_THAT(json.err, HasSubstr("[0, 7) of peer 2"));
  EXPECT_EQ(Doc({"json", b, Write("a", pair.first)}).exit_code, 0);

  const Outcome merge = Doc({"merge", b, "-o", PathOf("out")});
  EXPECT_EQ(merge.exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(PathOf("out")));
  const Outcome diff = Doc({"diff", b, b});
  EXPECT_EQ(diff.exit_code, 1);
  EXPECT_THAT(diff.err, HasSubstr("[0, 7) of peer 2"));
}

Bytes DocumentWith(const std::string& text, const std::vector<loro::Value>& items,
                   loro::PeerId peer) {
  loro::Document doc(peer);
  EXPECT_TRUE(
      doc.TextInsert(loro::ContainerId::Root("t", loro::ContainerKind::kText), 0, text).ok());
  for (size_t i = 0; i < items.size(); ++i) {
    const auto list = loro::ContainerId::Root("l", loro::ContainerKind::kList);
    EXPECT_TRUE(doc.ListInsert(list, i, items[i]).ok());
  }
  const auto map = loro::ContainerId::Root("m", loro::ContainerKind::kMap);
  EXPECT_TRUE(doc.MapSet(map, "only " + std::to_string(peer), loro::Value(true)).ok());
  return doc.ExportSnapshot();
}

TEST_F(DocToolsTest, DiffShowsOpsAndPaths) {
  using loro::Value;
  const std::string a = Write("a", DocumentWith(std::string(50, 'x') + "\xC3\xA9 two",
                                                {Value(int64_t{1}), Value(int64_t{2})}, 1));
  const std::string b =
      Write("b", DocumentWith(std::string(50, 'x') + "\xC3\xA8 two",
                              {Value(int64_t{1}), Value("new"), Value(int64_t{2})}, 2));
  const Outcome diff = Doc({"diff", a, b});
  EXPECT_EQ(diff.exit_code, 0) << diff.err;
  EXPECT_EQ(diff.out, "A: " + a + "\nB: " + b +
                          "\n"
                          "only in A: 58 atoms: [0, 58) of peer 1\n"
                          "only in B: 59 atoms: [0, 59) of peer 2\n"
                          "differences of the JSON, A -> B:\n"
                          "  /l/1  0 items [] -> 1 item [\"new\"]\n"
                          "  /m/only 1  only in A: true\n"
                          "  /m/only 2  only in B: true\n"
                          "  /t  at 50: \"\xC3\xA9\" -> \"\xC3\xA8\"\n");
  EXPECT_THAT(Doc({"diff", a, b, "--limit", "1"}).out, HasSubstr("(3 more differences)"));
  const std::string c = Write("c", DocumentWith("one", {}, 1));
  const std::string d = Write("d", DocumentWith("two", {}, 2));
  EXPECT_THAT(Doc({"diff", c, d}).out, HasSubstr("  /t  \"one\" -> \"two\"\n"));
  EXPECT_THAT(Doc({"diff", a, a}).out, HasSubstr("the JSON is equal"));
}

TEST_F(DocToolsTest, DeepDocumentsDoNotExhaustTheStack) {
  constexpr int kLevels = 20000;
  const auto nested = [](const char* leaf) {
    loro::Document doc(1);
    loro::ContainerId map = loro::ContainerId::Root("m", loro::ContainerKind::kMap);
    for (int i = 0; i < kLevels; ++i) {
      map = doc.MapSetContainer(map, "k", loro::ContainerKind::kMap).value();
    }
    EXPECT_TRUE(doc.MapSet(map, "leaf", loro::Value(leaf)).ok());
    return doc.ExportUpdates({});
  };
  const Outcome diff = Doc({"diff", Write("a", nested("a")), Write("b", nested("b"))});
  EXPECT_EQ(diff.exit_code, 0);
  EXPECT_LT(diff.out.size(), size_t{1000});
}

TEST_F(DocToolsTest, OutputHasNoControlsOfTheDocument) {
  // Escape, DEL, a C1 control and a mark that reverses text, as a value, a key and a name.
  const std::string evil = "\x1B[2J\x7F\xC2\x9B\xE2\x80\xAE!";
  loro::Document doc(1);
  const auto map = loro::ContainerId::Root("m" + evil, loro::ContainerKind::kMap);
  ASSERT_TRUE(doc.MapSet(map, evil, loro::Value(evil)).ok());
  const Bytes bytes = doc.ExportUpdates({});
  const std::string file = Write("a", bytes);
  const std::string empty = Write("b", loro::Document(2).ExportUpdates({}));
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"inspect", file},
                                                    {"inspect", file, "--json"},
                                                    {"json", file},
                                                    {"log", file},
                                                    {"diff", file, empty},
                                                    {"diff", empty, file}}) {
    const Outcome outcome = Doc(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_FALSE(HasControls(outcome.out)) << arguments[0];
    EXPECT_THAT(outcome.out, Not(HasSubstr("\xE2\x80\xAE"))) << arguments[0];
    EXPECT_THAT(outcome.out, HasSubstr("[2J")) << arguments[0];
  }
  const Json json = Json::parse(Doc({"json", file}).out);
  EXPECT_EQ(json, Json({{"m" + evil, {{evil, evil}}}}));
}

TEST_F(DocToolsTest, ErrorsNameTheFile) {
  const Outcome missing = Doc({"inspect", PathOf("missing")});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, StartsWith("merrow: io: " + PathOf("missing") + ": "));
  EXPECT_EQ(std::count(missing.err.begin(), missing.err.end(), '\n'), 1);
  EXPECT_EQ(Doc({"json", PathOf(".")}).exit_code, 1);
  EXPECT_EQ(Doc({"json", "-", "-"}).exit_code, 1);
  const Outcome unwritable = Doc({"merge", "-", "-o", PathOf("no/out")}, MakePair().first);
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_THAT(unwritable.err, HasSubstr(PathOf("no/out")));
}

// The command ends with one line of error, or with output and none.
void ExpectCalm(const std::vector<std::string>& arguments, const Bytes& bytes) {
  const Outcome outcome = Doc(arguments, bytes);
  const auto lines = std::count(outcome.err.begin(), outcome.err.end(), '\n');
  ASSERT_EQ(lines, outcome.exit_code) << outcome.err;
  ASSERT_FALSE(HasControls(outcome.out + outcome.err));
}

TEST_F(DocToolsTest, FewBytesThatStateManyOpsAreALimit) {
  // 2,000 deletes of one key, again and again.
  loro::ChangeBlockBuilder builder(1);
  builder.BeginChange(0, 0, {}, 0, "");
  const auto map = loro::ContainerId::Root("m", loro::ContainerKind::kMap);
  for (int i = 0; i < 2000; ++i) builder.AddMapDelete(map, "k");
  const Bytes block = builder.Encode();
  ASSERT_LT(block.size(), size_t{200});
  loro::EnvelopeWriter writer(loro::EncodeMode::kFastUpdates);
  for (int i = 0; i < 200; ++i) writer.AppendBlock(block);
  const Bytes bytes = writer.Finish();
  for (const char* command : {"inspect", "log"}) {
    const Outcome outcome = Doc({command, "-"}, bytes);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, StartsWith("merrow: limit: standard input: change block at offset "));
  }
}

TEST_F(DocToolsTest, TruncatedFilesAreErrors) {
  for (const Blob& blob : LoadBlobs()) {
    SCOPED_TRACE(blob.name);
    const size_t step = blob.bytes.size() / 200 + 1;
    for (size_t size = 0; size < blob.bytes.size(); size += step) {
      const Bytes cut = blob.bytes.substr(0, size);
      const Outcome outcome = Doc({"inspect", "-"}, cut);
      ASSERT_EQ(outcome.exit_code, 1) << size;
      ASSERT_THAT(outcome.err, HasSubstr("standard input: envelope at offset 0"));
      ExpectCalm({"json", "-"}, cut);
    }
  }
}

TEST_F(DocToolsTest, DamagedBodiesWithTheRightChecksumAreErrorsOrReadable) {
  for (const Blob& blob : LoadBlobs()) {
    SCOPED_TRACE(blob.name);
    const loro::Envelope envelope = loro::DecodeEnvelope(blob.bytes).value();
    const size_t step = envelope.body.size() / 60 + 1;
    for (size_t at = 0; at < envelope.body.size(); at += step) {
      const Bytes cut = loro::EncodeEnvelope(envelope.mode, envelope.body.substr(0, at));
      Bytes flipped(envelope.body);
      flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
      const Bytes damaged = loro::EncodeEnvelope(envelope.mode, flipped);
      for (const Bytes& bytes : {cut, damaged}) {
        ExpectCalm({"inspect", "-"}, bytes);
        ExpectCalm({"log", "-"}, bytes);
        ExpectCalm({"json", "-"}, bytes);
      }
    }
  }
}

}  // namespace
}  // namespace merrow::cli
