// One request and its response through the real Proxy, two workers, raw sockets on both sides.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class ExchangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.timeouts.header = 200ms;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  // The backend answers every request with exactly this.
  void answer_with(std::string text, bool closes = false) {
    backend->script = [this, text, closes](Peer& peer) {
      backend->answer_all(peer, text);
      if (closes) peer.half_close();
    };
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  Peer& upstream() { return *backend->peers.back(); }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

const std::string kGet = "GET /app/x HTTP/1.1\r\nHost: shop.test\r\n\r\n";

TEST_F(ExchangeTest, AnswersAGetFromTheEndpointAndKeepsBothConnections) {
  for (int i = 0; i < 5; ++i) {
    std::string answer = harness.ask(*client, "GET /app/x?y=1 HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\na")) << answer;
  }
  EXPECT_EQ(backend->requests, 5U);
  EXPECT_EQ(backend->accepted, 1U);
  EXPECT_TRUE(backend->last_request.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: shop.test\r\n")) << backend->last_request;
}

TEST_F(ExchangeTest, SetsForwardedFieldsAndRemovesHopByHopOnes) {
  harness.ask(
      *client,
      "GET /app HTTP/1.1\r\nHost: shop.test\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n"
      "TE: trailers\r\nProxy-Authorization: b\r\nX-Forwarded-For: 9.9.9.9\r\nX_Under: 1\r\nX-Kept: 1\r\n\r\n");
  const std::string& seen = backend->last_request;
  std::string port = std::to_string(harness.address().port());
  EXPECT_TRUE(seen.starts_with("GET / HTTP/1.1\r\nHost: shop.test\r\n")) << seen;
  EXPECT_NE(seen.find("X-Kept: 1\r\n"), std::string::npos);
  EXPECT_NE(seen.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("X-Forwarded-Proto: http\r\n"), std::string::npos);
  EXPECT_NE(seen.find("X-Forwarded-Host: shop.test\r\n"), std::string::npos);
  EXPECT_NE(seen.find("X-Forwarded-Port: " + port + "\r\n"), std::string::npos);
  EXPECT_NE(seen.find("Forwarded: for=127.0.0.1;proto=http;host=\"shop.test\"\r\n"), std::string::npos);
  for (const char* gone : {"Secret", "Keep-Alive", "TE:", "Proxy-Auth", "9.9.9.9", "X_Under", "Connection"}) {
    EXPECT_EQ(seen.find(gone), std::string::npos) << gone;
  }
}

TEST_F(ExchangeTest, SendsARequestBodyOnByLengthAndByChunks) {
  harness.ask(*client, "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(backend->last_request.ends_with("\r\n\r\nhello")) << backend->last_request;
  EXPECT_NE(backend->last_request.find("Content-Length: 5\r\n"), std::string::npos);

  std::string all;
  backend->script = [&](Peer& peer) {
    all = peer.received;
    if (all.ends_with("0\r\n\r\n")) peer.send(Backend::ok("done"));
  };
  harness.ask(*client,
              "POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
              "chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n");
  EXPECT_NE(all.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) << all;
}

TEST_F(ExchangeTest, ReframesAChunkedAnswer) {
  answer_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n");
  std::string answer = harness.ask(*client, kGet);
  EXPECT_TRUE(answer.ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) << answer;
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 200"));
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(ExchangeTest, TurnsACloseDelimitedBodyIntoChunks) {
  answer_with("HTTP/1.1 200 OK\r\n\r\nuntil the end", true);
  std::string answer = harness.ask(*client, kGet);
  EXPECT_TRUE(answer.ends_with("Transfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n")) << answer;
  EXPECT_FALSE(client->is_over());
}

TEST_F(ExchangeTest, GivesAnHttp10ClientABodyThatEndsWithTheConnection) {
  answer_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  client->send("GET /app/x HTTP/1.0\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->has_ended);
  EXPECT_EQ(client->received, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
}

TEST_F(ExchangeTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  for (int i = 0; i < 2; ++i) {
    std::string answer = harness.ask(*client, "GET /app/x HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(answer.find("Connection: keep-alive\r\n"), std::string::npos) << answer;
  }
}

TEST_F(ExchangeTest, AnswersWithoutABodyToHead204And304) {
  backend->script = [&](Peer& peer) {
    while (backend->take_request(peer)) {
      if (backend->last_request.starts_with("HEAD")) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
      } else if (backend->requests == 2) {
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
      } else if (backend->requests == 3) {
        peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
      } else {
        peer.send(Backend::ok("last"));
      }
    }
  };
  client->send("HEAD /app HTTP/1.1\r\nHost: x\r\n\r\n" + kGet + kGet + kGet);
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("last"); })) << client->received;
  EXPECT_EQ(client->received,
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
            "HTTP/1.1 204 No Content\r\n\r\n"
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
}

TEST_F(ExchangeTest, AnswersPipelinedRequestsInOrder) {
  int count = 0;
  backend->script = [&](Peer& peer) {
    while (backend->take_request(peer)) peer.send(Backend::ok("<" + std::to_string(count++) + ">"));
  };
  std::string all;
  for (int i = 0; i < 50; ++i) all += kGet;
  client->send(all);
  ASSERT_TRUE(run_until([&] { return client->received.find("<49>") != std::string::npos; }));
  std::size_t place = 0;
  for (int i = 0; i < 50; ++i) {
    place = client->received.find("<" + std::to_string(i) + ">", place);
    ASSERT_NE(place, std::string::npos) << i;
  }
}

TEST_F(ExchangeTest, UnderstandsARequestSplitAtEveryByte) {
  const std::string request = "POST /app/p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t at = 1; at < request.size(); ++at) {
    client->received.clear();
    client->send(request.substr(0, at));
    for (int turn = 0; turn < 3; ++turn) harness.loop.run_once_ready();
    std::string answer = harness.ask(*client, request.substr(at));
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 200")) << at << answer;
    ASSERT_TRUE(backend->last_request.ends_with("abc"));
  }
}

TEST_F(ExchangeTest, ForwardsInterimAnswersButNotToHttp10) {
  answer_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Backend::ok("x"));
  EXPECT_EQ(harness.ask(*client, kGet),
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  std::string old = harness.ask(*client, "GET /app HTTP/1.0\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(old.starts_with("HTTP/1.1 200")) << old;
}

TEST_F(ExchangeTest, ForwardsExpectContinueAndItsAnswer) {
  backend->script = [&](Peer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (peer.received.ends_with("body")) peer.send(Backend::ok("thanks"));
  };
  client->send("PUT /app HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->received == "HTTP/1.1 100 Continue\r\n\r\n"; })) << client->received;
  EXPECT_NE(upstream().received.find("Expect: 100-continue\r\n"), std::string::npos);
  client->send("body");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("thanks"); }));
}

TEST_F(ExchangeTest, SendsAnEarlyAnswerWhileTheBodyStillComes) {
  backend->script = [&](Peer& peer) {
    if (peer.received.find("\r\n\r\n") != std::string::npos && peer.requests_answered++ == 0) {
      peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    }
  };
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nstart");
  ASSERT_TRUE(run_until([&] { return client->is_over(); })) << client->received;
  EXPECT_TRUE(client->has_ended);
  EXPECT_EQ(client->received, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));  // it was not sent the whole request: not reused
}

