// Pools: last used first, bounded, emptied for a drained endpoint; and connections that are made before they are asked
// for.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() : backend(harness.loop, "a") { harness.config.workers = 1; }
  void start() {
    harness.start();
    harness.apply({endpoint()});
  }
  model::Endpoint endpoint(model::EndpointState state = model::EndpointState::up) {
    model::Endpoint one = Harness::endpoint("/app", backend);
    one.state = state;
    return one;
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  // Makes `count` pooled connections: that many requests at once, answered when all have come.
  void fill(std::size_t count) {
    auto usual = backend.script;
    backend.script = [this](Peer& peer) { backend.take_request(peer); };
    const std::size_t before = backend.requests;
    std::vector<std::unique_ptr<Peer>> clients;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(harness.connect());
      clients.back()->send(kGet);
      ASSERT_TRUE(run_until([&] { return backend.requests == before + i + 1; }));
    }
    for (auto& peer : backend.peers) peer->send(Backend::ok("a"));
    for (auto& one : clients) ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(one->received); }));
    backend.script = usual;
  }
  std::size_t open() { return harness.metric("lotse_upstream_connections"); }

  const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
  Harness harness;
  Backend backend;
};

TEST_F(PoolTest, TheConnectionUsedLastIsUsedNextSoThatTheSurplusGrowsOld) {
  start();
  fill(3);
  EXPECT_EQ(backend.accepted, 3U);
  std::vector<Peer*> used;
  auto usual = backend.script;
  backend.script = [&](Peer& peer) {
    used.push_back(&peer);
    usual(peer);
  };
  auto client = harness.connect();
  for (int i = 0; i < 4; ++i) harness.ask(*client, kGet);
  EXPECT_EQ(backend.accepted, 3U);
  EXPECT_EQ(used, std::vector<Peer*>(4, backend.peers.back().get()));  // answered last, so put back last
}

TEST_F(PoolTest, ADrainedEndpointsIdleConnectionsCloseAtOnceAndItsBusyOneWhenItIsDone) {
  start();
  fill(3);
  backend.script = [this](Peer& peer) { backend.take_request(peer); };
  auto client = harness.connect();
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend.requests == 4; }));
  harness.apply({endpoint(model::EndpointState::draining)});
  ASSERT_TRUE(run_until([&] { return backend.peers[0]->is_over() && backend.peers[1]->is_over(); }));
  Peer& busy = *backend.peers[2];
  EXPECT_FALSE(busy.is_over());
  busy.send(Backend::ok("done"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("done") && busy.is_over(); }));
  EXPECT_TRUE(run_until([&] { return open() == 0; }));
}

TEST_F(PoolTest, ALowerBoundIsKeptAsConnectionsComeBack) {
  start();
  fill(4);
  EXPECT_EQ(open(), 4U);
  harness.config.limits.upstream_connections_per_endpoint_max = 2;
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(run_until([&] { return harness.proxy->is_ready(); }));
  auto client = harness.connect();
  for (int i = 0; i < 4; ++i) harness.ask(*client, kGet);
  EXPECT_EQ(open(), 2U);
}

TEST_F(PoolTest, ConnectsBeforeItIsAskedAndKeepsThatMany) {
  harness.config.apps["/app"].preconnect = 3;
  harness.config.timeouts.upstream_idle = 100ms;
  start();
  ASSERT_TRUE(run_until([&] { return backend.accepted == 3; }));
  ASSERT_TRUE(run_until([&] { return open() == 0; }));  // nobody used them
  ASSERT_TRUE(run_until([&] { return backend.accepted == 6; }));
  EXPECT_EQ(backend.requests, 0U);
}

TEST_F(PoolTest, ARequestUsesAConnectionThatWasMadeBefore) {
  harness.config.apps["/app"].preconnect = 2;
  start();
  ASSERT_TRUE(run_until([&] { return backend.accepted == 2; }));
  auto client = harness.connect();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na"));
  EXPECT_EQ(backend.accepted, 2U);
  EXPECT_EQ(harness.metric("lotse_upstream_pool_reuses_total"), 3U);
}

TEST_F(PoolTest, PreconnectFollowsTheConfigurationAndTheEndpointsState) {
  start();
  harness.config.apps["/app"].preconnect = 2;
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(run_until([&] { return backend.accepted == 2; }));
  harness.apply({endpoint(model::EndpointState::draining)});
  ASSERT_TRUE(run_until([&] { return open() == 0; }));
  harness.apply({endpoint(model::EndpointState::down)});
  Instant begun = harness.loop.clock().now();
  ASSERT_TRUE(run_until([&] { return harness.loop.clock().now() - begun > 1200ms; }));  // a tick
  EXPECT_EQ(backend.accepted, 2U);
}

TEST_F(PoolTest, AnEndpointThatRefusesIsNotAskedWithoutEnd) {
  harness.config.apps["/app"].preconnect = 3;
  backend.die();
  start();
  Instant begun = harness.loop.clock().now();
  ASSERT_TRUE(run_until([&] { return harness.loop.clock().now() - begun > 500ms; }));
  const std::string page = harness.proxy->routes_json();
  EXPECT_EQ(open(), 0U);
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 503 "));
}

TEST_F(PoolTest, PreconnectTakesNobodysPlace) {
  harness.config.apps["/app"].preconnect = 5;
  harness.config.limits.upstream_connections_max = 2;
  start();
  ASSERT_TRUE(run_until([&] { return backend.accepted == 2; }));
  EXPECT_EQ(open(), 2U);
  EXPECT_EQ(harness.metric("lotse_upstream_evictions_total"), 0U);
}

}  // namespace
}  // namespace lotse::proxy::test
