// SPDX-License-Identifier: Apache-2.0
//
// Peer secrets: what is read, what is refused, and that a refusal changes nothing.

#include "server/peer_secrets.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/testing/server_fixture.h"
#include "net/testing/test_certificates.h"
#include "server/server_test_util.h"

namespace merrow::server {
namespace {

using net::testing::LoopThread;
using net::testing::TestAuthority;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PeerSecretsTest : public ::testing::Test {
 protected:
  void WriteTokens(const std::string& text) { std::ofstream(options_.token_file) << text; }
  void UseTls(const net::TlsFiles& files) {
    options_.tls_cert = files.certificate;
    options_.tls_key = files.key;
    options_.tls_ca = files.ca;
  }
  PeerSecretsTest() {
    options_.listen = net::ListenAddress{};
    options_.token_file = dir_.File("token");
  }
  std::string ErrorOf(const std::string& tokens) {
    WriteTokens(tokens);
    const auto secrets = ReadPeerSecrets(options_);
    return secrets.ok() ? "no error" : secrets.error().ToString();
  }

  TempDir dir_;
  SystemClock clock_;
  TestAuthority authority_;
  ReplicationOptions options_;
};

TEST_F(PeerSecretsTest, ATokenToALine) {
  for (const char* text : {"new\nold\n", "new\r\nold\r\n", "\nnew\n\nold", "new\nold\n\n"}) {
    EXPECT_EQ(ErrorOf(text), "no error");
    const auto secrets = ReadPeerSecrets(options_);
    EXPECT_THAT(secrets->tokens, ElementsAre("new", "old")) << text;
    EXPECT_EQ(secrets->shown_token(), "new");
    EXPECT_EQ(secrets->accepting, nullptr);
    EXPECT_EQ(secrets->dialing, nullptr);
  }
}

TEST_F(PeerSecretsTest, WhatIsNoTokenIsAnErrorThatSaysWhere) {
  EXPECT_THAT(ErrorOf(""), HasSubstr(options_.token_file + " has no token"));
  EXPECT_THAT(ErrorOf("\n\r\n"), HasSubstr("has no token"));
  EXPECT_THAT(ErrorOf("good\nnot good\n"), HasSubstr(options_.token_file + ":2: "));
  EXPECT_THAT(ErrorOf(std::string("a\0b", 3)), HasSubstr(":1: "));
  EXPECT_THAT(ErrorOf("gr\xc3\xbc\xc3\x9f\n"), HasSubstr(":1: "));
  std::string many;
  for (size_t i = 0; i < kTokensMax; ++i) many += "t" + std::to_string(i) + "\n";
  EXPECT_EQ(ErrorOf(many), "no error");
  EXPECT_THAT(ErrorOf(many + "one-more\n"), HasSubstr("more than 16 tokens"));
  EXPECT_THAT(ErrorOf(std::string(1 << 20, 'x')), HasSubstr("bytes"));
  options_.token_file = dir_.File("absent");
  EXPECT_THAT(ReadPeerSecrets(options_).error().ToString(), HasSubstr("absent"));
}

TEST_F(PeerSecretsTest, CertificatesForBothDirections) {
  options_.token_file.clear();
  UseTls(authority_.Issue());
  auto secrets = ReadPeerSecrets(options_);
  ASSERT_TRUE(secrets.ok()) << secrets.error().ToString();
  EXPECT_NE(secrets->accepting, nullptr);
  EXPECT_NE(secrets->dialing, nullptr);
  EXPECT_EQ(secrets->shown_token(), "");
  options_.listen.reset();
  EXPECT_EQ(ReadPeerSecrets(options_)->accepting, nullptr);
  options_.tls_key = authority_.Issue().key;
  EXPECT_THAT(ReadPeerSecrets(options_).error().ToString(), HasSubstr(options_.tls_key));
}

TEST_F(PeerSecretsTest, ReadingAgainUsesWhatIsRightAndKeepsTheOldElse) {
  WriteTokens("first\n");
  LoopThread loop;
  std::string used;
  PeerSecretsReader reader(options_, loop.loop(), clock_);
  EXPECT_EQ(net::testing::Expect(reader.Read()).shown_token(), "first");
  const int64_t read_ms = reader.report().read_unix_ms;
  EXPECT_GT(read_ms, 0);
  const auto reload = [&](Status answer) {
    loop.Call([&] {
      reader.Reload([&used, answer](const PeerSecrets& secrets) {
        if (answer.ok()) used = secrets.shown_token();
        return answer;
      });
    });
  };
  const auto report = [&] { return loop.Call([&] { return reader.report(); }); };

  WriteTokens("second\n");
  reload({});
  ASSERT_TRUE(loop.WaitUntil([&] { return reader.report().reloads == 1; }));
  EXPECT_EQ(used, "second");
  EXPECT_EQ(report().error, "");

  WriteTokens("not good\n");
  reload({});
  ASSERT_TRUE(loop.WaitUntil([&] { return reader.report().reloads_failed == 1; }));
  EXPECT_EQ(used, "second");
  EXPECT_THAT(report().error, HasSubstr(options_.token_file + ":1: "));
  EXPECT_GE(report().error_unix_ms, read_ms);

  WriteTokens("third\n");
  reload(InvalidArgument("not with me"));
  ASSERT_TRUE(loop.WaitUntil([&] { return reader.report().reloads_failed == 2; }));
  EXPECT_THAT(report().error, HasSubstr("not with me"));

  reload({});
  ASSERT_TRUE(loop.WaitUntil([&] { return reader.report().reloads == 2; }));
  EXPECT_EQ(used, "third");
  EXPECT_EQ(report().error, "");
  loop.Join();
}

TEST_F(PeerSecretsTest, AFileThatHangsHoldsNothingUp) {
  WriteTokens("first\n");
  const std::string pipe = dir_.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  {
    LoopThread loop;
    PeerSecretsReader reader(options_, loop.loop(), clock_);
    std::filesystem::rename(pipe, options_.token_file);
    loop.Call([&] { reader.Reload([](const PeerSecrets&) -> Status { return {}; }); });
    loop.Join();
    EXPECT_EQ(reader.report().reloads, 0U);
  }
  // The thread that was left behind finds nobody to tell, and ends.
  WriteTokens("second\n");
}

TEST_F(PeerSecretsTest, AskedWhileItReadsItReadsWhatIsThereThen) {
  WriteTokens("first\n");
  LoopThread loop;
  std::vector<std::string> used;
  PeerSecretsReader reader(options_, loop.loop(), clock_);
  const auto use = [&](const PeerSecrets& secrets) -> Status {
    used.push_back(secrets.shown_token());
    return {};
  };
  loop.Call([&] {
    reader.Reload(use);
    WriteTokens("second\n");
    reader.Reload(use);
    WriteTokens("third\n");
    reader.Reload(use);
  });
  ASSERT_TRUE(loop.WaitUntil([&] { return !used.empty(); }));
  EXPECT_THAT(loop.Call([&] { return used; }), ElementsAre("third"));
  loop.Join();
}

}  // namespace
}  // namespace merrow::server
