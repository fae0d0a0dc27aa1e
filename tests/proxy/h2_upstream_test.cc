// Endpoints that speak HTTP/2: docs/http2-upstream.md.
#include "tests/proxy/h2_backend.h"

namespace lotse::proxy::test {
namespace {

const std::string kGet =
    "GET /app/x?y=1 HTTP/1.1\r\nHost: shop.test\r\nX-Mixed: Case\r\nConnection: keep-alive\r\n\r\n";
const std::string kPost = "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";

class H2UpstreamTest : public ::testing::Test {
 protected:
  H2UpstreamTest() {
    harness.config.workers = 1;
    harness.config.apps["/app"].protocol = AppProtocol::h2;
    harness.config.apps["/app"].balance = Balance::round_robin;
  }
  void start(H2Backend::Options options = {}) {
    backend = std::make_unique<H2Backend>(harness.loop, "a", options);
    harness.start();
    harness.apply({at(*backend)});
  }
  static model::Endpoint at(const H2Backend& one, model::EndpointState state = model::EndpointState::up) {
    model::Endpoint endpoint = Harness::endpoint("/app", one.backend);
    endpoint.state = state;
    return endpoint;
  }
  void hold_answers() {
    backend->on_request = [](H2Backend::Stream&) {};
  }
  std::unique_ptr<Peer> send(std::string_view request) {
    auto client = harness.connect();
    client->send(request);
    return client;
  }
  bool wait_for_requests(std::size_t count) {
    return harness.run_until([&] { return backend->requests() >= count; });
  }
  bool wait_for(Peer& client, std::string_view text) {
    return harness.run_until([&] { return client.received.find(text) != std::string::npos; });
  }
  H2Backend::Stream& stream(std::size_t connection, std::size_t index) {
    auto place = backend->connections.at(connection)->streams.begin();
    std::advance(place, index);
    return *place->second;
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  Harness harness;
  std::unique_ptr<H2Backend> backend;
};

TEST_F(H2UpstreamTest, ARequestGoesOverAsHttp2HasIt) {
  start();
  auto client = harness.connect();
  std::string answer = harness.ask(*client, kGet);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_TRUE(wait_for(*client, "a\r\n")) << client->received;
  H2Backend::Stream& seen = backend->last();
  EXPECT_EQ(seen.field(":method"), "GET");
  EXPECT_EQ(seen.field(":scheme"), "http");
  EXPECT_EQ(seen.field(":authority"), "shop.test");
  EXPECT_EQ(seen.field(":path"), "/x?y=1");
  EXPECT_EQ(seen.field("x-mixed"), "Case");
  EXPECT_EQ(seen.field("x-forwarded-for"), "127.0.0.1");
  for (const auto& [name, value] : seen.fields) {
    EXPECT_NE(name, "connection");
    EXPECT_NE(name, "host");
  }
}

TEST_F(H2UpstreamTest, BodiesGoBothWaysWithAndWithoutALength) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) { backend->respond(one, "200", {}, "got " + one.body); };
  auto client = harness.connect();
  harness.ask(*client, kPost);
  EXPECT_TRUE(wait_for(*client, "got body"));
  EXPECT_EQ(backend->last().field("content-length"), "4");
  harness.ask(*client, "PUT /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  EXPECT_TRUE(wait_for(*client, "got abc"));
  EXPECT_EQ(backend->last().field("content-length"), "");
  EXPECT_EQ(backend->backend.accepted, 1U);
}

TEST_F(H2UpstreamTest, ManyRequestsShareAConnection) {
  start();
  hold_answers();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(send(kGet));
  ASSERT_TRUE(wait_for_requests(20));
  EXPECT_EQ(backend->backend.accepted, 1U);
  for (auto& [id, one] : backend->connections[0]->streams) backend->respond(*one, "200", {}, "done");
  for (auto& client : clients) EXPECT_TRUE(wait_for(*client, "done"));
}

TEST_F(H2UpstreamTest, OpensAnotherConnectionWhenOneIsFull) {
  harness.config.limits.upstream_h2_streams_max = 2;
  start();
  hold_answers();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(send(kGet));
  ASSERT_TRUE(wait_for_requests(5));
  EXPECT_EQ(backend->backend.accepted, 3U);
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 3U);
}

TEST_F(H2UpstreamTest, RequestsBeyondTheBoundsWaitInTheQueue) {
  harness.config.limits.upstream_h2_streams_max = 2;
  harness.config.limits.upstream_h2_connections_per_endpoint_max = 1;
  start();
  hold_answers();
  auto first = send(kGet), second = send(kGet), third = send(kGet);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_queue_waits_total") == 1; }));
  ASSERT_TRUE(wait_for_requests(2));
  backend->respond(stream(0, 0), "200", {}, "done");
  EXPECT_TRUE(wait_for_requests(3));
  EXPECT_EQ(backend->backend.accepted, 1U);
}

TEST_F(H2UpstreamTest, TheEndpointsBoundOnStreamsIsHonoured) {
  harness.config.limits.upstream_h2_connections_per_endpoint_max = 2;
  start({.streams_max = 1});
  harness.get("/app");  // its settings are known
  hold_answers();
  auto first = send(kGet), second = send(kGet), third = send(kGet);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_queue_waits_total") == 1; }));
  ASSERT_TRUE(wait_for_requests(3));
  EXPECT_EQ(backend->open_streams(), 2U);
  EXPECT_EQ(backend->backend.accepted, 2U);
  EXPECT_EQ(harness.metric("lotse_upstream_unprocessed_retries_total"), 0U);
}

TEST_F(H2UpstreamTest, ARefusedStreamGoesToAnotherEndpointWhateverItsMethod) {
  start();
  H2Backend other(harness.loop, "b");
  harness.apply({at(other)});
  backend->on_request = [&](H2Backend::Stream& one) { backend->reset(one, NGHTTP2_REFUSED_STREAM); };
  for (int i = 0; i < 4; ++i) {
    auto client = send(kPost);
    EXPECT_TRUE(wait_for(*client, "\r\nb\r\n")) << client->received;
  }
  EXPECT_EQ(other.last().body, "body");
  EXPECT_GE(harness.metric("lotse_upstream_unprocessed_retries_total"), 1U);
  EXPECT_EQ(harness.metric("lotse_retries_total"), 0U);
}

TEST_F(H2UpstreamTest, AnEndpointThatRefusesEverythingIsGivenUp) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) { backend->reset(one, NGHTTP2_REFUSED_STREAM); };
  auto client = send(kPost);
  ASSERT_TRUE(wait_for(*client, "HTTP/1.1 502 "));
  EXPECT_TRUE(wait_for(*client, "refused the stream"));
  EXPECT_EQ(backend->requests(), 4U);
}

