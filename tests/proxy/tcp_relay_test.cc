// TCP listeners: bytes both ways through a real Proxy, by the same table, balancing, health and draining as requests.
#include <fstream>
#include <iterator>
#include <random>

#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

std::string random_text(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Says back what it hears, behind its name.
void echo(Backend& backend) {
  backend.script = [&backend](Peer& peer) {
    peer.send(backend.name() + ":" + peer.received);
    peer.received.clear();
  };
}

class TcpRelayTest : public ::testing::Test {
 protected:
  TcpRelayTest() {
    harness.config.workers = 1;
    ListenerConfig listener = Harness::listener("db", "127.0.0.2:0");
    listener.tcp = TcpConfig{.to = {{.app = {"/db", ""}}}};
    listener.where = "listeners[1]";
    harness.config.listeners.push_back(listener);
  }
  void start() {
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    echo(*backend);
    harness.apply({Harness::endpoint("/db", *backend)});
  }
  std::unique_ptr<Peer> connect() { return harness.connect(1); }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  Peer& upstream() { return *backend->peers.back(); }
  bool comes(Peer& client, const std::string& wanted) {
    bool came = run_until([&] { return client.received.size() >= wanted.size() || client.is_over(); });
    EXPECT_EQ(client.received, wanted);
    return came && client.received == wanted;
  }
  // A connection that reaches the backend, which has said nothing yet.
  std::unique_ptr<Peer> connect_through() {
    const std::size_t before = backend->accepted;
    auto client = connect();
    EXPECT_TRUE(run_until([&] { return backend->accepted > before; }));
    return client;
  }
  // Both sides say that they have nothing more to say.
  void end(Peer& client) {
    client.half_close();
    upstream().half_close();
  }
  std::uint64_t refusals(const std::string& why) {
    return harness.metric("lotse_listener_refusals_total{listener=\"db\",why=\"" + why + "\"}");
  }
  std::uint64_t open() { return harness.metric("lotse_listener_tcp_connections{listener=\"db\"}"); }

  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(TcpRelayTest, BytesGoBothWays) {
  start();
  auto client = connect();
  client->send("hello");
  EXPECT_TRUE(comes(*client, "a:hello"));
  client->received.clear();
  client->send("again");
  EXPECT_TRUE(comes(*client, "a:again"));
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(TcpRelayTest, AnEndpointMaySpeakFirst) {
  start();
  auto client = connect_through();
  upstream().send("220 ready\r\n");
  EXPECT_TRUE(comes(*client, "220 ready\r\n"));
}

TEST_F(TcpRelayTest, WhatTheClientSendsBeforeTheEndpointIsThereArrives) {
  start();
  harness.confirmer.is_mute = true;
  model::Endpoint endpoint = Harness::endpoint("/db", *backend);
  endpoint.agent = "127.0.0.1:5051";
  harness.apply({endpoint}, {}, true);
  harness.proxy->set_fresh_until(harness.loop.clock().now() - 1ms);
  auto client = connect();
  client->send("early");
  client->half_close();
  ASSERT_TRUE(run_until([&] { return !harness.confirmer.waiting.empty(); }));
  harness.confirmer.waiting.front()(Confirmation::confirmed);
  EXPECT_TRUE(comes(*client, "a:early"));
}

TEST_F(TcpRelayTest, ADeniedTaskGetsNoConnection) {
  start();
  model::Endpoint endpoint = Harness::endpoint("/db", *backend);
  endpoint.agent = "127.0.0.1:5051";
  harness.apply({endpoint}, {}, true);
  harness.confirmer.answer = Confirmation::denied;
  harness.proxy->set_fresh_until(harness.loop.clock().now() - 1ms);
  auto client = connect();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(backend->accepted, 0U);
}

TEST_F(TcpRelayTest, AHalfCloseIsPassedOnAndTheOtherDirectionGoesOn) {
  start();
  auto client = connect_through();
  client->send("question");
  client->half_close();
  ASSERT_TRUE(run_until([&] { return upstream().has_ended; }));
  EXPECT_FALSE(client->is_over());
  upstream().send(" and more");
  EXPECT_TRUE(comes(*client, "a:question and more"));
  upstream().half_close();
  ASSERT_TRUE(run_until([&] { return client->has_ended; }));
  ASSERT_TRUE(run_until([&] { return open() == 0; }));
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 0U);
  EXPECT_EQ(harness.proxy->in_flight("a"), 0U);
}

TEST_F(TcpRelayTest, AnEndpointsHalfCloseIsPassedOnAsWell) {
  start();
  auto client = connect_through();
  upstream().send("all I have");
  upstream().half_close();
  ASSERT_TRUE(run_until([&] { return client->has_ended; }));
  EXPECT_EQ(client->received, "all I have");
  backend->script = [](Peer&) {};
  client->send("late");
  ASSERT_TRUE(run_until([&] { return !upstream().received.empty() || upstream().is_over(); }));
  EXPECT_FALSE(upstream().is_over());
}

// A cut connection must not look as if its end had been meant.
TEST_F(TcpRelayTest, AResetOfOneSideResetsTheOther) {
  start();
  auto client = connect_through();
  upstream().reset();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->has_failed);
  auto second = connect_through();
  second->reset();
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
  EXPECT_TRUE(upstream().has_failed);
  ASSERT_TRUE(run_until([&] { return open() == 0; }));
}

TEST_F(TcpRelayTest, BulkPassesInsideTheKernelByteForByteBothWays) {
  start();
  const std::string up = random_text(5'000'000, 1), down = random_text(7'000'000, 2);
  backend->script = [](Peer&) {};
  auto client = connect_through();
  client->send(up);
  upstream().send(down);
  ASSERT_TRUE(
      run_until([&] { return client->received.size() >= down.size() && upstream().received.size() >= up.size(); }));
  EXPECT_TRUE(client->received == down);
  EXPECT_TRUE(upstream().received == up);
  EXPECT_GT(harness.metric("lotse_spliced_bytes_total"), 6'000'000U);
  EXPECT_EQ(harness.metric("lotse_listener_tcp_bytes_in_total{listener=\"db\"}"), up.size());
  EXPECT_EQ(harness.metric("lotse_listener_tcp_bytes_out_total{listener=\"db\"}"), down.size());
  EXPECT_EQ(harness.metric("lotse_app_tunnel_bytes_in_total{app=\"/db\"}"), up.size());
  EXPECT_EQ(harness.metric("lotse_app_tunnel_bytes_out_total{app=\"/db\"}"), down.size());
  EXPECT_EQ(harness.metric("lotse_tunnel_bytes_out_total{protocol=\"tcp\"}"), down.size());
}

TEST_F(TcpRelayTest, ChatterAfterBulkIsCopiedAgain) {
  start();
  backend->script = [](Peer&) {};
  auto client = connect_through();
  const std::string bulk = random_text(2'000'000, 3);
  client->send(bulk);
  ASSERT_TRUE(run_until([&] { return upstream().received.size() == bulk.size(); }));
  std::uint64_t spliced = 0;
  for (int i = 0; i < 20; ++i) {
    upstream().received.clear();
    client->send("ping");
    ASSERT_TRUE(run_until([&] { return upstream().received == "ping"; }));
    if (i == 10) spliced = harness.metric("lotse_spliced_bytes_total");
  }
  EXPECT_EQ(harness.metric("lotse_spliced_bytes_total"), spliced);
}

TEST_F(TcpRelayTest, WithoutPipesBulkIsCopiedByteForByte) {
  harness.config.limits.splice_pipes_max = 0;
  start();
  const std::string up = random_text(3'000'000, 4);
  backend->script = [](Peer&) {};
  auto client = connect_through();
  client->send(up);
  ASSERT_TRUE(run_until([&] { return upstream().received.size() >= up.size(); }));
  EXPECT_TRUE(upstream().received == up);
  EXPECT_EQ(harness.metric("lotse_spliced_bytes_total"), 0U);
}

TEST_F(TcpRelayTest, ASlowReaderPausesTheOtherSideAndGetsEverything) {
  for (int pipes : {0, 16}) {
    SCOPED_TRACE(pipes);
    harness.config.limits.splice_pipes_max = pipes;
    if (harness.proxy) {
      ASSERT_TRUE(harness.reload());
      harness.apply({});
    } else {
      start();
    }
    backend->script = [](Peer&) {};
    auto client = connect_through();
    client->on_data = [](Peer& peer) { peer.stop_reading(); };
    const std::string down = random_text(30'000'000, 5);
    upstream().send(down);
    ASSERT_TRUE(run_until([&] { return harness.metric("lotse_response_pauses_total") > 0; }));
    EXPECT_LT(harness.metric("lotse_buffered_bytes"), 1'000'000U);
    ASSERT_TRUE(run_until([&] {
      for (int i = 0; i < 10; ++i) {
        client->start_reading();
        harness.loop.run_once_ready();
      }
      return client->received.size() >= down.size();
    }));
    EXPECT_TRUE(client->received == down);
  }
}

TEST_F(TcpRelayTest, AnAppWithoutEndpointsClosesTheConnectionAndIsCounted) {
  harness.start();
  auto client = connect();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  ASSERT_TRUE(run_until([&] { return refusals("no_endpoint") == 1; }));
  EXPECT_EQ(open(), 0U);
}

TEST_F(TcpRelayTest, AFailedConnectIsTriedOnAnotherEndpoint) {
  start();
  std::uint16_t dead_port = 0;
  {
    Backend dead(harness.loop, "dead");
    dead_port = dead.port();
  }
  harness.config.apps["/db"].balance = Balance::round_robin;
  ASSERT_TRUE(harness.reload());
  harness.apply({Harness::endpoint("/db", "dead", dead_port)});
  for (int i = 0; i < 4; ++i) {
    auto client = connect();
    client->send("x");
    EXPECT_TRUE(comes(*client, "a:x"));
  }
  EXPECT_GT(harness.metric("lotse_app_connect_failures_total{app=\"/db\"}"), 0U);
  EXPECT_EQ(harness.proxy->in_flight("dead"), 0U);
  EXPECT_EQ(refusals("failed"), 0U);
}

TEST_F(TcpRelayTest, WithOnlyDeadEndpointsTheConnectionIsClosedAndCounted) {
  start();
  backend->close_listener();
  auto client = connect();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(refusals("failed"), 1U);
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 0U);
}

