// Passive health through the real proxy: failures on sockets, verdicts on every worker, metrics, the admin page.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class PassiveHealthTest : public ::testing::Test {
 protected:
  PassiveHealthTest() : bad(harness.loop, "bad"), good(harness.loop, "good") {
    harness.config.apps["/app"].balance = Balance::round_robin;
  }
  void start() {
    harness.start();
    harness.apply({Harness::endpoint("/app", bad), Harness::endpoint("/app", good)});
  }
  OutlierDetection& policy() { return harness.config.apps["/app"].outlier_detection; }
  void answer(Backend& backend, const std::string& status) {
    backend.script = [&backend, status](Peer& peer) {
      backend.answer_all(peer, "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n");
    };
  }
  // Asks on new connections, so that both workers get some, until somebody was ejected.
  bool ask_until_ejected() {
    for (int i = 0; i < 200 && ejected() == 0; ++i) harness.get("/app");
    return harness.run_until([this] { return ejected() == 1; });
  }
  std::uint64_t ejected() { return harness.metric("lotse_endpoints_ejected{app=\"/app\"}"); }

  Harness harness;
  Backend bad, good;
};

TEST_F(PassiveHealthTest, AnEndpointThatAnswersWith500sGetsNothingForAWhile) {
  policy().ejection_time_base = 300ms;
  answer(bad, "500 Broken");
  start();
  ASSERT_TRUE(ask_until_ejected());
  EXPECT_EQ(harness.metric("lotse_ejections_total{app=\"/app\",why=\"5xx\"}"), 1U);
  EXPECT_NE(harness.proxy->routes_json().find("\"ejected\": true"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://x/app").find("\"ejected\": true"), std::string::npos);
  const std::size_t before = bad.requests;
  // Verdicts reach the workers before anything that is posted after them.
  harness.apply({});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(harness.get("/app").ends_with("good"));
  EXPECT_EQ(bad.requests, before);

  answer(bad, "200 OK");
  ASSERT_TRUE(harness.run_until([this] { return ejected() == 0; }));
  harness.apply({});
  for (int i = 0; i < 10; ++i) harness.get("/app");
  EXPECT_GT(bad.requests, before);
  EXPECT_NE(harness.proxy->routes_json().find("\"ejections\": 1"), std::string::npos);
}

TEST_F(PassiveHealthTest, OneThatTakesConnectionsAndDropsThemIsEjectedThoughItsRequestsAreRetried) {
  policy().consecutive_gateway_failures = 1;
  bad.script = [this](Peer& peer) {
    if (bad.take_request(peer)) peer.reset();
  };
  start();
  ASSERT_TRUE(ask_until_ejected());
  EXPECT_EQ(harness.metric("lotse_ejections_total{app=\"/app\",why=\"gateway\"}"), 1U);
}

TEST_F(PassiveHealthTest, OneThatRefusesIsEjected) {
  policy().consecutive_connect_failures = 1;
  start();
  bad.die();
  ASSERT_TRUE(ask_until_ejected());
  EXPECT_EQ(harness.metric("lotse_ejections_total{app=\"/app\",why=\"connect\"}"), 1U);
}

TEST_F(PassiveHealthTest, OneThatNeverAnswersIsEjected) {
  policy().consecutive_gateway_failures = 1;
  harness.config.timeouts.first_byte = 50ms;
  bad.script = [](Peer&) {};
  start();
  ASSERT_TRUE(ask_until_ejected());
  EXPECT_EQ(harness.metric("lotse_ejections_total{app=\"/app\",why=\"gateway\"}"), 1U);
}

TEST_F(PassiveHealthTest, ADeadPooledConnectionSaysNothing) {
  policy().consecutive_5xx = 1;
  start();
  // The second request on a connection is dropped without an answer, as by an endpoint that closed it just now.
  bad.script = [this](Peer& peer) {
    if (!bad.take_request(peer)) return;
    if (peer.requests_answered++ == 0) {
      peer.send(Backend::ok("bad"));
    } else {
      peer.reset();
    }
  };
  auto client = harness.connect();
  for (int i = 0; i < 16; ++i) {
    std::string answer = harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  }
  EXPECT_GT(harness.metric("lotse_replays_total"), 0U);
  harness.apply({});
  EXPECT_EQ(ejected(), 0U);
}

// In flight on an ejected endpoint goes on, counts for the barrier, and drains as ever.
TEST_F(PassiveHealthTest, WhatIsInFlightOnAnEjectedEndpointIsDrainedAsEver) {
  policy().consecutive_5xx = 1;
  harness.config.workers = 1;
  Peer* held = nullptr;
  bad.script = [&](Peer& peer) {
    while (bad.take_request(peer)) {
      if (bad.last_request.starts_with("GET /held ")) {
        held = &peer;
      } else {
        peer.send("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
      }
    }
  };
  good.script = [&](Peer& peer) { good.answer_all(peer, Backend::ok("good")); };
  start();
  std::vector<std::unique_ptr<Peer>> clients;
  while (held == nullptr) {
    clients.push_back(harness.connect());
    clients.back()->send("GET /app/held HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(harness.run_until([&] { return held != nullptr || !clients.back()->received.empty(); }));
  }
  ASSERT_TRUE(ask_until_ejected());
  EXPECT_EQ(harness.proxy->in_flight("bad"), 1U);
  std::string drained;
  harness.proxy->set_on_drained([&](const model::TaskId& task) { drained = task; });
  model::Endpoint draining = Harness::endpoint("/app", bad);
  draining.state = model::EndpointState::draining;
  harness.apply({draining});
  EXPECT_EQ(drained, "");
  held->send(Backend::ok("late"));
  ASSERT_TRUE(harness.run_until([&] { return drained == "bad"; }));
  EXPECT_TRUE(harness.run_until([&] { return clients.back()->received.ends_with("late"); }));
}

TEST_F(PassiveHealthTest, TheLastOneStaysInWhateverItAnswers) {
  answer(bad, "503 Busy");
  answer(good, "503 Busy");
  start();
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 503 Busy"));
  EXPECT_EQ(ejected(), 1U);
  EXPECT_GT(harness.metric("lotse_ejections_refused_total{app=\"/app\"}"), 0U);
}

}  // namespace
}  // namespace lotse::proxy::test