TEST_F(H2UpstreamTest, WhatAGoawayLeftOutIsTriedAgainOnAnotherConnection) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) {
    if (backend->connections.size() == 1) return backend->goaway(*one.connection, 0);
    backend->respond(one, "200", {}, "second " + one.body);
  };
  auto client = send(kPost);
  EXPECT_TRUE(wait_for(*client, "second body")) << client->received;
  EXPECT_EQ(harness.metric("lotse_upstream_goaways_total"), 1U);
}

TEST_F(H2UpstreamTest, AfterAGoawayRequestsUnderWayEndAndNewOnesGoElsewhere) {
  start();
  hold_answers();
  auto first = send(kGet);
  ASSERT_TRUE(wait_for_requests(1));
  backend->goaway(*backend->connections[0], stream(0, 0).id);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_goaways_total") == 1; }));
  auto second = send(kGet);
  ASSERT_TRUE(wait_for_requests(2));
  ASSERT_EQ(backend->connections.size(), 2U);
  backend->respond(stream(0, 0), "200", {}, "first");
  EXPECT_TRUE(wait_for(*first, "first"));
  EXPECT_TRUE(run_until([&] { return backend->connections[0]->peer->is_over(); }));
  backend->respond(stream(1, 0), "200", {}, "second");
  EXPECT_TRUE(wait_for(*second, "second"));
}

