// P2: a proxy that may be out of touch asks the agent before it opens a new connection.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class FreshnessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "task-a");
    endpoint = Harness::endpoint("/app", *backend);
    endpoint.agent = "127.0.0.1:5051";
    harness.apply({endpoint});
  }
  void be_fresh() { harness.proxy->set_fresh_until(harness.loop.clock().now() + 1h); }
  void be_stale() { harness.proxy->set_fresh_until(harness.loop.clock().now() - 1ms); }
  Harness harness;
  std::unique_ptr<Backend> backend;
  model::Endpoint endpoint;
};

TEST_F(FreshnessTest, AFreshTableNeedsNoConfirmation) {
  be_fresh();
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
  EXPECT_TRUE(harness.confirmer.asked.empty());
}

TEST_F(FreshnessTest, AStaleOneAsksOnceAndKeepsTheAnswer) {
  be_stale();
  for (int i = 0; i < 3; ++i) {
    backend->script = [&](Peer& peer) {  // no pooling: each request needs a new connection
      backend->answer_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ntask-a");
    };
    EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
  }
  EXPECT_EQ(backend->accepted, 3U);
  EXPECT_EQ(harness.confirmer.asked, std::vector<std::string>{"task-a"});
}

TEST_F(FreshnessTest, APooledConnectionIsProofEnough) {
  be_fresh();
  auto client = harness.connect();
  harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  be_stale();
  EXPECT_TRUE(harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("task-a"));
  EXPECT_TRUE(harness.confirmer.asked.empty());
}

TEST_F(FreshnessTest, ADeniedTaskGetsNothingUntilTheTableIsCurrentAgain) {
  be_stale();
  harness.confirmer.answer = Confirmation::denied;
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 503 "));
  harness.confirmer.answer = Confirmation::confirmed;
  std::string again = harness.get("/app");
  EXPECT_TRUE(again.starts_with("HTTP/1.1 503 ")) << again;
  EXPECT_EQ(backend->accepted, 0U);
  be_fresh();
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
}

TEST_F(FreshnessTest, ASilentAgentKeepsTheEndpointUntilAConnectionFails) {
  be_stale();
  harness.confirmer.answer = Confirmation::silent;
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
  std::uint16_t port = backend->port();
  backend->die();
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 50"));
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 503"));
  // The port may be somebody else's by now: nothing goes there any more.
  Backend stranger(harness.loop, "stranger");
  stranger.close_listener();
  stranger.open(port);
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 503"));
  EXPECT_EQ(stranger.accepted, 0U);
}

TEST_F(FreshnessTest, AnAgentThatNeverAnswersHoldsARequestForASecondOnly) {
  be_stale();
  harness.confirmer.is_mute = true;
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
}

TEST_F(FreshnessTest, AClientThatGoesWhileTheAgentIsAskedLeavesNothingBehind) {
  be_stale();
  harness.confirmer.is_mute = true;
  auto client = harness.connect();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(harness.run_until([&] { return !harness.confirmer.waiting.empty(); }));
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 1U);
  client->reset();
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("task-a") == 0; }));
  harness.confirmer.waiting.front()(Confirmation::confirmed);
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
}

// A woken proxy asks the agent and takes a snapshot at the same time, and the snapshot may be first.
TEST_F(FreshnessTest, ATaskThatIsRemovedWhileItsAgentIsAskedGetsNothing) {
  be_stale();
  harness.confirmer.is_mute = true;
  auto client = harness.connect();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(harness.run_until([&] { return !harness.confirmer.waiting.empty(); }));
  harness.apply({}, {endpoint});
  be_fresh();
  harness.confirmer.waiting.front()(Confirmation::denied);
  ASSERT_TRUE(harness.run_until([&] { return !client->received.empty(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 503 ")) << client->received;
  EXPECT_EQ(backend->accepted, 0U) << "the port may be another app's";
}

TEST_F(FreshnessTest, ATaskThatIsRemovedWhileItsAgentIsAskedIsForgotten) {
  be_stale();
  harness.confirmer.is_mute = true;
  auto client = harness.connect();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(harness.run_until([&] { return !harness.confirmer.waiting.empty(); }));
  harness.apply({}, {endpoint});
  std::exchange(harness.confirmer.waiting, {}).front()(Confirmation::denied);
  ASSERT_TRUE(harness.run_until([&] { return !client->received.empty(); }));
  EXPECT_EQ(backend->accepted, 0U);
  be_fresh();  // what is out comes back now, and the record of the removed one is gone
  endpoint.task = "task-b";
  harness.apply({endpoint});
  EXPECT_TRUE(harness.get("/app").ends_with("task-a"));
}

TEST_F(FreshnessTest, AnEndpointWithoutAnAgentIsNotAskedFor) {
  Backend plain(harness.loop, "plain");
  harness.apply({Harness::endpoint("/plain", plain)});
  be_stale();
  EXPECT_TRUE(harness.get("/plain").ends_with("plain"));
  EXPECT_TRUE(harness.confirmer.asked.empty());
}

}  // namespace
}  // namespace lotse::proxy::test
