// Large bodies that pass inside the kernel: the same bytes, bounds and endings as when they are copied. What does not
// depend on how is tried both ways.
#include <algorithm>
#include <random>
#include <string>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

std::string random_text(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class SplicingTest : public ::testing::Test {
 protected:
  void start(bool is_spliced = true) {
    harness.config.workers = 1;
    if (!is_spliced) harness.config.limits.splice_pipes_max = 0;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  Peer& upstream() { return *backend->peers.back(); }
  std::uint64_t spliced() { return harness.metric("lotse_spliced_bytes_total"); }

  // Waits for so many bytes behind the head and takes them.
  std::string take_body(Peer& peer, std::size_t bytes) {
    std::size_t head = std::string::npos;
    EXPECT_TRUE(run_until([&] {
      head = peer.received.find("\r\n\r\n");
      return peer.is_over() || (head != std::string::npos && peer.received.size() >= head + 4 + bytes);
    })) << peer.received.size();
    std::string body = peer.received.substr(head + 4, bytes);
    peer.received.erase(0, head + 4 + bytes);
    return body;
  }
  static std::string get(const std::string& path = "/app") { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }
  static std::string post(std::size_t bytes, const std::string& method = "POST") {
    return method + " /app HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
  }
  // The backend answers every GET with the next of `bodies`.
  void answer_with(std::vector<std::string> bodies) {
    backend->script = [this, bodies = std::move(bodies), next = std::size_t{0}](Peer& peer) mutable {
      while (backend->take_request(peer)) peer.send(Backend::ok(bodies[next++ % bodies.size()]));
    };
  }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

class BothWaysTest : public SplicingTest, public ::testing::WithParamInterface<bool> {
 protected:
  void start() { SplicingTest::start(GetParam()); }
  void expect_spliced_at_least(std::uint64_t bytes) {
    if (GetParam()) {
      EXPECT_GE(spliced(), bytes);
    } else {
      EXPECT_EQ(spliced(), 0U);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Bodies, BothWaysTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "Spliced" : "Copied"; });

TEST_P(BothWaysTest, AnswersOfAllSizesArriveByteForByteOnOneConnection) {
  start();
  std::mt19937 random(7);
  std::vector<std::string> bodies;
  std::size_t sum = 0;
  for (std::size_t bytes :
       {0UL, 1UL, 16'383UL, 16'384UL, 16'385UL, 65'536UL, 70'000UL, 1'048'576UL, 3UL, 5'000'000UL}) {
    bodies.push_back(random_text(bytes, static_cast<unsigned>(bytes)));
  }
  for (int i = 0; i < 40; ++i) bodies.push_back(random_text(random() % 300'000, static_cast<unsigned>(i)));
  for (const std::string& body : bodies) sum += body.size();
  answer_with(bodies);
  for (const std::string& body : bodies) {
    client->send(get());
    ASSERT_TRUE(take_body(*client, body.size()) == body) << body.size();
  }
  EXPECT_EQ(client->received, "");
  EXPECT_EQ(backend->accepted, 1U);
  expect_spliced_at_least(sum / 2);
  EXPECT_EQ(harness.metric("lotse_downstream_body_bytes_out_total"), sum);
}

TEST_P(BothWaysTest, PipelinedRequestsAreAnsweredInOrderBetweenLargeBodies) {
  start();
  std::vector<std::string> bodies;
  std::string requests, expected;
  for (unsigned i = 0; i < 30; ++i) {
    bodies.push_back(random_text(i % 3 == 0 ? 200'000 + i : i, i));
    requests += get();
    expected += Backend::ok(bodies.back());
  }
  answer_with(bodies);
  client->send(requests);
  ASSERT_TRUE(run_until([&] { return client->received.size() >= expected.size(); }));
  EXPECT_TRUE(client->received == expected);
  expect_spliced_at_least(1);
}

TEST_P(BothWaysTest, RequestsOfAllSizesArriveByteForByteAndTheNextOneIsNotPartOfThem) {
  start();
  std::mt19937 random(8);
  std::string got;
  backend->script = [&](Peer& peer) {
    while (backend->take_request(peer)) {
      if (backend->last_request.starts_with("POST "))
        got = backend->last_request.substr(backend->last_request.find("\r\n\r\n") + 4);
      peer.send(Backend::ok("thanks"));
    }
  };
  std::size_t sum = 0;
  for (unsigned i = 0; i < 30; ++i) {
    const std::string body = random_text(i % 2 == 0 ? random() % 2'000'000 : random() % 100, i);
    sum += body.size();
    client->send(post(body.size()) + body + get());  // the second request right behind the body
    const std::size_t before = backend->requests;
    ASSERT_TRUE(run_until([&] { return backend->requests > before || client->is_over(); }));
    ASSERT_TRUE(got == body) << body.size();
    ASSERT_TRUE(run_until([&] { return backend->requests == before + 2; }));
    EXPECT_TRUE(backend->last_request.starts_with("GET / "));
  }
  expect_spliced_at_least(sum / 2);
  EXPECT_EQ(harness.metric("lotse_downstream_body_bytes_in_total"), sum);
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_P(BothWaysTest, ASlowReaderGetsEverythingAndSoDoesTheNextRequest) {
  start();
  const std::string body = random_text(30'000'000, 3);
  answer_with({body, "small"});
  client->on_data = [](Peer& peer) { peer.stop_reading(); };
  client->send(get() + get());
  std::size_t seen = 0;
  ASSERT_TRUE(run_until([&] {
    for (int i = 0; i < 10; ++i) {  // ten reads each millisecond
      client->start_reading();
      harness.loop.run_once_ready();
    }
    seen = std::max(seen, client->received.size());
    return client->received.ends_with("small");
  })) << seen;
  EXPECT_TRUE(client->received == Backend::ok(body) + Backend::ok("small"));
  expect_spliced_at_least(body.size() / 2);
}

TEST_P(BothWaysTest, ASlowEndpointGetsEverything) {
  start();
  const std::string body = random_text(30'000'000, 4);
  std::string got;
  backend->script = [&](Peer& peer) {
    got += peer.received;
    peer.received.clear();
    peer.stop_reading();
  };
  client->send(post(body.size()) + body);
  ASSERT_TRUE(run_until([&] {
    for (int i = 0; i < 10 && !backend->peers.empty(); ++i) {
      upstream().start_reading();
      harness.loop.run_once_ready();
    }
    return got.size() > body.size();
  }));
  EXPECT_TRUE(got.ends_with(body));
  upstream().send(Backend::ok("thanks"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("thanks"); }));
  expect_spliced_at_least(body.size() / 2);
}

TEST_P(BothWaysTest, ATruncatedAnswerLooksTruncatedAfterAllThatCame) {
  start();
  const std::string body = random_text(400'000, 5);
  backend->script = [&](Peer& peer) {
    if (!backend->take_request(peer)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body);
    peer.half_close();
  };
  client->send(get());
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("\r\n\r\n" + body));
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 0U);
}

TEST_P(BothWaysTest, AResetInTheMiddleOfAnAnswerEndsIt) {
  start();
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer))
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + random_text(300'000, 6));
  };
  client->send(get());
  ASSERT_TRUE(run_until([&] { return client->received.size() > 300'000; }));
  upstream().reset();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_LT(client->received.size(), 301'000U);
}

TEST_P(BothWaysTest, AClientThatGoesAwayTakesTheEndpointsConnectionWithIt) {
  start();
  const std::string block = random_text(1'000'000, 7);
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer)) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n" + block);
  };
  client->send(get());
  ASSERT_TRUE(run_until([&] { return client->received.size() > block.size(); }));
  client->reset();
  ASSERT_TRUE(run_until([&] {
    if (upstream().queued_bytes() == 0) upstream().send(block);
    return upstream().is_over();
  }));
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_downstream_connections") == 0; }));
  EXPECT_EQ(harness.metric("lotse_upstream_connections"), 0U);
}

TEST_P(BothWaysTest, AnEndpointThatGoesAwayInTheMiddleOfAnUploadIsA502) {
  start();
  backend->script = [](Peer&) {};
  client->send(post(900'000'000) + random_text(2'000'000, 8));
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.size() > 2'000'000; }));
  upstream().reset();
  ASSERT_TRUE(run_until([&] { return client->received.find("\r\n\r\n") != std::string::npos; }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 502 ")) << client->received;
}

TEST_P(BothWaysTest, AClientThatGoesAwayInTheMiddleOfAnUploadEndsItAtTheEndpoint) {
  start();
  backend->script = [](Peer&) {};
  const std::string body = random_text(2'000'000, 9);
  client->send(post(900'000'000) + body);
  ASSERT_TRUE(run_until([&] { return !backend->peers.empty() && upstream().received.size() > body.size(); }));
  client->reset();
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
  EXPECT_TRUE(upstream().received.ends_with(body));
}

TEST_P(BothWaysTest, AnEarlyAnswerEndsAnUpload) {
  start();
  backend->script = [&](Peer& peer) {
    if (peer.received.size() > 1'000'000) peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    if (peer.received.size() > 1'000'000) peer.on_data = nullptr;
  };
  client->send(post(900'000'000) + random_text(2'000'000, 10));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("no"); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 403 ")) << client->received;
  ASSERT_TRUE(run_until([&] { return client->has_ended; }));
}

// The answer begins while the body uploads: both directions at once.
TEST_P(BothWaysTest, AnAnswerMayBeginWhileTheBodyUploads) {
  start();
  const std::string up = random_text(5'000'000, 11), down = random_text(6'000'000, 12);
  std::string got;
  bool has_answered = false;
  backend->script = [&](Peer& peer) {
    got += peer.received;
    peer.received.clear();
    if (got.size() > 100'000 && !std::exchange(has_answered, true)) peer.send(Backend::ok(down).substr(0, 3'000'000));
    if (got.ends_with(up.substr(up.size() - 100)) && got.size() > up.size()) {
      peer.send(Backend::ok(down).substr(3'000'000));
    }
  };
  client->send(post(up.size()) + up.substr(0, 1'000'000));
  ASSERT_TRUE(run_until([&] { return has_answered && client->received.size() >= 2'000'000; }));
  client->send(up.substr(1'000'000));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with(down.substr(down.size() - 100)); }));
  EXPECT_TRUE(got.ends_with(up));
  EXPECT_TRUE(client->received.ends_with(down));
}

TEST_P(BothWaysTest, AStopInTheMiddleOfAnAnswerIsNoticedInTime) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer))
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + random_text(300'000, 13));
  };
  client->send(get());
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(harness.metric("lotse_stream_timeouts_total"), 1U);
}

TEST_P(BothWaysTest, AClientThatStopsReadingIsNoticedInTime) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  answer_with({random_text(50'000'000, 14)});
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  client->stop_reading();
  client->send(get());
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_stream_timeouts_total") > 0; }));
}

