// SPDX-License-Identifier: Apache-2.0
//
// The HTTP server over real sockets.
#include "net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "net/testing/server_fixture.h"

namespace merrow::net {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::Expect;
using ::testing::HasSubstr;
using testing::ServerTest;
using testing::TestHttpClient;
using testing::TestSocket;

class HttpServerTest : public ServerTest {
 protected:
  void AnswerWith(std::function<void(HttpRequest, ResponseWriter)> fn) {
    http_.on_request = std::move(fn);
  }
  void AnswerWithDescription() {
    AnswerWith([](HttpRequest request, ResponseWriter response) {
      std::string text = request.method;
      for (const std::string& segment : request.segments) {
        text += "|" + segment;
      }
      text += "|" + std::string(request.Query("q").value_or("-")) + "|" + request.body;
      response.Send(HttpResponse::Text(200, text));
    });
  }
  /// Sends raw bytes and returns all that comes back until the server closes.
  Bytes Raw(BytesView request) {
    auto socket = Expect(TestSocket::Connect(port()));
    Expect(socket.Write(request));
    return Expect(socket.ReadToEnd());
  }
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  AnswerWithDescription();
  Listen();
  auto client = Client();
  for (int i = 0; i < 3; ++i) {
    const auto response = Expect(client.Get("/a/b%2Fc?q=1"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "GET|a|b/c|1|");
  }
  EXPECT_EQ(Expect(client.Post("/p", "body")).body, "POST|p|-|body");
  const auto counters = Counters();
  EXPECT_EQ(counters.connections_total, 1U);
  EXPECT_EQ(counters.connections_open, 1U);
  EXPECT_EQ(counters.requests_total, 4U);
  EXPECT_GT(counters.bytes_in_total, 100U);
  EXPECT_GT(counters.bytes_out_total, 100U);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  AnswerWithDescription();
  Listen();
  auto client = Client();
  for (int i = 0; i < 20; ++i) {
    Expect(client.SendRequest("POST", "/" + std::to_string(i), "x"));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Expect(client.ReadResponse()).body, "POST|" + std::to_string(i) + "|-|x");
  }
}

TEST_F(HttpServerTest, ListensOnIpv6Loopback) {
  AnswerWithDescription();
  Listen({}, "[::1]:0");
  TestHttpClient client(Expect(TestSocket::Connect(port(), {.host = "::1"})));
  EXPECT_EQ(Expect(client.Get("/x")).body, "GET|x|-|");
}

TEST_F(HttpServerTest, APortInUseIsAnError) {
  Listen();
  ListenAddress address;
  address.port = port();
  auto second =
      thread_.Call([&] { return HttpServer::Listen(thread_.loop(), address, {}, http_, nullptr); });
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kIo);
  EXPECT_THAT(second.error().message(), HasSubstr("in use"));
}