TEST_F(TcpRelayTest, EndpointsThatTakeConnectionsAndDropThemAreEjected) {
  start();
  harness.config.apps["/db"].balance = Balance::round_robin;
  ASSERT_TRUE(harness.reload());
  Backend bad(harness.loop, "bad");
  harness.apply({Harness::endpoint("/db", bad)});
  ASSERT_TRUE(run_until([&] {
    auto client = connect();
    client->send("x");
    run_until([&] {
      for (auto& peer : bad.peers) peer->reset();
      return client->is_over() || !client->received.empty();
    });
    return harness.metric("lotse_endpoints_ejected{app=\"/db\"}") == 1;
  }));
  harness.apply({});
  const std::size_t before = bad.accepted;
  for (int i = 0; i < 5; ++i) {
    auto client = connect();
    client->send("x");
    EXPECT_TRUE(comes(*client, "a:x"));
  }
  EXPECT_EQ(bad.accepted, before);
}

TEST_F(TcpRelayTest, AFullAppClosesTheConnectionAndIsCounted) {
  harness.config.limits.upstream_connections_per_endpoint_max = 2;
  start();
  auto first = connect_through(), second = connect_through();
  auto third = connect();
  ASSERT_TRUE(run_until([&] { return third->is_over(); }));
  EXPECT_EQ(refusals("full"), 1U);
  EXPECT_EQ(backend->accepted, 2U);
  first->send("x");
  EXPECT_TRUE(comes(*first, "a:x"));
}