TEST_F(ExchangeTest, MakesATruncatedAnswerLookTruncated) {
  for (const char* text : {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"}) {
    answer_with(text, true);
    auto one = harness.connect();
    one->send(kGet);
    ASSERT_TRUE(run_until([&] { return one->is_over(); }));
    EXPECT_NE(one->received.find("part"), std::string::npos);
    EXPECT_FALSE(one->received.ends_with("0\r\n\r\n")) << one->received;
  }
}

TEST_F(ExchangeTest, ResetsAnHttp10ClientWhoseAnswerWasTruncated) {
  answer_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", true);
  client->send("GET /app HTTP/1.0\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->has_failed);
}

TEST_F(ExchangeTest, AnswersAClientThatHalfClosedAfterItsRequest) {
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  client->half_close();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("\r\n\r\na")) << client->received;
}

TEST_F(ExchangeTest, ClosesTheUpstreamWhenTheClientHasGone) {
  backend->script = [](Peer&) {};
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && !upstream().received.empty(); }));
  client->reset();
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
}

TEST_F(ExchangeTest, ClosesTheUpstreamWhenTheRequestBodyIsCutOff) {
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.ends_with("abc"); }));
  client->half_close();
  ASSERT_TRUE(run_until([&] { return upstream().is_over() && client->is_over(); }));
}

