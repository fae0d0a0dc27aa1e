// TLS towards endpoints: whom we believe, who we are, what is kept for the next connection, and what a client gets to
// hear when it cannot be.
#include <fstream>

#include "net/tls.h"
#include "net/tls_tickets.h"
#include "tests/certificates.h"
#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

using lotse::test::Authority;
using lotse::test::PemPair;

class UpstreamTlsTest : public ::testing::Test {
 protected:
  UpstreamTlsTest() : backend(harness.loop, "a") {
    harness.config.workers = 1;
    app().tls.emplace();
    app().tls->ca = authority.file();
    app().tls->server_name = "app.test";
    backend.wrap = [this](std::unique_ptr<net::Stream> stream, net::StreamListener& listener) {
      auto tls = net::tls_accept(harness.loop, std::move(stream), context, listener);
      accepted.push_back(tls.get());
      return tls;
    };
    serve();
  }
  AppConfig& app() { return harness.config.apps["/app"]; }
  void serve(net::TlsServerOptions options = {}, const std::string& name = "app.test") {
    const PemPair pair = authority.issue({.names = {name}}, "endpoint");
    options.certificates = {*net::TlsCertificate::load(pair.cert, pair.key)};
    auto made = net::TlsServerContext::make(options);
    ASSERT_TRUE(made) << made.error().text();
    context = *made;
  }
  void start() {
    harness.start();
    harness.apply({Harness::endpoint("/app", backend)});
  }
  std::string get() { return harness.get("/app"); }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  TemporaryFolder folder;
  Authority authority{folder.path()};
  Harness harness;
  std::shared_ptr<const net::TlsServerContext> context;
  std::vector<net::TlsStream*> accepted;  // as long as their peers are
  Backend backend;
};

TEST_F(UpstreamTlsTest, RequestsGoOverOnePooledConnectionThatNamesTheServer) {
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200")) << get();
  EXPECT_TRUE(get().ends_with("a"));
  ASSERT_EQ(backend.accepted, 1U);
  EXPECT_EQ(accepted[0]->server_name(), "app.test");
  EXPECT_EQ(accepted[0]->version(), net::TlsVersion::tls1_3);
  EXPECT_EQ(harness.metric("lotse_upstream_tls_handshakes_total"), 1U);
}

TEST_F(UpstreamTlsTest, BodiesPassBothWays) {
  start();
  const std::string body(300'000, 'b');
  backend.script = [&](Peer& peer) { backend.answer_all(peer, Backend::ok(body)); };
  auto client = harness.connect();
  const std::string answer = harness.ask(
      *client, "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_TRUE(answer.ends_with(body));
  EXPECT_TRUE(backend.last_request.ends_with(body));
}

TEST_F(UpstreamTlsTest, ACertificateOfAnotherAuthorityIsRefusedAndTheReasonIsTold) {
  Authority other(folder.path(), "Other Authority");
  app().tls->ca = other.file();
  start();
  const std::string answer = get();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("unable to get local issuer certificate (connecting)"), std::string::npos) << answer;
  EXPECT_EQ(backend.requests, 0U);
  EXPECT_GE(harness.metric("lotse_upstream_tls_failures_total"), 1U);
}

TEST_F(UpstreamTlsTest, ACertificateForAnotherNameIsRefused) {
  serve({}, "other.test");
  start();
  const std::string answer = get();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("hostname mismatch"), std::string::npos) << answer;
  EXPECT_EQ(backend.requests, 0U);
}

TEST_F(UpstreamTlsTest, WithoutAServerNameTheCertificateMustBeForTheEndpointsAddress) {
  app().tls->server_name.clear();
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));  // test certificates are for 127.0.0.1 too
  EXPECT_EQ(accepted[0]->server_name(), "");       // an address is no name (RFC 6066 section 3)
}

TEST_F(UpstreamTlsTest, VerifyFalseBelievesAnybody) {
  serve({}, "other.test");
  app().tls->ca.clear();
  app().tls->verify = false;
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
}

