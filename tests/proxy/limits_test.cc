// Every timeout and bound of the configuration, hit over real sockets, with the metric that says so: docs/limits.md
// lists them with these tests. What is tested elsewhere is named there too.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class LimitsTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  std::uint64_t metric(const std::string& name) { return harness.metric(name); }
  bool is_answered(Peer& peer, const std::string& status) {
    return run_until([&] { return Harness::is_response_whole(peer.received) || peer.is_over(); }) &&
           peer.received.starts_with("HTTP/1.1 " + status + " ");
  }
  // Sends one byte per tick until the other side has had enough.
  void trickle(Peer& peer, Duration pace) {
    Instant last{};
    ASSERT_TRUE(run_until([&] {
      if (harness.loop.clock().now() - last >= pace) {
        peer.send("x");
        last = harness.loop.clock().now();
      }
      return peer.is_over() || !peer.received.empty();
    }));
  }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kPostChunked = "POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

// Heads ------------------------------------------------------------------------------------------------------------

TEST_F(LimitsTest, AHeadOverTheBoundIsAnsweredWith431) {
  harness.config.limits.http.head_bytes_max = 1000;
  start();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\nX: " + std::string(1000, 'x') + "\r\n\r\n");
  EXPECT_TRUE(is_answered(*client, "431")) << client->received;
  EXPECT_EQ(metric("lotse_oversized_heads_total"), 1U);
}

