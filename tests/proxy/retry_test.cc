// What happens when an endpoint refuses, drops or breaks off: docs/decisions/0003-retry-of-idempotent-requests.md.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

// A port on 127.0.0.1 that refuses: it was ours a moment ago.
std::uint16_t refusing_port(net::Loop& loop) {
  Backend short_lived(loop, "gone");
  return short_lived.port();
}

class RetryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.apps["/app"].balance = Balance::round_robin;
    RouteConfig route;
    route.match.path = "/retried";
    route.to.push_back({{"/app", ""}, 1});
    route.retry = RetryPolicy{.attempts = 3, .when_statuses = {{502, 504}}, .per_try = 300ms};
    harness.config.routes.push_back(route);
    harness.start();
  }
  void endpoints(std::vector<model::Endpoint> all) { harness.apply(std::move(all), {}, true); }
  static model::Endpoint at(const Backend& backend) { return Harness::endpoint("/app", backend); }

  // Takes the request and drops the connection without a word.
  static std::function<void(Peer&)> drop(Backend& backend) {
    return [&backend](Peer& peer) {
      if (backend.take_request(peer)) peer.reset();
    };
  }
  Harness harness;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kPost = "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";

TEST_F(RetryTest, TriesAnotherEndpointWhenOneRefuses) {
  Backend alive(harness.loop, "alive");
  endpoints({at(alive), Harness::endpoint("/app", "dead", refusing_port(harness.loop))});
  auto client = harness.connect();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(harness.ask(*client, i % 2 == 0 ? kGet : kPost).ends_with("alive")) << client->received;
  }
  EXPECT_TRUE(alive.last_request.ends_with("body"));
}

