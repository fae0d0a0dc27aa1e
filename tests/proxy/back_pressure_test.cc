// A slow reader on one side must slow down the other side, not fill our memory; and the bounds on connections and
// queues.
#include <sys/resource.h>

#include <algorithm>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class BackPressureTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  // Runs until `count` has not moved for a while: everything between the two sides is full.
  std::size_t run_until_still(const std::function<std::size_t()>& count) {
    std::size_t last = count();
    Instant moved = harness.loop.clock().now();
    EXPECT_TRUE(run_until([&] {
      if (count() != last) {
        last = count();
        moved = harness.loop.clock().now();
      }
      return harness.loop.clock().now() - moved > 100ms;
    }));
    return last;
  }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

// What two sockets may hold in the kernel at most (tcp_wmem and tcp_rmem maxima on both legs are below this together).
constexpr std::size_t kKernelBytesMax = 100 * 1024 * 1024;
constexpr std::size_t kBodyBytes = 160 * 1024 * 1024;

TEST_F(BackPressureTest, ASlowClientPausesTheEndpoint) {
  start();
  std::size_t sent = 0;
  const std::string block(1024 * 1024, 'x');
  backend->script = [&](Peer& peer) {
    if (!backend->take_request(peer)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBodyBytes) + "\r\n\r\n");
  };
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !client->received.empty(); }));
  client->stop_reading();
  Peer& upstream = *backend->peers.front();
  auto pump = [&] {
    while (sent < kBodyBytes && upstream.queued_bytes() == 0) {
      upstream.send(block);
      sent += block.size();
    }
    return sent;
  };
  std::size_t stalled_at = run_until_still(pump);
  EXPECT_LT(stalled_at, kKernelBytesMax);
  client->start_reading();
  std::size_t seen = 0;
  ASSERT_TRUE(run_until([&] {
    pump();
    seen += client->received.size();
    client->received.clear();
    return seen >= kBodyBytes;
  }));
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(BackPressureTest, ASlowEndpointPausesTheClient) {
  start();
  std::size_t seen = 0;
  backend->script = [&](Peer& peer) {
    if (seen == 0) peer.stop_reading();
    seen += peer.received.size();
    peer.received.clear();
  };
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBodyBytes) + "\r\n\r\n");
  std::size_t sent = 0;
  const std::string block(1024 * 1024, 'x');
  auto pump = [&] {
    while (sent < kBodyBytes && client->queued_bytes() == 0) {
      client->send(block);
      sent += block.size();
    }
    return sent;
  };
  EXPECT_LT(run_until_still(pump), kKernelBytesMax);
  backend->peers.front()->start_reading();
  ASSERT_TRUE(run_until([&] {
    pump();
    return seen > kBodyBytes;
  }));
  backend->peers.front()->send(Backend::ok("got it"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("got it"); }));
}

// The kernel's buffer of megabytes wakes us only when a third of it has gone: that it shrinks must count as progress.
TEST_F(BackPressureTest, AnEndpointThatReadsSlowlyIsNotTakenForAStuckOne) {
  harness.config.timeouts.stream_idle = 300ms;
  harness.config.timeouts.first_byte = 300ms;
  start();
  std::size_t seen = 0;
  backend->script = [&](Peer& peer) {
    seen += peer.received.size();
    peer.received.clear();
    peer.stop_reading();
  };
  const std::string head =
      "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBodyBytes) + "\r\n\r\n";
  client->send(head + std::string(kBodyBytes, 'x'));
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && seen > 0; }));
  Peer& endpoint = *backend->peers.front();
  const Instant end = harness.loop.clock().now() + 2s;
  Instant last = harness.loop.clock().now();
  ASSERT_TRUE(run_until([&] {
    Instant now = harness.loop.clock().now();
    if (now - last >= 20ms && endpoint.is_open()) {
      last = now;
      endpoint.start_reading();  // one read of at most 64 KiB
    }
    return now > end || client->is_over() || !client->received.empty();
  }));
  EXPECT_EQ(client->received, "");
  ASSERT_TRUE(run_until([&] { return !client->received.empty(); }));  // now it is stuck
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 504 ")) << client->received;
}