TEST_F(HttpServerTest, UnknownPathsAreTheHandlersToAnswer) {
  Listen();
  auto client = Client();
  const auto response = Expect(client.Get("/nothing"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "nothing at /nothing\n");
}

TEST_F(HttpServerTest, AResponseMayBeFinishedLaterFromAnotherThread) {
  std::vector<std::thread> workers;
  AnswerWith([&](HttpRequest request, ResponseWriter response) {
    workers.emplace_back([this, request, response] {
      thread_.loop().Post([request, response]() mutable {
        response.Send(HttpResponse::Text(200, "later " + request.target));
      });
    });
  });
  Listen();
  auto client = Client();
  EXPECT_EQ(Expect(client.Get("/1")).body, "later /1");
  EXPECT_EQ(Expect(client.Get("/2")).body, "later /2");
  for (std::thread& worker : workers) {
    worker.join();
  }
}

TEST_F(HttpServerTest, AForgottenResponseIs500EvenFromAnotherThread) {
  AnswerWith([&](HttpRequest, ResponseWriter response) {
    std::thread([response = std::make_unique<ResponseWriter>(std::move(response))]() mutable {
      response.reset();
    }).join();
  });
  Listen();
  auto client = Client();
  EXPECT_EQ(Expect(client.Get("/1")).status, 500);
  EXPECT_EQ(Expect(client.Get("/2")).status, 500);  // the connection is still good
}

TEST_F(HttpServerTest, StreamsInChunks) {
  AnswerWith([](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{200, {{"Content-Type", "application/x-ndjson"}}, "first\n"});
    response.Write("");  // must not end the body
    response.Write("second\n");
    response.Write(Bytes(100'000, 'x'));
    response.Finish();
  });
  Listen();
  auto client = Client();
  for (int i = 0; i < 2; ++i) {
    const auto response = Expect(client.Get("/"));
    EXPECT_EQ(response.Header("content-type"), "application/x-ndjson");
    EXPECT_EQ(response.body, "first\nsecond\n" + Bytes(100'000, 'x'));
  }
}

TEST_F(HttpServerTest, AStreamReachesTheClientWhileItIsMade) {
  std::optional<ResponseWriter> stream;
  AnswerWith([&](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    response.Write("one");
    stream = std::move(response);
  });
  Listen();
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  EXPECT_EQ(Expect(client.ReadHead()).status, 200);
  EXPECT_EQ(Expect(client.ReadChunk()), "one");
  thread_.Call([&] { stream->Write("two"); });
  EXPECT_EQ(Expect(client.ReadChunk()), "two");
  thread_.Call([&] {
    stream->Finish();
    stream.reset();
  });
  EXPECT_EQ(Expect(client.ReadChunk()), "");
}

// A producer that writes only when the last write has drained.
struct Producer {
  explicit Producer(ResponseWriter writer) : response(std::move(writer)) {}

  static void Step(const std::shared_ptr<Producer>& self, size_t chunks) {
    if (self->produced == chunks) {
      self->response.Finish();
      return;
    }
    ++self->produced;
    self->response.Write(Bytes(64 << 10, static_cast<char>('a' + self->produced % 26)),
                         [self, chunks](bool open) {
                           if (open) {
                             Step(self, chunks);
                           } else {
                             self->saw_client_gone = true;
                           }
                         });
  }

  ResponseWriter response;
  size_t produced = 0;
  bool saw_client_gone = false;
};

TEST_F(HttpServerTest, ASlowReaderHoldsTheProducerBack) {
  constexpr size_t kChunks = 1000;  // 64 MiB, far more than the kernel buffers
  std::shared_ptr<Producer> producer;
  AnswerWith([&](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    producer = std::make_shared<Producer>(std::move(response));
    Producer::Step(producer, kChunks);
  });
  Listen();
  TestHttpClient client(Expect(TestSocket::Connect(port(), {.receive_buffer_bytes = 16 << 10})));
  Expect(client.SendRequest("GET", "/"));
  EXPECT_EQ(Expect(client.ReadHead()).status, 200);
  // Reading a little moves the producer on by a little.
  size_t total = Expect(client.ReadChunk()).size();
  EXPECT_LT(thread_.Call([&] { return producer->produced; }), 100U);
  while (true) {
    const Bytes chunk = Expect(client.ReadChunk());
    if (chunk.empty()) {
      break;
    }
    total += chunk.size();
  }
  EXPECT_EQ(total, kChunks * (64 << 10));
  EXPECT_EQ(thread_.Call([&] { return producer->produced; }), kChunks);
  thread_.Call([&] { producer.reset(); });
}

TEST_F(HttpServerTest, AWriteHasDrainedOnlyWhenItsBytesAreGone) {
  constexpr size_t kBytes = 32 << 20;
  std::optional<bool> drained;
  AnswerWith([&](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    response.Write(Bytes(kBytes, 'x'), [&drained, response](bool open) mutable {
      drained = open;
      response.Finish();
    });
    EXPECT_FALSE(drained.has_value());
  });
  Listen();
  TestHttpClient client(Expect(TestSocket::Connect(port(), {.receive_buffer_bytes = 16 << 10})));
  Expect(client.SendRequest("GET", "/"));
  ASSERT_TRUE(thread_.WaitUntil([&] { return server_->counters().bytes_out_total > 10'000; }));
  EXPECT_FALSE(thread_.Call([&] { return drained.has_value(); }));
  EXPECT_EQ(Expect(client.ReadResponse()).body.size(), kBytes);
  EXPECT_EQ(thread_.Call([&] { return drained; }), true);
}

TEST_F(HttpServerTest, AClientThatLeavesMidResponseIsNoticed) {
  std::shared_ptr<Producer> producer;
  AnswerWith([&](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    producer = std::make_shared<Producer>(std::move(response));
    Producer::Step(producer, 1'000'000);
  });
  Listen();
  {
    auto client = Client();
    Expect(client.SendRequest("GET", "/"));
    Expect(client.ReadHead());
  }
  EXPECT_TRUE(thread_.WaitUntil([&] { return producer && producer->saw_client_gone; }));
  thread_.Call([&] {
    EXPECT_FALSE(producer->response.open());
    EXPECT_EQ(server_->counters().connections_open, 0U);
    // Writes to nobody are told so, and finishing is harmless.
    producer->saw_client_gone = false;
    Producer::Step(producer, 1'000'000);
    EXPECT_FALSE(producer->saw_client_gone) << "called from inside Write";
  });
  EXPECT_TRUE(thread_.WaitUntil([&] { return producer->saw_client_gone; }));
  thread_.Call([&] {
    producer->response.Finish();
    producer.reset();
  });
}

TEST_F(HttpServerTest, AnAbandonedStreamDoesNotLookComplete) {
  AnswerWith([](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    response.Write("part");
    if (response.open()) {
      response.Abort();
    }
  });
  Listen();
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  EXPECT_FALSE(client.ReadResponse().ok());
  // The same when the writer is simply dropped.
  AnswerWith([](HttpRequest, ResponseWriter response) { response.Start(HttpResponse{}); });
  auto second = Client();
  Expect(second.SendRequest("GET", "/"));
  EXPECT_FALSE(second.ReadResponse().ok());
}

TEST_F(HttpServerTest, AClientThatClosedItsSendingSideGetsItsResponse) {
  std::optional<ResponseWriter> pending;
  AnswerWith([&](HttpRequest, ResponseWriter response) { pending = std::move(response); });
  Listen();
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  client.socket().ShutdownWrite();
  ASSERT_TRUE(thread_.WaitUntil([&] { return pending.has_value(); }));
  thread_.Call([&] {
    pending->Send(HttpResponse::Text(200, "still here"));
    pending.reset();
  });
  EXPECT_EQ(Expect(client.ReadResponse()).body, "still here");
  Expect(client.socket().ExpectClosed());
  EXPECT_TRUE(thread_.WaitUntil([&] { return server_->counters().connections_open == 0; }));
}

TEST_F(HttpServerTest, AnswersToHeadHaveNoBody) {
  AnswerWith([](HttpRequest request, ResponseWriter response) {
    if (request.target == "/stream") {
      response.Start(HttpResponse{200, {}, "one"});
      response.Write("two");
      response.Finish();
    } else {
      response.Send(HttpResponse::Text(200, "five!"));
    }
  });
  Listen();
  auto client = Client();
  for (int i = 0; i < 2; ++i) {
    Expect(client.SendRequest("HEAD", "/"));
    EXPECT_EQ(Expect(client.ReadResponse(false)).Header("content-length"), "5");
    Expect(client.SendRequest("HEAD", "/stream"));
    EXPECT_EQ(Expect(client.ReadResponse(false)).status, 200);
  }
  EXPECT_EQ(Expect(client.Get("/")).body, "five!");
}

TEST_F(HttpServerTest, A204HasNeitherBodyNorLength) {
  AnswerWith([](HttpRequest, ResponseWriter response) {
    response.Send(HttpResponse{204, {}, ""});
  });
  Listen();
  auto client = Client();
  for (int i = 0; i < 2; ++i) {
    const auto response = Expect(client.Get("/"));
    EXPECT_EQ(response.status, 204);
    EXPECT_EQ(response.Header("content-length"), "");
  }
}

TEST_F(HttpServerTest, Http10ClosesAndStreamsWithoutChunks) {
  AnswerWith([](HttpRequest, ResponseWriter response) {
    response.Start(HttpResponse{});
    response.Write("one");
    response.Write("two");
    response.Finish();
  });
  Listen();
  const Bytes answer = Raw("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo");
}

TEST_F(HttpServerTest, ConnectionCloseIsHonoured) {
  AnswerWithDescription();
  Listen();
  const Bytes answer = Raw("GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("GET|x|-|"));
}

TEST_F(HttpServerTest, ContinuesWhenTheClientWaitsForIt) {
  AnswerWithDescription();
  Listen();
  auto client = Client();
  Expect(
      client.socket().Write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                            "Expect: 100-continue\r\n\r\n"));
  EXPECT_EQ(Expect(client.ReadHead()).status, 100);
  Expect(client.socket().Write("abc"));
  EXPECT_EQ(Expect(client.ReadResponse()).body, "POST|-|abc");
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  AnswerWithDescription();
  Listen();
  auto client = Client();
  Expect(
      client.socket().Write("POST / HTTP/1.1\r\nHost: localhost\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(Expect(client.ReadResponse()).body, "POST|-|abcde");
}

TEST_F(HttpServerTest, ABodyOverTheLimitIs413ThatTheClientCanRead) {
  AnswerWith([](HttpRequest request, ResponseWriter response) {
    response.Send(HttpResponse::Text(200, std::to_string(request.body.size())));
  });
  HttpServerOptions options;
  options.body_bytes_max = 1000;
  Listen(options);
  auto client = Client();
  EXPECT_EQ(Expect(client.Post("/", Bytes(1000, 'x'))).body, "1000");
  // Far more than socket buffers hold: the server has to go on reading.
  const auto response = Expect(client.Post("/", Bytes(8 << 20, 'x')));
  EXPECT_EQ(response.status, 413);
  EXPECT_THAT(response.body, HasSubstr("body_bytes_max"));

  auto chunked = Client();
  Expect(
      chunked.socket().Write("POST / HTTP/1.1\r\nHost: localhost\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n3E9\r\n" +
                             Bytes(1001, 'x') + "\r\n0\r\n\r\n"));
  EXPECT_EQ(Expect(chunked.ReadResponse()).status, 413);
  EXPECT_EQ(Counters().requests_refused_total, 2U);
}

TEST_F(HttpServerTest, HeadersOverTheLimitAre431) {
  HttpServerOptions options;
  options.header_bytes_max = 1000;
  Listen(options);
  auto client = Client();
  Expect(client.SendRequest("GET", "/", {}, {"X: " + Bytes(2000, 'x')}));
  EXPECT_EQ(Expect(client.ReadResponse()).status, 431);
  auto huge = Client();
  Expect(huge.SendRequest("GET", "/" + Bytes(1 << 20, 'x')));
  EXPECT_EQ(Expect(huge.ReadResponse()).status, 431);
}

TEST_F(HttpServerTest, MalformedRequestsAre400) {
  Listen();
  for (const char* request : {
           "nonsense\r\n\r\n",
           "GET / HTTP/9.9\r\n\r\n",
           "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
           "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",  // no Host
           "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
           "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
           "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       }) {
    EXPECT_THAT(Raw(request), HasSubstr("HTTP/1.1 400 Bad Request")) << request;
  }
}

TEST_F(HttpServerTest, AnyCutOfARequestIsHarmless) {
  AnswerWithDescription();
  Listen();
  const Bytes request = "POST /a?q=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
  for (size_t size = 0; size < request.size(); ++size) {
    auto socket = Expect(TestSocket::Connect(port()));
    Expect(socket.Write(request.substr(0, size)));
    socket.ShutdownWrite();
    EXPECT_EQ(Expect(socket.ReadToEnd()), "") << "after " << size << " bytes";
  }
  EXPECT_TRUE(thread_.WaitUntil([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(Counters().requests_total, 0U);
}

TEST_F(HttpServerTest, OnlyLoopbackAndListedHostsAndOriginsAreAnswered) {
  HttpServerOptions options;
  options.allowed_hosts = {"merrow.example"};
  std::vector<std::string> log;
  options.log = [&](const std::string& line) { log.push_back(line); };
  Listen(options);
  const auto status = [&](const std::vector<std::string>& headers) {
    auto client = Client();
    Expect(client.SendRequest("GET", "/", {}, headers));
    return Expect(client.ReadResponse()).status;
  };
  EXPECT_EQ(status({"Host: localhost:1"}), 404);
  EXPECT_EQ(status({"Host: [::1]:1"}), 404);
  EXPECT_EQ(status({"Host: merrow.example"}), 404);
  EXPECT_EQ(status({"Host: evil.example"}), 403);
  EXPECT_EQ(status({"Host: localhost", "Origin: http://127.0.0.1:80"}), 404);
  EXPECT_EQ(status({"Host: localhost", "Origin: http://evil.example"}), 403);
  EXPECT_EQ(status({"Host: localhost", "Origin: null"}), 403);
  thread_.Call([&] {
    ASSERT_EQ(log.size(), 3U);
    EXPECT_THAT(log[0], HasSubstr("403: host 'evil.example'"));
  });
}

TEST_F(HttpServerTest, IdleConnectionsAreClosed) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(50);
  AnswerWithDescription();
  Listen(options);
  auto silent = Client();
  auto after_request = Client();
  Expect(after_request.Get("/"));
  Expect(silent.socket().ExpectClosed());
  Expect(after_request.socket().ExpectClosed());
}

TEST_F(HttpServerTest, AClientThatTakesNothingOfItsResponseIsCut) {
  HttpServerOptions options;
  options.idle_timeout = milliseconds(50);
  AnswerWith([](HttpRequest, ResponseWriter response) {
    response.Send(HttpResponse::Text(200, Bytes(64 << 20, 'x')));
  });
  Listen(options);
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  EXPECT_TRUE(thread_.WaitUntil([&] {
    return server_->counters().requests_total == 1 && server_->counters().connections_open == 0;
  }));
}

TEST_F(HttpServerTest, ConnectionsOverTheMaximumAreToldSo) {
  HttpServerOptions options;
  options.connections_max = 2;
  AnswerWithDescription();
  Listen(options);
  auto first = Client();
  auto second = std::make_optional(Client());
  Expect(first.Get("/"));
  Expect(second->Get("/"));
  auto third = Client();
  EXPECT_EQ(Expect(third.ReadHead()).status, 503);
  EXPECT_EQ(Counters().connections_refused_total, 1U);
  second.reset();
  EXPECT_TRUE(thread_.WaitUntil([&] { return server_->counters().connections_open == 1; }));
  auto fourth = Client();
  EXPECT_EQ(Expect(fourth.Get("/")).status, 200);
}

TEST_F(HttpServerTest, ShutdownLetsResponsesFinish) {
  std::optional<ResponseWriter> pending;
  AnswerWith([&](HttpRequest, ResponseWriter response) { pending = std::move(response); });
  Listen();
  auto idle = Client();
  auto busy = Client();
  Expect(busy.SendRequest("GET", "/"));
  ASSERT_TRUE(thread_.WaitUntil(
      [&] { return pending.has_value() && server_->counters().connections_open == 2; }));
  thread_.Call([&] { server_->Shutdown(testing::kWaitLimit, [&] { thread_.loop().Stop(); }); });
  Expect(idle.socket().ExpectClosed());
  EXPECT_FALSE(TestSocket::Connect(port()).ok());
  thread_.Call([&] {
    pending->Send(HttpResponse::Text(200, "done"));
    pending.reset();
  });
  const auto response = Expect(busy.ReadResponse());
  EXPECT_EQ(response.body, "done");
  EXPECT_EQ(response.Header("connection"), "close");
  { auto closed = std::move(busy); }
  thread_.WaitForEnd();
}

TEST_F(HttpServerTest, ShutdownCutsWhatIsOpenAtItsDeadline) {
  std::optional<ResponseWriter> pending;
  AnswerWith([&](HttpRequest, ResponseWriter response) { pending = std::move(response); });
  Listen();
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  ASSERT_TRUE(thread_.WaitUntil([&] { return pending.has_value(); }));
  thread_.Call([&] { server_->Shutdown(milliseconds(10), [&] { thread_.loop().Stop(); }); });
  Expect(client.socket().ExpectClosed());
  thread_.WaitForEnd();
  EXPECT_FALSE(pending->open());
  pending.reset();
}

TEST_F(HttpServerTest, ShutdownOfAnIdleServerEndsAtOnce) {
  Listen();
  thread_.Call([&] { server_->Shutdown(testing::kWaitLimit, [&] { thread_.loop().Stop(); }); });
  thread_.WaitForEnd();
}

TEST_F(HttpServerTest, AWriterMayOutliveItsServer) {
  std::optional<ResponseWriter> pending;
  AnswerWith([&](HttpRequest, ResponseWriter response) { pending = std::move(response); });
  Listen();
  auto client = Client();
  Expect(client.SendRequest("GET", "/"));
  ASSERT_TRUE(thread_.WaitUntil([&] { return pending.has_value(); }));
  thread_.Call([&] {
    server_.reset();
    EXPECT_FALSE(pending->open());
    pending->Send(HttpResponse{});
    pending.reset();
  });
  Expect(client.socket().ExpectClosed());
}

}  // namespace
}  // namespace merrow::net
