#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "proxy/web_socket.h"
#include "tests/proxy/h2_client.h"

namespace lotse::proxy::test {
namespace {

class H2DownstreamTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.workers = 1;
    harness.start();
    harness.apply({Harness::endpoint("/app", backend)});
  }
  static h2::Fields get(std::string_view path = "/app") { return h2::get(path); }
  static h2::Fields post(std::string_view path = "/app") { return h2::get(path, "POST"); }

  Harness harness;
  Backend backend{harness.loop, "one"};
};

TEST_F(H2DownstreamTest, AnswersARequestWithPriorKnowledge) {
  start();
  H2Session client(harness);
  auto& stream = client.open(get("/app/x?y=1") + h2::Fields{{"accept", "*/*"}});
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 200\n  content-length: 3\n")) << client.session.text;
  EXPECT_EQ(stream.body, "one");
  EXPECT_TRUE(backend.last_request.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\n")) << backend.last_request;
  EXPECT_EQ(harness.metric("lotse_h2_connections_total"), 1u);
  EXPECT_EQ(harness.metric("lotse_h2_streams_total"), 1u);
}

TEST_F(H2DownstreamTest, KnowsThePrefaceHoweverItIsCut) {
  start();
  const std::string bytes = h2::hello() + h2::headers_frame(1, get());
  for (std::size_t cut = 1; cut < 30; ++cut) {
    H2Client client(harness);
    client.send(bytes.substr(0, cut));
    ASSERT_TRUE(harness.run_until([&] { return client.peer().is_connected && client.peer().is_drained; }));
    client.send(bytes.substr(cut));
    ASSERT_TRUE(client.run_until([&] { return client.has_ended(1); })) << cut;
  }
}

TEST_F(H2DownstreamTest, WhatBeginsLikeThePrefaceAndIsHttp1StaysHttp1) {
  start();
  for (std::size_t cut = 1; cut < 4; ++cut) {
    auto client = harness.connect();
    const std::string request = "PROPFIND /app HTTP/1.1\r\nHost: a.test\r\n\r\n";
    client->send(request.substr(0, cut));
    ASSERT_TRUE(harness.run_until([&] { return client->is_connected; }));
    EXPECT_NE(harness.ask(*client, request.substr(cut)).find("200 OK"), std::string::npos);
  }
  EXPECT_TRUE(backend.last_request.starts_with("PROPFIND / HTTP/1.1"));
}

TEST_F(H2DownstreamTest, AListenerMayKeepToHttp1) {
  harness.config.listeners[0].http2 = false;
  start();
  auto client = harness.connect();
  client->send(h2::hello());
  ASSERT_TRUE(harness.run_until([&] { return client->is_over(); }));
  EXPECT_TRUE(client->received.starts_with("HTTP/1.1 ")) << client->received;
}

TEST_F(H2DownstreamTest, CarriesManyStreamsAtOnceAndNoMore) {
  start();
  H2Session client(harness);
  client.turn();
  ASSERT_TRUE(client.run_until([&] { return client.session.session.peer_streams_max() == 100; }));
  for (int i = 0; i < 100; ++i) client.open(get());
  ASSERT_TRUE(client.run_until([&] { return client.session.session.streams() == 0; }));
  EXPECT_EQ(backend.requests, 100u);

  backend.script = [](Peer&) {};
  H2Client greedy(harness);
  greedy.send(h2::hello());
  ASSERT_TRUE(greedy.run_until([&] { return greedy.has(h2::settings); }));
  std::string bytes = h2::frame(h2::settings, h2::ack, 0);
  for (std::uint32_t id = 1; id <= 201; id += 2) bytes += h2::headers_frame(id, get());
  greedy.send(bytes);
  ASSERT_TRUE(greedy.run_until([&] { return greedy.has(h2::goaway) || greedy.has(h2::rst_stream, 201); }));
}

TEST_F(H2DownstreamTest, AnnouncesItsBounds) {
  start();
  H2Client client(harness);
  client.send(h2::hello());
  ASSERT_TRUE(client.run_until([&] { return client.has(h2::settings) && client.has(h2::window_update); }));
  std::map<std::uint32_t, std::uint32_t> said;
  const std::string& payload = client.find(h2::settings)->payload;
  for (std::size_t at = 0; at + 6 <= payload.size(); at += 6) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(payload[at + i]));
    };
    said[byte(0) << 8 | byte(1)] = byte(2) << 24 | byte(3) << 16 | byte(4) << 8 | byte(5);
  }
  const std::map<std::uint32_t, std::uint32_t> bounds{{1, 4096}, {3, 100}, {4, 65536}, {6, 32768}, {8, 1}, {9, 1}};
  EXPECT_EQ(said, bounds);
  EXPECT_EQ(client.find(h2::window_update)->word(), 1024u * 1024 - 65535);
}