TEST_F(TcpRelayTest, ConnectionsAreSharedOutByWeightAndAnAppWithoutEndpointsLeavesItsShare) {
  harness.config.listeners[1].tcp->to = {{.app = {"/db", ""}, .weight = 1}, {.app = {"/other", ""}, .weight = 1}};
  start();
  auto alone = connect();
  alone->send("x");
  EXPECT_TRUE(comes(*alone, "a:x"));
  Backend other(harness.loop, "b");
  echo(other);
  harness.apply({Harness::endpoint("/other", other)});
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(connect());
  ASSERT_TRUE(run_until([&] { return backend->accepted + other.accepted == 61; }));
  EXPECT_GT(backend->accepted, 5U);
  EXPECT_GT(other.accepted, 5U);
}

TEST_F(TcpRelayTest, AnIdleConnectionIsClosedOnBothSides) {
  harness.config.timeouts.tunnel_idle = 100ms;
  start();
  auto client = connect_through();
  ASSERT_TRUE(run_until([&] { return client->is_over() && upstream().is_over(); }));
  EXPECT_EQ(harness.metric("lotse_tunnel_timeouts_total"), 1U);
}

// The barrier: a draining task is done when its last connection is.
TEST_F(TcpRelayTest, ADrainingEndpointKeepsItsConnectionsAndGetsNoNewOnes) {
  start();
  std::vector<std::string> drained;
  harness.proxy->set_on_drained([&](const model::TaskId& task) { drained.push_back(task); });
  auto client = connect_through();
  model::Endpoint draining = Harness::endpoint("/db", *backend);
  draining.state = model::EndpointState::draining;
  harness.apply({draining});
  EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
  auto late = connect();
  ASSERT_TRUE(run_until([&] { return late->is_over(); }));
  EXPECT_EQ(refusals("no_endpoint"), 1U);
  client->send("still here");
  EXPECT_TRUE(comes(*client, "a:still here"));
  EXPECT_TRUE(drained.empty());
  end(*client);
  ASSERT_TRUE(run_until([&] { return !drained.empty(); }));
  EXPECT_EQ(harness.proxy->in_flight("a"), 0U);
}

