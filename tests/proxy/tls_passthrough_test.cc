// TLS that is passed through by the name its client asks for: real handshakes between a client and an endpoint, with
// the Proxy between them knowing nothing but the name. And TLS that ends at a TCP listener.
#include "net/tls.h"
#include "tests/certificates.h"
#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

// An endpoint that speaks TLS and says its name to whoever says something.
class TlsBackend {
 public:
  TlsBackend(net::Loop& loop, std::string name, std::shared_ptr<const net::TlsServerContext> context)
      : loop_(loop), name_(std::move(name)), context_(std::move(context)) {
    auto socket = net::make_listening_socket(*net::Address::from_ip("127.0.0.1", 0));
    port = net::local_address(socket->get()).port();
    auto opened = net::Listener::open(loop_, std::move(*socket), [this](std::unique_ptr<net::Stream> stream) {
      auto peer = std::make_unique<Peer>();
      peer->on_data = [this](Peer& one) { one.send(name_ + ":" + one.received); };
      Peer& here = *peer;
      here.adopt(net::tls_accept(loop_, std::move(stream), context_, here));
      peers.push_back(std::move(peer));
    });
    listener_ = std::move(*opened);
  }
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<Peer>> peers;

 private:
  net::Loop& loop_;
  std::string name_;
  std::shared_ptr<const net::TlsServerContext> context_;
  std::unique_ptr<net::Listener> listener_;
};

class TlsPassthroughTest : public ::testing::Test {
 protected:
  TlsPassthroughTest() {
    harness.config.workers = 1;
    ListenerConfig listener = Harness::listener("edge", "127.0.0.2:0");
    listener.tls_passthrough = TlsPassthroughConfig{
        .names = {{{"db.test", false}, {{.app = {"/db", ""}}}}, {{".wild.test", true}, {{.app = {"/wild", ""}}}}}};
    listener.where = "listeners[1]";
    harness.config.listeners.push_back(listener);
  }
  TlsPassthroughConfig& passthrough() { return *harness.config.listeners[1].tls_passthrough; }