TEST_F(H2DownstreamTest, MoreContinuationsThanTheBoundEndTheConnection) {
  start();
  H2Client client(harness);
  std::string bytes = h2::hello() + h2::headers_frame(1, get(), h2::end_stream);
  for (int i = 0; i < 9; ++i) bytes += h2::frame(h2::continuation, 0, 1, h2::block({{"a", "b"}}));
  client.send(bytes);
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
  ASSERT_TRUE(client.has(h2::goaway));
  EXPECT_EQ(client.find(h2::goaway)->error(), 11u);
  EXPECT_EQ(harness.metric("lotse_h2_connection_errors_total"), 1u);
}

TEST_F(H2DownstreamTest, CarriesBodiesBothWaysAndTrailersOfTheAnswer) {
  backend.script = [&](Peer& peer) {
    if (peer.received.find("0\r\n") == std::string::npos || !peer.received.ends_with("\r\n\r\n")) return;
    backend.last_request = std::exchange(peer.received, {});
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nChecksum: 7\r\n\r\n");
  };
  start();
  H2Session client(harness);
  auto& stream = client.open(post() + h2::Fields{{"te", "trailers"}}, false);
  client.session.session.send_body(*stream.stream, "body");
  const std::vector<http::Field> trailers{{"asked", "8"}};
  client.session.session.send_end(*stream.stream, trailers);
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_EQ(stream.body, "hello");
  EXPECT_TRUE(client.says("checksum: 7")) << client.session.text;
  EXPECT_NE(backend.last_request.find("4\r\nbody\r\n0\r\n\r\n"), std::string::npos) << backend.last_request;
}

TEST_F(H2DownstreamTest, ALargeBodyComesWholeAndWaitsForASlowReader) {
  const std::string body(3 * 1024 * 1024, 'b');
  backend.script = [&](Peer& peer) { backend.answer_all(peer, Backend::ok(body)); };
  start();
  H2Session client(harness);
  client.session.consumes = false;
  auto& stream = client.open(get());
  ASSERT_TRUE(client.run_until([&] { return stream.body.size() == 64 * 1024; }));
  ASSERT_TRUE(client.run_until([&] { return harness.metric("lotse_response_pauses_total") > 0; }));
  EXPECT_LT(harness.metric("lotse_buffered_bytes"), 1024u * 1024);
  client.session.consumes = true;
  stream.consume();
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_EQ(stream.body, body);
}

TEST_F(H2DownstreamTest, ALargeUploadWaitsForASlowEndpoint) {
  std::string got;
  backend.script = [&](Peer& peer) {
    got += std::exchange(peer.received, {});
    if (got.size() > 24 * 1024 * 1024) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  };
  start();
  H2Session client(harness);
  const std::string body(24 * 1024 * 1024, 'u');
  auto& stream = client.open(post() + h2::Fields{{"content-length", std::to_string(body.size())}}, false);
  ASSERT_TRUE(client.run_until([&] { return !backend.peers.empty(); }));
  backend.peers[0]->stop_reading();
  client.session.session.send_body(*stream.stream, body);
  client.session.session.send_end(*stream.stream, {});
  ASSERT_TRUE(client.run_until([&] { return harness.metric("lotse_request_pauses_total") > 0; }));
  backend.peers[0]->start_reading();
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(got.ends_with(body.substr(0, 1000)));
}