TEST_F(TcpRelayTest, AConnectionSurvivesReloadsAndTheRemovalOfItsListenerAndOfItsEndpoint) {
  start();
  auto client = connect_through();
  auto still_works = [&] {
    client->received.clear();
    client->send("x");
    return comes(*client, "a:x");
  };
  ASSERT_TRUE(harness.reload());
  harness.apply({Harness::endpoint("/more", "t", 1)});
  EXPECT_TRUE(still_works());
  harness.config.listeners.pop_back();
  ASSERT_TRUE(harness.reload());
  harness.apply({});
  EXPECT_TRUE(still_works());
  harness.apply({}, {Harness::endpoint("/db", *backend)});
  EXPECT_TRUE(still_works());
  EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
  end(*client);
  ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("a") == 0; }));
}

TEST_F(TcpRelayTest, AListenerMayBecomeATcpListenerByAReload) {
  harness.config.listeners[1].tcp.reset();
  start();
  EXPECT_NE(harness.get("/nobody"), "");
  harness.config.listeners[1].tcp = TcpConfig{.to = {{.app = {"/db", ""}}}};
  ASSERT_TRUE(harness.reload());
  harness.apply({});
  auto client = connect();
  client->send("hello");
  EXPECT_TRUE(comes(*client, "a:hello"));
}