TEST_F(H2UpstreamTest, AnAnswerBeforeTheRequestIsWholeIsDeliveredAndEndsTheUpload) {
  start();
  backend->on_head = [&](H2Backend::Stream& one) { backend->respond(one, "403", {}, "no"); };
  auto client = send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegin");
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 403 "));
  EXPECT_TRUE(wait_for(*client, "no\r\n"));
  EXPECT_TRUE(run_until([&] { return backend->last().is_closed; }));
  EXPECT_FALSE(backend->connections[0]->peer->is_over());
}

TEST_F(H2UpstreamTest, AResetWithoutErrorBehindAWholeAnswerIsNoFailure) {
  start();
  backend->on_head = [&](H2Backend::Stream& one) {
    backend->respond(one, "200", {}, "enough");
    backend->reset(one, NGHTTP2_NO_ERROR);
  };
  auto client = send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegin");
  EXPECT_TRUE(wait_for(*client, "enough"));
  EXPECT_EQ(harness.metric("lotse_upstream_failures_total"), 0U);
}

TEST_F(H2UpstreamTest, TrailersGoBothWays) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) {
    backend->respond(one, "200", {}, "x", {{"checksum", "abc"}, {"content-type", "never/here"}});
  };
  auto client = send(
      "POST /app HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\nb\r\n0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_TRUE(wait_for(*client, "0\r\nchecksum: abc\r\n\r\n")) << client->received;
  EXPECT_EQ(backend->last().field("te"), "trailers");
  EXPECT_EQ(backend->last().trailers, (Pairs{{"x-sum", "1"}}));
}

TEST_F(H2UpstreamTest, InterimAnswersAreForwarded) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) {
    backend->interim(one, "103", {{"link", "</a.css>"}});
    backend->respond(one, "200", {}, "final");
  };
  auto client = send(kGet);
  EXPECT_TRUE(wait_for(*client, "final"));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 103 ")) << client->received;
}

TEST_F(H2UpstreamTest, AnAnswerThatBreaksTheRulesIs502AndTheOthersGoOn) {
  start();
  const Pairs kBad[] = {
      {{":status", "2000"}},
      {{":status", "101"}},
      {{"x", "no status"}},
      {{":status", "200"}, {"connection", "close"}},
      {{":status", "200"}, {"transfer-encoding", "chunked"}},
      {{":status", "200"}, {"content-length", "1"}, {"content-length", "1"}},
      {{":status", "200"}, {"x", "line\nbreak"}},
      {{":status", "200"}, {"content-length", "5"}},  // and ends
  };
  for (const Pairs& fields : kBad) {
    backend->on_request = [&](H2Backend::Stream& one) {
      Pairs copy = fields;
      const std::string status = copy.front().first == ":status" ? copy.front().second : "";
      if (status.empty()) return backend->raw_head(one, copy);
      copy.erase(copy.begin());
      backend->respond_head(one, status, copy);
    };
    auto client = send(kGet);
    EXPECT_TRUE(wait_for(*client, "HTTP/1.1 502 ")) << fields.front().second << client->received;
    EXPECT_TRUE(run_until([&] { return backend->last().is_closed; }));
  }
  EXPECT_EQ(backend->backend.accepted, 1U);
}

TEST_F(H2UpstreamTest, ATruncatedAnswerLooksTruncated) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) {
    backend->begin(one, "200");
    backend->send(one, "half");
  };
  auto client = send(kGet);
  ASSERT_TRUE(wait_for(*client, "half"));
  backend->reset(backend->last(), NGHTTP2_INTERNAL_ERROR);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_FALSE(client->received.ends_with("0\r\n\r\n"));
}

TEST_F(H2UpstreamTest, ABodyThatIsShorterThanItsLengthLooksTruncated) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) {
    backend->respond(one, "200", {{"content-length", "9"}}, "short");
  };
  auto client = send(kGet);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_FALSE(client->received.ends_with("0\r\n\r\n"));
}

TEST_F(H2UpstreamTest, ALostConnectionIs502ForWhatMayNotBeSentTwiceAndReplayedForTheRest) {
  start();
  harness.get("/app");
  backend->on_request = [&](H2Backend::Stream& one) {
    if (backend->connections.size() > 1) return backend->respond(one, "200", {}, "again");
    if (backend->open_streams() == 2) one.connection->peer->reset();
  };
  auto get = send(kGet), post = send(kPost);
  EXPECT_TRUE(wait_for(*get, "again")) << get->received;
  EXPECT_TRUE(wait_for(*post, "HTTP/1.1 502 ")) << post->received;
}