TEST_F(H2DownstreamTest, ATruncatedAnswerIsResetAndNeverEnds) {
  backend.script = [&](Peer& peer) {
    if (!backend.take_request(peer)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    peer.close();
  };
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get()));
  ASSERT_TRUE(client.run_until([&] { return client.has(h2::rst_stream, 1); }));
  EXPECT_FALSE(client.has_ended(1));
  EXPECT_EQ(client.find(h2::rst_stream, 1)->error(), 2u);
}

TEST_F(H2DownstreamTest, InterimAnswersGoOn) {
  backend.script = [&](Peer& peer) {
    backend.answer_all(peer, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + Backend::ok("x"));
  };
  start();
  H2Session client(harness);
  client.open(get());
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 103\n  link: </a.css>\n")) << client.session.text;
}

TEST_F(H2DownstreamTest, AnAnswerToHeadHasALengthAndNoBody) {
  backend.script = [&](Peer& peer) { backend.answer_all(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"); };
  start();
  H2Session client(harness);
  client.open(h2::get("/app", "HEAD"));
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says("block 1 ends\n  :status: 200\n  content-length: 5\n")) << client.session.text;
}

TEST_F(H2DownstreamTest, AnAnswerWithoutABodyEndsWithItsHead) {
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    backend.script = [&](Peer& peer) { backend.answer_all(peer, std::string("HTTP/1.1 ") + status + "\r\n\r\n"); };
    if (!harness.proxy) start();
    H2Session client(harness);
    client.open(get());
    ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
    EXPECT_TRUE(client.says(std::string("block 1 ends\n  :status: ") + std::string(status).substr(0, 3)));
  }
}

TEST_F(H2DownstreamTest, OurOwnAnswersAreHttp2AsWell) {
  start();
  H2Session client(harness);
  auto& stream = client.open(get("/nowhere"));
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 404"));
  EXPECT_TRUE(stream.body.starts_with("no route for host a.test path /nowhere"));
}

TEST_F(H2DownstreamTest, ARequestWithTooManyFieldsGets431AndTheConnectionGoesOn) {
  start();
  h2::Fields many = get();
  for (int i = 0; i < 120; ++i) many.emplace_back("x-" + std::to_string(i), "v");
  H2Session client(harness);
  client.open(many);
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 431"));
  client.open(get());
  ASSERT_TRUE(client.hears("closed 3 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 200"));
}

TEST_F(H2DownstreamTest, ConnectIsRefused) {
  start();
  H2Session client(harness);
  client.open({{":method", "CONNECT"}, {":authority", "a.test:443"}}, false);
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 405"));
}

TEST_F(H2DownstreamTest, AMalformedRequestIsResetAndItsNeighboursGoOn) {
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get() + h2::Fields{{"connection", "close"}}) +
              h2::headers_frame(3, get()));
  ASSERT_TRUE(client.run_until([&] { return client.has_ended(3); }));
  ASSERT_TRUE(client.has(h2::rst_stream, 1));
  EXPECT_EQ(client.find(h2::rst_stream, 1)->error(), 1u);
  EXPECT_EQ(harness.metric("lotse_h2_stream_errors_total"), 1u);
  EXPECT_EQ(backend.requests, 1u);
}

TEST_F(H2DownstreamTest, CookieCrumbsReachTheEndpointAsOne) {
  start();
  H2Session client(harness);
  client.open(get() + h2::Fields{{"cookie", "a=1"}, {"cookie", "b=2"}});
  ASSERT_TRUE(client.hears("closed 1"));
  EXPECT_NE(backend.last_request.find("cookie: a=1; b=2\r\n"), std::string::npos) << backend.last_request;
}