TEST_P(BothWaysTest, ADrainLetsALargeAnswerEnd) {
  start();
  const std::string body = random_text(20'000'000, 15);
  answer_with({body});
  client->on_data = [](Peer& peer) { peer.stop_reading(); };
  client->send(get());
  ASSERT_TRUE(run_until([&] { return !client->received.empty(); }));
  bool is_done = false;
  harness.proxy->drain(20s, [&] { is_done = true; });
  client->on_data = nullptr;
  client->start_reading();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with(body));
  ASSERT_TRUE(run_until([&] { return is_done; }));
}

TEST_P(BothWaysTest, AHeadRequestBetweenLargeAnswersHasNoBody) {
  start();
  const std::string body = random_text(200'000, 16);
  backend->script = [&](Peer& peer) {
    while (backend->take_request(peer)) {
      std::string answer = Backend::ok(body);
      peer.send(backend->last_request.starts_with("HEAD") ? answer.substr(0, answer.size() - body.size()) : answer);
    }
  };
  for (int i = 0; i < 5; ++i) {
    client->received.clear();
    client->send("HEAD /app HTTP/1.1\r\nHost: x\r\n\r\n" + get());
    const std::string head = Backend::ok(body).substr(0, Backend::ok(body).size() - body.size());
    ASSERT_TRUE(run_until([&] { return client->received.size() >= 2 * head.size() + body.size(); }));
    EXPECT_TRUE(client->received == head + head + body);
  }
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_P(BothWaysTest, BytesBehindAnAnswerAreNobodys) {
  start();
  const std::string body = random_text(200'000, 17);
  answer_with({body});
  for (int i = 0; i < 3; ++i) {  // the third is read with the short read
    client->send(get());
    ASSERT_TRUE(take_body(*client, body.size()) == body);
  }
  backend->script = [&](Peer& peer) {
    if (backend->take_request(peer)) peer.send(Backend::ok(body) + Backend::ok("smuggled"));
  };
  client->send(get());
  ASSERT_TRUE(take_body(*client, body.size()) == body);
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));
  answer_with({"fresh"});
  client->send(get());
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("fresh"); }));
  EXPECT_TRUE(client->received == Backend::ok("fresh")) << client->received;
  EXPECT_EQ(backend->accepted, 2U);
}

