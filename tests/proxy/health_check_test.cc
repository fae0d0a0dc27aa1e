// The proxy's own checks of endpoints (apps.*.health): docs/health.md.
#include <set>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class HealthCheckTest : public ::testing::Test {
 protected:
  HealthCheckTest() { answer_checks_with(backend, "200 OK"), answer_checks_with(other, "200 OK"); }
  void start(HealthCheck check = {}) {
    check.interval = 20ms;
    if (check.path == "/") check.path = check.by == HealthCheck::By::http ? "/ready" : "/";
    harness.config.apps["/app"].health = check;
    harness.config.apps["/app"].balance = Balance::round_robin;
    harness.start();
  }
  // Requests get the backend's name, checks the status.
  void answer_checks_with(Backend& at, const std::string& status) {
    at.script = [&at, status](Peer& peer) {
      while (at.take_request(peer)) {
        const bool is_check = at.last_request.starts_with("GET /ready ");
        peer.send(is_check ? "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n" : Backend::ok(at.name()));
      }
    };
  }
  static model::Endpoint at(const Backend& one) { return Harness::endpoint("/app", one); }
  void add(const Backend& one) { harness.apply({at(one)}); }
  std::set<std::string> who_answers() {
    std::set<std::string> names;
    for (int i = 0; i < 6; ++i) {
      std::string answer = harness.get("/app");
      names.insert(answer.substr(answer.rfind('\n') + 1));
    }
    return names;
  }
  std::uint64_t checks(const std::string& result) {
    return harness.metric("lotse_health_checks_total{result=\"" + result + "\"}");
  }
  bool wait_for_checks(const std::string& result) {
    const std::uint64_t before = checks(result);
    return harness.run_until([&] { return checks(result) >= before + 3; });
  }
  using Names = std::set<std::string>;
  Harness harness;
  Backend backend{harness.loop, "a"}, other{harness.loop, "b"};
};

TEST_F(HealthCheckTest, ANewTaskGetsNothingBeforeItsFirstPassedCheck) {
  start();
  add(backend);
  int changes = 0;
  harness.proxy->set_on_pending_changed([&] { ++changes; });
  answer_checks_with(other, "503 Not Yet");
  add(other);
  EXPECT_EQ(harness.proxy->pending_tasks(), (std::vector<model::TaskId>{"b"}));
  ASSERT_TRUE(wait_for_checks("failed"));
  EXPECT_EQ(who_answers(), (Names{"a"}));
  EXPECT_EQ(harness.metric("lotse_endpoints_pending"), 1U);
  EXPECT_NE(harness.proxy->routes_json().find("\"pending\""), std::string::npos);

  answer_checks_with(other, "200 OK");
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->pending_tasks().empty() && changes > 0; }));
  EXPECT_EQ(who_answers(), (Names{"a", "b"}));
}

TEST_F(HealthCheckTest, APendingTaskIsNotEvenALastResort) {
  start();
  add(backend);
  answer_checks_with(other, "503 Not Yet");
  add(other);
  harness.apply({}, {at(backend)});
  std::string answer = harness.get("/app");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
  EXPECT_NE(answer.find("not ready yet"), std::string::npos) << answer;
}

TEST_F(HealthCheckTest, ANewTaskServesAtOnceWhereTheAppSaysSo) {
  start({.starts_down = false});
  add(backend);
  answer_checks_with(other, "200 OK");
  add(other);
  EXPECT_TRUE(harness.proxy->pending_tasks().empty());
  EXPECT_EQ(who_answers(), (Names{"a", "b"}));
}

TEST_F(HealthCheckTest, WhatIsThereWhenTheProxyStartsServesAtOnceUntilACheckFails) {
  other.script = [](Peer&) {};  // a check that hangs says nothing yet
  start();
  harness.apply({at(backend), at(other)});
  EXPECT_TRUE(harness.proxy->pending_tasks().empty());
  answer_checks_with(other, "500 Broken");
  EXPECT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
  EXPECT_EQ(who_answers(), (Names{"a"}));
}

TEST_F(HealthCheckTest, AnEndpointThatFailsItsChecksGoesDownAndComesBack) {
  start({.healthy_after = 2, .unhealthy_after = 3});
  harness.apply({at(backend), at(other)});
  ASSERT_TRUE(wait_for_checks("passed"));
  answer_checks_with(other, "404 Not Found");
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
  EXPECT_GE(checks("failed"), 3U);
  EXPECT_EQ(who_answers(), (Names{"a"}));
  harness.apply({}, {at(backend)});
  EXPECT_EQ(who_answers(), (Names{"b"})) << "better than nobody";
  add(backend);

  answer_checks_with(other, "302 Found");
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 0; }));
  ASSERT_TRUE(harness.run_until([&] { return who_answers() == (Names{"a", "b"}); }));
}

TEST_F(HealthCheckTest, AVerdictSurvivesAChangeOfTheTable) {
  start({.unhealthy_after = 1});
  answer_checks_with(other, "500 Broken");
  harness.apply({at(backend), at(other)});
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
  other.script = [](Peer&) {};  // nothing new is heard of it
  model::Endpoint changed = at(other);
  changed.weight = 50;
  harness.apply({changed});
  EXPECT_EQ(who_answers(), (Names{"a"}));
}

TEST_F(HealthCheckTest, AReloadThatDropsTheChecksDropsTheirVerdicts) {
  start({.unhealthy_after = 1});
  answer_checks_with(other, "500 Broken");
  harness.apply({at(backend), at(other)});
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
  harness.config.apps["/app"].health.reset();
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return who_answers() == (Names{"a", "b"}); }));
}

TEST_F(HealthCheckTest, ACheckByTcpIsContentWithAConnection) {
  start({.by = HealthCheck::By::tcp, .unhealthy_after = 1});
  backend.script = [](Peer&) {};
  harness.apply({at(backend), at(other)});
  ASSERT_TRUE(wait_for_checks("passed"));
  EXPECT_EQ(checks("failed"), 0U);
  other.die();
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
}

TEST_F(HealthCheckTest, ACheckThatIsNotAnsweredInTimeHasFailed) {
  start({.timeout = 30ms, .unhealthy_after = 2});
  backend.script = [](Peer&) {};
  add(backend);
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }));
}

TEST_F(HealthCheckTest, MoreChecksThanTheBoundWaitForTheirTurn) {
  harness.config.limits.health_checks_max = 1;
  start({.timeout = 30ms});
  backend.script = [](Peer&) {};
  harness.apply({at(backend), at(other)});
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_health_checks_delayed_total") > 0; }));
  EXPECT_TRUE(wait_for_checks("passed"));
}

TEST_F(HealthCheckTest, AnEndpointThatLeavesIsNotCheckedAnyMore) {
  start();
  backend.script = [](Peer&) {};
  add(backend);
  ASSERT_TRUE(harness.run_until([&] { return backend.accepted == 1; }));
  harness.apply({}, {at(backend)});
  ASSERT_TRUE(harness.run_until([&] { return backend.peers.front()->is_over(); }));
  add(other);
  ASSERT_TRUE(wait_for_checks("passed"));
  EXPECT_EQ(backend.accepted, 1U);
}

}  // namespace
}  // namespace lotse::proxy::test