TEST_F(H2DownstreamTest, AResetGivesItsRequestUp) {
  backend.script = [](Peer&) {};
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get()));
  ASSERT_TRUE(client.run_until([&] { return !backend.peers.empty() && !backend.peers[0]->received.empty(); }));
  client.send(h2::frame(h2::rst_stream, 0, 1, h2::number(8, 4)));
  ASSERT_TRUE(client.run_until([&] { return backend.peers[0]->is_over(); }));
}

TEST_F(H2DownstreamTest, ALostConnectionGivesAllItsRequestsUp) {
  backend.script = [](Peer&) {};
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get()) + h2::headers_frame(3, get()));
  ASSERT_TRUE(client.run_until([&] { return backend.peers.size() == 2 && !backend.peers[1]->received.empty(); }));
  client.peer().reset();
  ASSERT_TRUE(harness.run_until([&] { return backend.peers[0]->is_over() && backend.peers[1]->is_over(); }));
}

TEST_F(H2DownstreamTest, AnAnswerBeforeTheEndOfItsRequestFreesTheStream) {
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, post("/nowhere"), h2::end_headers));
  ASSERT_TRUE(client.run_until([&] { return client.has(h2::rst_stream, 1); }));
  EXPECT_TRUE(client.has_ended(1));
  EXPECT_EQ(client.find(h2::rst_stream, 1)->error(), 0u);
}

TEST_F(H2DownstreamTest, AnIdleConnectionIsToldToGo) {
  harness.config.timeouts.downstream_idle = 30ms;
  start();
  H2Client client(harness);
  client.send(h2::hello());
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
  ASSERT_TRUE(client.has(h2::goaway));
  EXPECT_EQ(client.find(h2::goaway)->error(), 0u);
  EXPECT_EQ(harness.metric("lotse_idle_timeouts_total"), 1u);
}

TEST_F(H2DownstreamTest, AHeadThatDoesNotEndInTimeEndsTheConnection) {
  harness.config.timeouts.header = 30ms;
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get(), h2::end_stream));
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
  ASSERT_TRUE(client.has(h2::goaway));
  EXPECT_EQ(harness.metric("lotse_header_timeouts_total"), 1u);
}

TEST_F(H2DownstreamTest, DrainingEndsInTwoSteps) {
  backend.script = [](Peer&) {};
  start();
  H2Client client(harness);
  client.send(h2::hello() + h2::headers_frame(1, get()));
  ASSERT_TRUE(client.run_until([&] { return !backend.peers.empty() && !backend.peers[0]->received.empty(); }));
  bool is_drained = false;
  harness.proxy->drain(20s, [&] { is_drained = true; });
  ASSERT_TRUE(client.run_until([&] { return client.has(h2::goaway); }));
  EXPECT_EQ(client.find(h2::goaway)->word(), 0x7fffffffu);
  client.send(h2::headers_frame(3, get()));  // it did not know yet
  ASSERT_TRUE(client.run_until([&] { return backend.peers.size() == 2 && !backend.peers[1]->received.empty(); }));
  const auto goaways = [&] {
    return std::count_if(client.frames.begin(), client.frames.end(),
                         [](const auto& one) { return one.type == h2::goaway; });
  };
  ASSERT_TRUE(client.run_until([&] { return goaways() == 2; }));
  EXPECT_EQ(client.frames.back().word(), 3u);
  for (auto& peer : backend.peers) backend.answer_all(*peer, Backend::ok("late"));
  ASSERT_TRUE(client.run_until([&] { return client.has_ended(1) && client.has_ended(3) && client.peer().is_over(); }));
  client.peer().close();
  ASSERT_TRUE(harness.run_until([&] { return is_drained; }));
}

