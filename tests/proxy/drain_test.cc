// Leaving: of tasks (the route barrier's acknowledgement), of listeners, and of the whole process.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class DrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "task-a");
    harness.apply({at(model::EndpointState::up)});
    harness.proxy->set_on_drained([this](const model::TaskId& task) { drained.push_back(task); });
  }
  model::Endpoint at(model::EndpointState state) {
    model::Endpoint one = Harness::endpoint("/app", *backend);
    one.state = state;
    return one;
  }
  void hold_requests() {
    backend->script = [this](Peer& peer) { backend->take_request(peer); };
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::vector<std::string> drained;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(DrainTest, ADrainingTaskIsReportedWhenItsLastRequestIsOver) {
  hold_requests();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 8; ++i) {  // over both workers, most likely
    clients.push_back(harness.connect());
    clients.back()->send(kGet);
  }
  ASSERT_TRUE(run_until([&] { return backend->requests == 8; }));
  harness.apply({at(model::EndpointState::draining)});
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 8U);
  EXPECT_TRUE(drained.empty());
  for (std::size_t i = 0; i + 1 < 8; ++i) backend->peers[i]->send(Backend::ok("x"));
  ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("task-a") == 1; }));
  EXPECT_TRUE(drained.empty());
  backend->peers[7]->send(Backend::ok("x"));
  ASSERT_TRUE(run_until([&] { return !drained.empty(); }));
  EXPECT_EQ(drained.front(), "task-a");
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 0U);
  for (auto& one : clients) EXPECT_TRUE(one->received.ends_with("\r\n\r\nx"));
  // Its connections finish and close, none is kept.
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_connections") == 0; }));
}

TEST_F(DrainTest, ADrainingTaskGetsNoNewRequestAndItsIdleConnectionsClose) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  harness.apply({at(model::EndpointState::draining)});
  ASSERT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(backend->requests, 1U);
}

TEST_F(DrainTest, ARemovedTaskFinishesItsRequestsAndIsStillCounted) {
  hold_requests();
  auto client = harness.connect();
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  harness.apply({}, {at(model::EndpointState::up)});
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 1U);
  backend->peers.front()->send(Backend::ok("done"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("done"); }));
  ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("task-a") == 0 && backend->peers.front()->is_over(); }));
}

TEST_F(DrainTest, AnIdenticalChangeTouchesNoConnection) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  for (int i = 0; i < 20; ++i) harness.apply({at(model::EndpointState::up)}, {}, i % 2 == 0);
  harness.ask(*client, kGet);
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(DrainTest, AStopFinishesWhatIsBegunAndClosesIdleConnections) {
  hold_requests();
  auto busy = harness.connect(), idle = harness.connect();
  busy->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1 && idle->is_connected; }));
  bool is_done = false;
  harness.proxy->drain(10s, [&] { is_done = true; });
  ASSERT_TRUE(run_until([&] { return idle->is_over(); }));
  EXPECT_FALSE(is_done);
  auto late = harness.connect();
  ASSERT_TRUE(run_until([&] { return late->is_over(); }));
  EXPECT_EQ(late->error.code, Errc::refused);
  backend->peers.front()->send(Backend::ok("last"));
  ASSERT_TRUE(run_until([&] { return is_done; }));
  ASSERT_TRUE(run_until([&] { return busy->is_over(); }));
  EXPECT_NE(busy->received.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(busy->received.ends_with("last"));
}

TEST_F(DrainTest, AConnectionThatIsDrainedWhileIdleMayStillAskOnce) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  bool is_done = false;
  harness.proxy->drain(10s, [&] { is_done = true; });
  std::string answer = harness.ask(*client, kGet);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  ASSERT_TRUE(run_until([&] { return is_done; }));
}

TEST_F(DrainTest, AStopEndsAtItsDeadlineAndAtASecondCall) {
  hold_requests();
  auto client = harness.connect();
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  bool is_done = false;
  harness.proxy->drain(50ms, [&] { is_done = true; });
  ASSERT_TRUE(run_until([&] { return is_done; }));
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));

  Harness second;
  second.start();
  Backend other(second.loop, "b");
  second.apply({Harness::endpoint("/app", other)});
  other.script = [](Peer&) {};
  auto stuck = second.connect();
  stuck->send(kGet);
  ASSERT_TRUE(second.run_until([&] { return other.accepted == 1; }));
  int done = 0;
  second.proxy->drain(1h, [&] { ++done; });
  second.proxy->drain(1h, [&] { ++done; });
  ASSERT_TRUE(second.run_until([&] { return done == 1; }));
}

}  // namespace
}  // namespace lotse::proxy::test
