// The PROXY protocol through a real Proxy: who may speak it, what comes of what it says, and what we say ourselves.
#include "net/proxy_protocol.h"

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

const std::string kTold = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";

class ProxyProtocolTest : public ::testing::Test {
 protected:
  ProxyProtocolTest() {
    harness.config.workers = 1;
    believe("127.0.0.1");
    ListenerConfig tcp = Harness::listener("db", "127.0.0.2:0");
    tcp.tcp = TcpConfig{.to = {{.app = {"/app", ""}}}};
    tcp.proxy_protocol = harness.config.listeners[0].proxy_protocol;
    harness.config.listeners.push_back(tcp);
  }
  void believe(const std::string& ip) {
    harness.config.listeners[0].proxy_protocol = ProxyProtocolConfig{.from = {{*net::Address::from_ip(ip, 0), 32}}};
  }
  void start() {
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  std::uint64_t refusals(const std::string& why, const std::string& listener = "web") {
    return harness.metric("lotse_listener_refusals_total{listener=\"" + listener + "\",why=\"" + why + "\"}");
  }
  Peer& upstream() { return *backend->peers.back(); }

  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(ProxyProtocolTest, TheToldClientIsTheClientOfRequests) {
  start();
  auto client = harness.connect();
  EXPECT_TRUE(harness.ask(*client, kTold + kGet).ends_with("a"));
  EXPECT_NE(backend->last_request.find("X-Forwarded-For: 192.0.2.1\r\n"), std::string::npos) << backend->last_request;
  EXPECT_NE(backend->last_request.find("X-Forwarded-Port: 443\r\n"), std::string::npos) << backend->last_request;
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("a"));  // once per connection, not per request
  EXPECT_NE(backend->last_request.find("X-Forwarded-For: 192.0.2.1\r\n"), std::string::npos);
}

TEST_F(ProxyProtocolTest, AHeaderMayComeByteByByte) {
  start();
  for (const std::string& header : {kTold, net::proxy_header(net::ProxyVersion::v2, *net::Address::parse("192.0.2.1:5"),
                                                             *net::Address::parse("192.0.2.2:6"))}) {
    auto client = harness.connect();
    ASSERT_TRUE(run_until([&] { return client->is_connected; }));
    const std::string text = header + kGet;
    for (std::size_t i = 0; i < text.size(); ++i) {
      client->send(text.substr(i, 1));
      harness.loop.run_once_ready();
    }
    ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received) || client->is_over(); }));
    EXPECT_NE(backend->last_request.find("X-Forwarded-For: 192.0.2.1\r\n"), std::string::npos);
  }
}