TEST_F(H2DownstreamTest, AFloodEndsTheConnectionAndIsCounted) {
  LimitsConfig& limits = harness.config.limits;
  limits.h2_resets_max = limits.h2_pings_max = limits.h2_settings_max = 10;
  limits.h2_window_updates_max = limits.h2_empty_frames_max = limits.h2_other_frames_max = 10;
  start();
  const struct {
    const char* kind;
    std::string frame;
  } kFloods[] = {{"resets", h2::headers_frame(1, get("/nowhere")) + h2::frame(h2::rst_stream, 0, 1, h2::number(8, 4))},
                 {"pings", h2::frame(h2::ping, 0, 0, "12345678")},
                 {"settings", h2::frame(h2::settings, 0, 0)},
                 {"window_updates", h2::frame(h2::window_update, 0, 0, h2::number(1, 4))},
                 {"empty_frames", h2::data_frame(1, "")},
                 {"other_frames", h2::frame(h2::priority, 0, 1, std::string(5, '\0'))}};
  for (const auto& flood : kFloods) {
    H2Client client(harness);
    std::string bytes = h2::hello() + h2::headers_frame(1, post(), h2::end_headers);
    for (std::uint32_t id = 3; id < 3 + 2 * 20; id += 2) {
      std::string frame = flood.frame;
      if (std::string_view(flood.kind) == "resets") {
        frame = h2::headers_frame(id, get("/nowhere")) + h2::frame(h2::rst_stream, 0, id, h2::number(8, 4));
      }
      bytes += frame;
    }
    client.send(bytes);
    ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); })) << flood.kind;
    ASSERT_TRUE(client.has(h2::goaway)) << flood.kind;
    EXPECT_EQ(client.find(h2::goaway)->error(), 11u) << flood.kind;
    EXPECT_EQ(harness.metric(std::string("lotse_h2_floods_total{kind=\"") + flood.kind + "\"}"), 1u) << flood.kind;
  }
}

TEST_F(H2DownstreamTest, StreamsThatNobodyReadsDoNotHoldTheConnectionForEver) {
  harness.config.timeouts.stream_idle = 50ms;
  start();
  H2Client client(harness);
  // No window: the answers wait.
  client.send(std::string(h2::kPreface) + h2::frame(h2::settings, 0, 0, h2::setting(4, 0)) +
              h2::headers_frame(1, get()));
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
  EXPECT_FALSE(client.has_ended(1));
  EXPECT_EQ(harness.metric("lotse_stream_timeouts_total"), 1u);
}

// WebSocket over HTTP/2 (RFC 8441) ----------------------------------------------------------------------------------

class H2WebSocketTest : public H2DownstreamTest {
 protected:
  static h2::Fields connect(std::string_view protocol = "websocket") {
    return {{":method", "CONNECT"},   {":protocol", std::string(protocol)}, {":scheme", "http"}, {":path", "/app"},
            {":authority", "a.test"}, {"sec-websocket-version", "13"}};
  }
  // Takes the upgrade, and then whatever comes back is `echo:` and that.
  void take_upgrade(Peer& peer, bool is_right = true) {
    if (const std::size_t at = peer.received.find("Sec-WebSocket-Key: "); at != std::string::npos) {
      backend.last_request = std::exchange(peer.received, {});
      WebSocketKey key;
      key.set(std::string_view(backend.last_request).substr(at + 19, 24));
      peer.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
          (is_right ? std::string(key.accept()) : "AAAAAAAAAAAAAAAAAAAAAAAAAAA=") + "\r\n\r\n");
    } else if (!peer.received.empty() && peer.received.find("HTTP/1.1") == std::string::npos) {
      peer.send("echo:" + std::exchange(peer.received, {}));
    }
  }
};