TEST_P(BothWaysTest, An1_0ClientGetsALargeAnswer) {
  start();
  const std::string body = random_text(300'000, 18);
  answer_with({body});
  client->send("GET /app HTTP/1.0\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("\r\n\r\n" + body));
}

TEST_P(BothWaysTest, ChunkedBodiesArriveByteForByteBothWays) {
  start();
  const std::string up = random_text(1'000'000, 19), down = random_text(1'200'000, 20);
  const auto chunked = [](const std::string& body) {
    std::string text;
    for (std::size_t at = 0, size = 1; at < body.size(); at += size, size = size * 3 % 200'003 + 1) {
      std::size_t bytes = std::min(size, body.size() - at);
      char hex[20];
      snprintf(hex, sizeof hex, "%zx\r\n", bytes);
      text += hex + body.substr(at, bytes) + "\r\n";
    }
    return text + "0\r\n\r\n";
  };
  const auto unchunked = [](std::string_view text) {
    std::string body;
    for (;;) {
      std::size_t end = text.find("\r\n");
      std::size_t bytes = std::stoul(std::string(text.substr(0, end)), nullptr, 16);
      if (bytes == 0) return body;
      body += text.substr(end + 2, bytes);
      text.remove_prefix(end + 2 + bytes + 2);
    }
  };
  backend->script = [&](Peer& peer) {
    if (!peer.received.ends_with("0\r\n\r\n")) return;
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(down));
  };
  client->send("POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(up));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("0\r\n\r\n"); }));
  EXPECT_TRUE(unchunked(client->received.substr(client->received.find("\r\n\r\n") + 4)) == down);
  EXPECT_TRUE(unchunked(upstream().received.substr(upstream().received.find("\r\n\r\n") + 4)) == up);
  EXPECT_EQ(spliced(), 0U);
}

// What only splicing has to keep ----------------------------------------------------------------------------------

TEST_F(SplicingTest, ABodyThatIsKeptForAReplayIsSeen) {
  start();
  const std::string body = random_text(60'000, 21);
  backend->script = [&](Peer& peer) {
    if (backend->requests > 0 && backend->accepted == 1 && peer.received.size() > body.size()) {
      return peer.reset();  // the pooled connection turns out dead when the request is there
    }
    if (backend->take_request(peer)) peer.send(Backend::ok("ok"));
  };
  harness.ask(*client, get());
  client->received.clear();
  client->send(post(body.size(), "PUT") + body);
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("ok"); })) << client->received;
  EXPECT_TRUE(backend->last_request.ends_with(body));
  EXPECT_EQ(harness.metric("lotse_replays_total"), 1U);
  EXPECT_EQ(spliced(), 0U);
}