TEST_F(LimitsTest, MoreFieldsThanTheBoundAreAnsweredWith431) {
  harness.config.limits.http.fields_max = 3;
  start();
  EXPECT_TRUE(harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 1\r\n\r\n").starts_with("HTTP/1.1 200"));
  client->received.clear();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n");
  EXPECT_TRUE(is_answered(*client, "431")) << client->received;
  EXPECT_EQ(metric("lotse_oversized_heads_total"), 1U);
}

TEST_F(LimitsTest, ARequestLineOverTheBoundIsAnsweredWith414) {
  harness.config.limits.http.request_line_bytes_max = 100;
  start();
  client->send("GET /app/" + std::string(100, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(is_answered(*client, "414")) << client->received;
  EXPECT_EQ(metric("lotse_oversized_targets_total"), 1U);
}

TEST_F(LimitsTest, ChunkExtensionsOverABoundAreAnsweredWith400) {
  harness.config.limits.http.chunk_extension_line_bytes_max = 10;
  harness.config.limits.http.chunk_extensions_bytes_max = 20;
  start();
  backend->script = [](Peer&) {};
  client->send(kPostChunked + "1;" + std::string(20, 'x') + "\r\n");
  EXPECT_TRUE(is_answered(*client, "400")) << client->received;
  auto second = harness.connect();
  second->send(kPostChunked + "1;abcdefg\r\nx\r\n1;abcdefg\r\nx\r\n1;abcdefg\r\nx\r\n");
  EXPECT_TRUE(is_answered(*second, "400")) << second->received;
  EXPECT_EQ(metric("lotse_bad_requests_total"), 2U);
}

TEST_F(LimitsTest, TrailersOverTheBoundAreAnsweredWith431) {
  harness.config.limits.http.trailer_bytes_max = 20;
  start();
  backend->script = [](Peer&) {};
  client->send(kPostChunked + "0\r\nX: " + std::string(20, 'x') + "\r\n\r\n");
  EXPECT_TRUE(is_answered(*client, "431")) << client->received;
  EXPECT_EQ(metric("lotse_oversized_heads_total"), 1U);
}

TEST_F(LimitsTest, AnAnswersHeadOverTheBoundIsAnsweredWith502) {
  harness.config.limits.http.head_bytes_max = 1000;
  start();
  backend->script = [this](Peer& peer) {
    backend->answer_all(peer, "HTTP/1.1 200 OK\r\nX: " + std::string(1000, 'x') + "\r\nContent-Length: 0\r\n\r\n");
  };
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 502 ")) << client->received;
  EXPECT_EQ(metric("lotse_upstream_failures_total"), 1U);
}

// Slow clients -----------------------------------------------------------------------------------------------------

TEST_F(LimitsTest, AHeadThatTricklesIsAnsweredWith408HoweverSteadyItIs) {
  harness.config.timeouts.header = 200ms;
  start();
  client->send("GET /app HTTP/1.1\r\nHost: x\r\nX: ");
  trickle(*client, 20ms);
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
  EXPECT_EQ(metric("lotse_header_timeouts_total"), 1U);
}

// The line end that may come before a request starts no new patience.
TEST_F(LimitsTest, AnEmptyLineBeforeTheRequestBuysNoTime) {
  harness.config.timeouts.header = 200ms;
  start();
  client->send("\r");
  ASSERT_TRUE(run_until([&] { return !client->received.empty() || client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
}

// Half a head behind a whole request: its time counts from when it is that request's turn.
TEST_F(LimitsTest, APipelinedHalfHeadIsBoundToo) {
  harness.config.timeouts.header = 200ms;
  start();
  client->send(kGet + "GET /app HT");
  ASSERT_TRUE(run_until([&] { return client->received.find("408") != std::string::npos || client->is_over(); }));
  EXPECT_NE(client->received.find("HTTP/1.1 408 "), std::string::npos) << client->received;
}

// Nothing else would end it: every piece is in time for stream_idle.
TEST_F(LimitsTest, ABodyThatTricklesIsAnsweredWith408WhenThereIsABoundOnTheWhole) {
  harness.config.timeouts.request = 300ms;
  start();
  backend->script = [](Peer&) {};
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  trickle(*client, 20ms);
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
  EXPECT_EQ(metric("lotse_request_timeouts_total"), 1U);
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
}

TEST_F(LimitsTest, TheBoundOnTheRequestDoesNotCountTheAnswer) {
  harness.config.timeouts.request = 100ms;
  start();
  backend->script = [this](Peer& peer) {
    if (backend->take_request(peer)) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  };
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nb");
  ASSERT_TRUE(run_until([&] { return !client->received.empty(); }));
  Instant begun = harness.loop.clock().now();
  ASSERT_TRUE(run_until([&] { return harness.loop.clock().now() - begun > 250ms; }));
  backend->peers.front()->send("later");
  EXPECT_TRUE(run_until([&] { return client->received.ends_with("later"); }));
  EXPECT_EQ(metric("lotse_request_timeouts_total"), 0U);
}

TEST_F(LimitsTest, ABodyThatStopsIsAnsweredWith408) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  backend->script = [](Peer&) {};
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(is_answered(*client, "408")) << client->received;
  EXPECT_EQ(metric("lotse_stream_timeouts_total"), 1U);
}

TEST_F(LimitsTest, AClientThatStopsReadingIsCutOffAndItsEndpointIsFree) {
  harness.config.timeouts.stream_idle = 1s;
  start();
  const std::string answer = Backend::ok(std::string(32 * 1024 * 1024, 'b'));
  backend->script = [&](Peer& peer) { backend->answer_all(peer, answer); };
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return !client->received.empty(); }));
  client->stop_reading();
  ASSERT_TRUE(run_until([&] { return metric("lotse_response_pauses_total") > 0; }));
  ASSERT_TRUE(run_until([&] { return metric("lotse_stream_timeouts_total") == 1; }));
  EXPECT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
  EXPECT_EQ(harness.proxy->in_flight("a"), 0U);
  EXPECT_TRUE(run_until([&] { return metric("lotse_downstream_connections") == 0; }));
  EXPECT_TRUE(run_until([&] { return metric("lotse_buffered_bytes") == 0; }));
}

// It asks for errors, pipelined, and reads none of them.
TEST_F(LimitsTest, AClientThatDoesNotReadItsErrorsIsCutOff) {
  harness.config.timeouts.stream_idle = 200ms;
  start();
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  client->stop_reading();
  const std::string ask = "GET /nowhere/" + std::string(4000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string block;
  for (int i = 0; i < 1000; ++i) block += ask;
  std::size_t sent = 0;
  ASSERT_TRUE(run_until([&] {
    if (client->queued_bytes() == 0 && sent < 64 * 1024 * 1024) client->send(block), sent += block.size();
    return metric("lotse_downstream_connections") == 0 && metric("lotse_downstream_accepted_total") == 1;
  }));
  EXPECT_GE(metric("lotse_response_pauses_total"), 1U);
}

TEST_F(LimitsTest, AnIdleClientIsClosed) {
  harness.config.timeouts.downstream_idle = 50ms;
  start();
  harness.ask(*client, kGet);
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(metric("lotse_idle_timeouts_total"), 1U);
}

// A chunk of one byte costs six on the wire, and must not cost a system call.
TEST_F(LimitsTest, TinyChunksAreSentOnTogether) {
  start();
  std::size_t reads = 0;
  std::string seen;
  backend->script = [&](Peer& peer) {
    ++reads;
    seen += peer.received;
    peer.received.clear();
    if (seen.ends_with("0\r\n\r\n")) peer.send(Backend::ok("done"));
  };
  std::string body;
  for (int i = 0; i < 20'000; ++i) body += "1\r\nx\r\n";
  client->send("PUT /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "0\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("done"); }));
  EXPECT_LT(reads, 100U);
}

// Our own answers are made at once, so a flood of requests would have a turn of the loop for itself: it is cut up, and
// nothing is lost or out of order at the cuts.
TEST_F(LimitsTest, AFloodOfPipelinedRequestsIsAnsweredInOrderAndLetsOthersIn) {
  start();
  auto other = harness.connect();
  std::string flood;
  constexpr int kRequests = 5000;
  for (int i = 0; i < kRequests; ++i) flood += "GET /nowhere/" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client->send(flood);
  EXPECT_TRUE(harness.ask(*other, kGet).ends_with("\r\n\r\na"));
  int answered = 0;
  ASSERT_TRUE(run_until([&] {
    while (std::size_t bytes = Harness::response_bytes(client->received)) {
      EXPECT_NE(client->received.substr(0, bytes).find("/nowhere/" + std::to_string(answered) + ":"),
                std::string::npos);
      client->received.erase(0, bytes);
      ++answered;
    }
    return answered == kRequests || client->is_over();
  }));
  EXPECT_EQ(answered, kRequests);
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na"));
}

// Endpoints --------------------------------------------------------------------------------------------------------

TEST_F(LimitsTest, AnEndpointThatDoesNotTakeConnectionsIsGivenUpInTime) {
  harness.config.timeouts.connect = 100ms;
  start();
  // A listener whose queue is full drops what wants to connect.
  auto listener = net::make_listening_socket(*net::Address::from_ip("127.0.0.1", 0), {.backlog = 0});
  ASSERT_TRUE(listener);
  net::Address full = net::local_address(listener->get());
  std::vector<std::unique_ptr<Peer>> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(std::make_unique<Peer>());
    fillers.back()->connect(harness.loop, full);
  }
  ASSERT_TRUE(run_until([&] { return fillers.front()->is_connected; }));
  harness.apply({Harness::endpoint("/full", "full", full.port())});
  EXPECT_TRUE(harness.get("/full").starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(metric("lotse_upstream_connect_timeouts_total"), 1U);
  EXPECT_EQ(metric("lotse_upstream_connect_failures_total"), 1U);
}

TEST_F(LimitsTest, AnAnswerThatDoesNotBeginIsAnsweredWith504) {
  harness.config.timeouts.first_byte = 100ms;
  start();
  backend->script = [](Peer&) {};
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 504 ")) << client->received;
  EXPECT_EQ(metric("lotse_first_byte_timeouts_total"), 1U);
}

// An answer's head that trickles, or interim answers without end, are no answer.
TEST_F(LimitsTest, AnAnswersHeadThatTricklesIsAnsweredWith504) {
  harness.config.timeouts.first_byte = 200ms;
  start();
  Instant last{};
  Peer* endpoint = nullptr;
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer)) endpoint = &peer, peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ");
  };
  client->send(kGet);
  ASSERT_TRUE(run_until([&] {
    if (endpoint != nullptr && endpoint->is_open() && harness.loop.clock().now() - last >= 20ms) {
      endpoint->send("x");
      last = harness.loop.clock().now();
    }
    return client->received.find("HTTP/1.1 504 ") != std::string::npos;
  }));
  EXPECT_EQ(metric("lotse_first_byte_timeouts_total"), 1U);
}

