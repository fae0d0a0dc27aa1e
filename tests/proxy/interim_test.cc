// Interim answers and Expect: forwarded, never invented, and whose fault it is when nothing comes.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class InterimTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  Peer& upstream() { return *backend->peers.back(); }
  // The head has arrived at the endpoint, and nothing has been said to the client.
  void send_head(std::string_view head) {
    backend->script = [](Peer&) {};
    client->send(head);
    ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.ends_with("\r\n\r\n"); }));
    EXPECT_EQ(client->received, "");
  }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

const std::string kPut = "PUT /app HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

TEST_F(InterimTest, OneFromTheEndpointReachesTheClientAtOnceAndOnce) {
  start();
  send_head(kPut);
  upstream().send(kContinue);
  ASSERT_TRUE(run_until([&] { return client->received == kContinue; }));
  client->send("body");
  ASSERT_TRUE(run_until([&] { return upstream().received.ends_with("\r\n\r\nbody"); }));
  upstream().send(Backend::ok("thanks"));
  ASSERT_TRUE(run_until([&] { return client->received == kContinue + Backend::ok("thanks"); })) << client->received;
}

TEST_F(InterimTest, ABodyThatDidNotWaitIsSentOn) {
  start();
  backend->script = [](Peer&) {};
  client->send(kPut + "body");
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.ends_with("\r\n\r\nbody"); }));
  upstream().send(Backend::ok("thanks"));
  ASSERT_TRUE(run_until([&] { return client->received == Backend::ok("thanks"); })) << client->received;
  EXPECT_TRUE(harness.ask(*client, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

TEST_F(InterimTest, A100ThatComesAfterTheBodyIsStillForwarded) {
  start();
  backend->script = [](Peer&) {};
  client->send(kPut + "body");
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.ends_with("body"); }));
  upstream().send(kContinue + "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Backend::ok("x"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("\r\n\r\nx"); }));
  EXPECT_EQ(client->received, kContinue + "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Backend::ok("x"));
}

TEST_F(InterimTest, AnHttp10ClientGetsNoneAndItsExpectIsIgnored) {
  start();
  client->send("PUT /app HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty(); }));
  backend->script = [&](Peer& peer) {
    EXPECT_EQ(peer.received.find("Expect"), std::string::npos);
    if (peer.received.ends_with("body")) peer.send(kContinue + Backend::ok("x"));
  };
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
}

TEST_F(InterimTest, AnEndpointThatSaysNothingToAnExpectIsTheOneThatIsSlow) {
  harness.config.timeouts.first_byte = 100ms;
  harness.config.timeouts.stream_idle = 10s;
  start();
  send_head(kPut);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 504 ")) << client->received;
}

TEST_F(InterimTest, AClientThatWasToldToContinueAndDoesNotIsTheOneThatIsSlow) {
  harness.config.timeouts.first_byte = 10s;
  harness.config.timeouts.stream_idle = 100ms;
  start();
  send_head(kPut);
  upstream().send(kContinue);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with(kContinue + "HTTP/1.1 408 ")) << client->received;
}

TEST_F(InterimTest, AFinalAnswerInsteadOf100IsTheAnswerAndClosesWhatCannotBeFramed) {
  start();
  send_head(kPut);
  upstream().send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(client->received, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return upstream().is_over(); }));
}

TEST_F(InterimTest, ARequestThatWasAnsweredWith100IsNotTriedAgain) {
  start();
  Backend other(harness.loop, "b");
  harness.apply({Harness::endpoint("/app", other)});
  auto break_off = [](Peer& peer) {
    if (!peer.received.ends_with("\r\n\r\n")) return;
    peer.send(kContinue);
    peer.half_close();
  };
  backend->script = other.script = break_off;
  client->send(kPut);
  ASSERT_TRUE(run_until([&] { return client->received.find("HTTP/1.1 502 ") != std::string::npos; }));
  EXPECT_EQ(backend->accepted + other.accepted, 1U);
}

TEST_F(InterimTest, AnExpectIsSentAgainOnTheFreshConnection) {
  start();
  ASSERT_TRUE(harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\na"));
  client->received.clear();
  backend->script = [&](Peer& peer) {
    if (!peer.received.ends_with("\r\n\r\n") && !peer.received.ends_with("body")) return;
    if (&peer == backend->peers.front().get()) return peer.reset();  // the pooled one had died
    EXPECT_NE(peer.received.find("Expect: 100-continue\r\n"), std::string::npos);
    peer.send(peer.received.ends_with("body") ? Backend::ok("thanks") : kContinue);
  };
  client->send(kPut);
  ASSERT_TRUE(run_until([&] { return client->received == kContinue; })) << client->received;
  client->send("body");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("thanks"); }));
  EXPECT_EQ(backend->accepted, 2U);
}

TEST_F(InterimTest, AnEndpointThatSaysNothingElseIsCutOff) {
  start();
  send_head("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  for (int i = 0; i < 20; ++i) upstream().send("HTTP/1.1 102 Processing\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->received.find("HTTP/1.1 502 ") != std::string::npos; }));
  EXPECT_TRUE(run_until([&] { return upstream().is_over(); }));
}

TEST_F(InterimTest, AnUpgradeToHttp2IsNotPassedOn) {
  start();
  harness.ask(*client,
              "GET /app HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
              "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
  for (const char* gone : {"pgrade", "h2c", "HTTP2", "Connection"})
    EXPECT_EQ(backend->last_request.find(gone), std::string::npos) << backend->last_request;
}

// Half-close as the configuration wants it ------------------------------------------------------------------------

TEST_F(InterimTest, AHalfCloseGivesUpTheRequestWhenTheConfigurationSaysSo) {
  harness.config.http.abort_on_half_close = true;
  start();
  send_head("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  client->half_close();
  ASSERT_TRUE(run_until([&] { return upstream().is_over() && client->is_over(); }));
  EXPECT_EQ(client->received, "");
  EXPECT_TRUE(run_until([&] { return harness.proxy->in_flight("a") == 0; }));
}

}  // namespace
}  // namespace lotse::proxy::test