TEST_F(SplicingTest, ABodyThatIsTooLargeForAReplayIsSplicedAndNotReplayed) {
  start();
  const std::string body = random_text(1'000'000, 22);
  backend->script = [&](Peer& peer) {
    if (backend->requests > 0 && peer.received.size() > 500'000) return peer.reset();
    if (peer.received.starts_with("GET") && backend->take_request(peer)) peer.send(Backend::ok("ok"));
  };
  harness.ask(*client, get());
  client->received.clear();
  client->send(post(body.size(), "PUT") + body);
  ASSERT_TRUE(run_until([&] { return client->received.starts_with("HTTP/1.1 502 "); })) << client->received;
  EXPECT_GT(spliced(), 100'000U);
  EXPECT_EQ(harness.metric("lotse_replays_total"), 0U);
}

TEST_F(SplicingTest, MoreSlowReadersThanPipesAreServedByCopying) {
  harness.config.limits.splice_pipes_max = 2;
  start();
  const std::string body = random_text(20'000'000, 23);
  answer_with({body});
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(harness.connect());
    clients.back()->on_data = [](Peer& peer) { peer.stop_reading(); };
    clients.back()->send(get());
  }
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_splice_refusals_total") >= 4; }));
  for (auto& one : clients) {
    one->on_data = nullptr;
    one->start_reading();
  }
  for (auto& one : clients) ASSERT_TRUE(take_body(*one, body.size()) == body);
}

// An endpoint with large answers is read with short reads; a head that is longer than one of them comes whole all the
// same.
TEST_F(SplicingTest, ALongHeadBeforeALargeBodyComesWhole) {
  start();
  const std::string body = random_text(100'000, 24);
  const std::string field = "X-Long: " + std::string(7'000, 'l') + "\r\n";
  const std::string answer = "HTTP/1.1 200 OK\r\n" + field + "Content-Length: 100000\r\n\r\n" + body;
  backend->script = [&](Peer& peer) { backend->answer_all(peer, answer); };
  for (int i = 0; i < 6; ++i) {
    client->received.clear();
    client->send(get());
    ASSERT_TRUE(run_until([&] { return client->received.size() >= answer.size(); }));
    EXPECT_TRUE(client->received == answer);
  }
}

}  // namespace
}  // namespace lotse::proxy::test
