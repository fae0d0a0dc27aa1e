// WebSockets between a real client and a real server (python3-websockets), and other upgrades: whatever changes around
// them, they go on.
#include <unistd.h>

#include "tests/proxy/child_program.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which has Debian's packages
const std::string kPeer = LOTSE_SOURCE_DIR "/tests/proxy/websocket_peer.py";

bool has_websockets() { return access("/usr/lib/python3/dist-packages/websockets/__init__.py", R_OK) == 0; }

class WebSocketTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Pipes, WebSocketTest, ::testing::Values(0, 256),
                         [](const auto& one) { return one.param > 0 ? "Spliced" : "Copied"; });

TEST_P(WebSocketTest, ARealClientAndARealServerConverseWhateverChangesMeanwhile) {
  if (!has_websockets()) GTEST_SKIP() << "python3-websockets is not installed";
  Harness harness;
  harness.config.limits.splice_pipes_max = GetParam();
  harness.start();
  ChildProgram server(harness, kPython, {kPeer, "server"});
  const std::string port = server.line_after("port ");
  ASSERT_FALSE(port.empty());
  model::Endpoint endpoint = Harness::endpoint("/chat", "task-a", static_cast<std::uint16_t>(std::stoi(port)));
  harness.apply({endpoint, Harness::endpoint("/other", "task-b", 1)});

  const net::Address proxy = harness.address();
  ChildProgram client(harness, kPython, {kPeer, "client", proxy.ip(), std::to_string(proxy.port())});
  client.line_after("steady");
  ASSERT_FALSE(client.has_exited) << client.output.received;
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_tunnels{protocol=\"websocket\"}") == 20; }));
  EXPECT_EQ(harness.metric("lotse_tunnels_total{protocol=\"websocket\"}"), 22U);
  EXPECT_GT(harness.metric("lotse_tunnel_bytes_in_total{protocol=\"websocket\"}"), 20'000'000U);
  EXPECT_GT(harness.metric("lotse_tunnel_bytes_out_total{protocol=\"websocket\"}"), 20'000'000U);
  EXPECT_EQ(harness.metric("lotse_spliced_bytes_total") > 0, GetParam() > 0);
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 20U);

  // Everything that may change: another app goes, the configuration is read again, their own endpoint drains, even the
  // listener they came by goes.
  harness.apply({}, {Harness::endpoint("/other", "task-b", 1)});
  harness.config.http.keep_underscore_fields = true;
  ASSERT_TRUE(harness.reload());
  endpoint.state = model::EndpointState::draining;
  harness.apply({endpoint});
  harness.config.listeners.clear();
  ASSERT_TRUE(harness.reload());
  harness.apply({});
  client.output.send("!");
  EXPECT_TRUE(client.exits_with(0));
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("task-a") == 0; }));
  ASSERT_TRUE(harness.run_until([&] { return harness.metric("lotse_tunnels{protocol=\"websocket\"}") == 0; }));
}

// Other upgrades ---------------------------------------------------------------------------------------------------

class UpgradeTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    backend->script = [this](Peer& peer) {
      if (backend->take_request(peer))
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n");
    };
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
    client->send("GET /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n");
    ASSERT_TRUE(harness.run_until([this] { return client->received.ends_with("\r\n\r\n"); }));
    client->received.clear();
    backend->script = [](Peer&) {};
  }
  Peer& upstream() { return *backend->peers.back(); }

  std::string protocol = "my-protocol/2";
  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

TEST_F(UpgradeTest, AnyProtocolIsATunnelThatIsCountedAsOther) {
  start();
  EXPECT_EQ(harness.metric("lotse_tunnels{protocol=\"other\"}"), 1U);
  EXPECT_EQ(harness.metric("lotse_tunnels_total{protocol=\"websocket\"}"), 0U);
  client->send("hello");
  ASSERT_TRUE(harness.run_until([this] { return upstream().received == "hello"; }));
  // As bytes pass, not at the end: a tunnel may last for days.
  EXPECT_EQ(harness.metric("lotse_tunnel_bytes_in_total{protocol=\"other\"}"), 5U);
  EXPECT_EQ(harness.metric("lotse_app_tunnel_bytes_in_total{app=\"/app\"}"), 5U);
}

TEST_F(UpgradeTest, WebSocketIsKnownInAnyLetters) {
  protocol = "WebSocket";
  start();
  EXPECT_EQ(harness.metric("lotse_tunnels{protocol=\"websocket\"}"), 1U);
}

TEST_F(UpgradeTest, AHalfCloseIsPassedOnAndTheOtherDirectionGoesOn) {
  start();
  client->send("question");
  client->half_close();
  ASSERT_TRUE(harness.run_until([this] { return upstream().has_ended; }));
  EXPECT_EQ(upstream().received, "question");
  upstream().send("answer");
  ASSERT_TRUE(harness.run_until([this] { return client->received == "answer"; }));
  EXPECT_FALSE(client->is_over());
  upstream().half_close();
  ASSERT_TRUE(harness.run_until([this] { return client->has_ended; }));
  ASSERT_TRUE(harness.run_until([this] { return harness.metric("lotse_tunnels{protocol=\"other\"}") == 0; }));
}

TEST_F(UpgradeTest, BulkIsSplicedBothWaysAndChatterIsNot) {
  start();
  std::string up, down;
  for (int i = 0; up.size() < 4'000'000; ++i) up += std::to_string(i) + ",";
  for (int i = 0; down.size() < 5'000'000; ++i) down += std::to_string(i * 7) + ";";
  client->send(up);
  upstream().send(down);
  ASSERT_TRUE(harness.run_until(
      [&] { return upstream().received.size() >= up.size() && client->received.size() >= down.size(); }));
  EXPECT_TRUE(upstream().received == up);
  EXPECT_TRUE(client->received == down);
  EXPECT_GT(harness.metric("lotse_spliced_bytes_total"), 4'000'000U);
  EXPECT_EQ(harness.metric("lotse_tunnel_bytes_in_total{protocol=\"other\"}"), up.size());
  EXPECT_EQ(harness.metric("lotse_tunnel_bytes_out_total{protocol=\"other\"}"), down.size());
  std::uint64_t spliced = 0;
  for (int i = 0; i < 20; ++i) {
    client->received.clear();
    upstream().send("tick");
    ASSERT_TRUE(harness.run_until([this] { return client->received == "tick"; }));
    if (i == 10) spliced = harness.metric("lotse_spliced_bytes_total");
  }
  EXPECT_EQ(harness.metric("lotse_spliced_bytes_total"), spliced);
}

TEST_F(UpgradeTest, ASlowReaderOfATunnelPausesTheOtherSideAndGetsEverything) {
  start();
  client->on_data = [](Peer& peer) { peer.stop_reading(); };
  const std::string down(30'000'000, 'd');
  upstream().send(down);
  ASSERT_TRUE(harness.run_until([&] {
    for (int i = 0; i < 10; ++i) {
      client->start_reading();
      harness.loop.run_once_ready();
    }
    return client->received.size() >= down.size();
  }));
  EXPECT_TRUE(client->received == down);
  EXPECT_GT(harness.metric("lotse_response_pauses_total"), 0U);
}

}  // namespace
}  // namespace lotse::proxy::test
