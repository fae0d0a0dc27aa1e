// Answers that come before the request has, and last bytes on their way to a client: neither may be lost, and a
// connection whose request can still be read to its end stays.
#include <algorithm>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class EarlyAnswerTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    client = harness.connect();
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }
  // The backend answers each head at once, and what follows it is not looked at.
  void answer_heads_with(std::string text) {
    backend->script = [text](Peer& peer) {
      if (peer.received.find("\r\n\r\n") != std::string::npos && peer.requests_answered++ == 0) peer.send(text);
    };
  }
  Peer& upstream() { return *backend->peers.back(); }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Peer> client;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kNo = "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno";

std::string post(const std::string& path, std::size_t length) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

TEST_F(EarlyAnswerTest, AnErrorOfOursKeepsTheConnectionWhenTheBodyCameWithTheHead) {
  start();
  const std::string lost = post("/nowhere", 4) + "body";
  client->send(lost + lost + kGet);  // and what was pipelined behind it is answered
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("\r\n\r\na") || client->is_over(); }));
  EXPECT_EQ(client->received.find("Connection: close"), std::string::npos) << client->received;
  EXPECT_FALSE(client->is_over());
  EXPECT_EQ(backend->requests, 1U);
}

TEST_F(EarlyAnswerTest, AShortRestOfABodyIsReadAndTheConnectionStays) {
  start();
  for (std::string framing : {"Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\na\r\n"}) {
    std::string answer = harness.ask(*client, "POST /nowhere HTTP/1.1\r\nHost: x\r\n" + framing + "abc");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << answer;
    EXPECT_EQ(answer.find("Connection: close"), std::string::npos) << answer;
    client->received.clear();
    const std::string rest = framing[0] == 'T' ? "defghij\r\n0\r\nX: trailer\r\n\r\n" : "defghij";
    for (char one : rest) {
      client->send({&one, 1});
      harness.loop.run_once_ready();
    }
    EXPECT_TRUE(harness.ask(*client, kGet).ends_with("\r\n\r\na")) << client->received;
  }
}