TEST_F(H2WebSocketTest, IsAnUpgradeToTheEndpointWithAKeyOfOurs) {
  backend.script = [this](Peer& peer) { take_upgrade(peer); };
  start();
  H2Session client(harness);
  auto& stream = client.open(connect(), false);
  ASSERT_TRUE(client.hears(":status: 200"));
  EXPECT_FALSE(client.says("sec-websocket-accept"));
  EXPECT_TRUE(backend.last_request.starts_with("GET / HTTP/1.1\r\n")) << backend.last_request;
  EXPECT_NE(backend.last_request.find("Connection: upgrade\r\nUpgrade: websocket\r\n"), std::string::npos);
  client.session.session.send_body(*stream.stream, "hello");
  ASSERT_TRUE(client.run_until([&] { return stream.body == "echo:hello"; }));
  EXPECT_EQ(harness.metric("lotse_tunnels_total{protocol=\"websocket\"}"), 1u);
}

TEST_F(H2WebSocketTest, EitherSideMayEndAndStillHear) {
  backend.script = [this](Peer& peer) { take_upgrade(peer); };
  start();
  H2Session client(harness);
  auto& stream = client.open(connect(), false);
  ASSERT_TRUE(client.hears(":status: 200"));
  client.session.session.send_end(*stream.stream, {});
  ASSERT_TRUE(client.run_until([&] { return backend.peers[0]->has_ended; }));
  backend.peers[0]->send("last words");
  ASSERT_TRUE(client.run_until([&] { return stream.body == "last words"; }));
  backend.peers[0]->half_close();
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));

  auto& other = client.open(connect(), false);
  ASSERT_TRUE(client.run_until([&] { return backend.peers.size() == 2 && other.stream != nullptr; }));
  ASSERT_TRUE(client.hears("block 3"));
  backend.peers[1]->half_close();
  ASSERT_TRUE(client.hears("end 3"));
  client.session.session.send_body(*other.stream, "still here");
  ASSERT_TRUE(client.run_until([&] { return backend.peers[1]->queued_bytes() == 0 && backend.peers[1]->is_over(); }) ||
              true);
  client.session.session.send_end(*other.stream, {});
  ASSERT_TRUE(client.hears("closed 3 NO_ERROR"));
}

TEST_F(H2WebSocketTest, WhatTheClientSendsTooEarlyWaits) {
  backend.script = [](Peer&) {};
  start();
  H2Session client(harness);
  auto& stream = client.open(connect(), false);
  client.session.session.send_body(*stream.stream, "early");
  ASSERT_TRUE(client.run_until([&] { return !backend.peers.empty() && !backend.peers[0]->received.empty(); }));
  EXPECT_EQ(backend.peers[0]->received.find("early"), std::string::npos);
  backend.script = [this](Peer& peer) { take_upgrade(peer); };
  take_upgrade(*backend.peers[0]);
  ASSERT_TRUE(client.run_until([&] { return stream.body == "echo:early"; }));
}

TEST_F(H2WebSocketTest, AWrongAcceptIsNoTunnel) {
  backend.script = [this](Peer& peer) { take_upgrade(peer, false); };
  start();
  H2Session client(harness);
  client.open(connect(), false);
  ASSERT_TRUE(client.hears("closed 1 INTERNAL_ERROR"));
  ASSERT_TRUE(client.run_until([&] { return backend.peers[0]->is_over(); }));
}

TEST_F(H2WebSocketTest, ARefusalOfTheEndpointIsTheAnswer) {
  backend.script = [&](Peer& peer) {
    backend.answer_all(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  };
  start();
  H2Session client(harness);
  auto& stream = client.open(connect(), false);
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 403"));
  EXPECT_EQ(stream.body, "no");
}

TEST_F(H2WebSocketTest, OtherProtocolsAreAnswered501) {
  start();
  H2Session client(harness);
  client.open(connect("connect-udp"), false);
  ASSERT_TRUE(client.hears("closed 1 NO_ERROR"));
  EXPECT_TRUE(client.says(":status: 501"));
}

TEST(WebSocketKey, KnowsTheExampleOfTheRfc) {
  WebSocketKey key;
  key.set("dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace lotse::proxy::test
