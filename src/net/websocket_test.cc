// SPDX-License-Identifier: Apache-2.0
//
// WebSockets over real sockets, against a client that shares no code with the server.
#include "net/websocket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <memory>

#include "net/testing/server_fixture.h"

namespace merrow::net {
namespace {

using std::chrono::milliseconds;
using testing::Expect;
using ::testing::HasSubstr;
using testing::ServerTest;
using testing::SocketRecord;
using testing::TestFrame;
using testing::TestOpcode;
using testing::TestSocket;
using testing::TestWebSocket;

constexpr int kSmallReceiveBuffer = 16 << 10;

class WebSocketTest : public ServerTest {
 protected:
  static HttpServerOptions With(const WebSocketOptions& websocket) {
    HttpServerOptions options;
    options.websocket = websocket;
    return options;
  }
  void Send(const std::shared_ptr<SocketRecord>& record, Bytes message, bool is_text = false) {
    auto shared = std::make_shared<const Bytes>(std::move(message));
    thread_.Call([&] { record->connection->Send(std::move(shared), is_text); });
  }
  int HandshakeStatus(std::string_view path, const std::vector<std::string>& headers = {}) {
    auto socket = Expect(TestSocket::Connect(port()));
    return Expect(TestWebSocket::Handshake(socket, path, headers)).status;
  }
};

TEST_F(WebSocketTest, EchoesTextAndBinary) {
  Listen();
  auto socket = Socket("/echo");
  Record();
  const auto upgrade = Counters();
  const Bytes binary("\0\x01\xff", 3);
  Expect(socket.SendText("h\xC3\xA9llo"));
  Expect(socket.SendBinary(binary));
  Expect(socket.SendBinary(""));
  const auto text = Expect(socket.ReadMessage());
  EXPECT_EQ(text.opcode, TestOpcode::kText);
  EXPECT_EQ(text.payload, "h\xC3\xA9llo");
  const auto second = Expect(socket.ReadMessage());
  EXPECT_EQ(second.opcode, TestOpcode::kBinary);
  EXPECT_EQ(second.payload, binary);
  EXPECT_EQ(Expect(socket.ReadMessage()).payload, "");
  // The client may see a message before the server has counted it.
  EXPECT_TRUE(thread_.WaitUntil([&] { return server_->counters().messages_out_total == 3; }));
  const auto counters = Counters();
  EXPECT_EQ(counters.websockets_open, 1U);
  EXPECT_EQ(counters.connections_open, 1U);
  EXPECT_EQ(counters.messages_in_total, 3U);
  EXPECT_EQ(counters.bytes_in_total - upgrade.bytes_in_total, (6U + 6) + (6U + 3) + 6U);
  EXPECT_EQ(counters.bytes_out_total - upgrade.bytes_out_total, (2U + 6) + (2U + 3) + 2U);
}

TEST_F(WebSocketTest, EchoesEveryLengthForm) {
  Listen();
  auto socket = Socket("/echo");
  for (const size_t size : {1U, 125U, 126U, 127U, 65535U, 65536U, 8U << 20}) {
    Bytes message(size, '\0');
    for (size_t i = 0; i < size; ++i) {
      message[i] = static_cast<char>(i * 31 + size);
    }
    Expect(socket.SendBinary(message));
    EXPECT_TRUE(Expect(socket.ReadMessage()).payload == message) << size;
  }
}

TEST_F(WebSocketTest, KeepsTheOrderOfManySmallMessages) {
  Listen();
  auto socket = Socket("/echo");
  for (int i = 0; i < 1000; ++i) {
    Expect(socket.SendText(std::to_string(i)));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(Expect(socket.ReadMessage()).payload, std::to_string(i));
  }
}

TEST_F(WebSocketTest, JoinsFragmentsAroundAPing) {
  Listen();
  auto socket = Socket("/echo");
  Expect(socket.SendFrame({.is_final = false, .opcode = TestOpcode::kText, .payload = "one \xC3"}));
  Expect(socket.SendFrame({.opcode = TestOpcode::kPing, .payload = "are you there"}));
  Expect(socket.SendFrame({.is_final = false, .opcode = TestOpcode::kContinuation}));
  Expect(socket.SendFrame({.opcode = TestOpcode::kContinuation, .payload = "\xA9 two"}));
  const auto pong = Expect(socket.ReadFrame());
  EXPECT_EQ(pong.opcode, TestOpcode::kPong);
  EXPECT_EQ(pong.payload, "are you there");
  const auto message = Expect(socket.ReadFrame());
  EXPECT_EQ(message.opcode, TestOpcode::kText);
  EXPECT_TRUE(message.is_final);
  EXPECT_EQ(message.payload, "one \xC3\xA9 two");
}

TEST_F(WebSocketTest, AMessageOverTheLimitClosesWith1009) {
  Listen(With({.message_bytes_max = 1000}));
  auto whole = Socket("/record");
  auto record = Record(0);
  Expect(whole.SendBinary(Bytes(1000, 'x')));
  // More than the socket buffers hold, so the server has to go on reading.
  Expect(whole.SendBinary(Bytes(8 << 20, 'x')));
  EXPECT_EQ(Expect(whole.ReadMessage()).close_code(), kCloseTooBig);
  { auto gone = std::move(whole); }
  const auto reason = WaitForClose(record);
  EXPECT_EQ(reason.code, kCloseTooBig);
  EXPECT_THAT(reason.text, HasSubstr("message_bytes_max"));
  EXPECT_EQ(record->messages.size(), 1U);

  auto fragmented = Socket("/record");
  record = Record(1);
  Expect(fragmented.SendFrame(
      {.is_final = false, .opcode = TestOpcode::kBinary, .payload = Bytes(600, 'x')}));
  Expect(fragmented.SendFrame({.opcode = TestOpcode::kContinuation, .payload = Bytes(401, 'x')}));
  EXPECT_EQ(Expect(fragmented.ReadMessage()).close_code(), kCloseTooBig);
  { auto gone = std::move(fragmented); }
  EXPECT_EQ(WaitForClose(record).code, kCloseTooBig);
  EXPECT_TRUE(record->messages.empty());
}

TEST_F(WebSocketTest, BrokenInputClosesWithTheRightCode) {
  struct Case {
    const char* name;
    Bytes bytes;  // as on the wire, with an all-zero mask where masked
    uint16_t code;
  };
  const Bytes mask(4, '\0');
  const Case cases[] = {
      {"text that is not UTF-8", "\x81\x82" + mask + "\xC3\x28", kCloseBadText},
      {"text that ends inside a character", "\x81\x81" + mask + "\xC3", kCloseBadText},
      {"unmasked", Bytes("\x82\x01x"), kCloseProtocolError},
      {"reserved bit", "\xC2\x81" + mask + "x", kCloseProtocolError},
      {"reserved opcode", "\x83\x81" + mask + "x", kCloseProtocolError},
      {"continuation of nothing", "\x80\x81" + mask + "x", kCloseProtocolError},
      {"message inside a message", "\x02\x81" + mask + "x\x82\x81" + mask + "x",
       kCloseProtocolError},
      {"fragmented ping", Bytes("\x09\x80") + mask, kCloseProtocolError},
      {"long ping", "\x89\xFE" + Bytes("\0\x7E", 2) + mask + Bytes(126, 'x'), kCloseProtocolError},
      {"close with one byte", "\x88\x81" + mask + "x", kCloseProtocolError},
      {"close with a forbidden code", "\x88\x82" + mask + "\x03\xED", kCloseProtocolError},
  };
  Listen();
  size_t i = 0;
  for (const Case& c : cases) {
    auto socket = Socket("/record");
    const auto record = Record(i++);
    Expect(socket.socket().Write(c.bytes));
    EXPECT_EQ(Expect(socket.ReadFrame()).close_code(), c.code) << c.name;
    { auto gone = std::move(socket); }
    EXPECT_EQ(WaitForClose(record).code, c.code) << c.name;
    EXPECT_TRUE(record->messages.empty()) << c.name;
  }
}

TEST_F(WebSocketTest, UpgradesAreDecidedByPathAndHandler) {
  Listen();
  EXPECT_EQ(HandshakeStatus("/nothing"), 404);
  EXPECT_EQ(HandshakeStatus("/refused"), 401);
  EXPECT_EQ(HandshakeStatus("/echo", {"Host: evil.example"}), 403);
  EXPECT_EQ(HandshakeStatus("/echo", {"Origin: https://evil.example"}), 403);
  EXPECT_EQ(HandshakeStatus("/echo", {"Origin: http://localhost:5173"}), 101);
  EXPECT_EQ(HandshakeStatus("/e%63ho?x=1"), 101);
}

TEST_F(WebSocketTest, WithoutAHandlerEveryUpgradeIs404) {
  Listen({}, "127.0.0.1:0", false);
  EXPECT_EQ(HandshakeStatus("/echo"), 404);
}

TEST_F(WebSocketTest, ABrokenHandshakeDestroysTheEventsWithoutACall) {
  Listen();
  auto socket = Expect(TestSocket::Connect(port()));
  Expect(
      socket.Write("GET /record HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
  EXPECT_THAT(Expect(socket.ReadToEnd()), HasSubstr("HTTP/1.1 426"));
  ASSERT_TRUE(thread_.WaitUntil(
      [&] { return websockets_.records.size() == 1 && websockets_.records[0]->destroyed; }));
  EXPECT_FALSE(websockets_.records[0]->closed.has_value());
  EXPECT_EQ(Counters().connections_open, 0U);
}

TEST_F(WebSocketTest, ThePeersCloseIsAnsweredAndReported) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  Expect(socket.SendClose(3001, "gone fishing"));
  EXPECT_EQ(Expect(socket.ReadMessage()).close_code(), 3001);
  Expect(socket.socket().ExpectClosed());
  { auto gone = std::move(socket); }
  const auto reason = WaitForClose(record);
  EXPECT_EQ(reason.code, 3001);
  EXPECT_EQ(reason.text, "gone fishing");
  EXPECT_TRUE(reason.by_peer);
  EXPECT_EQ(Counters().websockets_open, 0U);
  EXPECT_EQ(Counters().connections_open, 0U);
}

TEST_F(WebSocketTest, ACloseWithoutCodeIs1005) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  Expect(socket.SendFrame({.opcode = TestOpcode::kClose}));
  Expect(socket.ReadMessage());
  { auto gone = std::move(socket); }
  EXPECT_EQ(WaitForClose(record).code, kCloseNoCode);
}

TEST_F(WebSocketTest, CloseSendsWhatIsQueuedFirst) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  thread_.Call([&] {
    for (int i = 0; i < 10; ++i) {
      record->connection->Send(std::make_shared<const Bytes>(100'000, 'x'), false);
    }
    record->connection->Close(4000, std::string(200, 'y') + "\xC3\xA9");
    EXPECT_FALSE(record->connection->open());
    // After Close nothing more is sent, and a second Close changes nothing.
    record->connection->Send(std::make_shared<const Bytes>("late"), true);
    record->connection->Close(4001, "again");
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Expect(socket.ReadMessage()).payload.size(), 100'000U);
  }
  const auto close = Expect(socket.ReadMessage());
  EXPECT_EQ(close.close_code(), 4000);
  EXPECT_EQ(close.payload.size(), 2U + 123U);
  Expect(socket.SendText("not delivered"));
  Expect(socket.SendClose(4000));
  { auto gone = std::move(socket); }
  const auto reason = WaitForClose(record);
  EXPECT_EQ(reason.code, 4000);
  EXPECT_FALSE(reason.by_peer);
  EXPECT_TRUE(record->messages.empty());
}

TEST_F(WebSocketTest, APeerThatIgnoresTheCloseIsCutAfterTheTimeout) {
  Listen(With({.handshake_timeout = milliseconds(50)}));
  auto socket = Socket("/record");
  const auto record = Record();
  thread_.Call([&] { record->connection->Close(4000, "bye"); });
  EXPECT_EQ(Expect(socket.ReadMessage()).close_code(), 4000);
  EXPECT_EQ(WaitForClose(record).code, 4000);
}

TEST_F(WebSocketTest, BothSidesMayCloseAtOnce) {
  Listen();
  for (size_t i = 0; i < 50; ++i) {
    auto socket = Socket("/record");
    const auto record = Record(i);
    Expect(socket.SendClose(3000));
    thread_.Call([&] {
      if (record->connection != nullptr) {
        record->connection->Close(4000, "bye");
      }
    });
    { auto gone = std::move(socket); }
    EXPECT_NE(WaitForClose(record).code, 0);
  }
}

TEST_F(WebSocketTest, ALostPeerIs1006) {
  Listen();
  auto reset = Socket("/record");
  auto ended = Socket("/record");
  const auto first = Record(0);
  const auto second = Record(1);
  reset.socket().Reset();
  ended.socket().ShutdownWrite();
  EXPECT_EQ(WaitForClose(first).code, kCloseAbnormal);
  EXPECT_EQ(WaitForClose(second).code, kCloseAbnormal);
}

TEST_F(WebSocketTest, SilentPeersAreDroppedAndAnsweringOnesKept) {
  Listen(With({.idle_timeout = milliseconds(100)}));
  auto silent = Socket("/record");
  const auto silent_record = Record(0);
  auto alive = Socket("/record");
  const auto alive_record = Record(1);
  for (int i = 0; i < 6; ++i) {  // three times the timeout
    const auto ping = Expect(alive.ReadFrame());
    ASSERT_EQ(ping.opcode, TestOpcode::kPing);
    Expect(alive.SendFrame({.opcode = TestOpcode::kPong, .payload = ping.payload}));
  }
  EXPECT_TRUE(thread_.Call([&] { return alive_record->connection != nullptr; }));
  const auto reason = WaitForClose(silent_record);
  EXPECT_EQ(reason.code, kCloseAbnormal);
  EXPECT_THAT(reason.text, HasSubstr("idle_timeout"));
}

TEST_F(WebSocketTest, ASlowPeerIsClosedWith1013AtTheHardCap) {
  WebSocketOptions options;
  options.send_buffer_bytes_max = 4 << 20;
  Listen(With(options));
  auto socket = Socket("/record", {.receive_buffer_bytes = kSmallReceiveBuffer});
  const auto record = Record();
  const auto piece = std::make_shared<const Bytes>(256 << 10, 'x');
  const size_t sent = thread_.Call([&] {
    size_t count = 0;
    while (record->connection->open()) {
      record->connection->Send(piece, false);
      EXPECT_LE(record->connection->buffered_bytes(), options.send_buffer_bytes_max);
      ++count;
    }
    return count;
  });
  EXPECT_EQ(sent, 16U);  // 15 fit, with their overhead
  // What was not begun is dropped, so that the close is not behind it.
  size_t received = 0;
  auto frame = Expect(socket.ReadMessage());
  while (frame.opcode != TestOpcode::kClose) {
    ++received;
    frame = Expect(socket.ReadMessage());
  }
  EXPECT_EQ(frame.close_code(), kCloseTryAgainLater);
  EXPECT_LE(received, 1U);
  Expect(socket.SendClose(kCloseTryAgainLater));
  { auto gone = std::move(socket); }
  const auto reason = WaitForClose(record);
  EXPECT_EQ(reason.code, kCloseTryAgainLater);
  EXPECT_THAT(reason.text, HasSubstr("send_buffer_bytes_max"));
  EXPECT_EQ(Counters().websockets_overflowed_total, 1U);
  EXPECT_TRUE(thread_.WaitUntil([&] { return piece.use_count() == 1; }));
}

TEST_F(WebSocketTest, APeerThatNeverReadsIsCutAfterTheTimeout) {
  Listen(With({.send_buffer_bytes_max = 32 << 20, .handshake_timeout = milliseconds(50)}));
  auto socket = Socket("/record", {.receive_buffer_bytes = kSmallReceiveBuffer});
  const auto record = Record();
  const auto piece = std::make_shared<const Bytes>(16 << 20, 'x');
  thread_.Call([&] {
    record->connection->Send(piece, false);
    record->connection->Send(piece, false);
  });
  EXPECT_EQ(WaitForClose(record).code, kCloseTryAgainLater);
  EXPECT_TRUE(thread_.WaitUntil([&] { return piece.use_count() == 1; }));
}

TEST_F(WebSocketTest, TheOwnerLearnsWhenTheQueueHasDrained) {
  WebSocketOptions options;
  options.send_buffer_bytes_low = 100'000;
  Listen(With(options));
  auto socket = Socket("/record", {.receive_buffer_bytes = kSmallReceiveBuffer});
  const auto record = Record();
  Send(record, Bytes(1000, 'a'));
  EXPECT_EQ(Expect(socket.ReadMessage()).payload.size(), 1000U);
  thread_.Call([&] {
    for (int i = 0; i < 80; ++i) {
      record->connection->Send(std::make_shared<const Bytes>(100'000, 'b'), false);
    }
    EXPECT_GE(record->connection->buffered_bytes(), 8'000'000U);
    EXPECT_EQ(record->drained_count, 0U);
  });
  for (int i = 0; i < 80; ++i) {
    EXPECT_EQ(Expect(socket.ReadMessage()).payload.size(), 100'000U);
  }
  EXPECT_TRUE(thread_.WaitUntil([&] { return record->connection->buffered_bytes() == 0; }));
  thread_.Call([&] {
    EXPECT_EQ(record->drained_count, 1U);
    EXPECT_LE(record->buffered_at_drain, options.send_buffer_bytes_low);
  });
}

TEST_F(WebSocketTest, NothingIsDeliveredWhileReadingIsOff) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  Expect(socket.SendText("one"));
  ASSERT_TRUE(thread_.WaitUntil([&] { return record->messages.size() == 1; }));
  thread_.Call([&] { record->connection->SetReading(false); });
  // A read was pending already, so one more may come; the rest waits.
  for (int i = 0; i < 100; ++i) {
    Expect(socket.SendText("more"));
  }
  Send(record, "still writing");
  EXPECT_EQ(Expect(socket.ReadMessage()).payload, "still writing");
  EXPECT_LE(thread_.Call([&] { return record->messages.size(); }), 2U);
  thread_.Call([&] { record->connection->SetReading(true); });
  EXPECT_TRUE(thread_.WaitUntil([&] { return record->messages.size() == 101; }));
}

TEST_F(WebSocketTest, ShutdownClosesWith1001AfterWhatIsQueued) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  thread_.Call([&] {
    record->connection->Send(std::make_shared<const Bytes>(4 << 20, 'x'), false);
    server_->Shutdown(testing::kWaitLimit, [&] { thread_.loop().Stop(); });
  });
  EXPECT_EQ(Expect(socket.ReadMessage()).payload.size(), 4U << 20);
  EXPECT_EQ(Expect(socket.ReadMessage()).close_code(), kCloseGoingAway);
  Expect(socket.SendClose(kCloseGoingAway));
  { auto gone = std::move(socket); }
  thread_.WaitForEnd();
  ASSERT_TRUE(record->closed.has_value());
  EXPECT_EQ(record->closed->code, kCloseGoingAway);
}

TEST_F(WebSocketTest, ShutdownDoesNotWaitForDeadPeersBeyondItsDeadline) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  thread_.Call([&] { server_->Shutdown(milliseconds(10), [&] { thread_.loop().Stop(); }); });
  thread_.WaitForEnd();
  EXPECT_TRUE(record->closed.has_value());
}

TEST_F(WebSocketTest, DestroyingTheServerClosesItsSockets) {
  Listen();
  auto socket = Socket("/record");
  const auto record = Record();
  thread_.Call([&] {
    server_.reset();
    EXPECT_TRUE(record->closed.has_value());
    EXPECT_TRUE(record->destroyed);
  });
  Expect(socket.socket().ExpectClosed());
}

TEST_F(WebSocketTest, OneBufferGoesToManyConnectionsWithoutCopies) {
  constexpr size_t kSockets = 200;
  Listen();
  std::vector<TestWebSocket> sockets;
  const size_t heap_before = mallinfo2().uordblks;
  for (size_t i = 0; i < kSockets; ++i) {
    sockets.push_back(Socket("/record"));
  }
  Record(kSockets - 1);
  EXPECT_EQ(Counters().websockets_open, kSockets);
  const size_t heap_idle = mallinfo2().uordblks;
  std::printf("idle WebSocket connection: %zu bytes of heap\n",
              (heap_idle - heap_before) / kSockets);
  EXPECT_LT((heap_idle - heap_before) / kSockets, 10U << 10);

  auto message = std::make_shared<const Bytes>(1 << 20, 'x');
  thread_.Call([&] {
    const size_t before = mallinfo2().uordblks;
    for (const auto& record : websockets_.records) {
      record->connection->Send(message, false);
    }
    EXPECT_LT(mallinfo2().uordblks - before, kSockets * 2048);
    EXPECT_GT(message.use_count(), 100);
  });
  for (auto& socket : sockets) {
    EXPECT_EQ(Expect(socket.ReadMessage()).payload.size(), message->size());
  }
  EXPECT_TRUE(thread_.WaitUntil([&] { return message.use_count() == 1; }));

  message.reset();

  // What a large message needed is given back.
  for (auto& socket : sockets) {
    Expect(socket.SendBinary(Bytes(100'000, 'y')));
  }
  EXPECT_TRUE(thread_.WaitUntil([&] { return server_->counters().messages_in_total == kSockets; }));
  thread_.Call([&] {
    for (const auto& record : websockets_.records) {
      record->messages = {};
    }
  });
  for (auto& socket : sockets) {
    Expect(socket.SendText("small"));
  }
  EXPECT_TRUE(
      thread_.WaitUntil([&] { return server_->counters().messages_in_total == 2 * kSockets; }));
  const size_t heap_after = mallinfo2().uordblks;
  std::printf("the same after a large message: %zu bytes of heap\n",
              (heap_after - heap_before) / kSockets);
  EXPECT_LT((heap_after - heap_before) / kSockets, 10U << 10);
}

}  // namespace
}  // namespace merrow::net