TEST_F(H2UpstreamTest, ASlowClientStopsItsStreamAndNoOther) {
  start();
  const std::string large(8 * 1024 * 1024, 'x');
  backend->on_request = [&](H2Backend::Stream& one) {
    backend->respond(one, "200", {}, one.field(":path") == "/large" ? large : "small");
  };
  auto slow = harness.connect();
  ASSERT_TRUE(run_until([&] { return slow->is_connected; }));
  slow->stop_reading();
  slow->send("GET /app/large HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_response_pauses_total") > 0; }));
  for (int i = 0; i < 3; ++i) {
    auto quick = send(kGet);
    EXPECT_TRUE(wait_for(*quick, "small"));
  }
  EXPECT_EQ(backend->backend.accepted, 1U);
  slow->start_reading();
  EXPECT_TRUE(run_until([&] { return slow->received.size() > large.size() && slow->received.ends_with("0\r\n\r\n"); }));
}

TEST_F(H2UpstreamTest, AnEndpointThatDoesNotReadStopsItsClient) {
  start({.takes_windows = false});
  const std::size_t kBytes = 4 * 1024 * 1024;
  auto client = send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBytes) + "\r\n\r\n");
  const std::string piece(64 * 1024, 'x');
  for (std::size_t sent = 0; sent < kBytes; sent += piece.size()) client->send(piece);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_request_pauses_total") > 0; }));
  ASSERT_TRUE(run_until([&] { return backend->requests() == 1 && backend->last().body.size() == 65535; }));
  std::size_t consumed = 0;
  ASSERT_TRUE(run_until([&] {
    const std::size_t came = backend->last().body.size();
    if (came > consumed) backend->consume(backend->last(), came - std::exchange(consumed, came));
    return came == kBytes;
  }));
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 200 "));
}

TEST_F(H2UpstreamTest, ASilentEndpointIsAskedForASignOfLifeAndGivenUp) {
  harness.config.timeouts.upstream_ping = 60ms;
  start();
  backend->backend.script = [](Peer&) {};  // takes everything, says nothing
  auto client = send(kPost);
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 504 ")) << client->received;
  EXPECT_TRUE(wait_for(*client, "gave no sign of life"));
  EXPECT_EQ(harness.metric("lotse_upstream_pings_total"), 1U);
  EXPECT_EQ(harness.metric("lotse_upstream_ping_timeouts_total"), 1U);
}

TEST_F(H2UpstreamTest, AnEndpointThatLivesMayTakeItsTimeAndIsNotPingedWithoutEnd) {
  harness.config.timeouts.upstream_ping = 20ms;
  start();
  hold_answers();
  auto client = send(kGet);
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_pings_total") == 2; }));
  Instant begun = harness.loop.clock().now();
  ASSERT_TRUE(run_until([&] { return harness.loop.clock().now() - begun > 200ms; }));
  EXPECT_EQ(backend->connections[0]->pings, 2U);
  backend->respond(backend->last(), "200", {}, "late");
  EXPECT_TRUE(wait_for(*client, "late"));
  EXPECT_EQ(harness.metric("lotse_upstream_ping_timeouts_total"), 0U);
}

TEST_F(H2UpstreamTest, ADrainingEndpointFinishesItsStreamsAndIsCountedUntilThen) {
  start();
  hold_answers();
  auto client = send(kGet);
  ASSERT_TRUE(wait_for_requests(1));
  bool is_drained = false;
  harness.proxy->set_on_drained([&](const model::TaskId&) { is_drained = true; });
  harness.apply({at(*backend, model::EndpointState::draining)});
  EXPECT_EQ(harness.proxy->in_flight("a"), 1U);
  EXPECT_FALSE(is_drained);
  EXPECT_FALSE(backend->connections[0]->peer->is_over());
  backend->respond(backend->last(), "200", {}, "done");
  EXPECT_TRUE(wait_for(*client, "done"));
  EXPECT_TRUE(run_until([&] { return is_drained && backend->connections[0]->peer->is_over(); }));
  EXPECT_TRUE(backend->connections[0]->has_goaway);
}