TEST_F(BackPressureTest, AClientThatPipelinesWithoutReadingIsPaused) {
  start();
  const std::string body(64 * 1024, 'b');
  backend->script = [&](Peer& peer) { backend->answer_all(peer, Backend::ok(body)); };
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  client->stop_reading();
  std::string requests;
  for (int i = 0; i < 2000; ++i) requests += "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
  client->send(requests);
  std::size_t answered = run_until_still([&] { return backend->requests; });
  EXPECT_LT(answered * body.size(), kKernelBytesMax);
  client->start_reading();
  std::size_t seen = 0;
  ASSERT_TRUE(run_until([&] {
    seen += client->received.size();
    client->received.clear();
    return seen >= 2000 * Backend::ok(body).size();
  }));
  EXPECT_EQ(backend->requests, 2000U);
}

// 200 descriptors: a quarter is kept for ourselves, a third is for endpoints, six for pipes, the rest for clients.
TEST_F(BackPressureTest, ClientsLeaveDescriptorsForEndpointsAndForTheAdminPages) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  start();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 120; ++i) clients.push_back(harness.connect());
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_accept_pauses_total") == 1; }));
  EXPECT_EQ(harness.metric("lotse_downstream_connections"), 200U - 50U - 66U - 6U);
}

TEST_F(BackPressureTest, RequestsBeyondTheConnectionsOfAnEndpointWaitInOrder) {
  harness.config.limits.upstream_connections_per_endpoint_max = 1;
  start();
  backend->script = [&](Peer& peer) { backend->take_request(peer); };  // counts, and lets them wait
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(harness.connect());
    clients.back()->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(run_until([&] { return backend->requests == 1 && clients.back()->is_connected; }));
  }
  EXPECT_EQ(backend->accepted, 1U);
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(run_until([&] { return backend->requests == i + 1; }));
    backend->peers.front()->send(Backend::ok("n"));
  }
  for (auto& one : clients) ASSERT_TRUE(run_until([&] { return one->received.ends_with("\r\n\r\nn"); }));
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(BackPressureTest, AFullQueueAnswers503WithRetryAfterAndAWaitEnds) {
  harness.config.limits.upstream_connections_per_endpoint_max = 1;
  harness.config.limits.requests_waiting_per_app_max = 1;
  harness.config.timeouts.queue = 100ms;
  start();
  backend->script = [&](Peer& peer) { backend->take_request(peer); };
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  auto second = harness.connect(), third = harness.connect();
  second->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  third->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return !second->received.empty() && !third->received.empty(); }));
  EXPECT_TRUE(second->received.starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(third->received.starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(harness.metric("lotse_queue_refusals_total"), 1U);
  EXPECT_EQ(harness.metric("lotse_queue_timeouts_total"), 1U);
}

TEST_F(BackPressureTest, StopsAcceptingAtTheBoundAndGoesOnBelowIt) {
  harness.config.limits.downstream_connections_max = 2;
  start();
  auto second = harness.connect();
  harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  harness.ask(*second, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  auto third = harness.connect();
  third->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_accept_pauses_total") > 0; }));
  EXPECT_TRUE(third->received.empty());
  client->close();
  EXPECT_TRUE(run_until([&] { return third->received.ends_with("\r\n\r\na"); }));
}

TEST_F(BackPressureTest, TheLongestIdleConnectionMakesRoomForANewOne) {
  harness.config.limits.upstream_connections_max = 1;
  start();
  Backend other(harness.loop, "b");
  harness.apply({Harness::endpoint("/other", other)});
  EXPECT_TRUE(harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\na"));
  EXPECT_TRUE(harness.ask(*client, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\nb"));
  EXPECT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
}

TEST_F(BackPressureTest, AnIdlePooledConnectionIsClosedAfterItsTime) {
  harness.config.timeouts.upstream_idle = 50ms;
  start();
  harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
  EXPECT_TRUE(run_until([&] { return harness.metric("lotse_upstream_connections") == 0; }));
}

TEST_F(BackPressureTest, AnIdleClientIsClosedAfterItsTime) {
  harness.config.timeouts.downstream_idle = 50ms;
  start();
  harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
}

TEST_F(BackPressureTest, AnAnswerThatStopsInTheMiddleIsCutOff) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  backend->script = [&](Peer& peer) { backend->answer_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"); };
  client->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("abc"));
  EXPECT_EQ(harness.metric("lotse_stream_timeouts_total"), 1U);
}

TEST_F(BackPressureTest, ABodyThatStopsInTheMiddleIsAnsweredWith408) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  backend->script = [](Peer&) {};
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
}

}  // namespace
}  // namespace lotse::proxy::test