TEST_F(EarlyAnswerTest, WhatIsPipelinedBehindAnUnwantedBodyIsAnswered) {
  start();
  client->send(post("/nowhere", 10) + "abc");
  ASSERT_TRUE(run_until([&] { return client->received.starts_with("HTTP/1.1 404 "); }));
  client->received.clear();
  client->send("defghij" + kGet + kGet);
  ASSERT_TRUE(run_until([&] { return client->received.size() == 2 * Backend::ok("a").size(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(EarlyAnswerTest, AnEarlyAnswerOfTheEndpointKeepsAClientWhoseBodyIsShort) {
  start();
  answer_heads_with(kNo);
  std::string answer = harness.ask(*client, post("/app", 10) + "abc");
  EXPECT_EQ(answer, kNo);
  ASSERT_TRUE(run_until([&] { return upstream().is_over(); }));  // it was not sent the whole request: not reused
  EXPECT_EQ(upstream().received.find("defghij"), std::string::npos);
  backend->script = [&](Peer& peer) { backend->answer_all(peer, Backend::ok("fresh")); };
  client->received.clear();
  client->send("defghij" + kGet);
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("fresh"); })) << client->received;
}

TEST_F(EarlyAnswerTest, ALongRestIsThrownAwayWithoutHurtingTheAnswer) {
  start();
  answer_heads_with(kNo);
  // A client that reads only when it has sent everything, as many libraries do.
  ASSERT_TRUE(run_until([&] { return client->is_connected; }));
  client->stop_reading();
  constexpr std::size_t kBytes = 24 * 1024 * 1024;
  client->send(post("/app", kBytes) + std::string(kBytes, 'x'));
  ASSERT_TRUE(run_until([&] { return client->is_drained || client->is_over(); }));
  client->start_reading();
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->has_ended);
  EXPECT_EQ(client->received, "HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
}

TEST_F(EarlyAnswerTest, ABodyWithoutEndIsNotReadForEver) {
  harness.config.timeouts.linger = 200ms;
  start();
  answer_heads_with(kNo);
  client->send(post("/app", std::size_t{1} << 40));
  const std::string block(64 * 1024, 'x');
  ASSERT_TRUE(run_until([&] {
    if (client->queued_bytes() == 0 && !client->has_failed) client->send(block);
    return client->has_failed;
  }));
  EXPECT_TRUE(client->received.ends_with("\r\n\r\nno")) << client->received;
  EXPECT_EQ(harness.metric("lotse_linger_timeouts_total"), 1U);
}

TEST_F(EarlyAnswerTest, AnUnknownRestIsReadUpToTheBufferBound) {
  harness.config.timeouts.linger = 200ms;
  start();
  client->send("POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received); }));
  const std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  std::size_t sent = 0;
  ASSERT_TRUE(run_until([&] {
    if (client->queued_bytes() == 0 && !client->is_over()) client->send(chunk), sent += chunk.size();
    return client->is_over();
  }));
  EXPECT_GT(sent, harness.config.limits.buffer_bytes_max);
}

TEST_F(EarlyAnswerTest, ARestThatNeverComesEndsTheConnection) {
  harness.config.timeouts.stream_idle = 100ms;
  start();
  harness.ask(*client, post("/nowhere", 10) + "abc");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->has_ended);
  EXPECT_EQ(harness.metric("lotse_stream_timeouts_total"), 1U);
}

TEST_F(EarlyAnswerTest, ABrokenRestIsNotAnsweredASecondTime) {
  start();
  client->send("POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return Harness::is_response_whole(client->received); }));
  const std::string answer = client->received;
  client->send("zz\r\n" + kGet);
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(client->received, answer);
  EXPECT_EQ(backend->requests, 0U);
}

// It may send the body now or leave it out: where the next request would begin is anybody's guess.
TEST_F(EarlyAnswerTest, AClientThatWaitsFor100AndGetsAnAnswerInsteadIsClosed) {
  start();
  answer_heads_with("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
  client->send("PUT /app HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_EQ(client->received, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_F(EarlyAnswerTest, AClientThatStopsItsUploadGetsTheAnswerThatHadBegun) {
  start();
  answer_heads_with("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
  client->send(post("/app", 100'000) + "start");
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("half"); }));
  client->half_close();
  for (int i = 0; i < 20; ++i) harness.loop.run_once_ready();
  upstream().send("done");
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.ends_with("halfdone")) << client->received;
}

// What is still on its way would arrive in front of the next request.
TEST_F(EarlyAnswerTest, AConnectionThatHasNotTakenItsWholeRequestIsNotUsedAgain) {
  constexpr std::size_t kBytes = 64 * 1024 * 1024;
  harness.config.limits.buffer_bytes_max = 4 * kBytes;
  harness.config.limits.splice_pipes_max = 0;
  start();
  backend->script = [](Peer& peer) { peer.stop_reading(); };
  client->send(post("/app", kBytes) + std::string(kBytes, 'x'));
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_downstream_bytes_in_total") > kBytes; }));
  upstream().send(kNo);
  ASSERT_TRUE(run_until([&] { return client->received == kNo; })) << client->received;
  backend->script = [&](Peer& peer) { backend->answer_all(peer, Backend::ok("fresh")); };
  EXPECT_TRUE(harness.ask(*client, kGet).ends_with("fresh")) << client->received;
  EXPECT_EQ(backend->accepted, 2U);
}

// Last bytes of an answer that is over for us, and not for a slow reader ------------------------------------------

class SlowReaderTest : public EarlyAnswerTest {
 protected:
  static constexpr std::size_t kBodyBytes = 64 * 1024 * 1024;  // more than two sockets hold

  // The endpoint has given all of its answer, so the exchange is over, and much of it is still in our memory. (With the
  // default bound that would be at most 64 KiB, which are lost just the same.)
  void let_an_answer_queue() {
    harness.config.limits.buffer_bytes_max = 4 * kBodyBytes;
    harness.config.limits.splice_pipes_max = 0;
    start();
    backend->script = [this](Peer& peer) {
      if (backend->take_request(peer)) peer.send(Backend::ok(std::string(kBodyBytes, 'x')));
    };
    ASSERT_TRUE(run_until([&] { return client->is_connected; }));
    client->stop_reading();
    client->send(kGet);
    ASSERT_TRUE(run_until([&] { return backend->requests == 1 && harness.proxy->in_flight("a") == 0; }));
  }
  void read_all_of_it() {
    client->start_reading();
    ASSERT_TRUE(run_until([&] { return client->received.size() > kBodyBytes || client->is_over(); }));
    EXPECT_FALSE(client->has_failed);
    std::size_t head = client->received.find("\r\n\r\n");
    EXPECT_EQ(client->received.size(), head + 4 + kBodyBytes);
  }
};

TEST_F(SlowReaderTest, AClientThatSaysItIsDoneGetsTheWholeAnswer) {
  let_an_answer_queue();
  client->half_close();
  // The proxy reads the FIN no later than what another client of the same worker sends after it.
  EXPECT_TRUE(harness.get("/nowhere").starts_with("HTTP/1.1 404 "));
  read_all_of_it();
  EXPECT_TRUE(run_until([&] { return client->has_ended; }));
}

TEST_F(SlowReaderTest, AStopOfTheProxyLetsItReadTheWholeAnswer) {
  let_an_answer_queue();
  bool is_done = false;
  harness.proxy->drain(20s, [&] { is_done = true; });
  Instant end = harness.loop.clock().now() + 1500ms;  // longer than an idle connection gets
  ASSERT_TRUE(run_until([&] { return harness.loop.clock().now() > end; }));
  EXPECT_FALSE(is_done);
  read_all_of_it();
  EXPECT_TRUE(run_until([&] { return is_done && client->has_ended; }));
}

TEST_F(SlowReaderTest, TheTimeOfAnIdleConnectionBeginsWhenItHasReadItsAnswer) {
  harness.config.timeouts.downstream_idle = 100ms;
  harness.config.timeouts.stream_idle = 400ms;
  let_an_answer_queue();
  const Instant begin = harness.loop.clock().now();
  Instant last = begin;
  ASSERT_TRUE(run_until([&] {  // one read of 64 KiB now and then
    Instant now = harness.loop.clock().now();
    if (now - last > 10ms) {
      last = now;
      client->start_reading();
      client->on_data = [](Peer& peer) { peer.stop_reading(); };
    }
    return now - begin > 1s || client->is_over();
  }));
  EXPECT_FALSE(client->is_over());
  client->on_data = nullptr;
  read_all_of_it();
  EXPECT_TRUE(run_until([&] { return client->has_ended; }));  // and now it is idle
}

TEST_F(SlowReaderTest, AnIdleClientThatReadsNothingIsCutOff) {
  harness.config.timeouts.downstream_idle = 50ms;
  harness.config.timeouts.stream_idle = 100ms;
  let_an_answer_queue();
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_downstream_connections") == 0; }));
  EXPECT_EQ(harness.metric("lotse_stream_timeouts_total"), 1U);
}

}  // namespace
}  // namespace lotse::proxy::test
