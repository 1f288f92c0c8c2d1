// SPDX-License-Identifier: Apache-2.0
//
// TLS between sites, with certificates made by the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "net/testing/peer_fixture.h"

namespace merrow::net {
namespace {

using testing::Expect;
using ::testing::HasSubstr;
using testing::TestAuthority;

class PeerTlsTest : public testing::PeerTest {
 protected:
  void ListenTls(const TlsFiles& files, bool mutual = false) {
    Listen({.tls = Expect(LoadServerTls(files, mutual))});
  }
  void DialWith(const TlsFiles& files) { Dialer({.tls = Expect(LoadClientTls(files))}); }
  /// Trusts `authority` and shows no certificate.
  static TlsFiles Anonymous(const TestAuthority& authority) { return {.ca = authority.path()}; }

  TestAuthority authority_;
};

TEST_F(PeerTlsTest, MessagesPassBothWays) {
  handler_.echoes = true;
  ListenTls(authority_.Issue());
  DialWith(Anonymous(authority_));
  const auto dial = Connect("wss");
  for (const size_t size : {1U, 20'000U, 16U << 20}) {
    const Bytes message(size, 'm');
    Send(dial->socket, message);
    ASSERT_TRUE(thread_.WaitUntil([&] { return dial->socket->messages.size() == 1; })) << size;
    thread_.Call([&] {
      EXPECT_TRUE(dial->socket->messages[0].first == message);
      dial->socket->messages.clear();
    });
  }
  const auto traffic = thread_.Call([&] { return dial->socket->connection->traffic(); });
  EXPECT_GT(traffic.tcp_bytes_in, traffic.bytes_in);
  EXPECT_LT(traffic.tcp_bytes_in, traffic.bytes_in + traffic.bytes_in / 50);

  thread_.Call([&] { dial->socket->connection->Close(kCloseNormal, "that was all"); });
  const auto reason = WaitForClose(Accepted());
  EXPECT_EQ(reason.code, kCloseNormal);
  EXPECT_EQ(reason.text, "that was all");
  EXPECT_TRUE(reason.by_peer);
  EXPECT_EQ(WaitForClose(dial->socket).code, kCloseNormal);
}

TEST_F(PeerTlsTest, AHostNameIsCheckedAsANameAndAnAddressAsAnAddress) {
  ListenTls(authority_.Issue({.names = "DNS:localhost"}));
  DialWith(Anonymous(authority_));
  Connect("wss", "localhost");
  const auto failure = Fail("wss", "127.0.0.1");
  EXPECT_EQ(failure.stage, DialStage::kTls);
  EXPECT_THAT(failure.message, HasSubstr("tls: TLS failed: the peer's certificate is refused: "
                                         "IP address mismatch"));
  thread_.Call([&] { listener_.reset(); });
  ListenTls(authority_.Issue({.names = "DNS:elsewhere,IP:127.0.0.1"}));
  Connect("wss", "127.0.0.1");
  EXPECT_THAT(Fail("wss", "localhost").message, HasSubstr("hostname mismatch"));
}

TEST_F(PeerTlsTest, AnUnknownAuthorityIsRefused) {
  TestAuthority other;
  ListenTls(other.Issue());
  DialWith(Anonymous(authority_));
  const auto failure = Fail("wss");
  EXPECT_EQ(failure.stage, DialStage::kTls);
  EXPECT_THAT(failure.message, HasSubstr("the peer's certificate is refused"));
  // Nor does the system know it.
  Dialer();
  EXPECT_EQ(Fail("wss").stage, DialStage::kTls);
}

TEST_F(PeerTlsTest, AnExpiredCertificateIsRefused) {
  ListenTls(authority_.Issue({.is_expired = true}));
  DialWith(Anonymous(authority_));
  const auto failure = Fail("wss");
  EXPECT_EQ(failure.stage, DialStage::kTls);
  EXPECT_THAT(failure.message, HasSubstr("certificate has expired"));
}

TEST_F(PeerTlsTest, MutualTlsTakesACertificateOfTheAuthority) {
  const TlsFiles files = authority_.Issue();
  ListenTls(files, true);
  DialWith(authority_.Issue());
  const auto dial = Connect("wss");
  Send(dial->socket, "hello");
  EXPECT_TRUE(thread_.WaitUntil([&] { return handler_.records.back()->messages.size() == 1; }));
  // It is enough for a door that others can reach; TLS alone is not.
  EXPECT_TRUE(CanListen({.tls = Expect(LoadServerTls(files, true))}, "0.0.0.0:0"));
  EXPECT_FALSE(CanListen({.tls = Expect(LoadServerTls(files, false))}, "0.0.0.0:0"));
}

TEST_F(PeerTlsTest, MutualTlsRefusesAllElse) {
  ListenTls(authority_.Issue(), true);
  TestAuthority other;
  TlsFiles foreign = other.Issue();
  foreign.ca = authority_.path();
  struct Case {
    const char* name;
    TlsFiles files;
    const char* here;   // what the dialling side says
    const char* there;  // what the listening side logs
  };
  for (const Case& c : {
           Case{"none", Anonymous(authority_), "certificate required", "peer did not return"},
           Case{"foreign", foreign, "unknown ca", "unable to get local issuer certificate"},
           Case{"expired", authority_.Issue({.is_expired = true}), "certificate expired",
                "certificate has expired"},
       }) {
    thread_.Call([&] { log_.clear(); });
    DialWith(c.files);
    const auto failure = Fail("wss");
    EXPECT_EQ(failure.stage, DialStage::kTls) << c.name;
    EXPECT_THAT(failure.message, HasSubstr(c.here)) << c.name;
    EXPECT_THAT(LogLine(), HasSubstr(c.there)) << c.name;
  }
  EXPECT_TRUE(thread_.Call([&] { return handler_.records.empty(); }));
}

TEST_F(PeerTlsTest, CertificatesAndAuthoritiesAreRenewedWhileConnectionsStand) {
  TestAuthority next;
  const auto both = [&](TlsFiles files) {
    files.ca = authority_.directory() + "/both.pem";
    std::ofstream(files.ca) << std::ifstream(authority_.path()).rdbuf()
                            << std::ifstream(next.path()).rdbuf();
    return files;
  };
  const auto renew_listener = [&](const TlsFiles& files) {
    const auto tls = Expect(LoadServerTls(files, true));
    Expect(thread_.Call([&] { return listener_->Renew({}, tls); }));
  };
  const auto renew_dialer = [&](const TlsFiles& files) {
    const auto tls = Expect(LoadClientTls(files));
    thread_.Call([&] { dialer_->Renew("", tls); });
  };
  ListenTls(authority_.Issue(), true);
  DialWith(authority_.Issue());
  const auto first = Connect("wss");
  const auto first_accepted = Accepted();
  renew_listener(both(authority_.Issue()));
  Connect("wss");
  renew_dialer(both(next.Issue()));
  Connect("wss");
  renew_listener(next.Issue());
  Connect("wss");
  renew_dialer(authority_.Issue());
  EXPECT_EQ(Fail("wss").stage, DialStage::kTls);
  renew_dialer(next.Issue());
  Connect("wss");
  Send(first->socket, "still here");
  EXPECT_TRUE(thread_.WaitUntil([&] { return first_accepted->messages.size() == 1; }));
  EXPECT_FALSE(thread_.Call([&] { return listener_->Renew({"token"}, nullptr).ok(); }));
}

TEST_F(PeerTlsTest, TheSystemsAuthoritiesAreLookedUpAgain) {
  ListenTls(authority_.Issue());
  Dialer();
  EXPECT_EQ(Fail("wss").stage, DialStage::kTls);
  // Where OpenSSL looks for them.
  setenv("SSL_CERT_FILE", authority_.path().c_str(), 1);
  EXPECT_EQ(Fail("wss").stage, DialStage::kTls);
  thread_.Call([&] { dialer_->Renew("", nullptr); });
  Connect("wss");
  unsetenv("SSL_CERT_FILE");
}

TEST_F(PeerTlsTest, ACertificateSaysWhenItExpires) {
  const int64_t now = time(nullptr);
  const auto valid = CertificateExpiry(*Expect(LoadServerTls(authority_.Issue(), false)));
  EXPECT_GT(valid.value_or(0), now);
  const auto expired =
      CertificateExpiry(*Expect(LoadClientTls(authority_.Issue({.is_expired = true}))));
  EXPECT_LT(expired.value_or(now), now);
  EXPECT_FALSE(CertificateExpiry(*Expect(LoadClientTls(Anonymous(authority_)))).has_value());
}

TEST_F(PeerTlsTest, PlainAndTlsDoNotMix) {
  ListenTls(authority_.Issue());
  const auto failure = Fail("ws");
  EXPECT_EQ(failure.stage, DialStage::kUpgrade);
  EXPECT_EQ(failure.http_status, 0);
  EXPECT_THAT(LogLine(), HasSubstr("TLS failed"));
}

TEST_F(PeerTlsTest, TlsAndATokenMayBothBeAskedFor) {
  Listen({.tokens = {"a-secret"}, .tls = Expect(LoadServerTls(authority_.Issue(), true))});
  const auto tls = Expect(LoadClientTls(authority_.Issue()));
  Dialer({.tls = tls});
  EXPECT_EQ(Fail("wss").http_status, 401);
  Dialer({.token = "a-secret", .tls = tls});
  Connect("wss");
}

TEST_F(PeerTlsTest, AnOversizedMessageOverTlsClosesWithTheReason) {
  PeerListenerOptions options = {.tls = Expect(LoadServerTls(authority_.Issue(), false))};
  options.websocket.message_bytes_max = 1000;
  Listen(options);
  DialWith(Anonymous(authority_));
  const auto dial = Connect("wss");
  Send(dial->socket, Bytes(4 << 20, 'x'));
  EXPECT_EQ(WaitForClose(Accepted()).code, kCloseTooBig);
  EXPECT_EQ(WaitForClose(dial->socket).code, kCloseTooBig);
}

TEST_F(PeerTlsTest, FilesThatDoNotFitAreNamed) {
  const TlsFiles good = authority_.Issue();
  const std::string absent = authority_.directory() + "/absent.pem";
  const std::string garbage = authority_.directory() + "/garbage.pem";
  std::ofstream(garbage) << "this is no PEM\n";
  const auto message = [](const Result<SharedTlsContext>& result) {
    return result.ok() ? std::string("no error") : result.error().ToString();
  };
  const auto with = [&](auto change) {
    TlsFiles files = good;
    change(files);
    return message(LoadServerTls(files, true));
  };
  EXPECT_EQ(with([](TlsFiles&) {}), "no error");
  EXPECT_THAT(with([&](TlsFiles& files) { files.certificate = absent; }),
              HasSubstr("not_found: cannot read the TLS certificate '" + absent));
  EXPECT_THAT(with([&](TlsFiles& files) { files.key = absent; }),
              HasSubstr("cannot read the TLS key '" + absent));
  EXPECT_THAT(with([&](TlsFiles& files) { files.ca = absent; }),
              HasSubstr("cannot read the TLS authority '" + absent));
  EXPECT_THAT(with([&](TlsFiles& files) { files.certificate = garbage; }),
              HasSubstr("the TLS certificate '" + garbage + "' cannot be used: "));
  EXPECT_THAT(with([&](TlsFiles& files) { files.key = garbage; }),
              HasSubstr("the TLS key '" + garbage + "' cannot be used: "));
  EXPECT_THAT(with([&](TlsFiles& files) { files.ca = garbage; }),
              HasSubstr("the TLS authority '" + garbage + "' cannot be used: "));
  const std::string other_key = authority_.Issue().key;
  EXPECT_THAT(with([&](TlsFiles& files) { files.key = other_key; }), HasSubstr(other_key));
  EXPECT_THAT(with([](TlsFiles& files) { files.key.clear(); }), HasSubstr("both"));
  EXPECT_THAT(with([](TlsFiles& files) { files.ca.clear(); }), HasSubstr("authority is needed"));
  EXPECT_THAT(message(LoadClientTls({.certificate = good.certificate})),
              HasSubstr("needs its key"));
}

}  // namespace
}  // namespace merrow::net
