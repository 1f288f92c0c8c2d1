// SPDX-License-Identifier: Apache-2.0
//
// Connections between sites over real sockets: what passes the listener's checks, how dials fail,
// and limits on both ends. Certificates: peer_tls_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/peer_handshake.h"
#include "net/testing/peer_fixture.h"

namespace merrow::net {
namespace {

using std::chrono::milliseconds;
using testing::Expect;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RecordingEvents;
using testing::SilentPort;
using testing::SocketRecord;
using testing::TestHttpClient;
using testing::TestSocket;
using testing::TestWebSocket;

constexpr char kToken[] = "correct-horse-battery-staple";

class PeerConnectionTest : public testing::PeerTest {};

/// A connection from another address of this machine that says nothing.
class SocketFrom {
 public:
  SocketFrom(const char* address, uint16_t port)
      : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in from = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
    sockaddr_in to = from;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (inet_pton(AF_INET, address, &from.sin_addr) != 1 ||
        bind(descriptor_, reinterpret_cast<sockaddr*>(&from), sizeof(from)) != 0 ||
        connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  ~SocketFrom() { close(descriptor_); }
  SocketFrom(const SocketFrom&) = delete;
  SocketFrom& operator=(const SocketFrom&) = delete;

  bool IsOpen() const {
    char byte = 0;
    return recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

 private:
  const int descriptor_;
};

TEST_F(PeerConnectionTest, MessagesOfEveryLengthFormPassBothWays) {
  handler_.echoes = true;
  Listen();
  const auto dial = Connect();
  for (const size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 16U << 20}) {
    Bytes message(size, '\0');
    for (size_t i = 0; i < size; ++i) {
      message[i] = static_cast<char>(i * 31 + size);
    }
    Send(dial->socket, message);
    ASSERT_TRUE(thread_.WaitUntil([&] { return dial->socket->messages.size() == 1; })) << size;
    thread_.Call([&] {
      EXPECT_TRUE(dial->socket->messages[0].first == message) << size;
      EXPECT_FALSE(dial->socket->messages[0].second);
      dial->socket->messages.clear();
    });
  }
}

TEST_F(PeerConnectionTest, TrafficIsWhatWentOverTheWire) {
  Listen();
  const auto dial = Connect();
  const auto accepted = Accepted();
  Send(dial->socket, Bytes(1000, 'x'));
  Send(accepted, Bytes(70'000, 'y'));
  ASSERT_TRUE(thread_.WaitUntil(
      [&] { return accepted->messages.size() == 1 && dial->socket->messages.size() == 1; }));
  // The write of a message may be noted after the other side has read it.
  ASSERT_TRUE(thread_.WaitUntil([&] {
    return dial->socket->connection->traffic().messages_out == 1 &&
           accepted->connection->traffic().messages_out == 1;
  }));
  const auto here = thread_.Call([&] { return dial->socket->connection->traffic(); });
  const auto there = thread_.Call([&] { return accepted->connection->traffic(); });
  EXPECT_EQ(here.bytes_out, 2U + 2 + 4 + 1000);
  EXPECT_EQ(here.bytes_in, 2U + 8 + 70'000);
  EXPECT_EQ(there.bytes_in, here.bytes_out);
  EXPECT_EQ(there.bytes_out, here.bytes_in);
  EXPECT_EQ(here.messages_in, 1U);
  EXPECT_EQ(there.messages_in, 1U);
  // TCP also carried the HTTP handshake.
  EXPECT_GT(here.tcp_bytes_out, here.bytes_out + 100);
  EXPECT_LT(here.tcp_bytes_out, here.bytes_out + 1000);
  EXPECT_EQ(here.tcp_bytes_out, there.tcp_bytes_in);
  EXPECT_EQ(here.tcp_bytes_in, there.tcp_bytes_out);
  EXPECT_EQ(thread_.Call([&] { return dialer_->counters().bytes_out_total; }), here.bytes_out);
}

TEST_F(PeerConnectionTest, TheRightTokenIsAccepted) {
  Listen({.tokens = {kToken}});
  Dialer({.token = kToken});
  Connect();
  thread_.Call([&] {
    EXPECT_FALSE(handler_.last_request.Header("Authorization")) << "the secret went on";
    EXPECT_EQ(handler_.last_request.segments, (std::vector<std::string>{"v1", "replication"}));
    EXPECT_FALSE(handler_.last_request.remote_address.empty());
  });
}

TEST_F(PeerConnectionTest, AWrongTokenIsRefused) {
  Listen({.tokens = {kToken}});
  for (const std::string& token :
       {std::string("wrong"), std::string(kToken) + "x", std::string(kToken, 5), std::string()}) {
    Dialer({.token = token});
    const auto failure = Fail();
    EXPECT_EQ(failure.stage, DialStage::kUpgrade);
    EXPECT_EQ(failure.http_status, 401);
    EXPECT_FALSE(failure.timed_out);
    EXPECT_THAT(failure.message, HasSubstr("ws://127.0.0.1:" + std::to_string(listener_->port())));
    EXPECT_THAT(failure.message, HasSubstr("401: a valid token is required"));
    EXPECT_THAT(LogLine(), HasSubstr("401 a valid token is required"));
    EXPECT_THAT(LogLine(), Not(HasSubstr(kToken)));
  }
  EXPECT_TRUE(thread_.Call([&] { return handler_.records.empty(); }));
}

TEST_F(PeerConnectionTest, ATokenThatAHeaderCannotCarryIsAnError) {
  const auto listener = TryListen({.tokens = {"two\r\nlines"}});
  ASSERT_FALSE(listener.ok());
  EXPECT_THAT(listener.error().message(), HasSubstr("visible ASCII"));
  Listen();
  Dialer({.token = "two\r\nlines"});
  EXPECT_THAT(Fail().message, HasSubstr("visible ASCII"));
}

TEST_F(PeerConnectionTest, ATokenIsRenewedWithoutAMomentInWhichNobodyIsLetIn) {
  const auto ask_for = [&](std::vector<std::string> tokens) {
    Expect(thread_.Call([&] { return listener_->Renew(std::move(tokens), nullptr); }));
  };
  const auto show = [&](std::string token) {
    thread_.Call([&] { dialer_->Renew(std::move(token), nullptr); });
  };
  Listen({.tokens = {"old"}});
  Dialer({.token = "old"});
  const auto first = Connect();
  const auto first_accepted = Accepted();
  ask_for({"old", "new"});
  Connect();
  show("new");
  Connect();
  ask_for({"new"});
  Connect();
  show("old");
  EXPECT_EQ(Fail().http_status, 401);
  // What stands has shown what was right then.
  Send(first->socket, "still here");
  EXPECT_TRUE(thread_.WaitUntil([&] { return first_accepted->messages.size() == 1; }));
}

TEST_F(PeerConnectionTest, RenewingCannotOpenTheDoor) {
  auto listener = Expect(TryListen({.tokens = {kToken}}, "0.0.0.0:0"));
  EXPECT_FALSE(thread_.Call([&] { return listener->Renew({}, nullptr).ok(); }));
  EXPECT_FALSE(thread_.Call([&] { return listener->Renew({""}, nullptr).ok(); }));
  EXPECT_FALSE(thread_.Call([&] { return listener->Renew({kToken, "a b"}, nullptr).ok(); }));
  EXPECT_EQ(Fail(StartDial("ws://127.0.0.1:" + std::to_string(listener->port()))).http_status, 401);
  thread_.Call([&] { listener.reset(); });
}

TEST_F(PeerConnectionTest, SecretsAreEqualOnlyWhole) {
  EXPECT_TRUE(EqualSecrets("abc", "abc"));
  EXPECT_TRUE(EqualSecrets("", ""));
  EXPECT_FALSE(EqualSecrets("abd", "abc"));
  EXPECT_FALSE(EqualSecrets("ab", "abc"));
  EXPECT_FALSE(EqualSecrets("abcd", "abc"));
  EXPECT_FALSE(EqualSecrets("", "abc"));
}

TEST_F(PeerConnectionTest, OthersMayReachTheDoorOnlyWithASecret) {
  const auto open = TryListen({}, "0.0.0.0:0");
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(open.error().message(), HasSubstr("0.0.0.0:0"));
  EXPECT_THAT(open.error().message(), HasSubstr("needs a token or mutual TLS"));
  EXPECT_TRUE(CanListen({.tokens = {kToken}}, "0.0.0.0:0"));
  EXPECT_TRUE(CanListen({}, "127.0.0.1:0"));
}

TEST_F(PeerConnectionTest, TheHandlerMayRefuse) {
  Listen();
  handler_.refusal = HttpResponse::Text(503, "not now\n");
  const auto failure = Fail();
  EXPECT_EQ(failure.http_status, 503);
  EXPECT_THAT(failure.message, HasSubstr("503: not now"));
  // It goes into the log and the status, however much there is of it.
  handler_.refusal = HttpResponse::Text(503, Bytes(1 << 20, 'x'));
  EXPECT_LT(Fail().message.size(), 500U);
}

TEST_F(PeerConnectionTest, AllElseGetsAShortErrorAndIsClosed) {
  Listen({.tokens = {kToken}});
  const std::string upgrade =
      "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
  const std::string token = "Authorization: Bearer " + std::string(kToken) + "\r\n";
  const std::string get = "GET /v1/replication HTTP/1.1\r\n";
  struct Case {
    std::string request;
    int status;
  };
  for (const Case& c : {
           Case{"GET / HTTP/1.1\r\n" + upgrade + token + "\r\n", 404},
           Case{"GET /v1/replication?x HTTP/1.1\r\n" + upgrade + token + "\r\n", 404},
           Case{get + "Host: localhost\r\n" + token + "\r\n", 426},
           Case{get + upgrade + token + "Origin: http://localhost\r\n\r\n", 403},
           Case{get + upgrade + "\r\n", 401},
           Case{get + upgrade + token + token + "\r\n", 401},
           Case{get + upgrade + "Authorization: Basic " + kToken + "\r\n\r\n", 401},
           Case{get + upgrade + token + "X: " + std::string(9000, 'x') + "\r\n\r\n", 431},
           Case{"POST /v1/replication HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413},
           Case{"what is this\r\n\r\n", 400},
       }) {
    auto client = Expect(TestHttpClient::Connect(listener_->port()));
    Expect(client.socket().Write(c.request));
    const auto response = Expect(client.ReadResponse());
    EXPECT_EQ(response.status, c.status) << c.request;
    EXPECT_EQ(response.Header("connection"), "close");
    EXPECT_LT(response.body.size(), 100U);
    Expect(client.socket().ExpectClosed());
  }
  EXPECT_TRUE(thread_.Call([&] { return handler_.records.empty(); }));
}

TEST_F(PeerConnectionTest, WhoSaysNothingIsDropped) {
  PeerListenerOptions options;
  options.websocket.handshake_timeout = milliseconds(100);
  Listen(options);
  auto silent = Expect(TestSocket::Connect(listener_->port()));
  auto slow = Expect(TestSocket::Connect(listener_->port()));
  Expect(slow.Write("GET /v1/repl"));
  Expect(silent.ExpectClosed());
  Expect(slow.ExpectClosed());
  EXPECT_TRUE(thread_.WaitUntil([&] { return listener_->counters().connections_open == 0; }));
}

TEST_F(PeerConnectionTest, ConnectionsAreLimited) {
  Listen({.connections_max = 2});
  Connect();
  Connect();
  const auto failure = Fail();
  EXPECT_EQ(failure.http_status, 503);
  EXPECT_EQ(thread_.Call([&] { return listener_->counters().connections_refused_total; }), 1U);
}

TEST_F(PeerConnectionTest, StrangersWhoHoldConnectionsOpenDoNotKeepSitesOut) {
  Listen({.connections_max = 4, .handshakes_max = 3});
  const auto open = [&](size_t count) {
    return thread_.WaitUntil([&] { return listener_->counters().connections_open == count; });
  };
  Connect();
  std::vector<TestSocket> strangers;
  for (size_t i = 0; i < 3; ++i) {
    strangers.push_back(Expect(TestSocket::Connect(listener_->port())));
    ASSERT_TRUE(open(i + 2));
  }
  // All of connections_max, and of handshakes_max: the oldest that is no site goes.
  Connect();
  Expect(strangers[0].ExpectClosed());
  EXPECT_THAT(LogLine(), HasSubstr("127.0.0.1, which has 3 of 3"));
  Connect();
  Expect(strangers[1].ExpectClosed());
  Connect();
  Expect(strangers[2].ExpectClosed());
  // Sites do not make room for others.
  EXPECT_EQ(Fail().http_status, 503);
  EXPECT_EQ(thread_.Call([&] { return listener_->counters().connections_refused_total; }), 4U);
}

TEST_F(PeerConnectionTest, RoomIsMadeWhereMostStrangersAre) {
  Listen({.handshakes_max = 3});
  const SocketFrom rare("127.0.0.3", listener_->port());
  ASSERT_TRUE(thread_.WaitUntil([&] { return listener_->counters().connections_open == 1; }));
  for (int i = 0; i < 10; ++i) {
    const auto one = Expect(TestSocket::Connect(listener_->port()));
    const auto two = Expect(TestSocket::Connect(listener_->port()));
    const auto three = Expect(TestSocket::Connect(listener_->port()));
    ASSERT_TRUE(thread_.WaitUntil([&] {
      return listener_->counters().connections_total == 1 + 3 * static_cast<uint64_t>(i + 1);
    }));
    EXPECT_TRUE(rare.IsOpen()) << i;
  }
}

TEST_F(PeerConnectionTest, ADialFailsWithWhatFailed) {
  uint16_t free_port = 0;
  { free_port = SilentPort().port(); }
  const auto refused = Fail(StartDial("ws://127.0.0.1:" + std::to_string(free_port)));
  EXPECT_EQ(refused.stage, DialStage::kConnect);
  EXPECT_THAT(refused.message, HasSubstr("connect: cannot connect: 127.0.0.1: Connection refused"));
  const auto unknown = Fail(StartDial("ws://no-such-host.invalid:7000"));
  EXPECT_EQ(unknown.stage, DialStage::kResolve);
  EXPECT_THAT(unknown.message, HasSubstr("ws://no-such-host.invalid:7000: resolve: cannot find"));
}

TEST_F(PeerConnectionTest, NamesAreLookedUpAndTriedInTurn) {
  // Only IPv4 is listened on; "localhost" may mean ::1 first.
  Listen();
  Connect("ws", "localhost");
}

TEST_F(PeerConnectionTest, APeerThatNeverAnswersIsATimeout) {
  const SilentPort silent;
  Dialer({.dial_timeout = milliseconds(100)});
  const auto plain = Fail(StartDial("ws://127.0.0.1:" + std::to_string(silent.port())));
  EXPECT_EQ(plain.stage, DialStage::kUpgrade);
  EXPECT_TRUE(plain.timed_out);
  EXPECT_THAT(plain.message, HasSubstr("dial_timeout"));
  const auto tls = Fail(StartDial("wss://127.0.0.1:" + std::to_string(silent.port())));
  EXPECT_EQ(tls.stage, DialStage::kTls);
  EXPECT_TRUE(tls.timed_out);
}

TEST_F(PeerConnectionTest, TlsTowardsAPlainDoorIsAnError) {
  Listen();
  const auto failure = Fail("wss");
  EXPECT_EQ(failure.stage, DialStage::kTls);
  EXPECT_FALSE(failure.timed_out);
}

TEST_F(PeerConnectionTest, ACancelledDialIsSilent) {
  Listen();
  const SilentPort silent;
  const std::string silent_url = "ws://127.0.0.1:" + std::to_string(silent.port());
  const auto cancel = [&](const SharedDial& dial) {
    thread_.Call([&] { dial->dial.reset(); });
    EXPECT_TRUE(thread_.WaitUntil([&] { return dial->socket->destroyed; }));
    thread_.Call([&] {
      EXPECT_FALSE(dial->failure);
      EXPECT_FALSE(dial->socket->closed);
      EXPECT_EQ(dial->socket->connection, nullptr);
    });
  };
  // While the name is looked up (before the lookup can fail), connecting, waiting for the answer.
  Dialer();
  bool has_failed = false;
  auto record = std::make_shared<SocketRecord>();
  thread_.Call([&] {
    const auto dial = dialer_->Start({.host = "no-such-host.invalid", .port = 7000},
                                     std::make_unique<RecordingEvents>(record, false),
                                     [&](const DialFailure&) { has_failed = true; });
  });
  EXPECT_TRUE(record->destroyed);
  cancel(StartDial(silent_url));
  cancel(StartDial("wss://127.0.0.1:" + std::to_string(silent.port())));
  const auto waiting = StartDial(silent_url);
  ASSERT_TRUE(thread_.WaitUntil([&] { return dialer_->counters().connections_total > 0; }));
  cancel(waiting);
  EXPECT_TRUE(thread_.WaitUntil([&] { return dialer_->counters().connections_open == 0; }));
  EXPECT_FALSE(has_failed);

  // Once it is open, the handle has no say.
  const auto open = Connect();
  thread_.Call([&] { open->dial.reset(); });
  Send(open->socket, "still here");
  EXPECT_TRUE(thread_.WaitUntil([&] { return handler_.records.back()->messages.size() == 1; }));
}

TEST_F(PeerConnectionTest, AMessageOverTheLimitClosesEitherWay) {
  PeerListenerOptions options;
  options.websocket.message_bytes_max = 1000;
  Listen(options);
  PeerDialerOptions dialer_options;
  dialer_options.websocket.message_bytes_max = 2000;
  Dialer(dialer_options);

  auto dial = Connect();
  auto accepted = Accepted();
  Send(dial->socket, Bytes(1000, 'x'));
  Send(dial->socket, Bytes(4 << 20, 'x'));
  EXPECT_EQ(WaitForClose(accepted).code, kCloseTooBig);
  EXPECT_EQ(WaitForClose(dial->socket).code, kCloseTooBig);
  EXPECT_EQ(accepted->messages.size(), 1U);

  dial = Connect();
  accepted = Accepted();
  Send(accepted, Bytes(2001, 'x'));
  const auto reason = WaitForClose(dial->socket);
  EXPECT_EQ(reason.code, kCloseTooBig);
  EXPECT_THAT(reason.text, HasSubstr("message_bytes_max"));
  EXPECT_EQ(WaitForClose(accepted).code, kCloseTooBig);
}

TEST_F(PeerConnectionTest, ASlowPeerIsPushedBackOnAndThenClosed) {
  PeerListenerOptions options;
  Listen(options);
  PeerDialerOptions dialer_options;
  dialer_options.websocket.send_buffer_bytes_max = 16 << 20;
  dialer_options.websocket.send_buffer_bytes_low = 100'000;
  Dialer(dialer_options);
  const auto dial = Connect();
  const auto accepted = Accepted();
  thread_.Call([&] { accepted->connection->SetReading(false); });
  // Far more than what the operating system holds for the two.
  constexpr size_t kMessages = 15;
  thread_.Call([&] {
    for (size_t i = 0; i < kMessages; ++i) {
      dial->socket->connection->Send(std::make_shared<const Bytes>(1 << 20, 'x'), false);
    }
    EXPECT_GE(dial->socket->connection->buffered_bytes(), kMessages << 20);
  });
  EXPECT_EQ(dial->socket->drained_count, 0U);

  thread_.Call([&] { accepted->connection->SetReading(true); });
  ASSERT_TRUE(thread_.WaitUntil([&] { return dial->socket->drained_count == 1; }));
  ASSERT_TRUE(thread_.WaitUntil([&] { return accepted->messages.size() == kMessages; }));
  EXPECT_LE(dial->socket->buffered_at_drain, 100'000U);

  thread_.Call([&] { accepted->connection->SetReading(false); });
  for (size_t i = 0; i < 40; ++i) {
    Send(dial->socket, Bytes(1 << 20, 'x'));
    if (!thread_.Call([&] { return dial->socket->connection->open(); })) {
      break;
    }
  }
  EXPECT_FALSE(thread_.Call([&] { return dial->socket->connection->open(); }));
  thread_.Call([&] { accepted->connection->SetReading(true); });
  EXPECT_EQ(WaitForClose(dial->socket).code, kCloseTryAgainLater);
  EXPECT_EQ(WaitForClose(accepted).code, kCloseTryAgainLater);
}

TEST_F(PeerConnectionTest, APeerThatAnswersNoPingIsDropped) {
  PeerListenerOptions options;
  options.websocket.idle_timeout = milliseconds(200);
  Listen(options);
  PeerDialerOptions dialer_options;
  dialer_options.websocket.idle_timeout = milliseconds(200);
  Dialer(dialer_options);
  // Two that are alive keep each other, however little they say.
  const auto alive = Connect();
  const auto accepted = Accepted();
  auto dead = Expect(TestWebSocket::Connect(listener_->port(), kReplicationPath));
  ASSERT_TRUE(thread_.WaitUntil([&] { return handler_.records.size() == 2; }));
  const auto record = Accepted();
  const auto reason = WaitForClose(record);
  EXPECT_EQ(reason.code, kCloseAbnormal);
  EXPECT_THAT(reason.text, HasSubstr("idle_timeout"));
  EXPECT_TRUE(thread_.Call([&] { return accepted->connection && alive->socket->connection; }));
}

TEST_F(PeerConnectionTest, ShutdownSaysGoodbye) {
  Listen();
  const auto dial = Connect();
  const auto accepted = Accepted();
  std::promise<void> done;
  thread_.Call([&] { listener_->Shutdown(milliseconds(10'000), [&] { done.set_value(); }); });
  done.get_future().wait();
  EXPECT_EQ(WaitForClose(accepted).code, kCloseGoingAway);
  const auto reason = WaitForClose(dial->socket);
  EXPECT_EQ(reason.code, kCloseGoingAway);
  EXPECT_TRUE(reason.by_peer);
  EXPECT_EQ(Fail().stage, DialStage::kConnect);
}

TEST_F(PeerConnectionTest, TheDialersShutdownEndsAttemptsToo) {
  Listen();
  const SilentPort silent;
  const auto dial = Connect();
  const auto accepted = Accepted();
  const auto waiting = StartDial("ws://127.0.0.1:" + std::to_string(silent.port()));
  ASSERT_TRUE(thread_.WaitUntil([&] { return dialer_->counters().connections_total == 2; }));
  std::promise<void> done;
  thread_.Call([&] { dialer_->Shutdown(milliseconds(10'000), [&] { done.set_value(); }); });
  done.get_future().wait();
  EXPECT_EQ(WaitForClose(accepted).code, kCloseGoingAway);
  thread_.Call([&] {
    EXPECT_TRUE(waiting->socket->destroyed);
    EXPECT_FALSE(waiting->failure);
  });
}

TEST_F(PeerConnectionTest, EitherEndMayGoAtAnyTime) {
  const SilentPort silent;
  for (int round = 0; round < 20; ++round) {
    Listen();
    const auto open = Connect();
    const auto waiting = StartDial("ws://127.0.0.1:" + std::to_string(silent.port()));
    const auto starting = StartDial("ws", "127.0.0.1");
    thread_.Call([&] {
      if (round % 2 == 0) {
        listener_.reset();
      }
      dialer_.reset();
      EXPECT_TRUE(open->socket->destroyed);
      EXPECT_TRUE(open->socket->closed);
      EXPECT_TRUE(waiting->socket->destroyed);
      EXPECT_FALSE(waiting->failure);
      listener_.reset();
    });
  }
}

}  // namespace
}  // namespace merrow::net