  void start() {
    harness.start();
    auto made = net::TlsServerContext::make(
        {.certificates = {load({"db.test", "*.wild.test", "a.b.wild.test", "other.test"})}});
    ASSERT_TRUE(made) << made.error().text();
    for (const char* name : {"db", "wild", "other"}) {
      backends.push_back(std::make_unique<TlsBackend>(harness.loop, name, *made));
      harness.apply({Harness::endpoint(std::string("/") + name, name, backends.back()->port)});
    }
  }
  std::shared_ptr<const net::TlsCertificate> load(std::vector<std::string> names) {
    lotse::test::PemPair pair = authority.issue({.names = std::move(names)}, "server");
    return *net::TlsCertificate::load(pair.cert, pair.key);
  }
  std::unique_ptr<Peer> connect_tls(const std::string& name) {
    auto context = net::TlsClientContext::make({.ca_file = authority.file()});
    auto peer = std::make_unique<Peer>();
    peer->adopt(net::tls_connect(harness.loop, harness.address(1), *context, name, *peer));
    return peer;
  }
  // What a client that asks for `name` hears; empty: it was cut off.
  std::string ask(const std::string& name) {
    auto client = connect_tls(name);
    client->send("hello");
    run_until([&] { return !client->received.empty() || client->is_over(); });
    return client->received;
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  std::uint64_t refusals(const std::string& why) {
    return harness.metric("lotse_listener_refusals_total{listener=\"edge\",why=\"" + why + "\"}");
  }

  TemporaryFolder folder;
  lotse::test::Authority authority{folder.path()};
  Harness harness;
  std::vector<std::unique_ptr<TlsBackend>> backends;
};

TEST_F(TlsPassthroughTest, TheNameThatTheClientAsksForPicksTheApp) {
  start();
  EXPECT_EQ(ask("db.test"), "db:hello");
  EXPECT_EQ(ask("DB.Test"), "db:hello");
  EXPECT_EQ(ask("a.b.wild.test"), "wild:hello");
}

TEST_F(TlsPassthroughTest, AnUnknownNameGetsAnAlertOrTheDefault) {
  start();
  EXPECT_EQ(ask("other.test"), "");
  EXPECT_EQ(refusals("unknown_name"), 1U);
  auto raw = harness.connect(1);
  raw->send(std::string("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03", 11) + std::string(32, 'r') +
            std::string("\x00\x00\x02\x13\x01\x01\x00", 7));
  ASSERT_TRUE(run_until([&] { return raw->is_over(); }));
  EXPECT_EQ(raw->received, std::string("\x15\x03\x03\x00\x02\x02\x70", 7));
  passthrough().other = {{.app = {"/other", ""}}};
  ASSERT_TRUE(harness.reload());
  harness.apply({});
  EXPECT_EQ(ask("other.test"), "other:hello");
  EXPECT_EQ(ask("db.test"), "db:hello");
}

TEST_F(TlsPassthroughTest, AHelloMayComeByteByByte) {
  start();
  Backend plain(harness.loop, "db");
  plain.script = [](Peer&) {};
  harness.apply({Harness::endpoint("/db", plain)}, {}, true);
  const std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') +
                           std::string("\x00\x00\x02\x13\x01\x01\x00\x00\x10\x00\x00\x00\x0c\x00\x0a\x00\x00\x07", 18) +
                           "db.test";
  const std::string hello = std::string("\x16\x03\x01\x00", 4) + static_cast<char>(body.size() + 4) +
                            std::string("\x01\x00\x00", 3) + static_cast<char>(body.size()) + body;
  auto client = harness.connect(1);
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  for (char c : hello + "the rest") {
    client->send(std::string(1, c));
    harness.loop.run_once_ready();
  }
  ASSERT_TRUE(run_until([&] { return !plain.peers.empty() && plain.peers[0]->received.size() >= hello.size() + 8; }));
  EXPECT_EQ(plain.peers[0]->received, hello + "the rest");
  EXPECT_EQ(harness.metric("lotse_listener_tcp_bytes_in_total{listener=\"edge\"}"), hello.size() + 8);
}

TEST_F(TlsPassthroughTest, WhatIsNoHelloIsClosedAndCounted) {
  start();
  auto client = harness.connect(1);
  client->send("GET / HTTP/1.1\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(client->received, "");
  EXPECT_EQ(refusals("client_hello"), 1U);
  auto ended = harness.connect(1);
  ended->send("\x16\x03");
  ended->half_close();
  ASSERT_TRUE(run_until([&] { return ended->is_over(); }));
  EXPECT_EQ(refusals("client_hello"), 2U);
}

TEST_F(TlsPassthroughTest, AHelloThatDoesNotComeInTimeIsClosed) {
  harness.config.timeouts.header = 100ms;
  start();
  auto client = harness.connect(1);
  client->send(std::string("\x16\x03\x01\x00\x2d\x01", 6));
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(refusals("client_hello"), 1U);
  EXPECT_EQ(harness.metric("lotse_header_timeouts_total"), 1U);
}

TEST_F(TlsPassthroughTest, AHelloOverTheBoundIsClosed) {
  harness.config.limits.client_hello_bytes_max = 100;
  start();
  EXPECT_EQ(ask("db.test"), "");
  EXPECT_EQ(refusals("client_hello"), 1U);
}

TEST_F(TlsPassthroughTest, ExplainKnowsNames) {
  start();
  auto explained = [&](const std::string& url) { return harness.proxy->explain(url); };
  EXPECT_NE(explained("tls://db.test").find("\"app\": \"/db\""), std::string::npos) << explained("tls://db.test");
  EXPECT_NE(explained("tls://x.wild.test").find("*.wild.test"), std::string::npos);
  EXPECT_NE(explained("tls://x.wild.test").find("\"decision\": \"name\""), std::string::npos);
  EXPECT_NE(explained("tls://nobody.test").find("\"closes\": true"), std::string::npos);
  EXPECT_NE(explained("tls://db.test:1").find("no listener passes TLS through on port 1"), std::string::npos);
  EXPECT_NE(harness.proxy->routes_json().find("\"name\": \"*.wild.test\""), std::string::npos);
}

TEST_F(TlsPassthroughTest, TheToldClientIsToldOnInFrontOfTheHello) {
  harness.config.apps["/db"].proxy_protocol = net::ProxyVersion::v1;
  start();
  Backend plain(harness.loop, "db");
  plain.script = [](Peer&) {};
  harness.apply({Harness::endpoint("/db", plain)}, {}, true);
  auto client = connect_tls("db.test");
  ASSERT_TRUE(run_until([&] { return !plain.peers.empty() && plain.peers[0]->received.size() > 100; }));
  const std::string& heard = plain.peers[0]->received;
  EXPECT_TRUE(heard.starts_with("PROXY TCP4 127.0.0.1 127.0.0.2 "));
  EXPECT_EQ(heard.substr(heard.find("\r\n") + 2, 2), "\x16\x03");
}

// TLS that ends here ----------------------------------------------------------------------------------------------

TEST_F(TlsPassthroughTest, TlsMayEndAtATcpListener) {
  ListenerConfig& listener = harness.config.listeners[1];
  lotse::test::PemPair pair = authority.issue({.names = {"db.test"}}, "ours");
  listener.tls_passthrough.reset();
  listener.tls = ListenerTlsConfig{.certificates = {{.cert = pair.cert, .key = pair.key}}};
  listener.tcp = TcpConfig{.to = {{.app = {"/plain", ""}}}};
  start();
  Backend plain(harness.loop, "plain");
  plain.script = [](Peer& peer) {
    peer.send("plain:" + peer.received);
    peer.received.clear();
  };
  harness.apply({Harness::endpoint("/plain", plain)});
  EXPECT_EQ(ask("db.test"), "plain:hello");
  auto client = connect_tls("db.test");
  const std::string bulk(3'000'000, 'b');
  client->send(bulk);
  ASSERT_TRUE(run_until([&] { return client->received.size() >= bulk.size(); }));
  EXPECT_EQ(harness.metric("lotse_spliced_bytes_total"), 0U);
  client->half_close();
  ASSERT_TRUE(run_until([&] { return plain.peers.back()->has_ended; }));
  EXPECT_FALSE(client->is_over());
  plain.peers.back()->half_close();
  ASSERT_TRUE(run_until([&] { return client->has_ended; }));
}

}  // namespace
}  // namespace lotse::proxy::test