TEST_F(ExchangeTest, TunnelsAfterA101BothWaysUntilBothSidesHaveEnded) {
  backend->script = [&](Peer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) {
      EXPECT_NE(peer.received.find("Connection: upgrade\r\nUpgrade: websocket\r\n"), std::string::npos);
      peer.received.clear();
      peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    } else {
      peer.send("echo:" + peer.received);
      peer.received.clear();
    }
  };
  client->send("GET /app/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("hiecho:early"); })) << client->received;
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
  client->send("frame");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("echo:frame"); }));
  client->half_close();
  ASSERT_TRUE(run_until([&] { return upstream().has_ended; }));
  EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
  upstream().send("bye");
  upstream().half_close();
  ASSERT_TRUE(run_until([&] { return client->has_ended; }));
  EXPECT_TRUE(client->received.ends_with("bye"));
  EXPECT_TRUE(run_until([&] { return harness.proxy->in_flight("a") == 0; }));
}

TEST_F(ExchangeTest, GoesOnWithHttpWhenAnUpgradeIsDeclined) {
  std::string asked =
      harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_TRUE(asked.starts_with("HTTP/1.1 200 OK")) << asked;
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 200 OK"));
}

TEST_F(ExchangeTest, RefusesA101ThatNobodyAskedFor) {
  answer_with("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 502 ")) << client->received;
}

TEST_F(ExchangeTest, RemovesWhatAnyConnectionFieldNames) {
  harness.ask(*client,
              "GET /app HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-One ,, x-TWO\r\nConnection: close\r\n"
              "Connection: X-Absent,host,x-forwarded-for,X-Three\r\nx-one: 1\r\nX-Two: 2\r\nX-Two: 22\r\n"
              "X-Three: 3\r\nX-Four: 4\r\n\r\n");
  EXPECT_EQ(backend->last_request.find("x-one"), std::string::npos) << backend->last_request;
  EXPECT_EQ(backend->last_request.find("X-Two"), std::string::npos);
  EXPECT_EQ(backend->last_request.find("X-Three"), std::string::npos);
  for (const char* kept : {"Host: x\r\n", "X-Four: 4\r\n", "X-Forwarded-For: 127.0.0.1\r\n"})
    EXPECT_NE(backend->last_request.find(kept), std::string::npos) << kept;
  EXPECT_EQ(backend->last_request.find("Connection"), std::string::npos);
}

// What is left of the body would go through the tunnel with the client's own framing.
TEST_F(ExchangeTest, RefusesA101BeforeTheRequestIsWhole) {
  backend->script = [&](Peer& peer) {
    if (peer.received.find("\r\n\r\n") == std::string::npos) return;
    peer.received.clear();
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  };
  client->send(
      "POST /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 502 ")) << client->received;
  EXPECT_TRUE(run_until([&] { return upstream().is_over(); }));
}

TEST_F(ExchangeTest, DropsAConnectionWithBytesAfterTheAnswer) {
  answer_with("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 204"));
  answer_with(Backend::ok("good"));
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("good")) << client->received;
  EXPECT_EQ(backend->accepted, 2U);
}

TEST_F(ExchangeTest, DropsAnIdleConnectionThatSpeaksUnasked) {
  harness.ask(*client, kGet);
  upstream().send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na"));
  EXPECT_EQ(backend->accepted, 2U);
}

TEST_F(ExchangeTest, AnswersABadRequestWith400AndCloses) {
  client->send("GET /app HTTP/1.1\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 400 Bad Request\r\n")) << client->received;
  EXPECT_NE(client->received.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(backend->requests, 0U);
}

TEST_F(ExchangeTest, AnswersABadChunkWith400AndClosesTheUpstream) {
  backend->script = [](Peer&) {};
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.ends_with("abc\r\n"); }));
  client->send("zz\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over() && upstream().is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 400 ")) << client->received;
}

