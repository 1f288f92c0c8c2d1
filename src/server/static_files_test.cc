// SPDX-License-Identifier: Apache-2.0
//
// Static files: what is served, and that nothing else is.

#include "server/static_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "server/file_bytes.h"
#include "server/server_test_util.h"

namespace merrow::server {
namespace {

using testing::HasSubstr;

std::string HeaderOf(const net::HttpResponse& response, std::string_view name) {
  for (const net::NameValue& header : response.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

net::HttpResponse Get(const StaticFiles& files, const std::string& target,
                      std::vector<net::NameValue> headers = {}) {
  net::HttpRequest request;
  request.method = "GET";
  request.target = target;
  Result<net::HttpTarget> parsed = net::ParseTarget(target);
  EXPECT_TRUE(parsed.ok()) << target;
  request.segments = std::move(parsed->segments);
  request.headers = std::move(headers);
  return files.Get(request);
}

class StaticFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.Write("secret.txt", "secret");
    dir_.Write("www/index.html", "<p>home</p>");
    dir_.Write("www/app/index.html", "<p>app</p>");
    dir_.Write("www/app/main.js", "1");
    dir_.Write("www/data.bin", std::string("\0\xFF", 2));
    dir_.Write("www/empty.css", "");
    dir_.Write("www/.git/config", "hidden");
    dir_.Write("www/.env", "hidden");
    std::filesystem::create_symlink(dir_.File("secret.txt"), dir_.File("www/link.txt"));
    std::filesystem::create_directory_symlink(dir_.path(), dir_.File("www/up"));
    ASSERT_EQ(mkfifo(dir_.File("www/pipe").c_str(), 0600), 0);
  }

  StaticFiles Load(const std::string& directory) {
    return net::testing::Expect(StaticFiles::Load(directory));
  }

  TempDir dir_;
};

TEST_F(StaticFilesTest, FilesAndIndexes) {
  for (const std::string suffix : {"", "/", "/.", "/app/.."}) {
    const StaticFiles files = Load(dir_.File("www") + suffix);
    EXPECT_FALSE(files.empty());
    EXPECT_EQ(Get(files, "/").body, "<p>home</p>") << suffix;
    EXPECT_EQ(HeaderOf(Get(files, "/"), "Content-Type"), "text/html; charset=utf-8");
    EXPECT_EQ(Get(files, "/app").body, "<p>app</p>") << suffix;
    EXPECT_EQ(Get(files, "/app/").body, "<p>app</p>") << suffix;
    EXPECT_EQ(Get(files, "/app/main.js").body, "1") << suffix;
    EXPECT_EQ(HeaderOf(Get(files, "/app/main.js"), "Content-Type"),
              "text/javascript; charset=utf-8");
    EXPECT_EQ(Get(files, "/data.bin?x=1").body, std::string("\0\xFF", 2)) << suffix;
    EXPECT_EQ(Get(files, "/empty.css").status, 200) << suffix;
  }
  EXPECT_TRUE(StaticFiles().empty());
  EXPECT_EQ(Get(StaticFiles(), "/").status, 404);
}

TEST_F(StaticFilesTest, NothingElseIsReached) {
  const StaticFiles files = Load(dir_.File("www"));
  for (const std::string target :
       {"/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/app/../../secret.txt",
        "/app/%2e%2e/index.html", "/link.txt", "/up/secret.txt", "/.env", "/.git/config", "/pipe",
        "/nothing", "/app/nothing/", "//", "/index.html/", "/index.html%00", "/%00",
        "/secret.txt"}) {
    const net::HttpResponse response = Get(files, target);
    EXPECT_TRUE(response.status == 404 || response.body == "<p>home</p>") << target;
    EXPECT_EQ(response.body.find("secret"), std::string::npos) << target;
  }
  EXPECT_EQ(Get(files, "/" + dir_.File("secret.txt")).status, 404);
}

TEST_F(StaticFilesTest, AnUnchangedFileIsNotSentAgain) {
  const StaticFiles files = Load(dir_.File("www"));
  const std::string etag = HeaderOf(Get(files, "/app/main.js"), "ETag");
  EXPECT_NE(etag, HeaderOf(Get(files, "/"), "ETag"));
  const net::HttpResponse same = Get(files, "/app/main.js", {{"if-none-match", etag}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(HeaderOf(same, "ETag"), etag);
  EXPECT_EQ(Get(files, "/", {{"If-None-Match", etag}}).status, 200);
}

TEST_F(StaticFilesTest, WhatCannotBeReadIsAnError) {
  const auto missing = StaticFiles::Load(dir_.File("missing"));
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message(), HasSubstr("missing: No such file"));
  EXPECT_FALSE(StaticFiles::Load(dir_.File("secret.txt")).ok());
}

TEST_F(StaticFilesTest, FileBytes) {
  EXPECT_EQ(*ReadFileBytes(dir_.File("secret.txt"), 6), "secret");
  const auto long_one = ReadFileBytes(dir_.File("secret.txt"), 5);
  ASSERT_FALSE(long_one.ok());
  EXPECT_EQ(long_one.error().code(), ErrorCode::kLimit);
  const auto directory = ReadFileBytes(dir_.path(), 100);
  ASSERT_FALSE(directory.ok());
  EXPECT_THAT(directory.error().message(), HasSubstr("Is a directory"));
  const auto missing = ReadFileBytes(dir_.File("missing"), 100);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message(), HasSubstr("No such file"));
}

}  // namespace
}  // namespace merrow::server