TEST_F(H2UpstreamTest, ALongStreamSurvivesChangesOfTheTable) {
  start();
  backend->on_request = [&](H2Backend::Stream& one) { backend->begin(one, "200"); };
  auto client = send(kGet);
  ASSERT_TRUE(wait_for(*client, "HTTP/1.1 200 "));
  H2Backend other(harness.loop, "b");
  harness.apply({at(other)});
  harness.apply({at(*backend, model::EndpointState::down)});
  harness.config.timeouts.linger = 20s;
  ASSERT_TRUE(harness.reload());
  harness.apply({}, {at(other)});
  harness.apply({}, {at(*backend)});
  backend->send(backend->last(), "still here");
  EXPECT_TRUE(wait_for(*client, "still here"));
}

TEST_F(H2UpstreamTest, AnIdleConnectionIsClosedWithAGoaway) {
  harness.config.timeouts.upstream_idle = 50ms;
  start();
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 200 "));
  ASSERT_TRUE(run_until([&] { return backend->connections[0]->peer->is_over(); }));
  EXPECT_TRUE(backend->connections[0]->has_goaway);
  EXPECT_EQ(harness.metric("lotse_upstream_idle_closes_total"), 1U);
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 0U);
}

TEST_F(H2UpstreamTest, AnEndpointThatFloodsIsCutOff) {
  start();
  hold_answers();
  auto client = send(kPost);
  ASSERT_TRUE(wait_for_requests(1));
  std::string pings;
  for (int i = 0; i < 500; ++i) pings += H2Backend::frame(NGHTTP2_PING, 0, 0, "12345678");
  backend->connections[0]->peer->send(pings);
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 502 "));
  EXPECT_TRUE(run_until([&] { return backend->connections[0]->has_goaway; }));
  EXPECT_EQ(backend->connections[0]->goaway_error, static_cast<std::uint32_t>(NGHTTP2_ENHANCE_YOUR_CALM));
}

TEST_F(H2UpstreamTest, AnEndpointThatDoesNotSpeakHttp2Is502) {
  start();
  backend->backend.script = [](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); };
  auto client = send(kPost);
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 502 ")) << client->received;
}

TEST_F(H2UpstreamTest, TheLabelOfAnAppSaysWhatItSpeaksUnlessTheConfigurationDoes) {
  harness.config.apps["/app"].protocol.reset();
  start();
  model::Endpoint labelled = at(*backend);
  labelled.labels["lotse.protocol"] = "grpc";
  harness.apply({labelled});
  auto client = send(kGet);
  EXPECT_TRUE(wait_for(*client, "HTTP/1.1 200 ")) << client->received;

  harness.config.apps["/app"].protocol = AppProtocol::h1;
  ASSERT_TRUE(harness.reload());
  Backend plain(harness.loop, "h1");
  model::Endpoint other = Harness::endpoint("/app", plain);
  other.labels["lotse.protocol"] = "h2";
  harness.apply({other}, {labelled});
  EXPECT_TRUE(harness.get("/app").ends_with("h1"));
}

TEST_F(H2UpstreamTest, PreconnectMakesOneConnection) {
  harness.config.apps["/app"].preconnect = 5;
  start();
  ASSERT_TRUE(run_until([&] { return backend->connections.size() == 1; }));
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(backend->backend.accepted, 1U);
  EXPECT_EQ(harness.metric("lotse_upstream_pool_reuses_total"), 1U);
}

TEST_F(H2UpstreamTest, AClientThatGoesResetsItsStreamAndNoOther) {
  start();
  hold_answers();
  auto gone = send(kGet), stays = send(kGet);
  ASSERT_TRUE(wait_for_requests(2));
  gone->reset();
  ASSERT_TRUE(run_until([&] { return backend->open_streams() == 1; }));
  for (auto& [id, one] : backend->connections[0]->streams) {
    if (!one->is_closed) {
      backend->respond(*one, "200", {}, "done");
    } else {
      EXPECT_EQ(one->error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
    }
  }
  EXPECT_TRUE(wait_for(*stays, "done"));
}

}  // namespace
}  // namespace lotse::proxy::test