TEST_F(RetryTest, NamesEveryEndpointThatRefused) {
  std::vector<model::Endpoint> dead;
  for (int i = 0; i < 3; ++i)
    dead.push_back(Harness::endpoint("/app", "dead" + std::to_string(i), refusing_port(harness.loop)));
  endpoints(dead);
  std::string answer = harness.get("/app");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_NE(answer.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_NE(answer.find("all 3 endpoints"), std::string::npos) << answer;
  for (const auto& one : dead) EXPECT_NE(answer.find("127.0.0.1:" + std::to_string(one.host_port)), std::string::npos);
}

TEST_F(RetryTest, ReplaysAnIdempotentRequestOnAFreshConnectionWhenThePooledOneWasDead) {
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  harness.ask(*client, kGet);
  // The second request on this connection is dropped: the endpoint had decided to close it.
  auto answer = backend.script;
  backend.script = [&](Peer& peer) {
    backend.script = answer;
    peer.reset();
  };
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na")) << client->received;
  EXPECT_EQ(backend.accepted, 2U);
  EXPECT_EQ(harness.metric("lotse_replays_total"), 1U);
}

TEST_F(RetryTest, ReplaysABodyThatFits) {
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  harness.ask(*client, kGet);
  auto answer = backend.script;
  backend.script = [&](Peer& peer) {
    if (peer.received.ends_with("body")) {
      backend.script = answer;
      peer.reset();
    }
  };
  EXPECT_TRUE(
      harness.ask(*client, "PUT /app HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody").ends_with("\r\n\r\na"));
  EXPECT_TRUE(backend.last_request.ends_with("body"));
}

TEST_F(RetryTest, DoesNotSendAPostTwice) {
  Backend backend(harness.loop, "a"), other(harness.loop, "b");
  endpoints({at(backend), at(other)});
  backend.script = drop(backend);
  other.script = drop(other);
  std::string answer;
  auto client = harness.connect();
  answer = harness.ask(*client, kPost);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  EXPECT_EQ(backend.requests + other.requests, 1U);
}

// docker-proxy takes the connection of a published port and resets it when the container has gone.
TEST_F(RetryTest, TriesAnotherEndpointOnceWhenAFreshConnectionIsDroppedWithoutAnAnswer) {
  Backend dropping(harness.loop, "dropping"), alive(harness.loop, "alive");
  dropping.script = drop(dropping);
  endpoints({at(dropping), at(alive)});
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(harness.get("/app").ends_with("alive"));
  EXPECT_GE(dropping.requests, 1U);

  alive.script = drop(alive);
  std::size_t before = dropping.requests + alive.requests;
  std::string answer = harness.get("/app");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  // At most: a pooled connection, its replay on a fresh one, and the other endpoint.
  EXPECT_LE(dropping.requests + alive.requests - before, 3U);
}

TEST_F(RetryTest, DoesNotRetryOnceAByteOfTheAnswerCame) {
  Backend breaking(harness.loop, "breaking");
  breaking.script = [&](Peer& peer) {
    if (!breaking.take_request(peer)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Le");
    peer.half_close();
  };
  endpoints({at(breaking)});
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(breaking.requests, 1U);
}

TEST_F(RetryTest, RetriesConfiguredStatusesOnAnotherEndpoint) {
  Backend failing(harness.loop, "failing"), alive(harness.loop, "alive");
  failing.script = [&](Peer& peer) { failing.answer_all(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"); };
  endpoints({at(failing), at(alive)});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(harness.get("/retried").ends_with("alive"));
  EXPECT_GE(failing.requests, 1U);
  bool saw_busy = false;  // without `retry:` the answer is the answer
  for (int i = 0; i < 4; ++i) saw_busy |= harness.get("/app").starts_with("HTTP/1.1 503 Busy");
  EXPECT_TRUE(saw_busy);
}

TEST_F(RetryTest, GivesTheLastAnswerWhenEveryTryFails) {
  Backend failing(harness.loop, "failing");
  failing.script = [&](Peer& peer) { failing.answer_all(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"); };
  endpoints({at(failing)});
  EXPECT_TRUE(harness.get("/retried").starts_with("HTTP/1.1 503 Busy"));
  EXPECT_EQ(failing.requests, 3U);
}

TEST_F(RetryTest, StopsWhenTheBudgetIsSpent) {
  Backend failing(harness.loop, "failing");
  failing.script = [&](Peer& peer) { failing.answer_all(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"); };
  endpoints({at(failing)});
  auto client = harness.connect();
  for (int i = 0; i < 40; ++i) harness.ask(*client, "GET /retried HTTP/1.1\r\nHost: x\r\n\r\n");
  // 40 requests of one worker within a second or two: its floor of 5 a second, or 20 % of what it carried.
  EXPECT_LT(failing.requests, 80U);
}

TEST_F(RetryTest, AnswersWith504WhenNoAnswerComesInTime) {
  Backend mute(harness.loop, "mute");
  mute.script = [](Peer&) {};
  endpoints({at(mute)});
  std::string answer = harness.get("/retried");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 504 ")) << answer;
}

// An idle connection is ended with a 408 by some servers, and our request may cross it.
TEST_F(RetryTest, TakesA408OnAReusedConnectionForItsEndAndNotForTheAnswer) {
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  harness.ask(*client, kGet);
  auto answer = backend.script;
  const std::string late = "HTTP/1.1 408 Request Time-out\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  auto too_late = [&](Peer& peer) {
    peer.send(late);
    peer.half_close();
    backend.script = answer;  // last: it ends this function's captures
  };
  backend.script = too_late;
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na")) << client->received;
  EXPECT_EQ(backend.accepted, 2U);
  // A POST may have been read: it is not ours to say that it was not.
  backend.script = too_late;
  EXPECT_TRUE(harness.ask(*client, kPost).starts_with("HTTP/1.1 408 ")) << client->received;
  // And on a connection of its own a 408 is what the endpoint means.
  backend.script = [&](Peer& peer) { backend.answer_all(peer, late); };
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 408 ")) << client->received;
}

TEST_F(RetryTest, DoesNotReuseAConnectionThatTheEndpointIsAboutToClose) {
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  for (const char* field : {"Keep-Alive: timeout=0\r\n", "KEEP-ALIVE: max=5, Timeout=0\r\n"}) {
    backend.script = [&, field](Peer& peer) {
      backend.answer_all(peer, "HTTP/1.1 200 OK\r\n" + std::string(field) + "Content-Length: 1\r\n\r\na");
    };
    backend.accepted = 0;
    harness.ask(*client, kPost);
    harness.ask(*client, kPost);
    EXPECT_GE(backend.accepted, 1U) << field;
    EXPECT_EQ(client->received.find("imeout"), std::string::npos) << client->received;
  }
  EXPECT_EQ(backend.peers.size(), 4U);
  for (const char* field : {"Keep-Alive: timeout=60\r\n", "Keep-Alive: timeout=x\r\n", "Keep-Alive: 5\r\n"}) {
    backend.script = [&, field](Peer& peer) {
      backend.answer_all(peer, "HTTP/1.1 200 OK\r\n" + std::string(field) + "Content-Length: 1\r\n\r\na");
    };
    harness.ask(*client, kPost);
    backend.accepted = 0;
    harness.ask(*client, kPost);
    EXPECT_EQ(backend.accepted, 0U) << field;
  }
}

TEST_F(RetryTest, APostOnAPooledConnectionThatDiesIsNotSentAgain) {
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  harness.ask(*client, kGet);
  backend.script = drop(backend);
  std::size_t before = backend.requests;
  std::string answer = harness.ask(*client, kPost);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  EXPECT_EQ(answer.find("Connection: close"), std::string::npos);  // the body came: the client may go on
  EXPECT_EQ(backend.requests - before, 1U);
}

TEST_F(RetryTest, ABodyBeyondTheBoundIsNotReplayed) {
  harness.config.limits.buffer_bytes_max = 1024;
  ASSERT_TRUE(harness.reload());
  Backend backend(harness.loop, "a");
  endpoints({at(backend)});
  auto client = harness.connect();
  harness.ask(*client, kGet);
  for (std::size_t length : {std::size_t{1024}, std::size_t{200'000}}) {
    auto answer = backend.script;
    backend.script = [&](Peer& peer) {
      if (!backend.take_request(peer)) return;
      backend.script = answer;
      peer.reset();
    };
    std::string got = harness.ask(*client, "PUT /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) +
                                               "\r\n\r\n" + std::string(length, 'b'));
    EXPECT_TRUE(got.starts_with(length == 1024 ? "HTTP/1.1 200 " : "HTTP/1.1 502 ")) << length << got;
  }
}

TEST_F(RetryTest, PrefersADownEndpointToA503ButNeverADrainingOne) {
  Backend down(harness.loop, "down"), draining(harness.loop, "draining");
  model::Endpoint one = at(down), two = at(draining);
  one.state = model::EndpointState::down;
  two.state = model::EndpointState::draining;
  endpoints({one, two});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(harness.get("/app").ends_with("down"));
  endpoints({two});
  std::string answer = harness.get("/app");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_NE(answer.find("draining"), std::string::npos);
  EXPECT_EQ(draining.requests, 0U);
}

}  // namespace
}  // namespace lotse::proxy::test