TEST_F(LimitsTest, AnAnswerThatStopsIsCutOff) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  backend->script = [&](Peer& peer) { backend->answer_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"); };
  client->send(kGet);
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("abc"));
  EXPECT_EQ(metric("lotse_stream_timeouts_total"), 1U);
}

TEST_F(LimitsTest, AnEndpointThatStopsReadingIsAnsweredWith504) {
  harness.config.timeouts.stream_idle = harness.config.timeouts.first_byte = 200ms;
  start();
  backend->script = [&](Peer& peer) { peer.stop_reading(); };
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  const std::string block(1024 * 1024, 'x');
  ASSERT_TRUE(run_until([&] {
    if (client->queued_bytes() == 0) client->send(block);
    return !client->received.empty();
  }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 504 ")) << client->received;
  EXPECT_EQ(metric("lotse_stream_timeouts_total"), 1U);
  EXPECT_GE(metric("lotse_request_pauses_total"), 1U);
}

TEST_F(LimitsTest, APooledConnectionThatNobodyUsesIsClosed) {
  harness.config.timeouts.upstream_idle = 50ms;
  start();
  harness.ask(*client, kGet);
  EXPECT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
  EXPECT_EQ(metric("lotse_upstream_idle_closes_total"), 1U);
}

TEST_F(LimitsTest, ATunnelThatIsIdleTooLongIsClosedOnBothSides) {
  harness.config.timeouts.tunnel_idle = 100ms;
  start();
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer))
      peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  };
  client->send("GET /app HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over() && backend->peers.front()->is_over(); }));
  EXPECT_EQ(metric("lotse_tunnel_timeouts_total"), 1U);
  EXPECT_EQ(metric("lotse_stream_timeouts_total"), 0U);
}