TEST_F(ExchangeTest, SaysWhichStepOfRoutingEndedARequest) {
  std::string none = harness.get("/nowhere", "y.example");
  EXPECT_TRUE(none.starts_with("HTTP/1.1 404 ")) << none;
  EXPECT_NE(none.find("no route for host y.example path /nowhere"), std::string::npos) << none;
  harness.apply({}, {Harness::endpoint("/app", *backend)});
  std::string gone = harness.get("/app/x");
  EXPECT_TRUE(gone.starts_with("HTTP/1.1 503 ")) << gone;
  EXPECT_NE(gone.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_NE(gone.find("app /app has no endpoints"), std::string::npos);
}

TEST_F(ExchangeTest, RefusesPathsThatHostsReadDifferently) {
  for (const char* path : {"/app/a%2fb", "/app/%00", "/app/\\x", "/app/%zz", "/app/../../etc"}) {
    std::string answer = harness.get(path);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << path;
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  }
  EXPECT_TRUE(harness.get("/nowhere/../app//x").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(backend->last_request.starts_with("GET /x HTTP/1.1\r\n")) << backend->last_request;
}

TEST_F(ExchangeTest, FindsAnEndpointByName) {
  model::Endpoint named = Harness::endpoint("/named", "n", backend->port());
  named.host = "localhost";
  harness.apply({named});
  EXPECT_TRUE(harness.get("/named").starts_with("HTTP/1.1 200 "));
  named.host = "no-such-host.invalid";
  harness.apply({named}, {}, true);
  EXPECT_TRUE(harness.get("/named").starts_with("HTTP/1.1 503 "));
}

TEST_F(ExchangeTest, RoutesByTheExposedHost) {
  EXPECT_TRUE(harness.get("/deep/path?q", "APP.test:80").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(backend->last_request.starts_with("GET /deep/path?q HTTP/1.1\r\nHost: APP.test:80\r\n"))
      << backend->last_request;
}

TEST_F(ExchangeTest, TimesOutASlowHead) {
  client->send("GET /app HTTP/1.1\r\nHos");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
}

TEST_F(ExchangeTest, CountsRequestsByAppAndClass) {
  harness.ask(*client, kGet);
  harness.get("/nowhere");
  std::string text;
  harness.proxy->write_metrics(text);
  EXPECT_NE(text.find("lotse_requests_total{app=\"/app\",code=\"2xx\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("lotse_requests_total{app=\"\",code=\"4xx\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("lotse_request_seconds_count{app=\"/app\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("lotse_endpoints{state=\"up\"} 1\n"), std::string::npos);
}

TEST_F(ExchangeTest, CountsBytesTriesAndTimesByApp) {
  const std::string post = "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  harness.ask(*client, post);
  harness.ask(*client, kGet);
  std::string text;
  harness.proxy->write_metrics(text);
  auto value = [&](const std::string& line) {
    std::size_t at = text.find("\n" + line + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + line.size() + 2));
  };
  EXPECT_EQ(value("lotse_app_body_bytes_in_total{app=\"/app\"}"), 5);
  EXPECT_GT(value("lotse_app_body_bytes_out_total{app=\"/app\"}"), 0);
  EXPECT_EQ(value("lotse_upstream_first_byte_seconds_count{app=\"/app\"}"), 2);
  EXPECT_EQ(value("lotse_upstream_connect_seconds_count{app=\"/app\"}"), 1) << "the second one was pooled";
  EXPECT_EQ(value("lotse_app_requests_in_flight{app=\"/app\"}"), 0);
  EXPECT_EQ(value("lotse_app_endpoints{app=\"/app\",state=\"up\"}"), 1);
  EXPECT_GE(value("lotse_request_seconds_sum{app=\"/app\"}"),
            value("lotse_upstream_first_byte_seconds_sum{app=\"/app\"}"));
  std::string stats = harness.proxy->stats_json();
  EXPECT_NE(stats.find("\"p99\""), std::string::npos);
  EXPECT_NE(stats.find("\"2xx\": 2"), std::string::npos) << stats;
}

TEST_F(ExchangeTest, TellsTheLongestTurnOfEachWorkersLoop) {
  harness.ask(*client, kGet);
  std::string text;
  harness.proxy->write_metrics(text);
  EXPECT_NE(text.find("\nlotse_worker_loop_busy_seconds_max{worker=\"0\"} "), std::string::npos) << text;
  EXPECT_NE(text.find("\nlotse_worker_loop_busy_seconds_max{worker=\"1\"} "), std::string::npos) << text;
}

TEST_F(ExchangeTest, ExplainsWhoGetsAUrl) {
  EXPECT_NE(harness.proxy->explain("http://x/app/y").find("\"decision\": \"expose.path\""), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://app.test/y").find("\"decision\": \"expose.host\""), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://x/other").find("\"status\": 404"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://App.Test./y").find("\"decision\": \"expose.host\""), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://x/\xff").find("refused"), std::string::npos);
  EXPECT_NE(harness.proxy->routes_json().find("\"task\": \"a\""), std::string::npos);
}

}  // namespace
}  // namespace lotse::proxy::test