TEST_F(ProxyProtocolTest, LocalConnectionsAreTheBalancersOwn) {
  start();
  auto client = harness.connect();
  const std::string local("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16);
  EXPECT_TRUE(harness.ask(*client, local + kGet).ends_with("a"));
  EXPECT_NE(backend->last_request.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos) << backend->last_request;
}

TEST_F(ProxyProtocolTest, FromAnybodyElseConnectionsAreRefused) {
  believe("192.0.2.77");
  start();
  auto client = harness.connect();
  client->send(kTold + kGet);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(client->received, "");
  EXPECT_EQ(refusals("untrusted"), 1U);
  EXPECT_EQ(backend->accepted, 0U);
}

TEST_F(ProxyProtocolTest, AConnectionWithoutAHeaderIsRefused) {
  start();
  for (const std::string& text : {kGet, std::string("PROXY TCP4 1.2.3.4 nonsense\r\n"), std::string("\x16\x03\x01")}) {
    auto client = harness.connect();
    client->send(text);
    ASSERT_TRUE(run_until([&] { return client->is_over(); })) << text;
    EXPECT_EQ(client->received, "");
  }
  EXPECT_EQ(refusals("proxy_header"), 3U);
  EXPECT_EQ(backend->accepted, 0U);
}

TEST_F(ProxyProtocolTest, AHeaderOverTheBoundIsRefused) {
  harness.config.limits.proxy_header_bytes_max = 100;
  start();
  std::string header =
      net::proxy_header(net::ProxyVersion::v2, *net::Address::parse("1.1.1.1:1"), *net::Address::parse("1.1.1.1:1"));
  header[15] = 101;
  auto client = harness.connect();
  client->send(header);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(refusals("proxy_header"), 1U);
}

TEST_F(ProxyProtocolTest, AHeaderThatDoesNotComeInTimeIsRefused) {
  harness.config.timeouts.header = 100ms;
  start();
  auto client = harness.connect();
  client->send("PROXY TCP4 192");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(harness.metric("lotse_header_timeouts_total"), 1U);
  EXPECT_EQ(refusals("proxy_header"), 1U);
}

TEST_F(ProxyProtocolTest, TheHeaderIsTakenOffTcpConnections) {
  start();
  backend->script = [](Peer& peer) { peer.send("heard:" + peer.received); };
  auto client = harness.connect(1);
  client->send(kTold + "bytes");
  ASSERT_TRUE(run_until([&] { return client->received == "heard:bytes" || client->is_over(); }));
  EXPECT_EQ(client->received, "heard:bytes");
}

// What we say ------------------------------------------------------------------------------------------------------

TEST_F(ProxyProtocolTest, EndpointsOfTcpConnectionsAreToldTheClient) {
  for (auto version : {net::ProxyVersion::v1, net::ProxyVersion::v2}) {
    harness.config.apps["/app"].proxy_protocol = version;
    if (harness.proxy) {
      ASSERT_TRUE(harness.reload());
      harness.apply({});
    } else {
      start();
    }
    backend->script = [](Peer&) {};
    const std::size_t before = backend->accepted;
    auto client = harness.connect(1);
    client->send(kTold + "bytes");
    const std::string wanted =
        net::proxy_header(version, *net::Address::parse("192.0.2.1:56324"), *net::Address::parse("198.51.100.2:443")) +
        "bytes";
    ASSERT_TRUE(run_until([&] { return backend->accepted > before && upstream().received.ends_with("bytes"); }));
    EXPECT_EQ(upstream().received, wanted);
  }
}

TEST_F(ProxyProtocolTest, EndpointsOfRequestsAreToldTheClientAndNoTwoClientsShareAConnection) {
  harness.config.apps["/app"].proxy_protocol = net::ProxyVersion::v1;
  harness.config.listeners[0].proxy_protocol.reset();
  start();
  std::vector<std::string> told;
  backend->script = [&](Peer& peer) {
    const std::size_t end = peer.received.find("\r\n");
    if (peer.received.starts_with("PROXY ") && end != std::string::npos) {
      told.push_back(peer.received.substr(0, end));
      peer.received.erase(0, end + 2);
    }
    while (backend->take_request(peer)) {
      peer.send(Backend::ok("ok"));
      EXPECT_TRUE(backend->last_request.starts_with("GET "));
    }
  };
  auto first = harness.connect(), second = harness.connect();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(harness.ask(*first, kGet).ends_with("ok"));
    EXPECT_TRUE(harness.ask(*second, kGet).ends_with("ok"));
  }
  ASSERT_EQ(told.size(), 4U);  // a connection each
  EXPECT_TRUE(told[0].starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ")) << told[0];
  EXPECT_EQ(told[0], told[2]);
  EXPECT_EQ(told[1], told[3]);
  EXPECT_NE(told[0], told[1]);
  EXPECT_EQ(backend->accepted, 4U);
}

// Pooled connections from before have told nobody anything.
TEST_F(ProxyProtocolTest, ConnectionsFromBeforeAReloadThatAsksForItAreNotUsed) {
  harness.config.listeners[0].proxy_protocol.reset();
  start();
  auto client = harness.connect();
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("a"));
  harness.config.apps["/app"].proxy_protocol = net::ProxyVersion::v1;
  ASSERT_TRUE(harness.reload());
  harness.apply({});
  backend->script = [&](Peer& peer) {
    if (!peer.received.starts_with("PROXY ")) return;
    if (peer.received.ends_with("\r\n\r\n")) peer.send(Backend::ok("told"));
  };
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("told"));
  EXPECT_EQ(backend->accepted, 2U);
}

}  // namespace
}  // namespace lotse::proxy::test