// Queues and connections -------------------------------------------------------------------------------------------

TEST_F(LimitsTest, RequestsBeyondAnEndpointsConnectionsWaitAndAFullQueueAnswers503) {
  harness.config.limits.upstream_connections_per_endpoint_max = 1;
  harness.config.limits.requests_waiting_per_app_max = 1;
  start();
  backend->script = [&](Peer& peer) { backend->take_request(peer); };
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  auto second = harness.connect(), third = harness.connect();
  second->send(kGet);
  ASSERT_TRUE(run_until([&] { return metric("lotse_queue_waits_total") == 1; }));
  third->send(kGet);
  EXPECT_TRUE(is_answered(*third, "503"));
  EXPECT_NE(third->received.find("Retry-After: "), std::string::npos);
  EXPECT_EQ(metric("lotse_queue_refusals_total"), 1U);
  backend->peers.front()->send(Backend::ok("1"));
  ASSERT_TRUE(run_until([&] { return backend->requests == 2; }));
  backend->peers.front()->send(Backend::ok("2"));
  EXPECT_TRUE(is_answered(*second, "200"));
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(LimitsTest, AWaitThatIsTooLongAnswers503) {
  harness.config.limits.upstream_connections_per_endpoint_max = 1;
  harness.config.timeouts.queue = 100ms;
  start();
  backend->script = [&](Peer& peer) { backend->take_request(peer); };
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  auto second = harness.connect();
  second->send(kGet);
  EXPECT_TRUE(is_answered(*second, "503"));
  EXPECT_EQ(metric("lotse_queue_timeouts_total"), 1U);
}

// The bound of all connections: an idle one of another endpoint goes; when all are busy, requests wait, and no longer
// than they may, however much happens meanwhile.
TEST_F(LimitsTest, AtTheBoundOfAllUpstreamConnectionsTheLongestIdleGoesAndElseRequestsWait) {
  harness.config.limits.upstream_connections_max = 1;
  harness.config.timeouts.queue = 300ms;
  start();
  Backend other(harness.loop, "b");
  harness.apply({Harness::endpoint("/other", other)});
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na"));
  backend->script = [&](Peer& peer) { backend->take_request(peer); };
  EXPECT_TRUE(harness.ask(*client, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\nb"));
  EXPECT_EQ(metric("lotse_upstream_evictions_total"), 1U);
  client->received.clear();
  client->send(kGet);  // the only one, and busy
  ASSERT_TRUE(run_until([&] { return backend->requests == 2; }));
  auto second = harness.connect(), third = harness.connect();
  second->send("GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] {
    // Requests that come and go are turns of the loop, in which those that wait are looked at.
    if (Harness::is_response_whole(third->received)) third->received.clear();
    if (third->received.empty()) third->send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    return Harness::is_response_whole(second->received);
  }));
  EXPECT_TRUE(second->received.starts_with("HTTP/1.1 503 ")) << second->received;
  EXPECT_EQ(metric("lotse_queue_timeouts_total"), 1U);
  EXPECT_EQ(metric("lotse_queue_waits_total"), 1U);
}

TEST_F(LimitsTest, StopsAcceptingAtTheBoundAndGoesOnBelowIt) {
  harness.config.limits.downstream_connections_max = 2;
  start();
  auto second = harness.connect();
  harness.ask(*client, kGet);
  harness.ask(*second, kGet);
  auto third = harness.connect();
  third->send(kGet);
  ASSERT_TRUE(run_until([&] { return metric("lotse_accept_pauses_total") == 1; }));
  EXPECT_TRUE(third->received.empty());
  client->close();
  EXPECT_TRUE(run_until([&] { return third->received.ends_with("\r\n\r\na"); }));
}

TEST_F(LimitsTest, StopsAcceptingAt80PercentOfTheDescriptors) {
  harness.config.limits.upstream_connections_max = 1;  // else clients leave a third to endpoints
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_GE(before.rlim_max, 2500U);
  rlimit low = before, high = before;
  low.rlim_cur = 1000;
  high.rlim_cur = before.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  start();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &high), 0);  // ours are on both sides
  EXPECT_EQ(metric("lotse_downstream_connections_max"), 800U);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 820; ++i) clients.push_back(harness.connect());
  ASSERT_TRUE(run_until([&] { return metric("lotse_accept_pauses_total") == 1; }));
  EXPECT_EQ(metric("lotse_downstream_connections"), 800U);
  for (auto& one : clients) one->close();
  ASSERT_TRUE(run_until([&] { return metric("lotse_downstream_connections") <= 1; }));
  EXPECT_TRUE(harness.get("/app").ends_with("\r\n\r\na"));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(LimitsTest, ARetryThatTheBudgetDoesNotCoverIsNotMade) {
  RouteConfig route;
  route.match.path = "/retried";
  route.to.push_back({{"/app", ""}, 1});
  route.retry = RetryPolicy{.attempts = 2, .when_statuses = {{503, 503}}, .budget_percent = 0};
  harness.config.routes.push_back(route);
  start();
  backend->script = [&](Peer& peer) { backend->answer_all(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"); };
  // The floor of ten a second is one worker's here.
  ASSERT_TRUE(run_until([&] {
    harness.ask(*client, "GET /retried HTTP/1.1\r\nHost: x\r\n\r\n");
    return metric("lotse_retry_refusals_total") > 0;
  }));
  EXPECT_GE(metric("lotse_retries_total"), 1U);
}

// Memory -----------------------------------------------------------------------------------------------------------

class MemoryTest : public LimitsTest {
 protected:
  static constexpr std::size_t kCeiling = 512 * 1024;
  MemoryTest() { harness.config.limits.memory_bytes_max = kCeiling; }
  std::uint64_t held() { return metric("lotse_buffered_bytes"); }
  // Whatever the others do, who asks for little is answered.
  void expect_service() {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(harness.get("/app/x").ends_with("\r\n\r\na"));
  }
  // Sends `what` on `count` connections; false: the metric went over the ceiling by more than one turn can add.
  bool flood(int count, const std::string& what, bool reads) {
    bool is_bound = true;
    for (int i = 0; i < count; ++i) {
      others.push_back(harness.connect());
      Peer& one = *others.back();
      EXPECT_TRUE(run_until([&] { return one.is_connected; }));
      if (!reads) one.stop_reading();
      one.send(what);
      EXPECT_TRUE(run_until([&] { return one.is_drained || one.is_over(); }));
      is_bound = is_bound && held() <= kCeiling + 4 * 64 * 1024;
    }
    EXPECT_TRUE(run_until([&] { return held() <= kCeiling; }));
    return is_bound;
  }
  std::vector<std::unique_ptr<Peer>> others;
};

TEST_F(MemoryTest, ManyHalfHeadsEndAtTheCeilingAndTheLargestGoFirst) {
  start();
  EXPECT_TRUE(flood(100, "GET /app HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'x'), true));
  EXPECT_GT(metric("lotse_memory_evictions_total"), 50U);
  EXPECT_GT(held(), kCeiling / 4);
  expect_service();
  ASSERT_TRUE(run_until([&] { return !others.front()->received.empty() || !others[1]->received.empty(); }));
  std::size_t told = 0;
  for (auto& one : others) told += one->received.starts_with("HTTP/1.1 503 ") ? 1 : 0;
  EXPECT_GT(told, 0U);
  for (auto& one : others) one->close();
  EXPECT_TRUE(run_until([&] { return metric("lotse_downstream_connections") <= 4; }));
  EXPECT_LT(held(), 64U * 1024);
}

TEST_F(MemoryTest, BodiesThatWaitForAnEndpointEndAtTheCeiling) {
  harness.config.limits.upstream_connections_per_endpoint_max = 1;
  start();
  Backend busy(harness.loop, "busy");
  busy.script = [](Peer&) {};
  harness.apply({Harness::endpoint("/busy", busy)});
  client->send("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return busy.accepted == 1; }));
  EXPECT_TRUE(
      flood(30, "POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(60'000, 'b'), true));
  EXPECT_GT(metric("lotse_memory_evictions_total"), 5U);
  expect_service();
}

// Larger than what the kernel takes on both legs (tcp_wmem and tcp_rmem maxima).
TEST_F(MemoryTest, AnswersThatNobodyReadsEndAtTheCeiling) {
  constexpr std::size_t kLow = 128 * 1024;
  harness.config.limits.memory_bytes_max = kLow;
  harness.config.limits.splice_pipes_max = 0;  // or the kernel would hold them
  start();
  const std::string body(32 * 1024 * 1024, 'b');
  Backend large(harness.loop, "large");
  large.script = [&](Peer& peer) { large.answer_all(peer, Backend::ok(body)); };
  harness.apply({Harness::endpoint("/large", large)});
  for (int i = 0; i < 5; ++i) {
    others.push_back(harness.connect());
    ASSERT_TRUE(run_until([&] { return others.back()->is_connected; }));
    others.back()->stop_reading();
    others.back()->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  ASSERT_TRUE(run_until([&] { return metric("lotse_memory_evictions_total") > 0; }));
  EXPECT_TRUE(run_until([&] { return held() <= kLow; }));
  expect_service();
}

// What a large request needed is not kept by the next one's exchange.
TEST_F(LimitsTest, ALargeBodysBufferIsGivenBackAfterTheRequest) {
  start();
  harness.ask(*client, "PUT /app HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + std::string(60'000, 'b'));
  harness.ask(*client, kGet);
  EXPECT_LT(metric("lotse_buffered_bytes"), 20'000U);
}

}  // namespace
}  // namespace lotse::proxy::test