TEST_F(TcpRelayTest, AStopWaitsForConnectionsUntilItsDeadline) {
  start();
  auto client = connect_through();
  bool is_done = false;
  harness.proxy->drain(300ms, [&] { is_done = true; });
  client->send("during the drain");
  EXPECT_TRUE(comes(*client, "a:during the drain"));
  EXPECT_FALSE(is_done);
  ASSERT_TRUE(run_until([&] { return is_done; }));
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
}

TEST_F(TcpRelayTest, AStopEndsWithTheLastConnection) {
  start();
  auto client = connect_through();
  bool is_done = false;
  harness.proxy->drain(60s, [&] { is_done = true; });
  end(*client);
  ASSERT_TRUE(run_until([&] { return is_done; }));
}

TEST_F(TcpRelayTest, EachConnectionIsALineOfTheAccessLog) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/access.log";
  harness.config.access_log = AccessLogConfig{.path = path};
  start();
  auto client = connect();
  client->send("hello");
  ASSERT_TRUE(comes(*client, "a:hello"));
  end(*client);
  std::string text;
  ASSERT_TRUE(run_until([&] {
    std::ifstream file(path);
    text.assign(std::istreambuf_iterator<char>(file), {});
    return text.ends_with("}\n");
  }));
  for (const char* part : {R"("client":"127.0.0.1","listener":"db","protocol":"tcp","bytes_in":5,"bytes_out":7,)",
                           R"("app":"/db","task":"a","endpoint":"127.0.0.1:)", R"("attempts":1)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
}

TEST_F(TcpRelayTest, MetricsAreByProtocolAppAndListener) {
  start();
  auto client = connect_through();
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_tunnels{protocol=\"tcp\"}") == 1; }));
  EXPECT_EQ(open(), 1U);
  EXPECT_EQ(harness.metric("lotse_listener_accepted_total{listener=\"db\"}"), 1U);
  EXPECT_EQ(harness.metric("lotse_listener_accepted_total{listener=\"web\"}"), 0U);
  EXPECT_EQ(harness.metric("lotse_app_tunnels_total{app=\"/db\"}"), 1U);
  end(*client);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_tunnels{protocol=\"tcp\"}") == 0; }));
  EXPECT_EQ(harness.metric("lotse_tunnels_total{protocol=\"tcp\"}"), 1U);
  EXPECT_EQ(harness.metric("lotse_downstream_connections"), 0U);
}

TEST_F(TcpRelayTest, TheAdminPagesKnowTcpListeners) {
  start();
  const std::string routes = harness.proxy->routes_json();
  EXPECT_NE(routes.find("\"listener\": \"db\""), std::string::npos) << routes;
  const std::string explained = harness.proxy->explain("tcp://db");
  EXPECT_NE(explained.find("\"decision\": \"tcp\""), std::string::npos) << explained;
  EXPECT_NE(explained.find("\"closes\": false"), std::string::npos) << explained;
  EXPECT_NE(explained.find("/db"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("tcp://nobody").find("no listener"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("tcp://web").find("speaks HTTP"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://db.test/").find("\"app\": \"/db\""), std::string::npos);
}

// Memory: the connection that holds the most goes first, the others never notice.
TEST_F(TcpRelayTest, AConnectionThatHoldsTheMostIsClosedWhenMemoryIsFull) {
  harness.config.limits.memory_bytes_max = 200'000;
  harness.config.limits.buffer_bytes_max = 1'000'000;
  harness.config.limits.splice_pipes_max = 0;
  start();
  backend->script = [](Peer&) {};
  auto quiet = connect_through();
  auto greedy = connect_through();
  ASSERT_TRUE(run_until([&] { return greedy->is_connected; }));
  greedy->stop_reading();
  upstream().send(std::string(30'000'000, 'x'));
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_memory_evictions_total") == 1; }));
  EXPECT_FALSE(quiet->is_over());
}

}  // namespace
}  // namespace lotse::proxy::test