TEST_F(UpstreamTlsTest, OurCertificateIsShownToAnEndpointThatAsks) {
  serve({.client_ca_file = authority.file()});
  const PemPair ours = authority.issue({.names = {"proxy.test"}}, "proxy");
  app().tls->certificate = {ours.cert, ours.key};
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(accepted[0]->peer_subject(), "CN=proxy.test");
}

TEST_F(UpstreamTlsTest, AnEndpointThatAsksInVainEndsTheConnectionAndTheReasonIsTold) {
  serve({.client_ca_file = authority.file()});
  start();
  const std::string answer = get();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 50")) << answer;
  EXPECT_NE(answer.find("certificate required"), std::string::npos) << answer;
}

TEST_F(UpstreamTlsTest, AnEndpointThatSpeaksNoTlsIsRefused) {
  backend.wrap = nullptr;
  backend.script = [](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); };
  start();
  const std::string answer = get();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("wrong version number"), std::string::npos) << answer;
}

TEST_F(UpstreamTlsTest, AHandshakeThatStandsStillIsAConnectTimeout) {
  backend.wrap = nullptr;
  backend.script = [](Peer&) {};
  harness.config.timeouts.connect = 50ms;
  start();
  const std::string answer = get();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_EQ(harness.metric("lotse_upstream_connect_timeouts_total"), 1U);
}

TEST_F(UpstreamTlsTest, AnOldServerIsRefusedWhereMoreIsAskedFor) {
  app().tls->min_version = net::TlsVersion::tls1_3;
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(accepted[0]->version(), net::TlsVersion::tls1_3);
}

TEST_F(UpstreamTlsTest, TheNextConnectionResumesTheSession) {
  serve({.tickets = std::make_shared<net::TlsTicketKeys>()});
  start();
  backend.script = [&](Peer& peer) {
    if (!backend.take_request(peer)) return;
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
  };
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
    EXPECT_EQ(harness.metric("lotse_upstream_tls_resumptions_total"), i);
  }
  EXPECT_EQ(backend.accepted, 3U);
  EXPECT_EQ(harness.metric("lotse_upstream_tls_handshakes_total"), 3U);
  EXPECT_EQ(harness.metric("lotse_upstream_tls_resumptions_total"), 2U);
}

TEST_F(UpstreamTlsTest, AReloadThatChangesNothingKeepsTheConnectionsAndOneThatChangesWhomWeBelieveDoesNot) {
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  harness.config.timeouts.tunnel_idle = 5s;
  ASSERT_TRUE(harness.reload());
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(backend.accepted, 1U);
  app().tls->server_name = "other.test";
  ASSERT_TRUE(harness.reload());
  EXPECT_TRUE(get().starts_with("HTTP/1.1 503"));
}

TEST_F(UpstreamTlsTest, AConnectionInUseWhileThatChangesServesNoOtherRequest) {
  start();
  backend.script = [&](Peer& peer) { backend.take_request(peer); };
  auto client = harness.connect();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return backend.requests == 1; }));
  app().tls.reset();
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(run_until([&] { return harness.proxy->is_ready(); }));
  backend.peers[0]->send(Backend::ok("first"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("first") && backend.peers[0]->is_over(); }));
}

TEST_F(UpstreamTlsTest, AFileThatCannotBeUsedRefusesTheConfiguration) {
  start();
  app().tls->ca = folder.path() + "/nowhere.pem";
  auto outcome = harness.reload();
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().text().find("nowhere.pem"), std::string::npos) << outcome.error().text();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
}

TEST_F(UpstreamTlsTest, FilesAreReadAgainWhenTheyChangeAndBadOnesChangeNothing) {
  start();
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  std::ofstream(authority.file()) << "no certificate\n";
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_tls_bad_files") == 1; }));
  EXPECT_TRUE(get().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(backend.accepted, 1U);
  Authority replaced(folder.path());  // another key, the same file
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_tls_bad_files") == 0; }));
  ASSERT_TRUE(run_until([&] { return backend.peers[0]->is_over(); }));  // the pooled connection was made before
  EXPECT_TRUE(get().starts_with("HTTP/1.1 503"));
}

}  // namespace
}  // namespace lotse::proxy::test
